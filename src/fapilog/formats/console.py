"""The ``console`` format: one line an event for people, with its exception below it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

from ..event import DEFAULT_SEVERITY, LEVEL_NAMES, Ambient, LogEvent, Origin, Record
from ._exception_lines import exception_lines
from ._fit import cut_text, fit_mapping, hidden
from ._quick_lines import NOTHING, QuickLineFormatter, Shared
from ._quick_pairs import NotQuick, PairWriter, Remembered
from ._shared import plain_record
from ._visible import visible, visible_key, visible_value

_SECOND = 1_000_000_000
_MILLISECONDS = tuple(f".{number:03d}" for number in range(1000))
_LEVEL_WIDTH = 8
_LOGGER_WIDTH = 14
_MESSAGE_WIDTH = 32
_FIXED_BYTES = 256
"""More than the time, the level, the padding, the colours and ``truncated`` take together."""
_LOGGER_BYTES = 96
_LAST_KEYS = frozenset({"correlation_id", "severity"})
"""Keys of the event's own pairs, which come last and give way to others of the same name."""


# Plain classes: reading an attribute of a tuple with names takes several times as long.
class _Colours:
    """The sequences that switch a colour on, and all of them off; empty where there are to be none."""

    __slots__ = ("bold", "dim", "key", "levels", "off")

    def __init__(self, dim: str, bold: str, key: str, off: str, levels: Mapping[int, str]) -> None:
        self.dim: str = dim
        self.bold: str = bold
        self.key: str = key
        self.off: str = off
        self.levels: Mapping[int, str] = levels
        """Each level as it is shown, with a blank behind it."""


def _colours(
    dim: str = "", bold: str = "", key: str = "", off: str = "", levels: Sequence[str] = ("",) * 5
) -> _Colours:
    shown = {
        number: f"{colour}{name:<{_LEVEL_WIDTH}}{off} "
        for (number, name), colour in zip(LEVEL_NAMES.items(), levels, strict=True)
    }
    return _Colours(dim, bold, key, off, shown)


_PLAIN = _colours()
_ANSI = _colours(
    "\x1b[2m", "\x1b[1m", "\x1b[36m", "\x1b[0m", ("\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[1;31m")
)


class _Parts:
    """What to show of an event, safe to show already."""

    __slots__ = ("below", "dim", "logger", "message", "more", "pairs")

    def __init__(
        self,
        logger: str,
        message: str,
        pairs: Mapping[str, str],
        dim: AbstractSet[str],
        below: Sequence[str] = (),
        more: int = 0,
    ) -> None:
        self.logger: str = logger
        self.message: str = message
        self.pairs: Mapping[str, str] = pairs
        self.dim: AbstractSet[str] = dim
        """The keys of pairs that are the same for many events."""
        self.below: Sequence[str] = below
        self.more: int = more
        """The lines that would follow those below."""


