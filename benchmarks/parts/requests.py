"""Requests: what a middleware that gives each request an id and an event adds to it."""

from __future__ import annotations

from collections.abc import Iterator

from ..measure import Case
from ..peers.catalogue import FAPILOG, STRUCTLOG
from ..selection import Selection
from ..tables import Cases, left_out, ratio_cell, spread, table

ROUNDS = 5
REQUESTS = 40_000
INSIDE = (0, 5)
"""Events that the application logs for each request itself."""
LABELS = {"fapilog": "fapilog, `FapilogMiddleware`", "structlog": "structlog, asgi-correlation-id"}


def cases(selection: Selection) -> Iterator[Case]:
    """Yield fapilog on both backends, and structlog, which is the same on each."""
    for inside in INSIDE:
        for entry, loops in ((FAPILOG, ("asyncio", "trio")), (STRUCTLOG, ("asyncio",))):
            for loop in loops:
                told = {
                    "task": "requests",
                    "loop": loop,
                    "way": entry.name,
                    "requests": selection.events(REQUESTS),
                    "inside": inside,
                    "options": {},
                }
                yield Case(f"{entry.name}/{loop}/{inside}", told, entry)


def tables(found: Cases) -> str:
    """Show the time that a request takes longer."""
    rows = []
    for name in found:
        way, loop, inside = name.split("/")
        against = ratio_cell(found, name, "added_us", f"fapilog/asyncio/{inside}")
        rows.append([LABELS[way], loop, inside, spread(found, name, "added_us"), against])
    header = ["middleware", "loop", "events inside", "CPU µs more per request", "× fapilog on asyncio"]
    return "\n\n".join(filter(None, [table(header, rows), left_out(found)]))
