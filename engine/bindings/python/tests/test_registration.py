"""What can be a handler."""

import asyncio
import threading

import pytest


def test_functions_classes_and_objects_are_handlers(run, worker):
    class Call:
        def call(self, step):
            self.seen = getattr(self, "seen", 0) + 1
            return self.seen

    class Later:
        async def call(self, step):
            await asyncio.sleep(0)
            return threading.current_thread().name

    class Callable:
        async def __call__(self, step):
            return threading.current_thread().name

    names = ["a", "b", "c", "d", "e"]
    for name, it in zip(names, [Call, Call(), Later, Later().call, Callable()]):
        worker.handler("t", name)(it)
    steps = "[" + ", ".join(f"{{name: {it}1, handler: {it}}}" for it in names)
    steps += ", {name: a2, handler: a}, {name: b2, handler: b}]"
    results = {name: step["result"] for name, step in run(worker, {}, steps)["steps"].items()}
    # A class is made anew for each step, an object is shared.
    assert results == {
        **{"a1": 1, "a2": 1, "b1": 1, "b2": 2},
        **dict.fromkeys(["c1", "d1", "e1"], "stepmark-loop"),
    }


def test_a_class_that_can_t_be_made_is_the_step_s_failure(run, worker):
    class Plain:
        def __init__(self):
            raise ValueError("no connection")

        def call(self, step):
            pass

    class Later(Plain):
        async def call(self, step):
            pass

    for name, it in ("a", Plain), ("b", Later):
        worker.handler("t", name)(it)
    steps = "[{name: a, handler: a, retry: {max_attempts: 1}}, "
    steps += "{name: b, handler: b, retry: {max_attempts: 1}}]"
    errors = [step["error"] for step in run(worker, {}, steps)["steps"].values()]
    assert [(it["message"], it["exception"]) for it in errors] == [
        ("no connection", "ValueError")
    ] * 2


def test_what_can_t_be_a_handler_is_refused_when_it_is_registered(worker):
    class NeedsMore:
        def __init__(self, database):
            pass

        def call(self, step):
            pass

    for it in "text", 7, object(), object, lambda: None, lambda a, b: None, NeedsMore:
        with pytest.raises(TypeError):
            worker.handler("t", "a")(it)
    worker.handler("t", "a")(lambda step, more=1: None)
    with pytest.raises(ValueError, match="two handlers t/a"):
        worker.handler("t", "a")(lambda step: None)
    assert worker.handlers == [("t", "a")]


def test_a_missing_handler_is_named(run, worker):
    step = run(worker, {})["steps"]["a"]
    assert 'no handler "a"' in step["error"]["message"]
