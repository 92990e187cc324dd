from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog.event import Extras, LogEvent
from fapilog.formats.json_flat import FlatJsonFormatter
from fapilog.values import FrozenDict
from format_corpus import CONTROLS, NASTY, TIME_TEXT, events, record, records, strict_lines, texts, trees

OWN = {
    "timestamp": TIME_TEXT,
    "level": "INFO",
    "severity": 3,
    "logger": "api.db",
    "message": "request done",
    "source": "shop",
    "sequence": 1,
    "task": "main",
    "container": "ab12cd34",
}


def parse(*items, limit=262_144):
    return strict_lines(FlatJsonFormatter(max_event_bytes=limit).format_batch(items, 1))


def test_fields_and_context_are_at_the_top():
    item = record(
        fields={"order": 7, "nested": FrozenDict(a=(1, 2))},
        context=FrozenDict(request_id="r-1"),
        correlation_id="c-1",
        extras=Extras(
            tags=FrozenDict(team="pay"),
            metrics=FrozenDict(latency_ms=1.5),
            exception=FrozenDict(type="ValueError", cause=FrozenDict(type="KeyError")),
        ),
    )
    assert parse(item) == [
        {
            **OWN,
            "correlation_id": "c-1",
            "tags.team": "pay",
            "metrics.latency_ms": 1.5,
            "order": 7,
            "nested": {"a": [1, 2]},
            "request_id": "r-1",
            "exception": {"type": "ValueError", "cause": {"type": "KeyError"}},
        }
    ]


def test_what_is_empty_is_left_out_but_the_message():
    assert parse(record("", logger="", source="", task="")) == [
        {key: OWN[key] for key in ("timestamp", "level", "severity", "sequence", "container")} | {"message": ""}
    ]


def test_the_events_own_keys_win_and_no_value_is_lost():
    item = record(
        fields={"level": 1, "fields.level": 2, "same": 3, "correlation_id": 4, "tags.team": 5, "truncated": 6},
        context=FrozenDict({"level": 7, "same": 8, "context.same": 9, "fields.level": 10, "exception": 11}),
        extras=Extras(tags=FrozenDict(team="pay")),
    )
    assert parse(item) == [
        {
            **OWN,
            "tags.team": "pay",
            "fields.level": 1,
            "fields.fields.level": 2,
            "same": 3,
            "fields.correlation_id": 4,
            "fields.tags.team": 5,
            "fields.truncated": 6,
            "context.level": 7,
            "context.same": 8,
            "context.context.same": 9,
            "context.fields.level": 10,
            "context.exception": 11,
        }
    ]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:24])
def test_se1_se2_se4_text_comes_back_and_ends_no_line(text):
    first, second = parse(record(text, {"key": text, "key " + text: 1}, logger=text), record("next"))
    same = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert first["message"] == first["key"] == first.get("logger", "") == same
    assert (second["message"], second["sequence"]) == ("next", 2)


@given(st.lists(records, max_size=4))
def test_bd27_any_events_are_strict_json_without_a_loss(items):
    payload = FlatJsonFormatter().format_batch(items, 1)
    assert payload == FlatJsonFormatter().format_batch(events(items, 1, touched=True), 1)
    assert not (CONTROLS - set("\n\x7f") - BIDIRECTIONAL).intersection(payload.decode())
    lines = strict_lines(payload)
    assert len(lines) == len(items)
    for line, event in zip(lines, events(items, 1), strict=True):
        own = {
            "timestamp": True,
            "level": True,
            "severity": True,
            "message": True,
            "sequence": True,
            "logger": event.logger,
            "source": event.source,
            "task": event.task,
            "container": event.container_id,
            "correlation_id": event.correlation_id,
            "exception": event.exception,
        }
        expected = sum(map(bool, own.values())) + sum(
            map(len, (event.fields, event.context, event.tags, event.metrics))
        )
        assert len(line) == expected
        assert (line["level"], line["sequence"]) == (event.level, event.sequence)


BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(records, st.dictionaries(texts, trees, max_size=10), st.integers(1024, 5000))
def test_no_line_is_longer_than_allowed(item, more, limit):
    event = LogEvent.from_record(item, 7)
    event.add(fields=more)
    whole = FlatJsonFormatter().format(event)
    payload = FlatJsonFormatter(max_event_bytes=limit).format(event)
    [line] = strict_lines(payload)
    assert len(payload) <= limit
    if len(whole) <= limit:
        assert payload == whole
    else:
        assert line["truncated"] == len(whole)
        assert (line["level"], line["sequence"], line["timestamp"]) == (
            event.level,
            7,
            strict_lines(whole)[0]["timestamp"],
        )
        assert "message" in line


def test_bd7_a_long_value_is_cut_and_the_rest_kept():
    [line] = parse(record(fields={"a": 1, "long": "x" * 10_000, "b": 2}), limit=1024)
    assert line["long"].startswith("xxx")
    assert line["long"].endswith("…<10000 characters>")
    assert {key: line[key] for key in OWN} == OWN
    assert (line["a"], line["b"]) == (1, 2)
