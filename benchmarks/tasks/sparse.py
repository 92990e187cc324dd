"""Log one event at a time, with a sleep before each: the CPU time of the whole process that each logger adds.

Sleeping takes more of it than logging. So the loggers, and the same loop without one, take turns in short slices of one
process, and what counts is the difference within a turn: a slow moment of the machine meets all of them alike.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio

from ..peers.interface import Target, make_loop

AT_THE_END = 0.05
"""Seconds at the end of each slice, in which what a logger holds back goes out."""

Loop = Callable[[range], Awaitable[Any]]


async def slice_of(loop: Loop, numbers: range, rate: float) -> float:
    """Log *numbers* at *rate* events per second, and return the microseconds of CPU time for each."""
    began, began_cpu = time.perf_counter(), time.process_time()
    for turn, number in enumerate(numbers):
        await anyio.sleep(max(0.0, began + turn / rate - time.perf_counter()))
        await loop(range(number, number + 1))
    await anyio.sleep(AT_THE_END)
    return (time.process_time() - began_cpu) / len(numbers) * 1e6


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return what sleeping takes for each event and what each of the loggers adds: medians over the turns."""
    rate, size, turns = options["rate"], options["events_of_a_slice"], options["turns"]
    logged = 0
    async with AsyncExitStack() as stack:
        loops: dict[str, Loop] = {}
        for module in ("nothing", *options["modules"]):
            peer = importlib.import_module(f"benchmarks.peers.{module}")
            target = Target(f"{options['path']}.{module}", size * (turns + 1))
            loops[module] = make_loop(await stack.enter_async_context(peer.opened(target)))
        spent: dict[str, list[float]] = {module: [] for module in loops}
        order = list(loops)
        for _ in range(turns + 1):  # the first one warms up
            for module in order:
                spent[module].append(await slice_of(loops[module], range(logged, logged + size), rate))
                logged += 0 if module == "nothing" else size
            order.append(order.pop(0))
    nothing = spent.pop("nothing")[1:]
    added = {
        f"{module}_us": statistics.median(mine - base for mine, base in zip(slices[1:], nothing, strict=True))
        for module, slices in spent.items()
    }
    return {"logged": logged, "nothing_us": statistics.median(nothing), **added}
