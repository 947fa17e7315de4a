"""What the testing module says of templates and scenarios that are wrong."""

import json

import pytest
from stepmark import Worker, testing


def test_wrong_templates_and_contexts_are_told(run, worker, tmp_path):
    worker.handler("t", "a")(lambda step: {})
    with pytest.raises(ValueError, match="template.yaml:3"):
        run(worker, {}, "[{name: a, handles: a}]")
    with pytest.raises(ValueError, match="must be a JSON object"):
        run(worker, [1])
    with pytest.raises(ValueError, match="No such file"):
        testing.run_task(worker, tmp_path / "nowhere.yaml", {})
    with pytest.raises(AssertionError, match="No such file"):
        testing.check_scenario(worker, tmp_path / "nowhere.yaml", tmp_path)


def test_a_scenario_tells_what_is_wrong(worker, tmp_path):
    (tmp_path / "t.yaml").write_text("namespace: t\nname: t\nsteps: [{name: a, handler: a}]\n")
    scenario = {
        "name": "one",
        "workflow": {"namespace": "other", "template": "t"},
        "cases": [
            {
                "input": {"n": n},
                "expected": {
                    "task_state": "Complete",
                    "steps": {"a": {"state": "Complete", "result": n}},
                },
            }
            for n in (1, 2)
        ],
    }
    (tmp_path / "one.json").write_text(json.dumps(scenario))
    worker.handler("t", "a")(lambda step: step.context["n"])
    testing.check_scenario(worker, tmp_path / "one.json", tmp_path, namespace="t")
    wrong = Worker()
    wrong.handler("t", "a")(lambda step: 1)
    with pytest.raises(AssertionError) as told:
        testing.check_scenario(wrong, tmp_path / "one.json", tmp_path, namespace="t")
    assert 'input {"n":2}' in str(told.value)
    assert "the step a has the result 1 and not 2" in str(told.value)
    assert 'input {"n":1}' not in str(told.value)
