"""The examples do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

import fapilog

SOURCE = str(Path(fapilog.__file__).parents[1])
EXAMPLES = Path(__file__).parents[1] / "examples"
PROGRAMS = "test_example_programs"
"""The module that tests the examples that are to be started, talked to and stopped."""


def run(*command: str, diagnostics: str = "") -> tuple[list[dict[str, Any]], list[str]]:
    """Run a Python program without a warning; return the events it wrote and its other lines.

    *diagnostics* is a pattern for what it writes to the standard error.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
        cwd=EXAMPLES,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(diagnostics, done.stderr), done.stderr
    lines = done.stdout.splitlines()
    return [orjson.loads(line) for line in lines if line[0] == "{"], [line for line in lines if line[0] != "{"]


def check_account(events: list[dict[str, Any]], told: list[str]) -> None:
    """Check that the printed report is about these events and that nothing was lost."""
    assert told[0].endswith(f": {len(events)} submitted, {len(events)} dispatched")
    assert told[1] == f"  sink stdout: {len(events)} routed, {len(events)} delivered"
    assert told[2].startswith("  drain complete after ")
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))


def test_every_example_is_tested_and_listed() -> None:
    tests = "".join(Path(__file__).with_name(f"{name}.py").read_text() for name in ("test_examples", PROGRAMS))
    tested = set(re.findall(r'\b(?:run|example)\(\s*["\']?(\w+)\.py|\b(\w+):app\b|\bfrom (anyio_starlette)\b', tests))
    examples = {path.stem for path in EXAMPLES.glob("*.py")}
    assert examples == {name for names in tested for name in names if name}
    listed = re.findall(r"\(\.\./examples/(\w+)\.py\)", (EXAMPLES.parent / "docs" / "examples.md").read_text())
    assert sorted(listed) == sorted(examples)


def test_quickstart() -> None:
    events, told = run("quickstart.py")
    check_account(events, told)
    assert [event["message"] for event in events] == [
        "service started", "from plain synchronous code", "cart loaded", "slow", "checkout",
    ]  # fmt: skip
    started, plain, cart, slow, checkout = events
    assert started["fields"] == {"port": 8080}
    assert plain["level"] == "WARNING"
    assert "context" not in plain
    assert {event["context"]["request_id"] for event in (cart, slow, checkout)} == {"r-1"}
    assert (slow["tags"], slow["metrics"]) == ({"team": "pay"}, {"latency_ms": 12.5})
    assert slow["context"]["span_id"] == checkout["context"]["span_id"]
    assert checkout["context"]["span"]["outcome"] == "ok"


def test_trio_service() -> None:
    events, told = run("trio_service.py")
    check_account(events, told)
    assert Counter(event["message"] for event in events) == {
        "pack": 10, "worker free": 10, "put aside": 1, "took too long": 1, "all orders done": 1,
    }  # fmt: skip
    outcomes = {
        event["context"]["order"]: event["context"]["span"]["outcome"] for event in events if event["message"] == "pack"
    }
    assert outcomes == {order: {3: "error", 7: "deadline"}.get(order, "ok") for order in range(10)}
    (late,) = [event for event in events if event["message"] == "took too long"]
    assert late["fields"] == {"order": 7}
    assert {event["context"]["worker"] for event in events if event["message"] == "pack"} == {0, 1, 2}
    assert events[-1]["message"] == "all orders done"


def test_blocking_script() -> None:
    events, told = run("blocking_script.py")
    check_account(events, told)
    assert Counter(event["message"] for event in events) == {"converted": 9, "cannot convert": 1, "done": 1}
    (failed,) = [event for event in events if event["message"] == "cannot convert"]
    assert failed["exception"]["type"] == "ZeroDivisionError"
    assert events[-1]["fields"] == {"total": sum(100 // (number - 3) for number in range(10) if number != 3)}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio_starlette(backend: str) -> None:
    for name in ("starlette", "hypercorn", "httpx2"):
        pytest.importorskip(name)
    program = f"""
from anyio_starlette import app
from starlette.testclient import TestClient

with TestClient(app, backend={backend!r}, raise_server_exceptions=False) as client:
    answers = [
        client.post("/checkout/7", headers={{"x-request-id": "r-7"}}),
        client.get("/broken", headers={{"x-request-id": "r-8"}}),
    ]
print(*(f"{{answer.status_code}} {{answer.headers['x-request-id']}}" for answer in answers), sep="\\n")
print(app.app.state.fapilog.report)
"""
    events, told = run("-c", program)
    assert told[:2] == ["200 r-7", "500 r-8"]
    check_account(events, told[2:])
    charged, checkout, broken = events
    assert (charged["message"], charged["fields"], charged["source"]) == ("charged", {"order": 7}, "shop")
    assert [event["context"]["request_id"] for event in events] == ["r-7", "r-7", "r-8"]
    assert (checkout["fields"]["path"], checkout["fields"]["status"]) == ("/checkout/7", 200)
    assert broken["exception"]["message"] == "told in the request's event"


def test_standard_logging() -> None:
    events, told = run("standard_logging.py")
    check_account(events, told)
    first, second, failed, warned, done = events
    assert [event["fields"]["order"] for event in (first, second)] == [1, 2]
    assert (failed["task"], failed["exception"]["message"]) == ("converter 2", "order 2 has no total")
    assert (warned["logger"], warned["level"], done["message"]) == ("py.warnings", "WARNING", "done")


def test_structlog_and_loguru() -> None:
    for name in ("structlog", "loguru"):
        pytest.importorskip(name)
    events, told = run("structlog_and_loguru.py")
    check_account(events, told)
    charging, printed, failed = events
    assert (charging["fields"], charging["context"]) == ({"order": 7}, {"request": "r-7"})
    assert printed["context"]["callsite"]["function"] == "print_receipt"
    assert failed["exception"]["message"] == "out of paper"


def test_opentelemetry_traces() -> None:
    pytest.importorskip("opentelemetry.sdk")
    events, told = run("opentelemetry_traces.py")
    assert [event["sequence"] for event in events] == [1, 2, 3, 4]
    traces = {event["fields"]["order"]: event["context"]["trace_id"] for event in events}
    assert len(set(traces.values())) == 2
    assert told[:4] == [f"{traces[event['fields']['order']]} INFO {event['message']}" for event in events]


def test_monitored_service() -> None:
    pytest.importorskip("prometheus_client")
    events, told = run(
        "monitored_service.py", diagnostics=r"fapilog\[\w+\] warning: sink 'Flaky' is left alone for 0.1 s\n"
    )
    assert [event["message"] for event in events] == ["hello"]
    assert told[0] == "not ready: sink:Flaky breaker_open ConnectionError: the target is away"
    assert told[1] == "ready; delivered 1"
