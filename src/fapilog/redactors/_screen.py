"""The screen: tells cheaply which events hold something sensitive, so that the others pass untouched.

It may be wrong in one direction only. An event that it lets pass holds nothing that the redactor would change; most of
those that it points out do. The accelerator's form gives the same answers, and finds most texts clean by itself: it
knows what a text has, at least, in which anything can be found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

import attrs

from .._accelerated import accelerator
from ..event import Ambient, Extras, LogEvent, Origin, Record
from ..values import FrozenDict

CLEAN = 0
"""What is known of a key that is not sensitive: one of these numbers; of any other key, something that is no number."""
NAMES_ANOTHER = 1
"""A key such as ``name`` or ``header``: beside ``value`` its text is the name of that value."""
NAMED_BY_ANOTHER = 2
KEPT = 4
"""A key whose own text or number is left as it is."""

OTHER_TYPES = (datetime, date, time, UUID)
"""Types of a frozen tree whose values hold nothing sensitive."""
DEEPEST = 16
"""Containers inside each other that the screen looks into."""
LONGEST_NAME = 64
"""Characters of an item of a sequence that may be the name of the next one."""
_LONGEST_KNOWN = 256
_MOST_KNOWN = 4096
"""Texts of so many characters, and so many of them, are remembered as clean."""


@attrs.frozen
class ScreenRules:
    """What makes a text or a number worth a look."""

    may_hold: Callable[[str], bool]
    """Whether a detector may find something in a text."""
    cards: bool
    """Whether numbers may be those of payment cards."""
    longest: int
    """Characters of a text that the screen judges by itself."""


class CleanTexts:
    """What is known of texts. It is asked about those that may hold something, and remembers which of them do not.

    Parameters:
        holds: returns whether a text holds something sensitive.
    """

    def __init__(self, holds: Callable[[str], bool]) -> None:
        self._holds = holds
        self.known: dict[str, bool] = {}
        """The clean ones; bounded."""

    def holds(self, text: str) -> bool:
        """Return whether *text* holds something sensitive."""
        if text in self.known:
            return False
        if self._holds(text):
            return True
        if len(text) <= _LONGEST_KNOWN:
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            self.known[text] = True
        return False


class Screen:
    """The screen in Python.

    Parameters:
        rules: what makes a text or a number worth a look.
        verdicts: what is known of keys; whoever made the screen adds to it.
        texts: what is known of texts.
    """

    def __init__(self, rules: ScreenRules, verdicts: dict[str, Any], texts: CleanTexts) -> None:
        self._verdicts = verdicts
        self._cards = rules.cards
        self.text: Callable[[str], bool] = texts.holds

    def __call__(self, items: Sequence[Record | LogEvent]) -> list[int]:
        """Return the positions of those that hold something sensitive, or cannot be judged."""
        is_record = _is_record
        origin: object = None
        ambient: object = None
        found: list[int] = []
        for position, item in enumerate(items):
            record: Any = item._record if isinstance(item, LogEvent) else item
            if not is_record(record):
                found.append(position)
                continue
            if record[4] is not origin or record[5] is not ambient:
                if self._shared(record[4], record[5]):
                    found.append(position)
                    continue
                origin, ambient = record[4], record[5]
            context = item._context if isinstance(item, LogEvent) else None
            if self._record(record) or (context is not None and self._mapping(context, 0)):
                found.append(position)
        return found

    def _record(self, record: Any) -> bool:
        _, _, message, fields, _, _, task, extras = record
        if type(message) is not str or type(task) is not str or self.text(message) or self.text(task):
            return True
        return self._mapping(fields, 0) or (extras is not None and self._extras(extras))

    def _extras(self, extras: Any) -> bool:
        if type(extras) is not Extras or extras.exception is not None:
            return True
        return (
            self._value(extras.correlation_id, 0)
            or self._mapping(extras.tags, 0)
            or self._mapping(extras.metrics, 0)
            or self._mapping(extras.context, 0)
        )

    def _shared(self, origin: Any, ambient: Any) -> bool:
        return (
            type(origin) is not Origin
            or type(ambient) is not Ambient
            or self._value(origin.logger, 0)
            or self._value(origin.source, 0)
            or self._value(ambient.correlation_id, 0)
            or self._mapping(origin.bound, 0)
            or self._mapping(ambient.values, 0)
        )

    def _mapping(self, mapping: Any, depth: int) -> bool:
        kind = type(mapping)  # pyright: ignore[reportUnknownVariableType]
        if (kind is not dict and kind is not FrozenDict) or depth > DEEPEST:
            return True
        verdicts = self._verdicts
        seen = 0
        for key, value in mapping.items():
            verdict = verdicts.get(key) if type(key) is str else None
            if type(verdict) is not int:
                return True
            seen |= verdict
            if verdict & KEPT and type(value) in (str, int, float):
                continue
            if self._value(value, depth):
                return True
        return seen & 3 == 3

    def _value(self, value: Any, depth: int) -> bool:
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            return False
        if kind is int:
            return self._cards and is_card_number(value)
        if kind is float:
            return self._cards and _LEAST_CARD <= value < _BEYOND_CARDS and value.is_integer()
        if kind is FrozenDict or kind is dict:
            return self._mapping(value, depth + 1)
        if kind is tuple:
            return self._sequence(value, depth + 1)
        return kind not in OTHER_TYPES

    def _sequence(self, values: tuple[Any, ...], depth: int) -> bool:
        if depth > DEEPEST:
            return True
        for position, value in enumerate(values):
            # It may be the name of the one behind it.
            named = position % 2 == 0 and type(value) is str and len(values) > 1 and may_be_name(value)
            if named and type(self._verdicts.get(value)) is not int:
                return True
            if self._value(value, depth):
                return True
        return False


def _is_record(item: Any) -> bool:
    kind = type(item)  # pyright: ignore[reportUnknownVariableType]
    return kind is tuple and len(item) == 8


def may_be_name(text: str) -> bool:
    """Return whether an item of a sequence looks like a name: most texts do not, which need not be remembered then."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None and len(_DIGIT.findall(text)) <= 2


_NAME = re.compile(r"[A-Za-z0-9_.:\-\u0080-\U0010ffff]+")
_DIGIT = re.compile("[0-9]")
_LEAST_CARD = 10**12
_BEYOND_CARDS = 10**19
_MOST_SIGNED = 2**63


def is_card_number(number: int) -> bool:
    """Return whether *number* has 13 to 19 digits and a right check digit (Luhn, ISO/IEC 7812-1)."""
    if not _LEAST_CARD <= number < _BEYOND_CARDS:
        return False
    if number >= _MOST_SIGNED:
        return True  # it takes a look to tell
    total = 0
    double = False
    while number:
        number, digit = divmod(number, 10)
        if double:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
        double = not double
    return total % 10 == 0


def make_screen(rules: ScreenRules, verdicts: dict[str, Any], texts: CleanTexts) -> Any:
    """Return the screen: the accelerator's, where there is one."""
    if accelerator is None:
        return Screen(rules, verdicts, texts)
    may_hold = rules.may_hold
    return accelerator.RedactionScreen(
        event_type=LogEvent,
        origin_type=Origin,
        ambient_type=Ambient,
        extras_type=Extras,
        mapping_type=FrozenDict,
        other_types=OTHER_TYPES,
        verdicts=verdicts,
        clean=texts.known,
        holds=texts.holds,
        # With patterns of users it is a function, and tells nothing beforehand.
        texts=may_hold if isinstance(may_hold, accelerator.TextScreen) else None,
        cards=rules.cards,
        longest=rules.longest,
    )
