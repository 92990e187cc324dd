"""The workers and the plugin stages: from the intake to the fan-out, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextvars import Context
from typing import Any, Protocol, TypeAlias, cast

import anyio
from anyio.lowlevel import checkpoint

from ..event import LogEvent, Record, events_of
from .backend import Alarm, Backend
from .channel import Channel
from .confirmations import Confirmations, carriers
from .host import PluginHost, PluginTimeout
from .intake import Intake
from .queued import Barrier, Chunk, Handover
from .steps import Progress, Step

Items: TypeAlias = "list[Record] | list[LogEvent] | Barrier"
"""What flows between stages: the events of one chunk, or a barrier."""


class Receiver(Protocol):
    """The next stage; it is called with one batch at a time, in order."""

    async def accept(self, items: Items) -> None: ...


class Turnstile:
    """Lets tasks through one at a time, in the order of their tickets.

    A ticket that is never given back holds up all that follow. So its holder takes it as the last thing before the
    block that ends with ``left.add(ticket)``, which no interrupt keeps from being done, and ``advance``, which may be
    called again at any time.
    """

    def __init__(self) -> None:
        self._next_ticket = 0
        self.current: int = 0
        """The ticket whose turn it is."""
        self.left: set[int] = set()
        """The tickets that have been given back, also without having entered."""
        self._waiting: dict[int, anyio.Event] = {}

    def ticket(self) -> int:
        """Return the next ticket."""
        ticket = self._next_ticket
        self._next_ticket += 1
        return ticket

    async def enter(self, ticket: int) -> None:
        """Wait until every earlier ticket has left; no checkpoint if they have."""
        while self.current != ticket:
            self._waiting[ticket] = event = anyio.Event()
            try:
                await event.wait()
            finally:
                self._waiting.pop(ticket, None)

    def advance(self) -> None:
        """Let the next ticket through, once every earlier one has been given back."""
        left = self.left
        while (passed := self.current) in left:
            self.current = passed + 1
            left.discard(passed)
        event = self._waiting.get(self.current)
        if event is not None:
            event.set()

    async def pass_through(self, items: Items, following: Receiver) -> None:
        """Hand on *items* behind everything that has a ticket by now."""
        ticket = self.ticket()
        try:
            await self.enter(ticket)
            await following.accept(items)
        finally:
            self.left.add(ticket)
            self.advance()


SLICE = 128
"""How many events synchronous plugins work on without a pause. The events of more would make Python look for garbage
in each batch, which costs as much as a plugin."""


class Segment:
    """A run of synchronous plugins: applied to a batch in one go, without an await."""

    def __init__(
        self, steps: Sequence[Step], plugin_context: Context, confirmations: Confirmations | None = None
    ) -> None:
        self._confirmations = confirmations
        self._steps = tuple(steps)
        self.is_empty: bool = not self._steps
        """Whether there are no plugins, so that everything goes on as it is."""
        self._plugin_context = plugin_context
        self._summarizing: tuple[Step, ...] = tuple(step for step in steps if step.has_summaries)

    def slices(self, items: Any) -> Iterator[Any]:
        """Yield *items* in parts that are small enough to be worked on at once."""
        if len(items) <= SLICE:
            yield items
            return
        for start in range(0, len(items), SLICE):
            yield items[start : start + SLICE]

    def run(self, items: Any) -> Any:
        """Return what goes on of *items*; without plugins that is *items* itself."""
        if not self._steps or not items:
            return items
        return self._plugin_context.copy().run(self._apply, items)

    def _apply(self, items: Any) -> Any:
        return self._apply_steps(self._steps, items)

    def _apply_steps(self, steps: Sequence[Step], items: Any) -> Any:
        events: list[LogEvent] = items
        confirmations = self._confirmations
        waited_for = carriers(items) if confirmations else None
        for step in steps:
            if not step.takes_records:
                events = _as_events(events)
            number = len(events)
            events = step.apply(events)
            step.settle(number, len(events))
            if waited_for and confirmations is not None:
                waited_for = confirmations.passed(waited_for, events, step.takes_out_as, step.name)
            if step.has_summaries:
                events += step.summaries()
        return events

    def next_summary(self) -> float | None:
        """Return when a filter has something to tell, on the event loop's clock; None if none has."""
        if not self._summarizing:
            return None
        return min((due for step in self._summarizing if (due := step.next_summary()) is not None), default=None)

    def summaries(self, *, final: bool = False) -> list[LogEvent]:
        """Return what filters have to tell, as it comes out of the steps behind them; all of it if *final*."""
        return self._plugin_context.copy().run(self._summaries, final) if self._summarizing else []

    def _summaries(self, final: bool) -> list[LogEvent]:
        events: list[LogEvent] = []
        for step in self._steps:
            if events:
                events = self._apply_steps((step,), events)
            if step.has_summaries:
                events += step.summaries(final=final)
        return events


