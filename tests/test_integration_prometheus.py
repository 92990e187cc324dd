"""A container's metrics as Prometheus scrapes them; the parsers and the linter rules of its formats are the judge."""

from __future__ import annotations

import os
import re
import threading
import urllib.request
from contextlib import suppress
from typing import Any

import anyio
import anyio.to_thread
import attrs
import pytest
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from fapilog import AsyncLoggingContainer, DrainReport, NotConfirmed
from fapilog.integrations.prometheus import PrometheusCollector, _Families, _Highest
from fapilog.metrics import SinkReport
from fapilog.sinks.memory import MemorySink
from fapilog.testing import FaultySink

pytestmark = pytest.mark.anyio


def samples(registry: CollectorRegistry) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return each sample of a scrape by its name and its labels' values, the container's left out."""
    text = openmetrics.generate_latest(registry).decode()
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for family in parse_openmetrics(text):
        for sample in family.samples:
            labels = tuple(value for label, value in sample.labels.items() if label != "container")
            found[sample.name, labels] = sample.value
    return found


async def test_a_scrape_tells_how_confirmed_calls_ended() -> None:
    sink = FaultySink(["permanent", "ok"])
    async with AsyncLoggingContainer(sinks=[sink], filters=[lambda event: event.message != "no"]) as container:
        registry = registered(container)
        for message in ("first", "second", "no"):
            with suppress(NotConfirmed):
                await container.logger().confirmed.info(message)
        told = samples(registry)
    assert told["fapilog_calls_confirmed_total", ()] == 1
    assert told["fapilog_calls_not_confirmed_total", ("failed",)] == 1
    assert told["fapilog_calls_not_confirmed_total", ("filtered",)] == 1


def registered(container: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(PrometheusCollector(container))
    return registry


async def test_a_scrape_tells_the_account() -> None:
    sink = FaultySink(["permanent", "ok"])
    settings = {"level": "INFO", "plugin_config": {"faulty": {"backoff": 0.001}}}
    async with AsyncLoggingContainer(
        settings, sinks=[sink, MemorySink()], filters=[lambda event: event.message != "no"]
    ) as container:
        registry = registered(container)
        for message in ("first", "second", "no"):
            await container.logger().info(message)
            await container.flush()
        open_one = samples(registry)
    told = samples(registry)
    assert told["fapilog_events_submitted_total", ()] == 3
    assert [value for (name, _), value in told.items() if name == "fapilog_events_filtered_total"] == [1]
    assert told["fapilog_events_dispatched_total", ()] == 2
    assert told["fapilog_sink_events_failed_total", ("permanent", "faulty")] == 1
    assert told["fapilog_sink_events_delivered_total", ("memory",)] == 2
    assert told["fapilog_sink_write_duration_seconds_count", ("memory",)] == 2
    assert told["fapilog_queue_capacity_events", ()] == 10_000
    assert (open_one["fapilog_ready", ()], told["fapilog_ready", ()]) == (1, 0)


async def test_every_number_of_the_account_is_told() -> None:
    async with AsyncLoggingContainer(sinks=[MemorySink()]) as container:
        await container.logger().info("hello")
    names = {name for name, _ in samples(registered(container))}
    names |= {metric.name for metric in PrometheusCollector(container).describe()}
    single = {"container_id", "elapsed", "complete", "drained", "sinks"}
    for attribute in attrs.fields(DrainReport):
        if attribute.name not in single:
            assert {f"fapilog_events_{attribute.name}", f"fapilog_events_{attribute.name}_total"} & names, (
                attribute.name
            )
    renamed = {"retries": "fapilog_sink_retries", "duplicates": "fapilog_sink_events_duplicated"}
    for attribute in attrs.fields(SinkReport):
        name = renamed.get(attribute.name, f"fapilog_sink_events_{attribute.name}")
        assert name in names, attribute.name


async def test_names_and_texts_follow_the_conventions() -> None:
    """The rules of ``promtool check metrics``."""
    async with AsyncLoggingContainer(sinks=[MemorySink()]) as container:
        await container.logger().info("hello")
    metrics = list(PrometheusCollector(container).collect())
    assert len({metric.name for metric in metrics}) == len(metrics)
    text = generate_latest(registered(container)).decode()
    assert [family.name for family in parse_text(text)]
    for metric in metrics:
        assert re.fullmatch(r"fapilog(_[a-z]+)+", metric.name), metric.name
        assert metric.documentation.endswith("."), metric.name
        assert not re.search(r"_(total|count|sum|bucket|info)$", metric.name), metric.name
        assert not re.search(r"(milliseconds|_ms|minutes|kilobytes|percent)", metric.name)
        assert not re.search(r"(gauge|counter|histogram)", metric.name)
        assert not metric.name.endswith(tuple(label for sample in metric.samples for label in sample.labels))
        if metric.type == "histogram":
            assert metric.name.endswith("_seconds")


async def test_histograms_are_cumulative() -> None:
    async with AsyncLoggingContainer(sinks=[MemorySink()]) as container:
        for _ in range(5):
            await container.logger().info("hello")
            await container.flush()
    (metric,) = [m for m in PrometheusCollector(container).collect() if m.name == "fapilog_sink_write_duration_seconds"]
    buckets = [sample.value for sample in metric.samples if sample.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 5
    assert metric.samples[0].labels["le"] == "0.0001"


async def test_several_containers_have_a_label() -> None:
    async with (
        AsyncLoggingContainer(sinks=[MemorySink()]) as one,
        AsyncLoggingContainer(sinks=[MemorySink()]) as two,
    ):
        containers = {"main": one, "audit": two}
        registry = registered(containers)
        await one.logger().info("hello")
        value = registry.get_sample_value
        assert value("fapilog_events_submitted_total", {"container": "main"}) == 1
        assert value("fapilog_events_submitted_total", {"container": "audit"}) == 0
        del containers["audit"]
        assert value("fapilog_events_submitted_total", {"container": "audit"}) is None


def test_a_second_collector_is_refused_and_no_global_registry_is_touched() -> None:
    container = AsyncLoggingContainer(sinks=[MemorySink()])
    registry = registered(container)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(PrometheusCollector(container))
    from prometheus_client import REGISTRY

    assert not any(metric.name.startswith("fapilog") for metric in REGISTRY.collect())


def test_label_values_are_bounded() -> None:
    families = _Families(_Highest())
    families._count_each("fapilog_events_filtered", ("",), {"f" * 300 + str(n): 1 for n in range(300)} | {"a": 5})
    (metric,) = [metric for metric in families.all() if metric.name == "fapilog_events_filtered"]
    values = {sample.labels["filter"]: sample.value for sample in metric.samples}
    assert sum(values.values()) == 305
    assert max(map(len, values)) == 200
    families = _Families(_Highest())
    families._count_each("fapilog_events_filtered", ("",), {str(n): 1 for n in range(300)})
    (metric,) = [metric for metric in families.all() if metric.name == "fapilog_events_filtered"]
    assert len(metric.samples) == 100
    assert {sample.labels["filter"]: sample.value for sample in metric.samples}["other"] == 201


def test_a_counter_never_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    highest = _Highest()
    shown = [highest.of("name", (), value) for value in (1, 5, 4, 6)]
    assert shown == [1, 5, 5, 6]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert highest.of("name", (), 1) == 1


async def test_a_call_that_is_awaited_late_is_no_loss() -> None:
    async with AsyncLoggingContainer(
        {"queue_max_size": 1, "reserved_for_errors": 0}, sinks=[MemorySink()]
    ) as container:
        registry = registered(container)
        log = container.logger()
        calls = [log.info("message") for _ in range(3)]
        before = samples(registry)
        for call in calls:
            await call
        await container.flush()
        after = samples(registry)
    waiting = before["fapilog_events_not_awaited", ()]
    assert waiting >= 1
    assert after["fapilog_events_not_awaited", ()] == 0
    assert ("fapilog_events_dropped_total", ("not_awaited",)) not in before
    assert after["fapilog_events_submitted_total", ()] == 3


async def test_scraped_over_http_while_threads_log() -> None:
    async with AsyncLoggingContainer({"overflow_strategy": "drop_newest"}, sinks=[MemorySink()]) as container:
        server, thread = start_http_server(0, addr="127.0.0.1", registry=registered(container))
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                container.logger().nowait.info("message")

        def scrape() -> list[float]:
            url = f"http://127.0.0.1:{server.server_port}/metrics"
            accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
            seen: list[float] = []
            for _ in range(20):
                with urllib.request.urlopen(urllib.request.Request(url, headers=accept)) as answer:
                    text = answer.read().decode()
                families = {family.name: family for family in parse_openmetrics(text)}
                seen.append(families["fapilog_events_submitted"].samples[0].value)
            return seen

        workers = [threading.Thread(target=work) for _ in range(2)]
        try:
            for worker in workers:
                worker.start()
            seen = await anyio.to_thread.run_sync(scrape)
        finally:
            stop.set()
            for worker in workers:
                await anyio.to_thread.run_sync(worker.join)
            await anyio.to_thread.run_sync(server.shutdown)
            server.server_close()
            thread.join()
    assert seen == sorted(seen)
    assert seen[-1] > 0
