"""Throughput: from the first log call until the last byte is in the file."""

from __future__ import annotations

from collections.abc import Iterator

from ..measure import Case
from ..selection import Selection, logger_cases
from ..tables import BASES, Cases, cell, left_out, ratio_cell, spread, table

ROUNDS = 9


def cases(selection: Selection) -> Iterator[Case]:
    """Yield every logger on its event loops."""
    return logger_cases(selection, "throughput")


def tables(found: Cases) -> str:
    """Show what an event costs, and how many times what it costs in fapilog."""
    rows = [
        [
            case["label"],
            name.split("/")[1],
            spread(found, name, "cpu_us"),
            cell(found, name, "events_per_second"),
            cell(found, name, "peak_memory", 1 / 2**20),
            *(ratio_cell(found, name, "cpu_us", base) for base in BASES),
        ]
        for name, case in found.items()
    ]
    header = ["logger", "loop", "CPU µs/event", "events/s", "peak MiB", "× fapilog on asyncio", "× fapilog on Trio"]
    return "\n\n".join(filter(None, [table(header, rows), left_out(found)]))
