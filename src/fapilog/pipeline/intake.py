"""Intake: the bounded queue that a log call puts its event into, on the event loop's thread.

Events are appended to an open chunk, which is always the last in the queue: so a chunk needs no step
"from the caller into the queue" in which an interruption could lose it. Everything a caller runs is
straight-line code that a signal handler or a finalizer which logs may interrupt between any two
statements. Foreign threads come in through the door (``door.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from threading import get_ident
from typing import TYPE_CHECKING, Any

from .._accelerated import accelerator
from ..event import Level
from ..settings import OverflowStrategy
from .awaitables import ACCEPTED, REFUSED, Acceptance, Full, WaitingCall, Yielding
from .backend import Alarm, Backend, handling_cancellation
from .confirmations import Confirmations
from .confirming import Confirmation
from .eviction import NOTHING_OWED, Eviction
from .linger import Linger
from .memory import touch_ahead
from .queued import Admission, Barrier, Chunk, Handover
from .turns import Turns
from .waiting import Waiting

if TYPE_CHECKING:
    from ..event import FieldsType, Record
    from ..metrics import MetricsCollector
    from .door import Door

CHUNK = 256
"""The most events that travel together, and the depth beyond which the queue is deep and awaiting a call yields."""
_UNDECIDED = (Full, WaitingCall)
_FRAMES_TO_WAKE = 16
"""Frames that waking a worker may take, the event loop's included; an event loop that runs out of them in the middle
of it never wakes the worker again."""


class Intake:
    """The bounded queue between the callers and the workers."""

    __slots__ = (
        "_counts",
        "_eviction",
        "_full",
        "_idle_workers",
        "_metrics",
        "_most_chunks",
        "_ready",
        "_strategy",
        "_turns",
        "_waiting",
        "_yielding",
        "accepted",
        "admission",
        "ambient_of_plugins",
        "backend",
        "barriers",
        "chunk",
        "chunk_size",
        "chunks",
        "confirmations",
        "dead",
        "door",
        "fields_type",
        "general",
        "idle",
        "limit",
        "linger",
        "lingering",
        "loop",
        "observed",
        "queued",
        "quick_thread",
        "refuse_await",
        "refuse_nowait",
        "refused",
        "room",
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
        self.linger: Linger = Linger()
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
        """Holds as ``"task"`` the task that runs, on Trio; the same for there."""
        self.chunks: deque[Chunk | Barrier] = deque()
        self._most_chunks = 0
        """Beyond so many chunks another one's memory is used ahead."""
        self.queued: int = 0
        """How many events the chunks hold but for the open one."""
        self._waiting = Waiting(self, metrics.loop_counts)
        self.confirmations: Confirmations = Confirmations(metrics.confirmations)
        """The events in the container whose callers wait for their delivery."""
        self._eviction = Eviction(self, metrics.loop_counts)
        self.chunk: Chunk = Chunk()
        self.limit: int = 0
        """The length of the open chunk up to which a call may append to it and be done; 0 sends all to ``admit``."""
        self.room: int = 0
        """The length up to which, unless ``limit`` is 0, a call in a task may append to it and ``went_beyond`` follows;
        -1 as ``limit`` has every call do so."""
        self.fields_type: FieldsType = dict
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
        """Whether the workers wait whatever there is to take, until an alarm that has been set."""
        self.urgent: bool = False
        """Whether something waits that no linger may hold back."""
        self.barriers: int = 0
        metrics.queue_depth = self.waiting_events

    def _set_admission(self, admission: Admission) -> None:
        self.admission: Admission = admission
        self._strategy = admission.strategy
        self.general: int = admission.capacity - admission.reserved
        """How many events there may be of those that may not use the reserve."""
        self.chunk_size: int = min(CHUNK, max(1, admission.capacity // 8))
        self.linger.resize(self.chunk_size)
        self._full = Full(admission.capacity)

    # -- opening and closing

    def open(self, backend: Backend) -> None:
        """Begin to accept events, on the thread that calls this."""
        self.backend = backend
        self.linger.time = backend.time
        self._turns = Turns(backend, self.is_deep, lambda: self._metrics.stages.taken)
        self._yielding = Yielding(backend.cancelled_class, self._turns)
        if accelerator is None:
            self._ready = backend.ready(True) or ACCEPTED
            self.refused = backend.ready(False) or REFUSED
        self.chunks.append(self.chunk)
        touch_ahead(self.chunk_size)
        self.thread = get_ident()
        self._update_quick_thread()
        self.task_name = backend.task_name
        self.running, self.loop, self.run_context = backend.running, backend.loop, backend.run_context
        self.state = "open"
        self.update_limit()

    def hand_over(self, workers: object, admission: Admission, fields_type: FieldsType) -> None:
        """Let what comes from now on be another pipeline's, and be admitted by other settings; on the loop's thread.

        Parameters:
            workers: who takes what is in the queue already, and nothing after it.
            admission: the new settings; what the queue holds beyond a smaller capacity stays.
            fields_type: what the new pipeline wants a call's fields kept in.

        Not a checkpoint, and nobody can log in between: every event is before the mark or behind it.
        """
        self.settle()
        self.door.empty_into_intake()
        self.chunks.append(Handover(workers))
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
        """Accept nothing more; callers that wait for room are refused; what is queued stays.

        To do it again does what an interrupt kept from being done.
        """
        if self.state == "not_started" or self.dead:
            return
        self.shut()
        self.door.close()
        self._waiting.refuse()
        self.wake_worker()

    def shut(self) -> None:
        """Send every coming call by the way on which it is counted as rejected."""
        self.state = "closed"
        self.limit = 0
        self.refuse_await = self.refuse_nowait = None

    # -- admission, on the loop's thread

    def depth(self) -> int:
        """Return how many events the queue holds, those in the door included."""
        return self.queued + len(self.chunk) + len(self.door.records)

    def is_deep(self) -> bool:
        """Return whether the queue holds so much that awaiting a call lets the workers catch up."""
        return self.depth() > CHUNK

    def waiting_events(self) -> int:
        """Return how many submitted events no worker has taken yet."""
        if self.state == "not_started":
            return 0
        if get_ident() == self.thread:
            self.settle()
        return self.depth() + len(self._waiting.waiters) + self.door.waiting

    def has_room(self, level: int) -> bool:
        """Return whether an event of *level* has room in the queue, those in the door left out."""
        return self.queued + len(self.chunk) < (self.admission.capacity if level >= Level.ERROR else self.general)

    def has_room_for_thread(self, level: int) -> bool:
        """Return whether a waiting thread's event of *level* has room and overtakes no waiting caller."""
        if level < Level.ERROR:
            return not self._waiting.waiters and self.depth() < self.general
        return self.depth() < self.admission.capacity

    def admit(self, record: Record) -> Acceptance:
        """Admit an event for which the open chunk had no room at once; return what the caller may await."""
        if self._try_admit(record):
            return self.accepted
        if self.state != "open":
            self.reject()
            return self.refused
        strategy = self._strategy
        if strategy is OverflowStrategy.BLOCK:
            if self._waiting.congested:
                self._counts.dropped_congested += 1
                return self.refused
            if handling_cancellation(self.backend.cancelled_class):
                self._counts.dropped_queue_full += 1
                return self.refused
            waiting = WaitingCall(self, record)
            self._counts.dropped_not_awaited += 1
            return waiting
        if self._overflow(record):
            return self._yielding
        return self._full if strategy is OverflowStrategy.RAISE else self.refused

    def has_accepted(self, result: bool | Acceptance) -> bool:
        """Return whether what a call returned says that the event is in the queue already."""
        if type(result) is bool:
            return result
        if type(result) is Confirmation:
            return result.admitted
        return result is not self.refused and result is not REFUSED and type(result) not in _UNDECIDED

    def admit_nowait(self, record: Record) -> bool:
        """Admit an event if that needs no wait; return whether it was accepted."""
        if self._try_admit(record):
            return True
        if self.state != "open":
            self.reject()
            return False
        return self._overflow(record)

    def admit_on_loop(self, record: Record) -> bool:
        """Admit an event from a blocking call made on the loop's own thread, where waiting would be for ever."""
        if self._try_admit(record):
            return True
        if self.state != "open":
            self.reject()
        elif self._strategy is OverflowStrategy.BLOCK:
            self._counts.dropped_would_deadlock += 1
        else:
            return self._overflow(record)
        return False

    async def wait_for_room(self, record: Record) -> bool:
        """Wait in order of arrival, at most ``block_timeout``, until the event has room; return whether it got in."""
        self._counts.dropped_not_awaited -= 1
        if self.state != "open":
            self.reject()
            return False
        try:
            if self._try_admit(record):
                return True
        except RecursionError:
            # Without a call, for which there is no frame left.
            if self.chunk and self.chunk[-1] is record:
                return True
            self._counts.dropped_recursion += 1
            return False
        if self._waiting.congested:
            self._counts.dropped_congested += 1
            return False
        if handling_cancellation(self.backend.cancelled_class):
            self._counts.dropped_queue_full += 1
            return False
        admitted = await self._waiting.wait(record, self.admission.block_timeout)
        if admitted and self.is_deep():
            await self._turns.wait()
        return admitted

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
                self._wake_if_left_asleep(record)
                return False
            self.urgent = True
        elif self._waiting.waiters or self.depth() >= self.general:
            self.update_limit()
            self._wake_if_left_asleep(record)
            return False
        self._append(record)
        if self.idle or self.lingering:
            self._wake_for(record)
        self.update_limit()
        return True

    def _wake_if_left_asleep(self, record: Record) -> None:
        """Wake the workers if the call that has filled the queue had no frames left for it, and this one has."""
        if self.idle and (self.queued or self.chunk):
            try:
                self._wake_for(record)
            except RecursionError:
                pass

    def _append(self, record: Record) -> None:
        self.make_room_in_chunk()
        self.chunk.append(record)

    def make_room_in_chunk(self) -> None:
        """Open a new chunk if the open one is full."""
        if len(self.chunk) >= self.chunk_size:
            self._roll()

    def _roll(self) -> None:
        """Close the open chunk and open a new one behind it, into which calls ask for room first."""
        self.limit = 0
        if len(self.chunks) > self._most_chunks:
            self._most_chunks = len(self.chunks)
            touch_ahead(self.chunk_size)
        full = self.chunk
        fresh = Chunk()
        self.chunks.append(fresh)
        number = len(full)
        # From here on nothing is called, so nothing can interrupt. If a signal handler rolled since the
        # first line, ``fresh`` stays in the queue as an empty chunk.
        if self.chunk is full:
            full.counted = number
            self.queued += number
            self.chunk = fresh

    def update_limit(self) -> None:
        """Find out anew what a call may do without a look at the queue."""
        self.refuse_await = self.refuse_nowait = None
        if self.state != "open":
            self.limit = self.room = 0
            return
        depth = self.queued + len(self.chunk) + len(self.door.records)
        if depth > self._metrics.queue_high_water:
            self._metrics.queue_high_water = depth
        self.accepted = self._yielding if depth > CHUNK else self._ready
        if self._waiting.waiters or depth >= self.general:
            self.limit = self.room = 0
            if not self.idle:  # else the next call has to wake the workers
                self._refuse()
            return
        self.room = room = min(self.chunk_size, len(self.chunk) + self.general - depth)
        limit = room if not self.lingering else min(self.linger.most, room)
        # Nothing is called between the look into the door and the store, so no thread can come between.
        self.limit = 0 if self.door.records else -1 if self.idle else limit

    def _refuse(self) -> None:
        """Let calls that would find no room, and not wait for it, be refused without a look."""
        strategy = self._strategy
        if strategy is OverflowStrategy.BLOCK:
            self.refuse_nowait = self._refused_nowait
            if self._waiting.congested:
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

    def reject(self) -> str:
        """Count an event that comes when the intake is not open any more; return the reason.

        Before that no thread is the event loop's, and every event comes to the door.
        """
        if self.dead:
            self._counts.rejected_dead += 1
            return "dead"
        self._counts.rejected_closed += 1
        return "closed"

    def _overflow(self, record: Record) -> bool:
        """Do what the strategy says about an event without room, for a caller that does not wait."""
        if self._strategy is OverflowStrategy.DROP_OLDEST and self._eviction.evict(record[1]):
            self._append(record)
            self.update_limit()  # the event may have opened a new chunk, which no call may fill unasked
            if record[1] < Level.ERROR:
                self._eviction.let_in_on_credit()
            return True
        self._count_refusal()
        return False

    def settle(self) -> None:
        """Evict as many events as calls have put in over the bound; on the loop's thread."""
        if self._eviction.owed_beyond != NOTHING_OWED:
            self._eviction.settle()

    def evict(self, level: int) -> bool:
        """Drop the oldest queued event that may give way to one of *level*; return whether there was one."""
        return self._eviction.evict(level)

    # -- the workers' side

    def take(self) -> Chunk | Barrier | None:
        """Return the oldest chunk or barrier, or None when there is nothing."""
        if self._eviction.owed_beyond != NOTHING_OWED:
            self._eviction.settle()
        while self.queued or self.chunk or self.barriers or self.door.records:
            if self.door.records:
                self.door.empty_into_intake()
            # The depth falls only here, so that this sees every peak; calls that append do not look.
            depth = self.queued + len(self.chunk) + len(self.door.records)
            if depth > self._metrics.queue_high_water:
                self._metrics.queue_high_water = depth
            item = self.chunks[0]
            if isinstance(item, Barrier):
                del self.chunks[0]
                self.barriers -= 1
                return item
            chunk = item
            self.limit = 0
            if chunk is self.chunk:
                self._roll()
            number, stages = len(chunk), self._metrics.stages
            if self.chunks[0] is not chunk:  # a signal handler that logs has evicted it meanwhile
                continue
            # No call from here on, and so nowhere for an interrupt to strike: it would lose the chunk.
            del self.chunks[0]
            self.queued -= chunk.counted
            stages.taken += number
            stages.in_stages += number
            self.linger.last = number if self.workers == 1 else 0
            if number:
                self._released()
                return chunk
        self.urgent = False
        return None

    def _released(self) -> None:
        self._waiting.congested = False
        if self._waiting.waiters:
            self._waiting.serve()
        self.door.serve_waiters()
        self.update_limit()

    @property
    def drained(self) -> bool:
        """Whether the intake is closed and empty."""
        return self.state == "closed" and not (self.queued or self.chunk or self.barriers or self.door.records)

    async def wait_for_events(self, alarm: Alarm) -> None:
        """Wait by *alarm* until there is something to take, or the intake is closed. Cancelling it loses nothing.

        What is to linger is held back, to go out together with what follows it.
        """
        if self.is_ready():
            return
        try:
            self._idle_workers.append(alarm)
            if len(self._idle_workers) == self.workers:
                self._begin_to_wait(alarm)
            await alarm
        finally:
            if alarm in self._idle_workers:  # else an interrupt came before; one that stayed would wait for ever
                self._idle_workers.remove(alarm)
            alarm.reset()
            self.linger.end(self.lingering and self.workers == 1)
            self.idle = self.lingering = False
            self.limit = 0  # until something is taken, or a call has looked

    def _begin_to_wait(self, alarm: Alarm) -> None:
        """Have the next event wake the last worker that waits by *alarm*, or let it linger where more is expected."""
        when = self.linger.begin_ahead()
        if when is not None:
            self.lingering = True
            alarm.wake_at(when)
        else:
            self.idle = True
            self.lingering = False
        self.update_limit()
        # A signal handler or a finalizer that logged since the worker found nothing has woken nobody.
        if self.urgent or (self.idle and (self.queued or self.chunk)):
            alarm.wake()

    def is_ready(self) -> bool:
        """Return whether a worker need not wait: there is something to take, or the intake is closed."""
        return bool(self.queued or self.chunk or self.barriers or self.door.records) or self.state == "closed"

    def _wake_for(self, record: Record) -> None:
        if self.lingering and not (self.urgent or self.queued or len(self.chunk) > self.linger.most):
            return
        need_frames(_FRAMES_TO_WAKE)
        if record[6]:
            self.went_beyond()
            return
        # Outside a task this may be a signal handler that interrupted the loop anywhere, also in its wait.
        try:
            self.backend.call_soon(self.went_beyond)
        except RecursionError:
            raise
        except RuntimeError:  # the loop has ended
            self.shut()
        self.idle = False  # only now: whatever is raised before leaves the waking to a later call

    def went_beyond(self) -> None:
        """Wake the workers, now or at the end of the linger: there is an event in the queue that is beyond the limit.

        After a pause nothing of this is in the processor's caches, and the caller pays for each Python frame.
        """
        linger = self.linger
        self.idle = False
        try:
            if self.urgent or self.queued or len(self.chunk) > linger.longest or self.barriers or self.state != "open":
                self.lingering = False  # from here on a call need not look whether to wake them
                until = None
            elif self.lingering:
                until = None if linger.is_over() else inf
            else:
                until = linger.begin()
            if until is None:
                for alarm in self._idle_workers:
                    alarm.wake()
            elif until != inf and self._idle_workers:
                self.lingering = True
                self._idle_workers[0].wake_at_from_call(until)
        except BaseException:  # there are no frames left, or a signal handler has raised
            self.idle = bool(self._idle_workers)  # a later call has to wake them
            self.lingering = False
            raise
        if self.limit:
            limit = min(linger.most, self.room) if self.lingering else self.room
            # Nothing is called between the look into the door and the store, so no thread can come between.
            self.limit = 0 if self.door.records else limit

    def wake_worker(self) -> None:
        """Wake the workers, from code that runs on the loop."""
        for alarm in self._idle_workers:
            alarm.wake()

    def wake_if_due(self) -> None:
        """Wake the workers if they wait and there is something that no linger holds back; on the loop."""
        if self.idle if not self.lingering else self.urgent or self.queued:
            self.went_beyond()

    def put_barrier(self) -> Barrier:
        """Put a barrier behind everything that was admitted so far."""
        self.settle()
        self.door.empty_into_intake()
        self._roll()
        barrier = Barrier()
        # The fresh open chunk is before the barrier; what enters it meanwhile is waited for too.
        self.chunks.append(barrier)
        self.barriers += 1
        self.wake_worker()
        return barrier

    def forget(self) -> None:
        """Drop everything without counting it, in a child after a fork: the parent has these events."""
        self.shut()
        self.dead = True
        self.chunk = Chunk()
        self.chunks.clear()
        self.confirmations.clear()
        self._waiting.forget()
        self.door.forget()
        self.queued = self.barriers = 0


def _need_frames(number: int) -> None:
    if number:
        _need_frames(number - 1)


need_frames: Callable[[int], None] = _need_frames if accelerator is None else accelerator.need_frames
"""Raises a RecursionError unless the thread has room for so many frames."""
