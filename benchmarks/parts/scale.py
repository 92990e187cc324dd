"""Scale: what an event costs in fapilog as things grow, what a container costs beside events, and sparse traffic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..measure import Case
from ..peers.catalogue import FAPILOG, PICOLOGGING
from ..selection import Selection
from ..tables import Cases, cell, left_out, median, spread, table

ROUNDS = 3
EVENTS = 30_000
LOOPS = ("asyncio", "trio")
GROWING: dict[str, dict[str, dict[str, Any]]] = {
    "sinks of the same format": {str(n): {"sinks": n} for n in (1, 2, 4, 8)},
    "sinks of two formats": {str(n): {"sinks": n, "formats": "other"} for n in (2, 4, 8)},
    "plugins": {str(n): {"plugins": n} for n in (0, 1, 2, 5, 10)},
    "fields": {str(n): {"fields": n} for n in (0, 4, 10, 25, 50)},
    "workers": {str(n): {"workers": n} for n in (1, 2, 4)},
    "tasks that log": {str(n): {"tasks": n} for n in (1, 10, 100, 1000)},
    "threads that log": {str(n): {"threads": n} for n in (1, 4, 16)},
    "queue_max_size": {f"{n:,}": {"queue_max_size": n} for n in (1_000, 10_000, 100_000)},
    # As many events for each: a container's first ones cost more than those that follow.
    "containers": {str(n): {"containers": n, "events": 8_000 * n} for n in (1, 10, 100)},
}
QUEUES = (1_000, 10_000, 100_000)
RATES = (100, 1_000)
SLICE = 0.4
"""Seconds in which one logger gets its sparse traffic, until the next has its turn."""
TURNS = 12


def cases(selection: Selection) -> Iterator[Case]:
    """Yield everything that grows, on both backends, then the footprint, then the sparse traffic."""
    for loop in LOOPS:
        for what, steps in GROWING.items():
            for step, options in steps.items():
                events = max(selection.events(EVENTS) // 16_000, 1) * 16_000
                told = {"task": "scale", "loop": loop, "events": events, **options}
                yield Case(f"{what}/{loop}/{step}", told, FAPILOG)
        for size in QUEUES:
            told = {"task": "footprint", "loop": loop, "kind": "queue_memory", "queue_max_size": size}
            yield Case(f"memory/{loop}/{size}", told, FAPILOG)
        for container in (False, True):
            told = {"task": "footprint", "loop": loop, "kind": "idle", "container": container, "seconds": 2.0}
            yield Case(f"idle/{loop}/{'with' if container else 'without'}", told, FAPILOG)
        told = {"task": "footprint", "loop": loop, "kind": "start_and_stop", "containers": 100}
        yield Case(f"start and stop/{loop}/100", told, FAPILOG)
        yield from sparse_cases(selection, loop)


def sparse_cases(selection: Selection, loop: str) -> Iterator[Case]:
    """Yield the sparse traffic, each rate with both loggers in one process."""
    for rate in RATES:
        told = {
            "task": "sparse",
            "loop": loop,
            "modules": [FAPILOG.module, PICOLOGGING.module],
            "rate": rate,
            "events_of_a_slice": max(int(rate * SLICE * selection.share), 20),
            "turns": TURNS,
        }
        yield Case(f"sparse/{loop}/{rate}", told, PICOLOGGING, writes=True)


def grown(found: Cases) -> Iterator[list[str]]:
    """Yield the rows of what grows."""
    for what, steps in GROWING.items():
        for step in steps:
            yield [what, step, *(cell(found, f"{what}/{loop}/{step}", "cpu_us") for loop in LOOPS)]


def footprint(found: Cases) -> Iterator[list[str]]:
    """Yield the rows of what a container costs beside its events."""
    for size in QUEUES:
        name = f"bytes for each event in a full queue of {size:,}"
        yield [name, *(cell(found, f"memory/{loop}/{size}", "bytes_per_event") for loop in LOOPS)]
    for which in ("without", "with"):
        name = f"wake-ups a second when idle, {which} a container"
        yield [name, *(cell(found, f"idle/{loop}/{which}", "wakeups_per_second") for loop in LOOPS)]
    name = "ms to start and stop a container with a file"
    yield [name, *(cell(found, f"start and stop/{loop}/100", "wall_ms") for loop in LOOPS)]


def sparse(found: Cases) -> Iterator[list[str]]:
    """Yield what an event costs at low rates: net of the same loop without logging, and beside it with that loop."""
    for rate in RATES:
        for loop in LOOPS:
            name = f"sparse/{loop}/{rate}"
            modules = (FAPILOG.module, PICOLOGGING.module)
            ours, theirs = (median(found, name, f"{module}_us") for module in modules)
            nothing = median(found, name, "nothing_us")
            if ours is not None and theirs is not None and nothing is not None:
                added = f"{ours / theirs:.2f}" if theirs > 0 else "–"
                whole = f"{(nothing + ours) / (nothing + theirs):.2f}"
                costs = (spread(found, name, f"{module}_us") for module in modules)
                yield [f"{rate:,} events/s", loop, cell(found, name, "nothing_us"), *costs, added, whole]


def tables(found: Cases) -> str:
    """Show what grows, the footprint and the sparse traffic."""
    shown = [
        table(["growing", "how many", *(f"µs/event, {loop}" for loop in LOOPS)], grown(found)),
        table(["footprint", *LOOPS], footprint(found)),
        table(
            [
                *("sparse traffic", "loop", "µs without logging", "fapilog adds µs", "picologging adds µs"),
                *("ratio of what is added", "ratio of the whole process"),
            ],
            sparse(found),
        ),
        left_out(found),
    ]
    return "\n\n".join(filter(None, shown))
