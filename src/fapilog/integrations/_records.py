"""What a record of the standard library's logging says, whoever made it and however odd it is."""

from __future__ import annotations

import logging
import os
from contextvars import ContextVar
from threading import get_ident
from typing import Any, TypeAlias

from ..event import LEVEL_NAMES, Level
from ..values import PASS_TYPES, text
from ._feed import number_of

_STANDARD = frozenset([*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "color_message"])
"""What every record has; any other attribute was given in ``extra``. ``color_message`` is uvicorn's: the message before
formatting, with a terminal's colours."""

MADE_FROM_EVENT = "fapilog_event"
"""The attribute of a record that was made of an event, and is to become none again."""


class Telling:
    """What a container has an event of is being told once more, by whoever told it before."""

    __slots__ = ("container_id", "over")

    def __init__(self, container_id: str) -> None:
        self.container_id: str = container_id
        self.over: bool = False
        """Whether it has been told; tasks that were started meanwhile still have this in their context."""


telling: ContextVar[Telling | None] = ContextVar("fapilog.telling", default=None)


def is_told_already(container_id: str) -> bool:
    """Return whether a container has an event of what is being logged here."""
    current = telling.get()
    return current is not None and not current.over and current.container_id == container_id


Formatted: TypeAlias = tuple[str, dict[str, Any]]
"""A message, and the fields to add because it could not be made."""


def level_of(record: logging.LogRecord, fields: dict[str, Any]) -> tuple[int, str]:
    """Return the number of a record's level, and what it has instead of a level, if it has none.

    A level that is not one of the five is put into *fields* as well.
    """
    level: Any = record.levelno
    if type(level) is int and level in LEVEL_NAMES:
        return level, ""
    if not isinstance(level, int) or isinstance(level, bool):
        return Level.INFO.value, text(level)
    level = int.__index__(level)
    if level not in LEVEL_NAMES:
        fields["levelno"] = level
        name: Any = record.levelname
        if type(name) is str and name and name != f"Level {level}":
            fields["levelname"] = name
    return number_of(level), ""


def formatted(record: logging.LogRecord, formatter: logging.Formatter | None) -> Formatted:
    """Return the message of a record; its template and its arguments apart if they do not fit, or fail."""
    try:
        return text(record.getMessage() if formatter is None else formatter.format(record)), {}
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return text(getattr(record, "msg", "")), {"args": getattr(record, "args", None), "format_error": text(error)}


def runs_no_code(record: logging.LogRecord) -> bool:
    """Return whether formatting a record runs nothing but what the language itself brings."""
    arguments: Any = record.args
    return (
        type(record) is logging.LogRecord
        and type(record.msg) is str
        and (not arguments or (type(arguments) is tuple and PASS_TYPES.issuperset(map(type, record.args or ()))))
    )


def extra_of(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Put what a record has beside its message into *fields*, under the names that ``logging`` keeps for it."""
    attributes = record.__dict__
    if not _STANDARD.issuperset(attributes):
        fields.update({name: value for name, value in attributes.items() if name not in _STANDARD})
    if attributes.get("stack_info"):
        fields["stack_info"] = attributes["stack_info"]
    if attributes.get("exc_text") and not attributes.get("exc_info"):
        fields["exc_text"] = attributes["exc_text"]


def task_of(record: logging.LogRecord) -> str | None:
    """Return the name of the task or thread that made a record, or None if that is the one that runs."""
    attributes = record.__dict__
    if attributes.get("thread") == get_ident() and attributes.get("process") in (None, os.getpid()):
        return None
    found = attributes.get("taskName") or attributes.get("threadName")
    return text(found) if found else None
