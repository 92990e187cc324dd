"""Spans in C against spans in Python: each program here runs both ways, and is to make the same of everything."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import itertools
import signal
import sys
import threading
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Literal
from unittest.mock import patch

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog import LogEvent
from fapilog._accelerated import accelerator
from fapilog.calls import CALLS
from fapilog.context import contexts
from fapilog.event import Ambient, Origin
from fapilog.logger import Core, _Logger
from fapilog.spans import Span
from fapilog.testing import RecordingSink
from fapilog.testing.clock import run_in_virtual_time
from fapilog.traces import Ids
from fapilog.values import FrozenDict

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(accelerator is None, reason="the package was built without a C compiler"),
]

Backend = Literal["asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")
METHODS = ((_Logger, "span"), (Span, "__enter__"), (Span, "__exit__"))


@contextmanager
def in_python() -> Iterator[None]:
    with ExitStack() as patches:
        for owner, name in METHODS:
            method: Any = owner.__dict__[name]
            patches.enter_context(patch.object(owner, name, method.__wrapped__))
        yield


@contextmanager
def in_c() -> Iterator[None]:
    for owner, name in METHODS:
        assert type(owner.__dict__[name]).__name__ == "SpanMethod"
    yield


WAYS = {"C": in_c, "Python": in_python}


@pytest.fixture(autouse=True)
def without_opentelemetry() -> Iterator[None]:
    """Hide what another test may have imported, for it makes every span one that is not plain."""
    with patch.dict(sys.modules):
        sys.modules.pop("opentelemetry.trace", None)
        yield


# -- programs


class Text(str):
    """A text that is no plain one."""

    __slots__ = ()


PLAIN_VALUES = ("text", "", "\ud800", 0, -1, 2**100, 1.5, True, None)
VALUES = (*PLAIN_VALUES, b"bytes", [1, 2], {"a": 1}, Text("subclass"), lambda: 3, FrozenDict(a=1))
FIELDS = ("user", "status", "self", "logger", "fields", "exc_info", "tags", "severity", "ä", "span")
OPTIONS: dict[str, tuple[Any, ...]] = {
    "start_level": (None, "info", "debug"),
    "traceparent": (None, "nonsense", f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-00"),
    "log_level": (None, "debug", "error"),
    "buffer": (None, "debug"),
    "buffer_size": (1, 1000),
    "sample": (None, 0, 1),
    "slow": (None, 0, 1000),
    "max_events": (None, 0, 1),
    "max_bytes": (None, 10),
}
CONTEXTS_INSIDE: tuple[dict[str, Any], ...] = (
    {"request": 7}, {"trace_id": "feed"}, {"trace_id": ""}, {"span_id": 5}, {"trace_id": None}, {"span": 1},
    {"correlation_id": "c"}, {},
)  # fmt: skip
ENDS = ("", "", "", "error", "cancelled", "group")


def mapping(names: tuple[str, ...], values: tuple[Any, ...], most: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), st.sampled_from(values), max_size=most)


def options() -> st.SearchStrategy[dict[str, Any]]:
    one = st.sampled_from(sorted(OPTIONS)).flatmap(
        lambda name: st.sampled_from(OPTIONS[name]).map(lambda value: {name: value})
    )
    return st.one_of(st.just({}), st.just({}), one)


def steps(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    body = st.lists(inner, max_size=4)
    fields = st.one_of(mapping(FIELDS[:4], PLAIN_VALUES, 3), mapping(FIELDS, VALUES, 3))
    return st.one_of(
        st.tuples(st.just("span"), options(), fields, body, st.sampled_from(ENDS)),
        st.tuples(st.just("context"), st.sampled_from(CONTEXTS_INSIDE), st.sampled_from((None, None, "debug")), body),
        st.tuples(st.just("bound"), st.sampled_from(({"b": 1}, {"span": 2})), body),
        st.tuples(st.just("thread"), body),
        st.tuples(st.just("deadline"), st.sampled_from((5, 50)), body),
        st.tuples(st.just("generators"), st.permutations([0, 1, 2])),
    )


SIMPLE = st.one_of(
    st.tuples(st.just("event"), st.sampled_from(("debug", "info", "warning", "error"))),
    st.tuples(st.just("set"), mapping(FIELDS[3:], VALUES, 2)),
    st.tuples(st.just("outcome"), st.sampled_from(("ok", "error", "cancelled"))),
    st.tuples(st.just("keep")),
)
PROGRAMS = st.lists(steps(st.recursive(SIMPLE, steps, max_leaves=8)), min_size=1, max_size=4)

SLOTS = [name for kind in (Span, Span.__base__) for name in kind.__dict__.get("__slots__", ())]
TIMES = {"_began", "_started_ns", "root_began"}


class Run:
    """One run of a program, and what was seen in it."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.spans: list[Span] = []
        self.seen: list[Any] = []
        self.now = 0.0

    def shown(self, value: Any) -> Any:
        """Return a value so that those of two runs can be compared."""
        if isinstance(value, str) and len(value) in (16, 32) and set(value) <= set("0123456789abcdef"):
            return self.ids.setdefault(value, f"id {len(self.ids)}")
        if isinstance(value, Span):
            return f"span {self.spans.index(value)}"
        if isinstance(value, Ambient):
            return [
                type(value.values).__name__,
                self.shown(value.values),
                value.correlation_id,
                self.shown(value.scope),
            ]
        if isinstance(value, dict):
            return {
                name: "…" if name in ("unwinding", "shielded") else self.shown(each) for name, each in value.items()
            }
        return repr(value) if value is None or type(value) in (str, int, float, bool) else type(value).__name__

    def state(self, span: Span) -> dict[str, Any]:
        """Return what is in the slots of a span."""
        found: dict[str, Any] = {}
        for name in SLOTS:
            value = getattr(span, name, "not set")
            if name in TIMES and type(value) is int and value:
                value = "a time"
            elif name == "_deadline" and type(value) is float and abs(value) < 1e9:
                value = round(value - self.now)
            # What is left of the fields after the end is nobody's.
            found[name] = "…" if name == "_fields" and span.ended else self.shown(value)
        around = getattr(span, "around", None)
        if around is not None:
            found["root"] = span.root_began == around.root_began
        return found

    def content(self, event: LogEvent) -> Any:
        context = dict(event.context)
        told = context.get("span")
        if isinstance(told, dict):
            assert type(told) is FrozenDict and next(iter(told)) == "start"
            context["span"] = {
                name: type(each) if name in ("start", "duration") else each for name, each in told.items()
            }
        names = ("message", "level", "severity", "fields", "tags", "task", "logger", "correlation_id")
        error = event.exception and (event.exception["type"], event.exception["message"])
        return [[repr(getattr(event, name)) for name in names], self.shown(context), error, list(context)]


