"""Redaction: what only one sink's events pass, on copies of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, NamedTuple

from ..event import LogEvent
from ..metrics import StageCounts
from ..plugins import Batch
from .stages import Segment
from .steps import RedactorStep, withhold


class Redacted(NamedTuple):
    """A batch after a sink's own redactors."""

    batch: Batch
    withheld: frozenset[int]
    """The positions of its events that have lost their content because a redactor failed."""


class _SinkRedactorStep(RedactorStep):
    """A redactor of a sink's own, which notes the events at which it failed."""

    def __init__(
        self, name: str, function: Callable[..., Any], counts: StageCounts, report: Callable[[str, str], None]
    ) -> None:
        super().__init__(name, function, counts, report, timeout=1.0)  # a synchronous one has no deadline
        self.failed_at: list[LogEvent] = []

    def _on_failure(self, event: LogEvent) -> bool:
        self.failed_at.append(event)
        return super()._on_failure(event)

    def _withhold(self, event: LogEvent) -> None:
        withhold(event)  # a copy; to other sinks the event is what it was


class Redaction:
    """The redactors of a sink, and of every other sink that names the same ones in the same order.

    They are synchronous, for it is the delivery that calls them, as late as it can: what a full stream drops was not
    redacted in vain, and what is retried was redacted once.
    """

    def __init__(
        self,
        redactors: Sequence[tuple[str, Callable[..., Any]]],
        counts: StageCounts,
        report: Callable[[str, str], None],
        plugin_context: Context,
    ) -> None:
        self._steps = tuple(_SinkRedactorStep(name, function, counts, report) for name, function in redactors)
        self._segment = Segment(self._steps, plugin_context)

    def __call__(self, batch: Batch) -> Redacted:
        """Return what the redactors make of copies of the events of *batch*, which stay as they are."""
        events = batch.events
        copies = [event.copy() for event in events]
        self._segment.run(copies)
        failed = {id(event) for step in self._steps for event in step.failed_at}
        withheld = frozenset(position for position, copied in enumerate(copies) if id(copied) in failed)
        for step in self._steps:
            step.failed_at.clear()
        for event, copied in zip(events, copies, strict=True):
            copied._sequence = event._sequence
            copied._sink_sequence = event._sink_sequence
            copied._sealed = True
        return Redacted(batch.with_events(copies), withheld)
