"""Start the service, read its standard output or stop reading it, load it from another process, and end it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from .child import RESULT
from .measure import ROOT, Case, Skipped, environment, python_for

CONNECTIONS = 16
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
    """Return the CPU time of a process so far; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


def load(port: int, seconds: float) -> dict[str, Any]:
    """Load the service from a process of its own."""
    if shutil.which("wrk"):
        return load_with_wrk(port, seconds)
    command = [sys.executable, "-m", "benchmarks.tasks.client", str(port), str(seconds), str(CONNECTIONS)]
    ended = subprocess.run(command, cwd=ROOT, env=environment(), check=False, capture_output=True, text=True)
    lines = [line for line in ended.stdout.splitlines() if line.startswith(RESULT)]
    if not lines:
        raise Skipped(f"the client failed: {(ended.stderr.strip().splitlines() or ['it says nothing'])[-1]}")
    found: dict[str, Any] = json.loads(lines[0].removeprefix(RESULT))
    return found


def load_with_wrk(port: int, seconds: float) -> dict[str, Any]:
    """Do the same with wrk, which tells no more than these."""
    url = f"http://127.0.0.1:{port}/items/42"
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
        latency[f"p{share}"] = float(number) * scale[unit]
    count = int(requests[1])
    return {"requests": count, "unanswered": 0, "requests_per_second": count / whole, "latency_ms": latency}


def run(case: Case) -> dict[str, Any]:
    """Load one service, whose output is read fast or not at all, and return what was found."""
    port, seconds, per_request = free_port(), case.options["seconds"], case.options["lines"]
    with service(case, port) as (process, reader):
        load(port, 0.3)
        if case.options["reader"] == "stalled":
            reader.stall()
            load(port, 0.5)  # until the pipe is full
        before = cpu_seconds(process.pid)
        found = load(port, seconds)
        cpu = cpu_seconds(process.pid) - before
        if found["requests"]:
            found["cpu_us_per_request"] = cpu / found["requests"] * 1e6
        reader.go_on()
        if case.options["reader"] == "fast":
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            reader.join(PATIENCE)
            if reader.events() < found["requests"] * per_request:
                raise Skipped(f"{reader.events()} lines came for {found['requests']} requests")
    return {"cpu_us_per_request": 0.0, **found}