class Failed(Exception):
    pass


def raised(end: str) -> BaseException:
    if end == "cancelled":
        return asyncio.CancelledError("Cancelled via cancel scope 7f00; reason: deadline exceeded")
    return BaseExceptionGroup("group", [asyncio.CancelledError()]) if end == "group" else Failed("failed")


def play(log: Any, run: Run, span: Span | None, program: list[Any]) -> None:
    for step in program:
        PLAYERS[step[0]](log, run, span, *step[1:])


def play_span(
    log: Any, run: Run, _: Any, options: dict[str, Any], fields: dict[str, Any], body: list[Any], end: str
) -> None:
    made = log.span("work", **options, **fields)
    run.spans.append(made)
    run.seen.append(run.state(made))
    before = log._variable.get()
    try:
        with made as entered:
            assert entered is made
            run.seen.append(run.state(made))
            run.seen.append(run.shown(log._variable.get()))
            play(log, run, made, body)
            if end:
                raise raised(end)
    except (Failed, asyncio.CancelledError, BaseExceptionGroup):
        run.seen.append(f"raised {end}")
    run.seen.append(run.state(made))
    run.seen.append(log._variable.get() is before)


def play_context(log: Any, run: Run, span: Any, fields: dict[str, Any], level: str | None, body: list[Any]) -> None:
    with log.context(log_level=level, **fields):
        play(log, run, span, body)


