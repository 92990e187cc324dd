"""Redaction: throughput with fapilog's own redactor on, as in production; the others hide nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..measure import Case
from ..peers.catalogue import FAPILOG
from ..selection import Selection, case_name, logger_cases
from . import throughput

ROUNDS = 9
COMPARED = ("fapilog", "picologging", "picologging-tuned", "logust", "structlog", "stdlib")
REDACTING = replace(FAPILOG, name="fapilog-redacting", label="fapilog, redacting", options={"redactors": ["redact"]})


def cases(selection: Selection) -> Iterator[Case]:
    """Yield fapilog with its redactor on every event loop, and the loggers without one."""
    for loop in REDACTING.loops:
        told = {
            "task": "throughput",
            "loop": loop,
            "module": REDACTING.module,
            "events": selection.events(REDACTING.events),
            "options": REDACTING.options,
        }
        yield Case(case_name(REDACTING, loop), told, REDACTING, writes=True)
    chosen = tuple(name for name in COMPARED if not selection.loggers or name in selection.loggers)
    yield from logger_cases(replace(selection, loggers=chosen), "throughput")


tables = throughput.tables
