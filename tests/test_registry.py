"""PluginRegistry: built-in and registered plugins by name, and names that may not be used."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import attrs
import pytest

from fapilog.errors import PluginError
from fapilog.plugins import PluginMetadata, PluginRegistry, PluginType
from fapilog.plugins.registry import plugin_metadata

BUILT_IN_SINKS = ("console", "file", "memory", "null", "stderr", "stdout")


class KeepAll:
    def keep(self, event: object) -> bool:
        return True


class Shipper:
    metadata: ClassVar[PluginMetadata] = PluginMetadata("shipper", "2.1.0", PluginType.SINK)

    @attrs.frozen
    class Config:
        url: str
        attempts_in_all: int = 3

    def __init__(self, config: Config) -> None:
        self.config = config

    def write(self, batch: object) -> None: ...


def test_the_built_in_plugins_are_known_by_name() -> None:
    registry = PluginRegistry()
    assert set(BUILT_IN_SINKS) <= set(registry.names(PluginType.SINK))
    assert registry.names("sink") == tuple(sorted(registry.names("sink")))


@pytest.mark.parametrize("name", BUILT_IN_SINKS)
def test_a_built_in_sink_is_a_class_with_its_own_metadata(name: str) -> None:
    registry = PluginRegistry()
    metadata = registry.metadata(PluginType.SINK, name)
    assert metadata.name == name
    assert metadata.plugin_type is PluginType.SINK
    module, _, attribute = metadata.entry_point.partition(":")
    assert registry.get("sink", name) is getattr(sys.modules[module], attribute)
    assert registry.loaded == ()


def test_only_a_plugin_that_is_asked_for_is_imported() -> None:
    code = (
        "import sys\n"
        "from fapilog.plugins import PluginRegistry\n"
        "registry = PluginRegistry()\n"
        "registry.names('sink')\n"
        "before = 'fapilog.sinks.file' in sys.modules\n"
        "registry.get('sink', 'file')\n"
        "print(before, 'fapilog.sinks.file' in sys.modules, 'cattrs' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.split() == ["False", "True", "False"]


def test_a_class_is_registered_by_its_metadata_or_by_its_method() -> None:
    registry = PluginRegistry()
    assert registry.register(Shipper) is Shipper
    assert registry.register(KeepAll) is KeepAll
    assert registry.get(PluginType.SINK, "shipper") is Shipper
    assert registry.get(PluginType.FILTER, "KeepAll") is KeepAll
    assert "shipper" in registry.names(PluginType.SINK)
    assert "KeepAll" in registry.names(PluginType.FILTER)


def test_a_function_that_makes_a_plugin_is_registered_with_its_kind() -> None:
    def make_filter() -> KeepAll:
        return KeepAll()

    registry = PluginRegistry()
    registry.register(make_filter, name="keep-all", plugin_type="filter")
    assert registry.get("filter", "keep-all") is make_filter


def test_registries_share_nothing() -> None:
    one, other = PluginRegistry(), PluginRegistry()
    one.register(Shipper)
    assert "shipper" not in other.names("sink")


def test_the_metadata_is_completed() -> None:
    registry = PluginRegistry()
    registry.register(Shipper, name="my-shipper")
    registry.register(KeepAll)
    metadata = registry.metadata("sink", "my-shipper")
    assert (metadata.name, metadata.version) == ("my-shipper", "2.1.0")
    assert metadata.entry_point == f"{__name__}:Shipper"
    assert list(metadata.configuration_schema["properties"]) == ["url", "attempts_in_all"]
    assert Shipper.metadata.configuration_schema == {}
    plain = registry.metadata("filter", "KeepAll")
    assert (plain.name, plain.version, plain.configuration_schema) == ("KeepAll", "0", {})


def drop_debug(event: Any) -> bool:
    return bool(event.level != "DEBUG")


@pytest.mark.parametrize(
    ("plugin", "name", "entry_point"),
    [
        (drop_debug, "drop_debug", "drop_debug"),
        (KeepAll(), "KeepAll", "KeepAll"),
        (lambda event: True, "lambda", "<lambda>"),
    ],
)
def test_objects_and_functions_have_metadata_too(plugin: object, name: str, entry_point: str) -> None:
    metadata = plugin_metadata(plugin, PluginType.FILTER)
    assert (metadata.name, metadata.version, metadata.plugin_type) == (name, "0", PluginType.FILTER)
    assert metadata.entry_point == f"{__name__}:{entry_point}"


@pytest.mark.parametrize("name", ["stdout", "STDOUT", "std-out", "Std_Out", "file", "FI-LE", "null_"])
def test_pl3_a_built_in_name_cannot_be_taken(name: str) -> None:
    registry = PluginRegistry()
    with pytest.raises(PluginError, match=f"plugin '{name}': has the name of the built-in sink"):
        registry.register(KeepAll, name=name, plugin_type="sink")
    assert "KeepAll" not in str(registry.get("sink", "stdout"))


@pytest.mark.parametrize("name", ["st\u043eut", "ﬁle", "a b", "", "1st", "a.b", "a=b", "x" * 65, "a\nb"])
def test_pl3_names_that_look_like_others_or_like_nothing_are_refused(name: str) -> None:
    with pytest.raises(PluginError, match="is no plugin's name; use ASCII letters, digits, '_' and '-'"):
        PluginRegistry().register(KeepAll, name=name)


def test_pl3_two_plugins_cannot_have_one_name() -> None:
    class Other(KeepAll): ...

    registry = PluginRegistry()
    registry.register(KeepAll, name="keep-all")
    registry.register(KeepAll, name="keep-all")
    for name in ("keep-all", "keep_all", "KeepAll"):
        with pytest.raises(PluginError, match="has the name of another registered filter, 'keep-all'"):
            registry.register(Other, name=name)
    assert registry.get("filter", "keep-all") is KeepAll
    registry.register(Other, name="keep-all", plugin_type=PluginType.ENRICHER)


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (5, {"name": "x"}, "plugin 'x': got 5; register a class, or a function that makes the plugin"),
    (int, {"name": "x"}, "plugin 'x': does not tell its kind; give plugin_type, one of sink, processor, enricher"),
    (KeepAll, {"plugin_type": "sieve"}, "plugin 'KeepAll': 'sieve' is no plugin type; use one of sink, processor"),
    (
        Shipper,
        {"plugin_type": "enricher"},
        "plugin 'shipper': is registered as an enricher, but its metadata says sink",
    ),
]


@pytest.mark.parametrize(("plugin", "options", "expected"), WRONG, ids=str)
def test_what_cannot_be_registered(plugin: Any, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(PluginError) as caught:
        PluginRegistry().register(plugin, **options)
    assert str(caught.value).startswith(expected)


def test_a_class_with_the_methods_of_two_kinds_has_to_tell_which() -> None:
    class Both(KeepAll):
        def enrich(self, event: object) -> None: ...

    registry = PluginRegistry()
    with pytest.raises(PluginError, match="does not tell its kind"):
        registry.register(Both)
    registry.register(Both, plugin_type="filter")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("stdot", "no sink of this name; did you mean 'stdout'?"), ("zzz", "no sink of this name; there are console, ")],
)
def test_an_unknown_name_is_told_with_the_nearest(name: str, expected: str) -> None:
    with pytest.raises(PluginError) as caught:
        PluginRegistry().get("sink", name)
    assert expected in str(caught.value)


def test_a_module_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fapilog.sinks.null", None)
    with pytest.raises(PluginError, match=r"importing fapilog\.sinks\.null:NullSink failed: ModuleNotFoundError"):
        PluginRegistry().get("sink", "null")


def test_the_repr_says_how_many() -> None:
    registry = PluginRegistry()
    registry.register(Shipper)
    assert repr(registry) == "<PluginRegistry with 1 registered and 0 loaded plugins>"
