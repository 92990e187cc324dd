"""PairWriter: ``key=value`` pairs, written quickly where nothing in them needs care."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

import orjson

from ._careful import OPTIONS, scalar

MOST_CHARACTERS = 4096
"""A text longer than this is left to the careful way, whose work is bounded."""

_MAX_REMEMBERED = 1024
_ASCII = bytes(range(0x20, 0x80))
_LONGEST_REMEMBERED = 256
_MOST_FIELDS = 64
_MOST_BYTES = 65_536
_LEAST, _MOST = -(2**63), 2**64 - 1
_SMALL_TYPES = frozenset({type(None), bool, UUID, date, datetime, time})
_DELETED = b'"{'


class NotQuick(Exception):
    """Raised when an event, or one among several, has something that only the careful way knows how to write."""


class Remembered(dict[str, str]):
    """What a function returns for each text; a bounded number of the latest ones is kept.

    Parameters:
        function: called for a text that is not here yet; what is longer than some thousand characters it never sees.
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[str], str]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> str:
        if len(text) > MOST_CHARACTERS:
            raise NotQuick
        result = self._function(text)
        if len(text) <= _LONGEST_REMEMBERED:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()
            self[text] = result
        return result


class PairWriter:
    """Writes the entries of mappings as pairs, each with the separator before it.

    It remembers what it found out about keys and texts, so that it seldom has to look at one.

    Parameters:
        own_name: returns a key as it is to be shown, or None if that depends on the other keys.
        shown: returns a text as it is to be shown as a value.
        before_key: what stands before each key; ASCII.
        after_key: what stands between each key and its value; ASCII.
        after_value: what stands after each value; ``all_pairs`` leaves it out.
        unsafe: the bytes that no value may have that is shown as it is, besides those which JSON escapes.
    """

    __slots__ = ("_after_key", "_after_value", "_before_key", "_table", "_unsafe", "names", "plain", "texts")

    def __init__(
        self,
        own_name: Callable[[str], str | None],
        shown: Callable[[str], str],
        *,
        before_key: str = " ",
        after_key: str = "=",
        after_value: str = "",
        unsafe: bytes = b" =\\\x7f",
    ) -> None:
        def name(key: str) -> str:
            if len(key) > _LONGEST_REMEMBERED or own_name(key) != key:
                raise NotQuick
            return f"{before_key}{key}{after_key}"

        self.names: Remembered = Remembered(name)
        """Keys with what stands around them."""
        self.texts: Remembered = Remembered(shown)
        """Texts as they are shown as values."""
        self.plain: bytes = _ASCII.translate(None, b'"\\' + unsafe)
        """The characters of which a text, unless it is empty, is shown as it is."""
        self._before_key = before_key
        self._after_key = after_key
        self._after_value = after_value
        self._unsafe = tuple(bytes([code]) for code in unsafe)
        self._table = bytes.maketrans(b"[,:}", b"  =\n") if before_key + after_key == " =" else None

    def pairs(self, mapping: Mapping[str, Any]) -> str:
        """Return the entries of *mapping*.

        Raises:
            NotQuick: if it has a key or value that needs more care.
        """
        if len(mapping) > _MOST_FIELDS:
            raise NotQuick
        names, texts, after = self.names, self.texts, self._after_value
        result = ""
        for key, value in mapping.items():
            name = names[key]
            kind = type(value)  # pyright: ignore[reportUnknownVariableType] - a value may be anything
            if kind is str:
                result += f"{name}{texts[value]}{after}"
            elif kind is float:
                result += f"{name}{value!r}{after}"
            elif kind is int:
                if not _LEAST <= value <= _MOST:
                    raise NotQuick
                result += f"{name}{value}{after}"
            elif kind in _SMALL_TYPES:
                shown = scalar(value)
                if shown[0] == "<":  # it says what is wrong with a time zone
                    raise NotQuick
                result += f"{name}{texts[shown]}{after}"
            else:
                raise NotQuick
        return result

    def all_pairs(self, mappings: Sequence[dict[str, Any]], others: Collection[str]) -> list[str]:
        """Return the entries of each of *mappings*, none of which is empty.

        They are encoded as JSON together. Where no text has a character that JSON escapes, or that ends a value
        in one of the two, only punctuation is left that differs. How often there is any tells whether all of it
        is JSON's.

        Parameters:
            others: keys that none of the mappings may have.

        Raises:
            NotQuick: if there is a key or value that needs more care.
        """
        count = len(mappings)
        total = sum(map(len, mappings))
        keys = set[str]().union(*mappings)
        if total > count * _MOST_FIELDS or not keys.isdisjoint(others):
            raise NotQuick
        if not keys <= self.names.keys():
            for key in keys:
                self.names[key]
        for value in [
            value
            for mapping in mappings
            for value in mapping.values()
            if type(value) is not int and type(value) is not str
        ]:
            if type(value) is float:
                # JSON has other digits than ``repr`` for very small and large ones, and none for what is not finite.
                if not (1e-4 <= value < 1e16 or value == 0 or -1e16 < value <= -1e-4):
                    raise NotQuick
            elif value is not None and type(value) is not bool:  # containers among them, however large
                raise NotQuick
        try:
            encoded = orjson.dumps(mappings, None, OPTIONS)
        except TypeError:  # a large integer or a surrogate
            raise NotQuick from None
        if len(encoded) > _MOST_BYTES or not encoded.isascii() or b'""' in encoded:
            raise NotQuick
        for byte in self._unsafe:
            if byte in encoded:
                raise NotQuick
        if encoded.count(b"{") != count or encoded.count(b"[") != 1:
            raise NotQuick
        if self._table is not None and encoded.count(b":") == total and encoded.count(b",") == total - 1:
            lines = encoded.translate(self._table, _DELETED).decode("ascii")[:-2].split("\n")
        else:
            lines = self._with_punctuation(encoded, count, total)
        if len(lines) != count:
            raise NotQuick
        return lines

    def _with_punctuation(self, encoded: bytes, count: int, total: int) -> list[str]:
        """Return the lines for JSON in which texts have colons, commas or braces."""
        before, after = self._before_key.encode(), self._after_key.encode()
        lines = encoded.replace(b'":', after)
        if len(lines) - len(encoded) != total * (len(after) - 2):
            raise NotQuick
        pairs = lines.replace(b',"', before)
        if len(pairs) - len(lines) != (total - count) * (len(before) - 2):
            raise NotQuick
        # What the first key has before it takes the place of `[{"`, and that of each other line `},{"`.
        return [before.decode() + line for line in pairs[3:-2].translate(None, b'"').decode("ascii").split("},{")]
