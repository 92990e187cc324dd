"""Log events to a new JSON file, from the first call until the last byte is written."""

from __future__ import annotations

import importlib
import time
from typing import Any

from ..peers.interface import Target, make_loop


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the CPU and wall time per event."""
    module = importlib.import_module(f"benchmarks.peers.{options['module']}")
    events = options["events"]
    target = Target(options["path"], events, options.get("plugins", False), options.get("options", {}))
    async with module.opened(target) as calls:
        loop = make_loop(calls)
        began, began_cpu = time.perf_counter(), time.process_time()
        await loop(range(events))
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return {"cpu_us": cpu / events * 1e6, "wall_us": seconds / events * 1e6, "events_per_second": events / seconds}
