"""The screen: tells cheaply which events may hold something sensitive, so that the others pass untouched.

It may be wrong in one direction only. An event that it lets pass holds nothing that the redactor would change; of those
that it points out, most hold nothing either. The accelerator's form gives the same answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, time
from typing import Any, TypeAlias
from uuid import UUID

import attrs

from ..event import Ambient, Extras, LogEvent, Origin, Record
from ..values import FrozenDict

CLEAN = 0
"""What is known of a key that is not sensitive; otherwise one of these, or something that is no int."""
NAMES_ANOTHER = 1
"""A key such as ``name`` or ``header``: beside ``value`` its text is the name of that value."""
NAMED_BY_ANOTHER = 2
KEPT = 4
"""A key whose own text or number is left as it is."""

OTHER_TYPES = (datetime, date, time, UUID)
"""Types of a frozen tree whose values hold nothing sensitive."""
DEEPEST = 16
"""Containers inside each other that the screen looks into."""

_DIGITS = {"payment_card": 12, "us_ssn": 9, "uk_nino": 6, "phone": 7}
"""The fewest digits of a value, with no letter between them; for a detector that goes by digits."""
_LETTERS = frozenset(
    {"email", "jwt", "pem", "bearer", "basic", "cloud_key", "url_credentials", "url_query", "key_value"}
)
"""The detectors that need what is looked for anyway: punctuation, or a token of some length."""
_TOKEN = 15
_NEVER = 1 << 30
Question: TypeAlias = Callable[[str], Any]


@attrs.frozen
class ScreenRules:
    """What makes a text or a number worth a look."""

    digits: int
    """So many digits without a letter between them."""
    token: int
    """So many characters of a token in a row: letters, digits, ``_`` and ``-``, not all of them hexadecimal."""
    cards: bool
    """Whether numbers may be those of payment cards."""
    iban: bool
    """Whether two letters and two digits at the beginning of a token are."""
    addresses: bool
    """Whether three dots, with digits and without letters between them, are, and any colon."""
    questions: tuple[Question, ...] = ()
    """What else a text is asked: each returns something true, or other than None, if it is worth a look."""


def rules_for(detectors: Collection[str], questions: Sequence[Question], *, patterns: bool) -> ScreenRules:
    """Return the rules under which nothing escapes that these detectors would find.

    Parameters:
        questions: asked of every text if there are detectors that are not known here.
        patterns: whether there are patterns beside the detectors.
    """
    known = {*_DIGITS, *_LETTERS, "iban", "ipv4", "ipv6"}
    return ScreenRules(
        digits=min([number for name, number in _DIGITS.items() if name in detectors], default=_NEVER),
        token=_TOKEN,
        cards="payment_card" in detectors,
        iban="iban" in detectors,
        addresses="ipv4" in detectors or "ipv6" in detectors,
        questions=tuple(questions) if patterns or set(detectors) - known else (),
    )


class Screen:
    """The screen in Python.

    Parameters:
        rules: what makes a text or a number worth a look.
        verdicts: what is known of keys; whoever made the screen adds to it.
    """

    def __init__(self, rules: ScreenRules, verdicts: dict[str, Any]) -> None:
        self._verdicts = verdicts
        self._rules = rules
        colon = r":" if rules.addresses else r"(?<![0-9]):|:(?![0-9])|[A-Za-z_-][0-9]*+:"
        looks = [
            r"[@=<{\[]",
            r"--",
            r"%[0-9A-Fa-f]",
            r"\s[\"']",
            colon,
            r"(?i:(?<![A-Za-z0-9_-])(?:bearer|basic)\s)",
        ]
        if rules.digits < _NEVER:
            looks.append(rf"[0-9](?:[^0-9A-Za-z]*+[0-9]){{{rules.digits - 1}}}")
        if rules.iban:
            looks.append(r"(?<![A-Za-z0-9_-])[A-Za-z]{2}[0-9]{2}")
        if rules.addresses:
            looks.append(r"[0-9](?:[^A-Za-z.]*+\.){3}")
        self._look = re.compile("|".join(looks))
        self._token = re.compile(rf"[A-Za-z0-9_-]{{{rules.token},}}+")

    def __call__(self, items: Sequence[Record | LogEvent]) -> list[int]:
        """Return the positions of those that are worth a look."""
        suspicious = self._suspicious
        origin: object = None
        ambient: object = None
        found: list[int] = []
        for position, item in enumerate(items):
            record: Any = item if type(item) is tuple else item._record if type(item) is LogEvent else None
            if type(record) is not tuple or len(record) != 8:
                found.append(position)
                continue
            if record[4] is not origin or record[5] is not ambient:
                if self._shared(record[4], record[5]):
                    found.append(position)
                    continue
                origin, ambient = record[4], record[5]
            if suspicious(record) or (
                type(item) is LogEvent and item._context is not None and self._mapping(item._context, 0)
            ):
                found.append(position)
        return found

    def text(self, text: str) -> bool:
        """Return whether a text is worth a look."""
        if self._look.search(text):
            return True
        if any(_NOT_HEXADECIMAL.search(token) for token in self._token.findall(text)):
            return True
        return any(question(text) for question in self._rules.questions)

    def _suspicious(self, record: Any) -> bool:
        _, _, message, fields, _, _, task, extras = record
        if type(message) is not str or type(task) is not str or self.text(message) or self.text(task):
            return True
        if self._mapping(fields, 0):
            return True
        if extras is None:
            return False
        if type(extras) is not Extras or extras.exception is not None:
            return True
        correlation_id = extras.correlation_id
        return (
            (correlation_id is not None and (type(correlation_id) is not str or self.text(correlation_id)))
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
        if (type(mapping) is not dict and type(mapping) is not FrozenDict) or depth > DEEPEST:
            return True
        verdicts = self._verdicts
        seen = 0
        for key, value in mapping.items():
            if type(key) is not str:
                return True
            verdict = verdicts.get(key)
            if type(verdict) is not int:
                return True
            if verdict:
                seen |= verdict
                if verdict & KEPT and type(value) in (str, int, float):
                    continue
            if self._value(value, depth):
                return True
        return seen & 3 == 3

    def _value(self, value: Any, depth: int) -> bool:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is int:
            return self._rules.cards and is_card_number(value)
        if value is None or kind is bool:
            return False
        if kind is float:
            return self._rules.cards and _LEAST_CARD <= value < _BEYOND_CARDS and value.is_integer()
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
            if position % 2 == 0 and type(value) is str and len(values) > 1 and may_be_name(value):
                if type(self._verdicts.get(value)) is not int:
                    return True
            if self._value(value, depth):
                return True
        return False


def may_be_name(text: str) -> bool:
    """Return whether an item of a sequence looks like a name: most texts do not, which need not be remembered then."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None and len(_DIGIT.findall(text)) <= 2


LONGEST_NAME = 64
"""Characters of an item of a sequence that may be the name of the next one."""
_NAME = re.compile(r"[A-Za-z0-9_.:\-\u0080-\U0010ffff]+")
_DIGIT = re.compile("[0-9]")
_NOT_HEXADECIMAL = re.compile("[^0-9a-f-]")
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
