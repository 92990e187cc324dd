"""Intake: the bounded queue that a log call puts its event into, on the event loop's thread.

Events are appended to an open chunk, which is always the last in the queue: so a chunk needs no step
"from the caller into the queue" in which an interruption could lose it. Everything a caller runs is
straight-line code that a signal handler or a finalizer which logs may interrupt between any two
statements. Foreign threads come in through the door (``door.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any

import anyio

from .._accelerated import accelerator
from ..event import Level
from ..settings import OverflowStrategy
from .awaitables import ACCEPTED, REFUSED, Acceptance, Full, Waiting, Yielding
from .backend import Alarm, Backend, handling_cancellation
from .queued import Admission, Barrier, Chunk, Handover, Waiter
from .turns import Turns

if TYPE_CHECKING:
    from ..event import Record
    from ..metrics import MetricsCollector
    from .door import Door

CHUNK = 256
"""The most events that travel together, and the depth beyond which the queue is deep and awaiting a call yields."""
_NOTHING_OWED = 2**62


class Intake:
    """The bounded queue between the callers and the workers."""

    __slots__ = (
        "_chunk_size",
        "_chunks",
        "_congested",
        "_counts",
        "_full",
        "_general",
        "_idle_workers",
        "_linger_length",
        "_metrics",
        "_owed_beyond",
        "_queued",
        "_ready",
        "_strategy",
        "_turns",
        "_waiters",
        "_yielding",
        "accepted",
        "admission",
        "ambient_of_plugins",
        "backend",
        "barriers",
        "chunk",
        "dead",
        "door",
        "fields_type",
        "hold_until",
        "idle",
        "limit",
        "lingering",
        "loop",
        "observed",
        "quick_thread",
        "refuse_await",
        "refuse_nowait",
        "refused",
        "run_context",
        "running",
        "state",
        "task_name",
        "thread",
        "urgent",
        "workers",
    )

    def __init__(self, admission: Admission, metrics: MetricsCollector) -> None:
        self.backend: Backend
        self.task_name: Callable[[], str]
        self.door: Door
        self._metrics = metrics
        self._counts = metrics.loop_counts
        self._set_admission(admission)
        self._turns: Turns
        self._yielding: Yielding
        self._ready: Acceptance = ACCEPTED
        self.accepted: Acceptance = ACCEPTED
        """What a call returns whose event is in the queue; in a deep queue, awaiting it lets the workers catch up."""
        self.refused: Acceptance = REFUSED
        """What a call returns whose event is not wanted."""
        self.refuse_await: Callable[[], Acceptance] | None = None
        """Counts an event below ERROR for which there is no room and returns what its call returns; None if a call has
        to look for room first, or would wait for it."""
        self.refuse_nowait: Callable[[], bool] | None = None
        """The same for a caller that does not wait."""
        self.running: Callable[[Any], Any] | None = None
        """Returns the task that runs on ``loop``, on asyncio: its name is looked up in the call itself, which saves
        a tenth of the call."""
        self.loop: Any = None
        self.run_context: Any = None
        """Holds as ``task`` the task that runs, on Trio; the same for there."""
        self._chunks: deque[Chunk | Barrier] = deque()
        self._queued = 0
        self._waiters: deque[Waiter] = deque()
        self._congested = False
        self._owed_beyond = _NOTHING_OWED
        """The length of the open chunk from which on each event has yet to evict one, under ``DROP_OLDEST``."""
        self.chunk: Chunk = Chunk()
        self.limit: int = 0
        """The length of the open chunk up to which a call may append to it and be done; 0 sends all to ``admit``."""
        self.fields_type: type[dict[str, Any]] = dict
        """What the accelerator keeps a call's fields in: as plugins see them, if there are any, to save a copy."""
        self.thread: int = -1
        """The event loop's thread, once there is one."""
        self.quick_thread: int = -1
        """The same, if calls on it may take the quick path."""
        self.observed: bool = False
        """Whether somebody looks at every event in the call itself; no call on the loop then takes the quick path."""
        self.state: str = "not_started"
        self.dead: bool = False
        self.workers: int = 1
        self._idle_workers: list[Alarm] = []
        self.idle: bool = False
        """Whether every worker waits, so that the next event has to wake one."""
        self.lingering: bool = False
        """Whether the workers wait although there is something to take, until an alarm that has been set."""
        self.hold_until: float = float("-inf")
        """Until when the next event waits for company, on the event loop's clock."""
        self.urgent: bool = False
        """Whether something waits that no linger may hold back."""
        self.barriers: int = 0
        metrics.queue_depth = self.waiting_events

    def _set_admission(self, admission: Admission) -> None:
        self.admission: Admission = admission
        self._strategy = admission.strategy
        self._general = admission.capacity - admission.reserved
        self._chunk_size = min(CHUNK, max(1, admission.capacity // 8))
        self._linger_length = (self._chunk_size + 1) // 2
        """How many events end a linger: the other half of the chunk is for what comes until the workers run, so that
        a service with many requests at once does not find the queue deep, and wait, each time a chunk is full."""
        self._full = Full(admission.capacity)

    # -- opening and closing

    def open(self, backend: Backend) -> None:
        """Begin to accept events, on the thread that calls this."""
        self.backend = backend
        self._turns = Turns(backend, self.is_deep, lambda: self._metrics.stages.taken)
        self._yielding = Yielding(backend.cancelled_class, self._turns)
        if accelerator is None:
            self._ready = backend.ready(True) or ACCEPTED
            self.refused = backend.ready(False) or REFUSED
        self._chunks.append(self.chunk)
        self.thread = get_ident()
        self._update_quick_thread()
        self.task_name = backend.task_name
        self.running, self.loop, self.run_context = backend.running, backend.loop, backend.run_context
        self.state = "open"
        self._update_limit()

    def hand_over(self, workers: object, admission: Admission, fields_type: type[dict[str, Any]]) -> None:
        """Let what comes from now on be another pipeline's, and be admitted by other settings; on the loop's thread.

        Parameters:
            workers: who takes what is in the queue already, and nothing after it.
            admission: the new settings; what the queue holds beyond a smaller capacity stays.
            fields_type: what the new pipeline wants a call's fields kept in.

        Not a checkpoint, and nobody can log in between: every event is before the mark or behind it.
        """
        self.settle()
        self.door.empty_into_intake()
        self._chunks.append(Handover(workers))
        self.barriers += 1
        self._roll()  # the fresh open chunk is behind the mark
        self._set_admission(admission)
        self.fields_type = fields_type
        self._update_quick_thread()
        self._released()
        self.wake_worker()

    def observe(self, observed: bool) -> None:
        """Let somebody look at every event from now on, or no more; on the loop's thread."""
        self.observed = observed
        self._update_quick_thread()

    def _update_quick_thread(self) -> None:
        self.quick_thread = -1 if self.observed or self.admission.slow_calls else self.thread

    def close(self) -> None:
        """Accept nothing more; callers that wait for room are refused; what is queued stays."""
        if self.state != "open":
            return
        self.shut()
        self.door.close()
        while self._waiters:
            self._decide(self._waiters.popleft(), admitted=False)
            self._counts.rejected_closed += 1
        self.wake_worker()

    def shut(self) -> None:
        """Send every coming call by the way on which it is counted as rejected."""
        self.state = "closed"
        self.limit = 0
        self.refuse_await = self.refuse_nowait = None

    # -- admission, on the loop's thread

    def depth(self) -> int:
        """Return how many events the queue holds, those in the door included."""
        return self._queued + len(self.chunk) + len(self.door.records)

    def is_deep(self) -> bool:
        """Return whether the queue holds so much that awaiting a call lets the workers catch up."""
        return self.depth() > CHUNK

    def waiting_events(self) -> int:
        """Return how many submitted events no worker has taken yet."""
        if self.state == "not_started":
            return 0
        if get_ident() == self.thread:
            self.settle()
        return self.depth() + len(self._waiters) + self.door.waiting

    def has_room(self, level: int) -> bool:
        """Return whether an event of *level* has room in the queue, those in the door left out."""
        return self._queued + len(self.chunk) < (self.admission.capacity if level >= Level.ERROR else self._general)

    def has_room_for_thread(self, level: int) -> bool:
        """Return whether a waiting thread's event of *level* has room and overtakes no waiting caller."""
        if level < Level.ERROR:
            return not self._waiters and self.depth() < self._general
        return self.depth() < self.admission.capacity

    def admit(self, record: Record) -> Acceptance:
        """Admit an event for which the open chunk had no room at once; return what the caller may await."""
        if self._try_admit(record):
            return self.accepted
        if self.state != "open":
            self._reject()
            return self.refused
        strategy = self._strategy
        if strategy is OverflowStrategy.BLOCK:
            if self._congested:
                self._counts.dropped_congested += 1
                return self.refused
            if handling_cancellation(self.backend.cancelled_class):
                self._counts.dropped_queue_full += 1
                return self.refused
            self._counts.dropped_not_awaited += 1
            return Waiting(self, record)
        if self._overflow(record):
            return self._yielding
        return self._full if strategy is OverflowStrategy.RAISE else self.refused

    def admit_nowait(self, record: Record) -> bool:
        """Admit an event if that needs no wait; return whether it was accepted."""
        if self._try_admit(record):
            return True
        if self.state != "open":
            self._reject()
            return False
        return self._overflow(record)

    def admit_on_loop(self, record: Record) -> bool:
        """Admit an event from a blocking call made on the loop's own thread, where waiting would be for ever."""
        if self._try_admit(record):
            return True
        if self.state != "open":
            self._reject()
        elif self._strategy is OverflowStrategy.BLOCK:
            self._counts.dropped_would_deadlock += 1
        else:
            return self._overflow(record)
        return False

    async def wait_for_room(self, record: Record) -> bool:
        """Wait in order of arrival, at most ``block_timeout``, until the event has room; return whether it got in."""
        self._counts.dropped_not_awaited -= 1
        if self.state != "open":
            self._reject()
            return False
        if self._try_admit(record):
            return True
        if self._congested:
            self._counts.dropped_congested += 1
            return False
        if handling_cancellation(self.backend.cancelled_class):
            self._counts.dropped_queue_full += 1
            return False
        waiter = Waiter(record)
        self._waiters.append(waiter)
        try:
            with anyio.move_on_after(self.admission.block_timeout):
                await waiter.decided.wait()
        except BaseException:
            if waiter.waiting:
                self._withdraw(waiter)
                self._counts.dropped_cancelled += 1
            raise
        if waiter.waiting:
            self._withdraw(waiter)
            self._counts.dropped_block_timeout += 1
            self._congested = True
            self._update_limit()
        elif waiter.admitted and self.is_deep():
            await self._turns.wait()
        return waiter.admitted

    def _try_admit(self, record: Record) -> bool:
        """Append the event if it has room and overtakes nobody."""
        if self.state != "open":
            return False
        self.settle()
        if self.door.records:
            # What a thread logged before this call, as far as this thread can know of it, goes first.
            self.door.empty_into_intake()
        if record[1] >= Level.ERROR:
            # The reserve is there so that errors pass a full queue, and with it those who wait for it.
            if self.depth() >= self.admission.capacity:
                return False
            self.urgent = True
        elif self._waiters or self.depth() >= self._general:
            self._update_limit()
            return False
        self._append(record)
        if self.idle or self.lingering:
            self._wake_for(record)
        self._update_limit()
        return True

    def _append(self, record: Record) -> None:
        chunk = self.chunk
        if len(chunk) >= self._chunk_size:
            self._roll()
            chunk = self.chunk
        chunk.append(record)

    def _roll(self) -> None:
        """Close the open chunk and open a new one behind it."""
        full = self.chunk
        fresh = Chunk()
        self._chunks.append(fresh)
        number = len(full)
        # From here on nothing is called, so nothing can interrupt. If a signal handler rolled since the
        # first line, ``fresh`` stays in the queue as an empty chunk.
        if self.chunk is full:
            full.evictable = -1
            full.counted = number
            self._queued += number
            self.chunk = fresh

    def _update_limit(self) -> None:
        self.refuse_await = self.refuse_nowait = None
        if self.state != "open" or self.idle:
            self.limit = 0
            return
        depth = self.depth()
        if depth > self._metrics.queue_high_water:
            self._metrics.queue_high_water = depth
        self.accepted = self._yielding if depth > CHUNK else self._ready
        if self._waiters or depth >= self._general:
            self.limit = 0
            self._refuse()
            return
        most = self._linger_length if self.lingering else self._chunk_size
        limit = min(most, len(self.chunk) + self._general - depth)
        # Nothing is called between the look into the door and the store, so no thread can come between.
        self.limit = 0 if self.door.records else limit

    def _refuse(self) -> None:
        """Let calls that would find no room, and not wait for it, be refused without a look."""
        strategy = self._strategy
        if strategy is OverflowStrategy.BLOCK:
            self.refuse_nowait = self._refused_nowait
            if self._congested:
                self.refuse_await = self._refused_congested
        elif strategy is not OverflowStrategy.DROP_OLDEST:
            self.refuse_nowait = self._refused_nowait
            self.refuse_await = self._refused_await

    def _refused_nowait(self) -> bool:
        self._count_refusal()
        return False

    def _refused_await(self) -> Acceptance:
        self._count_refusal()
        return self._full if self._strategy is OverflowStrategy.RAISE else self.refused

    def _refused_congested(self) -> Acceptance:
        self._counts.dropped_congested += 1
        return self.refused

    def _count_refusal(self) -> None:
        if self._strategy is OverflowStrategy.RAISE:
            self._counts.rejected_queue_full += 1
        else:
            self._counts.dropped_queue_full += 1

    def _reject(self) -> None:
        if self.dead:
            self._counts.rejected_dead += 1
        elif self.state == "not_started":
            self._counts.rejected_not_started += 1
        else:
            self._counts.rejected_closed += 1

    def _overflow(self, record: Record) -> bool:
        """Do what the strategy says about an event without room, for a caller that does not wait."""
        if self._strategy is OverflowStrategy.DROP_OLDEST and self.evict(record[1]):
            self._append(record)
            self._update_limit()  # the event may have opened a new chunk, which no call may fill unasked
            if record[1] < Level.ERROR:
                self._let_in_on_credit()
            return True
        self._count_refusal()
        return False

    def _let_in_on_credit(self) -> None:
        """Let calls fill the open chunk over the bound; what they owe is evicted before anybody looks at the queue.

        There is an event below ERROR in the queue, and each that enters is one, so that none of them will find nothing
        to evict.
        """
        length = len(self.chunk)
        # Nothing is called from here on. A signal handler that logged before has given the credit itself.
        if self._owed_beyond == _NOTHING_OWED and not self.door.records:
            self._owed_beyond = length
            self.limit = self._chunk_size

    def settle(self) -> None:
        """Evict as many events as calls have put in over the bound; on the loop's thread."""
        if self._owed_beyond == _NOTHING_OWED:
            return
        self.limit = 0  # a signal handler that logs from here on settles its own
        length = len(self.chunk)
        owed, self._owed_beyond = length - self._owed_beyond, _NOTHING_OWED
        while owed > 0 and (number := self._evict_first_chunk(owed)):
            owed -= number
        for _ in range(owed):
            self.evict(Level.INFO)

    def _evict_first_chunk(self, at_most: int) -> int:
        """Drop the oldest chunk as a whole, if all of it may go; return how many events that were."""
        first = self._chunks[0]
        if first is self.chunk or type(first) is not Chunk or len(first) > at_most:
            return 0
        if any(record[1] >= Level.ERROR for record in first):
            return 0
        if self._chunks[0] is not first:  # a signal handler that logs has evicted it meanwhile
            return 0
        self._chunks.popleft()
        number = len(first)
        self._queued -= number
        self._counts.dropped_evicted += number
        return number

    def evict(self, level: int) -> bool:
        """Drop the oldest queued event below ERROR, or the oldest of all for an ERROR; return whether there was one."""
        for item in self._chunks:
            if type(item) is Chunk and item:
                if item.evictable < 0 or item is self.chunk:
                    item.evictable = sum(1 for record in item if record[1] < Level.ERROR)
                if item.evictable:
                    position = 0
                    while item[position][1] >= Level.ERROR:
                        position += 1
                    self._remove(item, position)
                    return True
        if level >= Level.ERROR:
            for item in self._chunks:
                if type(item) is Chunk and item:
                    self._remove(item, 0)
                    return True
        return False

    def _remove(self, chunk: Chunk, position: int) -> None:
        evicted = chunk.pop(position)
        self._counts.dropped_evicted += 1
        if evicted[1] < Level.ERROR:
            chunk.evictable -= 1
        if chunk is not self.chunk:
            chunk.counted -= 1
            self._queued -= 1
            if not chunk:
                self._chunks.remove(chunk)

    # -- waiting callers

    def _withdraw(self, waiter: Waiter) -> None:
        waiter.waiting = False
        self._waiters.remove(waiter)
        self._update_limit()

    @staticmethod
    def _decide(waiter: Waiter, *, admitted: bool) -> None:
        waiter.waiting = False
        waiter.admitted = admitted
        waiter.decided.set()

    def _serve_waiters(self) -> None:
        """Give the room there is to those who wait for it, in order of arrival."""
        waiters = self._waiters
        while waiters and self.depth() < self._general:
            self._admit_waiter(waiters.popleft())
        if waiters and self.depth() < self.admission.capacity:
            # What is left of the room is the reserve: errors pass those who may not use it.
            for waiter in [waiter for waiter in waiters if waiter.record[1] >= Level.ERROR]:
                if self.depth() >= self.admission.capacity:
                    break
                waiters.remove(waiter)
                self._admit_waiter(waiter)

    def _admit_waiter(self, waiter: Waiter) -> None:
        self._append(waiter.record)
        self._decide(waiter, admitted=True)

    # -- the workers' side

    def take(self) -> Chunk | Barrier | None:
        """Return the oldest chunk or barrier, or None when there is nothing."""
        self.settle()
        while self._queued or self.chunk or self.barriers or self.door.records:
            self.door.empty_into_intake()
            # The depth falls only here, so that this sees every peak; calls that append do not look.
            self._metrics.queue_high_water = max(self._metrics.queue_high_water, self.depth())
            item = self._chunks.popleft()
            if isinstance(item, Barrier):
                self.barriers -= 1
                return item
            chunk = item
            if chunk is self.chunk:
                self._roll()
            self._queued -= chunk.counted
            if chunk:
                self._metrics.stages.taken += len(chunk)
                self._metrics.stages.in_stages += len(chunk)
                self._released()
                return chunk
        self.urgent = False
        return None

    def _released(self) -> None:
        self._congested = False
        self._serve_waiters()
        self.door.serve_waiters()
        self._update_limit()

    @property
    def drained(self) -> bool:
        """Whether the intake is closed and empty."""
        return self.state == "closed" and not (self._queued or self.chunk or self.barriers or self.door.records)

    async def wait_for_events(self) -> None:
        """Wait until there is something to take, or the intake is closed. Cancelling it loses nothing.

        What comes before ``hold_until`` is held back until then, to go out together with what follows it.
        """
        if self.is_ready():
            return
        alarm = self.backend.alarm()
        self._idle_workers.append(alarm)
        if len(self._idle_workers) == self.workers:
            self.idle = True
            self.limit = 0
        try:
            await alarm
        finally:
            self._idle_workers.remove(alarm)
            self.idle = self.lingering = False
            self._update_limit()

    def is_ready(self) -> bool:
        """Return whether a worker need not wait: there is something to take, or the intake is closed."""
        return bool(self._queued or self.chunk or self.barriers or self.door.records) or self.state == "closed"

    def _wake_for(self, record: Record) -> None:
        if self.lingering and not (self.urgent or self._queued or len(self.chunk) > self._linger_length):
            return
        self.idle = False
        if record[6]:
            self._wake_or_linger()
        else:
            # Outside a task this may be a signal handler that interrupted the loop anywhere, also in its wait.
            try:
                self.backend.call_soon(self._wake_or_linger)
            except RuntimeError:
                self.shut()

    def _wake_or_linger(self) -> None:
        """Wake the workers, now or at the end of the linger; they need not wake to begin it."""
        # Chunks of one event have no company to wait for, and would keep a small queue full meanwhile.
        if (
            self.urgent
            or self.barriers
            or self.state != "open"
            or self._queued
            or self._chunk_size == 1
            or len(self.chunk) > self._linger_length
        ):
            self.lingering = False  # from here on a call need not look whether to wake them
            self.wake_worker()
        elif not self.lingering and self._idle_workers:
            if self.hold_until > self.backend.time():
                self.lingering = True
                self._idle_workers[0].wake_at(self.hold_until)
            else:
                self.wake_worker()

    def wake_worker(self) -> None:
        """Wake the workers, from code that runs on the loop."""
        for alarm in self._idle_workers:
            alarm.wake()

    def wake_if_due(self) -> None:
        """Wake the workers if they wait and there is something that no linger holds back; on the loop."""
        if self.idle if not self.lingering else self.urgent or self._queued:
            self.idle = False
            self._wake_or_linger()

    def put_barrier(self) -> Barrier:
        """Put a barrier behind everything that was admitted so far."""
        self.settle()
        self.door.empty_into_intake()
        self._roll()
        barrier = Barrier()
        # The fresh open chunk is before the barrier; what enters it meanwhile is waited for too.
        self._chunks.append(barrier)
        self.barriers += 1
        self.wake_worker()
        return barrier

    def forget(self) -> None:
        """Drop everything without counting it, in a child after a fork: the parent has these events."""
        self.shut()
        self.dead = True
        self.chunk = Chunk()
        self._chunks.clear()
        self._waiters.clear()
        self.door.forget()
        self._queued = self.barriers = 0
