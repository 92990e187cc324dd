"""Judge the runs in the directories that are given: ``python -m oracle --output SINK=FILE DIRECTORY...``.

A file's name is taken within each directory. The return code is 1 if anything is wrong.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path

from .judge import Promise, judge


def main() -> int:
    """Judge, and say what was found."""
    parser = ArgumentParser(prog="oracle", description="Judge what programs under fault have written.")
    parser.add_argument("--promise", type=str.upper, choices=[promise.name for promise in Promise], default="ACCOUNT")
    parser.add_argument("--output", action="append", metavar="SINK=FILE", required=True)
    parser.add_argument("directories", nargs="+", type=Path)
    given = parser.parse_args()
    failed = False
    for directory in given.directories:
        outputs: dict[str, list[Path]] = {}
        for output in given.output:
            sink, _, name = output.partition("=")
            outputs.setdefault(sink, []).append(directory / name)
        verdict = judge(directory, outputs, promise=Promise[given.promise])
        failed = failed or bool(verdict.problems)
        print(f"{directory}: {verdict.accepted} accepted, {verdict.refused} refused, seen {verdict.seen}")
        for problem in verdict.problems:
            print(f"  {problem}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