class ConsoleFormatter(QuickLineFormatter):
    """Formats events for people: local time, level, logger, message, and what belongs to it as ``key=value``.

    Nothing in an event can reach the terminal as a control: what is not printable is shown as in a Python string.
    Only the first line of an event starts in the first column.

    Parameters:
        max_event_bytes: the most bytes of an event, its exception included; a larger one is cut. At least 1024.
        colour: whether to use ANSI colours.
    """

    __slots__ = ("_colours", "_dim_pairs", "_messages", "_second")

    def __init__(self, *, max_event_bytes: int = 262_144, colour: bool = False) -> None:
        colours = self._colours = _ANSI if colour else _PLAIN
        super().__init__(
            "console_colour" if colour else "console",
            max_event_bytes,
            PairWriter(
                _own_name,
                visible_key,
                before_key=f" {colours.key}",
                after_key=f"{colours.off}=",
                unsafe=b" ='\\\x7f",
            ),
        )
        self._dim_pairs = PairWriter(visible_key, visible_key, before_key=f" {colours.dim}", after_value=colours.off)
        self._messages = Remembered(lambda message: visible(message).ljust(_MESSAGE_WIDTH) + colours.off)
        self._second: tuple[int, str] = (0, _clock(0))

    def _together(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        messages = self._messages
        dim = self._colours.dim
        starts: list[str] = []
        mappings: list[dict[str, Any]] = []
        context_keys: set[str] = set()
        last_origin = last_ambient = last_task = None
        shared = NOTHING
        start = ""
        for sequence, item in enumerate(items, first_sequence):
            record = item if type(item) is tuple else plain_record(cast("LogEvent", item))
            if record is None:
                start += self._line(item, sequence).decode()
                continue
            time_ns, level, message, fields, origin, ambient, task, extras = record
            if origin is not last_origin or ambient is not last_ambient or task is not last_task:
                shared = self._shared.of(origin, ambient, task)
                context_keys |= shared.context_keys
                last_origin, last_ambient, last_task = origin, ambient, task
            if extras is not None or not (fields or shared.context_keys):
                start += self._line(item, sequence).decode()
                continue
            start += f"{dim}{self._time(time_ns)}{shared.heads[level]}{messages[message]}"
            if fields:
                starts.append(start)
                mappings.append(fields)
                start = shared.end
            else:
                start += shared.end
        return self._interleaved(starts, mappings, start, context_keys)

    def _share(self, origin: Origin, ambient: Ambient, task: str) -> Shared:
        pairs = {**ambient.values, **origin.bound}
        if not _LAST_KEYS.isdisjoint(pairs):
            raise NotQuick
        if ambient.correlation_id:
            pairs["correlation_id"] = ambient.correlation_id
        heads = {level: self._head(level, origin) for level in LEVEL_NAMES}
        return Shared(heads, "", "", self._dim_pairs.pairs(pairs) + "\n", frozenset(pairs))

    def _quick(self, event: LogEvent) -> str:
        if event.exception:
            raise NotQuick
        fields = event._record[3]
        dim: dict[str, Any] = {f"metrics.{key}": value for key, value in event.metrics.items()}
        dim.update((f"tags.{key}", value) for key, value in event.tags.items())
        others = len(dim) + len(event.context)
        dim.update(event.context)
        if len(dim) != others or not fields.keys().isdisjoint(dim) or not _LAST_KEYS.isdisjoint(dim):
            raise NotQuick
        if event.correlation_id:
            dim["correlation_id"] = event.correlation_id
        pairs = self._pairs.pairs(fields) + self._dim_pairs.pairs(dim)
        colours = self._colours
        if event.severity != DEFAULT_SEVERITY[event.level_number]:
            pairs += f" {colours.key}severity{colours.off}={event.severity}"
        message = self._messages[event.message] if pairs else f"{visible(event.message)}{colours.off}"
        head = self._head(event.level_number, event._record[4])
        return f"{colours.dim}{self._time(event.time_ns)}{head}{message}{pairs}\n"

    def _head(self, level: int, origin: Origin) -> str:
        """Return what stands between the time and the message."""
        colours = self._colours
        logger = visible(origin.logger).ljust(_LOGGER_WIDTH) + " " if origin.logger else ""
        return f"{colours.off} {colours.levels[level]}{logger}{colours.bold}"

    def _whole(self, event: LogEvent) -> bytes:
        return self._join(event, _parts(event, self._most_characters))

    def _cut(self, event: LogEvent, size: int) -> bytes:
        return self._join(event, self._fitted(_parts(event, self._max_event_bytes), size))

    def _join(self, event: LogEvent, parts: _Parts) -> bytes:
        colours = self._colours
        dim, off = colours.dim, colours.off
        line = f"{dim}{self._time(event.time_ns)}{off} {colours.levels[event.level_number]}"
        if parts.logger:
            line += parts.logger.ljust(_LOGGER_WIDTH) + " "
        if not parts.pairs:
            line += f"{colours.bold}{parts.message}{off}"
        else:
            line += f"{colours.bold}{parts.message.ljust(_MESSAGE_WIDTH)}{off} "
            line += " ".join(
                [
                    f"{dim}{key}={value}{off}" if key in parts.dim else f"{colours.key}{key}{off}={value}"
                    for key, value in parts.pairs.items()
                ]
                if off
                else [f"{key}={value}" for key, value in parts.pairs.items()]
            )
        return "\n    ".join([line, *parts.below]).encode() + b"\n"

    def _time(self, time_ns: int) -> str:
        start, text = self._second
        elapsed = time_ns - start
        if not 0 <= elapsed < _SECOND:
            second = time_ns // _SECOND
            start, text = second * _SECOND, _clock(second)
            # Kept whole in one attribute: threads that format at once never see half of it.
            self._second = start, text
            elapsed = time_ns - start
        return text + _MILLISECONDS[elapsed // 1_000_000]

    def _fitted(self, parts: _Parts, size: int) -> _Parts:
        """Return *parts* small enough; of the room, the message may take half, then the pairs, then the exception."""
        room = self._max_event_bytes - _FIXED_BYTES
        logger = _cut_to(parts.logger, _LOGGER_BYTES)
        room -= _size(logger, room)
        message = _cut_to(parts.message, room // 2)
        room -= _size(message, room)
        pairs = fit_mapping(parts.pairs, room // 2 if parts.below else room, _pair_size)
        room -= sum(_pair_size(key, room) + _pair_size(value, room) for key, value in pairs.items())
        below: list[str] = []
        for number, line in enumerate(parts.below):
            line = _cut_to(line, self._max_event_bytes // 4)
            room -= _size(line, room) + 5
            if room < 64:
                more = len(parts.below) - number + hidden(parts.below[number:]) + parts.more
                below.append(f"... {more} more lines")
                break
            below.append(line)
        return _Parts(logger, message, {**pairs, "truncated": str(size)}, parts.dim, below)


def _own_name(key: str) -> str | None:
    return None if key in _LAST_KEYS else visible_key(key)


def _parts(event: LogEvent, room: int) -> _Parts:
    """Return the parts of *event*, with at most *room* characters of the exception."""
    pairs = {visible_key(key): visible_value(value) for key, value in event._record[3].items()}
    dim: set[str] = set()
    for prefix, mapping in (("metrics.", event.metrics), ("tags.", event.tags), ("", event.context)):
        for key, value in mapping.items():
            name = visible_key(prefix + key)
            while name in pairs:
                name = f"context.{name}"
            pairs[name] = visible_value(value)
            dim.add(name)
    if event.correlation_id and "correlation_id" not in pairs:
        pairs["correlation_id"] = visible_value(event.correlation_id)
        dim.add("correlation_id")
    if event.severity != DEFAULT_SEVERITY[event.level_number]:
        pairs.setdefault("severity", str(event.severity))
    logger, message = visible(event.logger), visible(event.message)
    if not event.exception:
        return _Parts(logger, message, pairs, dim)
    lines = exception_lines(event.exception, room)
    return _Parts(logger, message, pairs, dim, lines.collected, lines.more)


def _clock(second: int) -> str:
    try:
        return time.strftime("%H:%M:%S", time.localtime(second))
    except (ValueError, OverflowError, OSError):  # beyond what the platform's calendar knows
        return time.strftime("%H:%M:%S", time.gmtime(second % 86_400))


def _cut_to(text: str, budget: int) -> str:
    return cut_text(text, budget, _size) if _size(text, budget) > budget else text


def _size(text: str, most: int) -> int:
    return len(text) if len(text) > most else len(text.encode())


def _pair_size(text: str, most: int) -> int:
    return _size(text, most) + 6  # half of what colours and separators add to a pair
