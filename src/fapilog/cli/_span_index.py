"""The spans of a log file as a tree, kept in a temporary database: a file may have more events than memory has room."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self, TypeAlias, cast

import orjson

_CACHE_KIB = 32_768
_AT_ONCE = 10_000
_LONGEST_LINE = 1 << 24
"""Bytes; the longest event that the settings allow is larger, but nobody reads it in a tree."""
_ROOT = 0
_MICROSECONDS = 1_000_000

_Row: TypeAlias = tuple[int, int, int, "int | None"]


class Entry(NamedTuple):
    """One event in its place."""

    offset: int
    """Where its line begins in the file."""
    span: int | None
    """The span that it is the end of, if it is one."""


class SpanIndex:
    """Where the events of a file belong. Use it as a context manager: leaving it removes the database."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._path = ""
        self._database: sqlite3.Connection
        self.events: int = 0
        self.unread: int = 0
        """Lines that are no events in the format ``json``."""
        self.outside: int = 0
        """Events outside any span."""

    def __enter__(self) -> Self:
        descriptor, self._path = tempfile.mkstemp(prefix="fapilog-tree-")
        os.close(descriptor)
        self._database = database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA temp_store = FILE")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute("CREATE TABLE entry (parent INTEGER, time INTEGER, offset INTEGER, span INTEGER)")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()
        with suppress(OSError):
            Path(self._path).unlink()

    def build(self, trace: str | None = None) -> None:
        """Read the whole file.

        Parameters:
            trace: take the events of this trace only: its id, or the beginning of it.
        """
        database = self._database
        database.execute("BEGIN")
        rows: list[_Row] = []
        for row in self._rows(trace):
            rows.append(row)
            if len(rows) == _AT_ONCE:
                database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", rows)
                rows.clear()
        database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", rows)
        database.execute("COMMIT")
        database.execute("CREATE INDEX by_parent ON entry (parent, time, offset, span)")
        database.execute("CREATE INDEX by_span ON entry (span, offset) WHERE span IS NOT NULL")

    def roots(self) -> Iterator[tuple[int, Entry | None]]:
        """Yield the span at the top of each tree with its entry, in order of time.

        The entry is None for a span whose end is not in the file: it goes on, or another service has it.
        """
        found = self._database.execute(
            "SELECT min(time) AS first, min(offset), parent, NULL FROM entry"
            " WHERE parent != ? AND parent NOT IN (SELECT span FROM entry WHERE span IS NOT NULL) GROUP BY parent"
            " UNION ALL SELECT time, offset, NULL, span FROM entry WHERE parent = ? AND span IS NOT NULL"
            " ORDER BY first, 2",
            (_ROOT, _ROOT),
        )
        for _, offset, missing, span in found:
            yield (missing, None) if span is None else (span, Entry(offset, span))

    def number(self, *, only_spans: bool) -> int:
        """Return how many events there are in spans, the spans' own included; or how many of the latter."""
        question = "SELECT count(span) FROM entry" if only_spans else "SELECT count(*) FROM entry"
        (number,) = self._database.execute(question).fetchone()
        return int(number)

    def children(self, span: int) -> Iterator[Entry]:
        """Yield what is inside a span: events, and spans at the time of their start."""
        for offset, child in self._database.execute(
            "SELECT offset, span FROM entry WHERE parent = ? ORDER BY time, offset", (span,)
        ):
            yield Entry(offset, child)

    def is_first(self, entry: Entry) -> bool:
        """Return whether this is the first end of its span; a second one, in a file put together, has no content."""
        (first,) = self._database.execute("SELECT min(offset) FROM entry WHERE span = ?", (entry.span,)).fetchone()
        return bool(first == entry.offset)

    def event(self, offset: int) -> dict[str, Any]:
        """Return the event at *offset*."""
        self._file.seek(offset)
        event: dict[str, Any] = orjson.loads(self._file.readline(_LONGEST_LINE))
        return event

    def _rows(self, trace: str | None) -> Iterator[_Row]:
        offset = 0
        while line := self._file.readline(_LONGEST_LINE):
            start, offset = offset, offset + len(line)
            try:
                event: dict[str, Any] = orjson.loads(line)
                context = mapping(event.get("context"))
                time = _microseconds(event["timestamp"])
                span_id = context.get("span_id")
                if trace is not None and not str(context.get("trace_id", "")).startswith(trace):
                    continue
                told = mapping(context.get("span"))
                if isinstance(span_id, str) and span_id:
                    if "outcome" in told:
                        parent = told.get("parent_id")
                        above = _number(parent) if parent else _ROOT
                        yield above, _microseconds(told["start"]), start, _number(span_id)
                    else:
                        yield _number(span_id), time, start, None
                else:
                    self.outside += 1
                self.events += 1
            except (ValueError, TypeError, KeyError, AttributeError):
                self.unread += bool(line.strip())


def mapping(value: object) -> Mapping[str, Any]:
    """Return *value* if it is a JSON object, else an empty mapping."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _number(span_id: str) -> int:
    """Return a span's id as SQLite keeps integers: with 64 bits and a sign. An id that is 0 belongs to no span."""
    if len(span_id) != 16:
        raise ValueError(span_id)
    number = int(span_id, 16)
    if number == _ROOT:
        raise ValueError(span_id)
    return number - (1 << 64) if number >> 63 else number


def _microseconds(timestamp: str) -> int:
    return round(datetime.fromisoformat(timestamp).timestamp() * _MICROSECONDS)
