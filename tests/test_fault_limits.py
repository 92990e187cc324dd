"""Programs at a limit of the system or of the interpreter, and under its options: each in an interpreter of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from oracle.judge import Promise, judge
from oracle.trials import TESTS
from support import LOOPS, noise, run_program

EVERY_LOOP = pytest.mark.parametrize("loop", LOOPS)


@EVERY_LOOP
def test_pr17_a_program_that_is_started_inherits_nothing_of_a_container(loop: str, tmp_path: Path) -> None:
    body = f"""
    import subprocess
    LIST = [sys.executable, "-c", "import os; print(*sorted(map(int, os.listdir('/proc/self/fd'))))"]
    def inherited():
        return subprocess.run(LIST, close_fds=False, capture_output=True, text=True, check=True).stdout
    async def main():
        async with fapilog.container({{"sinks": ["file"], "plugin_config": {{"file": {{
            "path": {str(tmp_path / "out.log")!r}, "max_bytes": 1000}}}}}}, sinks=[SyncSink()]) as log:
            for _ in range(10):
                await log.info("x" * 300)
            await log.flush()
            print(inherited() == before)
    before = inherited()
    run(main)
    """
    ended = run_program(body, loop)
    assert (ended.stdout, noise(ended.stderr)) == ("True\n", [])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="the limit does not hold for root alone")
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_pr23_where_no_thread_can_be_started_the_error_says_so_and_nothing_hangs(loop: str) -> None:
    body = f"""
    import resource
    async def main():
        try:
            async with fapilog.container(sinks=[SyncSink()]):
                print("entered")
        except fapilog.PluginError as error:
            print("async", "can't start new thread" in str(error))
        async with fapilog.container(sinks=[AsyncSink()]) as log:
            print(await log.info("no thread is needed"))
    # Once before, so that everything is imported: that user need not be allowed to read it.
    run(main)
    with fapilog.blocking_container(sinks=[AsyncSink()], backend={loop!r}) as log:
        log.info("entered")
    print("limited")
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    os.setuid(65534)
    run(main)
    try:
        with fapilog.blocking_container(sinks=[AsyncSink()], backend={loop!r}):
            print("entered")
    except fapilog.FapilogError as error:
        print("blocking", "can't start new thread" in str(error) and "ulimit -u" in str(error))
    """
    ended = run_program(body, loop)
    assert ended.stdout == "entered\nTrue\nlimited\nasync True\nTrue\nblocking True\n", ended.stderr
    assert ended.returncode == 0


def test_pr23_where_no_event_loop_can_be_started_the_error_says_what_to_do(tmp_path: Path) -> None:
    body = """
    import asyncio
    def enter(backend):
        try:
            with fapilog.blocking_container(sinks=[AsyncSink()], backend=backend):
                print("entered")
        except fapilog.FapilogError as error:
            print(type(error.__cause__).__name__, "'asyncio' or 'trio'" in str(error), "ulimit -n" in str(error))
    enter("asyncio")
    enter("curio")
    def fail(*given):
        raise OSError(24, "Too many open files")
    asyncio.selector_events.selectors.DefaultSelector = fail
    asyncio.BaseEventLoop.__del__ = lambda self: None  # it complains of a loop that is not complete
    enter("asyncio")
    """
    ended = run_program(body)
    assert ended.stdout == "entered\nLookupError True True\nOSError True True\n", ended.stderr
    assert ended.returncode == 0


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_pr10_pr23_at_the_interpreters_exit_a_container_is_entered_or_the_error_says_what_to_do(loop: str) -> None:
    """From Python 3.12 on no thread can be started any more at that point."""
    body = f"""
    import atexit
    def late():
        try:
            with fapilog.blocking_container(sinks=[AsyncSink()], backend={loop!r}) as log:
                print(log.info("late"))
        except fapilog.ContainerStateError as error:
            print("at the interpreter's exit, enter it before" in str(error))
    atexit.register(late)
    """
    ended = run_program(body, loop)
    assert (ended.stdout, noise(ended.stderr), ended.returncode) == ("True\n", [], 0), ended.stderr


@EVERY_LOOP
def test_pr22_a_program_that_is_out_of_memory_keeps_its_account(loop: str) -> None:
    """A call may raise what the system raises; whatever it does, its event is in one place."""
    body = """
    import resource
    async def main():
        sink = DirectSink()
        calls = errors = 0
        async with fapilog.container({"on_incomplete": "ignore"}, sinks=[sink]) as log:
            await log.info("x")
            await log.flush()
            with open("/proc/self/statm") as file:
                size = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + 8_000_000, resource.RLIM_INFINITY))
            hoard = []
            try:
                while True:
                    hoard.append(bytearray(50_000))
            except MemoryError:
                pass
            struck = len(hoard)
            values = [{"large": "x" * 5_000}] * 10
            for number in range(200):
                calls += 1
                try:
                    log.nowait.info("event", values=values, number=number)
                except MemoryError:
                    errors += 1
            hoard.clear()
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert log.nowait.info("memory again")
        report = log.container.report
        assert struck and report.balanced and report.in_flight == 0, report
        assert calls + 2 - errors <= report.submitted <= calls + 2, (report, errors)
        assert "memory again" in sink.messages
        print("ok")
    run(main)
    """
    ended = run_program(body, loop)
    assert ended.stdout == "ok\n", ended.stderr


@EVERY_LOOP
@pytest.mark.parametrize("caller", ["loop", "thread"])
def test_pr24_a_call_near_the_recursion_limit_is_accepted_or_counted_and_raises_nothing(loop: str, caller: str) -> None:
    """Where the call itself fits no more, Python raises, as for any function; that is no call then."""
    body = f"""
    import anyio.to_thread, json
    def dive(left, call):
        return dive(left - 1, call) if left else call()

    def log_near_the_limit(log):
        nowait, blocking = log.nowait, log.blocking
        calls = [
            lambda: nowait.info("plain", number=1),
            lambda: nowait.error("nested", nested={{"list": [1, {{"a": 2}}]}}),
            lambda: blocking.warning("blocking", value=[1]),
            lambda: log.info("asynchronous", lazy=lambda: 1),
            lambda: nowait.exception("exception"),
            lambda: nowait.log("INFO", "level", value=object()),
        ]
        frame, depth = sys._getframe(), 0
        while frame:
            frame, depth = frame.f_back, depth + 1
        limit = sys.getrecursionlimit()
        unfit, made, accepted = [], 0, 0
        for call in calls:
            for room in range(120, 0, -1):
                try:
                    accepted += dive(limit - depth - room, call) is True
                    made += 1
                except RecursionError:
                    unfit.append(room)
        return unfit, made, accepted

    async def main():
        sink = DirectSink()
        async with fapilog.container({{"batch_linger": 0}}, sinks=[sink]) as log:
            if {caller == "loop"}:
                unfit, made, accepted = log_near_the_limit(log)
            else:
                unfit, made, accepted = await anyio.to_thread.run_sync(log_near_the_limit, log)
            await log.flush()
            before = len(sink.messages)
            assert log.nowait.info("afterwards")
            with anyio.fail_after(5):
                while "afterwards" not in sink.messages:
                    await anyio.sleep(0)
        report = log.container.report
        assert report.balanced and report.in_flight == 0, report
        lost = report.dropped.get("recursion", 0)
        assert report.submitted == made + 1, (report, made)
        assert set(report.dropped) <= {{"recursion"}} and lost + report.dispatched == made + 1 + report.created, report
        print(json.dumps({{"unfit": max(unfit), "made": made, "lost": lost}}))
    run(main)
    """
    ended = run_program(body, loop)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["unfit"] <= 7, "of which the test's own are four"
    assert found["made"] >= 6 * (120 - 7)
    assert found["lost"] < 60


@EVERY_LOOP
@pytest.mark.parametrize("capacity", [1, 10_000])
def test_pr24_a_call_near_the_recursion_limit_that_has_to_wake_the_worker_leaves_that_to_the_next(
    loop: str, capacity: int
) -> None:
    body = f"""
    import json
    def dive(left, call):
        return dive(left - 1, call) if left else call()

    async def main():
        sink = DirectSink()
        settings = {{"batch_linger": 0, "queue_max_size": {capacity}, "overflow_strategy": "drop_newest"}}
        async with fapilog.container(settings, sinks=[sink]) as log:
            nowait, intake, limit = log.nowait, log._intake, sys.getrecursionlimit()
            made = accepted = left = alike = 0
            for room in range(60, 0, -1):
                while not intake.idle:
                    await anyio.sleep(0)
                frame, depth = sys._getframe(), 0
                while frame:
                    frame, depth = frame.f_back, depth + 1
                done = []
                def log_twice():
                    done.append(nowait.info("dived"))
                    done.append(nowait.info("dived"))
                try:
                    dive(limit - depth - room, log_twice)
                except RecursionError:
                    pass
                made += len(done)
                accepted += sum(done)
                alike += {capacity} == 1 or len(set(done)) < 2
                for _ in range(10):
                    await anyio.sleep(0)
                left += intake.depth()
                nowait.info("next")
                for _ in range(10):
                    await anyio.sleep(0)
                assert intake.depth() == 0, room
        report = log.container.report
        assert report.balanced and report.in_flight == 0, report
        assert report.submitted == made + 60, (report, made)
        assert set(report.dropped) <= {{"recursion", "queue_full"}}
        assert sink.messages.count("dived") == accepted
        assert alike == 60, "what the first call has room for, the second one has too"
        print(json.dumps({{"made": made, "left": left}}))
    run(main)
    """
    ended = run_program(body, loop)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["made"] >= 2 * (60 - 7)
    assert 0 < found["left"] < 60


OPTIONS = {
    "-O": (["-O"], {}),
    "-OO": (["-OO"], {}),
    "-X dev": (["-X", "dev"], {}),
    "PYTHONHASHSEED": ([], {"PYTHONHASHSEED": "1"}),
    "PYTHONOPTIMIZE": ([], {"PYTHONOPTIMIZE": "2"}),
    "PYTHONASYNCIODEBUG": ([], {"PYTHONASYNCIODEBUG": "1"}),
    "settrace": ([], {"HOOK": "settrace"}),
    "setprofile": ([], {"HOOK": "setprofile"}),
}
HOOKED = """
import os, sys, threading
from pathlib import Path
if hook := os.environ.get("HOOK"):
    def note(frame, event, argument):
        return note
    getattr(threading, hook)(note)
    getattr(sys, hook)(note)
