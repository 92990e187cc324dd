"""Filters in a container: the account of what they remove, by reason, and the events that tell of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fapilog
from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.filters.deduplicate import DeduplicateConfig, DeduplicateFilter
from fapilog.pipeline import filtering
from fapilog.pipeline.filtering import MOST_REASONS
from fapilog.plugins import Removed
from fapilog.testing import RecordingSink
from fapilog.testing.clock import BACKENDS, Backend, run_in_virtual_time
from sinks import account, quiet, turns

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def make(sink: RecordingSink, *filters: Any, **given: Any) -> AsyncLoggingContainer:
    return AsyncLoggingContainer({"batch_linger": 0, "level": "DEBUG", **given}, sinks=[sink], filters=filters)


async def test_what_each_filter_removed_is_counted_by_reason() -> None:
    sink = RecordingSink("sink")
    config: dict[str, Any] = {
        "level": {"levels": "info,app.db=error"},
        "rate_limit": {"rate": 1, "by": ["logger"]},
        "no_health": {"drop": "path == '/health'"},
    }
    filters = ["level", "no_health=expression", "rate_limit"]
    async with make(sink, filters=filters, plugin_config=config) as container:
        log = container.logger().nowait
        log.debug("too low")
        log.named("app.db").warning("too low for this one")
        log.info("health", path="/health")
        for _ in range(3):
            log.named("api").info("often")
        log.info("kept")
    report = account(container)
    assert sink.messages == ["often", "kept"]
    assert report.filtered == {"level": 1, "level:app.db": 1, "no_health": 1, "rate_limit:api": 2}
    assert report.submitted == 7


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_reasons_of_any_filter_are_counted(isolate: bool, asynchronous: bool) -> None:
    answers: dict[str, Any] = {"odd": Removed("odd"), "large": Removed("large"), "none": False, "empty": 0}

    def keep(event: LogEvent) -> Any:
        if event.message == "fails":
            raise RuntimeError
        return answers.get(event.message, True)

    async def keep_async(event: LogEvent) -> Any:
        if event.message == "slow":
            await anyio.sleep(100)
        return keep(event)

    sink = RecordingSink("sink")
    chosen: Any = keep_async if asynchronous else keep
    container = make(
        sink, chosen, plugin_config={chosen.__name__: {"isolate": isolate, "timeout": 3}}, shutdown_timeout=60
    )
    quiet(container)
    async with container:
        for _ in range(2):
            for message in ("kept", "odd", "large", "odd", "slow", "none", "empty", "fails"):
                container.logger().nowait.info(message)
            await turns()
    report = account(container)
    assert sink.messages == ["kept", "slow", "fails"] * 2
    name = chosen.__name__
    assert report.filtered == {f"{name}:odd": 4, f"{name}:large": 2, name: 4}


async def test_the_reasons_of_one_filter_are_bounded() -> None:
    def many(event: LogEvent) -> Removed:
        return Removed(event.message)

    sink = RecordingSink("sink")
    async with make(sink, many) as container:
        for number in range(MOST_REASONS + 50):
            container.logger().nowait.info(f"reason {number}")
            container.logger().nowait.info("reason 0")
    report = account(container)
    assert len(report.filtered) == MOST_REASONS + 1
    assert report.filtered["many"] == 50
    assert report.filtered["many:reason 0"] == MOST_REASONS + 51
    assert sum(report.filtered.values()) == report.submitted


def test_a_reason_is_short_text_and_false() -> None:
    assert not Removed("x")
    assert len(Removed("x" * 1000).reason) == 100
    assert Removed("two\nlines \x1b[0m").reason == "two?lines ?[0m"
    assert repr(Removed("x")) == "Removed('x')"


async def test_records_that_a_level_filter_lets_pass_stay_records() -> None:
    kinds: list[Any] = []

    class Sink(RecordingSink):
        async def write(self, batch: Any) -> None:
            items: list[object] = batch._items
            kinds.extend(map(type, items))
            await super().write(batch)

    sink = Sink("sink")
    async with make(sink, filters=["level"], plugin_config={"level": {"level": "info"}}) as container:
        for level in ("DEBUG", "INFO", "DEBUG", "ERROR"):
            container.logger().nowait.log(level, level)
    assert sink.messages == ["INFO", "ERROR"]
    assert kinds == [tuple, tuple]
    assert account(container).filtered == {"level": 2}


async def test_a_filter_of_records_that_fails_keeps_the_event() -> None:
    class Broken:
        def keep(self, event: LogEvent) -> bool:
            raise AssertionError("there are records only")

        def keep_record(self, level: int, logger: str) -> Any:
            if logger == "bad":
                raise RuntimeError
            return Removed("odd") if logger == "odd" else logger != "none"

    sink = RecordingSink("sink")

    def not_later(event: LogEvent) -> bool:
        return event.message != "later"

    container = make(sink, Broken(), not_later)
    quiet(container)
    async with container:
        for name in ("bad", "odd", "none", "good"):
            container.logger(name).nowait.info(name)
        container.logger().nowait.info("later")
    assert sink.messages == ["bad", "good"]
    assert account(container).filtered == {"Broken:odd": 1, "Broken": 1, "not_later": 1}
    assert container.metrics_collector.snapshot().plugin_errors == {"Broken": 1}


def told(sink: RecordingSink) -> list[tuple[str, float]]:
    told = [event for event in sink.events if "repeated" in event.fields]
    return [(event.fields["repeated"], event.metrics["suppressed"]) for event in told]


@pytest.mark.parametrize("max_workers", [1, 3])
@pytest.mark.parametrize("isolate", [False, True])
async def test_a_repeat_is_told_when_its_window_ends_although_nothing_is_logged(
    isolate: bool, max_workers: int
) -> None:
    sink = RecordingSink("sink")
    config = {"deduplicate": {"window": 60, "isolate": isolate}}
    async with make(sink, filters=["deduplicate"], plugin_config=config, max_workers=max_workers) as container:
        log = container.logger("app").nowait
        for _ in range(4):
            log.error("again")
        log.info("other")
        await anyio.sleep(59.9)
        assert told(sink) == []
        await anyio.sleep(0.2)
        assert told(sink) == [("again", 3)]
        assert sink.events[-1].level == "ERROR" and sink.events[-1].logger == "app"
        log.error("again")
        log.error("again")
        await anyio.sleep(1)
    assert told(sink) == [("again", 3), ("again", 1)]
    report = account(container)
    assert report.created == 2
    assert report.filtered == {"deduplicate": 4}
    assert [event.sequence for event in sink.events] == list(range(1, len(sink.events) + 1))
    kept = [event for event in sink.events if "repeated" not in event.fields]
    assert len(kept) + sum(number for _, number in told(sink)) == report.submitted == 7


async def test_nothing_wakes_the_worker_when_nothing_was_removed() -> None:
    asked: list[float] = []

    class Asked(DeduplicateFilter):
        def summaries(self, final: bool) -> list[LogEvent]:
            asked.append(anyio.current_time())
            return super().summaries(final)

    sink = RecordingSink("sink")
    async with make(sink, Asked(DeduplicateConfig(window=5))) as container:
        container.logger().nowait.info("once")
        await anyio.sleep(1)
        before = len(asked)
        await anyio.sleep(1000)
        assert len(asked) == before


async def test_what_a_filter_tells_passes_the_plugins_behind_it() -> None:
    def redact(event: LogEvent) -> None:
        event.message = event.message.replace("secret", "***")
        event.fields = {name: str(value).replace("secret", "***") for name, value in event.fields.items()}

    def see(event: LogEvent) -> bool:
        seen.append(event.message)
        return True

    def add_host(event: LogEvent) -> dict[str, str]:
        return {"host": "h"}

    sink = RecordingSink("sink")
    seen: list[str] = []
    container = AsyncLoggingContainer(
        {"batch_linger": 0, "filters": ["deduplicate"]},
        sinks=[sink],
        filters=[see],
        enrichers=[add_host],
        redactors=[redact],
    )
    async with container:
        for _ in range(2):
            container.logger().nowait.info("a secret")
    assert seen == ["a secret", "repeated events were left out"]
    assert told(sink) == [("a ***", 1)]
    assert all(event.context == {"host": "h"} for event in sink.events)
    assert account(container).created == 1


class Telling:
    """A filter that keeps everything and tells what a function returns."""

    def __init__(self, tell: Callable[[bool], Sequence[Any] | Iterator[Any]], due: Any = None) -> None:
        self._tell = tell
        self.next_summary = due
        self.calls = 0

    def keep(self, event: LogEvent) -> bool:
        return True

    def summaries(self, final: bool) -> Any:
        self.calls += 1
        return self._tell(final)


@pytest.mark.parametrize("answer", [RuntimeError(), None, ["text"], 5], ids=["raises", "nothing", "text", "a number"])
async def test_a_filter_that_tells_nonsense_has_failed_and_costs_no_event(answer: Any) -> None:
    def tell(final: bool) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    sink = RecordingSink("sink")
    container = make(sink, Telling(tell))
    quiet(container)
    async with container:
        container.logger().nowait.info("kept")
        await turns()
    assert sink.messages == ["kept"]
    report = account(container)
    assert report.created == 0
    assert container.metrics_collector.snapshot().plugin_errors["Telling"] == 2


async def test_of_a_filter_that_tells_without_end_only_so_much_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtering, "MOST_SUMMARIES", 5)

    def tell(final: bool) -> Iterator[LogEvent]:
        for _ in range(100 if final else 0):
            yield LogEvent("told")

    sink = RecordingSink("sink")
    async with make(sink, Telling(tell)) as container:
        container.logger().nowait.info("kept")
    assert sink.messages == ["kept"] + ["told"] * 5
    assert account(container).created == 5


@pytest.mark.parametrize("due", [0, -5.0, "soon", float("nan"), float("-inf"), True])
async def test_a_filter_that_is_always_due_and_tells_nothing_does_not_keep_the_loop_busy(due: Any) -> None:
    telling = Telling(lambda final: [], due)
    sink = RecordingSink("sink")
    async with make(sink, telling) as container:
        container.logger().nowait.info("kept")
        await anyio.sleep(1000)
    assert telling.calls <= 5


async def test_a_filter_that_was_due_in_vain_is_asked_again_after_the_next_events() -> None:
    class Later(Telling):
        def keep(self, event: LogEvent) -> bool:
            if event.message == "second":
                self.next_summary = anyio.current_time() + 5
            return True

    def tell(final: bool) -> list[LogEvent]:
        if not later.next_summary or anyio.current_time() < later.next_summary:
            return []
        later.next_summary = 0
        return [LogEvent("told")]

    later = Later(tell, 0)
    sink = RecordingSink("sink")
    async with make(sink, later) as container:
        container.logger().nowait.info("first")
        await anyio.sleep(10)
        container.logger().nowait.info("second")
        await anyio.sleep(6)
        assert sink.messages == ["first", "second", "told"]


async def test_a_filter_of_records_that_has_summaries_is_given_events() -> None:
    class Both(Telling):
        def keep_record(self, level: int, logger: str) -> bool:
            raise AssertionError("its summaries are events, and so is what they go with")

    sink = RecordingSink("sink")
    async with make(sink, Both(lambda final: [LogEvent("told")] if final else [])) as container:
        container.logger().nowait.info("kept")
    assert sink.messages == ["kept", "told"]
    assert account(container).created == 1


async def test_an_event_that_is_told_twice_or_went_out_before_is_another_one_each_time() -> None:
    sink = RecordingSink("sink")
    container = make(sink, Telling(lambda final: sink.events * 2 if final else []))
    async with container:
        container.logger().nowait.info("kept")
        await turns()
    assert sink.messages == ["kept"] * 3
    assert [event.sequence for event in sink.events] == [1, 2, 3]
    assert account(container).created == 2
    assert not container.metrics_collector.snapshot().plugin_errors


async def test_a_drain_that_ends_too_early_gives_each_summary_an_outcome() -> None:
    class Stuck(RecordingSink):
        async def write(self, batch: Any) -> None:
            await anyio.sleep_forever()

    sink = Stuck("sink")
    config: dict[str, Any] = {"sink": {"queue_batches": 1}, "deduplicate": {"window": 60}}
    container = make(
        sink,
        filters=["deduplicate"],
        plugin_config=config,
        shutdown_timeout=1,
        block_timeout=1,
        on_incomplete="ignore",
    )
    quiet(container)
    async with container:
        for message in "aabb":
            container.logger().nowait.info(message)
            await turns()
    report = account(container)
    assert report.filtered == {"deduplicate": 2}
    assert report.created == 2
    assert not report.complete
    assert sum(report.abandoned.values()) + sum(report.sinks["sink"].abandoned.values()) == 4


async def test_levels_that_are_wrong_are_told_with_their_path() -> None:
    with pytest.raises(fapilog.ConfigurationError) as caught:
        async with make(RecordingSink("sink"), filters=["level"], plugin_config={"level": {"levels": "a=loud"}}):
            pass
    assert "plugin_config.level.levels" in str(caught.value)


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.0, 0.5, 3.0])), max_size=40)


@given(STEPS, st.sampled_from(BACKENDS), st.integers(1, 3), st.booleans(), st.sampled_from([4, 1000]))
@settings(max_examples=40)
def test_what_was_kept_and_what_was_told_is_all_that_was_accepted(
    steps: list[tuple[str, float]], backend: Backend, max_workers: int, isolate: bool, queue_max_size: int
) -> None:
    sink = RecordingSink("sink")

    async def main() -> AsyncLoggingContainer:
        container = make(
            sink,
            filters=["deduplicate", "first_then_every"],
            max_workers=max_workers,
            queue_max_size=queue_max_size,
            overflow_strategy="drop_oldest",
            plugin_config={
                "deduplicate": {"window": 2, "max_keys": 2, "isolate": isolate},
                "first_then_every": {"first": 1000},
            },
        )
        quiet(container)
        async with container:
            for message, pause in steps:
                container.logger().nowait.info(message)
                if pause:
                    await anyio.sleep(pause)
        return container

    report = account(run_in_virtual_time(backend, main))
    ours = [event for event in sink.events if event.logger != "fapilog"]
    kept = [event for event in ours if "repeated" not in event.fields]
    suppressed = sum(event.metrics.get("suppressed", 0) for event in ours)
    assert suppressed == sum(report.filtered.values())
    assert len(kept) + suppressed == report.submitted - sum(report.dropped.values())
