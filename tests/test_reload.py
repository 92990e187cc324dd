"""Reloading: traffic moves from one pipeline to another, and every event stays accounted for."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fapilog
from checkpoints import Steps, run_counted
from fapilog import (
    AsyncLoggingContainer,
    ConfigurationError,
    PluginMetadata,
    PluginRegistry,
    PluginType,
)
from fapilog.errors import ContainerStateError, PluginError
from fapilog.plugins import Batch
from fapilog.reports import ReloadReport
from fapilog.testing.clock import Backend
from schedules import Schedule, make, run
from sinks import HeldSink, account, turns, until
from support import AsyncSink, Step, fail, hang, own_threads, shield, swallow


async def log_all(log: Any, messages: Sequence[str]) -> None:
    for message in messages:
        await log.info(message)


def numbered(prefix: str, number: int) -> list[str]:
    return [f"{prefix}{index}" for index in range(number)]


# -- the switch


async def test_cf11_what_was_logged_before_the_switch_is_the_old_pipelines_and_the_rest_the_new_ones() -> None:
    old, new, both = AsyncSink("old"), AsyncSink("new"), AsyncSink("both")
    async with AsyncLoggingContainer({}, sinks=[old, both]) as container:
        log = container.logger("shop").bind(user=1)
        for message in numbered("a", 700):
            log.nowait.info(message)
        report = await container.reload({}, sinks=[new, both])
        for message in numbered("b", 700):
            log.nowait.info(message)
    assert old.messages == numbered("a", 700)
    assert new.messages == numbered("b", 700)
    assert both.messages == numbered("a", 700) + numbered("b", 700)
    assert old.calls.count("aclose") == new.calls.count("aclose") == both.calls.count("aclose") == 1
    assert both.calls.count("start") == 1, "what is the same object in both is kept open"
    assert (report.generation, report.complete, report.dispatched) == (2, True, 700)
    assert {name: sink.delivered for name, sink in report.sinks.items()} == {"old": 700, "both": 700}
    whole = account(container)
    assert whole.submitted == whole.dispatched == 1400
    assert {name: sink.delivered for name, sink in whole.sinks.items()} == {"old": 700, "both": 1400, "new": 700}


async def test_the_numbers_of_the_events_go_on_without_a_gap() -> None:
    seen: list[int] = []

    def sink(batch: Batch) -> None:
        seen.extend(event.sequence for event in batch)

    async with AsyncLoggingContainer({}, sinks=[sink]) as container:
        for _ in range(4):
            await log_all(container.logger(), numbered("", 50))
            await container.reload({})
        await log_all(container.logger(), numbered("", 50))
    assert seen == list(range(1, 251))


async def test_the_numbers_at_a_sink_with_a_route_go_on_as_long_as_the_route_stays() -> None:
    seen: list[int] = []

    class Errors(AsyncSink):
        async def write(self, batch: Batch) -> None:
            seen.extend(event.sink_sequence for event in batch)

    def routed(level: str) -> dict[str, Any]:
        return {"plugin_config": {"errors": {"route": {"level": level}}}}

    errors = Errors("errors")
    async with AsyncLoggingContainer(routed("error"), sinks=[errors, AsyncSink("all")]) as container:
        log = container.logger()
        for level in ("error", "error", "critical"):
            await log.error("one")
            await log.critical("two")
            await container.reload(routed(level))
        await log.critical("three")
    assert seen == [1, 2, 3, 4, 5, 6, 1]


async def test_levels_and_the_call_site_switch_at_once_for_the_loggers_there_are() -> None:
    sink = AsyncSink()
    async with AsyncLoggingContainer({"level": "INFO"}, sinks=[sink]) as container:
        log, quiet = container.logger("api").bind(a=1), container.logger("noise")
        await log.debug("too low")
        await container.reload({"level": "DEBUG", "levels": {"noise": "ERROR"}, "callsite": True})
        assert log.is_enabled("DEBUG")
        assert not quiet.is_enabled("WARNING")
        await log.debug("now")
        await container.reload({"level": "WARNING"})
        await log.info("too low again")
        assert container.settings.level == "WARNING"
    assert sink.messages == ["now"]
    assert account(container).submitted == 1


async def test_a_capacity_and_a_strategy_are_the_new_settings_own() -> None:
    sink = AsyncSink()
    async with AsyncLoggingContainer({"queue_max_size": 1000, "reserved_for_errors": 0}, sinks=[sink]) as container:
        log = container.logger().nowait
        await container.reload({"queue_max_size": 8, "reserved_for_errors": 0, "overflow_strategy": "drop_newest"})
        assert sum(log.info(message) for message in numbered("", 100)) == 8
        await container.flush()
        await container.reload({"queue_max_size": 500, "reserved_for_errors": 0})
        assert sum(log.info(message) for message in numbered("", 600)) == 500
        assert container.metrics_collector.snapshot().queue_capacity == 500
    report = account(container)
    assert report.dropped == {"queue_full": 192}
    assert report.created == 2, "the losses are told once each"
    assert report.sinks["sink"].delivered == 508 + 2


async def test_a_caller_that_waits_for_room_gets_in_when_a_reload_makes_room() -> None:
    held = HeldSink()
    policy = {"sink": {"queue_batches": 1, "block_timeout": 3600, "write_timeout": 3600}}
    small = {"queue_max_size": 8, "reserved_for_errors": 0, "block_timeout": 60, "shutdown_timeout": 100}
    async with (
        AsyncLoggingContainer({**small, "plugin_config": policy}, sinks=[held]) as container,
        anyio.create_task_group() as group,
    ):
        log = container.logger()
        group.start_soon(log_all, log, numbered("", 40))
        waiting = container.async_pipeline.intake._waiting.waiters
        await until(lambda: held.waiting)
        await turns(100)
        assert waiting, "nothing moves any more"
        group.start_soon(
            partial(container.reload, {**small, "queue_max_size": 100, "plugin_config": policy}),
        )
        await until(lambda: not waiting)
        held.gate.set()
    assert [event.message for event in held.events] == numbered("", 40)
    assert account(container).dropped == {}


async def test_the_call_site_is_added_from_the_switch_on() -> None:
    sites: list[bool] = []

    def sink(batch: Batch) -> None:
        sites.extend("callsite" in event.context for event in batch)

    async with AsyncLoggingContainer({}, sinks=[sink]) as container:
        log = container.logger()
        await log.info("without")
        await container.reload({"callsite": True})
        await log.info("with")
        await container.reload({})
        await log.info("without")
    assert sites == [False, True, False]


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3)])
async def test_another_number_of_workers_wakes_for_a_single_event(before: int, after: int) -> None:
    sink = AsyncSink()
    async with AsyncLoggingContainer({"max_workers": before, "batch_linger": 0}, sinks=[sink]) as container:
        await container.reload({"max_workers": after, "batch_linger": 0})
        for number in range(3):
            await turns()
            container.logger().nowait.info("one")
            await until(lambda number=number: len(sink.messages) == number + 1)
    assert account(container).dispatched == 3


async def test_what_many_reloads_leave_behind_is_bounded() -> None:
    sink = AsyncSink()
    async with AsyncLoggingContainer({}, sinks=[sink]) as container:
        for _ in range(30):
            await container.logger().info("x")
            await container.reload({})
        assert len(container.metrics_collector.pipelines) == 2
        assert container.async_pipeline._predecessor is None
        snapshot = container.metrics_collector.snapshot()
        assert snapshot.write_seconds["sink"].total == 30
    assert account(container).sinks["sink"].delivered == 30
    assert own_threads() == []


async def test_a_call_that_is_awaited_after_a_reload_was_never_told_as_lost() -> None:
    held = HeldSink()
    told: list[object] = []
    call: Any = None
    policy = {"sink": {"queue_batches": 1, "block_timeout": 3600, "write_timeout": 3600}}
    settings = {"queue_max_size": 8, "reserved_for_errors": 0, "block_timeout": 60, "shutdown_timeout": 100}
    settings["plugin_config"] = policy  # type: ignore[assignment]
    async with (
        AsyncLoggingContainer(settings, sinks=[held], on_loss=told.append) as container,
        anyio.create_task_group() as group,
    ):
        log = container.logger()
        while container.stats().dropped.get("not_awaited", 0) == 0:
            await turns(3)
            call = log.info("x")
        group.start_soon(partial(container.reload, settings))
        await until(lambda: container.async_pipeline.generation == 2)
        held.gate.set()
        await until(lambda: container._generations.succession is None)
        assert await call
    assert told == []
    report = account(container)
    assert report.dropped == {}
    assert report.created == 0


@pytest.mark.virtual_time
async def test_a_flush_of_a_pipeline_that_has_ended_meanwhile_does_not_wait_for_it() -> None:
    async with AsyncLoggingContainer({}, sinks=[AsyncSink("old")]) as container:
        old = container.async_pipeline
        await container.reload({}, sinks=[AsyncSink("new")])
        began = anyio.current_time()
        assert (await old.flush(60)).complete
        assert anyio.current_time() == began


async def test_what_redactors_have_hidden_is_counted_on_from_one_to_the_next() -> None:
    def settings(depth: int) -> dict[str, Any]:
        return {"redactors": ["redact"], "plugin_config": {"redact": {"deepest": depth}}}

    async with AsyncLoggingContainer(settings(10), sinks=[AsyncSink()]) as container:
        for depth in range(11, 15):
            await container.logger().info("a", password="x")
            await container.flush()
            assert container.metrics_collector.snapshot().redacted == {"redact": {"name:password": depth - 10}}
            await container.reload(settings(depth))
    assert container.metrics_collector.snapshot().redacted == {"redact": {"name:password": 4}}


# -- what is kept


class Counting:
    """A filter with a state."""

    metadata = PluginMetadata(name="counting", version="1", plugin_type=PluginType.FILTER)

    def __init__(self) -> None:
        self.seen = 0

    def keep(self, event: fapilog.LogEvent) -> bool:
        self.seen += 1
        return True


async def test_a_plugin_of_the_same_name_and_settings_is_kept_and_another_one_is_made_anew() -> None:
    registry = PluginRegistry()
    registry.register(Counting)
    settings: dict[str, Any] = {
        "sinks": ["memory", "other=memory"],
        "filters": ["counting"],
        "plugin_config": {"other": {"max_events": 10}},
    }
    async with AsyncLoggingContainer(settings, plugin_registry=registry) as container:
        before = container.async_pipeline.plugins
        settings["plugin_config"] = {"other": {"max_events": 20}, "memory": {"write_timeout": 9}}
        await container.reload(settings)
        after = container.async_pipeline.plugins
        assert after.sinks[0].plugin is before.sinks[0].plugin, "only the pipeline treats it otherwise"
        assert after.sinks[0].policy.write_timeout == 9
        assert after.sinks[1].plugin is not before.sinks[1].plugin
        assert after.filters[0].plugin is before.filters[0].plugin
        assert len(container.plugin_registry._loaded) == 3, "those of the pipeline that runs"


async def test_without_settings_a_reload_reads_again_what_the_container_was_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "fapilog.toml"
    file.write_text('sinks = ["null"]\nlevel = "INFO"\n')
    async with AsyncLoggingContainer(file) as container:
        file.write_text('sinks = ["null"]\nlevel = "DEBUG"\n')
        await container.reload()
        assert container.settings.level == "DEBUG"
    monkeypatch.setenv("FAPILOG_SINKS", "null")
    async with AsyncLoggingContainer() as container:
        monkeypatch.setenv("FAPILOG_LEVEL", "error")
        await container.reload()
        assert container.settings.level == "ERROR"


async def test_a_file_under_other_settings_has_every_line_once_whole_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.log"

    def settings(mode: int) -> dict[str, Any]:
        return {"sinks": ["file"], "plugin_config": {"file": {"path": str(path), "slow_write": mode / 100}}}

    async with AsyncLoggingContainer(settings(1)) as container:
        for round_ in range(5):
            for number in range(300):
                container.logger().nowait.info("line", number=round_ * 300 + number, padding="x" * 200)
            await container.reload(settings(round_ + 2))
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["fields"]["number"] for line in lines] == list(range(1500))
    assert account(container).sinks["file"].delivered == 1500


# -- what goes wrong


async def test_cf11_wrong_settings_leave_everything_as_it_is() -> None:
    sink = AsyncSink()
    async with AsyncLoggingContainer({"level": "DEBUG", "source": "shop"}, sinks=[sink]) as container:
        pipeline = container.async_pipeline
        for wrong, path in (
            ({"level": "loud", "source": "shop"}, "level"),
            ({"sinks": ["fil"], "source": "shop"}, "sinks[0]"),
            ({"source": "other"}, "source"),
            ("no/such.toml", "settings"),
        ):
            with pytest.raises(ConfigurationError) as caught:
                await container.reload(wrong)
            assert [problem.path for problem in caught.value.problems] == [path]
        with pytest.raises(PluginError, match="is no list"):
            await container.reload({"source": "shop"}, sinks=AsyncSink())  # type: ignore[arg-type]
        assert container.async_pipeline is pipeline
        await container.logger().debug("still here")
    assert sink.messages == ["still here"]
    assert account(container).sinks.keys() == {"sink"}


@pytest.mark.virtual_time
async def test_cf11_a_sink_that_does_not_start_leaves_the_old_pipeline_and_closes_what_had_started() -> None:
    old, good = AsyncSink("old"), AsyncSink("good")
    for bad, said in (
        (AsyncSink("bad", start=fail(OSError("no such host"))), "no such host"),
        (AsyncSink("bad", start=hang), "no answer|timed out|in time|5"),
    ):
        async with AsyncLoggingContainer({}, sinks=[old]) as container:
            await container.logger().info("before")
            with pytest.raises(PluginError, match=said):
                await container.reload({}, sinks=[good, bad, old])
            assert old.calls.count("aclose") == 0
            assert good.calls[-2:] == ["start", "aclose"]
            await container.logger().info("after")
        assert old.messages[-2:] == ["before", "after"]
        assert account(container).complete
        old.calls.clear()
        good.calls.clear()
    assert own_threads() == []


@pytest.mark.virtual_time
async def test_an_old_sink_that_hangs_is_given_up_at_its_deadline_and_counted(
    capfd: pytest.CaptureFixture[str],
) -> None:
    old, new = AsyncSink("old", write=hang), AsyncSink("new")
    reports: list[Any] = []
    settings = {"shutdown_timeout": 3, "plugin_config": {"old": {"write_timeout": 1000}}}
    async with AsyncLoggingContainer(settings, sinks=[old]) as container:
        await log_all(container.logger(), numbered("a", 10))
        began = anyio.current_time()
        async with anyio.create_task_group() as group:

            async def reload() -> None:
                reports.append(await container.reload({}, sinks=[new]))

            group.start_soon(reload)
            await until(lambda: container.async_pipeline.generation == 2)
            await log_all(container.logger(), numbered("b", 10))
            await until(lambda: len(new.messages) == 10)
            assert anyio.current_time() == began, "the new one does not wait for a sink that is none of its own"
        assert 3 <= anyio.current_time() - began < 4
        assert not reports[0].complete
        assert reports[0].sinks["old"].abandoned == {"deadline": 10}
    assert "the pipeline that a reload replaced did not finish" in capfd.readouterr().err
    assert new.messages == numbered("b", 10)
    assert account(container).sinks["old"].abandoned == {"deadline": 10}
    assert container.report is not None and container.report.complete


@pytest.mark.virtual_time
async def test_a_plugin_that_hangs_does_not_hold_the_events_that_wait_behind_it() -> None:
    async def stuck(event: fapilog.LogEvent) -> bool:
        await anyio.sleep_forever()
        return True

    sink = AsyncSink()
    settings = {"shutdown_timeout": 2, "plugin_timeout": 1000}
    async with AsyncLoggingContainer(settings, sinks=[sink], filters=[stuck]) as container:
        for message in numbered("", 2000):
            container.logger().nowait.info(message)
        await container.reload({}, filters=[])
        container.logger().nowait.info("last")
    report = account(container)
    lost = sum(report.abandoned.values())
    assert 0 < lost < 2001
    assert sink.messages == [*numbered("", 2000)[lost:], "last"], "what no worker had taken goes the new way, in order"


async def test_a_sink_that_had_not_started_is_started_by_a_reload_and_not_closed_by_the_old_pipeline() -> None:
    sink = AsyncSink("flaky")
    failures = [OSError("not yet")]

    async def start() -> None:
        if failures:
            raise failures.pop()

    sink.steps["start"] = start
    settings = {"plugin_config": {"flaky": {"required": False}}}
    async with AsyncLoggingContainer(settings, sinks=[sink]) as container:
        await container.logger().info("lost")
        await container.reload(settings)
        assert "aclose" not in sink.calls
        await container.logger().info("there")
    assert sink.messages == ["there"]
    assert sink.calls.count("aclose") == 1
    assert account(container).sinks["flaky"].failed == {"not_started": 1}
    assert own_threads() == []


async def test_a_reload_is_refused_where_there_is_nothing_to_reload() -> None:
    container = AsyncLoggingContainer({}, sinks=[AsyncSink()])
    with pytest.raises(ContainerStateError, match="was not entered"):
        await container.reload()
    raised: list[BaseException] = []

    async def meddle(batch: Batch) -> None:
        try:
            await container.reload()
        except ContainerStateError as error:
            raised.append(error)

    container = AsyncLoggingContainer({}, sinks=[meddle])
    async with container:
        await container.logger().info("x")
        await container.flush()
        assert "a plugin cannot reload" in str(raised[0])
    with pytest.raises(ContainerStateError, match="is being left"):
        await container.reload()


async def test_a_reload_is_given_up_when_a_plugin_closes_the_container() -> None:
    async def close(batch: Batch) -> None:
        await container.aclose()

    starting, starts = anyio.Event(), anyio.Event()
    new = AsyncSink("new")

    async def start() -> None:
        starting.set()
        await starts.wait()

    new.steps["start"] = start
    refused: list[str] = []

    async def reload() -> None:
        try:
            await container.reload({}, sinks=[new])
        except ContainerStateError as error:
            refused.append(str(error))

    async with AsyncLoggingContainer({}, sinks=[close]) as container, anyio.create_task_group() as group:
        group.start_soon(reload)
        await starting.wait()
        await container.logger().info("close it")
        await until(lambda: container.report is not None)
        starts.set()
    assert [error.rpartition("; ")[2] for error in refused] == ["nothing was changed"]
    assert new.messages == []
    assert account(container).complete


async def test_a_reload_goes_on_from_what_the_one_before_it_has_given() -> None:
    first, second = AsyncSink("first"), AsyncSink("second")
    async with AsyncLoggingContainer({}, sinks=[first]) as container, anyio.create_task_group() as group:
        group.start_soon(partial(container.reload, {}, sinks=[second]))
        await until(lambda: container._generations.succession is not None)
        await container.reload({"level": "DEBUG"})
        assert [sink.plugin for sink in container.async_pipeline.plugins.sinks] == [second]
    assert second.calls.count("start") == second.calls.count("aclose") == 1


async def test_reloads_come_one_after_another() -> None:
    sinks = [AsyncSink(f"s{number}") for number in range(6)]
    generations: list[int] = []
    async with AsyncLoggingContainer({}, sinks=[sinks[0]]) as container:

        async def reload(sink: AsyncSink) -> None:
            generations.append((await container.reload({}, sinks=[sink])).generation)

        async with anyio.create_task_group() as group:
            for sink in sinks[1:]:
                group.start_soon(reload, sink)
            await log_all(container.logger(), numbered("", 500))
    assert generations == [2, 3, 4, 5, 6]
    assert sorted((message for sink in sinks for message in sink.messages), key=int) == numbered("", 500)
    assert [sink.calls.count("start") for sink in sinks] == [sink.calls.count("aclose") for sink in sinks] == [1] * 6
    assert account(container).dispatched == 500


@pytest.mark.virtual_time
async def test_a_program_that_is_cancelled_lets_the_old_pipeline_run_dry() -> None:
    """Its drain waits for what a reload has begun, under the same deadline."""

    async def slowly() -> None:
        await anyio.sleep(1)

    old, new = AsyncSink("old", write=slowly), AsyncSink("new")
    container = AsyncLoggingContainer({"shutdown_timeout": 5}, sinks=[old])
    with anyio.CancelScope() as program:
        async with container, anyio.create_task_group() as group:
            container.logger().nowait.info("a")
            group.start_soon(partial(container.reload, {"shutdown_timeout": 5}, sinks=[new]))
            await until(lambda: container.async_pipeline.generation == 2)
            container.logger().nowait.info("b")
            program.cancel()
    report = account(container)
    assert report.complete
    assert (old.messages, new.messages) == (["a"], ["b"])
    assert report.sinks["old"].delivered == report.sinks["new"].delivered == 1


@pytest.mark.virtual_time
@pytest.mark.parametrize("where", ["the new one starts", "the old one runs dry"])
async def test_leaving_during_a_reload_leaves_nothing_behind(where: str) -> None:
    starting = where == "the new one starts"
    old = AsyncSink("old") if starting else AsyncSink("old", write=hang)
    new = AsyncSink("new", start=hang) if starting else AsyncSink("new")
    problems: list[BaseException] = []
    settings = {"shutdown_timeout": 2, "plugin_config": {"old": {"write_timeout": 1000}}, "on_incomplete": "ignore"}
    container = AsyncLoggingContainer(settings, sinks=[old])
    async with anyio.create_task_group() as group:
        async with container:
            container.logger().nowait.info("a")

            async def reload() -> None:
                try:
                    await container.reload({"on_incomplete": "ignore"}, sinks=[new])
                except ContainerStateError as error:
                    problems.append(error)

            group.start_soon(reload)
            await until(lambda: new.calls and (starting or container.async_pipeline.generation == 2))
            container.logger().nowait.info("b")
            began = anyio.current_time()
        assert anyio.current_time() - began < 6
    report = account(container)
    assert report.in_flight == 0
    if starting:
        assert old.messages == ["a", "b"]
        assert "was left before the reload" in str(problems[0])
        assert report.complete
    else:
        assert new.messages == ["b"]
        assert report.sinks["old"].abandoned == {"deadline": 1}
    assert (old.calls[-1], new.calls[-1]) == ("aclose", "aclose") or starting
    assert own_threads() == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("step", [hang, shield, swallow])
async def test_a_replaced_pipeline_that_had_time_left_ends_with_the_container_and_is_counted_once(step: Step) -> None:
    closed: list[None] = []
    ended: list[ReloadReport] = []

    async def close() -> None:
        await anyio.sleep(0.1)  # which a sink may take when its time is over
        closed.append(None)

    old, new = AsyncSink("old", write=step, aclose=close), AsyncSink("new")
    patient = {"shutdown_timeout": 60, "plugin_config": {"old": {"write_timeout": 1000}}}
    hasty = {"shutdown_timeout": 2, "on_incomplete": "ignore"}
    async with anyio.create_task_group() as group:
        async with AsyncLoggingContainer(patient, sinks=[old]) as container:
            await container.logger().info("a")

            async def reload() -> None:
                ended.append(await container.reload(hasty, sinks=[new]))

            group.start_soon(reload)
            await until(lambda: container.async_pipeline.generation == 2)
            await container.logger().info("b")
            began = anyio.current_time()
        assert 2 <= anyio.current_time() - began < 3
        assert len(closed) == 1
        report = account(container)
    assert report.sinks["old"].abandoned == {"deadline": 1}
    assert 2 <= ended[0].elapsed < 3
    assert container.stats() == report, "also what ends after the container has changes nothing"
    assert own_threads() == []


@pytest.mark.virtual_time
async def test_a_sink_that_hangs_in_a_replaced_pipeline_holds_up_no_other_as_the_container_is_left() -> None:
    stuck, old, new = AsyncSink("stuck", write=hang), AsyncSink("old"), AsyncSink("new")
    policy = {"queue_batches": 1, "block_timeout": 1000, "write_timeout": 1000}
    patient = {"shutdown_timeout": 60, "batch_linger": 0, "plugin_config": {"stuck": policy}}
    hasty = {"shutdown_timeout": 2, "on_incomplete": "ignore"}
    async with anyio.create_task_group() as group, AsyncLoggingContainer(patient, sinks=[stuck, old]) as container:
        for message in numbered("a", 10):
            await container.logger().info(message)
            await turns()
        group.start_soon(partial(container.reload, hasty, sinks=[new]))
        await until(lambda: container.async_pipeline.generation == 2)
        await container.logger().info("b")
    assert old.messages == numbered("a", 10)
    assert new.messages == ["b"]
    assert account(container).sinks["old"].delivered == 10


@pytest.mark.parametrize("turn", range(20))
async def test_a_reload_that_was_given_up_does_not_take_over_afterwards(turn: int) -> None:
    """It is given up so many turns of the event loop after the last sink was let start."""
    old, new = AsyncSink("old"), AsyncSink("new")
    new.steps["start"] = (gate := anyio.Event()).wait
    async with AsyncLoggingContainer({}, sinks=[old]) as container, anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        generations: list[int] = []

        async def reload() -> None:
            with scope:
                await container.reload({}, sinks=[new])
            generations.append(container.async_pipeline.generation)

        group.start_soon(reload)
        await until(lambda: "start" in new.calls)
        await turns()
        gate.set()
        await turns(turn)
        scope.cancel()
        await until(lambda: generations)
        await until(lambda: container._generations.succession is None)
        assert generations == [container.async_pipeline.generation]
        await container.logger().info("last")
    assert (new if generations == [2] else old).messages == ["last"]


async def test_a_flush_during_a_reload_waits_for_the_old_sinks_as_well() -> None:
    old, new = HeldSink("old"), AsyncSink("new")
    flushed: list[bool] = []
    async with AsyncLoggingContainer({}, sinks=[old]) as container, anyio.create_task_group() as group:
        await container.logger().info("a")
        group.start_soon(partial(container.reload, {}, sinks=[new]))
        await until(lambda: container.async_pipeline.generation == 2)
        await container.logger().info("b")

        async def flush() -> None:
            flushed.append((await container.flush()).complete)

        group.start_soon(flush)
        await until(lambda: "flush" in new.calls or new.messages)
        await turns()
        assert flushed == []
        old.gate.set()
        await until(lambda: flushed)
        assert flushed == [True]
        assert [event.message for event in old.events] == ["a"]


async def test_a_flush_that_began_before_the_switch_ends() -> None:
    old, new = HeldSink("old"), AsyncSink("new")
    flushed: list[bool] = []
    async with AsyncLoggingContainer({}, sinks=[old]) as container, anyio.create_task_group() as group:
        await container.logger().info("a")

        async def flush() -> None:
            flushed.append((await container.flush()).complete)

        group.start_soon(flush)
        await until(lambda: old.waiting)
        group.start_soon(partial(container.reload, {}, sinks=[new]))
        await until(lambda: container.async_pipeline.generation == 2)
        old.gate.set()
        await until(lambda: flushed)
    assert flushed == [True]


# -- at every checkpoint


async def struck_reload(steps: Steps, strike: str, step: int) -> int:
    """Log, reload and log, the reload being struck at one step of the event loop; return how many steps there were.

    What is struck is the scope of the caller, or natively the caller's task or the reload's own.
    """
    old, new, kept = AsyncSink("old"), AsyncSink("new"), AsyncSink("kept")

    async def start() -> None:
        await anyio.lowlevel.checkpoint()
        new.calls.append("started")

    new.steps["start"] = start
    scope = anyio.CancelScope()
    logged: list[str] = []

    begun: list[str] = []

    def cancel_natively() -> None:
        # Not before its first step, where a task cannot catch it, and AnyIO cancels everything around it.
        if container._generations.succession is not None and container._generations.succession.has_begun:
            begun.append("fapilog reload")
        for task in steps.tasks:
            # Nor from inside its own last step: no other task can strike there.
            if task.get_name() == strike and strike in begun and task is not asyncio.current_task():
                task.cancel()

    async with AsyncLoggingContainer({}, sinks=[old, kept]) as container:
        log = container.logger()
        before = steps.number
        steps.at[before + step] = [scope.cancel if strike == "scope" else cancel_natively]

        async def produce() -> None:
            for number in range(40):
                await log.info(str(number))
                logged.append(str(number))
                await anyio.lowlevel.checkpoint()

        async def reload() -> None:
            begun.append("caller")
            with scope, suppress(ContainerStateError):
                await container.reload({}, sinks=[new, kept])

        async with anyio.create_task_group() as group:
            group.start_soon(produce)
            group.start_soon(reload, name="caller")
        await until(lambda: container._generations.succession is None)
        number = steps.number - before
        switched = container.async_pipeline.generation == 2
        assert [plugin.name for plugin in container.async_pipeline.plugins.sinks][1] == "kept"
        await log.info("last")
        logged.append("last")
    report = account(container)
    assert report.complete
    lost = sum(report.abandoned.values()) + sum(sum(sink.abandoned.values()) for sink in report.sinks.values())
    if strike != "fapilog reload":
        assert lost == 0
        assert kept.messages == old.messages + new.messages == logged
    else:  # it ends the old pipeline's drain, as a second interrupt does
        assert [message for message in logged if message in kept.messages] == kept.messages
        assert lost or kept.messages == logged
    assert ("last" in new.messages) is switched
    assert kept.calls.count("start") == kept.calls.count("aclose") == 1
    assert old.calls.count("aclose") == 1
    assert new.calls.count("aclose") == ("started" in new.calls), "closed if, and only if, it had started"
    assert own_threads() == []
    return number


@pytest.mark.parametrize(
    ("backend", "strike"),
    [("trio", "scope"), ("asyncio", "scope"), ("asyncio", "caller"), ("asyncio", "fapilog reload")],
)
def test_cx1_cx2_a_reload_struck_at_any_checkpoint_leaves_exactly_one_pipeline(backend: Backend, strike: str) -> None:
    total = step = 1
    while step <= total:
        steps = Steps()
        counted: list[int] = []

        async def main(steps: Steps = steps, step: int = step, counted: list[int] = counted) -> None:
            counted.append(await struck_reload(steps, strike, step))

        run_counted(backend, steps, main)
        total = max(total, counted[0])
        # All of them on one Python; on the others, every third.
        step += 1 if settings.get_current_profile_name() == "ci" else 3
    assert total > 30


# -- threads


@pytest.mark.parametrize("strategy", ["block", "drop_newest"])
async def test_eight_threads_log_while_the_container_is_reloaded_and_nothing_is_uncounted(strategy: str) -> None:
    kept = AsyncSink("kept")
    others = [AsyncSink(f"s{number}") for number in range(6)]
    accepted: dict[int, list[str]] = {thread: [] for thread in range(8)}
    reloaded = threading.Event()
    patient = {"overflow_strategy": "block", "block_timeout": 60}

    def settings(number: int) -> dict[str, Any]:
        return {
            "overflow_strategy": strategy,
            "max_workers": 1 + number % 3,
            "plugin_config": {"kept": patient, f"s{number}": patient},
        }

    def produce(log: Any, thread: int) -> None:
        number = 0
        while not reloaded.is_set() and number < 5_000:
            message = f"{thread}:{number}"
            if log.info(message):
                accepted[thread].append(message)
            number += 1

    limiter = anyio.CapacityLimiter(8)
    async with (
        AsyncLoggingContainer(settings(0), sinks=[others[0], kept]) as container,
        anyio.create_task_group() as group,
    ):
        for thread in range(8):
            log = container.logger().blocking if thread % 2 else container.logger().nowait
            work = partial(produce, log, thread)
            group.start_soon(partial(anyio.to_thread.run_sync, work, limiter=limiter))
        for number in range(1, 6):
            await container.reload(settings(number), sinks=[others[number], kept])
        reloaded.set()
    report = account(container)
    messages = [message for message in kept.messages if ":" in message]
    for thread in range(8):
        assert [message for message in messages if message.startswith(f"{thread}:")] == accepted[thread]
    spread = [message for sink in others for message in sink.messages if ":" in message]
    assert spread == messages
    assert report.sinks["kept"].delivered == len(kept.messages)
    assert report.submitted == len(messages) + sum(report.dropped.values())
    assert own_threads() == []


def test_a_synchronous_program_reloads_from_its_thread(tmp_path: Path) -> None:
    for backend in ("asyncio", "trio"):
        old, new = tmp_path / f"old-{backend}.log", tmp_path / f"new-{backend}.log"
        settings = {"sinks": ["file"], "plugin_config": {"file": {"path": str(old)}}}
        with fapilog.blocking_container(settings, backend=backend) as log:
            log.info("before")
            report = log.container.reload_from_thread(
                {"sinks": ["file"], "plugin_config": {"file": {"path": str(new)}}}
            )
            assert report.complete
            log.info("after")
        assert [orjson.loads(line)["message"] for line in old.read_bytes().splitlines()] == ["before"]
        assert [orjson.loads(line)["message"] for line in new.read_bytes().splitlines()] == ["after"]


async def test_a_blocking_reload_on_the_loops_own_thread_is_refused() -> None:
    async with AsyncLoggingContainer({}, sinks=[AsyncSink()]) as container:
        with pytest.raises(ContainerStateError, match="would wait for itself"):
            container.reload_from_thread({})


# -- the ledger under any schedule

STEPS = st.lists(
    st.tuples(
        st.sampled_from(("log", "burst", "reload", "reload_bad", "background", "flush", "sleep")), st.integers(0, 3)
    ),
    min_size=3,
    max_size=14,
)


@given(steps=STEPS, backend=st.sampled_from(("asyncio", "trio")), slow=st.booleans())
def test_the_ledger_is_exact_under_any_schedule_of_calls_and_reloads(
    steps: list[tuple[str, int]], backend: Backend, slow: bool
) -> None:
    async def main() -> None:
        sinks = [
            AsyncSink(f"s{number}", **({"write": partial(anyio.sleep, 0.3)} if slow else {})) for number in range(4)
        ]
        kept = AsyncSink("kept")
        number = 0
        configurations: list[dict[str, Any]] = [
            {"max_workers": 1},
            {"max_workers": 3, "queue_max_size": 16, "overflow_strategy": "drop_newest"},
            {"queue_max_size": 64, "overflow_strategy": "drop_oldest"},
            {"shutdown_timeout": 0.1, "block_timeout": 0.05},
        ]
        async with (
            AsyncLoggingContainer({"on_incomplete": "ignore"}, sinks=[sinks[0], kept]) as container,
            anyio.create_task_group() as group,
        ):
            for what, which in steps:
                settings = {"on_incomplete": "ignore", **configurations[which]}
                if what in ("log", "burst"):
                    for _ in range(3 if what == "log" else 100):
                        container.logger().nowait.info(str(number))
                        number += 1
                elif what == "reload":
                    await container.reload(settings, sinks=[sinks[which], kept])
                elif what == "background":
                    group.start_soon(partial(container.reload, settings, sinks=[kept, sinks[which]]))
                elif what == "reload_bad":
                    with pytest.raises(ConfigurationError):
                        await container.reload({"level": "x"})
                elif what == "flush":
                    await container.flush(1)
                else:
                    await anyio.sleep(0.1 * which)
                assert container.stats().balanced
        report = account(container)
        plain = [int(message) for message in kept.messages if message.isdecimal()]
        assert plain == sorted(set(plain)), "one task's events are in order, and none is there twice"
        assert report.submitted == number
        if report.complete and not report.abandoned:
            assert report.sinks["kept"].routed == report.dispatched

    run_counted(backend, Steps(), main)


def with_reloads(seed: int) -> Schedule:
    """Return the schedule of that seed, with reloads between some of what its producers do."""
    rng = random.Random(seed)
    schedule = make(seed)

    def between(actions: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        mixed: list[tuple[str, int]] = []
        for action in actions:
            mixed.append(action)
            if rng.random() < 0.25:
                mixed.append((rng.choice(("reload", "reload", "cancelled_reload")), rng.randint(1, 5)))
        return tuple(mixed)

    # A task that is cancelled natively before its first step cancels all that is around it: so AnyIO has it.
    strikes = tuple((step, strike) for step, strike in schedule.strikes if strike != "stage")
    return attrs.evolve(schedule, producers=tuple(map(between, schedule.producers)), strikes=strikes)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("seed", range(20))
def test_the_ledger_is_exact_with_faulty_sinks_and_plugins_and_reloads_in_between(seed: int, backend: Backend) -> None:
    run(backend, with_reloads(seed))
