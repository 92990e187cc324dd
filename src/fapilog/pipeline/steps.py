"""Steps: what enrichers, processors and redactors do to a list of events, and what the failures of plugins cost.

What filters do is in ``filtering.py``. A raising filter keeps the event, a raising enricher or processor is skipped, a
raising redactor fails closed: the content of the event is withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import anyio

from .._interrupts import Interrupt, interrupt_in, raise_interrupt
from ..event import LogEvent, Record, record_of
from ..metrics import StageCounts, count
from ..plugins import Removed
from ..plugins.shape import is_async
from ..shown import type_name
from ..values import EMPTY, plain_copy
from .confirmations import carried_by

WITHHELD = "[withheld: redaction failed]"


class Progress:
    """How far an asynchronous plugin has come with a list of events."""

    __slots__ = ("closed", "done", "kept", "reasons")

    def __init__(self) -> None:
        self.done: int = 0
        self.reasons: dict[str, int] | None = None
        """How many events did not go on for a reason that a filter told."""
        self.kept: list[LogEvent] = []
        self.closed: bool = False
        """Whether the pipeline has gone on without the rest; what still comes is ignored."""


class Step:
    """One plugin in the chain. ``apply`` runs a synchronous one, ``apply_async`` an asynchronous one."""

    takes_out_as: str = "filtered"
    """What becomes of an event that this takes out, in the words of the account."""
    takes_records: bool = False
    """Whether ``apply`` may be given records in place of events, and returns records then."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        counts: StageCounts,
        report: Callable[[str, str], None],
        timeout: float,
        pass_on: Callable[[Interrupt], object] = raise_interrupt,
    ) -> None:
        """Make the step.

        Parameters:
            pass_on: called with an interrupt of the application's that struck the plugin; it may raise it.
        """
        self.name = name
        self.timeout = timeout
        self._function = function
        self._counts = counts
        self._report = report
        self._pass_on = pass_on
        self.has_summaries: bool = False
        """Whether there may ever be ``summaries``."""

    def attach(self, plugin: Any, clock: Callable[[], float]) -> None:
        """Make use of what the plugin has beside its method; *clock* is the event loop's."""

    def apply(self, events: list[LogEvent]) -> list[LogEvent]:
        """Return the events that go on. Never raises an ``Exception``."""
        kept: list[LogEvent] = []
        for event in events:
            try:
                keep = self._on_result(event, self._function(event))
            except BaseException as error:
                self._failed(error)
                keep = self._on_failure(event)
            if keep:
                kept.append(event)
        return kept

    async def apply_async(self, events: list[LogEvent], progress: Progress) -> None:
        """Put the events that go on into *progress*. Runs in the plugin's host; never raises an ``Exception``."""
        for event in events:
            done = False
            result = None
            try:
                with anyio.move_on_after(self.timeout):
                    result = await self._function(event)
                    done = True
                if not done:
                    raise TimeoutError(f"took longer than {self.timeout} s")
                keep = self._on_result(event, result)
            except (Exception, SystemExit) as error:
                if _refused_to_close(error):
                    raise  # this is being closed too, and must not go on to the next event
                self._failed(error)
                keep = self._on_failure(event)
            if progress.closed:
                return
            if keep:
                progress.kept.append(event)
            elif type(keep) is Removed:
                progress.reasons = counted(progress.reasons, keep)
            progress.done += 1

    def given_up(self, events: list[LogEvent], progress: Progress, error: BaseException) -> list[LogEvent]:
        """Return the events that go on when the plugin did not come back: those done, and the others as failed."""
        progress.closed = True
        self._failed(error)
        return progress.kept + [event for event in events[progress.done :] if self._on_failure(event)]

    def settle(self, before: int, after: int, reasons: Mapping[str, int] | None = None) -> None:
        """Count the events that did not go on, *before* - *after* of them, once the list is through.

        Parameters:
            reasons: how many of them did not for a reason that was told, if ``apply`` does not know.
        """

    def next_summary(self) -> float | None:
        """Return when the next summary is due, on the event loop's clock; None if none is."""
        return None

    def summaries(self, *, final: bool = False) -> list[LogEvent]:
        """Return new events that tell of those that did not go on: what is due, or all of it if *final*; counted."""
        return []

    def _on_result(self, event: LogEvent, result: Any) -> bool | Removed:
        """Use what the plugin returned; return whether the event goes on. What this raises is the plugin's failure."""
        return True

    def _on_failure(self, event: LogEvent) -> bool:
        """Do what this kind of plugin's failure costs; return whether the event goes on."""
        return True

    def _failed(self, error: BaseException | str) -> None:
        if not isinstance(error, str) and (interrupt := interrupt_in(error)) is not None:
            self._pass_on(interrupt)
        count(self._counts.plugin_errors, self.name)
        self._report(self.name, error if isinstance(error, str) else f"{type(error).__name__}: {_said(error)}")


