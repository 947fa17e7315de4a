"""Workers of stepmark, a durable workflow engine, with handlers in Python.

Register functions, coroutine functions or classes with a :class:`Worker`, and run it as a program;
:mod:`stepmark.testing` tries them out without one.
"""

from ._library import native as _native
from .logs import LogHandler
from .outcomes import (
    Away,
    Branch,
    CheckpointRefused,
    ClaimEnded,
    Fail,
    FanOut,
    HeartbeatError,
    Retry,
)
from .step import AsyncStep, Step
from .worker import EXIT_OVERRUN, Worker

#: Version of the worker core, with the revision of the sources that it is built from.
VERSION = _native.VERSION

__all__ = [
    "EXIT_OVERRUN",
    "VERSION",
    "AsyncStep",
    "Away",
    "Branch",
    "CheckpointRefused",
    "ClaimEnded",
    "Fail",
    "FanOut",
    "HeartbeatError",
    "LogHandler",
    "Retry",
    "Step",
    "Worker",
]
