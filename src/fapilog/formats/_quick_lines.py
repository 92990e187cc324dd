"""QuickLineFormatter: what the formats of pairs share that write many events at once if none of them needs care."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, cast

from .._accelerated import accelerator
from ..event import Ambient, LogEvent, Origin, Record
from ..values import FrozenDict
from ._lines import LineFormatter
from ._quick_pairs import MOST_CHARACTERS, NotQuick, PairWriter
from ._shared import SharedPieces

_TOGETHER = 64
_MOST_BYTES = 32_768
"""A longer line is written the careful way, which counts what it holds."""


class Shared:
    """What the lines of one logger, context and task have in common."""

    __slots__ = ("context_keys", "end", "heads", "middle", "tail")

    def __init__(self, heads: dict[int, str], middle: str, tail: str, end: str, context_keys: frozenset[str]) -> None:
        self.heads: dict[int, str] = heads
        """What stands between the time and the message, by level."""
        self.middle: str = middle
        """What stands between the message and the sequence; everything up to the fields where there is none."""
        self.tail: str = tail
        self.end: str = end
        """What follows the fields, the end of the line included."""
        self.context_keys: frozenset[str] = context_keys


NOTHING = Shared({}, "", "", "", frozenset())


class QuickLineFormatter(LineFormatter):
    """A format that has two ways to write a line: as it is, or event by event with all care.

    Parameters:
        max_event_bytes: the most bytes of an event, its terminator included; a larger one is cut. At least 1024.
    """

    __slots__ = ("_interleaved", "_pairs", "_quick_bytes", "_shared", "reads_unpacked")

    def __init__(self, name: str, max_event_bytes: int, pairs: PairWriter) -> None:
        super().__init__(name, max_event_bytes)
        self._pairs = pairs
        self._shared = SharedPieces(name, self._share)
        self._quick_bytes = min(max_event_bytes, _MOST_BYTES)
        self.reads_unpacked: bool = accelerator is not None
        """Whether it reads the fields of a call as the accelerator leaves them; see ``Record`` in record.py."""
        self._interleaved: Callable[[list[str], list[dict[str, Any]], str, set[str]], bytes] = (
            partial(interleaved, pairs)
            if accelerator is None
            else accelerator.PairEncoder(
                names=pairs.names,
                texts=pairs.texts,
                plain=pairs.plain,
                mapping_type=FrozenDict,
                not_quick=NotQuick,
                most=self._quick_bytes,
            )
        )

    def format_batch(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        """Return all *items*, in order; a record takes its sequence from *first_sequence* plus its position."""
        payload: list[bytes] = []
        for start in range(0, len(items), _TOGETHER):
            some = items[start : start + _TOGETHER]
            try:
                lines = self._together(some, first_sequence + start)
            except NotQuick:
                lines = b""
            else:
                if len(lines) > self._quick_bytes and max(map(len, lines.splitlines())) >= self._quick_bytes:
                    lines = b""
            payload += [lines] if lines else map(self._line, some, count(first_sequence + start))
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def _line(self, item: Record | LogEvent, sequence: int) -> bytes:
        event = LogEvent.from_record(item, sequence) if type(item) is tuple else cast("LogEvent", item)
        origin = event._record[4]
        identity = (
            event.message,
            event.task,
            event.correlation_id,
            origin.logger,
            origin.source,
            origin.container_id,
        )
        # Also what a format leaves out counts: an event that holds too much is cut.
        if sum(map(len, identity)) <= MOST_CHARACTERS:
            try:
                line = self._quick(event).encode()
            except NotQuick:
                return self.format(event)
            if len(line) <= self._quick_bytes:
                return line
        return self.format(event)

    @abstractmethod
    def _together(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        """Return the lines of *items*; none of their fields needs care.

        Raises:
            NotQuick: if any do.
        """

    @abstractmethod
    def _quick(self, event: LogEvent) -> str:
        """Return the line of an event that has no more than some thousand characters besides its message and pairs.

        Raises:
            NotQuick: if something needs care.
        """

    @abstractmethod
    def _share(self, origin: Origin, ambient: Ambient, task: str) -> Shared:
        """Return what the lines of events have in common that say no more than where they come from.

        Raises:
            NotQuick: if something needs care.
        """


def interleaved(
    pairs: PairWriter, starts: list[str], mappings: list[dict[str, Any]], end: str, others: set[str]
) -> bytes:
    """Return each of *starts* with the pairs of its mapping behind it, and the end, as one.

    The accelerator's form does the same, and raises NotQuick less often: texts that need quotes do not hinder it.

    Parameters:
        others: keys that none of the mappings may have.

    Raises:
        NotQuick: if there is a key or value that needs more care.
    """
    if not mappings:
        return end.encode()
    parts = [end] * (2 * len(starts) + 1)
    parts[0:-1:2] = starts
    parts[1::2] = pairs.all_pairs(mappings, others)
    return "".join(parts).encode()
