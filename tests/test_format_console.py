from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog.event import Extras, LogEvent
from fapilog.formats.console import ConsoleFormatter
from fapilog.tracebacks import describe_exception
from fapilog.values import FrozenDict
from format_corpus import CONTROLS, FORGED, NASTY, TIME_NS, events, exceptions, record, records, texts, trees

HEADER = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) ")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
COLOURS = {f"\x1b[{code}m" for code in ("0", "1", "2", "31", "32", "33", "36", "1;31")}
CLOCK = time.strftime("%H:%M:%S", time.localtime(TIME_NS // 10**9)) + ".123"


def show(*items, colour=False, limit=262_144):
    """Return the text, which holds nothing but printable characters, our colours, and one first line an event."""
    text = ConsoleFormatter(colour=colour, max_event_bytes=limit).format_batch(items, 1).decode()
    bare = COLOUR.sub("", text) if colour else text
    assert not CONTROLS.intersection(bare) - {"\n"}
    assert bare.replace("\n", "").isprintable()
    assert set(COLOUR.findall(text)) <= (COLOURS if colour else set())
    lines = bare.splitlines()
    assert bare == "".join(f"{line}\n" for line in lines)
    headers = [line for line in lines if not line.startswith("    ")]
    assert all(HEADER.match(line) for line in headers)
    assert not any(HEADER.match(line) for line in lines if line.startswith(" "))
    assert len(headers) == len(items)
    return text


def shown_exception(**tree):
    text = show(record(extras=Extras(exception=FrozenDict(tree))))
    return [line.removeprefix("    ") for line in text.splitlines()[1:]]


def test_a_line_is_aligned_and_says_the_rest_as_pairs():
    item = record(
        "done",
        {"order": 7, "name": "two words", "empty": "", "quote": "it's", "nested": FrozenDict(a=(1, "x")), "none": None},
        context=FrozenDict(request_id="r-1"),
        correlation_id="c-1",
        extras=Extras(severity=9, tags=FrozenDict(team="pay"), metrics=FrozenDict(ms=1.5)),
    )
    assert show(item) == (
        f"{CLOCK} INFO     api.db         done                             order=7 name='two words' empty='' "
        """quote="it's" nested={"a":[1,"x"]} none=null metrics.ms=1.5 tags.team=pay request_id=r-1 """
        "correlation_id=c-1 severity=9\n"
    )


def test_nothing_is_padded_without_need():
    assert show(record("done", logger="", level=50)) == f"{CLOCK} CRITICAL done\n"


def test_colours_change_nothing_else():
    item = record("done", {"a": 1}, context=FrozenDict(b=2), extras=Extras(exception=FrozenDict(type="E", message="m")))
    coloured = show(item, colour=True)
    assert COLOUR.sub("", coloured) == show(item)
    assert "\x1b[2mb=2\x1b[0m" in coloured
    assert "\x1b[36ma\x1b[0m=1" in coloured


def test_the_names_are_those_of_the_formats():
    assert [ConsoleFormatter().name, ConsoleFormatter(colour=True).name] == ["console", "console_colour"]


@pytest.mark.parametrize("time_ns", [0, -1, 10**30, -(10**30), 2**63])
def test_bd25_any_clock_is_shown(time_ns):
    show(record(time_ns=time_ns), record())


def test_the_time_of_each_event_is_its_own():
    times = [TIME_NS, TIME_NS + 10**9, TIME_NS, TIME_NS + 10**6]
    shown = [line.split(" ")[0] for line in show(*[record(time_ns=time_ns) for time_ns in times]).splitlines()]
    second = time.strftime("%H:%M:%S", time.localtime(TIME_NS // 10**9 + 1))
    assert shown == [CLOCK, f"{second}.123", CLOCK, CLOCK[:-1] + "4"]


@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:24])
def test_se1_se2_hostile_text_is_shown_and_does_nothing(text, colour):
    exception = FrozenDict(
        type=text,
        module=text,
        message=text,
        notes=(text, text),
        frames=(FrozenDict(file=text, line=text, function=text), text),
        cause=FrozenDict(type=text, message=text),
        group=(FrozenDict(type=text, message=text), text),
    )
    item = record(
        text,
        {"key": text, text: text, "nested": FrozenDict({text: (text,)})},
        logger=text,
        context=FrozenDict({text: text, "c": text}),
        correlation_id=text,
        extras=Extras(tags=FrozenDict({text: text}), exception=exception),
    )
    show(item, record("next"), colour=colour)


def test_controls_are_shown_as_escapes():
    text = show(record("a\nb\x1b[31m\x9b\x7f\u2028\u202e\ud800", {"k\n": "x\ty"}))
    assert "a\\nb\\x1b[31m\\x9b\\x7f\\u2028\\u202e\\ud800" in text
    assert "'k\\n'='x\\ty'" in text


def test_two_keys_that_are_equal_are_both_shown():
    text = show(record(fields={"same": 1, "level": 5}, context=FrozenDict({"same": 2, "context.same": 3})))
    assert all(pair in text for pair in (" same=1 ", " level=5 ", " context.same=2 ", " context.context.same=3"))


def test_an_exception_stands_below_with_its_causes_first():
    frames = (FrozenDict(file="app.py", line=12, function="handler"), FrozenDict(omitted=7))
    assert shown_exception(
        type="AppError",
        module="shop.errors",
        message="no\nstock",
        notes=("try later", "or\nnever"),
        frames=frames,
        cause=FrozenDict(
            type="ValueError", module="builtins", message="bad", context=FrozenDict(type="KeyError", message="'k'")
        ),
        extra="x y",
    ) == [
        "KeyError: 'k'",
        "While the exception above was handled, the one below was raised:",
        "ValueError: bad",
        "The exception above was the direct cause of the one below:",
        "Traceback (most recent call last):",
        "  app.py:12 in handler",
        "  ... 7 frames left out",
        "shop.errors.AppError: no",
        "  | stock",
        "  note: try later",
        "  note: or",
        "  | never",
        "  extra='x y'",
    ]


def test_a_group_is_a_tree_with_the_causes_of_its_leaves():
    leaf = FrozenDict(type="ValueError", message="bad", cause=FrozenDict(type="OSError", message="disk"))
    inner = FrozenDict(type="ExceptionGroup", message="inner", group=(leaf, FrozenDict(type="KeyError", ref=3)))
    assert shown_exception(type="ExceptionGroup", message="outer", group=(inner, FrozenDict(type="Last"))) == [
        "ExceptionGroup: outer",
        "  ├─ ExceptionGroup: inner",
        "  │    ├─ OSError: disk",
        "  │    │  The exception above was the direct cause of the one below:",
        "  │    │  ValueError: bad",
        "  │    └─ KeyError (shown before as #3)",
        "  └─ Last",
    ]


def frames(*functions):
    return tuple(FrozenDict(file="app.py", line=line, function=name) for line, name in enumerate(functions, 1))


def test_of_a_group_the_causes_stand_first_and_its_own_frames_last():
    long = FrozenDict(
        type="ValueError", message="bad", notes=("order 7",), frames=frames(*"abcdef"), fingerprint="00ff"
    )
    place = FrozenDict(span_id="00f0", span="fetch\n", task="t 1")
    short = FrozenDict(type="OSError", raised_in=place, logged=FrozenDict(exception_id=3, span_id="00f0"))
    inner = FrozenDict(type="Inner", group=(short,), frames=frames("g"))
    assert shown_exception(
        type="G", message="two", exception_id=4, group=(long, inner), frames=frames("main", "h")
    ) == [
        "G: two",
        "  told as exception 4",
        "  ├─ ValueError: bad",
        "  │    note: order 7",
        "  │    at app.py:6 in f",
        "  │    at app.py:5 in e",
        "  │    at app.py:4 in d",
        "  │    at app.py:3 in c",
        "  │    ... 2 frames farther out",
        "  └─ Inner",
        "       └─ OSError",
        "            raised in task t 1, span fetch\\n, 00f0",
        "            logged before as exception 3, span 00f0",
        "       at app.py:1 in g",
        "Traceback (most recent call last):",
        "  app.py:1 in main",
        "  app.py:2 in h",
    ]


def test_an_exception_that_was_logged_before_says_where():
    assert shown_exception(type="E", message="no", logged=FrozenDict(exception_id=3)) == [
        "E: no",
        "  logged before as exception 3",
    ]
    assert shown_exception(type="E", logged="redacted") == ["E", "  logged before as redacted"]
    assert shown_exception(type="E", raised_in=FrozenDict(a=1)) == ["E", '  raised in {"a":1}']


def test_what_was_left_out_is_told():
    far = FrozenDict(type="First", id=1)
    group = (FrozenDict(type="A", ref=1), FrozenDict(omitted=9), FrozenDict(type="Z"))
    assert shown_exception(type="G", group=group, context=FrozenDict(omitted=4, cause=far)) == [
        "First #1",
        "The exception above was the direct cause of the one below:",
        "... 4 exceptions left out",
        "While the exception above was handled, the one below was raised:",
        "G",
        "  ├─ A (shown before as #1)",
        "  ├─ ... 9 exceptions left out",
        "  └─ Z",
    ]


def test_a_syntax_error_says_where():
    syntax = FrozenDict(file="bad.py", line=3, column=5)
    assert shown_exception(type="SyntaxError", message="invalid", syntax=syntax) == [
        "SyntaxError: invalid",
        "  at bad.py:3:5",
    ]


def test_exceptions_as_they_are_described():
    try:
        try:
            raise KeyError("k")
        except KeyError as error:
            raise ExceptionGroup("two", [ValueError("a\nb"), error]) from error
    except ExceptionGroup as error:
        lines = shown_exception(**describe_exception(error))
    assert lines[0] == "Traceback (most recent call last):"
    assert re.fullmatch(r"  \S+:\d+ in test_exceptions_as_they_are_described", lines[1])
    assert lines[-6:-1] == [
        "ExceptionGroup: two (2 sub-exceptions)",
        "  ├─ ValueError: a",
        "  │    | b",
        "  └─ KeyError (shown before as #1)",
        "Traceback (most recent call last):",
    ]
    assert re.fullmatch(r"  \S+:\d+ in test_exceptions_as_they_are_described", lines[-1])


@pytest.mark.parametrize("value", ["text", 5, (), (1, 2), FrozenDict(), FrozenDict(a=1)], ids=repr)
def test_any_tree_in_the_place_of_an_exceptions_parts_is_shown(value):
    parts = (
        "type",
        "module",
        "message",
        "notes",
        "frames",
        "cause",
        "context",
        "group",
        "ref",
        "id",
        "omitted",
        "syntax",
        "fingerprint",
        "raised_in",
        "exception_id",
        "logged",
    )
    for part in parts:
        shown_exception(**{part: value})
    shown_exception(**dict.fromkeys(parts, value))


def test_bd19_long_chains_and_deep_groups_end():
    chain = deep = FrozenDict(type="E")
    for _ in range(5000):
        chain = FrozenDict(type="E", cause=chain)
    for _ in range(300):
        deep = FrozenDict(type="G", group=(deep,))
    lines = shown_exception(**chain)
    assert len(lines) == 2000
    assert lines[0] == "... earlier causes are left out"
    assert shown_exception(**deep)[-1].endswith("nested too deeply to show")


@given(st.lists(records, max_size=4), st.booleans())
def test_bd27_any_events_are_shown(items, colour):
    assert show(*items, colour=colour) == show(*events(items, 1, touched=True), colour=colour)


@given(records, exceptions, st.dictionaries(texts, trees, max_size=10), st.integers(1024, 5000), st.booleans())
def test_no_event_is_longer_than_allowed(item, exception, more, limit, colour):
    event = LogEvent.from_record(item, 1)
    event.add(fields=more)
    event.exception = exception
    whole = show(event, colour=colour)
    cut = show(event, colour=colour, limit=limit)
    if len(whole.encode()) <= limit:
        assert cut == whole
    else:
        assert len(cut.encode()) <= limit
        assert f"={len(whole.encode())}" in COLOUR.sub("", cut)


@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
def test_bd7_a_cut_event_keeps_message_fields_and_the_start_of_its_exception(colour):
    notes = tuple(f"note {number}" for number in range(10_000))
    item = record(
        "done " + "m" * 10_000,
        {"order": 7, "long": "x" * 10_000},
        extras=Extras(exception=FrozenDict(type="ValueError", message="bad", notes=notes)),
    )
    text = show(item, colour=colour, limit=2000)
    lines = COLOUR.sub("", text).splitlines()
    assert 1500 < len(text.encode()) <= 2000
    assert "done mmm" in lines[0]
    assert "…<10005 characters>" in lines[0]
    assert " order=7 " in lines[0]
    assert "…<10000 characters>" in lines[0]
    assert lines[1:3] == ["    ValueError: bad", "      note: note 0"]
    assert re.fullmatch(r"    \.\.\. \d+ more lines", lines[-1])


def test_se1_no_line_can_be_forged_anywhere():
    extras = Extras(exception=FrozenDict(type=f"E\n{FORGED}", message=f"a\n{FORGED}", notes=(f"b\n{FORGED}",)))
    lines = show(record(f"x\n{FORGED}", {"k": f"\n{FORGED}"}, extras=extras)).splitlines()
    assert [line for line in lines if "CRITICAL" in line[:26]] == []
    assert lines[1:] == [f"    E\\n{FORGED}: a", f"      | {FORGED}", "      note: b", f"      | {FORGED}"]


@pytest.mark.parametrize("below", [0, 1, 50], ids="{} lines below".format)
@pytest.mark.parametrize("count", [0, 1, 30], ids="{} fields".format)
@pytest.mark.parametrize("logger", ["l", "l" * 500], ids=["short logger", "long logger"])
def test_the_tightest_limit_is_kept_in_every_shape(logger, count, below):
    exception = FrozenDict(type="E", notes=("n" * 100,) * below) if below else None
    item = record(
        "m" * 3000,
        {f"key {number}": "v" * 3000 for number in range(count)},
        level=50,
        logger=logger,
        context=FrozenDict(c="v" * 3000),
        extras=Extras(severity=1, exception=exception),
    )
    for limit in range(1024, 1064):
        assert len(show(item, colour=True, limit=limit).encode()) <= limit
