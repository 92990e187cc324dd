"""Events for the tests of the formats: hostile strings, values of every kind, and Hypothesis strategies for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from hypothesis import strategies as st

from fapilog.event import NO_AMBIENT, Ambient, Extras, LogEvent, Origin, Record
from fapilog.values import EMPTY, FrozenDict

TIME_NS = 1_790_000_000_123_456_789
TIME_TEXT = "2026-09-21T14:13:20.123456Z"


class RaisingZone(tzinfo):
    """A time zone whose offset cannot be had."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise RuntimeError("no offset")


class InterruptingZone(tzinfo):
    """A time zone during whose first use the user presses Ctrl-C."""

    interrupted = False

    def utcoffset(self, moment: datetime | None) -> timedelta:
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        return timedelta(0)


FORGED = "12:00:00.000 CRITICAL forged"

NASTY = (
    "",
    " ",
    "plain",
    "two words",
    "a=b",
    'say "hi"',
    "back\\slash",
    "ends with \\",
    "{}[],:",
    "null",
    f"line\n{FORGED}",
    f"line\r{FORGED}",
    f"line\r\n{FORGED}",
    f"nel\x85{FORGED}",
    f"ls\u2028{FORGED}",
    f"ps\u2029{FORGED}",
    f"vt\x0bff\x0c{FORGED}",
    f"fs\x1cgs\x1drs\x1e{FORGED}",
    '"}\n{"level":"CRITICAL"}',
    "level=ERROR message=forged",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31mc1",
    "\x9d0;c1 title\x9c",
    "bel\x07 bs\x08 del\x7f nul\x00",
    "".join(map(chr, range(32))),
    "".join(map(chr, range(127, 160))),
    "\u202eevil\u202c \u2066x\u2069 \u200e\u200f\u061c",
    "\ufeffbom\u200bzero\u200dwidth",
    "\ud800",
    "a\udc00b",
    "\ud83d\ude00 as two",
    "\ufffe\uffff",
    "é ü ß 漢字 😀 \U0010ffff",
    "x" * 5000,
    "😀" * 2000,
    "\x00" * 2000,
    "\u2028" * 1000,
)

CONTROLS = frozenset(
    {*map(chr, range(32)), *map(chr, range(127, 160)), "\u2028", "\u2029", *map(chr, range(0x202A, 0x202F))}
    | {"\u061c", "\u200e", "\u200f", *map(chr, range(0x2066, 0x206A))}
)
"""What no text format may let through from data."""

_characters = st.characters(exclude_categories=())
# By position, because Hypothesis would otherwise print them all in the description of each strategy.
_nasty = st.integers(0, len(NASTY) - 1).map(lambda position: NASTY[position])
texts = st.one_of(_nasty, st.text(_characters, max_size=30))
keys = st.one_of(
    st.sampled_from(
        ("level", "message", "timestamp", "sequence", "fields.level", "tags", "tags.a", "a", "a b", "a_b", "truncated")
    ),
    st.sampled_from(("nested.a", "nested", "correlation id", "correlation_id", "…", "\ud800", "\ud801")),
    texts,
)
_moments = st.one_of(
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
    st.times(),
    st.sampled_from((RaisingZone, tzinfo)).map(lambda zone: datetime(2020, 1, 1, tzinfo=zone())),
    st.just(time(1, 2, tzinfo=UTC)),
)
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from((2**53 + 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1)),
    st.sampled_from((4000, 4299)).map(lambda digits: 10**digits),
    st.floats(),
    texts,
    _moments,
    st.uuids(),
)


def mappings(values: st.SearchStrategy[Any], max_size: int = 5) -> st.SearchStrategy[FrozenDict]:
    return st.dictionaries(keys, values, max_size=max_size).map(FrozenDict)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(_leaves, st.lists(inner, max_size=3).map(tuple), mappings(inner, 3))


# Nested by hand, because `st.recursive` inside `st.recursive` draws inconsistently.
trees: st.SearchStrategy[Any] = _nested(_nested(_nested(_leaves)))
_frames = st.fixed_dictionaries({}, optional={"file": texts, "line": st.integers(), "omitted": st.just(3)}).map(
    FrozenDict
)


def _exceptions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[FrozenDict]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": texts,
            "module": texts,
            "message": trees,
            "notes": st.one_of(texts, st.lists(texts, max_size=3).map(tuple)),
            "frames": st.one_of(trees, st.lists(_frames, max_size=3).map(tuple)),
            "ref": st.integers(),
            "exception_id": trees,
            "raised_in": trees,
            "logged": trees,
            "note\n": texts,
            "cause": inner,
            "context": inner,
            "group": st.one_of(inner, st.lists(inner, max_size=3).map(tuple)),
        },
    ).map(FrozenDict)


exceptions = _exceptions(_exceptions(trees))
extras = st.one_of(
    st.none(),
    st.builds(
        Extras,
        severity=st.one_of(st.none(), st.integers(1, 10)),
        tags=mappings(texts, 3),
        metrics=mappings(st.floats(), 3),
        context=mappings(trees, 3),
        exception=st.one_of(st.none(), exceptions),
    ),
)
records: st.SearchStrategy[Record] = st.tuples(
    st.one_of(st.just(TIME_NS), st.integers(-(2**70), 2**70)),
    st.sampled_from((10, 20, 30, 40, 50)),
    texts,
    mappings(trees),
    st.builds(Origin, logger=texts, source=texts, container_id=texts, bound=mappings(trees, 3)),
    st.one_of(st.just(NO_AMBIENT), st.builds(Ambient, values=mappings(trees, 3), correlation_id=texts)),
    texts,
    extras,
)


def record(
    message: str = "request done",
    fields: dict[str, Any] | None = None,
    *,
    time_ns: int = TIME_NS,
    level: int = 20,
    logger: str = "api.db",
    source: str = "shop",
    bound: FrozenDict = EMPTY,
    context: FrozenDict = EMPTY,
    correlation_id: str = "",
    task: str = "main",
    extras: Extras | None = None,
) -> Record:
    """Return a record like any other, except for what is given."""
    origin = Origin(logger=logger, source=source, container_id="ab12cd34", bound=bound)
    return time_ns, level, message, fields or {}, origin, Ambient(context, correlation_id), task, extras


def events(records: list[Record], first_sequence: int, *, touched: bool = False) -> list[LogEvent]:
    """Return the events of *records*; touched ones have had every attribute read."""
    result = [LogEvent.from_record(item, first_sequence + position) for position, item in enumerate(records)]
    if touched:
        for event in result:
            assert event.context is not None
            assert event.fields is not None
    return result


def strict_lines(payload: bytes) -> list[dict[str, Any]]:
    """Parse JSON lines as the strictest reader would: no NaN, no duplicate key, no way to end a line but one."""
    text = payload.decode()
    lines = text.splitlines()
    assert text == "".join(f"{line}\n" for line in lines)
    return [json.loads(line, parse_constant=_refuse, object_pairs_hook=_without_duplicates) for line in lines]


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    assert len(result) == len(pairs), f"duplicate keys in {pairs}"
    return result
