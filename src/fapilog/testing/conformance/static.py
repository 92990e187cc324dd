"""What can be seen of a plugin without running it: its shape, its metadata and its Config."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import attrs

from ...errors import PluginError
from ...plugins import PluginMetadata, PluginRegistry, PluginType, SinkPolicy, StagePolicy
from ...plugins.policy import policy_keys
from ...plugins.schema import json_schema
from ...plugins.shape import METHODS, a_kind, is_static, shape_faults
from ...shown import is_secret_name, show, type_of
from .violations import Violation

_VERSION = re.compile(r"\d+(\.\d+)*([-+.]?\w+)*")


def kind_of_plugin(plugin: Any) -> PluginType | None:
    """Return what *plugin* is, by its metadata or its method; None if it does not tell."""
    metadata = getattr(plugin, "metadata", None)
    if isinstance(metadata, PluginMetadata):
        return PluginType(metadata.plugin_type)
    kinds = [kind for kind, (method, _) in METHODS.items() if callable(getattr(plugin, method, None))]
    return kinds[0] if len(kinds) == 1 else None


def examine_statically(plugin: Any, other: Any, kind: PluginType) -> list[Violation]:
    """Return what is wrong with a plugin before it runs.

    Parameters:
        plugin: the plugin.
        other: what the factory made the second time.
        kind: what it is to be.
    """
    found = [Violation("shape", fault) for fault in shape_faults(plugin, kind)]
    is_object = hasattr(plugin, METHODS[kind][0]) or is_static(plugin, kind)
    if is_object:
        if plugin is other:
            found.append(Violation("instances", "the factory gives the same instance each time"))
        found += _metadata(plugin, kind)
        found += _config(plugin, kind)
    return found


def _metadata(plugin: Any, kind: PluginType) -> list[Violation]:
    metadata = getattr(plugin, "metadata", None)
    if metadata is None:
        return [Violation("metadata", f"{type(plugin).__name__} has no metadata")]
    if type(metadata) is not PluginMetadata:
        return [Violation("metadata", f"its metadata is {type(metadata).__name__}, not PluginMetadata")]
    found: list[str] = []
    if metadata.plugin_type != kind:
        found.append(f"its metadata says that it is {a_kind(PluginType(metadata.plugin_type))}, not {a_kind(kind)}")
    if not isinstance(metadata.version, str) or not _VERSION.fullmatch(metadata.version):
        found.append(f"its version is {show(metadata.version)}")
    if metadata.entry_point and (problem := _entry_point(metadata.entry_point, plugin)):
        found.append(problem)
    if not all(isinstance(requirement, str) and requirement for requirement in metadata.dependencies):
        found.append(f"its dependencies are {show(metadata.dependencies)}, not a list of requirements")
    if not type(plugin).__module__.startswith("fapilog.") and not found:
        try:
            PluginRegistry().register(_maker(plugin), name=metadata.name, plugin_type=kind)
        except PluginError as error:
            found.append(str(error))
    return [Violation("metadata", what) for what in found]


def _maker(plugin: Any) -> Callable[[], Any]:
    def make() -> Any:
        return plugin

    return make


def _entry_point(entry_point: str, plugin: Any) -> str:
    module, _, attribute = entry_point.partition(":")
    try:
        named = getattr(import_module(module), attribute)
    except Exception as error:
        return f"its entry point {entry_point!r} cannot be imported: {type(error).__name__}: {error}"
    if isinstance(named, type) and not isinstance(plugin, named):
        return f"its entry point {entry_point!r} is another class"
    return ""


def _config(plugin: Any, kind: PluginType) -> list[Violation]:
    config: Any = getattr(plugin, "Config", None)
    if config is None:
        return []
    if not isinstance(config, type) or not attrs.has(config):
        return [Violation("config", f"its Config is {show(config)}, not an attrs class")]
    found: list[str] = []
    policy = SinkPolicy if kind is PluginType.SINK else StagePolicy
    for attribute in attrs.fields(config):
        name = attribute.alias or attribute.name
        if attribute.init and name in policy_keys(policy):
            found.append(f"Config.{name} is a key of {policy.__name__}, which tells the pipeline how to treat it")
        if attribute.type is None:
            found.append(f"Config.{attribute.name} has no type, so that nothing checks what settings give")
        if is_secret_name(attribute.name) and attribute.repr is not False:
            found.append(f"Config.{attribute.name} is a secret by its name, and repr shows it")
    try:
        json_schema(config)
    except Exception as error:
        found.append(f"no JSON Schema can be made of Config: {type(error).__name__}: {error}")
    found += _copied(plugin, config)
    return [Violation("config", what) for what in found]


def _copied(plugin: Any, config: Any) -> list[str]:
    """Return what is wrong with plugins made of the default settings and of a copy of them."""
    if any(attribute.init and attribute.default is attrs.NOTHING for attribute in attrs.fields(config)):
        return []  # its settings are not known here
    make: Callable[[Any], Any] = type_of(plugin)
    try:
        default = config()
        make(default)
        make(attrs.evolve(default))
    except Exception as error:
        return [f"{type(plugin).__name__}(Config()) raised {type(error).__name__}: {error}"]
    return []
