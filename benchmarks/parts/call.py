"""Call: what the caller pays for one log call, net of the timer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..measure import Case
from ..peers.catalogue import APPEND, FAPILOG, Entry
from ..selection import Selection, case_name
from ..tables import Cases, cell, left_out, ratio_cell, table

ROUNDS = 4
BUSY = 50_000
"""Calls of a run without pauses."""
SITUATIONS: dict[str, dict[str, Any]] = {
    "rare": {"events": 100, "burst": 1, "pause": 0.02},
    "idle": {"events": 500, "burst": 1, "pause": 0.001},
    "load": {"events": BUSY, "burst": 0, "pause": 0.0},
    "slow sink": {"events": 8_000, "burst": 10, "pause": 0.001, "sink": "slow"},
    "hanging sink": {"events": 40_000, "burst": 0, "pause": 0.0, "sink": "hanging"},
    **{
        f"hanging sink, {strategy}": {
            "events": 100_000,
            "burst": 0,
            "pause": 0.0,
            "sink": "hanging",
            "settings": {"overflow_strategy": strategy},
        }
        for strategy in ("drop_newest", "drop_oldest")
    },
}
"""How often is called: with pauses, the longer ones so long that each call has to wake the worker; without; and with
sinks that do not keep up. The queue of the last ones is full for most of the calls."""
UNHINDERED = ("rare", "idle", "load")
"""The situations in which the others are measured too."""
YIELDING = {"burst": 250, "pause": 0.0}
"""Calls that do not await get a pause of their own, about where the others wait for room by themselves."""
TIMED = ("p50", "p99", "p99.9", "max")


def case(entry: Entry, loop: str, kind: str, situation: str, selection: Selection) -> Case:
    """Return the case of one kind of call in one situation."""
    told: dict[str, Any] = {**SITUATIONS[situation], "options": dict(entry.options)}
    told["events"] = selection.events(min(told["events"], entry.events))
    sink = told.pop("sink", None)
    if sink is not None:
        told["options"] |= {"sink": sink, "shutdown_timeout": 0.2, **told.pop("settings", {})}
    if kind in ("nowait", "thread") and not told["burst"]:
        told |= YIELDING
    if kind == "thread":
        # A thread that never pauses would leave the event loop no time on the interpreter.
        told |= {"thread": True, "kind": "nowait", "pause": 0.001}
    else:
        told["kind"] = kind
    told |= {"task": "call", "loop": loop, "module": entry.module}
    writes = sink is None and kind != "disabled" and entry is not APPEND
    return Case(case_name(entry, loop, kind, situation), told, entry, writes=writes)


def cases(selection: Selection) -> Iterator[Case]:
    """Yield all kinds of fapilog's calls in all situations; of the others, those that nothing hinders, and disabled."""
    for loop in ("asyncio", "trio"):
        for situation in SITUATIONS:
            for kind in ("enabled", "nowait", "thread"):
                if not selection.quick or (kind == "enabled" and situation in ("idle", "load")):
                    yield case(FAPILOG, loop, kind, situation, selection)
        yield case(FAPILOG, loop, "disabled", "load", selection)
    for entry in selection.entries():
        loop = "uvloop" if entry is FAPILOG else entry.loops[0]
        if entry is FAPILOG and selection.quick:
            continue
        for situation in UNHINDERED:
            if not selection.quick or situation != "rare":
                yield case(entry, loop, "enabled", situation, selection)
        if entry.name not in ("eliot", "opentelemetry"):  # these have no levels to disable
            yield case(entry, loop, "disabled", "load", selection)
    if not selection.quick:
        for loop in ("asyncio", "trio"):
            for situation in UNHINDERED:
                yield case(APPEND, loop, "enabled", situation, selection)


def described(name: str) -> list[str]:
    """Return the loop, the kind of call and the situation of a case as a table shows them."""
    logger, loop, kind, situation = name.split("/")
    if kind == "disabled":
        return [loop, "disabled level", "–"]
    calls = {"nowait": "`nowait`", "thread": "`nowait` in a thread", "enabled": "`await`"}
    awaited = logger in ("fapilog", "original", "structlog-async")
    return [loop, calls[kind] if awaited else "call", situation]


def base_of(name: str) -> str:
    """Return the kind of call and the situation that a case is compared with: fapilog's awaited call in the same."""
    kind, situation = name.split("/")[2:]
    return f"{'disabled' if kind == 'disabled' else 'enabled'}/{situation}"


def tables(found: Cases) -> str:
    """Show the quantiles of each kind of call."""
    rows = [
        [
            one["label"],
            *described(name),
            *(cell(found, name, f"call_ns/{share}", 1e-3) for share in TIMED),
            ratio_cell(found, name, "call_ns/p50", f"fapilog/asyncio/{base_of(name)}"),
        ]
        for name, one in found.items()
    ]
    header = ["logger", "loop", "call", "situation", *(f"{share} µs" for share in TIMED), "p50 × fapilog on asyncio"]
    return "\n\n".join(filter(None, [table(header, rows), left_out(found)]))
