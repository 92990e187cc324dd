"""Spans: their place in the task tree and in a trace, their outcome, and what a cancellation says of itself."""

from __future__ import annotations

import asyncio
import gc
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog import LogEvent
from fapilog.plugins import Batch
from fapilog.sinks.memory import MemorySink
from fapilog.spans import Span
from fapilog.traces import TraceParent
from support import run_program


class Kept:
    """Keeps events; named, and quick enough for the event loop."""

    blocking = False
    name = "kept"

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def write(self, batch: Batch) -> None:
        self.events += batch.events

    def __getitem__(self, message: str) -> LogEvent:
        (found,) = [event for event in self.events if event.message == message]
        return found

    def span(self, message: str) -> dict[str, Any]:
        """Return what the event of a span tells of it."""
        told: dict[str, Any] = self[message].context["span"]
        return told


# -- what a span is


async def test_a_span_that_has_ended_is_not_left_to_the_garbage_collector() -> None:
    async with fapilog.container(sinks=[Kept()]) as log:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                with log.span("outer"), log.span("inner"):
                    pass
            await log.flush()
            assert [each for each in gc.get_objects() if type(each) is Span] == []
        finally:
            gc.enable()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
def test_a_forked_process_draws_other_ids() -> None:
    ended = run_program("""
        async def main():
            async with fapilog.container(sinks=[SyncSink()]) as log:
                with log.span("one that has others drawn with it"):
                    pass
                child = os.fork()
                with log.span("work") as span:
                    os.write(1, f"{span.trace_id} {span.span_id}\\n".encode())
                if not child:
                    os._exit(0)
                await anyio.to_thread.run_sync(os.waitpid, child, 0)

        run(main)
    """)
    drawn = ended.stdout.split()
    assert [len(each) for each in drawn] == [32, 16, 32, 16], ended.stderr
    assert len(set(drawn)) == 4


async def test_a_bound_field_named_span_does_not_hide_what_a_span_tells() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with log.bind(span="mine", other=1).span("work"):
            pass
    assert sink.span("work")["outcome"] == "ok"
    assert sink["work"].context["other"] == 1


# -- the task tree


async def test_tasks_and_threads_started_inside_have_the_span_as_their_parent() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:

        async def back() -> None:
            with log.span("back"):
                pass

        def in_thread() -> None:
            with log.blocking.span("thread"):
                anyio.from_thread.run(back)

        async def child(group: anyio.abc.TaskGroup) -> None:
            with log.span("child"):
                group.start_soon(grandchild)

        async def grandchild() -> None:
            with log.span("grandchild"):
                pass

        async with anyio.create_task_group() as outside:
            with log.span("outer"):
                async with anyio.create_task_group() as group:
                    group.start_soon(child, group)
                    await anyio.to_thread.run_sync(in_thread)
            outside.start_soon(nothing_but_a_span(log, "beside"))
    ids = {event.message: event.context["span_id"] for event in sink.events}
    parents = {event.message: sink.span(event.message).get("parent_id") for event in sink.events}
    assert parents == {
        "outer": None,
        "child": ids["outer"],
        "grandchild": ids["child"],
        "thread": ids["outer"],
        "back": ids["thread"],
        "beside": None,
    }
    traces = {event.message: event.context["trace_id"] for event in sink.events}
    assert len({traces[name] for name in traces if name != "beside"}) == 1
    assert traces["beside"] != traces["outer"]


def nothing_but_a_span(log: fapilog.AsyncLogger, name: str) -> Callable[[], Any]:
    """Return a coroutine function that does nothing but a span."""

    async def run() -> None:
        with log.span(name):
            pass

    return run


async def test_a_span_starts_with_the_values_of_then_and_calls_what_is_lazy_at_its_end() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        items, rows = [1], 0
        with log.span("work", items=items, rows=lambda: rows, tags={"team": "pay"}) as span:
            items.append(2)
            rows = 7
            span.set(found=items)
            items.append(3)
    event = sink["work"]
    assert event.fields == {"items": (1,), "rows": 7, "found": (1, 2)}
    assert event.tags == {"team": "pay"}


