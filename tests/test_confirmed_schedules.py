"""Confirmed calls under random schedules: what they were told is what the sinks have got, and nothing is left.

The schedules are those of ``test_ledger``, with confirmed calls between what the producers do.
"""

from __future__ import annotations

import random

import attrs
import pytest

from fapilog.testing.clock import Backend
from schedules import Schedule, make, run

ACTIONS = (
    *("confirmed", "confirmed", "confirmed_error", "confirmed_in_vain", "cancelled_confirmed", "confirmed_finally"),
    *("reload", "cancelled_reload"),
)


def with_confirmed(seed: int) -> Schedule:
    """Return the schedule of that seed, with confirmed calls and a few reloads between what its producers do."""
    rng = random.Random(f"confirmed {seed}")
    schedule = make(seed)
    actions = ACTIONS if seed % 2 else ACTIONS[:-2]

    def between(given: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        mixed: list[tuple[str, int]] = []
        for action in given:
            mixed.append(action)
            if rng.random() < 0.3:
                mixed.append((rng.choice(actions), rng.randint(1, 12)))
        return tuple(mixed)

    # A task that is cancelled natively before its first step cancels all that is around it: so AnyIO has it.
    strikes = tuple((step, strike) for step, strike in schedule.strikes if strike != "stage" or not seed % 2)
    return attrs.evolve(schedule, producers=tuple(map(between, schedule.producers)), strikes=strikes)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("seed", range(40))
def test_what_confirmed_calls_are_told_is_what_the_sinks_have(seed: int, backend: Backend) -> None:
    run(backend, with_confirmed(seed))
