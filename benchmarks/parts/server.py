"""Server: a Starlette service that logs five events for each request, to a reader that is fast or stalls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .. import serving
from ..measure import Case
from ..peers.catalogue import FAPILOG, NOTHING
from ..selection import Selection
from ..tables import Cases, cell, left_out, median, spread, table

ROUNDS = 3
SECONDS = 0.15
"""Of one slice of the load: the shorter, the less the machine changes between two that are compared."""
SLICES = 32
"""How many times requests that are logged take turns with others, under as much load as is answered."""
SLICES_AT_RATE = 96
"""The same at a fixed rate, which is well below that."""
SERVERS = {"uvicorn": "uvloop", "hypercorn": "trio"}
"""The servers and their event loops."""
RATES = {"uvicorn": 1_000, "hypercorn": 400}
"""Requests per second that arrive however fast the service is."""
READERS = ("fast", "stalled")
NEVER_WAITS = replace(
    FAPILOG,
    name="fapilog-drop-newest",
    label="fapilog, `drop_newest`",
    options={"overflow_strategy": "drop_newest"},
)
"""What a service sets that must not wait for its log: by default, calls wait for ``block_timeout`` when it stalls."""
STALLED_ON_TRIO = ("nothing", "fapilog", "fapilog-drop-newest", "structlog")
"""Which loggers meet a stalled reader there: those that write in the caller's thread do the same under any server."""

run = serving.run


def cases(selection: Selection) -> Iterator[Case]:
    """Yield every logger behind every server that it can run under, and none; with both readers."""
    for reader in READERS:
        for server, loop in SERVERS.items():
            for entry in (NOTHING, *([NEVER_WAITS] if reader == "stalled" else []), *selection.entries()):
                # A logger that does not await runs on any event loop, though it is measured on one elsewhere.
                if len(entry.loops) > 1 and loop not in entry.loops:
                    continue
                if reader == "stalled" and server == "hypercorn" and entry.name not in STALLED_ON_TRIO:
                    continue
                told = {
                    "module": entry.module,
                    "options": entry.options,
                    "server": server,
                    "reader": reader,
                    "seconds": SECONDS,
                    "slices": SLICES,
                    "slices_at_rate": SLICES_AT_RATE,
                    "rate": RATES[server],
                    "lines": 0 if entry is NOTHING else 5,
                }
                yield Case(f"{entry.name}/{server}/{reader}", told, entry)


def tables(found: Cases) -> str:
    """Show the requests that a service answers, what logging adds to one, and how long it takes."""
    rows = []
    for name, one in found.items():
        server, reader = name.split("/")[1:]
        latency = [cell(found, name, f"latency_ms/{share}") for share in ("p50", "p99")]
        at_rate = [cell(found, name, f"at_rate_ms/{share}") for share in ("p50", "p99")]
        cpu, added, ratio = "–", "–", "–"
        if median(found, name, "requests_per_second"):
            cpu = cell(found, name, "cpu_us_per_request")
            added = spread(found, name, "added_cpu_us")
            ratio = spread(found, name, "at_rate_p50_ratio")
        requests = cell(found, name, "requests_per_second")
        rows.append([one["label"], server, reader, requests, cpu, added, *latency, *at_rate, ratio])
    header = [
        "logger", "server", "reader", "requests/s", "CPU µs/request", "beyond no logging", "p50 ms", "p99 ms",
        "p50 ms at a fixed rate", "p99 ms", "p50 × no logging",
    ]  # fmt: skip
    return "\n\n".join(filter(None, [table(header, rows), left_out(found)]))
