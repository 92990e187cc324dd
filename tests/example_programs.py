"""Start an example as its user would, talk to it, stop it by a signal, and judge its log."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

import fapilog

SOURCE = str(Path(fapilog.__file__).parents[1])
EXAMPLES = Path(__file__).parents[1] / "examples"
_PATIENCE = 40
"""Seconds after which a program is stuck; a test ends after 60."""


class Program:
    """A program that runs, whose standard output and error are read line by line."""

    def __init__(self, arguments: Iterable[str], folder: Path, *, stdin: int | None = None) -> None:
        paths = os.pathsep.join((SOURCE, str(EXAMPLES)))
        # Gunicorn puts a socket into the home folder.
        environment = {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "HOME": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self.told: list[str] = []
        """What it has printed so far."""
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(line.rstrip("\n"))
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the match in the next line that has *pattern*."""
        while (line := self._lines.get(timeout=_PATIENCE)) is not None:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"it ended without {pattern!r}:\n" + "\n".join(self.told))

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(signal_number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(_PATIENCE)
        self._reader.join(_PATIENCE)
        return code

    def kill(self) -> None:
        """End what is left of it, its children too, after a test that failed."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(_PATIENCE)
        self._reader.join(_PATIENCE)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def running(*arguments: str, folder: Path, stdin: int | None = None) -> Generator[Program]:
    """Run Python with *arguments* in *folder*; nothing of it is left afterwards."""
    program = Program(arguments, folder, stdin=stdin)
    try:
        yield program
    finally:
        program.kill()


def example(name: str) -> str:
    return str(EXAMPLES / name)


def events_of(path: Path) -> list[dict[str, Any]]:
    """Return the events of a log file, each of whose lines has to be whole, and each container's without a gap."""
    text = path.read_bytes()
    assert text.endswith(b"\n")
    return checked([orjson.loads(line) for line in text.splitlines()])


def checked(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events, of which none of a container may be missing, doubled or out of order."""
    sequences: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        sequences[event["container"]].append(event["sequence"])
    for sequence in sequences.values():
        assert sequence == list(range(1, len(sequence) + 1))
    return events


def requests_of(events: list[dict[str, Any]], is_outside: Callable[[dict[str, Any]], bool]) -> dict[str, Counter[str]]:
    """Return how often each request logged what; every event that is not outside of requests has to name its own."""
    requests: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        if is_outside(event):
            assert "correlation_id" not in event, event
        else:
            requests[event["correlation_id"]][event["message"]] += 1
    return dict(requests)


def check_drained(told: list[str], events: list[dict[str, Any]]) -> None:
    """Check that the report, printed after the drain, is about these events and that nothing was lost."""
    report = "\n".join(told)
    assert re.search(rf"submitted, .*\b{len(events)} dispatched", report), report
    assert re.search(rf"sink \w+: {len(events)} routed, {len(events)} delivered\n", report), report
    assert "  drain complete after " in report
