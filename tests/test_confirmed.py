"""Confirmed calls: what they wait for, what they raise and when, and that they leave nothing behind."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import fapilog
from confirming import make, nothing_left, pending, refused, refused_at_once, told
from fapilog import AsyncLoggingContainer, LogEvent, NotConfirmed, PermanentSinkError
from fapilog.errors import SinkOutcome
from fapilog.pipeline.breaker import CircuitBreaker
from fapilog.plugins import Batch
from fapilog.testing import FaultySink, RecordingSink
from sinks import HELD, PRIMERS, HeldSink, account, hold, quiet, turns, until
from support import AsyncSink, DirectSink, fail

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


# -- what it waits for


async def test_it_returns_when_every_required_sink_has_delivered_and_waits_for_no_other() -> None:
    first, second, optional = HeldSink("first"), HeldSink("second"), HeldSink("optional")
    container = make(first, second, optional, policies={"optional": {"required": False}})
    done: list[bool] = []

    async def confirm() -> None:
        done.append(await container.logger().confirmed.info("a"))

    async with container, anyio.create_task_group() as tasks:
        tasks.start_soon(confirm)
        await turns()
        first.gate.set()
        await turns()
        assert (first.messages, done, pending(container)) == (["a"], [], 1)
        second.gate.set()
        await turns()
        assert (second.messages, done, pending(container)) == (["a"], [True], 0)
        optional.gate.set()
    account(container)


@pytest.mark.parametrize("method", ["debug", "info", "warning", "error", "critical", "exception", "log"])
async def test_every_method_of_the_awaited_logger_is_there(method: str) -> None:
    sink = RecordingSink()
    container = make(sink, level="DEBUG")
    async with container:
        log = container.logger("shop").bind(user=1).confirmed
        with log.context(request="r-1"), log.span("work"):
            arguments = ("info", "a") if method == "log" else ("a",)
            assert await getattr(log, method)(*arguments, tags={"team": "pay"}, number=1) is True
            event = sink.find("a")[0]
        assert (event.logger, event.fields, event.tags) == ("shop", {"number": 1}, {"team": "pay"})
        assert {"user": 1, "request": "r-1"}.items() <= event.context.items()
        assert "span_id" in event.context


async def test_a_level_that_is_off_is_false_and_nothing_is_logged() -> None:
    sink = RecordingSink()
    container = make(sink)
    async with container:
        assert await container.logger().confirmed.debug("a") is False
        assert await container.logger().confirmed.log("DEBUG", "a") is False
        with container.logger().context(log_level="ERROR"):
            assert await container.logger().confirmed.info("a") is False
        assert not container.logger().confirmed.is_enabled("DEBUG")
    assert account(container).submitted == 0
    assert container.metrics_collector.snapshot().not_confirmed == {}


async def test_the_level_of_a_block_enables_it() -> None:
    sink = RecordingSink()
    container = make(sink)
    async with container:
        with container.logger().context(log_level="DEBUG"):
            assert await container.logger().confirmed.debug("a") is True
    assert sink.messages == ["a"]


async def test_a_forgotten_await_loses_no_event_and_leaves_nothing_behind() -> None:
    sink = RecordingSink()
    container = make(sink)
    async with container:
        call = container.logger().confirmed.info("a")
        await turns()
        assert (sink.messages, pending(container)) == (["a"], 0)
        assert await call is True
        assert await call is True, "it may be awaited again"


async def test_two_may_wait_for_one_call() -> None:
    sink = HeldSink()
    container = make(sink)
    results: list[bool] = []

    async def wait(call: Awaitable[bool]) -> None:
        results.append(await call)

    async with container, anyio.create_task_group() as tasks:
        call = container.logger().confirmed.info("a")
        tasks.start_soon(wait, call)
        tasks.start_soon(wait, call)
        await turns()
        sink.gate.set()
    assert results == [True, True]


async def test_it_is_a_checkpoint() -> None:
    container = make(RecordingSink())
    async with container:
        call = container.logger().confirmed.info("a")
        await turns()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await call
            pytest.fail("it did not look for a cancellation")


async def test_it_tells_later_events_of_the_same_exception_that_this_one_was_accepted() -> None:
    sink = RecordingSink()
    container = make(sink)
    async with container:
        error = ValueError("no")
        await container.logger().confirmed.error("first", exc_info=error)
        await container.logger().error("second", exc_info=error)
        await container.flush()
    first, second = (event.exception for event in sink.events)
    assert first is not None
    assert second is not None
    assert "type" in first
    assert "exception_id" in str(second)
    assert second != first


# -- time


@pytest.mark.parametrize(("given", "expected"), [({}, 5), ({"confirm_timeout": "200 ms"}, 0.2)])
async def test_it_raises_at_the_deadline_and_the_event_goes_on(given: dict[str, Any], expected: float) -> None:
    sink = HeldSink()
    container = make(sink, policies={"sink": {"write_timeout": 60}}, **given)
    async with container:
        began = anyio.current_time()
        error = await refused(container.logger("shop").confirmed.warning("a"))
        assert anyio.current_time() - began == pytest.approx(expected)
        assert (error.state, error.reason, told(error)) == ("timeout", "", {"sink": "pending"})
        assert (error.level, error.logger, error.sequence, error.timeout) == (30, "shop", 1, expected)
        assert error.container_id == container.container_id
        assert "event 1 of logger 'shop' of 20" in str(error)
        assert f"in container {container.container_id} is not confirmed: timeout after {expected:g} s" in str(error)
        assert "sink 'sink': pending" in str(error)
        assert pending(container) == 0
        sink.gate.set()
        await container.flush()
        assert sink.messages == ["a"]
        assert sink.events[0].time_ns == error.time_ns
    account(container)


async def test_one_call_has_its_own_time_to_wait_and_a_logger_made_of_it_too() -> None:
    container = make(HeldSink(), shutdown_timeout=0)
    async with container:
        for log in (
            container.logger().confirming(2),
            container.logger().confirming(2).named("a").bind(b=1).unbind("b"),
        ):
            began = anyio.current_time()
            assert (await refused(log.info("a"))).timeout == 2
            assert anyio.current_time() - began == pytest.approx(2)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 86_401, True, "2 s"])
async def test_a_time_to_wait_that_is_none_is_refused(timeout: Any) -> None:
    container = make(RecordingSink())
    async with container:
        for log in (container.logger(), container.logger().blocking):
            with pytest.raises(ValueError, match="is no time to wait; give seconds above 0 and up to 86400"):
                log.confirming(timeout)


async def test_the_deadline_counts_from_the_call() -> None:
    container = make(HeldSink(), shutdown_timeout=0)
    async with container:
        call = container.logger().confirming(2).info("a")
        await anyio.sleep(1.5)
        began = anyio.current_time()
        await refused(call)
        assert anyio.current_time() - began == pytest.approx(0.5)
        late = container.logger().confirming(2).info("b")
        await anyio.sleep(3)
        assert (await refused_at_once(late)).state == "timeout"


# -- lingering


async def test_it_makes_what_lingers_go_out_with_it_in_order() -> None:
    sink = RecordingSink()
    container = make(sink, batch_linger=1)
    async with container:
        log = container.logger()
        log.nowait.info("a")
        await turns()
        log.nowait.info("b")
        await turns()
        assert sink.messages == ["a"]
        began = anyio.current_time()
        assert await log.confirmed.info("c")
        assert anyio.current_time() == began
        assert [[event.message for event in batch] for batch in sink.batches] == [["a"], ["b", "c"]]


async def test_it_makes_what_lingers_in_front_of_the_sink_go_out_with_it_in_order() -> None:
    sink = RecordingSink("sink")
    container = make(sink, policies={"sink": {"batch_linger": 60}})
    async with container:
        log = container.logger()
        log.nowait.info("a")
        await turns()
        assert sink.messages == []
        began = anyio.current_time()
        assert await log.confirmed.info("b")
        assert anyio.current_time() == began
        assert [[event.message for event in batch] for batch in sink.batches] == [["a", "b"]]
        log.nowait.info("c")
        await anyio.sleep(30)
        assert sink.messages == ["a", "b"], "what nobody waits for lingers as before"


async def test_a_sink_that_is_not_waited_for_goes_on_lingering() -> None:
    sink, optional = RecordingSink("sink"), RecordingSink("optional")
    container = make(sink, optional, policies={"optional": {"required": False, "batch_linger": 60}})
    async with container:
        assert await container.logger().confirmed.info("a")
        await turns()
        assert optional.messages == []
    assert optional.messages == ["a"]


# -- what keeps an event from a sink, before the fan-out


def drop(event: LogEvent) -> bool:
    return event.message != "a"


async def drop_later(event: LogEvent) -> bool:
    await anyio.lowlevel.checkpoint()
    return event.message != "a"


def take_out(batch: Sequence[LogEvent]) -> list[LogEvent]:
    return [event for event in batch if event.message != "a"]


async def take_out_later(batch: Sequence[LogEvent]) -> list[LogEvent]:
    return take_out(batch)


def make_anew(batch: Sequence[LogEvent]) -> list[LogEvent]:
    return [LogEvent(event.message) for event in batch]


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize(
    ("kind", "plugin", "state"),
    [
        ("filters", drop, "filtered"),
        ("filters", drop_later, "filtered"),
        ("processors", take_out, "merged"),
        ("processors", take_out_later, "merged"),
        ("processors", make_anew, "merged"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_what_a_plugin_takes_out_is_refused_at_once_by_its_name(
    kind: str, plugin: Any, state: str, isolate: bool
) -> None:
    sink = RecordingSink("sink")
    name = plugin.__name__
    container = make(sink, policies={name: {"isolate": isolate}}, **{kind: [plugin]})
    with nothing_left(container):
        async with container:
            error = await refused_at_once(container.logger().confirmed.info("a"))
            assert (error.state, error.reason, error.sequence) == (state, name, 0)
            assert told(error) == {"sink": f"{state} ({name})"}
            if plugin is not make_anew:
                assert await container.logger().confirmed.info("b"), "others are not"


@pytest.mark.parametrize("isolate", [False, True])
async def test_what_plugins_add_replace_and_multiply_stays_confirmed(isolate: bool) -> None:
    def enrich(event: LogEvent) -> Mapping[str, Any]:
        event.add(tags={"a": "b"}, metrics={"c": 1.0}, fields={"d": 2})
        event.severity = 9
        event.correlation_id = "x"
        event.message = event.message.upper()
        return {"e": 3}

    def replace(batch: Sequence[LogEvent]) -> list[LogEvent]:
        return [copied for event in batch for copied in (event.copy(), event.copy())]

    sink = HeldSink("sink")
    policies = {"enrich": {"isolate": isolate}, "replace": {"isolate": isolate}, "sink": {"batch_size": 1}}
    container = make(sink, policies=policies, enrichers=[enrich], processors=[replace], redactors=[lambda event: None])
    done: list[bool] = []

    async def confirm() -> None:
        done.append(await container.logger().confirmed.info("a", tags={"x": "y"}))

    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            tasks.start_soon(confirm)
            await turns()
            assert pending(container) == 1
            sink.gate.set()
            await turns()
            assert done == [True]
            assert sink.messages == ["A", "A"]
            assert sink.events[0].tags == {"x": "y", "a": "b"}
    assert account(container).created == 2


async def test_every_event_that_a_processor_makes_of_one_has_to_be_delivered() -> None:
    def split(batch: Sequence[LogEvent]) -> list[LogEvent]:
        made: list[LogEvent] = []
        for event in batch:
            second = event.copy()
            second.message = "second"
            made += [event, second]
        return made

    async def refuses(batch: Batch) -> None:
        if any(event.message == "second" for event in batch):
            raise PermanentSinkError("no")

    container = make(refuses, policies={"refuses": {"batch_size": 1}}, processors=[split])
    with nothing_left(container):
        async with container:
            error = await refused_at_once(container.logger().confirmed.info("first"))
            assert (error.state, error.reason) == ("failed", "permanent")


async def test_of_several_events_made_of_one_a_filter_behind_may_take_out_some_and_not_all() -> None:
    def split(batch: Sequence[LogEvent]) -> list[LogEvent]:
        return [made for event in batch for made in (event, event.copy())]

    def halve(batch: Sequence[LogEvent]) -> list[LogEvent]:
        return list(batch)[::2]

    sink = RecordingSink()
    container = make(sink, processors=[split, halve])
    with nothing_left(container):
        async with container:
            assert await container.logger().confirmed.info("a")
    assert sink.messages == ["a"]


async def test_the_built_in_redactor_hides_what_it_hides_and_the_event_stays_confirmed() -> None:
    sink = RecordingSink("sink")
    policies = {"redact": {"presets": ["credentials"]}}
    container = AsyncLoggingContainer({"redactors": ["redact"], "plugin_config": policies}, sinks=[sink])
    async with container:
        assert await container.logger().confirmed.info("a", password="hunter2", tags={"a": "b"})
    assert "hunter2" not in str(sink.events[0].fields)


def cannot_redact(event: LogEvent) -> None:
    if event.message == "a":
        raise ValueError("no")


async def test_content_that_a_redactor_withholds_is_not_confirmed() -> None:
    container = make(RecordingSink("sink"), redactors=[cannot_redact])
    with nothing_left(container):
        async with container:
            error = await refused_at_once(container.logger().confirmed.info("a"))
            assert (error.state, error.reason) == ("withheld", "cannot_redact")
            assert told(error) == {"sink": "withheld (cannot_redact)"}
            assert await container.logger().confirmed.info("b")


@pytest.mark.parametrize("required", [True, False])
async def test_content_that_a_sinks_own_redactor_withholds_concerns_that_sink(required: bool) -> None:
    sink, other = RecordingSink("sink"), RecordingSink("other")
    registry = fapilog.PluginRegistry()

    class Own:
        metadata = fapilog.PluginMetadata("own", "1", fapilog.PluginType.REDACTOR)

        def redact(self, event: LogEvent) -> None:
            raise ValueError("no")

    registry.register(Own)
    container = AsyncLoggingContainer(
        {"plugin_config": {"sink": {"redactors": ["own"], "required": required}}},
        sinks=[sink, other],
        plugin_registry=registry,
    )
    quiet(container)
    with nothing_left(container):
        async with container:
            call = container.logger().confirmed.info("a")
            if required:
                assert told(await refused(call))["sink"] == "withheld (redaction failed)"
            else:
                assert await call
    assert account(container).sinks["sink"].withheld == 1


async def test_what_a_span_holds_back_or_leaves_out_is_refused_at_once() -> None:
    container = make(RecordingSink("sink"))
    with nothing_left(container):
        async with container:
            log = container.logger()
            with log.span("buffered", buffer="DEBUG"):
                error = await refused_at_once(log.confirmed.debug("a"))
                assert (error.state, error.reason) == ("filtered", "span")
                assert told(error) == {"sink": "filtered (span)"}
                assert await log.confirmed.info("b")
            with log.span("over budget", max_events=1):
                assert await log.confirmed.info("c")
                assert (await refused_at_once(log.confirmed.info("d"))).reason == "span"
                assert await log.confirmed.error("e"), "an error is over no budget"


# -- the queue


def full(strategy: str, **given: Any) -> tuple[HeldSink, AsyncLoggingContainer]:
    sink = HeldSink("sink")
    settings = {"queue_max_size": 2, "reserved_for_errors": 0, "batch_size": 1, **given}
    return sink, make(sink, policies={"sink": HELD}, overflow_strategy=strategy, **settings)


@pytest.mark.parametrize(
    ("strategy", "outcome"), [("drop_newest", "dropped (queue_full)"), ("raise", "rejected (queue_full)")]
)
async def test_a_full_queue_refuses_at_once_by_its_strategy(strategy: str, outcome: str) -> None:
    sink, container = full(strategy)
    with nothing_left(container):
        async with container:
            await hold(container)
            for _ in range(2):
                assert container.logger().nowait.info("fills")
            error = await refused_at_once(container.logger().confirmed.info("a"))
            assert f"{error.state} ({error.reason})" == outcome
            assert told(error) == {"sink": outcome}
            sink.gate.set()
    report = account(container)
    assert {**report.dropped, **report.rejected}["queue_full"] == 1


async def test_an_event_that_is_evicted_from_the_queue_is_refused_at_once() -> None:
    sink, container = full("drop_oldest")
    with nothing_left(container):
        async with container:
            await hold(container)
            call = container.logger().confirmed.info("a")
            for _ in range(3):
                container.logger().nowait.info("newer")
            container.stats()
            error = await refused_at_once(call)
            assert (error.state, error.reason) == ("dropped", "evicted")
            sink.gate.set()


async def test_it_gets_in_by_evicting_the_oldest() -> None:
    sink, container = full("drop_oldest")
    async with container:
        await hold(container)
        for _ in range(2):
            container.logger().nowait.info("older")
        call = container.logger().confirmed.info("a")
        sink.gate.set()
        assert await call


async def test_under_block_it_waits_for_room_in_order_and_longer_than_the_others() -> None:
    sink, container = full("block", block_timeout=1)
    done: list[str] = []

    async def confirm(message: str) -> None:
        await container.logger().confirming(100).info(message)
        done.append(message)

    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            await hold(container)
            for _ in range(2):
                container.logger().nowait.info("fills")
            for message in "abc":
                tasks.start_soon(confirm, message)
                await turns()
            await anyio.sleep(50)
            assert container.stats().dropped == {}
            sink.gate.set()
            await until(lambda: len(done) == 3)
    assert sink.messages[-3:] == ["a", "b", "c"]
    assert done == ["a", "b", "c"]


async def test_under_block_it_raises_at_its_deadline_and_congests_only_as_an_ordinary_wait_would() -> None:
    sink, container = full("block", block_timeout=1)
    with nothing_left(container):
        async with container:
            await hold(container)
            for _ in range(2):
                container.logger().nowait.info("fills")
            for timeout, congested in ((0.5, False), (2, True)):
                began = anyio.current_time()
                error = await refused(container.logger().confirming(timeout).info("a"))
                assert anyio.current_time() - began == pytest.approx(timeout)
                assert (error.state, error.reason) == ("dropped", "block_timeout")
                assert container.async_pipeline.intake._waiting.congested is congested
            # It does not wait in vain because others have.
            began = anyio.current_time()
            await refused(container.logger().confirming(2).info("a"))
            assert anyio.current_time() - began == pytest.approx(2)
            sink.gate.set()
    report = account(container)
    assert (report.dropped, report.submitted) == ({"block_timeout": 3}, PRIMERS + 5)
    assert "a" not in sink.messages


async def test_a_call_that_is_not_awaited_while_the_queue_is_full_counts_as_such() -> None:
    sink, container = full("block")
    with nothing_left(container):
        async with container:
            await hold(container)
            for _ in range(2):
                container.logger().nowait.info("fills")
            call = container.logger().confirmed.info("a")
            forgotten = container.logger().confirmed.info("b")
            assert container.stats().dropped == {"not_awaited": 2}
            sink.gate.set()
            await container.flush()
            assert await call, "there is room by now"
            del forgotten
    assert account(container).dropped == {"not_awaited": 1}


@pytest.mark.parametrize("strategy", ["block", "drop_newest", "drop_oldest", "raise"])
async def test_what_a_sinks_full_stream_drops_is_refused_at_once(strategy: str) -> None:
    sink = HeldSink("sink")
    policy = {"queue_batches": 1, "overflow_strategy": strategy, "write_timeout": 60}
    if strategy == "block":
        policy["block_timeout"] = 0
    container = make(sink, policies={"sink": policy}, batch_size=1, batch_linger=0)
    errors: list[NotConfirmed] = []

    async def confirm() -> None:
        errors.append(await refused(container.logger().confirmed.info("a")))

    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            for _ in range(2):
                container.logger().nowait.info("fills")
                await turns()
            began = anyio.current_time()
            tasks.start_soon(confirm)
            await turns()
            if strategy == "drop_oldest":
                container.logger().nowait.info("newer")
                await turns()
            await until(lambda: errors)
            assert anyio.current_time() == began
            reason = {"block": "block_timeout", "drop_oldest": "evicted"}.get(strategy, "queue_full")
            assert told(errors[0]) == {"sink": f"dropped ({reason})"}
            if strategy == "block":  # it is stalled from here on
                assert (await refused(container.logger().confirmed.info("a"))).reason == "stalled"
            sink.gate.set()


# -- the sinks


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (["permanent"], "failed (permanent)"),
        (["transient", "transient", "permanent"], "failed (permanent)"),
        (["transient"], "failed (sink_error)"),
        (["throttled"], "failed (throttled)"),
        (["error"], "failed (sink_error)"),
        (["hang"], "outcome_unknown (timeout)"),
    ],
    ids=str,
)
async def test_a_sink_that_fails_for_good_ends_the_wait(script: list[str], outcome: str) -> None:
    sink, other = FaultySink(script, name="sink"), DirectSink("other")
    container = make(
        other, sink, policies={"sink": {"attempts": 3, "backoff": 0, "write_timeout": 1}}, confirm_timeout=1000
    )
    with nothing_left(container):
        async with container:
            error = await refused(container.logger().confirmed.info("a"))
            assert f"{error.state} ({error.reason})" == outcome
            assert told(error) == {"sink": outcome, "other": "delivered"}
            assert error.sinks["other"] == SinkOutcome("delivered")


async def test_the_first_sink_that_fails_ends_the_wait_for_the_others() -> None:
    held = HeldSink("held")
    container = make(FaultySink(["permanent"], name="sink"), held, policies={"held": {"write_timeout": 60}})
    with nothing_left(container):
        async with container:
            error = await refused_at_once(container.logger().confirmed.info("a"))
            assert told(error) == {"sink": "failed (permanent)", "held": "pending"}
            held.gate.set()


@pytest.mark.parametrize("ordered", [True, False])
async def test_retries_are_waited_for(ordered: bool) -> None:
    sink = FaultySink(["transient", "error", "ok"], name="sink", ordered=ordered)
    container = make(sink, policies={"sink": {"backoff": 1}}, confirm_timeout=60)
    with nothing_left(container):
        async with container:
            assert await container.logger().confirmed.info("a")
            assert sink.messages == ["a"]
    assert account(container).sinks["sink"].retries == 2


async def test_of_a_partial_write_only_what_was_taken_counts() -> None:
    failing = {1: ValueError("again"), 2: PermanentSinkError("never")}
    calls: list[list[str]] = []

    async def partial(batch: Batch) -> None:
        calls.append([event.message for event in batch])
        if len(calls) == 1:
            raise fapilog.PartialWriteError(failing)
        await gate.wait()

    gate = anyio.Event()
    container = make(partial, policies={"partial": {"backoff": 0, "write_timeout": 60}})
    results: dict[str, Any] = {}

    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            order = ["taken", "again", "never"]
            calls_made = [container.logger().confirmed.info(message) for message in order]

            async def wait(message: str, call: Awaitable[bool]) -> None:
                try:
                    results[message] = await call
                except NotConfirmed as error:
                    results[message] = str(error.sinks["partial"])

            for message, call in zip(order, calls_made, strict=True):
                tasks.start_soon(wait, message, call)
            await until(lambda: len(calls) == 2)
            await turns()
            assert results == {"taken": True, "never": "failed (permanent)"}
            gate.set()
    assert results["again"] is True
    assert calls == [["taken", "again", "never"], ["again"]]


async def test_large_batches_are_cut_and_each_part_counts_by_itself() -> None:
    sink = FaultySink(["ok", "permanent", "ok"], name="sink")
    container = make(sink, policies={"sink": {"batch_size": 2}})
    with nothing_left(container):
        async with container:
            calls = [container.logger().confirmed.info("a", number=number) for number in range(6)]
            outcomes: list[bool | str] = []
            for call in calls:
                try:
                    outcomes.append(await call)
                except NotConfirmed as error:
                    outcomes.append(error.reason)
    assert outcomes == [True, True, "permanent", "permanent", True, True]


async def test_a_fallbacks_delivery_counts_in_the_place_of_the_sinks() -> None:
    sink, fallback, other = FaultySink(["permanent"], name="sink"), RecordingSink("fallback"), HeldSink("other")
    container = make(sink, fallback, other, policies={"sink": {"fallback": "fallback"}, "other": {"write_timeout": 60}})
    with nothing_left(container):
        async with container:
            error = await refused(container.logger().confirmed.info("a"))
            assert told(error) == {"sink": "delivered (fallback 'fallback')", "other": "pending"}
            other.gate.set()
            assert await container.logger().confirmed.info("b")
    assert fallback.messages == ["a", "b"]


async def test_a_chain_of_fallbacks_answers_for_the_first_sink() -> None:
    sinks = [FaultySink(["permanent"], name=name) for name in ("a", "b")]
    last = FaultySink(["ok", "permanent"], name="c")
    container = make(*sinks, last, policies={"a": {"fallback": "b"}, "b": {"fallback": "c", "required": False}})
    with nothing_left(container):
        async with container:
            assert await container.logger().confirmed.info("one")
            error = await refused_at_once(container.logger().confirmed.info("two"))
            assert told(error) == {"a": "failed (permanent)"}


async def test_a_fallback_of_two_sinks_answers_for_each() -> None:
    sinks = [FaultySink(["permanent"], name=name) for name in ("a", "b")]
    last = HeldSink("last")
    policies = {"a": {"fallback": "last"}, "b": {"fallback": "last", "required": False}, "last": {"write_timeout": 60}}
    container = make(*sinks, last, policies=policies)
    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            call = container.logger().confirmed.info("one")
            await turns()
            assert pending(container) == 1

            async def release() -> None:
                await anyio.sleep(1)
                last.gate.set()

            tasks.start_soon(release)
            assert await call
    assert last.messages == ["one", "one"]


async def test_a_fallback_that_did_not_start_ends_the_wait() -> None:
    fallback = AsyncSink("fallback", start=fail(OSError("no")))
    policies = {"sink": {"fallback": "fallback"}, "fallback": {"required": False}}
    container = make(FaultySink(["permanent"], name="sink"), fallback, policies=policies)
    with nothing_left(container):
        async with container:
            error = await refused_at_once(container.logger().confirmed.info("a"))
            assert told(error) == {"sink": "failed (not_started)"}


async def test_a_write_that_was_cut_off_before_the_fallback_failed_may_have_landed() -> None:
    sinks = [FaultySink(["hang"], name="sink"), FaultySink(["permanent"], name="fallback")]
    container = make(*sinks, policies={"sink": {"fallback": "fallback", "write_timeout": 1}})
    with nothing_left(container):
        async with container:
            error = await refused(container.logger().confirmed.info("a"))
            assert told(error) == {"sink": "outcome_unknown (permanent)"}


async def test_what_is_said_of_the_sinks_is_what_was_known_when_the_wait_ended() -> None:
    held = HeldSink("held")
    container = make(FaultySink(["permanent"], name="sink"), held, policies={"held": {"write_timeout": 60}})
    with nothing_left(container):
        async with container:
            call = container.logger().confirmed.info("a")
            other = container.logger().confirmed.info("b")
            await turns()
            held.gate.set()
            await turns()
            assert told(await refused(call))["held"] == "pending"
            await refused(other)


async def test_a_fallback_that_lingers_does_not_for_who_waits() -> None:
    container = make(
        FaultySink(["permanent"], name="sink"),
        RecordingSink("fallback"),
        policies={"sink": {"fallback": "fallback"}, "fallback": {"batch_linger": 60}},
    )
    async with container:
        began = anyio.current_time()
        assert await container.logger().confirmed.info("a")
        assert anyio.current_time() == began


async def test_a_fallback_without_room_ends_the_wait() -> None:
    held = HeldSink("held")
    container = make(
        FaultySink(["permanent"], name="sink"),
        held,
        policies={"sink": {"fallback": "held"}, "held": {"queue_batches": 1, "write_timeout": 60}},
        batch_size=1,
        batch_linger=0,
    )
    with nothing_left(container):
        async with container:
            for _ in range(2):
                container.logger().nowait.info("fills")
                await turns()
            assert told(await refused_at_once(container.logger().confirmed.info("a"))) == {
                "sink": "dropped (queue_full)"
            }
            held.gate.set()


async def test_an_open_breaker_holds_the_event_and_the_error_names_it() -> None:
    sink = FaultySink(["transient", "transient", "ok"], name="sink")
    container = make(sink, policies={"sink": {"breaker_failures": 1, "breaker_reset": 30, "attempts": 1, "backoff": 0}})
    with nothing_left(container):
        async with container:
            assert (await refused_at_once(container.logger().confirmed.info("opens"))).state == "failed"
            error = await refused(container.logger().confirmed.info("a"))
            assert (error.state, told(error)) == ("timeout", {"sink": "pending (breaker_open)"})
            assert await container.logger().confirming(60).info("b"), "the second probe succeeds"


async def test_routes_decide_which_required_sinks_are_waited_for() -> None:
    errors, rest, held = RecordingSink("errors"), RecordingSink("rest"), HeldSink("held")
    policies = {
        "errors": {"route": {"level": "error"}},
        "rest": {"route": {"exclude": {"level": "error"}}},
        "held": {"route": {"logger": "held"}, "write_timeout": 60},
    }
    container = make(errors, rest, held, policies=policies)
    with nothing_left(container):
        async with container:
            assert await container.logger().confirmed.info("a")
            assert await container.logger().confirmed.error("b")
            assert (errors.messages, rest.messages) == (["b"], ["a"])
            error = await refused(container.logger("held").confirmed.info("c"))
            assert told(error) == {"errors": "not_routed", "rest": "delivered", "held": "pending"}
            held.gate.set()


@pytest.mark.parametrize("policy", [{"required": False}, {"route": {"level": "error"}}])
async def test_an_event_that_no_required_sink_gets_is_refused_at_once(policy: dict[str, Any]) -> None:
    sink, optional = RecordingSink("sink"), RecordingSink("optional")
    container = make(sink, optional, policies={"sink": policy, "optional": {"required": False}})
    with nothing_left(container):
        async with container:
            error = await refused_at_once(container.logger().confirmed.info("a"))
            assert error.state == "unrouted"
            assert told(error) == ({} if "required" in policy else {"sink": "not_routed"})
            assert "set required = true" in str(error)
    assert optional.messages == ["a"]


async def test_a_mistake_of_our_own_in_the_delivery_ends_the_wait() -> None:
    sink = RecordingSink("sink")
    container = make(sink)
    with nothing_left(container):
        async with container:
            (delivery,) = container.async_pipeline.deliveries
            attempt = delivery._attempt

            async def broken(write: Any) -> Any:
                delivery._attempt = attempt  # type: ignore[method-assign]
                raise RuntimeError("a mistake")

            delivery._attempt = broken  # type: ignore[method-assign]
            error = await refused_at_once(container.logger().confirmed.info("a"))
            assert told(error) == {"sink": "failed (internal_error)"}
            assert await container.logger().confirmed.info("b")


# -- opening, closing, reloading


async def test_outside_the_block_it_is_rejected() -> None:
    container = make(RecordingSink("sink"))
    before = container.logger().confirmed.info("a")
    assert (await refused(before)).reason == "not_started"
    async with container:
        call = container.logger().confirmed.info("b")
    assert await call
    error = await refused(container.logger().confirmed.info("c"))
    assert (error.state, error.reason, told(error)) == ("rejected", "closed", {"sink": "rejected (closed)"})
    assert "log inside the container's block" in str(error)
    assert container.stats().rejected == {"not_started": 1, "closed": 1}


async def test_the_drain_delivers_what_somebody_waits_for() -> None:
    sink = HeldSink("sink")
    container = make(sink)
    results: list[bool] = []

    async def confirm() -> None:
        results.append(await container.logger().confirmed.info("a"))

    async def release() -> None:
        await anyio.sleep(2)
        sink.gate.set()

    async with anyio.create_task_group() as tasks:
        with nothing_left(container):
            async with container:
                tasks.start_soon(confirm)
                await turns()
                tasks.start_soon(release)
        await turns()
        assert results == [True]


@pytest.mark.parametrize("where", ["sink", "stream", "stage", "queue", "room"])
async def test_what_the_drain_gives_up_is_refused_then(where: str) -> None:
    sink = HeldSink("sink")
    policies: dict[str, Any] = {"sink": HELD}
    plugins: dict[str, Any] = {}
    if where == "stage":

        async def waits(event: LogEvent) -> None:
            await anyio.sleep_forever()

        policies["waits"] = {"timeout": 3600}
        plugins["enrichers"] = [waits]
    container = make(
        sink,
        policies=policies,
        queue_max_size=2,
        reserved_for_errors=0,
        batch_size=1,
        batch_linger=0,
        shutdown_timeout=1,
        confirm_timeout=1000,
        **plugins,
    )
    errors: list[tuple[NotConfirmed, float]] = []

    async def confirm() -> None:
        error = await refused(container.logger().confirmed.info("a"))
        errors.append((error, anyio.current_time()))

    async with anyio.create_task_group() as tasks:
        with nothing_left(container):
            async with container:
                fill = {"sink": 0, "stream": 1, "stage": 0, "queue": PRIMERS, "room": PRIMERS + 2}[where]
                if fill >= PRIMERS:
                    await hold(container)
                    fill -= PRIMERS
                for _ in range(fill):
                    assert container.logger().nowait.info("fills")
                    await turns()
                tasks.start_soon(confirm)
                await turns()
                began = anyio.current_time()
        await turns()
        ((error, at),) = errors
        assert at - began < 2.1
        expected = {
            "sink": "outcome_unknown (cut_off)",
            "queue": "dropped (stalled)",
            "room": "rejected (closed)",
        }.get(where, "abandoned (deadline)")
        assert told(error) == {"sink": expected}


async def test_what_is_cut_off_in_a_write_on_the_loop_is_refused_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt that strikes between the write and its count ends in the same way."""
    real = CircuitBreaker.succeeded

    def interrupted(breaker: CircuitBreaker) -> None:
        monkeypatch.setattr(CircuitBreaker, "succeeded", real)
        raise OSError  # not a KeyboardInterrupt, which would end the test's event loop

    sink = DirectSink("sink")
    container = make(sink, confirm_timeout=1000)
    with nothing_left(container):
        async with container:
            await turns()  # only while the sink's task waits is a batch written without it
            monkeypatch.setattr(CircuitBreaker, "succeeded", interrupted)
            error = await refused_at_once(container.logger().confirmed.info("a"))
            assert told(error) == {"sink": "outcome_unknown (cut_off)"}
            assert await container.logger().confirmed.info("b")
    assert sink.messages == ["a", "b"]
    report = account(container).sinks["sink"]
    assert (report.delivered, report.outcome_unknown, report.abandoned) == (1, 1, {"deadline": 1})


