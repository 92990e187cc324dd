"""Wanted: what a test says of an event it looks for, and which events come nearest to that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import attrs

from ..event import Level, LogEvent
from ..shown import show

_SHOWN = 5
"""How many of the nearest events a failed assertion shows."""
_LOOKED_AT = 1000
"""How many of the last events are compared with what was looked for; comparing texts takes its time."""

_MAPPINGS = ("fields", "context", "tags", "metrics")


def _level_name(level: str | int | None) -> str | None:
    return None if level is None else Level.parse(level).name


@attrs.frozen(kw_only=True)
class Wanted:
    """What an event has to be like; whatever is None or empty may be anything.

    Raises:
        ValueError: if a level is none.
    """

    message: str | re.Pattern[str] | None = None
    """The whole message, or a pattern that is found in it."""
    level: str | None = attrs.field(default=None, converter=_level_name)
    at_least: str | None = attrs.field(default=None, converter=_level_name)
    """The lowest level that will do."""
    logger: str | None = None
    exception: str | None = None
    """The name of the exception's type, without its module."""
    fields: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """What the event's fields contain among others; the same for the other mappings."""
    context: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    tags: Mapping[str, str] = attrs.field(factory=dict[str, str])
    metrics: Mapping[str, float] = attrs.field(factory=dict[str, float])

    def matches(self, event: LogEvent) -> bool:
        """Return whether *event* is like that."""
        return not any(reason for _, reason in self._differences(event))

    def differences(self, event: LogEvent) -> list[str]:
        """Return how *event* is not like that, in words."""
        return [reason for _, reason in self._differences(event) if reason]

    def _differences(self, event: LogEvent) -> Iterator[tuple[float, str]]:
        """Yield how near each thing asked for is, from 0 to 1, and what is wrong with it, if anything."""
        if self.message is not None:
            yield self._message(event.message)
        for name in ("level", "logger"):
            wanted, found = getattr(self, name), getattr(event, name)
            if wanted is not None:
                yield (1.0, "") if wanted == found else (0.0, f"{name} is {found or 'empty'}, not {wanted or 'empty'}")
        if self.at_least is not None:
            enough = event.level_number >= Level[self.at_least].value
            yield (1.0, "") if enough else (0.0, f"level is {event.level}, below {self.at_least}")
        if self.exception is not None:
            found = _type_name(event)
            yield (1.0, "") if self.exception == found else (0.0, f"exception is {found or 'none'}")
        for name in _MAPPINGS:
            wanted, found = getattr(self, name), getattr(event, name)
            for key, value in wanted.items():
                if key not in found:
                    yield 0.0, f"{name} has no {key!r}"
                elif found[key] == value:
                    yield 1.0, ""
                else:
                    yield 0.5, f"{name}[{key!r}] is {show(found[key])}, not {show(value)}"

    def _message(self, found: str) -> tuple[float, str]:
        if isinstance(self.message, re.Pattern):
            return (1.0, "") if self.message.search(found) else (0.0, "the pattern is not found in the message")
        if found == self.message:
            return 1.0, ""
        likeness = SequenceMatcher(None, (self.message or "")[:200], found[:200], autojunk=False).ratio()
        return likeness, "the message is another one"

    def nearness(self, event: LogEvent) -> float:
        """Return how much *event* is like that; more is nearer."""
        return sum(near for near, _ in self._differences(event))

    def __str__(self) -> str:
        parts: list[str] = []
        if isinstance(self.message, re.Pattern):
            parts.append(f"message found by {self.message.pattern!r}")
        elif self.message is not None:
            parts.append(f"message {self.message!r}")
        named = ((name, getattr(self, name)) for name in ("level", "logger", "exception"))
        parts += [f"{name} {value}" for name, value in named if value is not None]
        if self.at_least is not None:
            parts.append(f"level {self.at_least} or above")
        parts += [f"{name} {dict(getattr(self, name))!r}" for name in _MAPPINGS if getattr(self, name)]
        return ", ".join(parts) or "anything"


def told(event: LogEvent) -> str:
    """Return *event* as one bounded line, with what it has of fields, tags, context and metrics."""
    parts = [f"{event.level} {show(event.message)}"]
    if event.logger:
        parts.append(f"logger={event.logger}")
    parts += [f"{name}={show(getattr(event, name))}" for name in _MAPPINGS if getattr(event, name)]
    if event.exception is not None:
        parts.append(f"exception={_type_name(event)}")
    return " ".join(parts)


def nearest(wanted: Wanted, events: Sequence[LogEvent]) -> str:
    """Return the *events* that come nearest to what is *wanted*, each with what is wrong with it, as lines."""
    if not events:
        return "  nothing was logged at all"
    looked_at = list(enumerate(events, 1))[-_LOOKED_AT:]
    best = sorted(looked_at, key=lambda pair: wanted.nearness(pair[1]), reverse=True)[:_SHOWN]
    lines: list[str] = []
    for position, event in best:
        lines.append(f"  {position}. {told(event)}")
        lines += [f"       {reason}" for reason in wanted.differences(event)]
    if len(events) > len(best):
        lines.append(f"  ... of {len(events)} events")
    return "\n".join(lines)


def listed(events: Iterable[LogEvent]) -> str:
    """Return *events* as lines, the first few of them."""
    every = list(events)
    lines = [f"  {told(event)}" for event in every[: 2 * _SHOWN]]
    if len(every) > len(lines):
        lines.append(f"  ... and {len(every) - len(lines)} more")
    return "\n".join(lines)


def _type_name(event: LogEvent) -> str:
    return "" if event.exception is None else str(event.exception.get("type", ""))
