"""Delivery: what one sink's failures cost, how often and when its writes are tried again, and who else notices."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog import (
    AsyncLoggingContainer,
    PartialWriteError,
    PermanentSinkError,
    ThrottledSinkError,
    TransientSinkError,
)
from fapilog.metrics import SinkReport
from fapilog.pipeline.breaker import Backoff, CircuitBreaker
from fapilog.pipeline.delivery import LONGEST_THROTTLE
from fapilog.plugins import Batch
from fapilog.testing import FaultySink, PlainFaultySink, RecordingSink
from sinks import HeldSink, account, never, quiet, slow, turns
from support import AsyncSink, hang

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def make(*sinks: object, settings: dict[str, Any] | None = None, **policies: Any) -> AsyncLoggingContainer:
    """Return a container with *sinks*; a policy without a table of its own is the sink's named ``sink``."""
    config = {name: policies.pop(name) for name in list(policies) if isinstance(policies[name], dict)}
    if policies:
        config.setdefault("sink", {}).update(policies)
    container = AsyncLoggingContainer(
        {
            "batch_linger": 0,
            "shutdown_timeout": 1000,
            "on_incomplete": "ignore",
            "plugin_config": config,
            **(settings or {}),
        },
        sinks=list(sinks),
    )
    container.told = quiet(container)  # type: ignore[attr-defined]
    return container


async def log_each(container: AsyncLoggingContainer, *messages: str) -> None:
    """Log each message in a batch of its own, and let it travel as far as it can."""
    for message in messages:
        assert container.logger().nowait.info(message)
        await turns()


def sink_account(container: AsyncLoggingContainer, name: str = "sink") -> SinkReport:
    return account(container).sinks[name]


# -- trying again


async def test_sk1_a_transient_failure_is_tried_again_within_the_backoffs_bounds() -> None:
    sink = FaultySink([TransientSinkError("no")] * 5 + [None], "sink")
    async with make(sink, attempts=10, backoff=0.1, backoff_max=0.5, breaker_failures=100) as container:
        await log_each(container, "a", "b")
        await until_done(container, 2)
    assert sink.messages == ["a", "b"]
    gaps = [after - before for before, after in zip(sink.times, sink.times[1:], strict=False)]
    for gap, bound in zip(gaps[:5], [0.1, 0.2, 0.4, 0.5, 0.5], strict=True):
        assert 0 <= gap <= bound + 1e-9
    assert len(set(gaps[:5])) == 5, "jitter: no two waits are alike"
    report = sink_account(container)
    assert (report.delivered, report.retries, report.duplicates) == (2, 5, 0)


async def until_done(container: AsyncLoggingContainer, number: int, seconds: float = 3600) -> None:
    """Let time pass until *number* events have an outcome."""
    with anyio.fail_after(seconds):
        while True:
            report = container.stats()
            done = sum(sink.routed + sink.fallback_in - sink.in_flight for sink in report.sinks.values())
            if done >= number:
                return
            await anyio.sleep(0.1)


async def test_a_write_fails_for_good_after_its_attempts_and_costs_no_later_event() -> None:
    sink = FaultySink([OSError("no")] * 3 + [None], "sink")
    async with make(sink, attempts=3, breaker_failures=100) as container:
        await log_each(container, "a", "b")
        await until_done(container, 2)
    assert sink.attempted == [["a"]] * 3 + [["b"]]
    report = sink_account(container)
    assert report.failed == {"sink_error": 1}
    assert (report.delivered, report.retries) == (1, 2)
    assert any("OSError: no" in message for _, message in container.told)


async def test_sk12_an_error_that_does_not_say_what_landed_may_mean_a_duplicate_and_is_counted() -> None:
    landed: list[str] = []

    def write_then_raise(batch: Batch) -> None:
        landed.extend(event.message for event in batch)
        if len(landed) == 1:
            raise OSError("the answer was lost")

    async with make(FaultySink([write_then_raise], "sink")) as container:
        await log_each(container, "a")
        await until_done(container, 1)
    assert landed == ["a", "a"]
    report = sink_account(container)
    assert (report.delivered, report.duplicates, report.retries) == (1, 1, 1)


async def test_sk3_a_permanent_failure_is_not_tried_again() -> None:
    sink = FaultySink([PermanentSinkError("never"), None], "sink")
    async with make(sink) as container:
        await log_each(container, "a", "b")
        await until_done(container, 2)
    assert sink.attempted == [["a"], ["b"]]
    report = sink_account(container)
    assert report.failed == {"permanent": 1}
    assert (report.delivered, report.retries) == (1, 0)


@pytest.mark.parametrize(
    "asked, waits",
    [
        (7, 7),
        (10**9, LONGEST_THROTTLE),
        (float("inf"), LONGEST_THROTTLE),
        (-5, 0),
        (float("nan"), 0),
        ("soon", 0),
        (None, 0),
        (10**400, 0),
        ("3", 3),
    ],
)
async def test_sk3_a_throttled_sink_waits_as_long_as_it_was_asked_to_within_reason(asked: Any, waits: float) -> None:
    sink = FaultySink([ThrottledSinkError(retry_after=asked), None], "sink")
    async with make(sink, backoff=0.01, backoff_max=0.01) as container:
        await log_each(container, "a")
        await until_done(container, 1)
    first, second = sink.times
    assert waits <= second - first <= waits + 0.01 + 1e-9
    assert sink_account(container).delivered == 1


