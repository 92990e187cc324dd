"""LoggingSink: hands events to the standard library's logging."""

from __future__ import annotations

import logging
from typing import Any, ClassVar, cast

import attrs

from ..errors import PartialWriteError, PermanentSinkError
from ..event import LogEvent
from ..formats._exception_lines import exception_lines
from ..plugins import Batch, PluginMetadata, PluginType
from ._records import MADE_FROM_EVENT

_MOST_LOGGERS = 1000
_LONGEST_TRACEBACK = 64 * 1024
_STANDARD = frozenset([*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", MADE_FROM_EVENT])


@attrs.frozen(kw_only=True)
class LoggingSinkConfig:
    """What the sink can be told."""

    logger: str = attrs.field(default="", validator=attrs.validators.instance_of(str))
    """The dotted name of the logger that gets the events, and above the names of those that the events' loggers have;
    empty for loggers of the same names as the events'."""


class LoggingSink:
    """Gives each event as a record to the logger of its name, whose level, filters and handlers then hold.

    The record has the event's message, level, time, task and call site; its context and fields are attributes, as if
    given by ``extra``, and so are ``tags``, ``metrics`` and ``correlation_id`` that it has; a name that ``logging``
    keeps for itself gets an underscore behind it. The exception is there as text, ``exc_text``.
    :class:`fapilog.integrations.stdlib.FapilogHandler` does not take these records, whatever the container.

    It runs in the sink's thread: a handler may block.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="logging",
        version="1.0.0",
        plugin_type=PluginType.SINK,
        entry_point="fapilog.integrations.logging_sink:LoggingSink",
    )
    Config = LoggingSinkConfig
    blocking: ClassVar[bool] = True
    ordered: ClassVar[bool] = True

    def __init__(self, config: LoggingSinkConfig | None = None) -> None:
        self._logger_name = (config or LoggingSinkConfig()).logger
        self._loggers: dict[str, logging.Logger] = {}

    def write(self, batch: Batch) -> None:
        """Hand *batch* over.

        Raises:
            PartialWriteError: if a filter or a handler raised for some of the events; they are not tried again, since
                other handlers may have them.
        """
        failed: dict[int, BaseException] = {}
        for position, event in enumerate(batch.events):
            logger = self._logger(event.logger)
            if not logger.isEnabledFor(event.level_number):
                continue
            try:
                logger.handle(record_of(event, logger.name))
            except Exception as error:
                failed[position] = PermanentSinkError(f"a handler raised {type(error).__name__}")
        if failed:
            raise PartialWriteError(failed)

    def _logger(self, name: str) -> logging.Logger:
        logger = self._loggers.get(name)
        if logger is None:
            base = self._logger_name
            full = f"{base}.{name}" if base and name else base or name
            if len(self._loggers) >= _MOST_LOGGERS:  # logging keeps its loggers for ever; names may be made from data
                return logging.getLogger(base)
            logger = self._loggers[name] = logging.getLogger(full)
        return logger


def record_of(event: LogEvent, name: str) -> logging.LogRecord:
    """Return *event* as a record of the logger *name*; its message is formatted already."""
    context = event.context
    found = context.get("callsite")
    site = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    line = site.get("line")
    exception = event.exception
    attributes: dict[str, Any] = {
        "name": name,
        "msg": event.message,
        "args": (),
        "levelno": event.level_number,
        "levelname": logging.getLevelName(event.level_number),
        "pathname": str(site.get("file", "")),
        "lineno": line if isinstance(line, int) else 0,
        "funcName": str(site["function"]) if "function" in site else None,
        "created": event.time_ns / 1e9,
        "msecs": float(event.time_ns // 1_000_000 % 1000),
        "thread": None,
        "threadName": event.task,
        "taskName": event.task or None,
        "exc_text": None,
        MADE_FROM_EVENT: event.container_id,
    }
    attributes["filename"] = attributes["pathname"].replace("\\", "/").rpartition("/")[2]
    attributes["module"] = attributes["filename"].rpartition(".")[0] or attributes["filename"]
    if exception is not None:
        attributes["exc_text"] = "\n".join(exception_lines(exception, _LONGEST_TRACEBACK).collected)
    extra: dict[str, Any] = {**context, **event.fields}
    own = {"tags": event.tags, "metrics": event.metrics, "correlation_id": event.correlation_id}
    extra.update({key: value for key, value in own.items() if value})
    attributes.update({f"{key}_" if key in _STANDARD else key: value for key, value in extra.items()})
    return logging.makeLogRecord(attributes)


__all__ = ("LoggingSink", "LoggingSinkConfig")
