"""The conformance kit: it catches each thing that a plugin can do wrong, and finds nothing wrong with the built-ins."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, ClassVar

import anyio
import anyio.lowlevel
import attrs
import pytest

from fapilog import LogEvent, PartialWriteError, PluginMetadata, PluginType, TransientSinkError
from fapilog.enrichers.cloud import CloudEnricher
from fapilog.enrichers.container import ContainerEnricher
from fapilog.enrichers.kubernetes import KubernetesEnricher
from fapilog.enrichers.process import ProcessEnricher
from fapilog.enrichers.runtime import RuntimeEnricher
from fapilog.enrichers.static import StaticEnricher
from fapilog.plugins import Batch
from fapilog.sinks.console import ConsoleSink
from fapilog.sinks.file import FileSink
from fapilog.sinks.memory import MemorySink
from fapilog.sinks.null import NullSink
from fapilog.sinks.streams import StderrSink, StdoutSink
from fapilog.testing import (
    ConformanceError,
    FaultySink,
    PlainFaultySink,
    PlainRecordingSink,
    RecordingSink,
    check_plugin,
    examine_plugin,
)
from fapilog.testing.conformance import CHECKS

METHODS = {
    PluginType.SINK: "write",
    PluginType.FILTER: "keep",
    PluginType.ENRICHER: "enrich",
    PluginType.PROCESSOR: "process",
    PluginType.REDACTOR: "redact",
}
GOOD: dict[PluginType, Callable[[Any, Any], Any]] = {
    PluginType.SINK: lambda self, batch: None,
    PluginType.FILTER: lambda self, event: True,
    PluginType.ENRICHER: lambda self, event: {"host": "h-1"},
    PluginType.PROCESSOR: lambda self, batch: batch,
    PluginType.REDACTOR: lambda self, event: None,
}


def a(kind: PluginType, method: Callable[..., Any] | None = None, **members: Any) -> type:
    """Return a class of plugin that is right, but for what is given."""
    metadata = PluginMetadata("mine", "1.0.0", kind)
    own = {METHODS[kind]: method or GOOD[kind], "metadata": metadata, "blocking": False, "__module__": __name__}
    return type("Mine", (), {**own, **members})


def asynchronous(kind: PluginType) -> type:
    async def method(self: Any, argument: Any) -> Any:
        await anyio.sleep(0.5)
        return GOOD[kind](self, argument)

    return a(kind, method)


# -- what is right


@pytest.mark.parametrize("make", [a, asynchronous])
@pytest.mark.parametrize("kind", PluginType)
def test_a_plugin_that_does_nothing_wrong_conforms(kind: PluginType, make: Callable[[PluginType], type]) -> None:
    check_plugin(make(kind))


@pytest.mark.parametrize(
    "enricher",
    [CloudEnricher, ContainerEnricher, KubernetesEnricher, ProcessEnricher, RuntimeEnricher, StaticEnricher],
)
def test_the_built_in_enrichers_conform(enricher: Callable[[], Any]) -> None:
    check_plugin(enricher)


def test_what_an_enricher_says_of_every_event_is_looked_at() -> None:
    def nothing(self: Any) -> None:
        return None

    def wrong(self: Any) -> list[str]:
        return ["a"]

    def failing(self: Any) -> dict[str, str]:
        raise RuntimeError

    def slow(self: Any) -> dict[str, str]:
        time.sleep(0.3)
        return {}

    for static, expected in ((nothing, "returns"), (wrong, "returns"), (failing, "odd values"), (slow, "loop")):
        found = examine_plugin(a(PluginType.ENRICHER, static=static), backends=["asyncio"])
        assert expected in {violation.check for violation in found}, static
    assert examine_plugin(a(PluginType.ENRICHER, static=lambda self: {"a": 1})) == []


@pytest.mark.parametrize("sink", [MemorySink, NullSink, StdoutSink, StderrSink, ConsoleSink])
def test_the_built_in_sinks_conform(sink: type, capfd: pytest.CaptureFixture[str]) -> None:
    check_plugin(sink)


@pytest.mark.parametrize("settings", [{}, {"max_bytes": 50_000, "compress": "gzip"}, {"format": "logfmt"}])
def test_the_file_sink_conforms(settings: dict[str, Any], tmp_path: Any) -> None:
    numbers = count()
    check_plugin(lambda: FileSink(FileSink.Config(path=f"{tmp_path}/{next(numbers)}.log", **settings)))


@pytest.mark.parametrize("sink", [RecordingSink, PlainRecordingSink, lambda: FaultySink(["delay"]), PlainFaultySink])
def test_the_sinks_for_tests_conform(sink: Callable[[], object]) -> None:
    check_plugin(sink)


def test_a_sink_that_runs_in_a_thread_conforms_in_real_time() -> None:
    def write(self: Any, batch: Batch) -> None:
        time.sleep(0.001)

    check_plugin(a(PluginType.SINK, write, blocking=True))


def test_plain_functions_conform() -> None:
    def keep(event: LogEvent) -> bool:
        return event.level != "DEBUG"

    async def write(batch: Batch) -> None:
        batch.encoded("json")

    check_plugin(lambda: keep, "filter")
    check_plugin(lambda: write, PluginType.SINK)


async def test_it_may_be_called_inside_an_event_loop() -> None:
    check_plugin(a(PluginType.FILTER))


# -- what is wrong


async def _swallow(self: Any, argument: Any) -> Any:
    try:
        await anyio.sleep(0.5)
    except BaseException:
        return None


async def _swallow_for_ever(self: Any, argument: Any) -> Any:
    while True:
        try:
            await anyio.sleep(0.5)
        except BaseException:
            continue
        return None


async def _shield(self: Any, argument: Any) -> Any:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(0.5)


async def _hang(self: Any, argument: Any) -> Any:
    await anyio.sleep_forever()


def _sleep(self: Any, argument: Any) -> Any:
    time.sleep(0.15)
    return argument if isinstance(argument, list) else True if isinstance(argument, LogEvent) else None


async def _hold(self: Any, argument: Any) -> Any:
    await anyio.lowlevel.checkpoint()
    return _sleep(self, argument)


def raising(error: BaseException) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any) -> Any:
        raise error

    return method


def returning(value: Any) -> Callable[..., Any]:
    return lambda self, *arguments: value


def _leak_task(self: Any, *arguments: Any) -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        import trio

        trio.lowlevel.spawn_system_task(anyio.sleep_forever, name="lost")
    else:
        LOST.append(loop.create_task(anyio.sleep_forever(), name="lost"))


def _leak_thread(self: Any, *arguments: Any) -> None:
    threading.Thread(target=threading.Event().wait, daemon=True, name="lost").start()


def _leak_file(self: Any, *arguments: Any) -> None:
    LOST.append(os.open("/dev/zero", os.O_RDONLY))


LOST: list[Any] = []


def _once(method: str, error: Exception) -> Callable[..., None]:
    def call(self: Any) -> None:
        if getattr(self, f"{method}_called", False):
            raise error
        setattr(self, f"{method}_called", True)

    return call


def _change_event(self: Any, batch: Batch) -> None:
    for event in batch.events:
        event.message = "mine"


def _change_event_by_force(self: Any, batch: Batch) -> None:
    for event in batch.events:
        event._sealed = False
        event.message = "mine"
        event._sealed = True


def _fail_at_nan(self: Any, argument: Any) -> Any:
    for event in argument if isinstance(argument, list) else [argument]:
        int(event.fields.get("nan", 0))
    return argument if isinstance(argument, list) else None


def _fail_at_empty(self: Any, batch: Batch) -> None:
    batch.events[0]


def _count_in_class(self: Any, argument: Any) -> Any:
    type(self).seen.append(1)
    return True


def _process_late(self: Any, batch: list[LogEvent]) -> list[LogEvent]:
    late, self.late = getattr(self, "late", []), batch
    return [*late, *batch]


@attrs.frozen
class Untyped:
    size = attrs.field(default=1)


@attrs.frozen
class Telling:
    password: str = ""


@attrs.frozen
class Clashing:
    attempts: int = 1


class Plain:
    size: int = 1


class OneBuffer:
    """Two instances that share a list that is nobody's class attribute."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata("mine", "1", PluginType.ENRICHER)

    def __init__(self, buffer: list[int] = LOST) -> None:  # type: ignore[assignment]
        self.buffer = buffer

    def enrich(self, event: LogEvent) -> None:
        return None


