"""Server: a Starlette service that logs five events for each request, to a reader that is fast or stalls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .. import serving
from ..measure import Case
from ..peers.catalogue import FAPILOG, NOTHING
from ..selection import Selection
from ..tables import Cases, cell, left_out, median, ratio_cell, table

ROUNDS = 3
SECONDS = 1.2
SERVERS = {"uvicorn": "uvloop", "hypercorn": "trio"}
"""The servers and their event loops."""
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
                    "lines": 0 if entry is NOTHING else 5,
                }
                yield Case(f"{entry.name}/{server}/{reader}", told, entry)


def tables(found: Cases) -> str:
    """Show the requests that a service answers, what one costs, and how long it takes."""
    rows = []
    for name, one in found.items():
        server, reader = name.split("/")[1:]
        latency = [cell(found, name, f"latency_ms/{share}") for share in ("p50", "p99")]
        requests = cell(found, name, "requests_per_second")
        cpu, compared = "–", "–"
        if median(found, name, "requests_per_second"):
            cpu = cell(found, name, "cpu_us_per_request")
            compared = ratio_cell(found, name, "cpu_us_per_request", f"nothing/{server}/fast")
        rows.append([one["label"], server, reader, requests, cpu, *latency, compared])
    header = ["logger", "server", "reader", "requests/s", "CPU µs/request", "p50 ms", "p99 ms", "CPU × no logging"]
    return "\n\n".join(filter(None, [table(header, rows), left_out(found)]))