async def test_sk3_a_sink_that_stays_throttled_fails_in_the_end() -> None:
    sink = FaultySink([ThrottledSinkError(retry_after=1)], "sink")
    async with make(sink, attempts=4) as container:
        await log_each(container, "a")
        await until_done(container, 1)
    assert sink_account(container).failed == {"throttled": 1}


# -- written at once, because the sink is a plain call and its task has nothing to do


async def test_a_direct_write_waits_for_no_task_of_the_sinks() -> None:
    sink = PlainFaultySink([None], "sink")
    async with make(sink) as container:
        await turns()  # the sink's task begins, and waits
        delivery = container.async_pipeline.deliveries[0]
        delivery._stream.put_nowait = never_used  # type: ignore[method-assign]
        await log_each(container, "a", "b")
        await until_done(container, 2)
    assert sink.messages == ["a", "b"]
    assert sink_account(container).delivered == 2


def never_used(write: object) -> bool:
    raise AssertionError(f"{write} went through the stream")


@pytest.mark.parametrize("ordered", [True, False])
async def test_sk1_a_direct_write_that_fails_is_tried_again_and_holds_back_what_comes_later(ordered: bool) -> None:
    sink = PlainFaultySink([None, TransientSinkError("no"), OSError("no"), None], "sink", ordered=ordered)
    async with make(sink, backoff=0.1) as container:
        await log_each(container, "a", "b", "c", "d")
        await until_done(container, 4)
    assert sink.attempted[:2] == [["a"], ["b"]]
    assert sorted(sink.messages) == ["a", "b", "c", "d"]
    if ordered:
        assert sink.messages == ["a", "b", "c", "d"]
    report = sink_account(container)
    assert (report.delivered, report.retries, report.duplicates) == (4, 2, 1)


async def test_sk7_a_direct_write_that_fails_in_part_is_tried_again_in_part() -> None:
    refused = PartialWriteError({0: PermanentSinkError("too large"), 2: TransientSinkError("later")})
    sink = PlainFaultySink([refused, None], "sink")
    async with make(sink) as container:
        for message in "abc":
            assert container.logger().nowait.info(message)
        await until_done(container, 3)
        await log_each(container, "d")
        await until_done(container, 4)
    assert sink.attempted[:2] == [["a", "b", "c"], ["c"]]
    report = sink_account(container)
    assert report.failed == {"permanent": 1}
    assert (report.delivered, report.retries) == (3, 1)


async def test_sk3_direct_writes_that_fail_open_the_breaker() -> None:
    sink = PlainFaultySink([OSError("no"), OSError("no"), None], "sink")
    async with make(sink, attempts=1, breaker_failures=2, breaker_reset=10.0) as container:
        await log_each(container, "a", "b", "c")
        assert len(sink.attempted) == 2
        await until_done(container, 3)
        assert anyio.current_time() >= 10
    report = sink_account(container)
    assert report.failed == {"sink_error": 2}
    assert report.delivered == 1


# -- partial success


@pytest.mark.parametrize("ordered", [True, False])
async def test_sk7_only_the_failed_events_of_a_batch_are_tried_again(ordered: bool) -> None:
    sink = FaultySink([PartialWriteError([1, 3]), PartialWriteError([0]), None], "sink", ordered=ordered)
    async with make(sink) as container:
        for message in "abcde":
            assert container.logger().nowait.info(message)
        await until_done(container, 5)
    assert sink.attempted == [["a", "b", "c", "d", "e"], ["b", "d"], ["b"]]
    assert [event.sequence for event in sink.events] == [1, 3, 5, 4, 2]
    sink.assert_agrees(container.stats())
    report = sink_account(container)
    assert (report.delivered, report.retries, report.duplicates) == (5, 2, 0)


async def test_sk7_events_refused_for_good_are_not_tried_again_with_the_others() -> None:
    error = PartialWriteError({0: PermanentSinkError("too large"), 2: TransientSinkError("later")})
    sink = FaultySink([error, None], "sink")
    async with make(sink) as container:
        for message in "abc":
            assert container.logger().nowait.info(message)
        await until_done(container, 3)
    assert sink.attempted == [["a", "b", "c"], ["c"]]
    report = sink_account(container)
    assert report.failed == {"permanent": 1}
    assert report.delivered == 2


@pytest.mark.parametrize(
    "failed, delivered",
    [
        ({}, 3),
        ({99: TransientSinkError(), -1: TransientSinkError()}, 3),
        ({"a": TransientSinkError(), None: TransientSinkError(), 1.5: TransientSinkError()}, 3),
        ({0: PermanentSinkError(), 1: PermanentSinkError(), 2: PermanentSinkError()}, 0),
    ],
)
async def test_sk7_positions_that_are_none_do_not_confuse_the_account(failed: dict[Any, Any], delivered: int) -> None:
    sink = FaultySink([PartialWriteError(failed), None], "sink")
    async with make(sink) as container:
        for message in "abc":
            assert container.logger().nowait.info(message)
        await until_done(container, 3)
    assert len(sink.attempted) == 1
    report = sink_account(container)
    assert report.delivered == delivered
    assert report.failed == ({"permanent": 3} if not delivered else {})


# -- results that mean nothing


class Awaitable:
    def __await__(self) -> Any:
        yield from ()


