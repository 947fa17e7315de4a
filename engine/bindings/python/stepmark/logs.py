"""The way of :mod:`logging` into the worker's log."""

from __future__ import annotations

import logging

from ._answers import unicode
from ._library import native


class LogHandler(logging.Handler):
    """Writes records into the worker's log, on standard error in its format (``--log-format``), as
    far as ``RUST_LOG`` lets them (``info`` when not told). A worker that runs puts it up on the
    root logger, from INFO on, unless the program has configured logging itself."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record, with its task and step where it has them."""
        try:
            message = self.format(record)
            for field, attribute in ("task", "task_uuid"), ("step", "step"):
                value = getattr(record, attribute, None)
                message += f" {field}={value}" if value is not None else ""
            native.log(_level(record.levelno), record.name, unicode(message))
        except Exception:
            self.handleError(record)


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"


def set_up() -> None:
    """Puts the handler up, unless the program has put up another."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(LogHandler())
        root.setLevel(logging.INFO)
