"""The accelerator's pairs are those of the Python code byte for byte, and nothing that it is given ends it."""

from __future__ import annotations

import gc
import math
import sys
import tracemalloc
import weakref
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from itertools import product
from random import Random
from struct import unpack
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fapilog._accelerated import accelerator
from fapilog.event import NO_AMBIENT, Ambient, LogEvent, Origin, Record
from fapilog.formats import make_formatters
from fapilog.formats._careful import readable
from fapilog.formats._quick_lines import QuickLineFormatter, interleaved
from fapilog.formats._quick_pairs import NotQuick, PairWriter
from fapilog.formats.console import ConsoleFormatter
from fapilog.formats.logfmt import LogfmtFormatter
from fapilog.values import EMPTY, FrozenDict
from format_corpus import NASTY, TIME_NS, events, record, records, texts
from odd_values import ODD_VALUES

if accelerator is None:
    pytest.skip("the package was built without its accelerator", allow_module_level=True)

FORMATS = ("logfmt", "console", "console_colour")
MOST = 32_768


def formatters(name: str, limit: int = 262_144) -> tuple[QuickLineFormatter, QuickLineFormatter]:
    """Return a formatter that has the accelerator, and one that has not."""
    accelerated, pure = (make_formatters(limit)[name] for _ in range(2))
    assert isinstance(accelerated, QuickLineFormatter)
    assert isinstance(pure, QuickLineFormatter)
    assert isinstance(accelerated._interleaved, accelerator.PairEncoder)
    pure._interleaved = partial(interleaved, pure._pairs)
    return accelerated, pure


def check(name: str, items: list[Record], limit: int = 262_144) -> None:
    """Assert that with the accelerator, without it, and with all care, the lines of *items* are the same."""
    accelerated, pure = formatters(name, limit)
    expected = b"".join(map(pure.format, events(items, 1)))
    for _ in range(2):  # the second time, all that can be remembered is
        assert accelerated.format_batch(items, 1) == expected
        assert pure.format_batch(items, 1) == expected
        assert accelerated.format_batch(events(items, 1), 1) == expected
        for item in items:
            item[4].cache.clear()
            item[5].cache.clear()


def check_values(*values: Any) -> None:
    for name in FORMATS:
        check(name, [record(fields={"value": value, "next": 1}) for value in values])


def encoder_of(writer: PairWriter, most: int = MOST) -> Any:
    assert accelerator is not None
    return accelerator.PairEncoder(writer.names, writer.texts, writer.plain, FrozenDict, NotQuick, most)


def plain_writer(**options: Any) -> PairWriter:
    """Return a writer that leaves keys as they are if it can."""
    return PairWriter(readable, lambda text: text if text.isalnum() else ascii(text), **options)


def written(mapping: Any, most: int = MOST) -> bool:
    """Return whether the accelerator writes *mapping* itself."""
    try:
        encoder_of(plain_writer(), most)([""], [mapping], "", set())
    except NotQuick:
        return False
    return True


# -- values


@given(st.lists(st.floats(), max_size=20))
def test_floats(values: list[float]) -> None:
    check_values(*values)


def test_every_float_is_written_as_repr_has_it() -> None:
    random = Random(21)
    values = [
        0.0,
        5e-324,
        2.2250738585072014e-308,
        sys.float_info.max,
        math.inf,
        math.nan,
        1e15 + 1,
        2.0**53,
        0.1 + 0.2,
    ]
    for digits, places in product((1, 5, 10, 99, 1250, 123456, 999999, 2**50 + 1, 10**15 - 1), range(10)):
        values += [float(f"{digits}e{power - places}") for power in range(-8, 10)]
    for exponent in range(-330, 310):
        values += [float(f"1e{exponent}"), float(f"9.5e{exponent}")]
    for value in list(values):
        values += [math.nextafter(value, 0.0), math.nextafter(value, math.inf)]
    values += [unpack("d", random.randbytes(8))[0] for _ in range(10_000)]
    values += [random.randrange(10 ** random.randrange(17)) / 10 ** random.randrange(9) for _ in range(10_000)]
    encoder = encoder_of(plain_writer())
    for value in values:
        for signed in (value, -value):
            assert encoder([""], [{"v": signed}], "", set()) == f" v={signed!r}".encode()


