"""Markdown tables, and what the parts need to fill them from saved results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from .samples import Summary, ratio, shown, shown_spread, summary

Cases: TypeAlias = dict[str, dict[str, Any]]
"""The cases of a part's saved results, by name."""
BASES = ("fapilog/asyncio", "fapilog/trio")
"""What the other loggers are compared with."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, the first column of which is text and the others numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def values(cases: Cases, name: str, key: str) -> list[float]:
    """Return one measure of every round of a case; slashes in *key* lead into nested measures."""
    found: list[Any] = cases[name]["runs"] if name in cases else []
    for part in key.split("/"):
        found = [one[part] for one in found]
    return found


def median(cases: Cases, name: str, key: str, scale: float = 1.0) -> float | None:
    """Return the median of a measure; None if the case does not count."""
    found = values(cases, name, key)
    return summary(found)["median"] * scale if found else None


def cell(cases: Cases, name: str, key: str, scale: float = 1.0) -> str:
    """Return the median as a table shows it."""
    found = median(cases, name, key, scale)
    return "–" if found is None else shown(found)


def spread(cases: Cases, name: str, key: str) -> str:
    """Return the median and the extremes of the rounds."""
    found = values(cases, name, key)
    return shown_spread(summary(found)) if found else "–"


def compared(cases: Cases, name: str, key: str, base: str) -> Summary | None:
    """Return how many times the base's measure this is; None if one of them does not count."""
    one, other = values(cases, name, key), values(cases, base, key)
    return ratio(one, other) if one and other else None


def ratio_cell(cases: Cases, name: str, key: str, base: str) -> str:
    """Return the ratio to the base with its spread."""
    found = compared(cases, name, key, base)
    return "–" if found is None else shown_spread(found)


def left_out(cases: Cases) -> str:
    """Return a list of the cases that do not count, with the reasons."""
    lines = [f"- {name}: {case['problem']}" for name, case in cases.items() if case["problem"]]
    return "\n".join(["Left out:", "", *lines]) if lines else ""
