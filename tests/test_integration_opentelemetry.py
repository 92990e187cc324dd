"""OpenTelemetry, with its real SDK: the active trace in events, and events as log records."""

from __future__ import annotations

import logging
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.to_thread
import pytest
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.trace import TracerProvider

from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.integrations.opentelemetry import (
    OpenTelemetryEnricher,
    OpenTelemetryEnricherConfig,
    OpenTelemetrySink,
    OpenTelemetrySinkConfig,
    any_value,
    attributes_of,
)
from fapilog.integrations.stdlib import FapilogHandler
from fapilog.sinks.memory import MemorySink
from fapilog.testing.conformance import check_plugin
from fapilog.values import FrozenDict, freeze

pytestmark = pytest.mark.anyio


@pytest.fixture
def tracer() -> trace.Tracer:
    return TracerProvider(shutdown_on_exit=False).get_tracer("tests")


@pytest.fixture
def exported() -> Iterator[tuple[LoggerProvider, InMemoryLogRecordExporter]]:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


def ids(span: trace.Span) -> dict[str, str]:
    context = span.get_span_context()
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
        "trace_flags": f"{context.trace_flags:02x}",
    }


# -- the enricher


async def test_the_ids_are_those_of_the_call(tracer: trace.Tracer) -> None:
    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink], enrichers=[OpenTelemetryEnricher()]) as container:
        log = container.logger()
        expected: list[dict[str, str]] = []
        with tracer.start_as_current_span("outer") as outer:
            log.nowait.info("in the outer")
            with tracer.start_as_current_span("inner") as inner:
                log.nowait.info("in the inner")
            log.nowait.info("in the outer again")
        log.nowait.info("outside")
        expected += [ids(outer), ids(inner), ids(outer), {}]
    assert [event.context for event in sink.events] == expected


async def test_tasks_and_threads_have_their_own(tracer: trace.Tracer) -> None:
    sink = MemorySink()
    wanted: dict[str, dict[str, str]] = {}
    async with AsyncLoggingContainer(sinks=[sink], enrichers=[OpenTelemetryEnricher()]) as container:
        log = container.logger()

        async def work(name: str) -> None:
            with tracer.start_as_current_span(name) as span:
                wanted[name] = ids(span)
                for _ in range(3):
                    await anyio.lowlevel.checkpoint()
                    await log.info(name)

        def thread() -> None:
            with tracer.start_as_current_span("thread") as span:
                wanted["thread"] = ids(span)
                FapilogHandler(container).handle(logging.makeLogRecord({"msg": "thread", "levelno": 20}))

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(work, f"task {number}")
        worker = threading.Thread(target=thread)
        worker.start()
        await anyio.to_thread.run_sync(worker.join)
    assert len(sink.events) == 16
    assert all(event.context == wanted[event.message] for event in sink.events)


async def test_a_prefix_keeps_them_apart_from_the_loggers_own_spans(tracer: trace.Tracer) -> None:
    sink = MemorySink()
    enricher = OpenTelemetryEnricher(OpenTelemetryEnricherConfig(prefix="otel_"))
    async with AsyncLoggingContainer(sinks=[sink], enrichers=[enricher]) as container:
        with tracer.start_as_current_span("outer") as outer, container.logger().span("own") as own:
            await container.logger().info("hello")
    event = sink.events[0]
    assert (event.context["span_id"], event.context["trace_id"]) == (own.span_id, own.trace_id)
    assert event.context["otel_span_id"] == ids(outer)["span_id"]


async def test_the_enricher_by_its_name_in_the_settings(tracer: trace.Tracer) -> None:
    sink = MemorySink()
    settings = {"enrichers": ["opentelemetry"], "plugin_config": {"opentelemetry": {"prefix": "otel."}}}
    async with AsyncLoggingContainer(settings, sinks=[sink]) as container:
        with tracer.start_as_current_span("outer") as outer:
            await container.logger().info("hello")
    assert sink.events[0].context["otel.trace_id"] == ids(outer)["trace_id"]


# -- the sink


