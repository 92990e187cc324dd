"""Redactors of one sink: what they change, what they leave alone, and that they fail closed."""

from __future__ import annotations

from typing import Any

import pytest

import fapilog
from fapilog import ConfigurationError, DrainReport, LogEvent, PluginError, PluginMetadata, PluginRegistry, PluginType
from fapilog.errors import PermanentSinkError, TransientSinkError
from fapilog.plugins import Batch
from fapilog.testing import RecordingSink

WITHHELD = "[withheld: redaction failed]"


class Mask:
    """Masks the field ``secret``, and fails on an event that says so."""

    metadata = PluginMetadata(name="mask", version="1", plugin_type=PluginType.REDACTOR)

    def __init__(self) -> None:
        self.seen: list[str] = []

    def redact(self, event: LogEvent) -> None:
        self.seen.append(event.message)
        if event.message == "fail":
            raise RuntimeError("no idea")
        event.fields = {**event.fields, "secret": f"{event.fields.get('secret', '')}*"}


class Later:
    """An asynchronous redactor."""

    async def redact(self, event: LogEvent) -> None:
        event.fields = {}


def general(event: LogEvent) -> None:
    """Redact for every sink."""
    event.fields = {**event.fields, "secret": f"{event.fields['secret']}+"}


def registry() -> tuple[PluginRegistry, list[Mask]]:
    """Return a registry with the redactors, and where those that it makes are found."""
    made: list[Mask] = []

    def make() -> Mask:
        made.append(Mask())
        return made[-1]

    known = PluginRegistry()
    known.register(make, name="mask", plugin_type="redactor")
    known.register(Later, name="later", plugin_type="redactor")
    return known, made


async def log_three(table: dict[str, Any], sinks: list[Any], **options: Any) -> tuple[DrainReport, list[Mask]]:
    """Log three events, of which a redactor fails on the second."""
    known, made = registry()
    async with fapilog.container({"plugin_config": table}, sinks=sinks, plugin_registry=known, **options) as log:
        for message in ("one", "fail", "three"):
            log.nowait.info(message, secret=message)
        await log.flush()
        errors = log.container.metrics_collector.snapshot().plugin_errors
    report = log.container.report
    assert report is not None
    assert report.balanced
    assert errors == ({"strict": 1} if made else {})
    return report, made


def secrets(sink: RecordingSink) -> list[Any]:
    return [event.fields.get("secret") for event in sink.events]


async def test_they_change_copies_for_their_sink_alone_after_the_container_s() -> None:
    plain, strict = RecordingSink("plain"), RecordingSink("clean")
    report, _ = await log_three({"clean": {"redactors": ["strict=mask"]}}, [plain, strict], redactors=[general])
    assert secrets(plain) == ["one+", "fail+", "three+"]
    assert secrets(strict) == ["one+*", None, "three+*"]
    assert strict.messages == ["one", WITHHELD, "three"]
    assert plain.messages == ["one", "fail", "three"]
    assert [event.sequence for event in strict.events] == [1, 2, 3]
    assert report.sinks["clean"].withheld == 1
    assert report.sinks["plain"].withheld == 0
    assert "1 withheld" in str(report)


class Plain:
    """A synchronous sink, on the event loop or in a thread."""

    def __init__(self, name: str, *, blocking: bool) -> None:
        self.metadata = PluginMetadata(name=name, version="1", plugin_type=PluginType.SINK)
        self.blocking = blocking
        self.payload_format = "json"
        self.events: list[LogEvent] = []
        self.payload = b""

    def write(self, batch: Batch) -> None:
        self.events += batch.events
        self.payload += batch.encoded("json")


@pytest.mark.parametrize("blocking", [False, True], ids=["on the loop", "in a thread"])
@pytest.mark.parametrize("route", [{}, {"route": {"level": "info"}}], ids=["all", "routed"])
async def test_a_synchronous_sink_is_given_only_what_they_have_seen(blocking: bool, route: dict[str, Any]) -> None:
    plain, clean = Plain("plain", blocking=blocking), Plain("clean", blocking=blocking)
    known, _ = registry()
    table = {"clean": {"redactors": ["strict=mask"], **route}}
    async with fapilog.container({"plugin_config": table}, sinks=[plain, clean], plugin_registry=known) as log:
        for message in ("one", "fail", "three"):
            await log.info(message, secret=f"s-{message}")  # each in a batch of its own
            await log.flush()
    assert [event.fields.get("secret") for event in plain.events] == ["s-one", "s-fail", "s-three"]
    assert [event.fields.get("secret") for event in clean.events] == ["s-one*", None, "s-three*"]
    assert [event.sequence for event in clean.events] == [1, 2, 3]
    assert b"s-fail" in plain.payload
    assert b"s-fail" not in clean.payload
    assert b"s-one*" in clean.payload


async def test_what_they_made_is_read_only() -> None:
    strict = RecordingSink("clean")
    await log_three({"clean": {"redactors": ["strict=mask"]}}, [strict])
    with pytest.raises(AttributeError, match="read-only"):
        strict.events[0].fields = {}


