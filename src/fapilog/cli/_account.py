"""The demo's proof: what the client saw, compared with what is in the files."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import orjson

from ..metrics import DrainReport
from ._client import Seen


@attrs.frozen
class LogFiles:
    """A log file and the files it was rotated to, oldest first."""

    current: Path
    rotated: tuple[Path, ...]

    @classmethod
    def of(cls, path: Path) -> LogFiles:
        """Return the files there are of the log file at *path*."""
        # The names begin with a time and a counter of fixed widths, so their order is that of the rotations.
        rotated = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}*"))
        return cls(path, tuple(rotated))

    def __str__(self) -> str:
        told = f"{self.current} ({_bytes([self.current])})"
        if self.rotated:
            plural = "s" if len(self.rotated) > 1 else ""
            told += f" and {len(self.rotated)} rotated file{plural} beside it ({_bytes(self.rotated)} compressed)"
        return told

    def events(self, container_id: str) -> Iterator[dict[str, Any]]:
        """Yield the events of one container, in the order they were written."""
        for path in (*self.rotated, self.current):
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
                yield from (event for event in map(orjson.loads, lines) if event["container"] == container_id)


def faults(files: LogFiles, report: DrainReport, seen: Sequence[Seen]) -> list[str]:
    """Return what is wrong with the account: nothing, if every event is where the report says it is."""
    found: list[str] = []
    if not report.balanced:
        found.append("the report does not balance")
    if not report.complete:
        found.append("the drain is not complete")
    for name, sink in report.sinks.items():
        if sink.delivered != report.dispatched:
            found.append(f"sink {name} has {sink.delivered} of {report.dispatched} events")
    sequences: list[int] = []
    logged: Counter[tuple[str, int, str]] = Counter()
    for event in files.events(report.container_id):
        sequences.append(event["sequence"])
        if event["logger"] == "asgi":
            outcome = event["context"]["span"]["outcome"]
            logged[event["correlation_id"], event["fields"]["status"], outcome] += 1
    if sequences != list(range(1, report.dispatched + 1)):
        found.append(f"the file has {len(sequences)} events of {report.dispatched}, or not in order")
    expected = Counter((request.request_id, request.status, request.outcome) for request in seen)
    missing, unexpected = expected - logged, logged - expected
    if missing:
        found.append(
            f"{missing.total()} requests have no event that says what the client saw, such as {next(iter(missing))}"
        )
    if unexpected:
        found.append(
            f"{unexpected.total()} events belong to no request that was sent, such as {next(iter(unexpected))}"
        )
    return found


def latency(seen: Sequence[Seen]) -> str:
    """Return how long the answered requests took, in words."""
    seconds = sorted(request.seconds for request in seen if not request.cancelled)
    if not seconds:
        return "no request was answered"
    median = seconds[len(seconds) // 2]
    nearly_all = seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)]
    return (
        f"p50 {median * 1000:.1f} ms, p99 {nearly_all * 1000:.1f} ms, max {seconds[-1] * 1000:.1f} ms "
        f"({len(seconds)} answered requests, as the client saw them)"
    )


def outcomes(seen: Sequence[Seen]) -> str:
    """Return how many requests ended in which way, in words."""
    counted = Counter("cancelled by the client" if request.cancelled else str(request.status) for request in seen)
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(counted.items()))


def _bytes(paths: Iterable[Path]) -> str:
    return f"{sum(path.stat().st_size for path in paths):_} bytes"
