"""Whole processes that are killed, stopped and interrupted, judged by the oracle."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from fault_programs import LOST
from oracle.judge import Promise, Verdict, judge
from oracle.trials import Late, Run, Trials, bound, trials
from support import noise, program, unmeasured

LOOPS = ("asyncio", "asyncio+uvloop", "trio")
BACKENDS = ("asyncio", "trio")


# A process is not traced, and so these count nothing for the coverage.
pytestmark = pytest.mark.untraced


def many_times(loops: tuple[str, ...], some: int = 21) -> pytest.MarkDecorator:
    """Run a test's trial *some* times, each on the next of the loops; under torture 200 times on each of them.

    A seventh of that where few examples are asked for. ``-k "200 and trio"`` picks the torture on one loop.
    """
    if settings.get_current_profile_name() != "ci":
        some = max(3, some // 7)
    torture = [pytest.param((loop,), 200, id=f"200 on {loop}", marks=pytest.mark.torture) for loop in loops]
    # A program that hangs is watched for some time before it is told from a slow one, and then tried again.
    few = pytest.param(loops, some, id="some", marks=pytest.mark.timeout(250))
    return pytest.mark.parametrize(("loops", "times"), [few, *torture])


HINDRANCES = ("hangs", "shields itself", "swallows", "blocks its thread")
"""What a sink beside the file sink does."""


@pytest.fixture(scope="module")
def programs() -> Iterator[Trials]:
    with trials("fault_programs") as made:
        yield made


def judged(run: Run, returncode: int, outputs: list[Path] | None = None, **given: Any) -> Verdict:
    """Judge a run that has ended, and check that nothing is wrong."""
    paths = [run.directory / "out.log"] if outputs is None else outputs
    verdict = judge(run.directory, {"file": paths}, ended=run.returncode, returncode=returncode, **given)
    assert verdict.problems == [], "\n".join([*map(str, verdict.problems), run.errors])
    assert verdict.accepted > 0
    return verdict


_CONFIRMS = """
async def main():
    settings = {{"sinks": ["file"], "plugin_config": {{"file": {{"path": {path!r}, "max_bytes": {most}}}}}}}
    async with fapilog.container(settings) as log:
        number = 0
        while number < {events}:
            for _ in range(40):
                log.nowait.info("event", run={run}, number=number)
                number += 1
            await log.flush()
            os.write(1, b"%d\\n" % number)
