"""Medians, spreads and ratios of what several rounds found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TypedDict


class Summary(TypedDict):
    """The middle and the ends of the rounds."""

    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Return the median and the extremes of *values*."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratio(values: Sequence[float], base: Sequence[float]) -> Summary:
    """Return the ratio of the medians, and as its spread the least and the greatest ratio within one round."""
    within = [value / other for value, other in zip(values, base, strict=False) if other]
    middle = statistics.median(base)
    return {
        "median": statistics.median(values) / middle if middle else 0.0,
        "low": min(within, default=0.0),
        "high": max(within, default=0.0),
    }


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p99, p99.9 and the maximum of *values*."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    return {"p50": at(0.5), "p99": at(0.99), "p99.9": at(0.999), "max": ordered[-1]}


def shown(number: float) -> str:
    """Return *number* with three digits that count."""
    if number == 0:
        return "0"
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    if abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def shown_spread(found: Summary) -> str:
    """Return the median with the extremes behind it."""
    return f"{shown(found['median'])} ({shown(found['low'])}–{shown(found['high'])})"
