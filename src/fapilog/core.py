"""Core: what every logger of one container shares."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from itertools import count
from threading import current_thread, get_ident
from typing import TYPE_CHECKING

from .calls import CALLS
from .context import INSIDE_PLUGIN
from .event import Ambient, Level, Record
from .exception_marks import Sighting
from .formats._timestamp import Clock
from .levels import Levels
from .scopes import Discarded, Scope
from .traces import Ids
from .values import FrozenDict, text

if TYPE_CHECKING:
    from .container import AsyncLoggingContainer
    from .pipeline.intake import Intake


class Core:
    """What every logger of one container shares."""

    __slots__ = (
        "_exception_ids",
        "ambient",
        "at_call",
        "callsite",
        "clock",
        "container",
        "ids",
        "intake",
        "levels",
        "observer",
    )

    def __init__(
        self,
        container: AsyncLoggingContainer,
        intake: Intake,
        ambient: ContextVar[Ambient],
        callsite: bool,
        levels: Levels,
        at_call: Callable[[], FrozenDict] | None = None,
    ) -> None:
        self.container: AsyncLoggingContainer = container
        self.intake: Intake = intake
        self.ambient: ContextVar[Ambient] = ambient
        self.callsite: bool = callsite
        self.levels: Levels = levels
        self.at_call: Callable[[], FrozenDict] | None = at_call
        """Returns what enrichers add to the context in the call itself; None if none does."""
        self._exception_ids = count(1)
        self.clock: Clock = Clock()
        """Writes times that stand in events as text."""
        self.ids: Ids = Ids()
        self.observer: Callable[[Record], Record] | None = None
        """Sees every event in its call, and returns what is submitted instead; see :meth:`observe`."""
        if CALLS is not None:
            CALLS.meet_intake(type(intake))

    def submit(self, record: Record) -> bool:
        """Submit an event without waiting; return whether it was accepted."""
        intake = self.intake
        if get_ident() != intake.thread:
            return intake.door.admit_nowait(record)
        chunk = intake.chunk
        if len(chunk) < intake.limit and record[1] < Level.ERROR:  # as the quick path, which has no way for errors
            chunk.append(record)
            return True
        return intake.admit_nowait(record)

    def task_name(self) -> str:
        """Return the name of the task that runs, or of the thread if it is not the event loop's."""
        intake = self.intake
        return intake.task_name() if get_ident() == intake.thread else text(current_thread().name)

    def sighting(self, container_id: str, ambient: Ambient, task: str) -> Sighting:
        """Return what an exception is linked to that is logged in this context."""
        scope: Scope | None = ambient.scope
        span = None if scope is None else scope.span
        name, since = ("", 0) if span is None else (span.name, span.root_began)
        span_id = ambient.values.get("span_id")
        number = next(self._exception_ids)
        return Sighting(container_id, number, span_id if type(span_id) is str else "", name, task, since)

    def plugin_context(self) -> Context:
        """Return a copy of this context in which plugins run; what they log is refused."""
        context = copy_context()
        context.run(self.ambient.set, INSIDE_PLUGIN)
        return context

    def is_inside_plugin(self) -> bool:
        """Return whether this runs in a plugin of the container's, for which it must not be made to wait."""
        return self.ambient.get() is INSIDE_PLUGIN

    def observe(self, observer: Callable[[Record], Record] | None) -> None:
        """Let *observer* see the events from now on; None for nobody. On the loop's thread.

        It runs in the calls, in any thread and in signal handlers, and must not raise.
        """
        self.observer = observer
        self.intake.observe(observer is not None)

    def discard(self, reason: Discarded, number: int) -> None:
        """Count events that do not go on."""
        self.container.metrics_collector.discard(reason, number)
