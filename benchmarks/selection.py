"""What a command asked for, and the cases of the parts that compare loggers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .measure import Case
from .peers.catalogue import ENTRIES, Entry


@dataclass(frozen=True)
class Selection:
    """What is to be measured."""

    loggers: tuple[str, ...] = ()
    """The names of the loggers beside fapilog; empty for all."""
    quick: bool = False
    rounds: int | None = None
    share: float = 1.0
    """The share of the usual events, to try the suite out."""

    def entries(self) -> Iterator[Entry]:
        """Yield the loggers that were asked for, fapilog first."""
        for entry in ENTRIES:
            if not self.loggers or entry.name == "fapilog" or entry.name in self.loggers:
                yield entry

    def events(self, usual: int) -> int:
        """Return how many events to log where *usual* is usual."""
        return max(int(usual * self.share), 100)


def logger_cases(selection: Selection, task: str, **options: Any) -> Iterator[Case]:
    """Yield the cases that log events to a file, for every logger and event loop."""
    for entry in selection.entries():
        for loop in entry.loops:
            told = {
                "task": task,
                "loop": loop,
                "module": entry.module,
                "events": selection.events(entry.events),
                "options": entry.options,
                **options,
            }
            yield Case(case_name(entry, loop), told, entry, writes=True)


def case_name(entry: Entry, loop: str, *more: object) -> str:
    """Return the name of a case in the results: logger, event loop, and what else tells it from others."""
    return "/".join([entry.name, loop, *map(str, more)])
