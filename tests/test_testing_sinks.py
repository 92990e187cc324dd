"""The sinks for tests: what they keep, what they say of it, and faults that are the same for the same seed."""

from __future__ import annotations

import math
import re
from typing import Any

import anyio
import pytest

import fapilog
from fapilog import LogEvent, PartialWriteError, PermanentSinkError, TransientSinkError
from fapilog.plugins import Batch
from fapilog.testing import (
    CapturedLogs,
    Fault,
    FaultySink,
    HostedContainer,
    PlainFaultySink,
    PlainRecordingSink,
    RecordingSink,
)
from fapilog.testing.faults import KINDS
from sinks import account, in_thread

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def batch_of(*events: LogEvent) -> Batch:
    return Batch(list(events), 1, {})


# -- recording


@pytest.mark.parametrize("kind", [RecordingSink, PlainRecordingSink])
async def test_everything_written_is_kept_in_order(kind: type[Any]) -> None:
    sink = kind()
    async with fapilog.container({"batch_linger": 0}, sinks=[sink]) as log:
        await log.info("first", order=1, user="ann")
        await log.flush()
        await anyio.sleep(5)
        await log.warning("second", order=2)
    assert sink.messages == ["first", "second"]
    assert [[event.message for event in batch] for batch in sink.batches] == [["first"], ["second"]]
    assert sink.fields == [{"order": 1, "user": "ann"}, {"order": 2}]
    assert sink.values("order") == [1, 2]
    assert sink.values("user") == ["ann"]
    assert sink.times[1] - sink.times[0] == 5
    assert (sink.flushes, sink.closed) == (2, 1)
    assert repr(sink) == f"<{kind.__name__} 'recording' with 2 events>"
    sink.clear()
    assert sink.events == [] == sink.times


async def test_a_plain_sink_may_run_in_a_thread() -> None:
    sink = PlainRecordingSink()
    await in_thread(lambda: sink.write(batch_of(LogEvent("a"))))
    assert math.isnan(sink.times[0])


async def test_events_are_found_by_what_they_are_like() -> None:
    sink = PlainRecordingSink()
    failed = LogEvent("failed", "ERROR", exception={"type": "ValueError"}, logger="shop.cart", metrics={"ms": 1.5})
    sink.write(batch_of(LogEvent("order 1", fields={"a": 1, "b": 2}, tags={"t": "x"}), failed))
    first, second = sink.events
    assert sink.find() == [first, second]
    assert sink.find("order 1") == sink.find(re.compile(r"order \d")) == sink.find(fields={"a": 1}) == [first]
    assert sink.find(level="error") == sink.find(logger="shop.cart") == sink.find(exception="ValueError") == [second]
    assert sink.find(tags={"t": "x"}) == sink.find(logger="") == [first]
    assert sink.find(metrics={"ms": 1.5}) == [second]
    assert sink.find("order") == sink.find(fields={"a": 2}) == sink.find("failed", level="INFO") == []
    with pytest.raises(ValueError, match="'LOUD' is no level"):
        sink.find(level="LOUD")


# -- assertions


def captured(*events: LogEvent) -> CapturedLogs:
    logs = CapturedLogs()
    logs.write(batch_of(*events))
    return logs


async def test_what_was_logged_is_asserted_and_returned() -> None:
    event = LogEvent("slow", "WARNING", tags={"team": "pay", "zone": "b"}, context={"request": 1})
    logs = captured(LogEvent("x"), event, event.copy())
    assert logs.assert_logged("slow", level="WARNING", tags={"team": "pay"}, context={"request": 1}) is event
    logs.assert_logged("slow", times=2)
    logs.assert_nothing_logged("fast")
    logs.assert_nothing_logged(level="ERROR")
    with pytest.raises(AssertionError, match=r"2 events were logged with message 'slow', not 1:\n  WARNING 'slow'"):
        logs.assert_logged("slow", times=1)
    with pytest.raises(ValueError, match="times is 0"):
        logs.assert_logged("slow", times=0)


async def test_a_failed_assertion_shows_the_nearest_events_and_what_is_wrong_with_them() -> None:
    logs = captured(
        LogEvent("unlike anything"),
        LogEvent("slow query", "INFO", fields={"ms": 7, "table": "a"}, tags={"team": "pay"}),
        *[LogEvent(f"zzz {number}", "DEBUG") for number in range(20)],
    )
    with pytest.raises(AssertionError) as caught:
        logs.assert_logged("slow query!", level="WARNING", fields={"ms": 9}, tags={"team": "pay"}, exception="OSError")
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "no event was logged with message 'slow query!', level WARNING, exception OSError, "
        "fields {'ms': 9}, tags {'team': 'pay'}; nearest:"
    )
    assert lines[1].startswith("  2. INFO 'slow query' fields={")
    assert lines[2:6] == [
        "       the message is another one",
        "       level is INFO, not WARNING",
        "       exception is none",
        "       fields['ms'] is 7, not 9",
    ]
    assert lines[-1] == "  ... of 22 events"
    with pytest.raises(AssertionError, match="nothing was logged at all"):
        captured().assert_logged("x")


