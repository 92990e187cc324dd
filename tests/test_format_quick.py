"""The quick ways of the formats: a batch is what its events are, each written with all care."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fapilog.event import NO_AMBIENT, Ambient, LogEvent, Origin, Record
from fapilog.formats import make_formatters
from fapilog.formats._quick_pairs import NotQuick, PairWriter, Remembered
from fapilog.values import EMPTY, FrozenDict
from format_corpus import NASTY, TIME_NS, events, record, records

FORMATS = ("json_flat", "logfmt", "console", "console_colour")
_small_texts = st.one_of(
    st.text("ab/.:,{}[]=\"'\\ \x7f\xe9<", max_size=4),
    st.sampled_from(("/items", "GET", "", "a,", ":a", "},{", "true", "two words", "http://a/b?c", *NASTY)),
)
_values = st.one_of(
    _small_texts,
    st.integers(-5, 5000),
    st.sampled_from(
        (0.0, -0.0, 1e-4, 9.9e-5, 1e-5, 1e15, 1e16, 1e-7, 1e22, float("nan"), float("-inf"), 2**64, 10**20)
    ),
    st.floats(),
    st.sampled_from((None, True, False, FrozenDict(a=1), (1, "x"), ())),
)
_keys = st.one_of(
    st.sampled_from(("user_id", "path", "status", "a", "level", "severity", "correlation_id", "tags.a", "a b", "")),
    st.text('ab:,{"=\xe9', min_size=1, max_size=3),
)
_origins = tuple(
    Origin(logger, source, "ab12", bound)
    for logger, source, bound in (("api.db", "shop", EMPTY), ("", "", EMPTY), ("x y", "é", FrozenDict(b=1, a="c d")))
)
_ambients = (
    NO_AMBIENT,
    Ambient(FrozenDict(request_id="r-1", tenant="acme")),
    Ambient(FrozenDict(path="/x", c=1.5), "id 1"),
    Ambient(FrozenDict({"level": 1, "a b": (1,), "request_id": "\x85"})),
)


def _fields(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(_keys, values, max_size=4)


_clean_fields = st.dictionaries(
    st.sampled_from(("user_id", "path", "status", "ok")),
    st.one_of(st.integers(0, 999), st.sampled_from(("/items", "GET", "a:b", "a,b", 1.25, 0.0, None, True))),
    max_size=4,
)
_items: st.SearchStrategy[list[Record]] = st.lists(
    st.tuples(
        st.integers(TIME_NS, TIME_NS + 10**7),
        st.sampled_from((10, 20, 50)),
        st.sampled_from(("done", "request done", "", "a=b", "é\n")),
        st.one_of(_clean_fields, _clean_fields, _fields(_values)),
        st.sampled_from(_origins),
        st.sampled_from(_ambients),
        st.sampled_from(("main", "task 2", "")),
        st.none(),
    ),
    max_size=12,
)


def careful(name: str, items: list[Record], limit: int = 262_144) -> bytes:
    """Return what the format makes of each event by itself, without any quick way."""
    return b"".join(map(make_formatters(limit)[name].format, events(items, 1)))


@pytest.mark.parametrize("name", FORMATS)
@given(_items, st.sampled_from((1024, 262_144)))
@example([record(fields={"a": "x,", "b": ":y"}), record(fields={"a": "},{"})], 262_144)
@example([record(fields={"a": ""})], 262_144)
@example([record(fields={"a": 0.00002, "b": 1})], 262_144)
def test_a_batch_is_what_its_events_are_one_by_one(name: str, items: list[Record], limit: int) -> None:
    expected = careful(name, items, limit)
    formatter = make_formatters(limit)[name]
    for _ in range(2):  # the second time, all that can be remembered is
        assert formatter.format_batch(items, 1) == expected
        assert formatter.format_batch(events(items, 1), 1) == expected
        assert formatter.format_batch(events(items, 1, touched=True), 1) == expected


@pytest.mark.parametrize("name", FORMATS)
@given(st.lists(records, max_size=4), _items)
def test_what_needs_care_changes_nothing_beside_it(name: str, odd: list[Record], items: list[Record]) -> None:
    mixed = [*items[:3], *odd, *items[3:]]
    assert make_formatters()[name].format_batch(mixed, 1) == careful(name, mixed)


@pytest.mark.parametrize("name", FORMATS)
def test_a_changed_event_is_shown_as_it_is_now(name: str) -> None:
    formatter = make_formatters()[name]

    def changed(number: int) -> LogEvent:
        event = LogEvent.from_record(
            record(fields={"a": 1}, context=FrozenDict(request_id="r", a=2), bound=FrozenDict(b=3)), 9
        )
        assert event.context
        changes: list[Any] = [
            lambda: event.add(tags={"t": "x y", "b": "1"}, metrics={"m": 1e-05, "t": 2}),
            lambda: event.add(context={"c": "d e"}, fields={"b": 4}),
            lambda: setattr(event, "severity", 9),
            lambda: setattr(event, "correlation_id", "c 1"),
            lambda: setattr(event, "message", "other one"),
            lambda: setattr(event, "context", {}),
            lambda: event.add(fields={"severity": 1, "correlation_id": 2, "tags.t": 3, "metrics.m": 4}),
            lambda: setattr(event, "exception", {"type": "E"}),
        ]
        for change in changes[: number + 1]:
            change()
        return event

    for number in range(8):
        assert formatter.format_batch([changed(number)], 1) == formatter.format(changed(number))


@pytest.mark.parametrize("name", FORMATS)
def test_ordinary_records_are_never_written_with_all_care(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    formatter = make_formatters()[name]
    items = [
        record(
            "request done", {"user_id": number, "path": "/items", "status": 200, "ms": 1.25}, time_ns=TIME_NS + number
        )
        for number in range(200)
    ]
    expected = careful(name, items)
    monkeypatch.setattr(type(formatter), "format", None)
    assert formatter.format_batch(items, 1) == expected
    assert formatter.format_batch(events(items, 1), 1) == expected


@given(st.lists(st.dictionaries(_keys, _values, min_size=1, max_size=4), min_size=1, max_size=6))
@example([{"a": 1, "b": "x"}, {"a": "y"}])
def test_pairs_made_together_are_those_made_one_by_one(mappings: list[dict[str, Any]]) -> None:
    def shown(text: str) -> str:
        return f'"{text}"' if not text or set(text) & set(" =\"\\'\x7f\xe9") or not text.isprintable() else text

    for before, after in ((" ", "="), ("; -", " -> ")):
        writer = PairWriter(
            lambda key: key.replace(" ", "_").replace('"', "_"), shown, before_key=before, after_key=after
        )
        try:
            together = writer.all_pairs(mappings, ())
        except NotQuick:
            continue
        assert together == [writer.pairs(mapping) for mapping in mappings]


@given(st.floats())
def test_json_has_the_digits_of_repr_where_pairs_rely_on_it(number: float) -> None:
    if 1e-4 <= abs(number) < 1e16 or number == 0:
        assert orjson.dumps(number).decode() == repr(number)


def test_what_is_remembered_is_bounded_and_the_same() -> None:
    remembered = Remembered(str.upper)
    for number in range(3000):
        assert remembered[f"k{number}"] == remembered[f"k{number}"] == f"K{number}"
    assert len(remembered) <= 1024
    assert remembered["y" * 4000] == "Y" * 4000
    assert "y" * 4000 not in remembered
    with pytest.raises(NotQuick):
        remembered["x" * 5000]
