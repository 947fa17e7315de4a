"""Where the package and the native library are; a real engine for the tests that need one."""

import os
import re
import subprocess
import sys

import pytest
from programs import HERE, ROOT, Engine, Program, plain_environment

os.environ.setdefault("STEPMARK_NATIVE", str(ROOT / "target/debug/libstepmark_python.so"))
sys.path.insert(0, str(HERE.parent))


@pytest.fixture
def worker():
    """A worker without handlers."""
    from stepmark import Worker

    return Worker()


@pytest.fixture
def run(tmp_path):
    """Runs a task of one step, or of these steps, through a worker's handlers of namespace t."""
    from stepmark import testing

    def run(worker, context=None, steps="[{name: a, handler: a, retry: {max_attempts: 2}}]"):
        template = tmp_path / "template.yaml"
        template.write_text(f"namespace: t\nname: t\nsteps: {steps}\n")
        return testing.run_task(worker, template, context or {})

    return run


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """Has a template of one step for each handler of ``faults.py``, which is tried twice."""
    templates = tmp_path_factory.mktemp("templates")
    for name in "echo", "raise", "heartbeat", "wait", "log", "loop", "hold", "checkpoint":
        timeout_ms = 300 if name in ("loop", "hold") else 600_000
        (templates / f"{name}.yaml").write_text(
            f"namespace: faults_python\nname: {name}\nsteps:\n"
            f"  - {{name: {name}, handler: {name}, timeout_ms: {timeout_ms},\n"
            "     retry: {max_attempts: 2, backoff_initial_ms: 1, backoff_max_ms: 1}}\n"
        )
    servers = [str(ROOT / "target/debug/examples/servers"), "postgres"]
    with Program(servers, stdin=subprocess.PIPE) as postgres:
        line = postgres.process.stdout.readline()
        found = re.search(r"postgres://\S+", line)
        assert found, line + postgres.process.stderr.read()
        program = str(ROOT / "target/debug/stepmark-orchestrator")
        environment = plain_environment(STEPMARK_DATABASE_URL=found[0])
        with Program([program, "--templates", str(templates)], env=environment) as orchestrator:
            yield Engine(found[0], orchestrator.address())
