"""Delivery: one sink's bounded stream, its task, and its policy for failures."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from operator import attrgetter

import anyio
from anyio.lowlevel import checkpoint

from ..errors import PartialWriteError, PermanentSinkError, SinkError, ThrottledSinkError
from ..health import SinkHealth
from ..metrics import Histogram, SinkCounts, count
from ..plugins import Batch
from ..plugins.batch import slices
from ..plugins.policy import SinkPolicy
from ..settings import OverflowStrategy
from .attempts import Failure, Write, check_result, described, refuse_awaitable, seconds_of
from .breaker import Backoff, CircuitBreaker
from .caller import PluginCaller
from .confirmations import Confirmations, Receiver
from .host import GRACE, PluginTimeout, StillRunning
from .redaction import Redaction
from .sink_stream import SinkStream

LONGEST_THROTTLE = 60.0
"""The longest wait that a sink's target may ask for, in seconds."""
MOST_SET_ASIDE = 8
"""The most batches of an unordered sink that wait for their retry while others are written."""


_DUE = attrgetter("due")


class FlushRequest:
    """Somebody waits until what was put into the stream up to *position* has an outcome and the sink has flushed."""

    __slots__ = ("done", "position", "succeeded")

    def __init__(self, position: int) -> None:
        self.position: int = position
        self.done: anyio.Event = anyio.Event()
        self.succeeded: bool = False


