"""FanOut: numbers the events and hands each batch to every sink's stream, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import anyio

from .._interrupts import raise_interrupt
from ..event import Ambient, Extras, Level, LogEvent, Origin, Record
from ..metrics import MetricsCollector, StageCounts
from ..plugins import Batch, Formatter
from ..plugins.routes import Route
from ..values import FrozenDict
from .confirmations import Confirmations, Offered
from .delivery import Delivery
from .queued import Barrier
from .routing import Candidates, Numbering, Selection
from .stages import Items

LOSS_INTERVAL = 5.0
"""Seconds between two summaries of what was lost, at least."""


Offer = tuple[Delivery, Batch, int]
"""A sink, the batch it is to get, and the wall clock's time of that batch's oldest event, in nanoseconds."""


class LossSummary:
    """Tells of events lost before the fan-out: in the stream, on stderr and to ``on_loss``, with exact counts."""

    def __init__(
        self,
        metrics: MetricsCollector,
        origin: Origin,
        ambient: Ambient,
        on_loss: Callable[[Mapping[str, int]], object] | None,
        report: Callable[[str, str], None],
    ) -> None:
        self._metrics = metrics
        self._origin = Origin(logger="fapilog", source=origin.source, container_id=origin.container_id)
        self._ambient = ambient
        self._on_loss = on_loss
        self._report = report
        self._told: dict[str, int] = {}
        self._next_time = float("-inf")

    def due(self, stages: StageCounts, *, final: bool = False) -> Record | None:
        """Return the summary of what was lost since the last one, if it is time for one; *stages* count it."""
        losses = self._metrics.losses()
        if not final:
            losses.pop("not_awaited", None)  # these may be awaited yet
        if losses == self._told:
            return None
        now = anyio.current_time()
        if now < self._next_time and not final:
            return None
        new = {
            reason: number - self._told.get(reason, 0)
            for reason, number in losses.items()
            if number > self._told.get(reason, 0)
        }
        self._told = losses
        if not new:
            return None
        self._next_time = now + LOSS_INTERVAL
        total = sum(new.values())
        self._report("loss", f"{total} events were lost before they reached a sink: {new}")
        if self._on_loss is not None:
            try:
                self._on_loss(dict(new))
            except BaseException as error:
                raise_interrupt(error)
                self._report("on_loss", f"on_loss raised {type(error).__name__}")
        stages.created += 1
        stages.in_stages += 1  # from here on, for events before it may have to wait for a sink
        fields: dict[str, Any] = {"lost": total, "reasons": FrozenDict(new)}
        return (
            time.time_ns(), Level.WARNING, "events were lost", fields, self._origin, self._ambient, "fapilog", Extras()
        )  # fmt: skip


class FanOut:
    """The end of the common part of the pipeline; called with one batch at a time, in order.

    Parameters:
        deliveries: the sinks that get every event.
        selections: the others.
    """

    def __init__(
        self,
        deliveries: Sequence[Delivery],
        selections: Sequence[Selection],
        formatters: Mapping[str, Formatter],
        stages: StageCounts,
        origin: Origin,
        losses: LossSummary,
        numbering: Numbering,
        confirmations: Confirmations,
    ) -> None:
        self._confirmations = confirmations
        self.deliveries: tuple[Delivery, ...] = tuple(deliveries)
        self._selections = tuple(selections)
        self._formatters = formatters
        self._stages = stages
        self._origin = origin
        self._losses = losses
        self._numbering = numbering

    def required(self) -> tuple[Delivery, ...]:
        """Return the required sinks that get events from here, all or some."""
        selected = (delivery for selection in self._selections for delivery in selection.deliveries)
        return tuple(delivery for delivery in (*self.deliveries, *selected) if delivery.required)

    def numbering_of(self, route: tuple[Route, ...]) -> Numbering:
        """Return the numbers of the events that *route* picks; new ones for a route that is not here."""
        return next((one.numbering for one in self._selections if one.route == route), Numbering())

    async def accept(self, items: Items) -> None:
        """Give the events their numbers and hand them to every sink; wait for those whose strategy is to block."""
        if isinstance(items, Barrier):
            items.passed.set()
            return
        summary = self._losses.due(self._stages)
        if items:
            await self._dispatch(items)
        if summary is not None:
            await self._dispatch([summary])

    async def finish(self) -> None:
        """Tell of the last losses, once nothing more can come."""
        summary = self._losses.due(self._stages, final=True)
        if summary is not None:
            await self._dispatch([summary])

    async def _dispatch(self, items: Sequence[Record | LogEvent]) -> None:
        number = len(items)
        first = self._numbering.last + 1
        self._numbering.last += number
        oldest = items[0]
        if isinstance(oldest, LogEvent):
            admitted_ns = oldest.time_ns
            self._seal(cast("Sequence[LogEvent]", items), first)
        else:
            admitted_ns = oldest[0]
        batch = Batch(items, first, self._formatters)
        if self._selections or not self.deliveries:
            await self._dispatch_selected(Candidates(batch, items, first), admitted_ns)
            return
        required = self._required_of_all() if self._confirmations else None
        await self._offer([(one, batch, admitted_ns) for one in self.deliveries], items, first, required)

    async def _dispatch_selected(self, candidates: Candidates, admitted_ns: int) -> None:
        """Hand each sink the events that it is to get; those that none is to get are unrouted."""
        number = len(candidates.items)
        picked = [(selection, selection.positions(candidates)) for selection in self._selections]
        wanted = number if self.deliveries else len({position for _, positions in picked for position in positions})
        offers = [(delivery, candidates.batch, admitted_ns) for delivery in self.deliveries]
        for selection, positions in picked:
            if positions:
                batch = selection.batch(positions, candidates)
                oldest_ns = candidates.records[positions[0]][0]
                offers += [(delivery, batch, oldest_ns) for delivery in selection.deliveries]
        required = self._required_of_all() if self._confirmations else None
        if required is not None:
            for selection, positions in picked:
                chosen = frozenset(positions)
                required += [(one, chosen) for one in selection.deliveries if one.required]
        await self._offer(offers, candidates.items, candidates.first_sequence, required, unrouted=number - wanted)

    def _required_of_all(self) -> list[Offered]:
        return [(one, None) for one in self.deliveries if one.required]

    async def _offer(
        self,
        offers: list[Offer],
        items: Sequence[Record | LogEvent],
        first: int,
        required: list[Offered] | None,
        unrouted: int = 0,
    ) -> None:
        """Count that *items* leave the stages, and offer the sinks what they are to get.

        Parameters:
            first: the number of the first one.
            required: which of them go to which required sinks, if somebody waits for a delivery.
            unrouted: how many of them no sink is to get.
        """
        number, stages = len(items), self._stages
        # From here into the block nothing is called, so an interrupt strikes before the count, or where it is seen to.
        stages.in_stages -= number
        stages.dispatched += number - unrouted
        stages.unrouted += unrouted
        try:
            if required is not None:
                self._confirmations.dispatch(items, first, required)
            waiting = [offer for offer in offers if not offer[0].offer(offer[1], offer[2])]
            for delivery, batch, admitted_ns in waiting:
                await delivery.offer_waiting(batch, admitted_ns)
        except BaseException:
            for delivery, batch, _ in offers:
                delivery.make_sure_of(batch)
            raise

    def _seal(self, events: Sequence[LogEvent], first: int) -> None:
        """Give events that plugins have seen their numbers, and make them read-only."""
        for sequence, event in enumerate(events, first):
            event._sequence = sequence
            event._sealed = True
            record = event._record
            if not record[4].container_id:
                event._record = (*record[:4], self._adopted(record[4]), *record[5:])

    def _adopted(self, origin: Origin) -> Origin:
        """Return the origin of an event that a processor made, as of this container."""
        return Origin(
            logger=origin.logger, source=origin.source or self._origin.source, container_id=self._origin.container_id
        )
