"""The memory sink: keeps the latest events for tests and for looking at a running program."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

import attrs

from ..event import LogEvent
from ..plugins.batch import Batch
from ..plugins.metadata import PluginMetadata, PluginType


@attrs.frozen
class MemoryConfig:
    """What the memory sink can be told."""

    max_events: int = attrs.field(default=1000, validator=[attrs.validators.instance_of(int), attrs.validators.ge(1)])
    """How many events are kept, at least 1; beyond that the oldest one goes."""


class MemorySink:
    """Keeps the last ``max_events`` events; may be read from any thread while events arrive."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="memory", version="1.0.0", plugin_type=PluginType.SINK, entry_point="fapilog.sinks.memory:MemorySink"
    )
    Config = MemoryConfig
    blocking: ClassVar[bool] = False

    def __init__(self, config: MemoryConfig | None = None) -> None:
        config = config or MemoryConfig()
        self._events: deque[LogEvent] = deque(maxlen=config.max_events)
        self._total = 0

    def write(self, batch: Batch) -> None:
        """Keep the events of *batch*."""
        self._events.extend(batch.events)
        self._total += len(batch)

    @property
    def events(self) -> tuple[LogEvent, ...]:
        """The events kept, oldest first."""
        # Copied first: a deque must not change while it is iterated, and its copy is made in one step.
        return tuple(self._events.copy())

    @property
    def messages(self) -> tuple[str, ...]:
        """The messages of the events kept, oldest first."""
        return tuple(event.message for event in self.events)

    @property
    def total(self) -> int:
        """How many events were ever written, whether they are still kept or not."""
        return self._total

    def clear(self) -> None:
        """Forget the events kept; ``total`` stays."""
        self._events.clear()

    def __repr__(self) -> str:
        return f"<MemorySink {len(self._events)} of {self._total} events kept>"
