"""Scopes: what a block asks of the events inside it, before they are submitted.

A scope stands in the ambient context of its block, and so is seen by every task and thread that was started inside.
A *plain* one only counts. Any other one is asked for each event: whether its level is enabled here, whether it is over
the budget, whether it is to be held back until the scope knows how it ends.
"""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager
from contextvars import ContextVar
from math import inf
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from .context import INSIDE_PLUGIN
from .event import Ambient, Extras, Level, Record
from .formats._careful import encode
from .values import FrozenDict

if TYPE_CHECKING:
    from .levels import Levels
    from .spans import Span

Discarded: TypeAlias = Literal["span_buffer", "span_sample", "span_budget"]
"""Why a scope did not let an event go on; the reason under ``filtered`` in the ledger."""


class Exit(Protocol):
    """Where the events of scopes go: on, or into the account."""

    def submit(self, record: Record) -> object:
        """Let an event go on."""
        ...

    def discard(self, reason: Discarded, number: int) -> None:
        """Count events that do not go on."""
        ...


class Ring:
    """The events that one scope holds back until it knows how it ends: the newest of them, up to a bound."""

    __slots__ = ("_exit", "_held", "_lock", "_outer", "everything", "level", "released", "size")

    def __init__(self, exit: Exit, outer: Ring | None, level: int, size: int, *, everything: bool) -> None:
        self._exit = exit
        self._outer = outer
        self._lock = RLock()
        """Tasks, threads and signal handlers log into one scope."""
        self._held: deque[_Held] = deque()
        self.level: int = level
        """The least level that is held."""
        self.size: int = size
        """How many events are held at most; the oldest gives way."""
        self.everything: bool = everything
        """Whether also what is enabled is held, for the whole scope is one that was not sampled."""
        self.released: bool = False
        """Whether nothing is held any more."""

    def hold(self, record: Record, *, enabled: bool) -> bool:
        """Keep an event, if this ring or one around it is for such events; return whether it is kept.

        Parameters:
            enabled: whether its level is enabled, so that it goes on if nobody holds it.
        """
        if self.released:
            return False
        if record[1] < self.level or (enabled and not self.everything):
            return self._outer is not None and self._outer.hold(record, enabled=enabled)
        with self._lock:
            if self.released:
                return False
            self._held.append((record, enabled))
            if len(self._held) > self.size:
                self._count([self._held.popleft()])
        return True

    def wants(self, level: int) -> bool:
        """Return whether an event of a level that is not enabled is to be held, or goes on because all do now."""
        return level >= self.level or (self._outer is not None and self._outer.wants(level))

    def release(self) -> None:
        """Let everything go on in the order of the calls, and what comes from now on at once; first what is around."""
        if self._outer is not None:
            self._outer.release()
        self.let_go()

    def let_go(self) -> None:
        """Do this for the scope's own events only."""
        with self._lock:  # other threads wait, so that what they log now comes behind what they logged before
            self._submit_held()
            self.released = True

    def _submit_held(self) -> None:
        while self._held:
            # What an inner scope has left here came after what was logged meanwhile.
            held = sorted(self._held, key=_time_of)
            self._held.clear()
            for record, _ in held:
                self._exit.submit(record)

    def end(self) -> None:
        """Give up what is held, at the scope's end: to the ring around, if it holds such events, or for good."""
        with self._lock:
            held = list(self._held)
            self._held.clear()
            kept, self.released = self.released, True
        if kept:  # a signal handler came between the last look and the release
            for record, _ in held:
                self._exit.submit(record)
            return
        outer = self._outer
        self._count([entry for entry in held if outer is None or not outer.hold(entry[0], enabled=entry[1])])

    def _count(self, given_up: list[_Held]) -> None:
        sampled = sum(enabled for _, enabled in given_up)
        if sampled:
            self._exit.discard("span_sample", sampled)
        if len(given_up) > sampled:
            self._exit.discard("span_buffer", len(given_up) - sampled)


