"""Installed plugins: found without an import, chosen, checked, loaded; and what is said when that cannot be done."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import fapilog
from distributions import SINK, add_distribution
from fapilog.errors import ConfigurationError, PluginError
from fapilog.plugins import PluginRegistry, PluginType
from fapilog.plugins.configuration import BuiltPlugins, build_all
from fapilog.plugins.loading import load_installed
from fapilog.settings import Settings
from fapilog.sinks.memory import MemorySink
from support import SOURCE, golden

CANARY = "hunter2-canary"


def only(site: Path) -> PluginRegistry:
    return PluginRegistry([str(site)])


def build(site: Path, settings: dict[str, Any]) -> BuiltPlugins:
    return build_all(Settings.load({"sinks": ["null"], **settings}), only(site))


def error_of(site: Path, settings: dict[str, Any]) -> PluginError:
    with pytest.raises(PluginError) as caught:
        build(site, settings)
    return caught.value


def loki(site: Path, source: str = SINK, **options: Any) -> None:
    add_distribution(
        site, "fapilog-loki", {"fapilog.sinks:loki": "loki_plugin:Shipper"}, modules={"loki_plugin": source}, **options
    )


# -- found


def test_an_installed_plugin_is_used_by_its_name(site: Path) -> None:
    loki(site, requires=["fapilog>=0.1", "attrs", 'nonsense; extra == "more"', 'nonsense; python_version < "3"'])
    registry = only(site)
    (found,) = registry.installed()
    assert (found.plugin_type, found.name, found.entry_point) == (PluginType.SINK, "loki", "loki_plugin:Shipper")
    assert (found.distribution.name, found.distribution.version, found.problem) == ("fapilog-loki", "1.2.3", "")
    assert "loki" in registry.names("sink")
    assert "loki_plugin" not in sys.modules
    (sink,) = build(site, {"sinks": ["loki"]}).sinks
    assert type(sink.plugin).__name__ == "Shipper"
    metadata = sink.metadata
    assert (metadata.name, metadata.version, metadata.distribution) == ("loki", "1.2.3", "fapilog-loki")
    assert metadata.dependencies == ["fapilog>=0.1", "attrs"]
    assert metadata.entry_point == "loki_plugin:Shipper"
    assert metadata == registry.metadata("sink", "loki")


UNUSABLE = golden("unusable_plugins.txt")


@pytest.mark.parametrize("name", UNUSABLE)
def test_pl2_pl4_what_is_said_about_a_plugin_that_cannot_be_used(name: str, site: Path) -> None:
    given, expected = UNUSABLE[name]
    modules_before = dict(sys.modules)
    said = unusable(site, **given)
    assert [said] == expected
    assert CANARY not in said
    assert said.isprintable()
    assert all(sys.modules.get(module) is modules_before[module] for module in modules_before)


def unusable(
    site: Path,
    *,
    modules: dict[str, str] | None = None,
    requires: Sequence[str] = (),
    entry_points: str = "[fapilog.sinks]\nloki = loki_plugin:Shipper\n",
    settings: dict[str, Any] | None = None,
) -> str:
    sources = {"loki_plugin": SINK} if modules is None else modules
    add_distribution(site, "fapilog-loki", entry_points, requires=requires, modules=sources)
    error = error_of(site, {"sinks": ["loki"], **(settings or {})})
    assert error.plugin in str(error)
    return str(error)


def test_an_interrupt_passes_and_says_where_it_struck(site: Path) -> None:
    loki(site, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt) as caught:
        build(site, {"sinks": ["loki"]})
    assert caught.value.__notes__ == ["fapilog: while importing the plugin 'loki' of fapilog-loki 1.2.3"]


def test_the_cause_of_a_failed_import_is_kept(site: Path) -> None:
    loki(site, "raise RuntimeError('no')")
    error = error_of(site, {"sinks": ["loki"]})
    assert isinstance(error.__cause__, RuntimeError)
    assert error.distribution == "fapilog-loki 1.2.3"


def test_a_wrong_plugin_and_wrong_settings_are_told_together(site: Path) -> None:
    loki(site, "raise RuntimeError('no')")
    with pytest.raises(ConfigurationError) as caught:
        build(site, {"sinks": ["loki", "null"], "plugin_config": {"null": {"attempts": 0}}})
    assert [problem.path for problem in caught.value.problems] == ["plugin_config.null.attempts", "sinks[0]"]
    assert "of fapilog-loki 1.2.3: importing" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "config"),
    [
        ("def Shipper(batch): ...", {}),
        ("async def Shipper(batch): ...", {}),
        ("class Sink:\n    def write(self, batch): ...\ndef Shipper(): return Sink()", {}),
        (
            "import attrs\n@attrs.frozen\nclass C:\n    url: str\ndef Shipper(c): return print\nShipper.Config = C",
            {"url": "http://x"},
        ),
        ("class Outer:\n    class Inner:\n        def write(self, batch): ...\nShipper = Outer.Inner", {}),
        ("class Shipper:\n    @classmethod\n    def write(cls, batch): ...", {}),
        ("class Shipper:\n    def __init__(self):\n        self.write = print", {}),
        ("class Shipper:\n    def __call__(self, batch): ...", {}),
        ("import functools\ndef f(more, batch): ...\nShipper = functools.partial(f, 1)", {}),
        ("import functools\n@functools.lru_cache\ndef Shipper(batch): ...", {}),
        ("class C:\n    def __call__(self): return print\nShipper = C()", {}),
        ("class C:\n    def __call__(self, batch): ...\nShipper = C()", {}),
        ("import sys\nclass M:\n    def Shipper(self, batch): ...\nsys.modules[__name__] = M()", {}),
    ],
)
def test_what_an_entry_point_may_name(site: Path, source: str, config: dict[str, Any]) -> None:
    loki(site, source)
    (sink,) = build(site, {"sinks": ["loki"], "plugin_config": {"loki": {**config, "attempts": 2}}}).sinks
    assert sink.policy.attempts == 2
    assert callable(sink.plugin.write)
    assert sink.metadata.version == "1.2.3"


def test_an_installed_function_has_no_settings_but_the_policy(site: Path) -> None:
    loki(site, "def Shipper(batch): ...")
    with pytest.raises(ConfigurationError, match=r"plugin_config\.loki\.url: got an unknown setting"):
        build(site, {"sinks": ["loki"], "plugin_config": {"loki": {"url": "x"}}})


# -- found in odd places


@pytest.mark.parametrize("kind", list(PluginType))
def test_each_kind_has_its_group(site: Path, kind: PluginType) -> None:
    add_distribution(site, "p", {f"fapilog.{kind}s:mine": "mine:f"}, modules={"mine": "def f(argument): ..."})
    settings = {f"{kind}s": ["mine"]}
    (built,) = getattr(build(site, settings), f"{kind}s")
    assert built.metadata.plugin_type is kind
    other = "filter" if kind != "filter" else "enricher"
    with pytest.raises(ConfigurationError, match=f"'mine' is an? {kind}; write it in {kind}s"):
        build(site, {f"{other}s": ["mine"]})


def test_what_other_distributions_have_in_their_files_is_no_trouble(site: Path) -> None:
    loki(site)
    add_distribution(site, "broken", "[console_scripts]\nnonsense\n[fapilog.sinks\nother = a:b\n[]\n=\n")
    (site / "empty-1.dist-info").mkdir()
    (binary := site / "binary-1.dist-info").mkdir()
    (binary / "entry_points.txt").write_bytes(b"[fapilog.sinks]\n\xff\xfe = x:y\n")
    large = add_distribution(site, "large", {"fapilog.sinks:large": "a:b"})
    (large / "entry_points.txt").write_text("[fapilog.sinks]\nlarge = a:b\n" + "#" * (1 << 20), encoding="utf-8")
    names = [plugin.name for plugin in only(site).installed()]
    assert names == ["loki", "other"]


@pytest.mark.parametrize("what", ["gone", "empty", "no_text"])
def test_a_distribution_whose_metadata_is_gone_is_told(site: Path, what: str) -> None:
    info = add_distribution(site, "fapilog-loki", {"fapilog.sinks:loki": "loki_plugin:Shipper"})
    if what == "gone":
        (info / "METADATA").unlink()
    else:
        (info / "METADATA").write_bytes(b"" if what == "empty" else b"\xff\xfeName: x")
    error = error_of(site, {"sinks": ["loki"]})
    assert str(error) == (
        "plugin 'loki' of fapilog_loki: the metadata of its distribution is gone or broken; "
        "pip install --force-reinstall fapilog_loki"
    )
    assert "loki" not in only(site).names("sink")


def test_the_first_of_two_versions_on_the_path_counts(site: Path, tmp_path: Path) -> None:
    loki(site)
    add_distribution(tmp_path / "old", "Fapilog.Loki", {"fapilog.sinks:loki": "x:y"}, version="1.0")
    registry = PluginRegistry([str(site), str(tmp_path / "old")])
    assert [plugin.distribution.version for plugin in registry.installed()] == ["1.2.3"]


def test_a_registry_without_a_path_finds_nothing(site: Path) -> None:
    loki(site)
    assert PluginRegistry([]).installed() == ()
    assert not PluginRegistry([]).knows("sink", "loki")
    assert PluginRegistry().knows("sink", "loki")
    assert PluginRegistry([]).copy().installed() == ()


def test_a_container_uses_what_is_installed(site: Path) -> None:
    loki(site)
    container = fapilog.AsyncLoggingContainer({"sinks": ["loki"]})
    assert [metadata.distribution for metadata in container.plugin_registry.loaded] == ["fapilog-loki"]


def test_threads_that_ask_at_once_find_the_same(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    loki(site)
    scans: list[int] = []
    distributions = importlib.metadata.distributions

    def counted(**options: Any) -> Any:
        scans.append(threading.get_ident())
        return distributions(**options)

    monkeypatch.setattr(importlib.metadata, "distributions", counted)
    registry = only(site)
    barrier = threading.Barrier(8)
    found: list[object] = []

    def ask() -> None:
        barrier.wait(10)
        found.append(registry.copy().get("sink", "loki"))
        found.append(registry.get("sink", "loki"))

    registry.installed()
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 16
    assert len(set(map(id, found))) == 1
    assert len(scans) == 1


def test_what_finds_distributions_may_fail(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_distributions(context: object) -> Any:
            raise RuntimeError("no")

        @staticmethod
        def find_spec(*arguments: object) -> None:
            return None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    registry = only(site)
    with pytest.raises(
        PluginError, match="plugin 'installed plugins': looking for what is installed raised RuntimeError"
    ):
        registry.names("sink")
    assert build_all(Settings(sinks=["null"]), registry).sinks[0].name == "null"
    settings = Settings(sinks=["null", "loki"], plugin_config={"loki": {"required": False}})
    build_all(settings, registry)
    assert [skipped.name for skipped in registry.skipped] == ["loki"]


# -- names


def two(site: Path, first: str, second: str) -> None:
    add_distribution(site, "fapilog-loki", {f"fapilog.sinks:{first}": "loki:Shipper"}, modules={"loki": SINK})
    evil(site, second)


def evil(site: Path, name: str) -> None:
    add_distribution(site, "evil", {f"fapilog.sinks:{name}": "evil:S"}, modules={"evil": "raise SystemExit"})


def test_pl3_one_name_of_two_distributions_is_an_error_once_it_is_used(site: Path) -> None:
    two(site, "loki", "loki")
    assert build(site, {}).sinks[0].name == "null"
    assert str(error_of(site, {"sinks": ["loki"]})) == (
        "plugin 'loki': evil 1.2.3 and fapilog-loki 1.2.3 offer a sink of this name; uninstall one, or put the one "
        "that you do not mean into plugins_denied: 'dist:evil' or 'dist:fapilog-loki'"
    )
    for choice in ({"plugins_denied": ["dist:evil"]}, {"plugins_allowed": ["dist:fapilog-loki"]}):
        (sink,) = build(site, {"sinks": ["loki"], **choice}).sinks
        assert sink.metadata.distribution == "fapilog-loki"
    assert "evil" not in sys.modules
    with pytest.raises(PluginError, match=r"evil .* and fapilog-loki .* offer"):
        build(site, {"sinks": ["loki"], "plugins_allowed": ["loki"]})


@pytest.mark.parametrize(
    "other", ["LOKI", "lo-ki", "l0ki", "1oki", "Iokl", "lo_k1", "lоki", "lökí", "ⅼoki", "lo\u200bki"]
)
def test_pl3_a_name_that_looks_like_another_is_an_error_once_it_is_used(site: Path, other: str) -> None:
    two(site, "loki", other)
    error = error_of(site, {"sinks": ["loki"]})
    assert str(error).startswith("plugin 'loki' of fapilog-loki 1.2.3: its name looks like '")
    assert str(error).endswith(
        "' of evil 1.2.3, and one may have been taken for the other; write 'loki' into plugins_allowed if you mean it, "
        "or 'dist:evil' into plugins_denied"
    )
    for choice in ({"plugins_allowed": ["loki"]}, {"plugins_denied": ["dist:evil"]}):
        (sink,) = build(site, {"sinks": ["loki"], **choice}).sinks
        assert sink.metadata.distribution == "fapilog-loki"
    assert "evil" not in sys.modules


def test_names_that_look_alike_may_both_be_used_if_both_are_allowed_by_name(site: Path) -> None:
    two(site, "loki", "l0ki")
    build(site, {"sinks": ["loki"], "plugins_allowed": ["loki", "l0ki"]})
    error = error_of(site, {"sinks": ["loki"], "plugins_allowed": ["dist:fapilog-loki", "dist:evil"]})
    assert "its name looks like 'l0ki' of evil 1.2.3" in str(error)


LOOK_ALIKES = [
    "stdout", "STDOUT", "std-out", "Std_Out", "std0ut", "STD0UT", "stdоut", "ѕtdout", "stdοut", "stdoút", "stclout",
    "ｓtdout", "st\u200bdout", "std out", "std.out",
]  # fmt: skip


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_pl3_a_built_in_name_cannot_be_shadowed(site: Path, name: str) -> None:
    evil(site, name)
    registry = only(site)
    (found,) = registry.installed()
    assert "that of the built-in sink 'stdout', which is used" in found.problem or "has the name of the built-in" in (
        found.problem
    )
    assert registry.get("sink", "stdout").__module__ == "fapilog.sinks.streams"
    assert set(registry.names("sink")) == set(PluginRegistry([]).names("sink"))
    with pytest.raises(PluginError, match="which is used instead; its author has to rename it"):
        load_installed(found)
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    ("name", "built_in"),
    [("fi1e", "file"), ("FlLE", "file"), ("rnemory", "memory"), ("nu11", "null"), ("c0nsoIe", "console")],
)
def test_pl3_a_look_alike_cannot_be_registered(name: str, built_in: str) -> None:
    with pytest.raises(PluginError, match=f"has the name of the built-in sink '{built_in}'; choose another name"):
        PluginRegistry([]).register(lambda: None, name=name, plugin_type="sink")


@pytest.mark.parametrize("name", ["a\x1b]0;x\x07", "a b", "1a", "", "x" * 65, "\u202eikol"])
def test_a_name_that_settings_cannot_have_is_told_in_plain_characters(site: Path, name: str) -> None:
    add_distribution(site, "p", {f"fapilog.sinks:{name}": "m:C"})
    found = only(site).installed()
    assert all(plugin.problem for plugin in found)
    for plugin in found:
        with pytest.raises(PluginError) as caught:
            load_installed(plugin)
        assert str(caught.value).isprintable()


def test_a_line_break_in_a_name_makes_two_lines_of_it(site: Path) -> None:
    add_distribution(site, "p", "[fapilog.sinks]\nstd\nout = m:C\r\x1c\u2028x = m:C\n")
    first, *others = only(site).installed()
    assert [plugin.name for plugin in others] == ["std", "x"]
    assert first.name == "out"
    assert "its entry point is 'std', and not" in others[0].problem


# -- allow and deny


def test_pl1_only_what_is_allowed_is_imported(site: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    source = f"open({str(canary)!r}, 'w').close()\n{SINK}"
    loki(site, source)
    for settings in (
        {"plugins_allowed": []},
        {"plugins_denied": ["loki"]},
        {"plugins_denied": ["L0-KI"]},
        {"plugins_denied": ["dist:FAPILOG.loki"], "plugins_allowed": ["loki"]},
        {"plugins_allowed": ["fapilog-loki", "dist:loki"]},
    ):
        error_of(site, {"sinks": ["loki"], **settings})
        assert not canary.exists()
    registry = only(site)
    registry.names("sink")
    registry.installed()
    build(site, {"sinks": ["null"]})
    assert not canary.exists()
    build(site, {"sinks": ["loki"], "plugins_allowed": ["dist:Fapilog_Loki"]})
    assert canary.exists()


def test_the_lists_do_not_concern_what_the_program_gives_or_registers(site: Path) -> None:
    registry = only(site)
    registry.register(type("Mine", (), {"write": lambda self, batch: None}), name="mine", plugin_type="sink")
    settings = Settings(sinks=["mine", "null"], plugins_allowed=[])
    assert len(build_all(settings, registry, filters=[lambda event: True]).sinks) == 2
    with pytest.raises(PluginError, match="plugin 'mine': plugins_denied has 'mine'"):
        build_all(Settings(sinks=["mine"], plugins_denied=["mine"]), registry)


# -- optional plugins


BROKEN = {
    "not installed": "",
    "raises": "raise RuntimeError('no')",
    "exits": "raise SystemExit",
    "wrong shape": "class Shipper:\n    def write(self): ...",
    "wrong config": "class Shipper:\n    class Config: ...",
    "cannot be made": "def Shipper(): raise OSError('no socket')",
    "makes nothing": "def Shipper(): return 5",
    "clashes": "import attrs\nclass Shipper:\n    @attrs.frozen\n    class Config:\n        required: int = 1\n"
    "    def __init__(self, config): ...",
}


@pytest.mark.parametrize("kind", list(PluginType))
@pytest.mark.parametrize("name", BROKEN)
def test_pl2_an_optional_plugin_of_any_kind_is_left_out(site: Path, kind: PluginType, name: str) -> None:
    if source := BROKEN[name]:
        add_distribution(site, "p", {f"fapilog.{kind}s:loki": "lok:Shipper"}, modules={"lok": source})
    settings = {f"{kind}s": ["loki"], "plugin_config": {"loki": {"required": False, "made_up": 1}}}
    if kind is PluginType.SINK:
        settings["sinks"] = ["null", "loki"]
    registry = only(site)
    if name in ("cannot be made", "makes nothing"):
        settings["plugin_config"] = {"loki": {"required": False}}
    built = build_all(Settings.load({"sinks": ["null"], **settings}), registry)
    assert [sink.name for sink in built.sinks] == ["null"]
    assert all(getattr(built, f"{other}s") == () for other in PluginType if other is not PluginType.SINK)
    (skipped,) = registry.skipped
    assert (skipped.plugin_type, skipped.name) == (kind, "loki")
    assert skipped.reason
    assert [metadata.name for metadata in registry.loaded] == ["null"]
    settings["plugin_config"] = {"loki": {"required": True}}
    with pytest.raises((PluginError, ConfigurationError)):
        build(site, settings)


@pytest.mark.parametrize("source", ["", "raise RuntimeError", "def Shipper(): raise OSError", BROKEN["clashes"]])
def test_a_wrong_policy_of_an_optional_plugin_is_still_told(site: Path, source: str) -> None:
    if source:
        loki(site, source)
    config = {"loki": {"required": False, "attempts": "5"}}
    with pytest.raises(ConfigurationError) as caught:
        build(site, {"sinks": ["loki"], "plugin_config": config})
    assert [problem.path for problem in caught.value.problems] == ["plugin_config.loki.attempts"]


def test_wrong_settings_of_an_optional_plugin_are_still_told(site: Path) -> None:
    loki(site, "class Shipper:\n    def write(self, batch): ...")
    with pytest.raises(ConfigurationError, match=r"plugin_config\.loki\.url: got an unknown setting"):
        build(site, {"sinks": ["loki"], "plugin_config": {"loki": {"required": False, "url": 1}}})


def test_an_optional_plugin_that_may_not_be_used_is_left_out(site: Path) -> None:
    loki(site)
    settings = {"sinks": ["null", "loki"], "plugins_allowed": [], "plugin_config": {"loki": {"required": False}}}
    registry = only(site)
    for _ in range(2):
        build_all(Settings.load(settings), registry)
    (skipped,) = registry.skipped
    assert "plugins_allowed does not have it" in skipped.reason


def test_a_fallback_that_was_left_out_is_none(site: Path) -> None:
    config = {"null": {"fallback": "loki"}, "loki": {"required": False}}
    (sink,) = build(site, {"sinks": ["null", "loki"], "plugin_config": config}).sinks
    assert sink.policy.fallback is None


async def test_what_was_left_out_is_told_and_counted(capfd: pytest.CaptureFixture[str]) -> None:
    settings = {
        "sinks": ["lokki"],
        "enrichers": ["gone"],
        "plugin_config": {"lokki": {"required": False}, "gone": {"required": False}},
    }
    async with fapilog.AsyncLoggingContainer(settings, plugin_registry=PluginRegistry([])) as container:
        await container.logger().info("nobody gets this")
    told = capfd.readouterr().err.splitlines()
    name = container.container_id
    assert f"fapilog[{name}] warning: sink 'lokki' is left out: no sink of this name is installed" in told
    assert f"fapilog[{name}] warning: enricher 'gone' is left out: no enricher of this name is installed" in told
    assert container._diagnostics.counts["lokki.skipped"] == container._diagnostics.counts["gone.skipped"] == 1
    assert [skipped.name for skipped in container.plugin_registry.skipped] == ["lokki", "gone"]
    report = container.report
    assert report is not None and report.balanced and report.complete
    assert report.unrouted == report.submitted == 1


# -- while the container runs


async def test_pl10_a_plugin_cannot_switch_the_redaction_off_while_the_container_runs(site: Path) -> None:
    add_distribution(site, "evil", {"fapilog.enrichers:evil": "evil:tamper"}, modules={"evil": TAMPERING})
    memory = MemorySink()
    registry = PluginRegistry()

    def hide(event: fapilog.LogEvent) -> None:
        event.fields = {**event.fields, "password": "***"}

    registry.register(hide, plugin_type="redactor")
    settings = {"enrichers": ["evil"], "redactors": ["hide"]}
    async with fapilog.AsyncLoggingContainer(settings, sinks=[memory], plugin_registry=registry) as container:
        sys.modules["evil"].container = container  # type: ignore[attr-defined]
        log = container.logger()
        await log.info("login", password=CANARY, _fapilog_unsafe=True, redact=False)
        await log.flush()
        await log.info("login", password=CANARY)
    assert sys.modules["evil"].refused == ["FrozenInstanceError"] * 6  # type: ignore[attr-defined]
    assert [event.fields["password"] for event in memory.events] == ["***", "***"]
    assert [metadata.name for metadata in container.plugin_registry.loaded] == ["memory", "evil", "hide"]
    assert CANARY not in str([(event.fields, event.context) for event in memory.events])


TAMPERING = """
import attrs
container, refused = None, []

