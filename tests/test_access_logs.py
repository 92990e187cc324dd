"""What uvicorn, Hypercorn and Granian log, as fields and once, from records such as these servers make."""

from __future__ import annotations

import contextvars
import io
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio.to_thread
import pytest

from asgi_tools import Connection, answering, http_scope
from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.integrations.access_logs import capture_server_logs
from fapilog.integrations.asgi import FapilogMiddleware
from fapilog.sinks.memory import MemorySink

pytestmark = pytest.mark.anyio

UVICORN = '%s - "%s %s HTTP/%s" %d'
HYPERCORN = '%(h)s %(l)s %(l)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
ATOMS = {
    "h": "192.0.2.7:5000", "l": "-", "t": "[x]", "r": "GET /a 1.1", "s": "200", "m": "GET", "Uq": "/a?token=hush&b=1",
    "H": "1.1", "b": "12", "f": "-", "a": "curl", "L": "0.001500",
}  # fmt: skip
GRANIAN = '[%(time)s] %(addr)s - "%(method)s %(path)s %(protocol)s" %(status)d %(dt_ms).3f'
GRANIANS_ATOMS = {
    "addr": "192.0.2.7", "time": "2026-01-01 00:00:00 +0000", "dt_ms": 1.5, "status": 200, "path": "/a",
    "query_string": "token=hush&b=1", "method": "GET", "scheme": "http", "protocol": "HTTP/1.1",
}  # fmt: skip
TELLING = [
    ("uvicorn.error", "Exception in ASGI application\n"),
    ("hypercorn.error", "Error in ASGI Framework"),
    ("_granian.utils", "Application callable raised an exception\nTraceback (most recent call last):\n  ..."),
]
"""How each server tells of an exception that has left the application."""


@pytest.fixture(autouse=True)
def server_loggers() -> Iterator[None]:
    names = ("uvicorn.access", "uvicorn.error", "hypercorn.access", "hypercorn.error", "granian.access", "_granian")
    for name in names:
        logging.getLogger(name).setLevel(logging.INFO)
    yield
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(logging.NOTSET)
        assert (logger.filters, logger.handlers, logger.propagate) == ([], [], True)


async def logged(name: str, message: str, *arguments: Any, **options: Any) -> list[LogEvent]:
    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with capture_server_logs(container, **options):
            logging.getLogger(name).info(message, *arguments)
    return list(sink.events)


async def test_uvicorn() -> None:
    (event,) = await logged("uvicorn.access", UVICORN, "[::1]:5000", "GET", "/a?b=1&Token=hush", "1.1", 404)
    assert (event.message, event.logger) == ("request", "uvicorn.access")
    assert event.fields == {
        "client": "[::1]", "method": "GET", "path": "/a", "query": "b=1&Token=***", "http_version": "1.1",
        "status": 404,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("message", "more", "told"),
    [
        ('%s - "WebSocket %s" [accepted]', (), {"accepted": True}),
        ('%s - "WebSocket %s" 403', (), {"accepted": False, "status": 403}),
        ('%s - "WebSocket %s" %d', (401,), {"accepted": False, "status": 401}),
    ],
)
async def test_a_handshake_of_uvicorn(message: str, more: tuple[int, ...], told: dict[str, Any]) -> None:
    (event,) = await logged("uvicorn.error", message, "192.0.2.7:5000", "/ws?token=hush", *more)
    assert event.message == "websocket"
    assert event.fields == {"client": "192.0.2.7", "path": "/ws", "query": "token=***", **told}


async def test_hypercorn() -> None:
    (event,) = await logged("hypercorn.access", HYPERCORN, {**ATOMS, "f": "https://x.example/?api_key=hush"})
    assert event.fields == {
        "client": "192.0.2.7", "method": "GET", "path": "/a", "query": "token=***&b=1", "http_version": "1.1",
        "status": 200, "response_size": 12, "duration": 0.0015, "user_agent": "curl",
        "referer": "https://x.example/?api_key=***",
    }  # fmt: skip


async def test_hypercorn_about_a_request_without_a_response_and_a_client_without_an_address() -> None:
    (event,) = await logged("hypercorn.access", HYPERCORN, {**ATOMS, "h": None, "s": "-", "b": "-", "a": "-"})
    assert not {"client", "status", "response_size", "user_agent", "referer"} & set(event.fields)


async def test_granian() -> None:
    (event,) = await logged("granian.access", GRANIAN, GRANIANS_ATOMS)
    assert (event.message, event.logger) == ("request", "granian.access")
    assert event.fields == {
        "client": "192.0.2.7", "method": "GET", "path": "/a", "query": "token=***&b=1", "http_version": "1.1",
        "status": 200, "duration": 0.0015,
    }  # fmt: skip


async def test_granian_about_a_websocket_whose_end_it_does_not_know() -> None:
    atoms = {**GRANIANS_ATOMS, "scheme": "wss", "method": "-", "status": 101, "query_string": ""}
    (event,) = await logged("granian.access", GRANIAN, atoms)
    assert event.message == "websocket"
    assert event.fields == {"client": "192.0.2.7", "path": "/a", "http_version": "1.1"}


@pytest.mark.parametrize(
    ("name", "message", "arguments"),
    [
        ("granian.access", "%(other)s", ({"other": 1},)),
        ("_granian.serve", "Started worker-%d", (1,)),
        ("_granian.utils", "Application callable raised an exception", ()),
        ("uvicorn.access", "%s and %s", ("one", "two")),
        ("uvicorn.error", "Started server process [%d]", (7,)),
        ("hypercorn.access", "%(x)s", ({"x": "one"},)),
        ("hypercorn.access", "plain", ()),
    ],
)
async def test_another_record_is_logged_as_it_is(name: str, message: str, arguments: tuple[Any, ...]) -> None:
    (event,) = await logged(name, message, *arguments)
    assert event.message == logging.LogRecord(name, 20, "", 1, message, arguments, None).getMessage()


