"""Eviction: which queued events give way to newer ones under ``DROP_OLDEST``, and the credit that saves most looks.

What counts an event as evicted is beside what takes it out, without a call between the two: there an interrupt or a
signal handler that logs could come in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..event import Level
from .queued import Chunk

if TYPE_CHECKING:
    from ..event import Record
    from ..metrics import AdmissionCounts
    from .intake import Intake

NOTHING_OWED = 2**62


class Eviction:
    """Takes the oldest events out of an intake's queue; on the event loop's thread."""

    __slots__ = ("_counts", "_intake", "owed_beyond")

    def __init__(self, intake: Intake, counts: AdmissionCounts) -> None:
        self._intake = intake
        self._counts = counts
        self.owed_beyond: int = NOTHING_OWED
        """The length of the open chunk from which on each event has yet to evict one."""

    def let_in_on_credit(self) -> None:
        """Let calls fill the open chunk over the bound; what they owe is evicted before anybody looks at the queue.

        There is an event below ERROR in the queue, and each that enters is one, so that none of them will find nothing
        to evict.
        """
        intake = self._intake
        length, size = len(intake.chunk), intake.chunk_size
        # Nothing is called from here on. A signal handler that logged before has given the credit itself.
        if self.owed_beyond == NOTHING_OWED and not intake.door.records:
            self.owed_beyond = length
            intake.limit = size

    def settle(self) -> None:
        """Evict as many events as calls have put in over the bound."""
        intake = self._intake
        intake.limit = 0  # a signal handler that logs from here on settles its own
        length = len(intake.chunk)
        owed, self.owed_beyond = length - self.owed_beyond, NOTHING_OWED
        while owed > 0 and (number := self.evict_first_chunk(owed)):
            owed -= number
        for _ in range(owed):
            self.evict(Level.INFO)

    def evict_first_chunk(self, at_most: int) -> int:
        """Drop the oldest chunk as a whole, if all of it may go; return how many events that were."""
        intake = self._intake
        chunks = intake.chunks
        first = chunks[0]
        if first is intake.chunk or type(first) is not Chunk or len(first) > at_most:
            return 0
        for record in first:  # no generator, which would swallow an interrupt that strikes while it is closed
            if record[1] >= Level.ERROR:
                return 0
        number = len(first)
        if chunks[0] is not first:  # a signal handler that logs has evicted it meanwhile
            return 0
        del chunks[0]
        intake.queued -= number
        self._counts.dropped_evicted += number
        if intake.confirmations:
            intake.confirmations.evicted(first)
        first.clear()  # whoever was interrupted while it evicted one of these has to look for another one
        return number

    def evict(self, level: int) -> bool:
        """Drop the oldest queued event below ERROR, or the oldest of all for an ERROR; return whether there was one."""
        while True:
            try:
                found = self._next_to_go(level)
            except RuntimeError as error:
                if error.args != ("deque mutated during iteration",):
                    raise
                continue  # a signal handler that logs has put chunks into the queue, or taken some out
            if found is None:
                return False
            if self._remove(*found):
                return True

    def _next_to_go(self, level: int) -> tuple[Chunk, int, Record] | None:
        chunks = self._intake.chunks
        for item in chunks:
            if type(item) is Chunk and not item.only_errors:
                for position, record in enumerate(item):
                    if record[1] < Level.ERROR:
                        return item, position, record
                item.only_errors = item is not self._intake.chunk
        if level >= Level.ERROR:
            for item in chunks:
                if type(item) is Chunk and item:
                    return item, 0, item[0]
        return None

    def _remove(self, chunk: Chunk, position: int, record: Record) -> bool:
        """Drop an event; return False if it is not there any more: a signal handler that logs has evicted it."""
        intake = self._intake
        is_open = chunk is intake.chunk
        # Nothing is called from here to the end of the counting.
        try:
            if chunk[position] is not record:
                return False
            del chunk[position]
        except IndexError:
            return False
        self._counts.dropped_evicted += 1
        if not is_open:
            chunk.counted -= 1
            intake.queued -= 1
            if not chunk:
                intake.chunks.remove(chunk)
        if intake.confirmations:
            intake.confirmations.evicted((record,))
        return True
