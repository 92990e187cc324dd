"""Plugins built from settings and from what the program gives, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from os import PathLike, fspath
from typing import Any, Generic, NamedTuple, TypeVar, cast

import attrs

from ..checks import Problems, plain_table, split_entry
from ..errors import PluginError
from ..settings import Settings
from ..shown import did_you_mean, masked_text, one_of, path_key, secrets_of, show
from .metadata import PluginMetadata, PluginType
from .policy import SinkPolicy, StagePolicy, policy_keys, split_policy
from .registry import PluginRegistry, load, plugin_metadata
from .shape import a_kind, callable_name, expected_shape, shape_faults
from .shape import is_async as is_async
from .shape import method_of as method_of
from .structure import structure_config

# Named, not imported: the built-in sinks know the plugins and not the other way round.
_DEFAULT_SINK_NAME = "fapilog.sinks.console:default_sink_name"
_FUNCTION_SINK = "fapilog.sinks.callable:CallableSink"
_DEFAULT_SINKS = ("console", "stdout")
"""The sinks of which one is used when the settings name none; either may be configured then."""

PolicyT = TypeVar("PolicyT", bound=SinkPolicy | StagePolicy)


class BuiltPlugin(NamedTuple, Generic[PolicyT]):
    """One plugin, made but not started."""

    name: str
    """The instance's name, unlike that of any other of its kind."""
    plugin: Any
    """An object with the method of its kind, or a plain function; a sink always has ``write``."""
    policy: PolicyT
    """How the pipeline treats it; what is None is inherited, see ``resolved``."""
    metadata: PluginMetadata
    """What is known of the plugin."""