import fault_programs
from oracle.client import Client
fault_programs.finish(Client(Path(sys.argv[1])), sys.argv[2], "exits", 100, "main")
"""


@pytest.mark.parametrize("option", OPTIONS)
def test_pr25_the_interpreters_options_and_hooks_change_nothing(option: str, tmp_path: Path) -> None:
    options, variables = OPTIONS[option]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    paths = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    started = {}
    for loop in LOOPS:
        directory = tmp_path / loop
        directory.mkdir()
        (directory / "run").write_text(option.replace(" ", "-"))
        started[directory] = subprocess.Popen(
            [sys.executable, *options, "-W", "error", "-c", HOOKED, str(directory), loop],
            env={**environment, "PYTHONPATH": paths, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    for directory, process in started.items():
        out, error = process.communicate(timeout=40)
        # A busy machine makes steps slow, of which asyncio tells while it debugs.
        said = [line for line in error.splitlines() if not re.match(r"Executing <.* took \d+\.\d+ seconds$", line)]
        assert (out, said) == ("", [])
        for promise in (Promise.ACCOUNT, Promise.DELIVERED):
            verdict = judge(
                directory, {"file": [directory / "out.log"]}, promise=promise, ended=process.returncode, returncode=5
            )
            assert verdict.problems == []
        assert verdict.accepted == 300
