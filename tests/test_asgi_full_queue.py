"""The request's own event when the queue is full: it waits once nobody waits for the response, and only then."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import anyio
import pytest

from asgi_tools import Connection, answering, http_scope
from fapilog import AsyncLoggingContainer
from fapilog.exception_marks import is_told
from fapilog.integrations.asgi import FapilogMiddleware
from sinks import HELD, HeldSink, account, hold, quiet, turns

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

SOCKET = {"type": "websocket", "path": "/socket", "headers": [], "query_string": b"", "client": None}


@asynccontextmanager
async def full(**settings: Any) -> AsyncGenerator[tuple[AsyncLoggingContainer, HeldSink]]:
    """Open a container whose queue has no room, for errors neither, until its sink is released."""
    sink = HeldSink()
    container = AsyncLoggingContainer(
        {"queue_max_size": 2, "batch_linger": 0, "plugin_config": {"sink": HELD}, "block_timeout": 5, **settings},
        sinks=[sink],
    )
    quiet(container)
    async with container:
        await hold(container)
        while container.logger("filler").nowait.error("fills the queue"):
            pass
        try:
            yield container, sink
        finally:
            sink.gate.set()


async def failing_late(scope: Any, receive: Any, send: Any) -> None:
    await answering(scope, receive, send)
    raise ValueError("in a background task")


async def closing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1000})


@pytest.mark.parametrize(
    ("application", "scope"),
    [(answering, http_scope()), (failing_late, http_scope()), (closing, SOCKET)],
    ids=["response", "error after it", "websocket"],
)
async def test_it_waits_behind_the_response(application: Any, scope: dict[str, Any]) -> None:
    raised: list[BaseException] = []

    async def serve(connection: Connection) -> None:
        try:
            await FapilogMiddleware(application, container)(scope, connection.receive, connection.send)
        except ValueError as error:
            raised.append(error)
        ended.set()

    async with full() as (container, sink), anyio.create_task_group() as tasks:
        connection, ended = Connection(), anyio.Event()
        tasks.start_soon(serve, connection)
        await turns()
        assert connection.sent[-1]["type"] in ("http.response.body", "websocket.close")
        assert not ended.is_set()
        sink.gate.set()
        await ended.wait()
    assert account(container).dropped == {"queue_full": 1}  # the filler that found no room
    assert [event.logger for event in sink.events][-1] == "asgi"
    assert [type(error) for error in raised] == [ValueError] * (application is failing_late)
    # Told in full by an event that got in, and so referred to by later ones.
    assert all(is_told(error, container.container_id, 0) for error in raised)


async def test_it_waits_for_the_block_timeout_and_then_no_more() -> None:
    async with full() as (container, _):
        middleware, connection = FapilogMiddleware(answering, container), Connection()
        times: list[float] = []
        for _ in range(3):
            began = anyio.current_time()
            await middleware(http_scope(), connection.receive, connection.send)
            times.append(anyio.current_time() - began)
        before = container.stats().dropped
    assert times == [pytest.approx(5), 0, 0]
    assert before == {"queue_full": 1, "block_timeout": 1, "congested": 2}


async def no_response(scope: Any, receive: Any, send: Any) -> None:
    pass


async def half_a_response(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("no answer yet")


@pytest.mark.parametrize("application", [no_response, half_a_response, failing])
async def test_it_does_not_hold_up_what_the_server_answers_itself(application: Any) -> None:
    async with full() as (container, _):
        connection, began = Connection(), anyio.current_time()
        with pytest.raises(ValueError, match="no answer yet") if application is failing else nullcontext():
            await FapilogMiddleware(application, container)(http_scope(), connection.receive, connection.send)
        assert anyio.current_time() == began
        assert container.stats().dropped == {"queue_full": 2}


@pytest.mark.parametrize(("strategy", "counted"), [("drop_newest", "dropped"), ("raise", "rejected")])
async def test_it_waits_under_no_other_strategy(strategy: str, counted: str) -> None:
    async with full(overflow_strategy=strategy) as (container, _):
        connection, began = Connection(), anyio.current_time()
        await FapilogMiddleware(answering, container)(http_scope(), connection.receive, connection.send)
        assert anyio.current_time() == began
        assert getattr(container.stats(), counted) == {"queue_full": 2}


async def test_a_request_that_is_cancelled_while_it_waits_is_over_at_once() -> None:
    async with full() as (container, _):
        connection, began = Connection(), anyio.current_time()
        with anyio.move_on_after(1) as cancelled:
            await FapilogMiddleware(answering, container)(http_scope(), connection.receive, connection.send)
        assert cancelled.cancelled_caught
        assert anyio.current_time() == began + 1
        assert connection.sent[-1]["type"] == "http.response.body"
        assert container.stats().dropped == {"queue_full": 1, "cancelled": 1}


async def test_a_request_that_is_cancelled_before_does_not_wait() -> None:
    async def leaving(scope: Any, receive: Any, send: Any) -> None:
        await answering(scope, receive, send)
        inner.cancel()
        await anyio.sleep_forever()

    async with full() as (container, _):
        connection, began = Connection(), anyio.current_time()
        with anyio.CancelScope() as inner:
            await FapilogMiddleware(leaving, container)(http_scope(), connection.receive, connection.send)
        assert inner.cancelled_caught
        assert anyio.current_time() == began
        assert container.stats().dropped == {"queue_full": 2}


async def test_a_coroutine_that_is_closed_does_not_wait() -> None:
    """What the garbage collector does to one that its server has given up."""

    class Pause:
        def __await__(self) -> Generator[None]:
            yield

    async def pausing(scope: Any, receive: Any, send: Any) -> None:
        await answering(scope, receive, send)
        await Pause()

    async with full() as (container, _):
        connection = Connection()
        running = FapilogMiddleware(pausing, container)(http_scope(), connection.receive, connection.send)
        running.send(None)  # type: ignore[attr-defined]
        running.close()  # type: ignore[attr-defined]
        assert container.stats().dropped == {"queue_full": 2}


async def test_a_container_that_closes_meanwhile_refuses_it() -> None:
    async with full() as (container, _):
        connection = Connection()
        async with anyio.create_task_group() as tasks:
            middleware = FapilogMiddleware(answering, container)
            tasks.start_soon(middleware, http_scope(), connection.receive, connection.send)
            await turns()
            tasks.start_soon(container.aclose)
    report = account(container)
    assert report.balanced
    assert report.rejected == {"closed": 1}
