"""Where the package, the native library and the handlers are."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
os.environ.setdefault("STEPMARK_NATIVE", str(ROOT / "target/debug/libstepmark_python.so"))
sys.path[:0] = [str(ROOT / "engine/bindings/python"), str(HERE)]


@pytest.fixture
def check_scenario(monkeypatch):
    """Holds the handlers against the answers of a scenario's file, such as ``tier1/linear_rust``;
    of another language's with the namespace of this one's template."""
    from handlers import make_worker
    from stepmark import testing

    # Where workers run, for the files that an input names.
    monkeypatch.chdir(ROOT)

    def check_scenario(scenario, namespace=None):
        path = ROOT / "scenarios" / f"{scenario}.yaml"
        testing.check_scenario(make_worker(), path, ROOT / "fixtures/workflows", namespace)

    return check_scenario


@pytest.fixture
def run_workflow():
    """Runs a task of a template's file, and gives its state and each step."""
    from handlers import make_worker
    from stepmark import testing

    def run_workflow(template, context):
        path = ROOT / "fixtures/workflows" / f"{template}.yaml"
        return testing.run_task(make_worker(), path, context)

    return run_workflow
