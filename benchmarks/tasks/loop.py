"""How late a task is that sleeps 1 ms at a time, while others log at a steady rate."""

from __future__ import annotations

import importlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ..peers.interface import Target, make_loop
from ..samples import quantiles

PRODUCERS = 4
TICK = 0.001
WARM_UP = 50
"""Sleeps that are not counted, while caches and branches are cold."""
MOST_TICKS = 20
"""How many ticks' events a producer that is late catches up with; a logger that is too slow logs fewer."""


class Producers:
    """Tasks that together log at a steady rate, in small bursts."""

    def __init__(self, loop: Callable[..., Awaitable[None]], rate: int, seconds: float) -> None:
        self.logged = 0
        self._loop = loop
        self._rate = rate / PRODUCERS
        self._most = max(1, int(self._rate * TICK * MOST_TICKS))
        self._end = time.perf_counter() + seconds

    async def run(self) -> None:
        """Log what is due at every tick."""
        due_since = time.perf_counter()
        while time.perf_counter() < self._end:
            await anyio.sleep(TICK)
            due = int((time.perf_counter() - due_since) * self._rate)
            due_since += due / self._rate
            due = min(due, self._most)
            numbers = range(self.logged, self.logged + due)
            self.logged += due
            await self._loop(numbers)


async def sleep_often(end: float, late: list[float]) -> None:
    """Sleep 1 ms at a time and note by how many microseconds it was more."""
    while (began := time.perf_counter()) < end:
        await anyio.sleep(TICK)
        late.append((time.perf_counter() - began - TICK) * 1e6)


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the quantiles of the delay, and the events that were logged."""
    rate, seconds = options["rate"], options["seconds"]
    late: list[float] = []
    module = importlib.import_module(f"benchmarks.peers.{options['module']}")
    target = Target(options["path"], int(rate * seconds * 1.1), options=options.get("options", {}))
    async with module.opened(target) as calls:
        producers = Producers(make_loop(calls), rate, seconds)
        async with anyio.create_task_group() as tasks:
            for _ in range(PRODUCERS):
                tasks.start_soon(producers.run)
            await sleep_often(time.perf_counter() + seconds, late)
    return {
        "late_us": quantiles(late[min(WARM_UP, len(late) // 2) :]),
        "logged": producers.logged,
        "logged_per_second": producers.logged / seconds,
    }
