"""Expressions on events: what they mean, what is refused and where, and that they never raise."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog import FapilogError, LogEvent
from fapilog.plugins.expressions import DEEPEST, LONGEST, ExpressionError, compiled
from fapilog.plugins.patterns import LONGEST_MATCHED, LONGEST_PATTERN, refused

EVENT = LogEvent(
    "payment timeout",
    "WARNING",
    source="shop",
    severity=6,
    logger="app.pay",
    task="worker-1",
    correlation_id="c-1",
    tags={"team": "pay"},
    context={"user": {"id": 7, "roles": ["admin", "ops"]}},
    metrics={"latency_ms": 250.5},
    fields={
        "status": 503,
        "ok": False,
        "on": True,
        "one": 1,
        "path": "/v1/pay",
        "http.status": 200,
        "empty": "",
        "no": None,
    },
    exception={"type": "ValueError"},
)


@pytest.mark.parametrize(
    "text",
    [
        "level >= warning",
        "level == WARNING",
        'level == "warning"',
        "level < error",
        "info < level",
        "level > 20",
        "level in [info, warning]",
        'level in ["WARN", critical]',
        "level not in [debug, info]",
        "level != error",
        'message == "payment timeout"',
        "message contains 'timeout'",
        "'timeout' in message",
        "message startswith 'pay' and message endswith 'out'",
        r"message matches '^pay\w+ t'",
        "severity >= 6 and severity < 7",
        "source == 'shop'",
        "logger startswith 'app.'",
        "task == 'worker-1'",
        "correlation_id == 'c-1'",
        "tags.team == 'pay'",
        "'team' in tags",
        "tags contains 'team'",
        "context.user.id == 7",
        "context.user.roles contains 'ops'",
        "'admin' in context.user.roles",
        "metrics.latency_ms > 250 and metrics.latency_ms == 250.5",
        "fields.status == 503",
        "status == 503.0",
        "503 == status",
        "500 <= status",
        "status in [502, 503]",
        "status not in [200]",
        "path in ['/v1/pay', none]",
        'fields."http.status" == 200',
        "exists status and exists(context.user) and not exists missing and not exists no",
        "missing == none and no == none and missing != 1",
        "missing in [none]",
        "ok == false and on == true and on != 1 and one != true",
        "on in [true] and one not in [true] and on not in [1]",
        "on and not ok and not empty and not missing and message",
        "status == status and on != one",
        "exception.type == 'ValueError'",
        "true == true",
        "ok or on",
        "ok or empty or on",
        "ok and on or on and (ok or on) and on",
        "NOT ok AND (ok OR on)",
        "not (ok or empty)",
        "not not on",
        "context.user.roles == ['admin', 'ops']",
        "fields.in == none",
    ],
)
def test_holds(text: str) -> None:
    assert compiled(text)(EVENT) is True
    assert compiled(f"not ({text})")(EVENT) is False


@pytest.mark.parametrize(
    "text",
    [
        "level >= error",
        "status == '503'",
        "status < 'a'",
        "status > none",
        "missing < 1",
        "missing >= none",
        "on >= 0",
        "path > 1",
        "path > status",
        "status <= path",
        "missing < on",
        "status contains 5",
        "status startswith '5'",
        "path startswith 5",
        "path endswith none",
        "status matches '5'",
        "path contains 1",
        "1 in path",
        "context.user.roles contains true",
        "context.user.id.deeper == 7",
        "message in ['payment']",
        "correlation_id in []",
        "on and ok and on",
        "ok or empty",
        "ok or empty or no",
    ],
)
def test_does_not_hold(text: str) -> None:
    assert compiled(text)(EVENT) is False


def test_the_exception_of_an_event_without_one_has_no_parts() -> None:
    condition = compiled("exception.type == none and not exists exception")
    assert condition(LogEvent("m"))
    assert not condition(EVENT)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 1, "empty"),
        ("   ", 1, "empty"),
        ("level", 1, "every event has a level"),
        ("level >=", 9, "expected a name or a literal, found the end"),
        ("status = 5", 8, "write '=='"),
        ("a && b", 3, "write 'and'"),
        ("a == null", 6, "write 'none'"),
        ("level >= wraning", 10, "did you mean"),
        ("level >= fields.x", 10, "no level"),
        ("level == level", 1, "no level"),
        ("level in warning", 10, "list of levels"),
        ("level contains 'a'", 7, "compared with"),
        ("message.x == 1", 1, "has no parts"),
        ("fields. == 1", 9, "after the dot"),
        ("fields.'a' fields", 12, "expected 'and'"),
        ("(a", 3, "expected ')'"),
        ("a)", 2, "expected 'and'"),
        ("(a) == 1", 5, "expected 'and'"),
        ("1 < a < 3", 7, "no chain"),
        ("a == 'x", 6, "has no end"),
        ("a == 1x", 6, "no number"),
        ("a == 1.", 6, "no number"),
        ("a == 1e999", 6, "too large"),
        ("a == " + "9" * 41, 6, "at most 40"),
        ("a # b", 3, "'#' is not known"),
        ("request-id == 1", 8, "in quotes"),
        ("5", 2, "expected an operator"),
        ("a in [b]", 7, "a list holds literals"),
        ("a in [1", 8, "expected ']'"),
        ("a in [[1]]", 7, "end of the list"),
        ("a not b", 7, "expected 'in'"),
        ("exists 5", 8, "only a name"),
        ("a matches b", 11, "in quotes"),
        ("a matches '('", 11, "no regular expression"),
        ("a matches '(a+)+$'", 11, "repetition"),
        ("(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1), DEEPEST + 1, "inside each other"),
        ("not " * (DEEPEST + 1) + "a", 4 * DEEPEST + 1, "inside each other"),
        ("a " * LONGEST, LONGEST + 1, "at most 4096"),
    ],
)
def test_tells_what_is_wrong_and_where(text: str, position: int, reason: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compiled(text)
    assert caught.value.position == position
    assert reason in caught.value.reason
    assert str(caught.value) == f"{caught.value.reason}, at character {position}"
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, FapilogError)


def test_a_secret_in_a_mistaken_expression_is_not_shown() -> None:
    with pytest.raises(ExpressionError) as caught:
        compiled("a == 1 'password=hunter2'")
    assert "hunter2" not in str(caught.value)


def test_as_deep_and_as_long_as_allowed() -> None:
    assert compiled("(" * DEEPEST + "on" + ")" * DEEPEST)(EVENT)
    many = " and ".join(["on"] * (LONGEST // 7))
    assert len(many) <= LONGEST
    assert compiled(many)(EVENT)


def test_a_pattern_is_refused_by_whoever_is_asked() -> None:
    with pytest.raises(ExpressionError, match="not today"):
        compiled("a matches 'x'", refuse_pattern=lambda pattern: "not today")


def test_a_pattern_sees_the_first_part_of_a_text_only() -> None:
    condition = compiled("message matches 'end'")
    assert condition(LogEvent("x" * (LONGEST_MATCHED - 3) + "end"))
    assert not condition(LogEvent("x" * (LONGEST_MATCHED - 2) + "end"))


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a*)*b",
        "(a|a)*",
        "((a+))+",
        "(?:a{2,})*",
        "(a?){30}",
        r"(\w+\s?)+",
        r"(a+)\1+b",
        "(?P<n>a+)(?P=n)+b",
        "([)]+)+",
    ],
)
def test_refuses_patterns_that_may_take_exponential_time(pattern: str) -> None:
    assert refused(pattern) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        "a+b*c?",
        r"^\d{3}-\d{4}$",
        "(abc)+",
        "(?i:error|warning)",
        "[(+*)]+",
        r"\(a+\)+",
        "(?P<n>[a|b]+)x",
        "[]+]+",
        "a{,}",
        "(a+)?",
        "([]+])+",
    ],
)
def test_lets_other_patterns_pass(pattern: str) -> None:
    assert refused(pattern) is None


def test_refuses_what_is_no_pattern_or_too_long() -> None:
    assert "no regular expression" in (refused("(") or "")
    assert "at most" in (refused("a" * (LONGEST_PATTERN + 1)) or "")


PIECES = [
    *("level", "message", "fields", "tags", "exception", "x", "warning", "true", "none", "'a'", '"b', "1", "-", "€"),
    *("==", "!=", "<", ">=", "=", "in", "not", "and", "or", "exists", "matches", "contains", "startswith"),
    *("(", ")", "[", "]", ",", ".", "\\", " "),
]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.datetimes()
    | st.just(datetime.now(UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyab"), inner, max_size=3),
    max_leaves=6,
)
OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "startswith", "endswith"]


@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join)
    | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
    | st.text(max_size=40)
)
def test_any_text_is_an_expression_or_an_error_that_tells_where(text: str) -> None:
    position, holds = 1, False
    try:
        holds = compiled(text)(EVENT)
    except ExpressionError as error:
        position = error.position
    assert 1 <= position <= len(text) + 1
    assert type(holds) is bool


@given(
    st.dictionaries(st.sampled_from("xy"), VALUES),
    st.sampled_from(OPERATORS),
    st.sampled_from(["y", "1", "'a'", "true", "none", "[1, 'a', none]", "fields"]),
)
def test_comparing_any_values_never_raises(fields: dict[str, Any], sign: str, right: str) -> None:
    event = LogEvent("m", fields=fields)
    assert type(compiled(f"x {sign} {right}")(event)) is bool
    assert type(compiled(f"{right} {sign} x")(event)) is bool


@given(st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20))
def test_a_literal_means_the_value_it_was_written_from(value: Any) -> None:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        literal = f'"{escaped}"'
    else:
        literal = str(value).lower()
    event = LogEvent("m", fields={"x": value})
    assert compiled(f"x == {literal}")(event)
    assert compiled(f"x in [{literal}]")(event)
    assert not compiled(f"x != {literal}")(event)


@given(st.text(string.ascii_letters + '."\\', min_size=1, max_size=8))
def test_any_key_can_be_written(key: str) -> None:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    assert compiled(f'fields."{escaped}" == 1')(LogEvent("m", fields={key: 1}))
