"""The threads that run a worker's handlers."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re
import threading
from collections.abc import Callable
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ._answers import completed, failed
from .outcomes import Fail, heartbeat_error
from .step import AsyncStep, Step

if TYPE_CHECKING:
    from ._native import Bridge

T = TypeVar("T")

#: How long threads and coroutines may take to end when the worker has, in seconds.
PATIENCE = 1.0
#: How the document of a step begins.
_CALL = re.compile(r'{"kind":"step","call":([0-9]+),')


class Handler(NamedTuple):
    """A handler, and whether calling it gives a coroutine."""

    run: Callable[[Any], Any]
    is_async: bool


class Crew:
    """Threads that take events from the bridge, each running plain handlers by itself; and one
    with an event loop, for all handlers that are coroutines."""

    def __init__(
        self,
        bridge: Bridge,
        handlers: dict[tuple[str, str], Handler],
        parse_float: Callable[[str], Any],
    ) -> None:
        self._bridge = bridge
        self._handlers = handlers
        self._read = json.JSONDecoder(parse_float=parse_float).decode
        self._threads: list[threading.Thread] = []
        self._hiring = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._requests: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)

    def work(self, until: Callable[[], T]) -> tuple[T, bool]:
        """Runs handlers until this returns. Tells what it has, and whether all threads have ended.
        Only this thread's own signals interrupt it."""
        ended: list[T] = []
        waiting = _thread("end", lambda: ended.append(until()))
        looping = _thread("loop", self._run_loop)
        self._hire()
        waiting.join()
        deadline = monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop)
        looping.join(PATIENCE)
        if not looping.is_alive():
            self._loop.close()
        return ended[0], not any(thread.is_alive() for thread in (looping, *self._threads))

    def _hire(self) -> None:
        with self._hiring:
            number = len(self._threads) + 1
            if number <= self._bridge.concurrency():
                self._threads.append(_thread(f"step-{number}", self._take))

    def _hire_another(self) -> None:
        try:
            self._hire()
        except RuntimeError as error:  # the system has no more; the others go on
            logging.getLogger("stepmark").warning("fewer steps run at once: %s", error)

    def _take(self) -> None:
        while True:
            taken = self._bridge.take()
            if taken is None:
                return
            text, waiting = taken
            begun = perf_counter_ns()
            try:
                event = self._read(text)
            except Exception as error:  # an integer with more digits than Python reads
                self._refuse(text, error)
                continue
            reading_ns = perf_counter_ns() - begun
            kind = event["kind"]
            if kind == "interrupted":
                self._loop.call_soon_threadsafe(self._interrupt, event["call"])
            elif kind == "answered":
                self._loop.call_soon_threadsafe(self._answered, event)
            else:
                handler = self._handlers[event["namespace"], event["handler"]]
                if handler.is_async:
                    self._loop.call_soon_threadsafe(self._begin, handler, event, reading_ns)
                    continue
                if waiting == 0:
                    self._hire_another()
                self._run(handler, event, reading_ns)

    def _refuse(self, text: str, error: Exception) -> None:
        call = _CALL.match(text)
        if call is not None:
            answer = failed(Fail(f"Python can't read what the step is given: {error}"))
            self._bridge.answer(int(call[1]), answer, 0, 0)

    def _run(self, handler: Handler, event: dict[str, Any], reading_ns: int) -> None:
        call = event["call"]
        begun = perf_counter_ns()
        try:
            of = handler.run(Step(event, self._bridge))
            answer: Callable[[Any], str] = completed
        except BaseException as error:  # whatever it is, it is the step's failure
            answer, of = failed, error
        self._answer(call, perf_counter_ns() - begun, reading_ns, answer, of)

    def _answer(
        self, call: int, handler_ns: int, reading_ns: int, answer: Callable[[Any], str], of: Any
    ) -> None:
        begun = perf_counter_ns()
        try:
            text = answer(of)
            spent_ns = reading_ns + perf_counter_ns() - begun
            self._bridge.answer(call, text, handler_ns, spent_ns)
        except BaseException as error:  # a text with lone surrogates, a dict that is being changed
            text = failed(Fail(f"what the handler returned can't be written: {error!r}"))
            self._bridge.answer(call, text, handler_ns, reading_ns)

    def _begin(self, handler: Handler, event: dict[str, Any], reading_ns: int) -> None:
        call = event["call"]
        begun = perf_counter_ns()
        step = AsyncStep(event, self._bridge, self._ask)
        try:
            task = self._loop.create_task(handler.run(step))
        except BaseException as error:  # a class that can't be made
            self._answer(call, perf_counter_ns() - begun, reading_ns, failed, error)
            return
        self._tasks[call] = task

        def ended(task: asyncio.Task[Any]) -> None:
            handler_ns = perf_counter_ns() - begun
            del self._tasks[call]
            answer: Callable[[Any], str] = failed
            if task.cancelled():
                of: Any = asyncio.CancelledError("the handler was cancelled")
            else:
                of = task.exception()
                if of is None:
                    answer, of = completed, task.result()
            self._answer(call, handler_ns, reading_ns, answer, of)

        task.add_done_callback(ended)
        # The event that says so may have been faster, on another thread.
        if self._bridge.is_interrupted(call):
            task.cancel()

    def _interrupt(self, call: int) -> None:
        task = self._tasks.get(call)
        if task is not None:
            task.cancel()

    def _ask(self, send: Callable[[int], None]) -> asyncio.Future[Any]:
        """Sends a request under a number, and gives what its answer will be."""
        number = next(self._numbers)
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._requests[number] = answer
        send(number)
        return answer

    def _answered(self, event: dict[str, Any]) -> None:
        answer = self._requests.pop(event["request"])
        if answer.done():  # its coroutine was cancelled
            return
        error = event["error"]
        if error is None:
            answer.set_result(event["value"])
        else:
            answer.set_exception(heartbeat_error(error["kind"], error["message"]))

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        while True:
            try:
                self._loop.run_forever()
                return
            except BaseException:  # SystemExit of a coroutine that a handler has started
                logging.getLogger("stepmark").exception("a coroutine has tried to end the process")

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        self._loop.stop()


def _thread(name: str, work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, name=f"stepmark-{name}", daemon=True)
    thread.start()
    return thread