async def test_an_event_is_a_log_record(
    tracer: trace.Tracer, exported: tuple[LoggerProvider, InMemoryLogRecordExporter]
) -> None:
    provider, exporter = exported
    sink, memory = OpenTelemetrySink(logger_provider=provider), MemorySink()
    async with AsyncLoggingContainer(
        {"callsite": True, "source": "shop"}, sinks=[sink, memory], enrichers=[OpenTelemetryEnricher()]
    ) as container:
        log = container.logger("shop.orders").bind(region="eu")
        with tracer.start_as_current_span("checkout") as span:
            try:
                raise ValueError("broken")
            except ValueError:
                await log.exception("failed", order=42, tags={"team": "pay"}, metrics={"ms": 1.5})
                line = sys._getframe().f_lineno - 1
    (exported_record,) = exporter.get_finished_logs()
    record = exported_record.log_record
    event = memory.events[0]
    scope = exported_record.instrumentation_scope
    assert scope is not None and scope.name == "shop.orders"
    assert (record.body, record.severity_number, record.severity_text) == ("failed", SeverityNumber.ERROR, "ERROR")
    assert record.timestamp == event.time_ns
    assert record.observed_timestamp >= record.timestamp
    context = span.get_span_context()
    assert (record.trace_id, record.span_id) == (context.trace_id, context.span_id)
    assert record.trace_flags == context.trace_flags
    attributes = dict(record.attributes or {})
    stacktrace = attributes.pop("exception.stacktrace")
    assert "ValueError: broken" in str(stacktrace) and "Traceback" in str(stacktrace)
    assert attributes == {
        "region": "eu",
        "order": 42,
        "code.file.path": __file__,
        "code.line.number": line,
        "code.function.name": "test_an_event_is_a_log_record",
        "exception.type": "ValueError",
        "exception.message": "broken",
        "fapilog.tags": {"team": "pay"},
        "fapilog.metrics": {"ms": 1.5},
        "fapilog.task": event.task,
        "fapilog.source": "shop",
        "fapilog.severity": 7,
        "fapilog.sequence": 1,
    }


async def test_without_a_trace_the_containers_own_surroundings_are_not_taken(
    tracer: trace.Tracer, exported: tuple[LoggerProvider, InMemoryLogRecordExporter]
) -> None:
    provider, exporter = exported
    with tracer.start_as_current_span("around the container"):
        async with AsyncLoggingContainer(sinks=[OpenTelemetrySink(logger_provider=provider)]) as container:
            await container.logger().info("hello")
    (record,) = exporter.get_finished_logs()
    assert (record.log_record.trace_id, record.log_record.span_id) == (0, 0)
    assert record.instrumentation_scope is not None and record.instrumentation_scope.name == "fapilog"


async def test_each_record_has_its_own_trace(
    tracer: trace.Tracer, exported: tuple[LoggerProvider, InMemoryLogRecordExporter]
) -> None:
    provider, exporter = exported
    sink = OpenTelemetrySink(logger_provider=provider)
    expected: list[int] = []
    async with AsyncLoggingContainer(sinks=[sink], enrichers=[OpenTelemetryEnricher()]) as container:
        for _ in range(3):
            with tracer.start_as_current_span("one of several") as span:
                expected.append(span.get_span_context().span_id)
                container.logger().nowait.info("hello")
        container.logger().nowait.info("outside")
    assert [one.log_record.span_id for one in exporter.get_finished_logs()] == [*expected, 0]


async def test_the_loggers_own_spans_are_traces_too(
    exported: tuple[LoggerProvider, InMemoryLogRecordExporter],
) -> None:
    provider, exporter = exported
    async with AsyncLoggingContainer(sinks=[OpenTelemetrySink(logger_provider=provider)]) as container:
        with container.logger().span("own") as own:
            await container.logger().info("hello")
    first = exporter.get_finished_logs()[0].log_record
    assert (first.trace_id, first.span_id) == (int(own.trace_id, 16), int(own.span_id, 16))


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
async def test_severity_numbers(level: str, exported: tuple[LoggerProvider, InMemoryLogRecordExporter]) -> None:
    provider, exporter = exported
    async with AsyncLoggingContainer(
        {"level": "DEBUG"}, sinks=[OpenTelemetrySink(logger_provider=provider)]
    ) as container:
        await container.logger().log(level, "hello")
    record = exporter.get_finished_logs()[0].log_record
    expected = {"DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}[level]
    assert record.severity_number is not None and record.severity_number.value == expected


@pytest.mark.parametrize(
    "ids", [("x" * 32, "0" * 16), (5, None), ("ab" * 16, "cd" * 7), ("é" * 32, "0" * 16), (" " * 32, "0x" * 8)]
)
async def test_ids_that_are_none(ids: Any, exported: tuple[LoggerProvider, InMemoryLogRecordExporter]) -> None:
    provider, exporter = exported
    async with AsyncLoggingContainer(sinks=[OpenTelemetrySink(logger_provider=provider)]) as container:
        log = container.logger().bind(trace_id=ids[0], span_id=ids[1])
        await log.info("hello")
    assert exporter.get_finished_logs()[0].log_record.span_id == 0
    assert container.stats().sinks["opentelemetry"].delivered == 1


async def test_a_flush_exports_and_the_provider_stays_open() -> None:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=600_000))
    for number in (1, 2):
        async with AsyncLoggingContainer(sinks=[OpenTelemetrySink(logger_provider=provider)]) as container:
            await container.logger().info("hello")
            assert (await container.flush()).complete
            assert len(exporter.get_finished_logs()) == number
    await anyio.to_thread.run_sync(provider.shutdown)


