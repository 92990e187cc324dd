"""Waiting: the callers on the event loop that wait for room under ``BLOCK``, in order of arrival.

The threads that wait do so at the door (``door.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..event import Level

if TYPE_CHECKING:
    from ..event import Record
    from ..metrics import AdmissionCounts
    from .confirmations import Tracked
    from .intake import Intake


class Waiter:
    """A caller that waits for room, and what was decided about its event."""

    __slots__ = ("admitted", "decided", "record", "tracked", "waiting")

    def __init__(self, record: Record, decided: Callable[[], object], tracked: Tracked | None) -> None:
        self.record: Record = record
        self.decided: Callable[[], object] = decided
        """Called once it is decided whether the event gets in."""
        self.tracked: Tracked | None = tracked
        """What the event carries if the caller waits for its delivery as well."""
        self.waiting: bool = True
        self.admitted: bool = False


class Waiting:
    """The callers that wait for room in one intake."""

    __slots__ = ("_counts", "_intake", "congested", "waiters")

    def __init__(self, intake: Intake, counts: AdmissionCounts) -> None:
        self._intake = intake
        self._counts = counts
        self.waiters: deque[Waiter] = deque()
        """Who waits; what is asked again and again is whether somebody does."""
        self.congested: bool = False
        """Whether a wait has timed out since there was room: calls do not wait then."""

    def enter(self, record: Record, decided: Callable[[], object], tracked: Tracked | None = None) -> Waiter:
        """Let an event wait for room behind the others; the caller waits until it is *decided*, or withdraws it."""
        waiter = Waiter(record, decided, tracked)
        self.waiters.append(waiter)
        return waiter

    async def wait(self, record: Record, timeout: float) -> bool:
        """Wait at most *timeout* seconds until the event has room; return whether it got in.

        If this is cancelled before the event got in, it is counted as dropped.
        """
        backend = self._intake.backend
        # At a fraction of the cost of an event with a cancel scope around it.
        alarm = backend.alarm(backend.time() + timeout)
        waiter = self.enter(record, alarm.wake)
        try:
            with alarm:
                await alarm
        except BaseException:
            if waiter.waiting:
                self.withdraw(waiter)
                self._counts.dropped_cancelled += 1
            raise
        if waiter.waiting:
            self.withdraw(waiter)
            self._counts.dropped_block_timeout += 1
            self.found_no_room()
        return waiter.admitted

    def found_no_room(self) -> None:
        """Let nobody wait from now on until there is room: somebody has waited in vain."""
        self.congested = True
        self._intake.update_limit()

    def withdraw(self, waiter: Waiter) -> None:
        """Take out an event for which nothing was decided; whoever calls this counts it."""
        waiter.waiting = False
        self.waiters.remove(waiter)
        self._intake.update_limit()

    def serve(self) -> None:
        """Give the room there is to those who wait for it, in order of arrival."""
        waiters, intake = self.waiters, self._intake
        while waiters and intake.depth() < intake.general:
            self._admit(0)
        if waiters and intake.depth() < intake.admission.capacity:
            # What is left of the room is the reserve: errors pass those who may not use it.
            position = 0
            while position < len(waiters) and intake.depth() < intake.admission.capacity:
                if waiters[position].record[1] >= Level.ERROR:
                    self._admit(position)
                else:
                    position += 1

    def _admit(self, position: int) -> None:
        waiters, intake = self.waiters, self._intake
        waiter = waiters[position]
        intake.make_room_in_chunk()
        record = waiter.record
        # No call from here on, and so nowhere for an interrupt to strike: it would lose the event, or admit it twice.
        intake.chunk += [record]
        waiter.waiting = False
        waiter.admitted = True
        del waiters[position]
        waiter.decided()
        if waiter.tracked is not None:
            intake.confirmations.add(waiter.tracked)

    def refuse(self) -> None:
        """Refuse everybody: the intake is closed."""
        waiters = self.waiters
        while waiters:
            waiter = waiters[0]
            waiter.waiting = False
            del waiters[0]
            self._counts.rejected_closed += 1
            waiter.decided()
            if waiter.tracked is not None:
                waiter.tracked.end("rejected", "closed")

    def forget(self) -> None:
        """Drop everybody without a word, in a child after a fork."""
        self.waiters.clear()