def test_integers_at_the_edges() -> None:
    edges = [0, *(10**power for power in range(21)), *(2**power for power in (31, 32, 53, 62, 63, 64, 65, 1000))]
    values = [sign * (value + near) for value in edges for near in (-1, 0, 1) for sign in (1, -1)]
    check_values(*values)
    for value in values:
        assert written({"v": value}) == (-(2**63) <= value < 2**64)


@pytest.mark.untraced
def test_every_character_of_the_first_planes_kinds() -> None:
    ranges = (
        range(0x700),
        range(0x1FF0, 0x2070),
        range(0xD7F0, 0xE010),
        range(0xFFF0, 0x10010),
        range(0x10FFF0, 0x110000),
    )
    for codes in ranges:
        for name in FORMATS:
            values = [
                {f"k{chr(code)}": 1, "a": chr(code), "b": f"x{chr(code)}y", "c": f"{chr(code)}漢"} for code in codes
            ]
            check(name, [record(fields=fields) for fields in values])
            check(name, [record(fields={"a": fields["a"], "b": fields["b"]}) for fields in values])


def test_texts_that_are_shown_as_they_are_are_never_looked_up() -> None:
    for name in FORMATS:
        accelerated, _ = formatters(name)
        pairs = accelerated._pairs
        for code in range(0x80):
            text = f"a{chr(code)}"
            accelerated._interleaved([""], [{"key": text}], "", set())
            assert (text in pairs.texts) == (chr(code).encode() not in pairs.plain)
            assert chr(code).encode() not in pairs.plain or pairs.texts[text] == text


@given(st.lists(texts, max_size=5))
@example(list(NASTY))
def test_texts(values: list[str]) -> None:
    check_values(*values)
    for name in FORMATS:
        check(name, [record(value, {value: value}) for value in values])


@pytest.mark.parametrize(
    "value",
    [(), EMPTY, (1, "a"), FrozenDict(a=1), datetime(2020, 1, 2, tzinfo=UTC), date(2020, 1, 2), UUID(int=7), 10**30],
    ids=repr,
)  # fmt: skip
def test_values_of_other_kinds_are_left_to_python(value: Any) -> None:
    assert not written({"v": value})
    check_values(value)


class Text(str):
    """A text that is no plain one."""

    __slots__ = ()


class Number(int):
    """An integer that is no plain one."""


class Real(float):
    """A float that is no plain one."""


class Mapping(dict[str, Any]):
    """A dict that is no plain one."""


@pytest.mark.parametrize(
    "odd",
    [Text("x"), Number(1), Real(1.5), b"x", [1], {"a": 1}, 1j, pytest.param(object(), id="object()"), str],
    ids=repr,
)
def test_what_no_event_holds_is_left_to_python(odd: Any) -> None:
    assert not written({"v": odd})
    if type(odd) not in (list, dict):
        assert not written({odd: 1})


@pytest.mark.parametrize("name", list(ODD_VALUES))
def test_every_odd_value(name: str) -> None:
    value = ODD_VALUES[name]()
    written({"v": value})
    written(value)


@pytest.mark.parametrize("odd", [None, 7, "text", [("a", 1)], Mapping(a=1), {1: 2}, {None: 1}, {(): 1}, dict], ids=repr)
def test_what_is_no_plain_mapping_is_left_to_python(odd: Any) -> None:
    assert not written(odd)


def test_what_is_ordinary_is_written_without_python() -> None:
    fields = {
        "i": 1,
        "t": "/a",
        "s": "two words",
        "e": "",
        "u": "é",
        "f": 1.25,
        "x": 1e-7,
        "n": None,
        "b": True,
        "c": False,
    }
    assert written(fields)
    assert written(FrozenDict(fields))
    assert written({})


@pytest.mark.parametrize(("number", "quick"), [(1, True), (64, True), (65, False), (300, False)])
def test_a_large_mapping_is_left_to_python(number: int, quick: bool) -> None:
    mapping = {f"key_{key}": key for key in range(number)}
    assert written(mapping) == quick
    for name in FORMATS:
        check(name, [record(fields=mapping), record(fields={"a": 1})])


# -- batches

