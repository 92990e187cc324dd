"""No canary gets out, whatever it is called, wherever it stands, whatever is beside it; what is innocent stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fapilog
from fapilog import LogEvent, Settings
from fapilog.cli import main
from fapilog.diagnostics import Diagnostics
from fapilog.event import Ambient, Extras, Origin, Record, record_of
from fapilog.formats import make_formatters
from fapilog.plugins import Batch
from fapilog.redactors.redact import SensitiveDataRedactor
from fapilog.shown import show
from fapilog.sinks.memory import MemorySink
from fapilog.tracebacks import describe_exception
from fapilog.values import freeze_mapping, freeze_tags
from redaction_canaries import (
    INNOCENT_NAMES,
    INNOCENT_VALUES,
    LEAKS,
    NAMED_PLACES,
    NAMES,
    ODD,
    SECRET,
    TEXT_PLACES,
    VALUE_PLACES,
    VALUES,
)

FORMATTERS = make_formatters()
ODD_VALUES = list(ODD.values())


class Canary:
    """One secret in one place."""

    def __init__(self, name: str, told: dict[str, Any], leaks: tuple[str, ...], odd: int) -> None:
        self.name = name
        self.told = told
        self.leaks = leaks
        beside = ODD_VALUES[odd % len(ODD_VALUES)]
        self.fields = {"before": beside(), **told.get("fields", {}), "after": beside()}

    def record(self) -> Record:
        told = self.told
        error = told.get("exc_info")
        context = told.get("context", {})
        exception = None if error is None else describe_exception(error)
        return (
            1_700_000_000_000_000_000, 20, told.get("message", "plain"), freeze_mapping(self.fields),
            Origin("shop", "", "c-1", freeze_mapping(told.get("bound"))),
            Ambient(freeze_mapping(context), context.get("correlation_id", "")), told.get("task", "main"),
            Extras(tags=freeze_tags(told.get("tags")), exception=exception),
        )  # fmt: skip

    def is_in(self, text: str) -> bool:
        return any(leak in text for leak in self.leaks)


def canaries() -> Iterator[Canary]:
    for odd, (place_name, place) in enumerate({**NAMED_PLACES, **TEXT_PLACES}.items()):
        for number, name in enumerate(NAMES):
            yield Canary(f"{place_name}: {name}", place(name, SECRET), ("plover9", "Kn4ry"), odd * 7 + number)
    for odd, (place_name, place_of) in enumerate(VALUE_PLACES.items()):
        for number, (kind, value) in enumerate(VALUES.items()):
            yield Canary(f"{place_name}: {kind}", place_of(value), LEAKS[kind], odd * 5 + number)


CANARIES = list(canaries())
SOME = CANARIES[::11]


def written(record: Record) -> str:
    return "".join(formatter.format_batch([record], 1).decode() for formatter in FORMATTERS.values())


def cleaned(redactor: SensitiveDataRedactor, record: Record) -> Record:
    if not redactor.screen([record]):
        return record
    event = LogEvent.from_record(record)
    redactor.redact(event)
    return record_of(event)


def test_there_are_enough_of_them() -> None:
    assert len(CANARIES) >= 1500
    assert len(INNOCENT_NAMES) + len(INNOCENT_VALUES) >= 60


def test_each_would_be_seen_without_the_redactor() -> None:
    hidden = [canary.name for canary in SOME if not canary.is_in(written(canary.record()))]
    assert hidden == []


@pytest.mark.untraced
def test_none_gets_out_in_any_format() -> None:
    redactor = SensitiveDataRedactor()
    assert [canary.name for canary in CANARIES if canary.is_in(written(cleaned(redactor, canary.record())))] == []


async def test_none_gets_out_of_a_container_nor_of_its_fallback_sink(capfd: pytest.CaptureFixture[str]) -> None:
    class Failing:
        def write(self, batch: Batch) -> None:
            raise fapilog.PermanentSinkError(f"cannot write {batch.encoded().decode()[:4000]}")

    memory = MemorySink(MemorySink.Config(max_events=len(SOME)))
    settings = {
        "redactors": ["redact"],
        "queue_max_size": 2 * len(SOME),
        "plugin_config": {"Failing": {"fallback": "memory"}},
    }
    async with fapilog.container(settings, sinks=[Failing(), memory]) as log:
        for canary in SOME:
            told = canary.told
            with log.context(**told.get("context", {})):
                await log.bind(**told.get("bound", {})).info(
                    told.get("message", "plain"),
                    tags=told.get("tags"),
                    exc_info=told.get("exc_info"),
                    **canary.fields,
                )
    assert len(memory.events) == len(SOME)
    lines = ["".join(each.format(event).decode() for each in FORMATTERS.values()) for event in memory.events]
    assert [canary.name for canary, line in zip(SOME, lines, strict=True) if canary.is_in(line)] == []
    said = capfd.readouterr().err
    assert "cannot write" in said
    assert [canary.name for canary in SOME if canary.is_in(said)] == []


def test_none_gets_out_in_a_diagnostic() -> None:
    lines: list[str] = []
    diagnostics = Diagnostics("c-1", interval=0.0, write=lines.append)
    diagnostics.redact = SensitiveDataRedactor().redact_text
    told = [(name, f"sink failed: {name}={SECRET}", "plover9") for name in NAMES]
    told += [(name, f"sink failed: {{'{name}': '{SECRET}'}}", "plover9") for name in NAMES]
    told += [(kind, f"sink failed: ValueError: saw {value} today", LEAKS[kind][0]) for kind, value in VALUES.items()]
    for _, message, _ in told:
        diagnostics.error("sink", message)
    assert len(lines) == len(told)
    assert [name for (name, _, leak), line in zip(told, lines, strict=True) if leak in line] == []


def test_none_gets_out_of_the_command_that_tries_the_redactor_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = [FORMATTERS["json"].format_batch([canary.record()], 1).decode() for canary in SOME]
    texts = [f"{name}={SECRET}\n" for name in NAMES] + [value.replace("\n", " ") + "\n" for value in VALUES.values()]
    file = tmp_path / "events.log"
    file.write_text("".join(raw + texts), encoding="utf-8", errors="backslashreplace")
    assert main(["redact", "test", str(file), "--clean"]) == 0
    shown = capsys.readouterr().out
    assert [canary.name for canary in SOME if canary.is_in(shown)] == []
    assert "plover9" not in shown


@pytest.mark.parametrize("name", NAMES)
def test_none_is_shown_by_the_settings_or_their_errors(name: str) -> None:
    settings = Settings(plugin_config={"sink": {name: SECRET}})
    assert "plover9" not in repr(settings)
    assert "plover9" not in show({name: SECRET, "nested": [{name: SECRET}]})
    with pytest.raises(fapilog.ConfigurationError) as caught:
        fapilog.AsyncLoggingContainer({"sinks": ["null"], "plugin_config": {"null": {name: SECRET}}})
    assert "plover9" not in str(caught.value)


def test_a_sink_and_a_redactor_do_not_show_their_secrets() -> None:
    config = SensitiveDataRedactor.Config(action="pseudonym", pseudonym_key=SECRET * 2)
    assert "plover9" not in repr(config)
    assert "plover9" not in repr(SensitiveDataRedactor(config))


@pytest.mark.parametrize("name", INNOCENT_NAMES)
def test_an_innocent_name_is_left_alone(name: str) -> None:
    record = Canary(name, {"fields": {name: "plain text", "nested": [{name: "text"}]}}, (), 0).record()
    assert SensitiveDataRedactor().examine(record[3]) == (record[3], [])


@pytest.mark.parametrize("value", INNOCENT_VALUES)
def test_an_innocent_value_is_left_alone(value: str) -> None:
    record = Canary("", {"message": value, "fields": {"note": value, "list": [value, value]}}, (), 0).record()
    redactor = SensitiveDataRedactor()
    assert redactor.examine(record[3]) == (record[3], [])
    assert redactor.redact_text(value) == value
    assert json.loads(json.dumps(cleaned(redactor, record)[2])) == value