async def test_a_reload_in_the_middle_delivers_by_the_pipeline_that_has_the_event() -> None:
    old, new = HeldSink("sink"), RecordingSink("sink")
    container = make(old)
    results: dict[str, bool] = {}

    async def confirm(message: str) -> None:
        results[message] = await container.logger().confirmed.info(message)

    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            tasks.start_soon(confirm, "a")
            await turns()
            tasks.start_soon(lambda: container.reload(sinks=[new]))
            await turns()
            tasks.start_soon(confirm, "b")
            await turns()
            assert results == {}, "the old sink's namesake goes first"
            old.gate.set()
            await until(lambda: len(results) == 2)
    assert (old.messages, new.messages) == (["a"], ["b"])


async def test_what_a_reload_gives_up_is_refused_then_and_what_is_new_is_not() -> None:
    old, new = HeldSink("old"), RecordingSink("new")
    container = make(old, policies={"old": {"write_timeout": 3600}}, shutdown_timeout=1, confirm_timeout=1000)
    errors: list[NotConfirmed] = []

    async def confirm() -> None:
        errors.append(await refused(container.logger().confirmed.info("a")))

    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            tasks.start_soon(confirm)
            await turns()
            began = anyio.current_time()
            tasks.start_soon(lambda: container.reload({}, sinks=[new]))
            await turns()
            assert await container.logger().confirmed.info("b")
            assert anyio.current_time() == began
            await anyio.sleep(6)
            assert told(errors[0])["old"] == "outcome_unknown (cut_off)"
    assert new.messages == ["b"]


