"""The workers and the plugin stages: from the intake to the fan-out, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextvars import Context
from typing import Any, Protocol, TypeAlias, cast

import anyio
from anyio.lowlevel import checkpoint

from ..event import LogEvent, Record, events_of
from .backend import Backend
from .channel import Channel
from .host import PluginHost, PluginTimeout
from .intake import Intake
from .queued import Barrier, Chunk
from .steps import Progress, Step

Items: TypeAlias = "list[Record] | list[LogEvent] | Barrier"
"""What flows between stages: the events of one chunk, or a barrier."""


class Receiver(Protocol):
    """The next stage; it is called with one batch at a time, in order."""

    async def accept(self, items: Items) -> None: ...


class Turnstile:
    """Lets tasks through one at a time, in the order of their tickets."""

    def __init__(self) -> None:
        self._next_ticket = 0
        self._current = 0
        self._left: set[int] = set()
        self._waiting: dict[int, anyio.Event] = {}

    def ticket(self) -> int:
        """Return the next ticket."""
        ticket = self._next_ticket
        self._next_ticket += 1
        return ticket

    async def enter(self, ticket: int) -> None:
        """Wait until every earlier ticket has left; no checkpoint if they have."""
        while self._current != ticket:
            self._waiting[ticket] = event = anyio.Event()
            await event.wait()

    def leave(self, ticket: int) -> None:
        """Let the next ticket through, once every earlier one has left; also without having entered."""
        self._left.add(ticket)
        while self._current in self._left:
            self._left.remove(self._current)
            self._current += 1
        event = self._waiting.pop(self._current, None)
        if event is not None:
            event.set()


SLICE = 128
"""How many events synchronous plugins work on without a pause. The events of more would make Python look for garbage
in each batch, which costs as much as a plugin."""


class Segment:
    """A run of synchronous plugins: applied to a batch in one go, without an await."""

    def __init__(self, steps: Sequence[Step], plugin_context: Context) -> None:
        self._steps = tuple(steps)
        self._plugin_context = plugin_context

    def slices(self, items: Any) -> Iterator[Any]:
        """Yield *items* in parts that are small enough to be worked on at once; all of it if there are no plugins."""
        if not self._steps or len(items) <= SLICE:
            yield items
            return
        for start in range(0, len(items), SLICE):
            yield items[start : start + SLICE]

    def run(self, items: Any) -> Any:
        """Return what goes on of *items*; without plugins that is *items* itself."""
        if not self._steps or not items:
            return items
        return self._plugin_context.copy().run(self._apply, items)

    def _apply(self, items: Any) -> list[LogEvent]:
        events: list[LogEvent] = items
        for step in self._steps:
            if not step.takes_records:
                events = _as_events(events)
            number = len(events)
            events = step.apply(events)
            step.settle(number, len(events))
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

    async def run(self) -> None:
        """Take and pass on until the intake is closed and empty."""
        intake = self._intake
        turnstile = self._turnstile
        while True:
            item = intake.take()
            if item is None:
                if intake.drained:
                    return
                await intake.wait_for_events()
                continue
            ticket = turnstile.ticket()
            intake.hold_until = intake.backend.time() + self._linger
            try:
                await self._pass_on(item, ticket)
            finally:
                turnstile.leave(ticket)
            if intake.is_ready():
                await checkpoint()
            # Else the wait for events gives the others their turn, without another round of the event loop.

    async def _pass_on(self, item: Chunk | Barrier, ticket: int) -> None:
        """Run the plugins and hand on what they leave; what was handed on is not kept while the worker waits."""
        parts = (item,) if type(item) is Barrier else self._segment.slices(item)
        for part in parts:
            goes_on = part if type(part) is Barrier else self._segment.run(part)
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
    ) -> None:
        self._step = step
        self._alone = Segment((step,), plugin_context)
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
        while True:
            items = self._channel.take_nowait()
            if items is None:
                if self._channel.closed:
                    return
                await self._channel.wait_for_items()
                continue
            ticket = self._turnstile.ticket()
            try:
                if not isinstance(items, Barrier):
                    items = self._alone.run(items) if host is None else await self._call(host, items)
                    items = self._segment.run(items)
                await self._turnstile.enter(ticket)
                await self._following.accept(items)
            finally:
                self._turnstile.leave(ticket)
            await checkpoint()

    async def _call(self, host: PluginHost, items: Sequence[Record | LogEvent]) -> list[LogEvent]:
        step = self._step
        events = _as_events(items)
        progress = Progress()
        try:
            # One event has the plugin's timeout, inside; this is for a plugin that does not heed it.
            await host.call(
                lambda: step.apply_async(events, progress), step.timeout + 0.1, progress=lambda: progress.done
            )
            kept = progress.kept
        except (PluginTimeout, Exception) as error:
            kept = step.given_up(events, progress, error)
        step.settle(len(events), len(kept))
        return kept

    def close(self) -> None:
        """Accept no more; the tasks end when what is there is done."""
        self._channel.close()

    def discard(self) -> None:
        """Free the stream, after the tasks have ended."""
        self._channel.discard()
