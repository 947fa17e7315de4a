"""A worker: handlers, and the way to run them."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Optional, TypeVar

from . import logs
from ._crew import Crew, Handler
from ._library import native

H = TypeVar("H")

#: Exit code of a worker that ends because of a handler that doesn't.
EXIT_OVERRUN = 75
#: How long the interpreter may take to end with its program, in seconds.
_EXIT_PATIENCE = 10.0


class Worker:
    """A worker: handlers, and the way to run them.

    ::

        worker = Worker()

        @worker.handler("examples", "greet")
        def greet(step: Step) -> dict:
            return {"text": f"Hello, {step.context['name']}!"}

        if __name__ == "__main__":
            worker.run()

    Args:
        parse_float: What the decimals in contexts, results and inputs become, as in
            :func:`json.loads`; ``decimal.Decimal`` keeps every digit. (Results hold no such
            objects: give them as texts.)
    """

    def __init__(self, parse_float: Callable[[str], Any] = float) -> None:
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._parse_float = parse_float

    def handler(self, namespace: str, name: str) -> Callable[[H], H]:
        """Registers what it decorates as the handler that templates of ``namespace`` call ``name``:
        a function or coroutine function of the step; a class with a method ``call`` of it, made
        anew for each step; or an object with such a method, which all steps share.

        A plain handler is given a :class:`Step`, on a thread of its own; so several run at once. A
        coroutine is given an :class:`AsyncStep`, on one event loop with all others: it must not
        block. A handler may run more than once for a step, on any worker: what it does outside
        must be keyed by ``step.idempotency_token``.

        It returns the step's result, any JSON value, a :class:`Branch` or a :class:`FanOut`; it
        raises :class:`Fail` or :class:`Retry`, and any other exception is a failure to be retried.

        Raises:
            ValueError: There is one of this name.
            TypeError: It can't be called, or doesn't take one step.
        """

        def register(it: H) -> H:
            if (namespace, name) in self._handlers:
                raise ValueError(f"there are two handlers {namespace}/{name}")
            self._handlers[namespace, name] = _handler(it)
            return it

        return register

    @property
    def handlers(self) -> list[tuple[str, str]]:
        """Namespaces with names of the handlers, as they were registered."""
        return list(self._handlers)

    def run(self, arguments: Optional[Sequence[str]] = None) -> NoReturn:
        """Runs the worker as a program, and ends it: configuration from flags and environment
        (``--help`` tells both), log on standard error, drained on SIGTERM and Ctrl-C. Exit codes: 0
        drained, 2 bad configuration, 3 no database, broker or port, 75 a handler that does not
        end although its time is over (the process is to be started again).

        Args:
            arguments: The program's name and its flags; ``sys.argv`` when not told.

        Raises:
            SystemExit: When it has ended, with the exit code.
        """
        own_interrupt = _leave_interrupts_to_the_core()
        try:
            bridge = native.Bridge.start(self.handlers, list(arguments or sys.argv))
        except SystemExit:
            if own_interrupt:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            raise
        logs.set_up()
        crew = Crew(bridge, self._handlers, self._parse_float)
        exit_code, ended = crew.work(bridge.wait)
        if exit_code == EXIT_OVERRUN or not ended:
            _exit_now(exit_code)
        # Threads that a handler has started can hold the interpreter for ever.
        threading.Thread(target=_exit_late, args=[exit_code], daemon=True).start()
        sys.exit(exit_code)


def _handler(it: Any) -> Handler:
    """What is to be called with a step."""
    call = getattr(it, "call", None)
    if inspect.isclass(it) and callable(call):
        made: Callable[[], Any] = it
        inspect.signature(made).bind()  # it needs no arguments
        inspect.signature(call).bind(it, None)
        return Handler(lambda step: made().call(step), inspect.iscoroutinefunction(call))
    run = call if callable(call) else it
    if inspect.isclass(it) or not callable(run):
        raise TypeError(f"{it!r} is no handler: that is a function, or a class with a method call")
    inspect.signature(run).bind(None)  # it takes one
    is_async = any(map(inspect.iscoroutinefunction, (run, getattr(run, "__call__", None))))
    return Handler(run, is_async)


def _leave_interrupts_to_the_core() -> bool:
    """Python's own handler would raise KeyboardInterrupt besides."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return True


def _exit_now(exit_code: int) -> NoReturn:
    """Without waiting for anybody."""
    logging.shutdown()
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except Exception:  # closed, or nobody reads it
            pass
    os._exit(exit_code)


def _exit_late(exit_code: int) -> NoReturn:
    time.sleep(_EXIT_PATIENCE)
    _exit_now(exit_code)