class EnricherStep(Step):
    """An enricher: a mapping it returns is added to the event's context."""

    def apply(self, events: list[LogEvent]) -> list[LogEvent]:
        # The same as a Step's, without the calls that the usual answers do not need.
        function = self._function
        for event in events:
            try:
                result = function(event)
                if result is not None:
                    added = plain_copy(result)
                    if added and event._context is None and not event._sealed:
                        event._context = added
                    else:
                        self._on_result(event, result if added is None else added)
            except BaseException as error:
                self._failed(error)
        return events

    def _on_result(self, event: LogEvent, result: Any) -> bool:
        if result is not None:
            refuse_awaitable(result)
            if not isinstance(result, Mapping):
                raise TypeError(f"enrich returned {type(result).__name__}; it must return a mapping or None")
            event.add(context=cast("Mapping[str, Any]", result))
        return True


class RedactorStep(Step):
    """A redactor: if it fails, what it should have cleaned does not get out."""

    _screen: Callable[[Sequence[Record | LogEvent]], Any] | None = None
    """Returns the positions of the items that the redactor has to see; None if it has to see all of them."""

    def attach(self, plugin: Any, clock: Callable[[], float]) -> None:
        try:
            screen: Any = getattr(plugin, "screen", None)
        except BaseException as error:
            self._failed(error)
            return
        if screen is not None and not is_async(self._function):
            self._screen = screen
            self.takes_records: bool = True

    def apply(self, events: list[LogEvent]) -> list[LogEvent]:
        if self._screen is None:
            return super().apply(events)
        items: list[Any] = events
        positions = self._positions(items)
        if positions:
            items = list(items)
            for position in positions:
                item = items[position]
                if type(item) is tuple:
                    event = LogEvent.from_record(cast("Record", item))
                    super().apply([event])
                    items[position] = record_of(event)
                else:
                    super().apply([item])
        return items

    def _positions(self, items: Sequence[Record | LogEvent]) -> Sequence[int]:
        """Return the positions of those that the redactor has to see: all of them, if it cannot tell."""
        assert self._screen is not None
        try:
            positions = self._screen(items)
            if _are_positions(positions, len(items)):
                return cast("list[int]", positions)
            self._failed(f"screen returned {type_name(positions)}; it must return a list of positions")
        except BaseException as error:
            self._failed(error)
        return range(len(items))

    def _on_result(self, event: LogEvent, result: Any) -> bool:
        if result is not None and result is not event:
            refuse_awaitable(result)
            # It may be the clean event, and the one it was given the one to hide.
            raise TypeError(f"redact returned {type(result).__name__}; it must change the event and return None")
        return True

    def _on_failure(self, event: LogEvent) -> bool:
        self._withhold(event)
        count(self._counts.withheld, self.name)
        return True

    def _withhold(self, event: LogEvent) -> None:
        tracked = carried_by(event)
        if tracked is not None:
            tracked.end("withheld", self.name)  # what gets out is not what was to be delivered
        withhold(event)