run(main)
"""


@pytest.mark.parametrize("most", [None, 60_000], ids=["one file", "rotated"])
@many_times(LOOPS, 4)
def test_pr1_a_killed_process_has_written_what_was_confirmed_and_the_next_one_goes_on(
    tmp_path: Path, most: int | None, times: int, loops: tuple[str, ...]
) -> None:
    """Without a spool: what a flush had confirmed before ``kill -9`` is in the files, whole and once, and in order."""
    path = tmp_path / "app.log"
    confirmed: list[int] = []
    for run in range(times):
        killed = run < times - 1
        given = {"path": str(path), "most": most, "run": run, "events": 10**9 if killed else 400}
        process = subprocess.Popen(
            program(_CONFIRMS.format(**given), loops[run % len(loops)]), stdout=subprocess.PIPE, env=unmeasured()
        )
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(1 + run * 5 % 17)] if killed else []
        if killed:
            process.kill()
        told += process.communicate(timeout=60)[0].splitlines(keepends=True)
        assert process.returncode == (-signal.SIGKILL if killed else 0)
        confirmed.append(int([line for line in told if line.endswith(b"\n")][-1]))

    written: dict[int, list[int]] = {run: [] for run in range(times)}
    torn = 0
    files = sorted(tmp_path.glob("app*.log*"), key=lambda file: (file == path, file.name))
    for file in files:
        for line in file.read_bytes().splitlines():
            try:
                fields = json.loads(line)["fields"]
            except ValueError:
                torn += 1
            else:
                written[fields["run"]].append(fields["number"])
    assert torn < times  # a line that a kill has torn, each time at most one: the next start ended it
    for run, numbers in written.items():
        assert numbers == list(range(len(numbers))), run
        assert len(numbers) >= confirmed[run] > 0, run
    assert (len(files) > 2) is (most is not None)


@many_times(LOOPS)
def test_pr2_a_killed_process_loses_what_was_in_memory_and_tears_the_last_line_only(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    def trial(run: Run) -> None:
        run.start("flood", loop=run.loop, told_after=run.random.randrange(1, 300))
        run.wait_for("logging")
        run.send(signal.SIGKILL)
        run.wait()
        judged(run, -signal.SIGKILL, promise=Promise.TAIL)

    programs.run(tmp_path, trial, loops, times)


@many_times(LOOPS)
def test_pr7_a_process_that_ends_without_a_word_loses_what_was_in_memory_only(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    codes = {"os._exit": 9, "os.abort": -signal.SIGABRT, "segfault": -signal.SIGSEGV}

    def trial(run: Run) -> None:
        how = run.one_of(*codes)
        run.start("crash", loop=run.loop, told_after=run.random.randrange(1, 1000), how=how)
        run.wait()
        judged(run, codes[how], promise=Promise.TAIL, struck={how: 1})

    programs.run(tmp_path, trial, loops, times)


# -- signals that end a program in order

PROMPT = 0.3
"""The deadline of a drain that is to run into it, in seconds."""


def timely(run: Run, struck: float, timeout: float, *, anywhere: bool = False) -> None:
    """Wait for the program's end, and check that the block and then the process ended in time.

    Parameters:
        anywhere: whether a handler's exception may have struck between the making of a coroutine and its being awaited,
            of which Python warns: that of a program's own handler, and asyncio's for the second interrupt.
    """
    left = run.wait_for("returned")
    ended = run.wait()
    bound(struck, left, timeout + 1, "leaving the block")
    bound(left, ended, 2, "the end of the process")
    unawaited = ("never awaited", "Enable tracemalloc") if anywhere else ()
    assert [line for line in noise(run.errors) if not any(words in line for words in unawaited)] == []


def has_struck_anyio(run: Run) -> bool:
    """Return whether the interrupt struck the code in which AnyIO keeps account of tasks and scopes."""
    told = ("RuntimeError: Attempted to exit a cancel scope", "assert _task in task_state.cancel_scope._tasks")
    return any(words in run.errors for words in told)


def raise_late_if_asyncio_lost_a_wake_up(run: Run, error: AssertionError) -> None:
    """Raise Late if the program hangs because asyncio waits, while it ends, for a task that nothing wakes any more."""
    if ("in _cancel_all_tasks\n" in run.errors or LOST in run.errors) and "the program hangs" in str(error):
        raise Late("it struck asyncio between two tasks, where a task's wake-up can be lost") from error


def interrupted(run: Run) -> int:
    """Return the return code of a program that ends with a keyboard interrupt."""
    # Where it strikes a task in a task group of the program's, the interpreter gets a group, which is just an error.
    return 1 if run.returncode == 1 and "BaseExceptionGroup" in run.errors else -signal.SIGINT


@many_times(LOOPS)
def test_pr3_sigterm_by_default_ends_the_process_and_loses_what_was_in_memory_only(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    """The library installs no handler: the process dies by the signal, as its parent expects it to."""

    def trial(run: Run) -> None:
        run.start("service", loop=run.loop, told_after=run.random.randrange(1, 300))
        run.wait_for("logging")
        run.send(signal.SIGTERM)
        run.wait()
        judged(run, -signal.SIGTERM, promise=Promise.TAIL)

    programs.run(tmp_path, trial, loops, times)


@many_times(LOOPS)
def test_pr3_a_service_that_is_cancelled_at_sigterm_accounts_for_everything_in_time(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    def trial(run: Run) -> None:
        hindrance = run.one_of("none", *HINDRANCES)
        timeout = 5.0 if hindrance == "none" else PROMPT
        number = run.random.randrange(1, 300)
        run.start(
            "service", loop=run.loop, told_after=number, hindrance=hindrance, on_sigterm="receiver", timeout=timeout
        )
        struck = run.wait_for("logging")
        run.send(signal.SIGTERM)
        timely(run, struck, timeout)
        judged(run, 7, struck={} if hindrance == "none" else {"hindrance": 1})
        if hindrance == "none":
            judged(run, 7, promise=Promise.DELIVERED)

    programs.run(tmp_path, trial, loops, times)


# Trio lets no handler raise: it may strike Trio's own code.
@many_times(("asyncio", "asyncio+uvloop"))
def test_pr4_the_applications_own_handler_of_sigterm_is_called_and_decides_the_return_code(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    def trial(run: Run) -> None:
        run.start("service", loop=run.loop, told_after=run.random.randrange(1, 1000), on_sigterm="handler")
        struck = run.wait_for("logging")
        run.send(signal.SIGTERM)
        timely(run, struck, 5, anywhere=True)
        judged(run, 7)

    programs.run(tmp_path, trial, loops, times)


PLUGINS = ("none", "synchronous", "asynchronous")
"""What is between the calls and the sinks."""


@many_times(("asyncio", "asyncio+uvloop"))
def test_pr4_a_handler_that_raises_in_a_busy_program_ends_it_and_every_event_is_accounted_for(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    """It strikes wherever the program is just then: in its own tasks, in a plugin, in a stage's code, in a sink."""

    def trial(run: Run) -> None:
        number = run.random.randrange(1, 400)
        run.start("struck", loop=run.loop, told_after=number, plugins=run.one_of(*PLUGINS))
        struck = run.wait_for("logging")
        time.sleep(run.random.random() * 0.02)
        run.send(signal.SIGTERM)
        try:
            timely(run, struck, 5, anywhere=True)
        except AssertionError as error:
            raise_late_if_asyncio_lost_a_wake_up(run, error)
            raise
        if run.returncode == 1 and has_struck_anyio(run):
            raise Late("it struck AnyIO's account of the program's cancel scopes, which raises that in its place")
        judged(run, 7, interrupts=2)

    programs.run(tmp_path, trial, loops, times)


