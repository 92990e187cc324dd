"""Plain functions as sinks."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from fapilog.errors import PermanentSinkError, PluginError, ThrottledSinkError, TransientSinkError
from fapilog.event import LogEvent
from fapilog.plugins import Batch, Sink
from fapilog.sinks.callable import CallableSink

pytestmark = pytest.mark.anyio

BATCH = Batch([LogEvent("one")], 0, {})


def write(batch: Batch) -> None:
    """Do nothing."""


nothing: Callable[[Batch], None] = lambda batch: None  # noqa: E731 - a name for its type


async def write_async(batch: Batch) -> None:
    """Do nothing."""


class Writer:
    def __call__(self, batch: Batch) -> None:
        """Do nothing."""

    def method(self, batch: Batch) -> None:
        """Do nothing."""


class AsyncWriter:
    async def __call__(self, batch: Batch) -> None:
        """Do nothing."""

    async def method(self, batch: Batch) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (write, "write"),
        (nothing, "lambda"),
        (partial(write), "write"),
        (Writer(), "Writer"),
        (Writer().method, "method"),
        (print, "print"),
    ],
    ids=["function", "lambda", "partial", "object", "method", "builtin"],
)
def test_a_sync_function_is_called_with_the_batch(function: Callable[[Batch], Any], name: str) -> None:
    sink = CallableSink(function)
    assert isinstance(sink, Sink)
    assert not inspect.iscoroutinefunction(sink.write)
    assert sink.blocking is True
    assert sink.write(BATCH) is None
    assert sink.name == name
    assert repr(sink) == f"<CallableSink {name}>"


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (write_async, "write_async"),
        (partial(partial(write_async)), "write_async"),
        (AsyncWriter(), "AsyncWriter"),
        (partial(AsyncWriter()), "AsyncWriter"),
        (AsyncWriter().method, "method"),
        (AsyncMock(return_value=None), "AsyncMock"),
    ],
    ids=["function", "partial", "object", "partial of an object", "method", "mock"],
)
async def test_an_async_function_is_found_out_when_built_and_awaited(
    function: Callable[[Batch], Any], name: str
) -> None:
    sink = CallableSink(function)
    assert isinstance(sink, Sink)
    assert inspect.iscoroutinefunction(sink.write)
    assert sink.blocking is False
    await sink.write(BATCH)
    assert sink.name == name


def test_the_function_gets_the_batch_itself() -> None:
    seen: list[Batch] = []
    CallableSink(seen.append).write(BATCH)
    assert seen == [BATCH]


async def test_an_async_function_gets_the_batch_itself() -> None:
    seen: list[Batch] = []

    async def keep(batch: Batch) -> bool:
        seen.append(batch)
        return True

    result = CallableSink(keep).write(BATCH)
    assert result is not None
    await result
    assert seen == [BATCH]


async def outcome(result: object, *, is_async: bool) -> None:
    """Write with a function that returns *result*."""

    async def answer_async(batch: Batch) -> object:
        return result

    def answer(batch: Batch) -> object:
        return result

    if is_async:
        written = CallableSink(answer_async).write(BATCH)
        assert written is not None
        await written
    else:
        CallableSink(answer).write(BATCH)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
class TestWhatIsReturned:
    @pytest.mark.parametrize("result", [None, True])
    async def test_sk11_none_and_true_are_delivered(self, result: object, is_async: bool) -> None:
        assert await outcome(result, is_async=is_async) is None  # type: ignore[func-returns-value]

    async def test_sk11_false_may_be_tried_again(self, is_async: bool) -> None:
        with pytest.raises(TransientSinkError, match="returned False"):
            await outcome(False, is_async=is_async)

    @pytest.mark.parametrize(
        ("result", "kind"),
        [
            (1, "int"),
            (0, "int"),
            (10**5000, "int"),
            ("secret-canary", "str"),
            ([0], "list"),
            (iter([]), "list_iterator"),
            (Mock(), "Mock"),
        ],
        ids=["one", "zero", "huge", "text", "list", "iterator", "object"],
    )
    async def test_sk11_anything_else_is_a_mistake_that_is_named(
        self, result: object, kind: str, is_async: bool
    ) -> None:
        with pytest.raises(PermanentSinkError, match=f"returned a value of type {kind}; return None") as caught:
            await outcome(result, is_async=is_async)
        assert "secret-canary" not in str(caught.value)

    async def test_sk11_a_coroutine_is_closed_and_the_remedy_told(self, is_async: bool) -> None:
        coroutine = write_async(BATCH)
        with pytest.raises(PermanentSinkError, match=r"awaitable \(coroutine\).*give the async function itself"):
            await outcome(coroutine, is_async=is_async)
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


@pytest.mark.filterwarnings("error")
def test_sk11_a_lambda_around_an_async_function_is_told_without_a_warning() -> None:
    sink = CallableSink(lambda batch: write_async(batch=batch))
    with pytest.raises(PermanentSinkError, match="the function 'lambda' returned an awaitable"):
        sink.write(BATCH)
    gc.collect()


def test_sk11_an_async_function_behind_a_sync_decorator_is_told() -> None:
    @wraps(write_async)
    def decorated(batch: Batch) -> Any:
        return write_async(batch)

    with pytest.raises(PermanentSinkError, match="the function 'write_async' returned an awaitable"):
        CallableSink(decorated).write(BATCH)


def test_sk11_a_future_is_told() -> None:
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    with pytest.raises(PermanentSinkError, match=r"awaitable \(Future\)"):
        CallableSink(lambda batch: future).write(BATCH)
    loop.close()


async def test_an_exception_passes_as_it_is() -> None:
    raised = ThrottledSinkError(retry_after=3.0)

    def fail(batch: Batch) -> None:
        raise raised

    async def fail_async(batch: Batch) -> None:
        raise raised

    with pytest.raises(ThrottledSinkError) as caught:
        CallableSink(fail).write(BATCH)
    assert caught.value is raised
    written = CallableSink(fail_async).write(BATCH)
    assert written is not None
    with pytest.raises(ThrottledSinkError) as caught:
        await written
    assert caught.value is raised


def takes_nothing() -> None:
    """Do nothing."""


def takes_two(first: Batch, second: Batch) -> None:
    """Do nothing."""


def generator(batch: Batch) -> Iterator[int]:
    yield 1


async def async_generator(batch: Batch) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (5, "is no function"),
        (Writer, "is no function"),
        (takes_nothing, "cannot be called with one argument"),
        (takes_two, "cannot be called with one argument"),
        (generator, "is a generator function"),
        (async_generator, "is a generator function"),
        (partial(generator), "is a generator function"),
    ],
    ids=["int", "class", "no argument", "two arguments", "generator", "async generator", "partial of a generator"],
)
def test_what_cannot_be_a_sink_is_told_when_built(function: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        CallableSink(function)


def test_the_attributes_of_the_function_say_how_to_run_it() -> None:
    def quick(batch: Batch) -> None:
        """Do nothing."""

    sink = CallableSink(quick)
    assert (sink.blocking, sink.ordered) == (True, False)
    quick.blocking = False  # type: ignore[attr-defined]
    quick.ordered = True  # type: ignore[attr-defined]
    assert (sink.blocking, sink.ordered) == (False, True)