async def test_that_nothing_was_logged_shows_what_was() -> None:
    logs = captured(LogEvent("fine"), LogEvent("bad", "ERROR"), LogEvent("worse", "CRITICAL"))
    with pytest.raises(AssertionError) as caught:
        logs.assert_nothing_logged(level="ERROR")
    assert str(caught.value) == ("2 events were logged with level ERROR or above:\n  ERROR 'bad'\n  CRITICAL 'worse'")
    with pytest.raises(AssertionError, match="3 events were logged with anything"):
        logs.assert_nothing_logged()


async def test_what_is_on_its_way_cannot_be_said_not_to_have_been_logged() -> None:
    logs = CapturedLogs()
    async with logs.container({"level": "DEBUG"}, sinks=[RecordingSink()]) as log:
        log.nowait.info("a")
        with pytest.raises(AssertionError, match=r"cannot be told yet\n1 more events are on their way; await"):
            logs.assert_nothing_logged("a")
        with pytest.raises(AssertionError, match="1 more events are on their way"):
            logs.assert_logged("a")
        await log.flush()
        logs.assert_nothing_logged("b")
    logs.assert_logged("a")


async def test_what_hangs_at_another_sink_is_none_of_its_business() -> None:
    logs = CapturedLogs()
    async with logs.container({"shutdown_timeout": 1, "on_incomplete": "ignore"}, sinks=[FaultySink(["hang"])]) as log:
        log.nowait.info("a")
        await anyio.sleep(1)
        logs.assert_nothing_logged("b")


# -- a container in a task of its own


async def test_a_hosted_container_is_left_by_any_task() -> None:
    hosted, sink = None, RecordingSink()

    async def enter() -> None:
        nonlocal hosted
        hosted = HostedContainer(fapilog.AsyncLoggingContainer(sinks=[sink]))
        with (await hosted.__aenter__()).entered():
            await fapilog.current_logger().info("a")

    async with anyio.create_task_group() as group:
        group.start_soon(enter)
    assert hosted is not None
    async with anyio.create_task_group() as group:
        group.start_soon(hosted.__aexit__, None, None, None)
    assert sink.messages == ["a"]
    assert account(hosted.container).complete


async def test_what_a_hosted_container_raises_is_raised_where_it_is_waited_for() -> None:
    class Failing(RecordingSink):
        async def start(self) -> None:
            raise OSError("no")

    with pytest.raises(fapilog.PluginError, match="OSError: no"):
        async with HostedContainer(fapilog.AsyncLoggingContainer(sinks=[Failing()])):
            raise AssertionError("it did not start")
    settings = {"shutdown_timeout": 1, "on_incomplete": "raise", "plugin_config": {"faulty": {"write_timeout": 60}}}
    with pytest.raises(fapilog.DrainIncomplete):
        async with HostedContainer(fapilog.AsyncLoggingContainer(settings, sinks=[FaultySink(["hang"])])) as container:
            await container.logger().info("a")


async def test_a_hosted_container_whose_start_is_cancelled_is_ended() -> None:
    class Slow(RecordingSink):
        async def start(self) -> None:
            await anyio.sleep(3)

    container = fapilog.AsyncLoggingContainer(sinks=[Slow()])
    with anyio.move_on_after(1):
        async with HostedContainer(container):
            raise AssertionError("it cannot have started")
    await anyio.sleep(5)
    assert account(container).complete


# -- faults


CHANCES = {kind: 0.08 for kind in KINDS if kind not in ("ok", "hang")}


async def run_faulty(seed: int, **options: Any) -> tuple[FaultySink, fapilog.DrainReport]:
    sink = FaultySink(seed=seed, **options)
    policy = {"attempts": 4, "batch_size": 7, "breaker_failures": 1000, "write_timeout": 2}
    settings = {"shutdown_timeout": 1e4, "batch_linger": 0, "plugin_config": {"faulty": policy}}
    container = fapilog.AsyncLoggingContainer(settings, sinks=[sink])
    container._diagnostics._write = lambda line: None
    async with container:
        for number in range(150):
            await container.logger().info(f"event {number}")
            await anyio.sleep(0.01)
    return sink, account(container)