@pytest.mark.parametrize(
    "result, counted",
    [
        (None, {}),
        (True, {}),
        (False, {"sink_error": 1}),
        (0, {"permanent": 1}),
        (1, {"permanent": 1}),
        ("ok", {"permanent": 1}),
        (Awaitable(), {"permanent": 1}),
    ],
)
@pytest.mark.parametrize("asynchronous", [True, False])
async def test_sk11_what_write_returns(result: Any, counted: dict[str, int], asynchronous: bool) -> None:
    class Returning(RecordingSink):
        async def write(self, batch: Batch) -> Any:
            return result

    class ReturningAtOnce(RecordingSink):
        def write(self, batch: Batch) -> Any:  # type: ignore[override]
            return result

    sink = Returning("sink") if asynchronous else ReturningAtOnce("sink")
    async with make(sink, attempts=2) as container:
        await log_each(container, "a")
        await until_done(container, 1)
    report = sink_account(container)
    assert report.failed == counted
    assert report.delivered == (not counted)
    assert report.retries == (result is False)
    if "permanent" in counted:
        assert [message for _, message in container.told if "write returned" in message or "awaitable" in message]


async def test_sk11_a_coroutine_that_nobody_would_await_is_an_error_and_no_warning() -> None:
    async def inner() -> None:
        raise AssertionError("it must not run")

    class Returning(RecordingSink):
        def write(self, batch: Batch) -> Any:  # type: ignore[override]
            return inner()

    async with make(Returning("sink")) as container:
        await log_each(container, "a")
    assert sink_account(container).failed == {"permanent": 1}


@pytest.mark.parametrize(
    "error", [SystemExit(3), GeneratorExit(), asyncio.CancelledError(), BaseExceptionGroup("g", [SystemExit()])]
)
@pytest.mark.parametrize("asynchronous", [True, False])
async def test_an_exception_that_would_end_a_task_is_one_failed_attempt(
    error: BaseException, asynchronous: bool
) -> None:
    calls: list[str] = []

    class Raising(RecordingSink):
        async def write(self, batch: Batch) -> None:
            calls.append("write")
            if len(calls) == 1:
                raise error
            await super().write(batch)

    class RaisingAtOnce(RecordingSink):
        def write(self, batch: Batch) -> None:  # type: ignore[override]
            calls.append("write")
            if len(calls) == 1:
                raise error
            self.batches.append(list(batch.events))

    sink = Raising("sink") if asynchronous else RaisingAtOnce("sink")
    async with make(sink) as container:
        await log_each(container, "a", "b")
        await until_done(container, 2)
    report = sink_account(container)
    if asynchronous and isinstance(error, asyncio.CancelledError) and report.failed:
        # It cannot be told from a cancellation from outside, which says nothing about what landed.
        assert report.failed == {"timeout": 1}
        assert sink.messages == ["b"]
    else:
        assert sink.messages == ["a", "b"]
    assert account(container).complete


# -- time limits


async def test_sk4_a_write_that_does_not_come_back_is_a_timeout_whose_outcome_is_unknown() -> None:
    sink = FaultySink([never, None], "sink")
    async with make(sink, write_timeout=2) as container:
        began = anyio.current_time()
        await log_each(container, "a", "b")
        await until_done(container, 2)
        assert 2 <= anyio.current_time() - began < 3
    assert sink.attempted == [["a"], ["b"]], "it is not tried again: it may have landed"
    report = sink_account(container)
    assert report.failed == {"timeout": 1}
    assert report.outcome_unknown == 1
    assert report.delivered == 1


async def test_timeouts_open_the_breaker_as_other_failures_do() -> None:
    sink, other = FaultySink([never], "sink"), RecordingSink("other")
    policy = {"write_timeout": 1, "breaker_failures": 3, "batch_size": 1, "fallback": "other"}
    async with make(sink, other, sink=policy) as container:
        await log_each(container, "a", "b", "c", "d", "e")
        await anyio.sleep(5)
        assert len(sink.attempted) == 3
        assert other.messages == ["a", "b", "c", "d", "e"]
    report = account(container).sinks["sink"]
    assert (report.fallback_out, report.outcome_unknown) == (5, 3)


# -- the breaker


async def test_sk19_the_breaker_opens_and_lets_one_probe_through_at_a_time() -> None:
    sink, other = FaultySink([TransientSinkError()] * 4 + [None], "sink"), RecordingSink("other")
    policy = {"attempts": 1, "breaker_failures": 3, "breaker_reset": 10, "fallback": "other"}
    async with make(sink, other, sink=policy) as container:
        await log_each(container, "a", "b", "c")  # the third opens it
        await log_each(container, "d")
        assert len(sink.attempted) == 3
        await anyio.sleep(9.9)
        await log_each(container, "e")
        assert len(sink.attempted) == 3
        await anyio.sleep(0.2)
        await log_each(container, "f", "g")  # a probe, which fails, and the breaker is open again
        assert sink.attempted[3:] == [["f"]]
        await anyio.sleep(9.9)
        await log_each(container, "h")
        assert sink.attempted[3:] == [["f"]]
        await anyio.sleep(0.2)
        await log_each(container, "i", "j")  # a probe, which succeeds
    assert sink.messages == ["i", "j"]
    assert other.messages == list("abcdefgh")
    report = account(container).sinks["sink"]
    assert (report.fallback_out, report.delivered, report.failed) == (8, 2, {})


