"""Feed: how a bridge makes an event of what another library has logged."""

from __future__ import annotations

from functools import partial
from time import time_ns
from typing import Any

from .._text import cut
from ..arguments import OWN, make_extras
from ..container import AsyncLoggingContainer
from ..event import LEVEL_NAMES, Extras, Level
from ..logger import NowaitLogger
from ..submitting import nowait_submit
from ..values import LONGEST_TEXT, FrozenDict, freeze, merged, text

_MOST_LOGGERS = 1000
_END_OF_TIME = 253_402_300_800.0
"""The year 10000, in seconds since the Unix epoch; no format can write what is beyond."""


class Feed:
    """Takes events into one container, from any thread, without waiting and without raising.

    Parameters:
        container: where the events go.
    """

    def __init__(self, container: AsyncLoggingContainer) -> None:
        self.container: AsyncLoggingContainer = container
        self.callsite: bool = container.settings.callsite
        self._loggers: dict[str, NowaitLogger] = {}

    def logger(self, name: Any) -> NowaitLogger:
        """Return the logger of that name, which is anything; the root logger if it is empty."""
        logger = self._loggers.get(name) if type(name) is str else None
        if logger is None:
            name = text(name)
            logger = self.container.logger(name).nowait
            if len(self._loggers) < _MOST_LOGGERS:  # names made from data must not grow without bound
                self._loggers[name] = logger
        return logger

    def submit(
        self,
        logger: NowaitLogger,
        level: int,
        message: str,
        fields: FrozenDict,
        extras: Extras | None = None,
        nanoseconds: int = 0,
        task: str | None = None,
    ) -> bool:
        """Take an event, whose level was found enabled; return whether it was accepted.

        Parameters:
            level: one of the five levels' numbers.
            nanoseconds: since the Unix epoch; 0 for now.
            task: the name of the task or thread; None for the one that runs.
        """
        if task is None:
            task = logger._core.task_name()
        at_call = logger._core.at_call
        if at_call is not None and (read := at_call()):
            extras = extras or Extras()
            extras.context = merged(read, extras.context)
        record = logger._within_scope(
            (
                nanoseconds or time_ns(),
                level,
                cut(message, LONGEST_TEXT),
                fields,
                logger._origin,
                logger._variable.get(),
                task,
                extras,
            )
        )
        return record is None or nowait_submit(logger, record)  # None is held back by a span


def number_of(level: int) -> int:
    """Return the number of the level that *level* means: of two, the lower one."""
    if level in LEVEL_NAMES:
        return level
    return min(max(level // 10 * 10, Level.DEBUG.value), Level.CRITICAL.value)


def nanoseconds_of(seconds: Any) -> int:
    """Return a time that is in seconds since the Unix epoch in nanoseconds, or now if it is no sensible time."""
    if (type(seconds) is float or type(seconds) is int) and 0 < seconds < _END_OF_TIME:
        return round(seconds * 1e6) * 1000  # a float holds no more than microseconds of today's times
    return time_ns()


def extras_of(logger: NowaitLogger, fields: dict[str, Any], exc_info: Any = None) -> Extras | None:
    """Take the event's own out of *fields*, and return it with the exception that *exc_info* means."""
    if exc_info is None and OWN.isdisjoint(fields):
        return None
    own = {name: fields.pop(name, None) for name in OWN}
    if exc_info is not None:
        own["exc_info"] = exc_info
    core, container_id = logger._core, logger._origin.container_id
    return make_extras(partial(core.sighting, container_id, logger._variable.get(), core.task_name()), **own)


def with_call_site(extras: Extras | None, file: Any, line: Any, function: Any) -> Extras:
    """Return *extras* with the position of the call in the event's context."""
    extras = extras or Extras()
    site = FrozenDict({"file": text(file), "line": freeze(line), "function": text(function)})
    extras.context = FrozenDict({**extras.context, "callsite": site})
    return extras
