"""Plugins built from settings and from what the program gives, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import ConfigurationError, PluginError
from ..settings import Settings
from ._findings import Findings
from ._making import Making
from ._planning import Planning
from ._together import check_sinks, check_tables
from .built import BuiltPlugin as BuiltPlugin
from .built import BuiltPlugins as BuiltPlugins
from .metadata import PluginType
from .registry import PluginRegistry
from .shape import is_async as is_async
from .shape import is_static as is_static
from .shape import method_of as method_of


class GivenPlugins(NamedTuple):
    """The plugin objects and functions that a program gives beside its settings."""

    sinks: Sequence[object] = ()
    filters: Sequence[object] = ()
    enrichers: Sequence[object] = ()
    processors: Sequence[object] = ()
    redactors: Sequence[object] = ()

    def instead(self, *given: Sequence[object] | None) -> GivenPlugins:
        """Return these plugins with those of each kind replaced that *given* has, in the order of the attributes."""
        return GivenPlugins(*(old if new is None else new for old, new in zip(self, given, strict=True)))

    def build(self, settings: Settings, registry: PluginRegistry) -> BuiltPlugins:
        """Return all plugins, as :func:`build_all` does."""
        return build_all(settings, registry, **self._asdict())


def add_plugin_problems(error: ConfigurationError, given: GivenPlugins, registry: PluginRegistry) -> None:
    """Let an error about settings tell of the plugins' own settings too, so that all problems are told at once."""
    if error.right is None:
        return
    try:
        given.build(error.right, registry)
    except ConfigurationError as others:
        error.add(others.problems)
    except PluginError:
        pass  # that is told once the settings are right


def build_all(
    settings: Settings,
    registry: PluginRegistry,
    *,
    sinks: Sequence[object] = (),
    filters: Sequence[object] = (),
    enrichers: Sequence[object] = (),
    processors: Sequence[object] = (),
    redactors: Sequence[object] = (),
) -> BuiltPlugins:
    """Return all plugins, those that the settings name and the given objects and functions.

    No plugin is started. A plugin's class is called only when nothing was found wrong with any plugin's settings. A
    plugin that the settings name and that has ``required = false`` is left out if it cannot be loaded or made;
    ``registry.skipped`` then has it.

    Raises:
        ConfigurationError: if the settings are wrong; it holds every problem of every plugin.
        PluginError: if the settings are right, and a plugin is of the wrong shape or cannot be made; notes name others.
    """
    findings = Findings(settings)
    planning = Planning(settings, registry, findings)
    planning.plan(PluginType.SINK, sinks)
    planning.plan(PluginType.FILTER, filters)
    planning.plan(PluginType.ENRICHER, enrichers)
    planning.plan(PluginType.PROCESSOR, processors)
    planning.plan(PluginType.REDACTOR, redactors)
    planning.plan_sinks_redactors()
    check_sinks(planning, settings, findings.problems)
    check_tables(planning, settings, registry, findings.problems)
    try:
        return BuiltPlugins(**Making(planning, registry, findings).make_all())
    except ConfigurationError as error:
        error.locate(settings.source_of)
        raise


def build_plugins(
    settings: Settings, registry: PluginRegistry, plugin_type: PluginType, given: Sequence[object] = ()
) -> list[BuiltPlugin[Any]]:
    """Return the plugins of one kind; like :func:`build_all`, but tables that other kinds may use are not checked.

    Raises:
        ConfigurationError: if their settings are wrong.
        PluginError: if one is of the wrong shape or cannot be made.
    """
    findings = Findings(settings)
    planning = Planning(settings, registry, findings)
    planning.plan(plugin_type, given)
    planning.plan_sinks_redactors()
    check_sinks(planning, settings, findings.problems)
    return list(Making(planning, registry, findings).make_all()[f"{plugin_type}s"])
