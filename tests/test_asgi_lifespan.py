"""The middleware's own lifespan, and the one for frameworks that compose theirs with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgi_tools import Connection, Message, Receive, Send, answering, http_scope
from fapilog import AsyncLoggingContainer, ConfigurationError, current_logger
from fapilog.integrations.asgi import FapilogMiddleware
from fapilog.integrations.starlette import lifespan
from fapilog.sinks.memory import MemorySink

pytestmark = pytest.mark.anyio


class Server:
    """The lifespan's side of a server: it starts the application, does something while it is up, and stops it."""

    def __init__(self, between: Callable[[], Any] | None = None) -> None:
        self.sent: list[Message] = []
        self.state: dict[str, Any] = {}
        self._between = between
        self._asked = 0

    async def receive(self) -> Message:
        self._asked += 1
        if self._asked == 1:
            return {"type": "lifespan.startup"}
        if self._between is not None:
            await self._between()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self, app: Any) -> list[str]:
        await app({"type": "lifespan", "state": self.state}, self.receive, self.send)
        return self.kinds

    @property
    def kinds(self) -> list[str]:
        return [message["type"].removeprefix("lifespan.") for message in self.sent]


async def knowing(scope: Any, receive: Receive, send: Send) -> None:
    if scope["type"] != "lifespan":
        await answering(scope, receive, send)
        return
    await receive()
    await current_logger().info("starting")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await current_logger().info("stopping")
    await send({"type": "lifespan.shutdown.complete"})


async def ignorant(scope: Any, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await answering(scope, receive, send)


async def indifferent(scope: Any, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await answering(scope, receive, send)


@pytest.mark.parametrize("app", [knowing, ignorant, indifferent])
async def test_the_middleware_opens_a_container_for_any_application(app: Any) -> None:
    async def request() -> None:
        connection = Connection()
        await middleware(http_scope(), connection.receive, connection.send)

    sink = MemorySink()
    middleware = FapilogMiddleware(app, sinks=[sink])
    server = Server(request)
    assert await server.run(middleware) == ["startup.complete", "shutdown.complete"]
    around = ["starting", "stopping"] if app is knowing else []
    assert sink.messages == (*around[:1], "request", *around[1:])
    assert isinstance(server.state["fapilog"], AsyncLoggingContainer)


async def test_the_shutdown_is_complete_when_the_container_is_drained() -> None:
    seen: list[Any] = []

    class Watching(Server):
        async def send(self, message: Message) -> None:
            await super().send(message)
            seen.append(self.state["fapilog"].report)

    await Watching().run(FapilogMiddleware(knowing, settings={"sinks": ["null"]}))
    assert seen[0] is None
    assert seen[1].complete and seen[1].submitted == 2


async def test_each_start_has_a_container_of_its_own() -> None:
    middleware = FapilogMiddleware(knowing, settings={"sinks": ["null"]})
    servers = [Server(), Server()]
    for server in servers:
        await server.run(middleware)
    first, second = (server.state["fapilog"] for server in servers)
    assert first is not second and first.report.complete and second.report.complete


async def test_a_container_that_cannot_be_opened_fails_the_startup_with_the_reason() -> None:
    server = Server()
    with pytest.raises(ConfigurationError):
        await server.run(FapilogMiddleware(knowing, settings={"level": "LOUD"}))
    assert server.kinds == ["startup.failed"]
    assert "LOUD" in server.sent[0]["message"]


async def test_an_application_that_fails_to_start_fails() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        raise RuntimeError("no database")

    server = Server()
    with pytest.raises(RuntimeError, match="no database"):
        await server.run(FapilogMiddleware(app, settings={"sinks": ["null"]}))
    assert server.kinds == ["startup.failed"]
    assert server.state["fapilog"].report.complete


async def test_an_application_that_fails_after_it_has_heard_is_not_taken_for_one_that_knows_no_lifespan() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        raise RuntimeError("half way")

    server = Server()
    with pytest.raises(RuntimeError, match="half way"):
        await server.run(FapilogMiddleware(app, settings={"sinks": ["null"]}))
    assert server.kinds == []


async def test_an_own_lifespan_runs_inside() -> None:
    @asynccontextmanager
    async def own(app: Any) -> AsyncGenerator[dict[str, str]]:
        await current_logger().info("starting")
        yield {"database": "db"}
        await current_logger().info("stopping")

    sink = MemorySink()
    async with lifespan({"source": "shop"}, own, sinks=[sink])(object()) as state:
        assert state["database"] == "db"
        assert state["fapilog"].settings.source == "shop"
    assert sink.messages == ("starting", "stopping")


async def test_an_own_lifespan_need_not_yield_a_state() -> None:
    @asynccontextmanager
    async def own(app: Any) -> AsyncGenerator[None]:
        yield

    async with lifespan({"sinks": ["null"]}, own)(object()) as state:
        assert set(state) == {"fapilog"}


async def test_what_an_own_lifespan_raises_passes_unchanged() -> None:
    raised = RuntimeError("no database")

    @asynccontextmanager
    async def own(app: Any) -> AsyncGenerator[None]:
        raise raised
        yield

    with pytest.raises(RuntimeError) as caught:
        async with lifespan({"sinks": ["null"]}, own)(object()):
            pass
    assert caught.value is raised
