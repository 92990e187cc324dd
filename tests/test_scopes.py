"""Scopes: counts, levels for a subtree, what is held back until the end, budgets, and what comes too late."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.levels import Levels
from fapilog.plugins import Batch
from fapilog.sinks.memory import MemorySink
from fapilog.testing.clock import run_in_virtual_time
from sinks import account


class Kept:
    """Keeps events; named, and quick enough for the event loop."""

    blocking = False
    name = "kept"

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def write(self, batch: Batch) -> None:
        self.events += batch.events

    @property
    def messages(self) -> list[str]:
        return [event.message for event in self.events]

    def span(self, message: str) -> dict[str, Any]:
        """Return what the event of a span tells of it."""
        (found,) = [event for event in self.events if event.message == message]
        told: dict[str, Any] = found.context["span"]
        return told


# -- counts


async def test_a_span_counts_the_events_and_errors_inside_those_of_inner_spans_too() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with log.span("outer"):
            await log.info("one")
            await log.debug("below the level")
            with log.context(user=7):
                await log.info("two", tags={"a": "b"})
            with log.span("inner"):
                await log.error("three")
                log.blocking.info("four")
                await anyio.to_thread.run_sync(log.blocking.info, "five")
        with log.span("empty"):
            pass
    assert (sink.span("inner")["events"], sink.span("inner")["errors"]) == (3, 1)
    assert (sink.span("outer")["events"], sink.span("outer")["errors"]) == (6, 1)
    assert not {"events", "errors"} & set(sink.span("empty"))


def test_what_many_threads_log_in_one_span_is_counted_exactly() -> None:
    sink = Kept()
    with fapilog.blocking_container({"queue_max_size": 100_000}, sinks=[sink]) as log, log.span("threads"):
        from contextvars import copy_context

        def work(context: Any) -> None:
            context.run(lambda: [log.info("event") for _ in range(500)])

        threads = [threading.Thread(target=work, args=(copy_context(),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sink.span("threads")["events"] == 4000


# -- levels


@pytest.mark.parametrize("block", ["context", "span"])
async def test_a_block_lowers_the_level_for_its_tasks_and_threads_only(block: str) -> None:
    sink = Kept()
    container = AsyncLoggingContainer({"levels": {"noisy": "ERROR"}}, sinks=[sink])
    async with container:
        log = container.logger()

        async def inside(name: str) -> None:
            await log.debug(name)

        opened: AbstractContextManager[Any] = (
            log.context(log_level="debug") if block == "context" else log.span("span", log_level="debug")
        )
        with opened:
            assert log.is_enabled("debug")
            async with anyio.create_task_group() as group:
                group.start_soon(inside, "child")
            await container.logger("new").debug("new logger")
            await container.logger("noisy").info("noisy logger")
            await anyio.to_thread.run_sync(log.blocking.debug, "thread")
            log.nowait.debug("nowait")
            await log.log("debug", "log")
            thread = threading.Thread(target=log.nowait.debug, args=("a thread without the context",))
            thread.start()
            thread.join()
        await log.debug("after")
        assert not log.is_enabled("debug")
    wanted = ["child", "new logger", "noisy logger", "thread", "nowait", "log"]
    assert [message for message in sink.messages if message != "span"] == wanted
    account(container)


async def test_a_block_raises_the_level_and_an_inner_one_lowers_it_again() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with log.context(log_level="error"):
            await log.info("hidden")
            assert not log.is_enabled("warning")
            with log.span("inner", log_level="info"):
                await log.info("shown")
            await log.error("error")
        await log.info("after")
    assert sink.messages == ["shown", "inner", "error", "after"]


async def test_the_level_of_a_block_is_gone_when_it_ends_also_for_tasks_that_go_on() -> None:
    sink = Kept()
    ended = anyio.Event()
    async with fapilog.container(sinks=[sink]) as log:

        async def goes_on() -> None:
            await log.debug("during")
            await ended.wait()
            await log.debug("after")
            await log.info("after, enabled")

        async with anyio.create_task_group() as group:
            with log.context(log_level="debug"):
                group.start_soon(goes_on)
                await anyio.wait_all_tasks_blocked()
            ended.set()
    assert sink.messages == ["during", "after, enabled"]
    assert sink.events[-1].context == {}, "only a span marks what comes too late"


def test_what_blocks_ask_for_is_added_up_and_taken_back() -> None:
    levels = Levels("INFO", {"a": "ERROR"})
    root, named = levels.threshold(""), levels.threshold("a.b")
    levels.ask_for(10)
    levels.ask_for(30)
    levels.ask_for(10)
    assert [(t.own, t.level) for t in (root, named, levels.threshold("new"))] == [(20, 10), (40, 10), (20, 10)]
    levels.need_no_more(10)
    levels.set("a", 20)
    assert (named.own, named.level) == (20, 10)
    levels.need_no_more(10)
    assert (root.level, named.level) == (20, 20)
    levels.need_no_more(30)
    levels.replace("CRITICAL", {})
    assert [(t.own, t.level) for t in (root, named)] == [(50, 50), (50, 50)]


# -- what is held back


async def test_a_clean_end_gives_up_what_was_held_and_counts_it() -> None:
    sink = Kept()
    container = AsyncLoggingContainer(sinks=[sink])
    async with container:
        log = container.logger()
        with log.span("work", buffer="debug"):
            await log.debug("held")
            await log.info("goes out at once")
        await log.debug("after")
    assert sink.messages == ["goes out at once", "work"]
    assert account(container).filtered == {"span_buffer": 1}


async def raise_inside(log: fapilog.AsyncLogger, span: Any) -> None:
    raise ValueError("no")


async def log_an_error(log: fapilog.AsyncLogger, span: Any) -> None:
    await log.error("an error")


async def wait_too_long(log: fapilog.AsyncLogger, span: Any) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(2)


async def run_out_of_time(log: fapilog.AsyncLogger, span: Any) -> None:
    await anyio.sleep(20)


async def ask(log: fapilog.AsyncLogger, span: Any) -> None:
    span.keep()


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (raise_inside, "error"),
        (log_an_error, "error"),
        (wait_too_long, "slow"),
        (run_out_of_time, "deadline"),
        (ask, "asked"),
    ],
)
async def test_what_was_held_goes_on_in_order_for(reason: Callable[..., Any], kept: str) -> None:
    sink = Kept()
    container = AsyncLoggingContainer({"shutdown_timeout": 60}, sinks=[sink])
    slow_but_for_the_clock = patched_clock()
    async with container:
        log = container.logger()
        with anyio.move_on_after(10), slow_but_for_the_clock:
            try:
                with log.span("work", buffer="debug", slow=1.5) as span:
                    await log.debug("first")
                    await log.debug("second")
                    await reason(log, span)
                    await log.debug("third")
            except ValueError:
                pass
    wanted = ["first", "second", *(["an error"] if reason is log_an_error else [])]
    wanted += ["third"] if reason in (log_an_error, wait_too_long, ask) else []
    assert sink.messages == [*wanted, "work"]
    assert sink.span("work")["kept"] == kept
    assert account(container).filtered == {}


def patched_clock() -> AbstractContextManager[object]:
    """Let a span read the virtual clock."""
    from unittest.mock import patch

    return patch("fapilog.spans.perf_counter_ns", lambda: int(anyio.current_time() * 1e9))


async def test_of_more_than_the_ring_holds_the_oldest_give_way() -> None:
    sink = Kept()
    container = AsyncLoggingContainer(sinks=[sink])
    async with container:
        log = container.logger()
        with log.span("work", buffer="debug", buffer_size=3) as span:
            for number in range(10):
                await log.debug(str(number))
            span.keep()
            await log.debug("at once")
    assert sink.messages == ["7", "8", "9", "at once", "work"]
    assert account(container).filtered == {"span_buffer": 7}


async def test_an_inner_span_leaves_what_it_held_to_the_one_around() -> None:
    sink = Kept()
    container = AsyncLoggingContainer(sinks=[sink])
    async with container:
        log = container.logger()
        with pytest.raises(ValueError), log.span("outer", buffer="debug"):
            await log.debug("outer 1")
            with log.span("inner", buffer="debug"):
                await log.debug("inner 1")
                with log.span("plain"):
                    await log.debug("inner 2")
            await log.debug("outer 2")
            raise ValueError
    debug = [event.message for event in sink.events if event.level == "DEBUG"]
    assert debug == ["outer 1", "inner 1", "inner 2", "outer 2"]
    account(container)


async def test_an_error_lets_go_what_the_spans_around_hold_too() -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with log.span("outer", buffer="debug"):
            await log.debug("outer")
            with pytest.raises(ValueError), log.span("inner"):
                raise ValueError
    assert sink.messages == ["outer", "inner", "outer"]


NOT_SAMPLED = "00-0af7651916cd43dd84ffffffffffffff-b7ad6b7169203331-01"
SAMPLED = "00-0af7651916cd43dd8400000000000000-b7ad6b7169203331-01"


@pytest.mark.parametrize("trace_id", ["mine", "", 7, None, "g" * 32, "\ud800"])
async def test_a_trace_id_from_elsewhere_is_sampled_the_same_way_each_time(trace_id: object) -> None:
    """It need not be hexadecimal, nor a text."""
    sampled: set[bool] = set()
    async with AsyncLoggingContainer({}, sinks=[MemorySink()]) as container:
        log = container.logger()
        with log.context(trace_id=trace_id), log.span("around", sample=1.0) as around:
            for _ in range(3):
                with log.span("work", sample=0.5) as span:
                    assert span.trace_id == around.trace_id
                    sampled.add(span.ring is None)
    assert len(sampled) == 1


async def test_of_a_trace_that_is_not_sampled_nothing_goes_on_unless_something_is_wrong() -> None:
    sink = Kept()
    container = AsyncLoggingContainer(sinks=[sink])
    async with container:
        log = container.logger()
        for name, header in {"sampled": SAMPLED, "not sampled": NOT_SAMPLED}.items():
            with log.span(name, sample=0.5, traceparent=header):
                await log.info(f"inside {name}")
        with log.span("wrong", sample=0.5, traceparent=NOT_SAMPLED, buffer="debug"):
            await log.debug("debug")
            await log.info("info")
            await log.error("error")
            await log.info("info, after that")
    assert sink.messages == [
        "inside sampled", "sampled", "debug", "info", "error", "info, after that", "wrong"
    ]  # fmt: skip
    assert sink.span("sampled")["sample_rate"] == 0.5
    assert "sample_rate" not in sink.span("wrong")
    assert account(container).filtered == {"span_sample": 2}


async def test_nothing_of_a_scope_that_was_given_up_comes_later() -> None:
    sink = Kept()
    ended = anyio.Event()
    container = AsyncLoggingContainer(sinks=[sink])
    async with container:
        log = container.logger()

        async def background() -> None:
            await log.debug("held")
            await ended.wait()
            await log.debug("below the level again")
            await log.info("late")

        async with anyio.create_task_group() as group:
            with log.span("work", buffer="debug") as span:
                group.start_soon(background)
                await anyio.wait_all_tasks_blocked()
            ended.set()
    assert sink.messages == ["work", "late"]
    late = sink.events[-1]
    assert late.context == {"trace_id": span.trace_id, "span_id": span.span_id, "late": True}
    assert account(container).filtered == {"span_buffer": 1}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(data=st.data())
def test_whatever_spans_hold_every_event_is_in_one_place(backend: Any, data: st.DataObject) -> None:
    plans = st.fixed_dictionaries(
        {},
        optional={
            "log_level": st.sampled_from(["debug", "info", "error"]),
            "buffer": st.sampled_from(["debug", "warning"]),
            "buffer_size": st.integers(1, 4),
            "sample": st.sampled_from([0.0, 0.5, 1.0]),
            "max_events": st.integers(0, 5),
        },
    )
    actions = st.recursive(
        st.lists(st.sampled_from(["debug", "info", "warning", "error", "keep", "fail"]), max_size=5),
        lambda inner: st.tuples(plans, st.lists(inner, max_size=4)),
        max_leaves=12,
    )
    tree = data.draw(actions)
    logged = 0

    async def main() -> None:
        nonlocal logged
        sink = Kept()
        container = AsyncLoggingContainer({"queue_max_size": 10_000}, sinks=[sink])
        async with container:
            log = container.logger()
            below_every_level = 0

            async def run(action: Any, span: Any) -> None:
                nonlocal logged, below_every_level
                if isinstance(action, list):
                    for each in action:
                        if each == "keep":
                            if span is not None:
                                span.keep()
                        elif each == "fail":
                            raise KeyError
                        else:
                            enabled = log.is_enabled(each)
                            logged += enabled
                            below_every_level += not enabled
                            await log.log(each, "event", number=logged)
                    return
                plan, inner = action
                try:
                    with log.span("span", **plan) as opened:
                        logged += 1
                        for each in inner:
                            await run(each, opened)
                except KeyError:
                    pass

            try:
                await run(tree, None)
            except KeyError:
                pass
        report = account(container)
        assert report.submitted <= logged
        assert report.submitted == len(sink.events) + sum(report.filtered.values())
        numbers = [event.fields["number"] for event in sink.events if event.message == "event"]
        assert len(numbers) == len(set(numbers))

    run_in_virtual_time(backend, main)


# -- budgets


async def test_over_its_budget_a_span_lets_errors_go_on_and_tells_how_much_did_not() -> None:
    sink = Kept()
    container = AsyncLoggingContainer(sinks=[sink])
    async with container:
        log = container.logger()
        with log.span("work", max_events=2):
            for number in range(5):
                await log.info(str(number))
            await log.error("an error")
    assert sink.messages == ["0", "1", "an error", "work"]
    assert sink.span("work")["over_budget"] == 3
    assert sink.events[-1].level == "WARNING"
    assert account(container).filtered == {"span_budget": 3}


@pytest.mark.parametrize(("text", "fit"), [("x" * 20, 3), ("\u20ac" * 20, 2), ("\ud800", 5)])
async def test_a_budget_of_bytes_counts_messages_and_fields_and_holds_for_inner_spans(text: str, fit: int) -> None:
    sink = Kept()
    async with fapilog.container(sinks=[sink]) as log:
        with log.span("outer", max_bytes=100), log.span("inner", max_events=100):
            for number in range(10):
                await log.info(text, number=number)
    assert sink.messages.count(text) == fit
    assert sink.span("outer")["over_budget"] == 10 - fit


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sample": 1.5}, "sample is 1.5; allowed: a number from 0 to 1"),
        ({"slow": -1}, "slow is -1; allowed: a number of at least 0"),
        ({"buffer": "debug", "buffer_size": 0}, "buffer_size is 0; allowed: a number of at least 1"),
        ({"max_events": "7"}, "max_events is '7'; allowed: a number of at least 0"),
        ({"sample": float("nan")}, "sample is nan; allowed: a number from 0 to 1"),
        ({"buffer": "loud"}, "loud"),
    ],
)
async def test_a_wrong_argument_of_a_span_says_what_is_allowed(wrong: dict[str, Any], said: str) -> None:
    async with fapilog.container(sinks=[Kept()]) as log:
        with pytest.raises(ValueError, match=said):
            log.span("work", **wrong)


async def test_what_an_inner_scope_leaves_goes_on_in_the_order_of_the_calls() -> None:
    memory = MemorySink()
    async with fapilog.container({"level": "INFO"}, sinks=[memory]) as log:
        begin, end = anyio.Event(), anyio.Event()

        async def log_beside() -> None:
            await begin.wait()
            await log.debug("second")
            end.set()

        with log.span("outer", buffer="DEBUG"):
            async with anyio.create_task_group() as group:
                group.start_soon(log_beside)
                with log.span("inner", buffer="DEBUG"):
                    await log.debug("first")
                    begin.set()
                    await end.wait()
                await log.error("last")
    messages = [event.message for event in memory.events]
    assert [message for message in messages if message in ("first", "second", "last")] == ["first", "second", "last"]
