"""Check that every event is in the file, once, as a line of JSON with the fields that every logger has to write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from .peers.interface import CONTEXT, MESSAGE

EXPECTED: dict[str, Any] = {**CONTEXT, "path": "/items", "status": 200, "latency_ms": 1.25}
MOMENTS = ("timestamp", "time")
MESSAGES = ("message", "message_type")


def leaves(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every name and value of nested objects; the outer ones first, since they count where names repeat."""
    inner = []
    for name, value in tree.items():
        if type(value) is dict:
            inner.append(value)
        yield name, value
    for value in inner:
        yield from leaves(value)


def number_of(line: bytes, expected: Mapping[str, Any]) -> int:
    """Return the event's number.

    Raises:
        ValueError: if the line is not JSON or something is missing.
    """
    record: dict[str, Any] = {}
    for name, value in leaves(orjson.loads(line)):
        record.setdefault(name, value)
    level = record.get("level")
    level = level["name"] if isinstance(level, dict) else level
    if str(level).upper() != "INFO":
        raise ValueError(f"the level is {level!r}")
    if MESSAGE not in [record.get(name) for name in MESSAGES] or not any(record.get(name) for name in MOMENTS):
        raise ValueError("the message or the time is missing")
    for name, value in expected.items():
        if record.get(name) != value:
            raise ValueError(f"{name} is {record.get(name)!r} and not {value!r}")
    return int(record["user_id"])


def problem_of(directory: Path, events: int, *, plugins: bool = False) -> str:
    """Return what is wrong with the files of *directory*, which should hold the events 0 to *events*; or nothing."""
    expected = {**EXPECTED, **({"service": "shop"} if plugins else {})}
    seen = bytearray(events)
    for path in sorted(directory.iterdir()):
        with path.open("rb") as file:
            for line in file:
                try:
                    number = number_of(line, expected)
                except (ValueError, KeyError, TypeError) as error:
                    return f"a line is wrong: {error}"
                if not 0 <= number < events or seen[number]:
                    return f"event {number} is there twice, or was never logged"
                seen[number] = 1
    missing = events - sum(seen)
    return f"{missing} of {events} events are missing" if missing else ""
