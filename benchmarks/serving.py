"""Start the service, read its standard output or stop reading it, load it from another process, and end it.

Requests that are logged and requests that are not take turns, in short slices, at one service: two processes differ by
more than logging costs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import orjson

from .child import RESULT
from .measure import ROOT, Case, Skipped, environment, python_for
from .samples import quantiles

CONNECTIONS = 16
SHARES = ("p50", "p99")
PATIENCE = 15.0
"""Seconds for the service to start, and to end."""


class Reader(threading.Thread):
    """Reads a pipe as fast as it can, or, once stalled, not at all."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.chunks: list[bytes] = []
        self._pipe = pipe
        self._may_read = threading.Event()
        self._may_read.set()

    def run(self) -> None:
        descriptor = self._pipe.fileno()
        while self._may_read.wait() and (chunk := os.read(descriptor, 1 << 20)):
            self.chunks.append(chunk)

    def stall(self) -> None:
        """Stop reading."""
        self._may_read.clear()

    def go_on(self) -> None:
        """Read again."""
        self._may_read.set()

    def events(self) -> int:
        """Return how many whole lines of JSON came."""
        return sum(isinstance(orjson.loads(line), dict) for line in b"".join(self.chunks).splitlines())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Return whether the service answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as connection:
            connection.settimeout(2.0)
            connection.sendall(b"GET /items/0 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process's threads so far; 0 where there is no /proc."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text(encoding="ascii").split()[0]) for thread in threads) / 1e9
    except OSError:
        return 0.0


