"""WebSockets through the middleware: how each way to end one is told."""

from __future__ import annotations

from typing import Any

import pytest

from asgi_tools import Connection, Logged, Receive, Send, run
from fapilog import LogEvent, current_logger

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}


def scope(**more: Any) -> dict[str, Any]:
    headers = [(b"x-request-id", b"r-1")]
    return {
        "type": "websocket",
        "path": "/ws",
        "headers": headers,
        "query_string": b"",
        "client": ("192.0.2.7", 5),
        **more,
    }


async def served(app: Any, *incoming: dict[str, Any], **more: Any) -> Logged:
    logged = await run(app, scope(), Connection([CONNECT, *incoming]), **more)
    assert logged.request.message == "websocket"
    assert logged.request.correlation_id == "r-1"
    return logged


def outcome(event: LogEvent) -> str:
    return str(event.context["span"]["outcome"])


async def echo(scope: Any, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "chat"})
    while (message := await receive())["type"] == "websocket.receive":
        await current_logger().info("echo")
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


async def test_a_conversation_that_the_client_closes() -> None:
    logged = await served(
        echo,
        {"type": "websocket.receive", "text": "h\u00e9"},
        {"type": "websocket.receive", "bytes": b"1234"},
        {"type": "websocket.disconnect", "code": 1001},
    )
    assert logged.request.fields == {
        "path": "/ws", "client": "192.0.2.7", "accepted": True, "received": 2, "received_size": 7, "sent": 2,
        "sent_size": 7, "closed_by": "client", "close_code": 1001, "subprotocol": "chat",
    }  # fmt: skip
    assert outcome(logged.request) == "ok"
    assert logged.events[0].context["span_id"] == logged.request.context["span_id"]
    assert logged.connection.sent[0]["headers"] == [(b"x-request-id", b"r-1")]


async def test_a_connection_that_is_lost() -> None:
    event = (await served(echo, {"type": "websocket.disconnect", "code": 1006})).request
    assert (event.level, outcome(event)) == ("INFO", "cancelled")
    assert event.context["span"]["cancellation"] == {"source": "client"}


class WebSocketDisconnect(Exception):
    """Called as Starlette calls its own."""


@pytest.mark.parametrize(("code", "expected"), [(1000, "ok"), (1006, "cancelled")])
async def test_a_frameworks_error_for_a_close_is_no_error(code: int, expected: str) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        raise WebSocketDisconnect

    event = (await served(app, {"type": "websocket.disconnect", "code": code}, raises=WebSocketDisconnect)).request
    assert (event.level, outcome(event), event.exception) == ("INFO", expected, None)


async def test_an_error_after_the_client_has_closed_is_an_error() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        raise ValueError("in the clean-up")

    logged = await run(app, scope(), Connection([{"type": "websocket.disconnect", "code": 1000}]), raises=ValueError)
    assert (logged.request.level, outcome(logged.request)) == ("ERROR", "error")


async def test_an_exception_is_told() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise ExceptionGroup("both", [ValueError("first"), KeyError("second")])

    event = (await served(app, raises=ExceptionGroup)).request
    assert (event.level, outcome(event)) == ("ERROR", "error")
    assert event.exception is not None and len(event.exception["group"]) == 2


async def test_a_server_that_refuses_to_send_says_that_the_client_left() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        connection.send_error = ConnectionResetError()
        await send({"type": "websocket.send", "text": "x"})

    connection = Connection([CONNECT])
    event = (await run(app, scope(), connection, raises=ConnectionResetError)).request
    assert (outcome(event), event.context["span"]["cancellation"]) == ("cancelled", {"source": "client"})


@pytest.mark.parametrize(("code", "level"), [(1000, "INFO"), (4001, "INFO"), (1011, "ERROR")])
async def test_a_conversation_that_the_application_closes(code: int, level: str) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code})
        await receive()

    event = (await served(app, {"type": "websocket.disconnect", "code": 1006})).request
    assert (event.level, event.fields["closed_by"], event.fields["close_code"]) == (level, "application", code)


async def test_a_handshake_that_is_refused() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    event = (await served(app)).request
    assert (event.level, event.fields) == (
        "INFO", {"path": "/ws", "client": "192.0.2.7", "accepted": False, "status": 403},
    )  # fmt: skip


@pytest.mark.parametrize(("status", "level"), [(401, "INFO"), (503, "ERROR")])
async def test_a_handshake_that_is_refused_with_a_response(status: int, level: str) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    logged = await served(app)
    assert (logged.request.level, logged.request.fields["status"]) == (level, status)
    assert logged.connection.sent[0]["headers"] == [(b"x-request-id", b"r-1")]


async def test_an_application_that_never_answers_is_an_error() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()

    event = (await served(app)).request
    assert (event.level, event.fields["status"], outcome(event)) == ("ERROR", 500, "error")


async def test_a_skipped_websocket_has_no_event() -> None:
    logged = await run(
        echo, scope(), Connection([CONNECT, {"type": "websocket.disconnect"}]), options={"skip": ["/w*"]}
    )
    assert logged.events == []
    assert logged.connection.sent[0]["headers"] == [(b"x-request-id", b"r-1")]
