"""The ``logfmt`` format: ``key=value`` pairs on one line, as other logfmt readers expect them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..event import DEFAULT_SEVERITY, LEVEL_NAMES, Ambient, LogEvent, Origin, Record
from ._careful import numbered, readable, scalar
from ._fit import fit_event
from ._flat import OWN_KEYS, OWN_PREFIXES, flat
from ._quick_lines import NOTHING, QuickLineFormatter, Shared
from ._quick_pairs import NotQuick, PairWriter
from ._shared import plain_record
from ._timestamp import MICROSECONDS, MILLISECOND, Clock
from .json import KEPT

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = re.compile(r'[\s="\\]')


class LogfmtFormatter(QuickLineFormatter):
    """Encodes events as logfmt.

    The keys are those of ``json_flat``. A mapping becomes one pair per entry with a dotted key, anything nested deeper
    compact JSON. In keys, blanks, ``=``, quotes, backslashes and what is not printable become ``_``.

    Parameters:
        max_event_bytes: the most bytes of a line, its newline included; a longer line is cut. At least 1024.
    """

    __slots__ = ("_own_pairs",)

    def __init__(self, *, max_event_bytes: int = 262_144) -> None:
        super().__init__("logfmt", max_event_bytes, PairWriter(_own_name, _text))
        self._own_pairs = PairWriter(_key, _text)

    def _whole(self, event: LogEvent) -> bytes:
        return _join(_pairs(event, self._clock))

    def _cut(self, event: LogEvent, size: int) -> bytes:
        pairs = _pairs(event, self._clock)
        pairs["truncated"] = str(size)
        return _join(fit_event(pairs, self._max_event_bytes, KEPT, _size))

    def _together(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        clock = self._clock
        texts = self._pairs.texts
        starts: list[str] = []
        mappings: list[dict[str, Any]] = []
        context_keys: set[str] = set()
        window_start, window_text = clock.window
        last_origin = last_ambient = last_task = last_level = None
        shared = NOTHING
        start = head = middle = tail = end = ""
        numbers: int | str
        for sequence, item in enumerate(items, first_sequence):
            record = item if type(item) is tuple else plain_record(cast("LogEvent", item))
            if record is None:
                start += self._line(item, sequence).decode()
                continue
            time_ns, level, message, fields, origin, ambient, task, extras = record
            if extras is not None:
                start += self._line(item, sequence).decode()
                continue
            numbers = _numbers(cast("LogEvent", item)) if record is not item else sequence
            elapsed = time_ns - window_start
            if not 0 <= elapsed < MILLISECOND:
                window_start, window_text = clock.move(time_ns)
                elapsed = time_ns - window_start
            if origin is not last_origin or ambient is not last_ambient or task is not last_task:
                shared = self._shared.of(origin, ambient, task)
                middle, tail, end = shared.middle, shared.tail, shared.end
                context_keys |= shared.context_keys
                last_origin, last_ambient, last_task, last_level = origin, ambient, task, None
            if level != last_level:
                head = shared.heads[level]
                last_level = level
            start += (
                f"timestamp={window_text}{MICROSECONDS[elapsed // 1000]}{head}{texts[message]}{middle}{numbers}{tail}"
            )
            if fields:
                starts.append(start)
                mappings.append(fields)
                start = end
            else:
                start += end
        return self._interleaved(starts, mappings, start, context_keys)

    def _share(self, origin: Origin, ambient: Ambient, task: str) -> Shared:
        values = {**ambient.values, **origin.bound}
        return Shared(
            {level: self._head(level, severity, origin) for level, severity in DEFAULT_SEVERITY.items()},
            self._own("source", origin.source) + " sequence=",
            self._identity(origin, ambient.correlation_id, task),
            self._pairs.pairs(values) + "\n",
            frozenset(values),
        )

    def _quick(self, event: LogEvent) -> str:
        origin, fields, context = event._record[4], event._record[3], event.context
        if event.exception or not fields.keys().isdisjoint(context):
            raise NotQuick
        pairs = self._pairs.pairs
        return (
            f"timestamp={self._clock.text(event.time_ns)}{self._head(event.level_number, event.severity, origin)}"
            f"{self._pairs.texts[event.message]}{self._own('source', origin.source)} sequence={_numbers(event)}"
            f"{self._identity(origin, event.correlation_id, event.task)}"
            f"{self._prefixed('tags.', event.tags)}{self._prefixed('metrics.', event.metrics)}"
            f"{pairs(fields)}{pairs(context)}\n"
        )

    def _head(self, level: int, severity: int, origin: Origin) -> str:
        return f" level={LEVEL_NAMES[level]} severity={severity}{self._own('logger', origin.logger)} message="

    def _identity(self, origin: Origin, correlation_id: str, task: str) -> str:
        own = self._own
        return own("task", task) + own("container", origin.container_id) + own("correlation_id", correlation_id)

    def _own(self, key: str, value: str) -> str:
        return f" {key}={self._pairs.texts[value]}" if value else ""

    def _prefixed(self, prefix: str, mapping: Mapping[str, Any]) -> str:
        return self._own_pairs.pairs({prefix + key: value for key, value in mapping.items()}) if mapping else ""


def _numbers(event: LogEvent) -> int | str:
    """Return the event's number, and that of its sink behind it if it has one."""
    sink_sequence = event._sink_sequence
    return f"{event._sequence} sink_sequence={sink_sequence}" if sink_sequence else event._sequence


def _own_name(key: str) -> str | None:
    return None if key in OWN_KEYS or key.startswith(OWN_PREFIXES) else _key(key)


def _text(text: str) -> str:
    return text if text.isalnum() else _value(readable(text))


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