_values = st.one_of(
    st.sampled_from(
        ("/items", "GET", "", "two words", "a=b", "'", '"', "\\", "\x7f", "é", "\x85", "\ud800", "x" * 200)
    ),
    st.sampled_from((0.0, -0.0, 1e-4, 9.9e-5, 1e15, 1e16, 1e22, math.nan, -math.inf, 2**64 - 1, 2**64, -(2**63) - 1)),
    st.text("ab ='\"\\\x7f\n\x1b<é\ud800", max_size=4),
    st.integers(-5, 5000),
    st.floats(),
    st.sampled_from((None, True, False, FrozenDict(a=1), (1, "x"), UUID(int=7), date(2020, 1, 2))),
)
_clean_values = st.sampled_from((0, 200, "/items", "two words", "é", "a=b", "", 1.25, 1e-7, None, True))
_keys = st.one_of(
    st.sampled_from(
        ("user_id", "path", "a", "level", "severity", "message", "correlation_id", "tags.a", "a b", "", "é")
    ),
    st.text('ab:,{"=\xe9\ud800', min_size=1, max_size=3),
)
_fields = st.one_of(
    st.dictionaries(st.sampled_from(("user_id", "path", "ok", "é")), _clean_values, max_size=4),
    st.dictionaries(_keys, _values, max_size=4),
)
_origins = tuple(
    Origin(logger, source, "ab12", bound)
    for logger, source, bound in (("api.db", "shop", EMPTY), ("", "", EMPTY), ("x y", "é", FrozenDict(b=1, a="c d")))
)
_ambients = (
    NO_AMBIENT,
    Ambient(FrozenDict(request_id="r-1", tenant="acme")),
    Ambient(FrozenDict(path="/x", c=1.5), "id 1"),
    Ambient(FrozenDict({"level": 1, "a b": (1,)})),
)
_plain_records: st.SearchStrategy[Record] = st.tuples(
    st.integers(TIME_NS, TIME_NS + 10**7),
    st.sampled_from((10, 20, 50)),
    st.sampled_from(("done", "request done", "", "a=b", "é\n")),
    st.one_of(_fields, _fields.map(FrozenDict)),
    st.sampled_from(_origins),
    st.sampled_from(_ambients),
    st.sampled_from(("main", "task 2", "")),
    st.none(),
)


@pytest.mark.parametrize("name", FORMATS)
@given(st.lists(_plain_records, max_size=12), st.sampled_from((1024, 262_144)))
def test_a_batch(name: str, items: list[Record], limit: int) -> None:
    check(name, items, limit)


@pytest.mark.parametrize("name", FORMATS)
@given(st.lists(records, max_size=4), st.lists(_plain_records, max_size=4))
def test_a_batch_with_odd_records(name: str, odd: list[Record], items: list[Record]) -> None:
    check(name, [*items[:2], *odd, *items[2:]])


@given(st.lists(_fields, max_size=6), st.sets(_keys, max_size=3), st.booleans())
def test_pairs_between_texts_are_those_made_one_by_one(
    mappings: list[dict[str, Any]], others: set[str], spaced: bool
) -> None:
    def shown(text: str) -> str:
        return ascii(text) if not text.isalnum() or not text.isascii() else text

    def own_name(key: str) -> str | None:
        return None if key == "level" else key.encode(errors="replace").decode()

    def writer() -> PairWriter:
        around = {"before_key": " ", "after_key": "="} if spaced else {"before_key": "; é", "after_key": " -> "}
        return PairWriter(own_name, shown, unsafe=b" =/<:\x7f'", **around)

    pure, encoder = writer(), encoder_of(writer())
    starts = [f"start é {number}\n" for number in range(len(mappings))]
    small = (str, int, float, bool, type(None))
    try:
        if not others.isdisjoint(key for mapping in mappings for key in mapping):
            raise NotQuick
        if any(type(value) not in small for mapping in mappings for value in mapping.values()):
            raise NotQuick
        expected = (
            "".join([f"{start}{pure.pairs(item)}" for start, item in zip(starts, mappings, strict=True)]) + "end é"
        )
    except NotQuick:
        for _ in range(2):
            with pytest.raises(NotQuick):
                encoder(starts, mappings, "end é", others)
    else:
        for _ in range(2):
            assert encoder(starts, mappings, "end é", others) == expected.encode()


def test_a_batch_in_python_that_is_quick_is_quick_with_the_accelerator() -> None:
    for name in FORMATS:
        accelerated, pure = formatters(name)
        fields: list[dict[str, Any]] = [
            {"user_id": 1, "path": "/a", "ms": 1.25},
            {"ok": True, "n": None, "path": "a:,b"},
        ]
        for count in (1, 2, 64):
            arguments = [f"{number} é" for number in range(count)], [fields[number % 2] for number in range(count)]
            assert accelerated._interleaved(*arguments, "end", {"other"}) == pure._interleaved(
                *arguments, "end", {"other"}
            )
            for formatter in (accelerated, pure):
                with pytest.raises(NotQuick):
                    formatter._interleaved(*arguments, "end", {"path"})
        assert accelerated._interleaved([], [], "é", set()) == pure._interleaved([], [], "é", set()) == "é".encode()


