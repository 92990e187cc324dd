"""A few hundred random schedules, as a quick test for the mutations; pytest runs it only where it is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from fapilog.testing.clock import Backend
from schedules import make, run

QUICK = 400


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_ledger_is_exact_under_a_few_random_schedules(backend: Backend) -> None:
    for seed in range(QUICK):
        run(backend, make(seed))
