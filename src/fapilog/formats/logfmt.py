"""The ``logfmt`` format: ``key=value`` pairs on one line, as other logfmt readers expect them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from ..event import LogEvent
from ._careful import numbered, readable, scalar
from ._fit import fit_event
from ._flat import OWN_KEYS, flat
from ._lines import LineFormatter
from ._timestamp import Clock
from .json import KEPT

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = re.compile(r'[\s="\\]')


class LogfmtFormatter(LineFormatter):
    """Encodes events as logfmt.

    The keys are those of ``json_flat``. A mapping becomes one pair per entry with a dotted key, anything nested deeper
    compact JSON. In keys, blanks, ``=``, quotes, backslashes and what is not printable become ``_``.

    Parameters:
        max_event_bytes: the most bytes of a line, its newline included; a longer line is cut. At least 1024.
    """

    __slots__ = ()

    def __init__(self, *, max_event_bytes: int = 262_144) -> None:
        super().__init__("logfmt", max_event_bytes)

    def _whole(self, event: LogEvent) -> bytes:
        return _join(_pairs(event, self._clock))

    def _cut(self, event: LogEvent, size: int) -> bytes:
        pairs = _pairs(event, self._clock)
        pairs["truncated"] = str(size)
        return _join(fit_event(pairs, self._max_event_bytes, KEPT, _size))


def _pairs(event: LogEvent, clock: Clock) -> dict[str, str]:
    pairs: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for key, value in flat(event, clock).items():
        if type(value) is str:
            text = value if value.isascii() else readable(value)
        elif isinstance(value, dict):
            for inner, item in cast("dict[str, Any]", value).items():
                pairs[_free(f"{key}.{scalar(inner)}", pairs, numbers)] = scalar(item)
            continue
        else:
            text = scalar(value)
        if key not in OWN_KEYS and (key in pairs or not key.isidentifier()):
            key = _free(key, pairs, numbers)
        pairs[key] = text
    return pairs


def _free(key: str, taken: Mapping[str, str], numbers: dict[str, int]) -> str:
    key = _key(key)
    return numbered(key, taken, numbers, "_") if key in taken or key in OWN_KEYS else key


def _join(pairs: Mapping[str, str]) -> bytes:
    text = " ".join([f"{key}={value if value.isalnum() else _value(value)}" for key, value in pairs.items()])
    return text.encode() + b"\n"


def _size(text: str, most: int) -> int:
    return len(text) if len(text) > most else len(quoted(text).encode())


def _key(key: str) -> str:
    if key.isidentifier():
        return key
    if not key.isprintable():
        key = "".join([character if character.isprintable() else "_" for character in key])
    return _SPECIAL.sub("_", key) or "_"


def _value(text: str) -> str:
    if text and text.isprintable() and not (" " in text or "=" in text or '"' in text or "\\" in text):
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """Return *text* in double quotes, with every character that is not printable escaped as in JSON."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    # Few of many characters differ, so that each is escaped once.
    return '"' + text.translate({ord(character): _escape(character) for character in set(text)}) + '"'


def _escape(character: str) -> str:
    escaped = _ESCAPES.get(character)
    if escaped is not None:
        return escaped
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x10000:
        return "\\u%04x" % code  # noqa: UP031 - which takes half the time of a format
    code -= 0x10000
    return "\\u%04x\\u%04x" % (0xD800 | code >> 10, 0xDC00 | code & 0x3FF)  # noqa: UP031 - likewise
