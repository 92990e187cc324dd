"""Exceptions that are logged more than once: where they were raised, and the event that tells of them in full."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import sys
import weakref
from time import perf_counter_ns
from typing import Any

import anyio
import pytest

import fapilog
from fapilog import AsyncLogger, exception_marks
from fapilog.cancellation import first_seen
from fapilog.exception_marks import Logged, Sighting, mark_raised
from fapilog.sinks.memory import MemorySink
from fapilog.tracebacks import describe_exception

pytestmark = pytest.mark.anyio


def exceptions_of(memory: MemorySink) -> list[Any]:
    return [event.exception for event in memory.events]


def sighting(
    number: int = 1, *, container_id: str = "c", span_id: str = "", task: str = "", since: int = 0
) -> Sighting:
    return Sighting(container_id, number, span_id, "span" if span_id else "", task, since)


def told(error: BaseException, number: int, *, accepted: bool = True, **more: Any) -> Any:
    """Return the description that a call gives whose event is accepted."""
    call = sighting(number, **more)
    description = describe_exception(error, sighting=call)
    call.logged.accepted = accepted
    return description


class OwnSlots(Exception):
    __slots__ = ("extra",)


class Liar(Exception):
    """Answers every access with something else."""

    __dict__ = {"_fapilog_raised": ("a", "b", "c", sys.maxsize)}

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


class LyingDict(dict[str, Any]):
    def get(self, *arguments: Any) -> Any:
        raise RuntimeError

    __getitem__ = __setitem__ = get


class OwnDict(Exception):
    def __init__(self, *arguments: Any) -> None:
        BaseException.__dict__["__dict__"].__set__(self, LyingDict())


# -- in a container


async def test_the_leaves_of_a_group_are_linked_to_the_spans_and_tasks_that_raised_them() -> None:
    async def work(log: AsyncLogger, number: int) -> None:
        with log.span(f"work {number}"):
            raise ValueError(number)

    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(work, log, 1, name="first")
                tasks.start_soon(work, log, 2, name="second")
        except ExceptionGroup:
            await log.exception("all failed")
    *spans, whole = memory.events
    assert whole.exception is not None
    assert "frames" in whole.exception
    full = {event.exception["message"]: event for event in spans if event.exception is not None}
    assert full.keys() == {"1", "2"}
    for leaf in whole.exception["group"]:
        event = full[leaf["message"]]
        assert event.exception is not None
        assert "raised_in" not in event.exception
        name = {"1": "first", "2": "second"}[leaf["message"]]
        span_id = event.context["span_id"]
        assert event.task == name
        assert leaf == {
            "type": "ValueError",
            "module": "builtins",
            "message": leaf["message"],
            "raised_in": {"span_id": span_id, "span": f"work {leaf['message']}", "task": name},
            "fingerprint": event.exception["fingerprint"],
            "logged": {"exception_id": event.exception["exception_id"], "span_id": span_id},
        }


async def test_what_except_star_splits_off_keeps_its_links() -> None:
    async def fail(log: AsyncLogger, error: Exception) -> None:
        try:
            raise error
        except Exception:
            await log.exception("inside")
            raise

    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log:
        try:
            try:
                async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
                    inner.start_soon(fail, log, ValueError("v"), name="v-task")
                    outer.start_soon(fail, log, KeyError("k"), name="k-task")
            except* ValueError:
                await log.exception("values")
                raise
            except* KeyError:
                await log.exception("keys")
        except ExceptionGroup as left:
            await log.error("left", exc_info=left)
    by_message = {event.message: event.exception for event in memory.events}

    def leaves(node: Any) -> list[Any]:
        return [leaf for member in node["group"] for leaf in leaves(member)] if "group" in node else [node]

    for message, key in (("values", "v"), ("keys", "k")):
        (leaf,) = leaves(by_message[message])
        assert leaf["raised_in"] == {"task": f"{key}-task"}
        assert leaf["logged"]["exception_id"] > 0
        assert "frames" not in leaf
    assert by_message["left"] is not None
    if "logged" not in by_message["left"]:  # a new group was made of what was raised again
        assert all("logged" in leaf for leaf in leaves(by_message["left"]))


async def test_an_exception_that_leaves_several_spans_is_told_by_the_innermost() -> None:
    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log:
        try:
            with log.span("outer"), log.span("inner"):
                raise ValueError("no")
        except ValueError as error:
            await log.error("outside", exc_info=error)
            await log.error("from it", exc_info=_raised_from(error))
    inner, outer, outside, following = memory.events
    assert inner.exception is not None
    assert "frames" in inner.exception
    link = {"exception_id": inner.exception["exception_id"], "span_id": inner.context["span_id"]}
    assert following.exception is not None
    for exception in (outer.exception, outside.exception, following.exception["cause"]):
        assert exception is not None
        assert exception["logged"] == link
        assert exception["raised_in"]["span"] == "inner"
        assert not {"frames", "exception_id"} & exception.keys()


def _raised_from(cause: BaseException) -> BaseException:
    try:
        raise RuntimeError("following") from cause
    except RuntimeError as error:
        return error


async def test_another_container_tells_it_in_full() -> None:
    first, second = MemorySink(), MemorySink()
    async with fapilog.container(sinks=[first]) as one, fapilog.container(sinks=[second]) as two:
        error = ValueError("shared")
        for log in (one, two, one, two):
            await log.error("failed", exc_info=error)
    for memory in (first, second):
        full, short = exceptions_of(memory)
        assert "logged" not in full
        assert short["logged"] == {"exception_id": full["exception_id"]}


async def test_what_was_refused_is_not_referred_to() -> None:
    memory = MemorySink()
    settings = {"queue_max_size": 1, "reserved_for_errors": 0, "overflow_strategy": "drop_newest"}
    error = ValueError("no")
    async with fapilog.container(settings, sinks=[memory]) as log:
        assert log.nowait.info("fills the queue")
        assert not log.nowait.error("refused", exc_info=error)
        await log.flush()
        assert log.nowait.error("in full", exc_info=error)
        await log.flush()
        assert log.nowait.error("short", exc_info=error)
    full, short = [event.exception for event in memory.events if event.exception is not None]
    assert "logged" not in full
    assert short["logged"] == {"exception_id": full["exception_id"]}


@pytest.mark.virtual_time
async def test_what_waited_for_room_is_referred_to_once_it_is_in_the_queue() -> None:
    memory = MemorySink()
    settings = {"queue_max_size": 1, "reserved_for_errors": 0}
    error = ValueError("no")
    async with fapilog.container(settings, sinks=[memory]) as log:
        await log.info("fills the queue")
        waiting = log.error("waits", exc_info=error)
        assert await waiting
        await log.flush()
        await log.error("short", exc_info=error)
    full, short = [event.exception for event in memory.events if event.exception is not None]
    assert "frames" not in short
    assert short["logged"] == {"exception_id": full["exception_id"]}


async def test_what_a_span_holds_back_is_not_referred_to() -> None:
    memory = MemorySink()
    error = ValueError("no")
    async with fapilog.container(sinks=[memory]) as log:
        with log.span("given up", buffer="DEBUG"):
            await log.debug("held", exc_info=error)
        await log.error("in full", exc_info=error)
    (exception,) = [event.exception for event in memory.events if event.exception is not None]
    assert "logged" not in exception


async def test_an_object_raised_again_for_other_work_is_told_in_full_there() -> None:
    memory = MemorySink()
    error = ValueError("always the same object")
    async with fapilog.container(sinks=[memory]) as log:
        for number in range(3):
            try:
                with log.span(f"request {number}"):
                    raise error
            except ValueError:
                await log.exception("outside")
    names = [event.message for event in memory.events]
    assert names == [name for number in range(3) for name in (f"request {number}", "outside")]
    for full, short in zip(memory.events[::2], memory.events[1::2], strict=True):
        assert full.exception is not None
        assert short.exception is not None
        assert "logged" not in full.exception
        assert "raised_in" not in full.exception
        assert short.exception["raised_in"]["span"] == full.message
        assert short.exception["logged"]["exception_id"] == full.exception["exception_id"]


async def test_an_error_shared_by_tasks_is_told_in_full_by_the_first() -> None:
    error = ValueError("shared")

    async def fail(log: AsyncLogger) -> None:
        try:
            raise error
        except ValueError:
            await log.exception("seen")

    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log, anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(fail, log, name=f"task {number}")
    full, *others = memory.events
    assert full.exception is not None
    for event in others:
        assert event.exception is not None
        assert event.exception["logged"] == {"exception_id": full.exception["exception_id"]}
        assert event.exception["raised_in"] == {"task": full.task}


async def test_from_a_thread() -> None:
    def work(log: AsyncLogger) -> None:
        try:
            raise ValueError("in a thread")
        except ValueError:
            log.blocking.exception("inside")
            raise

    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log:
        try:
            await anyio.to_thread.run_sync(work, log)
        except ValueError:
            await log.exception("outside")
    inside, outside = memory.events
    assert inside.exception is not None
    assert outside.exception is not None
    assert outside.exception["raised_in"] == {"task": inside.task}
    assert outside.exception["logged"] == {"exception_id": inside.exception["exception_id"]}


async def test_a_span_below_the_level_still_leaves_its_mark() -> None:
    memory = MemorySink()
    async with fapilog.container({"level": "CRITICAL"}, sinks=[memory]) as log:
        span = log.span("quiet")
        try:
            with span:
                raise ValueError("no")
        except ValueError as error:
            await log.critical("outside", exc_info=error)
    (exception,) = exceptions_of(memory)
    assert "frames" in exception
    assert exception["raised_in"]["span_id"] == span.span_id


async def test_a_span_around_the_report_makes_no_difference_inside_the_same_work() -> None:
    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log:
        with log.span("request"):
            error = ValueError("no")
            await log.error("first", exc_info=error)
            with log.span("report"):
                await log.error("second", exc_info=error)
    full, short = [event.exception for event in memory.events if event.exception is not None]
    assert short["logged"]["exception_id"] == full["exception_id"]
    assert short["raised_in"]["span"] == "request"


async def test_a_call_that_is_not_awaited_while_the_queue_is_full_is_not_referred_to() -> None:
    memory = MemorySink()
    error = ValueError("no")
    async with fapilog.container({"queue_max_size": 1, "reserved_for_errors": 0}, sinks=[memory]) as log:
        await log.info("fills the queue")
        dropped = log.error("not awaited", exc_info=error)
        await log.flush()
        await log.error("in full", exc_info=error)
        del dropped
    (exception,) = [event.exception for event in memory.events if event.exception is not None]
    assert "logged" not in exception


# -- the marks


def test_the_first_place_is_kept() -> None:
    error = ValueError("no")
    told(error, 1, span_id="inner", task="child")
    assert told(error, 2, container_id="other", span_id="outer", task="parent")["raised_in"]["span_id"] == "inner"
    assert told(error, 3, container_id="third")["raised_in"] == {"span_id": "inner", "span": "span", "task": "child"}
    mark_raised(error, "outermost", "name", "task", 0)
    assert told(error, 4)["raised_in"]["span_id"] == "inner"


def test_a_span_that_was_entered_later_is_a_new_place() -> None:
    error = ValueError("no")
    mark_raised(error, "first", "name", "task", 0)
    mark_raised(error, "second", "name", "task", perf_counter_ns())
    assert told(error, 1)["raised_in"]["span_id"] == "second"


def test_the_task_of_a_member_is_not_guessed() -> None:
    leaf = ValueError("leaf")
    told(ExceptionGroup("g", [leaf]), 1, span_id="s", task="parent")
    assert told(leaf, 2)["raised_in"] == {"span_id": "s", "span": "span"}


@pytest.mark.parametrize("kind", [ValueError, OwnSlots, OwnDict, Liar, SystemExit])
def test_every_class_of_exceptions_can_be_marked(kind: type[BaseException]) -> None:
    error = kind("no")
    mark_raised(error, "s", "name", "task", 0)
    full, short = told(error, 1), told(error, 2)
    assert "logged" not in full
    assert full["raised_in"] == short["raised_in"] == {"span_id": "s", "span": "name", "task": "task"}
    assert short["logged"] == {"exception_id": 1}
    assert short["fingerprint"] == full["fingerprint"]


def test_an_exception_is_not_kept_alive_and_keeps_no_description() -> None:
    class Target:
        pass

    error = ValueError("no")
    target = Target()
    error.target = target  # type: ignore[attr-defined]
    gone = weakref.ref(target)
    del target
    gc.disable()
    try:
        for number in range(1, 100):
            told(error, number, container_id=str(number))
        marks = error.__dict__[exception_marks._LOGGED]
        assert [logged.exception_id for logged, _ in marks] == [99, 98, 97, 96]
        del error, marks
        assert gone() is None
    finally:
        gc.enable()


def test_notes_added_on_the_way_out_are_told() -> None:
    error = ValueError("no")
    told(error, 1)
    error.add_note("while the order was processed")
    assert told(error, 2)["notes"] == ("while the order was processed",)


def test_what_a_told_exception_came_from_is_not_told_again() -> None:
    cause = KeyError("cause")
    error = ValueError("no")
    error.__cause__ = cause
    group = ExceptionGroup("g", [error])
    told(group, 1)
    assert not {"group", "cause", "frames"} & told(group, 2).keys()
    assert "cause" not in told(error, 3)
    assert told(cause, 4)["logged"] == {"exception_id": 1}


def test_causes_in_a_circle() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    mark_raised(ExceptionGroup("g", [first, second]), "s", "name", "task", 0)
    full = told(first, 1)
    assert full["cause"]["cause"] == {"type": "ValueError", "ref": 1}
    assert told(second, 2)["logged"] == {"exception_id": 1}
    third = ValueError("third")
    third.__cause__ = first
    assert told(third, 3)["cause"]["logged"] == {"exception_id": 1}


def test_an_event_is_referred_to_for_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000
    monkeypatch.setattr(exception_marks, "perf_counter_ns", lambda: now)
    error = ValueError("no")
    told(error, 1)
    now += 600_000_000_000
    assert "logged" in told(error, 2)
    now += 1
    assert told(error, 3)["exception_id"] == 3
    assert told(error, 4)["logged"] == {"exception_id": 3}


def test_marks_do_not_travel_to_processes_that_may_not_know_them() -> None:
    error = ValueError("no")
    mark_raised(error, "s", "name", "task", 0)
    told(error, 1)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(error, protocol)
        assert b"fapilog." not in pickled
        assert b"exception_marks" not in pickled
        received = pickle.loads(pickled)
        again = told(received, 2)
        assert "logged" not in again
        assert again["raised_in"]["span_id"] == "s"
    assert "logged" not in told(copy.deepcopy(error), 3)
    assert told(copy.copy(error), 4)["logged"] == {"exception_id": 1}


@pytest.mark.parametrize(
    "mark",
    [
        None,
        5,
        (),
        ("a", "b"),
        ("a", "b", "c", "d"),
        (1, 2, 3, 4),
        ((None, "f"),),
        (("x", "f"), 5),
        pytest.param([Logged("c", 1, "")], id="a list"),
    ],
    ids=repr,
)
def test_what_others_put_in_the_place_of_a_mark_is_ignored(mark: Any) -> None:
    error = ValueError("no")
    error.__dict__[exception_marks._RAISED] = error.__dict__[exception_marks._LOGGED] = mark
    full = told(error, 1)
    assert not {"logged", "raised_in"} & full.keys()
    mark_raised(error, "s", "name", "task", 0)
    assert told(error, 2)["raised_in"]["span_id"] == "s"


def test_the_work_on_a_large_group_is_bounded() -> None:
    members = [ValueError(number) for number in range(20_000)]
    nested: Exception = ExceptionGroup("g", members)
    for _ in range(50):
        nested = ExceptionGroup("outer", [nested, KeyError()])
    mark_raised(nested, "s", "name", "task", 0)
    assert sum(exception_marks._RAISED in member.__dict__ for member in members) < 1_000
    told(nested, 1)
    assert sum(exception_marks._LOGGED in member.__dict__ for member in members) <= 64


def test_a_cancellation_keeps_when_it_was_first_seen_in_a_dict_of_any_class() -> None:
    cancellation = asyncio.CancelledError()
    cancellation.__dict__ = LyingDict()
    assert first_seen(cancellation, 1.0) == first_seen(cancellation, 2.0) == 1.0
    other = asyncio.CancelledError()
    assert first_seen(other, 3.0) == first_seen(other, 4.0) == 3.0


def test_a_group_whose_class_lies_about_its_members() -> None:
    class Lying(ExceptionGroup[Exception]):
        @property
        def exceptions(self) -> Any:
            raise RuntimeError

    leaf = ValueError("leaf")
    group = Lying("g", [leaf])
    mark_raised(group, "s", "name", "task", 0)
    assert told(leaf, 1)["raised_in"] == {"span_id": "s", "span": "name"}
