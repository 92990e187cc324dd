"""What is logged, or sent, cannot become a header, a label or a file of its own."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

import fapilog
from asgi_tools import answering, http_scope, run
from fapilog import AsyncLoggingContainer
from fapilog.filters.rate_limit import RateLimitConfig, RateLimitFilter
from fapilog.integrations._correlation import Correlation
from fapilog.integrations.prometheus import PrometheusCollector
from fapilog.integrations.stdlib import FapilogHandler
from fapilog.sinks._file_config import FileConfig
from fapilog.sinks.file import FileSink

pytestmark = pytest.mark.anyio

HOSTILE = (
    'x"} 1\nfapilog_events_dropped_total{reason="', "a\r\nset-cookie: a=b", "a\nb", "a\\", 'a"', "a{b}", "\x00",
    "\x1b[31m", "../../../../etc/passwd", "/etc/passwd", "a/b", "..", "%2e%2e%2f", "a\u2028b", "x" * 5_000,
    "\ud800", "",
)  # fmt: skip
_PRINTABLE_ID = re.compile(rb"[\x20-\x7e]{1,128}")


# -- headers


@pytest.mark.parametrize("name", ["x-request-id", "x-correlation-id", "traceparent"])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:20]))
async def test_se5_no_header_of_a_request_makes_another_one_in_the_response(name: str, value: str) -> None:
    given_value = value.encode("utf-8", "surrogatepass")
    logged = await run(answering, {**http_scope(), "headers": [(name.encode(), given_value)]})
    headers = logged.connection.sent[0]["headers"]
    assert [header for header, _ in headers] in ([b"x-request-id"], [b"x-request-id", b"x-correlation-id"])
    assert all(_PRINTABLE_ID.fullmatch(sent) for _, sent in headers)


@given(st.binary(max_size=700))
@example(b"a\r\nset-cookie: a=b")
@example(b"\t a \t")
@example(b"x" * 129)
def test_se5_an_id_is_taken_whole_or_not_at_all(value: bytes) -> None:
    correlation = Correlation.of([(b"x-request-id", value)])
    assert all(_PRINTABLE_ID.fullmatch(sent) for _, sent in correlation.returned)
    assert correlation.is_trace_id or correlation.id.encode() == value.strip(b" \t")


# -- labels


async def test_se5_no_text_makes_a_label_or_a_sample_of_its_own() -> None:
    """The names of loggers, which a program may make from data, become labels: the text that is scraped keeps them."""
    limited = RateLimitFilter(RateLimitConfig(rate=0.001, burst=1, by=["logger"]))
    names = [f"app {number} {text[:150]}" for number, text in enumerate(HOSTILE)]
    settings = {"sinks": ["null"], "max_workers": 1}
    async with AsyncLoggingContainer(settings, filters=[limited]) as container:
        for name in names:
            for _ in range(3):
                container.logger(name).nowait.info("x")
        await container.logger("").flush()
        registry = CollectorRegistry()
        registry.register(PrometheusCollector({HOSTILE[0]: container}))
        told = {reason.partition(":")[2] for reason in container.stats().filtered}
        text = generate_latest(registry).decode("utf-8", "surrogatepass")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = [sample for sample in families["fapilog_events_filtered"].samples if sample.name.endswith("_total")]
    assert {sample.labels["container"] for sample in samples} == {HOSTILE[0]}
    assert {sample.labels["filter"].partition(":")[2] for sample in samples} == told
    assert len(told) == len(names)
    assert sum(sample.value for sample in samples) == 2 * len(names)
    assert families["fapilog_events_dropped"].samples == []


# -- paths


async def test_se5_no_event_names_a_file(tmp_path: Path) -> None:
    """Whatever is logged under whatever name, the sink writes its file and those that it rotates away."""
    directory = tmp_path / "logs" / "app"
    sink = FileSink(FileConfig(path=str(directory / "app.log"), max_bytes=20_000, compress="gzip"))
    async with fapilog.container(sinks=[sink]) as log:
        bridge = FapilogHandler(log.container)
        for text in HOSTILE:
            event: dict[str, Any] = {"path": text, text or "empty": text, "tags": {"file": text}}
            with log.context(request_id=text, correlation_id=text):
                await log.named(text or "empty").error(text, **event)
            bridge.handle(logging.makeLogRecord({"name": text, "msg": text, "pathname": text, "filename": text}))
            await log.flush()
    written = {str(path.relative_to(tmp_path)) for path in await to_thread.run_sync(lambda: list(tmp_path.rglob("*")))}
    strange = {path for path in written if not re.fullmatch(r"logs|logs/app|logs/app/\.?app[\w.\-]*", path)}
    assert strange == set()
    assert len(written) > 4