async def test_a_reload_changes_the_time_to_wait() -> None:
    container = make(HeldSink("sink"), shutdown_timeout=0)
    async with container:
        await container.reload({"confirm_timeout": 2, "shutdown_timeout": 0, "on_incomplete": "ignore"})
        assert (await refused(container.logger().confirmed.info("a"))).timeout == 2


# -- inside plugins


async def test_inside_a_plugin_it_is_refused_at_once() -> None:
    errors: list[NotConfirmed] = []

    async def confirms(batch: Batch) -> None:
        assert [event.message for event in batch] == ["outer"]
        errors.append(await refused_at_once(container.logger().confirmed.info("inner")))

    async def confirms_too(event: LogEvent) -> bool:
        errors.append(await refused_at_once(container.logger().confirmed.info("inner")))
        return True

    container = make(confirms, filters=[confirms_too])
    with nothing_left(container):
        async with container:
            assert await container.logger().confirmed.info("outer")
    assert [(error.state, error.reason) for error in errors] == [("rejected", "reentrant")] * 2
    assert "a plugin cannot wait for the pipeline that runs it" in str(errors[0])
    assert account(container).rejected == {"reentrant": 2}


async def test_a_task_of_a_plugin_is_a_plugin_as_well() -> None:
    errors: list[NotConfirmed] = []

    async def inner() -> None:
        errors.append(await refused_at_once(container.logger().confirmed.info("inner")))

    async def confirms(batch: Batch) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inner)

    container = make(confirms)
    with nothing_left(container):
        async with container:
            assert await container.logger().confirmed.info("outer")
    assert errors[0].reason == "reentrant"


