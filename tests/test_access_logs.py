"""The access logs of uvicorn and Hypercorn as fields, from records such as these servers make."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.integrations.access_logs import capture_server_logs
from fapilog.sinks.memory import MemorySink

pytestmark = pytest.mark.anyio

UVICORN = '%s - "%s %s HTTP/%s" %d'
HYPERCORN = '%(h)s %(l)s %(l)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
ATOMS = {
    "h": "192.0.2.7:5000", "l": "-", "t": "[x]", "r": "GET /a 1.1", "s": "200", "m": "GET", "Uq": "/a?token=hush&b=1",
    "H": "1.1", "b": "12", "f": "-", "a": "curl", "L": "0.001500",
}  # fmt: skip


@pytest.fixture(autouse=True)
def server_loggers() -> Iterator[None]:
    names = ("uvicorn.access", "uvicorn.error", "hypercorn.access")
    for name in names:
        logging.getLogger(name).setLevel(logging.INFO)
    yield
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(logging.NOTSET)
        assert logger.filters == []


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


@pytest.mark.parametrize(
    ("name", "message", "arguments"),
    [
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
