"""What is done to a sensitive value."""

from __future__ import annotations

import hmac
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson


class Action(StrEnum):
    """What takes the place of a sensitive value."""

    MASK = "mask"
    """The mask."""
    LAST_FOUR = "last_four"
    """The mask and the last four characters; the mask alone for what is shorter than eight."""
    DROP = "drop"
    """Nothing: the field is left out. In a message, or another text that has no key, the part is left out."""
    TRUNCATE = "truncate"
    """The first characters and the mask; the mask alone for what is shorter than twice as many."""
    PSEUDONYM = "pseudonym"
    """A token that is the same for the same value and key: its HMAC-SHA-256 (RFC 2104), cut to 128 bits."""


class Dropped:
    """What an action returns for a value that is to be left out."""


DROPPED = Dropped()

PSEUDONYM_PREFIX = "hmac:"
_DIGITS = 32
"""Hexadecimal digits of a pseudonym: 128 bits."""
_LAST = 4


class Replacements:
    """Makes what takes the place of sensitive values.

    Parameters:
        mask: the text that hides.
        kept: characters that ``truncate`` keeps.
        key: the key of the pseudonyms; empty if there are none.
    """

    def __init__(self, mask: str, kept: int, key: str) -> None:
        self.mask = mask
        self._kept = kept
        self._key = key.encode("utf-8", "surrogatepass")

    def of(self, value: Any, action: Action) -> str | Dropped:
        """Return what takes the place of a frozen value, or ``DROPPED``."""
        if action is Action.DROP:
            return DROPPED
        if action is Action.MASK or value is None:
            return self.mask
        if action is Action.PSEUDONYM:
            return self._pseudonym(_canonical(value))
        if type(value) not in (str, int, float):
            return self.mask
        return self._part(str(value), action)

    def of_part(self, text: str, action: Action) -> str:
        """Return what takes the place of a part of a text."""
        if action is Action.DROP:
            return ""
        if action is Action.PSEUDONYM:
            return self._pseudonym(text)
        return self._part(text, action)

    def _part(self, text: str, action: Action) -> str:
        if action is Action.LAST_FOUR and len(text) >= 2 * _LAST:
            return self.mask + text[-_LAST:]
        if action is Action.TRUNCATE and len(text) >= 2 * self._kept:
            return text[: self._kept] + self.mask
        return self.mask

    def _pseudonym(self, text: str) -> str:
        digest = hmac.new(self._key, text.encode("utf-8", "surrogatepass"), sha256).hexdigest()
        return PSEUDONYM_PREFIX + digest[:_DIGITS]


def _canonical(value: Any) -> str:
    """Return the text that stands for *value*: equal values have the same."""
    if type(value) is str:
        return value
    try:
        return orjson.dumps(value, default=dict, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):  # an int of more than 64 bits, a lone surrogate
        return repr(value)
