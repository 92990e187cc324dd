"""The accelerator's JSON lines are those of the Python code byte for byte, and nothing that it is given ends it."""

from __future__ import annotations

import gc
import math
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import product
from random import Random
from struct import unpack
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fapilog._accelerated import accelerator
from fapilog.event import NO_AMBIENT, Ambient, Extras, LogEvent, Origin, Record, _events_of, events_of
from fapilog.formats.json import JsonFormatter
from fapilog.values import EMPTY, FrozenDict
from format_corpus import NASTY, TIME_NS, InterruptingZone, RaisingZone, events, record, records, texts
from odd_values import ODD_VALUES

if accelerator is None:
    pytest.skip("the package was built without its accelerator", allow_module_level=True)

LIMITS = (1024, 262_144)
LINE = b"left to Python\n"
LARGE_CONTEXT = FrozenDict({f"name {number}": number for number in range(17)})
"""What the accelerator asks Python for instead of writing it each time."""


def formatters(limit: int = 262_144) -> tuple[JsonFormatter, JsonFormatter]:
    """Return a formatter that has the accelerator, and one that has not."""
    accelerated, pure = JsonFormatter(max_event_bytes=limit), JsonFormatter(max_event_bytes=limit)
    assert accelerated._encoder is not None
    pure._encoder = None
    return accelerated, pure


def check(items: list[Any], first_sequence: int = 1, limit: int = 262_144) -> None:
    """Assert that both formatters make the same lines of *items*, which are all records or all events."""
    # The caches stay with the origins: the second formatter would otherwise take the first one's pieces.
    accelerated, pure = formatters(limit)
    expected = pure.format_batch(items, first_sequence)
    _forget(items)
    assert accelerated.format_batch(items, first_sequence) == expected
    assert accelerated.format_batch(items, first_sequence) == expected
    assert pure.format_batch(items, first_sequence) == expected


def check_values(*values: Any) -> None:
    check([record(fields={"value": value}) for value in values])
    check([record(fields={"values": values})])


def _forget(items: list[Any]) -> None:
    for item in items:
        made_of = item if type(item) is tuple else item._record
        made_of[4].cache.clear()
        made_of[5].cache.clear()


def written(item: Any) -> bool:
    """Return whether the accelerator writes the line of *item* itself."""
    left = []

    def line(item: Any, sequence: int) -> bytes:
        left.append(item)
        return LINE

    encoder = JsonFormatter()._encoder
    assert encoder is not None
    assert (encoder([item], 1, line) == LINE) == bool(left)
    return not left


# -- values


@given(st.lists(st.floats(), max_size=20))
def test_floats(values: list[float]) -> None:
    check_values(*values)


def test_decimals_and_what_is_next_to_them() -> None:
    values = []
    for digits, places in product((0, 1, 5, 10, 99, 105, 1250, 123456, 999999, 2**50 + 1, 10**15 - 1), range(10)):
        values += [float(f"{digits}e{power - places}") for power in range(-8, 10)]
    for exponent in range(-330, 310):
        values += [float(f"1e{exponent}"), float(f"9.5e{exponent}")]
    for value in list(values):
        towards: list[float] = [0.0, float("inf")]
        values += [math.nextafter(value, limit) for limit in towards]
    check_values(*values, *[-value for value in values])


@pytest.mark.parametrize(
    "value",
    [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, sys.float_info.max, float("nan"), float("inf"), float("-inf"),
     0.0001, 0.00009999999999999999, 1e9, 999999999.999999, 999999999.9999999, 1e15, 1e15 + 1, 1e16, 2.0**53, 2.0**63,
     2.0**64, 0.1 + 0.2, 1e-6, 1e-7, 123456.789012, 4999999.5, 0.0000005],
)  # fmt: skip
def test_floats_at_the_edges(value: float) -> None:
    check_values(value, -value)


