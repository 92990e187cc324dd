"""Which plugins stay the same when a container goes on with other settings."""

from __future__ import annotations

from typing import Any

from ..checks import split_entry
from ..environment import EnvironmentText
from ..settings import Settings
from ..shown import type_of
from .built import BuiltPlugin, BuiltPlugins
from .policy import SinkPolicy, StagePolicy, policy_keys


def kept_plugins(old: BuiltPlugins, old_settings: Settings, new: BuiltPlugins, new_settings: Settings) -> BuiltPlugins:
    """Return the *new* plugins, with the object from *old* for each that is the same by name, class and settings.

    How the pipeline treats a plugin does not count: that is the pipeline's affair.
    """
    kinds: dict[str, Any] = {}
    for kind, plugins in new._asdict().items():
        before = {plugin.name: plugin for plugin in getattr(old, kind)}
        named = set(getattr(old_settings, kind)) & set(getattr(new_settings, kind))
        names = {split_entry(entry)[0] for entry in named}
        kinds[kind] = tuple(
            plugin._replace(plugin=before[plugin.name].plugin)
            if plugin.name in names
            and plugin.name in before  # an optional one may have been left out
            and type(before[plugin.name].plugin) is type(plugin.plugin)
            and _own_table(old_settings, plugin) == _own_table(new_settings, plugin)
            else plugin
            for plugin in plugins
        )
    return BuiltPlugins(**kinds)


def _own_table(settings: Settings, plugin: BuiltPlugin[Any]) -> object:
    """Return a plugin's own settings in a form that can be compared without asking a value anything."""
    table: dict[str, Any] = settings.plugin_config.get(plugin.name, {})
    keys = policy_keys(SinkPolicy if isinstance(plugin.policy, SinkPolicy) else StagePolicy)
    return _comparable({key: value for key, value in table.items() if key not in keys})


def _comparable(value: Any) -> object:
    kind: Any = type_of(value)
    if kind is dict:
        return kind, frozenset((key, _comparable(item)) for key, item in value.items())
    if kind in (list, tuple):
        return kind, tuple(map(_comparable, value))
    return (kind, value) if kind in (str, EnvironmentText, int, float, bool, type(None)) else (kind, id(value))
