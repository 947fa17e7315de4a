"""What a handler may answer besides a plain result, and what may go wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Optional


class Branch:
    """A decision: its result, and the chosen ones of its branches; the others are skipped.

    Args:
        result: The step's result, any JSON value.
        branches: Names of steps, as the template lists them. None is a choice, too.

    Raises:
        TypeError: ``branches`` is one text, or holds something else than texts.
    """

    def __init__(self, result: Any, branches: Iterable[str]) -> None:
        if isinstance(branches, str):
            raise TypeError("branches is a list of names, not one text")
        self.result = result
        self.branches = list(branches)
        for name in self.branches:
            if not isinstance(name, str):
                raise TypeError(f"branches holds {name!r}, which is no name of a step")


class FanOut:
    """A batchable step's work, divided.

    Args:
        result: The step's result, any JSON value.
        batches: What each instance of the batch worker is given (``step.input``), JSON values.
            Without any, the convergence runs at once.
    """

    def __init__(self, result: Any, batches: Iterable[Any]) -> None:
        self.result = result
        self.batches = list(batches)


class Retry(Exception):
    """The attempt has failed, and another may do better. So may every other exception that a
    handler lets go; this one tells no stack, and may say when.

    Args:
        message: What went wrong, for people.
        after: Pause before the next attempt, in seconds; the template's backoff when not told.

    Raises:
        ValueError: ``after`` is no time that can be waited.
    """

    def __init__(self, message: str, after: Optional[float] = None) -> None:
        super().__init__(message)
        if after is not None and not (math.isfinite(after) and after >= 0):
            raise ValueError(f"after is {after} seconds: it must be a number from 0 on")
        self.after = after


class Fail(Exception):
    """The step has failed, and no other attempt can mend it.

    Args:
        message: What went wrong, for people.
    """


class HeartbeatError(Exception):
    """A heartbeat, a checkpoint or a question was in vain."""


class ClaimEnded(HeartbeatError):
    """The step is no longer this handler's: its task was cancelled, its lease has expired or the
    attempt has taken too long. What the handler returns is not stored; it should stop."""


class Away(HeartbeatError):
    """The database is away. Trying again can help, until the lease expires."""


class CheckpointRefused(HeartbeatError):
    """The checkpoint can't be stored as it is."""


_KINDS = {"claim_ended": ClaimEnded, "away": Away, "checkpoint": CheckpointRefused}


def heartbeat_error(kind: str, message: str) -> HeartbeatError:
    """The error that the core tells by this word."""
    return _KINDS.get(kind, HeartbeatError)(message)
