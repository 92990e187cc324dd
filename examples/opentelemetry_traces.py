"""Events carry the active OpenTelemetry trace, and go to its SDK as log records beside standard output."""

from __future__ import annotations

import anyio
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_trace_id

import fapilog
from fapilog.integrations.opentelemetry import OpenTelemetryEnricher, OpenTelemetrySink

tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")


async def checkout(order: int) -> None:
    with tracer.start_as_current_span("checkout"):
        await fapilog.current_logger().info("charged", order=order)
        await anyio.sleep(0.01)
        await fapilog.current_logger().info("shipped", order=order)


async def main() -> None:
    exporter = InMemoryLogRecordExporter()  # in a service: an exporter to its collector
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    sink = OpenTelemetrySink(logger_provider=provider)
    async with (
        fapilog.container({"sinks": ["stdout"]}, sinks=[sink], enrichers=[OpenTelemetryEnricher()]) as log,
        anyio.create_task_group() as tasks,
    ):
        for order in (1, 2):
            tasks.start_soon(checkout, order)
    await anyio.to_thread.run_sync(provider.shutdown)
    for exported in exporter.get_finished_logs():
        record = exported.log_record
        print(format_trace_id(record.trace_id), record.severity_text, record.body)
    print(log.container.report)


if __name__ == "__main__":
    anyio.run(main, backend="trio")
