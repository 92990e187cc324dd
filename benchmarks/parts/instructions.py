"""Instructions: how many a log call, its way to a sink and its encoding take, counted by valgrind's callgrind.

Unlike times, they hardly depend on how busy the machine is. Each is the difference between a run with twice as many
events and one with N, so that what a process does besides cancels out.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..child import RESULT
from ..measure import ROOT, TIMEOUT, Case, Skipped, environment
from ..selection import Selection
from ..tables import Cases, left_out, median, table

ROUNDS = 1
NAME = "fapilog/asyncio"
KINDS = ("call", "disabled call", "call and pipeline", "call, pipeline and encoder")


def cases(selection: Selection) -> Iterator[Case]:
    """Yield the one run that counts everything."""
    yield Case(NAME, {})


def run(case: Case) -> dict[str, Any]:
    """Return the instructions that one event takes."""
    if shutil.which("valgrind") is None:
        raise Skipped("valgrind is not installed")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        counter = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/%p"]
        ended = subprocess.run(
            [*counter, sys.executable, "-m", "benchmarks.tasks.instructions"],
            cwd=ROOT,
            env=environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        lines = [line.removeprefix(RESULT) for line in ended.stdout.splitlines() if line.startswith(RESULT)]
        if not lines:
            raise Skipped("the counted process failed")
        told = json.loads(lines[0])
        counts = {
            name: [count(Path(directory, str(child))) for child in pair] for name, pair in told["children"].items()
        }
    return {name: (twice - once) / told["events"] for name, (once, twice) in counts.items()}


def count(path: Path) -> int:
    """Return the instructions that callgrind counted in one process."""
    found = re.search(r"^summary: (\d+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise Skipped("callgrind counted nothing")
    return int(found[1])


def counted(found: Cases) -> dict[str, float]:
    """Return the instructions of each step, as far as they were counted."""
    counts = {name: median(found, NAME, name) for name in KINDS}
    known = {name: number for name, number in counts.items() if number is not None}
    if len(known) == len(KINDS):
        known["encoder"] = known["call, pipeline and encoder"] - known["call and pipeline"]
    return known


def tables(found: Cases) -> str:
    """Show the instructions of each step."""
    rows = [[name, f"{number:,.0f}"] for name, number in counted(found).items()]
    return "\n\n".join(filter(None, [table(["what", "instructions per event"], rows), left_out(found)]))