@pytest.mark.parametrize("ordered", [True, False])
async def test_sk19_without_a_fallback_events_are_held_for_the_probe(ordered: bool) -> None:
    sink = FaultySink([TransientSinkError(), TransientSinkError(), None], "sink", ordered=ordered)
    async with make(sink, attempts=1, breaker_failures=2, breaker_reset=10, batch_size=1) as container:
        await log_each(container, "a", "b", "c", "d")
        assert sink.attempted == [["a"], ["b"]]
        await anyio.sleep(9.9)
        assert len(sink.attempted) == 2
        await anyio.sleep(0.2)
        assert sink.messages == ["c", "d"]
    assert sink_account(container).failed == {"sink_error": 2}


async def test_sk19_what_is_held_for_the_probe_is_given_up_at_once_when_the_container_is_left() -> None:
    sink = FaultySink([TransientSinkError()], "sink")
    async with make(sink, attempts=1, breaker_failures=1, breaker_reset=500) as container:
        await log_each(container, "a", "b", "c")
        began = anyio.current_time()
    assert anyio.current_time() == began
    assert sink.attempted == [["a"]]
    assert sink_account(container).failed == {"sink_error": 1, "breaker_open": 2}
    assert account(container).complete


async def test_sk19_a_stream_that_fills_while_the_breaker_is_open_drops_by_its_strategy() -> None:
    sink = FaultySink([TransientSinkError(), None], "sink")
    policy = {"attempts": 1, "breaker_failures": 1, "breaker_reset": 10, "queue_batches": 2, "batch_size": 1}
    async with make(sink, overflow_strategy="drop_oldest", **policy) as container:
        await log_each(container, *"abcdefgh")
        await anyio.sleep(11)
        assert sink.messages == ["b", "g", "h"]
    report = sink_account(container)
    assert report.failed == {"sink_error": 1}
    assert report.dropped == {"evicted": 4}


async def test_sk19_a_success_in_between_keeps_the_breaker_closed() -> None:
    sink = FaultySink([*[TransientSinkError(), TransientSinkError(), None] * 4, None], "sink")
    async with make(sink, attempts=1, breaker_failures=3) as container:
        await log_each(container, *"abcdefghijkl")
    assert sink_account(container).failed == {"sink_error": 8}
    assert sink.messages == ["c", "f", "i", "l"]


@given(
    steps=st.lists(st.tuples(st.sampled_from(("ask", "ok", "fail")), st.floats(0, 20)), max_size=60),
    failures=st.integers(1, 4),
)
def test_sk19_at_most_one_probe_is_out_at_once_and_only_after_the_reset(
    steps: list[tuple[str, float]], failures: int
) -> None:
    now = 0.0
    breaker = CircuitBreaker(failures, 10.0, lambda: now)
    out = 0
    opened: float | None = None
    in_a_row = 0
    for step, seconds in steps:
        now += seconds
        if step == "ask":
            allowed = breaker.allows()
            if opened is not None:
                assert allowed == (out == 0 and now >= opened + 10.0)
            else:
                assert allowed
            out += allowed
        elif out:
            probing = opened is not None
            out = 0 if probing else out - 1
            if step == "ok":
                breaker.succeeded()
                in_a_row, opened, out = 0, None, 0
            else:
                in_a_row += 1
                opens = in_a_row >= failures and opened is None
                assert breaker.failed() == opens
                if opens or probing:
                    opened, out = now, 0
        assert breaker.open == (opened is not None)


def test_sk19_a_second_probe_waits_for_the_outcome_of_the_first() -> None:
    now = 0.0
    breaker = CircuitBreaker(1, 10.0, lambda: now)
    assert breaker.failed()
    now = 10.0
    assert breaker.allows()
    assert not breaker.allows()
    breaker.failed()
    now = 20.0
    assert breaker.allows()


@given(opened=st.floats(0, 1e6), reset=st.floats(0, 86_400), naps=st.lists(st.floats(0, 100_000), max_size=3))
def test_sk19_who_waits_for_what_remains_may_probe(opened: float, reset: float, naps: list[float]) -> None:
    now = opened
    breaker = CircuitBreaker(1, reset, lambda: now)
    assert breaker.failed()
    for nap in naps:
        now += nap
    for _ in range(2):  # a sum of two times may fall short of the third by its last bit, and then once more is enough
        now += breaker.remaining()
    assert breaker.allows()


@given(attempt=st.integers(1, 10**7), first=st.floats(0, 86_400), longest=st.floats(0, 86_400), seed=st.integers(0, 99))
def test_sk22_a_backoff_never_leaves_its_bounds(attempt: int, first: float, longest: float, seed: int) -> None:
    import random

    backoff = Backoff(first, longest, random.Random(seed))
    assert 0 <= backoff.wait(attempt) <= backoff.bound(attempt) <= longest
    assert backoff.bound(1) == min(first, longest)
    assert backoff.bound(attempt) <= backoff.bound(attempt + 1)


async def test_sk22_a_million_attempts_end_at_once_when_the_container_does() -> None:
    sink = FaultySink([TransientSinkError()] * 200 + [None], "sink")
    async with make(sink, attempts=1_000_000, breaker_failures=1_000_000, backoff=3600, backoff_max=3600) as container:
        await log_each(container, "a")
        began = anyio.current_time()
    assert anyio.current_time() == began
    assert sink.messages == ["a"]
    assert account(container).complete


# -- the fallback


