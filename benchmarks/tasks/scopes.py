"""Enter and leave a context or a span, log inside one, or confirm: the CPU time of the whole process for each.

The ways take turns in short slices, and each slice ends when everything has been written; so the pipeline's share is
part of the time, and a slow moment of the machine meets all of them alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from anyio.lowlevel import checkpoint

SLICES = 30
PAUSE = 100
"""After how many turns other tasks get theirs."""
FEWER = 20
"""A confirmed call waits for its write: it has so many times fewer turns."""

Turns = Callable[[int], "Awaitable[None] | None"]


def ways(log: Any) -> dict[str, Turns]:
    """Return what takes turns: each does the given number of turns in one loop."""
    info, debug, confirm, context, span = log.nowait.info, log.nowait.debug, log.confirmed.info, log.context, log.span

    def empty(number: int) -> None:
        for _ in range(number):
            pass

    def event(number: int) -> None:
        for turn in range(number):
            info("request done", user_id=turn, path="/items", status=200)

    def entered_context(number: int) -> None:
        for turn in range(number):
            with context(request_id=turn, user="ada"):
                pass

    def ended_span(number: int) -> None:
        for turn in range(number):
            with span("request done", user_id=turn, path="/items", status=200):
                pass

    def event_in_context(number: int) -> None:
        with context(request_id=7, user="ada"):
            event(number)

    def event_in_span(number: int) -> None:
        with span("work"):
            event(number)

    def event_held_back(number: int) -> None:
        with span("work", buffer="debug"):
            for turn in range(number):
                debug("request done", user_id=turn, path="/items", status=200)

    async def confirmed(number: int) -> None:
        for turn in range(number // FEWER):
            await confirm("request done", user_id=turn, path="/items", status=200)

    return {
        "empty": empty,
        "event": event,
        "context": entered_context,
        "span": ended_span,
        "event in a context": event_in_context,
        "event in a span": event_in_span,
        "event in a buffering span": event_held_back,
        "confirmed": confirmed,
    }


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return microseconds per turn, for each way the median of its slices."""
    import fapilog

    settings = {"sinks": ["file"], "plugin_config": {"file": {"path": options["path"]}}}
    number = options["turns"] // SLICES
    found: dict[str, list[float]] = {}
    async with fapilog.container(settings) as log:
        chosen = ways(log)
        for _ in range(SLICES + 1):
            for name, turns in chosen.items():
                began = time.process_time()
                for _ in range(number // PAUSE):
                    waiting = turns(PAUSE)
                    if waiting is not None:
                        await waiting
                    await checkpoint()
                await log.container.flush()
                found.setdefault(name, []).append((time.process_time() - began) / (number // PAUSE * PAUSE) * 1e6)
    # The first of each warms up.
    medians = {name: statistics.median(slices[1:]) for name, slices in found.items()}
    medians["confirmed"] *= FEWER
    return {f"{name.replace(' ', '_')}_us": value - medians["empty"] for name, value in medians.items()}