def play_thread(log: Any, run: Run, span: Any, body: list[Any]) -> None:
    failed: list[BaseException] = []

    def main() -> None:
        try:
            play(log, run, span, body)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(main,), name="a thread")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def play_deadline(log: Any, run: Run, span: Any, seconds: float, body: list[Any]) -> None:
    if threading.current_thread().name == "a thread":
        play(log, run, span, body)
    else:
        with anyio.CancelScope(deadline=run.now + seconds):  # noqa: ASYNC100 - the span asks for the deadline
            play(log, run, span, body)


def play_generators(log: Any, run: Run, _: Any, order: list[int]) -> None:
    def generate(number: int) -> Generator[None]:
        with log.span(f"generator {number}", number=number) as span:
            run.spans.append(span)
            yield

    generators = [generate(number) for number in order]
    for generator in generators:
        next(generator)
    for number in range(3):
        if order[0] == 0:
            generators[order.index(number)].close()
        else:
            next(generators[order.index(number)], None)
        run.seen.append(run.shown(log._variable.get().values))
    run.seen += map(run.state, run.spans[-3:])


def play_event(log: Any, run: Run, _: Any, level: str) -> None:
    run.seen.append(getattr(log.nowait, level)("event", number=1))


PLAYERS: dict[str, Callable[..., None]] = {
    "span": play_span,
    "context": play_context,
    "bound": lambda log, run, span, fields, body: play(log.bind(**fields), run, span, body),
    "thread": play_thread,
    "deadline": play_deadline,
    "generators": play_generators,
    "event": play_event,
    "set": lambda log, run, span, fields: span and span.set(**fields),
    "outcome": lambda log, run, span, outcome: span and span.set_outcome(outcome, cause="because"),
    "keep": lambda log, run, span: span and span.keep(),
}


def result(way: str, backend: Backend, program: list[Any], settings: dict[str, Any] | None = None) -> list[Any]:
    """Return all that was seen of a program, its events and their account."""
    sink = RecordingSink("sink")
    run = Run()

    async def main() -> Any:
        run.now = anyio.current_time()
        async with fapilog.AsyncLoggingContainer(settings or {}, sinks=[sink]) as container:
            with container.logger().span("the first, which draws the ids"):
                pass
            play(container.logger(), run, None, program)
            await container.flush()
            stats = container.stats()
            return stats.submitted, dict(stats.rejected), dict(stats.filtered), stats.dropped

    with WAYS[way]():
        account = run_in_virtual_time(backend, main)
    # The spans first, so that an id has the same number in both runs whatever order the events came in.
    return [run.seen, [run.content(event) for event in sink.events], account]


def check(program: list[Any], settings: dict[str, Any] | None = None, backends: tuple[Backend, ...] = BACKENDS) -> Any:
    expected: Any = None
    for backend in backends:
        expected = result("Python", backend, program, settings)
        assert result("C", backend, program, settings) == expected
    return expected


@given(program=PROGRAMS, backend=st.sampled_from(BACKENDS))
def test_a_program_makes_the_same_in_both_ways(program: list[Any], backend: Backend) -> None:
    check(program, backends=(backend,))


EMPTY: Any = ("span", {}, {}, [], "")


@pytest.mark.parametrize("end", sorted(set(ENDS)))
def test_each_option_and_each_end(end: str) -> None:
    given_options: list[dict[str, Any]] = [{}, *({name: value} for name in OPTIONS for value in OPTIONS[name])]
    inner: Any = ("span", {}, {"user": 1}, [("event", "error"), EMPTY], "")
    check([("span", each, {"user": 1}, [("event", "debug"), inner], end) for each in given_options])


