"""Routing: which events a sink gets, how they are numbered, and that the ledger is exact about the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog import ConfigurationError, DrainReport, LogEvent, PluginMetadata, PluginType, Settings
from fapilog.errors import PermanentSinkError
from fapilog.event import Level
from fapilog.plugins import Batch, SinkPolicy
from fapilog.plugins.routes import Conditions, Route
from fapilog.testing import RecordingSink
from fapilog.testing.clock import run_in_virtual_time
from odd_values import ODD_VALUES

FORMATS = ("json", "json_flat", "logfmt", "console")


def number_in(line: str, name: str) -> int:
    """Return a number out of a line of JSON or logfmt; 0 if it is not there."""
    if line.startswith("{"):
        return int(json.loads(line).get(name, 0))
    pairs = dict(pair.split("=", 1) for pair in line.split(" ") if "=" in pair)
    return int(pairs.get(name, 0))


class LineSink:
    """Keeps the lines that it is given, in one format."""

    blocking = False

    def __init__(self, name: str, format: str = "json") -> None:
        self.metadata = PluginMetadata(name=name, version="1", plugin_type=PluginType.SINK)
        self.format = format
        self.payloads: list[bytes] = []

    def write(self, batch: Batch) -> None:
        self.payloads.append(batch.encoded(self.format))

    @property
    def lines(self) -> list[str]:
        return b"".join(self.payloads).decode().splitlines()


def as_they_are(batch: Sequence[LogEvent]) -> list[LogEvent]:
    """Process nothing: behind a plugin there are events instead of records."""
    return list(batch)


def numbers(sink: RecordingSink) -> list[tuple[int, int]]:
    return [(event.sequence, event.sink_sequence) for event in sink.events]


async def log_all(settings: dict[str, Any], sinks: Sequence[object], **options: Any) -> DrainReport:
    """Log six events at two levels, from two loggers, with tags on each third; return the account."""
    async with fapilog.container({"level": "DEBUG", **settings}, sinks=sinks, **options) as log:
        database = log.named("app.db.pool")
        for number in range(6):
            logger = database if number % 2 else log
            method = logger.nowait.error if number % 3 == 2 else logger.nowait.info
            method(f"m{number}", number=number, tags={"team": "pay"} if number % 3 == 0 else None)
    report = log.container.report
    assert report is not None
    assert report.balanced
    return report


@pytest.mark.parametrize("plugins", [{}, {"processors": [as_they_are]}], ids=["records", "events"])
@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ({"level": "error"}, [2, 5]),
        ({"level": "debug"}, [0, 1, 2, 3, 4, 5]),
        ({"logger": "app.db"}, [1, 3, 5]),
        ({"logger": ["app"]}, [1, 3, 5]),
        ({"logger": ["app.d"]}, []),
        ({"logger": ["app.db.pool", "other"]}, [1, 3, 5]),
        ({"tags": {"team": "pay"}}, [0, 3]),
        ({"tags": {"team": ["hr", "pay"]}}, [0, 3]),
        ({"tags": {"team": "hr"}}, []),
        ({"tags": {"team": "pay", "other": "x"}}, []),
        ({"expression": "fields.number > 3"}, [4, 5]),
        ({"expression": "sequence_that_is_missing"}, []),
        ({"level": "error", "logger": "app"}, [5]),
        ({"exclude": {"level": "error"}}, [0, 1, 3, 4]),
        ({"logger": "app", "exclude": [{"tags": {"team": "pay"}}, {"level": "error"}]}, [1]),
        ([{"level": "error"}, {"tags": {"team": "pay"}}], [0, 2, 3, 5]),
        ([{"level": "error"}, {"logger": "app", "exclude": {"expression": "number == 1"}}], [2, 3, 5]),
    ],
)
async def test_a_sink_gets_what_its_route_picks(route: Any, expected: list[int], plugins: dict[str, Any]) -> None:
    everything, picked = RecordingSink("everything"), RecordingSink("picked")
    report = await log_all({"plugin_config": {"picked": {"route": route}}}, [everything, picked], **plugins)
    assert picked.messages == [f"m{number}" for number in expected]
    assert numbers(picked) == [(number + 1, place) for place, number in enumerate(expected, 1)]
    assert numbers(everything) == [(number, 0) for number in range(1, 7)]
    assert (report.dispatched, report.unrouted) == (6, 0)
    assert report.sinks["picked"].routed == len(expected)


async def test_an_event_that_no_sink_wants_is_unrouted() -> None:
    errors, payments = RecordingSink("errors"), RecordingSink("payments")
    routes = {"errors": {"route": {"level": "error"}}, "payments": {"route": {"tags": {"team": "pay"}}}}
    report = await log_all({"plugin_config": routes}, [errors, payments])
    assert (report.dispatched, report.unrouted) == (4, 2)
    assert numbers(errors) == [(3, 1), (6, 2)]
    assert numbers(payments) == [(1, 1), (4, 2)]


@pytest.mark.parametrize("route", [{}, [{"level": "error"}, {}]])
async def test_a_route_that_asks_nothing_keeps_nothing_away_and_so_numbers_nothing(route: Any) -> None:
    sink = RecordingSink("sink")
    await log_all({"plugin_config": {"sink": {"route": route}}}, [sink])
    assert numbers(sink) == [(number, 0) for number in range(1, 7)]


@pytest.mark.parametrize("plugins", [{}, {"processors": [as_they_are]}], ids=["records", "events"])
async def test_the_numbers_at_a_sink_go_on_from_batch_to_batch(plugins: dict[str, Any]) -> None:
    sink = RecordingSink("sink")
    settings = {"plugin_config": {"sink": {"route": {"level": "error"}}}}
    async with fapilog.container(settings, sinks=[sink], **plugins) as log:
        for number in range(3):
            await log.info("not for it")
            await log.error("for it", number=number)
            await log.flush()
    assert numbers(sink) == [(2, 1), (4, 2), (6, 3)]


async def test_sinks_with_one_route_and_format_share_one_payload() -> None:
    sinks = [LineSink("a"), LineSink("b"), LineSink("c"), LineSink("d", "logfmt")]
    routes = {name: {"route": {"level": "error"}} for name in "abd"} | {"c": {"route": {"level": "info"}}}
    await log_all({"plugin_config": routes}, sinks)
    first, second, third, fourth = sinks
    assert [id(payload) for payload in first.payloads] == [id(payload) for payload in second.payloads]
    assert len(third.lines) == 6
    assert [number_in(line, "sequence") for line in fourth.lines] == [3, 6]


@pytest.mark.parametrize("plugins", [{}, {"processors": [as_they_are]}], ids=["records", "events"])
@pytest.mark.parametrize("format", FORMATS[:3])
async def test_the_number_at_the_sink_stands_in_every_structured_format(format: str, plugins: dict[str, Any]) -> None:
    everything, errors = LineSink("everything", format), LineSink("errors", format)
    await log_all({"plugin_config": {"errors": {"route": {"level": "error"}}}}, [everything, errors], **plugins)
    assert [number_in(line, "sink_sequence") for line in errors.lines] == [1, 2]
    assert [number_in(line, "sequence") for line in errors.lines] == [3, 6]
    assert not any("sink_sequence" in line for line in everything.lines)


async def test_a_line_with_a_number_at_the_sink_is_what_the_schema_says() -> None:
    schema = json.loads(files("fapilog.formats").joinpath("event.schema.json").read_text())
    sink = LineSink("sink")
    await log_all({"plugin_config": {"sink": {"route": {"level": "error"}}}}, [sink])
    assert len(sink.lines) == 2
    for line in sink.lines:
        jsonschema.validate(json.loads(line), schema)


@pytest.mark.parametrize("format", FORMATS[:3])
async def test_a_line_that_is_cut_keeps_the_number_at_the_sink(format: str) -> None:
    sink = LineSink("sink", format)
    many: dict[str, Any] = {f"key{number}": "y" * 200 for number in range(100)}
    settings = {"max_event_bytes": 1024, "plugin_config": {"sink": {"route": {"level": "info"}}}}
    async with fapilog.container(settings, sinks=[sink]) as log:
        for _ in range(2):
            log.nowait.info("m", large="x" * 5000, **many)
    assert all("truncated" in line for line in sink.lines)
    assert [number_in(line, "sink_sequence") for line in sink.lines] == [1, 2]


async def test_what_is_routed_is_read_only_and_timed_from_its_own_oldest_event() -> None:
    failing, spare = FailingSink("failing", refuses_all), RecordingSink("spare")
    routed = RecordingSink("routed")
    table = {"failing": {"route": {"level": "info"}, "fallback": "spare"}, "routed": {"route": {"level": "error"}}}
    async with fapilog.container({"plugin_config": table}, sinks=[failing, spare, routed]) as log:
        await log.error("m")
    for sink in (spare, routed):
        with pytest.raises(AttributeError, match="read-only"):
            sink.events[0].message = "other"
    seconds = log.container.metrics_collector.snapshot().delivery_seconds
    assert seconds["routed"].maximum < 3600


async def test_the_summary_of_losses_is_routed_like_any_event() -> None:
    warnings, errors = RecordingSink("warnings"), RecordingSink("errors")
    settings = {
        "queue_max_size": 1,
        "overflow_strategy": "drop_newest",
        "plugin_config": {"warnings": {"route": {"logger": "fapilog"}}, "errors": {"route": {"level": "error"}}},
    }
    async with fapilog.container(settings, sinks=[warnings, errors]) as log:
        for _ in range(5):
            log.nowait.info("burst")
    assert warnings.messages == ["events were lost"]
    report = log.container.report
    assert report is not None
    assert report.balanced
    assert (report.dispatched, report.unrouted, report.created) == (1, 1, 1)


class Evil(str):
    """A text that raises when it is looked at."""

    __slots__ = ()

    def startswith(self, *_: Any) -> bool:
        raise RuntimeError("startswith")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, _: object) -> bool:
        raise RuntimeError("eq")


@pytest.mark.parametrize("logger", [5, None, Evil("app"), b"app"])
async def test_a_processor_s_events_of_odd_origin_are_routed_like_others(logger: Any) -> None:
    def add(batch: Sequence[LogEvent]) -> list[LogEvent]:
        return [*batch, LogEvent("made", "ERROR", logger=logger, tags={"app": logger}, fields={"number": logger})]

    sink, rest = RecordingSink("sink"), RecordingSink("rest")
    route = [{"logger": "app"}, {"tags": {"app": "app"}}, {"expression": "number > 5 or number startswith 'x'"}]
    table = {"sink": {"route": route}, "rest": {"route": {"exclude": {"logger": "app"}}}}
    async with fapilog.container({"plugin_config": table}, sinks=[sink, rest], processors=[add]) as log:
        await log.info("plain")
    report = log.container.report
    assert report is not None
    assert report.balanced
    assert report.dispatched == 2
    assert sink.messages + rest.messages in (["made", "plain"], ["plain", "made"])


EXPRESSIONS_ON_ODD_VALUES = (
    "value > 3",
    "value == 'x' or value != none",
    "value in [1, 'a', none]",
    "value contains 'a'",
    "value startswith 'a' or value endswith 'b'",
    "value matches '^a+$'",
    "exists value.a.b and value.a.b >= 1",
    "not value",
    "message < 5 or level >= error or severity > 3",
    "tags.team == value",
)


async def test_no_odd_value_makes_a_route_fail() -> None:
    sinks = [RecordingSink(f"s{place}") for place in range(len(EXPRESSIONS_ON_ODD_VALUES))]
    table = {f"s{place}": {"route": {"expression": text}} for place, text in enumerate(EXPRESSIONS_ON_ODD_VALUES)}
    async with fapilog.container({"queue_max_size": 100_000, "plugin_config": table}, sinks=sinks) as log:
        for name, make in ODD_VALUES.items():
            try:
                value = make()
            except Exception:
                continue
            log.nowait.info(name, value=value)
        log.nowait.info("last", value=9)
    report = log.container.report
    assert report is not None
    assert report.balanced
    assert not report.in_flight
    assert report.submitted > len(ODD_VALUES) / 2
    assert sinks[0].messages[-1] == "last"


class FailingSink(RecordingSink):
    """Refuses for good the events of which *refuses* says so."""

    def __init__(self, name: str, refuses: Callable[[LogEvent], bool]) -> None:
        super().__init__(name)
        self.refuses = refuses

    async def write(self, batch: Batch) -> None:
        if any(map(self.refuses, batch.events)):
            raise PermanentSinkError("refused")
        await super().write(batch)


def refuses_all(_: LogEvent) -> bool:
    return True


async def test_a_fallback_gets_what_its_own_route_would_not_have_picked_without_a_number_of_the_sink_s() -> None:
    failing, spare = FailingSink("failing", refuses_all), RecordingSink("spare")
    table = {
        "failing": {"route": {"level": "info", "logger": "app"}, "fallback": "spare"},
        "spare": {"route": {"level": "error"}},
    }
    report = await log_all({"plugin_config": table}, [failing, spare])
    own = [event for event in spare.events if event.sink_sequence]
    others = [event for event in spare.events if not event.sink_sequence]
    assert [(event.message, event.sink_sequence) for event in own] == [("m2", 1), ("m5", 2)]
    assert [(event.message, event.sequence) for event in others] == [("m1", 2), ("m3", 4), ("m5", 6)]
    spare_report = report.sinks["spare"]
    assert (spare_report.routed, spare_report.fallback_in, spare_report.delivered) == (2, 3, 5)
    assert report.unrouted == 2


async def test_a_fallback_without_a_route_gets_nothing_of_its_own() -> None:
    failing, spare = FailingSink("failing", refuses_all), RecordingSink("spare")
    table = {"failing": {"route": {"level": "error"}, "fallback": "spare"}}
    report = await log_all({"plugin_config": table}, [failing, spare])
    assert numbers(spare) == [(3, 0), (6, 0)]
    assert (report.unrouted, report.dispatched) == (4, 2)


async def test_a_ring_of_fallbacks_is_refused_whatever_the_routes() -> None:
    table = {
        "a": {"route": {"level": "error"}, "fallback": "b"},
        "b": {"route": {"exclude": {"level": "error"}}, "fallback": "a"},
    }
    with pytest.raises(ConfigurationError, match="a -> b -> a"):
        fapilog.container({"plugin_config": table}, sinks=[RecordingSink("a"), RecordingSink("b")])


async def test_a_retry_of_some_events_keeps_their_numbers() -> None:
    class Once(RecordingSink):
        refused = False

        async def write(self, batch: Batch) -> None:
            if not self.refused:
                self.refused = True
                raise fapilog.errors.PartialWriteError({1: fapilog.errors.TransientSinkError("later")})
            await super().write(batch)

    sink = Once("sink")
    table = {"sink": {"route": {"logger": "app"}, "backoff": 0}}
    await log_all({"plugin_config": table}, [sink])
    assert numbers(sink) == [(4, 2)]


# -- what is said about a wrong route


def test_all_that_is_wrong_with_a_route_is_told_at_once() -> None:
    route: dict[str, Any] = {
        "levle": "error",
        "level": "loud",
        "logger": ["app..db", 3, ""],
        "tags": {"team": 7, "other": []},
        "expression": "fields.status >=",
        "exclude": [{}, {"exclude": {"level": "info"}}, 5],
    }
    with pytest.raises(ConfigurationError) as caught:
        SinkPolicy(route=[route, "error"])
    assert {problem.path for problem in caught.value.problems} == {
        "route[0].levle",
        "route[0].level",
        "route[0].logger[0]",
        "route[0].logger[1]",
        "route[0].logger[2]",
        "route[0].tags.team",
        "route[0].tags.other",
        "route[0].expression",
        "route[0].exclude[0]",
        "route[0].exclude[1].exclude",
        "route[0].exclude[2]",
        "route[1]",
    }
    messages = "\n".join(map(str, caught.value.problems))
    assert "did you mean 'level'?" in messages
    assert "at character" in messages


@pytest.mark.parametrize(
    "wrong",
    [
        "error",
        5,
        [],
        [[]],
        {"logger": []},
        {"logger": "."},
        {"exclude": []},
        {"tags": "a"},
        {"expression": 5},
        {"exclude": {}},
        {"exclude": {"tags": {}}},
        {"exclude": {"level": None}},
        {"exclude": Conditions()},
        {"exclude": Route(level="INFO")},
    ],
)
def test_a_wrong_route_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        SinkPolicy(route=wrong)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"level": "warn"}, Route(level="WARNING")),
        ({"level": 40}, Route(level="ERROR")),
        ({"logger": "app"}, Route(logger=("app",))),
        ({"tags": {"team": "pay"}}, Route(tags={"team": ("pay",)})),
        ({"exclude": {"level": "error"}}, Route(exclude=(Conditions(level="ERROR"),))),
        (Route(level="INFO"), Route(level="INFO")),
        ({"level": None, "logger": None, "expression": None}, Route()),
    ],
)
def test_a_route_has_one_normal_form(given: Any, expected: Route) -> None:
    assert SinkPolicy(route=given).route == (expected,)
    assert SinkPolicy(route=[given]).resolved(Settings()).route == (expected,)


def test_what_is_right_in_a_sink_s_table_is_checked_beside_what_is_wrong() -> None:
    with pytest.raises(ConfigurationError) as caught:
        fapilog.container(
            {"plugin_config": {"sink": {"route": {"level": "loud"}, "fallback": "nobody", "redactors": ["nothing"]}}},
            sinks=[RecordingSink("sink")],
        )
    assert {problem.path for problem in caught.value.problems} == {
        "plugin_config.sink.route.level",
        "plugin_config.sink.fallback",
        "plugin_config.sink.redactors[0]",
    }


# -- against a model

LOGGERS = ("", "app", "app.db", "apple")
TEAMS = (None, "pay", "hr")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
EVENTS = st.tuples(
    st.sampled_from(LEVELS),
    st.sampled_from(LOGGERS),
    st.sampled_from(TEAMS),
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.lists(st.integers())),
)
EXPRESSIONS: dict[str, Callable[[Any], bool]] = {
    "fields.value > 0": lambda value: type(value) in (int, float) and value > 0,
    "exists fields.value": lambda value: value is not None,
    "not exists fields.value": lambda value: value is None,
}
CONDITIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "level": st.sampled_from(LEVELS),
        "logger": st.lists(st.sampled_from(LOGGERS[1:]), min_size=1, max_size=2),
        "tags": st.fixed_dictionaries({"team": st.sampled_from(TEAMS[1:])}),
        "expression": st.sampled_from(sorted(EXPRESSIONS)),
    },
)


def with_exclude(conditions: dict[str, Any], exclude: list[dict[str, Any]]) -> dict[str, Any]:
    return {**conditions, "exclude": exclude} if exclude else conditions


EXCLUDE: st.SearchStrategy[list[dict[str, Any]]] = st.lists(CONDITIONS.filter(bool), max_size=2)
ROUTE: st.SearchStrategy[Any] = st.builds(with_exclude, CONDITIONS, EXCLUDE)
ROUTES: st.SearchStrategy[Any] = st.one_of(st.none(), ROUTE, st.lists(ROUTE, min_size=1, max_size=3))


def wants(conditions: dict[str, Any], event: tuple[Any, ...]) -> bool:
    """Return whether a table of conditions holds, in the simplest words."""
    level, logger, team, value = event
    if "level" in conditions and Level[level] < Level[conditions["level"]]:
        return False
    if "logger" in conditions and not any(
        logger == name or logger.startswith(name + ".") for name in conditions["logger"]
    ):
        return False
    if "tags" in conditions and team != conditions["tags"]["team"]:
        return False
    if "expression" in conditions and not EXPRESSIONS[conditions["expression"]](value):
        return False
    return not any(wants(excluded, event) for excluded in conditions.get("exclude", ()))


def gets(route: Any, event: tuple[Any, ...]) -> bool:
    tables: list[dict[str, Any]] = [{}] if route is None else [route] if isinstance(route, dict) else route
    return any(wants(table, event) for table in tables)


def is_restricted(route: Any) -> bool:
    return route is not None and {} not in (route if isinstance(route, list) else [route])


@given(
    events=st.lists(EVENTS, max_size=40),
    routes=st.lists(ROUTES, min_size=8, max_size=8),
    processed=st.booleans(),
    backend=st.sampled_from(["asyncio", "trio"]),
)
def test_eight_routed_sinks_in_four_formats_get_what_a_model_says(
    events: list[tuple[Any, ...]], routes: list[Any], processed: bool, backend: Any
) -> None:
    lines = [LineSink(f"s{place}", FORMATS[place % 4]) for place in range(8)]
    events_seen = [RecordingSink(f"e{place}") for place in range(8)]
    table = {
        f"{kind}{place}": {"route": route} for place, route in enumerate(routes) for kind in "se" if route is not None
    }

    async def main() -> DrainReport | None:
        settings = {"level": "DEBUG", "plugin_config": table}
        async with fapilog.container(
            settings, sinks=[*lines, *events_seen], processors=[as_they_are] if processed else None
        ) as log:
            for number, (level, logger, team, value) in enumerate(events):
                named = log.named(logger) if logger else log
                named.nowait.log(level, f"m{number}", value=value, tags={"team": team} if team else None)
        return log.container.report

    report = run_in_virtual_time(backend, main)
    assert report is not None
    assert report.balanced
    wanted: set[int] = set()
    for place, route in enumerate(routes):
        expected = [number for number, event in enumerate(events) if gets(route, event)]
        wanted.update(expected)
        sequences = [(number + 1, at if is_restricted(route) else 0) for at, number in enumerate(expected, 1)]
        assert numbers(events_seen[place]) == sequences
        assert report.sinks[f"s{place}"].routed == report.sinks[f"s{place}"].delivered == len(expected)
        assert len(lines[place].lines) == len(expected)
        if place % 4 < 3:
            found = [(number_in(line, "sequence"), number_in(line, "sink_sequence")) for line in lines[place].lines]
            assert found == sequences
    assert (report.dispatched, report.unrouted) == (len(wanted), len(events) - len(wanted))


@given(
    events=st.lists(EVENTS, max_size=30),
    routes=st.lists(ROUTES, min_size=4, max_size=4),
    bad=st.lists(st.sets(st.integers(0, 29)), min_size=4, max_size=4),
    fallbacks=st.lists(st.sampled_from([None, "next", "last"]), min_size=3, max_size=3),
    batch_size=st.integers(1, 8),
    backend=st.sampled_from(["asyncio", "trio"]),
)
def test_the_ledger_holds_with_routes_failing_sinks_and_fallbacks(
    events: list[tuple[Any, ...]],
    routes: list[Any],
    bad: list[set[int]],
    fallbacks: list[str | None],
    batch_size: int,
    backend: Any,
) -> None:
    def refuses(numbers: set[int]) -> Callable[[LogEvent], bool]:
        return lambda event: event.fields["number"] in numbers

    sinks = [FailingSink(f"s{place}", refuses(numbers)) for place, numbers in enumerate(bad)]
    table: dict[str, dict[str, Any]] = {}
    for place, route in enumerate(routes):
        table[f"s{place}"] = {"ordered": True, "batch_size": batch_size, "breaker_failures": 1_000_000}
        if route is not None:
            table[f"s{place}"]["route"] = route
        fallback = fallbacks[place] if place < 3 else None
        if fallback is not None:
            table[f"s{place}"]["fallback"] = f"s{place + 1}" if fallback == "next" else "s3"

    async def main() -> DrainReport | None:
        async with fapilog.container({"level": "DEBUG", "plugin_config": table}, sinks=sinks) as log:
            for number, (level, logger, team, value) in enumerate(events):
                named = log.named(logger) if logger else log
                await named.log(level, "m", value=value, number=number, tags={"team": team} if team else None)
        return log.container.report

    report = run_in_virtual_time(backend, main)
    assert report is not None
    assert report.balanced
    assert report.complete
    targets = {settings.get("fallback") for settings in table.values()}
    for place, (sink, route) in enumerate(zip(sinks, routes, strict=True)):
        account = report.sinks[sink.metadata.name]
        is_pure_fallback = route is None and sink.metadata.name in targets
        expected = [] if is_pure_fallback else [number for number, event in enumerate(events) if gets(route, event)]
        assert account.routed == len(expected)
        assert account.delivered == len(sink.events)
        assert account.in_flight == 0
        own = [event for event in sink.events if event.sink_sequence]
        assert [event.sink_sequence for event in own] == sorted(event.sink_sequence for event in own)
        if is_restricted(route):
            # What it wrote of its own is what it was to get but for what was refused with its batch, in order.
            places = [expected.index(event.sequence - 1) + 1 for event in own]
            assert places == [event.sink_sequence for event in own]
        assert not any(event.fields["number"] in bad[place] for event in sink.events)
    given_up = sum(account.fallback_out for account in report.sinks.values())
    assert given_up == sum(account.fallback_in for account in report.sinks.values())