class Budget:
    """How much may be logged inside one scope."""

    __slots__ = ("_bytes", "_events", "_outer", "over")

    def __init__(self, outer: Budget | None, events: float, size: float) -> None:
        self._outer = outer
        self._events = events
        self._bytes = size
        self.over: int = 0
        """How many events came when it was spent."""

    def allows(self, record: Record) -> bool:
        """Take an event out of this budget and those around it; return whether there was enough in all of them."""
        if self._events <= 0 or self._bytes <= 0:
            self.over += 1
            return False
        if self._outer is not None and not self._outer.allows(record):
            return False
        self._events -= 1
        if self._bytes != inf:
            self._bytes -= len(encode((record[2], record[3])))
        return True


class Scope:
    """What the events of one block, and of the tasks started in it, are subject to."""

    __slots__ = ("around", "budget", "ended", "errors", "events", "level", "outer", "plain", "ring")

    def __init__(self, outer: Scope | None = None) -> None:
        self.outer: Scope | None = outer
        self.around: Span | None = None
        """The innermost span around the scope."""
        self.level: int | None = None
        """The least level inside; None where the loggers' own count."""
        self.ring: Ring | None = None
        self.budget: Budget | None = None
        self.events: int = 0
        """How many events were logged inside, of those that plain scopes see: added to without a call, for a signal
        handler or a thread may log in between."""
        self.errors: int = 0
        self.ended: bool = False
        """Whether the block has been left."""
        if outer is not None:
            self.around, self.level, self.ring, self.budget = outer.span, outer.level, outer.ring, outer.budget
        self.plain: bool = False
        """Whether the events inside are only to be counted; read by the quick path of a log call."""

    @property
    def span(self) -> Span | None:
        """The innermost span; the scope itself, if it is one."""
        return self.around

    def begin(self) -> None:
        """Let events come, once it is settled what they are subject to."""
        self.plain = self.span is self and self.level is None and self.ring is None and self.budget is None

    def end(self) -> None:
        """Let what comes from now on be subject to what is around."""
        self.ended = True
        self.plain = False

    def enables(self, level: int, own: int) -> bool:
        """Return whether an event of *level* is to be looked at, by a logger whose own level is *own*."""
        scope = self._live()
        if scope is None:
            return level >= own
        least = own if scope.level is None else scope.level
        return level >= least or (scope.ring is not None and scope.ring.wants(level))

    def take(self, record: Record, own: int, exit: Exit) -> Record | None:
        """Return what goes on of an event that :meth:`enables` let through; None if it is held back or over budget."""
        scope = self._live()
        if self.span is not None and self.span.ended:
            record = _marked_late(record)
        if scope is None:
            return record
        level = record[1]
        span = scope.span
        if span is not None:
            span.events += 1
        if level >= Level.ERROR:
            if span is not None:
                span.errors += 1
            if scope.ring is not None:
                scope.ring.release()
            return record
        if scope.budget is not None and not scope.budget.allows(record):
            exit.discard("span_budget", 1)
            return None
        if scope.ring is not None:
            enabled = level >= (own if scope.level is None else scope.level)
            if scope.ring.hold(record, enabled=enabled):
                return None
        return record

    def _live(self) -> Scope | None:
        """Return this scope, or the next one around it that has not ended."""
        scope: Scope | None = self
        while scope is not None and scope.ended:
            scope = scope.outer
        return scope


class Levelled:
    """The block of ``log.context(log_level=...)``."""

    __slots__ = ("_block", "_level", "_levels", "_scope", "_variable")

    def __init__(
        self, variable: ContextVar[Ambient], block: AbstractContextManager[None], levels: Levels, level: int
    ) -> None:
        self._variable = variable
        self._block = block
        self._levels = levels
        self._level = level
        self._scope: Scope | None = None

    def __enter__(self) -> None:
        self._block.__enter__()
        ambient = self._variable.get()
        self._scope = scope = Scope(ambient.scope)
        scope.level = self._level
        scope.begin()
        # The block has made this one for itself, or it is that of plugins, which log nothing.
        if ambient is not INSIDE_PLUGIN:
            ambient.scope = scope
        self._levels.ask_for(self._level)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._scope is not None:
            self._scope.end()
            self._levels.need_no_more(self._level)
        self._block.__exit__(kind, error, traceback)


_Held: TypeAlias = tuple[Record, bool]
"""An event, and whether its level is enabled."""


def _time_of(held: _Held) -> int:
    return held[0][0]


def _marked_late(record: Record) -> Record:
    extras = record[7] or Extras()
    extras.context = FrozenDict({**extras.context, "late": True})
    return (*record[:7], extras)
