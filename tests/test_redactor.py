"""The redactor: names, actions, limits, what it does when it cannot, and what it tells."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog import ConfigurationError, LogEvent
from fapilog._names import SensitiveNames, words_of
from fapilog.errors import PermanentSinkError
from fapilog.event import Record
from fapilog.pipeline.steps import WITHHELD
from fapilog.plugins import Batch
from fapilog.redactors import Sensitive, _pass
from fapilog.redactors._presets import PRESETS, resolved
from fapilog.redactors.redact import SensitiveDataRedactor
from fapilog.sinks.memory import MemorySink
from fapilog.values import freeze, text


def redactor(**settings: Any) -> SensitiveDataRedactor:
    return SensitiveDataRedactor(SensitiveDataRedactor.Config(**settings))


def redacted(event: LogEvent, **settings: Any) -> LogEvent:
    redactor(**settings).redact(event)
    return event


def fields(given: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return redacted(LogEvent("m", fields=given), **settings).fields


# -- names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("user_password", ["user", "password"]), ("accessToken", ["access", "token"]),
        ("X-API-Key", ["x", "api", "key"]),
        ("APIKey", ["api", "key"]), ("a.b", ["a", "b"]), ("cvv2", ["cvv", "2"]), ("", []),
        ("пароль_2", ["пароль", "2"]),
        ("ｐａｓｓ", ["pass"]), ("Straße", ["straße".casefold()]),
    ],
)  # fmt: skip
def test_a_name_has_words(name: str, words: list[str]) -> None:
    assert words_of(name) == words


def test_a_name_counts_where_its_words_stand_together() -> None:
    names = SensitiveNames(["employee_number", "пароль"], ["age"], kept=["test_employee_number"])
    sensitive = [
        "employee_number",
        "EmployeeNumber",
        "old-employee-number",
        "employeenumber",
        "employee numbers",
        "мой пароль",
    ]
    assert [name for name in sensitive if names.rule(name) is None] == []
    innocent = ["employee", "number", "employee_number_count", "test_employee_number", "manager"]
    assert [name for name in innocent if names.rule(name)] == []
    assert names.is_kept("TestEmployeeNumber")


def test_a_whole_name_counts_alone_or_behind_an_owner() -> None:
    names = SensitiveNames([], ["age"])
    assert all(names.rule(name) for name in ("age", "Age", "user_age", "customerAge", "age2"))
    assert not any(names.rule(name) for name in ("page", "message", "age_group", "cache_age", "usage"))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_name_of_a_preset_is_hidden_by_it(preset: str) -> None:
    names = resolved((preset,))
    given = dict.fromkeys((*names.fields, *names.whole_fields), "x1")
    assert set(fields(given, presets=(preset,)).values()) == {"***"}


def test_presets_inherit() -> None:
    assert {"phone_number", "iban", "national_insurance", "health_data"} <= set(resolved(("gdpr_pii_uk",)).fields)
    assert "uk_nino" in resolved(("gdpr_pii_uk",)).detectors
    assert resolved(()).fields == ()


# -- actions


CARD = "4111 1111 1111 1111"
KEY = "a key for the tests only"


@pytest.mark.parametrize(
    ("action", "by_name", "by_value"),
    [
        ("mask", {"token": "***"}, {"note": "card *** ok"}),
        ("last_four", {"token": "***7890"}, {"note": "card ***1111 ok"}),
        ("drop", {}, {}),
        ("truncate", {"token": "1234***"}, {"note": "card 4111*** ok"}),
    ],
)
def test_an_action(action: str, by_name: dict[str, str], by_value: dict[str, str]) -> None:
    assert fields({"token": "1234567890"}, action=action) == by_name
    assert fields({"note": f"card {CARD} ok"}, action=action) == by_value
    assert redacted(LogEvent(f"card {CARD} ok"), action="drop").message == "card  ok"


def test_what_is_short_is_hidden_whole() -> None:
    for action in ("last_four", "truncate"):
        assert fields({"token": "1234567", "secret": ["a", "b"]}, action=action) == {"token": "***", "secret": "***"}


def test_a_pseudonym_is_the_same_for_the_same_value_and_key() -> None:
    given = {
        "token": "abc",
        "other": {"access_token": "abc"},
        "message_token": "abcd",
        "number_token": 7,
        "secret": {"b": 1, "a": 2},
    }
    first = fields(given, action="pseudonym", pseudonym_key=KEY)
    again = fields(given, action="pseudonym", pseudonym_key=KEY)
    others = fields(given, action="pseudonym", pseudonym_key=KEY + "2")
    # HMAC-SHA-256 of "abc", cut to 32 hexadecimal digits.
    import hmac

    assert first["token"] == "hmac:" + hmac.new(KEY.encode(), b"abc", "sha256").hexdigest()[:32]
    assert first == again
    assert first["other"]["access_token"] == first["token"] != first["message_token"]
    assert others["token"] != first["token"]
    assert fields({"secret": {"a": 2, "b": 1}}, action="pseudonym", pseudonym_key=KEY)["secret"] == first["secret"]


def test_actions_by_name_and_by_detector() -> None:
    settings: dict[str, Any] = {"actions": {"cvv": "drop", "email": "last_four", "token": "truncate"}}
    given = {"card_cvv": "123", "note": "write to ann@example.com", "api_token": "x" * 9, "accessToken": "123456789"}
    assert fields(given, **settings) == {"note": "write to ***.com", "api_token": "***", "accessToken": "***"}
    spelled: dict[str, Any] = {"presets": ("contact_info",), "actions": {"E-Mail": "truncate"}}
    assert fields({"email": "ann@example.com"}, **spelled) == {"email": "ann@***"}


def test_the_mask_can_be_chosen() -> None:
    assert fields({"password": "x"}, mask="[hidden]") == {"password": "[hidden]"}


# -- what is looked at


def test_what_is_kept() -> None:
    settings: dict[str, Any] = {"keep": ("support_email", "token"), "keep_values": ("help@example.com",)}
    given = {
        "support_email": "ann@example.com", "token": "t", "note": "help@example.com or bob@example.com",
        "nested": {"token": {"password": "x"}},
    }  # fmt: skip
    assert fields(given, **settings) == {
        "support_email": "ann@example.com", "token": "t", "note": "help@example.com or ***",
        "nested": {"token": {"password": "***"}},
    }  # fmt: skip


def test_own_names_and_patterns() -> None:
    settings: dict[str, Any] = {"fields": ["employee_number"], "patterns": {"order": r"ORD-[0-9]{8}"}}
    given = {"employeeNumber": 4711, "note": "ORD-12345678 is late", "text": "employee number: 4711"}
    assert fields(given, **settings) == {"employeeNumber": "***", "note": "*** is late", "text": "employee number: ***"}
    one = redactor(**settings)
    one.redact(LogEvent("ORD-12345678 and ann@example.com"))
    assert one.counts == {"order": 1, "email": 1}


def test_numbers_of_cards() -> None:
    given = {"a": 4111111111111111, "b": 4111111111111111.0, "c": 4111111111111112, "d": 1732808251123456789, "e": 12}
    assert fields(given) == {**given, "a": "***", "b": "***"}
    assert fields(given, presets=("credentials",), detectors=()) == given


def test_a_key_that_is_sensitive_itself() -> None:
    found = fields({"ann@example.com": 1, "bob@example.com": 2, "plain": 3})
    assert found == {"***": 1, "*** #2": 2, "plain": 3}


def test_nothing_and_an_empty_text_are_left() -> None:
    assert fields({"password": None, "token": "", "secret": False}) == {"password": None, "token": "", "secret": "***"}


def test_a_measurement_that_is_hidden_is_left_out() -> None:
    event = redacted(LogEvent("m", metrics={"card_pin": 1234.0, "latency_ms": 1.5}, tags={"token": "x", "a": "b"}))
    assert event.metrics == {"latency_ms": 1.5}
    assert event.tags == {"token": "***", "a": "b"}


def test_json_that_is_clean_is_left_as_it_was_written() -> None:
    body = '{ "a" :  1.0, "b": [ ] }'
    assert fields({"body": body}) == {"body": body}
    assert fields({"body": '{ "a" :  1.0, "pin": 1 }'}) == {"body": '{"a":1.0,"pin":"***"}'}


# -- limits


def test_what_is_beyond_a_limit_is_hidden_and_counted() -> None:
    one = redactor(longest_text=256, deepest=2, most_values=16)
    long = "call " * 100 + "token=abc"
    event = LogEvent("m", fields={"long": long, "deep": {"a": {"b": {"c": 1}}}, "many": [{"n": n} for n in range(20)]})
    one.redact(event)
    assert "abc" not in event.fields["long"]
    assert event.fields["long"].endswith(" ***")
    assert event.fields["deep"] == {"a": "***"}
    assert "***" in event.fields["many"]
    assert one.counts["length_limit"] == 1
    assert one.counts["depth_limit"] > 1
    assert one.counts["items_limit"] > 1


def test_a_long_text_that_is_clean_passes_whole() -> None:
    long = "all is well " * 5000
    assert fields({"note": long}) == {"note": long}


def test_what_the_time_does_not_suffice_for_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(_pass, "perf_counter", lambda: float(next(now)))
    one = redactor(time_limit=3.5)
    event = LogEvent("one", fields={"a": "two", "b": "three", "c": "four", "d": 5})
    one.redact(event)
    # The clock is read once for the start, and once for each text.
    assert event.message == "one"
    assert event.fields == {"a": "two", "b": "three", "c": "***", "d": 5}
    assert one.counts["time_limit"] >= 1


def test_a_part_that_fails_is_hidden_and_the_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    one = redactor()
    find = one._engine.texts.find

    def failing(text: str) -> Any:
        if "boom" in text:
            raise ValueError("cannot")
        return find(text)

    monkeypatch.setattr(one._engine.texts, "find", failing)
    event = LogEvent("boom@x", fields={"a": "boom=1", "b": "plain", "c": {"d": "boom: 2", "e": 1}})
    one.redact(event)
    assert event.message == "***"
    assert event.fields == {"a": "***", "b": "plain", "c": {"d": "***", "e": 1}}
    assert one.counts["error"] >= 2


def test_what_is_no_frozen_tree_is_hidden() -> None:
    from fapilog.values import FrozenDict

    one = redactor()
    clean, hits = one.examine(FrozenDict(a=object(), b=b"x", c={1}, d=1))
    assert clean == {"a": "***", "b": "***", "c": "***", "d": 1}
    assert [hit.kind for hit in hits] == ["unknown_type"] * 3


LEAVES = st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.binary())


@given(st.recursive(LEAVES, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)), max_leaves=12))
def test_any_value_is_redacted_without_raising_and_twice_is_as_once(value: Any) -> None:
    one = redactor()
    clean, _ = one.examine(freeze(value))
    assert one.counts.get("error", 0) == 0
    again, _ = one.examine(clean)
    assert again == clean or repr(again) == repr(clean)


# -- settings


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"presets": ["gdpr"]}, "presets[0]"),
        ({"detectors": ["emial"]}, "detectors[0]"),
        ({"fields": ["4"]}, "fields[0]"),
        ({"patterns": {"a": "(a+)+b"}}, "patterns.a"), ({"patterns": {"a": "("}}, "patterns.a"),
        ({"patterns": {"a": "x*"}}, "patterns.a"), ({"patterns": {"email": "x"}}, "patterns.email"),
        ({"action": "pseudonym"}, "pseudonym_key"), ({"pseudonym_key": "short"}, "pseudonym_key"),
        ({"actions": {"a": "hide"}}, "actions.a"), ({"mask": "x" * 100}, "mask"), ({"deepest": 0}, "deepest"),
        ({"time_limit": 0}, "time_limit"), ({"keep": "a"}, "keep"),
        ({"actions": []}, "actions"),
        ({"patterns": {"a": 1}}, "patterns.a"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(settings: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        redactor(**settings)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_a_wrong_setting_is_named_by_the_container_with_its_path() -> None:
    with pytest.raises(ConfigurationError) as caught:
        fapilog.AsyncLoggingContainer(
            {"redactors": ["redact"], "plugin_config": {"redact": {"patterns": {"a": "(a+)+b"}, "fild": 1}}}
        )
    text = str(caught.value)
    assert "plugin_config.redact.fild" in text


# -- in a container


async def test_events_of_all_kinds_are_redacted_in_a_container() -> None:
    def enrich(event: LogEvent) -> dict[str, str]:
        return {"host": "h-1", "token": "abc"}

    for enrichers in ([], [enrich]):
        memory = MemorySink()
        async with fapilog.container({"redactors": ["redact"]}, sinks=[memory], enrichers=enrichers) as log:
            await log.info("clean", a=1)
            with log.context(password="x", request_id="r-1"):
                await log.bind(api_key="k", shop=1).info("hit", user="ann@example.com", n=1)
            await log.info("clean", a=2)
        assert memory.messages == ("clean", "hit", "clean")
        assert [event.sequence for event in memory.events] == [1, 2, 3]
        added = {"host": "h-1", "token": "***"} if enrichers else {}
        assert memory.events[1].fields == {"user": "***", "n": 1}
        assert memory.events[1].context == {
            "password": "***",
            "request_id": "r-1",
            "api_key": "***",
            "shop": 1,
            **added,
        }
        assert memory.events[2].context == added
        counts = log.container.metrics_collector.snapshot().redacted["redact"]
        assert counts["email"] == counts["name:password"] == 1


async def test_a_redactor_that_raises_withholds_the_event_and_is_counted() -> None:
    class Raising:
        def screen(self, items: Any) -> list[int]:
            return list(range(len(items)))

        def redact(self, event: LogEvent) -> None:
            raise RuntimeError("cannot")

    memory = MemorySink()
    async with fapilog.container(sinks=[memory], redactors=[Raising()]) as log:
        with log.context(password="x"):
            await log.bind(token="y").info("secret", tags={"a": "b"}, x=1)
    (event,) = memory.events
    assert (event.message, event.fields, event.context, event.tags) == (WITHHELD, {}, {}, {})
    assert log.container.metrics_collector.snapshot().withheld == {"Raising": 1}


@pytest.mark.parametrize("answer", [None, (0,), [5], [-1], ["0"], [True], RuntimeError("cannot")], ids=repr)
async def test_a_screen_that_cannot_be_trusted_lets_nothing_pass(answer: Any) -> None:
    class Odd:
        def screen(self, items: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        def redact(self, event: LogEvent) -> None:
            event.message = "clean"

    memory = MemorySink()
    async with fapilog.container(sinks=[memory], redactors=[Odd()]) as log:
        await log.info("secret")
    assert memory.messages == ("clean",)
    assert log.container.metrics_collector.snapshot().plugin_errors == {"Odd": 1}


async def test_only_what_the_screen_points_out_is_seen_by_the_redactor() -> None:
    seen: list[str] = []

    class Choosing:
        def screen(self, items: list[Record]) -> list[int]:
            return [position for position, item in enumerate(items) if item[2] == "b"]

        def redact(self, event: LogEvent) -> None:
            seen.append(event.message)
            event.add(context={"looked": True})

    memory = MemorySink()
    async with fapilog.container(sinks=[memory], redactors=[Choosing()]) as log:
        for message in "abc":
            log.nowait.info(message)
    assert memory.messages == ("a", "b", "c")
    assert seen == ["b"]
    assert [event.context for event in memory.events] == [{}, {"looked": True}, {}]


# -- Sensitive


def test_a_sensitive_value_is_never_shown() -> None:
    mark = Sensitive("hunter2")
    assert mark.reveal() == "hunter2"
    assert f"{mark} {mark!r} {mark!s} {mark:>5}" == "*** *** *** ***"
    assert "hunter2" not in f"{[mark]} { ({1: mark}) } {ValueError(mark)}"
    assert text(mark) == "***"
    assert mark == Sensitive("hunter2") != Sensitive("x")
    assert hash(mark) == hash(Sensitive("hunter2"))
    assert mark != "hunter2"
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="reveal"):
            make(mark)


async def test_a_sensitive_value_is_hidden_without_any_redactor() -> None:
    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log:
        with log.context(c=Sensitive("hunter2")):
            try:
                raise ValueError(Sensitive("hunter2"))
            except ValueError:
                await log.exception(
                    "x", a=Sensitive("hunter2"), b=[{"c": Sensitive(2)}], d={Sensitive("hunter2"): 1},
                    tags={"t": Sensitive("hunter2")},
                )  # fmt: skip
    (event,) = memory.events
    assert event.fields == {"a": "***", "b": ({"c": "***"},), "d": {"***": 1}}
    assert event.context == {"c": "***"}
    assert event.tags == {"t": "***"}
    assert event.exception is not None
    assert event.exception["message"] == "***"


async def test_what_the_container_tells_of_a_failing_sink_is_redacted_too(capfd: pytest.CaptureFixture[str]) -> None:
    def write(batch: Batch) -> None:
        raise PermanentSinkError("no mailbox for user@example.com")

    async with fapilog.container({"redactors": ["redact"]}, sinks=[write]) as log:
        await log.info("a")
    said = capfd.readouterr().err
    assert "no mailbox for" in said
    assert "user@example.com" not in said
