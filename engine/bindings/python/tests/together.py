"""A worker whose handlers go on until so many have been at work at once, and tell how many were
when they began."""

import asyncio
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stepmark import AsyncStep, Step, Worker

worker = Worker()
changed = threading.Condition()
running = most = 0


def enter() -> int:
    global running, most
    with changed:
        running += 1
        most = max(most, running)
        changed.notify_all()
        return running


def leave() -> None:
    global running
    with changed:
        running -= 1


@worker.handler("faults_python", "echo")
def echo(step: Step):
    together = enter()
    with changed:
        changed.wait_for(lambda: most >= step.context["until"])
    leave()
    return {"together": together}


@worker.handler("faults_python", "wait")
async def wait(step: AsyncStep):
    together = enter()
    while most < step.context["until"]:
        await asyncio.sleep(0.001)
    leave()
    return {"together": together}


if __name__ == "__main__":
    worker.run()
