"""Bounds on the time that something takes: themselves on a quiet machine, and wider ones in CI."""

from __future__ import annotations

import time

import pytest


def slowness() -> float:
    """Return how many times slower the machine is at this moment than the one on which the bound was set, at least 1.

    Virtual machines have phases in which all they do takes twice as long.
    """
    times: list[float] = []
    for _ in range(5):
        began = time.thread_time()
        [{"a": (str(number),)} for number in range(5_000)]
        times.append(time.thread_time() - began)
    return max(1.0, min(times) / 0.0011)


within_a_time = pytest.mark.parametrize(
    "times", [pytest.param(1, marks=pytest.mark.torture, id="once"), pytest.param(5, id="5 times")]
)
"""Demand that something takes at most *times* its bound.

``nox -s torture`` measures the bound itself, on a machine that does nothing else. A busy one has moments in which it is
missed by what keeps it: there, five times as much tells code that has become slow from such a moment.
"""