def _as_events(items: Sequence[Record | LogEvent]) -> list[LogEvent]:
    # A batch is all of one kind: what one plugin has got as events, the next one does too.
    if items and type(items[0]) is tuple:
        return events_of(cast("Sequence[Record]", items))
    return cast("list[LogEvent]", items)


class Workers:
    """``max_workers`` tasks that take from the intake and run the first segment."""

    def __init__(self, intake: Intake, segment: Segment, following: Receiver, linger: float) -> None:
        self._intake = intake
        self._segment = segment
        self._following = following
        self._linger = linger
        self._turnstile = Turnstile()
        self._has_plugins = not segment.is_empty
        self._have_handed_over = False
        """Whether what is in the intake is another pipeline's."""

    async def run(self) -> None:
        """Take and pass on until the intake is closed and empty, or what it holds is another pipeline's."""
        self._turnstile.advance()
        going_on = True
        while going_on:
            with self._intake.backend.alarm() as alarm:
                going_on = await self._take_until_spent(alarm)

    async def _take_until_spent(self, alarm: Alarm) -> bool:
        """Do so by one alarm; return whether to go on by another one."""
        intake = self._intake
        turnstile = self._turnstile
        while not self._have_handed_over:
            if alarm.spent:
                return True
            item = intake.take()
            if item is None:
                if intake.state == "closed" and intake.drained:
                    return False
                due = self._segment.next_summary() if self._has_plugins else None
                if due is None:
                    await intake.wait_for_events(alarm)
                    continue
                with anyio.move_on_after(due - intake.backend.time()):
                    await intake.wait_for_events(alarm)
                    continue
                if not alarm.spent:
                    await self.tell_summaries()
                continue
            if type(item) is Handover:
                # One that is left over from a pipeline which was ended before it came to it says nothing here.
                self._have_handed_over = item.workers is self
                intake.wake_worker()
                continue
            if intake.confirmations and isinstance(item, Chunk):
                intake.confirmations.taken(item, self)
            intake.linger.follow(self._linger)
            ticket = turnstile.ticket()
            try:
                # The usual case calls little: what runs after a pause of the program costs many times as much as else.
                if isinstance(item, Barrier) or not self._has_plugins:
                    if turnstile.current != ticket:
                        await turnstile.enter(ticket)
                    await self._following.accept(item)
                else:
                    await self._apply_plugins(item, ticket)
            finally:
                turnstile.left.add(ticket)
                turnstile.advance()
            if intake.is_ready():
                await checkpoint()
            # Else the wait for events gives the others their turn, without another round of the event loop.
        return False

    async def tell_summaries(self, *, final: bool = False) -> None:
        """Hand on what filters have to tell: what is due, or all of it if *final*."""
        summaries = self._segment.summaries(final=final)
        if summaries:
            await self._turnstile.pass_through(summaries, self._following)

    async def _apply_plugins(self, chunk: Chunk, ticket: int) -> None:
        """Run the plugins and hand on what they leave; what was handed on is not kept while the worker waits."""
        for part in self._segment.slices(chunk):
            goes_on = self._segment.run(part)
            await self._turnstile.enter(ticket)
            await self._following.accept(goes_on)


