"""One connection of an ASGI server, played by hand, and what it leaves in the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
import attrs
import pytest

from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.integrations.asgi import FapilogMiddleware
from fapilog.sinks.memory import MemorySink

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


@attrs.define
class Connection:
    """One request as a server runs it: what it gives to the application, and what it got."""

    incoming: list[Message] = attrs.field(factory=lambda: [{"type": "http.request", "body": b"", "more_body": False}])
    sent: list[Message] = attrs.field(factory=list)
    send_error: Exception | None = None

    async def receive(self) -> Message:
        if not self.incoming:
            await anyio.sleep_forever()
        return self.incoming.pop(0)

    async def send(self, message: Message) -> None:
        if self.send_error is not None:
            raise self.send_error
        self.sent.append(message)

    def header(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.sent[0]["headers"] if found == name]


def http_scope(path: str = "/", headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": encoded,
        "query_string": b"",
        "client": ("192.0.2.7", 5),
        **more,
    }


async def respond(send: Send, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"done"})


async def answering(scope: Any, receive: Receive, send: Send) -> None:
    await respond(send)


@attrs.define
class Logged:
    """What one run left behind."""

    events: list[LogEvent]
    connection: Connection
    container: AsyncLoggingContainer

    @property
    def request(self) -> LogEvent:
        """The one event that the middleware logged."""
        (event,) = [event for event in self.events if event.logger == "asgi"]
        return event


async def run(
    app: Any,
    scope: dict[str, Any] | None = None,
    connection: Connection | None = None,
    *,
    raises: type[BaseException] | None = None,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> Logged:
    """Run one request through the middleware, inside a container."""
    sink = MemorySink()
    connection = connection or Connection()
    async with AsyncLoggingContainer(settings, sinks=[sink]) as container:
        middleware = FapilogMiddleware(app, container, **(options or {}))
        call = middleware(scope or http_scope(), connection.receive, connection.send)
        if raises is None:
            await call
        else:
            with pytest.raises(raises):
                await call
    assert container.report is not None and container.report.balanced and container.report.complete
    return Logged(list(sink.events), connection, container)