S, F, E, P, R = PluginType.SINK, PluginType.FILTER, PluginType.ENRICHER, PluginType.PROCESSOR, PluginType.REDACTOR

SINKS: dict[str, tuple[Any, str, str]] = {
    "has no parameter": (a(S, lambda self: None), "shape", "cannot be called as write(batch)"),
    "flush wants an argument": (a(S, flush=lambda self, what: None), "shape", "flush"),
    "is a generator": (a(S, lambda self, batch: (yield)), "shape", "generator"),
    "does not start": (a(S, start=raising(OSError("no"))), "start", "start raised OSError: no"),
    "raises": (a(S, raising(OSError("no"))), "write", "write of one event raised OSError: no"),
    "says it failed": (a(S, raising(TransientSinkError("no"))), "write", "TransientSinkError"),
    "fails in a thread": (a(S, raising(OSError("no")), blocking=True), "write", "OSError: no"),
    "fails at an empty batch": (a(S, _fail_at_empty), "write", "an empty batch raised IndexError"),
    "fails at odd values": (
        a(S, lambda self, batch: "".join(event.fields.get("text", "") for event in batch).encode() and None),
        "write",
        "an event with a lone surrogate raised UnicodeEncodeError",
    ),
    "returns a number": (a(S, lambda self, batch: len(batch) + 2), "returns", "write of one event returned int"),
    "returns False": (a(S, returning(False)), "write", "returned False"),
    "exits": (a(S, raising(SystemExit(3))), "errors", "SystemExit raised by the plugin"),
    "fails at places that are not": (a(S, raising(PartialWriteError([77, -1]))), "errors", "[77, -1]"),
    "changes events": (a(S, _change_event), "read-only", "tried to change an event"),
    "changes events by force": (a(S, _change_event_by_force), "read-only", "changed the batch or its events"),
    "empties the batch": (a(S, lambda self, batch: batch._items.clear()), "read-only", "changed the batch"),
    "holds the loop": (a(S, _sleep), "loop", "write held the event loop for 0.1"),
    "holds the loop after an await": (a(S, _hold), "loop", "write held the event loop for 0.1"),
    "hangs": (a(S, _hang), "timeout", "write of one event did not return in time"),
    "swallows its cancellation": (a(S, _swallow), "cancellation", "swallowed the cancellation"),
    "swallows every cancellation": (a(S, _swallow_for_ever), "cancellation", "did not end"),
    "shields itself": (a(S, _shield), "cancellation", "cancelled at its wait 1"),
    "flush hangs": (a(S, flush=lambda self: None, aclose=lambda self: time.sleep(0.15)), "loop", "aclose held"),
    "flush fails when there is nothing": (a(S, flush=raising(OSError("no"))), "flush", "flush before any write"),
    "closes once only": (a(S, aclose=_once("aclose", OSError("closed"))), "aclose", "a second aclose raised OSError"),
    "aclose returns something": (a(S, aclose=returning(1)), "returns", "aclose returned int"),
    "cannot be closed unused": (
        a(S, lambda self, batch: setattr(self, "file", 1), aclose=lambda self: self.file and None),
        "aclose",
        "aclose without a write raised AttributeError",
    ),
    "leaves a task": (a(S, start=_leak_task), "leaks", "lost"),
    "leaves a thread": (a(S, start=_leak_thread), "leaks", "thread 'lost'"),
    "leaves a file": (a(S, start=_leak_file), "leaks", "/dev/zero"),
    "shares a list": (
        a(S, lambda self, batch: self.seen.append(len(batch)), seen=[]),
        "instances",
        "Mine.seen changed",
    ),
    "has no metadata": (a(S, metadata=None), "metadata", "Mine has no metadata"),
    "has other metadata": (a(S, metadata={"name": "x"}), "metadata", "is dict"),
    "has an odd version": (a(S, metadata=PluginMetadata("mine", "new", S)), "metadata", "version is 'new'"),
    "has a bad name": (a(S, metadata=PluginMetadata("my sink", "1", S)), "metadata", "my sink"),
    "has a built-in name": (a(S, metadata=PluginMetadata("std-out", "1", S)), "metadata", "stdout"),
    "leads nowhere": (
        a(S, metadata=PluginMetadata("mine", "1", S, entry_point="nowhere:Sink")),
        "metadata",
        "cannot be imported",
    ),
    "has a plain Config": (a(S, Config=Plain), "config", "not an attrs class"),
    "has an untyped Config": (a(S, Config=Untyped), "config", "Config.size has no type"),
    "shows a secret": (a(S, Config=Telling), "config", "Config.password is a secret"),
    "takes a key of the policy": (a(S, Config=Clashing), "config", "Config.attempts is a key of SinkPolicy"),
    "is not made from its Config": (
        a(S, Config=attrs.make_class("C", {"size": attrs.field(default=1, type=int)})),
        "config",
        "Mine(Config()) raised TypeError",
    ),
}
STAGES: dict[str, tuple[Any, str, str]] = {
    "filter returns a number": (a(F, returning(1)), "returns", "returned int, not a bool"),
    "filter returns nothing": (a(F, returning(None)), "returns", "returned NoneType, not a bool"),
    "filter fails at odd values": (a(F, _fail_at_nan), "odd values", "numbers that JSON has not raised ValueError"),
    "filter changes events": (
        a(F, lambda self, event: event.add(tags={"seen": "1"}) is None),
        "read-only",
        "a filter only looks",
    ),
    "filter holds the loop": (a(F, _sleep), "loop", "keep held the event loop"),
    "filter hangs": (a(F, _hang), "timeout", "keep of an ordinary event did not return"),
    "filter shares a list": (a(F, _count_in_class, seen=[]), "instances", "Mine.seen changed"),
    "filter exits": (a(F, raising(SystemExit())), "errors", "SystemExit"),
    "filter has other metadata": (
        a(F, metadata=PluginMetadata("mine", "1", R)),
        "shape",
        "its keep() makes it a filter",
    ),
    "enricher returns text": (a(E, returning("host")), "returns", "returned str, not a mapping or None"),
    "enricher returns a coroutine function's": (a(E, returning(5)), "returns", "returned int"),
    "enricher fails at odd values": (a(E, _fail_at_nan), "odd values", "ValueError"),
    "enricher fails at no fields": (a(E, lambda self, event: {"user": event.fields["user"]}), "odd values", "KeyError"),
    "enricher swallows": (a(E, _swallow), "cancellation", "enrich, cancelled at its wait 1, swallowed"),
    "enricher shares a list": (OneBuffer, "instances", "two instances have the same buffer"),
    "enricher leaves a task": (a(E, _leak_task), "leaks", "lost"),
    "processor returns nothing": (a(P, returning(None)), "returns", "returned NoneType, not a list of events"),
    "processor returns a tuple": (a(P, lambda self, batch: tuple(batch)), "returns", "returned tuple"),
    "processor returns texts": (a(P, lambda self, batch: ["x", *batch]), "returns", "a list with str in it"),
    "processor returns events twice": (a(P, lambda self, batch: batch + batch), "returns", "returned an event twice"),
    "processor makes too many": (
        a(P, lambda self, batch: [LogEvent("new") for _ in range(20_000)]),
        "returns",
        "20000 events",
    ),
    "processor returns old events": (
        a(P, _process_late),
        "read-only",
        "an event of an earlier batch",
    ),
    "processor fails at none": (a(P, lambda self, batch: [batch[0], *batch[1:]]), "odd values", "process of no events"),
    "processor hangs": (a(P, _hang), "timeout", "process of one event"),
    "redactor returns the clean event": (
        a(R, lambda self, event: event.copy()),
        "returns",
        "change the event that is given",
    ),
    "redactor returns True": (a(R, returning(True)), "returns", "returned bool, not None"),
    "redactor fails at odd values": (a(R, _fail_at_nan), "odd values", "ValueError"),
    "redactor shields itself": (a(R, _shield), "cancellation", "went on for"),
}


