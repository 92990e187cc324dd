"""The log call in C does what the log call in Python does: each call here is made both ways."""

from __future__ import annotations

import gc
import inspect
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog import AsyncLogger, AsyncLoggingContainer, LogEvent, NowaitLogger, OverflowStrategy
from fapilog._accelerated import accelerator
from fapilog.event import Ambient, Record
from fapilog.levels import Threshold
from fapilog.pipeline.awaitables import Decided
from fapilog.pipeline.backend import _TrioRunContext
from fapilog.pipeline.intake import Intake
from fapilog.pipeline.linger import Linger
from fapilog.plugins import Batch
from fapilog.scopes import Scope
from fapilog.testing import RecordingSink
from fapilog.testing.clock import run_in_virtual_time
from sinks import HELD, HeldSink, account, hold, quiet, turns

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(accelerator is None, reason="the package was built without a C compiler"),
]

WAYS = ("C", "Python")
LEVELS = ("debug", "info", "warning", "error", "critical", "exception")


def method(face: type, name: str, way: str) -> Callable[..., Any]:
    """Return a method of the class in C, or the function in Python that it leaves calls to."""
    found = getattr(face, name)
    assert type(found).__name__ == "LogMethod"
    return found if way == "C" else found.__wrapped__


def content(event: LogEvent) -> dict[str, Any]:
    names = ("message", "level", "severity", "fields", "context", "tags", "metrics", "task", "logger", "exception")
    found = {name: getattr(event, name) for name in names}
    if found["exception"]:  # the two calls stand in different lines
        found["exception"] = {"type": found["exception"]["type"], "message": found["exception"]["message"]}
    return found


class Text(str):
    """A text that is no plain one."""

    __slots__ = ()


def made(name: str) -> str:
    """Return an equal text that is another object, and not interned."""
    return bytes(name, "ascii").decode()


VALUES = [
    "text", "", "\ud800", 0, -1, 2**100, 1.5, float("nan"), True, None, datetime(2026, 1, 1, tzinfo=UTC),
    date(2026, 1, 1), time(1), UUID(int=7), b"bytes", [1, 2], {"a": 1}, Decimal("1.5"), object, len, Text("subclass"),
    lambda: 3, ValueError("x"),
]  # fmt: skip
PLAIN_NAMES = ("user", "status", "self", "message")
NAMES = (*PLAIN_NAMES, "exc_info", "tags", "metrics", "severity", "a b", "", "ä", "\ud800")
MESSAGES = ("request done", "", Text("subclass"), 7, None, b"bytes")


def calls(names: tuple[str, ...], messages: tuple[Any, ...], most: int) -> st.SearchStrategy[tuple[Any, Any]]:
    fields = st.dictionaries(st.sampled_from(names), st.sampled_from(VALUES), max_size=most)
    return st.tuples(st.sampled_from(messages), fields)


# One thing at a time that is not plain, and many.
@given(
    level=st.sampled_from(LEVELS),
    call=st.one_of(calls(PLAIN_NAMES, MESSAGES[:1], 1), calls(NAMES, MESSAGES[:2], 2), calls(NAMES, MESSAGES, 8)),
)
def test_a_call_makes_the_same_event_in_both_ways(level: str, call: tuple[Any, dict[str, Any]]) -> None:
    message, fields = call
    sink = RecordingSink("sink")
    results = []

    async def main() -> None:
        async with fapilog.container({"level": "DEBUG"}, sinks=[sink]) as log:
            bound = log.bind(bound=1).named("api")
            with bound.context(request_id="r-1"):
                for way in WAYS:
                    results.append(await method(AsyncLogger, level, way)(bound, message, **fields))
                    results.append(method(NowaitLogger, level, way)(bound.nowait, message, **fields))

    run_in_virtual_time("asyncio", main)
    assert results == [True] * 4
    in_c, nowait_in_c, in_python, nowait_in_python = map(content, sink.events)
    # By their repr, for nan is not equal to itself.
    assert repr(in_c) == repr(nowait_in_c) == repr(in_python) == repr(nowait_in_python)


@pytest.mark.parametrize("name", [Text("user"), made("user"), made("severity")])
async def test_keywords_made_at_run_time_are_told_from_the_events_own(name: str) -> None:
    sink = RecordingSink("sink")
    async with fapilog.container(sinks=[sink]) as log:
        for way in WAYS:
            await method(AsyncLogger, "info", way)(log, "event", **{name: 7})
    in_c, in_python = map(content, sink.events)
    assert in_c == in_python
    assert in_c["severity" if name == "severity" else "fields"] == (7 if name == "severity" else {"user": 7})


