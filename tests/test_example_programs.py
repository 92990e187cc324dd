"""The example programs under a real client and a real signal: every request is in the log once, and nothing is lost."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from example_programs import SOURCE, check_drained, checked, events_of, example, requests_of, running


def need(*packages: str) -> None:
    for name in packages:
        pytest.importorskip(
            name, reason=f"{name} is not installed: it is in the dependency group tests or the extra demo"
        )


DIFFERS = re.compile(
    r"  [\d.]+ (?:s|ms|µs)(?=  )"  # durations
    r"|\d\d:\d\d:\d\d\.\d{3} "  # times
    r"|  trace \w+"
    r"|  by .* exception.*\)(?=  )"  # the sibling's failure, which Trio's versions tell differently
    r"|http://127.0.0.1:\d+"
)
"""What differs each time in the lines of a tree."""


def test_crawler_trio(tmp_path: Path) -> None:
    need("httpx2")
    with running(example("crawler_trio.py"), folder=tmp_path) as crawler:
        assert crawler.wait() == 0, crawler.told
    events = events_of(tmp_path / "crawl.log")
    check_drained(crawler.told, events)
    assert {event["correlation_id"] for event in events} == {"crawl-1"}

    with running("-m", "fapilog", "tree", "crawl.log", folder=tmp_path) as tree:
        assert tree.wait() == 0
    story = [DIFFERS.sub("", line) for line in tree.told]
    assert story[:13] == [
        "crawl  ok  1 error inside",
        "├─ page  ok  path=/",
        "│  └─ fetch  ok  path=/ attempt=1 status=200",
        "├─ page  ok  path=/good",
        "│  ├─ fetch  ok  path=/good attempt=1 status=200",
        "│  └─ fetch  ok  path=/logo.png attempt=1 status=200",
        "├─ page  ok  path=/flaky",
        "│  ├─ fetch  ok  path=/flaky attempt=1 status=503",
        "│  ├─ WARNING  trying again  after=0.02",
        "│  └─ fetch  ok  path=/flaky attempt=2 status=200",
        "├─ page  deadline  path=/slow",
        "│  └─ fetch  deadline  path=/slow attempt=1",
        "├─ WARNING  gave up  path=/slow seconds=2",
    ]
    assert story[13] == (
        "├─ page  error  path=/broken  ExceptionGroup: Exceptions from Trio nursery (1 sub-exception) "
        "[HTTPStatusError: Client error '404 Gone' for url '/gone.png']"
    )
    assert story[14:16] == [
        "│  ├─ fetch  ok  path=/broken attempt=1 status=200",
        "│  ├─ DEBUG  parsed  pictures=2 links=0",
    ]
    # The two pictures are fetched at the same time.
    assert {line[6:] for line in story[16:18]} == {
        "fetch  ok  path=/gone.png attempt=1 status=404",
        "fetch  cancelled  path=/slow.png attempt=1",
    }
    assert story[18:] == ["└─ WARNING  left out  path=/broken"]


def ask(port: int, method: str, path: str, request_id: str) -> int:
    """Send one request on a connection of its own; return the status when the answer has been read to its end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    try:
        connection.request(method, path, headers={"x-request-id": request_id})
        answer = connection.getresponse()
        answer.read()
        assert answer.headers["x-request-id"] == request_id
        return answer.status
    finally:
        connection.close()


