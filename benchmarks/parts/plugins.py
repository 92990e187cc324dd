"""Plugins: throughput with a user's own Python filter and enricher, which read every event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..measure import Case
from ..selection import Selection, logger_cases
from . import throughput

ROUNDS = 9
COMPARED = ("fapilog", "picologging", "picologging-tuned", "structlog", "logust", "stdlib", "loguru")
"""The loggers that let a user's code read, change and drop an event."""


def cases(selection: Selection) -> Iterator[Case]:
    """Yield every logger that has such plugins, on its event loops."""
    chosen = tuple(name for name in COMPARED if not selection.loggers or name in selection.loggers)
    return logger_cases(replace(selection, loggers=chosen), "throughput", plugins=True)


tables = throughput.tables