@pytest.mark.parametrize("arguments", [(), ("a", "b")], ids=["none", "two"])
async def test_a_wrong_call_says_the_same(arguments: tuple[str, ...]) -> None:
    async with fapilog.container(sinks=[RecordingSink("sink")]) as log:
        said = []
        for way in WAYS:
            with pytest.raises(TypeError) as raised:
                method(AsyncLogger, "info", way)(log, *arguments)
            said.append(str(raised.value))
    assert said[0] == said[1]
    assert said[0].startswith("AsyncLogger.info() ")


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_is_counted_wherever_it_is_made(way: str) -> None:
    info, nowait = method(AsyncLogger, "info", way), method(NowaitLogger, "info", way)
    sink = RecordingSink("sink")

    def log_inside(event: LogEvent) -> bool:
        assert nowait(event_log.nowait, "inside") is False
        return True

    container = AsyncLoggingContainer({"on_incomplete": "ignore"}, sinks=[sink], filters=[log_inside])
    event_log = container.logger()
    quiet(container)
    assert nowait(event_log.nowait, "before") is False
    async with container as entered:
        log = entered.logger()
        assert await method(AsyncLogger, "debug", way)(log, "disabled") is False
        assert await info(log, "one", number=1)
        # While the loop's thread waits here, a call on it would find room and be done at once.
        assert log._intake.limit
        thread = threading.Thread(target=nowait, args=(log.nowait, "two"))
        thread.start()
        thread.join()
        assert len(log._intake.door.records) == 1
        await log.flush()
    assert nowait(log.nowait, "after") is False
    account(container)
    assert sink.messages == ["one", "two"]
    assert dict(container.stats().rejected) == {"not_started": 1, "reentrant": 2, "closed": 1}


@pytest.mark.virtual_time
@pytest.mark.parametrize("strategy", list(OverflowStrategy), ids=str)
@pytest.mark.parametrize("way", WAYS)
async def test_ov1_ov2_every_call_into_a_full_queue_is_counted_once(way: str, strategy: OverflowStrategy) -> None:
    info, nowait = method(AsyncLogger, "info", way), method(NowaitLogger, "info", way)
    sink = HeldSink()
    settings = {"queue_max_size": 50, "overflow_strategy": strategy, "block_timeout": 0.5, "batch_linger": 0}
    container = AsyncLoggingContainer({**settings, "plugin_config": {"sink": HELD}}, sinks=[sink])
    quiet(container)
    says: list[bool] = []
    async with container:
        log = container.logger()
        await hold(container)
        before = container.stats()
        says += [nowait(log.nowait, "event", number=number) for number in range(60)]
        for number in range(60, 90):
            try:
                says.append(await info(log, "event", number=number))
            except fapilog.QueueFull:
                says.append(False)
            # An error has room of its own, and the calls after it have none still.
            if number == 70:
                assert await log.error("an error")
        during = container.stats()
        assert container.metrics_collector.snapshot().queue_depth <= 50
        sink.gate.set()
    report = account(container)
    room = 45
    assert during.submitted - before.submitted == 91
    if strategy is OverflowStrategy.DROP_OLDEST:
        assert says == [True] * 90
        assert sink.values("number") == list(range(90 - room, 90))
        assert report.dropped["evicted"] == 90 - room
    else:
        assert says == [True] * room + [False] * (90 - room)
        assert sink.values("number") == list(range(room))
        lost = sum(report.dropped.values()) + report.rejected.get("queue_full", 0)
        assert lost == 90 - room
    assert ("queue_full" in report.rejected) == (strategy is OverflowStrategy.RAISE)


async def test_calls_are_accepted_again_as_soon_as_there_is_room() -> None:
    sink = HeldSink()
    settings = {"queue_max_size": 10, "overflow_strategy": "drop_newest", "batch_linger": 0}
    container = AsyncLoggingContainer({**settings, "plugin_config": {"sink": HELD}}, sinks=[sink])
    quiet(container)
    async with container:
        log = container.logger()
        await hold(container)
        while log.nowait.info("filling"):
            pass
        assert not log.nowait.info("refused")
        sink.gate.set()
        await log.flush()
        assert log.nowait.info("accepted")
    account(container)
    assert sink.messages[-1] == "accepted"