class BuiltPlugins(NamedTuple):
    """All plugins of one container, in the order they are given in: those of the settings, then the program's."""

    sinks: tuple[BuiltPlugin[SinkPolicy], ...] = ()
    filters: tuple[BuiltPlugin[StagePolicy], ...] = ()
    enrichers: tuple[BuiltPlugin[StagePolicy], ...] = ()
    processors: tuple[BuiltPlugin[StagePolicy], ...] = ()
    redactors: tuple[BuiltPlugin[StagePolicy], ...] = ()

    @property
    def redact_text(self) -> Callable[[str], str] | None:
        """What the redactors do to a text that is in no event, in their order; None if none of them says."""
        functions: list[Callable[[str], str]] = [
            plugin.plugin.redact_text
            for plugin in self.redactors
            if callable(getattr(plugin.plugin, "redact_text", None))
        ]
        return (lambda text: reduce(lambda clean, function: function(clean), functions, text)) if functions else None


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

    No plugin is started. A plugin's class is called only when nothing was found wrong with any plugin's settings.

    Raises:
        ConfigurationError: if the settings are wrong; it holds every problem of every plugin.
        PluginError: if the settings are right, and a plugin is of the wrong shape or cannot be made; notes name others.
    """
    build = _Build(settings, registry)
    build.plan(PluginType.SINK, sinks)
    build.plan(PluginType.FILTER, filters)
    build.plan(PluginType.ENRICHER, enrichers)
    build.plan(PluginType.PROCESSOR, processors)
    build.plan(PluginType.REDACTOR, redactors)
    build.check_sinks()
    build.check_tables()
    return BuiltPlugins(**build.finish())


def build_plugins(
    settings: Settings, registry: PluginRegistry, plugin_type: PluginType, given: Sequence[object] = ()
) -> list[BuiltPlugin[Any]]:
    """Return the plugins of one kind; like :func:`build_all`, but tables that other kinds may use are not checked.

    Raises:
        ConfigurationError: if their settings are wrong.
        PluginError: if one is of the wrong shape or cannot be made.
    """
    build = _Build(settings, registry)
    build.plan(plugin_type, given)
    build.check_sinks()
    return list(build.finish()[f"{plugin_type}s"])


class _Plan:
    """A plugin that is to be built, or was given."""

    def __init__(
        self,
        kind: PluginType,
        name: str,
        plugin_name: str,
        policy: SinkPolicy | StagePolicy,
        table: dict[str, Any],
    ) -> None:
        self.kind: PluginType = kind
        self.name: str = name
        self.plugin_name: str = plugin_name
        self.policy: SinkPolicy | StagePolicy = policy
        self.plugin: Any = None
        self.factory: Callable[..., Any] | None = None
        self.config: Any = None
        self.table: dict[str, Any] = table

    @property
    def path(self) -> str:
        return f"plugin_config.{path_key(self.name)}"


class _Fault(NamedTuple):
    """What is wrong with a plugin itself."""

    plugin: str
    path: str
    given: str
    allowed: str
    reason: str


class _Build:
    """Plans every plugin, collects what is wrong, and makes them only if nothing is."""

    def __init__(self, settings: Settings, registry: PluginRegistry) -> None:
        self._settings = settings
        self._registry = registry
        self._problems = Problems()
        self._faults: list[_Fault] = []
        self._plans: dict[PluginType, list[_Plan]] = {}
        self._names: set[str] = set()
        self._default_sink = False

    def plan(self, kind: PluginType, given: Sequence[object]) -> None:
        """Plan the plugins of one *kind*: those that the settings name, then the *given* ones."""
        plans = self._plans[kind] = []
        entries: list[str] = getattr(self._settings, f"{kind}s")
        if not isinstance(given, (list, tuple)):
            self._fault(kind, f"{kind}s", given, "it is no list; write [...] around it")
            given = ()
        self._names.update(split_entry(entry)[0] for entry in entries)
        if kind is PluginType.SINK and not entries and not given and not self._faults:
            self._default_sink = True
            entries = [load("default sink", _DEFAULT_SINK_NAME)()]
        for position, entry in enumerate(entries):
            plan = self._plan_named(kind, entry, f"{kind}s[{position}]")
            if plan is not None:
                plans.append(plan)
        taken = {split_entry(entry)[0] for entry in entries}
        for position, plugin in enumerate(given):
            if any(plugin is earlier for earlier in given[:position]):
                self._fault(kind, callable_name(plugin), plugin, f"it is given twice in {kind}s; make another one")
                continue
            plan = self._plan_given(kind, plugin, taken)
            if plan is not None:
                plans.append(plan)

    def _plan_named(self, kind: PluginType, entry: str, path: str) -> _Plan | None:
        name, plugin_name = split_entry(entry)
        known = self._registry.names(kind)
        if plugin_name not in known:
            others = [other for other in PluginType if plugin_name in self._registry.names(other)]
            hint = (
                f"{plugin_name!r} is {a_kind(others[0])}; write it in {others[0]}s"
                if others
                else did_you_mean(plugin_name, known)
            )
            allowed = f"the name of {a_kind(kind)}: {one_of(known)}" if known else f"nothing, no {kind} is registered"
            self._problems.say(path, show(plugin_name), allowed, hint)
            return None
        try:
            factory = self._registry.get(kind, plugin_name)
        except PluginError as error:
            self._faults.append(
                _Fault(plugin_name, path, show(plugin_name), "a plugin that can be imported", masked_text(str(error)))
            )
            return None
        plan = self._policy_plan(kind, name, plugin_name)
        plan.factory = factory
        config_class = getattr(factory, "Config", None)
        keys = policy_keys(type(plan.policy))
        if not isinstance(config_class, type) or not attrs.has(config_class):
            self._problems.unknown_keys(f"{plan.path}.", list(plan.table), keys, "setting")
            return plan
        clash = [attribute.alias for attribute in attrs.fields(config_class) if attribute.alias in keys]
        if clash:
            reason = f"its Config has {one_of(clash)}, which tells the pipeline how to treat it; rename it"
            self._fault(kind, plugin_name, factory, reason, path=path)
            return None
        plan.config = structure_config(config_class, plan.table, plan.path, self._problems, beside=keys)
        return plan

    def _plan_given(self, kind: PluginType, plugin: object, taken: set[str]) -> _Plan | None:
        base = callable_name(plugin)
        faults = ["it is a name; names go into the settings"] if isinstance(plugin, str) else shape_faults(plugin, kind)
        if not faults:
            metadata = plugin_metadata(plugin, kind)
            base = metadata.name
            if metadata.plugin_type is not kind:
                other = metadata.plugin_type
                faults = [f"its metadata says that it is {a_kind(other)}, to be given in {other}s"]
        for reason in faults:
            self._fault(kind, base, plugin, reason)
        if faults:
            return None
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        self._names.add(name)
        plan = self._policy_plan(kind, name, base)
        plan.plugin = plugin
        # The object is made already: only the pipeline's treatment of it is left to tell.
        self._problems.unknown_keys(f"{plan.path}.", list(plan.table), policy_keys(type(plan.policy)), "setting")
        return plan

    def _policy_plan(self, kind: PluginType, name: str, plugin_name: str) -> _Plan:
        # A copy, so that a plugin cannot change the settings.
        table = plain_table(Problems(), "", self._settings.plugin_config.get(name, {}), "")
        policy: SinkPolicy | StagePolicy
        if kind is PluginType.SINK:
            policy, rest = split_policy(table, SinkPolicy, name=name, problems=self._problems)
        else:
            policy, rest = split_policy(table, StagePolicy, name=name, problems=self._problems)
        return _Plan(kind, name, plugin_name, policy, rest)

    def check_sinks(self) -> None:
        """Check what concerns several sinks: fallbacks that exist and lead somewhere, and files of their own."""
        sinks = self._plans.get(PluginType.SINK, [])
        entries = {split_entry(entry)[0] for entry in self._settings.sinks}
        names = list(dict.fromkeys([*(plan.name for plan in sinks), *sorted(entries)]))
        fallbacks = {plan.name: cast("SinkPolicy", plan.policy).fallback for plan in sinks}
        for name, fallback in fallbacks.items():
            others = [other for other in names if other != name]
            if fallback is not None and fallback not in others:
                hint = "a sink cannot stand in for itself" if fallback == name else did_you_mean(fallback, others)
                allowed = f"the name of another sink: {one_of(others)}" if others else "nothing, there is no other sink"
                self._problems.say(f"plugin_config.{name}.fallback", show(fallback), allowed, hint)
        for cycle in _cycles(fallbacks):
            self._problems.say(
                f"plugin_config.{cycle[0]}.fallback",
                show(cycle[1]),
                "a sink whose own fallback does not lead back",
                " -> ".join([*cycle, cycle[0]]),
            )
        self._check_files(sinks)

    def _check_files(self, sinks: list[_Plan]) -> None:
        owners: dict[str, _Plan] = {}
        for plan in sinks:
            # The table is looked at, not the configuration, which does not exist if it is wrong elsewhere.
            path: Any = plan.table.get("path") if plan.plugin_name == "file" else None
            if isinstance(path, (str, PathLike)):
                self._check_file(plan, fspath(cast("str | PathLike[str]", path)), owners)

    def _check_file(self, plan: _Plan, path: str, owners: dict[str, _Plan]) -> None:
        from os.path import realpath

        try:
            owner = owners.setdefault(realpath(path), plan)
        except ValueError:
            return  # No path, as with a NUL in it; the sink's own check says so.
        if owner is not plan:
            hint = f"{owner.path}.path is the same file"
            self._problems.say(f"{plan.path}.path", show(path), "a file that no other sink writes", hint)

    def check_tables(self) -> None:
        """Check that every table of settings is used, and by one plugin."""
        kinds: dict[str, list[PluginType]] = {}
        for kind, plans in self._plans.items():
            for name in {plan.name for plan in plans} | {
                split_entry(entry)[0] for entry in getattr(self._settings, f"{kind}s")
            }:
                kinds.setdefault(name, []).append(kind)
        for name, table in self._settings.plugin_config.items():
            users = kinds.get(name, [])
            path = f"plugin_config.{path_key(name)}"
            if len(users) > 1:
                both = " and ".join(map(a_kind, users))
                hint = f"write 'other={name}' in {users[-1]}s"
                self._problems.say(path, f"settings of {both}", "settings of one plugin", hint)
            elif not users and not (self._default_sink and name in _DEFAULT_SINKS):
                hint = did_you_mean(name, self._names)
                for kind in PluginType:
                    if name in self._registry.names(kind):
                        hint = f"add {name!r} to {kind}s, or take these settings out"
                given = f"settings of {len(table)} keys" if len(table) != 1 else "settings of 1 key"
                self._problems.say(path, given, "the name of a plugin that is used", hint)

    def finish(self) -> dict[str, tuple[BuiltPlugin[Any], ...]]:
        """Make the plugins and return them by their kind's plural, or raise what was collected."""
        if not self._problems.items and not self._faults:
            for plans in self._plans.values():
                for plan in plans:
                    if plan.factory is not None:
                        self._make(plan)
        self._raise_any()
        built: dict[str, tuple[BuiltPlugin[Any], ...]] = {}
        for kind, plans in self._plans.items():
            made: list[BuiltPlugin[Any]] = []
            for plan in plans:
                source = plan.plugin if plan.factory is None else plan.factory
                metadata = plugin_metadata(source, kind, plan.plugin_name)
                if kind is PluginType.SINK and not hasattr(plan.plugin, "write"):
                    plan.plugin = load(plan.name, _FUNCTION_SINK)(plan.plugin)
                self._registry.note_loaded(metadata)
                made.append(BuiltPlugin(plan.name, plan.plugin, plan.policy, metadata))
            built[f"{kind}s"] = tuple(made)
        return built

    def _make(self, plan: _Plan) -> None:
        assert plan.factory is not None
        try:
            plan.plugin = plan.factory() if plan.config is None else plan.factory(plan.config)
        except Exception as error:
            reason = masked_text(f"{type(error).__name__}: {error}", secrets_of(plan.table))
            if self._problems.take_over(error, f"{plan.path}."):
                return
            if isinstance(error, ValueError):
                self._problems.say(plan.path, "settings", "settings that the plugin can be made with", reason)
            else:
                self._fault(plan.kind, plan.name, plan.factory, f"making it raised {reason}", path=plan.path)
            return
        for reason in shape_faults(plan.plugin, plan.kind):
            self._fault(plan.kind, plan.name, plan.plugin, reason, path=plan.path)

    def _fault(self, kind: PluginType, name: str, plugin: object, reason: str, *, path: str | None = None) -> None:
        self._faults.append(_Fault(name, path or f"{kind}s", show(plugin), expected_shape(kind), reason))

    def _raise_any(self) -> None:
        if self._problems.items:
            for fault in self._faults:
                self._problems.say(fault.path, fault.given, fault.allowed, fault.reason)
            self._problems.raise_any()
        if self._faults:
            errors = [
                PluginError(fault.plugin, f"{fault.reason} (got {fault.given}; allowed: {fault.allowed})")
                for fault in self._faults
            ]
            for other in errors[1:]:
                errors[0].add_note(str(other))
            raise errors[0]


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