@pytest.mark.parametrize("method", ["flush", "aclose"])
async def test_sk4_a_sinks_last_flush_and_its_close_have_the_deadline_of_a_write(method: str) -> None:
    sink = AsyncSink(**{method: hang})
    async with make(sink, write_timeout=7) as container:
        await log_each(container, "a")
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(7)
    assert sink.calls[-1] == "aclose"
    assert account(container).complete


async def test_sk4_a_sinks_flush_has_the_deadline_of_a_write() -> None:
    async with make(AsyncSink(flush=hang), write_timeout=7) as container:
        await log_each(container, "a")
        report = await container.flush(100)
        assert report.elapsed == pytest.approx(7)
        assert (report.complete, report.pending) == (False, ("sink",))


async def test_sk20_what_a_fallback_has_no_room_for_is_counted_there() -> None:
    failing, fallback = FaultySink([PermanentSinkError()] * 5, "failing"), HeldSink("fallback")
    policy = {"queue_batches": 1, "write_timeout": 500}
    async with make(failing, fallback, failing={"fallback": "fallback"}, fallback=policy) as container:
        for message in "abcde":
            await log_each(container, message)
            await turns()
        fallback.gate.set()
    report = account(container)
    assert report.sinks["failing"].fallback_out == report.sinks["fallback"].fallback_in == 5
    assert report.sinks["fallback"].dropped == {"queue_full": 3}
    assert fallback.messages == ["a", "b"]


async def test_sk20_what_a_sink_cannot_deliver_goes_to_its_fallback_and_nothing_else_does() -> None:
    sink = FaultySink([None, PermanentSinkError("no"), None], "sink")
    other = RecordingSink("other")
    async with make(sink, other, sink={"fallback": "other"}) as container:
        await log_each(container, "a", "b", "c")
    assert sink.messages == ["a", "c"]
    assert other.messages == ["b"]
    assert other.events[0].sequence == 2
    report = account(container)
    assert report.sinks["sink"].fallback_out == report.sinks["other"].fallback_in == 1
    assert report.sinks["other"].routed == 0
    assert report.sinks["sink"].failed == {}


async def test_sk20_what_the_fallback_cannot_deliver_either_is_counted_there_and_told() -> None:
    sink = FaultySink([PermanentSinkError("first")], "sink")
    other = FaultySink([PermanentSinkError("second")], "other")
    async with make(sink, other, sink={"fallback": "other"}) as container:
        await log_each(container, "a", "b")
    report = account(container)
    assert report.sinks["sink"].fallback_out == 2
    assert report.sinks["other"].failed == {"permanent": 2}
    assert any("other" in message and "second" in message for _, message in container.told)


async def test_sk20_what_is_given_up_while_closing_still_reaches_the_fallback() -> None:
    sink = FaultySink([TransientSinkError()], "sink")
    other = FaultySink([slow(2)], "other")
    async with make(sink, other, sink={"fallback": "other", "attempts": 3, "backoff": 10}) as container:
        await log_each(container, "a", "b")
    report = account(container)
    assert report.complete
    assert other.messages == ["a", "b"]
    assert report.sinks["other"].delivered == 2


async def test_a_breaker_that_is_open_sends_everything_to_the_fallback_at_once() -> None:
    sink = FaultySink([TransientSinkError()], "sink")
    other = RecordingSink("other")
    async with make(sink, other, sink={"fallback": "other", "attempts": 1, "breaker_failures": 2}) as container:
        await log_each(container, *"abcdef")
        assert other.messages == list("abcdef")
    assert len(sink.attempted) == 2


async def test_a_flush_waits_for_the_fallback_as_well() -> None:
    async def fail_slowly(_: Batch) -> None:
        await anyio.sleep(1)
        raise PermanentSinkError

    sink = FaultySink([fail_slowly], "sink")
    other = FaultySink([slow(2)], "other")
    async with make(sink, other, sink={"fallback": "other"}) as container:
        await container.logger().info("a")
        flushed = await container.flush()
        assert flushed.complete
        assert other.messages == ["a"]
        assert other.flushes >= 1


# -- order while a batch waits for its next attempt


async def test_an_ordered_sink_holds_back_later_events_until_the_failed_ones_are_through() -> None:
    sink = FaultySink([TransientSinkError(), TransientSinkError(), None], "sink", ordered=True)
    async with make(sink, backoff=5, backoff_max=5, batch_size=1) as container:
        await log_each(container, "a", "b", "c")
        await until_done(container, 3)
    assert sink.messages == ["a", "b", "c"]
    assert sink.attempted == [["a"]] * 3 + [["b"], ["c"]]


async def test_an_unordered_sink_goes_on_with_later_events_meanwhile() -> None:
    sink = FaultySink([ThrottledSinkError(retry_after=5), None], "sink", ordered=False)
    async with make(sink, batch_size=1) as container:
        await log_each(container, "a", "b", "c")
        assert sink.messages == ["b", "c"]
        await until_done(container, 3)
    assert sink.messages == ["b", "c", "a"]
    assert sink.times[-1] - sink.times[0] >= 5


async def test_a_long_wait_of_one_batch_does_not_hold_up_the_retry_of_another() -> None:
    sink = FaultySink(
        [ThrottledSinkError(retry_after=50), ThrottledSinkError(retry_after=1), None], "sink", ordered=False
    )
    async with make(sink, batch_size=1) as container:
        await log_each(container, "a", "b")
        await anyio.sleep(2)
        assert sink.messages == ["b"]
        await anyio.sleep(50)
        assert sink.messages == ["b", "a"]