async def test_a_finalizer_that_logs_while_an_event_is_made_loses_nothing() -> None:
    sink = RecordingSink("sink")
    finalized = accepted = 0

    class Garbage:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            nonlocal finalized, accepted
            finalized += 1
            accepted += log.nowait.info("finalized", number=-1)

    container = AsyncLoggingContainer({"queue_max_size": 20_000}, sinks=[sink])
    async with container:
        log = container.logger()
        thresholds = gc.get_threshold()
        gc.set_threshold(3)
        try:
            for number in range(2000):
                Garbage()
                await log.info("event", number=number, text="x", part=0.5)
        finally:
            gc.set_threshold(*thresholds)
            gc.collect()
    assert finalized == 2000
    assert [number for number in sink.values("number") if number >= 0] == list(range(2000))
    assert sink.values("number").count(-1) == accepted
    # Some strike in the sink's own code.
    assert account(container).rejected.get("reentrant", 0) == finalized - accepted < 100


async def test_the_garbage_collector_looks_through_no_plain_event_that_waits() -> None:
    async with AsyncLoggingContainer({"sinks": ["null"]}) as container:
        log, chunk = container.logger(), container.async_pipeline.intake.chunk
        with log.context(request_id="r-1"):
            log.nowait.info("event", number=1)
        record = chunk[0]
        assert record[2:4] == ("event", (("number",), 1))
        assert not any(map(gc.is_tracked, (record, record[3], record[5], record[5].values)))


@pytest.mark.parametrize("in_span", [False, True])
async def test_no_event_outlives_a_container_whose_sink_hangs(in_span: bool) -> None:
    async def hanging(batch: Batch) -> None:
        await anyio.sleep_forever()

    async def main() -> list[weakref.ref[UUID]]:
        values = [UUID(int=number) for number in range(10)]
        container = AsyncLoggingContainer({"shutdown_timeout": 0.01}, sinks=[hanging])
        quiet(container)
        async with container:
            log = container.logger()
            with log.context(request_id="r-1"), log.span("work") if in_span else nullcontext():
                for value in values:
                    await log.info("event", value=value)
                    await turns()
        report = container.report
        assert report is not None and report.sinks["hanging"].delivered == 0
        return list(map(weakref.ref, values))

    values = await main()
    await turns()  # the event loop keeps what it has just run
    gc.collect()
    assert [value() for value in values] == [None] * 10


async def test_a_call_keeps_nothing_but_its_event() -> None:
    async with fapilog.container({"sinks": ["null"]}) as log:
        intake, name = log._intake, "a name that only this test has"
        ambient = log._variable.get()
        message, value = made("message"), 12345.678
        watched: list[Any] = [log, intake, ambient, log._origin, log._variable, message, value, intake.refused]

        def counts() -> list[int]:
            return [sys.getrefcount(one) for one in watched]

        calls: list[Callable[[], Any]] = [
            lambda: log.info(message, value=value),
            lambda: log.debug(message, value=value),
            lambda: log.nowait.info(message, value=value, **{name: value}),
            lambda: log.info(message, value=value, tags={"a": "b"}),
            lambda: log.error(message, value=value),
        ]
        for call in calls:
            call()
        await log.flush()
        before = counts()
        for _ in range(20):
            for call in calls:
                call()
        await log.flush()
        assert counts() == before


async def test_a_logger_without_its_parts_raises_and_does_not_crash() -> None:
    async with fapilog.container(sinks=[RecordingSink("sink")]) as log:
        for part in ("_threshold", "_intake", "_variable", "_origin"):
            broken = log.bind()
            delattr(broken, part)
            with pytest.raises(AttributeError):
                broken.info("event")
            setattr(broken, part, "something else")
            with pytest.raises(AttributeError):
                broken.named("also").info("event") if part == "_origin" else broken.info("event")
        with pytest.raises(AttributeError):
            AsyncLogger.info("no logger", "event")  # type: ignore[call-arg, arg-type]


async def test_the_method_is_to_be_looked_at_like_a_function() -> None:
    async with fapilog.container(sinks=[RecordingSink("sink")]) as log:
        assert (log.info.__name__, log.info.__qualname__) == ("info", "AsyncLogger.info")  # type: ignore[attr-defined]
        assert log.info.__doc__ is not None and log.info.__doc__.startswith("Log an event at INFO")
        assert list(inspect.signature(log.info).parameters) == ["message", "fields"]
        assert repr(AsyncLogger.info).startswith("<function AsyncLogger.info")
        assert log.info == log.info


@pytest.mark.parametrize("accepted", [True, False])
async def test_what_a_call_returns_may_be_awaited_any_number_of_times(accepted: bool) -> None:
    assert accelerator is not None
    for decided in (accelerator.Decided(accepted), Decided(accepted)):
        assert [await decided, await decided] == [accepted, accepted]
        with pytest.raises(StopIteration) as stopped:
            next(decided.__await__())
        assert stopped.value.value is accepted


