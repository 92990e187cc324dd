"""LineFormatter: what the formats share that encode one event at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

from ..event import LogEvent, Record
from ._characters import event_characters, most_characters
from ._shorten import shortened
from ._timestamp import Clock


class LineFormatter(ABC):
    """A format whose batches are its events, one after the other.

    Parameters:
        max_event_bytes: the most bytes of an event, its terminator included; a larger one is cut. At least 1024.
    """

    __slots__ = ("_clock", "_max_event_bytes", "_most_characters", "name")

    def __init__(self, name: str, max_event_bytes: int) -> None:
        self.name: str = name
        self._max_event_bytes = max_event_bytes
        self._most_characters = most_characters(max_event_bytes)
        self._clock = Clock()

    def format(self, event: LogEvent) -> bytes:
        """Return *event* as one record, its terminator included; never raises because of the event's data."""
        size = event_characters(event, self._most_characters)
        if size <= self._most_characters:
            encoded = self._whole(event)
            size = len(encoded)
            if size <= self._max_event_bytes:
                return encoded
        return self._cut(shortened(event, self._max_event_bytes), size)

    @abstractmethod
    def _whole(self, event: LogEvent) -> bytes:
        """Return all of *event*, whatever its size."""

    @abstractmethod
    def _cut(self, event: LogEvent, size: int) -> bytes:
        """Return what is most important in *event*, which is too large, within the limit; it says *size* in it."""

    def format_batch(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        """Return all *items*, in order; a record takes its sequence from *first_sequence* plus its position."""
        buffer = bytearray()
        for position, item in enumerate(items, first_sequence):
            event = LogEvent.from_record(item, position) if type(item) is tuple else cast("LogEvent", item)
            buffer += self.format(event)
        return bytes(buffer)
