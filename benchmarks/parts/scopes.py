"""Scopes: what a context and a span cost, and an event inside of one, beside an event outside of all."""

from __future__ import annotations

from collections.abc import Iterator

from ..measure import Case
from ..peers.catalogue import FAPILOG
from ..samples import summary
from ..selection import Selection
from ..tables import Cases, left_out, shown_spread, spread, table, values

ROUNDS = 5
TURNS = 60_000
WAYS = {
    "event": "an event, outside of any",
    "context": "a context entered and left",
    "span": "a span and its event",
    "event_in_a_context": "an event in a context",
    "event_in_a_span": "an event in a span",
    "event_in_a_buffering_span": "an event that a span holds back and gives up",
    "confirmed": "an event that is waited for until it is in the file",
}


def cases(selection: Selection) -> Iterator[Case]:
    """Yield fapilog on each event loop."""
    for loop in FAPILOG.loops:
        yield Case(loop, {"task": "scopes", "loop": loop, "turns": selection.events(TURNS)}, FAPILOG)


def tables(found: Cases) -> str:
    """Show the CPU time of each, and what a span takes beyond an event."""
    rows = [[label, *(spread(found, loop, f"{way}_us") for loop in found)] for way, label in WAYS.items()]
    rows.append(["a span beyond an event", *(shown_spread(summary(beyond(found, loop))) for loop in found)])
    return "\n\n".join(filter(None, [table(["CPU µs", *found], rows), left_out(found)]))


def beyond(found: Cases, loop: str) -> list[float]:
    """Return what a span took longer than an event in each round."""
    spans, events = values(found, loop, "span_us"), values(found, loop, "event_us")
    return [span - event for span, event in zip(spans, events, strict=True)]