async def test_a_plain_call_wakes_the_worker_without_asking_the_intake(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Record] = []
    admitted = Intake._try_admit

    def ask(intake: Intake, record: Record, /) -> bool:
        asked.append(record)
        return admitted(intake, record)

    monkeypatch.setattr(Intake, "_try_admit", ask)
    sink = RecordingSink("sink")
    async with fapilog.container({"batch_linger": 5}, sinks=[sink]) as log:
        await turns(5)  # until the worker waits
        assert log.nowait.info("wakes it")
        await turns(5)
        assert sink.messages == ["wakes it"]
        for _ in range(2):
            assert log.nowait.info("lingers")
        await turns(5)
        assert sink.messages == ["wakes it"]
        assert not asked
        log.nowait.error("error")
        assert [record[2] for record in asked] == ["error"]
        await turns(5)
        assert sink.messages == ["wakes it", "lingers", "lingers", "error"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_has_no_frames_left_while_it_wakes_the_worker_leaves_that_to_the_next(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    info, awaited = method(NowaitLogger, "info", way), method(AsyncLogger, "info", way)

    def no_frames(alarm: object) -> None:
        raise RecursionError

    sink = RecordingSink("sink")
    async with fapilog.container({"batch_linger": 0}, sinks=[sink]) as log:
        for call in (partial(info, log.nowait), partial(awaited, log)):
            await turns(5)  # until the worker waits
            with monkeypatch.context() as struck:
                struck.setattr(type(log._intake._idle_workers[0]), "wake", no_frames)
                result = call("first")
            assert result if call.func is info else await result
            await turns(5)
            assert sink.messages[-1:] != ["first"]
            call("second")
            await turns(5)
            assert sink.messages[-2:] == ["first", "second"]


async def test_what_a_thread_logs_is_overtaken_by_no_call_that_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = RecordingSink("sink")
    async with fapilog.container(sinks=[sink]) as log:

        def log_in_thread(message: str) -> None:
            thread = threading.Thread(target=log.nowait.info, args=[message])
            thread.start()
            thread.join()

        def begin(linger: Linger) -> float | None:
            log_in_thread("third, while the worker is woken")
            return None

        monkeypatch.setattr(Linger, "begin", begin)
        await turns(5)  # until the worker waits
        log_in_thread("first, before it is woken")
        assert log.nowait.info("second")
        assert log.nowait.info("fourth")
    assert [message.split(",")[0] for message in sink.messages[:4]] == ["first", "second", "third", "fourth"]


def test_the_calls_are_made_for_classes_with_the_slots_they_look_into() -> None:
    assert accelerator is not None

    class Without:
        pass

    with pytest.raises(AttributeError, match="_threshold"):
        accelerator.Calls(Without, Threshold, Ambient, Scope, None, (), ())
    with pytest.raises(TypeError, match="level"):
        accelerator.Calls(AsyncLogger, type("Other", (), {"level": 7}), Ambient, Scope, None, (), ())
    with pytest.raises(AttributeError, match="scope"):
        accelerator.Calls(AsyncLogger, Threshold, Without, Scope, None, (), ())
    with pytest.raises(AttributeError, match="plain"):
        accelerator.Calls(AsyncLogger, Threshold, Ambient, Without, None, (), ())
    calls = accelerator.Calls(AsyncLogger, Threshold, Ambient, Scope, None, (), ())
    with pytest.raises(AttributeError, match="accepted"):
        calls.meet_intake(Without)
    with pytest.raises(TypeError, match="is no class"):
        calls.meet_intake(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moved", [False, True], ids=["as it is", "moved"])
def test_the_task_is_found_should_trio_keep_it_elsewhere(way: str, moved: bool) -> None:
    names: list[str] = []

    def keep(batch: Batch) -> None:
        names.extend(event.task for event in batch.events)

    async def main() -> None:
        async with AsyncLoggingContainer(sinks=[keep]) as container:
            log = container.logger().nowait
            if moved:
                log._intake.run_context = _TrioRunContext()
            call = partial(method(NowaitLogger, "info", way), log)

            class BetweenTwoTasks(trio.abc.Instrument):
                def before_io_wait(self, timeout: float) -> None:
                    call("between two tasks")
                    trio.lowlevel.remove_instrument(self)

            call("in a task")
            trio.lowlevel.add_instrument(BetweenTwoTasks())
            await trio.testing.wait_all_tasks_blocked()

    trio.run(main)
    assert names == [f"{__name__}.{main.__qualname__}", ""]