async def test_sinks_that_name_the_same_instance_share_one_run_and_each_counts() -> None:
    sinks = [RecordingSink(name) for name in ("a", "b", "c")]
    table = {name: {"redactors": ["strict=mask"]} for name in ("a", "b")}
    table["c"] = {"redactors": ["strict=mask"], "route": {"expression": "message != 'one'"}}  # type: ignore[dict-item]
    known, made = registry()
    async with fapilog.container({"plugin_config": table}, sinks=sinks, plugin_registry=known) as log:
        for message in ("one", "fail"):
            log.nowait.info(message, secret=message)
    (mask,) = made
    assert sorted(mask.seen) == ["fail", "fail", "one"]
    report = log.container.report
    assert report is not None
    assert [report.sinks[name].withheld for name in ("a", "b", "c")] == [1, 1, 1]
    assert [[event.sink_sequence for event in sink.events] for sink in sinks] == [[0, 0], [0, 0], [1]]


class Refusing(RecordingSink):
    """Fails each write, or the first ones."""

    def __init__(self, name: str, error: Exception, failures: int = 1000) -> None:
        super().__init__(name)
        self.error = error
        self.failures = failures

    async def write(self, batch: Batch) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise self.error
        await super().write(batch)


async def test_a_fallback_gets_what_was_redacted_and_redacts_it_again() -> None:
    failing, spare = Refusing("failing", PermanentSinkError("no")), RecordingSink("spare")
    table: dict[str, Any] = {
        "failing": {"redactors": ["strict=mask"], "fallback": "spare"},
        "spare": {"redactors": ["again=mask"]},
    }
    known, _ = registry()
    async with fapilog.container({"plugin_config": table}, sinks=[failing, spare], plugin_registry=known) as log:
        log.nowait.info("one", secret="s")
        log.nowait.info("fail", secret="s")
    assert secrets(spare) == ["s**", "*"]
    assert spare.messages == ["one", WITHHELD]


async def test_a_sink_that_did_not_start_passes_on_only_what_its_redactors_have_seen() -> None:
    class Down(RecordingSink):
        async def start(self) -> None:
            raise RuntimeError("down")

    down, spare = Down("down"), RecordingSink("spare")
    table = {"down": {"redactors": ["strict=mask"], "fallback": "spare", "required": False}}
    report, _ = await log_three(table, [down, spare])
    assert secrets(spare) == ["one*", None, "three*"]
    assert report.sinks["down"].withheld == 1


async def test_a_retry_is_not_redacted_again() -> None:
    sink = Refusing("sink", TransientSinkError("later"), failures=2)
    table = {"sink": {"redactors": ["strict=mask"], "backoff": 0}}
    _, (mask,) = await log_three(table, [sink])
    assert mask.seen == ["one", "fail", "three"]
    assert secrets(sink) == ["one*", None, "three*"]


async def test_a_log_call_in_a_sink_s_redactor_is_refused() -> None:
    class Chatty:
        def redact(self, event: LogEvent) -> None:
            log.nowait.info("from inside")

    known = PluginRegistry()
    known.register(Chatty, name="chatty", plugin_type="redactor")
    sink = RecordingSink("sink")
    table = {"sink": {"redactors": ["chatty"]}}
    async with fapilog.container({"plugin_config": table}, sinks=[sink], plugin_registry=known) as log:
        await log.info("one")
    assert sink.messages == ["one"]
    report = log.container.report
    assert report is not None
    assert report.rejected == {"reentrant": 1}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"a": {"redactors": ["nothing"]}}, "plugin_config.a.redactors[0]: got 'nothing'"),
        ({"a": {"redactors": ["mask", "mask"]}}, "redactors[1]: got 'mask'; allowed: names that differ"),
        (
            {"a": {"redactors": ["x=mask"]}, "b": {"redactors": ["x=later"]}},
            "plugin_config.b.redactors[0]: got 'x=later'; allowed: one plugin for each name; another sink has 'x=mask'",
        ),
        (
            {"a": {"redactors": ["mask"]}, "mask": {"isolate": True}},
            "plugin_config.mask.isolate: got True; allowed: false",
        ),
        ({"a": {"redactors": ["mask"]}, "mask": {"wrong": True}}, "plugin_config.mask.wrong: got an unknown setting"),
        ({"a": {"redactors": ["general"]}}, "allowed: a redactor that is not among the container's"),
    ],
)
def test_what_is_wrong_with_them_is_told(settings: dict[str, Any], expected: str) -> None:
    known, _ = registry()
    known.register(lambda: general, name="general", plugin_type="redactor")
    with pytest.raises(ConfigurationError) as caught:
        fapilog.container(
            {"plugin_config": settings, "redactors": ["general"]},
            sinks=[RecordingSink("a"), RecordingSink("b")],
            plugin_registry=known,
        )
    assert expected in str(caught.value)
    assert len(caught.value.problems) == 1


def test_an_asynchronous_one_is_refused() -> None:
    known, _ = registry()
    with pytest.raises(PluginError, match="asynchronous"):
        fapilog.container(
            {"plugin_config": {"a": {"redactors": ["later"]}}}, sinks=[RecordingSink("a")], plugin_registry=known
        )


def test_what_was_built_tells_of_them() -> None:
    known, _ = registry()
    container = fapilog.AsyncLoggingContainer(
        {"plugin_config": {"a": {"redactors": ["strict=mask"]}}}, sinks=[RecordingSink("a")], plugin_registry=known
    )
    assert [metadata.name for metadata in container.plugin_registry.loaded] == ["mask", "a"]