def test_lines_of_any_length() -> None:
    for name, limit in product(FORMATS, (1024, 2500, 262_144)):
        for text in (
            "x" * 2000,
            "é" * 2000,
            "a b" * 800,
            "x" * 4096,
            "x" * 4097,
            "x y" * 2000,
            "x" * 40_000,
            "é" * 70_000,
        ):
            check(
                name, [record("a"), record(text), record(fields={"a": text}), record(fields={"a": 1, "b": text})], limit
            )
    for more in range(0, 300, 3):  # around the limit
        check("logfmt", [record(fields={"a": "b"}), record(fields={"a": "x" * (700 + more), "b": 1})], 1024)
    for length in range(32_500, 32_800, 7):
        check("logfmt", [record(fields={"a": "x" * length})])


def test_a_mapping_too_long_for_a_line_is_left_to_python() -> None:
    assert written({"a": "x" * 97}, most=100)
    assert not written({"a": "x" * 98}, most=100)
    assert not written({"a": "x" * 101}, most=100)
    assert not written({"a": "x y" * 30, "b": "x y" * 30}, most=100)
    mappings = [{"a": "x" * 90}] * 64
    assert len(encoder_of(plain_writer(), 100)(["s" * 200] * 64, mappings, "e" * 999, set())) == 64 * (200 + 93) + 999


def test_there_is_room_for_whatever_comes_where_the_buffer_ends() -> None:
    ends: tuple[dict[str, Any], ...] = (
        {"a": -(2**63), "b": 2**64 - 1, "f": -123456789.012345, "g": -1.7976931348623157e308},
        {"é": "é\u2028漢😀\x85", "n": None, "t": True, "e": "", "q": "two words"},
        {"s": "x" * 60, "f": False, "i": 0},
    )
    writer = plain_writer()
    encoder = encoder_of(writer)
    for length in range(900, 1100):
        for mapping in ends:
            expected = "x" * length + writer.pairs(mapping) + "é"
            assert encoder(["x" * length], [mapping], "é", set()) == expected.encode()


# -- the encoder by itself


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, NotQuick, MemoryError])
def test_an_error_of_what_is_looked_up_goes_up(error: type[BaseException]) -> None:
    def fail(text: str) -> str:
        raise error

    for writer in (PairWriter(fail, repr), PairWriter(lambda key: key, fail)):
        with pytest.raises(error):
            encoder_of(writer)([""], [{"a": "b c"}], "", set())


def test_what_is_looked_up_may_be_anything() -> None:
    def encoder(name: Any) -> Any:
        assert accelerator is not None
        return accelerator.PairEncoder({"a": name}, {}, b"", FrozenDict, NotQuick, MOST)

    assert encoder(Text(" a="))([""], [{"a": 1}], "", set()) == b" a=1"
    for odd in (1, None, b" a="):
        with pytest.raises(NotQuick):
            encoder(odd)([""], [{"a": 1}], "", set())
    with pytest.raises(KeyError):
        encoder("a")([""], [{"b": 1}], "", set())
    for starts, mapping, end in (([""], {"a": 1}, ""), (["\ud800"], {}, ""), ([""], {}, "\ud800")):
        with pytest.raises(UnicodeEncodeError):
            encoder("\ud800")(starts, [mapping], end, set())
    with pytest.raises(NotQuick):
        encoder("a")([b""], [{}], "", set())


def test_wrong_arguments_are_refused() -> None:
    assert accelerator is not None
    right: list[Any] = [{}, {}, b"abc", FrozenDict, NotQuick, 1000]
    accelerator.PairEncoder(*right)
    accelerator.PairEncoder(*right[:2], bytes(range(256)), *right[3:])
    for position, wrong in (
        (0, []), (1, None), (2, "abc"), (3, int), (3, {}), (4, int), (4, NotQuick()), (5, -1), (5, 2**62), (5, "1"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError)):
            accelerator.PairEncoder(*right[:position], wrong, *right[position + 1 :])
    encoder = encoder_of(plain_writer())
    for arguments in (
        (), ([], [], ""), ((), [], "", set()), ([], (), "", set()), ([], [], b"", set()), ([], [], "", []),
        ([], [], "", 1), ([""], [], "", set()), ([], [{}], "", set()),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError)):
            encoder(*arguments)


