"""What does not grow: memory under overload and with odd names, and everything when containers come and go."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import fapilog
from fapilog.pipeline.memory import touch_ahead
from fapilog.plugins import Batch
from fapilog.testing import RecordingSink
from fapilog.testing.clock import Backend, run_in_virtual_time
from sinks import account
from support import AsyncSink, DirectSink, SyncSink, living, run_program

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory is read from /proc")
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
MEBIBYTE = 1 << 20
PAGE = os.sysconf("SC_PAGESIZE")


def memory() -> int:
    """Return how many bytes of memory this process has."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class CountingSink:
    """Takes a batch of 100 each hundredth of a second, and keeps nothing."""

    def __init__(self) -> None:
        self.metadata = fapilog.PluginMetadata("sink", "1", fapilog.PluginType.SINK)
        self.taken = 0

    async def write(self, batch: Batch) -> None:
        await anyio.sleep(len(batch.events) / 10_000)
        self.taken += len(batch.events)


STATED = {"queue_max_size": 1000, "batch_size": 100, "plugin_config": {"sink": {"queue_batches": 4, "batch_size": 100}}}


async def overload(strategy: str, seconds: float) -> None:
    """Log ten times what the sink takes for so many seconds of virtual time, and watch the memory."""
    sink = CountingSink()
    container = fapilog.AsyncLoggingContainer(
        {**STATED, "overflow_strategy": strategy, "batch_linger": 0, "shutdown_timeout": 60}, sinks=[sink]
    )
    container.async_pipeline._report = lambda *_: None  # a list of what is told would be memory that grows, too
    at_start = growth = logged = 0
    slow = 0  # and not each of them: a list of them would be the memory that grows
    async with container as entered:
        log = entered.logger().nowait
        began = anyio.current_time()
        while (elapsed := anyio.current_time() - began) < seconds:
            while logged < 100_000 * elapsed:
                before = time.perf_counter_ns()
                log.info("x" * 100, number=logged)
                slow += time.perf_counter_ns() - before > 20_000_000
                logged += 1
            report = entered.stats()
            assert report.balanced and report.in_flight <= STATED["queue_max_size"] + 3 * 100  # type: ignore[operator]
            assert report.sinks["sink"].in_flight <= 6 * 256
            if not at_start and elapsed > seconds / 5:
                at_start = memory()
            await anyio.sleep(0.005)
        growth = memory() - at_start
    report = account(container)
    assert report.submitted == logged >= 99_000 * seconds
    assert report.sinks["sink"].delivered == sink.taken
    assert sum(report.dropped.values()) + sum(report.sinks["sink"].dropped.values()) > 0.8 * logged
    assert growth < 4 * MEBIBYTE, f"the memory grew by {growth} bytes"
    assert slow <= logged / 1000, "nobody waits for the sink"


@pytest.mark.untraced
@BACKENDS
@pytest.mark.parametrize("strategy", ["drop_newest", "drop_oldest", "raise", "block"])
def test_ov8_memory_is_flat_at_ten_times_what_the_sink_takes(backend: Backend, strategy: str) -> None:
    run_in_virtual_time(backend, overload, strategy, 2)


@pytest.mark.torture
@pytest.mark.timeout(0)
@BACKENDS
@pytest.mark.parametrize("strategy", ["drop_newest", "drop_oldest", "raise", "block"])
def test_ov8_memory_is_flat_for_a_minute_at_ten_times_what_the_sink_takes(backend: Backend, strategy: str) -> None:
    run_in_virtual_time(backend, overload, strategy, 60)


class EncodingSink:
    """Encodes what it gets, and keeps how long the longest line was."""

    blocking = False

    def __init__(self) -> None:
        self.metadata = fapilog.PluginMetadata("sink", "1", fapilog.PluginType.SINK)
        self.longest = 0

    def write(self, batch: Batch) -> None:
        payload = bytes(batch.encoded("json"))
        self.longest = max(self.longest, *map(len, payload.splitlines()))