def test_each_step_inside_a_span() -> None:
    bodies: list[Any] = [
        *(("context", fields, level, [EMPTY]) for fields in CONTEXTS_INSIDE for level in (None, "debug")),
        ("bound", {"span": 2}, [EMPTY]), ("bound", {"b": 2}, [EMPTY]), ("thread", [EMPTY]), ("deadline", 5, [EMPTY]),
        *(("generators", list(order)) for order in itertools.permutations(range(3))),
        *(("outcome", outcome) for outcome in ("ok", "error", "cancelled")), ("keep",),
        *(("set", {name: value}) for name in ("user", "tags") for value in (1, None, [1])),
    ]  # fmt: skip
    check([("span", {}, {}, [body], "") for body in bodies] + [body for body in bodies if body[0] != "set"])


def test_each_value() -> None:
    values = [*VALUES, *("x" * length for length in (65_532, 65_533, 65_536, 70_000))]
    check([("span", {}, {name: value}, [], "") for name in ("user", "tags") for value in values])


def test_fields_with_names_that_others_have() -> None:
    names = [*inspect.signature(Span.__init__).parameters, *SLOTS, "name", "args", "exc_info", "plan"]
    check([("span", {}, {name: 1}, [], "") for name in names if name not in OPTIONS])


@pytest.mark.parametrize("level", ["DEBUG", "WARNING", "ERROR"])
def test_a_logger_of_another_level(level: str) -> None:
    check([EMPTY, ("span", {}, {}, [("event", "error"), EMPTY], "error")], {"level": level})


def test_a_container_that_tells_the_place_of_each_call() -> None:
    check([EMPTY, ("span", {}, {}, [], "error")], {"callsite": True})


def test_more_spans_than_ids_are_drawn_at_once() -> None:
    _seen, events, _ = check([EMPTY] * 300, backends=("asyncio",))
    assert len({event[1]["span_id"] for event in events}) == 301


@pytest.mark.parametrize("strategy", ["drop_newest", "drop_oldest", "block", "raise"])
def test_more_spans_than_the_queue_has_room_for(strategy: str) -> None:
    settings = {"queue_max_size": 20, "overflow_strategy": strategy, "on_incomplete": "ignore"}
    check([EMPTY] * 60 + [("thread", [EMPTY] * 3)], settings, ("asyncio",))


def test_spans_before_and_after_the_container_is_open() -> None:
    def counts(way: str) -> Any:
        sink = RecordingSink("sink")
        container = fapilog.AsyncLoggingContainer({"on_incomplete": "ignore"}, sinks=[sink])
        log = container.logger()

        async def main() -> None:
            with log.span("before"):
                pass
            kept = log.span("kept")
            async with container:
                kept.__enter__()
            kept.__exit__(None, None, None)
            with log.span("after"):
                pass

        with WAYS[way]():
            run_in_virtual_time("asyncio", main)
        return dict(container.stats().rejected), sink.messages

    assert counts("C") == counts("Python")


def test_a_plugin_that_opens_spans() -> None:
    def counts(way: str) -> Any:
        sink = RecordingSink("sink")

        def keep(event: LogEvent) -> bool:
            with container.logger().span("inside"):
                pass
            return True

        container = fapilog.AsyncLoggingContainer(sinks=[sink], filters=[keep])

        async def main() -> None:
            async with container:
                with container.logger().span("outside"):
                    pass

        with WAYS[way]():
            run_in_virtual_time("trio", main)
        return dict(container.stats().rejected), sink.messages

    assert counts("C") == counts("Python") == ({"reentrant": 1}, ["outside"])


def test_an_observer_sees_the_spans() -> None:
    def observed(way: str) -> Any:
        sink = RecordingSink("sink")
        seen: list[str] = []

        def observer(record: Any) -> Any:
            seen.append(record[2])
            return (*record[:2], "changed", *record[3:])

        async def main() -> None:
            async with fapilog.container(sinks=[sink]) as log:
                log._core.observe(observer)
                with log.span("work"):
                    pass
                log._core.observe(None)

        with WAYS[way]():
            run_in_virtual_time("asyncio", main)
        return seen, sink.messages

    assert observed("C") == observed("Python") == (["work"], ["changed"])