class PluginStage:
    """One plugin with tasks and a bounded stream of its own, and the synchronous plugins behind it.

    It works on up to *workers* batches at once and passes them on in the order in which they came.
    """

    def __init__(
        self,
        step: Step,
        is_async: bool,
        workers: int,
        segment: Segment,
        following: Receiver,
        backend: Backend,
        plugin_context: Context,
        confirmations: Confirmations,
    ) -> None:
        self._step = step
        self._backend = backend
        self._confirmations = confirmations
        self._alone = Segment((step,), plugin_context, confirmations)
        self._segment = segment
        self._following = following
        self._channel: Channel[Items] = Channel(workers)
        self._turnstile = Turnstile()
        self.hosts: list[PluginHost] = [
            PluginHost(step.name, backend, plugin_context) for _ in range(workers if is_async else 0)
        ]
        self.workers = workers

    async def accept(self, items: Items) -> None:
        """Put a batch into the stage's stream, waiting for room."""
        await self._channel.put(items)

    async def run(self, number: int) -> None:
        """Work on batches until the stream is closed and empty; *number* is the worker's own."""
        host = self.hosts[number] if self.hosts else None
        turnstile = self._turnstile
        turnstile.advance()
        while True:
            items = self._channel.take_nowait()
            if items is None:
                if self._channel.closed:
                    return
                due = self.next_summary()
                if due is None:
                    await self._channel.wait_for_items()
                    continue
                with anyio.move_on_after(due - self._backend.time()):
                    await self._channel.wait_for_items()
                    continue
                await self.tell_summaries()
                continue
            ticket = turnstile.ticket()
            try:
                if not isinstance(items, Barrier):
                    items = self._alone.run(items) if host is None else await self._call(host, items)
                    items = self._segment.run(items)
                await turnstile.enter(ticket)
                await self._following.accept(items)
            finally:
                turnstile.left.add(ticket)
                turnstile.advance()
            await checkpoint()

    async def _call(self, host: PluginHost, items: Sequence[Record | LogEvent]) -> list[LogEvent]:
        step = self._step
        events = _as_events(items)
        waited_for = carriers(events) if self._confirmations else None
        progress = Progress()
        try:
            # One event has the plugin's timeout, inside; this is for a plugin that does not heed it.
            await host.call(
                lambda: step.apply_async(events, progress), step.timeout + 0.1, progress=lambda: progress.done
            )
            kept = progress.kept
        except (PluginTimeout, Exception) as error:  # also what AnyIO raised in the place of an interrupt
            kept = step.given_up(events, progress, error)
        step.settle(len(events), len(kept), progress.reasons)
        if waited_for:
            self._confirmations.passed(waited_for, kept, step.takes_out_as, step.name)
        return kept + self._alone.summaries() if step.has_summaries else kept

    def next_summary(self) -> float | None:
        """Return when a filter has something to tell, on the event loop's clock; None if none has."""
        dues = (self._alone.next_summary(), self._segment.next_summary())
        return min((due for due in dues if due is not None), default=None)

    async def tell_summaries(self, *, final: bool = False) -> None:
        """Hand on what filters have to tell: what is due, or all of it if *final*."""
        summaries = self._segment.run(self._alone.summaries(final=final))
        summaries += self._segment.summaries(final=final)
        if summaries:
            await self._turnstile.pass_through(summaries, self._following)

    def close(self) -> None:
        """Accept no more; the tasks end when what is there is done."""
        self._channel.close()

    def discard(self) -> None:
        """Free the stream, after the tasks have ended."""
        self._channel.discard()
