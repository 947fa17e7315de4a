"""Every handler against the answers of the benchmark's own scenarios, and at its edges."""

import io
import json
from decimal import Decimal
from types import SimpleNamespace

import pytest


@pytest.mark.parametrize(
    ("scenario", "namespace"),
    [
        ("tier1/linear_rust", "python_e2e_linear"),
        ("tier1/diamond_rust", "python_e2e_diamond"),
        ("tier2/complex_dag_rust", "python_e2e_mixed_dag"),
        ("tier2/hierarchical_tree_rust", "python_e2e_tree"),
        ("tier2/conditional_rust", "conditional_approval_python"),
        ("tier5/batch_csv_1000", "csv_processing_python"),
    ],
)
def test_the_scenarios_are_answered_right(check_scenario, scenario, namespace):
    check_scenario(scenario, namespace)


def test_a_wrong_answer_is_told_with_its_step(monkeypatch, check_scenario):
    from handlers import numbers

    monkeypatch.setattr(numbers, "squared", lambda value: {"value": "1"})
    told = 'the step linear_step_1 has the result {"value":"1"} and not {"value":"36"}'
    with pytest.raises(AssertionError) as wrong:
        check_scenario("tier1/linear_rust", "python_e2e_linear")
    assert told in str(wrong.value)


def test_the_worker_has_the_handlers_of_every_template():
    from handlers import make_worker

    names = {f"{namespace}/{name}" for namespace, name in make_worker().handlers}
    assert len(names) >= 17
    assert "python_e2e_mixed_dag/multiply_all_and_square" in names
    assert "csv_processing_python/aggregate_csv_results" in names


def test_a_workflow_of_one_s_own_is_found_by_its_presence(monkeypatch, tmp_path):
    from handlers import make_worker, own

    register = "def register(worker):\n"
    register += "    worker.handler('demo of test', 'double')(lambda step: 2)\n"
    (tmp_path / "demo_of_test.py").write_text(register)
    (tmp_path / "test_demo_of_test.py").write_text("raise AssertionError('a test is no workflow')")
    monkeypatch.setattr(own, "__path__", [*own.__path__, str(tmp_path)])
    assert ("demo of test", "double") in make_worker().handlers


@pytest.mark.parametrize("even_number", [0, 2, 6, 2**53 - 2, 2**64 - 2])
def test_numbers_are_exact_however_large(run_workflow, even_number):
    steps = run_workflow("hierarchical_tree_python", {"even_number": even_number})["steps"]
    assert steps["tree_final_convergence"]["result"] == {"value": str(even_number**64)}


@pytest.mark.parametrize("even_number", [7, -2, "6", 6.0, True, None])
def test_what_is_no_even_number_is_refused_at_once(run_workflow, even_number):
    step = run_workflow("mathematical_sequence_python", {"even_number": even_number})["steps"]
    step = step["linear_step_1"]
    assert (step["state"], step["attempts"]) == ("Error", 1)
    assert "even_number is" in step["error"]["message"]


APPROVALS = [
    ("0.01", "auto_approve", "system"),
    ("500", "auto_approve", "system"),
    ("999.9999999999999999999999", "auto_approve", "system"),
    ("1e3", "manager_approval", "manager"),
    ("1000.00", "manager_approval", "manager"),
    ("5000", "manager_approval", "manager"),
    ("5000.0000000000000000000001", "finance_review", "finance"),
    ("1000000", "finance_review", "finance"),
]


@pytest.mark.parametrize(("amount", "branch", "by"), APPROVALS)
def test_both_boundaries_belong_to_the_manager(run_workflow, amount, branch, by):
    task = run_workflow("conditional_approval_python", {"amount": amount})
    assert task["state"] == "Complete"
    steps = task["steps"]
    written = "1000" if amount == "1e3" else amount
    assert steps["routing_decision"]["result"] == {"amount": written, "branch": branch}
    last = {"amount": written, "approved": True, "approved_by": by}
    assert steps["finalize_approval"]["result"] == last
    skipped = {name for name, step in steps.items() if step["state"] == "Skipped"}
    assert skipped == {"auto_approve", "manager_approval", "finance_review"} - {branch}


@pytest.mark.parametrize("amount", ["", "ten", "1e400", "0x10", "1,000", "9" * 40, " 1", "1_0"])
def test_what_is_no_amount_is_refused(run_workflow, amount):
    steps = run_workflow("conditional_approval_python", {"amount": amount})["steps"]
    step = steps["validate_request"]
    assert (step["state"], step["attempts"]) == ("Error", 1)
    assert step["error"]["message"].startswith(f'amount is "{amount}": ')


@pytest.mark.parametrize("amount", [0, -5, "0.00", None, [1]])
def test_no_money_needs_no_approval(run_workflow, amount):
    steps = run_workflow("conditional_approval_python", {"amount": amount})["steps"]
    step = steps["validate_request"]
    assert (step["state"], step["attempts"]) == ("Error", 1)


def test_a_number_s_digits_are_all_kept():
    """Through a float this one would be 5000, and the manager's."""
    from handlers import approval, make_worker

    worker = make_worker()
    amount = json.loads("5000.0000000000000000000001", parse_float=worker._parse_float)
    assert amount == Decimal("5000.0000000000000000000001")
    assert approval.route(approval.parse(str(amount))) == "finance_review"