@contextmanager
def service(case: Case, port: int) -> Iterator[tuple[subprocess.Popen[bytes], Reader]]:
    """Run the service as long as the block lasts."""
    told = json.dumps({**case.options, "port": port})
    process = subprocess.Popen(
        [python_for(case.entry), "-m", "benchmarks.tasks.service", told],
        cwd=ROOT,
        env=environment(case.entry),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    reader, errors = Reader(process.stdout), Reader(process.stderr)
    reader.start()
    errors.start()
    try:
        end = time.monotonic() + PATIENCE
        while not answers(port):
            if process.poll() is not None or time.monotonic() > end:
                errors.join(1.0)
                last = b"".join(errors.chunks).decode(errors="replace").strip().splitlines() or ["it says nothing"]
                raise Skipped(f"the service did not start: {last[-1]}")
            time.sleep(0.05)
        yield process, reader
    finally:
        process.kill()
        process.wait()


class Client:
    """The process that loads the service, for as long as the block lasts."""

    def __init__(self, port: int) -> None:
        self.port = port
        command = [sys.executable, "-m", "benchmarks.tasks.client", str(port), str(CONNECTIONS)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def load(self, path: str, seconds: float, rate: float = 0.0) -> dict[str, Any]:
        """Load the service: with *rate* requests per second, or as many as it answers."""
        if not rate and shutil.which("wrk"):
            return load_with_wrk(self.port, path, seconds)
        commands, answers = self._process.stdin, self._process.stdout
        assert commands is not None
        assert answers is not None
        commands.write(json.dumps({"path": path, "seconds": seconds, "rate": rate}).encode() + b"\n")
        commands.flush()
        line = answers.readline().decode()
        if not line.startswith(RESULT):
            errors = self._process.communicate()[1].decode(errors="replace")
            raise Skipped(f"the client failed: {(errors.strip().splitlines() or ['it says nothing'])[-1]}")
        found = json.loads(line.removeprefix(RESULT))
        requests = len(found["taken"])
        latency = [each * 1e3 for each in found["taken"] + found["waited"]]
        return {"requests": requests, "requests_per_second": requests / found["seconds"], "latency_ms": latency}


def load_with_wrk(port: int, path: str, seconds: float) -> dict[str, Any]:
    """Do the same with wrk, which tells no more than two quantiles; they stand for all of its requests."""
    url = f"http://127.0.0.1:{port}{path}"
    whole = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{whole}s", "--latency", url]
    told = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    requests = re.search(r"(\d+) requests in", told)
    shares = dict(re.findall(r"^\s+(50|99)%\s+(\S+)$", told, re.MULTILINE))
    if requests is None or len(shares) < 2:
        raise Skipped("wrk told nothing")
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    latency = {}
    for share, text in shares.items():
        number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
        latency[share] = float(number) * scale[unit]
    count = int(requests[1])
    return {
        "requests": count,
        "requests_per_second": count / whole,
        "latency_ms": [latency["50"]] * 98 + [latency["99"]] * 2,
    }


@dataclass
class Loaded:
    """What the slices of one kind of request found."""

    path: str
    slices: list[dict[str, Any]] = field(default_factory=list)
    """Of the load that is as much as the service answers."""
    at_rate: list[dict[str, Any]] = field(default_factory=list)
    """Of the load at a fixed rate."""

    def load(self, client: Client, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Send as many requests as are answered, and note what that cost."""
        before = cpu_seconds(process.pid)
        found = client.load(self.path, seconds)
        time.sleep(0.05)  # what the logger holds back is part of it
        cpu = cpu_seconds(process.pid) - before
        if found["requests"]:
            found["cpu_us_per_request"] = cpu / found["requests"] * 1e6
        self.slices.append(found)

    def median(self, key: str) -> float:
        """Return the median of what the slices found; 0 if none of them tells."""
        found = [one[key] for one in self.slices if key in one]
        return statistics.median(found) if found else 0.0

    def latency(self, *, at_rate: bool = False) -> dict[str, float]:
        """Return the quantiles of the milliseconds of all requests."""
        return quantiles([each for one in (self.at_rate if at_rate else self.slices) for each in one["latency_ms"]])


def run(case: Case) -> dict[str, Any]:
    """Load a service, whose output is read fast or not at all, with requests that it logs and others in turn."""
    options = case.options
    base, one = Loaded("/silent/42"), Loaded("/items/42")
    port = free_port()
    with service(case, port) as (process, reader):
        with Client(port) as client:
            client.load(base.path, 0.3)
            logged = client.load(one.path, 0.3)["requests"]
            if options["reader"] == "stalled":
                reader.stall()
                client.load(one.path, 0.5)  # until the pipe is full
            for number in range(options["slices"]):
                for each in (base, one) if number % 2 else (one, base):
                    each.load(client, process, options["seconds"])
            for number in range(options["slices_at_rate"]):
                for each in (base, one) if number % 2 else (one, base):
                    each.at_rate.append(client.load(each.path, options["seconds"], options["rate"]))
        reader.go_on()
        if options["reader"] == "fast":
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            reader.join(PATIENCE)
            logged += sum(found["requests"] for found in one.slices + one.at_rate)
            if reader.events() < logged * options["lines"]:
                raise Skipped(f"{reader.events()} lines came for {logged} requests")
    return _summary(base, one)


def _summary(base: Loaded, one: Loaded) -> dict[str, Any]:
    cost = "cpu_us_per_request"
    added = [
        mine[cost] - other[cost]
        for mine, other in zip(one.slices, base.slices, strict=True)
        if cost in mine and cost in other
    ]
    latency, at_rate = one.latency(), one.latency(at_rate=True)
    ratios = [
        statistics.median(mine["latency_ms"]) / statistics.median(other["latency_ms"])
        for mine, other in zip(one.at_rate, base.at_rate, strict=True)
        if mine["latency_ms"] and other["latency_ms"]
    ]
    return {
        "requests_per_second": one.median("requests_per_second"),
        "latency_ms": {share: latency[share] for share in SHARES},
        cost: one.median(cost),
        "added_cpu_us": statistics.median(added) if added else 0.0,
        "at_rate_ms": {share: at_rate[share] for share in SHARES},
        "at_rate_p50_ratio": statistics.median(ratios) if ratios else 0.0,
    }
