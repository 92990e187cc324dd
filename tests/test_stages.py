"""Filters, enrichers, processors and redactors: what each may do, and what each costs that misbehaves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import count
from types import MappingProxyType
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import fapilog
from fapilog import AsyncLoggingContainer, LogEvent, PluginMetadata, PluginType
from fapilog.pipeline.steps import MOST_CREATED, WITHHELD
from fapilog.plugins import Batch
from fapilog.sinks.memory import MemorySink
from fapilog.testing import RecordingSink
from misbehaviour import ASYNCHRONOUS, MISBEHAVIOURS, asynchronous
from sinks import account, quiet, turns

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

KINDS = {
    "keep": PluginType.FILTER,
    "enrich": PluginType.ENRICHER,
    "process": PluginType.PROCESSOR,
    "redact": PluginType.REDACTOR,
}
SECRET = "canary-5f1e"


def plugin(method: str, function: Callable[..., Any], name: str = "bad") -> Any:
    """Return a plugin object with *function* as its one method."""
    members: dict[str, Any] = {"metadata": PluginMetadata(name, "1", KINDS[method]), method: staticmethod(function)}
    return type("Plugin", (), members)()


def make(sink: RecordingSink, *plugins: Any, settings: dict[str, Any] | None = None) -> AsyncLoggingContainer:
    container = AsyncLoggingContainer(
        {"batch_linger": 0, "shutdown_timeout": 60, "on_incomplete": "ignore", **(settings or {})},
        sinks=[sink],
        **{  # type: ignore[arg-type]
            f"{kind}s": [given for given in plugins if given.metadata.plugin_type is kind] for kind in KINDS.values()
        },
    )
    container.told = quiet(container)  # type: ignore[attr-defined]
    return container


def log_all(container: AsyncLoggingContainer, *messages: str) -> None:
    for message in messages:
        assert container.logger().nowait.info(message, secret=SECRET)


# -- every kind × every misbehaviour


HARMLESS = {
    # What is true is kept, whatever it is.
    ("keep", "returns an object"),
    ("keep", "returns text"),
    ("keep", "returns a number"),
    ("keep", "returns a broken iterator"),
    ("keep", "returns a bad mapping"),
    # A mapping's own methods are not trusted when it is frozen.
    ("enrich", "returns a bad mapping"),
}


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
@pytest.mark.parametrize("method", KINDS)
async def test_pl14_a_synchronous_plugin_that_misbehaves_costs_its_step_and_not_the_event(
    method: str, misbehaviour: str, isolate: bool
) -> None:
    sink = RecordingSink("sink")
    bad = plugin(method, MISBEHAVIOURS[misbehaviour])
    async with make(sink, bad, settings={"plugin_config": {"bad": {"isolate": isolate}}}) as container:
        log_all(container, "a", "b")
        await turns()
        log_all(container, "c")
    check_cell(container, sink, method, harmless=(method, misbehaviour) in HARMLESS)


def check_cell(container: AsyncLoggingContainer, sink: RecordingSink, method: str, *, harmless: bool = False) -> None:
    report = account(container)
    assert report.complete
    assert report.sinks["sink"].delivered == report.submitted == 3
    assert not report.filtered and not report.created and not report.merged
    errors = container.metrics_collector.snapshot().plugin_errors
    if harmless:
        assert not errors
        assert sink.messages == ["a", "b", "c"]
        return
    assert errors["bad"] >= (2 if method == "process" else 1)
    assert any("'bad' failed" in message or "bad" in key for key, message in container.told)  # type: ignore[attr-defined]
    if method == "redact":
        assert sink.messages == [WITHHELD] * 3
        assert not any(event.fields or event.context for event in sink.events)
    else:
        assert sink.messages == ["a", "b", "c"]
        assert [event.fields for event in sink.events] == [{"secret": SECRET}] * 3


@pytest.mark.parametrize("misbehaviour", ASYNCHRONOUS)
@pytest.mark.parametrize("method", KINDS)
async def test_pl14_an_asynchronous_plugin_that_misbehaves_costs_its_step_and_not_the_event(
    method: str, misbehaviour: str
) -> None:
    sink = RecordingSink("sink")
    bad = plugin(method, ASYNCHRONOUS[misbehaviour])
    async with make(sink, bad, settings={"plugin_timeout": 2}) as container:
        log_all(container, "a", "b")
        await turns()
        log_all(container, "c")
    check_cell(container, sink, method, harmless=(method, misbehaviour) in HARMLESS)


@pytest.mark.parametrize("method", ["keep", "enrich", "redact"])
async def test_pl6_only_the_event_that_a_plugin_is_too_slow_with_pays_for_it(method: str) -> None:
    done: list[str] = []

    async def slow_with_b(event: LogEvent) -> Any:
        if event.message == "b":
            await anyio.sleep(100)
        done.append(event.message)
        if method == "redact":
            event.fields = {"secret": "***"}
            return None
        return True if method == "keep" else {"seen": True}

    sink = RecordingSink("sink")
    slow = plugin(method, slow_with_b)
    async with make(sink, slow, settings={"plugin_config": {"bad": {"timeout": 3}}}) as container:
        began = anyio.current_time()
        log_all(container, "a", "b", "c")
        assert (await container.flush(50)).complete
        assert anyio.current_time() - began == pytest.approx(3)
    assert done == ["a", "c"]
    assert sink.messages == (["a", WITHHELD, "c"] if method == "redact" else ["a", "b", "c"])
    if method == "enrich":
        assert [bool(event.context.get("seen")) for event in sink.events] == [True, False, True]
    if method == "redact":
        assert SECRET not in str([event.fields for event in sink.events])
    assert container.metrics_collector.snapshot().plugin_errors == {"bad": 1}


@pytest.mark.parametrize("stage", ["worker", "isolated", "asynchronous"])
@pytest.mark.parametrize("method", KINDS)
async def test_plugins_do_what_they_are_for(method: str, stage: str) -> None:
    def keep(event: LogEvent) -> bool:
        return event.message != "b"

    def enrich(event: LogEvent) -> dict[str, Any]:
        event.add(tags={"t": event.message}, metrics={"m": 1.5}, fields={"f": 1})
        return {"c": event.message}

    def process(batch: list[LogEvent]) -> list[LogEvent]:
        return [event for event in batch if event.message != "b"]

    def redact(event: LogEvent) -> None:
        event.fields = {"secret": "***"}

    function = {"keep": keep, "enrich": enrich, "process": process, "redact": redact}[method]
    sink = RecordingSink("sink")
    good = plugin(method, asynchronous(function) if stage == "asynchronous" else function)
    async with make(sink, good, settings={"plugin_config": {"bad": {"isolate": stage == "isolated"}}}) as container:
        assert bool(container.async_pipeline._stages) == (stage != "worker")
        log_all(container, "a", "b", "c")
    report = account(container)
    drops = method in ("keep", "process")
    assert sink.messages == (["a", "c"] if drops else ["a", "b", "c"])
    assert [event.sequence for event in sink.events] == list(range(1, len(sink.events) + 1))
    assert report.filtered == ({"bad": 1} if method == "keep" else {})
    assert report.merged == (1 if method == "process" else 0)
    for event in sink.events:
        if method == "enrich":
            assert (event.tags, event.metrics) == ({"t": event.message}, {"m": 1.5})
            assert (event.fields, event.context) == ({"secret": SECRET, "f": 1}, {"c": event.message})
        if method == "redact":
            assert event.fields == {"secret": "***"}
    assert not container.metrics_collector.snapshot().plugin_errors


async def test_the_kinds_run_in_their_order_and_redaction_last() -> None:
    ran: list[str] = []

    def note(name: str, result: Callable[[Any], Any]) -> Callable[..., Any]:
        def step(argument: Any) -> Any:
            ran.append(name)
            return result(argument)

        return step

    plugins = [
        plugin("redact", note("redact 1", lambda event: None), "redact_1"),
        plugin("redact", note("redact 2", lambda event: None), "redact_2"),
        plugin("process", note("process 1", lambda batch: [*batch, LogEvent("made")]), "process_1"),
        plugin("enrich", note("enrich 1", lambda event: None), "enrich_1"),
        plugin("enrich", asynchronous(note("enrich 2", lambda event: None)), "enrich_2"),
        plugin("keep", note("keep 1", lambda event: True), "keep_1"),
        plugin("keep", note("keep 2", lambda event: False), "keep_2"),
    ]
    async with make(RecordingSink("sink"), *plugins) as container:
        log_all(container, "a")
    assert ran == ["keep 1", "keep 2"], "what is filtered out is not worked on"
    ran.clear()
    async with make(RecordingSink("sink"), *plugins[:-1]) as container:
        log_all(container, "a")
    assert ran == [
        "keep 1", "enrich 1", "enrich 2", "process 1", "redact 1", "redact 1", "redact 2", "redact 2",
    ]  # fmt: skip
    assert account(container).created == 1


# -- processors and the account


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    "process, messages, created, merged",
    [
        (lambda batch: [], [], 0, 3),
        (lambda batch: batch[:1], ["a"], 0, 2),
        (lambda batch: list(reversed(batch)), ["c", "b", "a"], 0, 0),
        (lambda batch: [*batch, *batch], ["a", "b", "c"], 0, 0),
        (lambda batch: [LogEvent("new")], ["new"], 1, 3),
        (lambda batch: [event.copy() for event in batch], ["a", "b", "c"], 3, 3),
        (tuple, ["a", "b", "c"], 0, 0),
        (lambda batch: (event for event in batch), ["a", "b", "c"], 0, 0),
        (lambda batch: {id(event): event for event in batch}.values(), ["a", "b", "c"], 0, 0),
        (lambda batch: batch.clear() or batch, [], 0, 3),
    ],
)
async def test_pl5_what_a_processor_takes_out_and_makes_is_counted(
    process: Callable[..., Any], messages: list[str], created: int, merged: int, is_async: bool
) -> None:
    sink = RecordingSink("sink")
    async with make(sink, plugin("process", asynchronous(process) if is_async else process)) as container:
        log_all(container, "a", "b", "c")
    report = account(container)
    assert sink.messages == messages
    assert (report.created, report.merged, report.dispatched) == (created, merged, len(messages))
    assert [event.sequence for event in sink.events] == list(range(1, len(messages) + 1))
    assert {event.container_id for event in sink.events} <= {container.container_id}


async def test_pl5_what_is_no_event_in_a_processors_list_is_left_out_and_told() -> None:
    sink = RecordingSink("sink")
    async with make(sink, plugin("process", lambda batch: [None, *batch, "text", 5])) as container:
        log_all(container, "a")
    assert sink.messages == ["a"]
    assert container.metrics_collector.snapshot().plugin_errors == {"bad": 3}
    assert account(container).created == 0


async def test_pl5_a_processor_that_makes_events_without_end_is_cut() -> None:
    def endless(batch: list[LogEvent]) -> Iterator[LogEvent]:
        return (LogEvent("made") for _ in count())

    sink = RecordingSink("sink")
    async with make(sink, plugin("process", endless)) as container:
        log_all(container, "a")
    report = account(container)
    assert report.merged == 1
    assert report.created == report.sinks["sink"].delivered == MOST_CREATED + 1
    assert container.metrics_collector.snapshot().plugin_errors == {"bad": 1}


async def test_a_processor_may_hold_events_back_and_let_them_go_later() -> None:
    held: list[LogEvent] = []

    def process(batch: list[LogEvent]) -> list[LogEvent]:
        if any(event.message == "go" for event in batch):
            return [*held, *batch]
        held.extend(batch)
        return []

    sink = RecordingSink("sink")
    async with make(sink, plugin("process", process)) as container:
        log_all(container, "a", "b")
        await turns()
        log_all(container, "go")
    report = account(container)
    assert sink.messages == ["a", "b", "go"]
    assert (report.created, report.merged) == (2, 2)


async def test_pl9_a_processor_that_sends_an_event_again_does_not_change_what_a_sink_has() -> None:
    kept: list[LogEvent] = []

    def again(batch: list[LogEvent]) -> list[LogEvent]:
        kept[:] = kept or batch
        return [*kept, *batch]

    sink = RecordingSink("sink")
    async with make(sink, plugin("process", again)) as container:
        for message in "abc":
            log_all(container, message)
            await turns()
    assert sink.messages == ["a", "a", "b", "a", "c"]
    assert [event.sequence for event in sink.events] == [1, 2, 3, 4, 5]
    report = account(container)
    assert (report.created, report.merged) == (2, 0)


# -- redaction fails closed


async def test_pl11_a_failing_redactor_lets_nothing_out_that_the_caller_gave() -> None:
    payloads: list[bytes] = []

    class Reading(RecordingSink):
        async def write(self, batch: Batch) -> None:
            await super().write(batch)
            payloads.extend(batch.encoded(name) for name in ("json", "json_flat", "logfmt", "console"))

    def half(event: LogEvent) -> None:
        event.fields = {**event.fields, "token": "***"}
        raise ValueError(f"cannot redact {event.message}")

    sink = Reading("sink")
    async with make(sink, plugin("redact", half)) as container:
        log = container.logger("api").bind(bound=SECRET)

        async def work() -> None:
            with log.context(ambient=SECRET, correlation_id=SECRET):
                try:
                    raise ValueError(SECRET)
                except ValueError:
                    await log.exception(SECRET, field=SECRET, tags={"tag": SECRET}, metrics={SECRET: 1.0})

        async with anyio.create_task_group() as group:
            group.start_soon(work, name=f"work on {SECRET}")
    (event,) = sink.events
    assert event.message == WITHHELD
    assert event.logger == "api" and event.level == "ERROR"
    assert len(payloads) == 4
    for payload in payloads:
        assert WITHHELD.encode() in payload or WITHHELD.replace(" ", "_").encode() in payload
        assert SECRET.encode() not in payload
    assert account(container).sinks["sink"].delivered == 1


async def test_pl11_a_redactor_that_returns_another_event_has_not_redacted_this_one() -> None:
    def redact(event: LogEvent) -> Any:
        clean = event.copy()
        clean.fields = {}
        return clean

    sink = RecordingSink("sink")
    async with make(sink, plugin("redact", redact)) as container:
        log_all(container, "a")
    assert [event.fields for event in sink.events] == [{}]
    assert sink.messages == [WITHHELD]


async def test_pl11_a_redactor_that_returns_the_event_itself_has() -> None:
    def redact(event: LogEvent) -> Any:
        event.fields = {}
        return event

    sink = RecordingSink("sink")
    async with make(sink, plugin("redact", redact)) as container:
        log_all(container, "a")
    assert sink.messages == ["a"]
    assert not container.metrics_collector.snapshot().plugin_errors


async def test_pl11_what_a_slow_redactor_does_after_its_time_changes_nothing() -> None:
    events: list[LogEvent] = []

    async def redact(event: LogEvent) -> None:
        events.append(event)
        try:
            await anyio.sleep(100)
        finally:
            message = event.message
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
            event.message = f"{message} {SECRET}"

    sink = RecordingSink("sink")
    async with make(sink, plugin("redact", redact)) as container:
        log_all(container, "a")
        await anyio.sleep(10)
        (event,) = sink.events
        assert (event.message, event.fields) == (WITHHELD, {})
    assert events


# -- what a sink may do with an event


async def test_pl9_after_redaction_an_event_is_read_only() -> None:
    refused: list[str] = []

    class Meddling(RecordingSink):
        async def write(self, batch: Batch) -> None:
            await super().write(batch)
            for event in batch.events:
                for name in ("message", "fields", "context", "tags", "metrics", "severity", "correlation_id"):
                    with pytest.raises(AttributeError, match="read-only"):
                        setattr(event, name, getattr(event, name))
                    refused.append(name)
                with pytest.raises(AttributeError, match="read-only"):
                    event.add(context={"a": 1})
                for mapping in (event.fields, event.context, event.tags, event.metrics):
                    with pytest.raises(TypeError):
                        mapping["a"] = 1
                with pytest.raises((TypeError, AttributeError)):
                    batch.events.append(event)  # type: ignore[attr-defined]

    for plugins in ([], [plugin("redact", lambda event: None)]):
        refused.clear()
        sink = Meddling("sink")
        async with make(sink, *plugins) as container:
            log_all(container, "a")
        assert len(refused) == 7
        assert account(container).sinks["sink"].delivered == 1


@pytest.mark.parametrize("with_plugin", [False, True])
async def test_the_payload_is_encoded_once_for_all_sinks(with_plugin: bool) -> None:
    payloads: dict[str, list[bytes]] = {}

    class Reading(RecordingSink):
        async def write(self, batch: Batch) -> None:
            await super().write(batch)
            payloads.setdefault(self.metadata.name, []).append(batch.encoded("json"))

    sinks = [Reading(name) for name in ("one", "two", "three")]
    container = AsyncLoggingContainer(
        {"batch_linger": 0},
        sinks=sinks,
        enrichers=[plugin("enrich", lambda event: {"c": 1})] if with_plugin else [],
    )
    async with container:
        log_all(container, "a", "b")
        await turns()
        log_all(container, "c")
    assert [len(batches) for batches in payloads.values()] == [2, 2, 2]
    for first, second, third in zip(*payloads.values(), strict=True):
        assert first is second is third
    assert b"".join(payloads["one"]).count(b"\n") == 3


# -- plugins that log


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("method", KINDS)
async def test_sk14_a_plugin_that_logs_through_its_own_container_is_refused_and_not_fed(
    method: str, is_async: bool, isolate: bool
) -> None:
    said: list[object] = []
    loggers: list[fapilog.AsyncLogger] = []

    def log_inside(argument: Any) -> Any:
        log = loggers[0]
        said.extend([log.nowait.info("inside"), log.blocking.error("inside")])
        log.critical("inside")
        with log.context(a=1), log.span("inside"):
            pass
        return {"keep": True, "process": argument}.get(method)

    sink = RecordingSink("sink")
    bad = plugin(method, asynchronous(log_inside) if is_async else log_inside)
    async with make(sink, bad, settings={"plugin_config": {"bad": {"isolate": isolate}}}) as container:
        loggers.append(container.logger())
        log_all(container, "a")
    report = account(container)
    assert sink.messages == ["a"]
    assert said == [False, False]
    assert report.rejected == {"reentrant": 4}
    assert report.submitted == 5


@pytest.mark.parametrize("blocking", [False, True, None])
async def test_sk14_a_sink_that_logs_through_its_own_container_is_refused_as_well(blocking: bool | None) -> None:
    loggers: list[fapilog.AsyncLogger] = []

    class Logging(RecordingSink):
        if blocking is None:

            async def write(self, batch: Batch) -> None:
                await anyio.lowlevel.checkpoint()
                assert not await loggers[0].info("inside")
                async with anyio.create_task_group() as group:
                    group.start_soon(self._in_a_task)
                assert not (await loggers[0].flush()).complete
                await super().write(batch)

            async def _in_a_task(self) -> None:
                assert not loggers[0].nowait.info("inside a task")

        else:

            def write(self, batch: Batch) -> None:  # type: ignore[override]
                assert not loggers[0].nowait.info("inside")
                assert not loggers[0].blocking.info("inside")
                self.batches.append(list(batch.events))

    sink = Logging("sink")
    sink.blocking = bool(blocking)
    async with make(sink) as container:
        loggers.append(container.logger())
        log_all(container, "a")
        await container.flush()
    report = account(container)
    assert sink.messages == ["a"], container.told  # type: ignore[attr-defined]
    assert report.rejected == {"reentrant": 2}


async def test_a_plugin_may_log_through_another_container() -> None:
    other_sink, sink = RecordingSink("sink"), RecordingSink("sink")
    async with make(other_sink) as other:
        inside = plugin("enrich", lambda event: {"told": other.logger().nowait.info("inside")})
        async with make(sink, inside) as container:
            log_all(container, "a")
    assert other_sink.messages == ["inside"]
    assert sink.events[0].context == {"told": True}
    assert not account(container).rejected


class _Awaitable:
    def __await__(self) -> Iterator[None]:
        return iter(())


class _AwaitableDict(dict[str, int], _Awaitable):
    pass


async def _never_awaited() -> dict[str, int]:
    raise AssertionError


@pytest.mark.parametrize(
    ("returned", "context"),
    [
        (lambda: None, {}),
        (dict, {}),
        (lambda: {"a": 1, "b": "x", "c": 1.5, "d": None}, {"a": 1, "b": "x", "c": 1.5, "d": None}),
        (lambda: {1: "a", None: "b"}, {"1": "a", "None": "b"}),
        (lambda: {"k" * 300: 1}, {"k" * 254 + "…": 1}),
        (lambda: {"n": 2**64, "x": [1, {"y": {2}}]}, {"n": str(2**64), "x": (1, {"y": (2,)})}),
        (lambda: OrderedDict(a=1), {"a": 1}),
        (lambda: MappingProxyType({"a": 1}), {"a": 1}),
        (lambda: {"request": "mine"}, {"request": "mine"}),
    ],
)  # fmt: skip
async def test_whatever_mapping_an_enricher_returns_is_added_frozen(
    returned: Callable[[], Any], context: dict[str, Any]
) -> None:
    memory = MemorySink()
    async with fapilog.container(sinks=[memory], enrichers=[lambda _: returned()]) as log:
        with log.context(request="r-1"):
            await log.info("x", a=1)
            await log.info("y")
    for event in memory.events:
        if "k" in "".join(context):
            assert max(map(len, event.context)) == 256
        else:
            assert event.context == {"request": "r-1", **context}
            assert next(iter(event.context)) == "request"
    assert log.container.metrics_collector.snapshot().plugin_errors == {}


async def test_a_dict_that_an_enricher_returns_again_and_again_is_kept_as_it_was() -> None:
    memory = MemorySink()
    again: dict[str, int] = {"seen": 0}

    def enrich(event: LogEvent) -> dict[str, int]:
        again["seen"] += 1
        return again

    async with fapilog.container(sinks=[memory], enrichers=[enrich]) as log:
        for _ in range(3):
            await log.info("x")
    again["seen"] = 99
    assert [event.context["seen"] for event in memory.events] == [1, 2, 3]


@pytest.mark.parametrize("returned", [_never_awaited, _Awaitable, _AwaitableDict])
async def test_a_plain_function_that_returns_an_awaitable_has_failed(returned: Callable[[], Any]) -> None:
    memory = MemorySink()
    function = lambda _: returned()  # noqa: E731 - it is not to be known as asynchronous
    async with fapilog.container(sinks=[memory], enrichers=[function], filters=[function]) as log:
        await log.info("x")
    assert [event.context for event in memory.events] == [{}]
    assert sum(log.container.metrics_collector.snapshot().plugin_errors.values()) == 2


async def test_a_filter_may_answer_with_anything_that_is_true_or_false() -> None:
    memory = MemorySink()
    answers = iter([True, False, 1, 0, "yes", "", [1], None])
    async with fapilog.container(sinks=[memory], filters=[lambda _: next(answers)]) as log:
        for number in range(8):
            await log.info(str(number))
    assert memory.messages == ("0", "2", "4", "6")


async def test_a_failure_of_one_answer_costs_only_its_own_event() -> None:
    class Unclear:
        def __bool__(self) -> bool:
            raise ValueError("neither")

    memory = MemorySink()
    answers = iter([False, Unclear(), True])
    additions = iter([{"a": 1}, 5])
    async with fapilog.container(
        sinks=[memory], filters=[lambda _: next(answers)], enrichers=[lambda _: next(additions)]
    ) as log:
        for number in range(3):
            await log.info(str(number))
    assert [(event.message, event.context) for event in memory.events] == [("1", {"a": 1}), ("2", {})]
    assert sum(log.container.metrics_collector.snapshot().plugin_errors.values()) == 2
