"""The page that tells what the mutations came to, and by that remembers it from one run to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mutation import Mutation

NOTHING = "nothing"
"""Stands for the test if none has noticed a mutation."""
_ROW = re.compile(r"\| (?P<what>.+?) \| `[^`]+` \| (?:`(?P<by>[^`]+)`|\*\*(?P<none>nothing|not tried)\*\*.*) \|")


class Page:
    """Which test noticed which mutation, by its description; read from the page and written to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: dict[str, str] = {}
        if path.exists():
            for row in filter(None, map(_ROW.fullmatch, path.read_text().splitlines())):
                if row["none"] != "not tried":
                    self.known[row["what"]] = row["by"] or NOTHING

    def write(self, kinds: Mapping[str, Sequence[Mutation]]) -> None:
        """Write what is known of the mutations there are, by kind."""
        every = [mutation for mutations in kinds.values() for mutation in mutations]
        outcomes = [self.known.get(mutation.what, "") for mutation in every]
        noticed = sum(1 for by in outcomes if by not in ("", NOTHING))
        not_tried = outcomes.count("")
        lines = [
            "# Mutations",
            "",
            "What the tests say when one thing is taken out of the source. `nox -s mutations` makes this page.",
            "",
            f"There are {len(every)} mutations. Tests notice {noticed} of them. "
            f"{outcomes.count(NOTHING)} were not noticed, for the reason beside them"
            + (f", and {not_tried} were not tried yet." if not_tried else "."),
        ]
        for kind, mutations in kinds.items():
            lines += ["", f"## {kind}", "", "| taken out | in | noticed by |", "|---|---|---|"]
            lines += [self._row(mutation) for mutation in mutations]
        written = self._path.with_suffix(".new")
        written.write_text("\n".join(lines) + "\n")
        written.replace(self._path)

    def _row(self, mutation: Mutation) -> str:
        by = self.known.get(mutation.what)
        if by is None:
            noticed = "**not tried**"
        elif by == NOTHING:
            noticed = f"**nothing**: {mutation.excuse or 'a test is missing'}"
        else:
            noticed = f"`{by}`"
        return f"| {mutation.what} | `{mutation.file}` | {noticed} |"
