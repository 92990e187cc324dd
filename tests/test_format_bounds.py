"""Events of any size: each format's work, and not only its output, is bounded by the bytes that an event may take."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fapilog._accelerated import accelerator
from fapilog.event import Extras, LogEvent, Record
from fapilog.formats import _careful, _exception_lines, _flat, _visible, console, logfmt, make_formatters
from fapilog.formats._careful import MAX_DIGITS_BITS, encode, escape_controls, numbered, readable
from fapilog.formats._characters import characters, event_characters, most_characters
from fapilog.formats._fit import cut_text, fit, fit_mapping, json_size
from fapilog.formats._shorten import shortened
from fapilog.formats._visible import visible
from fapilog.formats.json import JsonFormatter
from fapilog.formats.logfmt import quoted
from fapilog.tracebacks import describe_exception
from fapilog.values import FrozenDict, freeze, freeze_tags, text
from format_corpus import CONTROLS, NASTY, events, record, strict_lines, trees
from odd_values import ODD_VALUES

LIMITS = (1024, 16_384, 262_144)
FORMATS = tuple(make_formatters())
HUGE = 10_000_000
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def deep(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = FrozenDict(inner=leaf)
    return leaf


def nested_groups(depth: int, message: str) -> FrozenDict:
    exception = FrozenDict(type="E", message=message)
    for _ in range(depth):
        exception = FrozenDict(type="G", message="group", group=(exception,))
    return exception


LARGE: dict[str, Callable[[], Record]] = {
    "field": lambda: record(fields={"a": "x" * HUGE}),
    "wide field": lambda: record(fields={"a": "é" * HUGE}),
    "field of surrogates": lambda: record(fields={"a": "\ud800" * HUGE}),
    "field of surrogate pairs": lambda: record(fields={"a": "\ud83d\ude00" * (HUGE // 2)}),
    "field of controls": lambda: record(fields={"a": "\x85" * HUGE}),
    "message of lines": lambda: record("\n" * HUGE),
    "key": lambda: record(fields={"k" * HUGE: 1, "other": 2}),
    "key of surrogates": lambda: record(fields={"\ud800" * HUGE: 1, "other": 2}),
    "nested": lambda: record(fields={"a": (FrozenDict({"k" * HUGE: ("\ud800" * HUGE,)}),)}),
    "context": lambda: record(context=FrozenDict(a="\ud800" * HUGE)),
    "bound": lambda: record(bound=FrozenDict(a="x" * HUGE)),
    "identity": lambda: record(logger="\ud800" * HUGE, source="x" * HUGE, task="\n" * HUGE, correlation_id="é" * HUGE),
    "tags": lambda: record(extras=Extras(tags=FrozenDict(a="\ud800" * HUGE), context=FrozenDict(b="x" * HUGE))),
    "metric": lambda: record(extras=Extras(metrics=FrozenDict({"m" * HUGE: 1.5}))),
    "exception": lambda: record(extras=Extras(exception=FrozenDict(type="\ud800" * HUGE, message="\n" * HUGE))),
    "many strings": lambda: record(fields={f"k{number}": "\ud800" * 65_536 for number in range(1000)}),
    "many long integers": lambda: record(fields={f"k{number}": 10**4200 + number for number in range(1000)}),
    "long integer": lambda: record(fields={"a": 1 << 1_000_000}),
    "many fields": lambda: record(fields={f"k{number}": number for number in range(100_000)}),
    "many items": lambda: record(fields={"a": tuple(tuple(range(100)) for _ in range(1000)), "b": "\ud800"}),
    "deep": lambda: record(fields={"a": deep(5000, "x")}),
    "deep and long": lambda: record(fields={"a": deep(30, "\ud800" * HUGE)}),
    "nested exceptions": lambda: record(extras=Extras(exception=nested_groups(45, "\n" * 50_000))),
    "keys that become equal": lambda: record(fields={f"{chr(0xD800 + number)}k": number for number in range(2000)}),
}


class Work:
    """What reaches the functions that look at text, and what comes out of the encoder."""

    def __init__(self) -> None:
        self.texts: list[int] = []
        self.encoded: list[int] = []

    def check(self, limit: int, *, large_dumps: int = 0) -> None:
        """Fail if one piece, or all together, is out of proportion to *limit*."""
        most = most_characters(limit)
        encoded = sorted(self.encoded)
        assert sum(1 for size in encoded if size > 12 * most) <= large_dumps
        encoded = encoded[: len(encoded) - large_dumps]
        assert max(self.texts, default=0) <= 12 * most
        assert sum(self.texts) <= 100 * most
        assert sum(encoded) <= 100 * most


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    counted = Work()

    def counting(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def count(value: Any) -> Any:
            counted.texts.append(len(value))
            return function(value)

        return count

    for module, names in (
        (_careful, ("readable", "escape_controls")),
        (sys.modules[JsonFormatter.__module__], ("escape_controls",)),
        (_flat, ("readable",)),
        (_visible, ("visible", "visible_key")),
        (console, ("visible", "visible_key")),
        (_exception_lines, ("visible", "visible_key")),
        (logfmt, ("readable", "quoted", "_value", "_key")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, counting(getattr(module, name)))
    exception_lines = console.exception_lines

    def counting_lines(tree: Any, room: int) -> Any:
        lines = exception_lines(tree, room)
        counted.texts.append(sum(map(len, lines.collected)))
        return lines

    monkeypatch.setattr(console, "exception_lines", counting_lines)
    dumps = orjson.dumps

    def counting_dumps(*arguments: Any) -> bytes:
        result: bytes = dumps(*arguments)
        counted.encoded.append(len(result))
        return result

    monkeypatch.setattr(orjson, "dumps", counting_dumps)
    return counted


def check_output(name: str, payload: bytes, limit: int) -> None:
    assert len(payload) <= limit
    shown = payload.decode()
    if name.startswith("json"):
        assert len(strict_lines(payload)) == 1
    elif name == "logfmt":
        assert shown.splitlines() == [shown[:-1]]
    else:
        first, *below = COLOUR.sub("", shown).splitlines()
        assert not first.startswith(" ")
        assert all(line.startswith("    ") for line in below)
    if not name.startswith("json"):
        assert not CONTROLS.intersection(COLOUR.sub("", shown)) - {"\n"}


@pytest.mark.untraced
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", LARGE)
def test_bd7_the_work_on_a_large_event_is_bounded(shape: str, name: str, limit: int, work: Work) -> None:
    item = LARGE[shape]()
    payload = make_formatters(limit)[name].format_batch([item], 1)
    check_output(name, payload, limit)
    # What can be encoded as it is, is encoded once before its size is known.
    work.check(limit, large_dumps=1)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", ["field of surrogates", "context", "bound", "identity"])
def test_bd7_json_encodes_no_large_text_that_needs_care_or_is_shared(
    shape: str, name: str, limit: int, work: Work
) -> None:
    make_formatters(limit)[name].format_batch(events([LARGE[shape]()], 1), 1)
    work.check(limit)


@pytest.mark.untraced
@pytest.mark.parametrize("limit", LIMITS)
def test_odd_values_in_any_format_are_one_bounded_line(limit: int) -> None:
    formatters = make_formatters(limit)
    error = describe_exception(ValueError("no"))
    for odd, make in ODD_VALUES.items():
        value = make()
        frozen = freeze(value)
        items = [
            record(fields={"odd": frozen}),
            record(
                text(value),
                {f"k{text(value)}": 1, "tree": FrozenDict(odd=frozen)},
                context=FrozenDict(odd=frozen),
                extras=Extras(tags=freeze_tags(value), exception=FrozenDict({**error, "message": text(value)})),
            ),
        ]
        for item in items:
            for name, formatter in formatters.items():
                try:
                    check_output(name, formatter.format_batch([item], 1), limit)
                except Exception as failure:
                    failure.add_note(f"{odd} as {name}")
                    raise


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("character", ["x", "\ud800"], ids=["plain", "surrogate"])
def test_bd7_a_marker_tells_the_original_length(name: str, limit: int, character: str) -> None:
    item = record(character * HUGE, {"a": character * (HUGE + 1), "order": 7})
    shown = make_formatters(limit)[name].format_batch([item], 1).decode()
    assert f"…<{HUGE} characters>" in shown
    assert f"…<{HUGE + 1} characters>" in shown
    truncated = re.search(r'truncated"?[:=](\d+)', COLOUR.sub("", shown))
    assert truncated is not None
    assert int(truncated[1]) >= 2 * HUGE


@pytest.mark.parametrize("name", FORMATS)
def test_bd7_a_marker_tells_the_original_length_of_a_key(name: str) -> None:
    item = record(fields={"k" * HUGE + "a": 1, "k" * HUGE + "b": 2, "order": 7})
    shown = COLOUR.sub("", make_formatters(1024)[name].format_batch([item], 1).decode())
    assert len(re.findall(rf"kkk…{HUGE + 1}\b", shown)) == 2
    assert "order" in shown


@pytest.mark.parametrize("name", ["json", "json_flat"])
def test_bd6_what_was_left_out_twice_is_told_in_all(name: str) -> None:
    many = tuple(range(100_000))
    item = record(fields={"list": many, "map": FrozenDict((f"k{number}", number) for number in many), "x": "\ud800"})
    [line] = strict_lines(make_formatters(2048)[name].format_batch([item], 1))
    fields = line.get("fields", line)
    assert fields["list"][-1] == f"<{100_000 - len(fields['list']) + 1} more>"
    assert fields["map"]["…"] == f"<{100_000 - len(fields['map']) + 1} more>"


def test_bd6_the_lines_of_an_exception_that_are_left_out_are_counted() -> None:
    notes = tuple(f"note {number}" for number in range(100_000))
    item = record(extras=Extras(exception=FrozenDict(type="E", message="m", notes=notes)))
    shown = make_formatters(1024)["console"].format_batch([item], 1).decode()
    kept = len(re.findall(r"note: note \d", shown))
    assert kept > 10
    assert f"... {100_000 - kept} more lines" in shown


@pytest.mark.parametrize("room", [1, 100, 10_000])
def test_bd7_only_the_lines_that_have_room_are_made(room: int) -> None:
    exception = nested_groups(10, "\n" * 50_000)
    lines = _exception_lines.exception_lines(exception, room)
    longest = max(map(len, lines.collected))
    assert sum(map(len, lines.collected)) < room + longest < room + 100
    assert len(lines.collected) + lines.more == 50_011


def test_events_under_the_limit_are_encoded_as_they_are(work: Work) -> None:
    item = record(fields={"a": "x" * 200_000})
    payloads = [formatter.format_batch([item], 1).decode() for formatter in make_formatters().values()]
    assert all("x" * 200_000 in payload and "truncated" not in payload for payload in payloads)
    # By each format, once: pairs come from JSON too. With the accelerator only json_flat has its lines from there.
    assert len([size for size in work.encoded if size > 200_000]) == (5 if accelerator is None else 1)


@pytest.mark.parametrize("shape", LARGE)
def test_a_large_event_stays_as_it_was(shape: str) -> None:
    event = LogEvent.from_record(LARGE[shape](), 1)
    before = [getattr(event, name) for name in ("message", "fields", "context", "tags", "metrics", "exception")]
    cut = shortened(event, 1024)
    assert event_characters(cut, 10_000) < 3000
    after = [getattr(event, name) for name in ("message", "fields", "context", "tags", "metrics", "exception")]
    assert all(new is old for new, old in zip(after, before, strict=True))


def test_what_is_too_large_to_share_is_not_kept() -> None:
    item = record(context=FrozenDict(a="x" * HUGE), source="s" * HUGE)
    assert len(JsonFormatter().format_batch([item] * 3, 1).splitlines()) == 3
    assert [pieces for cache in (item[4].cache, item[5].cache) for pieces in cache.values() if pieces] == []


def test_a_large_context_does_not_change_the_events_around_it() -> None:
    small, large = record("small", context=FrozenDict(a=1)), record("large", context=FrozenDict(a="\ud800" * HUGE))
    lines = strict_lines(JsonFormatter().format_batch([small, large, small, large, large, small], 1))
    assert [line["message"] for line in lines] == ["small", "large", "small", "large", "large", "small"]
    assert [line["context"]["a"] for line in lines if line["message"] == "small"] == [1, 1, 1]
    assert all(line["context"]["a"].endswith(f"…<{HUGE} characters>") for line in lines if line["message"] == "large")


@pytest.mark.parametrize("name", ["logfmt", "console"])  # JSON relies on how few nodes a frozen tree has
def test_bd6_a_tree_that_shares_its_branches_is_never_walked_to_the_end(name: str) -> None:
    tree: Any = "leaf"
    for _ in range(30):
        tree = (tree,) * 1000
    check_output(name, make_formatters(1024)[name].format_batch([record(fields={"a": tree})], 1), 1024)


def test_counting_looks_at_no_more_values_than_it_has_to() -> None:
    tree = tuple(tuple({f"k{number}": number} for number in range(10)) for _ in range(1000))
    seen: list[int] = []

    class Items(tuple[Any, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[Any]:
            seen.append(len(self))
            return super().__iter__()

    assert characters(Items(map(Items, tree)), 500) > 500
    assert sum(seen) == 0
    assert characters(Items(map(Items, tree)), 5000) > 5000
    assert 0 < sum(seen) <= 5000


@given(trees)
def test_the_characters_of_a_tree_are_never_more_than_its_bytes(tree: Any) -> None:
    size = characters(tree, 10**9)
    assert size <= len(encode(tree)) + (len(encode(tree)) == 0)
    for most in (0, 1, 5, 50):
        counted = characters(tree, most)
        assert counted == size or most < counted <= size


def test_the_digits_of_integers_count() -> None:
    assert characters(2**64 - 1, 10) == 1
    for value in (2**64, -(2**63) - 1, 10**4000, -(2**MAX_DIGITS_BITS - 1)):
        assert 0.9 * len(str(value)) - 2 <= characters(value, 10) <= len(str(value))
    assert characters(1 << 1_000_000, 10) == 1


def test_fitting_measures_a_value_few_times_at_each_depth() -> None:
    measured: list[int] = []

    def measure(value: Any, most: int) -> int:
        size = json_size(value, most)
        measured.append(size)
        return size

    tree = {"a": {"b": {"c": {"d": ["\x00" * 10_000, "small", "y" * 10_000]}}}, "e": 1}
    size = json_size(tree, 10**9)
    fitted = fit_mapping(tree, 3000, measure)
    assert json_size(fitted, 3000) <= 3000
    assert fitted["a"]["b"]["c"]["d"][1] == "small"
    assert sum(measured) <= 8 * size


@given(trees, st.integers(56, 500))
def test_a_text_that_was_cut_keeps_its_marker_when_it_is_cut_again(tree: Any, budget: int) -> None:
    once = fit(encode(tree).decode() * 30, 1000, json_size)
    twice = fit(once, budget, json_size)
    assert json_size(twice, budget) <= budget
    if "…<" in once[-30:]:
        assert twice.endswith(once[once.rindex("…<") :])


def test_a_text_that_only_looks_as_if_it_had_been_cut_stays_bounded() -> None:
    for ending in ("…<5 characters>", f"…<{'9' * 5000} characters>", f"<{'9' * 5000} more>", "…5", f"…{'9' * 5000}"):
        assert len(cut_text("x" * 5000 + ending, 200, json_size)) <= 200
        mapping = {f"{number}{'k' * 5000}{ending}": f"<{number}9999999999999999999999 more>" for number in range(99)}
        assert json_size(fit_mapping(mapping, 2000), 10**9) <= 2000


def test_many_equal_names_are_numbered_without_a_search_for_each() -> None:
    class Taken(dict[str, int]):
        asked = 0

        def __contains__(self, key: object) -> bool:
            self.asked += 1
            return super().__contains__(key)

    taken, numbers = Taken(name=1), dict[str, int]()
    for number in range(2000):
        taken[numbered("name", taken, numbers)] = number
    assert len(taken) == 2001
    assert taken.asked == 2000
    assert list(taken)[-1] == "name#2001"


@pytest.mark.parametrize("name", ["json_flat", "logfmt"])
def test_bd8_keys_that_become_equal_get_short_names(name: str) -> None:
    payload = make_formatters(1 << 20)[name].format_batch([LARGE["keys that become equal"]()], 1)
    names = re.findall(r"(?:fields\.)*\ufffdk[#_\d]*", payload.decode())
    assert len(set(names)) == 2000
    assert max(map(len, names)) < 30


characters_of_any_kind = st.text(st.characters(exclude_categories=()), max_size=40) | st.text(
    st.sampled_from("ab\\'\"\n\r\t\x00\x1b\x7f\x85\u2028\u2029\u202e\xa0\xe9\ud83d\ude00\udfff\U0001f600\U000e0001")
)


@given(characters_of_any_kind)
@example("\ud83d\ud83d\ude00\ude00")
def test_readable_text_is_what_the_codec_makes_of_it(value: str) -> None:
    assert readable(value) == value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(characters_of_any_kind)
@example("\\'\"\n\\n'")
@example("\\'\n")
@example('\\"\n')
def test_visible_text_is_escaped_character_by_character(value: str) -> None:
    assert visible(value) == "".join(item if item.isprintable() else repr(item)[1:-1] for item in value)


@given(characters_of_any_kind)
def test_quoted_text_is_read_back_as_json(value: str) -> None:
    shown = quoted(value)
    assert shown.isprintable()
    assert json.loads(shown) == value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(characters_of_any_kind)
@example("\x80\x9f\x85\xa0\u2027\u2028\u2029\u2030\x80")
def test_controls_in_json_are_escaped_and_nothing_else(value: str) -> None:
    encoded = orjson.dumps(readable(value))
    escaped = escape_controls(encoded)
    assert json.loads(escaped) == readable(value)
    controls = {*map(chr, range(0x80, 0xA0)), "\u2028", "\u2029"}
    assert escaped.decode() == "".join(f"\\u{ord(item):04x}" if item in controls else item for item in encoded.decode())


def test_nasty_texts_at_every_limit() -> None:
    for limit in (1024, 1025, 2000):
        for name, formatter in make_formatters(limit).items():
            for nasty in NASTY:
                item = record(
                    nasty * 50, {nasty: nasty * 50, "n": (nasty * 50, FrozenDict({nasty * 50: 1}))}, logger=nasty
                )
                check_output(name, formatter.format_batch([item], 1), limit)
