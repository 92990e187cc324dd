"""Door: where events from foreign threads come in.

A thread appends to a deque of the door's and wakes the loop once for as many events as come until it
runs. A thread that waits for room does so on a lock of its own, in order of arrival.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
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


class Door:
    """The foreign threads' entrance to an intake; it shares the intake's capacity.

    The lock is held for a few statements and only by foreign threads, never by the loop's. It is
    reentrant because a finalizer or a signal handler that logs may run inside those statements.
    """

    def __init__(self, intake: Intake, counts: AdmissionCounts) -> None:
        self.records: deque[Record] = deque()
        self._intake = intake
        self._counts = counts
        self._lock = threading.RLock()
        self._waiters: deque[threading.Lock] = deque()
        self._called = False
        self._congested = False

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
        deadline: float | None = None
        turn: threading.Lock | None = None
        try:
            while True:
                with self._lock:
                    if self._intake.state != "open":
                        self._reject()
                        return False
                    # Whoever was woken is first; others go behind those who wait already.
                    if (turn is not None or not self._waiters) and self._has_room(record):
                        self.records.append(record)
                        break
                    if self._congested and turn is None:
                        self._counts.dropped_congested += 1
                        return False
                    if turn is None:
                        turn = threading.Lock()
                        turn.acquire()
                        self._waiters.append(turn)
                    else:
                        self._waiters.appendleft(turn)
                now = monotonic()
                if deadline is None:
                    deadline = now + self._intake.admission.block_timeout
                if not turn.acquire(timeout=max(deadline - now, 0.0)):
                    with self._lock:
                        self._counts.dropped_block_timeout += 1
                        self._congested = True
                    return False
        except BaseException:
            with self._lock:
                self._counts.dropped_cancelled += 1
            raise
        finally:
            if turn is not None:
                with suppress(ValueError):  # it was woken, or gave up
                    self._waiters.remove(turn)
        self._call_loop()
        if self._waiters and self._intake.depth() < self._intake.admission.capacity:
            self.serve_waiters()
        return True

    def _has_room(self, record: Record) -> bool:
        admission = self._intake.admission
        capacity = admission.capacity if record[1] >= Level.ERROR else admission.capacity - admission.reserved
        return self._intake.depth() < capacity

    def _replace_oldest(self, record: Record) -> bool:
        """Let the event in over the bound: the loop evicts the oldest when it comes. The door itself stays bounded."""
        records = self.records
        if len(records) >= self._intake.admission.capacity:
            oldest = records[0]
            if oldest[1] >= Level.ERROR > record[1]:
                self._counts.dropped_queue_full += 1
                return False
            records.popleft()
            self._counts.dropped_evicted += 1
        records.append(record)
        return True

    def _reject(self) -> None:
        if self._intake.dead:
            self._counts.rejected_dead += 1
        elif self._intake.state == "not_started":
            self._counts.rejected_not_started += 1
        else:
            self._counts.rejected_closed += 1

    def _call_loop(self) -> None:
        self._intake.limit = 0  # the loop's next call comes by here first, and so does not overtake
        # The event is in the deque before the flag is read, and the loop clears the flag before it empties
        # the deque: so either the coming run sees the event or this calls for another.
        if self._called:
            return
        self._called = True
        try:
            self._intake.backend.call_soon(self._answer)
        except RuntimeError:  # the loop has ended without closing the container
            self._intake.state, self._intake.limit = "closed", 0

    # -- the loop's side

    def _answer(self) -> None:
        self._called = False
        if self.records:
            self.empty_into_intake()
            self._intake.wake_worker()

    def empty_into_intake(self) -> None:
        """Move every event into the intake, and evict there what is over its bound."""
        records = self.records
        if not records:
            return
        intake = self._intake
        while True:
            try:
                record = records.popleft()
            except IndexError:
                break
            if record[1] >= Level.ERROR:
                intake.urgent = True
            intake._append(record)
        if intake.admission.strategy is OverflowStrategy.DROP_OLDEST:
            admission = intake.admission
            while intake.depth() > admission.capacity - admission.reserved and intake.evict(Level.DEBUG):
                pass
            while intake.depth() > admission.capacity and intake.evict(Level.ERROR):
                pass
        intake._update_limit()

    def serve_waiters(self) -> None:
        """Let as many waiting threads try again as there is room for."""
        self._congested = False
        room = self._intake.admission.capacity - self._intake.depth()
        while room > 0:
            try:
                self._waiters.popleft().release()
            except IndexError:
                return
            room -= 1

    def close(self) -> None:
        """Wake every waiting thread; it will find the intake closed."""
        while True:
            try:
                self._waiters.popleft().release()
            except IndexError:
                return
