"""The middleware under the real servers and frameworks: each pair in a process of its own, judged by its log."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("asgi_applications.py")
PATIENCE = 20.0
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
ASYNCIO = ("starlette", "fastapi", "litestar", "quart")
PAIRS = [
    *(("uvicorn", framework) for framework in ASYNCIO),
    *(("hypercorn-asyncio", framework) for framework in ASYNCIO),
    *(("hypercorn-trio", framework) for framework in ("starlette", "fastapi", "litestar", "quart_trio")),
    *(("granian", framework) for framework in ASYNCIO),
]
RAISING = ("starlette", "fastapi")
"""Those that let an exception go on to the server."""
ROUTES = {
    "starlette": "/items/{number}",
    "fastapi": "/items/{number}",
    "litestar": "/items/{number}",
    "quart": "/items/<int:number>",
    "quart_trio": "/items/<int:number>",
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(server: str, framework: str, log: Path) -> Iterator[int]:
    """Serve inside the block, and then stop as a supervisor does: with SIGTERM, and without patience."""
    port = free_port()
    output = log.with_suffix(".out")
    with output.open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), server, framework, str(port), str(log)],
            stdout=told,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(PROGRAM.parent)},
            start_new_session=True,
        )
    try:
        wait_for(port, process, output)
        yield port
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # Granian's worker too, after a test that failed
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the server did not start:\n{output.read_text(errors='replace')}")
            time.sleep(0.02)  # there is nothing else to wait for: the server tells nobody when it listens


def get(port: int, target: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def leave_in_the_middle(port: int, request_id: str) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        head = f"GET /endless HTTP/1.1\r\nHost: x\r\nX-Request-Id: {request_id}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 200")


def talk(port: int, request_id: str, server: str) -> None:
    from websockets.sync.client import connect

    with connect(
        f"ws://127.0.0.1:{port}/socket?token=hush", additional_headers={"x-request-id": request_id}, proxy=None
    ) as connection:
        assert connection.response is not None
        if server != "granian":  # which sends none of the application's headers with a handshake
            assert connection.response.headers["x-request-id"] == request_id
        connection.send("hello")
        assert connection.recv(PATIENCE) == "hello"
        # The client closes: when the application does, Hypercorn's Trio worker fails if the client answers too soon.


def events_in(log: Path) -> list[dict[str, Any]]:
    lines = log.read_text(encoding="utf-8").splitlines()
    return [{"logger": "", "correlation_id": "", **json.loads(line)} for line in lines]


def wait_for_the_event(log: Path, request_id: str) -> None:
    """Wait until the server has noticed that a client is gone."""
    end = time.monotonic() + PATIENCE
    while not any(about(events_in(log), request_id, "asgi")):
        assert time.monotonic() < end, f"no event about {request_id}"
        time.sleep(0.02)


def about(events: list[dict[str, Any]], correlation_id: str, logger: str | None = None) -> list[dict[str, Any]]:
    return [
        event for event in events if event["correlation_id"] == correlation_id and logger in (None, event["logger"])
    ]


@pytest.mark.untraced
@pytest.mark.parametrize(("server", "framework"), PAIRS, ids=["/".join(pair) for pair in PAIRS])
def test_every_request_is_told_once_with_its_id(server: str, framework: str, tmp_path: Path) -> None:
    for package in (server.partition("-")[0], framework, "websockets"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    log = tmp_path / "log.jsonl"
    with served(server, framework, log) as port:
        status, headers, body = get(
            port, "/items/7?token=hush&page=2", x_request_id="r-1", authorization="Bearer hush", x_team="shop"
        )
        assert (status, headers["x-request-id"], json.loads(body)) == (200, "r-1", {"number": 7})
        assert get(port, "/items/8", x_correlation_id="c-1")[1]["x-correlation-id"] == "c-1"
        assert get(port, "/items/9", traceparent=TRACEPARENT)[1]["x-request-id"] == TRACE_ID
        made = get(port, "/items/10", x_request_id="x" * 129)[1]["x-request-id"]
        assert len(made) == 32
        assert get(port, "/broken", x_request_id="r-2")[0] == 500
        assert get(port, "/stream", x_request_id="r-3")[2] == b"0\n1\n2\n"
        assert get(port, "/nowhere", x_request_id="r-4")[0] == 404
        assert get(port, "/health", x_request_id="r-5")[0] == 200
        leave_in_the_middle(port, "r-6")
        wait_for_the_event(log, "r-6")
        if framework in RAISING:
            assert get(port, "/untold", x_request_id="r-8")[0] == 500
        talk(port, "r-7", server)
        wait_for_the_event(log, "r-7")
    events = events_in(log)
    assert "hush" not in log.read_text(encoding="utf-8")
    told = Counter(event["correlation_id"] for event in events if event["logger"] == "asgi")
    assert told == Counter(["r-1", "c-1", TRACE_ID, made, "r-2", "r-3", "r-4", "r-6", "r-7"])
    judge_a_request(events, "r-1", ROUTES[framework])
    assert about(events, TRACE_ID, "asgi")[0]["context"]["span"]["parent_id"] == "00f067aa0ba902b7"
    (broken,) = about(events, "r-2", "asgi")
    assert (broken["level"], broken["fields"]["status"]) == ("ERROR", 500)
    assert broken["context"]["span"]["outcome"] == "error"
    assert {member["type"] for member in broken["exception"]["group"]} == {"ValueError", "KeyError"}
    assert [event["message"] for event in about(events, "r-3", "")] == ["streaming"] * 3
    assert about(events, "r-3", "asgi")[0]["fields"]["response_size"] == 6
    assert about(events, "r-4", "asgi")[0]["level"] == "INFO"
    (left,) = about(events, "r-6", "asgi")
    assert left["context"]["span"]["outcome"] == "cancelled"
    assert left["context"]["span"]["cancellation"]["source"] == "client"
    assert "exception" not in left
    (conversation,) = about(events, "r-7", "asgi")
    assert conversation["message"] == "websocket"
    # Hypercorn tells of every close by the client as of a lost connection.
    outcome, close_code = ("cancelled", 1006) if server.startswith("hypercorn") else ("ok", 1000)
    assert conversation["context"]["span"]["outcome"] == outcome
    assert (conversation["fields"]["received"], conversation["fields"]["sent"]) == (1, 1)
    assert (conversation["fields"]["closed_by"], conversation["fields"]["close_code"]) == ("client", close_code)
    assert (conversation["fields"]["query"], conversation["fields"]["route"]) == ("token=***", "/socket")
    judge_the_servers_own_log(events, server)
    judge_what_the_server_told_of_exceptions(events, server, framework in RAISING)


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn-asyncio", "hypercorn-trio", "granian"])
def test_a_full_queue_holds_up_no_response_and_loses_no_request(server: str, tmp_path: Path) -> None:
    """Not the next response on the same connection either, though the tasks of all those before still wait."""
    if find_spec(server.partition("-")[0]) is None:
        pytest.skip(f"{server} is not installed")
    log, go = tmp_path / "log.jsonl", tmp_path / "log.jsonl.go"
    asked = [f"r-{number}" for number in range(12)]
    with served(server, "held", log) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            for request_id in asked:
                connection.request("GET", "/", headers={"x-request-id": request_id})
                assert connection.getresponse().read() == b"ok"
        finally:
            connection.close()
            log.touch()
            go.touch()
        wait_for_the_event(log, asked[-1])  # Granian waits for no task when it stops
    assert [event["correlation_id"] for event in events_in(log)] == asked


def judge_a_request(events: list[dict[str, Any]], request_id: str, route: str) -> None:
    *inside, request = sorted(
        (event for event in about(events, request_id) if event["logger"] in ("", "asgi")),
        key=lambda event: event["logger"],
    )
    expected = {"in the handler", "in a thread", "in the background"}
    assert {event["message"] for event in inside} - {"in a dependency"} == expected
    assert request["fields"]["route"] == route
    assert (request["fields"]["method"], request["fields"]["path"], request["fields"]["status"]) == (
        "GET", "/items/7", 200,
    )  # fmt: skip
    assert request["fields"]["client"] == "127.0.0.1"
    assert request["fields"]["query"] == "token=***&page=2"
    assert request["fields"]["request_headers"] == {"authorization": "***", "x-team": "shop"}
    span = request["context"]["span_id"]
    assert {event["context"]["span_id"] for event in inside} == {span}


def judge_the_servers_own_log(events: list[dict[str, Any]], server: str) -> None:
    name = server.partition("-")[0]
    requests = [
        event["fields"] for event in events if event["logger"] == f"{name}.access" and event["message"] == "request"
    ]
    assert all("hush" not in str(fields) for fields in requests)
    # Hypercorn tells of it once more, without a status, if the client closes the connection before its task has ended.
    (first,) = [fields for fields in requests if fields["path"] == "/items/7" and "status" in fields]
    assert (first["method"], first["status"], first["query"], first["client"]) == (
        "GET", 200, "token=***&page=2", "127.0.0.1",
    )  # fmt: skip
    assert [event["fields"] for event in about(events, "r-1", f"{name}.access") if "status" in event["fields"]] == [
        first
    ]
    assert ("duration" in first) == (name != "uvicorn")


def judge_what_the_server_told_of_exceptions(events: list[dict[str, Any]], server: str, raises: bool) -> None:
    """Check that what a request's event tells is counted, and that the server tells of a request without one."""
    own = [event for event in events if "exception" in event and event["logger"] != "asgi"]
    (account,) = [event["fields"] for event in events if event["message"] == "account"]
    if not raises:
        assert own == []
        assert account["filtered"] == {}
        return
    assert account["filtered"] == {"told_already": 1}
    (untold,) = own
    assert untold["logger"].startswith({"uvicorn": "uvicorn.", "granian": "_granian."}.get(server, "hypercorn."))
    assert (untold["level"], untold["correlation_id"]) == ("ERROR", "r-8")
    assert {member["type"] for member in untold["exception"]["group"]} == {"ValueError", "KeyError"}
    assert "Traceback" not in untold["message"]
