"""Measure the CPU time per event from the log call to the last byte in a JSON file, on both backends.

``python benchmarks/throughput.py [EVENTS] [ROUNDS]``; the backends take turns, the medians are printed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

import fapilog


def lines(path: Path) -> int:
    """Return how many lines the file has."""
    return path.read_bytes().count(b"\n")


async def run(events: int, path: Path) -> float:
    """Log *events* events to a new file and return the CPU time per event, in microseconds."""
    settings = {"sinks": ["file"], "plugin_config": {"file": {"path": str(path)}}}
    began = time.process_time()
    async with fapilog.container(settings) as log:
        with log.context(request_id="r-1234", tenant="acme"):
            for number in range(events):
                await log.info("request done", user_id=number, path="/items", status=200, latency_ms=1.25)
    spent = time.process_time() - began
    report = log.container.report
    if report is None or report.sinks["file"].delivered != events or lines(path) != events:
        sys.exit(f"not every event arrived: {report}")
    return spent / events * 1e6


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    found: dict[str, list[float]] = {"asyncio": [], "trio": []}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(rounds):
            for backend, times in found.items():
                times.append(anyio.run(run, events, Path(directory, f"{backend}-{number}.log"), backend=backend))
    for backend, times in found.items():
        print(
            f"{backend}: {statistics.median(times):.2f} µs of CPU per event (from {min(times):.2f} to {max(times):.2f})"
        )


if __name__ == "__main__":
    main()
