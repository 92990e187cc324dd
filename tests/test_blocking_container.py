"""blocking_container(): a container for synchronous programs, run in a thread."""

from __future__ import annotations

import signal
import threading
import traceback
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import pytest

from fapilog import (
    BlockingLogger,
    ContainerStateError,
    DrainIncomplete,
    PluginError,
    QueueFull,
    blocking,
    blocking_container,
)
from support import SyncSink, account, interrupt_program, noise, own_threads, raiser, run_program

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Quit(BaseException):
    """An exception of the application's that is no `Exception`."""


@BACKENDS
class TestBlocking:
    def test_everything_is_delivered(self, backend: str) -> None:
        sink = SyncSink()
        before = set(threading.enumerate())
        with blocking_container(sinks=[sink], backend=backend) as log:
            assert isinstance(log, BlockingLogger)
            for number in range(300):
                assert log.info(f"{number}")
            assert log.nowait.info("nowait")
        assert sink.messages == [*(f"{number}" for number in range(300)), "nowait"]
        assert sink.calls[-1] == "aclose"
        assert account(log.container).complete
        assert set(threading.enumerate()) <= before

    def test_a_call_that_is_interrupted_while_it_waits_for_room_is_counted(self, backend: str) -> None:
        def interrupt(number: int, frame: object) -> None:
            raise Quit("now")

        gate = threading.Event()
        settings = {
            "queue_max_size": 1, "reserved_for_errors": 0, "batch_linger": 0,
            "block_timeout": 60, "shutdown_timeout": 60,
            "plugin_config": {"sink": {"queue_batches": 1, "block_timeout": 60, "write_timeout": 60}},
        }  # fmt: skip
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            with blocking_container(settings, sinks=[SyncSink(write=gate.wait)], backend=backend) as log:
                signal.setitimer(signal.ITIMER_REAL, 0.3, 0.1)  # again, should it come between two calls
                accepted = 0
                with pytest.raises(Quit):
                    while True:
                        accepted += log.info("a")
                signal.setitimer(signal.ITIMER_REAL, 0)
                gate.set()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        report = account(log.container)
        assert report.dropped == {"cancelled": 1}
        assert report.submitted == accepted + 1

    @pytest.mark.parametrize(
        "error", [ValueError("x"), Quit("x"), KeyboardInterrupt(), SystemExit(3), ExceptionGroup("g", [ValueError()])],
        ids=lambda error: type(error).__name__,
    )  # fmt: skip
    def test_the_bodys_exception_comes_out_as_the_same_object(self, backend: str, error: BaseException) -> None:
        sink = SyncSink()
        caught: BaseException | None = None
        try:
            with blocking_container(sinks=[sink], backend=backend) as log:
                log.info("a")
                raise error
        except BaseException as outside:
            caught = outside
        assert caught is error
        assert traceback.extract_tb(error.__traceback__)[0].name == (
            "test_the_bodys_exception_comes_out_as_the_same_object"
        )
        assert sink.messages == ["a"]
        error.__traceback__ = None

    def test_several_threads_log_and_each_keeps_its_order(self, backend: str) -> None:
        sink = SyncSink()

        def work(name: str) -> None:
            for number in range(100):
                assert log.info(f"{name} {number}")

        with blocking_container(sinks=[sink], backend=backend) as log:
            threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for name in "abcd":
            mine = [message for message in sink.messages if message.startswith(name)]
            assert mine == [f"{name} {number}" for number in range(100)]

    def test_a_sink_that_does_not_start_is_an_error_and_nothing_stays(self, backend: str) -> None:
        before = set(threading.enumerate())
        block = blocking_container(sinks=[SyncSink(start=raiser(OSError("no disk")))], backend=backend)
        with pytest.raises(PluginError, match="no disk"), block:
            raise AssertionError("entered")
        assert set(threading.enumerate()) <= before

    def test_a_hung_sink_is_left_behind(self, backend: str) -> None:
        release = threading.Event()
        settings = {"shutdown_timeout": 0.1, "on_incomplete": "raise"}
        block = blocking_container(settings, sinks=[SyncSink(write=release.wait)], backend=backend)
        with pytest.raises(DrainIncomplete), block as log:
            log.info("a")
        assert account(log.container).sinks["sink"].abandoned == {"deadline": 1}
        release.set()

    def test_a_full_queue_waits_and_then_drops(self, backend: str) -> None:
        release = threading.Event()
        settings: dict[str, Any] = {
            "queue_max_size": 4, "reserved_for_errors": 0, "block_timeout": 0.01, "batch_size": 1,
            "plugin_config": {"sink": {"queue_batches": 1, "block_timeout": 5}},
        }  # fmt: skip
        sink = SyncSink(write=release.wait)
        with blocking_container(settings, sinks=[sink], backend=backend) as log:
            answers = [log.info(f"{number}") for number in range(20)]
            release.set()
        report = account(log.container)
        assert answers.count(True) == sum(message != "events were lost" for message in sink.messages)
        assert answers.count(False) == sum(report.dropped.values()) > 0

    def test_raise_raises_in_the_caller(self, backend: str) -> None:
        release = threading.Event()
        settings: dict[str, Any] = {
            "queue_max_size": 2, "reserved_for_errors": 0, "overflow_strategy": "raise", "batch_size": 1,
            "plugin_config": {"sink": {"queue_batches": 1, "overflow_strategy": "block", "block_timeout": 5}},
        }  # fmt: skip
        with blocking_container(settings, sinks=[SyncSink(write=release.wait)], backend=backend) as log:
            with pytest.raises(QueueFull):
                for _ in range(20):
                    log.info("x")
            release.set()
        account(log.container)

    def test_after_the_block_a_call_is_refused_and_raises_nothing(self, backend: str) -> None:
        with blocking_container(sinks=[SyncSink()], backend=backend) as log:
            pass
        assert not log.info("late") and not log.nowait.error("late")
        assert log.container.stats().rejected == {"closed": 2}

    def test_two_nest_and_share_nothing(self, backend: str) -> None:
        one, two = SyncSink(), SyncSink()
        outer, inner = (blocking_container(sinks=[sink], backend=backend) for sink in (one, two))
        with outer as first, inner as second:
            first.info("one")
            second.info("two")
        assert (one.messages, two.messages) == (["one"], ["two"])


