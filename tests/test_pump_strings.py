"""Texts made to be slow to search: each detector takes time in proportion to their length, and little of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import thread_time
from urllib.parse import unquote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adversarial_texts import JSON_UNITS, MIXES, UNITS, pump
from fapilog._accelerated import accelerator
from fapilog._names import secret_names
from fapilog.redactors import _addresses
from fapilog.redactors._addresses import packed, packed_in_python
from fapilog.redactors._attempts import Attempts
from fapilog.redactors._cards import cards_in_python, find_cards
from fapilog.redactors._detectors import ATTEMPTS, DETECTORS, NAMES, text_finder
from fapilog.redactors._folding import folded
from fapilog.redactors._identities import find_ibans, ibans_in_python
from fapilog.redactors._name_runs import name_runs, name_runs_in_python, plain_forms
from fapilog.redactors._pairs import _BEFORE_QUOTED, _QUOTED_AFTER, PairFinder
from fapilog.redactors._unquoting import unquoted
from fapilog.redactors.redact import RedactConfig, SensitiveDataRedactor
from sensitive_corpus import CARDS, CONTEXTS, IBANS, INNOCENT, NAMED, VALUES
from time_bounds import slowness, within_a_time

KIB = 1024
MOST_SECONDS = 0.010
"""For 64 KiB."""
PUMPS = [*UNITS, *JSON_UNITS, *MIXES]
needs_accelerator = pytest.mark.skipif(accelerator is None, reason="the package was built without a C compiler")


def searches(name: str) -> Callable[[str], object]:
    """Return what searches a text as one detector does, or as what looks for names beside their values."""
    if name == "pairs":
        names = secret_names()
        finder = PairFinder(
            lambda name: rule.name if (rule := names.rule(name)) else None,
            lambda words: rule.name if (rule := names.exactly(words)) else None,
            names.forms,
        )
        return lambda text: list(finder.find(text, Attempts(text)))
    find = DETECTORS[name].find
    return lambda text: list(find(text, Attempts(text)))


def seconds(search: Callable[[str], object], text: str, most: float) -> float:
    """Return how long this thread computes at best, on a machine as fast as that of the bound.

    If that is more than *most*, it is tried again, as any time may have met another process.
    """
    best = float("inf")
    for attempt in range(25):
        slower = 1.0 if attempt < 2 else slowness()
        began = thread_time()
        search(text)
        best = min(best, (thread_time() - began) / slower)
        if best <= most:
            break
    return best


@pytest.mark.untraced
@needs_accelerator
@within_a_time
@pytest.mark.parametrize("name", [*NAMES, "pairs"])
def test_se13_a_detector_takes_at_most_10_ms_for_64_kib(name: str, times: int) -> None:
    search = searches(name)
    most = MOST_SECONDS * times
    slow: dict[str, float] = {}
    for unit in PUMPS:
        taken = seconds(search, folded(pump(unit, 64 * KIB)), most)
        if taken > most:
            slow[unit] = taken
    assert not slow


@pytest.mark.untraced
@needs_accelerator
@within_a_time
def test_se13_the_redactor_takes_at_most_10_ms_for_each_64_kib(times: int) -> None:
    redactor = SensitiveDataRedactor()
    slow: dict[tuple[str, int], float] = {}
    for unit in PUMPS:
        for length in (64, 1024) if unit in MIXES else (64,):
            most = MOST_SECONDS * times * length / 64
            taken = seconds(redactor.redact_text, pump(unit, length * KIB), most)
            if taken > most:
                slow[unit, length] = taken
    assert not slow


@pytest.mark.untraced
@pytest.mark.parametrize("unit", [*MIXES, *JSON_UNITS], ids=ascii)
def test_se13_twice_the_text_takes_at_most_two_and_a_half_times_as_long(unit: str) -> None:
    config = RedactConfig(longest_text=KIB * KIB, time_limit=10, detectors=NAMES)
    search = SensitiveDataRedactor(config).redact_text
    for length in (32, 512) if unit in (MIXES[0], MIXES[-1]) else (32,):
        short, long = pump(unit, length * KIB), pump(unit, 2 * length * KIB)
        times: list[float] = []
        while not times or (times[-1] > 2.5 and len(times) < 8):
            times.append(_best(search, long) / _best(search, short))
        assert times[-1] <= 2.5, (length, times)


@pytest.mark.parametrize("name", [*NAMES, "pairs"])
def test_se13_each_detector_takes_twice_as_long_for_twice_a_text_of_half_a_mebibyte(name: str) -> None:
    search = searches(name)
    short, long = folded(pump(MIXES[0], 512 * KIB)), folded(pump(MIXES[0], 1024 * KIB))
    times: list[float] = []
    while not times or (times[-1] > 2.5 and len(times) < 8):
        times.append(_best(search, long) / _best(search, short))
    assert times[-1] <= 2.5, times


def _best(search: Callable[[str], object], text: str) -> float:
    times: list[float] = []
    for _ in range(2):
        began = thread_time()
        search(text)
        times.append(thread_time() - began)
    return min(times)


# -- what is not looked at is hidden


def test_what_is_beyond_the_attempts_is_hidden_and_counted() -> None:
    redactor = SensitiveDataRedactor()
    text = " ".join(f"user{number}@example.com" for number in range(300)) + " the rest"
    clean = redactor.redact_text(text)
    assert "@" not in clean
    assert "the rest" not in clean
    assert redactor.counts[ATTEMPTS] == 1
    assert redactor.counts["email"] == 128 + len(text) // 64


@pytest.mark.parametrize(
    "line",
    [
        "GET /orders/42 200 12.5ms user@example.com message=done page=3 usage=4 author=me\n",
        "{'name': 'object number NUMBER', 'key': 'part-NUMBER', 'size': NUMBER}, ",
        "IT10NUMBER, ", "12:34:56 ", "255.255.255.0 ", "k_NUMBER=1&", "?page=NUMBER&code=1 ", "<td>NUMBER</td>",
        "%20NUMBER ", "deadbeefNUMBER ", "4111 1111 ", "--option-NUMBER 1 ", "http://host-NUMBER:8080/ ",
        "bypass NUMBER; ", "name=nNUMBER ",
    ],
)  # fmt: skip
def test_a_text_of_innocent_parts_is_searched_to_its_end(line: str) -> None:
    redactor = SensitiveDataRedactor()
    text = "".join(line.replace("NUMBER", str(number % 90_000 + 10_000)) for number in range(16_000 // len(line)))
    assert redactor.redact_text(text) == text.replace("user@example.com", "***")
    assert ATTEMPTS not in redactor.counts


@given(st.lists(st.sampled_from([*(value for _, value in VALUES), *(named for named, _ in NAMED)]), min_size=1))
def test_what_a_text_of_many_values_shows_does_not_depend_on_where_the_attempts_end(values: list[str]) -> None:
    """A value behind the last attempt is hidden, and so is one that begins before it."""
    finder = text_finder(NAMES)
    filling = "a@example.com, " * 400
    text = filling + "; ".join(values)
    hidden = {position for found in finder.find(text) for position in range(found.start, found.end)}
    after = {position for found in finder.find("; ".join(values)) for position in range(found.start, found.end)}
    assert {position + len(filling) for position in after} <= hidden


# -- the accelerator's forms find the same as Python's

_PIECES = st.sampled_from(
    [
        *"0123456789 -./_+%()[]=:>\"'`\\\t\nabXYZ\u00e9\u7528",
        "20", "%20", "%70", "%e9", "\\u0070", "\\\\u0061", "\\u00e9", "  ", "4111", "5500", "378282", "0005",
        "password",
        "Pass", "word", "api", "_key", "api key", "token", "to.ken", "card number", "->", "=>", "pw", "x" * 30,
        "1" * 14,
    ]
)  # fmt: skip
_TEXTS = st.lists(_PIECES, max_size=24).map("".join)


_IBAN_PIECES = ["GB82", "WEST", "1234", "5698", "7654", "32", "NO93", "8601", "1117", "947", " ", "-", ".", "%20", "  ",
                "a", "é", "DE", "89", "370400440532013000"]  # fmt: skip


def _in_python(text: str, *arguments: object, **options: bool) -> list[int]:
    return name_runs_in_python(*arguments, **options)(text)  # type: ignore[arg-type]


@needs_accelerator
@given(_TEXTS)
@example("a%5Bpassword%5D=1")
@example("my api key: x")
@example("\\u0070assword\\\\u0061=")
@example("password 0")
@example("my pass word x")
def test_names_are_found_alike(text: str) -> None:
    forms = plain_forms(secret_names().forms)
    for characters, at_end, pairs in ((".-%[]", False, True), ("-", False, False), (".-", True, False)):
        in_c = name_runs(forms, characters, at_end=at_end, pairs=pairs)
        assert in_c(text) == _in_python(text, forms, characters, at_end=at_end, pairs=pairs)


@needs_accelerator
@given(_TEXTS)
def test_cards_are_found_alike(text: str) -> None:
    assert list(find_cards(text, Attempts(text))) == list(cards_in_python(text))


@needs_accelerator
def test_cards_are_found_alike_in_the_corpora() -> None:
    for value in [*CARDS, *INNOCENT, *(value for _, value in VALUES)]:
        for context in CONTEXTS:
            text = folded(context.format(value))
            assert list(find_cards(text, Attempts(text))) == list(cards_in_python(text))


@needs_accelerator
@given(st.lists(st.sampled_from(_IBAN_PIECES), max_size=14).map("".join))
@example("GB82 WEST 1234 5698 7654 32")
@example("gb82%20WEST%2012345698765432")
def test_ibans_are_found_alike(text: str) -> None:
    assert list(find_ibans(text, Attempts(text))) == list(ibans_in_python(text))


@needs_accelerator
def test_ibans_are_found_alike_in_the_corpora() -> None:
    for value in [*IBANS, *INNOCENT, *(value for _, value in VALUES)]:
        for context in CONTEXTS:
            text = folded(context.format(value))
            assert list(find_ibans(text, Attempts(text))) == list(ibans_in_python(text))


_ADDRESS_PIECES = [
    "::",
    ":",
    "1",
    "fab",
    "0000",
    "12345",
    ".",
    "1.2.3.4",
    "0",
    "::1",
    "g",
    "01.2.3.4",
    "256.1.1.1",
    "_",
]


@given(st.lists(st.sampled_from(_ADDRESS_PIECES), min_size=1, max_size=12).map("".join))
@example("::ffff:1.2.3.4")
@example("1:2:3:4:5:6:7:8")
@example("1:2:3:4:5:6:7::")
def test_the_system_takes_for_an_ipv6_address_what_the_standard_library_does(text: str) -> None:
    def found(packed: Callable[[str], bytes]) -> bytes | None:
        try:
            return packed(text)
        except (OSError, ValueError):
            return None

    assert found(packed) == found(packed_in_python)


@pytest.mark.parametrize("way", [packed, packed_in_python], ids=["system", "python"])
def test_loopback_and_unspecified_ipv6_addresses_are_left_alone(
    way: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_addresses, "packed", way)
    search = searches("ipv6")
    for text in ("::1", "::", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:127.9.9.9", "1:2:3"):
        assert search(f"from {text} on") == [], text
    for text in ("2001:db8::1", "::ffff:10.0.0.1", "1:2:3:4:5:6:7:8"):
        assert search(f"from {text} on") == [(5, 5 + len(text))], text


_WORDS = st.sampled_from(
    [
        *("password", "PassWd", "passphrase", "pwd", "identified", "by"),
        *("api key", "access_key", "secretkey", "private-key"),
        *"'\" \t\n\xa0x=",
    ]
)


@given(st.lists(_WORDS, max_size=8).map("".join))
@example("pwd 'x'")
@example("\npwd\n'x'")
@example("IDENTIFIED  BY\t'x'")
def test_no_name_before_a_quoted_value_is_missed_for_what_rules_them_out(text: str) -> None:
    if _QUOTED_AFTER.search(text) is not None:
        assert _BEFORE_QUOTED.search(text) is not None


@given(_TEXTS)
def test_a_text_is_unquoted_as_the_standard_library_does_it(text: str) -> None:
    assert unquoted(text) == unquote_plus(text)


@given(_TEXTS)
def test_every_secret_name_before_a_value_is_among_those_found(text: str) -> None:
    """Whatever the names are made of: what is not found is not looked at."""
    names = secret_names()
    runs = name_runs(plain_forms(names.forms), ".-%[]", at_end=False, pairs=True)
    starts = set(runs(text))
    for match in re.finditer(r"(?<![\w.\-%\[\]\\])([\w.\-\[\]]+)[=:]", text):
        if names.rule(match[1]) is not None:
            assert match.start(1) in starts, match[1]
