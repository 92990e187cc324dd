"""The command line and its demo: a real service, real requests, and the proof that it looks for mistakes."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

import fapilog
from fapilog import cli
from fapilog.metrics import DrainReport, SinkReport

SOURCE = str(Path(fapilog.__file__).parents[1])


def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fapilog", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE, "NO_COLOR": "1", **environ},
    )


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, **environ)
    out, err = process.communicate(timeout=50)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def needs_the_extra() -> None:
    for name in ("starlette", "hypercorn", "httpx2"):
        pytest.importorskip(name)


def lines_of(path: Path) -> list[dict[str, Any]]:
    events = []
    for file in (*sorted(path.parent.glob(f"{path.stem}-*")), path):
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        events += [orjson.loads(line) for line in content.splitlines()]
    return events


def test_the_demo_on_both_backends(tmp_path: Path) -> None:
    needs_the_extra()
    done = run("demo", "--requests", "200", "--directory", str(tmp_path / "logs"), PYTHONWARNINGS="error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for backend in ("trio", "asyncio"):
        _, _, part = done.stdout.partition(f"== {backend}: ")
        part = part.partition("\n\n")[0]
        path = tmp_path / "logs" / f"{backend}.jsonl"
        assert "170 200, 10 404, 10 500, 10 cancelled by the client" in part
        assert "latency: p50 " in part
        assert f"file: {path} " in part
        assert "every one of the 200 requests has its event in the file, exactly once" in part
        assert "drain complete" in part
        assert "WRONG" not in part
        assert "hypercorn.error Running on http://127.0.0.1:" in part  # the console showed its first events

        events = lines_of(path)
        assert f"{len(events)} submitted, {len(events)} dispatched" in part
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
        loggers = [event.get("logger") for event in events]
        assert loggers.count("asgi") == 200
        # Cancelled requests too: the client had their response's beginning.
        assert loggers.count("httpx2") == 200
        assert loggers.count("hypercorn.error") == 11  # "Running on", and what it says of each failing request
        assert loggers.count("slow") == 10
        failing = [event for event in events if event.get("logger") == "asgi" and event["level"] == "ERROR"]
        assert [event["exception"]["type"] for event in failing].count("ExceptionGroup") == 5
        assert [event["exception"]["type"] for event in failing].count("RuntimeError") == 5


def test_the_demo_can_be_quiet_and_rotates(tmp_path: Path) -> None:
    needs_the_extra()
    done = run("demo", "--requests", "400", "--quiet", "--directory", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Running on" not in done.stdout
    assert "SampledConsole" not in done.stdout
    assert len(list(tmp_path.glob("trio-*.jsonl.gz"))) == 1
    assert "1 rotated file beside it" in done.stdout


def test_a_second_run_into_the_same_directory_counts_its_own_events(tmp_path: Path) -> None:
    needs_the_extra()
    for _ in range(2):
        done = run("demo", "--requests", "20", "--quiet", "--directory", str(tmp_path))
        assert done.returncode == 0, done.stdout + done.stderr
    assert len({event["container"] for event in lines_of(tmp_path / "trio.jsonl")}) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no interrupt to one process")
def test_an_interrupt_ends_the_demo(tmp_path: Path) -> None:
    needs_the_extra()
    process = start("demo", "--requests", "1000000", "--directory", str(tmp_path))
    assert process.stdout is not None
    for line in process.stdout:
        if "Running on" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "== asyncio" not in out
    events = lines_of(tmp_path / "trio.jsonl")  # drained: whole lines, in order
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))


def test_a_missing_extra_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('gone', name='starlette')")
    done = run("demo", PYTHONPATH=f"{tmp_path}{os.pathsep}{SOURCE}")
    assert done.returncode == 1
    assert done.stderr == 'fapilog demo needs starlette, which is not installed: pip install "fapilog[demo]"\n'
    assert done.stdout == ""


def test_another_missing_module_is_not_taken_for_the_extra(tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('gone', name='something_else')")
    done = run("demo", PYTHONPATH=f"{tmp_path}{os.pathsep}{SOURCE}")
    assert done.returncode == 1
    assert "fapilog[demo]" not in done.stderr
    assert "ModuleNotFoundError: gone" in done.stderr


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    needs_the_extra()
    (tmp_path / "file").write_text("")
    done = run("demo", "--directory", str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"fapilog demo cannot write to the directory {tmp_path / 'file'}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["dance"], ["demo", "--requests", "0"], ["demo", "--requests", "many"]])
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: fapilog" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0
    assert "demo" in capsys.readouterr().out


# -- the proof finds what is wrong


def a_sink(delivered: int, routed: int = 3) -> SinkReport:
    return SinkReport(
        routed=routed, fallback_in=0, delivered=delivered, dropped={}, failed={}, fallback_out=0, abandoned={},
        deferred=0, in_flight=routed - delivered, retries=0, duplicates=0, outcome_unknown=0,
    )  # fmt: skip


def a_report() -> DrainReport:
    return DrainReport(
        container_id="c0", submitted=3, created=0, rejected={}, dropped={}, filtered={}, merged=0, unrouted=0,
        dispatched=3, abandoned={}, in_flight=0, sinks={"file": a_sink(3)}, complete=True,
    )  # fmt: skip


def an_event(sequence: int, request_id: str, *, status: int = 200, outcome: str = "ok") -> dict[str, Any]:
    return {
        "container": "c0", "sequence": sequence, "logger": "asgi", "correlation_id": request_id,
        "context": {"span": {"outcome": outcome}}, "fields": {"status": status},
    }  # fmt: skip


GOOD = [an_event(1, "r-1"), an_event(2, "r-2", status=500, outcome="error"), an_event(3, "r-3", outcome="cancelled")]


@pytest.mark.parametrize(
    ("events", "changes", "expected"),
    [
        (GOOD, {}, []),
        ([*GOOD, {**GOOD[0], "container": "c1"}], {}, []),
        ([{**event, "container": "c0"} for event in GOOD], {"complete": False}, ["the drain is not complete"]),
        (GOOD, {"submitted": 4}, ["does not balance"]),
        (GOOD, {"sinks": {"file": a_sink(2)}}, ["sink file has 2 of 3"]),
        (GOOD[:2], {}, ["the file has 2 events of 3", "1 requests have no event"]),
        (GOOD[::-1], {}, ["the file has 3 events of 3, or not in order"]),
        ([*GOOD, an_event(4, "r-1")], {}, ["the file has 4 events of 3", "1 events belong to no request"]),
        ([GOOD[0], an_event(2, "r-1"), GOOD[2]], {}, ["1 requests have no event", "1 events belong to no request"]),
        ([GOOD[0], an_event(2, "r-2"), GOOD[2]], {}, ["1 requests have no event", "1 events belong to no request"]),
    ],
)
def test_the_proof(tmp_path: Path, events: list[dict[str, Any]], changes: dict[str, Any], expected: list[str]) -> None:
    needs_the_extra()
    from fapilog.cli._account import LogFiles, faults
    from fapilog.cli._client import Seen

    path = tmp_path / "trio.jsonl"
    rotated = tmp_path / "trio-20261123T014500Z.0000.jsonl.gz"
    rotated.write_bytes(gzip.compress(b"".join(orjson.dumps(event) + b"\n" for event in events[:1])))
    path.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events[1:]))
    seen = [
        Seen("r-1", "/orders/1", 200, 0.1),
        Seen("r-2", "/broken", 500, 0.1),
        Seen("r-3", "/slow", 200, 0.1, cancelled=True),
    ]
    found = faults(LogFiles.of(path), attrs.evolve(a_report(), **changes), seen)
    assert len(found) == len(expected)
    for fault, part in zip(found, expected, strict=True):
        assert part in fault


def test_latency_counts_answered_requests_only() -> None:
    needs_the_extra()
    from fapilog.cli._account import latency
    from fapilog.cli._client import Seen

    seen = [Seen(str(number), "/", 200, number / 1000) for number in range(1, 101)]
    seen.append(Seen("slow", "/slow", 200, 60.0, cancelled=True))
    assert latency(seen).startswith("p50 51.0 ms, p99 100.0 ms, max 100.0 ms (100 answered requests")
    assert latency(seen[-1:]) == "no request was answered"


# -- the sampled console


def test_the_console_shows_the_same_sample_when_a_write_is_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    from fapilog.cli._console import EVERY, FIRST, SampledConsole
    from fapilog.event import LogEvent
    from fapilog.formats import make_formatters
    from fapilog.plugins import Batch

    console = SampledConsole()
    console.start()
    events = [LogEvent(f"event {sequence}", sequence=sequence) for sequence in range(1, EVERY + 2)]
    batch = Batch(events, 0, make_formatters(4096))
    for _ in range(2):
        console.write(batch)
        shown = capfd.readouterr().out.splitlines()
        assert [line.split("event ")[1].strip() for line in shown] == [*map(str, range(1, FIRST + 1)), str(EVERY)]
    console.write(batch.select([FIRST]))
    assert capfd.readouterr().out == ""
    console.aclose()
