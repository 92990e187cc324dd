"""Order and completeness: many events from several tasks arrive once each, in the order each task logged them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import orjson
import pytest

import fapilog
from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.plugins import Batch
from fapilog.testing import FaultySink, RecordingSink
from sinks import account, quiet

pytestmark = pytest.mark.anyio

TASKS = 4
EACH = 25_000


def strict_line(line: bytes) -> dict[str, Any]:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    found: dict[str, Any] = json.loads(line, parse_constant=no_constant, object_pairs_hook=no_duplicates)
    return found


@pytest.mark.parametrize("workers", [1, 4])
async def test_100_000_events_from_4_tasks_are_complete_and_in_order_in_a_file(workers: int, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"

    async def produce(log: fapilog.AsyncLogger, task: int) -> None:
        for number in range(EACH):
            assert await log.info("event", task=task, number=number)

    async with (
        AsyncLoggingContainer(
            {
                "queue_max_size": 1000,
                "max_workers": workers,
                "block_timeout": 30,
                "shutdown_timeout": 30,
                "sinks": ["file"],
                "plugin_config": {"file": {"path": str(path), "block_timeout": 30}},
            }
        ) as container,
        anyio.create_task_group() as producers,
    ):
        for task in range(TASKS):
            producers.start_soon(produce, container.logger(), task)
    report = account(container)
    assert report.submitted == report.dispatched == report.sinks["file"].delivered == TASKS * EACH
    assert report.complete and not report.dropped and not report.rejected and not report.created
    assert container.metrics_collector.snapshot().queue_high_water <= 1000

    content = path.read_bytes()
    assert content.endswith(b"\n")
    lines = content.splitlines()
    assert len(lines) == TASKS * EACH
    expected = [0] * TASKS
    for sequence, line in enumerate(lines, 1):
        # orjson is as strict except about duplicate names, and reads a hundred thousand lines in no time.
        event = strict_line(line) if sequence % 50 == 1 else orjson.loads(line)
        assert event["sequence"] == sequence
        fields = event["fields"]
        assert fields["number"] == expected[fields["task"]]
        expected[fields["task"]] += 1
    assert expected == [EACH] * TASKS


class Delayed:
    """An asynchronous plugin whose calls take random times, so that batches overtake each other inside it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.at_once = 0
        self.most_at_once = 0

    async def _work(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self._random.random() < 0.2:
            await anyio.sleep(self._random.random())
        self.at_once -= 1


class DelayedFilter(Delayed):
    metadata = fapilog.PluginMetadata("delayed_filter", "1", fapilog.PluginType.FILTER)

    async def keep(self, event: LogEvent) -> bool:
        await self._work()
        return event.fields["number"] % 10 != 9


class DelayedEnricher(Delayed):
    metadata = fapilog.PluginMetadata("delayed_enricher", "1", fapilog.PluginType.ENRICHER)

    async def enrich(self, event: LogEvent) -> dict[str, Any]:
        await self._work()
        return {"enriched": event.fields["number"]}


class DelayedProcessor(Delayed):
    metadata = fapilog.PluginMetadata("delayed_processor", "1", fapilog.PluginType.PROCESSOR)

    async def process(self, batch: list[LogEvent]) -> list[LogEvent]:
        await self._work()
        return list(batch)


class DelayedRedactor(Delayed):
    metadata = fapilog.PluginMetadata("delayed_redactor", "1", fapilog.PluginType.REDACTOR)

    async def redact(self, event: LogEvent) -> None:
        await self._work()
        event.fields = {**event.fields, "secret": "***"}


@pytest.mark.untraced
@pytest.mark.virtual_time
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("workers", [1, 2, 4])
async def test_asynchronous_plugins_of_random_delays_keep_the_order(workers: int, seed: int) -> None:
    sink = RecordingSink("sink")
    plugins = [DelayedFilter(seed), DelayedEnricher(seed + 1), DelayedProcessor(seed + 2), DelayedRedactor(seed + 3)]
    chooser = random.Random(seed)

    async def produce(log: fapilog.AsyncLogger, task: int) -> None:
        for number in range(60):
            assert await log.info("event", task=task, number=number, secret="s")
            if chooser.random() < 0.3:
                await anyio.sleep(chooser.random() / 5)

    async with (
        AsyncLoggingContainer(
            {
                "queue_max_size": 40,
                "max_workers": workers,
                "block_timeout": 1000,
                "shutdown_timeout": 1000,
                "plugin_timeout": 10,
                "batch_linger": chooser.choice([0, 0.02]),
                "plugin_config": {"sink": {"block_timeout": 1000}},
            },
            sinks=[sink],
            filters=[plugins[0]],
            enrichers=[plugins[1]],
            processors=[plugins[2]],
            redactors=[plugins[3]],
        ) as container,
        anyio.create_task_group() as producers,
    ):
        for task in range(TASKS):
            producers.start_soon(produce, container.logger(), task)
    report = account(container)
    assert report.complete and not report.dropped
    assert report.submitted == TASKS * 60
    assert report.filtered == {"delayed_filter": TASKS * 6}
    for task in range(TASKS):
        numbers = [event.fields["number"] for event in sink.events if event.fields["task"] == task]
        assert numbers == [number for number in range(60) if number % 10 != 9]
    assert [event.sequence for event in sink.events] == list(range(1, TASKS * 54 + 1))
    assert all(event.context["enriched"] == event.fields["number"] for event in sink.events)
    assert {event.fields["secret"] for event in sink.events} == {"***"}
    if workers == 4:
        assert max(plugin.most_at_once for plugin in plugins) > 1, "nothing ran at once, so nothing was shown"


@pytest.mark.virtual_time
@pytest.mark.parametrize("seed", range(10))
async def test_sk7_an_ordered_sink_that_fails_at_random_gets_everything_in_order(seed: int) -> None:
    chooser = random.Random(seed)
    landed: list[int] = []

    def write(batch: Batch) -> None:
        numbers = [event.fields["number"] for event in batch]
        kind = chooser.choice(["ok", "ok", "raise", "throttle", "partial"])
        if kind == "raise":
            raise fapilog.TransientSinkError
        if kind == "throttle":
            raise fapilog.ThrottledSinkError(retry_after=chooser.random())
        if kind == "partial":
            done = chooser.randrange(len(numbers))
            landed.extend(numbers[:done])
            raise fapilog.PartialWriteError(range(done, len(numbers)))
        landed.extend(numbers)

    sink = FaultySink([write], "sink", ordered=True)
    container = AsyncLoggingContainer(
        {
            "queue_max_size": 64,
            "block_timeout": 1000,
            "shutdown_timeout": 1000,
            "plugin_config": {
                "sink": {"attempts": 1000, "breaker_failures": 1000, "batch_size": 7, "block_timeout": 1000}
            },
        },
        sinks=[sink],
    )
    quiet(container)
    async with container:
        for number in range(300):
            assert await container.logger().info("event", number=number)
            if chooser.random() < 0.2:
                await anyio.lowlevel.checkpoint()
    assert landed == list(range(300))
    report = account(container)
    assert report.sinks["sink"].delivered == 300
    assert report.sinks["sink"].retries > 0
    assert report.sinks["sink"].duplicates == 0
