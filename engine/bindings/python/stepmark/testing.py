"""Handlers tried out in memory: whole tasks without database, broker or clock.

What decides is a model of the engine, so decisions, batches, retries and failures go as they go in
an engine; steps run one after the other, and a retry comes at once, whatever its backoff. No lease
expires here, no step times out, nothing is cancelled from outside.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Optional, Union

from ._answers import to_json
from ._crew import Crew
from ._library import native

if TYPE_CHECKING:
    from ._native import Bridge
    from .worker import Worker

Path = Union[str, "os.PathLike[str]"]


def run_task(worker: Worker, template_path: Path, context: dict[str, Any]) -> dict[str, Any]:
    """Runs a task through the worker's handlers, to its end.

    Args:
        worker: Has the handlers.
        template_path: The template's file.
        context: What the task is given.

    Returns:
        ``{"state": …, "steps": {name: {"state", "result", "error", "attempts"}}}``, the instances
        of batch workers included; ``error`` is the document of the last attempt, if it has failed.

    Raises:
        ValueError: The template is wrong, or the context none that a task can have.
    """
    bridge = native.Bridge.run_task(worker.handlers, template_path, to_json(context))
    task: dict[str, Any] = json.loads(_verdict(worker, bridge))
    return task


def check_scenario(
    worker: Worker,
    scenario_path: Path,
    templates_folder: Path,
    namespace: Optional[str] = None,
) -> None:
    """Runs each input of a scenario's file whose right answers stand beside it (``input`` with
    ``expected``, or ``cases``), and compares.

    Args:
        worker: Has the handlers.
        scenario_path: The scenario's file.
        templates_folder: Where its template is.
        namespace: Of the template to take instead of the scenario's own: the same workflow in
            another language has the same answers.

    Raises:
        AssertionError: An answer is wrong; it tells which step, its result and the right one.
    """
    __tracebackhide__ = True
    bridge = native.Bridge.check_scenario(
        worker.handlers, scenario_path, templates_folder, namespace
    )
    try:
        _verdict(worker, bridge)
    except ValueError as wrong:
        raise AssertionError(str(wrong)) from None


def _verdict(worker: Worker, bridge: Bridge) -> str:
    def verdict() -> Union[str, ValueError]:
        try:
            return bridge.verdict()
        except ValueError as error:
            return error

    told, _ = Crew(bridge, worker._handlers, worker._parse_float).work(verdict)
    if isinstance(told, ValueError):
        raise told
    return told
