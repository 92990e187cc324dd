"""Time single log calls: what the caller pays, net of what the timing itself takes."""

from __future__ import annotations

import importlib
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import anyio.to_thread

from ..peers.interface import Target, make_loop, nothing_spent, timer_cost
from ..samples import quantiles

PAUSE = 0.001
"""Seconds between two calls, or bursts of calls."""


def bursts(events: int, size: int) -> Iterator[range]:
    """Cut the numbers of *events* events into ranges of *size*."""
    for begin in range(0, events, size):
        yield range(begin, min(begin + size, events))


async def from_the_loop(loop: Callable[..., Awaitable[None]], options: dict[str, Any], spent: array[int]) -> None:
    """Call in bursts with pauses between them; or, with no size given, without any pause."""
    events, size = options["events"], options["burst"]
    if not size:
        await loop(range(events), spent)
        return
    for numbers in bursts(events, size):
        await loop(numbers, spent)
        await anyio.sleep(options["pause"])


def from_a_thread(loop: Callable[..., None], options: dict[str, Any], spent: array[int]) -> None:
    """Do the same from a worker thread."""
    for numbers in bursts(options["events"], options["burst"] or options["events"]):
        loop(numbers, spent)
        time.sleep(options["pause"])


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the quantiles of the nanoseconds that the calls took."""
    module = importlib.import_module(f"benchmarks.peers.{options['module']}")
    target = Target(options["path"], options["events"], options=options.get("options", {}))
    cost = timer_cost()
    spent = nothing_spent(options["events"])
    async with module.opened(target) as calls:
        kind, thread = options["kind"], options.get("thread", False)
        loop = make_loop(calls, kind, timed=True, synchronous=thread)
        if thread:
            await anyio.to_thread.run_sync(from_a_thread, loop, options, spent)
        else:
            await from_the_loop(loop, options, spent)
    return {"timer_ns": cost, "call_ns": quantiles([max(0, one - cost) for one in spent])}
