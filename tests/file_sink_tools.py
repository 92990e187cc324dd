"""What the tests of the file sink share: batches of numbered events, clocks to set, and readers of what was written."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from fapilog.event import LogEvent
from fapilog.plugins.batch import Batch
from fapilog.sinks.file import FileSink

ARCHIVE = re.compile(r"-\d{8,}T\d{6}Z\.\d{4}")
START = 1_800_000_000.0
"""A wall time: 2027-01-15 08:00:00 UTC."""


class JsonLines:
    """One JSON object a line."""

    name = "json"

    def format(self, event: LogEvent) -> bytes:
        return self.format_batch([event], 0)

    def format_batch(self, items: Sequence[Any], first_sequence: int) -> bytes:
        return b"".join(json.dumps({"message": item.message}).encode() + b"\n" for item in items)


class TwoLines(JsonLines):
    """Two lines an event, as a console format has them for an exception."""

    name = "console"

    def format_batch(self, items: Sequence[Any], first_sequence: int) -> bytes:
        return b"".join(b"%s\n  more\n" % item.message.encode() for item in items)


FORMATTERS = {"json": JsonLines(), "console": TwoLines()}


def batch_of(messages: Iterable[object]) -> Batch:
    return Batch([LogEvent(str(message)) for message in messages], 1, FORMATTERS)


@attrs.define
class Clock:
    """Seconds that pass only when a test says so."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@attrs.define
class Rig:
    """A file sink on clocks of its own."""

    sink: FileSink
    wall: Clock
    monotonic: Clock
    path: Path

    def write(self, *messages: object) -> None:
        self.sink.write(batch_of(messages))

    def restart(self, **settings: Any) -> Rig:
        """Close the sink and start another one with the same settings and clocks."""
        self.sink.aclose()
        config = attrs.evolve(self.sink._config, **settings)
        sink = FileSink(config, _monotonic=self.monotonic, _wall=self.wall)
        sink.start()
        return Rig(sink, self.wall, self.monotonic, self.path)


def rig(path: Path, *, start: bool = True, **settings: Any) -> Rig:
    wall, monotonic = Clock(), Clock(100.0)
    sink = FileSink(FileSink.Config(path=os.fspath(path), **settings), _monotonic=monotonic, _wall=wall)
    if start:
        sink.start()
    return Rig(sink, wall, monotonic, path)


def messages_in(path: Path) -> list[str]:
    """Return the messages of a file, each line of which is one strict JSON object."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line)["message"] for line in data.splitlines()]


def archives_of(path: Path) -> list[Path]:
    """Return the rotated files of the log file at *path*, oldest first."""
    return sorted(
        other for other in path.parent.iterdir() if ARCHIVE.search(other.name) and other.name.startswith(path.stem)
    )


def everything_in(path: Path) -> list[str]:
    """Return the messages of all rotated files, then those of the log file itself."""
    return [message for file in [*archives_of(path), path] if file.exists() for message in messages_in(file)]


def record_size(message: object) -> int:
    return len(batch_of([message]).encoded("json"))