FILE = (
    "id,title,category,price,rating,stock\r\n"
    '1,"a, ""b""\r\nc",tools,10.05,4.50,3\r\n'
    "2,plain,toys,7.1,3.00,0\n"
    "\n"
    '3,"two\nlines",tools,10.05,4.99,2\n'
    '4,"last",books,0.01,1,1'
)
TEMPLATE = "batch_processing_products_csv_python"


@pytest.mark.parametrize("size", range(1, 6))
def test_batches_of_any_size_have_the_same_inventory_from_their_own_bytes_alone(
    run_workflow, tmp_path, size
):
    (tmp_path / "p.csv").write_bytes(FILE.encode())
    task = run_workflow(TEMPLATE, {"csv_path": str(tmp_path / "p.csv"), "batch_size": size})
    assert task["state"] == "Complete", task
    analysis = task["steps"]["analyze_csv"]["result"]
    assert (analysis["rows"], analysis["batches"]) == (4, -(-4 // size))
    total = task["steps"]["aggregate_csv_results"]["result"]
    assert (total["inventory_value"], total["rating_sum"]) == ("50.26", "13.49")
    assert total["dearest"] == {"id": 1, "price": "10.05", "title": 'a, "b"\r\nc'}
    assert total["products_by_category"] == {"books": 1, "tools": 2, "toys": 1}
    # 3.3725 exactly.
    assert total["rating_mean"] == "3.3725"


def test_results_are_written_as_in_every_other_language():
    """Key by key in this order: a task run in memory would sort them."""
    from handlers.approval import finalize_approval, routing_decision
    from handlers.products import Inventory, analyze

    validated = SimpleNamespace(parent_results={"a": {"amount": "7"}})
    assert list(routing_decision(validated).result) == ["amount", "branch"]
    approved = SimpleNamespace(parent_results={"a": {"amount": "7", "approved_by": "system"}})
    assert list(finalize_approval(approved)) == ["amount", "approved", "approved_by"]
    analysis = analyze("p.csv", io.BytesIO(FILE.encode()), 2)
    assert list(analysis.result) == ["rows", "batches", "columns"]
    batch = ["csv_path", "first_row", "last_row", "from_byte", "to_byte"]
    assert [list(it) for it in analysis.batches] == [batch, batch]
    row = {"id": "1", "title": "a", "category": "c", "price": "1", "rating": "2", "stock": "3"}
    inventory = Inventory.of(row)
    keys = ["dearest", "inventory_value", "products_by_category", "rating_sum", "rows"]
    assert list(inventory.document()) == keys
    assert list(inventory.document()["dearest"]) == ["id", "price", "title"]
    assert list(inventory.total()) == sorted([*keys, "rating_mean"])


def test_no_rows_have_no_mean(run_workflow, tmp_path):
    (tmp_path / "p.csv").write_text("id,title\n")
    task = run_workflow(TEMPLATE, {"csv_path": str(tmp_path / "p.csv"), "batch_size": 10})
    total = task["steps"]["aggregate_csv_results"]["result"]
    assert total["inventory_value"] == "0.00"
    assert total["rating_mean"] is None
    assert total["dearest"] is None


@pytest.mark.parametrize(
    ("ratings", "mean"),
    [(["0.0003", "0"], "0.0002"), (["1", "1", "0"], "0.6667"), (["4", "4"], "4.0000")],
)
def test_a_mean_is_rounded_half_up(ratings, mean):
    from handlers.products import Inventory

    inventory = Inventory()
    for rating in ratings:
        inventory.add(Inventory(rows=1, rating_sum=Decimal(rating)))
    assert inventory.total()["rating_mean"] == mean


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("id,title\n1,a\n2,b,c\n", "found record with 3 fields"),
        ("id,title\n1,a\n", "row 1: missing field `price`"),
        (FILE.replace("7.1", "7,1").replace("\n2,plain", '\n2,"plain"'), "found record with 7"),
        (FILE.replace("7.1", "NaN"), "row 2: Invalid decimal"),
        (FILE.replace("3.00,0", "3.00,-1"), "row 2: -1 is not between"),
    ],
)
def test_a_bad_file_fails_with_its_row(run_workflow, tmp_path, file, told):
    (tmp_path / "p.csv").write_bytes(file.encode())
    task = run_workflow(TEMPLATE, {"csv_path": str(tmp_path / "p.csv"), "batch_size": 2})
    messages = [step["error"]["message"] for step in task["steps"].values() if step["error"]]
    assert task["state"] == "Error"
    assert any(told in message for message in messages), messages


def test_a_file_that_is_not_there_may_come(run_workflow):
    steps = run_workflow(TEMPLATE, {"csv_path": "nowhere.csv", "batch_size": 2})["steps"]
    step = steps["analyze_csv"]
    assert step["attempts"] > 1
    assert step["error"]["message"] == "nowhere.csv: No such file or directory (os error 2)"


def test_a_stretch_that_is_not_what_it_was_is_refused(tmp_path):
    from handlers.products import Batch, read_stretch, take_stock
    from stepmark import Fail, Retry

    columns = ["id", "title", "category", "price", "rating", "stock"]
    row = b"2,plain,toys,7.1,3.00,0\n"
    batch = Batch("p.csv", 2, 2, 0, len(row))
    assert take_stock(batch, columns, row).rows == 1
    for stretch in b"", row + row, row[:10]:
        with pytest.raises(Fail):
            take_stock(batch, columns, stretch)
    (tmp_path / "p.csv").write_bytes(row[:10])
    with pytest.raises(Retry, match="failed to fill whole buffer"):
        read_stretch(Batch(str(tmp_path / "p.csv"), 2, 2, 0, len(row)))