# -- what is called


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_plain_span_runs_no_python_of_ours() -> None:
    called: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and "fapilog" in frame.f_code.co_filename:
            called.append(frame.f_code.co_qualname)

    async with fapilog.container(sinks=[RecordingSink("sink")]) as log:
        with log.span("warm"):  # draws ids
            pass
        await log.info("an event, so that the workers run")
        await log.flush()
        await log.info("so that there is an open chunk with room")
        with log.context(request=7), log.span("outer"):
            sys.setprofile(note)
            try:
                with log.span("work", user=7, path="/items"):
                    pass
            finally:
                sys.setprofile(None)
    assert [name for name in called if "note" not in name] == []


async def test_wrong_calls_say_the_same() -> None:
    async with fapilog.container(sinks=[RecordingSink("sink")]) as log:

        def said(call: Callable[[], Any]) -> list[str]:
            found = []
            for way in WAYS.values():
                with way(), pytest.raises((TypeError, RuntimeError, AttributeError, ValueError)) as error:
                    call()
                found.append(str(error.value))
            return found

        def entered_twice() -> None:
            with log.span("work") as span:
                span.__enter__()

        def left_twice() -> None:
            with log.span("work") as span:
                pass
            span.__exit__(None, None, None)

        no_span: Any = object()
        calls: list[Callable[[], Any]] = [
            lambda: log.span(user=1),  # type: ignore[call-arg]
            lambda: log.span("a", "b"),  # type: ignore[call-arg]
            lambda: log.span("a", sample=7),
            lambda: log.span("a", start_level="no level"),
            lambda: log.span("a").__exit__(None, None, None),
            lambda: log.span("a").__enter__(1),  # type: ignore[call-arg]
            lambda: log.span("a").__exit__(),  # type: ignore[call-arg]
            lambda: Span.__enter__(no_span),
            lambda: Span.__exit__(no_span, None, None, None),
            entered_twice,
            left_twice,
        ]
        for call in calls:
            c, python = said(call)
            assert c == python
        for wrong in (Span.__new__(Span), Span(None, "no logger", {})):  # type: ignore[arg-type]
            with pytest.raises(AttributeError):
                wrong.__enter__()
            with pytest.raises((AttributeError, RuntimeError)):
                wrong.__exit__(None, None, None)


@pytest.mark.parametrize("part", ["_core", "_intake", "_variable", "_origin", "_threshold"])
async def test_a_logger_without_its_parts_does_not_crash(part: str) -> None:
    async with fapilog.container(sinks=[RecordingSink("sink")]) as log:

        def run(replaced: bool, at_end: bool) -> None:
            broken = log.bind()
            with log.span("outer"), suppress(AttributeError):
                span = broken.span("work")
                if at_end:
                    span.__enter__()
                delattr(broken, part)
                if replaced:
                    setattr(broken, part, "something else")
                if not at_end:
                    span.__enter__()
                span.__exit__(None, None, None)

        for replaced in (False, True):
            for at_end in (False, True):
                contextvars.copy_context().run(run, replaced, at_end)
        with log.span("after") as after:
            pass
        assert after.ended


async def test_a_span_without_its_parts_does_not_crash() -> None:
    async with fapilog.container(sinks=[RecordingSink("sink")]) as log:

        def run(name: str, at_end: bool, replaced: bool) -> None:
            with suppress(AttributeError, TypeError, ValueError, RuntimeError), log.span("outer"):
                span = log.span("work", user=1)
                if at_end:
                    span.__enter__()
                delattr(span, name)
                if replaced:
                    setattr(span, name, object())
                if not at_end:
                    span.__enter__()
                span.__exit__(None, None, None)

        for name in SLOTS:
            for at_end in (False, True):
                for replaced in (False, True):
                    if hasattr(log.span("work"), name) or at_end:
                        contextvars.copy_context().run(run, name, at_end, replaced)
        with log.span("after") as after:
            pass
        assert after.ended


