"""What enrichers say of every event alike: where it is seen, what wins over it, and when it is asked for."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.to_thread
import pytest

import fapilog
from fapilog import AsyncLoggingContainer, LogEvent, PluginError, PluginMetadata, PluginType
from fapilog.event import NO_AMBIENT
from fapilog.plugins import Batch
from fapilog.testing import RecordingSink
from support import SOURCE

FORMATS = ("json", "json_flat", "logfmt", "console")


class Fixed:
    """Says the same of every event, and counts how often it is asked."""

    metadata = PluginMetadata(name="fixed", version="1", plugin_type=PluginType.ENRICHER)

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.asked = 0

    def static(self) -> Mapping[str, Any]:
        self.asked += 1
        return self.values


class Both(Fixed):
    """Says something of every event, and something of each."""

    def enrich(self, event: LogEvent) -> dict[str, Any]:
        return {"each": event.context["region"]}


class ItemSink:
    """Notes whether it is given records or events, and what each format makes of them."""

    blocking = False

    def __init__(self) -> None:
        self.kinds: set[type] = set()
        self.lines: dict[str, str] = {}

    def write(self, batch: Batch) -> None:
        self.kinds |= {type(item) for item in batch._items}
        self.lines = {name: batch.encoded(name).decode() for name in FORMATS}


async def log_one(*enrichers: object, **options: Any) -> LogEvent:
    """Log one event and return it."""
    sink = RecordingSink()
    async with fapilog.container(sinks=[sink], enrichers=list(enrichers), **options) as log:
        await log.info("m", own=1)
    report = log.container.report
    assert report is not None
    assert report.balanced
    (event,) = sink.events
    return event


async def test_every_event_has_it_and_stays_a_record() -> None:
    fixed, sink = Fixed(region="eu", zones=[1, {"a": 2}]), ItemSink()
    async with fapilog.container(sinks=[sink], enrichers=[fixed]) as log:
        assert fixed.asked == 1
        for _ in range(300):
            log.nowait.info("m")
    assert fixed.asked == 1
    assert sink.kinds == {tuple}
    assert '"context":{"region":"eu","zones":[1,{"a":2}]}' in sink.lines["json"]
    assert all("region" in line for text in sink.lines.values() for line in text.splitlines())


async def test_what_is_nearer_to_the_call_wins() -> None:
    sink = RecordingSink()
    fixed = Both(a="static", b="static", c="static", region="eu")
    async with fapilog.container(sinks=[sink], enrichers=[fixed]) as log:
        with log.context(b="context", c="context"):
            await log.bind(c="bound").info("inside")
        await log.info("outside")
    inside, outside = sink.events
    assert inside.context == {"a": "static", "b": "context", "c": "bound", "region": "eu", "each": "eu"}
    assert outside.context == {"a": "static", "b": "static", "c": "static", "region": "eu", "each": "eu"}


async def test_the_later_enricher_wins_over_the_earlier() -> None:
    event = await log_one(Fixed(a=1, b=1), Fixed(b=2))
    assert event.context == {"a": 1, "b": 2}


async def test_plugins_and_redactors_see_it_and_a_redactor_can_take_it_away() -> None:
    seen: list[Any] = []

    def keep(event: LogEvent) -> bool:
        seen.append(event.context.get("secret"))
        return True

    def redact(event: LogEvent) -> None:
        seen.append(event.context.get("secret"))
        event.context = {name: value for name, value in event.context.items() if name != "secret"}

    event = await log_one(Fixed(secret="s", region="eu"), filters=[keep], redactors=[redact])
    assert seen == ["s", "s"]
    assert event.context == {"region": "eu"}


async def test_the_summary_of_losses_and_an_event_from_a_thread_have_it() -> None:
    sink = RecordingSink()
    settings = {"queue_max_size": 1, "overflow_strategy": "drop_newest"}
    async with fapilog.container(settings, sinks=[sink], enrichers=[Fixed(region="eu")]) as log:
        await anyio.to_thread.run_sync(lambda: log.blocking.info("from a thread"))
        await log.flush()
        for _ in range(3):
            log.nowait.info("burst")
    assert sink.messages == ["from a thread", "burst", "events were lost"]
    assert {event.context["region"] for event in sink.events} == {"eu"}


async def test_loggers_from_before_the_container_is_entered_have_it() -> None:
    sink = RecordingSink()
    container = AsyncLoggingContainer(sinks=[sink], enrichers=[Fixed(region="eu")])
    early = container.logger("early").bind(a=1)
    async with container:
        await early.info("m")
    assert sink.events[0].context == {"region": "eu", "a": 1}


async def test_containers_share_nothing() -> None:
    first, second, third = RecordingSink(), RecordingSink(), RecordingSink()
    async with (
        fapilog.container(sinks=[first], enrichers=[Fixed(name="first")]) as one,
        fapilog.container(sinks=[second], enrichers=[Fixed(name="second")]) as two,
        fapilog.container(sinks=[third]) as three,
    ):
        for log in (one, two, three):
            await log.info("m")
    assert [sink.events[0].context for sink in (first, second, third)] == [{"name": "first"}, {"name": "second"}, {}]
    assert three.container.async_pipeline.statics.ambient.values == {}
    assert NO_AMBIENT.values == {}


class Raising(Fixed):
    def static(self) -> Mapping[str, Any]:
        raise RuntimeError("no idea")


class Wrong(Fixed):
    def static(self) -> Any:
        return ["a"]


class Huge(Fixed):
    def static(self) -> Any:
        return {"huge": "x" * 10_000_000, "many": dict.fromkeys(map(str, range(100_000)))}


@pytest.mark.parametrize("kind", [Raising, Wrong])
async def test_one_that_fails_is_left_out_and_counted(kind: type[Fixed], capfd: pytest.CaptureFixture[str]) -> None:
    sink = RecordingSink()
    async with fapilog.container(sinks=[sink], enrichers=[Fixed(a=1), kind(), Fixed(b=2)]) as log:
        await log.info("m")
        assert log.container.metrics_collector.snapshot().plugin_errors == {"fixed_2": 1}
    assert sink.events[0].context == {"a": 1, "b": 2}
    assert "'fixed_2' failed" in capfd.readouterr().err


async def test_what_it_says_is_bounded_like_a_call_s_values() -> None:
    event = await log_one(Huge())
    assert len(event.context["huge"]) < 10_000_000
    assert len(event.context["many"]) < 100_000


def test_a_static_that_cannot_be_called_so_is_refused() -> None:
    class Asynchronous:
        async def static(self) -> Mapping[str, Any]:
            return {}

    class Asking:
        def static(self, event: LogEvent) -> Mapping[str, Any]:
            return {}

    for plugin, reason in (
        (Asynchronous(), "asynchronous"),
        (Asking(), "cannot be called as static"),
        (Fixed, "class"),
    ):
        with pytest.raises(PluginError, match=reason):
            AsyncLoggingContainer(enrichers=[plugin])


async def test_a_log_call_in_static_is_refused() -> None:
    container: AsyncLoggingContainer

    class Chatty:
        def static(self) -> Mapping[str, Any]:
            container.logger().nowait.info("from inside")
            return {"thread": threading.current_thread().name}

    sink = RecordingSink()
    container = AsyncLoggingContainer(sinks=[sink], enrichers=[Chatty()])
    async with container:
        pass
    assert sink.events == []
    assert container.stats().rejected == {"reentrant": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_container_made_before_a_fork_and_entered_after_it_has_the_child_s_process_id(backend: str) -> None:
    program = f"""
    import os, sys
    sys.path.insert(0, {SOURCE!r})
    import anyio, fapilog
    from fapilog.testing import RecordingSink

    sink = RecordingSink()
    container = fapilog.AsyncLoggingContainer({{"enrichers": ["runtime"]}}, sinks=[sink])
    logger = container.logger("early")

    async def main():
        async with container:
            await logger.info("m")
        assert sink.events[0].context["process.pid"] == os.getpid(), sink.events[0].context

    child = os.fork()
    anyio.run(main, backend={backend!r})
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = anyio.run(lambda: anyio.run_process([sys.executable, "-c", textwrap.dedent(program)], check=False))
    assert (done.returncode, done.stderr) == (0, b"")
