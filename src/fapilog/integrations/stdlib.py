"""The standard library's logging: its records become events of a container, and events become records."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager

from ..arguments import marked_level
from ..container import AsyncLoggingContainer
from ..current import CURRENT_LOGGER
from ..shown import type_name
from ..values import EMPTY, freeze_mapping, text
from ._feed import Feed, extras_of, nanoseconds_of, with_call_site
from ._layers import Layer
from ._records import MADE_FROM_EVENT, extra_of, formatted, is_told_already, level_of, runs_no_code, task_of
from .logging_sink import LoggingSink as LoggingSink
from .uncaught import capture_errors as capture_errors

_DEEPEST = 4
"""How many records deep the filters of a handler may log through that handler."""


class _Nesting(threading.local):
    """What this thread does with a handler."""

    formatting: bool = False
    filtering: int = 0


class FapilogHandler(logging.Handler):
    """Logs each record to *container*, from any thread, without waiting and without raising.

    The event has the record's message, time and logger's name, the task or thread that made it, its exception as
    data, and its ``extra`` as fields; ``tags``, ``metrics`` and ``severity`` among these are the event's own. A level
    between two is the lower one, and the fields ``levelno`` and ``levelname`` then tell it. The message is formatted
    once, and only if the level is enabled in the container too. A record whose arguments do not fit its message, or
    fail, is logged with the two apart.

    Not taken are records that a :class:`LoggingSink` has made, records of the loggers in *exclude*, and records
    that a filter of this handler logs about records that it logged itself. A record logged by a plugin of the same
    container is rejected, and counted: it would feed on itself. ``flush`` and ``close`` do nothing to the container.

    Parameters:
        container: where the records go; None for the container that is the current one where the record arrives. A
            record that finds none goes to ``logging.lastResort``.
        level: the least level that the handler takes.
        exclude: names of loggers whose records, and those of the loggers below them, are not taken: those of the
            clients that a sink uses in threads of their own.
        keep_arguments: whether the event has the message before formatting, and its arguments, as ``msg`` and
            ``args`` in its fields.
        callsite: whether the event's context has the file, line and function that logged, as ``callsite``; None for
            what the container's settings say.
    """

    def __init__(
        self,
        container: AsyncLoggingContainer | None = None,
        level: int | str = logging.NOTSET,
        *,
        exclude: Collection[str] = (),
        keep_arguments: bool = False,
        callsite: bool | None = None,
    ) -> None:
        super().__init__(level)
        self._feed = None if container is None else Feed(container)
        self._last_feed: Feed | None = None
        """Of the container that was the current one last."""
        self._excluded = tuple(exclude)
        self._excluded_below = tuple(f"{name}." for name in exclude)
        self._keep_arguments = keep_arguments
        self._callsite = callsite
        self._nesting = _Nesting()

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and log *record*; return whether the filters let it pass. One that raises does not.

        Without the lock that other handlers take here: a container takes events from all threads at once, and a
        value whose ``__str__`` waits for another thread that logs would wait for ever.
        """
        kept: bool | logging.LogRecord = True
        if self.filters:
            if self._nesting.filtering >= _DEEPEST:
                return False
            self._nesting.filtering += 1
            try:
                kept = self.filter(record)
            except Exception:
                self.handleError(record)
                return False
            finally:
                self._nesting.filtering -= 1
            if isinstance(kept, logging.LogRecord):  # a filter may replace the record since Python 3.12
                record = kept
        if kept:
            self.emit(record)
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record* as an event."""
        try:
            feed = self._feed or self._current_feed()
            if feed is None:
                self._use_last_resort(record)
            elif MADE_FROM_EVENT not in record.__dict__ and not is_told_already(feed.container.container_id):
                self._submit(feed, record)
        except Exception:
            self.handleError(record)

    def _current_feed(self) -> Feed | None:
        logger = CURRENT_LOGGER.get(None)
        if logger is None:
            return None
        feed = self._last_feed
        if feed is None or feed.container is not logger.container:
            feed = self._last_feed = Feed(logger.container)
        return feed

    def _use_last_resort(self, record: logging.LogRecord) -> None:
        last = logging.lastResort
        if last is not None and last is not self and record.levelno >= last.level:
            last.handle(record)

    def _submit(self, feed: Feed, record: logging.LogRecord) -> None:
        name: object = record.name
        if type(name) is not str:
            name = "" if name is None else text(name)
        if self._excluded and (name in self._excluded or name.startswith(self._excluded_below)):
            return
        fields: dict[str, object] = {}
        level, level_given = level_of(record, fields)
        logger = feed.logger("" if name == "root" else name)
        if not logger._enables(level):
            return
        message = self._message(record, fields)
        extra_of(record, fields)
        extras = extras_of(logger, fields, record.__dict__.get("exc_info"))
        if level_given:
            extras = marked_level(extras, level_given)
        if feed.callsite if self._callsite is None else self._callsite:
            extras = with_call_site(extras, record.pathname, record.lineno, record.funcName)
        # Frozen, and not given to a log call: that would call a function that it finds among the fields.
        frozen = freeze_mapping(fields) if fields else EMPTY
        feed.submit(logger, level, message, frozen, extras, nanoseconds_of(record.created), task_of(record))

    def _message(self, record: logging.LogRecord, fields: dict[str, object]) -> str:
        formatter = self.formatter
        nesting = self._nesting
        if formatter is None and runs_no_code(record):
            message, apart = formatted(record, None)
        elif nesting.formatting:
            # Logged by the code of a value that is being formatted. Without its arguments, so that it ends here.
            return record.msg if type(record.msg) is str else f"<{type_name(record.msg)}>"
        else:
            nesting.formatting = True
            try:
                message, apart = formatted(record, formatter)
            finally:
                nesting.formatting = False
        if apart:
            fields.update(apart)
        elif self._keep_arguments and record.args:
            fields["msg"] = record.msg
            fields["args"] = record.args
        return message


@contextmanager
def capture_logging(
    container: AsyncLoggingContainer,
    *names: str,
    level: int | str | None = None,
    levels: Mapping[str, int | str] | None = None,
    replace: bool = False,
    exclude: Collection[str] = (),
    keep_arguments: bool = False,
    callsite: bool | None = None,
) -> Generator[FapilogHandler]:
    """Log the records of the loggers of these names, and below them, to *container* inside the block.

    A logger below another one of *names* gets no handler of its own, unless it does not propagate: no record arrives
    twice. Captures may be nested, and left in any order. At the end everything is as before, but for what somebody
    else has changed inside the block: that stays.

    Parameters:
        names: dotted names; none for the root logger.
        level: the level to give to these loggers inside the block; None leaves it. The root logger's is WARNING
            unless somebody has set it.
        levels: levels to give to other loggers inside the block, by name.
        replace: whether the handlers that these loggers have are taken out inside the block, and records go no further
            up than to these loggers; else they all stay and get the records too.
        exclude, keep_arguments, callsite: as for :class:`FapilogHandler`.

    Raises:
        ValueError: if a level is none; nothing has changed then.
    """
    handler = FapilogHandler(container, exclude=exclude, keep_arguments=keep_arguments, callsite=callsite)
    loggers = [logging.getLogger(name) for name in names or ("",)]
    wanted: dict[logging.Logger, int | str | None] = dict.fromkeys(loggers, level)
    wanted.update((logging.getLogger(name), other) for name, other in (levels or {}).items())
    taking = [logger for logger in loggers if not _reaches_another(logger, loggers, replace)]
    layers: list[Layer] = []
    try:
        for logger, its_level in wanted.items():
            layer = Layer(logger, handler if logger in taking else None, its_level, replace and logger in loggers)
            layers.append(layer)
            layer.put_on()
        yield handler
    finally:
        for layer in reversed(layers):
            layer.take_off()
        handler.close()


def _reaches_another(logger: logging.Logger, others: list[logging.Logger], replace: bool) -> bool:
    """Return whether the records of *logger* arrive at another one of *others* as well."""
    if replace:
        return False  # none goes further up
    while logger.propagate and logger.parent is not None:
        logger = logger.parent
        if logger in others:
            return True
    return False


__all__ = ("FapilogHandler", "LoggingSink", "capture_errors", "capture_logging")
