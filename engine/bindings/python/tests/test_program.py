"""Workers as programs, on a real engine."""

import os
import signal
import subprocess
import sys

import pytest
from programs import HERE, PATIENCE, plain_environment

FAULTS = HERE / "faults.py"


def run_script(text, *arguments, **variables):
    """A program of these lines, to its end."""
    environment = plain_environment(
        STEPMARK_NATIVE=os.environ["STEPMARK_NATIVE"], PYTHONPATH=str(HERE.parent), **variables
    )
    return subprocess.run(
        [sys.executable, "-c", text, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


ONE = """
import atexit, stepmark
atexit.register(print, "at the end")
worker = stepmark.Worker()
worker.handler("t", "b")(lambda step: {})
worker.handler("t", "a")(lambda step: {})
worker.run()
print("never")
"""


@pytest.mark.parametrize(
    ("flag", "told"),
    [("--list-handlers", "t/a\nt/b\n"), ("--version", "stepmark"), ("--help", "--concurrency")],
)
def test_what_is_asked_of_a_program_is_printed(flag, told):
    ended = run_script(ONE, flag)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert told in ended.stdout
    assert ended.stdout.endswith("at the end\n")


@pytest.mark.parametrize(
    ("arguments", "variables", "exit_code", "told"),
    [
        (["--nonsense"], {}, 2, "unexpected argument '--nonsense'"),
        ([], {}, 2, "--database-url"),
        (["--database-url", "mysql://x"], {}, 2, "must begin with postgres://"),
        (["--database-url", "postgres://x@127.0.0.1:1/x", "--connect-ms", "1"], {}, 3, "127.0.0.1"),
        ([], {"STEPMARK_NONSENSE": "1", "STEPMARK_DATABASE_URL": "postgres://x"}, 2, "NONSENSE"),
    ],
)
def test_what_it_can_t_start_with_is_its_exit_code(arguments, variables, exit_code, told):
    ended = run_script(ONE, *arguments, **variables)
    assert ended.returncode == exit_code, ended.stderr
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_the_library_it_is_said_how_to_build_it():
    for native in "/nowhere.so", os.path.realpath("/bin/sh"):
        environment = plain_environment(STEPMARK_NATIVE=native, PYTHONPATH=str(HERE.parent))
        command = [sys.executable, "-c", "import stepmark"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert ended.returncode == 1
        assert "build it with `make bindings`" in ended.stderr.splitlines()[-1]
        assert native in ended.stderr


def step_of(task):
    [step] = task["steps"]
    return step


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_tasks_run_to_their_end_and_a_signal_drains(engine, ending):
    with engine.worker(FAULTS, "--instance", "py") as worker:
        worker.address()
        task = engine.ended(engine.start("faults_python", "echo", {"name": "Ada"}))
        assert task["state"] == "Complete", task
        assert step_of(task)["result"]["context"] == {"name": "Ada"}
        task = engine.ended(engine.start("faults_python", "raise", {}))
        assert (task["state"], step_of(task)["attempts"]) == ("Error", 2)
        error = step_of(task)["error"]
        assert (error["message"], error["exception"]) == ("no luck", "ValueError")
        task = engine.ended(engine.start("faults_python", "checkpoint", {}))
        assert step_of(task)["result"] == {"checkpoint": {"done": 1}}
        # What is at work when the signal comes is done before it ends.
        waiting = engine.start("faults_python", "wait", {"ms": 500})
        engine.until(waiting, lambda task: step_of(task)["state"] == "InProgress")
        worker.process.send_signal(ending)
        exit_code, log = worker.ended()
        assert exit_code == 0, log
        assert "Traceback" not in log and "drained" in log
        assert step_of(engine.ended(waiting))["result"] == {}


@pytest.mark.parametrize("concurrency", [1, 4])
def test_handlers_overlap_as_far_as_the_concurrency_lets_them(engine, concurrency):
    with engine.worker(HERE / "together.py", "--concurrency", str(concurrency)) as worker:
        worker.address()
        context = {"until": concurrency}
        tasks = [engine.start("faults_python", name, context) for name in ["echo", "wait"] * 4]
        together = [step_of(engine.ended(task))["result"]["together"] for task in tasks]
        assert max(together) == concurrency, together


def test_the_end_of_a_claim_is_told(engine):
    # One step at once: whoever takes events must hear of the end all the same.
    with engine.worker(FAULTS, "--sweep-ms", "50", "--concurrency", "1") as worker:
        worker.address()
        for name in "heartbeat", "wait":
            task = engine.start("faults_python", name, {"ms": 3_600_000})
            engine.until(task, lambda task: step_of(task)["state"] == "InProgress")
            engine.ask(f"/v1/tasks/{task}/cancel", {"reason": "enough"})
            # Its place is free again.
            task = engine.ended(engine.start("faults_python", "echo", {}))
            assert task["state"] == "Complete"
        worker.process.terminate()
        exit_code, log = worker.ended()
        assert exit_code == 0, log


@pytest.mark.parametrize("name", ["loop", "hold"])
def test_a_stuck_handler_costs_the_process(engine, name):
    with engine.worker(FAULTS, "--sweep-ms", "50") as worker:
        worker.address()
        task = engine.start("faults_python", name, {})
        exit_code, log = worker.ended()
        assert exit_code == 75, log
        assert "a handler does not end although its time is over" in log
        engine.ask(f"/v1/tasks/{task}/cancel", {"reason": "enough"})


def test_a_handler_that_holds_the_drain_is_left_behind(engine):
    with engine.worker(FAULTS, "--drain-ms", "100") as worker:
        worker.address()
        task = engine.start("faults_python", "wait", {"ms": 3_600_000})
        engine.until(task, lambda task: step_of(task)["state"] == "InProgress")
        worker.process.terminate()
        exit_code, log = worker.ended()
        assert exit_code == 0, log
        assert "gave back steps" in log and "Traceback" not in log
        engine.ask(f"/v1/tasks/{task}/cancel", {"reason": "enough"})


def test_the_log_has_what_handlers_write(engine):
    with engine.worker(FAULTS, "--log-format", "json") as worker:
        worker.address()
        task = engine.start("faults_python", "log", {})
        assert engine.ended(task)["state"] == "Complete"
        worker.process.terminate()
        _, log = worker.ended()
    [line] = [line for line in log.splitlines() if "hello from the handler" in line]
    assert f"task={task} step=log" in line
    assert '"level":"INFO"' in line and '"logger":"faults_python.log"' in line


def test_threads_of_a_handler_do_not_keep_a_program_alive():
    text = """
import stepmark.worker, threading
stepmark.worker._EXIT_PATIENCE = 0.1
threading.Thread(target=threading.Event().wait).start()
threading.Thread(target=stepmark.worker._exit_late, args=[7], daemon=True).start()
print("flushed")
"""
    ended = run_script(text)
    assert (ended.returncode, ended.stdout) == (7, "flushed\n"), ended.stderr


def test_a_program_that_is_interrupted_before_it_runs_ends_quietly():
    """Until the core has taken the signals over they end the process, without a traceback."""
    text = (
        "import os, signal, types, stepmark.worker\n"
        # As in the foreground: a shell has its background jobs ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def start(*_): os.kill(os.getpid(), signal.SIGINT)\n"
        "bridge = types.SimpleNamespace(start=start)\n"
        "stepmark.worker.native = types.SimpleNamespace(Bridge=bridge)\n"
        "stepmark.Worker().run()\n"
    )
    ended = run_script(text)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")