class Delivery:
    """Writes what the fan-out hands it, in order, and sees failures through to an outcome for every event."""

    def __init__(
        self,
        name: str,
        policy: SinkPolicy,
        caller: PluginCaller,
        counts: SinkCounts,
        report: Callable[[str, str], None],
        write_seconds: Histogram,
        delivery_seconds: Histogram,
        clock: Callable[[], float],
        confirmations: Confirmations,
        redaction: Redaction | None = None,
    ) -> None:
        self.name: str = name
        self._policy = policy
        self._confirmations = confirmations
        self._redaction = redaction
        # ``SinkPolicy.resolved`` has filled these in.
        self._batch_size = policy.batch_size or 1
        self._block_timeout = policy.block_timeout or 0.0
        self.caller: PluginCaller = caller
        self.counts: SinkCounts = counts
        self.fallback: Delivery | None = None
        self.down: bool = False
        """Whether the sink did not start; it is not required, and gets nothing."""
        self.stalled: bool = False
        """Whether the sink kept the fan-out waiting too long; it drops until it takes a batch again."""
        self._last_error: str = ""
        self._last_error_at: datetime | None = None
        self._report = report
        self._clock = clock
        """The event loop's time; ``anyio.current_time`` looks for the event loop first."""
        self._write_seconds = write_seconds
        self._delivery_seconds = delivery_seconds
        self._stream = SinkStream(policy.queue_batches, self._batch_size)
        self._current: Write | None = None
        """What the task is delivering."""
        self._set_aside: deque[Write] = deque()
        self._breaker = CircuitBreaker(policy.breaker_failures, policy.breaker_reset, clock)
        self._backoff = Backoff(policy.backoff, policy.backoff_max)
        self._hurry = anyio.Event()
        """Set while somebody waits for a flush, and for good when the stream is closed: pauses are cut short."""
        self._closed = anyio.Event()
        self._offered = 0
        """The first sequence of the last batch that was offered."""
        self._flushes: list[FlushRequest] = []
        self._in_hand = 0
        self._being_written = 0
        """Events of a write that has not returned; not reset if it is cut off at the deadline."""
        self._waits_no_more = False
        self._idle = False
        """Whether the task waits and nothing is in the stream."""
        self._closing = False
        self._has_ended = False
        self.owns_sink: bool = True
        """Whether it is this that closes the sink and ends its thread; another pipeline's delivery may have it now."""
        self.closed_cleanly: bool = False
        """Whether the sink was closed and said so in time."""

    @property
    def required(self) -> bool:
        """Whether who waits for an event waits until this sink has delivered it."""
        return self._policy.required

    def health(self) -> SinkHealth:
        """Return whether the sink takes events, and why not; from any thread."""
        states = {"not_started": self.down, "breaker_open": self._breaker.open, "stalled": self.stalled}
        return SinkHealth(
            name=self.name,
            required=self._policy.required,
            reasons=tuple(reason for reason, holds in states.items() if holds),
            failures=self._breaker.in_a_row,
            last_error=self._last_error,
            last_error_at=self._last_error_at,
            queue_depth=len(self._stream),
            queue_capacity=self._policy.queue_batches,
            in_flight=self.counts.in_flight,
            fallback=None if self.fallback is None else self.fallback.name,
        )

    def note_failure(self, message: str) -> None:
        """Keep what a failure said, for whoever asks how the sink is."""
        self._last_error = message
        self._last_error_at = datetime.now(UTC)

    # -- the fan-out's side

    def offer(self, batch: Batch, admitted_ns: int) -> bool:
        """Take *batch* or drop it by the sink's strategy; return False if the strategy is to wait for room."""
        number = len(batch)
        self.counts.routed += number
        self._offered = batch._first_sequence
        write = Write(batch, admitted_ns)
        if self.down:
            self._give_up(write, batch, "not_started")
            return True
        if self._idle and self._write_at_once(write, number):
            return True
        if self._enter(write):
            return True
        strategy = self._policy.overflow_strategy
        if strategy is OverflowStrategy.BLOCK:
            if not (self.stalled or self._waits_no_more):
                return False
            self._drop(write, "stalled")
        elif strategy is OverflowStrategy.DROP_OLDEST:
            oldest = self._stream.pop()
            if oldest is not None:
                self._drop(oldest, "evicted")
            self._enter(write)
        else:  # DROP_NEWEST; under RAISE there is no caller left to raise to
            self._drop(write, "queue_full")
        self._report("overflow", f"sink {self.name!r} cannot keep up; events are dropped")
        return True

    def make_sure_of(self, batch: Batch) -> None:
        """Count *batch* here, if an interrupt has kept it from being offered; it is abandoned in the end."""
        number = len(batch)
        if self._offered != batch._first_sequence:
            self._offered = batch._first_sequence
            self.counts.routed += number

    def _write_at_once(self, write: Write, number: int) -> bool:
        """Write a batch without the detour through the stream and the task, if the task is idle and no wait is needed.

        Returns whether the batch was written; after a failure it has to go to the task, which sees to it.
        """
        if number > self._batch_size or self._policy.batch_linger or self._set_aside or self._breaker.open:
            return False
        if self._redaction is not None:
            return False
        began = self._clock()
        self._current = write
        self._in_hand = self._being_written = number
        done = True
        try:
            if self.caller.writes_directly():
                check_result(self.caller.call_directly("write", write.batch))
            else:
                done = self.caller.write_at_once(write.batch)
        except Exception as error:
            write.failure = self._failure_of(write, error)
            done = write.failure is None  # what was refused for good is not tried again
            self._being_written = 0
        else:
            if done:
                self._written(write, began)
            self._being_written = 0
        finally:
            if self._being_written:  # an interrupt ends the fan-out's task, and this goes on with what follows
                self._note_cut_off()
            self._in_hand = 0
            self._current = None
        if not done:
            return False
        self._stream.entered += 1
        self._stream.left += 1
        self.stalled = False
        return True

    async def offer_waiting(self, batch: Batch, admitted_ns: int) -> None:
        """Take a batch that ``offer`` did not, waiting for room at most ``block_timeout``; then the sink is stalled."""
        write = Write(batch, admitted_ns)
        with anyio.move_on_after(self._block_timeout):
            if await self._enter_when_there_is_room(write):
                return
        if self._enter(write):
            return
        self.stalled = True
        self._drop(write, "block_timeout")
        self._report("stalled", f"sink {self.name!r} took nothing for {self._block_timeout} s; it is stalled")

    async def _enter_when_there_is_room(self, write: Write) -> bool:
        """Wait for room; return False if nobody is to wait any more."""
        while not self._waits_no_more:
            if self._enter(write):
                return True
            await self._stream.wait_for_room()
        return False

    def wait_no_more(self) -> None:
        """Let nobody wait for room in the stream from now on; what does not fit is dropped."""
        self._waits_no_more = True
        self._stream.wake_senders()

    def take_over(self, given_up: Write, in_place_of: Receiver) -> None:
        """Take a batch that another sink gave up, and has counted here, or drop it; never waits, asks no routes."""
        batch = given_up.batch.without_sink_sequence()
        write = Write(batch, given_up.admitted_ns, in_place_of=in_place_of)
        write.unknown = given_up.unknown
        if self.down:
            self._give_up(write, batch, "not_started")
        elif not self._enter(write):
            self._drop(write, "queue_full")

    def _drop(self, write: Write, reason: str) -> None:
        """Count a batch for which the stream has no room."""
        count(self.counts.dropped, reason, len(write.batch))
        self._lose(write, write.batch, "dropped", reason)

    def _lose(self, write: Write, batch: Batch, state: str, reason: str) -> None:
        """Tell who waits for one of *batch*, which was counted as lost, or a part of it."""
        if self._confirmations:
            self._confirmations.lost(
                batch, write.in_place_of or self, "outcome_unknown" if write.unknown else state, reason
            )

    def _enter(self, write: Write) -> bool:
        if not self._stream.enter(write):
            return False
        self._idle = False
        self.stalled = False
        return True

    def close(self) -> None:
        """Accept no more; the task writes what is there, without pauses, and closes the sink."""
        self._hurry.set()
        self._closed.set()
        self._stream.close()

    def discard(self) -> None:
        """Free the stream and count what has no outcome as abandoned; after the task has ended."""
        self._note_cut_off()
        if self._confirmations:
            self._confirmations.lost_at(self, "abandoned", "deadline")
        left = self.counts.in_flight
        if left:
            count(self.counts.abandoned, "deadline", left)
        self._stream.discard()
        for request in self._flushes:
            request.done.set()

    # -- flushing

    def request_flush(self) -> FlushRequest:
        """Return a request that is done once everything routed so far has an outcome and the sink has flushed."""
        request = FlushRequest(self._stream.entered)
        if self.down or self._has_ended:
            request.succeeded = self.down or self.closed_cleanly
            request.done.set()
            return request
        self._flushes.append(request)
        self._hurry.set()
        self._stream.wake()
        return request

    async def _serve_flushes(self) -> None:
        # What has left the stream has an outcome, but for what is still here.
        reached = self._stream.passed(self._set_aside)
        due = [request for request in self._flushes if request.position <= reached]
        if not due:
            return
        succeeded = await self._call_quietly("flush", self._policy.write_timeout)
        for request in due:
            self._flushes.remove(request)
            request.succeeded = succeeded
            request.done.set()
        if not self._flushes and not self._stream.closed:
            self._hurry = anyio.Event()

    # -- the task

    async def run(self) -> None:
        """Write until the stream is closed and empty, then flush and close the sink.

        If this is cancelled, it may be run again; else ``end`` has to follow.
        """
        await self._write_until_closed()
        await self._call_quietly("flush", self._policy.write_timeout)
        await self.close_sink(self._policy.write_timeout)

    async def end(self) -> None:
        """Close the sink if it still answers and was not closed before, and let nobody wait for it any longer.

        Also where the task is cancelled, at the drain's deadline.
        """
        with anyio.move_on_after(2 * GRACE, shield=True):
            await self.close_sink(GRACE)
        self._has_ended = True
        for request in self._flushes:
            request.done.set()
        self._flushes.clear()

    def leave_open(self) -> None:
        """Never close the sink: another pipeline's delivery has started it."""
        self._closing = self.closed_cleanly = True

    async def close_sink(self, timeout: float) -> None:
        """Close the sink unless that was begun before or is another's to do; a failure is told."""
        if not self._closing:
            self._closing = True
            if not self.owns_sink:
                self.closed_cleanly = True
                return
            self.closed_cleanly = await self._call_quietly("aclose", timeout)

    async def _write_until_closed(self) -> None:
        if self._being_written:  # this was cut off in a write before, by somebody who cancels every task there is
            self._note_cut_off()
            self._breaker.failed()  # also ends a probe, which nothing else would
        while True:
            try:
                await self._write_all()
            except Exception as error:
                self.caller.pass_on_interrupt(error)
                self._report("internal", f"internal error in the delivery to {self.name!r}: {error!r}")
                self._breaker.failed()  # also ends a probe, which nothing else would
                count(self.counts.failed, "internal_error", max(self._in_hand, 0))
                self._in_hand = 0
                self._lose_current("failed", "internal_error")
            else:
                return

    def _note_cut_off(self) -> None:
        """Count the events of a write that has not returned and never will."""
        if self._being_written:
            self.counts.outcome_unknown += self._being_written
            self._being_written = 0
            self._lose_current("outcome_unknown", "cut_off")

    def _lose_current(self, state: str, reason: str) -> None:
        write, self._current = self._current, None
        if write is not None:
            self._lose(write, write.batch, state, reason)

    async def _write_all(self) -> None:
        while True:
            write = self._due_again() or self._stream.take()
            if write is None:
                if self._flushes:
                    await self._serve_flushes()
                if self._stream.closed and not self._set_aside and not len(self._stream):
                    return
                self._idle = not (self._stream.closed or len(self._stream))
                try:
                    await self._wait()
                finally:
                    self._idle = False
                continue
            if self._policy.batch_linger and not write.failures:
                with anyio.move_on_after(self._policy.batch_linger):
                    await self._stream.extend(write, self._hurries)
            self._current = write
            self._in_hand = len(write.batch)
            if self._redaction is not None and not write.redacted:
                await self._redact(write, self._redaction)
            for part in slices(write.batch, self._batch_size):
                await self._deliver(write.of(part) if part is not write.batch else write)
            self._in_hand = 0
            self._current = None
            if self._flushes:
                await self._serve_flushes()
            if self._stream.next is not None or self._set_aside or len(self._stream):
                await checkpoint()
            # Else the wait for batches gives the others their turn, without another round of the event loop.

    async def _redact(self, write: Write, redaction: Redaction) -> None:
        """Let the sink's own redactors see copies of the events of *write*, with a pause after each batch of them."""
        redacted: list[Batch] = []
        for part in write.batch.parts:
            if redacted:
                await checkpoint()
            redacted.append(self._redacted(part, redaction, write.in_place_of or self))
        write.batch = Batch.joined(redacted)
        write.redacted = True

    def _redacted(self, batch: Batch, redaction: Redaction, receiver: Receiver) -> Batch:
        made = batch.once(redaction)
        self.counts.withheld += len(made.withheld)
        if made.withheld and self._confirmations:
            self._confirmations.lost(batch.select(sorted(made.withheld)), receiver, "withheld", "redaction failed")
        return made.batch

    def _hurries(self, write: Write) -> bool:
        """Return whether *write* is not to wait for more events."""
        if self._hurry.is_set():
            return True
        return bool(self._confirmations) and self._confirmations.hurry(write.in_place_of or self)

    def _due_again(self) -> Write | None:
        """Return a batch set aside whose time has come."""
        if not self._set_aside:
            return None
        write = min(self._set_aside, key=_DUE)
        if not (self._hurry.is_set() or write.due <= self._clock()):
            return None
        self._set_aside.remove(write)
        return write

    async def _wait(self) -> None:
        if not self._set_aside:
            await self._stream.wait_for_items()
            return
        with anyio.move_on_after(max(min(map(_DUE, self._set_aside)) - self._clock(), 0.0)):
            await self._stream.wait_for_items()

    async def _pause(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._hurry.wait()

    async def _call_quietly(self, method: str, timeout: float) -> bool:
        """Call an optional method; a failure is told and otherwise ignored. Return whether it succeeded."""
        if not self.caller.has(method):
            return True
        try:
            refuse_awaitable(await self.caller.call(method, timeout=timeout), method)
        except Exception as error:
            self.caller.pass_on_interrupt(error)
            self._report(method, f"{method} of sink {self.name!r} failed: {described(error)}")
            return False
        return True

    # -- one batch

    async def _deliver(self, write: Write) -> None:
        """See one batch through: to an outcome for each of its events, or set aside for a retry."""
        while True:
            failure, write.failure = write.failure, None
            if failure is None and not self._breaker.allows():
                # With a fallback the events go there; without one they are held for the probe, and what the
                # stream has no room for meanwhile is up to the overflow strategy.
                if self.fallback is not None or self._closed.is_set():
                    self._give_up(write, write.batch, "breaker_open")
                    return
                with anyio.move_on_after(self._breaker.remaining()):
                    await self._closed.wait()
                continue
            failure = failure or await self._attempt(write)
            self._being_written = 0
            if failure is None:
                return
            if failure.reason == "permanent":
                self._breaker.succeeded()  # it answered; what it refuses for good says nothing of other events
            elif self._breaker.failed():
                self._report("breaker", f"sink {self.name!r} is left alone for {self._policy.breaker_reset} s")
            write.failures += 1
            if not failure.retry or write.failures >= self._policy.attempts:
                self._give_up(write, write.batch, failure.reason)
                self._report("failed", f"sink {self.name!r} failed: {failure.message}")
                return
            number = len(write.batch)
            pause = max(self._backoff.wait(write.failures), min(failure.retry_after, LONGEST_THROTTLE))
            if not self._policy.ordered and len(self._set_aside) < MOST_SET_ASIDE and not self._hurry.is_set():
                write.due = self._clock() + pause
                self._set_aside.append(write)
                self._in_hand -= number
                self.counts.retries += 1
                return
            await self._pause(pause)
            self.counts.retries += 1

    async def _attempt(self, write: Write) -> Failure | None:
        """Write once. What is left to do afterwards is ``write.batch``; return None when that is nothing."""
        batch = write.batch
        number = len(batch)
        if write.ambiguous:
            self.counts.duplicates += number
            write.ambiguous = False
        began = self._clock()
        self._being_written = number
        try:
            check_result(await self.caller.call("write", batch, timeout=self._policy.write_timeout))
        except Exception as error:
            return self._failure_of(write, error)
        self._written(write, began)
        return None

    def _written(self, write: Write, began: float) -> None:
        self._breaker.succeeded()
        self._delivered(write)
        self._write_seconds.observe(self._clock() - began)
        self._delivery_seconds.observe((time.time_ns() - write.admitted_ns) / 1e9)

    def _failure_of(self, write: Write, error: Exception) -> Failure | None:
        """Return what the error of an attempt means; None if it leaves nothing to be done."""
        struck = self.caller.pass_on_interrupt(error)
        self.note_failure(described(error))
        if isinstance(error, PartialWriteError):
            failure = self._partial(write, error)
            if failure is None:
                self._breaker.succeeded()
            return failure
        if isinstance(error, StillRunning):
            return Failure("timeout", "the write before it is still running", retry=False)
        if isinstance(error, PluginTimeout):
            self.counts.outcome_unknown += len(write.batch)
            write.unknown = True
            return Failure("timeout", f"no answer within {self._policy.write_timeout} s", retry=False)
        if isinstance(error, ThrottledSinkError):
            return Failure("throttled", described(error), retry=True, retry_after=seconds_of(error.retry_after))
        if isinstance(error, PermanentSinkError):
            return Failure("permanent", described(error), retry=False)
        if struck:  # perhaps behind the write, and the program's end may come before the next attempt
            self.counts.outcome_unknown += len(write.batch)
            write.unknown = True
        write.ambiguous = not isinstance(error, SinkError)
        return Failure("sink_error", described(error), retry=True)

    def _partial(self, write: Write, error: PartialWriteError) -> Failure | None:
        """Count what a partial write delivered and refused; leave the rest in *write*."""
        batch = write.batch
        failed = {
            position: cause
            for position, cause in error.failed.items()
            if isinstance(position, int) and 0 <= position < len(batch)
        }
        refused = sorted(p for p, cause in failed.items() if isinstance(cause, PermanentSinkError))
        again = sorted(failed.keys() - set(refused))
        self._delivered(write, failed)
        if refused:
            self._give_up(write, batch.select(refused), "permanent")
        if not again:
            return None
        write.batch = batch.select(again)
        return Failure("sink_error", described(error), retry=True)

    def _delivered(self, write: Write, failed: Collection[int] = ()) -> None:
        """Count what a write has delivered: all but the *failed* positions."""
        number = len(write.batch) - len(failed)
        # No call between these, and so nowhere for an interrupt to strike.
        self.counts.delivered += number
        self._being_written = 0
        self._in_hand -= number
        if self._confirmations:
            self._confirmations.delivered(write.batch, write.in_place_of or self, self.name, failed)

    def _give_up(self, write: Write, batch: Batch, reason: str) -> None:
        """End the attempts for *batch*: hand it to the fallback, or count it as failed."""
        number = len(batch)
        self._in_hand -= number
        if self.fallback is not None:
            fallback = self.fallback.counts
            # No call between these, and so nowhere for an interrupt to strike.
            self.counts.fallback_out += number
            fallback.fallback_in += number
            if self._redaction is not None and not write.redacted:
                # What was not to reach this sink does not reach another.
                batch = self._redacted(batch, self._redaction, write.in_place_of or self)
            self.fallback.take_over(write.of(batch), write.in_place_of or self)
        else:
            count(self.counts.failed, reason, number)
            self._lose(write, batch, "failed", reason)