@pytest.mark.untraced
@pytest.mark.parametrize("case", SINKS)
def test_a_sink_is_caught_that(case: str) -> None:
    caught(*SINKS[case])


@pytest.mark.parametrize("case", STAGES)
def test_caught_is_a(case: str) -> None:
    caught(*STAGES[case])


def caught(factory: Callable[[], Any], check: str, what: str) -> None:
    try:
        with pytest.raises(ConformanceError) as error:
            check_plugin(factory, patience=1)
    finally:
        for lost in LOST:
            if isinstance(lost, int):
                os.close(lost)
        LOST.clear()
    found = [violation for violation in error.value.violations if violation.check == check]
    assert any(what in violation.what for violation in found), str(error.value)
    text = str(error.value)
    assert f"why: {CHECKS[check][0]}" in text
    assert f"fix: {CHECKS[check][1]}" in text


def test_a_violation_on_both_event_loops_is_said_once() -> None:
    violations = examine_plugin(a(F, returning(1)))
    same = [violation for violation in violations if violation.what.startswith("keep of an ordinary event")]
    assert [violation.backends for violation in same] == [("asyncio", "trio")]


def test_a_plugin_that_never_comes_back_is_left_behind() -> None:
    free = threading.Event()
    violations = examine_plugin(a(F, lambda self, event: free.wait()), backends=["trio"], longest=0.5)
    free.set()
    assert [violation.check for violation in violations] == ["loop"]
    assert "keep of an ordinary event did not come back" in violations[0].what


