"""The ``logfmt`` format: ``key=value`` pairs on one line, as other logfmt readers expect them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from ..event import LogEvent
from ._careful import Names, readable, scalar
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

    def format(self, event: LogEvent) -> bytes:
        """Return *event* as one line; never raises because of the event's data."""
        pairs = _pairs(event, self._clock)
        line = _join(pairs)
        if len(line) > self._max_event_bytes:
            pairs["truncated"] = str(len(line))
            line = _join(fit_event(pairs, self._max_event_bytes, KEPT, _size))
        return line


def _pairs(event: LogEvent, clock: Clock) -> dict[str, str]:
    pairs: dict[str, str] = {}
    names = Names(OWN_KEYS, "_")
    for key, value in flat(event, clock).items():
        if isinstance(value, dict):
            for inner, item in cast("dict[str, Any]", value).items():
                pairs[names.take(_key(f"{key}.{readable(inner)}"))] = scalar(item)
        elif key in OWN_KEYS:
            pairs[key] = scalar(value)
        else:
            pairs[names.take(_key(key))] = scalar(value)
    return pairs


def _join(pairs: Mapping[str, str]) -> bytes:
    text = " ".join([f"{key}={_value(value)}" for key, value in pairs.items()])
    return text.encode() + b"\n"


def _size(text: str) -> int:
    return len(quoted(text).encode())


def _key(key: str) -> str:
    if key.isidentifier():
        return key
    if not key.isprintable():
        key = "".join([character if character.isprintable() else "_" for character in key])
    return _SPECIAL.sub("_", key) or "_"


def _value(text: str) -> str:
    if text.isalnum():
        return text
    if text and text.isprintable() and _SPECIAL.search(text) is None:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """Return *text* in double quotes, with every character that is not printable escaped as in JSON."""
    if text.isprintable():
        if '"' not in text and "\\" not in text:
            return f'"{text}"'
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return '"' + "".join([_escape(character) for character in text]) + '"'


def _escape(character: str) -> str:
    escaped = _ESCAPES.get(character)
    if escaped is not None:
        return escaped
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
