"""The three faces of a logger: bound state, levels, what a call takes, and what becomes of it."""

from __future__ import annotations

import inspect
import sys
import threading
from functools import partial
from typing import Any

import anyio
import pytest

import fapilog
from fapilog.plugins import Batch
from fapilog.sinks.memory import MemorySink


class Kept:
    """Keeps events; named, and quick enough for the event loop."""

    blocking = False
    name = "kept"

    def __init__(self) -> None:
        self.events: list[fapilog.LogEvent] = []

    def write(self, batch: Batch) -> None:
        self.events += batch.events

    @property
    def messages(self) -> list[str]:
        return [event.message for event in self.events]


async def test_bind_named_and_unbind_return_new_loggers_and_leave_the_old_one() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        child = log.bind(user=7, region="eu").named("api").named("db")
        await child.info("bound")
        await child.unbind("user", "never bound").info("unbound")
        await log.info("plain")
        assert (child.name, log.name) == ("api.db", "")
        assert child.nowait.name == child.blocking.name == "api.db"
    bound, unbound, plain = sink.events
    assert (bound.logger, bound.context) == ("api.db", {"user": 7, "region": "eu"})
    assert unbound.context == {"region": "eu"}
    assert (plain.logger, plain.context) == ("", {})


async def test_the_ambient_context_follows_tasks_started_inside_and_no_others() -> None:
    sink = Kept()
    ready = anyio.Event()

    async with fapilog.container(sinks=[sink]) as log:

        async def outside() -> None:
            await ready.wait()
            await log.info("outside")

        async def inside() -> None:
            await log.info("inside")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outside)
            with log.context(request_id="r-1"), log.context(step=2, correlation_id="c-1"):
                tasks.start_soon(inside)
                await anyio.lowlevel.checkpoint()
                ready.set()
            await log.info("after")
    found = {event.message: (event.context, event.correlation_id) for event in sink.events}
    assert found["inside"] == ({"request_id": "r-1", "step": 2}, "c-1")
    assert found["outside"] == found["after"] == ({}, "")


async def test_levels_per_logger_are_inherited_by_name_and_can_change_while_loggers_exist() -> None:
    sink = Kept()
    settings = {"level": "WARNING", "levels": {"api": "DEBUG", "api.db": "ERROR"}}
    async with fapilog.container(settings, sinks=[sink]) as log:
        api, pool = log.named("api"), log.named("api.db.pool")
        assert [logger.is_enabled("INFO") for logger in (log, api, log.named("api.v2"), pool)] == [
            False,
            True,
            True,
            False,
        ]
        await api.debug("1")
        await pool.warning("not logged")
        assert not await log.info("not logged")
        log.container.set_level("INFO", "api.db")
        await pool.info("2")
        log.container.set_level(fapilog.Level.CRITICAL)
        assert not log.nowait.error("not logged")
        await pool.info("3")
        with pytest.raises(ValueError, match="no level"):
            log.container.set_level("LOUD")
    assert sink.messages == ["1", "2", "3"]
    report = log.container.report
    assert report is not None and report.submitted == 3


async def test_a_function_without_arguments_is_called_once_and_only_if_the_level_is_enabled() -> None:
    calls: list[str] = []

    def expensive(what: str = "default") -> str:
        calls.append(what)
        return what

    class Thing:
        def method(self) -> int:
            calls.append("method")
            return 5

    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        await log.debug("disabled", value=expensive)
        await log.info("lazy", a=expensive, b=partial(expensive, "partial"), c=Thing().method, d=lambda: 1 / 0)
        await log.info("not lazy", takes_one=lambda x: x, a_class=Thing)
    lazy, other = sink.events
    assert lazy.fields == {"a": "default", "b": "partial", "c": 5, "d": "<lazy field failed: ZeroDivisionError>"}
    assert calls == ["default", "partial", "method"]
    assert all(isinstance(value, str) for value in other.fields.values())