def test_one_instance_for_all_is_caught() -> None:
    sink = MemorySink()
    violations = examine_plugin(lambda: sink)
    assert violations[0].what == "the factory gives the same instance each time"


def test_what_does_not_tell_its_kind_is_refused_with_a_hint() -> None:
    with pytest.raises(TypeError, match=r"give kind=\.\.\., or a method: keep\(\) for a filter"):
        check_plugin(lambda: print)


# -- redactors


SECRET = LogEvent("login", fields={"password": "hunter2", "user": "ann"})


def hide(event: LogEvent) -> None:
    event.fields = {name: "***" if name == "password" else value for name, value in event.fields.items()}


def hide_quietly(event: LogEvent) -> None:
    try:
        int(event.fields.get("nan", 0))  # fails at one of the odd values
        hide(event)
    except Exception:
        pass  # and lets the event pass as it is


def hide_or_raise(event: LogEvent) -> None:
    int(event.fields.get("nan", 0))
    hide(event)


async def hide_later(event: LogEvent) -> None:
    await anyio.sleep(0.5)
    hide(event)


@pytest.mark.parametrize("redactor", [hide, hide_later])
def test_a_redactor_that_hides_what_it_is_to_hide_conforms(redactor: Callable[[LogEvent], Any]) -> None:
    check_plugin(lambda: redactor, "redactor", events=[SECRET], hidden=["hunter2"])


