"""Route: which events a sink gets, as ``plugin_config.<sink>.route`` tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import attrs

from ..checks import (
    CHECK,
    Check,
    Problems,
    check_fields,
    check_instance,
    is_mapping,
    level_name,
    mapping_items,
    optional,
)
from ..shown import items_of, masked_text, path_key, plain_text, show, type_of

_MOST = 1000
"""Tables, names or values that one list may have."""
_LONGEST = 1000
"""Characters that a logger's name, a tag's name or a tag's value may have."""


def _texts(allowed: str, is_right: Callable[[str], bool]) -> Check:
    """Return a check for one text or a list of them; its normal form is a tuple."""

    def check(problems: Problems, path: str, value: Any) -> Any:
        several = issubclass(type_of(value), (list, tuple))
        items = items_of(value) if several else [value]
        if several and not 0 < len(items) <= _MOST:
            problems.add(path, value, f"{allowed}, or a list of 1 to {_MOST:_} of them")
            return ()
        found: list[str] = []
        for position, item in enumerate(items):
            if issubclass(type_of(item), str) and str.__len__(item) <= _LONGEST and is_right(plain_text(item)):
                found.append(plain_text(item))
            else:
                problems.add(f"{path}[{position}]" if several else path, item, allowed)
        return tuple(found)

    return check


_loggers = _texts("a logger's dotted name, such as 'api.db'", lambda name: all(name.split(".")))
_tag_values = _texts(f"text of at most {_LONGEST:_} characters", lambda _: True)


def _no_loggers_or(problems: Problems, path: str, value: Any) -> Any:
    return () if value is None or value == () else _loggers(problems, path, value)


def _tags(problems: Problems, path: str, value: Any) -> Any:
    """Check for a table from tag names to the values of which an event has to have one."""
    if not is_mapping(value):
        problems.add(path, value, "a table of tags and their values, such as {team = 'pay'}")
        return {}
    table = mapping_items(value, path, problems)
    return {name: _tag_values(problems, f"{path}.{path_key(name)}", values) for name, values in table.items()}


def _expression(problems: Problems, path: str, value: Any) -> Any:
    """Check for an expression on events."""
    from .expressions import LONGEST, compiled  # most containers have none

    if not issubclass(type_of(value), str):
        problems.add(path, value, f"an expression: text of at most {LONGEST:_} characters")
        return value
    expression = plain_text(value)
    try:
        compiled(expression)
    except ValueError as error:
        problems.add(path, value, "an expression such as 'fields.status >= 500'", masked_text(str(error)))
    return expression


@attrs.frozen(kw_only=True)
class Conditions:
    """What an event must be like; all that is given has to hold.

    Raises:
        ConfigurationError: if anything is wrong; it holds every problem.
    """

    level: str | None = attrs.field(default=None, metadata={CHECK: optional(level_name)})
    """The least level."""
    logger: tuple[str, ...] = attrs.field(default=(), metadata={CHECK: _no_loggers_or})
    """Loggers by their dotted names: one of them, or one below it, has logged the event."""
    tags: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]], metadata={CHECK: _tags})
    """Tags: the event has each of them, with the value or one of the values that are given."""
    expression: str | None = attrs.field(default=None, metadata={CHECK: optional(_expression)})
    """An expression that holds, see :mod:`fapilog.plugins.expressions`."""

    def __attrs_post_init__(self) -> None:
        problems = Problems()
        check_instance(self, problems)
        problems.raise_any()

    @property
    def empty(self) -> bool:
        """Whether nothing is asked, so that every event will do."""
        return self.level is None and not self.logger and not self.tags and self.expression is None


_ConditionsT = TypeVar("_ConditionsT", bound=Conditions)


def _tables(cls: type[_ConditionsT], *, may_be_empty: bool) -> Check:
    """Return a check for one table of *cls* or a list of them; its normal form is a tuple of instances."""
    allowed = "a table of conditions, or a list of such tables"
    names = tuple(attribute.name for attribute in attrs.fields(cls))

    def one(problems: Problems, path: str, value: Any) -> _ConditionsT | None:
        found = cast("_ConditionsT", value) if type_of(value) is cls else made(problems, path, value)
        if found is not None and found.empty and not may_be_empty:
            hint = "without one, nothing would be left"
            problems.say(path, show(value), "a table with at least one condition", hint)
        return found

    def made(problems: Problems, path: str, value: Any) -> _ConditionsT | None:
        if not is_mapping(value):
            problems.add(path, value, allowed)
            return None
        before = len(problems.items)
        table = mapping_items(value, path, problems)
        problems.unknown_keys(f"{path}.", [key for key in table if key not in names], names, "condition")
        checked = check_fields(cls, table, problems, f"{path}.")
        return cls(**checked) if len(problems.items) == before else None

    def check(problems: Problems, path: str, value: Any) -> Any:
        if not issubclass(type_of(value), (list, tuple)):
            found = one(problems, path, value)
            return () if found is None else (found,)
        items = items_of(value)
        if len(items) > _MOST or not items:
            problems.add(path, value, allowed, "leave it out, or write at least one table" if not items else "")
            return ()
        results = [one(problems, f"{path}[{position}]", item) for position, item in enumerate(items)]
        return tuple(result for result in results if result is not None)

    return check


def _exclude(problems: Problems, path: str, value: Any) -> Any:
    return () if value is None or value == () else _excluded(problems, path, value)


_excluded = _tables(Conditions, may_be_empty=False)


@attrs.frozen(kw_only=True)
class Route(Conditions):
    """Which events a sink gets: those for which all conditions hold, but for those that are excluded.

    Raises:
        ConfigurationError: if anything is wrong; it holds every problem.
    """

    exclude: tuple[Conditions, ...] = attrs.field(default=(), metadata={CHECK: _exclude})
    """What the sink does not get all the same: a table of conditions, or a list of tables of which one is enough."""

    @property
    def empty(self) -> bool:
        """Whether nothing is asked and nothing excluded, so that every event will do."""
        return super().empty and not self.exclude


routes: Check = _tables(Route, may_be_empty=True)
"""The check for the routes of one sink: a table, or a list of tables of which one is enough."""


def as_routes(value: Any) -> tuple[Route, ...] | None:
    """Let type checkers accept tables as well; the check afterwards makes them routes."""
    return cast("tuple[Route, ...] | None", value)
