"""Events as short as they have to be, before any of their text is looked at."""

from __future__ import annotations

from typing import Any

from ..event import NO_AMBIENT, Extras, LogEvent, Origin
from ..values import FrozenDict
from ._characters import characters
from ._fit import fit_mapping


def shortened(event: LogEvent, max_event_bytes: int) -> LogEvent:
    """Return a copy of *event* whose texts are cut, and of whose containers only the start is kept.

    What was cut away is told as ``…<10000000 characters>`` and ``<1000 more>``.
    """
    time_ns, level, message, fields, origin, _, task, _ = event._record
    parts: dict[str, Any] = {
        "message": message,
        "fields": fields,
        "context": event.context,
        "exception": event.exception,
        "tags": event.tags,
        "metrics": event.metrics,
        "correlation_id": event.correlation_id,
        "task": task,
        "logger": origin.logger,
        "source": origin.source,
        "container": origin.container_id,
    }
    parts = fit_mapping(parts, max_event_bytes, characters)
    result = event.copy()
    result._record = (
        time_ns,
        level,
        parts["message"],
        parts["fields"],
        Origin(logger=parts["logger"], source=parts["source"], container_id=parts["container"]),
        NO_AMBIENT,
        parts["task"],
        Extras(
            severity=event.severity,
            tags=parts["tags"],
            metrics=parts["metrics"],
            exception=parts["exception"],
            correlation_id=parts["correlation_id"],
        ),
    )
    result._sink_sequence = event._sink_sequence
    result._fields = None
    result._context = FrozenDict(parts["context"])
    return result
