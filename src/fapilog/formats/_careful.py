"""The careful way to encode values: any tree becomes JSON, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import UTC, date, datetime, time
from math import isfinite
from typing import Any, cast
from uuid import UUID

import orjson

from .._interrupts import raise_interrupt

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
MAX_DIGITS_BITS = 14_000
"""Larger integers have more digits than ``str`` agrees to make by default."""
MAX_DEPTH = 100

# orjson must never see a datetime: it crashes the process when a tzinfo raises, and reads the offset without
# checking its type. It therefore hands every datetime, date and time to `moment`.
OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME
LINE_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_APPEND_NEWLINE

_C1_CONTROL = re.compile(rb"\xc2[\x80-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# A text, which ``re`` compiles at its first use: it is seldom needed, and takes longer than all of this module.
_LONE_SURROGATE = "[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]"


def moment(value: Any) -> str:
    """Return a datetime, date or time as ISO 8601 text; the fallback that orjson calls for them.

    A datetime in UTC ends in ``Z``, as an event's own timestamp does.
    """
    if isinstance(value, (datetime, date, time)):
        try:
            if type(value) is datetime and value.tzinfo is UTC:
                return value.isoformat()[:-6] + "Z"  # in place of "+00:00"
            return value.isoformat()
        except BaseException as error:  # a tzinfo runs foreign code
            raise_interrupt(error)
            return f"<unprintable {type(value).__name__}: {type(error).__name__}>"
    return unknown(value)


def unknown(value: object) -> str:
    """Return the text for an object that no event should hold; its own code is not run."""
    return f"<{type(value).__name__}>"


def readable(text: str) -> str:
    """Return *text* with every lone surrogate replaced by U+FFFD, and every pair of them by its character."""
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    # The codec alone would take six times as long over lone surrogates.
    text = re.sub(_LONE_SURROGATE, "\ufffd", text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16") if _SURROGATE.search(text) else text


def integer(value: int) -> str:
    """Return the digits of *value*, or its size when there are too many."""
    if value.bit_length() <= MAX_DIGITS_BITS:
        try:
            return int.__repr__(value)
        except ValueError:  # the program has lowered the limit on digits
            pass
    return size_of_integer(value)


def size_of_integer(value: int) -> str:
    """Return what stands for an integer with too many digits."""
    return f"<int {int.bit_length(value)} bits>"


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
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
    numbers: dict[str, int] = {}
    for key, value in mapping.items():
        name = scalar(key)
        if name in result:
            name = numbered(name, result, numbers)
        result[name] = plain(value, depth)
    return result


def numbered(name: str, taken: Container[str], numbers: dict[str, int], separator: str = "#") -> str:
    """Return the first of ``name#2``, ``name#3`` and so on that is not *taken*.

    Parameters:
        numbers: the last number of each name, kept here from call to call; without it, many equal names would take
            long.
    """
    number = numbers.get(name, 1)
    while (candidate := f"{name}{separator}{(number := number + 1)}") in taken:
        pass
    numbers[name] = number
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
    if b"\xc2" in encoded:
        position = 0
        while match := _C1_CONTROL.search(encoded, position):
            # All of one kind at once: nothing before this one needs another look.
            position = match.start()
            encoded = encoded.replace(match[0], b"\\u%04x" % ord(match[0].decode()))
    if b"\xe2\x80" in encoded:
        encoded = encoded.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return encoded


def reraise_interrupt(error: BaseException) -> None:
    """Raise the application's interrupt that orjson turned into *error*, if it did."""
    if error.__cause__ is not None:
        raise_interrupt(error.__cause__)


def scalar(value: Any) -> str:
    """Return *value* as bare text: JSON without the quotes that a string would have."""
    if type(value) is str:
        return value if value.isascii() else readable(value)
    if type(value) is int:
        return repr(value) if _SMALLEST <= value <= _LARGEST else integer(value)
    if type(value) is float:
        return repr(value)
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
