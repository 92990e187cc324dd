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

from ..measure import ROOT, TIMEOUT, Case, Skipped, environment
from ..selection import Selection
from ..tables import Cases, left_out, median, table

ROUNDS = 1
EVENTS = 5_000
CASES = {
    "call": ("nowait", "hanging"),
    "disabled call": ("disabled nowait", "hanging"),
    "call and pipeline": ("enabled", "idle"),
    "call, pipeline and encoder": ("enabled", "encoding"),
}
"""The kind of call and the sink; a call whose events go nowhere is counted alone."""


def cases(selection: Selection) -> Iterator[Case]:
    """Yield what is counted, on asyncio."""
    for name, (kind, sink) in CASES.items():
        told = {"task": "instructions", "loop": "asyncio", "kind": kind, "sink": sink, "events": EVENTS}
        yield Case(name, told)


def started(case: Case, events: int, path: Path) -> subprocess.Popen[bytes]:
    """Start one run under callgrind, which writes its count to *path*."""
    told = json.dumps({**case.options, "events": events})
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}", sys.executable]
    return subprocess.Popen(
        [*command, "-m", "benchmarks.child", told],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def run(case: Case) -> dict[str, Any]:
    """Return the instructions of one event; both runs go on at once, for they do not disturb each other's count."""
    if shutil.which("valgrind") is None:
        raise Skipped("valgrind is not installed")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        paths = {events: Path(directory, str(events)) for events in (EVENTS, 2 * EVENTS)}
        processes = [started(case, events, path) for events, path in paths.items()]
        if any([process.wait(TIMEOUT) for process in processes]):
            raise Skipped("a counted process failed")
        counts = [re.search(r"^summary: (\d+)", path.read_text(), re.MULTILINE) for path in paths.values()]
    if counts[0] is None or counts[1] is None:
        raise Skipped("callgrind counted nothing")
    return {"instructions": (int(counts[1][1]) - int(counts[0][1])) / EVENTS}


def counted(found: Cases) -> dict[str, float]:
    """Return the instructions of each step, as far as they were counted."""
    counts = {name: median(found, name, "instructions") for name in CASES}
    known = {name: count for name, count in counts.items() if count is not None}
    if "call and pipeline" in known and "call, pipeline and encoder" in known:
        known["encoder"] = known["call, pipeline and encoder"] - known["call and pipeline"]
    return known


def tables(found: Cases) -> str:
    """Show the instructions of each step."""
    rows = [[name, f"{count:,.0f}"] for name, count in counted(found).items()]
    return "\n\n".join(filter(None, [table(["what", "instructions per event"], rows), left_out(found)]))
