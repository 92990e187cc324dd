"""The process enricher: how much memory, processor time, threads and descriptors the process uses."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import ClassVar

import attrs

from ..event import LogEvent
from ..plugins.metadata import PluginMetadata, PluginType

_MOST_DESCRIPTORS = 100_000
"""Descriptors that are counted, at most."""


@attrs.frozen
class ProcessConfig:
    """What the process enricher can be told."""

    interval: float = attrs.field(default=10.0, validator=[attrs.validators.ge(0.1), attrs.validators.le(86_400.0)])
    """Seconds, from 0.1 to 86400, for which one look at the system serves every event."""


class ProcessEnricher:
    """Adds to every event's metrics what the process uses, as it was at most ``interval`` seconds ago.

    Nothing runs in between: the first event after the interval makes the enricher look again, which takes some tens of
    microseconds. What a system does not tell is left out. The names are those of OpenTelemetry's metrics
    (https://opentelemetry.io/docs/specs/semconv/system/process-metrics/): ``process.memory.usage`` (bytes in physical
    memory), ``process.cpu.time`` (seconds), ``process.thread.count`` and ``process.unix.file_descriptor.count``.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="process",
        version="1.0.0",
        plugin_type=PluginType.ENRICHER,
        entry_point="fapilog.enrichers.process:ProcessEnricher",
    )
    Config = ProcessConfig

    def __init__(
        self, config: ProcessConfig | None = None, *, _monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = (config or ProcessConfig()).interval
        self._monotonic = _monotonic
        self._look_at = float("-inf")
        self._metrics: dict[str, float] = {}

    def enrich(self, event: LogEvent) -> None:
        """Add the metrics to *event*."""
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + self._interval
            self._metrics = {name: float(value) for name, value in usage().items()}  # which an event takes as they are
        event.add(metrics=self._metrics)


def usage(process: str = "/proc/self") -> dict[str, float]:
    """Return what the process uses now, by the metrics' names.

    Parameters:
        process: the process's directory; see proc(5).
    """
    found: dict[str, float] = {"process.cpu.time": round(time.process_time(), 6)}
    try:
        # The second number in statm is the resident set, in pages.
        with open(f"{process}/statm", "rb") as file:
            found["process.memory.usage"] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        # In stat, the name in parentheses may hold anything; the number of threads is the 18th after it.
        with open(f"{process}/stat", "rb") as file:
            found["process.thread.count"] = int(file.read().rpartition(b")")[2].split()[17])
    except (OSError, ValueError, IndexError):
        found["process.thread.count"] = threading.active_count()
    for directory in (f"{process}/fd", "/dev/fd"):
        try:
            with os.scandir(directory) as entries:
                # One of them is that of the look itself.
                found["process.unix.file_descriptor.count"] = sum(1 for _ in islice(entries, _MOST_DESCRIPTORS)) - 1
            break
        except OSError:
            continue
    return found


__all__ = ("ProcessConfig", "ProcessEnricher", "usage")
