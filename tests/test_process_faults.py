"""Whole processes that are killed, stopped and interrupted, judged by the oracle."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oracle.judge import Promise, Verdict, judge
from oracle.trials import Run, Trials, bound, trials

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])
TIMES = pytest.mark.parametrize("times", [20, pytest.param(200, marks=pytest.mark.torture)])


@pytest.fixture(scope="module")
def programs() -> Iterator[Trials]:
    with trials("fault_programs") as made:
        yield made


def judged(run: Run, returncode: int, **given: Any) -> Verdict:
    """Judge a run that has ended, and check that nothing is wrong."""
    verdict = judge(
        run.directory, {"file": [run.directory / "out.log"]}, ended=run.returncode, returncode=returncode, **given
    )
    assert verdict.problems == [], "\n".join([*map(str, verdict.problems), run.errors])
    assert verdict.accepted > 0
    return verdict


@LOOPS
@TIMES
def test_pr2_a_killed_process_loses_what_was_in_memory_and_tears_the_last_line_only(
    programs: Trials, tmp_path: Path, times: int, loop: str
) -> None:
    def trial(run: Run) -> None:
        run.start("flood", loop=loop, told_after=run.random.randrange(1, 1000))
        run.wait_for("logging")
        run.send(signal.SIGKILL)
        run.wait()
        judged(run, -signal.SIGKILL, promise=Promise.TAIL)

    programs.run(tmp_path, trial, times)
