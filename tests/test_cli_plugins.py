"""``fapilog plugins``: what it prints about plugins, right and wrong ones, and how it measures one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distributions import SINK, add_distribution
from fapilog import PluginRegistry
from fapilog.cli import main
from fapilog.cli._bench import BATCH, Measurement, compare, measure
from fapilog.errors import PluginError
from fapilog.plugins import PluginType

CONFIGURED = """
import attrs
from fapilog import PluginMetadata

@attrs.frozen(kw_only=True)
class Config:
    url: str = attrs.field(metadata={"description": "Where it\\x1b[31m goes."})
    size: int = 5
    password: str = attrs.field(default="x", repr=False)

class Shipper:
    metadata = PluginMetadata("loki", "1", "sink", dependencies=["attrs"], performance_profile={"events_per_second": 1})
    Config = Config
    def __init__(self, config): ...
    def write(self, batch): ...
"""


@pytest.fixture
def plugins(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    def run(*arguments: str, expected: int = 0) -> list[str]:
        assert main(["plugins", *arguments]) == expected
        told = capsys.readouterr()
        assert (told.out + told.err).replace("\n", "").isprintable()
        return [line.rstrip() for line in (told.out + told.err).splitlines()]

    return run


def loki(site: Path, source: str = CONFIGURED, **options: Any) -> None:
    add_distribution(
        site, "fapilog-loki", {"fapilog.sinks:loki": "loki_plugin:Shipper"}, modules={"loki_plugin": source}, **options
    )


def test_the_list_has_what_is_wrong_and_imports_nothing(site: Path, plugins: Callable[..., list[str]]) -> None:
    loki(site, "raise SystemExit", requires=["snappyz"])
    add_distribution(site, "evil", {"fapilog.sinks:std-0ut": "x:y", "fapilog.filters:a\x1b]0;b\x07": "x:y"})
    add_distribution(site, "one", {"fapilog.filters:same": "x:y"})
    add_distribution(site, "other", {"fapilog.filters:same": "x:y"})
    told = plugins("list")
    table, _, problems = "\n".join(told).partition("\n\n")
    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == ["kind", "name", "version", "from"]
    assert ["sink", "stdout", "-", "fapilog"] in rows
    assert ["sink", "loki", "1.2.3", "fapilog-loki", "unusable"] in rows
    assert ["sink", "std-0ut", "1.2.3", "evil", "unusable"] in rows
    assert ["filter", "same", "1.2.3", "other", "unusable"] in rows
    beginnings = [
        "sink loki of fapilog-loki: it needs snappyz, which is not installed; pip install 'snappyz'",
        "sink std-0ut of evil: it has a name that looks like that of the built-in sink 'stdout', which is used",
        "filter a\\x1b]0;b\\x07 of evil: its name is none that settings can have: ASCII letters, digits, '_' and '-'",
        "filter same of one: one 1.2.3 and other 1.2.3 offer a filter of this name; uninstall one, or put",
        "filter same of other: one 1.2.3 and other 1.2.3 offer a filter of this name; uninstall one, or put",
    ]
    for said, beginning in zip(problems.split("\n\n"), beginnings, strict=True):
        assert said.startswith(beginning)
    names = [row["name"] for row in json.loads("\n".join(plugins("list", "--json", "--kind", "filter")))]
    built_in = PluginRegistry([]).names("filter")
    assert [name for name in names if name not in built_in] == ["a\x1b]0;b\x07", "same", "same"]
    assert "loki_plugin" not in sys.modules


def test_a_plugin_is_shown_with_its_settings(site: Path, plugins: Callable[..., list[str]]) -> None:
    loki(site, requires=["fapilog"])
    told = plugins("show", "loki")
    assert told[0] == "sink loki of fapilog-loki 1.2.3"
    assert told[1] == "  from       loki_plugin:Shipper"
    assert told[2].startswith("  needs      fapilog: ")
    assert told[3].startswith("  needs      attrs: ")
    assert told[4:6] == ["  declares   events_per_second 1", "  settings:"]
    assert [line.split() for line in told[6:]] == [
        ["url", "text", "required", "Where", "it\\x1b[31m", "goes."],
        ["size", "a", "whole", "number", "default", "5"],
        ["password", "text"],
    ]
    assert json.loads("\n".join(plugins("show", "loki", "--json")))[0]["distribution"] == "fapilog-loki"
    assert plugins("show", "null") == ["sink null 1.0.0", "  from       fapilog.sinks.null:NullSink",
                                       "  has no settings of its own"]  # fmt: skip


def test_a_schema_that_holds_anything_is_shown(site: Path, plugins: Callable[..., list[str]]) -> None:
    odd = "attrs.field(default=5, metadata={'description': 7, 'schema': {'enum': [5, print], 'examples': {1}}})"
    loki(site, CONFIGURED.replace("size: int = 5", f"size: int = {odd}"))
    assert "7" in plugins("show", "loki")[-2].split()
    (shown,) = json.loads("\n".join(plugins("show", "loki", "--json")))
    assert shown["configuration_schema"]["properties"]["size"]["examples"] == "{1}"


def test_a_name_that_nothing_has_is_told(site: Path, plugins: Callable[..., list[str]]) -> None:
    expected = "plugin 'stdot': no plugin of this name; did you mean 'stdout'?"
    for command in ("show", "check", "bench"):
        assert plugins(command, "stdot", expected=1) == [expected]
    assert plugins("show", "zzz\x1b", "--kind", "filter", expected=1) == [
        "plugin 'zzz\\\\x1b': no filter of this name; 'fapilog plugins list' says what there is"
    ]


def test_a_name_of_two_kinds_is_shown_twice_and_measured_once_it_is_clear(
    site: Path, plugins: Callable[..., list[str]]
) -> None:
    add_distribution(
        site, "p", {"fapilog.filters:same": "two:f", "fapilog.enrichers:same": "two:f"},
        modules={"two": "def f(event): return None"},
    )  # fmt: skip
    assert [line for line in plugins("show", "same") if "same" in line] == [
        "filter same of p 1.2.3",
        "enricher same of p 1.2.3",
    ]
    assert plugins("check", "same") == ["ok    filter same", "ok    enricher same"]
    assert plugins("bench", "same", expected=1) == [
        "'same' is the name of several plugins; give --kind, one of filter, enricher"
    ]
    assert plugins("bench", "same", "--kind", "filter", "--seconds", "0.001")[0].startswith(
        "filter same of p 1.2.3 on "
    )


def test_pl2_every_installed_plugin_is_checked_and_others_load(site: Path, plugins: Callable[..., list[str]]) -> None:
    assert plugins("check") == ["no plugin is installed beside the built-in ones"]
    loki(site)
    add_distribution(site, "exits", {"fapilog.sinks:exits": "exits:S"}, modules={"exits": "raise SystemExit(0)"})
    add_distribution(site, "fine", {"fapilog.filters:fine": "fine:f"}, modules={"fine": "def f(event): return True"})
    fine, exits, unmade = plugins("check", expected=1)
    assert fine == "ok    filter fine"
    assert exits.startswith(
        "WRONG sink exits: plugin 'exits' of exits 1.2.3: importing exits:S failed: SystemExit: 0; "
    )
    assert unmade == "ok    sink loki: not made, for it has no default for url; give --config"
    assert plugins("check", "--kind", "filter") == ["ok    filter fine"]
    (told,) = plugins("check", "loki", "--config", '{"url": "x", "size": "y"}', expected=1)
    assert told.startswith("WRONG sink loki: plugin_config.loki.size: got 'y'; allowed: a whole number; ")


def test_pl2_an_import_that_hangs_is_named_when_it_is_interrupted(
    site: Path, plugins: Callable[..., list[str]]
) -> None:
    loki(site, "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)")
    assert plugins("check", expected=130) == ["fapilog: while importing the plugin 'loki' of fapilog-loki 1.2.3"]


def test_the_conformance_kit_is_run_if_wanted(site: Path, plugins: Callable[..., list[str]]) -> None:
    source = "def fine(event): return True\ndef poor(event): return event.fields['user']"
    add_distribution(
        site, "p", "[fapilog.filters]\nfine = p:fine\npoor = p:poor\nbroken = p:broken\n", modules={"p": source}
    )
    assert plugins("check", "fine", "--conformance") == ["ok    filter fine"]
    told = plugins("check", "poor", "--conformance", expected=1)
    assert told[0] == "WRONG filter poor:"
    assert "KeyError: 'user'" in "\n".join(told)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["check", "--config", "{"], "it is no JSON: "),
        (["check", "--config", "[" * 100_000], "it is no JSON: "),
        (["check", "--config", "[]"], "it is no JSON object, such as "),
        (["bench", "null", "--seconds", "x"], "'x' is no number from 0.001 to 600"),
        (["bench", "null", "--within", "nan"], "'nan' is no number from 1 to 1000"),
        (["list", "--kind", "sieve"], "invalid choice: 'sieve'"),
        ([], "the following arguments are required: command"),
    ],
)
def test_wrong_arguments_are_told(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["plugins", *arguments])
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


# -- measuring


class Clock:
    """Goes on by a millisecond with each event that the plugin gets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def stages(clock: Clock) -> dict[PluginType, Any]:
    def each(event: object) -> None:
        clock.now += 0.001

    async def each_async(event: object) -> None:
        clock.now += 0.001

    def process(batch: list[object]) -> list[object]:
        clock.now += 0.001 * len(batch)
        return batch

    class Sink:
        def __init__(self) -> None:
            self.told: list[str] = []

        async def start(self) -> None:
            self.told.append("start")

        def write(self, batch: Any) -> None:
            clock.now += 0.001 * len(batch.events)
            assert len(batch.encoded("json").splitlines()) == BATCH

        def flush(self) -> None:
            self.told.append("flush")

        async def aclose(self) -> None:
            self.told.append("aclose")

    return {
        PluginType.FILTER: each,
        PluginType.ENRICHER: each_async,
        PluginType.PROCESSOR: process,
        PluginType.REDACTOR: each,
        PluginType.SINK: Sink(),
    }


