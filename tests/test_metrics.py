"""Metrics: counters, queue depth and latencies of one container, readable at any time from any thread."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog import AsyncLoggingContainer, MetricsCollector, PermanentSinkError
from fapilog.metrics import (
    BUCKETS,
    DROPPED,
    FILTERED,
    REJECTED,
    AdmissionCounts,
    Histogram,
    SinkCounts,
    StageCounts,
    count,
)
from fapilog.testing import FaultySink, RecordingSink
from sinks import HELD, HeldSink, account, hold, in_thread, quiet, slow, turns

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def make(*sinks: RecordingSink, **given: Any) -> AsyncLoggingContainer:
    container = AsyncLoggingContainer({"batch_linger": 0, "on_incomplete": "ignore", **given}, sinks=list(sinks))
    quiet(container)
    return container


async def test_queue_depth_and_high_water_are_those_of_the_intake() -> None:
    sink = HeldSink()
    async with make(sink, queue_max_size=100, plugin_config={"sink": HELD}) as container:
        metrics = container.metrics_collector
        await hold(container)
        assert metrics.snapshot().queue_depth == 0
        for number in range(1, 41):
            assert container.logger().nowait.info("event")
            assert metrics.snapshot().queue_depth == number
        assert await in_thread(lambda: metrics.snapshot().queue_depth) == 40
        sink.gate.set()
        await turns()
        snapshot = metrics.snapshot()
        assert snapshot.queue_depth == 0
        assert snapshot.queue_high_water == 40
        assert snapshot.queue_capacity == 100


async def test_the_account_balances_at_every_moment() -> None:
    sink = FaultySink([slow(0.1), PermanentSinkError(), slow(0.1)], "sink")
    async with make(sink, queue_max_size=10, overflow_strategy="drop_oldest") as container:
        for number in range(200):
            container.logger().nowait.info("event", number=number)
            if number % 7 == 0:
                await anyio.sleep(0.01)
            stats = container.stats()
            assert stats.balanced and stats.submitted == number + 1
            assert not stats.complete
    report = account(container)
    assert report.submitted == 200
    assert report == container.stats()


async def test_latencies_are_those_of_the_sinks_writes() -> None:
    sink, other = FaultySink([slow(0.2)], "sink"), FaultySink([PermanentSinkError()], "other")
    async with make(sink, other) as container:
        for _ in range(3):
            await container.logger().info("event")
            await anyio.sleep(1)
    snapshot = container.metrics_collector.snapshot()
    seconds = snapshot.write_seconds["sink"]
    assert seconds.total == 3
    assert seconds.sum == pytest.approx(0.6)
    assert seconds.maximum == pytest.approx(0.2)
    assert seconds.quantile(0.5) == 0.25
    assert snapshot.delivery_seconds["sink"].total == 3
    assert snapshot.write_seconds["other"].total == 0, "only a success counts"


async def test_a_snapshot_is_frozen_and_does_not_change_with_the_container() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        before = container.metrics_collector.snapshot()
        await container.logger().info("event")
        await turns()
        assert before.report.submitted == before.report.sinks["sink"].routed == 0
        assert before.write_seconds["sink"].total == 0
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            before.queue_depth = 5  # type: ignore[misc]
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            before.report.submitted = 5  # type: ignore[misc]
        assert container.metrics_collector.snapshot().report.submitted == 1


async def test_the_report_as_text_says_where_every_event_went() -> None:
    sink = RecordingSink("sink")
    async with make(sink, queue_max_size=2, reserved_for_errors=0, overflow_strategy="drop_newest") as container:
        for _ in range(5):
            container.logger().nowait.info("event")
    text = str(account(container))
    for part in ("5 submitted", "1 created", "3 dropped (queue_full 3)", "3 dispatched", "sink sink: 3 routed"):
        assert part in text
    assert "drain complete" in text
    assert "failed" not in text and "in flight" not in text


def test_every_reason_has_a_counter_and_every_counter_a_reason() -> None:
    reasons = {"rejected": REJECTED, "dropped": DROPPED, "filtered": FILTERED}
    assert set(vars(AdmissionCounts())) == {
        f"{outcome}_{reason}" for outcome, names in reasons.items() for reason in names
    }


@given(values=st.lists(st.floats(-1, 100), max_size=50), fraction=st.floats(0, 1))
def test_a_quantile_is_an_upper_bound(values: list[float], fraction: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    snapshot = histogram.snapshot()
    assert sum(snapshot.counts) == snapshot.total == len(values)
    assert len(snapshot.counts) == len(BUCKETS) + 1
    clipped = [max(value, 0.0) for value in values]
    assert snapshot.sum == pytest.approx(sum(clipped))
    assert snapshot.maximum == max(clipped, default=0.0)
    bound = snapshot.quantile(fraction)
    assert sum(value <= bound for value in clipped) >= fraction * len(values) - 1e-9


def counted(kind: type[Any], **numbers: Any) -> Any:
    counts = kind()
    for name, number in numbers.items():
        assert hasattr(counts, name)
        setattr(counts, name, number)
    return counts


numbers = st.integers(0, 1000)
admissions = st.fixed_dictionaries(dict.fromkeys(vars(AdmissionCounts()), numbers))
reasons = st.dictionaries(st.sampled_from(("a", "b")), numbers, max_size=2)


@given(
    loop=admissions,
    threads=admissions,
    depth=numbers,
    stages=st.builds(
        counted, st.just(StageCounts), created=numbers, merged=numbers, unrouted=numbers, filtered=reasons
    ),
    sink=st.builds(
        counted,
        st.just(SinkCounts),
        routed=numbers,
        delivered=numbers,
        dropped=reasons,
        failed=reasons,
        deferred=numbers,
    ),
)
def test_the_report_adds_up_what_the_loop_and_the_threads_counted(
    loop: dict[str, int], threads: dict[str, int], depth: int, stages: StageCounts, sink: SinkCounts
) -> None:
    collector = MetricsCollector("c", 10)
    collector.loop_counts, collector.thread_counts = (
        counted(AdmissionCounts, **loop),
        counted(AdmissionCounts, **threads),
    )
    collector.pipelines[0].stages, collector.queue_depth = stages, lambda: depth
    collector.pipelines[0].sinks["sink"] = sink
    report = collector.report()
    assert report.submitted == stages.taken + depth + sum(loop.values()) + sum(threads.values())
    at_the_call = sum(number for name, number in report.filtered.items() if name in FILTERED)
    assert sum(report.rejected.values()) + sum(report.dropped.values()) + at_the_call == (
        sum(loop.values()) + sum(threads.values())
    )
    assert all(report.rejected.values()) and all(report.dropped.values()), "a reason that did not occur is left out"
    assert report.sinks["sink"].balanced
    collector.reset()
    assert collector.report().submitted == depth
    assert collector.report().sinks["sink"].routed == 0


def test_counting_adds_to_a_reason() -> None:
    counts: dict[str, int] = {}
    count(counts, "a")
    count(counts, "a", 4)
    assert counts == {"a": 5}