@pytest.mark.anyio
async def test_inside_an_event_loop_it_is_refused() -> None:
    with pytest.raises(ContainerStateError, match="inside an event loop"), blocking_container(sinks=[SyncSink()]):
        raise AssertionError("entered")


@pytest.mark.anyio
async def test_in_a_worker_thread_of_an_event_loop_it_works() -> None:
    sink = SyncSink()

    def work() -> None:
        with blocking_container(sinks=[sink]) as log:
            log.info("a")

    await anyio.to_thread.run_sync(work)
    assert sink.messages == ["a"]


PROGRAM = """
sink, good = {sink}, SyncSink("good")
with fapilog.blocking_container({{"shutdown_timeout": {timeout}}}, sinks=[sink, good], backend={backend!r}) as log:
    log.info("a")
    {body}
"""


@BACKENDS
class TestPrograms:
    @pytest.mark.parametrize(
        ("body", "code"), [("pass", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1)], ids=["ends", "exits", "fails"]
    )
    @pytest.mark.parametrize("sink", ['SyncSink("bad", write=threading.Event().wait)', 'SyncSink("other")'])
    def test_pr8_sk5_the_process_ends_with_its_own_code(self, sink: str, body: str, code: int, backend: str) -> None:
        ended = run_program(PROGRAM.format(sink=sink, timeout=0.2, body=body, backend=backend))
        assert ended.returncode == code, ended.stderr
        assert noise(ended.stderr) == []
        assert "Group" not in ended.stderr

    def test_an_interrupt_in_the_body_drains(self, backend: str) -> None:
        # In steps: an interrupt that comes just before a wait without an end is seen only after it.
        body = """print("running", flush=True)
    while True: time.sleep(0.1)"""
        text = f"""
import atexit
atexit.register(lambda: print(good.messages, flush=True))
{PROGRAM.format(sink='SyncSink("other")', timeout=5, body=body, backend=backend)}"""
        code, out, error = interrupt_program(text, "asyncio", interrupts=1)
        assert out.splitlines() == ["running", "['a']"], error
        assert code in (-2, 130, 1)
        assert noise(error) == []

    def test_pr8_a_block_that_is_never_left_does_not_keep_the_process_from_ending(self, backend: str) -> None:
        text = f"""
block = fapilog.blocking_container({{"shutdown_timeout": 0.5}}, sinks=[SyncSink()], backend={backend!r})
log = block.__enter__()
log.info("a")
raise SystemExit(4)
"""
        ended = run_program(text)
        assert ended.returncode == 4, ended.stderr


@BACKENDS
def test_an_interrupt_in_the_drain_leaves_nothing_to_the_interpreters_exit(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loop that is held would be waited for twice."""
    at_exit: list[object] = []
    left: list[int] = []
    ask = blocking._ContainerThread._ask

    def struck(thread: Any, step: Any) -> None:
        left.append(len(at_exit))
        if len(left) == 1:
            raise KeyboardInterrupt
        ask(thread, step)

    monkeypatch.setattr(blocking, "atexit", SimpleNamespace(register=at_exit.append, unregister=at_exit.remove))
    monkeypatch.setattr(blocking._ContainerThread, "_ask", struck)
    with pytest.raises(KeyboardInterrupt), blocking_container(sinks=[SyncSink()], backend=backend):
        pass
    assert left == [1, 0]
    assert own_threads() == []


def test_nothing_of_a_test_stays_behind() -> None:
    assert own_threads() == []
