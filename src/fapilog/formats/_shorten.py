"""Events as short as they have to be, before any of their text is looked at."""

from __future__ import annotations

from typing import Any

from ..event import LogEvent, Origin
from ._characters import characters
from ._fit import fit_mapping


def shortened(event: LogEvent, max_event_bytes: int) -> LogEvent:
    """Return a copy of *event* whose texts are cut, and of whose containers only the start is kept.

    What was cut away is told as ``…<10000000 characters>`` and ``<1000 more>``.
    """
    origin = event._origin
    parts: dict[str, Any] = {
        "message": event._message,
        "fields": event._fields,
        "context": event.context,
        "exception": event._exception,
        "tags": event._tags,
        "metrics": event._metrics,
        "correlation_id": event._correlation_id,
        "task": event._task,
        "logger": origin.logger,
        "source": origin.source,
        "container": origin.container_id,
    }
    parts = fit_mapping(parts, max_event_bytes, characters)
    result = event.copy()
    result._message = parts["message"]
    result._fields = parts["fields"]
    result._context = parts["context"]
    result._exception = parts["exception"]
    result._tags = parts["tags"]
    result._metrics = parts["metrics"]
    result._correlation_id = parts["correlation_id"]
    result._task = parts["task"]
    result._origin = Origin(logger=parts["logger"], source=parts["source"], container_id=parts["container"])
    return result
