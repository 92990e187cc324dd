"""What the operators of an expression do, as closures over what they compare.

Values of an event are of exact types that never raise when compared with their like; so each closure looks at the
type first, and is false for one that does not fit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..event import LogEvent
from ..shown import type_of
from ..values import FrozenDict
from .patterns import LONGEST_MATCHED

Condition: TypeAlias = Callable[[LogEvent], bool]
Reader: TypeAlias = Callable[[LogEvent], Any]

ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""The operators that want numbers, or texts."""
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"==": operator.eq, "!=": operator.ne, **ORDERS}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""What each becomes when its sides change places."""


def reader_of(attribute: str, path: Sequence[str]) -> Reader:
    """Return what reads an attribute of an event, or what lies at *path* in it; None if nothing does."""
    read: Reader = operator.attrgetter(attribute)
    if not path:
        return read
    if len(path) == 1 and attribute != "exception":
        (key,) = path
        return lambda event: read(event).get(key)

    def nested(event: LogEvent) -> Any:
        value = read(event)
        for key in path:
            if type(value) is not FrozenDict:
                return None
            value = value.get(key)
        return value

    return nested


def constant(value: Any) -> Reader:
    """Return what reads *value* from every event."""
    return lambda event: value


def negated(condition: Condition) -> Condition:
    """Return the opposite of *condition*."""
    return lambda event: not condition(event)


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Return whether all of two or more conditions hold, asked in order."""
    if len(conditions) == 2:
        first, second = conditions
        return lambda event: first(event) and second(event)

    def check(event: LogEvent) -> bool:
        for condition in conditions:  # noqa: SIM110, a generator costs more than the conditions
            if not condition(event):
                return False
        return True

    return check


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Return whether any of two or more conditions holds, asked in order."""
    if len(conditions) == 2:
        first, second = conditions
        return lambda event: first(event) or second(event)

    def check(event: LogEvent) -> bool:
        for condition in conditions:  # noqa: SIM110, likewise
            if condition(event):
                return True
        return False

    return check


def truth(read: Reader) -> Condition:
    """Return whether a value is something else than none, false, 0, or empty."""
    return lambda event: bool(read(event))


def exists(read: Reader) -> Condition:
    """Return whether a value is there and not none."""
    return lambda event: read(event) is not None


def level_compared(sign: str, level: int) -> Condition:
    """Return whether an event's level compares so with *level*."""
    compare = COMPARISONS[sign]
    return lambda event: compare(event.level_number, level)


def level_among(levels: frozenset[int]) -> Condition:
    """Return whether an event's level is one of *levels*."""
    return lambda event: event.level_number in levels


def equal_to(read: Reader, literal: Any) -> Condition:
    """Return whether a value equals a literal and is of its kind."""
    if literal is None or type(literal) is bool:
        return lambda event: read(event) is literal
    if type(literal) is str:
        return lambda event: read(event) == literal
    return equal(read, constant(literal))


def equal(left: Reader, right: Reader) -> Condition:
    """Return whether two values are equal and of one kind."""
    return lambda event: _equals(left(event), right(event))


def in_order(sign: str, left: Reader, right: Reader) -> Condition:
    """Return whether two numbers, or two texts, are in the order of *sign*."""
    compare = ORDERS[sign]

    def check(event: LogEvent) -> bool:
        one, other = left(event), right(event)
        kind = _KINDS.get(type(one))
        return kind is not None and kind is _KINDS.get(type(other)) and compare(one, other)

    return check


def in_order_with(sign: str, read: Reader, literal: Any) -> Condition:
    """Return whether a value and a literal are two numbers, or two texts, in the order of *sign*."""
    compare = ORDERS[sign]
    kind = _KINDS.get(type(literal))
    if kind == "number":

        def check_number(event: LogEvent) -> bool:
            value = read(event)
            return (type(value) is int or type(value) is float) and compare(value, literal)

        return check_number
    if kind == "text":

        def check_text(event: LogEvent) -> bool:
            value = read(event)
            return type(value) is str and compare(value, literal)

        return check_text
    return never


def never(event: LogEvent) -> bool:
    """Return False."""
    return False


def among(read: Reader, literals: Sequence[Any]) -> Condition:
    """Return whether a value is one of *literals*, which are texts, numbers, truth values or none."""
    texts = frozenset(literal for literal in literals if type(literal) is str)
    numbers = frozenset(literal for literal in literals if type(literal) in (int, float))
    others = [literal for literal in literals if literal is None or type(literal) is bool]

    def check(event: LogEvent) -> bool:
        value = read(event)
        kind = type_of(value)
        if kind is str:
            return value in texts
        if kind is int or kind is float:
            return value in numbers
        return any(value is other for other in others)

    return check


def contains(whole: Reader, part: Reader) -> Condition:
    """Return whether a text has another in it, a list an item, or a mapping a key."""

    def check(event: LogEvent) -> bool:
        value, sought = whole(event), part(event)
        kind = type_of(value)
        if kind is str or kind is FrozenDict:
            return type(sought) is str and sought in value
        return kind is tuple and any(_equals(item, sought) for item in value)

    return check


def starts_with(read: Reader, part: Reader) -> Condition:
    """Return whether a text begins with another."""

    def check(event: LogEvent) -> bool:
        value, start = read(event), part(event)
        return type(value) is str and type(start) is str and value.startswith(start)

    return check


def ends_with(read: Reader, part: Reader) -> Condition:
    """Return whether a text ends with another."""

    def check(event: LogEvent) -> bool:
        value, end = read(event), part(event)
        return type(value) is str and type(end) is str and value.endswith(end)

    return check


def matches(read: Reader, pattern: str) -> Condition:
    """Return whether *pattern* is found in a text, as far as it is looked at."""
    import re

    search = re.compile(pattern).search

    def check(event: LogEvent) -> bool:
        value = read(event)
        return type(value) is str and search(value, 0, LONGEST_MATCHED) is not None

    return check


_KINDS: dict[Any, str] = {int: "number", float: "number", str: "text"}
"""Kinds of values that have an order."""


def _equals(one: Any, other: Any) -> bool:
    # To Python, true is 1: nothing but the kind tells them apart.
    return bool(one == other) and (type(one) is bool) is (type(other) is bool)
