"""Installed plugins: found without an import, chosen, checked, loaded; and what is said when that cannot be done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distributions import SINK, add_distribution
from fapilog.errors import PluginError
from fapilog.plugins import PluginRegistry, PluginType
from fapilog.plugins.configuration import BuiltPlugins, build_all
from fapilog.settings import Settings

CANARY = "hunter2-canary"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder on ``sys.path``; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


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