@pytest.mark.parametrize("strategy", ["block", "drop_oldest"])
@pytest.mark.parametrize("times", [12, pytest.param(400, marks=pytest.mark.torture)])
def test_pr4_cx9_an_exit_that_strikes_at_any_place_of_the_code_loses_nothing_uncounted(
    programs: Trials, tmp_path: Path, times: int, strategy: str
) -> None:
    """At the places between which nothing can be interrupted, spread over all that one program passes."""
    given = {"plugins": "asynchronous", "strategy": strategy}
    passed = 0

    def count_places(run: Run) -> None:
        nonlocal passed
        run.start("struck_at", loop=run.loop, place=0, **given)
        passed = int(run.wait_for_one("passed "))
        run.wait()

    def trial(run: Run) -> None:
        place = round((run.number + run.random.random()) * passed / times * 0.95) + 1
        run.start("struck_at", loop=run.loop, place=place, **given)
        began = time.monotonic()
        run.wait_for_one("struck ")
        timely(run, began, 5, anywhere=True)
        judged(run, 7, interrupts=2)

    programs.run(tmp_path / "places", count_places, ("asyncio",), 1)
    assert passed > 10_000
    programs.run(tmp_path, trial, ("asyncio",), times)


@many_times(LOOPS)
def test_pr5_one_interrupt_drains(programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]) -> None:
    def trial(run: Run) -> None:
        hindrance = run.one_of("none", *HINDRANCES)
        timeout = 5.0 if hindrance == "none" else PROMPT
        run.start(
            "service", loop=run.loop, told_after=run.random.randrange(1, 300), hindrance=hindrance, timeout=timeout
        )
        struck = run.wait_for("logging")
        run.send(signal.SIGINT)
        timely(run, struck, timeout)
        struck_sink = {} if hindrance == "none" else {"hindrance": 1}
        judged(run, interrupted(run), struck=struck_sink, interrupts=1)

    programs.run(tmp_path, trial, loops, times)