async def many_and_large(sink: EncodingSink) -> int:
    container = fapilog.AsyncLoggingContainer({"queue_max_size": 200, "batch_linger": 0}, sinks=[sink])
    async with container as entered:
        log = entered.logger()
        for number in range(2000):
            await log.info("small", text="x" * 1000, number=number)
        await log.flush()
        before = memory()
        for _ in range(8):
            await log.info("large", items=["x" * 1_000_000 for _ in range(10)])
            await log.info("larger", text="y" * 10_000_000)
            await log.flush()
        grown = memory() - before
    assert account(container).sinks["sink"].delivered == 2016
    return grown


@BACKENDS
def test_ov6_an_event_of_ten_megabytes_is_cut_and_keeps_no_memory(backend: Backend) -> None:
    sink = EncodingSink()
    grown = run_in_virtual_time(backend, many_and_large, sink)
    assert 1000 < sink.longest <= 256 * 1024 + 1
    assert grown < 64 * MEBIBYTE  # all of them together took 160 million bytes


class StuckSink:
    """Takes a batch and keeps it."""

    def __init__(self) -> None:
        self.metadata = fapilog.PluginMetadata("sink", "1", fapilog.PluginType.SINK)

    async def write(self, batch: Batch) -> None:
        await anyio.sleep_forever()


async def large_and_stuck() -> tuple[int, int]:
    """Log 400 times ten megabytes, in the ways that a call has for text; return the growth and what is kept."""
    stuck = {"write_timeout": 3600, "queue_batches": 64, "batch_size": 50}
    settings = {
        "queue_max_size": 200,
        "overflow_strategy": "drop_newest",
        "batch_linger": 0,
        "shutdown_timeout": 0.1,
        "on_incomplete": "ignore",
        "plugin_config": {"sink": stuck},
    }
    async with fapilog.container(settings, sinks=[StuckSink()]) as log:
        for number in range(100):
            log.nowait.info("small", number=number)
        await anyio.sleep(0.01)
        before = memory()
        for number in range(100):
            log.nowait.info("a field", text=f"{number:010}" * 1_000_000)
            log.nowait.info(f"{number:010}" * 1_000_000)
            log.nowait.error("an error", text=f"{number:010}" * 1_000_000)
            log.nowait.info("beside what is no plain value", text=f"{number:010}" * 1_000_000, items=[number])
            await anyio.sleep(0.01)
        stats = log.container.stats()
        return memory() - before, stats.in_flight + stats.sinks["sink"].in_flight


@BACKENDS
def test_ov6_what_waits_is_bounded_in_bytes_however_long_its_texts_are(backend: Backend) -> None:
    grown, kept = run_in_virtual_time(backend, large_and_stuck)
    assert kept > 200
    assert grown < 1.2 * kept * 65_536 + 8 * MEBIBYTE


FAULTS_PROGRAM = """
    from resource import RUSAGE_THREAD, getrusage

    import fapilog
    from support import AsyncSink, hang

    def faults():
        return getrusage(RUSAGE_THREAD).ru_minflt

    async def main():
        stuck = {{"write_timeout": 3600, "queue_batches": {batches}, "batch_size": 256}}
        settings = {{
            "queue_max_size": 10_000,
            "overflow_strategy": "{strategy}",
            "batch_linger": 0,
            "shutdown_timeout": 0.1,
            "on_incomplete": "ignore",
            "plugin_config": {{"stuck": stuck}},
        }}
        async with fapilog.container(settings, sinks=[AsyncSink("stuck", write=hang)]) as log:
            struck = kept = 0
            for number in range(8_000):
                before = faults()
                kept += log.nowait.info("request done", user_id=number, path="/items", status=200, latency_ms=1.25)
                struck += faults() > before
                if number % 200 == 0:
                    await anyio.sleep(0)
            print(kept, struck)

    run(main)
"""


@pytest.mark.untraced
@BACKENDS
@pytest.mark.parametrize(("strategy", "batches"), [("block", 1), ("drop_newest", 64)])
def test_a_queue_that_grows_lets_few_calls_wait_for_the_kernel_s_memory(
    backend: Backend, strategy: str, batches: int
) -> None:
    """The events wait in the queue for room in the sink's stream, or they wait in that."""
    ended = run_program(FAULTS_PROGRAM.format(strategy=strategy, batches=batches), backend)
    assert ended.returncode == 0, ended.stderr
    kept, struck = map(int, ended.stdout.split())
    assert kept == 8_000
    assert struck < kept / 100  # else it is one call of fifteen


