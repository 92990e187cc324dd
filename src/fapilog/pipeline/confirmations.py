"""Confirmations: the callers that wait until every required sink has delivered their event.

An event that somebody waits for carries its confirmation in its extras, through copies, changes and batches. Nobody
looks for one while the container's set of them is empty: that is all that an event costs for which nobody waits.
Everything here is on the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import SinkOutcome
from ..event import ConfirmedExtras, LogEvent, Origin, Record
from ..plugins import Batch

if TYPE_CHECKING:
    from ..health import SinkHealth
    from ..metrics import ConfirmationCounts


class Receiver(Protocol):
    """A sink's delivery, as far as somebody waits for it."""

    name: str

    def health(self) -> SinkHealth: ...


class Tracked:
    """One event that somebody waits for: how far it has come, and in the end what became of it.

    A processor may make several events of it; then each of these has to be delivered.
    """

    __slots__ = (
        *("_all", "_outcomes", "_waiting", "copies", "holder", "level", "origin", "reason", "sequence", "sinks"),
        *("state", "time_ns"),
    )

    def __init__(self, tracked: Confirmations, record: Record) -> None:
        self._all = tracked
        # Not the record itself, which carries this.
        self.time_ns: int = record[0]
        self.level: int = record[1]
        self.origin: Origin = record[4]
        self.state: str = ""
        """``confirmed``, or what kept it from being that; empty until it is known."""
        self.reason: str = ""
        self.copies: int = 1
        """How many events are on their way to the fan-out that carry this."""
        self.holder: object = None
        """The workers that have taken it; None while it is in the intake."""
        self.sequence: int = 0
        """The event's number, once it has one."""
        self.sinks: dict[str, SinkOutcome] = {}
        """What was known for each required sink when the event was not confirmed."""
        self._waiting: dict[Receiver, int] = {}
        """How many of its events each required sink has yet to deliver."""
        self._outcomes: dict[str, SinkOutcome] = {}

    def end(self, state: str, reason: str = "") -> None:
        """Settle what became of the event; once it is settled nothing changes it."""
        if self.state:
            return
        self.state, self.reason = state, reason
        self.sinks = {} if state == "confirmed" else self._outcomes_at_the_end()
        self._all.discard(self)
        self._all.counts.count(state)
        self._ended()

    def _ended(self) -> None:
        """Let whoever waits go on."""

    def dispatched(self, sequence: int, receivers: Iterable[Receiver]) -> None:
        """Note that one of its events is about to be offered to *receivers*, the required sinks among those it goes to.

        Parameters:
            sequence: its number in the container's output.
        """
        self.sequence = self.sequence or sequence
        self.copies -= 1
        for receiver in receivers:
            self._waiting[receiver] = self._waiting.get(receiver, 0) + 1
            self._outcomes.pop(receiver.name, None)
        self._look()

    def delivered(self, receiver: Receiver, by: str) -> None:
        """Note that one of its events, meant for *receiver*, was delivered by the sink called *by*."""
        left = self._waiting.get(receiver, 0)
        if not left or self.state:
            return
        if left > 1:
            self._waiting[receiver] = left - 1
            return
        del self._waiting[receiver]
        self._outcomes[receiver.name] = SinkOutcome("delivered", "" if by == receiver.name else f"fallback {by!r}")
        self._look()

    def lost(self, receiver: Receiver, state: str, reason: str) -> None:
        """Note that *receiver* will not deliver one of its events."""
        if receiver in self._waiting and not self.state:
            self._outcomes[receiver.name] = SinkOutcome(state, reason)
            self.end(state, reason)

    def waits_for(self, receiver: Receiver) -> bool:
        """Return whether *receiver* has yet to deliver one of its events."""
        return receiver in self._waiting

    def _look(self) -> None:
        if not self.copies and not self._waiting:
            self.end("confirmed" if self._outcomes else "unrouted")

    def _outcomes_at_the_end(self) -> dict[str, SinkOutcome]:
        known = dict(self._outcomes)
        for receiver in self._waiting:
            known.setdefault(receiver.name, SinkOutcome("pending", ", ".join(receiver.health().reasons)))
        if self.sequence and self.state != "withheld":
            rest = SinkOutcome("not_routed")  # the fan-out has seen the event
        elif self.state in ("timeout", "given_up", "unknown"):
            rest = SinkOutcome("pending")
        else:
            rest = SinkOutcome(self.state, self.reason)
        return {**{receiver.name: rest for receiver in self._all.required if receiver.name not in known}, **known}