def ask_all(port: int, requests: dict[str, tuple[str, str]]) -> dict[str, int]:
    """Send the requests, by id, eight at a time; return their statuses."""
    with ThreadPoolExecutor(8) as pool:
        answers = {
            request_id: pool.submit(ask, port, method, path, request_id)
            for request_id, (method, path) in requests.items()
        }
    return {request_id: answer.result() for request_id, answer in answers.items()}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_server_anyio(tmp_path: Path, backend: str) -> None:
    with running(example("server_anyio.py"), "--port", "0", "--backend", backend, folder=tmp_path) as server:
        address = ("127.0.0.1", int(server.wait_for(r"listening on port (\d+)")[1]))
        with (
            socket.create_connection(address, 40) as first,
            socket.create_connection(address, 40) as second,
            socket.create_connection(address, 40) as waiting,
        ):
            answers = [connection.makefile() for connection in (first, second, waiting)]
            for number in range(10):
                first.sendall(f"r-{number} order {number}\n".encode())
                second.sendall(f"s-{number} order {number}\n".encode())
            second.sendall(b"s-bad lend 7\n")
            waiting.sendall(b"w-1 wait\n")
            assert [answers[0].readline() for _ in range(10)] == [f"r-{number} done\n" for number in range(10)]
            assert [answers[1].readline() for _ in range(10)] == [f"s-{number} done\n" for number in range(10)]
            assert answers[1].readline() == "s-bad refused: there is no command 'lend'\n"
            assert answers[2].readline() == "w-1 waiting\n"
            assert server.stop() == 0, server.told
            assert [answer.readline() for answer in answers] == ["", "", ""]
            for answer in answers:
                answer.close()
    events = events_of(tmp_path / "server.log")
    check_drained(server.told, events)
    requests = requests_of(events, lambda event: event["message"] in {"stopping", "stopped"})
    orders = {f"{connection}-{number}" for connection in "rs" for number in range(10)}
    assert requests.keys() == orders | {"s-bad", "w-1"}
    assert all(requests[order] == {"reserved": 1, "charged": 1, "request": 1} for order in orders)
    ends = {event["correlation_id"]: event for event in events if event["message"] == "request"}
    assert ends["s-bad"]["exception"]["message"] == "there is no command 'lend'"
    waited = ends["w-1"]["context"]["span"]
    assert (waited["outcome"], waited["cancellation"]["reason"]) == ("cancelled", "SIGTERM")
    assert [event["message"] for event in events if "correlation_id" not in event] == ["stopping", "stopped"]
    assert events[-1]["message"] == "stopped"


def is_of_the_server(event: dict[str, Any]) -> bool:
    return event["message"].startswith("service ") or event.get("logger") == "uvicorn.error"


def test_fastapi_service(tmp_path: Path) -> None:
    need("fastapi", "uvicorn")
    with running("-m", "uvicorn", "fastapi_service:app", "--port", "0", folder=tmp_path) as server:
        port = int(server.wait_for(r"running on http://127.0.0.1:(\d+)")[1])
        requests = {f"post-{number}": ("POST", f"/orders/{number}") for number in range(20)}
        requests |= {f"get-{number}": ("GET", f"/orders/{number}") for number in range(20)}
        requests |= {"none": ("GET", "/orders/200"), "bad": ("GET", "/orders/x"), "export": ("GET", "/export")}
        statuses = ask_all(port, requests | {"broken": ("GET", "/broken")})
        assert Counter(statuses.values()) == {201: 20, 200: 21, 404: 1, 422: 1, 500: 1}
        # A request that is under way when the signal comes is finished.
        with socket.create_connection(("127.0.0.1", port), 40) as late, late.makefile() as answer:
            head = (
                "POST /upload HTTP/1.1\r\nhost: x\r\nx-request-id: late\r\ncontent-length: 4\r\nconnection: close\r\n"
            )
            late.sendall((head + "expect: 100-continue\r\n\r\n").encode())
            assert answer.readline() == "HTTP/1.1 100 Continue\n"
            server.process.terminate()
            server.wait_for("Waiting for connections to close")
            late.sendall(b"last")
            assert answer.read().endswith('{"size":4}')
        server.wait()
    events = events_of(tmp_path / "shop.log")
    check_drained(server.told, events)
    assert b"\\u001b" not in (tmp_path / "shop.log").read_bytes(), "a terminal's colours are in the log"
    told = requests_of(events, is_of_the_server)
    expected = {f"post-{number}": {"charge": 1, "the bank is slow": 1, "receipt sent": 1} for number in range(20)}
    expected |= {f"get-{number}": {"looked up": 1} for number in range(20)}
    expected |= {
        "none": {"unknown order": 1},
        "bad": {},
        "export": {"exported": 3},
        "broken": {},
        "late": {"uploaded": 1},
    }
    assert told == {request_id: {"request": 1, **more} for request_id, more in expected.items()}
    assert events[-1]["message"] == "service stopping"