async def test_what_the_backend_raises_goes_up_and_nothing_is_entered() -> None:
    async with fapilog.container(sinks=[RecordingSink("sink")]) as log:
        backend = log._intake.backend
        before = log._variable.get()
        with log.span("the first, which draws the ids"):
            pass

        def fail(error: type[BaseException]) -> float:
            raise error

        span = log.span("work")
        with patch.object(backend, "effective_deadline", lambda: fail(KeyboardInterrupt)):
            with pytest.raises(KeyboardInterrupt), log.span("interrupted"):
                raise AssertionError
            assert log._variable.get() is before
        with patch.object(backend, "effective_deadline", lambda: fail(RuntimeError)), span:
            assert span._deadline == float("inf")


async def test_a_submit_that_is_interrupted_leaves_the_span_as_python_does() -> None:
    seen = []
    for way in WAYS.values():
        async with fapilog.container(sinks=[RecordingSink("sink")]) as log:
            with way():
                span = log.span("work", user=1)
                before = log._variable.get()
                log._intake.limit = 0
                with (
                    patch.object(Core, "submit", side_effect=KeyboardInterrupt),
                    pytest.raises(KeyboardInterrupt),
                    span,
                ):
                    pass
                seen.append((span.ended, span.plain, span._inside is None, log._variable.get() is before))
                log._variable.set(before)
    assert seen[0] == seen[1] == (False, True, False, False)


def ids_of_spans(sink: RecordingSink) -> list[str]:
    return [event.context["span_id"] for event in sink.events if "span" in event.context]


# Signals and finalizers apart: up to Python 3.11, what the garbage collector runs while a context variable is set must
# not set one, or the interpreter may crash; and a signal handler may run inside of a finalizer.


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"], indirect=True)
async def test_signal_handlers_that_open_spans_lose_nothing() -> None:
    sink = RecordingSink("sink")
    handled = 0

    def handle(number: int, frame: object) -> None:
        nonlocal handled
        handled += 1
        with log.span("handled"):
            log.nowait.info("in the handler")

    async with fapilog.container({"queue_max_size": 50_000}, sinks=[sink]) as log:
        before = signal.signal(signal.SIGALRM, handle)
        gc.disable()
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            for number in range(3000):
                with log.span("outer", number=number) as outer, log.span("inner"):
                    pass
                assert outer.ended and outer._inside is None
                assert "span_id" not in log._variable.get().values
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            gc.enable()
    assert sink.messages.count("outer") == sink.messages.count("inner") == 3000
    assert sink.messages.count("handled") == sink.messages.count("in the handler") == handled > 0
    spans = ids_of_spans(sink)
    assert len(set(spans)) == len(spans) == 6000 + handled


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"], indirect=True)
async def test_finalizers_that_log_lose_nothing() -> None:
    sink = RecordingSink("sink")
    finalized = accepted = 0

    class Garbage:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            nonlocal finalized, accepted
            finalized += 1
            accepted += log.nowait.info("finalized")

    async with fapilog.container({"queue_max_size": 50_000}, sinks=[sink]) as log:
        thresholds = gc.get_threshold()
        gc.set_threshold(3)
        try:
            for number in range(1000):
                Garbage()
                with log.span("outer", number=number) as outer, log.span("inner"):
                    pass
                assert outer.ended and outer._inside is None
        finally:
            gc.set_threshold(*thresholds)
            gc.collect()
    assert finalized == 1000 and sink.messages.count("finalized") == accepted
    assert sink.messages.count("outer") == sink.messages.count("inner") == 1000
    assert len(set(ids_of_spans(sink))) == 2000


# -- memory


