"""Events and batches to try a plugin with: plain ones, odd ones and large ones, new each time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ...event import LogEvent
from ...formats import make_formatters
from ...plugins import Batch
from ...tracebacks import describe_exception

MANY: Final = 3000
"""How many events a large batch has."""


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def _deep() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(50):
        tree = {"inner": tree}
    return tree


def _error() -> Mapping[str, Any]:
    try:
        try:
            raise KeyError("missing")
        except KeyError as error:
            raise ValueError("no \ud800 text") from error
    except ValueError as error:
        return describe_exception(error)


ODD_FIELDS: Final[Mapping[str, Callable[[], Mapping[str, Any]]]] = {
    "no fields": dict[str, Any],
    "a lone surrogate": lambda: {"text": "\ud800", "\udfff": 1},
    "control characters": lambda: {"text": "a\r\n\x00\x1b[31m\u2028b"},
    "an empty key": lambda: {"": ""},
    "numbers that JSON has not": lambda: {"nan": math.nan, "infinity": -math.inf, "large": 2**70},
    "no values": lambda: {"none": None, "false": False},
    "bytes": lambda: {"bytes": b"\xff\x00"},
    "times": lambda: {"time": datetime(2026, 1, 1, tzinfo=UTC), "naive": datetime.max},  # noqa: DTZ901
    "mappings and lists": lambda: {"tree": {"list": [1, {"a": (2, "b")}], "set": {3}}},
    "a deep tree": _deep,
    "a list that holds itself": lambda: {"cycle": _cycle()},
    "keys that are no text": lambda: {"mapping": {1: "a", None: "b", ("c",): "d"}},
    "many keys": lambda: {f"key {number}": number for number in range(500)},
    "a long text": lambda: {"text": "x" * 100_000},
    "an object": lambda: {"object": object()},
}
"""Fields that are odd, by what is odd about them; frozen like a call's when an event is made of them."""

_ODD_EVENTS: Final[Mapping[str, Callable[[], LogEvent]]] = {
    "an empty message": lambda: LogEvent(""),
    "a message of odd characters": lambda: LogEvent("\ud800 \x00 \x1b[2J\r\n%s {0}"),
    "a long message": lambda: LogEvent("x" * 300_000, "ERROR"),
    "an exception": lambda: LogEvent("failed", "ERROR", exception=_error()),
    "everything": lambda: LogEvent(
        "all", "CRITICAL", source="s", severity=10, tags={"t": "1"}, context={"c": [1]}, metrics={"m": 1.5},
        correlation_id="r-1", fields={"f": None}, logger="a.b", task="t",
    ),
}  # fmt: skip


def plain_event(number: int = 0) -> LogEvent:
    """Return an ordinary event."""
    return LogEvent("checkout", fields={"order": number, "user": "ann"}, context={"request": "r-1"}, logger="shop")


def odd_events() -> dict[str, LogEvent]:
    """Return one event of each oddity, by what is odd about it."""
    events = {name: LogEvent("odd", fields=make()) for name, make in ODD_FIELDS.items()}
    return events | {name: make() for name, make in _ODD_EVENTS.items()}


def batch_of(events: Iterable[LogEvent]) -> Batch:
    """Return a batch as a sink gets it: with numbered events that are read-only."""
    sealed = list(events)
    for sequence, event in enumerate(sealed, 1):
        event._sequence = sequence
        event._sealed = True
    return Batch(sealed, 1, make_formatters())


def content(events: Iterable[LogEvent]) -> bytes:
    """Return everything that is in *events*, as text to compare or to search."""
    return Batch(list(events), 1, make_formatters()).encoded("json")