async def test_the_events_own_keywords_are_not_fields_and_wrong_ones_are_repaired_and_marked() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        await log.info("right", tags={"team": "pay"}, metrics={"ms": 3}, severity=7, exc_info=None, other=1)
        await log.info("wrong", tags=5, metrics={"ms": "fast"}, severity="high")  # type: ignore[arg-type]
        log.nowait.log("LOUD", "no level")
    right, wrong, loud = sink.events
    assert (right.tags, right.metrics, right.severity, right.fields) == ({"team": "pay"}, {"ms": 3.0}, 7, {"other": 1})
    assert wrong.tags["fapilog.repaired"] == "tags,metrics,severity"
    assert (wrong.severity, wrong.metrics) == (3, {})
    assert (loud.level, loud.tags, loud.context) == ("INFO", {"fapilog.repaired": "level"}, {"level_given": "LOUD"})


@pytest.mark.parametrize("given", ["true", "exception", "tuple", "method"])
async def test_an_exception_is_described_and_neither_it_nor_its_frames_are_kept(given: str) -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        try:
            raise ValueError("no good")
        except ValueError as error:
            if given == "method":
                await log.exception("failed")
            else:
                await log.error("failed", exc_info={"true": True, "exception": error, "tuple": sys.exc_info()}[given])
            await log.flush()
            exception = sink.events[-1].exception
            references = [sys.getrefcount(error)]
            del sink.events[:]
            references.append(sys.getrefcount(error))
            await log.error("failed", exc_info=error)
    assert references[0] == references[1]
    assert exception is not None
    assert (exception["type"], exception["message"]) == ("ValueError", "no good")
    assert exception["frames"][-1]["function"].endswith(
        "test_an_exception_is_described_and_neither_it_nor_its_frames_are_kept"
    )
    again = sink.events[-1].exception
    assert again is not None
    assert again["logged"] == {"exception_id": exception["exception_id"]}
    assert sink.events[-1].level == "ERROR"


async def test_exc_info_outside_a_handler_gives_an_event_without_exception() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        await log.exception("nothing is being handled")
        await log.error("none", exc_info=(None, None, None))
    assert [event.exception for event in sink.events] == [None, None]


async def test_the_call_site_is_added_when_asked_for() -> None:
    sink = Kept()
    async with fapilog.container({"callsite": True}, sinks=[sink]) as log:
        await log.info("quick")
        log.nowait.error("slow", tags={"a": "b"})
        log.blocking.log("INFO", "any level")
        with log.span("span"):
            pass
    sites = [event.context["callsite"] for event in sink.events[:3]]
    assert {site["file"] for site in sites} == {__file__}
    assert [site["line"] for site in sites] == list(range(sites[0]["line"], sites[0]["line"] + 3))
    assert all(site["function"].endswith("test_the_call_site_is_added_when_asked_for") for site in sites)


async def test_an_event_names_its_task_and_a_threads_event_its_thread() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:

        async def work() -> None:
            await log.info("task")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, name="worker-7")
        thread = threading.Thread(target=lambda: log.nowait.info("thread"), name="thread-3")
        thread.start()
        thread.join()
    assert {event.message: event.task for event in sink.events} == {"task": "worker-7", "thread": "thread-3"}


@pytest.mark.parametrize("face", ["AsyncLogger", "NowaitLogger", "BlockingLogger"])
@pytest.mark.parametrize("name", ["debug", "info", "exception", "log"])
async def test_arguments_to_put_into_the_message_are_told_to_be_fields(face: str, name: str) -> None:
    async with fapilog.container({"sinks": ["null"]}) as log:
        logger: Any = {"AsyncLogger": log, "NowaitLogger": log.nowait, "BlockingLogger": log.blocking}[face]
        method = getattr(logger, name)
        level = ["INFO"] if name == "log" else []
        for fields in ({}, {"user": "ann"}):
            with pytest.raises(TypeError) as caught:
                method(*level, "hello %s", "ann", **fields)
            assert str(caught.value).startswith(f"{face}.{name}() takes nothing by position behind the message")
            assert f"log.{name}(..., user=name)" in str(caught.value)
        with pytest.raises(TypeError, match=rf"{face}\.{name}\(\) missing .*'message'"):
            method(*level)
        assert method.__name__ == name
        assert list(inspect.signature(method).parameters) == [*(["level"] if level else []), "message", "fields"]
    assert log.container.stats().submitted == 0