def _are_positions(found: Any, number: int) -> bool:
    return isinstance(found, list) and all(
        type(position) is int and 0 <= position < number for position in cast("list[object]", found)
    )


def withhold(event: LogEvent) -> None:
    """Replace all content of *event* that came from the caller."""
    event._sealed = False
    event.message = WITHHELD
    event.fields = event.context = EMPTY
    event.tags = event.metrics = EMPTY
    event.exception = None
    event.correlation_id = ""
    record = event._record
    event._record = (*record[:6], "", record[7])  # the task may be named after what it works on


class ProcessorStep(Step):
    """A processor: it sees the whole list and returns the one that goes on."""

    takes_out_as: str = "merged"

    def apply(self, events: list[LogEvent]) -> list[LogEvent]:
        try:
            return self._accounted(events, self._function(list(events)))
        except BaseException as error:
            self._failed(error)
            return events

    async def apply_async(self, events: list[LogEvent], progress: Progress) -> None:
        kept = events
        try:
            result = await self._function(list(events))
            if not progress.closed:
                kept = self._accounted(events, result)
        except (Exception, SystemExit) as error:
            self._failed(error)
        if not progress.closed:
            progress.kept = kept
            progress.done = len(events)

    def _accounted(self, events: Sequence[LogEvent], result: object) -> list[LogEvent]:
        """Count by identity what was taken out and what was made; return the list that goes on."""
        refuse_awaitable(result)
        if isinstance(result, _NO_LISTS) or not isinstance(result, Iterable):
            raise TypeError(f"process returned {type(result).__name__}; it must return a list of events")
        before = {id(event) for event in events}
        limit = MOST_CREATED + len(events)
        out: dict[int, LogEvent] = {}
        for position, item in enumerate(cast("Iterable[object]", result)):
            if position >= limit:
                self._failed(f"process returned more than {MOST_CREATED} new events; the rest is cut")
                break
            if not isinstance(item, LogEvent):
                self._failed(f"process returned a list with a {type(item).__name__} in it")
            elif item._sealed:
                # A sink may be reading it: it went out before.
                copied = item.copy()
                out[id(copied)] = copied
            else:
                out[id(item)] = item
        created = sum(1 for identity in out if identity not in before)
        merged = sum(1 for identity in before if identity not in out)
        self._counts.created += created
        self._counts.merged += merged
        self._counts.in_stages += created - merged
        return list(out.values())


_NO_LISTS: tuple[type, ...] = (str, bytes, dict)
"""What is iterable and yet no list of events."""
MOST_CREATED = 10_000
"""The most new events that one call of a processor may make, so that an endless generator ends."""


def counted(reasons: dict[str, int] | None, removed: Removed) -> dict[str, int]:
    """Return *reasons* with one event more for that of *removed*."""
    if reasons is None:
        return {removed.reason: 1}
    reason = removed.reason
    reasons[reason] = reasons.get(reason, 0) + 1
    return reasons


def refuse_awaitable(result: object) -> None:
    """Raise if a synchronous plugin returned what only awaiting would have run."""
    if hasattr(result, "__await__"):
        close: Callable[[], None] | None = getattr(result, "close", None)
        if close is not None:
            close()
        raise TypeError("the plugin is a plain function that returned an awaitable; make it 'async def'")


def _refused_to_close(error: BaseException) -> bool:
    """Return whether *error* tells that a plugin's coroutine was to be closed and went on."""
    # Trio's scope that is left so has a complaint of its own, with Python's behind it.
    return any(
        isinstance(found, RuntimeError) and found.args == ("coroutine ignored GeneratorExit",)
        for found in (error, error.__context__)
    )


def _said(error: BaseException) -> str:
    try:
        return str(error)[:200]
    except BaseException as failure:
        raise_interrupt(failure)
        return "<unprintable>"
