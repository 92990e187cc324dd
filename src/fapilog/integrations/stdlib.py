"""The standard library's logging: its records become events of a container."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ..container import AsyncLoggingContainer
from ..event import Level
from ..logger import NowaitLogger
from ..shown import type_name
from ..values import freeze_mapping

_OWN_ATTRIBUTES = frozenset([*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"])
"""What every record has; any other attribute was given in ``extra``."""
_MOST_LOGGERS = 1000


class _Formatting(threading.local):
    """Whether this thread is making an event of a record."""

    active: bool = False


class FapilogHandler(logging.Handler):
    """Logs each record to *container*, from any thread, without waiting and without raising.

    The event has the record's message, its level (a level between two is the lower one), the logger's name,
    its exception, and its ``extra`` as fields; ``tags``, ``metrics`` and ``severity`` among these are the event's
    own. The thresholds of the container hold too. A record whose arguments do not fit its message is logged with
    the two apart. A record logged by a sink of the same container is rejected, and counted: it would feed on itself.

    Parameters:
        container: where the records go.
        level: the least level that the handler takes.
    """

    def __init__(self, container: AsyncLoggingContainer, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._container = container
        self._loggers: dict[str, NowaitLogger] = {}
        self._formatting = _Formatting()

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and log *record*; return whether the filters let it pass.

        Without the lock that other handlers take here: a container takes events from all threads at once, and a
        value whose ``__str__`` waits for another thread that logs would wait for ever.
        """
        kept: bool | logging.LogRecord = self.filter(record)
        if isinstance(kept, logging.LogRecord):  # a filter may replace the record since Python 3.12
            record = kept
        if kept:
            self.emit(record)
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record* as an event."""
        try:
            if self._formatting.active:
                # Logged by the code of a value that is being formatted. Without its arguments, so that it ends here.
                plain = isinstance(record.msg, str)
                self._submit(record, str.__str__(record.msg) if plain else f"<{type_name(record.msg)}>")
                return
            self._formatting.active = True
            try:
                self._submit_formatted(record)
            finally:
                self._formatting.active = False
        except Exception:
            self.handleError(record)

    def _submit_formatted(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {}
        try:
            message = record.getMessage()
        except Exception as error:
            message = str(record.msg)
            fields = {"args": record.args, "format_error": f"{type(error).__name__}: {error}"}
        for name, value in record.__dict__.items():
            if name not in _OWN_ATTRIBUTES:
                fields[name] = value
        if record.stack_info:
            fields["stack"] = record.stack_info
        if record.exc_text and not record.exc_info:
            fields["exception"] = record.exc_text
        # Frozen here: the logger would call a function that it finds among the fields.
        self._submit(record, message, exc_info=record.exc_info, **freeze_mapping(fields))

    def _submit(self, record: logging.LogRecord, message: str, /, **given: Any) -> None:
        logger = self._loggers.get(record.name)
        if logger is None:
            logger = self._container.logger("" if record.name == "root" else record.name).nowait
            if len(self._loggers) < _MOST_LOGGERS:  # names made from data must not grow without bound
                self._loggers[record.name] = logger
        logger.log(max(record.levelno, Level.DEBUG), message, **given)


@contextmanager
def capture_logging(
    container: AsyncLoggingContainer, *names: str, level: int | str | None = None
) -> Generator[FapilogHandler]:
    """Log the records of the loggers of these names, and below them, to *container* inside the block.

    Handlers that are there stay, and so does ``propagate``. A logger below another one of *names* gets no handler
    of its own, unless it does not propagate: no record arrives twice.

    Parameters:
        names: dotted names; none for the root logger.
        level: the level to give to these loggers inside the block; None leaves it. The root logger's is WARNING
            unless somebody has set it.
    """
    loggers = [logging.getLogger(name) for name in names or ("",)]
    levels = [logger.level for logger in loggers]
    handler = FapilogHandler(container)
    taking = [logger for logger in loggers if not _reaches_another(logger, loggers)]
    try:
        for logger in loggers:
            if level is not None:
                logger.setLevel(level)
        for logger in taking:
            logger.addHandler(handler)
        yield handler
    finally:
        for logger in taking:
            logger.removeHandler(handler)
        for logger, previous in zip(loggers, levels, strict=True):
            if level is not None:
                logger.setLevel(previous)
        handler.close()


def _reaches_another(logger: logging.Logger, others: list[logging.Logger]) -> bool:
    """Return whether the records of *logger* arrive at another one of *others* as well."""
    while logger.propagate and logger.parent is not None:
        logger = logger.parent
        if logger in others:
            return True
    return False


__all__ = ("FapilogHandler", "capture_logging")
