"""Apply every mutation to a copy of the source, one at a time, and see whether a test notices.

``python tests/mutations`` runs all, ``python tests/mutations WORD…`` those whose description has one of the words. The
outcome is written to ``docs/mutations.md``. A test that hangs has noticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from mutations import CONFIRMING, COUNTERS, DEADLINES, MUTATIONS, OTHERS, REDACTION, SHIELDS, Mutation

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mutations.md"
LONGEST = 300
"""Seconds after which the tests of one mutation count as hanging."""
KINDS = {
    "Counters": COUNTERS,
    "Shields": SHIELDS,
    "Deadlines": DEADLINES,
    "Redaction": REDACTION,
    "Others": OTHERS,
    "Confirmed calls": CONFIRMING,
}


class Outcome(NamedTuple):
    """What became of one mutation."""

    by: str
    """The test that noticed; empty if none did."""
    seconds: float


def tried(mutation: Mutation) -> Outcome:
    """Apply a mutation to a copy of the source and run its tests until one fails."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "fapilog"
        shutil.copytree(ROOT / "src" / "fapilog", source, ignore=shutil.ignore_patterns("__pycache__"))
        file = source / mutation.file
        text = file.read_text()
        if text.count(mutation.old) != 1:
            raise SystemExit(f"{mutation.what!r}: its text is {text.count(mutation.old)} times in {mutation.file}")
        file.write_text(text.replace(mutation.old, mutation.new))
        noticed = next(filter(None, (noticed_by(test, directory) for test in mutation.tests)), "")
    return Outcome(noticed, time.monotonic() - began)


def noticed_by(tests: str, source: str) -> str:
    """Return the first of *tests* that fails with the source in *source*; empty if all pass."""
    options = (
        "-x",
        "-q",
        "-m",
        "torture or not torture",
        "-p",
        "no:cacheprovider",
        "--timeout=60",
        "-o",
        "faulthandler_timeout=0",
    )
    environment = {**os.environ, "PYTHONPATH": source, "HYPOTHESIS_PROFILE": "quick", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, tests]
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{Path(tests).stem.partition('.')[0]} (hangs)"
    failed = [line.split()[1] for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if failed:
        return failed[0].rpartition("/")[2].partition("[")[0].replace(".py::", ": ").replace("::", ".")
    if ended.returncode not in (0, 5):
        return (
            f"{Path(tests).stem} (hangs)" if "Timeout" in ended.stdout + ended.stderr else f"{Path(tests).stem} (ends)"
        )
    return ""


def page(outcomes: dict[Mutation, Outcome], seconds: float) -> str:
    """Return the page about the outcomes."""
    survived = [mutation for mutation, outcome in outcomes.items() if not outcome.by]
    lines = [
        "# Mutations",
        "",
        "What the tests say when one thing is taken out of the source. `nox -s mutations` makes this page.",
        "",
        f"{len(outcomes)} mutations were tried, and {len(outcomes) - len(survived)} were noticed, in {seconds:.0f} s.",
    ]
    for kind, mutations in KINDS.items():
        lines += ["", f"## {kind}", "", "| taken out | in | noticed by |", "|---|---|---|"]
        for mutation in mutations:
            by = outcomes[mutation].by
            noticed = f"`{by}`" if by else f"**nothing**: {mutation.excuse or 'a test is missing'}"
            lines.append(f"| {mutation.what} | `{mutation.file}` | {noticed} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Try the mutations, tell of each, and write the page if all were tried."""
    words = sys.argv[1:]
    chosen = [mutation for mutation in MUTATIONS if not words or any(word in mutation.what for word in words)]
    began = time.monotonic()
    outcomes: dict[Mutation, Outcome] = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for mutation, outcome in zip(chosen, threads.map(tried, chosen), strict=True):
            outcomes[mutation] = outcome
            print(f"{outcome.seconds:5.1f} s  {mutation.what}: {outcome.by or 'NOT NOTICED'}", flush=True)
    survived = [mutation.what for mutation, outcome in outcomes.items() if not (outcome.by or mutation.excuse)]
    if not words:
        PAGE.write_text(page(outcomes, time.monotonic() - began))
    print(f"{len(outcomes)} tried; not noticed, without an excuse: {survived or 'none'}")
    raise SystemExit(1 if survived else 0)


if __name__ == "__main__":
    main()