def tamper(event):
    for owner, name in (
        (container.settings, "redactors"), (container.settings, "plugin_config"),
        (container.plugin_registry.loaded[0], "name"),
    ):
        try:
            setattr(owner, name, [])
        except attrs.exceptions.FrozenInstanceError as error:
            refused.append(type(error).__name__)
    container.settings.redactors.clear()
    container.settings.plugin_config["hide"] = {"required": False}
    container.plugin_registry._registered.clear()
    return {"redacted": True, "_fapilog_unsafe": True}
"""


# -- what is given and registered


class Modern:
    metadata = fapilog.PluginMetadata("modern", "1.0.0", PluginType.SINK, requires_fapilog=">=7")

    def write(self, batch: object) -> None: ...


def test_what_the_program_gives_or_registers_tells_its_versions_of_fapilog_too() -> None:
    expected = "plugin 'modern': it needs fapilog >=7, and this is fapilog "
    with pytest.raises(PluginError) as caught:
        build_all(Settings(), PluginRegistry([]), sinks=[Modern()])
    assert str(caught.value).startswith(expected)
    registry = PluginRegistry([])
    registry.register(Modern)
    with pytest.raises(PluginError) as caught:
        build_all(Settings(sinks=["modern"]), registry)
    assert str(caught.value).startswith(expected)


def test_a_function_that_does_a_plugins_work_is_registered() -> None:
    def is_slow(event: Any) -> bool:
        return bool(event.metrics)

    registry = PluginRegistry([])
    registry.register(is_slow, plugin_type="filter")
    (built,) = build_all(Settings(sinks=["null"], filters=["is_slow"]), registry).filters
    assert built.plugin is is_slow
    assert built.metadata.name == "is_slow"


# -- nothing is imported that is not used


def run(code: str, environ: dict[str, str], site: Path) -> str:
    environ = {**environ, "PYTHONPATH": os.pathsep.join([str(site), SOURCE])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


USED = """
import sys, fapilog
print('importlib.metadata' in sys.modules, 'fapilog.plugins' in sys.modules)
fapilog.AsyncLoggingContainer({"sinks": ["null", "file"], "plugin_config": {"file": {"path": "a.log"}}})
later = ('importlib.metadata', *('fapilog.plugins.' + name for name in ('installed', 'loading', 'versions')), 'email')
print(*(name in sys.modules for name in later))
fapilog.AsyncLoggingContainer({"sinks": ["loki"]})
print(*(name in sys.modules for name in (*later, 'loki_plugin', 'other_plugin')))
"""


def test_distributions_are_read_only_for_a_name_that_is_not_built_in(site: Path, clean_environ: dict[str, str]) -> None:
    loki(site)
    add_distribution(site, "p", {"fapilog.sinks:other": "other_plugin:x"}, modules={"other_plugin": "raise SystemExit"})
    assert run(USED, clean_environ, site).splitlines() == [
        "False False",
        "False False False False False",
        "True True True True True True False",
    ]
