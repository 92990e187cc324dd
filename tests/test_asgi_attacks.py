"""What clients send to break the log or the response, and applications that break the protocol."""

from __future__ import annotations

import tracemalloc
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_tools import Connection, Receive, Send, answering, http_scope, respond, run
from fapilog import AsyncLoggingContainer, current_logger
from fapilog.integrations._correlation import Correlation
from fapilog.integrations.asgi import FapilogMiddleware
from fapilog.sinks.memory import MemorySink

pytestmark = pytest.mark.anyio

NAMES = (b"x-request-id", b"x-correlation-id", b"traceparent")


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=200)), max_size=6))
def test_whatever_comes_what_goes_back_is_a_short_printable_id(headers: list[tuple[bytes, bytes]]) -> None:
    correlation = Correlation.of(headers)
    assert 0 < len(correlation.id) <= 128
    assert correlation.id.isascii() and correlation.id.isprintable()
    assert correlation.returned[0] == (b"x-request-id", correlation.id.encode())
    assert {value for _, value in correlation.returned} == {correlation.id.encode()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value",
    [
        b"r-1\r\nset-cookie: a=b", b"r-1\nx", b"r-1\rx", b"\x00", b"r\x1b[31m", b"\x7f", b"r\x85", b"\xe2\x80\xae",
        b"caf\xc3\xa9", b"\xff" * 20, b"\t", b"\x0b1", b"1" * 129, b" " * 600 + b"1",
    ],
)  # fmt: skip
async def test_an_id_that_could_do_harm_is_replaced(name: bytes, value: bytes) -> None:
    scope = {**http_scope(), "headers": [(name, value)]}
    logged = await run(answering, scope)
    made = logged.request.correlation_id
    assert len(made) == 32 and set(made) <= set("0123456789abcdef")
    assert logged.connection.header(b"x-request-id") == [made.encode()]
    assert logged.connection.header(b"x-correlation-id") == []


def test_a_megabyte_of_id_is_not_copied() -> None:
    headers = [(name, b" " * 1_000_000 + b"x") for name in NAMES]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        correlation = Correlation.of(headers)
        assert tracemalloc.get_traced_memory()[1] - before < 100_000
    finally:
        tracemalloc.stop()
    assert correlation.is_trace_id


async def test_an_invalid_id_does_not_hide_a_valid_one_of_another_header() -> None:
    scope = http_scope(headers={"x-request-id": "bad\x00", "x-correlation-id": "c-1"})
    logged = await run(answering, scope)
    assert logged.request.correlation_id == "c-1"
    assert logged.connection.header(b"x-request-id") == logged.connection.header(b"x-correlation-id") == [b"c-1"]


async def test_a_path_may_be_anything() -> None:
    path = "/\x00\r\n\u202e\ud800/" + "x" * 100_000
    event = (await run(answering, http_scope(path), options={"skip": ["/health"]})).request
    assert event.fields["path"].startswith("/\x00\r\n")
    assert len(event.fields["path"]) < 100_000


async def test_patterns_take_time_in_proportion_to_the_path() -> None:
    # Would take for ever with backtracking over every star.
    options = {"skip": ["/*a*a*a*b"]}
    await run(answering, http_scope("/" + "a" * 2000), options=options)


async def test_a_response_that_is_begun_twice_is_the_servers_to_refuse() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await respond(send)
        connection.send_error = RuntimeError("Unexpected ASGI message")
        await respond(send, 500)

    connection = Connection()
    event = (await run(app, connection=connection, raises=RuntimeError)).request
    assert (event.level, event.context["span"]["outcome"]) == ("ERROR", "error")
    assert len(connection.sent) == 2


@pytest.mark.parametrize("message", [{"type": "http.response.start"}, {"type": "http.response.body"}, {"type": "?"}])
async def test_what_is_no_message_of_the_protocol_reaches_the_server(message: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(message)

    logged = await run(app)
    assert logged.connection.sent[0]["type"] == message["type"]
    assert logged.request.level == "ERROR"


async def test_a_server_that_gives_the_least_the_specification_asks_for() -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    fields = (await run(answering, scope, options={"query": True})).request.fields
    assert "client" not in fields


async def test_receiving_side_by_side_with_sending() -> None:
    """An application that watches for the client in one task, and sends in another, as Starlette does."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        async def stream() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream)
            tasks.start_soon(watch)

    connection = Connection([{"type": "http.request"}, {"type": "http.disconnect"}])
    event = (await run(app, connection=connection)).request
    assert event.context["span"]["cancellation"] == {"source": "client"}


async def test_an_exception_after_the_response_has_begun_passes_unchanged_and_is_told_once() -> None:
    raised = ExceptionGroup("both", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])])

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise raised

    sink = MemorySink()
    connection = Connection()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with pytest.raises(ExceptionGroup) as caught:
            await FapilogMiddleware(app, container)(http_scope(), connection.receive, connection.send)
    assert caught.value is raised
    (event,) = sink.events
    assert event.fields["incomplete"] is True
    assert event.exception is not None and len(event.exception["group"]) == 2


async def test_a_container_that_is_closed_does_not_fail_requests() -> None:
    connection = Connection()
    async with AsyncLoggingContainer(sinks=[MemorySink()]) as container:
        pass
    await FapilogMiddleware(answering, container)(http_scope(), connection.receive, connection.send)
    assert connection.sent[0]["status"] == 200


async def test_a_queue_that_is_full_does_not_fail_requests_under_any_strategy() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        while current_logger().nowait.info("fills the queue"):
            pass
        await respond(send)

    for strategy in ("block", "drop_newest", "raise"):
        logged = await run(app, queue_max_size=4, overflow_strategy=strategy)
        assert logged.connection.sent[-1]["type"] == "http.response.body"


async def test_a_route_of_any_kind_does_not_fail_requests() -> None:
    class Odd:
        @property
        def path_format(self) -> str:
            raise RuntimeError("odd")

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        scope["route"] = Odd()
        await respond(send)

    assert "route" not in (await run(app)).request.fields