async def test_a_start_event_is_told_at_its_level_only() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with log.span("shown", start_level="info", order=42, late=lambda: 1) as span:
            pass
        with log.span("hidden", start_level="debug"):
            pass
    assert [event.message for event in sink.events] == ["shown started", "shown", "hidden"]
    started = sink["shown started"]
    assert started.fields == {"order": 42}
    assert started.context["span_id"] == span.span_id
    assert set(started.context["span"]) == {"start"}


async def test_a_span_is_entered_once_and_left_once() -> None:
    async with fapilog.container(sinks=[Kept()]) as log:
        span = log.span("once")
        with pytest.raises(RuntimeError, match="has to be entered before it is left"):
            span.__exit__(None, None, None)
        assert span.traceparent == ""
        with span, pytest.raises(RuntimeError, match="can be entered once only"):
            span.__enter__()
        with pytest.raises(RuntimeError, match="left once only"):
            span.__exit__(None, None, None)


async def test_the_ids_are_gone_after_the_span() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with log.span("first"):
            pass
        await log.info("after")
    assert sink["after"].context == {}


async def test_spans_of_generators_that_end_in_another_order_leave_nothing_behind_and_say_so() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:

        async def items(name: str) -> AsyncIterator[int]:
            with log.span(name):
                yield 1
                yield 2

        first, second = items("first"), items("second")
        await anext(first)
        await anext(second)
        await first.aclose()  # type: ignore[attr-defined]
        await second.aclose()  # type: ignore[attr-defined]
        await log.info("after")
    assert sink["after"].context == {}
    assert sink.span("first")["context_lost"] is True
    assert "context_lost" not in sink.span("second")
    assert sink["first"].context["span_id"] == sink.span("second")["parent_id"]


# -- the outcome


async def test_an_error_is_told_at_error_with_the_exception_and_goes_on_unchanged() -> None:
    sink = Kept()
    error = KeyError("x")
    async with fapilog.container(sinks=[sink]) as log:
        with pytest.raises(KeyError) as raised, log.span("failing"):
            raise error
    assert raised.value is error
    event = sink["failing"]
    assert (event.level, event.context["span"]["outcome"]) == ("ERROR", "error")
    assert event.exception is not None
    assert event.exception["type"] == "KeyError"


async def test_a_cancellation_says_its_reason_and_the_task_that_asked_for_it() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with anyio.CancelScope() as scope, log.span("cancelled"):
            scope.cancel(reason="the client went away")
            await anyio.sleep_forever()
    event = sink["cancelled"]
    assert (event.level, event.exception) == ("INFO", None)
    assert event.context["span"]["outcome"] == "cancelled"
    cancellation = event.context["span"]["cancellation"]
    assert (cancellation["source"], cancellation["reason"]) == ("explicit", "the client went away")
    assert "Task" in cancellation["task"]
    assert cancellation["unwinding"] == 0
    assert "shielded" not in cancellation


@pytest.mark.virtual_time
async def test_a_deadline_is_an_outcome_of_its_own_and_tells_how_long_leaving_took() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink], settings={"shutdown_timeout": 60}) as log:
        with anyio.move_on_after(1), log.span("outer"):
            try:
                with log.span("inner"):
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(3)
                    await anyio.sleep(5)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(4)
    for name, unwinding in {"inner": 2.0, "outer": 6.0}.items():
        assert sink.span(name)["outcome"] == "deadline"
        cancellation = sink.span(name)["cancellation"]
        assert cancellation["source"] == "deadline"
        assert cancellation["unwinding"] == pytest.approx(unwinding, abs=0.1)
        assert cancellation["shielded"] == pytest.approx(2.0, abs=0.1)


