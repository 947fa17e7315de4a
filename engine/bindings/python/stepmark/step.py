"""What a handler is given."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Optional

from ._answers import NotJson, to_json
from ._library import native
from .outcomes import CheckpointRefused, heartbeat_error

if TYPE_CHECKING:
    from asyncio import Future

    from ._native import Bridge

    Ask = Callable[[Callable[[int], None]], Future[Any]]


class _Attempt:
    """One attempt at a step. All values are those of the JSON that came, read once."""

    #: Namespace of the task's template.
    namespace: str
    #: Name of the handler that the template asks for.
    handler: str
    #: The task that the step belongs to.
    task_uuid: str
    #: Name of the step in its task.
    name: str
    #: What the step is to its task: ``standard``, ``decision``, ``batchable``, …
    type: str
    #: Which attempt this is, from 1. An attempt whose lease expired counts once, when repeated.
    attempt: int
    #: Attempts that the template allows.
    max_attempts: int
    #: How long this attempt may take, heartbeats or not, in ms.
    timeout_ms: int
    #: The same for every attempt at this step, and for no other step: give it to systems outside
    #: as their idempotency key, because a handler may run more than once.
    idempotency_token: str
    #: The task's context, as it was posted.
    context: dict[str, Any]
    #: The results of the steps that this one waited for, by their names. Those that were skipped
    #: or have failed have none.
    parent_results: dict[str, Any]
    #: A batch worker's batch, as the batchable step made it; else ``None``.
    input: Any
    #: How far an earlier attempt at this step has come, if it said; else ``None``.
    checkpoint: Any

    def __init__(self, event: dict[str, Any], bridge: Bridge) -> None:
        del event["kind"]
        self._call: int = event.pop("call")
        self._parents_failed: int = event.pop("parents_failed")
        self._bridge = bridge
        self.name = event.pop("step")
        self.__dict__.update(event)  # the rest has these very names

    def batch_results(self, worker: str) -> list[Any]:
        """The results of a batch worker's instances, in the order of their batches. None of those
        that have failed.

        Args:
            worker: The batch worker's name in the template.
        """
        instance = re.compile(re.escape(worker) + "_[0-9]{3,}")
        names = filter(instance.fullmatch, self.parent_results)
        return [self.parent_results[name] for name in sorted(names, key=lambda it: (len(it), it))]

    @property
    def interrupted(self) -> bool:
        """Whether the step is no longer this handler's: its task was cancelled, or the attempt has
        taken too long. What the handler returns then is not stored; it should stop."""
        return self._bridge.is_interrupted(self._call)

    @cached_property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """Writes into the worker's log, with the task and the step."""
        logger = logging.getLogger(f"{self.namespace}.{self.handler}")
        return logging.LoggerAdapter(logger, {"task_uuid": self.task_uuid, "step": self.name})


def _checkpoint(value: Any) -> str:
    try:
        return to_json(value)
    except NotJson as error:
        raise CheckpointRefused(f"the checkpoint is not JSON: {error}") from None


class Step(_Attempt):
    """One attempt at a step, as a handler that is a plain function is given it."""

    def heartbeat(self) -> None:
        """Tells that this handler is still at work: its lease begins anew, though no further than
        the step's time-out. Nobody does so on its behalf: a handler that takes longer than the
        lease (``--lease-ms``) and does not call this loses its step.

        Raises:
            ClaimEnded: Stop; what this handler returns is not stored.
            Away: The database is away.
        """
        self._beat(None)

    def save_checkpoint(self, value: Any) -> None:
        """Tells that this handler is still at work, and how far it has come, for an attempt that
        follows to go on from there. Durable when it returns.

        Args:
            value: Any JSON value.

        Raises:
            ClaimEnded: Stop; what this handler returns is not stored.
            Away: The database is away.
            CheckpointRefused: The value can't be stored.
        """
        self._beat(_checkpoint(value))

    def _beat(self, checkpoint: Optional[str]) -> None:
        try:
            self._bridge.heartbeat(self._call, checkpoint)
        except native.Refused as refused:
            raise heartbeat_error(*refused.args) from None

    def parent_failures(self) -> dict[str, Any]:
        """The errors of those parents that have failed and that this step goes on without, by
        their names: instances of a batch worker whose template says ``continue_on_failure``.

        Raises:
            Away: The database is away.
        """
        if not self._parents_failed:
            return {}
        try:
            failures: dict[str, Any] = json.loads(self._bridge.parent_failures(self._call))
        except native.Refused as refused:
            raise heartbeat_error(*refused.args) from None
        return failures


class AsyncStep(_Attempt):
    """One attempt at a step, as a handler that is a coroutine function is given it. When the step
    is no longer the handler's, its task is cancelled (``asyncio.CancelledError``)."""

    def __init__(self, event: dict[str, Any], bridge: Bridge, ask: Ask) -> None:
        super().__init__(event, bridge)
        self._ask = ask

    async def heartbeat(self) -> None:
        """See :meth:`Step.heartbeat`."""
        await self._ask(lambda nr: self._bridge.heartbeat_later(self._call, None, nr))

    async def save_checkpoint(self, value: Any) -> None:
        """See :meth:`Step.save_checkpoint`."""
        text = _checkpoint(value)
        await self._ask(lambda nr: self._bridge.heartbeat_later(self._call, text, nr))

    async def parent_failures(self) -> dict[str, Any]:
        """See :meth:`Step.parent_failures`."""
        if not self._parents_failed:
            return {}
        failures: dict[str, Any] = await self._ask(
            lambda nr: self._bridge.parent_failures_later(self._call, nr)
        )
        return failures