@pytest.mark.parametrize(
    "redactor, beside", [(lambda event: None, "nothing odd"), (hide_quietly, "numbers that JSON has not")]
)
def test_pl11_what_gets_out_past_a_redactor_is_found(redactor: Callable[[LogEvent], Any], beside: str) -> None:
    violations = examine_plugin(lambda: redactor, "redactor", events=[SECRET], hidden=["hunter2"])
    leaks = [violation.what for violation in violations if violation.check == "hidden"]
    assert f"hun... got out of 'login' beside {beside}" in leaks
    assert "hunter2" not in str(ConformanceError("r", violations))


def test_pl11_a_redactor_that_raises_lets_nothing_out() -> None:
    violations = examine_plugin(lambda: hide_or_raise, "redactor", events=[SECRET], hidden=["hunter2"])
    assert {violation.check for violation in violations} == {"odd values"}


def test_every_check_can_find_something() -> None:
    tried: Mapping[str, tuple[Any, str, str]] = {**SINKS, **STAGES}
    assert {check for _, check, _ in tried.values()} | {"hidden", "ledger"} == set(CHECKS)


def test_an_account_that_does_not_balance_is_found() -> None:
    # It heeds the kit's single calls, and fails in a container only.
    def write(self: Any, batch: Batch) -> None:
        if any(event.container_id for event in batch):
            raise TransientSinkError("no")

    violations = examine_plugin(a(S, write))
    assert {violation.check for violation in violations} == {"ledger"}
    assert any("not everything was delivered to mine" in violation.what for violation in violations)
