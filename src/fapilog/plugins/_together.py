"""What can only be seen of several plugins together: fallbacks, files and tables of settings."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any, cast

from ..checks import Problems, split_entry
from ..settings import Settings
from ..shown import did_you_mean, one_of, path_key, show
from ._findings import Plan
from ._planning import Planning
from .metadata import PluginType
from .policy import SinkPolicy
from .registry import PluginRegistry
from .shape import a_kind

_DEFAULT_SINKS = ("console", "stdout")
"""The sinks of which one is used when the settings name none; either may be configured then."""


def check_sinks(planning: Planning, settings: Settings, problems: Problems) -> None:
    """Check what concerns several sinks: fallbacks that exist and lead somewhere, and files of their own."""
    sinks = planning.plans.get(PluginType.SINK, [])
    entries = {split_entry(entry)[0] for entry in settings.sinks}
    names = list(dict.fromkeys([*(plan.name for plan in sinks), *sorted(entries)]))
    fallbacks = {plan.name: cast("SinkPolicy", plan.policy).fallback for plan in sinks}
    for name, fallback in fallbacks.items():
        others = [other for other in names if other != name]
        if fallback is not None and fallback not in others:
            hint = "a sink cannot stand in for itself" if fallback == name else did_you_mean(fallback, others)
            allowed = f"the name of another sink: {one_of(others)}" if others else "nothing, there is no other sink"
            problems.say(f"plugin_config.{name}.fallback", show(fallback), allowed, hint)
    for cycle in _cycles(fallbacks):
        problems.say(
            f"plugin_config.{cycle[0]}.fallback",
            show(cycle[1]),
            "a sink whose own fallback does not lead back",
            " -> ".join([*cycle, cycle[0]]),
        )
    _check_files(sinks, problems)


def _check_files(sinks: list[Plan], problems: Problems) -> None:
    owners: dict[str, Plan] = {}
    for plan in sinks:
        # The table is looked at, not the configuration, which does not exist if it is wrong elsewhere.
        path: Any = plan.table.get("path") if plan.plugin_name == "file" else None
        if isinstance(path, (str, PathLike)):
            _check_file(plan, fspath(cast("str | PathLike[str]", path)), owners, problems)


def _check_file(plan: Plan, path: str, owners: dict[str, Plan], problems: Problems) -> None:
    from os.path import realpath

    try:
        owner = owners.setdefault(realpath(path), plan)
    except ValueError:
        return  # No path, as with a NUL in it; the sink's own check says so.
    if owner is not plan:
        hint = f"{owner.path}.path is the same file"
        problems.say(f"{plan.path}.path", show(path), "a file that no other sink writes", hint)


def check_tables(planning: Planning, settings: Settings, registry: PluginRegistry, problems: Problems) -> None:
    """Check that every table of settings is used, and by one plugin."""
    kinds: dict[str, list[PluginType]] = {name: [PluginType.REDACTOR] for name in planning.sinks_entries}
    for kind, plans in planning.plans.items():
        for name in {plan.name for plan in plans} | {split_entry(entry)[0] for entry in getattr(settings, f"{kind}s")}:
            kinds.setdefault(name, []).append(kind)
    for name, table in settings.plugin_config.items():
        users = kinds.get(name, [])
        path = f"plugin_config.{path_key(name)}"
        if len(users) > 1:
            both = " and ".join(map(a_kind, users))
            hint = f"write 'other={name}' in {users[-1]}s"
            problems.say(path, f"settings of {both}", "settings of one plugin", hint)
        elif not users and not (planning.default_sink and name in _DEFAULT_SINKS):
            hint = did_you_mean(name, planning.names)
            for kind in PluginType:
                if name in registry.names(kind):
                    hint = f"add {name!r} to {kind}s, or take these settings out"
            given = f"settings of {len(table)} keys" if len(table) != 1 else "settings of 1 key"
            problems.say(path, given, "the name of a plugin that is used", hint)


def _cycles(fallbacks: Mapping[str, str | None]) -> list[list[str]]:
    """Return each ring of sinks that are one another's fallback, once; one of a single sink is left out."""
    found: list[list[str]] = []
    seen: set[str] = set()
    for start in fallbacks:
        chain: list[str] = []
        name: str | None = start
        while name is not None and name not in seen:
            seen.add(name)
            chain.append(name)
            name = fallbacks.get(name)
        if name in chain and len(ring := chain[chain.index(name) :]) > 1:
            found.append(ring)
    return found