async def test_an_unordered_sink_sets_aside_a_bounded_number_of_batches() -> None:
    sink = FaultySink([ThrottledSinkError(retry_after=1)] * 30 + [None], "sink", ordered=False)
    async with make(sink, batch_size=1, attempts=100, breaker_failures=100) as container:
        await log_each(container, *(str(number) for number in range(30)))
        assert len(sink.attempted) < 15
        await until_done(container, 30)
    assert sorted(map(int, sink.messages)) == list(range(30))
    assert sink_account(container).delivered == 30


# -- batches


@pytest.mark.parametrize("batch_size", [1, 3, 10, 1000])
async def test_batches_are_merged_and_cut_to_the_sinks_size_in_order(batch_size: int) -> None:
    sink = HeldSink()
    async with make(sink, batch_size=batch_size, write_timeout=1000) as container:
        await log_each(container, "first")
        for number in range(40):  # each goes into the sink's stream by itself
            await log_each(container, str(number))
        for number in range(40, 60):  # and these together
            container.logger().nowait.info(str(number))
        await turns()
        sink.gate.set()
    assert sink.messages == ["first", *map(str, range(60))]
    assert all(len(batch) <= batch_size for batch in sink.batches)
    merged = [len(batch) for batch in sink.batches[1:]]
    # 40 batches of 1 and one of 20.
    assert (
        merged
        == {
            1: [1] * 60,
            3: [3] * 13 + [1] + [3] * 6 + [2],
            10: [10] * 6,
            1000: [60],
        }[batch_size]
    )
    assert [event.sequence for event in sink.events] == list(range(1, 62))


async def test_batch_linger_waits_for_company_and_no_longer_than_it_says() -> None:
    sink = RecordingSink("sink")
    async with make(sink, batch_size=4, batch_linger=1) as container:
        began = anyio.current_time()
        await log_each(container, "a")
        await anyio.sleep(0.4)
        await log_each(container, "b")
        await anyio.sleep(2)
        assert [[event.message for event in batch] for batch in sink.batches] == [["a", "b"]]
        assert sink.times == [pytest.approx(began + 1)]
        began = anyio.current_time()
        await log_each(container, *"cdef")  # as many as it takes: no wait
        await turns()
        assert sink.times[1:] == [pytest.approx(began)]
        await log_each(container, "g")
    assert sink.messages == list("abcdefg")
    assert sink.times[2] == pytest.approx(began), "closing does not wait for company"


@pytest.mark.untraced
@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
@pytest.mark.parametrize("strategy", ["block", "drop_oldest"])
async def test_nothing_is_lost_however_batches_meet_a_linger(batch_size: int, strategy: str) -> None:
    """Batches of 1 to 3 events are put into the sink's stream at once, in every combination."""
    from itertools import product

    for sizes in product((1, 2, 3), repeat=4):
        sink = RecordingSink("sink")
        async with make(sink, batch_size=batch_size, batch_linger=1, overflow_strategy=strategy) as container:
            (delivery,) = container.async_pipeline.deliveries
            await turns(3)
            number = 0
            for size in sizes:
                batch = [fapilog.LogEvent(str(number + position)) for position in range(size)]
                number += size
                container.metrics_collector.stages.created += size
                container.metrics_collector.stages.dispatched += size
                assert delivery.offer(Batch(batch, 0, {}), 0)
                if size == 1:
                    await turns(5)
            await anyio.sleep(20)
            assert sink.messages == [str(n) for n in range(number)]
        assert sink_account(container).delivered == number


# -- a sink that takes nothing


async def test_ov7_a_stalled_sink_costs_the_others_one_timeout() -> None:
    dead, well = HeldSink("dead"), RecordingSink("well")
    async with make(
        dead,
        well,
        dead={"block_timeout": 3, "queue_batches": 2, "write_timeout": 10_000, "batch_size": 1},
        settings={"block_timeout": 100},
    ) as container:
        began = anyio.current_time()
        for number in range(20):
            assert await container.logger().info(str(number))
            await until_taken(container)
        assert anyio.current_time() - began == pytest.approx(3, abs=0.5)
        assert well.messages == list(map(str, range(20)))
        counts = container.stats().sinks["dead"]
        assert counts.dropped == {"block_timeout": 1, "stalled": 16}
        # It takes a batch again, and from there on it blocks again.
        dead.gate.set()
        await turns(100)
        dead.gate = anyio.Event()
        began = anyio.current_time()
        for number in range(20, 25):
            assert await container.logger().info(str(number))
            await until_taken(container)
        assert anyio.current_time() - began == pytest.approx(3, abs=0.5)
        dead.gate.set()
    report = account(container)
    assert report.sinks["well"].delivered == 25
    assert report.sinks["dead"].dropped == {"block_timeout": 2, "stalled": 17}
    assert len(dead.messages) == 6


async def until_taken(container: AsyncLoggingContainer) -> None:
    """Let time pass until everything has left the intake and the stages."""
    with anyio.fail_after(1000):
        while container.stats().in_flight or container.stats().dispatched < container.stats().submitted:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        while any(scope_waits(delivery) for delivery in container.async_pipeline.deliveries):  # noqa: ASYNC110
            await anyio.sleep(0.01)


def scope_waits(delivery: Any) -> bool:
    """Return whether the fan-out waits for this sink: it routed events that are nowhere yet."""
    entered = delivery._stream.entered
    counted = delivery.counts
    return bool(counted.routed - sum(counted.dropped.values()) > entered)


