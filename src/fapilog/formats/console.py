"""The ``console`` format: one line an event for people, with its exception below it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import attrs

from ..event import DEFAULT_SEVERITY, LogEvent
from ._exception_lines import exception_lines
from ._fit import cut_text, fit_mapping
from ._lines import LineFormatter
from ._visible import visible, visible_key, visible_value

_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
_BOLD = "\x1b[1m"
_KEY = "\x1b[36m"
_LEVELS = {
    "DEBUG": "\x1b[2m",
    "INFO": "\x1b[32m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "CRITICAL": "\x1b[1;31m",
}
_LOGGER_WIDTH = 14
_MESSAGE_WIDTH = 32
_FIXED_BYTES = 256
"""More than the time, the level, the padding, the colours and ``truncated`` take together."""
_LOGGER_BYTES = 96


@attrs.frozen
class _Parts:
    """What to show of an event, safe to show already."""

    logger: str
    message: str
    pairs: Mapping[str, str]
    dim: AbstractSet[str]
    """The keys of pairs that are the same for many events."""
    below: list[str]


class ConsoleFormatter(LineFormatter):
    """Formats events for people: local time, level, logger, message, and what belongs to it as ``key=value``.

    Nothing in an event can reach the terminal as a control: what is not printable is shown as in a Python string.
    Only the first line of an event starts in the first column.

    Parameters:
        max_event_bytes: the most bytes of an event, its exception included; a larger one is cut. At least 1024.
        colour: whether to use ANSI colours.
    """

    __slots__ = ("_colour", "_second")

    def __init__(self, *, max_event_bytes: int = 262_144, colour: bool = False) -> None:
        super().__init__("console_colour" if colour else "console", max_event_bytes)
        self._colour = colour
        self._second: tuple[int, str] = (0, _clock(0))

    def format(self, event: LogEvent) -> bytes:
        """Return *event* as one line, and indented lines for its exception; never raises because of its data."""
        parts = _parts(event)
        encoded = self._join(event, parts)
        if len(encoded) > self._max_event_bytes:
            encoded = self._join(event, self._cut(parts, len(encoded)))
        return encoded

    def _join(self, event: LogEvent, parts: _Parts) -> bytes:
        level = event.level
        columns = [self._paint(_DIM, self._time(event.time_ns)), self._paint(_LEVELS[level], f"{level:<8}")]
        if parts.logger:
            columns.append(f"{parts.logger:<{_LOGGER_WIDTH}}")
        message = f"{parts.message:<{_MESSAGE_WIDTH}}" if parts.pairs else parts.message
        columns.append(self._paint(_BOLD, message))
        for key, value in parts.pairs.items():
            if key in parts.dim:
                columns.append(self._paint(_DIM, f"{key}={value}"))
            else:
                columns.append(f"{self._paint(_KEY, key)}={value}")
        lines = [" ".join(columns), *[f"    {line}" for line in parts.below], ""]
        return "\n".join(lines).encode()

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text

    def _time(self, time_ns: int) -> str:
        second, rest = divmod(time_ns, 1_000_000_000)
        known = self._second
        if known[0] != second:
            # Kept whole in one attribute: threads that format at once never see half of it.
            known = self._second = (second, _clock(second))
        return f"{known[1]}.{rest // 1_000_000:03d}"

    def _cut(self, parts: _Parts, size: int) -> _Parts:
        """Return *parts* small enough; of the room, the message may take half, then the pairs, then the exception."""
        room = self._max_event_bytes - _FIXED_BYTES
        logger = _shortened(parts.logger, _LOGGER_BYTES)
        room -= _size(logger)
        message = _shortened(parts.message, room // 2)
        room -= _size(message)
        pairs = fit_mapping(parts.pairs, room // 2 if parts.below else room, _pair_size)
        room -= sum(_pair_size(key) + _pair_size(value) for key, value in pairs.items())
        below: list[str] = []
        for line in parts.below:
            line = _shortened(line, self._max_event_bytes // 4)
            room -= _size(line) + 5
            if room < 64:
                below.append(f"... {len(parts.below) - len(below)} more lines")
                break
            below.append(line)
        return _Parts(logger, message, {**pairs, "truncated": str(size)}, parts.dim, below)


def _parts(event: LogEvent) -> _Parts:
    pairs: dict[str, str] = {}
    for key, value in event.fields.items():
        pairs[visible_key(key)] = visible_value(value)
    own = set(pairs)
    for prefix, mapping in (("metrics.", event.metrics), ("tags.", event.tags), ("", event.context)):
        for key, value in mapping.items():
            name = visible_key(prefix + key)
            while name in pairs:
                name = f"context.{name}"
            pairs[name] = visible_value(value)
    if event.correlation_id and "correlation_id" not in pairs:
        pairs["correlation_id"] = visible_value(event.correlation_id)
    dim = pairs.keys() - own
    if event.severity != DEFAULT_SEVERITY[event.level_number]:
        pairs.setdefault("severity", str(event.severity))
    below = list(exception_lines(event.exception)) if event.exception else []
    return _Parts(visible(event.logger), visible(event.message), pairs, dim, below)


def _clock(second: int) -> str:
    try:
        return time.strftime("%H:%M:%S", time.localtime(second))
    except (ValueError, OverflowError, OSError):  # beyond what the platform's calendar knows
        return time.strftime("%H:%M:%S", time.gmtime(second % 86_400))


def _shortened(text: str, budget: int) -> str:
    return cut_text(text, budget, _size) if _size(text) > budget else text


def _size(text: str) -> int:
    return len(text.encode())


def _pair_size(text: str) -> int:
    return _size(text) + 6  # half of what colours and separators add to a pair