async def test_the_access_log_can_be_left_out() -> None:
    assert await logged("uvicorn.access", UVICORN, "x:1", "GET", "/a", "1.1", 200, access=False) == []
    assert len(await logged("uvicorn.error", "Application startup complete.", access=False)) == 1


async def test_nobody_else_gets_the_records_and_the_handlers_of_later_come_too_late() -> None:
    logger = logging.getLogger("hypercorn.access")
    stream = io.StringIO()
    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with capture_server_logs(container):
            logger.handlers = [logging.StreamHandler(stream)]  # as Hypercorn does when it begins to serve
            logger.info(HYPERCORN, ATOMS)
        logger.info("after")
    logger.handlers = []
    assert stream.getvalue() == "after\n"
    assert sink.messages == ("request",)


async def test_the_innermost_capture_takes_the_records() -> None:
    sinks = [MemorySink(), MemorySink()]
    async with AsyncLoggingContainer(sinks=[sinks[0]]) as outer, AsyncLoggingContainer(sinks=[sinks[1]]) as inner:
        with capture_server_logs(outer):
            with capture_server_logs(inner):
                logging.getLogger("uvicorn.access").info(UVICORN, "x:1", "GET", "/in", "1.1", 200)
            logging.getLogger("uvicorn.access").info(UVICORN, "x:1", "GET", "/out", "1.1", 200)
    assert [[event.fields["path"] for event in sink.events] for sink in sinks] == [["/out"], ["/in"]]


async def test_a_record_that_cannot_be_read_is_told_to_nobody_but_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[logging.LogRecord] = []
    monkeypatch.setattr(logging.Handler, "handleError", lambda self, record: failed.append(record))
    assert await logged("hypercorn.access", HYPERCORN, {**ATOMS, "L": "soon"}) == []
    assert len(failed) == 1


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError(scope["path"])


async def serve(application: Any, container: AsyncLoggingContainer, name: str, message: str, path: str = "/a") -> None:
    """Serve one request as a server does that logs what leaves the application, in the same task but outside of it."""
    scope, connection = http_scope(path, {"x-request-id": "r-1"}), Connection()
    logger = logging.getLogger(name)
    try:
        await application(scope, connection.receive, connection.send)
    except ValueError as error:
        # Granian gives the text of the traceback only.
        logger.error(message, exc_info=None if name.startswith("_granian") else error)
    logging.getLogger("granian.access").info(GRANIAN, {**GRANIANS_ATOMS, "path": path, "status": 500})


@pytest.mark.parametrize(("name", "message"), TELLING)
async def test_an_exception_that_the_requests_event_tells_is_counted(name: str, message: str) -> None:
    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with capture_server_logs():
            await serve(FapilogMiddleware(failing, container), container, name, message)
    assert container.report is not None and container.report.balanced
    assert container.report.filtered == {"told_already": 1}
    assert container.report.submitted == 3
    request, access = sink.events
    assert request.exception is not None
    assert (access.logger, access.correlation_id) == ("granian.access", "r-1")


@pytest.mark.parametrize(("name", "message"), TELLING)
@pytest.mark.parametrize(
    ("settings", "options"), [({"levels": {"asgi": "CRITICAL"}}, {}), ({}, {"skip": ["/a"]})], ids=["level", "skip"]
)
async def test_an_exception_that_no_event_tells_is_told_with_the_id(
    name: str, message: str, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    sink = MemorySink()
    async with AsyncLoggingContainer(settings, sinks=[sink]) as container:
        with capture_server_logs():
            await serve(FapilogMiddleware(failing, container, **options), container, name, message)
    told, access = sink.events
    assert (told.logger, told.message.strip()) == (name, message.partition("\n")[0])
    assert told.exception is not None
    assert (told.exception["type"], told.exception["message"]) == ("ValueError", "/a")
    assert "frames" in told.exception
    assert told.correlation_id == access.correlation_id == "r-1"
    assert container.report is not None and container.report.filtered == {}


async def test_an_exception_of_no_request_is_told() -> None:
    """One raised outside of the middleware, in a task that has served another request before."""
    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with capture_server_logs():
            for application in (FapilogMiddleware(answering, container), failing):
                await serve(application, container, *TELLING[0], path="/b" if application is failing else "/a")
    request, access, told, other = sink.events
    assert (request.correlation_id, access.correlation_id) == ("r-1", "r-1")
    assert (told.correlation_id, other.correlation_id) == ("", "")
    assert told.exception is not None


async def test_the_same_exception_raised_again_is_told_again() -> None:
    """A mark of an earlier request says nothing of this one."""
    error = ValueError("one for all")

    async def raising(scope: Any, receive: Any, send: Any) -> None:
        raise error

    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with capture_server_logs():
            application = FapilogMiddleware(raising, container, skip=["/quiet"])
            for path in ("/a", "/quiet"):
                await serve(application, container, *TELLING[0], path=path)
    assert [event.logger for event in sink.events] == ["asgi", "granian.access", "uvicorn.error", "granian.access"]


async def test_what_a_server_logs_outside_of_requests_goes_to_the_container_of_the_block() -> None:
    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink]):
        with capture_server_logs():
            log = partial(logging.getLogger("_granian.serve").info, "Started worker-1")
            await anyio.to_thread.run_sync(contextvars.Context().run, log)
    assert sink.messages == ("Started worker-1",)
