"""Lingering: sparse events go out at once, what follows soon goes out together, and nothing wakes when idle."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from typing import Any

import anyio
import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from fapilog import AsyncLoggingContainer, PluginMetadata, PluginType
from fapilog.pipeline.intake import CHUNK, Intake
from fapilog.pipeline.linger import BUSY, STEADILY_BUSY, Linger
from fapilog.plugins import Batch
from fapilog.testing import RecordingSink, run_in_virtual_time
from fapilog.testing.clock import BACKENDS
from sinks import HELD, account, turns

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


PACE = 0.45
"""Seconds between two events, of which two and a half have room in a linger."""


async def test_of_steady_traffic_each_batch_goes_out_with_an_event_that_comes_as_its_linger_ends() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        log = container.logger().nowait
        await anyio.sleep(10)
        began = anyio.current_time()
        for number in range(17):
            log.info(f"{number}")
            await anyio.sleep(PACE)
        assert [len(batch) for batch in sink.batches] == [1, 2, 2, 3, 3, 3, 3]
        assert sink.times == pytest.approx([began + when for when in (0, 1, 2, 3.15, 4.5, 5.85, 7.2)])
        log.info("last")
        await turns()
        assert len(sink.batches) == 7
        await anyio.sleep(1.1)
        assert len(sink.batches) == 7
        await anyio.sleep(0.05)
        assert batches(sink)[7:] == [["last"]], "nothing came that could have taken it along"
        await anyio.sleep(1)
        log.info("first")
        await turns()
        assert batches(sink)[8:] == [["first"]], "after a pause"
        log.info("second")
        await anyio.sleep(0.9)
        assert len(sink.batches) == 9
        await anyio.sleep(0.11)
        assert batches(sink)[9:] == [["second"]], "it is not steady any more, and waits for no more than the rest"


async def test_of_steady_traffic_that_is_not_sparse_no_call_looks_at_the_clock() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        intake, log = container.async_pipeline.intake, container.logger().nowait
        await anyio.sleep(10)
        began = anyio.current_time()
        for number in range(60):
            await anyio.sleep(0.11)
            if number > 30:
                assert intake.lingering
                assert intake.limit > STEADILY_BUSY, "calls need not look whether there is a worker to wake"
            log.info(f"{number}")
        assert sink.times == pytest.approx([began + 0.11 + when for when in range(7)])
        await anyio.sleep(2)
        assert sink.messages == [f"{number}" for number in range(60)]
        assert intake.idle


async def test_several_workers_linger_for_no_more_than_the_rest_of_the_time() -> None:
    sink = RecordingSink("sink")
    async with make(sink, max_workers=2) as container:
        log = container.logger().nowait
        await anyio.sleep(10)
        began = anyio.current_time()
        for number in range(17):
            log.info(f"{number}")
            await anyio.sleep(PACE)
        assert sink.times == pytest.approx([began + when for when in range(8)])


async def test_a_burst_within_a_steady_linger_is_over_before_the_chunk_is_full() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        intake, log = container.async_pipeline.intake, container.logger().nowait
        await anyio.sleep(10)
        for number in range(9):
            await anyio.sleep(PACE)
            log.info(f"{number}")
        assert intake.lingering
        for _ in range(160 - len(intake.chunk)):
            log.info("burst")
        asked = intake.linger.most
        assert asked >= len(intake.chunk)
        assert asked <= 160
        before = len(sink.batches)
        await turns()
        assert len(sink.batches) == before
        log.info("one too many")
        await turns()
        assert len(sink.batches) == before + 1
        assert sink.messages[-1] == "one too many"


async def test_an_event_that_is_logged_outside_a_task_also_ends_a_steady_linger() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        backend, log = container.async_pipeline.intake.backend, container.logger().nowait
        await anyio.sleep(10)
        began = anyio.current_time()
        for number in range(14):
            backend.call_soon(partial(log.info, f"{number}"))
            await anyio.sleep(PACE)
        assert [len(batch) for batch in sink.batches] == [1, 2, 2, 3, 3, 3]
        assert sink.times == pytest.approx([began + when for when in (0, 1, 2, 3.15, 4.5, 5.85)])


@pytest.mark.parametrize("busy", [False, True], ids=["first", "ahead"])
def test_only_a_steady_linger_can_be_over_before_its_time(busy: bool) -> None:
    linger, now = Linger(), [100.0]
    linger.time = lambda: now[0]
    linger.resize(CHUNK)
    linger.follow(1)
    for _ in range(3):
        linger.end(lingered=True)
    assert linger.begin() == 101.125
    now[0] = 100.87
    assert not linger.is_over()
    now[0] = 100.88
    assert linger.is_over()
    linger.end(lingered=False)
    linger.last = BUSY if busy else 1
    linger.follow(1)
    now[0] = 101.87
    assert (linger.begin_ahead() if busy else linger.begin()) == 101.88
    assert not linger.is_over()


@pytest.mark.parametrize(("in_a_row", "enough"), [(0, 32), (1, 16), (2, 8), (50, 8)])
def test_the_more_lingers_in_a_row_the_fewer_events_say_that_more_will_come(in_a_row: int, enough: int) -> None:
    linger = Linger()
    linger.time = lambda: 100.0
    linger.resize(CHUNK)
    linger.follow(1)
    for _ in range(in_a_row):
        linger.end(lingered=True)
    linger.last = enough - 1
    assert linger.begin_ahead() is None
    linger.last = enough
    assert linger.begin_ahead() == 101.0


GAPS = st.lists(st.sampled_from((0.0, 0.01, 0.1, 0.3, 0.33, 0.5, 0.6, 0.9, 1.0, 1.2, 3.0)), min_size=1, max_size=80)


@given(gaps=GAPS, repeated=st.integers(1, 5), errors=st.sets(st.integers(0, 79), max_size=5))
@example(gaps=[0.5], repeated=5, errors=set())
@example(gaps=[1.0], repeated=5, errors=set())
def test_whatever_the_pace_nothing_waits_for_much_more_than_the_linger_and_errors_not_at_all(
    gaps: list[float], repeated: int, errors: set[int]
) -> None:
    async def main() -> None:
        sink = RecordingSink("sink")
        logged: dict[str, float] = {}
        async with make(sink, level="INFO") as container:
            log = container.logger().nowait
            for number, gap in enumerate(gaps * repeated):
                logged[f"{number}"] = anyio.current_time()
                (log.error if number in errors else log.info)(f"{number}")
                await anyio.sleep(gap)
            await anyio.sleep(1.2)
            assert sink.messages == list(logged)
            for time, batch in zip(sink.times, batches(sink), strict=True):
                waited = {message: time - logged[message] for message in batch}
                assert max(waited.values()) <= 1.125 + 1e-6
                assert all(waited[f"{number}"] == 0 for number in errors if f"{number}" in waited)

    for backend in BACKENDS:
        run_in_virtual_time(backend, main)


async def test_the_timer_of_a_linger_that_is_over_strikes_nothing_of_what_the_worker_waits_for_then() -> None:
    """Trio's timers are deadlines: the worker is still in the scope that had one, and waits for a slow sink."""
    written: list[list[str]] = []

    class Slow:
        async def write(self, batch: Batch) -> None:
            await anyio.sleep(10)
            written.append([event.message for event in batch])

    async with AsyncLoggingContainer({"batch_linger": 1, "plugin_config": {"Slow": HELD}}, sinks=[Slow()]) as container:
        log = container.logger().nowait
        log.info("a")  # in the sink's hands
        await turns()
        for lingers, ends_it in ("bc", "de", "fg"):  # in its stream; in the worker's hands; still to be taken
            log.info(lingers)
            await turns()
            log.error(ends_it)
            await turns()
        await anyio.sleep(5)
        assert container.async_pipeline.intake.depth() == 2
        await anyio.sleep(35)
    assert written == [["a"], ["b", "c"], ["d", "e"], ["f", "g"]]
    assert account(container).complete


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
        intake.linger.last = BUSY
        intake.linger.follow(1)
        with monkeypatch.context() as struck:
            struck.setattr(Intake, "update_limit", interrupted)
            with pytest.raises(KeyboardInterrupt), intake.backend.alarm() as alarm:
                await intake.wait_for_events(alarm)
        assert len(intake._idle_workers) == 1
        assert not intake.lingering
        log.error("a")
    assert sink.messages == ["a"]


