"""The quick run: throughput, call and loop beside structlog, and how far the ratios moved since the baseline.

It is for people who changed something and want to know what it did. It decides nothing: a ratio of times still moves
with the machine, the counts of instructions hardly.
"""

from __future__ import annotations

import importlib
import json
import time
from dataclasses import replace

from . import results
from .measure import run_in_turn
from .parts.instructions import counted
from .samples import shown
from .selection import Selection
from .tables import Cases, median

BASELINE = results.DIRECTORY / "baseline.json"
NOTABLE = 0.15
"""What moved by a larger share is pointed out."""
ROUNDS = {"throughput": 3, "call": 1, "loop": 1, "instructions": 1}
SHARE = 0.5
"""Of the usual events."""
PEER = "structlog"


def throughput_ratios(found: Cases) -> dict[str, float | None]:
    """Return how many times structlog's CPU time an event takes."""
    base = median(found, f"{PEER}/asyncio", "cpu_us")
    return {name: over(median(found, name, "cpu_us"), base) for name in found if name.startswith("fapilog/")}


def call_ratios(found: Cases) -> dict[str, float | None]:
    """Return how many times structlog's time a call takes."""
    ratios = {}
    for name in found:
        if name.startswith("fapilog/"):
            base = f"{PEER}/asyncio/{'/'.join(name.split('/')[2:])}"
            ratios[name] = over(median(found, name, "call_ns/p50"), median(found, base, "call_ns/p50"))
    return ratios


def loop_ratios(found: Cases) -> dict[str, float | None]:
    """Return how many times as late a task is as without logging."""
    ratios = {}
    for name in found:
        logger, loop, rate = name.split("/")
        if logger != "nothing":
            base = f"nothing/{loop}/{rate}"
            ratios[name] = over(median(found, name, "late_us/p50"), median(found, base, "late_us/p50"))
    return ratios


def instruction_counts(found: Cases) -> dict[str, float | None]:
    """Return the counts themselves."""
    return dict(counted(found))


MEASURES = {
    "throughput": throughput_ratios,
    "call": call_ratios,
    "loop": loop_ratios,
    "instructions": instruction_counts,
}


def over(one: float | None, other: float | None) -> float | None:
    """Return the ratio, if there are both."""
    return None if one is None or not other else one / other


def moved(name: str, now: float | None, before: float | None) -> str:
    """Return one line about a measure."""
    if now is None:
        return f"  {name}: not measured"
    if not before:
        return f"  {name}: {shown(now)} (not in the baseline)"
    change = now / before - 1
    mark = "  <-- moved" if abs(change) > NOTABLE else ""
    return f"  {name}: {shown(now)}, was {shown(before)} ({change:+.0%}){mark}"


def run(selection: Selection, *, save: bool) -> None:
    """Measure, print what moved, and with *save* make this the baseline."""
    selection = replace(selection, loggers=(PEER,), quick=True, share=selection.share * SHARE)
    baseline = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    found: dict[str, dict[str, float | None]] = {}
    began = time.perf_counter()
    for part, measures in MEASURES.items():
        module = importlib.import_module(f"benchmarks.parts.{part}")
        print(part, flush=True)
        cases = list(module.cases(selection))
        runs = run_in_turn(cases, selection.rounds or ROUNDS[part], getattr(module, "run", None))
        found[part] = measures(results.as_json(runs))
    seconds = time.perf_counter() - began
    print(f"\nRatios to {PEER}; of loop, to no logging; instructions are counts. Less is better. {seconds:.0f} s.")
    for part, ratios in found.items():
        print(part)
        for name, now in ratios.items():
            print(moved(name, now, baseline.get(part, {}).get(name)))
    if save:
        kept = {"about": results.about(0, seconds), **{part: results.rounded(ratios) for part, ratios in found.items()}}
        BASELINE.parent.mkdir(exist_ok=True)
        BASELINE.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