@pytest.mark.virtual_time
async def test_leaving_after_a_cancel_is_timed_from_where_it_was_first_seen() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink], settings={"shutdown_timeout": 60}) as log:
        with anyio.CancelScope() as scope, log.span("outer"):
            try:
                with log.span("inner"):
                    scope.cancel()
                    await anyio.sleep(1)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(4)
    assert sink.span("inner")["cancellation"]["unwinding"] == pytest.approx(0, abs=0.1)
    assert sink.span("outer")["cancellation"]["unwinding"] == pytest.approx(4, abs=0.1)
    assert "reason" not in sink.span("outer")["cancellation"]


async def test_a_group_of_nothing_but_cancellations_is_one_and_with_an_error_it_is_none() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:

        async def fail() -> None:
            raise ValueError("no")

        with pytest.raises(ExceptionGroup), log.span("group with an error"):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                group.start_soon(fail)
        with anyio.CancelScope() as scope, log.span("cancelled group"):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                scope.cancel()
                await anyio.sleep_forever()
    assert sink.span("group with an error")["outcome"] == "error"
    assert sink.span("cancelled group")["outcome"] == "cancelled"


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_a_sibling_that_failed_is_named_as_the_source_on_trio() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:

        async def wait() -> None:
            with log.span("waiting"):
                await anyio.sleep_forever()

        async def fail() -> None:
            raise ValueError("no")

        with pytest.raises(ExceptionGroup):
            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                group.start_soon(fail)
    assert sink.span("waiting")["cancellation"]["source"] == "nursery"
    assert sink.span("waiting")["cancellation"]["reason"].startswith("child task raised exception ValueError")


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_native_cancel_of_asyncio_says_its_message_and_a_timeout_of_asyncio_nothing() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:

        async def wait() -> None:
            with log.span("waiting"):
                await anyio.sleep_forever()

        task = asyncio.create_task(wait())
        await anyio.wait_all_tasks_blocked()
        task.cancel("shutting down")
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                with log.span("timed out"):
                    await anyio.sleep_forever()
    assert sink.span("waiting")["cancellation"]["reason"] == "shutting down"
    assert sink.span("timed out")["outcome"] == "cancelled"
    assert sink.span("timed out")["cancellation"]["source"] == "unknown"


async def test_exc_info_of_a_cancellation_records_its_cause() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with anyio.CancelScope() as scope:
            scope.cancel(reason="enough")
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                await log.exception("cancelled")
                raise
    exception = sink["cancelled"].exception
    assert exception is not None
    assert exception["cancellation"]["reason"] == "enough"
    assert exception["cancellation"]["source"] == "explicit"


# -- a trace that comes from elsewhere


async def test_a_traceparent_is_the_parent_and_goes_on_to_others() -> None:
    sink = Kept()
    header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    async with fapilog.container(sinks=[sink]) as log:
        with log.span("request", traceparent=header) as request, log.span("call") as call:
            pass
    assert sink.span("request")["parent_id"] == "b7ad6b7169203331"
    assert call.traceparent == f"00-0af7651916cd43dd8448eb211c80319c-{call.span_id}-00"
    assert request.trace_id == call.trace_id
    assert not call.sampled


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        7,
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" + "-x" * 300,
    ],
)
async def test_a_header_that_is_no_traceparent_begins_a_new_trace(header: Any) -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with log.span("request", traceparent=header) as span:
            pass
    assert "parent_id" not in sink.span("request")
    assert len(span.trace_id) == 32
    assert span.sampled


def test_a_later_version_of_the_header_may_have_more_parts() -> None:
    found = TraceParent.parse(" 01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more\t")
    assert found == TraceParent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True)


@given(st.text())
def test_no_text_makes_parsing_a_header_fail(header: str) -> None:
    found = TraceParent.parse(header)
    assert found is None or TraceParent.parse(str(found)) == found