async def test_nothing_is_leaked_and_nothing_is_left_to_the_garbage_collector() -> None:
    async with fapilog.container({"sinks": ["null"]}) as log:
        ambient = log._variable.get()
        name, value = "a name that only this test has", 12345.678
        watched: list[Any] = [
            log, log._core, log._intake, log._origin, log._variable, ambient, ambient.values, name, value, Span,
            Ambient, FrozenDict, log._intake.backend, ambient.correlation_id,
        ]  # fmt: skip

        def run() -> None:
            with log.span(name, value=value), log.span("inner"), log.context(a=1), log.span("innermost"):
                pass
            log.span(name, value=value)
            with log.span(name, value=value, buffer="debug"):
                pass

        for _ in range(5):
            run()
        await log.flush()
        gc.collect()
        before = list(map(sys.getrefcount, watched))
        gc.disable()
        memory = 0
        tracemalloc.start()
        try:
            for number in range(100):
                run()
                if number % 20 == 0:
                    await log.flush()
                if number == 20:
                    memory = tracemalloc.get_traced_memory()[0]
            await log.flush()
            grown = tracemalloc.get_traced_memory()[0] - memory
        finally:
            tracemalloc.stop()
            gc.enable()
        after = list(map(sys.getrefcount, watched))
        assert [new - old for new, old in zip(after, before, strict=True) if abs(new - old) > 5] == []
        assert grown < 60_000
        assert [each for each in gc.get_objects() if type(each) is Span] == []


# -- the accelerator's own classes


async def test_the_methods_are_to_be_looked_at_like_functions() -> None:
    async with fapilog.container(sinks=[RecordingSink("sink")]) as log:
        assert log.span.__doc__ is not None and log.span.__doc__.startswith("Return a context manager that logs")
        assert (log.span.__name__, log.span.__qualname__) == ("span", "_Logger.span")
        assert list(inspect.signature(log.span).parameters)[:3] == ["name", "start_level", "traceparent"]
        assert repr(Span.__enter__).startswith("<function Span.__enter__")
        with ExitStack() as stack:
            assert stack.enter_context(log.span("in a stack")).span_id
        methods: tuple[Any, ...] = (_Logger.span, Span.__enter__)
        for method in methods:
            with pytest.raises(TypeError):
                type(method)()


def test_spans_meet_classes_with_the_slots_they_look_into() -> None:
    assert accelerator is not None

    class WithDict(Span):
        pass

    class Other:
        __slots__ = ()

    given_arguments: dict[str, Any] = {
        "new_span": Span(None, "", {}),  # type: ignore[arg-type]
        "calls": CALLS, "contexts": contexts, "core_type": Core, "ids_type": Ids, "origin_type": Origin,
        "options": ("buffer",), "modules": {}, "perf_counter_ns": int, "level": 20,
    }  # fmt: skip
    for wrong, error in (
        ({"new_span": WithDict(None, "", {})}, TypeError),  # type: ignore[arg-type]
        ({"new_span": Other()}, AttributeError),
        ({"new_span": 7}, TypeError),
        ({"calls": None}, TypeError),
        ({"contexts": 7}, TypeError),
        ({"core_type": Other}, AttributeError),
        ({"ids_type": Other}, AttributeError),
        ({"origin_type": Other}, AttributeError),
        ({"options": (7,)}, TypeError),
        ({"level": 2**70}, OverflowError),
    ):
        spans = accelerator.Spans()
        with pytest.raises(error):
            spans.meet(**{**given_arguments, **wrong})
        # What has met nothing leaves all to Python.
        assert spans.making(lambda *arguments, **names: (arguments, names))(1, a=2) == ((1,), {"a": 2})
        assert spans.entering(lambda *arguments: arguments)(1) == (1,)
        assert spans.leaving(lambda *arguments: arguments)(1, 2, None, 4) == (1, 2, None, 4)
        spans.meet(**given_arguments)
        with pytest.raises(RuntimeError, match="have been met"):
            spans.meet(**given_arguments)
    with pytest.raises(TypeError):
        accelerator.Spans(1)  # type: ignore[call-arg]
