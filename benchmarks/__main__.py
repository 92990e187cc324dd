"""The command line: run parts of the suite, save what they found, and bring tables, plots and the page up to date."""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

from . import report, results
from .measure import run_in_turn
from .results import PARTS
from .selection import Selection


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure; all of them: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="throughput, call, loop beside structlog, compared")
    parser.add_argument("--save-baseline", action="store_true", help="with --quick: keep the ratios to compare with")
    parser.add_argument("--rounds", type=int, help="rounds of every part, instead of each part's own number")
    parser.add_argument("--loggers", default="", help="names of the loggers beside fapilog, with commas")
    parser.add_argument("--share", type=float, default=1.0, help="the share of the usual events, to try the suite out")
    parser.add_argument("--results", type=Path, default=results.DIRECTORY, help="the directory for what is found")
    parser.add_argument("--report", action="store_true", help="measure nothing: make tables and plots of what is saved")
    told = parser.parse_args()
    for part in told.parts:
        if part not in PARTS:
            parser.error(f"there is no part {part!r}; there are {', '.join(PARTS)}")
    return told


def run_part(part: str, selection: Selection, directory: Path) -> None:
    """Run one part and save what it found."""
    module = importlib.import_module(f"benchmarks.parts.{part}")
    rounds = selection.rounds or module.ROUNDS
    print(f"{part}: {rounds} rounds", flush=True)
    began = time.perf_counter()
    cases = list(module.cases(selection))
    found = run_in_turn(cases, rounds, getattr(module, "run", None))
    seconds = time.perf_counter() - began
    results.save(part, {**results.about(rounds, seconds), "cases": results.as_json(found)}, directory)
    print(f"{part}: {seconds:.0f} s", flush=True)


def main() -> None:
    told = arguments()
    selection = Selection(tuple(filter(None, told.loggers.split(","))), told.quick, told.rounds, told.share)
    if told.quick:
        from . import quick

        quick.run(selection, save=told.save_baseline)
        return
    if not told.report:
        for part in told.parts or PARTS:
            run_part(part, selection, told.results)
    report.write(told.results, published=told.results == results.DIRECTORY)


if __name__ == "__main__":
    main()
