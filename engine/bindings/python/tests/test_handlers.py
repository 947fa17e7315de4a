"""What handlers are given, and what becomes of what they return and raise."""

import asyncio
import enum
import math
from collections import OrderedDict, namedtuple
from decimal import Decimal

import pytest
from stepmark import AsyncStep, Branch, CheckpointRefused, Fail, FanOut, Retry, Step


def register(worker, handler, name="a"):
    worker.handler("t", name)(handler)
    return worker


def ended(run, worker, handler, **options):
    """The one step of a task with this handler."""
    return run(register(worker, handler), **options)["steps"]["a"]


def test_a_step_tells_all_about_its_attempt(run, worker):
    seen = []

    def handler(step):
        seen.append(step)
        return {}

    task = run(register(worker, handler), {"name": "Ada", "big": 2**53 - 1})
    assert task["state"] == "Complete"
    [step] = seen
    assert isinstance(step, Step)
    assert (step.namespace, step.handler, step.name, step.type) == ("t", "a", "a", "standard")
    assert (step.attempt, step.max_attempts, step.timeout_ms) == (1, 2, 600_000)
    assert step.idempotency_token == f"{step.task_uuid}/a"
    assert step.context == {"name": "Ada", "big": 2**53 - 1}
    assert (step.parent_results, step.input, step.checkpoint) == ({}, None, None)
    assert step.interrupted  # now that its call is over


@pytest.mark.parametrize(
    "result",
    [
        None,
        True,
        "Zoë \u2028 \U0001f600",
        -1,
        1.5,
        0.1 + 0.2,
        1e-7,
        [],
        {"a": [1, {"b": None}], "c": "x" * 100_000},
        [[[[[[[[[[1]]]]]]]]]],
    ],
)
def test_any_json_value_is_a_result_and_comes_back_as_it_was(run, worker, result):
    step = ended(run, worker, lambda step: result)
    assert (step["state"], step["result"]) == ("Complete", result)


def test_what_is_nearly_json_is_written_as_json_knows_it(run, worker):
    class Colour(str, enum.Enum):
        RED = "red"

    given = {"pair": (1, 2), "colour": Colour.RED, "ordered": OrderedDict(a=1)}
    step = ended(run, worker, lambda step: given)
    assert step["result"] == {"pair": [1, 2], "colour": "red", "ordered": {"a": 1}}


def cycle():
    inner = {}
    inner["self"] = [inner]
    return inner


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: {"a": [1, {2}]}, "value['a'][1] is of the type set"),
        (object, "value is of the type object"),
        (lambda: b"bytes", "value is of the type bytes"),
        (lambda: {"a": math.nan}, "value['a'] is nan"),
        (lambda: [math.inf], "value[0] is inf"),
        (lambda: {"a": {1: 2}}, "value['a'][1] has a key that is no text"),
        (lambda: {None: 2}, "has a key that is no text"),
        (cycle, "value['self'][0] contains itself"),
        (deep, "nested too deeply"),
        (lambda: [Decimal(1)], "value[0] is of the type Decimal"),
        (lambda: Pair(1, 2), "value is of the type Pair"),
        (lambda: 10**5000, "value"),
        (lambda: "\udcff", "surrogates not allowed"),
        (lambda: {"\udcff": 1}, "surrogates not allowed"),
        (lambda: ValueError("returned"), "value is of the type ValueError"),
        (lambda: asyncio.sleep, "value is of the type function"),
        (lambda: FanOut({}, [1]), "the handler answered batches"),
        (lambda: "x" * (2 << 20), "the limit is"),
    ],
)
def test_what_json_can_t_hold_fails_at_once_and_says_where_it_is(run, worker, made, told):
    step = ended(run, worker, lambda step: made())
    assert (step["state"], step["attempts"], step["result"]) == ("Error", 1, None)
    assert told in step["error"]["message"], step


