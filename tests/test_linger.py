"""Lingering: sparse events go out at once, what follows soon goes out together, and nothing wakes when idle."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import anyio
import pytest
import trio

from fapilog import AsyncLoggingContainer, PluginMetadata, PluginType
from fapilog.pipeline.backend import Alarm
from fapilog.pipeline.intake import BUSY, CHUNK, STEADY, Intake
from fapilog.plugins import Batch
from fapilog.testing import RecordingSink
from sinks import account, turns

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def make(sink: RecordingSink, linger: float = 1, **given: Any) -> AsyncLoggingContainer:
    return AsyncLoggingContainer({"batch_linger": linger, **given}, sinks=[sink])


def batches(sink: RecordingSink) -> list[list[str]]:
    return [[event.message for event in batch] for batch in sink.batches]


@pytest.mark.parametrize("workers", [1, 4])
async def test_the_first_event_goes_out_at_once_and_what_follows_soon_together(workers: int) -> None:
    sink = RecordingSink("sink")
    async with make(sink, max_workers=workers) as container:
        log = container.logger().nowait
        await anyio.sleep(10)
        began = anyio.current_time()
        log.info("a")
        await turns()
        assert sink.times == [began]
        for message in "bcd":
            await anyio.sleep(0.2)
            log.info(message)
        await anyio.sleep(5)
        assert batches(sink) == [["a"], ["b", "c", "d"]]
        assert sink.times[1] == pytest.approx(began + 1), "a linger counts from the batch before it"
        log.info("e")
        await turns()
        assert batches(sink)[2:] == [["e"]], "after a pause the next event is a first one again"
        await anyio.sleep(0.9)
        log.info("f")
        await turns()
        assert len(sink.batches) == 3
        await anyio.sleep(0.2)
        assert batches(sink)[3:] == [["f"]]


async def test_after_many_events_at_once_the_linger_begins_before_the_next_one() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        intake, log = container.async_pipeline.intake, container.logger().nowait
        await anyio.sleep(10)
        for number in range(BUSY):
            log.info(f"{number}")
        await turns()
        assert [len(batch) for batch in sink.batches] == [BUSY]
        assert intake.lingering
        assert intake.limit > 1, "calls need not look whether there is a worker to wake"
        await anyio.sleep(0.5)
        log.info("a")
        await turns()
        assert len(sink.batches) == 1
        await anyio.sleep(0.6)
        assert batches(sink)[1:] == [["a"]]
        assert not intake.lingering
        for number in range(BUSY):
            log.info(f"{number}")
        await anyio.sleep(0.5)
        log.error("b")
        await turns()
        assert batches(sink)[-1][-1] == "b"


async def test_while_events_come_steadily_the_worker_lingers_again_and_again_and_calls_need_not_wake_it() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        intake, log = container.async_pipeline.intake, container.logger().nowait
        await anyio.sleep(10)
        log.info("first")
        await turns()
        for number in range(10):
            await anyio.sleep(0.45)
            assert number < 2 * STEADY or intake.lingering
            log.info(f"{number}")
        await anyio.sleep(1)
        assert intake.lingering, "something came while it lingered"
        assert [len(batch) for batch in sink.batches] == [1, 2, 2, 2, 2, 2]
        await anyio.sleep(1)
        assert intake.idle, "nothing came"
        log.info("last")
        await turns()
        assert batches(sink)[-1] == ["last"]
        assert intake.idle, "it waited for nobody"


async def test_when_nothing_comes_after_many_events_the_next_one_goes_out_at_once() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        intake, log = container.async_pipeline.intake, container.logger().nowait
        for number in range(BUSY):
            log.info(f"{number}")
        await turns()
        assert intake.lingering
        await anyio.sleep(1.1)
        assert intake.idle
        assert not intake.lingering
        log.info("a")
        await turns()
        assert batches(sink)[1:] == [["a"]]
        await turns()
        assert intake.idle, "one event alone says nothing of what comes"


async def test_an_interrupt_while_the_linger_begins_leaves_no_worker_behind_that_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: Intake) -> None:
        raise KeyboardInterrupt

    sink = RecordingSink("sink")
    async with make(sink) as container:
        intake, log = container.async_pipeline.intake, container.logger().nowait
        await turns()
        assert intake.idle
        monkeypatch.setattr(intake, "workers", 2)  # this task waits beside the container's worker
        intake._expects_more, intake.hold_until = True, anyio.current_time() + 1
        with monkeypatch.context() as struck:
            struck.setattr(Intake, "update_limit", interrupted)
            with pytest.raises(KeyboardInterrupt):
                await intake.wait_for_events()
        assert len(intake._idle_workers) == 1
        assert not intake.lingering
        log.error("a")
    assert sink.messages == ["a"]


@pytest.mark.parametrize("before", [1, BUSY], ids=["idle", "lingering"])
async def test_pr21_what_a_finalizer_logs_while_the_worker_is_about_to_wait_is_not_left_lying(
    monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """The finalizer runs where the worker makes what it waits for; it finds a worker that is not idle yet."""
    sink = RecordingSink("sink")
    async with make(sink) as container:
        backend, log = container.async_pipeline.intake.backend, container.logger().nowait
        await anyio.sleep(10)
        make_alarm = backend.alarm

        def interrupted() -> Alarm:
            monkeypatch.setattr(backend, "alarm", make_alarm)
            (log.info if before == 1 else log.error)("last")
            return make_alarm()

        monkeypatch.setattr(backend, "alarm", interrupted)
        for _ in range(before):
            log.info("first")
        began = anyio.current_time()
        await turns()
        assert sink.messages == ["first"] * before + ["last"]
        assert sink.times[-1] == began


@pytest.mark.parametrize("anyio_backend", ["asyncio-virtual"], indirect=True, scope="function")
async def test_a_wait_that_a_timer_has_ended_leaves_no_garbage() -> None:
    """On Trio the cancel scopes themselves are."""
    sink = RecordingSink("sink")
    async with make(sink) as container:
        intake, log = container.async_pipeline.intake, container.logger().nowait
        await anyio.sleep(10)
        for _ in range(BUSY):
            log.info("message")
        await turns()
        assert intake.lingering
        alarm = weakref.ref(intake._idle_workers[0]._future)  # type: ignore[attr-defined]
        gc.disable()
        try:
            await anyio.sleep(2)
            assert intake.idle
            assert alarm() is None
        finally:
            gc.enable()


@pytest.mark.parametrize("method", ["error", "critical", "exception"])
async def test_an_error_never_lingers_and_takes_along_what_does(method: str) -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        log = container.logger().nowait
        log.info("a")
        await turns()
        log.info("b")
        await turns()
        began = anyio.current_time()
        getattr(log, method)("c")
        await turns()
        assert batches(sink) == [["a"], ["b", "c"]]
        assert sink.times[1] == began


async def test_half_a_chunk_ends_the_linger_so_that_nobody_finds_the_queue_deep() -> None:
    """As in a service, where several requests log in one round of the event loop."""
    sink = RecordingSink()
    async with make(sink) as container:
        log = container.logger()
        log.nowait.info("first")
        await turns()
        began = anyio.current_time()
        for _ in range(CHUNK // 2):
            log.nowait.info("lingers")
        await turns()
        assert len(sink.events) == 1
        for _ in range(CHUNK // 2 - 1):
            log.nowait.info("goes out")
        assert log.info("goes out") is container.async_pipeline.intake.accepted, "it need not wait"
        await turns()
        assert len(sink.events) == 1 + CHUNK
        assert sink.times[1:] == [began]


async def test_a_full_chunk_does_not_linger() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        log = container.logger().nowait
        log.info("first")
        await turns()
        began = anyio.current_time()
        for number in range(CHUNK + 1):
            log.info(str(number))
        await turns()
        assert len(sink.messages) >= 1 + CHUNK
        assert set(sink.times) == {began}


async def test_a_flush_does_not_wait_for_the_linger() -> None:
    sink = RecordingSink("sink")
    async with make(sink, linger=60) as container:
        log = container.logger()
        await log.info("a")
        await turns()
        await log.info("b")
        await turns()
        began = anyio.current_time()
        assert (await log.flush()).complete
        assert anyio.current_time() == began
        assert sink.messages == ["a", "b"]


async def test_leaving_does_not_wait_for_the_linger() -> None:
    sink = RecordingSink("sink")
    async with make(sink, linger=60) as container:
        container.logger().nowait.info("a")
        await turns()
        container.logger().nowait.info("b")
        await turns()
        began = anyio.current_time()
    assert anyio.current_time() == began
    assert batches(sink) == [["a"], ["b"]]
    assert account(container).complete


async def test_without_a_linger_every_event_goes_out_at_once() -> None:
    sink = RecordingSink("sink")
    async with make(sink, linger=0) as container:
        for message in "abc":
            container.logger().nowait.info(message)
            await turns()
        assert batches(sink) == [["a"], ["b"], ["c"]]


class Steps(trio.abc.Instrument):
    """Counts the steps of every task but one."""

    def __init__(self, excepted: trio.lowlevel.Task) -> None:
        self._excepted = excepted
        self.names: list[str] = []

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is not self._excepted:
            self.names.append(task.name)


@pytest.mark.parametrize("anyio_backend", ["trio-virtual"], indirect=True, scope="function")
@pytest.mark.parametrize("workers", [1, 4])
async def test_nothing_wakes_when_nothing_is_logged(workers: int) -> None:
    async def keep(event: Any) -> bool:
        return True

    sinks = [RecordingSink("one"), RecordingSink("two"), RecordingSink("three")]
    async with AsyncLoggingContainer(
        {"max_workers": workers, "plugin_config": {"two": {"batch_linger": 1}, "three": {"ordered": False}}},
        sinks=sinks,
        filters=[keep],
    ) as container:
        await anyio.sleep(10)
        for _ in range(2):
            steps = Steps(trio.lowlevel.current_task())
            trio.lowlevel.add_instrument(steps)
            await anyio.sleep(24 * 3600)
            trio.lowlevel.remove_instrument(steps)
            assert steps.names == []
            # And also after something was.
            await container.logger().info("a")
            await anyio.sleep(10)
    assert all(sink.messages == ["a", "a"] for sink in sinks)


@pytest.mark.parametrize("anyio_backend", ["trio-virtual"], indirect=True, scope="function")
async def test_steady_sparse_traffic_costs_one_write_per_linger() -> None:
    sink = RecordingSink("sink")
    async with make(sink, linger=1) as container:
        for number in range(1000):
            container.logger().nowait.info(str(number))
            await anyio.sleep(0.01)
    assert sink.messages == [str(number) for number in range(1000)]
    assert len(sink.batches) <= 12


@pytest.mark.parametrize("anyio_backend", ["trio-virtual"], indirect=True, scope="function")
async def test_sparse_events_wake_one_worker_once_for_each_batch() -> None:
    sink = PlainSink()
    async with AsyncLoggingContainer({"batch_linger": 1}, sinks=[sink]) as container:
        log = container.logger().nowait
        await anyio.sleep(10)
        steps = Steps(trio.lowlevel.current_task())
        trio.lowlevel.add_instrument(steps)
        try:
            log.info("a")
            await turns()
            assert len(sink.written) == len(steps.names) == 1
            for message in "bcd":
                await anyio.sleep(0.2)
                log.info(message)
            await turns()
            assert len(steps.names) == 1, "a worker was woken only to linger"
            await anyio.sleep(5)
            assert sink.written == [1, 3]
            assert len(steps.names) == 2
        finally:
            trio.lowlevel.remove_instrument(steps)


class PlainSink:
    """Written to by a plain call."""

    blocking = False

    def __init__(self) -> None:
        self.metadata = PluginMetadata("plain", "1", PluginType.SINK)
        self.written: list[int] = []

    def write(self, batch: Batch) -> None:
        self.written.append(len(batch))


async def test_an_interrupted_linger_is_not_repeated_by_its_timer() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        log = container.logger().nowait
        log.info("a")
        await turns()
        await anyio.sleep(0.5)
        log.info("b")
        log.error("c")
        await turns()
        assert batches(sink) == [["a"], ["b", "c"]]
        await anyio.sleep(0.4)
        log.info("d")
        await anyio.sleep(0.5)
        assert len(sink.batches) == 2, "the timer of the linger that the error ended has ended another one"
        await anyio.sleep(0.2)
        assert batches(sink)[2:] == [["d"]]
