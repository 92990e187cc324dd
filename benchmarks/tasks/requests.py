"""Call an ASGI application in this process: how much a middleware that logs adds to a request.

The application answers at once, so that what is measured is the middleware and the events; a server would take many
times as long beside them. It takes turns with the same application without a middleware.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from anyio.lowlevel import checkpoint

from ..peers.output import opened_binary

SLICES = 10
"""How often the two take turns."""
PAUSE = 16
"""After how many requests other tasks get their turn."""
SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/items/42",
    "raw_path": b"/items/42",
    "query_string": b"page=2",
    "root_path": "",
    "client": ("127.0.0.1", 50000),
    "server": ("127.0.0.1", 8000),
    "headers": [
        (b"host", b"shop.example"),
        (b"user-agent", b"curl/8.9.1"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"x-request-id", b"9f1c2b3a4d5e4f60a1b2c3d4e5f60718"),
    ],
    "asgi": {"version": "3.0", "spec_version": "2.4"},
}
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
BODY = {"type": "http.response.body", "body": b'{"item": 42}'}

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
Log: TypeAlias = Callable[[int], Awaitable[None]]


def application(log: Log | None, events: int) -> App:
    """Return an application that logs *events* events and answers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if log is not None:
            for number in range(events):
                await log(number)
        await send(START)
        await send(BODY)

    return app


@asynccontextmanager
async def with_fapilog(path: str, events: int, **options: Any) -> AsyncIterator[App]:
    """Yield the application inside the middleware of fapilog."""
    import fapilog
    from fapilog.integrations.asgi import FapilogMiddleware

    settings = {"sinks": ["file"], "plugin_config": {"file": {"path": path}}}
    async with fapilog.container(settings) as logger:
        info = logger.info

        async def log(number: int) -> None:
            await info("working", number=number)

        yield FapilogMiddleware(application(log, events), logger.container, **options)


@asynccontextmanager
async def with_structlog(path: str, events: int) -> AsyncIterator[App]:
    """Yield the application inside asgi-correlation-id, and a middleware that tells the same with structlog."""
    import orjson
    import structlog
    from asgi_correlation_id import CorrelationIdMiddleware, correlation_id

    def add_correlation_id(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["correlation_id"] = correlation_id.get()
        return event

    with opened_binary(path, 1 << 16) as file:
        structlog.configure(
            cache_logger_on_first_use=True,
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            processors=[
                add_correlation_id,
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                structlog.processors.TimeStamper(fmt=None),
                structlog.processors.EventRenamer("message"),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            logger_factory=structlog.BytesLoggerFactory(file),
        )
        logger = structlog.get_logger()

        async def log(number: int) -> None:
            logger.info("working", number=number)

        yield CorrelationIdMiddleware(telling(application(log, events), logger))


def telling(app: App, logger: Any) -> App:
    """Return *app* with one event of *logger* for each request."""

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        status, received, sent = 500, 0, 0

        async def receive_and_count() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def send_and_count(message: Any) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        told = {"method": scope["method"], "path": scope["path"], "client": scope["client"][0]}
        began = time.perf_counter()
        try:
            await app(scope, receive_and_count, send_and_count)
        except Exception:
            logger.exception("request", status=status, duration=time.perf_counter() - began, outcome="error", **told)
            raise
        told |= {"request_size": received, "response_size": sent}
        logger.info("request", status=status, duration=time.perf_counter() - began, outcome="ok", **told)

    return middleware


WAYS = {"fapilog": with_fapilog, "structlog": with_structlog}


async def requests(app: App, number: int) -> float:
    """Return the microseconds of CPU time that each of *number* requests takes."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    began = time.process_time()
    for one in range(number):
        if one % PAUSE == 0:
            await checkpoint()  # as a server lets other tasks run, the logger's among them
        await app({**SCOPE}, receive, send)
    return (time.process_time() - began) / number * 1e6


def lines_in(path: str) -> int:
    """Return how many events a file has."""
    return Path(path).read_bytes().count(b"\n")


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the CPU time that the middleware and the events add to a request."""
    number, begin = options["requests"] // SLICES, options["requests"] // SLICES // 4 + 1
    bare = application(None, 0)
    added = []
    async with WAYS[options["way"]](options["path"], options["inside"], **options["options"]) as app:
        for each in (bare, app):
            await requests(each, begin)
        for _ in range(SLICES):
            base = await requests(bare, number)
            added.append(await requests(app, number) - base)
    told = lines_in(options["path"])
    if told != (number * SLICES + begin) * (1 + options["inside"]):
        raise RuntimeError(f"{told} events came for {number * SLICES + begin} requests")
    return {"added_us": statistics.median(added)}
