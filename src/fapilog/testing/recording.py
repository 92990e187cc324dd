"""Recording sinks: they keep every batch in order, for a test to look at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import nan
from typing import Any, ClassVar

import anyio

from ..event import LogEvent
from ..plugins import Batch, PluginMetadata, PluginType
from .matching import Wanted


class Recorded:
    """What a sink was given, with ways to look at it."""

    def __init__(self, name: str = "recording", *, ordered: bool = True) -> None:
        """Begin with nothing.

        Parameters:
            name: the sink's name in settings and reports.
            ordered: whether a retry holds back later events.
        """
        self.metadata: PluginMetadata = PluginMetadata(name=name, version="1.0.0", plugin_type=PluginType.SINK)
        self.ordered: bool = ordered
        self.batches: list[tuple[LogEvent, ...]] = []
        """The events of each write, in order."""
        self.times: list[float] = []
        """When each write came, in seconds on the event loop's clock; NaN if it came in a thread."""
        self.flushes: int = 0
        self.closed: int = 0
        """How often the sink was closed."""

    @property
    def events(self) -> list[LogEvent]:
        """Every event written, in order."""
        return [event for batch in self.batches for event in batch]

    @property
    def messages(self) -> list[str]:
        """The message of every event written, in order."""
        return [event.message for event in self.events]

    @property
    def fields(self) -> list[Mapping[str, Any]]:
        """The fields of every event written, in order."""
        return [event.fields for event in self.events]

    def values(self, field: str) -> list[Any]:
        """Return the value of *field* in every event that has it, in order."""
        return [event.fields[field] for event in self.events if field in event.fields]

    def find(
        self,
        message: str | re.Pattern[str] | None = None,
        *,
        level: str | int | None = None,
        logger: str | None = None,
        fields: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        exception: str | None = None,
    ) -> list[LogEvent]:
        """Return the events that are like that, in order; what is not given may be anything.

        Parameters:
            message: the whole message, or a compiled pattern to be found in it.
            level: exactly this level.
            logger: the logger's dotted name; empty for the root logger.
            fields, context, tags, metrics: what the event's mapping contains among others.
            exception: the name of the exception's type.

        Raises:
            ValueError: if the level is none.
        """
        wanted = Wanted(
            message=message,
            level=level,
            logger=logger,
            exception=exception,
            fields=fields or {},
            context=context or {},
            tags=tags or {},
            metrics=metrics or {},
        )
        return [event for event in self.events if wanted.matches(event)]

    def clear(self) -> None:
        """Forget what was written."""
        self.batches.clear()
        self.times.clear()

    def _keep(self, batch: Batch) -> None:
        self.times.append(_loop_time())
        self.batches.append(batch.events)

    def _count_flush(self) -> None:
        self.flushes += 1

    def _count_closing(self) -> None:
        self.closed += 1

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.metadata.name!r} with {len(self.events)} events>"


class RecordingSink(Recorded):
    """An asynchronous sink that keeps every batch; it runs on any event loop."""

    # For a subclass that adds a plain method: it needs no thread.
    blocking: ClassVar[bool] = False

    async def write(self, batch: Batch) -> Any:
        """Keep the events of *batch*. Not a checkpoint."""
        self._keep(batch)

    async def flush(self) -> None:
        """Count the call. Not a checkpoint."""
        self._count_flush()

    async def aclose(self) -> None:
        """Count the call. Not a checkpoint."""
        self._count_closing()


class PlainRecordingSink(Recorded):
    """The same as a synchronous sink: called on the event loop's own thread, because it never blocks.

    Set ``blocking = True`` in a subclass for one that runs in a thread of its own.
    """

    blocking: ClassVar[bool] = False

    def write(self, batch: Batch) -> Any:
        """Keep the events of *batch*."""
        self._keep(batch)

    def flush(self) -> None:
        """Count the call."""
        self._count_flush()

    def aclose(self) -> None:
        """Count the call."""
        self._count_closing()


def _loop_time() -> float:
    try:
        return anyio.current_time()
    except Exception:  # AnyIO's versions differ in what they raise
        return nan