@many_times(LOOPS)
def test_pr5_a_second_interrupt_in_the_drain_ends_it_at_once_and_the_rest_is_counted(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    """The drain would take two minutes."""

    def trial(run: Run) -> None:
        hindrance = run.one_of(*HINDRANCES)
        run.start("service", loop=run.loop, told_after=run.random.randrange(1, 300), hindrance=hindrance, timeout=120.0)
        run.wait_for("logging")
        run.send(signal.SIGINT)
        run.wait_for("draining")
        struck = time.monotonic()
        run.send(signal.SIGINT)
        try:
            timely(run, struck, 1, anywhere=True)
        except AssertionError as error:
            if "Exception ignored in" in run.errors:
                raise Late("the interpreter itself dropped the interrupt, which struck a finalizer") from error
            if has_struck_anyio(run):
                raise Late("it struck AnyIO's account of a task that was just ending, which AnyIO tells of") from error
            raise_late_if_asyncio_lost_a_wake_up(run, error)
            raise
        judged(run, interrupted(run), struck={"hindrance": 1}, interrupts=1)

    programs.run(tmp_path, trial, loops, times)


@many_times(LOOPS)
def test_pr6_a_service_killed_in_a_drain_that_one_sink_holds_up_has_written_everything_elsewhere(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    def trial(run: Run) -> None:
        run.start(
            "service", loop=run.loop, told_after=run.random.randrange(1, 300), hindrance="hangs", on_sigterm="receiver",
            timeout=120.0,
        )  # fmt: skip
        run.wait_for("logging")
        run.send(signal.SIGTERM)
        run.wait_for("file closed")
        run.send(signal.SIGKILL)
        run.wait()
        judged(run, -signal.SIGKILL, promise=Promise.DELIVERED, struck={"hindrance": 1})

    programs.run(tmp_path, trial, loops, times)


# -- programs that end by themselves

ENDINGS = {"returns": 0, "exits": 5, "fails": 1}
"""How a program ends, and with which return code."""


@many_times(LOOPS)
def test_pr8_pr9_a_program_that_ends_inside_the_block_delivers_everything_and_keeps_its_return_code(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    def trial(run: Run) -> None:
        ending, where = run.one_of(*ENDINGS), run.random.choice(["main", "child"])
        run.start("finish", loop=run.loop, ending=ending, number=run.random.randrange(1, 400), where=where)
        run.wait()
        # From a child task it comes as a group, which the interpreter takes for an error; asyncio lets it through.
        in_group = ending == "exits" and where == "child" and run.loop == "trio"
        code = 1 if in_group else ENDINGS[ending]
        judged(run, code)
        judged(run, code, promise=Promise.DELIVERED)
        assert ("ProgramError: the program's own" in run.errors) == (ending == "fails")
        assert noise(run.errors) == []

    programs.run(tmp_path, trial, loops, times)


@many_times(BACKENDS)
def test_pr8_pr9_pr10_a_container_that_is_never_left_is_drained_as_the_interpreter_ends(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    """From Python 3.12 on no thread can be started any more at that point; the file is rotated there all the same."""

    def trial(run: Run) -> None:
        ending = run.one_of(*ENDINGS, "thread fails")
        config = {"file": {"path": str(run.directory / "out.log"), "max_bytes": 50_000}}
        number = run.random.randrange(1, 400)
        run.start("forget_to_leave", loop=run.loop, ending=ending, number=number, threads=0, plugin_config=config)
        run.wait()
        outputs = [*sorted(run.directory.glob("out-*.log")), run.directory / "out.log"]
        code = ENDINGS.get(ending, 0)
        judged(run, code, outputs=outputs)
        verdict = judged(run, code, outputs=outputs, promise=Promise.DELIVERED)
        assert verdict.accepted == number + (ending == "fails"), "the hook has logged too"
        assert ("main hook" in run.errors) == (ending == "fails")
        assert ("thread hook" in run.errors) == (ending == "thread fails")
        assert noise(run.errors) == []

    programs.run(tmp_path, trial, loops, times)


@many_times(BACKENDS)
def test_pr12_daemon_threads_that_log_while_the_interpreter_ends_do_no_harm(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    def trial(run: Run) -> None:
        ending = run.one_of(*ENDINGS)
        run.start("forget_to_leave", loop=run.loop, ending=ending, number=run.random.randrange(1, 200), threads=3)
        run.wait()
        judged(run, ENDINGS[ending])

    programs.run(tmp_path, trial, loops, times)


# -- forks


@pytest.mark.parametrize("forks", [60, pytest.param(1000, marks=pytest.mark.torture)])
def test_pr13_forks_while_four_threads_log_hang_no_child_and_send_nothing_twice(
    programs: Trials, tmp_path: Path, forks: int
) -> None:
    def trial(run: Run) -> None:
        run.start("fork_beside_threads", loop=run.loop, forks=forks, threads=4)
        run.wait(patience=300)
        judged(run, 0, struck={"fork": forks})

    programs.run(tmp_path, trial, LOOPS, len(LOOPS))


@many_times(BACKENDS)
def test_pr14_pr15_workers_that_are_forked_with_events_buffered_log_on_their_own(
    programs: Trials, tmp_path: Path, times: int, loops: tuple[str, ...]
) -> None:
    def trial(run: Run) -> None:
        children, number = run.random.randrange(1, 4), run.random.randrange(1, 200)
        run.start("prefork", loop=run.loop, children=children, number=number)
        run.wait()
        verdict = judged(run, 0, struck={"fork": children})
        assert verdict.seen["file"] == (2 * children + 1) * number
        journal = (run.directory / "journal").read_text()
        assert journal.count("inherited") == children
        assert "True" not in journal
        assert noise(run.errors) == []

    programs.run(tmp_path, trial, loops, times)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_pr15_the_workers_of_a_process_pool_log_on_their_own(programs: Trials, tmp_path: Path, method: str) -> None:
    def trial(run: Run) -> None:
        run.start("pool", loop=run.loop, method=method, number=50)
        run.wait()
        verdict = judged(run, 0, struck={"worker": 4})
        assert verdict.seen["file"] == verdict.accepted == 6 * 50

    programs.run(tmp_path, trial, LOOPS, len(LOOPS))


# -- signals that do not end a program


@pytest.mark.parametrize("seconds", [1.0, pytest.param(10.0, marks=pytest.mark.torture)])
def test_pr19_a_process_that_was_stopped_goes_on_without_an_avalanche_of_timeouts(
    programs: Trials, tmp_path: Path, seconds: float
) -> None:
    """Every timeout of the program is shorter than the time for which it is stopped."""

    def trial(run: Run) -> None:
        run.start("stand_still", loop=run.loop, number=100)
        for turn in range(1, 3):
            run.wait_for(f"turn {turn}")
            run.send(signal.SIGSTOP)
            time.sleep(seconds)
            run.send(signal.SIGCONT)
        run.wait_for("turn 4")
        run.send(signal.SIGTERM)
        run.wait()
        judged(run, 0)
        [ledger] = [json.loads(path.read_text()) for path in run.directory.glob("ledger-*")]
        account = ledger["sinks"]["file"]
        assert account["delivered"] + account["failed"].get("timeout", 0) == account["routed"]
        journal = (run.directory / "journal").read_text()
        assert journal.count("struck cut-off") <= 2, "at most the write that was under way, each time"

    programs.run(tmp_path, trial, LOOPS, len(LOOPS))


def test_pr20_sighup_is_the_applications_and_a_moved_file_is_followed(programs: Trials, tmp_path: Path) -> None:
    def trial(run: Run) -> None:
        run.start("reopen", loop=run.loop, number=50)
        current, moved, turn = run.directory / "out.log", [], 0
        for number in range(5):
            while not current.exists():  # until the next write
                turn += 1
                run.wait_for(f"turn {turn}")
            moved.append(run.directory / f"out.log.{number}")
            current.rename(moved[-1])
            run.send(signal.SIGHUP)
        while not current.exists():
            turn += 1
            run.wait_for(f"turn {turn}")
        run.send(signal.SIGTERM)
        run.wait()
        outputs = [*moved, current]
        judged(run, 0, outputs=outputs, struck={"hangup": 1})
        judged(run, 0, outputs=outputs, promise=Promise.DELIVERED)

    programs.run(tmp_path, trial, LOOPS, len(LOOPS))


@pytest.mark.parametrize("signals", [2000, pytest.param(10_000, marks=pytest.mark.torture)])
def test_pr21_th7_handlers_at_2_khz_and_finalizers_that_log_leave_nothing_uncounted(
    programs: Trials, tmp_path: Path, signals: int
) -> None:
    def trial(run: Run) -> None:
        run.start("log_in_handlers", loop=run.loop, signals=signals, interval=0.0005, threshold=1)
        run.wait(patience=120)
        judged(run, 0, struck={"signal": signals})
        assert noise(run.errors) == []

    programs.run(tmp_path, trial, LOOPS, len(LOOPS))
