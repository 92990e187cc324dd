"""Batch: the events of one write, and their payload encoded once per format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar, cast

from ..event import LogEvent, Record, events_of, with_mappings

T = TypeVar("T")


class Formatter(Protocol):
    """Turns events into bytes; one instance per container and format."""

    name: str
    """The name that settings and ``Batch.encoded`` know it by."""

    def format(self, event: LogEvent) -> bytes:
        """Return the event as one record, its terminator included; never raises because of the event's data."""
        ...

    def format_batch(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        """Return all *items* in order; a record takes its sequence from *first_sequence* plus its position."""
        ...


class Batch:
    """The events of one write, in order.

    A sink reads ``events``, or takes the finished payload from ``encoded(format)``, which is made once
    per format however many sinks use it. Batches are read-only.
    """

    __slots__ = ("_encoded", "_events", "_first_sequence", "_formatters", "_items", "_made")

    def __init__(
        self, items: Sequence[Record | LogEvent], first_sequence: int, formatters: Mapping[str, Formatter]
    ) -> None:
        self._items = items
        self._first_sequence = first_sequence
        self._formatters = formatters
        self._events: tuple[LogEvent, ...] | None = None
        self._encoded: dict[str, bytes] = {}
        self._made: dict[Callable[[Batch], Any], Any] | None = None

    @property
    def events(self) -> tuple[LogEvent, ...]:
        """The events, read-only."""
        events = self._events
        if events is None:
            events = self._events = tuple(_sealed_events(self._items, self._first_sequence))
        return events

    def encoded(self, format: str = "json") -> bytes:
        """Return the batch in *format*; every record ends with its terminator.

        Raises:
            LookupError: if the container has no format of that name.
        """
        payload = self._encoded.get(format)
        if payload is None:
            formatter = self._formatters.get(format)
            if formatter is None:
                raise LookupError(f"no format {format!r}; there are {', '.join(sorted(self._formatters))}")
            items = self._items if getattr(formatter, "reads_unpacked", False) else with_mappings(self._items)
            payload = self._encoded[format] = formatter.format_batch(items, self._first_sequence)
        return payload

    def select(self, positions: Sequence[int]) -> Batch:
        """Return a batch of the events at *positions* only, as a partial retry needs it."""
        events = self.events
        return Batch([events[position] for position in positions], 0, self._formatters)

    def with_events(self, events: Sequence[LogEvent]) -> Batch:
        """Return a batch of other *events*, which are sealed and have their numbers."""
        return Batch(events, self._first_sequence, self._formatters)

    def without_sink_sequence(self) -> Batch:
        """Return the batch as another sink's, in whose output the events' ``sink_sequence`` would mean nothing."""
        events = self.events
        if not events or not events[0]._sink_sequence:  # either all have one or none has
            return self
        copies = [event.copy() for event in events]
        for copied in copies:
            copied._sealed = True
        return self.with_events(copies)

    def once(self, make: Callable[[Batch], T]) -> T:
        """Return what *make* makes of this batch; it is called once, however many sinks want the same."""
        made = self._made
        if made is None:
            made = self._made = {}
        if make not in made:
            made[make] = make(self)
        result: T = made[make]
        return result

    @property
    def parts(self) -> Sequence[Batch]:
        """The batches that this one was joined from, or just this one."""
        return (self,)

    @staticmethod
    def joined(batches: Sequence[Batch]) -> Batch:
        """Return one batch with the events of all *batches*; what was encoded already is not encoded again."""
        if len(batches) == 1:
            return batches[0]
        return _JoinedBatch(batches)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[LogEvent]:
        return iter(self.events)

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} events>"


class _JoinedBatch(Batch):
    """Several batches written at once, sharing their parts' payloads."""

    __slots__ = ("_length", "_parts")

    def __init__(self, parts: Sequence[Batch]) -> None:
        super().__init__((), 0, parts[0]._formatters)
        self._parts = parts
        self._length = sum(map(len, parts))

    @property
    def events(self) -> tuple[LogEvent, ...]:
        events = self._events
        if events is None:
            events = self._events = tuple(event for part in self._parts for event in part.events)
        return events

    @property
    def parts(self) -> Sequence[Batch]:
        return [inner for part in self._parts for inner in part.parts]

    def encoded(self, format: str = "json") -> bytes:
        payload = self._encoded.get(format)
        if payload is None:
            payload = self._encoded[format] = b"".join([part.encoded(format) for part in self._parts])
        return payload

    def __len__(self) -> int:
        return self._length


def _sealed_events(items: Sequence[Record | LogEvent], sequence: int) -> Sequence[LogEvent]:
    """Return the events of a batch, which is all of one kind; a record's number is *sequence* plus its position."""
    if not items or type(items[0]) is not tuple:
        return cast("Sequence[LogEvent]", items)
    events = events_of(cast("Sequence[Record]", items))
    for event in events:
        event._sequence = sequence
        event._sealed = True
        sequence += 1
    return events


def slices(batch: Batch, size: int) -> Iterator[Batch]:
    """Cut *batch* into batches of at most *size* events."""
    if len(batch) <= size:
        yield batch
        return
    positions = iter(range(len(batch)))
    while chosen := list(islice(positions, size)):
        yield batch.select(chosen)
