"""Events as one flat mapping, in which no key of a user can pass for the event's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..event import LEVEL_NAMES, LogEvent
from ._careful import numbered, readable
from ._timestamp import Clock

OWN_KEYS = frozenset(
    {
        *("timestamp", "level", "severity", "logger", "message", "source", "sequence", "task", "container"),
        *("sink_sequence", "correlation_id", "exception", "truncated", "tags", "metrics"),
    }
)
"""Names that only the event itself uses, whether or not this event has them."""
OWN_PREFIXES = ("tags.", "metrics.")
_MOST_PREFIXES = 3


def flat(event: LogEvent, clock: Clock) -> dict[str, Any]:
    """Return *event* as one mapping: its own attributes, then tags and metrics, then fields, then context.

    A field's key that the event uses itself, or that is taken, is put behind ``fields.``, and a context's key behind
    ``context.``, up to three times; after that it gets a number.
    """
    time_ns, level, message, fields, origin, _, task, _ = event._record
    result: dict[str, Any] = {
        "timestamp": clock.text(time_ns),
        "level": LEVEL_NAMES[level],
        "severity": event.severity,
    }
    if origin.logger:
        result["logger"] = origin.logger
    result["message"] = message
    if origin.source:
        result["source"] = origin.source
    result["sequence"] = event._sequence
    if event._sink_sequence:
        result["sink_sequence"] = event._sink_sequence
    if task:
        result["task"] = task
    if origin.container_id:
        result["container"] = origin.container_id
    if event.correlation_id:
        result["correlation_id"] = event.correlation_id
    numbers: dict[str, int] = {}
    mapping: Mapping[str, Any]
    for prefix, mapping in (("tags.", event.tags), ("metrics.", event.metrics)):
        for key, value in mapping.items():
            result[_free(prefix + readable(key), prefix, result, numbers)] = value
    for prefix, mapping in (("fields.", fields), ("context.", event.context)):
        for key, value in mapping.items():
            name = key if key.isascii() else readable(key)
            if name in OWN_KEYS or name in result or name.startswith(OWN_PREFIXES):
                name = _free(prefix + name, prefix, result, numbers)
            result[name] = value
    if event.exception:
        result["exception"] = event.exception
    return result


def _free(name: str, prefix: str, taken: Mapping[str, Any], numbers: dict[str, int]) -> str:
    # Thousands of keys may be the same once they are readable: without an end to it, their names would become huge.
    for _ in range(_MOST_PREFIXES - 1):
        if name not in taken:
            return name
        name = prefix + name
    return numbered(name, taken, numbers) if name in taken else name
