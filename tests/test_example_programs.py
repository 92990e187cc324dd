"""The example programs under a real client and a real signal: every request is in the log once, and nothing is lost."""

from __future__ import annotations

import http.client
import re
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from example_programs import check_drained, events_of, example, requests_of, running
from fapilog.cli import main


def test_crawler_trio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("httpx2", reason="httpx2, of the extra demo, is not installed")
    with running(example("crawler_trio.py"), "2", folder=tmp_path) as crawler:
        assert crawler.wait() == 0, crawler.told
    events = events_of(tmp_path / "crawl.log")
    check_drained(crawler.told, events)
    assert {event["correlation_id"] for event in events} == {"crawl-1"}

    assert main(["tree", str(tmp_path / "crawl.log")]) == 0
    # Without what differs each time.
    story = re.sub(r"  [\d.]+ (?:s|ms|µs)(?=  )|\d\d:\d\d:\d\d\.\d{3} |  trace \w+|  by .* exception.*\)(?=  )", "",
                   capsys.readouterr().out).splitlines()  # fmt: skip
    assert story[:14] == [
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
        "├─ WARNING  gave up  path=/slow seconds=2.0",
        "├─ page  error  path=/broken  ExceptionGroup: Exceptions from Trio nursery (1 sub-exception)",
    ]
    assert story[14:16] == [
        "│  ├─ fetch  ok  path=/broken attempt=1 status=200",
        "│  ├─ DEBUG  parsed  pictures=2 links=0",
    ]
    # The two pictures are fetched at the same time.
    assert {line[6:] for line in story[16:18]} == {
        "fetch  ok  path=/gone.png attempt=1 status=404",
        "fetch  cancelled  path=/slow.png attempt=1",
    }
    assert story[18:] == ['└─ WARNING  left out  path=/broken missing=["/gone.png"]']


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
        return dict(zip(requests, pool.map(lambda item: ask(port, *item[1], item[0]), requests.items()), strict=True))


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
    for name in ("fastapi", "uvicorn"):
        pytest.importorskip(name, reason=f"{name} is not installed; it is in the dependency group tests")
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
