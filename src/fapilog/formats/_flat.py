"""Events as one flat mapping, in which no key of a user can pass for the event's own."""

from __future__ import annotations

from typing import Any

from ..event import LogEvent
from ._careful import readable
from ._timestamp import Clock

OWN_KEYS = frozenset(
    {
        *("timestamp", "level", "severity", "logger", "message", "source", "sequence", "task", "container"),
        *("correlation_id", "exception", "truncated", "tags", "metrics"),
    }
)
"""Names that only the event itself uses, whether or not this event has them."""
_OWN_PREFIXES = ("tags.", "metrics.")


def flat(event: LogEvent, clock: Clock) -> dict[str, Any]:
    """Return *event* as one mapping: its own attributes, then tags and metrics, then fields, then context.

    A field's key that the event uses itself, or that is taken, is put behind ``fields.``, and a context's key behind
    ``context.``, as often as it takes to make it free.
    """
    result: dict[str, Any] = {
        "timestamp": clock.text(event.time_ns),
        "level": event.level,
        "severity": event.severity,
        "logger": event.logger,
        "message": event.message,
        "source": event.source,
        "sequence": event.sequence,
        "task": event.task,
        "container": event.container_id,
        "correlation_id": event.correlation_id,
    }
    result = {name: value for name, value in result.items() if value != "" or name == "message"}
    for prefix, mapping in (("tags.", event.tags), ("metrics.", event.metrics)):
        for key, value in mapping.items():
            _put(result, prefix + readable(key), value, prefix)
    for prefix, mapping in (("fields.", event.fields), ("context.", event.context)):
        for key, value in mapping.items():
            name = readable(key)
            if name in OWN_KEYS or name.startswith(_OWN_PREFIXES):
                name = prefix + name
            _put(result, name, value, prefix)
    if event.exception:
        result["exception"] = event.exception
    return result


def _put(result: dict[str, Any], name: str, value: Any, prefix: str) -> None:
    while name in result:
        name = prefix + name
    result[name] = value