@pytest.mark.parametrize("seed", range(5))
async def test_sk2_the_account_agrees_with_what_landed_under_every_fault(seed: int) -> None:
    sink, report = await run_faulty(seed, chances={**CHANCES, "hang": 0.02})
    sink.assert_agrees(report)
    assert report.complete
    assert report.sinks["faulty"].delivered > 20
    assert len(set(sink.faults)) > 6, "there were faults of many kinds"


async def test_the_same_seed_does_the_same_and_another_one_does_not() -> None:
    runs = [(await run_faulty(seed, chances=CHANCES))[0] for seed in (3, 3, 4)]
    assert runs[0].faults[:20] == runs[1].faults[:20] != runs[2].faults[:20]


async def write_each(sink: FaultySink | PlainFaultySink, number: int) -> list[Any]:
    """Write two events *number* times; return what each write returned or raised."""
    found: list[Any] = []
    for _ in range(number):
        try:
            result = sink.write(batch_of(LogEvent("a", sequence=1), LogEvent("b", sequence=2)))
            found.append(await result if hasattr(result, "__await__") else result)
        except BaseException as error:
            found.append(error)
    return found


@pytest.mark.parametrize("kind", [FaultySink, PlainFaultySink])
async def test_each_fault_does_what_its_name_says(kind: type[Any]) -> None:
    partial = {1: PermanentSinkError("too large")}
    sink = kind(
        [
            "transient", "permanent", Fault.throttled(7), "error", "exit", "lost_answer",
            Fault.partial(partial), "corrupt", False, KeyError("mine"), PartialWriteError([0]), "ok",
        ]
    )  # fmt: skip
    results = await write_each(sink, 13)
    assert [type(result).__name__ for result in results] == [
        "TransientSinkError", "PermanentSinkError", "ThrottledSinkError", "OSError", "SystemExit", "OSError",
        "PartialWriteError", "bytes", "bool", "KeyError", "PartialWriteError", "NoneType", "NoneType",
    ]  # fmt: skip
    assert results[2].retry_after == 7
    assert results[6].failed == partial
    assert sink.landed == ["a", "b", "a", "b", "a", "b", "a", "b"]
    assert sink.attempted == [["a", "b"]] * 13
    assert [attempt.landed for attempt in sink.attempts] == [0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 1, 2, 2]
    assert [attempt.acknowledged for attempt in sink.attempts] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 2]
    assert sink.attempts[0].outcome == "TransientSinkError: not now"
    assert sink.attempts[-1].outcome == "returned"


async def test_waiting_takes_time_on_the_event_loops_clock() -> None:
    sink = FaultySink([Fault.delay(3600), "hang"])
    await write_each(sink, 1)
    assert anyio.current_time() - sink.times[0] == pytest.approx(3600)
    with anyio.move_on_after(5) as scope:
        await sink.write(batch_of(LogEvent("c")))
    assert scope.cancelled_caught
    assert sink.landed == ["a", "b"]
    assert sink.attempts[-1].outcome.startswith("Cancel")


async def test_a_step_of_a_script_may_be_a_function_of_either_sort() -> None:
    async def later(batch: Batch) -> bool:
        await anyio.sleep(1)
        return False

    def fail(batch: Batch) -> None:
        raise TransientSinkError(f"{len(batch)} events")

    results = await write_each(FaultySink([later, fail, lambda batch: None]), 3)
    assert results[0] is False
    assert str(results[1]) == "2 events"
    assert results[2] is None


async def test_what_a_report_says_wrongly_is_told() -> None:
    sink = FaultySink(["ok", "lost_answer", "ok"])
    await write_each(sink, 3)
    async with fapilog.container(sinks=[FaultySink(["ok"])]) as log:
        await log.info("one")
    report = log.container.stats()
    assert sink.disagreements(report) == [
        "reported 1 delivered; the sink told success for 4 events",
        "reported 0 duplicates; 4 events landed once more than needed",
    ]
    with pytest.raises(AssertionError, match=r"seed 0; last writes: ok -> returned, lost_answer -> OSError"):
        sink.assert_agrees(report.sinks["faulty"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"chances": {"transent": 0.1}}, "'transent'; did you mean 'transient'"),
        ({"chances": {"error": 1.5}}, "the chance of 'error' is 1.5"),
        ({"chances": {"error": 0.7, "hang": 0.7}}, "add up to 1.4"),
        ({"script": ["nonsense"]}, "no kind of fault is called 'nonsense'"),
        ({"script": []}, "the script is empty"),
        ({"script": ["ok"], "chances": {}}, "exclude each other"),
    ],
)
async def test_faults_that_there_are_not_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        FaultySink(**arguments)


async def test_a_plain_sink_cannot_wait() -> None:
    for arguments in ({"script": ["hang"]}, {"chances": {"delay": 0.1}}):
        with pytest.raises(ValueError, match="would hold the event loop; use FaultySink"):
            PlainFaultySink(**arguments)
