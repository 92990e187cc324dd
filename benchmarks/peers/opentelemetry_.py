"""OpenTelemetry's SDK: its own API, the BatchLogRecordProcessor, and an exporter that appends orjson to a file.

The processor drops what exceeds its queue, so the queue is given room for every event of the run.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import BinaryIO

import orjson
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordProcessor,
    ReadableLogRecord,
    ReadWriteLogRecord,
)
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult

from .ambient import CONTEXT, in_context
from .interface import FIELDS_DICT, MESSAGE, Calls, Target
from .output import opened_binary


class FileExporter(LogRecordExporter):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        lines = []
        for readable in batch:
            record = readable.log_record
            lines.append(
                orjson.dumps(
                    {
                        "timestamp": record.timestamp,
                        "level": record.severity_text,
                        "message": record.body,
                        **record.attributes,
                    },
                    option=orjson.OPT_APPEND_NEWLINE,
                )
            )
        self._file.write(b"".join(lines))
        self._file.flush()
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def shutdown(self) -> None: ...


class ReadingProcessor(LogRecordProcessor):
    """Stands for a user's enricher: reads every record and adds to it; there is no way to drop one."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        attributes = log_record.log_record.attributes
        if attributes["path"] != "/health":
            attributes["service"] = "shop" if attributes["status"] < 500 else "shop-failing"

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    with opened_binary(target.path) as file:
        provider = LoggerProvider(shutdown_on_exit=False)
        if target.plugins:
            provider.add_log_record_processor(ReadingProcessor())
        provider.add_log_record_processor(
            BatchLogRecordProcessor(FileExporter(file), max_queue_size=max(target.events, 2048))
        )
        logger = provider.get_logger("bench")
        yield Calls(
            names={
                "in_context": in_context,
                "CONTEXT": CONTEXT,
                "emit": logger.emit,
                "INFO": SeverityNumber.INFO,
                "now": time.time_ns,
            },
            enter="with in_context(request_id=request_id, tenant=tenant):",
            enabled=(
                f"emit(timestamp=now(), severity_number=INFO, severity_text='INFO', body={MESSAGE!r},"
                f" attributes={{**CONTEXT.get(), **{FIELDS_DICT}}})"
            ),
            disabled="pass",
        )
        provider.shutdown()
