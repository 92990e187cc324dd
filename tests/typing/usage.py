"""How the public names are used, for the type checkers; nothing here is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, assert_type

import fapilog
from fapilog.errors import SinkOutcome
from fapilog.metrics import FlushReport
from fapilog.plugins import Batch


class FileLikeSink:
    """A sink by its shape alone."""

    metadata: ClassVar[fapilog.PluginMetadata] = fapilog.PluginMetadata("mine", "1.0", fapilog.PluginType.SINK)
    blocking = False

    async def start(self) -> None: ...

    async def write(self, batch: Batch) -> None:
        for event in batch.events:
            assert_type(event.fields, dict[str, Any])
            assert_type(event.severity, int)
        assert_type(batch.encoded("json"), bytes)
        raise fapilog.ThrottledSinkError("later", retry_after=1.5)


def keep(event: fapilog.LogEvent) -> bool:
    return event.level != "DEBUG"


async def enrich(event: fapilog.LogEvent) -> Mapping[str, Any]:
    event.add(tags={"team": "pay"}, metrics={"latency_ms": 1.5})
    return {"region": "eu"}


def process(batch: Sequence[fapilog.LogEvent]) -> list[fapilog.LogEvent]:
    return [*batch, fapilog.LogEvent("made here", fapilog.Level.WARNING)]


async def main() -> None:
    settings = fapilog.Settings(level="DEBUG", overflow_strategy=fapilog.OverflowStrategy.DROP_OLDEST)
    sink: fapilog.Sink = FileLikeSink()
    async with fapilog.container(
        settings, sinks=[sink], filters=[keep], enrichers=[enrich], processors=[process]
    ) as log:
        assert_type(log, fapilog.AsyncLogger)
        assert_type(await log.info("started", port=8080), bool)
        accepted = log.warning("not awaited", tags={"team": "pay"}, metrics={"latency_ms": 1}, severity=7)
        assert_type(await accepted, bool)
        assert_type(log.nowait.error("now", exc_info=ValueError()), bool)
        assert_type(log.blocking.log("INFO", "from a thread"), bool)
        confirmed = log.confirmed.bind(user=1).named("audit")
        assert_type(confirmed, fapilog.ConfirmedLogger)
        assert_type(await confirmed.info("on record", tags={"team": "pay"}, amount=19.9), bool)
        assert_type(log.confirming(2).bind(user=1).unbind("user"), fapilog.ConfirmedLogger)
        assert_type(log.blocking.confirming(None), fapilog.BlockingConfirmedLogger)
        assert_type(log.blocking.confirmed.exception("failed"), bool)
        try:
            await log.confirming(0.5).log("INFO", "by then")
        except fapilog.NotConfirmed as error:
            assert_type(error.sinks, dict[str, SinkOutcome])
            assert_type(error.sinks["file"].state, str)
            assert_type((error.state, error.reason, error.sequence, error.timeout), tuple[str, str, int, float])
        assert_type(log.bind(user=1).named("api").unbind("user"), fapilog.AsyncLogger)
        with log.context(request_id="r-1"), log.span("checkout", order=42) as span:
            span.set(items=3)
            await fapilog.current_logger().exception("failed")
        assert_type(await log.flush(1.0), FlushReport)
        log.container.set_level(fapilog.Level.INFO, "api.db")
    report = log.container.report
    if report is not None:
        assert_type(report.submitted, int)
        assert_type(report.sinks["mine"].delivered, int)

    async with fapilog.AsyncLoggingContainer({"sinks": ["null"]}) as container:
        assert_type(container.logger("api.db"), fapilog.AsyncLogger)
        with container.entered() as log:
            assert_type(log.is_enabled("ERROR"), bool)
        await container.aclose(timeout=1)
        assert_type(container.stats(), fapilog.DrainReport)


def synchronous() -> None:
    with fapilog.blocking_container() as log:
        assert_type(log, fapilog.BlockingLogger)
        log.info("from a script", number=1)