@pytest.mark.parametrize("worker", ["asyncio", "trio"])
def test_starlette_on_hypercorn(tmp_path: Path, worker: str) -> None:
    need("hypercorn", "starlette")
    server_command = ("-m", "hypercorn", "--worker-class", worker, "--bind", "127.0.0.1:0", "anyio_starlette:app")
    with running(*server_command, folder=tmp_path) as server:
        port = int(server.wait_for(r"Running on http://127.0.0.1:(\d+)")[1])
        requests = {f"r-{number}": ("POST", f"/checkout/{number}") for number in range(30)}
        statuses = ask_all(port, requests | {"bad": ("GET", "/broken")})
        assert Counter(statuses.values()) == {200: 30, 500: 1}
        assert server.stop() == 0, server.told
    events = checked([orjson.loads(line) for line in server.told if line.startswith("{")])
    told = requests_of(events, lambda event: False)
    assert told == {request_id: {"charged": 1, "request": 1} for request_id in requests} | {"bad": {"request": 1}}


SERVERS_OF_WORKERS = {
    "gunicorn": (("gunicorn", "--worker-class", "asgi", "--bind", "127.0.0.1:0", "--no-control-socket"),
                 r"Listening at: http://127.0.0.1:(\d+)", "ASGI server listening"),
    "uvicorn": (("uvicorn", "--port", "0"), r"running on http://127.0.0.1:(\d+)", "Application startup complete"),
}  # fmt: skip


@pytest.mark.parametrize("name", SERVERS_OF_WORKERS)
def test_workers_service(tmp_path: Path, name: str) -> None:
    need("starlette", name)
    command, listening, ready = SERVERS_OF_WORKERS[name]
    with running("-m", *command, "--workers", "3", "workers_service:app", folder=tmp_path) as server:
        port = int(server.wait_for(listening)[1])
        for _ in range(3):
            server.wait_for(ready)
        requests = {f"r-{number}": ("POST", f"/orders/{number}") for number in range(120)}
        assert set(ask_all(port, requests).values()) == {200}
        assert server.stop() == 0, server.told
    events = events_of(tmp_path / "workers.log")
    told = requests_of(events, lambda event: event["message"].startswith("worker "))
    assert told == {request_id: {"ordered": 1, "request": 1} for request_id in requests}
    of_containers = [[event for event in events if event["container"] == container]
                     for container in {event["container"] for event in events}]  # fmt: skip
    assert len(of_containers) == 3
    for of_one in of_containers:
        assert (of_one[0]["message"], of_one[-1]["message"]) == ("worker started", "worker stopping")
        assert len({event["context"]["process.pid"] for event in of_one}) == 1
    assert "\n".join(server.told).count("drain complete") == 3


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"], indirect=True)
async def test_mcp_server(tmp_path: Path) -> None:
    need("mcp")
    from mcp import ClientSession, StdioServerParameters, stdio_client

    # What the server writes to its standard output goes to the client by way of a file.
    script = f"{sys.executable} -W error {example('mcp_server.py')} | tee output"
    server = StdioServerParameters(command="sh", args=["-c", script], cwd=tmp_path, env={"PYTHONPATH": SOURCE})
    answers: dict[str, Any] = {}
    with (tmp_path / "errors").open("w") as errors:
        async with stdio_client(server, errlog=errors) as streams, ClientSession(*streams) as session:

            async def call(tool: str, name: str, value: Any) -> None:
                answers[str(value)] = (await session.call_tool(tool, {name: value})).structured_content

            await session.initialize()
            async with anyio.create_task_group() as calls:
                for city in ("Oslo", "Bergen", "Atlantis"):
                    calls.start_soon(call, "temperature", "city", city)
                calls.start_soon(call, "convert", "celsius", 5)
    assert answers == {"Oslo": {"result": 11}, "Bergen": {"result": 13}, "Atlantis": None, "5": {"result": 41.0}}
    protocol = [orjson.loads(line) for line in (tmp_path / "output").read_text().splitlines()]
    assert {message["jsonrpc"] for message in protocol} == {"2.0"}

    events = events_of(tmp_path / "mcp.log")
    errors_told = (tmp_path / "errors").read_text()
    check_drained(errors_told.splitlines(), events)
    outside = {"serving", "notifications/initialized", "the client has left"}
    told = requests_of(events, lambda event: event["message"] in outside)
    # Each message that has an answer is there once, under the id of the answer.
    assert told.keys() == {f"mcp-{message['id']}" for message in protocol}
    calls_of = {
        ends["fields"]["tool"]: told[ends["correlation_id"]] for ends in events if ends["message"] == "tools/call"
    }
    assert calls_of["convert"] == {"converted": 1, "tools/call": 1}
    measured = {"measured": 1, "tools/call": 1}
    failed = {"no station": 1, "Tool 'temperature' raised an unexpected exception": 1, "tools/call": 1}
    assert [counts for counts in told.values() if "no station" in counts] == [failed]
    assert [counts for counts in told.values() if "measured" in counts] == [measured, measured]
    assert " ERROR " in errors_told
    assert "there is no station in Atlantis" in errors_told
    assert events[-1]["message"] == "the client has left"