def test_an_exception_is_tried_again_and_told_with_class_and_stack(run, worker):
    def inner():
        raise ValueError("no luck")

    def handler(step):
        inner()

    step = ended(run, worker, handler)
    assert (step["state"], step["attempts"]) == ("Error", 2)
    error = step["error"]
    assert (error["message"], error["exception"]) == ("no luck", "ValueError")
    lines = error["stack"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "in handler" in lines[1]  # none of the package's own frames
    assert "in inner" in lines[3] or "in inner" in lines[4]
    assert lines[-1] == "ValueError: no luck"


class Strange(Exception):
    def __str__(self):
        raise RuntimeError("not even that")


@pytest.mark.parametrize(
    ("error", "message", "name"),
    [
        (SystemExit(3), "3", "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit", "GeneratorExit"),
        (asyncio.CancelledError(), "CancelledError", "CancelledError"),
        (Strange(), "Strange", "Strange"),
        (OSError(2, "gone", "\udcff"), "[Errno 2] gone: '\\udcff'", "FileNotFoundError"),
        (ValueError("\udcff\0"), "\\udcff\ufffd", "ValueError"),
        (RecursionError("deep"), "deep", "RecursionError"),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_whatever_a_handler_raises_is_the_step_s_failure(
    run, worker, error, message, name, is_async
):
    def handler(step):
        raise error

    async def coroutine(step):
        raise error

    step = ended(run, worker, coroutine if is_async else handler)
    assert (step["state"], step["attempts"]) == ("Error", 2)
    if is_async and name == "CancelledError":
        message = "the handler was cancelled"
    assert step["error"]["message"] == message
    assert step["error"]["exception"].split(".")[-1] == name


def test_fail_is_final_and_told_as_it_is_worded(run, worker):
    def handler(step):
        raise Fail("bad input")

    step = ended(run, worker, handler)
    assert (step["state"], step["attempts"]) == ("Error", 1)
    assert step["error"] == {"kind": "handler", "message": "bad input"}


def test_a_cause_is_told_with_its_stack(run, worker):
    def handler(step):
        try:
            int("seven")
        except ValueError as error:
            raise Fail("bad input") from error

    error = ended(run, worker, handler)["error"]
    assert (error["message"], error["exception"]) == ("bad input", "ValueError")
    assert "invalid literal" in error["stack"]


@pytest.mark.parametrize("after", [None, 0, 0.001, 3])
def test_a_retry_is_tried_again(run, worker, after):
    def handler(step):
        if step.attempt == 1:
            raise Retry("not yet", after=after)
        return {"attempt": step.attempt}

    step = ended(run, worker, handler)
    assert (step["result"], step["attempts"], step["error"]) == ({"attempt": 2}, 2, None)


@pytest.mark.parametrize("after", [-1, math.nan, math.inf])
def test_a_time_that_can_t_be_waited_is_refused(after):
    with pytest.raises(ValueError, match="after is"):
        Retry("never", after=after)


def test_a_decision_s_branches_are_names(run, worker):
    worker.handler("t", "decide")(lambda step: Branch({"chose": "b"}, step.context["choose"]))
    register(register(worker, lambda step: {}, "b"), lambda step: {}, "c")
    steps = (
        "[{name: decide, type: decision, handler: decide, branches: [b, c], "
        "retry: {max_attempts: 1}}, {name: b, handler: b, depends_on: [decide]}, "
        "{name: c, handler: c, depends_on: [decide]}]"
    )
    task = run(worker, {"choose": ["b"]}, steps)
    states = {name: step["state"] for name, step in task["steps"].items()}
    assert states == {"decide": "Complete", "b": "Complete", "c": "Skipped"}
    for wrong, told in ("b", "not one text"), ([1], "no name of a step"), (["z"], "none of its"):
        error = run(worker, {"choose": wrong}, steps)["steps"]["decide"]["error"]
        assert told in error["message"], error


BATCHES = (
    "[{name: split, type: batchable, handler: split}, "
    "{name: work, type: batch_worker, handler: work, depends_on: [split], "
    "on_failure: continue_on_failure, retry: {max_attempts: 1}}, "
    "{name: gather, type: deferred_convergence, handler: gather, depends_on: [work]}]"
)


@pytest.mark.parametrize("is_async", [False, True])
def test_batches_come_together_in_their_order_with_the_failures(run, worker, is_async):
    worker.handler("t", "split")(lambda step: FanOut({}, range(1200)))

    @worker.handler("t", "work")
    def work(step):
        if step.input == 7:
            raise Fail("seven")
        return step.input

    def gather(step):
        failures = step.parent_failures()
        return {"results": step.batch_results("work"), "failures": failures}

    async def gather_later(step):
        failures = await step.parent_failures()
        return {"results": step.batch_results("work"), "failures": failures}

    worker.handler("t", "gather")(gather_later if is_async else gather)
    steps = BATCHES.replace("handler: split", "handler: split, batches_max: 2000")
    gathered = run(worker, {}, steps)["steps"]["gather"]["result"]
    assert gathered["results"] == [number for number in range(1200) if number != 7]
    assert gathered["failures"] == {"work_008": {"kind": "handler", "message": "seven"}}


@pytest.mark.parametrize("is_async", [False, True])
def test_a_checkpoint_is_there_at_the_next_attempt(run, worker, is_async):
    def handler(step: Step):
        if step.attempt == 1:
            step.heartbeat()
            with pytest.raises(CheckpointRefused, match=r"value\[0\] is of the type set"):
                step.save_checkpoint([{1}])
            with pytest.raises(CheckpointRefused, match="u0000"):
                step.save_checkpoint("\0")
            step.save_checkpoint({"done": 1})
            raise ValueError("no luck")
        return step.checkpoint

    async def coroutine(step: AsyncStep):
        if step.attempt == 1:
            await step.heartbeat()
            with pytest.raises(CheckpointRefused, match="u0000"):
                await step.save_checkpoint("\0")
            await step.save_checkpoint({"done": 1})
            raise ValueError("no luck")
        return step.checkpoint

    step = ended(run, worker, coroutine if is_async else handler)
    assert (step["result"], step["attempts"]) == ({"done": 1}, 2)


def test_decimals_are_what_the_worker_says(run):
    from stepmark import Worker

    worker = Worker(parse_float=Decimal)
    def handler(step):
        return [str(step.context["a"]), step.context["a"] == Decimal("0.10")]

    assert ended(run, worker, handler, context={"a": 0.1})["result"] == ["0.1", True]

    def refused(text):
        raise ArithmeticError(f"{text} is too much")

    step = ended(run, Worker(parse_float=refused), handler, context={"a": 0.1})
    assert (step["state"], step["attempts"]) == ("Error", 1)
    assert "can't read what the step is given: 0.1 is too much" in step["error"]["message"]


def test_a_coroutine_s_own_exit_does_not_end_the_loop(run, worker, caplog):
    async def leave():
        raise SystemExit(3)

    async def handler(step):
        task = asyncio.create_task(leave())
        while not task.done():
            await asyncio.sleep(0)
        return {"left": repr(task.exception())}

    assert ended(run, worker, handler)["result"] == {"left": "SystemExit(3)"}
    assert "tried to end the process" in caplog.text


def test_a_step_s_logger_names_it(run, worker, caplog):
    def handler(step):
        step.logger.warning("half of %s", "it")
        return {"task": step.task_uuid}

    step = ended(run, worker, handler)
    [record] = [record for record in caplog.records if record.name == "t.a"]
    assert record.getMessage() == "half of it"
    assert (record.step, record.task_uuid) == ("a", step["result"]["task"])