@pytest.mark.untraced
@pytest.mark.parametrize("kind", list(PluginType))
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_each_kind_is_measured(kind: PluginType, backend: str) -> None:
    clock = Clock()
    plugin = stages(clock)[kind]
    found = measure(plugin, kind, seconds=2.0, backend=backend, clock=clock)
    assert found.rounds == 8
    assert found.profile["events_per_second"] == pytest.approx(1000)
    assert found.profile["microseconds_per_event"] == pytest.approx(1000)
    assert found.bytes_per_event >= 0
    if kind is PluginType.SINK:
        assert plugin.told == ["start", "flush", "aclose"]
        assert found.bytes_per_event > 100


def test_memory_is_what_a_batch_takes_at_most() -> None:
    def hungry(event: object) -> None:
        bytearray(100_000)

    kept: list[bytes] = []
    found = measure(hungry, PluginType.FILTER, seconds=0.001)
    assert 100_000 / BATCH < found.bytes_per_event < 110_000 / BATCH
    found = measure(lambda event: kept.append(bytes(1000)), PluginType.FILTER, seconds=0.001)
    assert 1000 < found.bytes_per_event < 1200


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit("no"), BaseException("no")], ids=repr)
def test_a_plugin_that_raises_is_told_and_closed(error: BaseException) -> None:
    class Raising:
        closed = False

        def write(self, batch: object) -> None:
            raise error

        def aclose(self) -> None:
            self.closed = True

    sink = Raising()
    with pytest.raises(
        PluginError, match=f"plugin 'Raising': while it was measured it raised {type(error).__name__}: no"
    ):
        measure(sink, PluginType.SINK, seconds=0.001)
    assert sink.closed


