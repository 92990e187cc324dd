"""Door: where events from foreign threads come in.

A thread appends to a deque of the door's and wakes the loop once for as many events as come until it
runs. A thread that waits for room does so on a lock of its own, in order of arrival.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from ..errors import QueueFull
from ..event import Level
from ..settings import OverflowStrategy
from .awaitables import ACCEPTED, REFUSED, Acceptance, Full

if TYPE_CHECKING:
    from ..event import Record
    from ..metrics import AdmissionCounts
    from .intake import Intake


LONG_LAG = 1.0
"""Seconds for which the event loop may keep a thread's event waiting before that is told."""


class _Waiter:
    """A thread that waits for room with its event."""

    __slots__ = ("admitted", "decided", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.admitted = False
        self.decided = threading.Lock()
        self.decided.acquire()


class Door:
    """The foreign threads' entrance to an intake; it shares the intake's capacity.

    The lock is held for a few statements, and by the loop while it takes over what threads have left. It is
    reentrant because a finalizer or a signal handler that logs may run inside those statements.
    """

    def __init__(
        self, intake: Intake, counts: AdmissionCounts, report: Callable[[str, str], None] | None = None
    ) -> None:
        """Make the door.

        Parameters:
            report: told, with a key and a message, when the event loop was held so long that threads had to wait.
        """
        self._report = report
        self._called_at = 0.0
        self.records: deque[Record] = deque()
        self._intake = intake
        self._counts = counts
        self._lock = threading.RLock()
        self._waiters: deque[_Waiter] = deque()
        self._called = False
        self._congested = False
        self._moving = False
        """Whether the loop is moving events into the intake."""

    @property
    def waiting(self) -> int:
        """How many threads wait for room."""
        return len(self._waiters)

    # -- the foreign threads' side

    def admit(self, record: Record) -> Acceptance:
        """Admit an event of an ``AsyncLogger`` in a foreign thread; never waits."""
        if self.admit_nowait(record):
            return ACCEPTED
        if self._intake.admission.strategy is OverflowStrategy.RAISE and self._intake.state == "open":
            return Full(self._intake.admission.capacity)
        return REFUSED

    def admit_nowait(self, record: Record) -> bool:
        """Admit an event if it has room; return whether it was accepted."""
        intake = self._intake
        counts = self._counts
        with self._lock:
            if intake.state != "open":
                self._reject()
                return False
            accepted = self._has_room(record)
            if accepted:
                self.records.append(record)
            elif intake.admission.strategy is OverflowStrategy.DROP_OLDEST:
                accepted = self._replace_oldest(record)
            elif intake.admission.strategy is OverflowStrategy.RAISE:
                counts.rejected_queue_full += 1
            else:
                counts.dropped_queue_full += 1
        if accepted:
            self._call_loop()
        return accepted

    def admit_blocking(self, record: Record) -> bool:
        """Admit an event, waiting for room in order of arrival at most ``block_timeout`` under ``BLOCK``.

        Raises:
            QueueFull: under ``RAISE``, if there is no room.
        """
        strategy = self._intake.admission.strategy
        if strategy is OverflowStrategy.BLOCK:
            return self._admit_or_wait(record)
        accepted = self.admit_nowait(record)
        if not accepted and strategy is OverflowStrategy.RAISE and self._intake.state == "open":
            raise QueueFull(self._intake.admission.capacity)
        return accepted

    def _admit_or_wait(self, record: Record) -> bool:
        waiter = _Waiter(record)
        with self._lock:
            if self._intake.state != "open":
                self._reject()
                return False
            if not self._waiters and self._has_room(record):
                self.records.append(record)
                waiter.admitted = True
            elif self._congested:
                self._counts.dropped_congested += 1
                return False
            else:
                self._waiters.append(waiter)
        # Also if it waits: the loop may have made room since the look above, and looks again when it is called.
        self._call_loop()
        return waiter.admitted or self._wait(waiter)

    def _wait(self, waiter: _Waiter) -> bool:
        try:
            decided = waiter.decided.acquire(timeout=self._intake.admission.block_timeout)
        except BaseException:
            if self._withdraw(waiter):
                with self._lock:
                    self._counts.dropped_cancelled += 1
            raise
        if not decided and self._withdraw(waiter):
            with self._lock:
                self._counts.dropped_block_timeout += 1
                self._congested = True
            return False
        if not decided:
            waiter.decided.acquire()  # the loop has just decided
        return waiter.admitted

    def _withdraw(self, waiter: _Waiter) -> bool:
        """Stop waiting; return False if the loop has decided already. Who takes it out of the deque decides."""
        with self._lock:
            try:
                self._waiters.remove(waiter)
            except ValueError:
                return False
            return True

    def _has_room(self, record: Record) -> bool:
        admission = self._intake.admission
        capacity = admission.capacity if record[1] >= Level.ERROR else admission.capacity - admission.reserved
        return self._intake.depth() < capacity

    def _replace_oldest(self, record: Record) -> bool:
        """Let the event in over the bound: the loop evicts the oldest when it comes. The door itself stays bounded."""
        records = self.records
        if len(records) >= self._intake.admission.capacity:
            try:
                if records[0][1] >= Level.ERROR > record[1]:
                    self._counts.dropped_queue_full += 1
                    return False
                records.popleft()
            except IndexError:  # the loop has come
                pass
            else:
                self._counts.dropped_evicted += 1
        records.append(record)
        return True

    def reject(self) -> str:
        """Count a thread's event that comes while the intake is not open; return the reason."""
        with self._lock:
            return self._reject()

    def _reject(self) -> str:
        if self._intake.dead:
            self._counts.rejected_dead += 1
            return "dead"
        if self._intake.state == "not_started":
            self._counts.rejected_not_started += 1
            return "not_started"
        self._counts.rejected_closed += 1
        return "closed"

    def _call_loop(self) -> None:
        self._intake.limit = 0  # the loop's next call comes by here first, and so does not overtake
        # The event is in the deque before the flag is read, and the loop clears the flag before it empties
        # the deque: so either the coming run sees the event or this calls for another.
        if self._called:
            return
        self._called = True
        self._called_at = monotonic()
        try:
            self._intake.backend.call_soon(self._answer)
        except RecursionError:  # the event is in; whoever comes next calls the loop
            self._called = False
        except RuntimeError:  # the loop has ended without closing the container
            self._intake.shut()

    # -- the loop's side

    def _answer(self) -> None:
        self._called = False
        lag = monotonic() - self._called_at
        if lag > LONG_LAG and self._report is not None:
            self._report("lag", f"the event loop was held for {lag:.1f} s; what threads logged meanwhile had to wait")
        self.empty_into_intake()
        self.serve_waiters()
        # Also if a call on the loop has emptied the door before: it need not have had room to wake a worker.
        self._intake.wake_if_due()

    def empty_into_intake(self) -> None:
        """Move every event into the intake; under ``DROP_OLDEST`` each may evict one there, as if it came now."""
        records = self.records
        if not records:
            return
        intake = self._intake
        intake.settle()
        # Held so that a thread which asks for room meanwhile does not miss the event that is between the two.
        with self._lock:
            if self._moving:
                return  # a signal handler that logs came in between the two: the event before has to go first
            try:
                self._moving = True
                self._move()
            except BaseException:
                if records and intake.chunk and intake.chunk[-1] is records[0]:
                    records.popleft()
                raise
            finally:
                self._moving = False
            intake.update_limit()

    def _move(self) -> None:
        records, intake = self.records, self._intake
        evicts = intake.admission.strategy is OverflowStrategy.DROP_OLDEST
        while records:
            record = records[0]  # which it leaves when it is in the intake: an interrupt must not lose it
            if record[1] >= Level.ERROR:
                intake.urgent = True
            if evicts and not intake.has_room(record[1]) and not intake.evict(record[1]):
                intake._counts.dropped_queue_full += 1
            else:
                intake._append(record)
            records.popleft()

    def serve_waiters(self) -> None:
        """Give the room there is to the threads that wait for it, in order of arrival."""
        if self._congested and self._intake.has_room_for_thread(Level.INFO):
            self._congested = False
        waiters, intake = self._waiters, self._intake
        while waiters:
            self.empty_into_intake()  # what the threads logged before
            intake.make_room_in_chunk()
            with self._lock:  # so that none gives up meanwhile
                if not waiters or not intake.has_room_for_thread(waiters[0].record[1]):
                    return
                waiter = waiters[0]
                record, release = waiter.record, waiter.decided.release
                # Up to the release nothing is called, so no interrupt can strike: it would lose the waiter's event.
                intake.chunk += [record]
                waiter.admitted = True
                del waiters[0]
                release()

    def close(self) -> None:
        """Refuse every waiting thread. The intake's state is closed already."""
        with self._lock:
            # Every thread that found the intake open has left its event or waits, and none gives up meanwhile.
            self._refuse_waiters()

    def _refuse_waiters(self) -> None:
        waiters = self._waiters
        while waiters:
            release = waiters[0].decided.release
            self._intake._counts.rejected_closed += 1
            del waiters[0]
            release()

    def forget(self) -> None:
        """Drop everything, in a child after a fork, where whoever held the lock does not exist."""
        self._lock = threading.RLock()
        self.records.clear()
        self._waiters.clear()
        self._moving = False
