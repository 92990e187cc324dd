"""Which regular expressions of users are taken, and which are refused before they meet a text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog import ConfigurationError
from fapilog.filters.expression import ExpressionConfig
from fapilog.plugins import patterns
from fapilog.plugins.patterns import refused_for_finding as refused
from fapilog.redactors.redact import RedactConfig
from support import unmeasured

CATASTROPHIC = [
    # A repetition in a repetition.
    r"(a+)+b", r"(a*)*b", r"(a+)*$x", r"([a-zA-Z]+)*\d", r"(\d+)+x", r"(?:\w+\s?)+:", r"(\w+\s*)+=", r"((a+)+)+b",
    r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(x+x+)+y", r"(?:a*b?)*c", r"(?:a?b*)*c", r"(.+)+=", r"(?:[^,]*,?)*;",
    r"(?i:([a-z]+)+)!", r"((?:ab)+)+c", r"(a++b?|a)*c|(d+)+e", r"(?=(a+)+b)c", r"(?<!x)(\s+)+$",
    # Choices that take the same characters.
    r"(a|a)*b", r"(a|aa)+$", r"(a|b|ab)*c", r"(?:\w|\w\w)+!", r"(?:foo|f|oo)+x", r"(.|\s)+=", r"(?:\d{3}|\d{4})+x",
    r"(a|a?)+b", r"(?:[ab]x?|[bc]x?)*d",
    # One repetition after another.
    r"\s+\s+$", r".*.*=", r"\w+\d+x", r"a.*b.*c.*d", r"\d+\d*x", r"[a-z]+[a-m]+!", r"(?i:[a-z]+[A-Z]+)!",
    r"x*y?x*z", r"\S+@\S+\.\S+x", r"<.*>.*</a>", r"(\w+)\1x", r"a*(?>a+)b", r"(?s:.*).*x",
    # Counted.
    r"(a?){30}b", r"(\d{1,100}){1,100}x", r"(.*a){12}b", r"(a{1,2}){50}b", r"a{1,1000}a{1,1000}b", r"(?:a?){25}a{25}",
    r"([ab]{1,3}){20,}c",
    # Around.
    r"(?:(?=.*x).)+y", r"(?:(?!.*x)\w)+y",
]  # fmt: skip

HARMLESS = [
    r"EMP-\d+",
    r"\d{13,19}",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"ghp_[A-Za-z0-9]{36}",
    r"AKIA[0-9A-Z]{16}",
    r"user=\S+",
    r"\w+@\w+\.com",
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    r"^[\w.]+@[\w.]+\.\w+$",
    r"(?:\d{1,3}\.){3}\d{1,3}",
    r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}",
    r'"key":\s*"[^"]*"',
    r'"(?:[^"\\]|\\.)*"',
    r"'[^']*'",
    r"<[^>]+>",
    r"\[[^\]]*\]",
    r"\(\d{3}\) \d{3}-\d{4}",
    r"\+\d{1,3}[ -]?\d{4,14}",
    r"[0-9a-f]{32}",
    r"[0-9a-fA-F]{8}-(?:[0-9a-f]{4}-){3}",
    r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    r"eyJ[\w-]+\.[\w-]+\.[\w-]+",
    r"Bearer\s+\S+",
    r"(?i)password\s*[:=]\s*\S+",
    r"(?:secret|token|key)=[^&\s]+",
    r"\bMRN[: ]?\d{6,10}\b",
    r"\$\d+(?:\.\d{2})?",
    r"\d+(?:,\d{3})*",
    r"(?:foo|foobar)+x",
    r"(?:foo|bar|baz)+!",
    r"(a|ab)*c",
    r"[A-Z]+\d+",
    r"token=\w+;",
    r"(a++)*b",
    r"(?>a+)b",
    r"\s++\s++$",
    r"(?:\w++\s*+)*+x",
    r"(\w+)\s\1x",
    r"(?P<q>['\"])[^'\"]*(?P=q)",
    r"(?<=id=)\d+",
    r"(?<!\d)\d{10}(?!\d)",
    r"\d+(?= EUR)",
    r"session\s+id\s+\w+",
    r"[^\s,]+,[^\s,]+,[^\s,]+",
    r"([^,]*,)*[^,]*;x",
    r"\w+(?:-\w+)*",
    r"(?:/\w+)+/secret",
    r"(?m)^Cookie: .*$",
    r"a(?:b|c)?d",
    r"x{3,5}y",
    r"(?x) order \s \d+  # of a customer",
    r"\d{4}(?:[ -]?\d{4}){3}",
    r"caf\u00e9 \w+",
    r"[\u4e00-\u9fff]{2,4}\u5148\u751f",
    r"(?a:\w+)#\d+",
    r"(a)?b(?(1)c|d)",
    r"\.\*x",
    r"key-\w{20,60}",
    r"\S+\s",
    r"[a-z]+=[a-z]+",
]


@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_what_can_stop_the_program_is_refused_with_a_remedy(pattern: str) -> None:
    re.compile(pattern)
    reason = refused(pattern)
    assert reason is not None
    assert re.search("possessive|before it|at most|at least", reason)


@pytest.mark.parametrize("pattern", HARMLESS)
def test_what_is_harmless_is_taken(pattern: str) -> None:
    assert refused(pattern) is None


def test_the_corpora_are_as_large_as_is_promised() -> None:
    assert len(set(CATASTROPHIC)) >= 30
    assert len(set(HARMLESS)) >= 50


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "no regular expression"), ("[z-a]", "no regular expression"), (r"(?<=a+)b", "no regular expression"),
        ("", "empty text"), ("a*", "empty text"), (r"\d?", "empty text"), (r"(?=secret)", "without a character"),
        (r"\b", "without a character"), ("a" * 1_001, "1001 characters"), (r"a{1001}", "1001 times"),
        (r"(?:a{2,9}b){1,4000}", "4000 times"), ("(?:" * 50 + "ab" * 200 + ")" * 50, "too complicated"),
    ],
)  # fmt: skip
def test_what_else_is_refused_says_why(pattern: str, reason: str) -> None:
    assert reason in (refused(pattern) or "")


@pytest.mark.parametrize("pattern", ["(a+)+b", r"(a|a)*b", r".*.*=", r"(?:\w|\d\d)+x", r"\s+\s+$"])
def test_without_the_parser_of_the_standard_library_they_are_judged_by_their_text(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "parser", None)
    assert "cannot be judged" in (refused(pattern) or "")


@pytest.mark.parametrize("pattern", [r"EMP-\d+", r"[+*]{1,2}\(x", r"\d{3}-\d{4}", r"(?:a|b)c+", r"a++b++c"])
def test_without_the_parser_what_repeats_once_is_still_taken(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "parser", None)
    assert refused(pattern) is None


_ATOMS = st.sampled_from(["a", "b", "[ab]", ".", r"\w", "ab", r"\d", "(?:a|b)", "a?"])
_REPEATED = st.builds(
    lambda atom, mark: f"(?:{atom}){mark}", _ATOMS, st.sampled_from(["", "+", "*", "{2}", "{1,3}", "+?", "++"])
)
_PATTERNS = st.recursive(
    _REPEATED,
    lambda inner: st.one_of(
        st.builds("".join, st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda one, other: f"(?:{one}|{other})", inner, inner),
        st.builds(lambda one, mark: f"(?:{one}){mark}", inner, st.sampled_from(["+", "*", "{2,4}"])),
    ),
    max_leaves=4,
)


@given(_PATTERNS, st.sampled_from(["a", "b", "ab", "aab", "1"]))
def test_what_is_taken_is_quick(pattern: str, unit: str) -> None:
    """A few dozen characters are enough to tell what takes exponential time: it would not end."""
    pattern += "!"
    if refused(pattern) is None:
        compiled = re.compile(pattern)
        start = time.thread_time()
        compiled.match(unit * (200 // len(unit)))
        assert time.thread_time() - start < 1


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:" + "|".join(f"[a-{chr(98 + number % 20)}]+{number}" for number in range(90)) + ")+x",
        "".join(f"[a-z]{{{number},}}x" for number in range(1, 40)),
        "(" * 90 + "a" + ")+" * 90,
        "(a|b|c|d|e)*" * 50 + "f",
        r"(?:\w\W?\s?){1,900}" * 30 + "f",
    ],
    ids=range(5),
)
def test_judging_takes_less_than_a_few_seconds(pattern: str) -> None:
    start = time.thread_time()
    assert refused(pattern) is not None
    assert time.thread_time() - start < 5


# -- on texts made to be slow to search

_PUMPS = [
    "a",
    "1",
    "ab ",
    "a1",
    "-",
    "1,",
    "/a",
    '"',
    '\\"',
    "<",
    "[",
    "(",
    "=",
    "key=",
    "a@",
    "eyJ",
    " ",
    "\t",
    "x=y;",
]

_SEARCH = """
import json, re, sys, time
patterns, pumps, length = json.load(sys.stdin)
for pattern in patterns:
    compiled = re.compile(pattern)
    for pump in pumps:
        began = time.process_time()
        for _ in compiled.finditer((pump * length)[:length] + "!"):
            pass
        print(json.dumps([pattern, pump, time.process_time() - began]), flush=True)
