"""Selection: the events that one route picks out of a batch, numbered for the sinks that get no others.

What a route asks of an event's level, logger and tags is decided on records; events are made of those it picks, and of
all only where an expression has to see them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from ..event import Level, LogEvent, Record, events_of
from ..plugins import Batch
from ..plugins.configuration import BuiltPlugin
from ..plugins.policy import SinkPolicy
from ..plugins.routes import Conditions, Route

if TYPE_CHECKING:
    from .delivery import Delivery


class Candidates:
    """The events of one batch, as routes look at them."""

    __slots__ = ("batch", "first_sequence", "items", "records")

    def __init__(self, batch: Batch, items: Sequence[Record | LogEvent], first_sequence: int) -> None:
        self.batch: Batch = batch
        self.items: Sequence[Record | LogEvent] = items
        self.first_sequence: int = first_sequence
        # A batch is all of one kind.
        self.records: Sequence[Record] = (
            cast("Sequence[Record]", items)
            if type(items[0]) is tuple
            else [event._record for event in cast("Sequence[LogEvent]", items)]
        )


Narrowing: TypeAlias = Callable[[Sequence[int], Candidates], Sequence[int]]
"""Takes positions in ascending order and returns those that stay, in the same order."""


class Numbering:
    """The numbers of a container's events, or of those that one route picks; a reload goes on with them."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: int = 0


class Selection:
    """The sinks that have one route, and what that picks."""

    def __init__(self, route: tuple[Route, ...], deliveries: Sequence[Delivery], numbering: Numbering) -> None:
        self.route: tuple[Route, ...] = route
        self.deliveries: tuple[Delivery, ...] = tuple(deliveries)
        self.numbering: Numbering = numbering
        self._alternatives = tuple(map(_narrowing, route))

    def positions(self, candidates: Candidates) -> Sequence[int]:
        """Return the positions of the events that one of the routes picks, in ascending order."""
        every = range(len(candidates.items))
        if len(self._alternatives) == 1:
            return self._alternatives[0](every, candidates)
        return sorted(_any_of(self._alternatives, every, candidates))

    def batch(self, positions: Sequence[int], candidates: Candidates) -> Batch:
        """Return a batch of the events at *positions*, with these sinks' next numbers; what is there stays as it is."""
        items = candidates.items
        chosen = [items[position] for position in positions]
        events = (
            events_of(cast("list[Record]", chosen))
            if type(chosen[0]) is tuple
            else [event.copy() for event in cast("list[LogEvent]", chosen)]
        )
        first = candidates.first_sequence
        sink_sequence = self.numbering.last
        for position, event in zip(positions, events, strict=True):
            sink_sequence += 1
            event._sequence = first + position
            event._sink_sequence = sink_sequence
            event._sealed = True
        self.numbering.last = sink_sequence
        return candidates.batch.with_events(events)


def by_route(
    sinks: Sequence[BuiltPlugin[SinkPolicy]],
) -> tuple[list[str], list[tuple[tuple[Route, ...], list[str]]]]:
    """Return the names of the sinks that get every event, and each other route with the names of those that have it."""
    fallbacks = {sink.policy.fallback for sink in sinks}
    unrestricted: list[str] = []
    selected: list[tuple[tuple[Route, ...], list[str]]] = []
    for sink in sinks:
        route = sink.policy.route
        if route is None and sink.name in fallbacks:
            continue  # it gets what another one gives up, and nothing of its own
        if route is None or any(alternative.empty for alternative in route):
            unrestricted.append(sink.name)
            continue
        for other, names in selected:
            if other == route:
                names.append(sink.name)
                break
        else:
            selected.append((route, [sink.name]))
    return unrestricted, selected


def _narrowing(route: Route) -> Narrowing:
    steps = _conditions(route)
    if route.exclude:
        excluded = tuple(_all_of(_conditions(conditions)) for conditions in route.exclude)
        steps.append(lambda positions, candidates: _without(positions, _any_of(excluded, positions, candidates)))
    return _all_of(steps)


def _conditions(conditions: Conditions) -> list[Narrowing]:
    """Return one narrowing for each condition, the quickest first."""
    steps: list[Narrowing] = []
    if conditions.level is not None:
        steps.append(_at_least(Level[conditions.level].value))
    if conditions.logger:
        steps.append(_logged_by(conditions.logger))
    steps += [_tagged(name, frozenset(values)) for name, values in conditions.tags.items()]
    if conditions.expression is not None:
        steps.append(_holding(conditions.expression))
    return steps


def _all_of(steps: Sequence[Narrowing]) -> Narrowing:
    if len(steps) == 1:
        return steps[0]

    def narrow(positions: Sequence[int], candidates: Candidates) -> Sequence[int]:
        for step in steps:
            positions = step(positions, candidates)
        return positions

    return narrow


def _any_of(alternatives: Iterable[Narrowing], positions: Sequence[int], candidates: Candidates) -> set[int]:
    found: set[int] = set()
    for narrow in alternatives:
        found.update(narrow(positions, candidates))
    return found


def _without(positions: Sequence[int], excluded: set[int]) -> Sequence[int]:
    return [position for position in positions if position not in excluded] if excluded else positions


def _at_least(level: int) -> Narrowing:
    def narrow(positions: Sequence[int], candidates: Candidates) -> Sequence[int]:
        records = candidates.records
        return [position for position in positions if records[position][1] >= level]

    return narrow


def _logged_by(loggers: Sequence[str]) -> Narrowing:
    names = frozenset(loggers)
    below = tuple(f"{name}." for name in loggers)

    def narrow(positions: Sequence[int], candidates: Candidates) -> Sequence[int]:
        records = candidates.records
        return [
            position
            for position in positions
            if (name := records[position][4].logger) in names or name.startswith(below)
        ]

    return narrow


def _tagged(name: str, values: frozenset[str]) -> Narrowing:
    def narrow(positions: Sequence[int], candidates: Candidates) -> Sequence[int]:
        records = candidates.records
        return [
            position
            for position in positions
            if (extras := records[position][7]) is not None and extras.tags.get(name) in values
        ]

    return narrow


def _holding(expression: str) -> Narrowing:
    from ..plugins.expressions import compiled

    holds = compiled(expression)

    def narrow(positions: Sequence[int], candidates: Candidates) -> Sequence[int]:
        events = candidates.batch.events
        return [position for position in positions if holds(events[position])]

    return narrow
