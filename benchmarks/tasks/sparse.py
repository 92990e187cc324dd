"""Log one event at a time, with a sleep before each, and return the CPU time of the whole process for each event."""

from __future__ import annotations

import importlib
import time
from typing import Any

import anyio

from ..peers.interface import Target, make_loop


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the CPU time per event, the sleeping included: the same without a logger is to be subtracted."""
    rate, events = options["rate"], options["events"]
    module = importlib.import_module(f"benchmarks.peers.{options['module']}")
    async with module.opened(Target(options["path"], events, options=options.get("options", {}))) as calls:
        loop = make_loop(calls)
        began, began_cpu = time.perf_counter(), time.process_time()
        for number in range(events):
            await anyio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            await loop(range(number, number + 1))
        cpu = time.process_time() - began_cpu
    return {"cpu_us": cpu / events * 1e6}