@pytest.mark.untraced
def test_floats_of_any_bits_and_decimals_of_any_digits() -> None:
    random = Random(20)
    values = [unpack("d", random.randbytes(8))[0] for _ in range(20_000)]
    values += [random.randrange(10 ** random.randrange(17)) / 10 ** random.randrange(9) for _ in range(20_000)]
    values += [random.uniform(0, 10 ** random.randrange(-6, 18)) for _ in range(10_000)]
    check_values(*values)


@given(st.lists(st.integers(-(2**66), 2**66), max_size=20))
def test_integers(values: list[int]) -> None:
    check_values(*values)


def test_integers_at_the_edges() -> None:
    edges = [0, *(10**power for power in range(21)), *(2**power for power in (31, 32, 53, 62, 63, 64, 65, 1000))]
    for value in edges:
        for near in (value - 1, value, value + 1):
            check_values(near, -near)


def test_every_character_of_the_first_planes_kinds() -> None:
    ranges = (
        range(0x700),
        range(0x1FF0, 0x2070),
        range(0xD7F0, 0xE010),
        range(0xFFF0, 0x10010),
        range(0x10FFF0, 0x110000),
    )
    for codes in ranges:
        for code in codes:
            text = chr(code)
            check([record(text, {text: text, "b": f"{text}abcdefgh", "c": f"abcdefgh{text}", "d": f"漢{text}😀"})])


def test_an_escape_at_every_place_of_a_text() -> None:
    for character in ('"', "\\", "\n", "\x00", "\x1f", " ", "!", "#", "[", "]", "\x7f", "\xe9", "\u2028", "漢", "😀"):
        for length in range(20):
            for place in range(length + 1):
                check([record("x" * place + character + "y" * (length - place))])


@given(st.lists(texts, max_size=5))
@example(list(NASTY))
def test_texts(values: list[str]) -> None:
    for value in values:
        check([record(value, {value: value, "inner": FrozenDict({value: (value,)})}, logger=value, task=value)])


@pytest.mark.parametrize(
    "value",
    [
        (), EMPTY, ((),), FrozenDict(a=EMPTY), {}, {"a": {"b": 1}}, (1, "a", None, True, False, 1.5, (2,)), [1], {1},
        datetime(2020, 1, 2, 3, 4, 5, 6, UTC), datetime(2020, 1, 2, tzinfo=UTC).replace(tzinfo=None),
        datetime(2020, 1, 1, tzinfo=RaisingZone()), date(2020, 1, 2), time(1, 2, 3), time(1, 2, tzinfo=UTC),
        UUID(int=7), 10**5000, b"bytes", 1j, Ellipsis,
        FrozenDict({1: 2}), FrozenDict([("\ud800", 1), ("\ufffd", 2), ("\udc00", 3)]),
    ],
    ids=lambda value: ascii(value)[:30] if type(value) is not int else "int",
)  # fmt: skip
def test_values_of_other_kinds(value: Any) -> None:
    check_values(value)


@pytest.mark.parametrize("depth", [30, 31, 32, 33, 34, 60, 300])
def test_deep_trees(depth: int) -> None:
    for nest in (
        lambda tree: FrozenDict(inner=tree, after=1),
        lambda tree: (tree, 1),
        lambda tree: (FrozenDict(a=tree),),
    ):
        tree: Any = "leaf"
        for _ in range(depth):
            tree = nest(tree)
        check([record(fields={"tree": tree}), record("next")])


def test_every_odd_value() -> None:
    for make in ODD_VALUES.values():
        value = make()
        check_quietly(record(fields={"odd": value}))
        check_quietly(record(value))


def check_quietly(item: Record) -> None:
    """Give the encoder what no event may hold; what comes of it does not matter."""
    encoder = JsonFormatter()._encoder
    assert encoder is not None
    assert encoder([item], 1, lambda item, sequence: LINE).endswith(b"\n")


# -- timestamps


