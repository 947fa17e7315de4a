"""A worker whose handlers misbehave, for the tests of what a handler can do to its worker."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from threading import Event

from stepmark import AsyncStep, Branch, ClaimEnded, Fail, FanOut, Retry, Step, Worker

worker = Worker()


def handler(it):
    return worker.handler("faults_python", it.__name__)(it)


@handler
def echo(step: Step):
    return {
        "context": step.context,
        "parent_results": step.parent_results,
        "input": step.input,
        "attempt": step.attempt,
    }


def _raise(step: Step):
    raise ValueError("no luck")


worker.handler("faults_python", "raise")(_raise)


@handler
def fail(step: Step):
    raise Fail("bad input")


@handler
def retry(step: Step):
    if step.attempt == 1:
        raise Retry("not yet", after=0.001)
    return {"attempt": step.attempt}


@handler
def exit(step: Step):
    os._exit(3)


@handler
def system_exit(step: Step):
    sys.exit(3)


@handler
def crash(step: Step):
    os.kill(os.getpid(), signal.SIGSEGV)
    Event().wait()  # another thread may take it


@handler
def loop(step: Step):
    while True:
        pass


@handler
def hold(step: Step):
    """As ``loop``, with the interpreter in its hands: no other thread of Python's has a turn."""
    re.match("(a+)+$", "a" * 100 + "b")


@handler
def not_json(step: Step):
    return {"values": [1, {2, 3}]}


@handler
def big(step: Step):
    return {"text": "x" * (10 << 20)}


@handler
def big_integer(step: Step):
    return {"value": 2**53 + 1}


@handler
def decide(step: Step):
    return Branch({}, step.context["choose"])


@handler
def split(step: Step):
    batches = step.context["batches"]
    return FanOut({"batches": len(batches)}, batches)


@handler
def work(step: Step):
    return {"doubled": 2 * step.input}


@handler
def gather(step: Step):
    return {"results": step.batch_results("work"), "failures": sorted(step.parent_failures())}


@handler
def checkpoint(step: Step):
    if step.attempt == 1:
        step.save_checkpoint({"done": 1})
        raise ValueError("no luck")
    return {"checkpoint": step.checkpoint}


@handler
def heartbeat(step: Step):
    while True:
        try:
            step.heartbeat()
        except ClaimEnded:
            return {}
        Event().wait(0.05)


@handler
async def wait(step: AsyncStep):
    await asyncio.sleep(step.context["ms"] / 1000)
    return {}


@handler
def log(step: Step):
    step.logger.info("hello from the handler")
    return {}


if __name__ == "__main__":
    worker.run()