async def test_a_span_tells_start_duration_and_outcome_and_gives_its_ids_to_what_is_inside() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with log.span("outer", order=42) as outer:
            await log.info("inside")
            with log.nowait.span("inner") as inner:
                inner.set(items=[1, 2])
            outer.set(total=5)
        with pytest.raises(KeyError), log.blocking.span("failing"):
            raise KeyError("x")
        with anyio.CancelScope() as scope, log.span("cancelled"):
            scope.cancel()
            await anyio.sleep_forever()
    inside, inner_event, outer_event, failing, cancelled = sink.events
    assert inside.context == {"trace_id": outer.trace_id, "span_id": outer.span_id}
    assert (len(outer.trace_id), len(outer.span_id)) == (32, 16)
    assert inner_event.context["span"]["parent_id"] == outer.span_id
    assert inner.trace_id == outer.trace_id
    assert inner_event.fields == {"items": (1, 2)}
    assert (outer_event.message, outer_event.fields) == ("outer", {"order": 42, "total": 5})
    assert outer_event.context["span"]["outcome"] == "ok"
    assert outer_event.context["span"]["duration"] >= 0
    assert "parent_id" not in outer_event.context["span"]
    assert (failing.level, failing.context["span"]["outcome"]) == ("ERROR", "error")
    assert failing.exception is not None and failing.exception["type"] == "KeyError"
    assert (cancelled.level, cancelled.context["span"]["outcome"]) == ("INFO", "cancelled")


async def test_a_blocking_flush_waits_in_a_thread_and_refuses_the_loops_own_thread() -> None:
    sink = Kept()
    reports: list[Any] = []
    async with fapilog.container({"batch_linger": 10}, sinks=[sink]) as log:

        def work() -> None:
            log.blocking.info("1")
            reports.append(log.blocking.flush())
            log.blocking.info("2")
            reports.append(log.blocking.flush(5))

        with anyio.fail_after(10):
            await anyio.to_thread.run_sync(work)
        assert sink.messages == ["1", "2"]
        with pytest.raises(fapilog.ContainerStateError, match="wait for itself"):
            log.blocking.flush()
    assert [report.complete for report in reports] == [True, True]
    assert log.blocking.flush().complete


async def test_a_registry_given_to_a_container_makes_its_plugins_known_by_name() -> None:
    registry = fapilog.PluginRegistry()
    made: list[Kept] = []

    @registry.register
    class Keeping(Kept):
        metadata = fapilog.PluginMetadata("keeping", "1.0", fapilog.PluginType.SINK)

        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    async with fapilog.container({"sinks": ["keeping"]}, plugin_registry=registry) as log:
        await log.info("found")
    assert made[0].messages == ["found"]
    assert log.container.plugin_registry is not registry
    assert [metadata.name for metadata in log.container.plugin_registry.loaded] == ["keeping"]
    assert registry.loaded == ()


async def test_a_sink_that_does_not_start_is_named_once(tmp_path: Any) -> None:
    settings = {"sinks": ["file"], "plugin_config": {"file": {"path": str(tmp_path)}}}
    with pytest.raises(fapilog.PluginError) as raised:
        async with fapilog.container(settings):
            pytest.fail("the body must not run")
    assert str(raised.value).count("plugin 'file'") == 1
    assert str(tmp_path) in str(raised.value)


async def test_a_context_can_be_entered_once_only() -> None:
    async with fapilog.container(sinks=[Kept()]) as log:
        context = log.context(request_id="r-1")
        with context, pytest.raises(RuntimeError, match="once only"), context:
            pass
        with pytest.raises(RuntimeError, match="once only"), context:
            pass


@pytest.mark.parametrize("size", [65_536, 65_537])
async def test_bd7_texts_are_kept_up_to_65_536_characters(size: int) -> None:
    sink = MemorySink()
    whole, kept = "x" * size, size == 65_536
    async with fapilog.container(sinks=[sink]) as log:
        log.nowait.info(whole)
        log.nowait.info("", text=whole)
        log.nowait.error("", text=whole)
        await log.log("info", whole, half="y" * 40_000, other_half="z" * 40_000)
        with log.span("work", text=whole):
            pass
    message, field, error, several, span = sink.events
    for text in (message.message, field.fields["text"], error.fields["text"], several.message, span.fields["text"]):
        assert len(text) == 65_536
        assert (text == whole) is kept
        assert kept or text.endswith("<truncated: 65537 characters>")
    assert several.fields == {"half": "y" * 40_000, "other_half": "z" * 40_000}
