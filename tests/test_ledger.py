"""The ledger under random schedules: whatever producers, policies, failing sinks and cancellations do, it is exact.

What a schedule is, how it is run and what is checked stands in ``schedules.py``. The schedules are numbered, and CI
runs the same ones each time; ``nox -s torture`` runs others. What has failed once is kept in ``seeds/ledger.txt`` and
replayed before anything else.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from fapilog.testing.clock import Backend
from schedules import Schedule, make, run, shrunk

FULL = 10_000
"""Schedules for each backend in CI; a tenth of them on the Pythons that are tested beside the current one."""
SCHEDULES = FULL if settings.get_current_profile_name() == "ci" else FULL // 10
TORTURE = int(os.environ.get("TORTURE_SCHEDULES") or 1_000_000)
PARTS = 20
"""Tests into which they are divided, for none may take minutes."""
CHUNK = 50
SEEDS = Path(__file__).parent / "seeds" / "ledger.txt"


def saved() -> list[int]:
    """Return the seeds that have failed once."""
    lines = SEEDS.read_text().splitlines()
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def failure(backend: Backend, schedule: Schedule) -> str | None:
    """Run a schedule; return what was wrong."""
    unraisable: list[str] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda raised: unraisable.append(repr(raised.exc_value))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # AnyIO's own: of a task that is cancelled before its first step, it never awaits the coroutine.
            warnings.filterwarnings("ignore", "coroutine .* was never awaited")
            run(backend, schedule)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        sys.unraisablehook = hook
    return unraisable[0] if unraisable else None


def failures(backend: Backend, seeds: Sequence[int]) -> list[tuple[int, str]]:
    """Run the schedules of *seeds*; return those that failed with what was wrong. Runs in a process of its own."""
    found = [(seed, failure(backend, make(seed))) for seed in seeds]
    return [(seed, problem) for seed, problem in found if problem is not None]


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    """Return as many processes as there are processors."""
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as executor:
        yield executor


def check(processes: Executor, backend: Backend, seeds: Sequence[int]) -> None:
    """Run the schedules of *seeds*, and fail with the first that does, made as small as possible."""
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    failed: list[tuple[int, str]] = []
    for found in processes.map(failures, [backend] * len(chunks), chunks):
        failed += found
    if failed:
        keep(seed for seed, _ in failed)
        pytest.fail(described(backend, *failed[0], len(failed)), pytrace=False)


def keep(seeds: Any) -> None:
    """Save seeds that have failed, to be replayed first from now on."""
    new = sorted(set(seeds) - set(saved()))
    with SEEDS.open("a") as file:
        file.writelines(f"{seed}\n" for seed in new)


def described(backend: Backend, seed: int, problem: str, number: int) -> str:
    """Return what there is to know about a schedule that failed."""
    schedule = shrunk(make(seed), lambda smaller: failure(backend, smaller) is not None)
    smallest = failure(backend, schedule) or "(not each time)"
    return (
        f"{number} schedules failed on {backend}; their seeds are in {SEEDS.name}. Seed {seed}: {problem}\n"
        f"The least that fails so:\n{schedule}\n{smallest}"
    )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_failed_once_does_not_fail_again(backend: Backend) -> None:
    for seed in saved():
        problem = failure(backend, make(seed))
        assert problem is None, described(backend, seed, problem or "", 1)


@pytest.mark.untraced
@pytest.mark.timeout(250)  # some seconds on a processor of one's own
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cx1_cx2_the_ledger_is_exact_under_random_schedules(backend: Backend, part: int, processes: Executor) -> None:
    check(processes, backend, range(SCHEDULES)[part::PARTS])


@pytest.mark.torture
@pytest.mark.timeout(0)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cx1_cx2_the_ledger_is_exact_under_a_million_random_schedules(backend: Backend, processes: Executor) -> None:
    for start in range(FULL, FULL + TORTURE, FULL):
        check(processes, backend, range(start, min(start + FULL, FULL + TORTURE)))


def test_a_failing_schedule_is_made_as_small_as_possible() -> None:
    schedule = make(11)

    def fails(smaller: Schedule) -> bool:
        return any(("burst", 5) in actions for actions in smaller.producers)

    big = Schedule(sinks=schedule.sinks, plugins=("merge",), producers=((("call", 1), ("burst", 5)), (("await", 3),)))
    assert shrunk(big, fails) == Schedule(producers=((("burst", 5),),))


def test_one_seed_is_one_schedule_of_at_most_200_actions() -> None:
    assert make(7) == make(7) != make(8)
    actions = [make(seed).actions for seed in range(2000)]
    assert max(actions) > 150 and all(number <= 200 for number in actions)