def test_what_is_looked_up_may_change_what_is_being_written() -> None:
    starts: list[str] = []
    mappings: list[dict[str, Any]] = []

    def spoil(text: str) -> str:
        writer.names.clear()
        writer.texts.clear()
        for mapping in mappings:
            mapping.clear()
            mapping.update({f"k{number}": f"{number} {number}" for number in range(60)})
        if mappings:
            starts.clear()
            mappings.clear()
            gc.collect(1)
        return text

    for writer in (PairWriter(spoil, repr), PairWriter(readable, spoil)):
        for first in range(5):
            starts[:] = [f"start {number}" for number in range(5)]
            mappings[:] = [{f"key{number}": f"text {number}" * 5, "b": f"{number} b"} for number in range(5)]
            mappings[:first] = [{"a": 1}] * first
            assert encoder_of(writer)(starts, mappings, "end", set()).endswith(b"end")


def test_keys_that_run_code_when_they_are_compared() -> None:
    class Key(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            mapping.clear()
            gc.collect(1)
            raise ValueError

    writer = plain_writer()
    for others, names in (({Key("abc")}, {}), (set[str](), {Key("abc"): " abc="})):
        mapping = {f"ab{chr(99)}": "x y" * 5, "d": 1}
        writer.names.clear()
        writer.names.update(names)
        with pytest.raises(ValueError):
            encoder_of(writer)([""], [mapping], "", others)


# -- memory


def test_nothing_is_leaked() -> None:
    def fail(text: str) -> str:
        raise ValueError

    formatter, _ = formatters("logfmt")
    failing = encoder_of(PairWriter(lambda key: key, fail))
    fields = FrozenDict(a=1, f=1e-7, g=1.25, s="two words", t="é", n=None, p="/a")
    odd, starts = FrozenDict(a=(1,)), ["start é", "start"]
    others = {"other"}
    shared: list[Any] = [fields, odd, starts, others, *starts, *fields, *fields.values(), formatter._interleaved, None]

    def run() -> None:
        formatter._interleaved(starts, [fields, fields], "end", others)
        formatter.format_batch([record(fields=fields)] * 10, 1)
        for encoder, mapping in ((formatter._interleaved, odd), (failing, fields)):
            try:
                encoder(starts, [fields, mapping], "end", others)
            except (NotQuick, ValueError):
                pass

    for _ in range(10):
        run()
    gc.collect()
    before = list(map(sys.getrefcount, shared))
    tracemalloc.start()
    try:
        run()
        gc.collect()
        memory = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            run()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - memory
    finally:
        tracemalloc.stop()
    after = list(map(sys.getrefcount, shared))
    # A reference that each run leaks, or gives back once too often, makes 300; others let go of None meanwhile.
    assert [new - old for new, old in zip(after, before, strict=True) if abs(new - old) > 150] == []
    assert grown < 20_000


def test_an_encoder_in_a_cycle_is_collected() -> None:
    class Holder:
        encoder: Any = None

        def name(self, key: str) -> str:
            return key

    alive: list[int] = []
    for _ in range(3):
        holder = Holder()
        holder.encoder = encoder_of(PairWriter(holder.name, repr))
        weakref.finalize(holder, alive.append, 1)
        del holder
    gc.collect()
    assert len(alive) == 3


@pytest.mark.parametrize("make", [LogfmtFormatter, ConsoleFormatter, partial(ConsoleFormatter, colour=True)])
def test_a_changed_event_is_shown_as_it_is_now(make: Callable[[], QuickLineFormatter]) -> None:
    accelerated, pure = make(), make()
    pure._interleaved = partial(interleaved, pure._pairs)

    def changed() -> list[LogEvent]:
        made = events([record(fields={"a": 1, "b": "c d"}) for _ in range(6)], 1)
        made[1].add(tags={"t": "x y"}, metrics={"m": 1e-05})
        made[2].add(fields={"b": 4, "c": 2**64}, context={"d": "e f"})
        made[3].severity = 9
        made[4].correlation_id = "c 1"
        return made

    assert accelerated.format_batch(changed(), 1) == pure.format_batch(changed(), 1)
