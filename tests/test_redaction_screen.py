"""The screen lets pass only what the redactor would not change, and does so in C as in Python."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog import LogEvent
from fapilog._accelerated import accelerator
from fapilog.event import NO_EXTRAS, Ambient, Extras, Origin, record_of
from fapilog.redactors import _screen
from fapilog.redactors._detectors import NAMES, text_finder
from fapilog.redactors._screen import CleanTexts, Screen, ScreenRules
from fapilog.redactors.redact import SensitiveDataRedactor
from fapilog.values import FrozenDict, freeze_metrics
from redaction_canaries import INNOCENT_VALUES, VALUES

needs_accelerator = pytest.mark.skipif(accelerator is None, reason="the package was built without a C compiler")

EVERYTHING = SensitiveDataRedactor.Config(
    presets=("gdpr_pii_uk", "hipaa_phi", "credentials", "pci_dss"), detectors=NAMES, keep=("support",)
)
PIECES = (
    "password", "token", "Card number", "cvv", "name", "author", "ssn", "phone", "nhs", "bearer", "Basic", "eyJhbGciOi",
    "ghp_", "AKIA", "sk_live_", "-----BEGIN PRIVATE KEY-----", "hooks.slack.com/", "webhook", "access_token$",
    "Q~", "1//0",
    "=", ":", ": ", "=>", " ", "  ", "\n", "\t", "'", '"', "`", ",", ";", "&", "?", "/", "//", "://", "@", "%40",
    "%3A", "%20",
    "%", "--", "-", "_", ".", "+", "(", ")", "[", "]", "{", "}", "<", ">", "\\", "\u200b", "\u00a0", "４", "＝", "ä",
    "日",
    "1", "12", "123", "4111", "1111", "4111111111111111", "536-90-4399", "GB82", "WEST", "AB123456C", "2026-11-28",
    "12:30", "::1", "10.0.0.1", "::", "fe80", "a", "b", "Zz", "x" * 15, "deadbeef", "R3dQ9xP0aLmN2vBt7YcW1eKs",
)  # fmt: skip
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.sampled_from([*INNOCENT_VALUES, *VALUES.values()]),
    st.text(max_size=12),
)
numbers = st.one_of(
    st.integers(),
    st.sampled_from([4111111111111111, 4111111111111112, 2**63, 2**64 - 1, 10**12, 10**19, -4111111111111111]),
)  # fmt: skip
leaves = st.one_of(
    texts, numbers, st.floats(), st.just(4111111111111111.0), st.none(), st.booleans(),
    st.sampled_from([datetime(2026, 1, 2, tzinfo=UTC), UUID(int=7), b"bytes", 1j, object()]),
)  # fmt: skip
keys = st.one_of(
    st.sampled_from(["password", "author", "name", "value", "key", "header", "values", "support", "id", "a"]), texts
)  # fmt: skip
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple), st.dictionaries(keys, inner, max_size=4).map(FrozenDict)
    ),
    max_leaves=8,
)
mappings = st.dictionaries(keys, trees, max_size=4)
extras = st.one_of(
    st.none(),
    st.just(NO_EXTRAS),
    st.builds(
        lambda tags, metrics, context, correlation_id: Extras(
            tags=FrozenDict(tags), metrics=freeze_metrics(metrics), context=FrozenDict(context),
            correlation_id=correlation_id,
        ),
        st.dictionaries(keys, texts, max_size=2), st.dictionaries(keys, st.floats(), max_size=2), mappings,
        st.one_of(st.none(), texts),
    ),
    st.just(Extras(exception=FrozenDict(type="ValueError", module="builtins", message="x"))),
    st.just("no extras"),
)  # fmt: skip
records = st.tuples(
    st.just(1), st.just(20), texts, mappings,
    st.builds(lambda logger, bound: Origin(logger, "", "c", FrozenDict(bound)), texts, mappings),
    st.builds(lambda values, number: Ambient(FrozenDict(values), number), mappings, texts), texts, extras,
)  # fmt: skip


def event_of(record: Any, context: Any) -> LogEvent:
    event = LogEvent.from_record(record)
    event._context = context
    return event


items = st.lists(
    st.one_of(
        records,
        st.builds(event_of, records, st.one_of(st.none(), mappings, mappings.map(FrozenDict))),
        st.sampled_from([None, (1, 2), "text"]),
    ),
    max_size=4,
)


def python_screen(redactor: SensitiveDataRedactor) -> Screen:
    engine = redactor._engine
    return Screen(
        ScreenRules(text_finder(NAMES).screen, cards=True, longest=16_384),
        engine.verdicts,
        CleanTexts(engine.texts.holds),
    )


@needs_accelerator
@pytest.mark.parametrize(
    "text", ["cvv2:123", "pin-00:30", "at 12:30:45", "T12:30", "password -> x", "password＝x", "naïve: 1"]
)
def test_a_colon_and_what_is_like_it_is_judged_as_in_python(text: str) -> None:
    redactor = SensitiveDataRedactor()
    assert redactor._engine.screen.text(text) is python_screen(redactor).text(text) is text.startswith(("cvv", "p"))


@needs_accelerator
@given(texts)
def test_a_text_is_judged_as_in_python(text: str) -> None:
    redactor = SensitiveDataRedactor(EVERYTHING)
    assert redactor._engine.screen.text(text) is python_screen(redactor).text(text)


@needs_accelerator
@pytest.mark.parametrize(
    "text", ["x" * 20_000, "a: " * 7_000, "é " * 10_000, "password=x " * 2_000, "4111 1111 " * 2_000]
)
def test_a_text_that_is_too_long_to_be_searched_is_judged_as_in_python(text: str) -> None:
    redactor = SensitiveDataRedactor()
    assert redactor._engine.screen.text(text) is python_screen(redactor).text(text) is (text[0] not in "xé")


@needs_accelerator
@given(items, mappings)
def test_events_are_judged_as_in_python(items: list[Any], known: dict[str, Any]) -> None:
    redactor = SensitiveDataRedactor(EVERYTHING)
    for key in ("password", "author", "name", "value", "key", "header", "values", "support", "id", "a", *known):
        redactor._engine.verdict(key)
    assert redactor.screen(items) == python_screen(redactor)(items)


@given(records)
def test_what_passes_would_not_be_changed(record: Any) -> None:
    redactor = SensitiveDataRedactor(EVERYTHING)
    for mapping in (record[3], record[4].bound, record[5].values, getattr(record[7], "context", {})):
        for key in mapping:
            redactor._engine.verdict(key)
    if redactor.screen([record]) == []:
        event = LogEvent.from_record(record)
        redactor.redact(event)
        clean = record_of(event)
        assert clean[2:4] == record[2:4] or repr(clean[2:4]) == repr(record[2:4])
        assert clean[4] is record[4]
        assert clean[5] is record[5]
        assert clean[6] == record[6]
        assert redactor.counts == {}


def test_in_python_alone_the_redactor_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_screen, "accelerator", None)
    redactor = SensitiveDataRedactor()
    assert type(redactor._engine.screen) is Screen
    for text in [*VALUES.values(), *INNOCENT_VALUES]:
        assert redactor.redact_text(text) == SensitiveDataRedactor().redact_text(text)


def test_keys_become_known_and_then_pass() -> None:
    redactor = SensitiveDataRedactor()
    record: Any = (1, 20, "done", {"status": 200, "path": "/"}, Origin("", "", ""), Ambient(), "main", None)
    assert redactor.screen([record, record]) == [0, 1]
    redactor.redact(LogEvent.from_record(record))
    assert redactor.screen([record, record]) == []


def test_what_is_known_is_bounded() -> None:
    redactor = SensitiveDataRedactor()
    engine = redactor._engine
    for number in range(10_000):
        engine.verdict(f"key_{number}")
        engine.screen.text(f"text: {number}")
    assert len(engine.verdicts) <= 4096
    redactor.redact_text("x" * 70_000)


@needs_accelerator
def test_an_error_while_a_text_is_judged_gets_out() -> None:
    redactor = SensitiveDataRedactor()

    def broken(text: str) -> bool:
        raise RuntimeError("broken")

    engine = redactor._engine
    texts = CleanTexts(broken)
    screen = _screen.make_screen(ScreenRules(lambda _: True, cards=True, longest=16_384), engine.verdicts, texts)
    record: Any = (1, 20, "done", {}, Origin("", "", ""), Ambient(), "main", None)
    with pytest.raises(RuntimeError, match="broken"):
        screen([record])
