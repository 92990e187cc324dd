"""What a log call was given, made into the parts of its record: extras, frozen fields, the call site."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final, cast

from ._interrupts import raise_interrupt
from .event import Extras, Level
from .exception_marks import Sighting
from .tracebacks import describe_exception, exception_from
from .values import (
    EMPTY,
    LONGEST_TEXT,
    PASS_TYPES,
    FrozenDict,
    freeze_mapping,
    repair_metrics,
    repair_severity,
    repair_tags,
    text,
)

OWN: Final = frozenset({"exc_info", "tags", "metrics", "severity"})
"""The keywords of a call that belong to the event and not to its fields."""
REPAIRED: Final = "fapilog.repaired"
"""The tag that names what a call gave of a wrong type, and what was therefore left out or changed."""


def enabled_level(level: Any) -> tuple[int, str]:
    """Return the level's number, and what was given instead of a level, if it was none."""
    try:
        return Level.parse(level).value, ""
    except (ValueError, TypeError):
        return Level.INFO.value, text(level)


def make_extras(
    sighting: Callable[[], Sighting],
    exc_info: Any = None,
    tags: Any = None,
    metrics: Any = None,
    severity: Any = None,
) -> Extras:
    """Return what a call gave beside its message and fields; what is of a wrong type is repaired and marked.

    Parameters:
        sighting: tells what an exception has to be linked to; called if there is one.
    """
    extras = Extras()
    repaired: list[str] = []
    exception = exception_from(exc_info)
    if exception is not None:
        add_exception(extras, exception, sighting())
    if tags is not None:
        extras.tags, wrong = repair_tags(tags)
        if wrong:
            repaired.append("tags")
    if metrics is not None:
        extras.metrics, wrong = repair_metrics(metrics)
        if wrong:
            repaired.append("metrics")
    if severity is not None:
        extras.severity, wrong = repair_severity(severity)
        if wrong:
            repaired.append("severity")
    if repaired:
        extras.tags = FrozenDict({**extras.tags, REPAIRED: ",".join(repaired)})
    return extras


def add_exception(extras: Extras, exception: BaseException, sighting: Sighting) -> None:
    """Let an event tell of an exception."""
    extras.exception = describe_exception(exception, sighting=sighting)
    extras.logged = sighting.logged


def marked_level(extras: Extras | None, given: str) -> Extras:
    """Return *extras* with the mark that *given* is no level."""
    marked = extras or Extras()
    repaired = marked.tags.get(REPAIRED)
    marked.tags = FrozenDict({**marked.tags, REPAIRED: f"{repaired},level" if repaired else "level"})
    marked.context = FrozenDict({**marked.context, "level_given": given})
    return marked


def freeze_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* frozen; a function without arguments is called for its value first."""
    called = {name: _value_of(value) for name, value in fields.items()}
    return freeze_mapping(called)


_FUNCTIONS: Final[tuple[type, ...]] = (FunctionType, MethodType, BuiltinFunctionType, partial)


def all_pass(fields: dict[str, Any]) -> bool:
    """Return whether every value passes as it is, and the texts are not too long together."""
    try:
        characters = 0
        for value in fields.values():
            if type(value) is str:
                characters += len(value)
            elif type(value) not in PASS_TYPES:
                return False
    except BaseException as error:  # a metaclass may define how its classes hash
        raise_interrupt(error)
        return False
    return characters <= LONGEST_TEXT


def is_lazy(value: Any) -> bool:
    """Return whether a field is called for its value."""
    kind = cast("object", type(value))
    # Compared by identity, because a metaclass may define what its classes equal.
    return any(kind is function for function in _FUNCTIONS) and _takes_nothing(value)


def _value_of(value: Any) -> Any:
    if not is_lazy(value):
        return value
    try:
        return value()
    except BaseException as error:
        raise_interrupt(error)
        return f"<lazy field failed: {type(error).__name__}>"


def _takes_nothing(function: Any) -> bool:
    """Return whether *function* can be called without arguments, as far as it tells."""
    if isinstance(function, partial):
        return not isinstance(function.func, type)
    bound = 0
    if isinstance(function, MethodType):
        function, bound = function.__func__, 1
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    defaults = len(getattr(function, "__defaults__", None) or ())
    keyword_defaults = len(getattr(function, "__kwdefaults__", None) or ())
    return bool(code.co_argcount - defaults <= bound and code.co_kwonlyargcount <= keyword_defaults)


def call_site(depth: int) -> FrozenDict:
    """Return where the code *depth* frames up is, without keeping its frame or reading its source."""
    try:
        frame = sys._getframe(depth + 1)
    except ValueError:
        return EMPTY
    site = FrozenDict({"file": frame.f_code.co_filename, "line": frame.f_lineno, "function": frame.f_code.co_qualname})
    return FrozenDict({"callsite": site})
