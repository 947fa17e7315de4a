"""Values and failures of handlers, as the JSON texts that the core reads."""

from __future__ import annotations

import json
import math
import os
import traceback
from typing import Any

from .outcomes import Branch, Fail, FanOut, Retry

_HERE = os.path.dirname(__file__) + os.sep
_SCALARS = (str, int, type(None))  # and bool, which is an int


class NotJson(ValueError):
    """A value that JSON can't hold, and where it stands."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.path: list[Any] = []

    def __str__(self) -> str:
        where = "".join(f"[{key!r}]" for key in reversed(self.path))
        return f"value{where} {self.what}"


def to_json(value: Any) -> str:
    """The value as JSON. What would be changed on the way is refused, but for tuples, which become
    arrays.

    Raises:
        NotJson: JSON can't hold it.
    """
    try:
        _check(value, set())
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except NotJson:
        raise
    except RecursionError:
        raise NotJson("is nested too deeply") from None
    except ValueError as error:  # of integers with more digits than Python writes
        raise NotJson(f"can't be written: {error}") from None


def _check(value: Any, above: set[int]) -> None:
    if isinstance(value, _SCALARS):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJson(f"is {value}, which is no number in JSON")
        return
    texts = isinstance(value, dict)
    if not texts and type(value) not in (list, tuple):
        raise NotJson(f"is of the type {type(value).__qualname__}, which JSON does not have")
    if id(value) in above:
        raise NotJson("contains itself")
    above.add(id(value))
    key: Any = None
    try:
        for key, item in value.items() if texts else enumerate(value):
            if texts and not isinstance(key, str):
                raise NotJson("has a key that is no text")
            _check(item, above)
    except NotJson as error:
        error.path.append(key)
        raise
    above.discard(id(value))


def completed(outcome: Any) -> str:
    """The answer of a handler that has returned this."""
    try:
        if isinstance(outcome, Branch):
            parts = to_json(outcome.result), to_json(outcome.branches)
            return '{"branch":{"result":%s,"branches":%s}}' % parts
        if isinstance(outcome, FanOut):
            parts = to_json(outcome.result), to_json(outcome.batches)
            return '{"fan_out":{"result":%s,"batches":%s}}' % parts
        return '{"complete":{"result":%s}}' % to_json(outcome)
    except NotJson as error:
        return failed(Fail(f"the result is not JSON: {error}"))


def failed(error: BaseException) -> str:
    """The answer of a handler that has let this go."""
    if isinstance(error, Fail):
        return json.dumps({"fail": {"failure": _told(error)}})
    if isinstance(error, Retry):
        after_ms = None if error.after is None else round(error.after * 1000)
        return json.dumps({"retry": {"failure": _told(error), "after_ms": after_ms}})
    frame = error.__traceback__
    while frame and frame.tb_frame.f_code.co_filename.startswith(_HERE):
        frame = frame.tb_next
    message = _text(error) or type(error).__qualname__
    failure = _failure(message, error, traceback.format_exception(type(error), error, frame))
    return json.dumps({"retry": {"failure": failure, "after_ms": None}})


def _told(error: BaseException) -> dict[str, str]:
    """A failure that the handler itself has worded, with what it says is the cause."""
    cause = error.__cause__
    if cause is None:
        return {"message": unicode(_text(error))}
    stack = traceback.format_exception(type(cause), cause, cause.__traceback__)
    return _failure(_text(error), cause, stack)


def _failure(message: str, error: BaseException, stack: list[str]) -> dict[str, str]:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return {
        "message": unicode(message),
        "exception": f"{module}{kind.__qualname__}",
        "stack": unicode("".join(stack)),
    }


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception that can't even tell itself
        return ""


def unicode(text: str) -> str:
    """The text without lone surrogates, such as file names may hold."""
    return text.encode("utf-8", "backslashreplace").decode()
