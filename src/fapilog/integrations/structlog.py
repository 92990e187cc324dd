"""structlog: its events become events of a container."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from structlog.contextvars import get_contextvars
from structlog.exceptions import DropEvent
from structlog.typing import EventDict, WrappedLogger

from ..arguments import marked_level
from ..container import AsyncLoggingContainer
from ..event import Extras, Level
from ..values import FrozenDict, freeze_mapping, text
from ._feed import Feed, extras_of, with_call_site

_LEVELS: dict[str, int] = {
    "notset": Level.DEBUG,
    "debug": Level.DEBUG,
    "info": Level.INFO,
    "msg": Level.INFO,
    "warn": Level.WARNING,
    "warning": Level.WARNING,
    "err": Level.ERROR,
    "error": Level.ERROR,
    "failure": Level.ERROR,
    "exception": Level.ERROR,
    "critical": Level.CRITICAL,
    "fatal": Level.CRITICAL,
}
"""What structlog's methods and ``add_log_level`` call the levels."""


class FapilogProcessor:
    """A structlog processor that logs each event to *container*, from any thread, without waiting.

    Put it last. Nothing of the event dict needs to be rendered before it: the exception in ``exc_info`` becomes data.
    ``event`` is the message; ``level``, or else the method's name, is the level; ``logger``, as of
    ``add_logger_name``, names the logger; ``tags``, ``metrics`` and ``severity`` are the event's own. What
    ``CallsiteParameterAdder`` has added is ``callsite`` in the context, and what ``merge_contextvars`` has merged is in
    the context too; all else are fields. Time and task are those of the call.

    Parameters:
        container: where the events go.
        forward: whether the event dict goes on, unchanged, to the processors behind; else the event is dropped from
            structlog's point of view, and no logger that structlog wraps gets it.
    """

    def __init__(self, container: AsyncLoggingContainer, *, forward: bool = False) -> None:
        self._feed = Feed(container)
        self._forward = forward

    def __call__(self, logger: WrappedLogger, method_name: str, event_dict: EventDict) -> EventDict:
        """Log one event.

        Raises:
            DropEvent: unless the event is to go on.
        """
        self._log(logger, method_name, event_dict)
        if self._forward:
            return event_dict
        raise DropEvent

    def _log(self, wrapped: WrappedLogger, method_name: str, event_dict: EventDict) -> None:
        level, level_given = _level_of(event_dict.get("level"), method_name)
        logger = self._feed.logger(event_dict.get("logger") or "")
        if not logger._enables(level):
            return
        fields = dict(event_dict)
        fields.pop("logger", None)
        if level_given is None:
            fields.pop("level", None)
        message = text(fields.pop("event", ""))
        extras = extras_of(logger, fields, fields.pop("exc_info", None))
        if level_given:
            extras = marked_level(extras, level_given)
        if "lineno" in fields and ("pathname" in fields or "filename" in fields):
            file = fields.pop("pathname", None) or fields.get("filename")
            fields.pop("filename", None)
            extras = with_call_site(extras, file, fields.pop("lineno"), fields.pop("func_name", ""))
        context = get_contextvars()
        if context:
            extras = _with_context(extras, {name: fields.pop(name) for name in context if _is(fields, name, context)})
        self._feed.submit(logger, level, message, freeze_mapping(fields), extras)


def _level_of(given: Any, method_name: str) -> tuple[int, str | None]:
    """Return the level's number, and what was given instead of a level; None for a level that needs no telling."""
    if type(given) is str and (found := _LEVELS.get(given.lower())) is not None:
        return found, None
    found = _LEVELS.get(method_name)
    if found is None:
        return Level.INFO.value, text(method_name)
    return found, ""


def _is(fields: MutableMapping[str, Any], name: str, context: dict[str, Any]) -> bool:
    return name in fields and fields[name] is context[name]


def _with_context(extras: Extras | None, context: dict[str, Any]) -> Extras:
    extras = extras or Extras()
    extras.context = FrozenDict({**freeze_mapping(context), **extras.context})
    return extras


__all__ = ("FapilogProcessor",)
