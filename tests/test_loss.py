"""What is lost before the sinks is told: in the stream, on stderr and to ``on_loss``, with exact counts and rarely."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import anyio
import pytest

from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.pipeline.fanout import LOSS_INTERVAL
from fapilog.testing import RecordingSink
from sinks import HeldSink, account, quiet, turns

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

SIZE = 8


def make(sink: RecordingSink, on_loss: Any = None, **given: Any) -> AsyncLoggingContainer:
    container = AsyncLoggingContainer(
        {
            "queue_max_size": SIZE,
            "reserved_for_errors": 0,
            "overflow_strategy": "drop_newest",
            "batch_linger": 0,
            **given,
        },
        sinks=[sink],
        on_loss=on_loss,
    )
    container.told = quiet(container)  # type: ignore[attr-defined]
    return container


def burst(container: AsyncLoggingContainer, lost: int) -> None:
    for number in range(SIZE + lost):
        container.logger().nowait.info("event", number=number)


def summaries(sink: RecordingSink) -> list[LogEvent]:
    return [event for event in sink.events if event.logger == "fapilog"]


async def test_a_summary_in_the_stream_says_how_many_were_lost_and_why() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        burst(container, 5)
        await turns()
        (summary,) = summaries(sink)
        assert summary.level == "WARNING"
        assert summary.message == "events were lost"
        assert summary.fields == {"lost": 5, "reasons": {"queue_full": 5}}
        assert summary.container_id == container.container_id
    report = account(container)
    assert (report.submitted, report.created, report.dropped) == (SIZE + 5, 1, {"queue_full": 5})
    assert [event.sequence for event in sink.events] == list(range(1, SIZE + 2))


async def test_ov11_a_storm_of_losses_is_told_once_per_interval_with_exact_counts() -> None:
    sink = RecordingSink("sink")
    told: list[Mapping[str, int]] = []
    async with make(sink, told.append) as container:
        for _ in range(100):
            burst(container, 3)
            await turns()
            await anyio.sleep(0.2)
        seconds = 100 * 0.2
        assert len(summaries(sink)) == seconds / LOSS_INTERVAL
        times = [time for time, batch in zip(sink.times, sink.batches, strict=True) if batch[0].logger == "fapilog"]
        assert all(later - earlier >= LOSS_INTERVAL for earlier, later in pairwise(times))
    assert sum(event.fields["lost"] for event in summaries(sink)) == 300
    assert sum((Counter(losses) for losses in told), Counter()) == {"queue_full": 300}
    assert len(told) == len(summaries(sink)) == account(container).created
    lines = [message for key, message in container.told if key == "loss"]  # type: ignore[attr-defined]
    assert len(lines) == len(told)
    assert account(container).dropped == {"queue_full": 300}


async def test_a_summary_that_waits_behind_other_events_is_in_flight() -> None:
    sink = HeldSink()
    policy = {"queue_batches": 1, "overflow_strategy": "block", "block_timeout": 3600, "write_timeout": 3600}
    async with make(sink, batch_size=1, plugin_config={"sink": policy}) as container:
        for _ in range(2):  # one that the sink is held with, and one in its stream
            assert container.logger().nowait.info("first")
            await turns()
        burst(container, 5)
        await turns()
        report = container.stats()
        assert report.created == 1 and report.balanced, str(report)
        sink.gate.set()
    assert len(summaries(sink)) == account(container).created


async def test_what_was_lost_last_is_told_when_the_container_is_left() -> None:
    sink = RecordingSink("sink")
    told: list[Mapping[str, int]] = []
    async with make(sink, told.append) as container:
        burst(container, 1)
        await turns()
        burst(container, 4)
        await turns()
        assert [event.fields["lost"] for event in summaries(sink)] == [1]
    assert [event.fields["lost"] for event in summaries(sink)] == [1, 4]
    assert told == [{"queue_full": 1}, {"queue_full": 4}]
    assert sink.events[-1].logger == "fapilog"
    assert account(container).complete


async def test_nothing_is_told_when_nothing_was_lost() -> None:
    sink = RecordingSink("sink")
    told: list[Mapping[str, int]] = []
    async with make(sink, told.append, overflow_strategy="raise") as container:
        burst(container, 3)  # refused, and the caller knows
        await turns()
    assert not told and not summaries(sink)
    assert account(container).rejected == {"queue_full": 3}


async def test_several_reasons_are_told_apart() -> None:
    sink = RecordingSink("sink")
    told: list[Mapping[str, int]] = []
    async with make(sink, told.append, overflow_strategy="block", block_timeout=1) as container:
        for _ in range(SIZE):
            container.logger().info("event")
        container.logger().info("never awaited")
        container.logger().nowait.info("full")
        container.logger().blocking.info("full")
        await turns()
        assert told == [{"queue_full": 1, "would_deadlock": 1}]
        await anyio.sleep(2 * LOSS_INTERVAL)
    # A call that was not awaited may still be: only at the end it is known to be lost.
    assert told == [{"queue_full": 1, "would_deadlock": 1}, {"not_awaited": 1}]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), asyncio.CancelledError(), GeneratorExit()])
async def test_an_on_loss_that_raises_harms_nothing(error: BaseException) -> None:
    def on_loss(losses: Mapping[str, int]) -> None:
        raise error

    sink = RecordingSink("sink")
    async with make(sink, on_loss) as container:
        burst(container, 2)
        await turns()
        await container.logger().info("after")
    assert sink.messages[-1] == "after" and len(summaries(sink)) == 1
    assert account(container).complete
    assert any(key == "on_loss" for key, _ in container.told)  # type: ignore[attr-defined]


async def test_ov11_an_on_loss_that_logs_does_not_feed_itself() -> None:
    sink = RecordingSink("sink")
    calls = []

    def on_loss(losses: Mapping[str, int]) -> None:
        calls.append(losses)
        for _ in range(3 * SIZE):
            container.logger().nowait.info("told")

    container = make(sink, on_loss)
    async with container:
        burst(container, 2)
        await turns(100)
        await anyio.sleep(1000)
    assert len(calls) <= 4
    assert account(container).complete


async def test_on_loss_gets_a_mapping_of_its_own() -> None:
    sink = RecordingSink("sink")
    async with make(sink, lambda losses: losses.clear()) as container:
        burst(container, 2)
        await turns()
    assert summaries(sink)[0].fields == {"lost": 2, "reasons": {"queue_full": 2}}
