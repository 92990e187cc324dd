"""What the detectors find in a text, and what they leave alone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adversarial_texts import UNITS, texts
from fapilog.redactors._attempts import Attempts
from fapilog.redactors._cards import is_card_number
from fapilog.redactors._cloud_keys import PREFIXES
from fapilog.redactors._detectors import DETECTORS, NAMES, Found, text_finder
from fapilog.redactors._folding import folded, offsets
from fapilog.redactors._identities import IBAN_LENGTHS, is_iban
from fapilog.redactors._key_values import is_secret_name
from fapilog.redactors._signs import LEAST_WORD
from sensitive_corpus import (
    CARDS,
    CLOUD_KEYS,
    CONTEXTS,
    IBANS,
    INNOCENT,
    NAMED,
    VALUES,
    with_iban_check,
    with_luhn,
)

BY_DEFAULT = [name for name in NAMES if name != "high_entropy"]
FINDER = text_finder(BY_DEFAULT)
EVERYTHING = text_finder(NAMES)
_TELEPHONE = re.compile(r"[+\uff0b(]?\(?[0-9].*", re.DOTALL)
_ODD = st.sampled_from(
    [" ", "\n", "\x00", "\ud800", "\u200b", "=", ":", "'", '"', "\\", "@", "//", "password", "token"]
)
ODD_TEXTS = st.lists(st.one_of(_ODD, st.text(max_size=8), st.sampled_from([value for _, value in VALUES])), max_size=12)


def leaked(text: str, start: int, end: int) -> str:
    """Return the characters of a part of *text* that would still be seen."""
    hidden = {position for found in FINDER.find(text) for position in range(found.start, found.end)}
    return "".join(text[position] for position in range(start, end) if position not in hidden)


def kinds(text: str) -> list[str]:
    return [found.kind for found in FINDER.find(text)]


# -- the corpora


@pytest.mark.parametrize("context", CONTEXTS, ids=ascii)
def test_a_value_is_found_wherever_it_stands(context: str) -> None:
    missed: list[str] = []
    for kind, value in VALUES:
        text = context.format(value)
        number = _TELEPHONE.search(value) if kind in ("phone", "uk_nhs") else None
        start = text.index(value) + (number.start() if number else 0)
        if leaked(text, start, text.index(value) + len(value)):
            missed.append(text)
    assert missed == []


@pytest.mark.parametrize("context", CONTEXTS, ids=ascii)
def test_what_a_text_names_as_secret_is_found(context: str) -> None:
    missed: list[str] = []
    for named, secret in NAMED:
        text = context.format(named)
        start = text.index(named) + named.rindex(secret)
        if leaked(text, start, start + len(secret)):
            missed.append(text)
    assert missed == []


@pytest.mark.parametrize("text", INNOCENT, ids=lambda text: ascii(text[:40]))
def test_what_is_not_sensitive_is_left_alone(text: str) -> None:
    assert FINDER.find(text) == []


def test_there_are_as_many_values_as_are_promised() -> None:
    assert len({*VALUES, *NAMED}) >= 300
    assert len(set(INNOCENT)) >= 60
    assert {kind for kind, _ in VALUES} | {"bearer", "basic", "url_credentials", "url_query", "key_value"} == set(
        BY_DEFAULT
    )


@pytest.mark.parametrize(
    ("kind", "value"), [pair for pair in VALUES if pair[0] != "phone"], ids=lambda value: ascii(value[:24])
)
def test_a_value_alone_is_of_its_kind(kind: str, value: str) -> None:
    assert kind in kinds(value)


def test_the_documentation_tells_of_each_detector() -> None:
    page = (Path(__file__).parents[1] / "docs" / "redaction-detectors.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    assert [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)] == list(NAMES)


# -- what a finder promises


@given(ODD_TEXTS.map("".join))
@example("password=\ud800\u200b\udfff")
@example("\u200b")
def test_what_is_found_is_in_order_in_range_and_apart(text: str) -> None:
    found = EVERYTHING.find(text)
    assert all(0 <= each.start < each.end <= len(text) and each.kind in NAMES for each in found)
    assert all(one.end <= other.start for one, other in pairwise(found))


@given(ODD_TEXTS.map("".join))
def test_what_has_no_signs_has_nothing_to_find(text: str) -> None:
    for name in NAMES:
        finder = text_finder([name])
        assert finder.screen(text) or finder.find(text) == []
    assert EVERYTHING.screen(text) or EVERYTHING.find(text) == []


def test_each_value_has_signs_for_the_detector_that_finds_it() -> None:
    for name in NAMES:
        finder = text_finder([name])
        for _, value in [*VALUES, *NAMED]:
            assert finder.screen(value) or finder.find(value) == []


@given(
    st.sampled_from(["4", "51", "2221", "34", "6011", "3528", "62"]),
    st.data(),
    st.sampled_from(["", " ", "-"]),
    st.text(),
    st.text(),
)
def test_a_card_is_found_in_any_text(start: str, data: st.DataObject, separator: str, before: str, after: str) -> None:
    length = 14 if start == "34" else 15
    rest = data.draw(st.text("0123456789", min_size=length - len(start), max_size=length - len(start)))
    digits = with_luhn(start + rest)
    written = separator.join([digits[:4], digits[4:10], digits[10:]] if length == 14 else re.findall("....", digits))
    text = f"{before};{written};{after}"
    assert is_card_number(digits)
    assert leaked(text, len(before) + 1, len(before) + 1 + len(written)) == ""


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data(), st.booleans(), st.text(), st.text())
def test_an_iban_is_found_in_any_text(
    country: str, data: st.DataObject, grouped: bool, before: str, after: str
) -> None:
    length = IBAN_LENGTHS[country] - 4
    account = data.draw(st.text("0123456789", min_size=length - 4, max_size=length - 4)) + data.draw(
        st.text("0123456789ABCXYZ", min_size=4, max_size=4)
    )
    iban = with_iban_check(country, account)
    assert is_iban(iban)
    written = " ".join(re.findall(".{1,4}", iban)) if grouped else iban
    text = f"{before};{written};{after}"
    assert leaked(text, len(before) + 1, len(before) + 1 + len(written)) == ""


@pytest.mark.parametrize("value", [*CARDS[:10], *IBANS[:10]])
def test_one_wrong_digit_makes_it_another_number(value: str) -> None:
    wrong = value[:-1] + str((int(value[-1]) + 1) % 10)
    assert FINDER.find(wrong) == []


def test_where_two_overlap_both_are_hidden_as_the_longer_one() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLW9mLWl0"
    assert FINDER.find(f"Bearer {token}") == [Found(7, 7 + len(token), "jwt")] or kinds(f"Bearer {token}") == ["bearer"]
    finder = text_finder(["email"], {"short": "[a-z]+;John", "long": "example.com [a-z ]{30}"})
    text = "x;John.Doe@example.com " + "and so on " * 4
    assert finder.find(text) == [Found(0, text.index("example.com") + 42, "long")]


def test_only_what_is_named_is_looked_for() -> None:
    text = "john@example.com 4111111111111111"
    assert text_finder(["email"]).find(text) == [Found(0, 16, "email")]
    assert text_finder(["payment_card"]).find(text) == [Found(17, 33, "payment_card")]
    assert text_finder([]).find(text) == []
    assert not text_finder([]).screen(text)


def test_a_pattern_of_a_user_is_looked_for_in_the_text_as_it_is() -> None:
    finder = text_finder([], {"employee": "EMP-[0-9]+", "full": "\uff11+"})
    assert finder.find("of EMP-42 and \u200bEMP-43, \uff11\uff11") == [
        Found(3, 9, "employee"), Found(15, 21, "employee"), Found(23, 25, "full"),
    ]  # fmt: skip
    assert finder.screen("EMP-42")
    assert not finder.screen("nothing")


def test_random_words_are_found_only_if_asked_for() -> None:
    text = "the key is q3Rk7TzV9xB2nM5pL8wY4sDfGhJ, not d41d8cd98f00b204e9800998ecf8427e or aaaaaaaaaaaaaaaaaaaaA1"
    assert FINDER.find(text) == []
    assert text_finder(["high_entropy"]).find(text) == [Found(11, 38, "high_entropy")]


def test_offsets_are_those_of_the_text_and_not_of_its_folded_form() -> None:
    text = "\u200bto \uff4a\u00adohn\uff20example.com\u200b!"
    (found,) = FINDER.find(text)
    assert text[found.start : found.end] == "\uff4a\u00adohn\uff20example.com"


@given(st.text())
def test_folding_keeps_count_of_characters(text: str) -> None:
    positions = offsets(text)
    assert len(folded(text)) == (len(text) if positions is None else len(positions))


def test_every_decimal_digit_of_unicode_is_read() -> None:
    for code in range(0x80, 0x1FBF0):
        character = chr(code)
        if character.isdecimal() and code < 0x11F00:
            assert folded(character) == str(int(character)), hex(code)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_key_and_its_prefix_are_no_shorter_than_its_sign(prefix: str) -> None:
    assert len(prefix) + PREFIXES[prefix] >= LEAST_WORD
    assert len(prefix) + 10 >= LEAST_WORD or PREFIXES[prefix] + len(prefix) >= LEAST_WORD


@pytest.mark.parametrize("key", CLOUD_KEYS[2:30])
def test_a_key_that_is_cut_short_is_none(key: str) -> None:
    assert FINDER.find(key[:9]) == []


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True), ("db.password", True), ("userPassword", True), ("PASSWORD", True), ("passwordHash", True),
        ("pass", True), ("userPass", True), ("user_pass", True), ("compass", False), ("bypass", False),
        ("author", False), ("authors", False), ("authorization", True), ("auth", True), ("tokens", False),
        ("token", True), ("token_type", False), ("max_tokens", False), ("apiKey", True), ("key", False),
        ("primary_key", False), ("cookie", True), ("cookies", False), ("opinion", False), ("spin", False),
        ("pin", True), ("secretary", False), ("client_secret", True),
    ],
)  # fmt: skip
def test_the_end_of_a_name_says_whether_it_names_a_secret(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


# -- the time that it takes


def _seconds(find: Callable[[str], Iterator[tuple[int, int]]], text: str, times: int) -> float:
    """Return how long this thread computed, at best."""
    best = float("inf")
    for _ in range(times):
        start = time.thread_time()
        for _ in find(text):
            pass
        best = min(best, time.thread_time() - start)
    return best


@pytest.mark.parametrize("name", NAMES)
def test_no_text_takes_more_time_than_its_length_accounts_for(name: str) -> None:
    """Four times the length takes four times as long, where it would be sixteen if it grew faster than the text."""
    detector = DETECTORS[name].find

    def find(text: str) -> Iterator[tuple[int, int]]:
        read = folded(text)
        return iter(detector(read, Attempts(read)))

    length = 4_000
    for unit, short, long in zip(UNITS, texts(length), texts(4 * length), strict=True):
        for times in (1, 5, 20):
            quick, slow = _seconds(find, short, times), _seconds(find, long, times)
            if slow < 0.002 or slow < 9 * quick:
                break
        else:
            pytest.fail(f"{name} takes {slow / quick:.1f} times as long for four times as many of {unit!a}")