def test_what_is_declared_is_compared() -> None:
    measured = Measurement(rounds=5, seconds_per_event=1e-5, bytes_per_event=300.0)
    assert measured.profile == pytest.approx(
        {"events_per_second": 100_000, "microseconds_per_event": 10, "bytes_per_event": 300}
    )
    rows, holds = compare(measured, {}, 2)
    assert holds
    assert rows == [
        ("events_per_second", "100_000", "-", ""),
        ("microseconds_per_event", "10", "-", ""),
        ("bytes_per_event", "300", "-", ""),
    ]
    rows, holds = compare(
        measured, {"events_per_second": 199_999, "microseconds_per_event": 5.1, "bytes_per_event": 151, "watts": 3}, 2
    )
    assert holds
    assert [row[3] for row in rows] == ["holds", "holds", "holds", "not measured"]
    for name, declared in (("events_per_second", 200_001), ("microseconds_per_event", 4.9), ("bytes_per_event", 149)):
        rows, holds = compare(measured, {name: declared}, 2)
        assert not holds
        assert [row[0] for row in rows if row[3] == "DOES NOT HOLD"] == [name]


def test_what_does_not_hold_is_an_exit_code(site: Path, plugins: Callable[..., list[str]]) -> None:
    source = (
        SINK
        + "    from fapilog import PluginMetadata as P\n    metadata = P('l', '1', 'sink', performance_profile={})\n"
    )
    for number, expected in ((1, 0), (10**15, 1)):
        name = f"loki{number}"
        add_distribution(
            site, name, {f"fapilog.sinks:{name}": f"m{number}:Shipper"},
            modules={f"m{number}": source.replace("={}", f"={{'events_per_second': {number}}}")},
        )  # fmt: skip
        told = plugins("bench", name, "--seconds", "0.001", "--within", "1", expected=expected)
        assert ("DOES NOT HOLD" in told[2]) == bool(expected)