@pytest.mark.parametrize(
    "strategy, kept, reason",
    [
        ("drop_oldest", ["0", "17", "18", "19"], "evicted"),
        ("drop_newest", ["0", "1", "2", "3"], "queue_full"),
        ("raise", ["0", "1", "2", "3"], "queue_full"),
    ],
)
async def test_a_sinks_own_strategy_decides_what_its_full_stream_drops(
    strategy: str, kept: list[str], reason: str
) -> None:
    dead, well = HeldSink("dead"), RecordingSink("well")
    policy = {"overflow_strategy": strategy, "queue_batches": 3, "batch_size": 1, "write_timeout": 1000}
    async with make(dead, well, dead=policy) as container:
        began = anyio.current_time()
        await log_each(container, *(str(number) for number in range(20)))
        assert anyio.current_time() == began
        dead.gate.set()
    report = account(container)
    assert dead.messages == kept
    assert report.sinks["dead"].dropped == {reason: 16}
    assert well.messages == [str(number) for number in range(20)]


async def test_a_sink_that_is_not_required_drops_rather_than_blocks() -> None:
    dead = HeldSink()
    async with make(dead, required=False, queue_batches=1, batch_size=1, write_timeout=1000) as container:
        began = anyio.current_time()
        await log_each(container, *"abcdef")
        assert anyio.current_time() == began
        dead.gate.set()
    assert dead.messages == ["a", "b"]
    assert sink_account(container).dropped == {"queue_full": 4}


@pytest.mark.parametrize(
    "step",
    [
        OSError("broken"),
        PermanentSinkError("broken"),
        SystemExit(1),
        ThrottledSinkError(retry_after=10**6),
        never,
        lambda batch: "garbage",
        lambda batch: False,
    ],
    ids=["raises", "permanent", "exits", "throttled", "hangs", "garbage", "false"],
)
async def test_sk1_one_broken_sink_of_three_leaves_the_others_as_they_were(step: Any) -> None:
    broken = FaultySink([step], "broken")
    others = [RecordingSink("one"), RecordingSink("three")]
    async with make(
        others[0],
        broken,
        others[1],
        broken={"write_timeout": 2, "queue_batches": 1, "block_timeout": 0.5, "attempts": 2},
        settings={"shutdown_timeout": 100},
    ) as container:
        for number in range(50):
            assert await container.logger().info(str(number))
            await anyio.sleep(0.01)
    report = account(container)
    for sink in others:
        assert sink.messages == [str(number) for number in range(50)]
        assert report.sinks[sink.metadata.name].delivered == 50
    assert report.sinks["broken"].delivered == 0
    assert report.sinks["broken"].routed == 50
    assert not report.dropped and not report.rejected


async def test_sk21_a_mistake_in_the_delivery_itself_is_counted_and_the_task_goes_on() -> None:
    sink, other = RecordingSink("sink"), RecordingSink("other")
    async with make(sink, other, batch_size=2) as container:
        delivery = container.async_pipeline.deliveries[0]
        attempt, calls = delivery._attempt, []

        async def crash(write: Any) -> Any:
            calls.append(write)
            if len(calls) == 1:
                raise RuntimeError("a mistake of ours")
            return await attempt(write)

        delivery._attempt = crash  # type: ignore[method-assign]
        for message in "abcde":
            container.logger().nowait.info(message)
        await turns()
        await log_each(container, "f")
        assert container.stats().sinks["sink"].in_flight == 0
    report = account(container)
    assert report.complete
    assert report.sinks["sink"].failed == {"internal_error": 5}
    assert sink.messages == ["f"]
    assert other.messages == list("abcdef")
    assert any("a mistake of ours" in message for _, message in container.told)


async def test_sk21_a_mistake_during_a_probe_does_not_leave_the_sink_alone_for_ever() -> None:
    sink = FaultySink([TransientSinkError(), None], "sink")
    async with make(sink, attempts=1, breaker_failures=1, breaker_reset=10) as container:
        delivery = container.async_pipeline.deliveries[0]
        await log_each(container, "a")
        await anyio.sleep(11)
        attempt = delivery._attempt

        async def crash(write: Any) -> Any:
            raise RuntimeError

        delivery._attempt = crash  # type: ignore[method-assign]
        await log_each(container, "b")
        delivery._attempt = attempt  # type: ignore[method-assign]
        await anyio.sleep(11)
        await log_each(container, "c")
    assert sink.messages == ["c"]


# -- flushing


async def test_a_flush_cuts_backoff_and_linger_short() -> None:
    sink = FaultySink([TransientSinkError(), None], "sink", ordered=True)
    waiting = RecordingSink("waiting")
    async with make(
        sink,
        waiting,
        sink={"backoff": 500, "backoff_max": 500},
        waiting={"batch_linger": 300, "batch_size": 1000},
        settings={"batch_linger": 30},
    ) as container:
        await log_each(container, "a")
        began = anyio.current_time()
        await container.logger().info("b")
        flushed = await container.flush()
        assert flushed.complete and not flushed.pending
        assert anyio.current_time() - began < 1
        assert sink.messages == waiting.messages == ["a", "b"]
        assert sink.flushes == waiting.flushes == 1
        # Afterwards both wait as before.
        await log_each(container, "c")
        await anyio.sleep(100)
        assert waiting.messages == ["a", "b"]


