"""Run cases in fresh processes, in turn, and keep what each run found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .child import RESULT
from .peers.catalogue import Entry
from .verify import problem_of

ROOT = Path(__file__).parents[1]
ORIGINAL_PYTHON = "ORIGINAL_FAPILOG_PYTHON"
"""The environment variable that names the Python with the original fapilog."""
TIMEOUT = 180.0
"""Seconds after which a process is stuck."""


class Skipped(Exception):
    """Raised when a case cannot be run here; the text says why."""


@dataclass(frozen=True)
class Case:
    """One thing to measure: what it is called in the results, and what the process is told."""

    name: str
    options: dict[str, Any]
    entry: Entry | None = None
    """The logger; None where none is measured."""
    writes: bool = False
    """Whether the run leaves a file with one line for each of ``options['events']``, which is checked."""
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables for the process."""


@dataclass
class Found:
    """What the rounds of one case found."""

    case: Case
    runs: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""
    """Why the case does not count, if it does not."""

    def values(self, key: str) -> list[float]:
        """Return one measure of every round."""
        return [run[key] for run in self.runs]


def python_for(entry: Entry | None) -> str:
    """Return the Python that has the logger."""
    if entry is None or not entry.original:
        return sys.executable
    python = os.environ.get(ORIGINAL_PYTHON, "")
    if not python:
        raise Skipped(f"{ORIGINAL_PYTHON} does not name a Python that has the original fapilog")
    return python


def environment(entry: Entry | None = None, extra: dict[str, str] | None = None) -> dict[str, str]:
    """Return the variables for a measured process: it caches bytecode, buffers output and hashes as in every run."""
    removed = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    if entry is not None and entry.original:
        removed.add("PYTHONPATH")  # it may lead to this package, which has the same name
    variables = {name: value for name, value in os.environ.items() if name not in removed}
    return {**variables, "PYTHONHASHSEED": "0", **(extra or {})}


def run_child(case: Case, path: Path) -> dict[str, Any]:
    """Run *case* once in a fresh process, with *path* as the file to log to."""
    ended = subprocess.run(
        [python_for(case.entry), "-m", "benchmarks.child", json.dumps({**case.options, "path": str(path)})],
        cwd=ROOT,
        env=environment(case.entry, case.variables),
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    found = [line.removeprefix(RESULT) for line in ended.stdout.splitlines() if line.startswith(RESULT)]
    if not found:
        last = (ended.stderr.strip() or "nothing on the standard error").splitlines()[-1]
        raise Skipped(f"the process ended with {ended.returncode}: {last}")
    result: dict[str, Any] = json.loads(found[-1])
    return result


def run_once(case: Case) -> dict[str, Any]:
    """Run *case* once, and check what it wrote.

    Raises:
        Skipped: if it cannot be run, or if a line is missing or wrong.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        try:
            result = run_child(case, Path(directory, "events.log"))
        except subprocess.TimeoutExpired:
            raise Skipped(f"not done after {TIMEOUT:.0f} s") from None
        if case.writes:
            events = result.get("logged") or case.options["events"]
            problem = problem_of(Path(directory), events, plugins=case.options.get("plugins", False))
            if problem:
                raise Skipped(problem)
    return result


def run_in_turn(
    cases: Sequence[Case],
    rounds: int,
    run: Callable[[Case], dict[str, Any]] | None = None,
) -> list[Found]:
    """Run every case once in each round; each round begins with another case, and the cases keep their order.

    A case that fails once is left out from then on, with what was wrong.
    """
    found = [Found(case) for case in cases]
    for number in range(rounds):
        begin = number * len(found) // max(rounds, 1)
        for one in [*found[begin:], *found[:begin]]:
            if one.problem:
                continue
            try:
                one.runs.append((run or run_once)(one.case))
            except Skipped as skipped:
                one.problem = str(skipped)
                print(f"  {one.case.name} left out: {skipped}", flush=True)
        print(f"  round {number + 1} of {rounds} done", flush=True)
    return found