class Failing(LogRecordExporter):
    """Raises for some messages, as exporters should not."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    def export(self, batch: Any) -> LogRecordExportResult:
        self.bodies += [record.log_record.body for record in batch]
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return False


class RaisingOnce(SimpleLogRecordProcessor):
    """Raises for the first "bad" message."""

    raised = False

    def on_emit(self, log_record: Any) -> None:
        if log_record.log_record.body == "bad" and not self.raised:
            self.raised = True
            raise OSError("busy")
        super().on_emit(log_record)

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return False


async def test_only_what_failed_is_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    exporter = Failing()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(RaisingOnce(exporter))
    settings = {"plugin_config": {"opentelemetry": {"backoff": 0.001}}}
    async with AsyncLoggingContainer(settings, sinks=[OpenTelemetrySink(logger_provider=provider)]) as container:
        for message in ("one", "bad", "two"):
            container.logger().nowait.info(message)
        report = await container.flush()
        assert not report.complete  # the processor said so
    assert exporter.bodies == ["one", "two", "bad"]
    assert container.stats().sinks["opentelemetry"].delivered == 3
    provider.shutdown()


@pytest.mark.filterwarnings("error")
async def test_odd_values_are_attributes_that_the_sdk_takes(
    exported: tuple[LoggerProvider, InMemoryLogRecordExporter], caplog: pytest.LogCaptureFixture
) -> None:
    provider, exporter = exported
    odd = {
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "id": uuid.UUID(int=7),
        "big": 2**64 - 1,
        "nested": {"list": [1, {"a": None}], "none": None},
        "nan": float("nan"),
        "bytes": b"\xff",
        "": "no name",
        "mixed": [1, "a", 2.5, True],
    }
    async with AsyncLoggingContainer(sinks=[OpenTelemetrySink(logger_provider=provider)]) as container:
        await container.logger().info("odd", **odd)
    attributes = dict(exporter.get_finished_logs()[0].log_record.attributes or {})
    assert attributes["when"] == "2026-01-02T00:00:00+00:00"
    assert attributes["id"] == str(uuid.UUID(int=7))
    assert attributes["big"] == str(2**64 - 1)
    assert "" not in attributes
    assert attributes["mixed"] == '[1, "a", 2.5, true]'
    assert attributes["nested"] == {"list": '[1, {"a": null}]', "none": None}
    assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []


async def test_so_many_attributes_that_the_sdk_would_drop_some(
    exported: tuple[LoggerProvider, InMemoryLogRecordExporter], caplog: pytest.LogCaptureFixture
) -> None:
    provider, exporter = exported
    async with AsyncLoggingContainer(
        {"callsite": True}, sinks=[OpenTelemetrySink(logger_provider=provider)]
    ) as container:
        await container.logger().info("many", **{f"field {number}": number for number in range(200)})
    record = exporter.get_finished_logs()[0]
    assert record.dropped_attributes == 0
    assert dict(record.log_record.attributes or {})["fapilog.omitted"] == 88
    assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []


def test_values() -> None:
    tree = freeze({"a": (1, -(2**63)), "d": [1, 2.5, None], "e": 2**63, "b": {"c": datetime(2026, 1, 1, tzinfo=UTC)}})
    assert any_value(tree) == {
        "a": [1, -(2**63)],
        "d": [1.0, 2.5, None],
        "e": str(2**63),
        "b": {"c": "2026-01-01T00:00:00+00:00"},
    }


def test_an_exception_of_a_module_has_its_full_name() -> None:
    event = LogEvent("m", exception={"type": "Error", "module": "shop.errors", "message": "broken"})
    assert attributes_of(event)["exception.type"] == "shop.errors.Error"
    event = LogEvent("m", context={"callsite": "text"}, exception={})
    assert attributes_of(event)["callsite"] == "text"


def test_names_made_from_data_do_not_grow_without_bound(
    exported: tuple[LoggerProvider, InMemoryLogRecordExporter],
) -> None:
    sink = OpenTelemetrySink(OpenTelemetrySinkConfig(), logger_provider=exported[0])
    for number in range(1100):
        sink._logger(f"made.{number}")
    assert len(sink._loggers) <= 1001


def test_they_are_good_plugins(exported: tuple[LoggerProvider, InMemoryLogRecordExporter]) -> None:
    check_plugin(lambda: OpenTelemetrySink(logger_provider=exported[0]))
    check_plugin(OpenTelemetryEnricher)
    assert FrozenDict() == OpenTelemetryEnricher()._last[1]
