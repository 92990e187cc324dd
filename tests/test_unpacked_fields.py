"""The names and values of a call, as the accelerator leaves them in the queue of a container that reads no events."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog._accelerated import accelerator
from fapilog.event import LogEvent, _events_of, _with_mappings, events_of, with_mappings
from fapilog.formats.console import ConsoleFormatter
from fapilog.formats.json import JsonFormatter
from fapilog.formats.json_flat import FlatJsonFormatter
from fapilog.formats.logfmt import LogfmtFormatter
from fapilog.plugins import Batch, Formatter
from fapilog.record import Record
from fapilog.sinks.memory import MemorySink
from fapilog.values import FrozenDict
from format_corpus import NASTY, events, record, records

WAYS: dict[str, Callable[[Iterable[Any]], list[Any]]] = {"C": with_mappings, "Python": _with_mappings}
READING: tuple[Callable[..., Formatter], ...] = (JsonFormatter, LogfmtFormatter, ConsoleFormatter)
FORMATTERS: tuple[Callable[..., Formatter], ...] = (*READING, FlatJsonFormatter)
needs_accelerator = pytest.mark.skipif(accelerator is None, reason="the package was built without its accelerator")
CALL: dict[str, Any] = {"user": 1, "path": "/items", "took": 1.25, "cached": False, "by": None}


def unpacked(item: Record) -> Record:
    """Return the record as the accelerator's call makes it."""
    fields = item[3]
    return cast("Record", (*item[:3], (tuple(fields), *fields.values()) if fields else (), *item[4:]))


@needs_accelerator
@given(st.lists(records, max_size=8), st.sampled_from((1024, 262_144)), st.sampled_from(READING))
def test_the_lines_are_those_of_records_with_mappings(
    items: list[Record], limit: int, make: Callable[..., Formatter]
) -> None:
    formatter = make(max_event_bytes=limit)
    assert formatter.format_batch([unpacked(item) for item in items], 7) == formatter.format_batch(items, 7)


@needs_accelerator
@pytest.mark.parametrize("make", READING)
@pytest.mark.parametrize("text", NASTY)
def test_a_nasty_name_stays_in_its_member(text: str, make: Callable[..., Formatter]) -> None:
    formatter = make()
    item = record(fields={text: text, "other": {text: (text,)}})
    lines = formatter.format_batch(with_mappings([unpacked(item)]), 1)
    assert lines == formatter.format_batch([item], 1)
    assert formatter.format_batch([unpacked(item)], 1) == lines


@needs_accelerator
@pytest.mark.parametrize("make", READING)
@pytest.mark.parametrize("number", [0, 1, 64, 65, 200])
def test_any_number_of_fields(number: int, make: Callable[..., Formatter]) -> None:
    formatter = make()
    assert formatter.reads_unpacked  # type: ignore[attr-defined]
    item = record(fields={f"name_{position}": position for position in range(number)})
    assert formatter.format_batch([unpacked(item)] * 3, 1) == formatter.format_batch([item] * 3, 1)


@given(st.lists(records, max_size=8))
def test_whoever_reads_a_record_gets_it_with_its_mapping(items: list[Record]) -> None:
    made = [unpacked(item) for item in items]
    for way in WAYS.values():
        assert way(made) == items
        assert all(type(item[3]) is FrozenDict for item in way(made))
    for make in (events_of, _events_of, lambda made: [LogEvent.from_record(item) for item in made]):
        assert [event.fields for event in make(made)] == [item[3] for item in items]


@pytest.mark.parametrize("way", WAYS)
def test_what_has_its_mapping_stays_what_it_is(way: str) -> None:
    items: list[Any] = [record(fields=CALL), record(), *events([record(fields=CALL)], 1)]
    assert all(made is item for made, item in zip(WAYS[way](items), items, strict=True))
    assert WAYS[way]([]) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fields", [(("a", "b"), 1), (("a",), 1, 2), (("a",),)])
def test_names_and_values_that_do_not_match_are_a_mistake(way: str, fields: tuple[Any, ...]) -> None:
    wrong = cast("Record", (*record()[:3], fields, *record()[4:]))
    with pytest.raises(ValueError):
        WAYS[way]([wrong])
    if accelerator is not None:  # the encoder leaves the line to Python, which says so
        for make in READING:
            with pytest.raises(ValueError):
                make().format_batch([wrong], 1)


@given(st.lists(records, max_size=8), st.sampled_from(FORMATTERS))
def test_every_format_makes_the_same_of_a_batch(items: list[Record], make: Callable[[], Formatter]) -> None:
    formatters = {"it": make()}
    payload = Batch([unpacked(item) for item in items], 1, formatters).encoded("it")
    assert payload == Batch(items, 1, formatters).encoded("it")