async def test_a_flush_of_an_unordered_sink_waits_for_what_it_has_set_aside() -> None:
    sink = FaultySink([ThrottledSinkError(retry_after=50), None], "sink", ordered=False)
    async with make(sink, batch_size=1) as container:
        await log_each(container, "a", "b")
        assert sink.messages == ["b"]
        began = anyio.current_time()
        assert (await container.flush()).complete
        assert anyio.current_time() - began < 1
        assert sink.messages == ["b", "a"]


async def test_ov12_a_flush_ends_while_producers_never_stop() -> None:
    sink = FaultySink([slow(0.02)], "sink")
    stop = False

    async def flood(log: fapilog.AsyncLogger) -> None:
        number = 0
        while not stop:
            for _ in range(7):
                log.nowait.info("flood", number=number)
                number += 1
            await anyio.sleep(0.012)  # a little more than the sink takes

    # Batches of 7 do not fill the sink's 10, so there is always one on its way.
    async with (
        make(sink, batch_size=10, settings={"queue_max_size": 1000, "overflow_strategy": "drop_newest"}) as container,
        anyio.create_task_group() as producers,
    ):
        producers.start_soon(flood, container.logger())
        await anyio.sleep(1)
        container.logger().nowait.info("mark")
        flushed = await container.flush(60)
        stop = True
        assert flushed.complete
        assert "mark" in sink.messages
        assert container.stats().in_flight + container.stats().sinks["sink"].in_flight > 0
        assert sink.flushes == 1


async def test_a_flush_whose_time_is_up_names_the_sinks_that_had_not_finished() -> None:
    sink, well = HeldSink(), RecordingSink("well")
    async with make(sink, well, write_timeout=1000) as container:
        await container.logger().info("a")
        began = anyio.current_time()
        flushed = await container.flush(2)
        assert not flushed.complete
        assert flushed.pending == ("sink",)
        assert anyio.current_time() - began == flushed.elapsed == pytest.approx(2)
        sink.gate.set()
        assert (await container.flush(2)).complete


async def test_several_flushes_at_once_all_end() -> None:
    sink = FaultySink([slow(1)], "sink")
    async with make(sink) as container:
        reports = []

        async def flush(message: str) -> None:
            await container.logger().info(message)
            reports.append(await container.flush())
            assert message in sink.messages

        async with anyio.create_task_group() as group:
            for message in "abcdef":
                group.start_soon(flush, message)
                await anyio.sleep(0.3)
    assert len(reports) == 6 and all(report.complete for report in reports)


async def test_a_flush_that_is_cancelled_loses_nothing() -> None:
    sink = HeldSink()
    async with make(sink, write_timeout=1000) as container:
        await container.logger().info("a")
        with anyio.move_on_after(1) as scope:
            await container.flush()
        assert scope.cancelled_caught
        sink.gate.set()
        await container.logger().info("b")
    assert sink.messages == ["a", "b"]
    assert account(container).complete


# -- the deadline of the drain


class ClosingSink(FaultySink):
    """Takes a moment to close."""

    async def aclose(self) -> None:
        await anyio.sleep(0.1)
        await super().aclose()


async def test_sk10_a_sink_whose_write_is_cut_off_by_the_deadline_is_still_closed() -> None:
    sink = ClosingSink([never], "sink")
    async with make(sink, settings={"shutdown_timeout": 1, "block_timeout": 1}, write_timeout=100) as container:
        await log_each(container, "a")
    assert sink.closed == 1
    assert sink_account(container).abandoned == {"deadline": 1}


async def shielded(_: Batch) -> None:
    """Wait longer than any test, and let nobody end that."""
    with anyio.CancelScope(shield=True):
        await anyio.sleep(100)


async def test_sk4_a_write_that_shields_itself_is_closed_and_the_next_one_succeeds() -> None:
    sink = FaultySink([shielded, None], "sink")
    async with make(sink, write_timeout=1, batch_size=1) as container:
        await log_each(container, "a", "b")
        assert (await container.flush(3)).complete
        assert anyio.current_time() < 2
    assert sink.messages == ["b"]
    assert sink_account(container).failed == {"timeout": 1}


async def test_sk4_the_deadline_does_not_take_a_write_that_has_timed_out_for_one_under_way() -> None:
    # The write is being closed from 1.0 to 1.15, and what then still runs is cancelled 0.15 after the deadline.
    sink = FaultySink([shielded], "sink")
    async with make(sink, settings={"shutdown_timeout": 0.95, "block_timeout": 0.5}, write_timeout=1) as container:
        await log_each(container, "a")
    report = sink_account(container)
    assert (report.failed, report.outcome_unknown, report.abandoned) == ({"timeout": 1}, 1, {})


async def test_what_a_direct_sink_refuses_for_good_is_not_written_again() -> None:
    """Also where the sink's task is passed over."""
    written: list[int] = []

    def refusing(batch: Batch) -> None:
        written.append(len(batch))
        raise PartialWriteError({0: PermanentSinkError("no")})

    refusing.blocking = False  # type: ignore[attr-defined]
    async with AsyncLoggingContainer({}, sinks=[refusing]) as container:
        await anyio.wait_all_tasks_blocked()
        for _ in range(2):
            container.logger().nowait.info("a")
        await container.flush()
    assert written == [2]
    report = container.report
    assert report is not None
    (sink,) = report.sinks.values()
    assert (sink.delivered, sink.failed) == (1, {"permanent": 1})
