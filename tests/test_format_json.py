from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from importlib.resources import files
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog.event import NO_AMBIENT, Ambient, Extras, LogEvent, Origin, Record
from fapilog.formats import make_formatters
from fapilog.formats._timestamp import Clock
from fapilog.formats.json import JsonFormatter, event_tree
from fapilog.values import EMPTY, FrozenDict
from format_corpus import (
    CONTROLS,
    NASTY,
    TIME_NS,
    TIME_TEXT,
    InterruptingZone,
    RaisingZone,
    events,
    record,
    records,
    strict_lines,
    texts,
    trees,
)

SCHEMA = json.loads(files("fapilog.formats").joinpath("event.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
EXTRAS = Extras(
    severity=9,
    tags=FrozenDict(team="pay"),
    metrics=FrozenDict(latency_ms=1.5),
    context=FrozenDict(line=5),
    exception=FrozenDict(type="ValueError", message="no"),
)


def encode(*items: Record | LogEvent, first_sequence: int = 1, limit: int = 262_144) -> bytes:
    return JsonFormatter(max_event_bytes=limit).format_batch(items, first_sequence)


def parse(*items: Record | LogEvent, limit: int = 262_144) -> list[dict]:
    return strict_lines(encode(*items, limit=limit))


def repaired(text: str) -> str:
    """Return what JSON can hold of *text*: surrogate pairs are one character, lone surrogates are replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_every_built_in_format_is_made_by_its_name():
    formatters = make_formatters(2048)
    assert list(formatters) == ["json", "json_flat", "logfmt", "console", "console_colour"]
    assert all(formatter.name == name for name, formatter in formatters.items())


def test_a_line_has_every_attribute_under_its_name():
    item = record(
        "done",
        {"order": 7},
        bound=FrozenDict(component="cart"),
        context=FrozenDict(request_id="r-1"),
        correlation_id="c-1",
        extras=EXTRAS,
    )
    assert encode(item, first_sequence=42).decode() == (
        f'{{"timestamp":"{TIME_TEXT}","level":"INFO","severity":9,"message":"done","fields":{{"order":7}},"sequence":42,'
        '"container":"ab12cd34","source":"shop","logger":"api.db","task":"main","correlation_id":"c-1",'
        '"context":{"request_id":"r-1","component":"cart","line":5},"tags":{"team":"pay"},'
        '"metrics":{"latency_ms":1.5},"exception":{"type":"ValueError","message":"no"}}\n'
    )


def test_what_is_empty_is_left_out():
    item = record("", logger="", source="", task="")
    assert parse(item) == [
        {"timestamp": TIME_TEXT, "level": "INFO", "severity": 3, "message": "", "sequence": 1, "container": "ab12cd34"}
    ]


def test_the_sequence_counts_records_and_is_an_events_own():
    lines = parse(record(), record(fields={"a": 1}), LogEvent("x", sequence=99), record(extras=EXTRAS))
    assert [line["sequence"] for line in lines] == [1, 2, 99, 4]


def test_one_event_is_one_line():
    event = LogEvent("x", fields={"a": 1}, sequence=7)
    assert JsonFormatter().format(event) == encode(event)


def test_an_event_that_was_changed_is_encoded_as_it_is_now():
    event = LogEvent.from_record(record(fields={"a": 1}, context=FrozenDict(b=2), correlation_id="old"), 3)
    before = parse(event)[0]
    event.correlation_id = "new"
    assert parse(event) == [{**before, "correlation_id": "new"}]
    event.add(context={"c": 3}, fields={"d": 4}, tags={"t": "5"}, metrics={"m": 6})
    event.message, event.severity, event.exception = "other", 8, {"type": "E"}
    assert parse(event) == [
        {
            **before,
            "message": "other",
            "severity": 8,
            "fields": {"a": 1, "d": 4},
            "correlation_id": "new",
            "context": {"b": 2, "c": 3},
            "tags": {"t": "5"},
            "metrics": {"m": 6},
            "exception": {"type": "E"},
        }
    ]
    event.correlation_id, event.fields, event.context = "", {}, {}
    assert not {"correlation_id", "fields", "context"} & parse(event)[0].keys()


@given(st.lists(st.tuples(records, st.booleans()), max_size=8))
def test_an_addition_to_the_context_is_encoded_alike_whether_it_was_read_or_not(items):
    made = events([item for item, _ in items], 1)
    for event, (_, added) in zip(made, items, strict=True):
        if added:
            event.add(context={"plugin": 1})
    payload = encode(*made)
    assert payload == b"".join(JsonFormatter().format(event) for event in made)
    for event in made:
        assert event.context is not None  # reading makes one whole mapping of it
    assert payload == encode(*made)


@given(st.lists(records, max_size=5))
def test_bd27_any_events_are_strict_json_and_records_and_events_encode_alike(items):
    payload = encode(*items, first_sequence=5)
    assert payload == encode(*events(items, 5))
    assert payload == encode(*events(items, 5, touched=True))
    assert payload == b"".join(JsonFormatter().format(event) for event in events(items, 5))
    lines = strict_lines(payload)
    assert [line["sequence"] for line in lines] == list(range(5, 5 + len(items)))
    assert [line["message"] for line in lines] == [repaired(item[2]) for item in items]
    assert not CONTROLS.intersection(payload.decode().replace("\n", "")) - BIDIRECTIONAL - {"\x7f"}
    for line in lines:
        VALIDATOR.validate(line)


BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from("ab"), st.sampled_from((10, 40)))))
def test_what_events_share_is_never_taken_from_another_event(choices):
    origins = [
        Origin("one", "s", "c"),
        Origin("two", "s", "c"),
        Origin("one", "", "c", FrozenDict(b=1)),
        Origin("", "", ""),
    ]
    ambients = [NO_AMBIENT, Ambient(FrozenDict(r=1)), Ambient(FrozenDict(r=2), "id"), Ambient(EMPTY, "other")]
    items: list[Record] = [
        (TIME_NS, level, "m", {"a": 1}, origins[origin], ambients[ambient], task, None)
        for origin, ambient, task, level in choices
    ]
    expected = [event_tree(event, Clock()) for event in events(items, 1)]
    formatter = JsonFormatter()
    for _ in range(2):
        assert strict_lines(formatter.format_batch(items, 1)) == expected


def test_what_is_kept_of_many_tasks_is_bounded():
    origin = Origin("logger", "", "c")
    for ambient in (NO_AMBIENT, Ambient(FrozenDict(a=1))):
        items: list[Record] = [(TIME_NS, 20, "m", {"a": 1}, origin, ambient, f"task {n}", None) for n in range(1000)]
        assert [line["task"] for line in parse(*items)] == [item[6] for item in items]
        touched = events(items, 1, touched=True)
        assert encode(*touched) == encode(*items)
        for cache in (origin.cache, ambient.cache):
            assert sum(1 + len(pieces) for pieces in cache.values()) < 200


def test_events_outside_a_context_leave_nothing_with_the_object_that_containers_share():
    item = record()
    encode((*item[:5], NO_AMBIENT, *item[6:]))
    assert NO_AMBIENT.cache == {}


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:24])
def test_se1_se2_se4_text_comes_back_as_it_was_and_ends_no_line(text):
    item = record(text, {text: text, "inner": FrozenDict({text: (text,)})}, logger=text, correlation_id=text, task=text)
    [line] = parse(item, record("next"))[:1]
    same = repaired(text)
    assert line["message"] == same
    assert line["fields"] == {same: same, "inner": {same: [same]}}
    assert line.get("logger", "") == line.get("correlation_id", "") == line.get("task", "") == same


def test_no_key_of_a_user_is_an_attribute_of_the_event():
    fake = {"level": "CRITICAL", "timestamp": "x", "truncated": 1, "sequence": -1, "fields": FrozenDict(level=1)}
    [line] = parse(record(fields=dict(fake), context=FrozenDict(fake)))
    assert line["level"] == "INFO"
    assert line["timestamp"] == TIME_TEXT
    assert line["fields"] == line["context"] == fake
    assert "truncated" not in line


@pytest.mark.parametrize(
    "value, expected",
    [
        (2**63, 2**63),
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (10**5000, "<int 16610 bits>"),
        (float("nan"), None),
        (float("-inf"), None),
        (-0.0, -0.0),
        (datetime(2020, 1, 2, 3, 4, 5, 6, UTC), "2020-01-02T03:04:05.000006Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
        (datetime(2020, 1, 2), "2020-01-02T00:00:00"),  # noqa: DTZ001 - what has no time zone gets none
        (datetime(2020, 1, 1, tzinfo=timezone(timedelta(seconds=3723))), "2020-01-01T00:00:00+01:02:03"),
        (date(2020, 1, 2), "2020-01-02"),
        (time(1, 2, 3, tzinfo=UTC), "01:02:03+00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ((1, ("a",), FrozenDict()), [1, ["a"], {}]),
    ],
    ids=lambda value: ascii(value)[:30] if type(value) is not int else "int",
)
@pytest.mark.parametrize("spoiler", [None, 2**70, "\ud800"], ids=["fast", "with a large int", "with a surrogate"])
def test_bd2_bd3_bd4_bd17_values_and_what_stands_for_them(value, expected, spoiler):
    # A spoiler sends the whole event the careful way, which must not change anything else.
    [line] = parse(record(fields={"value": value, "spoiler": spoiler}))
    assert line["fields"]["value"] == expected
    assert type(line["fields"]["value"]) is type(expected)


def test_bd17_a_time_zone_that_raises_does_not_end_the_process():
    moment = datetime(2020, 1, 1, tzinfo=RaisingZone())
    [line] = parse(record(fields={"at": moment}, context=FrozenDict(at=moment)))
    assert line["fields"] == line["context"] == {"at": "<unprintable datetime: RuntimeError>"}


def test_an_interrupt_while_encoding_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        encode(record(fields={"at": datetime(2020, 1, 1, tzinfo=InterruptingZone())}))


def test_bd8_keys_that_are_equal_once_repaired_are_all_kept():
    fields = {chr(code): code for code in (0xD800, 0xDFFF, 0xFFFD)} | {"\ufffd#2": 4}
    [line] = parse(record(fields=fields))
    assert line["fields"] == {"\ufffd": 0xD800, "\ufffd#2": 0xDFFF, "\ufffd#3": 0xFFFD, "\ufffd#2#2": 4}


def test_an_event_that_needs_care_does_not_disturb_its_neighbours():
    lines = parse(record("a", {"n": 1}), record("b", {"n": 2**70}), record("c", {"n": 3}))
    assert [(line["message"], line["fields"]["n"]) for line in lines] == [("a", 1), ("b", str(2**70)), ("c", 3)]


@pytest.mark.parametrize("depth", [50, 300, 900])
def test_bd6_a_deep_tree_is_encoded_or_cut(depth):
    tree = EMPTY
    for _ in range(depth):
        tree = FrozenDict(inner=tree)
    line = encode(record(fields={"tree": tree}))
    assert len(strict_lines(line)) == 1
    assert (b"<too deep>" in line) == (depth > 250)


@pytest.mark.parametrize(
    "time_ns, text",
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (999, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (-1_000_000_001, "1969-12-31T23:59:58.999999Z"),
        (1_001_000, "1970-01-01T00:00:00.001001Z"),
        (2**63, "2262-04-11T23:47:16.854775Z"),
        (253_402_300_799_999_999_999, "9999-12-31T23:59:59.999999Z"),
        (253_402_300_800_000_000_000, "9999-12-31T23:59:59.999999Z"),
        (10**30, "9999-12-31T23:59:59.999999Z"),
        (-62_135_596_800_000_000_000, "0001-01-01T00:00:00.000000Z"),
        (-62_135_596_800_000_000_001, "0001-01-01T00:00:00.000000Z"),
        (-(10**30), "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_bd25_any_clock_is_formatted(time_ns, text):
    around = [record(time_ns=TIME_NS), record(time_ns=time_ns), record(time_ns=TIME_NS)]
    assert [line["timestamp"] for line in parse(*around)] == [TIME_TEXT, text, TIME_TEXT]
    assert encode(*around) == encode(*events(around, 1))


@given(st.lists(st.one_of(st.integers(-(10**19), 10**20), st.integers(TIME_NS - 3 * 10**9, TIME_NS + 3 * 10**9))))
def test_bd25_times_in_any_order_are_exact(times):
    lines = parse(*[record(time_ns=time_ns, fields={"a": 1}) for time_ns in times])
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = [epoch + timedelta(microseconds=time_ns // 1000) for time_ns in times]
    assert [datetime.fromisoformat(line["timestamp"]) for line in lines] == expected


@given(st.lists(records, min_size=1, max_size=3), st.integers(1024, 20_000))
def test_no_line_is_longer_than_allowed(items, limit):
    payload = encode(*items, limit=limit)
    lines = strict_lines(payload)
    whole = encode(*items).split(b"\n")
    for line, encoded, original in zip(lines, payload.split(b"\n"), whole, strict=False):
        assert len(encoded) + 1 <= limit
        VALIDATOR.validate(line)
        if len(original) + 1 <= limit:
            assert encoded == original
        else:
            assert line["truncated"] == len(original) + 1
            full = json.loads(original)
            assert all(line[key] == full[key] for key in ("timestamp", "level", "severity", "sequence"))
            assert "message" in line
            assert all(key in line for key in ("container", "logger", "correlation_id") if key in full)
    assert payload == encode(*events(items, 1), limit=limit)


@given(st.dictionaries(texts, trees, max_size=30), st.integers(1024, 3000))
def test_bd7_a_line_with_everything_too_long_keeps_what_identifies_it(fields, limit):
    long = "y" * 3000
    item = record(
        long,
        {**fields, long: long},
        context=FrozenDict({**fields, "long": long}),
        correlation_id="c" * 64,
        source=long,
        task=long,
        extras=Extras(
            tags=FrozenDict(a=long), metrics=FrozenDict(b=1.0), exception=FrozenDict(type=long, message=long)
        ),
    )
    payload = encode(item, limit=limit)
    [line] = strict_lines(payload)
    assert len(payload) <= limit
    VALIDATOR.validate(line)
    assert (line["timestamp"], line["level"], line["sequence"]) == (TIME_TEXT, "INFO", 1)
    assert (line["logger"], line["container"], line["correlation_id"]) == ("api.db", "ab12cd34", "c" * 64)
    assert line["message"].endswith("…<3000 characters>")


def test_bd7_only_the_long_value_is_cut_and_says_how_long_it_was():
    fields = {"order": 7, "body": "z" * 10_000_000, "items": tuple(range(5))}
    payload = encode(record(fields=fields), limit=4096)
    [line] = strict_lines(payload)
    assert 3500 < len(payload) <= 4096
    assert line["fields"]["body"].startswith("zzz")
    assert line["fields"]["body"].endswith("…<10000000 characters>")
    assert (line["fields"]["order"], line["fields"]["items"]) == (7, [0, 1, 2, 3, 4])
    assert line["truncated"] > 10_000_000


def test_bd6_too_many_items_say_how_many_there_were():
    many = tuple(range(100_000))
    fields = {"list": many, "map": FrozenDict((f"key {number}", number) for number in range(100_000))}
    [line] = parse(record(fields=fields), limit=4096)
    *kept, more = line["fields"]["list"]
    assert kept == list(range(len(kept)))
    assert kept
    assert more == f"<{100_000 - len(kept)} more>"
    kept_keys = {key: value for key, value in line["fields"]["map"].items() if key != "…"}
    assert kept_keys
    assert line["fields"]["map"]["…"] == f"<{100_000 - len(kept_keys)} more>"


def test_a_long_line_does_not_change_its_neighbours():
    items = [record("a", {"n": 1}), record("b", {"n": "x" * 5000}), LogEvent("c", fields={"n": 3}, sequence=3)]
    whole, cut = encode(*items).split(b"\n"), encode(*items, limit=2000).split(b"\n")
    assert (cut[0], cut[2], cut[3]) == (whole[0], whole[2], b"")
    assert json.loads(cut[1])["message"] == "b"
    assert cut[1] != whole[1]


def test_the_line_limit_is_exact():
    exact = len(encode(record("x" * 2000)))
    assert "truncated" not in parse(record("x" * 2000), limit=exact)[0]
    assert parse(record("x" * 2000), limit=exact - 1)[0]["truncated"] == exact


def test_the_schema_refuses_what_is_no_event():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == "urn:fapilog:event:1"
    [line] = parse(record(extras=EXTRAS, fields={"a": 1}))
    VALIDATOR.validate(line)
    for wrong in (
        {**line, "user": 1},
        {**line, "level": "LOUD"},
        {**line, "severity": 11},
        {**line, "timestamp": "now"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)