@pytest.mark.parametrize("level", ["info", "error"])
async def test_a_call_that_is_interrupted_while_it_wakes_the_worker_leaves_that_to_the_next(
    monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    def interrupted(linger: Linger) -> float | None:
        raise TimeoutError

    sink = RecordingSink("sink")
    async with make(sink) as container:
        log = container.logger().nowait
        await anyio.sleep(10)
        with monkeypatch.context() as struck:
            struck.setattr(Linger, "begin", interrupted)
            with pytest.raises(TimeoutError):
                log.info("first", nested={"a": [1]})
        getattr(log, level)("next", nested={"a": [1]})
        await turns()
        assert sink.messages == ["first", "next"]


async def test_a_call_outside_a_task_that_is_interrupted_while_it_calls_the_loop_leaves_that_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(callback: object) -> None:
        raise TimeoutError

    sink = RecordingSink("sink")
    async with make(sink) as container:
        intake, log = container.async_pipeline.intake, container.logger().nowait
        await anyio.sleep(10)
        with monkeypatch.context() as struck:
            struck.setattr(intake.backend, "call_soon", interrupted)
            struck.setattr(intake, "task_name", str)
            with pytest.raises(TimeoutError):
                log.info("first", nested={"a": [1]})
        log.error("next")
        await turns()
        assert sink.messages == ["first", "next"]


@pytest.mark.parametrize("before", [1, BUSY], ids=["idle", "lingering"])
async def test_pr21_what_a_finalizer_logs_while_the_worker_is_about_to_wait_is_not_left_lying(
    monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """The finalizer runs where the worker asks whether to linger; it finds a worker that is not idle yet."""
    sink = RecordingSink("sink")
    async with make(sink) as container:
        log = container.logger().nowait
        await anyio.sleep(10)
        begin_ahead = Linger.begin_ahead

        def interrupted(linger: Linger) -> float | None:
            monkeypatch.setattr(Linger, "begin_ahead", begin_ahead)
            (log.info if before == 1 else log.error)("last")
            return begin_ahead(linger)

        monkeypatch.setattr(Linger, "begin_ahead", interrupted)
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