# -- what is told


async def test_the_metrics_have_how_calls_ended() -> None:
    container = make(FaultySink(["ok", "permanent"], name="sink"), filters=[drop])
    async with container:
        assert await container.logger().confirmed.info("b")
        await refused(container.logger().confirmed.info("b"))
        await refused(container.logger().confirmed.info("a"))
        snapshot = container.metrics_collector.snapshot()
    assert (snapshot.confirmed, snapshot.not_confirmed) == (1, {"failed": 1, "filtered": 1})


async def test_a_copy_of_the_event_elsewhere_knows_nothing_of_who_waits() -> None:
    sink = RecordingSink()
    container = make(sink)
    async with container:
        assert await container.logger().confirmed.info("a", tags={"b": "c"})
    extras: Any = sink.events[0]._record[7]
    assert extras.confirmation is not None
    for copied in (copy.deepcopy(extras), pickle.loads(pickle.dumps(extras))):
        assert not hasattr(copied, "confirmation")
        assert copied.tags == {"b": "c"}


async def test_events_for_which_nobody_waits_are_what_they_were() -> None:
    """Nobody looks for a confirmation while there is none, and an ordinary event has no place for one."""
    sink = RecordingSink()
    container = make(sink)
    async with container:
        assert await container.logger().info("a")
        assert await container.logger().info("b", tags={"c": "d"})
        await container.flush()
    assert sink.events[0]._record[7] is None
    assert not hasattr(sink.events[1]._record[7], "confirmation")