def test_a_format_from_elsewhere_gets_mappings() -> None:
    class Keeping:
        name = "keeping"

        def format(self, event: LogEvent) -> bytes:
            raise NotImplementedError

        def format_batch(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
            return orjson.dumps([cast("Record", item)[3] for item in items])

    items = [record(fields=CALL), record()]
    batch = Batch([unpacked(item) for item in items], 1, {"keeping": Keeping()})
    assert orjson.loads(batch.encoded("keeping")) == [CALL, {}]


@pytest.mark.anyio
async def test_only_what_reads_no_event_gets_them() -> None:
    def read(event: LogEvent) -> bool:
        return event.fields == CALL

    def redact(event: LogEvent) -> None:
        assert event.fields == CALL

    plugins: list[tuple[type, dict[str, Any]]] = [
        (tuple, {}),
        (tuple, {"settings": {"filters": ["level"]}}),
        (dict, {"settings": {"redactors": ["redact"]}}),
        (dict, {"settings": {"filters": ["level"], "redactors": ["redact"]}}),
        (FrozenDict, {"filters": [read]}),
        (FrozenDict, {"redactors": [redact]}),
        (FrozenDict, {"settings": {"redactors": ["redact"]}, "processors": [read]}),
    ]
    for kept_in, given_plugins in plugins:
        batches: list[Batch] = []

        async def keep(batch: Batch, batches: list[Batch] = batches) -> None:
            batches.append(batch)

        async with fapilog.container(sinks=[keep], **given_plugins) as log:
            await log.info("m", **CALL)
            assert log._intake.fields_type is kept_in
        [batch] = batches
        is_unpacked = accelerator is not None and kept_in is tuple
        assert (type(batch._items[0]) is tuple and type(batch._items[0][3]) is tuple) == is_unpacked
        assert orjson.loads(batch.encoded("json"))["fields"] == CALL
        assert batch.events[0].fields == CALL


@pytest.mark.anyio
async def test_what_a_call_with_them_was_given_may_be_anything_that_passes() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    lines: list[bytes] = []

    async def keep(batch: Batch) -> None:
        lines.append(batch.encoded("json"))

    async with fapilog.container(sinks=[keep]) as log:
        await log.info("m", when=when, huge=2**70, nothing=float("nan"), half="\ud800")
    assert orjson.loads(b"".join(lines))["fields"] == {
        "when": "2026-01-02T03:04:05Z", "huge": str(2**70), "nothing": None, "half": "\ufffd",
    }  # fmt: skip


# -- names that are known


@needs_accelerator
@given(st.lists(st.lists(st.one_of(st.text(max_size=4), st.sampled_from(NASTY)), min_size=1, max_size=3, unique=True)))
def test_names_that_come_again_are_written_as_at_first(some: list[list[str]]) -> None:
    formatter = JsonFormatter()
    kept = [tuple(names) for names in some]
    for start in range(3):
        items = [record(fields=dict.fromkeys(names, start)) for names in kept]
        made = [
            cast("Record", (*item[:3], (names, *item[3].values()), *item[4:]))
            for item, names in zip(items, kept, strict=True)
        ]
        assert formatter.format_batch(made, 1) == formatter.format_batch(items, 1)


@needs_accelerator
def test_more_calls_than_there_are_places_for_are_written_each_by_its_own_names() -> None:
    formatter = JsonFormatter()
    kept = [(f"name_{number}", "x" * (number * 8)) for number in range(300)]
    for order in (kept, kept[::-1], kept[::7] * 3):
        items = [record(fields=dict.fromkeys(names, 1)) for names in order]
        made = [cast("Record", (*item[:3], (names, 1, 1), *item[4:])) for item, names in zip(items, order, strict=True)]
        assert formatter.format_batch(made, 1) == formatter.format_batch(items, 1)


@needs_accelerator
def test_only_names_that_somebody_else_holds_are_kept() -> None:
    formatter = JsonFormatter()
    name = f"made by {id(formatter)}"
    before = sys.getrefcount(name)
    for _ in range(3):
        formatter.format_batch([cast("Record", (*record()[:3], ((name,), 1), *record()[4:]))], 1)
    assert sys.getrefcount(name) == before
    held = (name,)
    for _ in range(3):
        formatter.format_batch([cast("Record", (*record()[:3], (held, 1), *record()[4:]))], 1)
    before = sys.getrefcount(held)
    del formatter
    assert sys.getrefcount(held) == before - 1, "the formatter lets go of them"


@needs_accelerator
@pytest.mark.anyio
async def test_a_call_that_is_known_keeps_the_meaning_of_its_names() -> None:
    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log:
        made: dict[str, Any] = {"severity": 6, "user": 2}

        async def calls() -> None:
            await log.info("plain", user=1, path="/")
            await log.info("own", user=1, severity=5)
            await log.info("fields", **{f"name_{number}": number for number in range(2)})
            await log.info("made own", **made)

        for _ in range(4):
            gc.collect()  # gives up on the tuples of names in the text of ``calls``
            await calls()
    told = [(event.message, dict(event.fields), event.severity) for event in memory.events]
    assert told == 4 * [
        ("plain", {"user": 1, "path": "/"}, 3),
        ("own", {"user": 1}, 5),
        ("fields", {"name_0": 0, "name_1": 1}, 3),
        ("made own", {"user": 2}, 6),
    ]
