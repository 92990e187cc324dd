"""Apply every mutation to a copy of the source, one at a time, and see whether a test notices.

What each came to is kept in ``docs/mutations.md``, after each one, so that a run may be ended at any time::

    nox -s mutations                        try all
    nox -s mutations -- --rest              those that the page does not know, or of which it knows no test
    nox -s mutations -- --from 20 --to 40   those with these numbers, of which --list tells
    nox -s mutations -- WORD...             those whose description has one of the words

The test that noticed a mutation last time is tried first. A test that hangs has noticed, if it does not hang and is not
slow without the mutation.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .mutation import Mutation
from .mutations import KINDS, MUTATIONS
from .page import NOTHING, Page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mutations.md"
LONGEST_TEST = 60
"""Seconds after which one test counts as hanging."""
LONGEST = 240
"""Seconds after which the tests of one mutation count as hanging."""
FAR_LESS = 4
"""How many times longer than without the mutation these are at least, if a test hangs because of it."""


class Outcome(NamedTuple):
    """What became of one mutation."""

    by: str
    """The test that noticed, and how if it did not fail; empty if none did."""
    seconds: float


@contextmanager
def source_with(mutation: Mutation) -> Generator[str]:
    """Yield a directory with a copy of the source that has the mutation."""
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "fapilog"
        shutil.copytree(ROOT / "src" / "fapilog", source, ignore=shutil.ignore_patterns("__pycache__"))
        file = source / mutation.file
        file.write_text(mutation.apply(file.read_text()))
        yield directory


def tried(mutation: Mutation, known: str) -> Outcome:
    """Run the tests of a mutation, those that are *known* to notice it first, until one fails."""
    began = time.monotonic()
    with source_with(mutation) as directory:
        found = noticed_by([*selected(known)], directory) if known else ""
        found = found or next(filter(None, (noticed_by([test], directory) for test in mutation.tests)), "")
    return Outcome(found, time.monotonic() - began)


def selected(known: str) -> Iterator[str]:
    """Yield the arguments of pytest that select the test which the page names."""
    file, _, test = known.partition(" (")[0].partition(": ")
    for path in (ROOT / "tests" / f"{file}.py", ROOT / "tests" / "mutations" / f"{file}.py"):
        if path.exists():
            node = "::".join((str(path.relative_to(ROOT)), *test.split(".")) if test else (str(path),))
            yield node
            return


def noticed_by(tests: list[str], source: str) -> str:
    """Return the first of *tests* that fails with the source in *source*; empty if all pass."""
    if not tests:
        return ""
    ended = run(tests, source, LONGEST)
    if ended is None:
        return f"{_file(tests[0])} (hangs)" if not _takes(tests, LONGEST) else ""
    failed = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if failed:
        node, _, said = failed[0].split(" ", 1)[1].partition(" - ")
        node = node.partition("[")[0]
        name = node.rpartition("/")[2].replace(".py::", ": ").replace("::", ".")
        if "Timeout" not in said:
            return name
        return f"{name} (hangs)" if not _takes([node], LONGEST_TEST) else ""
    if ended.returncode in (0, 5):
        return ""
    if "Timeout" in ended.stdout + ended.stderr:
        return f"{_file(tests[0])} (hangs)" if not _takes(tests, LONGEST) else ""
    return f"{_file(tests[0])} (ends)" if ended.returncode != 4 else ""


def _takes(tests: list[str], seconds: float) -> bool:
    """Return whether *tests* take so long without any mutation that a time of *seconds* tells nothing."""
    ended = run(tests, str(ROOT / "src"), seconds / FAR_LESS)
    return ended is None or ended.returncode != 0


def _file(test: str) -> str:
    return Path(test.partition("::")[0]).stem


def run(tests: list[str], source: str, longest: float) -> subprocess.CompletedProcess[str] | None:
    """Run *tests* with the source in *source* until one fails; return None if that takes too long."""
    options = ("-x", "-q", "-m", "not torture", "-p", "no:cacheprovider", f"--timeout={LONGEST_TEST}")
    # A thread ends the process, whatever the test makes of a signal.
    command = [
        sys.executable,
        "-m",
        "pytest",
        *options,
        "--timeout-method=thread",
        "-o",
        "faulthandler_timeout=0",
        *tests,
    ]
    environment = {
        **os.environ, "PYTHONPATH": source, "HYPOTHESIS_PROFILE": "quick", "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "1000",
    }  # fmt: skip
    try:
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=longest, check=False
        )
    except subprocess.TimeoutExpired:
        return None


def chosen_of(options: argparse.Namespace, page: Page) -> list[Mutation]:
    """Return the mutations that the command line asks for."""
    chosen = list(MUTATIONS[options.first - 1 : options.last])
    if options.words:
        chosen = [mutation for mutation in chosen if any(word in mutation.what for word in options.words)]
    if options.rest:
        chosen = [mutation for mutation in chosen if page.known.get(mutation.what, NOTHING) == NOTHING]
        chosen = [one for one in chosen if not (one.excuse and one.what in page.known)]
    return chosen


def main() -> None:
    """Try the mutations, tell of each, and keep what came of it on the page."""
    parser = argparse.ArgumentParser(prog="nox -s mutations --", description="See whether tests notice mutations.")
    parser.add_argument("words", nargs="*", help="try those whose description has one of these")
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="K", help="begin with this number")
    parser.add_argument("--to", dest="last", type=int, default=len(MUTATIONS), metavar="L", help="end with this one")
    parser.add_argument("--rest", action="store_true", help="leave out what a test is known to notice")
    parser.add_argument("--list", action="store_true", help="tell the numbers, and try nothing")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, metavar="N", help="processes at a time")
    options = parser.parse_args()
    page = Page(PAGE)
    chosen = chosen_of(options, page)
    if options.list:
        for number, mutation in enumerate(MUTATIONS, 1):
            print(f"{number:3} {'*' if mutation in chosen else ' '} {mutation.what}")
        return
    known = [page.known.get(mutation.what, NOTHING) for mutation in chosen]
    survived: list[str] = []
    with ThreadPoolExecutor(options.at_once) as threads:
        outcomes = threads.map(tried, chosen, [by if by != NOTHING else "" for by in known])
        for mutation, outcome in zip(chosen, outcomes, strict=True):
            page.known[mutation.what] = outcome.by or NOTHING
            page.write(KINDS)
            if not (outcome.by or mutation.excuse):
                survived.append(mutation.what)
            print(f"{outcome.seconds:5.1f} s  {mutation.what}: {outcome.by or 'NOT NOTICED'}", flush=True)
    print(f"{len(chosen)} tried; not noticed, without an excuse: {survived or 'none'}")
    raise SystemExit(1 if survived else 0)


if __name__ == "__main__":
    main()
