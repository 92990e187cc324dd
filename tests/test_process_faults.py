"""Whole processes that are killed, stopped and interrupted, judged by the oracle."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oracle.judge import Promise, Verdict, judge
from oracle.trials import Run, Trials, bound, trials
from support import noise

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])
TIMES = pytest.mark.parametrize("times", [20, pytest.param(200, marks=pytest.mark.torture)])

HINDRANCES = ("hangs", "shields itself", "swallows", "blocks its thread")
"""What a sink beside the file sink does."""


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
        run.start("flood", loop=loop, told_after=run.random.randrange(1, 300))
        run.wait_for("logging")
        run.send(signal.SIGKILL)
        run.wait()
        judged(run, -signal.SIGKILL, promise=Promise.TAIL)

    programs.run(tmp_path, trial, times)


@LOOPS
@TIMES
def test_pr7_a_process_that_ends_without_a_word_loses_what_was_in_memory_only(
    programs: Trials, tmp_path: Path, times: int, loop: str
) -> None:
    codes = {"os._exit": 9, "os.abort": -signal.SIGABRT, "segfault": -signal.SIGSEGV}

    def trial(run: Run) -> None:
        how = run.one_of(*codes)
        run.start("crash", loop=loop, told_after=run.random.randrange(1, 1000), how=how)
        run.wait()
        judged(run, codes[how], promise=Promise.TAIL, struck={how: 1})

    programs.run(tmp_path, trial, times)


# -- signals that end a program in order

PROMPT = 0.3
"""The deadline of a drain that is to run into it, in seconds."""


def timely(run: Run, struck: float, timeout: float) -> None:
    """Wait for the program's end, and check that the block and then the process ended in time."""
    left = run.wait_for("returned")
    ended = run.wait()
    bound(struck, left, timeout + 1, "leaving the block")
    bound(left, ended, 2, "the end of the process")
    assert noise(run.errors) == []


def interrupted(run: Run) -> int:
    """Return the return code of a program that ends with a keyboard interrupt."""
    # Where it strikes a task in a task group of the program's, the interpreter gets a group, which is just an error.
    return 1 if run.returncode == 1 and "BaseExceptionGroup" in run.errors else -signal.SIGINT


@LOOPS
@TIMES
def test_pr3_sigterm_by_default_ends_the_process_and_loses_what_was_in_memory_only(
    programs: Trials, tmp_path: Path, times: int, loop: str
) -> None:
    """The library installs no handler: the process dies by the signal, as its parent expects it to."""

    def trial(run: Run) -> None:
        run.start("service", loop=loop, told_after=run.random.randrange(1, 300))
        run.wait_for("logging")
        run.send(signal.SIGTERM)
        run.wait()
        judged(run, -signal.SIGTERM, promise=Promise.TAIL)

    programs.run(tmp_path, trial, times)


@LOOPS
@TIMES
def test_pr3_a_service_that_is_cancelled_at_sigterm_accounts_for_everything_in_time(
    programs: Trials, tmp_path: Path, times: int, loop: str
) -> None:
    def trial(run: Run) -> None:
        hindrance = run.one_of("none", *HINDRANCES)
        timeout = 5.0 if hindrance == "none" else PROMPT
        run.start(
            "service", loop=loop, told_after=run.random.randrange(1, 300), hindrance=hindrance, on_sigterm="receiver",
            timeout=timeout,
        )  # fmt: skip
        struck = run.wait_for("logging")
        run.send(signal.SIGTERM)
        timely(run, struck, timeout)
        judged(run, 7, struck={} if hindrance == "none" else {"hindrance": 1})
        if hindrance == "none":
            judged(run, 7, promise=Promise.DELIVERED)

    programs.run(tmp_path, trial, times)


@LOOPS
@TIMES
def test_pr4_the_applications_own_handler_decides_what_sigterm_means(
    programs: Trials, tmp_path: Path, times: int, loop: str
) -> None:
    if loop == "trio":
        pytest.skip("Trio lets no handler raise: it may strike Trio's own code")

    def trial(run: Run) -> None:
        run.start("service", loop=loop, told_after=run.random.randrange(1, 300), on_sigterm="handler")
        struck = run.wait_for("logging")
        run.send(signal.SIGTERM)
        timely(run, struck, 5)
        judged(run, 7)

    programs.run(tmp_path, trial, times)


@LOOPS
@TIMES
def test_pr5_one_interrupt_drains(programs: Trials, tmp_path: Path, times: int, loop: str) -> None:
    def trial(run: Run) -> None:
        hindrance = run.one_of("none", *HINDRANCES)
        timeout = 5.0 if hindrance == "none" else PROMPT
        run.start(
            "service", loop=loop, told_after=run.random.randrange(1, 300), hindrance=hindrance, timeout=timeout
        )
        struck = run.wait_for("logging")
        run.send(signal.SIGINT)
        timely(run, struck, timeout)
        struck_sink = {} if hindrance == "none" else {"hindrance": 1}
        judged(run, interrupted(run), struck=struck_sink, interrupts=1)

    programs.run(tmp_path, trial, times)


@LOOPS
@TIMES
def test_pr5_a_second_interrupt_in_the_drain_ends_it_at_once_and_the_rest_is_counted(
    programs: Trials, tmp_path: Path, times: int, loop: str
) -> None:
    """The drain would take two minutes."""

    def trial(run: Run) -> None:
        hindrance = run.one_of(*HINDRANCES)
        run.start(
            "service", loop=loop, told_after=run.random.randrange(1, 300), hindrance=hindrance, timeout=120.0
        )
        run.wait_for("logging")
        run.send(signal.SIGINT)
        run.wait_for("draining")
        struck = time.monotonic()
        run.send(signal.SIGINT)
        timely(run, struck, 1)
        judged(run, interrupted(run), struck={"hindrance": 1}, interrupts=1)

    programs.run(tmp_path, trial, times)


@LOOPS
@TIMES
def test_pr6_a_service_killed_in_a_drain_that_one_sink_holds_up_has_written_everything_elsewhere(
    programs: Trials, tmp_path: Path, times: int, loop: str
) -> None:
    def trial(run: Run) -> None:
        run.start(
            "service", loop=loop, told_after=run.random.randrange(1, 300), hindrance="hangs", on_sigterm="receiver",
            timeout=120.0,
        )  # fmt: skip
        run.wait_for("logging")
        run.send(signal.SIGTERM)
        run.wait_for("file closed")
        run.send(signal.SIGKILL)
        run.wait()
        judged(run, -signal.SIGKILL, promise=Promise.DELIVERED, struck={"hindrance": 1})

    programs.run(tmp_path, trial, times)