COMMANDS = ("echo one", "ls nowhere", "no-such-command", "echo two")


def test_trio_command_line(tmp_path: Path) -> None:
    with running(example("trio_command_line.py"), "--jobs", "2", *COMMANDS, folder=tmp_path) as program:
        assert program.wait() == 1
    assert {"one", "two", "[1] done", "[4] done"} <= set(program.told)
    events = events_of(tmp_path / "jobs.log")
    told = requests_of(events, lambda event: event["message"] == "all done")
    assert told == {"job-1": {"job": 1}, "job-2": {"output": 1, "job": 1}, "job-3": {"job": 1}, "job-4": {"job": 1}}
    assert (events[-1]["message"], events[-1]["fields"]) == ("all done", {"failed": 2})


def test_trio_command_line_is_interrupted(tmp_path: Path) -> None:
    with running(example("trio_command_line.py"), "echo one", "sleep 600", folder=tmp_path) as program:
        for _ in range(3):  # both have begun, and one is done
            program.wait_for(r"^\[\d\]")
        assert program.stop(signal.SIGINT) == 130, program.told
    events = events_of(tmp_path / "jobs.log")
    assert [event["message"] for event in events] == ["job", "job", "interrupted"]
    spans = {event["correlation_id"]: event["context"]["span"] for event in events[:2]}
    assert {job: span["outcome"] for job, span in spans.items()} == {"job-1": "ok", "job-2": "cancelled"}
    # Python raises it in the task that runs: in the main one, or in a job, whose nursery then cancels the others.
    assert "KeyboardInterrupt" in str(spans["job-2"]["cancellation"])


def test_trio_command_line_tells_what_is_wrong(tmp_path: Path) -> None:
    for arguments, problem in {
        ("--level", "loud"): "level: got 'loud'; allowed: 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'",
        ("--log", "/dev/null/jobs.log"): "plugin 'file': the sink did not start: '/dev/null/jobs.log': Not a directory",
    }.items():
        with running(example("trio_command_line.py"), *arguments, "echo one", folder=tmp_path) as program:
            assert program.wait() == 2
        assert problem in program.told[-1]
        assert "one" not in program.told


@pytest.mark.parametrize("end", ["end of input", "SIGTERM"])
def test_blocking_worker(tmp_path: Path, end: str) -> None:
    with running(example("blocking_worker.py"), folder=tmp_path, stdin=subprocess.PIPE) as worker:
        worker.wait_for("ready")
        stdin = worker.process.stdin
        assert stdin is not None
        stdin.write("".join(f"o-{number} {number}\n" for number in range(50)))
        stdin.flush()
        if end == "SIGTERM":
            worker.wait_for("o-49")
            worker.process.terminate()
        else:
            stdin.close()
        assert worker.wait() == 0, worker.told
    events = events_of(tmp_path / "worker.log")
    check_drained(worker.told, events)
    told = requests_of(events, lambda event: event["message"] in {"stopped", "all orders done"})
    expected = {f"o-{number}": {"taken": 1, "order": 1} for number in range(1, 50)}
    assert told == expected | {"o-0": {"taken": 1, "cannot share": 1, "order": 1}}
    slices = {event["correlation_id"]: event["fields"].get("slices") for event in events if event["message"] == "order"}
    assert slices == {f"o-{number}": 12 // number if number else None for number in range(50)}
    outside = [event["message"] for event in events if "correlation_id" not in event]
    assert outside == ([*["stopped"] * (end == "SIGTERM"), "all orders done"])
    assert events[-1]["message"] == "all orders done"