async def test_an_active_span_of_opentelemetry_is_joined_unless_a_span_of_ours_is_the_inner_one() -> None:
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider().get_tracer("tests")
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with tracer.start_as_current_span("theirs") as theirs:
            context = theirs.get_span_context()
            with log.span("ours") as ours, log.span("inner"):
                pass
            with (
                log.span("second"),
                tracer.start_as_current_span("theirs inside") as inside,
                log.span("third") as third,
            ):
                pass
    assert ours.trace_id == f"{context.trace_id:032x}"
    assert sink.span("ours")["parent_id"] == f"{context.span_id:016x}"
    assert sink.span("inner")["parent_id"] == ours.span_id
    assert sink.span("third")["parent_id"] == f"{inside.get_span_context().span_id:016x}"
    assert third.trace_id == ours.trace_id


# -- the decorator


async def test_instrument_puts_a_span_around_each_call() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:

        @log.instrument
        async def load(number: int) -> int:
            await log.info("loading")
            return number * 2

        @log.instrument(name="add up", kind="sum")
        def add(*numbers: int) -> int:
            return sum(numbers)

        assert await load(4) == 8
        assert await load(5) == 10
        assert add(1, 2, 3) == 6
    loads = [event for event in sink.events if event.message.endswith("load")]
    assert len({event.context["span_id"] for event in loads}) == 2
    assert load.__name__ == "load"
    assert sink["add up"].fields == {"kind": "sum"}


async def test_instrument_refuses_what_would_run_its_caller_inside_the_span() -> None:
    async with fapilog.container(sinks=[Kept()]) as log:

        async def asynchronous() -> AsyncIterator[int]:
            yield 1

        def plain() -> Iterator[int]:
            yield 1

        for function in (asynchronous, plain):
            with pytest.raises(TypeError, match="is a generator function, whose caller would run inside the span"):
                log.instrument(function)


# -- outcomes that are set


@pytest.mark.parametrize(("outcome", "level"), [("ok", "INFO"), ("error", "ERROR"), ("cancelled", "INFO")])
async def test_an_outcome_that_is_set_counts(outcome: Any, level: str) -> None:
    sink = MemorySink()
    async with fapilog.container(sinks=[sink]) as log:
        with pytest.raises(ValueError), log.span("work") as span:
            span.set_outcome("error" if outcome == "ok" else "ok")
            span.set_outcome(outcome, cause="client" if outcome == "cancelled" else "")
            raise ValueError("raised")
    (event,) = sink.events
    assert (event.level, event.context["span"]["outcome"]) == (level, outcome)
    assert (event.exception is not None) == (outcome == "error")
    assert event.context["span"].get("cancellation") == ({"source": "client"} if outcome == "cancelled" else None)


async def test_an_exception_that_was_handled_inside_is_told() -> None:
    sink = MemorySink()
    async with fapilog.container(sinks=[sink]) as log:
        with log.span("work", buffer="debug") as span:
            await log.debug("detail")
            try:
                raise KeyError("handled")
            except KeyError as error:
                span.set_outcome("error", exception=error)
            span.set_outcome("error")
    detail, event = sink.events
    assert detail.message == "detail"
    assert event.exception is not None and event.exception["type"] == "KeyError"
    assert event.context["span"]["kept"] == "error"


async def test_an_outcome_that_is_none_is_refused() -> None:
    async with fapilog.container(sinks=[MemorySink()]) as log:
        with log.span("work") as span, pytest.raises(ValueError, match="outcome is 'late'; allowed: 'ok', 'error'"):
            span.set_outcome("late")  # type: ignore[arg-type]


async def test_its_start_is_written_as_the_timestamp_is() -> None:
    lines: list[dict[str, Any]] = []

    async def write(batch: Batch) -> None:
        lines.extend(orjson.loads(line) for line in batch.encoded("json").splitlines())

    async with fapilog.container(sinks=[write]) as log:
        with log.span("work"):
            pass
    (line,) = lines
    for moment in (line["timestamp"], line["context"]["span"]["start"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", moment)