@given(
    st.one_of(st.integers(-(2**70), 2**70), st.integers(-62135596800 * 10**9 - 10**10, 253402300800 * 10**9 + 10**10))
)
@example(-62135596800 * 10**9)
@example(-62135596800 * 10**9 - 1)
@example(253402300800 * 10**9 - 1)
@example(253402300800 * 10**9)
@example(-(2**63))
@example(2**63 - 1)
@example(2**63)
@example(-1)
def test_timestamps(time_ns: int) -> None:
    check([record(time_ns=time_ns + more) for more in (0, 1, 999, 1000, 10**6, 10**9, 86_400 * 10**9, -1, -(10**9))])


def test_every_day_of_several_years() -> None:
    first = datetime(1677, 10, 1, tzinfo=UTC)
    days = [first + timedelta(days=day, seconds=day % 86_400, microseconds=day) for day in range(0, 213_000, 7)]
    days += [datetime(year, month, day, 23, 59, 59, tzinfo=UTC)
             for year in (1699, 1700, 1899, 1900, 1969, 1970, 1999, 2000, 2001, 2004, 2100, 2261)
             for month, day in ((1, 1), (2, 28), (3, 1), (12, 31))]  # fmt: skip
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    check([record(time_ns=(day - epoch) // timedelta(microseconds=1) * 1000) for day in days])


# -- records and events

_origins = tuple(
    Origin(logger, source, "ab12", bound)
    for logger, source, bound in (("api.db", "shop", EMPTY), ("", "", EMPTY), ("x", "é", FrozenDict(b=1, a="c", r=2)))
)
_ambients = (
    NO_AMBIENT,
    Ambient(FrozenDict(r="r-1", tenant="acme")),
    Ambient(FrozenDict(a=1.5, c=2), "id 1"),
    Ambient(EMPTY, "only an id"),
)
_names = st.sampled_from(("a", "b", "c", "r", "tenant", "é", "\ud800"))
_few_values = st.sampled_from(
    (1, 2**64, 1.25, 0.1, None, True, "text", "\x85", "\ud800", (1, "x"), FrozenDict(a=1), EMPTY)
)
_contexts = st.one_of(
    st.none(), st.dictionaries(_names, _few_values, max_size=4), st.dictionaries(_names, _few_values).map(FrozenDict)
)
_plain_records: st.SearchStrategy[Record] = st.tuples(
    st.integers(TIME_NS, TIME_NS + 10**10),
    st.sampled_from((10, 20, 30, 40, 50)),
    st.sampled_from(("done", "", "é\n", "\ud800")),
    st.one_of(st.dictionaries(_names, _few_values, max_size=4), st.just(EMPTY)),
    st.sampled_from(_origins),
    st.sampled_from(_ambients),
    st.sampled_from(("main", "task 2", "")),
    st.one_of(st.none(), st.none(), st.just(Extras(severity=9, tags=FrozenDict(a="b")))),
)


def test_what_is_shared_is_what_belongs_to_each() -> None:
    combinations = list(product(_origins, _ambients, ("main", "task 2", "")))
    near: list[Any] = [(TIME_NS, 20, "m", {"a": 1}, *combination, None) for combination in combinations]
    far = [near[number * 7 % len(near)] for number in range(len(near))]
    for items in (near, far, far[::-1]):
        check(items)
        check(events(items, 1))
        enriched = events(items, 1)
        for event in enriched[::2]:
            event._context = {"r": 3, "host": "h"}
        check(enriched)


def test_contexts_of_every_size() -> None:
    values = (1, "é", 0.1 + 0.2, None, (1, FrozenDict(a=True)), datetime.now(UTC), "\ud800", UUID(int=1))
    contexts = [
        FrozenDict({f"name {number}": values[number % len(values)] for number in range(size)}) for size in range(20)
    ]
    bounds = (EMPTY, FrozenDict(bound=1), FrozenDict({"name 1": 2}))
    items = [record(context=context, bound=bound) for context in contexts for bound in bounds for _ in range(2)]
    check(items)
    check(items[::-1] + items)
    assert all(written(item) for item in items[:6])


def test_what_is_shared_does_not_outlive_a_line_that_is_given_up() -> None:
    place, ambient = record()[4], Ambient(FrozenDict(request="r-1"))
    long, short = ((TIME_NS, 20, "x" * length, EMPTY, place, ambient, "t", None) for length in (1000, 10))
    check([short, long, short, long, short], limit=1024)
    check([long, short, short], limit=1024)
    check([record(), long, short, record(), short], limit=1024)


@given(
    st.lists(st.one_of(records, _plain_records), max_size=6), st.sampled_from((0, 1, 2**40)), st.sampled_from(LIMITS)
)
def test_records(items: list[Record], first_sequence: int, limit: int) -> None:
    check(items, first_sequence, limit)


@given(
    st.lists(
        st.tuples(
            st.one_of(records, _plain_records),
            _contexts,
            st.integers(-1, 2**65),
            st.sampled_from((0, 0, 1, 17, 2**63 - 1, 2**63, 2**70, -1)),
            st.booleans(),
        ),
        max_size=6,
    ),
    st.sampled_from(LIMITS),
)
def test_events(drawn: list[tuple[Record, Any, int, int, bool]], limit: int) -> None:
    def made() -> list[LogEvent]:
        result = events_of([item for item, *_ in drawn])
        for event, (_, context, sequence, sink_sequence, touched) in zip(result, drawn, strict=True):
            event._context = context if type(context) is not dict else dict(context)
            event._sequence = sequence
            event._sink_sequence = sink_sequence
            if touched:
                assert event.context is not None
        return result

    accelerated, pure = formatters(limit)
    expected = pure.format_batch(made(), 1)
    _forget(made())
    assert accelerated.format_batch(made(), 1) == expected


@pytest.mark.parametrize("fields", [{"a": 1}, EMPTY], ids=["with fields", "without"])
def test_a_context_is_merged_as_dicts_are(fields: dict[str, Any]) -> None:
    for values, bound, context in product(
        *[[EMPTY, FrozenDict(a=1), FrozenDict(b=2, a=3), FrozenDict(c=4, b=5, a=6)]] * 2,
        [{}, {"a": 7}, {"c": 8, "a": 9}, {"d": 10, "b": (11,)}],
    ):
        for context_type in (dict, FrozenDict):
            item = (TIME_NS, 20, "m", fields, Origin("l", "s", "c", bound), Ambient(values, "id"), "t", None)
            event = LogEvent.from_record(item, 5)
            event._context = context_type(context)
            check([event, LogEvent.from_record(item, 6), event])


def test_a_context_that_is_the_ambient_one_is_shared_with_those_not_looked_at() -> None:
    for bound in (EMPTY, FrozenDict(b=1)):
        item = record(fields={"a": 1}, context=FrozenDict(c=2), bound=bound, correlation_id="id")
        check(events([item, item], 1, touched=True))
        assert written(events([item], 1, touched=True)[0])


def test_a_number_too_large_for_a_sequence() -> None:
    for first in (2**63 - 2, 2**63, 2**64 - 1, 2**64, -5, True):
        check([record(), record("b"), record("c")], first)
        check([LogEvent("x", sequence=first)])


def test_a_number_at_the_sink_is_written_without_python_behind_the_sequence() -> None:
    event = LogEvent.from_record(record(fields={"a": 1}), 17)
    event._sink_sequence = 5
    assert written(event)
    check([event])
    assert b'"sequence":17,"sink_sequence":5,"container"' in formatters()[0].format(event)


def test_what_is_ordinary_is_written_without_python() -> None:
    fields = {"i": 1, "t": "é", "f": 1.25, "n": None, "b": True, "m": FrozenDict(a=(1, FrozenDict())), "p": {"a": 1}}
    item = record(fields=fields, context=FrozenDict(r=1), bound=FrozenDict(b=2), correlation_id="c")
    other = record(fields={"d": datetime.now(UTC), "u": UUID(int=1), "x": 0.1 + 0.2, "l": 2**64 - 1})
    enriched = LogEvent.from_record(item, 1)
    enriched.add(context={"host": "h", "r": 2})
    for ordinary in (item, other, (*item[:3], EMPTY, *item[4:]), LogEvent.from_record(item, 1), enriched):
        assert written(ordinary)
    assert not written(record(fields={"d": timedelta(1)}))


def test_a_line_that_is_too_long_is_cut() -> None:
    for text in ("x" * 2000, "é" * 2000, "\u2028" * 400, "\n" * 500, "x" * 70_000, "\u2028" * 30_000):
        for limit in (1024, 2500, 262_144):
            check([record("before"), record(text), record(fields={"a": text, "b": (text,)}), record("after")], 1, limit)
    for more in range(300):  # around the limit
        check([record("before"), record("x" * (700 + more)), record("after")], 1, 1024)


def test_there_is_room_for_whatever_comes_where_the_buffer_ends() -> None:
    ends: tuple[dict[str, Any], ...] = (
        {"a": -(2**63), "b": 2**64 - 1},
        {"f": -123456789.012345, "g": 0.1 + 0.2, "n": None, "t": ((), (True, False))},
        {"é\u2028漢😀\x85": "é\u2028漢😀\x85", "q": '"\n\x00', "d": date(2020, 1, 1), "m": FrozenDict(a=EMPTY)},
    )
    for length in range(3700, 4480):
        check([record("x" * length, ends[length % 3])])
        check([record("é" + "x" * length), record("next")])


def test_what_is_too_large_to_share() -> None:
    items = [record(source="s" * 70_000), record("b"), record(context=FrozenDict(a="x" * 70_000))]
    check([*items, *items], 1, 1024)
    check(events(items, 1), 1, 1024)
    changed = events(items, 1)
    for event in changed:
        event._context = {"c": 1}
    check(changed, 1, 1024)


def test_an_interrupt_goes_up_from_wherever_it_comes() -> None:
    def at() -> datetime:
        return datetime(2020, 1, 1, tzinfo=InterruptingZone())

    for item in (
        record(fields={"at": at()}),
        record(context=FrozenDict(at=at())),
        record(fields={"at": at(), "s": {1}}),
    ):
        with pytest.raises(KeyboardInterrupt):
            JsonFormatter().format_batch([record(), item, record()], 1)


# -- the encoder by itself


def odd_records() -> Iterator[Any]:
    item = record(fields={"a": 1})
    yield from ((), item[:7], (*item, None), list(item), None, 1, "text", object(), {}, LogEvent, type)
    odd: tuple[Any, ...] = (None, 1, -1, 2**70, True, 1.5, "x", "\ud800", b"x", (), [], {1: 2}, object(), LogEvent("x"))
    for position in range(8):
        for value in odd:
            yield (*item[:position], value, *item[position + 1 :])


def odd_events() -> Iterator[LogEvent]:
    for item in odd_records():
        event = LogEvent.from_record(record(), 1)
        event._record = item
        for context in (None, {"a": 1}, FrozenDict(a=1), {1: 2, (): 3}, 5, [1]):
            other = event.copy()
            other._context = context  # type: ignore[assignment]
            yield other
    for name in ("_record", "_context", "_sequence", "_sink_sequence"):
        event = LogEvent.from_record(record(), 1)
        delattr(event, name)
        yield event
    event = LogEvent.from_record(record(), 1)
    event._sequence = "1"  # type: ignore[assignment]
    yield event
    event = LogEvent.from_record(record(), 1)
    event._sink_sequence = None  # type: ignore[assignment]
    yield event
    yield LogEvent.__new__(LogEvent)


def encoder_of(
    shared: Callable[..., Any] = lambda *arguments: b'"c"',
    number: Callable[..., Any] = orjson.dumps,
    other: Callable[..., Any] = repr,
    most: int = 1000,
) -> Any:
    assert accelerator is not None
    return accelerator.LineEncoder(
        LogEvent, Origin, Ambient, FrozenDict, {20: b'"INFO"'}, shared, shared, number, other, (datetime,), most
    )


def test_no_shape_of_an_item_ends_the_encoder() -> None:
    for encoder in (JsonFormatter()._encoder, encoder_of()):
        items = [*odd_records(), *odd_events()]
        assert encoder is not None
        payload = encoder(items, 1, lambda item, sequence: LINE)
        assert payload.count(b"\n") == len(items)
    item = record()
    for wrong in ((), item[:7], (*item, None), (*item, *item), list(item)):
        assert encoder_of()([wrong], 1, lambda item, sequence: LINE) == LINE


def test_a_line_is_asked_for_with_its_place() -> None:
    asked: list[tuple[Any, int]] = []

    def line(item: Any, sequence: int) -> bytes:
        asked.append((item, sequence))
        return b"%d\n" % sequence

    assert encoder_of()([1, "b", None], 2**70, line) == b"%d\n%d\n%d\n" % (2**70, 2**70 + 1, 2**70 + 2)
    assert asked == [(1, 2**70), ("b", 2**70 + 1), (None, 2**70 + 2)]
    assert encoder_of()((), 1, line) == encoder_of()([], 1, line) == b""
    assert encoder_of()(iter([1]), 7, line) == b"7\n"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError, SystemExit])
def test_an_error_of_a_line_goes_up(error: type[BaseException]) -> None:
    def line(item: Any, sequence: int) -> bytes:
        raise error

    with pytest.raises(error):
        encoder_of()([record(), None], 1, line)


@pytest.mark.parametrize("name", ["shared", "number", "other"])
def test_an_error_while_asking_leaves_the_line_to_python(name: str) -> None:
    def failing(error: BaseException | None) -> Any:
        def fail(*arguments: Any) -> Any:
            if error is None:
                return "no bytes"
            raise error

        return encoder_of(**{name: fail})

    fields = {"shared": {}, "number": {"value": 0.1 + 0.2}, "other": {"at": datetime.now(UTC)}}[name]
    item = record(fields=fields, context=LARGE_CONTEXT)
    for error in (ValueError(), MemoryError(), None):
        assert failing(error)([item], 1, lambda item, sequence: LINE) == LINE
    for error in (KeyboardInterrupt(), GeneratorExit()):
        with pytest.raises(type(error)):
            failing(error)([item], 1, lambda item, sequence: LINE)


def test_wrong_arguments_are_refused() -> None:
    assert accelerator is not None
    right: list[Any] = [
        LogEvent, Origin, Ambient, FrozenDict, {20: b""}, repr, repr, repr, repr, (), 1000,
    ]  # fmt: skip
    accelerator.LineEncoder(*right)
    for position, wrong in (
        (0, 1), (0, int), (1, object), (2, object), (3, int), (4, {"20": b""}), (4, {20: ""}), (4, []), (9, []),
        (10, -1), (10, 2**62), (10, "1"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError, AttributeError)):
            accelerator.LineEncoder(*right[:position], wrong, *right[position + 1 :])
    for arguments in (
        (),
        ([],),
        ([], 1),
        (1, 1, repr),
        (None, 1, repr),
        ([1], "1", repr),
        ([1], None, repr),
        ([1], 1, 1),
    ):
        with pytest.raises(TypeError):
            encoder_of()(*arguments)
    with pytest.raises(TypeError):
        encoder_of()([1], 1, lambda item, sequence: "no bytes")
    for wrong in (int, object, 1):
        with pytest.raises((TypeError, AttributeError)):
            accelerator.EventMaker(wrong, dict)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        events_of(1)  # type: ignore[arg-type]


def test_what_is_asked_may_change_what_is_being_written() -> None:
    items: list[Any] = []
    mappings: list[dict[str, Any]] = []
    touched: list[LogEvent] = []

    def spoil(*arguments: Any) -> bytes:
        for event in touched:
            object.__setattr__(event._record[4], "bound", FrozenDict(other=1))
            object.__setattr__(event._record[5], "values", FrozenDict(other=2))
            event._record = record()
            event._context = None
        touched.clear()
        items.clear()
        for mapping in mappings:
            mapping.clear()
            mapping.update({f"k{number}": (number, 0.5) for number in range(100)})
        gc.collect(1)
        return b'"c"'

    def line(item: Any, sequence: int) -> bytes:
        items.clear()
        gc.collect(1)
        return LINE

    def odd(kind: int) -> Any:
        values: list[Any] = [0.1 + len(mappings), datetime.now(UTC), {"a" * 60: (0.1 + len(mappings), {"b": 1.5})}]
        if kind == 2:
            mappings.append(values[kind])
        return values[kind]

    def full(kind: int) -> dict[str, Any]:
        mappings.append({"a" * 50: "b" * 50, "c" * 50: odd(kind), "d" * 50: (odd(kind), "e" * 50), "f": "g" * 60})
        return mappings[-1]

    def event_of(kind: int) -> LogEvent:
        made_of = record(fields=full(kind), context=FrozenDict(full(kind)), bound=FrozenDict({**full(kind), "x": 1}))
        event = LogEvent.from_record(made_of, 1)
        event._context = {**full(kind), "y": odd(kind)}
        touched.append(event)
        return event

    for encoder in (encoder_of(spoil), encoder_of(number=spoil), encoder_of(other=spoil), encoder_of(most=300)):
        for kind in range(3):
            for first in range(4):
                mappings.clear()
                made = [record(fields=full(kind)), event_of(kind), event_of(kind)._record, None]
                items[:] = made[first:] + made[:first]
                made.clear()
                assert encoder(items, 1, line).endswith(b"\n")


def test_keys_that_run_code_when_they_are_compared() -> None:
    def clear() -> None:
        for mapping in mappings:
            dict.clear(mapping)

    class Key:
        def __hash__(self) -> int:
            return hash("abc")

        def __eq__(self, other: object) -> bool:
            clear()
            raise ValueError

    class Text(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            clear()
            return False

    for key in (Key(), Text("abc")):
        for place in range(3):
            # Texts made here, that only the mappings hold.
            contents = [{f"ab{chr(99)}": f"x{number}" * 50, "d": 1} for number in range(3)]
            contents[place] = {key: 1}
            item = record(context=FrozenDict(contents[0]), bound=FrozenDict(contents[1]))
            event = LogEvent.from_record(item, 1)
            event._context = contents[2]
            mappings = [item[4].bound, item[5].values, *contents]
            assert encoder_of()([event], 1, lambda item, sequence: LINE).endswith(b"\n")


def test_a_zone_that_logs_writes_with_the_same_encoder() -> None:
    formatter = JsonFormatter()

    class Zone(tzinfo):
        def utcoffset(self, moment: datetime | None) -> timedelta:
            assert formatter.format_batch([record(fields={"inner": 0.1 + 0.2})] * 50, 1).count(b"\n") == 50
            return timedelta(0)

    items = [record("a"), record(fields={"at": datetime(2020, 1, 1, tzinfo=Zone())}), record("b")]
    expected = formatters()[1].format_batch(items, 1)
    _forget(items)
    assert formatter.format_batch(items, 1) == expected


# -- events


@given(st.lists(st.one_of(records, _plain_records), max_size=5))
def test_events_of_records(items: list[Record]) -> None:
    for given_items in (items, tuple(items)):
        made, expected = events_of(given_items), _events_of(given_items)
        assert type(made) is list
        assert [_slots(event) for event in made] == [_slots(event) for event in expected]
    assert len(events_of(iter(items))) == len(items)


def _slots(event: LogEvent) -> tuple[Any, ...]:
    return event._record, event._fields, event._context, event._sequence, event._sealed


def test_an_event_made_is_like_any_other() -> None:
    [event] = events_of([record()])
    assert type(event) is LogEvent
    assert gc.is_tracked(event)
    event.add(fields={"a": 1})
    assert (event._sealed, event._sequence, event._context, event.fields) == (False, 0, None, {"a": 1})


# -- memory


def test_nothing_is_leaked() -> None:
    accelerated, _ = formatters()
    origin, ambient = Origin("logger", "source", "c", FrozenDict(b=1)), Ambient(FrozenDict(r=1), "id")
    fields = FrozenDict(a=1, f=0.1 + 0.2, t=("é", 1.5), at=date(2020, 1, 1), m=FrozenDict(a=None))
    message, context = "a message", {"host": "x", "r": 2}
    item = (TIME_NS, 20, message, fields, origin, ambient, "task", None)
    odd = (*item[:3], FrozenDict(s="\ud800"), *item[4:])
    large = (*item[:5], Ambient(LARGE_CONTEXT, "id"), *item[6:])
    shared: list[Any] = [item, odd, origin, ambient, fields, message, context, *fields, *fields.values(), None]
    shared += [accelerated, accelerated._encoder, LogEvent, TIME_NS, item[0], 20, JsonFormatter._line]

    def run() -> None:
        made = events_of([item] * 100)
        for event in made[:50]:
            event._context = context
        accelerated.format_batch(made, 1)
        accelerated.format_batch([item] * 100, 1)
        accelerated.format_batch([item, odd, item], 1)
        accelerated.format_batch([item, large, item, large, large], 1)

    for _ in range(10):
        run()
    gc.collect()
    before = list(map(sys.getrefcount, shared))
    tracemalloc.start()
    try:
        run()
        gc.collect()
        memory = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            run()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - memory
    finally:
        tracemalloc.stop()
    for _ in range(900):
        run()
    gc.collect()
    after = list(map(sys.getrefcount, shared))
    assert [new - old for new, old in zip(after, before, strict=True) if abs(new - old) > 5] == []
    assert grown < 20_000


def test_errors_leak_nothing() -> None:
    def fail(*arguments: Any) -> Any:
        raise ValueError

    def interrupt(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    fields = FrozenDict(f=0.1 + 0.2, at=date(2020, 1, 1))
    item = record(fields=fields)
    event = LogEvent.from_record(item, 1)
    event._context = {"a": 0.1 + 0.2}
    large = record(fields=fields, context=LARGE_CONTEXT)
    encoders = [encoder_of(**{name: run}) for name in ("shared", "number", "other") for run in (fail, interrupt)]
    shared: list[Any] = [item, fields, *fields.values(), item[4], item[5], event, fail, interrupt, LINE, *encoders]
    shared += [large, *large]

    def run() -> None:
        for encoder in encoders:
            for items in ([item], [large], [event], [event, large, item, 1]):
                try:
                    encoder(items, 1, lambda item, sequence: LINE)
                except KeyboardInterrupt:
                    pass
                try:
                    encoder(items, 1, fail)
                except (ValueError, KeyboardInterrupt):
                    pass

    run()
    gc.collect()
    before = list(map(sys.getrefcount, shared))
    for _ in range(200):
        run()
    gc.collect()
    after = list(map(sys.getrefcount, shared))
    assert [new - old for new, old in zip(after, before, strict=True) if abs(new - old) > 5] == []


def test_an_encoder_in_a_cycle_is_collected() -> None:
    class Holder:
        encoder: Any = None

        def shared(self, *arguments: Any) -> bytes:
            return b'"c"'

    alive = []

    def finish() -> None:
        alive.append(1)

    for _ in range(3):
        holder = Holder()
        holder.encoder = encoder_of(holder.shared)
        weakref.finalize(holder, finish)
        del holder
    gc.collect()
    assert len(alive) == 3