async def test_memory_is_touched_ahead_only_while_a_queue_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[int] = []
    monkeypatch.setattr("fapilog.pipeline.intake.touch_ahead", touched.append)
    monkeypatch.setattr("fapilog.pipeline.sink_stream.touch_ahead", touched.append)
    async with fapilog.container({"sinks": ["null"], "batch_linger": 0}) as log:
        for number in range(1_000):
            log.nowait.info("m", number=number)
        await log.flush()
        after_first = sum(touched)
        for _ in range(20):
            for number in range(1_000):
                log.nowait.info("m", number=number)
            await log.flush()
    assert 256 * 4 <= after_first <= 256 * 6
    assert sum(touched) <= after_first + 256


def test_where_there_is_no_memory_to_use_ahead_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fapilog.pipeline.memory._BLOCK", 1 << 62)
    touch_ahead(1)


async def many_names(number: int) -> None:
    container = fapilog.AsyncLoggingContainer({"sinks": ["null"], "batch_linger": 0})
    async with container as entered:
        log = entered.logger()
        before = kept = 0
        for position in range(number):
            log.bind(request=f"r-{position}").nowait.info("m", **{f"field{position}": position})
            log.named(f"name{position}").nowait.info("m", metrics={f"metric{position}": 1.0})
            with log.context(user=position):
                log.nowait.info("m", tags={f"tag{position}": "x"})
            if position % 500 == 0:
                await log.flush()
            if position == number // 2:
                before, kept = memory(), len(container._levels._thresholds)
        await log.flush()
        grown = memory() - before
        snapshot = entered.metrics_collector.snapshot()
        assert len(container._levels._thresholds) == kept <= 10_000 or number < 20_000
        assert len(snapshot.write_seconds) == 1 and not snapshot.plugin_errors
        assert len(str(entered.stats())) < 1000
    assert account(container).submitted == 3 * number
    assert grown < 4 * MEBIBYTE, f"the second half of the names took {grown} bytes"


@pytest.mark.untraced
@BACKENDS
def test_ov14_names_contexts_fields_and_metrics_are_not_kept(backend: Backend) -> None:
    run_in_virtual_time(backend, many_names, 24_000)


@pytest.mark.torture
@pytest.mark.timeout(0)
@BACKENDS
def test_ov14_100_000_names_contexts_fields_and_metrics_are_not_kept(backend: Backend) -> None:
    run_in_virtual_time(backend, many_names, 100_000)


async def open_and_close(number: int) -> None:
    """Open and close containers of every form of sink, and count what is left."""

    async def once() -> None:
        sinks = [AsyncSink("one"), SyncSink("two"), DirectSink("three"), RecordingSink("four")]
        async with fapilog.container({"sinks": ["null"], "filters": [], "batch_linger": 0}, sinks=sinks) as log:
            await log.info("m")
        account(log.container)

    for _ in range(min(100, number // 2)):
        await once()
    # What other tests have left may end meanwhile.
    files, threads, tasks = descriptors(), set(threading.enumerate()), living()
    size = memory()
    objects = len(gc.get_objects())
    for _ in range(number):
        await once()
    assert descriptors() <= files
    assert set(threading.enumerate()) <= threads
    assert living() == tasks
    gc.collect()
    if sys.gettrace() is None:  # whoever measures the coverage keeps something for each thread
        assert len(gc.get_objects()) - objects < 100 + number / 100
    assert memory() - size < 4 * MEBIBYTE


@pytest.mark.untraced
@BACKENDS
def test_200_containers_that_come_and_go_leave_nothing(backend: Backend) -> None:
    anyio.run(open_and_close, 200, backend=backend)


@pytest.mark.torture
@pytest.mark.timeout(0)
@BACKENDS
def test_10_000_containers_that_come_and_go_leave_nothing(backend: Backend) -> None:
    anyio.run(open_and_close, 10_000, backend=backend)
