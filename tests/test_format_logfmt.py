from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog.event import Extras, LogEvent
from fapilog.formats.logfmt import LogfmtFormatter
from fapilog.values import FrozenDict
from format_corpus import CONTROLS, NASTY, TIME_TEXT, RaisingZone, events, record, records, texts, trees

HEAD = {
    "timestamp": TIME_TEXT,
    "level": "INFO",
    "severity": "3",
    "logger": "api.db",
    "message": "request done",
    "source": "shop",
    "sequence": "1",
    "task": "main",
    "container": "ab12cd34",
}
PAIR = re.compile(r'(?P<key>[^\s="\\]+)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s="\\]+))(?: |$)')


def read_line(line: str) -> dict[str, str]:
    """Read a line as go-logfmt does: quoted values have the escapes of JSON. Anything else is an error."""
    result: dict[str, str] = {}
    position = 0
    while position < len(line):
        match = PAIR.match(line, position)
        assert match is not None, f"no pair at {line[position : position + 40]!r}"
        key = match["key"]
        assert key not in result, f"duplicate key {key!r}"
        result[key] = match["bare"] if match["quoted"] is None else json.loads(f'"{match["quoted"]}"')
        position = match.end()
    return result


def parse(*items, limit=262_144):
    text = LogfmtFormatter(max_event_bytes=limit).format_batch(items, 1).decode()
    assert not CONTROLS.intersection(text) - {"\n"}
    lines = text.splitlines()
    assert text == "".join(f"{line}\n" for line in lines)
    return [read_line(line) for line in lines]


def repaired(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_a_line():
    item = record(
        "request done",
        {
            "order": 7,
            "name": 'Ann "A" = b',
            "empty": "",
            "path": "/a?b",
            "nested": FrozenDict(a=1, b=FrozenDict(c=(1, "x"))),
        },
        context=FrozenDict(request_id="r-1"),
        correlation_id="c-1",
        extras=Extras(
            severity=9,
            tags=FrozenDict(team="pay"),
            metrics=FrozenDict(ms=1.5),
            exception=FrozenDict(type="E", notes=("n",)),
        ),
    )
    assert LogfmtFormatter().format_batch([item], 1).decode() == (
        f'timestamp={TIME_TEXT} level=INFO severity=9 logger=api.db message="request done" source=shop sequence=1 '
        'task=main container=ab12cd34 correlation_id=c-1 tags.team=pay metrics.ms=1.5 order=7 name="Ann \\"A\\" = b" '
        'empty="" path=/a?b nested.a=1 nested.b="{\\"c\\":[1,\\"x\\"]}" request_id=r-1 exception.type=E '
        'exception.notes="[\\"n\\"]"\n'
    )


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (2**70, str(2**70)),
        (10**5000, "<int 16610 bits>"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        ((1, (2,)), "[1,[2]]"),
        (datetime(2020, 1, 2, tzinfo=UTC), "2020-01-02T00:00:00Z"),
        (datetime(2020, 1, 2, tzinfo=RaisingZone()), "<unprintable datetime: RuntimeError>"),
    ],
    ids=lambda value: ascii(value)[:30] if type(value) is not int else "int",
)
def test_values_that_are_no_strings(value, expected):
    assert parse(record(fields={"value": value})) == [{**HEAD, "value": expected}]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:24])
def test_se1_se2_se4_text_comes_back_as_it_was_and_ends_no_line(text):
    first, second = parse(record(text, {"key": text}, logger=text), record("next"))
    assert first["message"] == first["key"] == first.get("logger", "") == repaired(text)
    assert second["message"] == "next"


def test_keys_become_readable_and_stay_apart():
    item = record(fields={"a b": 1, "a=b": 2, 'a"b': 3, "a\nb": 4, "a_b": 5, "": 6, "a\\b": 7, "é": 8})
    [line] = parse(item)
    assert {key: value for key, value in line.items() if key not in HEAD} == {
        "a_b": "1",
        "a_b_2": "2",
        "a_b_3": "3",
        "a_b_4": "4",
        "a_b_5": "5",
        "_": "6",
        "a_b_6": "7",
        "é": "8",
    }


def test_no_key_of_a_user_passes_for_the_events_own():
    item = record(fields={"level": 1, "correlation id": 2, "tags": FrozenDict(team=3), "lev\nel": 4, "exception": 5})
    assert parse(item) == [
        {
            **HEAD,
            "fields.level": "1",
            "correlation_id_2": "2",
            "fields.tags.team": "3",
            "lev_el": "4",
            "fields.exception": "5",
        }
    ]


@given(st.lists(records, max_size=4))
def test_bd27_any_events_can_be_read_back(items):
    assert LogfmtFormatter().format_batch(items, 1) == LogfmtFormatter().format_batch(events(items, 1, touched=True), 1)
    lines = parse(*items)
    assert len(lines) == len(items)
    for line, event in zip(lines, events(items, 1), strict=True):
        assert line["message"] == repaired(event.message)
        assert (line["level"], line["sequence"]) == (event.level, str(event.sequence))
        assert line.get("logger", "") == repaired(event.logger)
        # Every value is somewhere: a mapping as its entries, anything else as one pair.
        strings = [repaired(value) for value in (*event.fields.values(), *event.tags.values()) if type(value) is str]
        assert not set(strings) - set(line.values())


@given(records, st.dictionaries(texts, trees, max_size=10), st.integers(1024, 5000))
def test_no_line_is_longer_than_allowed(item, more, limit):
    event = LogEvent.from_record(item, 7)
    event.add(fields=more)
    whole = LogfmtFormatter().format(event)
    cut = LogfmtFormatter(max_event_bytes=limit).format(event)
    [line] = parse(event, limit=limit)
    assert len(cut) <= limit
    if len(whole) <= limit:
        assert cut == whole
    else:
        assert line["truncated"] == str(len(whole))
        assert (line["level"], line["sequence"]) == (event.level, "7")
        assert "message" in line