"""


def _searched(patterns: list[str], length: int, patience: float) -> tuple[list[tuple[str, str, float]], bool]:
    """Search pump strings in a process of its own, where what does not end can be ended; return how long each took."""
    given_to_it = json.dumps([patterns, _PUMPS, length])
    process = subprocess.Popen(
        [sys.executable, "-c", _SEARCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=unmeasured()
    )
    try:
        out, _ = process.communicate(given_to_it, timeout=patience)
        ended = True
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
        ended = False
    return [tuple(json.loads(line)) for line in out.splitlines()], ended


def test_se14_what_is_taken_searches_every_pump_string_in_a_moment() -> None:
    """`re` holds the interpreter's lock: what does not end stops all tasks and threads, and is seen from outside."""
    taken, ended = _searched(HARMLESS, 1_024, patience=100)
    assert ended, taken[-1:]
    assert len(taken) == len(HARMLESS) * len(_PUMPS)
    assert {(pattern, pump): seconds for pattern, pump, seconds in taken if seconds > 1} == {}


@pytest.mark.parametrize("pattern", [r"(a+)+b", r"(a|aa)+$", r"(?:[ab]x?|[bc]x?)*a(a+)+d"])
def test_se14_a_search_that_does_not_end_is_seen_from_outside(pattern: str) -> None:
    _, ended = _searched([pattern], 64, patience=1)
    assert not ended
    assert refused(pattern) is not None


@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_se14_what_can_stop_the_program_is_refused_wherever_settings_take_a_pattern(pattern: str) -> None:
    wrong: dict[str, tuple[type[Any], dict[str, Any]]] = {
        "patterns.own": (RedactConfig, {"patterns": {"own": pattern}}),
        "drop": (ExpressionConfig, {"drop": f"message matches {json.dumps(pattern)}"}),
    }
    for named, (config, values) in wrong.items():
        with pytest.raises(ConfigurationError) as caught:
            config(**values)
        assert named in str(caught.value)
