"""Loop: how late a task is that sleeps 1 ms at a time, while others log."""

from __future__ import annotations

from collections.abc import Iterator

from ..measure import Case
from ..peers.catalogue import NOTHING
from ..selection import Selection, case_name
from ..tables import Cases, cell, left_out, ratio_cell, table

ROUNDS = 3
RATES = (1_000, 10_000, 100_000)
SECONDS = 1.5
TIMED = ("p50", "p99", "p99.9", "max")


def cases(selection: Selection) -> Iterator[Case]:
    """Yield every logger at every rate, and the same without logging."""
    for entry in (NOTHING, *selection.entries()):
        for loop in entry.loops:
            for rate in RATES:
                if selection.quick and (loop == "uvloop" or rate == RATES[0]):
                    continue
                told = {
                    "task": "loop",
                    "loop": loop,
                    "module": entry.module,
                    "rate": rate,
                    "seconds": SECONDS * max(selection.share, 0.2),
                    "options": entry.options,
                }
                yield Case(case_name(entry, loop, rate), told, entry, writes=entry is not NOTHING)


def tables(found: Cases) -> str:
    """Show by how much the sleeping task was late."""
    rows = []
    for name, one in found.items():
        loop, rate = name.split("/")[1:]
        logged = cell(found, name, "logged_per_second")
        late = [cell(found, name, f"late_us/{share}", 1e-3) for share in TIMED]
        compared = ratio_cell(found, name, "late_us/p99", f"nothing/{loop}/{rate}")
        rows.append([one["label"], loop, f"{int(rate):,}", logged, *late, compared])
    header = ["logger", "loop", "events/s wanted", "logged", *(f"{share} ms" for share in TIMED), "p99 × no logging"]
    return "\n\n".join(filter(None, [table(header, rows), left_out(found)]))