class Confirmations(set[Tracked]):
    """The events of one container that somebody waits for and whose outcome is not known. Few, and mostly none."""

    def __init__(self, counts: ConfirmationCounts) -> None:
        super().__init__()
        self.counts: ConfirmationCounts = counts
        self.required: tuple[Receiver, ...] = ()
        """The required sinks of the pipeline that takes what comes in now."""

    # -- in the intake and the stages

    def taken(self, records: Sequence[Record], holder: object) -> None:
        """Note that the workers *holder* have taken *records*."""
        for tracked in carriers(records):
            tracked.holder = holder

    def evicted(self, records: Sequence[Record]) -> None:
        """Settle those of *records*, which gave way to newer ones in the queue."""
        for tracked in carriers(records):
            tracked.end("dropped", "evicted")

    def passed(
        self, before: Mapping[Tracked, int], items: Sequence[Record | LogEvent], state: str, plugin: str
    ) -> dict[Tracked, int]:
        """Settle those of *before* whose events a plugin took out, and return what *items*, which it left, carry."""
        after = carriers(items)
        for tracked, number in before.items():
            left = after.get(tracked, 0)
            tracked.copies += left - number
            if not left and not tracked.copies:
                tracked.end(state, plugin)
        return after

    def abandon(self, holder: object, *, and_queued: bool) -> None:
        """Settle what these workers have, and what nobody has taken if *and_queued*: it does not get any further."""
        for tracked in tuple(self):
            if tracked.copies and (tracked.holder is holder or (and_queued and tracked.holder is None)):
                tracked.end("abandoned", "deadline")

    def interrupt(self) -> None:
        """Let nobody wait any longer: the program ends."""
        for tracked in tuple(self):
            tracked.end("abandoned", "interrupted")

    # -- at the sinks

    def dispatch(self, items: Sequence[Record | LogEvent], first: int, offers: Sequence[Offered]) -> None:
        """Note that *items*, numbered from *first*, are about to be offered.

        Parameters:
            offers: to which required sinks which of them go, by position; None for all.
        """
        for position, item in enumerate(items):
            tracked = carried_by(item)
            if tracked is not None and tracked in self:
                receivers = [receiver for receiver, positions in offers if positions is None or position in positions]
                tracked.dispatched(first + position, receivers)

    def delivered(self, batch: Batch, receiver: Receiver, by: str, failed: Iterable[int] = ()) -> None:
        """Settle the events of *batch*, which the sink *by* has delivered for *receiver*, but for the *failed* ones."""
        without = frozenset(failed)
        for position, item in enumerate(_items(batch)):
            tracked = carried_by(item)
            if tracked is not None and position not in without:
                tracked.delivered(receiver, by)

    def lost(self, batch: Batch, receiver: Receiver, state: str, reason: str) -> None:
        """Settle the events of *batch*, which *receiver* will not deliver."""
        for tracked in carriers(_items(batch)):
            tracked.lost(receiver, state, reason)

    def lost_at(self, receiver: Receiver, state: str, reason: str) -> None:
        """Settle whatever *receiver* has not delivered."""
        for tracked in tuple(self):
            tracked.lost(receiver, state, reason)

    def hurry(self, receiver: Receiver) -> bool:
        """Return whether somebody waits for *receiver*, so that it should not wait for more events."""
        for tracked in self:  # noqa: SIM110 - a generator swallows an interrupt that strikes while it is closed
            if tracked.waits_for(receiver):
                return True
        return False


Offered = tuple[Receiver, "frozenset[int] | None"]


def carried_by(item: Record | LogEvent) -> Any:
    """Return the confirmation that an event carries, or None."""
    record = item._record if isinstance(item, LogEvent) else item
    extras = record[7]
    return extras.confirmation if type(extras) is ConfirmedExtras else None


def carriers(items: Iterable[Record | LogEvent]) -> dict[Tracked, int]:
    """Return who waits for one of *items*, and for how many of them."""
    found: dict[Tracked, int] = {}
    for item in items:
        tracked = carried_by(item)
        if tracked is not None and not tracked.state:
            found[tracked] = found.get(tracked, 0) + 1
    return found


def _items(batch: Batch) -> list[Record | LogEvent]:
    return [item for part in batch.parts for item in part._items]
