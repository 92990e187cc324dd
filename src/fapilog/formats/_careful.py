"""The careful way to encode values: any tree becomes JSON, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from math import isfinite
from typing import Any, cast
from uuid import UUID

import orjson

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_MAX_DIGITS_BITS = 14_000
"""Larger integers have more digits than ``str`` agrees to make by default."""
_MAX_DEPTH = 100

# orjson must never see a datetime: it crashes the process when a tzinfo raises, and reads the offset without
# checking its type. It therefore hands every datetime, date and time to `moment`.
OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME
LINE_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_APPEND_NEWLINE

_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")


def moment(value: Any) -> str:
    """Return a datetime, date or time as ISO 8601 text; the fallback that orjson calls for them."""
    if isinstance(value, (datetime, date, time)):
        try:
            return value.isoformat()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a tzinfo runs foreign code
            return f"<unprintable {type(value).__name__}: {type(error).__name__}>"
    return unknown(value)


def unknown(value: object) -> str:
    """Return the text for an object that no event should hold; its own code is not run."""
    return f"<{type(value).__name__}>"


def readable(text: str) -> str:
    """Return *text* with every lone surrogate replaced by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def integer(value: int) -> str:
    """Return the digits of *value*, or its size when there are too many."""
    if value.bit_length() <= _MAX_DIGITS_BITS:
        try:
            return int.__repr__(value)
        except ValueError:  # the program has lowered the limit on digits
            pass
    return f"<int {value.bit_length()} bits>"


def plain(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Return *value* as a tree of dict, list, str, number, bool and None that is valid JSON; never raises.

    An integer beyond 64 bits becomes its digits as a string, a number that is not finite becomes None,
    and keys that would be equal are told apart by a number.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return readable(str.__str__(value))
    if isinstance(value, int):
        return int.__int__(value) if _SMALLEST <= value <= _LARGEST else integer(value)
    if isinstance(value, float):
        return float.__float__(value) if isfinite(value) else None
    if isinstance(value, UUID):
        return str(value)
    if depth == 0:
        return "<too deep>"
    if isinstance(value, dict):
        return _plain_mapping(cast("dict[str, Any]", value), depth - 1)
    if isinstance(value, (tuple, list)):
        return [plain(item, depth - 1) for item in cast("tuple[Any, ...]", value)]
    return moment(value)


def _plain_mapping(mapping: dict[str, Any], depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    names = Names()
    for key, value in mapping.items():
        result[names.take(scalar(key))] = plain(value, depth)
    return result


class Names:
    """Gives out names that differ; a name that is taken gets a number."""

    __slots__ = ("_separator", "_taken")

    def __init__(self, taken: Iterable[str] = (), separator: str = "#") -> None:
        self._taken: dict[str, int] = dict.fromkeys(taken, 1)
        self._separator = separator

    def take(self, name: str) -> str:
        """Return *name*, or the first free one of ``name#2``, ``name#3`` and so on."""
        taken = self._taken
        number = taken.get(name)
        if number is None:
            taken[name] = 1
            return name
        while (candidate := f"{name}{self._separator}{(number := number + 1)}") in taken:
            pass
        taken[name] = number
        taken[candidate] = 1
        return candidate


def encode(value: Any) -> bytes:
    """Return *value* as JSON on one line, also for readers that end lines at U+0085 or U+2028; never raises."""
    try:
        encoded = orjson.dumps(value, moment, OPTIONS)
    except Exception as error:
        reraise_interrupt(error)
        encoded = orjson.dumps(plain(value), moment, OPTIONS)
    return encoded if encoded.isascii() else escape_controls(encoded)


def escape_controls(encoded: bytes) -> bytes:
    """Return JSON text with the controls that JSON allows as they are (C1, U+2028, U+2029) in escaped form."""
    if b"\xc2" in encoded or b"\xe2" in encoded:
        return _CONTROLS.sub(_escape, encoded)
    return encoded


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match.group().decode())


def reraise_interrupt(error: BaseException) -> None:
    """Raise the KeyboardInterrupt that orjson turned into *error*, if it did."""
    if isinstance(error.__cause__, KeyboardInterrupt):
        raise error.__cause__


def scalar(value: Any) -> str:
    """Return *value* as bare text: JSON without the quotes that a string would have."""
    if type(value) is str:
        return readable(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return readable(str.__str__(value))
    if isinstance(value, int):
        return integer(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (dict, tuple, list)):
        return encode(value).decode()
    return moment(value)
