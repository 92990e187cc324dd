"""Plugins built from settings and from what the program gives, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

import attrs

from ..checks import Problems, plain_table, split_entry
from ..environment import EnvironmentText
from ..errors import ConfigurationError, PluginError
from ..settings import Settings
from ..shown import did_you_mean, one_of, path_key, secrets_of, show, type_of
from .metadata import PluginMetadata, PluginType, SkippedPlugin
from .policy import SinkPolicy, StagePolicy, instead_of, policy_keys, split_policy
from .registry import PluginRegistry, load, plugin_metadata
from .selection import Selection
from .shape import a_kind, callable_name, expected_shape, is_plugin_itself, shape_faults
from .shape import is_async as is_async
from .shape import is_static as is_static
from .shape import method_of as method_of
from .structure import structure_config

if TYPE_CHECKING:
    from .installed import InstalledPlugin

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
    redactors: tuple[BuiltPlugin[StagePolicy], ...] = ()
    """The redactors that only a sink's own events pass."""


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
    build = _Build(settings, registry)
    build.plan(PluginType.SINK, sinks)
    build.plan(PluginType.FILTER, filters)
    build.plan(PluginType.ENRICHER, enrichers)
    build.plan(PluginType.PROCESSOR, processors)
    build.plan(PluginType.REDACTOR, redactors)
    build.plan_sinks_redactors()
    build.check_sinks()
    build.check_tables()
    try:
        return BuiltPlugins(**build.finish())
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
    build = _Build(settings, registry)
    build.plan(plugin_type, given)
    build.plan_sinks_redactors()
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
        self.origin: InstalledPlugin | None = None
        """Where it was installed from, if it was."""

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
    error: PluginError
    """What is raised if nothing is wrong with the settings."""


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
        self._sinks_redactors: dict[str, _Plan] = {}
        """The redactors that sinks name as their own, by the instance's name."""
        self._sinks_entries: dict[str, str] = {}
        """What the sinks say of these, also of those that cannot be planned."""
        self._selection = Selection(settings.plugins_allowed, settings.plugins_denied)
        self._skipped: list[SkippedPlugin] = []

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

    def plan_sinks_redactors(self) -> None:
        """Plan the redactors that sinks name as their own; sinks that name the same instance share it."""
        general = {plan.name for plan in self._plans.get(PluginType.REDACTOR, ())}
        entries = self._sinks_entries
        for sink in self._plans.get(PluginType.SINK, ()):
            for position, entry in enumerate(cast("SinkPolicy", sink.policy).redactors):
                path = f"{sink.path}.redactors[{position}]"
                name, plugin_name = split_entry(entry)
                self._names.add(name)
                first = entries.setdefault(name, entry)
                if name in general:
                    hint = f"every event passes {name!r} already; for another instance write 'other={plugin_name}'"
                    self._problems.say(path, show(entry), "a redactor that is not among the container's", hint)
                elif first != entry:
                    hint = f"another sink has {first!r}"
                    self._problems.say(path, show(entry), "one plugin for each name", hint)
                elif name not in self._sinks_redactors:
                    plan = self._plan_named(PluginType.REDACTOR, entry, path)
                    if plan is not None:
                        self._sinks_redactors[name] = plan
                        if cast("StagePolicy", plan.policy).isolate:
                            hint = "a sink's own redactors run in the sink's task"
                            self._problems.say(f"{plan.path}.isolate", "True", "false", hint)

    def _plan_named(self, kind: PluginType, entry: str, path: str) -> _Plan | None:
        name, plugin_name = split_entry(entry)
        try:
            if not self._registry.knows(kind, plugin_name):
                self._unknown(kind, name, plugin_name, path)
                return None
            factory, origin = self._registry.find(kind, plugin_name, selection=self._selection)
        except PluginError as error:
            self._unusable(kind, name, plugin_name, path, error)
            return None
        plan = self._policy_plan(kind, name, plugin_name)
        plan.origin = origin
        if is_plugin_itself(factory, kind):
            plan.plugin = factory
            self._unknown_settings(plan)
            return plan
        plan.factory = factory
        config_class = getattr(factory, "Config", None)
        keys = policy_keys(type(plan.policy))
        if not isinstance(config_class, type) or not attrs.has(config_class):
            self._unknown_settings(plan)
            return plan
        clash = [attribute.alias for attribute in attrs.fields(config_class) if attribute.alias in keys]
        if clash:
            reason = f"its Config has {one_of(clash)}, which tells the pipeline how to treat it; rename it"
            self._unfit(plan, factory, [reason], path)
            return None
        try:
            plan.config = structure_config(
                config_class, plan.table, plan.path, self._problems, beside=keys, instead=instead_of(type(plan.policy))
            )
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            from .loading import error_text

            self._unfit(plan, factory, [f"making its Config raised {error_text(error, secrets_of(plan.table))}"], path)
            return None
        return plan

    def _is_optional(self, name: str) -> bool:
        table = self._settings.plugin_config.get(name)
        return isinstance(table, dict) and cast("dict[str, Any]", table).get("required") is False

    def _skip(self, kind: PluginType, name: str, reason: str) -> None:
        self._skipped.append(SkippedPlugin(kind, name, reason))

    def _unknown(self, kind: PluginType, name: str, plugin_name: str, path: str) -> None:
        """Note that there is no plugin of that name."""
        known = self._registry.names(kind)
        others = [other for other in PluginType if plugin_name in self._registry.names(other)]
        hint = (
            f"{plugin_name!r} is {a_kind(others[0])}; write it in {others[0]}s"
            if others
            else did_you_mean(plugin_name, known)
        )
        if self._is_optional(name):
            self._policy_plan(kind, name, plugin_name)  # Mistakes in it are still told.
            self._skip(kind, name, f"no {kind} of this name is installed{f'; {hint}' if hint else ''}")
            return
        allowed = f"the name of {a_kind(kind)}: {one_of(known)}" if known else f"nothing, no {kind} is registered"
        self._problems.say(path, show(plugin_name), allowed, hint)

    def _unusable(self, kind: PluginType, name: str, plugin_name: str, path: str, error: PluginError) -> None:
        """Note that a plugin could not be loaded."""
        if self._is_optional(name):
            self._policy_plan(kind, name, plugin_name)  # Mistakes in it are still told.
            self._skip(kind, name, str(error))
            return
        self._faults.append(
            _Fault(plugin_name, path, show(plugin_name), "a plugin that can be used", str(error), error)
        )

    def _unfit(self, plan: _Plan, plugin: object, reasons: Sequence[str], path: str = "") -> None:
        """Note that a plugin that the settings name was loaded and cannot be used."""
        if reasons and self._is_optional(plan.name):
            self._skip(plan.kind, plan.name, reasons[0])
            return
        distribution = ""
        if plan.origin is not None:
            from .loading import updated

            distribution = str(plan.origin.distribution)
            reasons = [f"{reason}; {updated(plan.origin)}" for reason in reasons]
        for reason in reasons:
            self._fault(plan.kind, plan.name, plugin, reason, path=path or plan.path, distribution=distribution)

    def _plan_given(self, kind: PluginType, plugin: object, taken: set[str]) -> _Plan | None:
        base = callable_name(plugin)
        faults = ["it is a name; names go into the settings"] if isinstance(plugin, str) else shape_faults(plugin, kind)
        if not faults:
            metadata = plugin_metadata(plugin, kind)
            base = metadata.name
            if metadata.plugin_type is not kind:
                other = metadata.plugin_type
                faults = [f"its metadata says that it is {a_kind(other)}, to be given in {other}s"]
            elif metadata.requires_fapilog:
                from .loading import metadata_faults, unmet_by_itself

                faults = metadata_faults(plugin, kind) or [fault for fault in [unmet_by_itself(plugin)] if fault]
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
        self._unknown_settings(plan)
        return plan

    def _unknown_settings(self, plan: _Plan) -> None:
        """Note what is left of the table of a plugin that has no settings of its own."""
        policy_class = type(plan.policy)
        self._problems.unknown_keys(
            f"{plan.path}.", list(plan.table), policy_keys(policy_class), "setting", instead_of(policy_class)
        )

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
        kinds: dict[str, list[PluginType]] = {name: [PluginType.REDACTOR] for name in self._sinks_entries}
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
            for plans in (*self._plans.values(), self._sinks_redactors.values()):
                for plan in plans:
                    if plan.factory is not None:
                        self._make(plan)
            self._check_sinks_redactors()
        self._raise_any()
        built: dict[str, tuple[BuiltPlugin[Any], ...]] = {}
        redactors = {
            name: self._built(plan)
            for name, plan in self._sinks_redactors.items()
            if not self._is_skipped(PluginType.REDACTOR, name)
        }
        for kind, plans in self._plans.items():
            built[f"{kind}s"] = tuple(
                self._built(plan, redactors) for plan in plans if not self._is_skipped(kind, plan.name)
            )
        for left_out in self._skipped:
            self._registry.note_skipped(left_out)
        return built

    def _is_skipped(self, kind: PluginType, name: str) -> bool:
        return any(skipped.plugin_type is kind and skipped.name == name for skipped in self._skipped)

    def _built(self, plan: _Plan, redactors: Mapping[str, BuiltPlugin[StagePolicy]] | None = None) -> BuiltPlugin[Any]:
        source = plan.plugin if plan.factory is None else plan.factory
        metadata = plugin_metadata(source, plan.kind, plan.plugin_name, plan.origin)
        own: tuple[BuiltPlugin[StagePolicy], ...] = ()
        if isinstance(plan.policy, SinkPolicy):
            if not hasattr(plan.plugin, "write"):
                plan.plugin = load(plan.name, _FUNCTION_SINK)(plan.plugin)
            names = (split_entry(entry)[0] for entry in plan.policy.redactors)
            own = tuple((redactors or {})[name] for name in names if not self._is_skipped(PluginType.REDACTOR, name))
            if plan.policy.fallback is not None and self._is_skipped(PluginType.SINK, plan.policy.fallback):
                plan.policy = attrs.evolve(plan.policy, fallback=None)
        self._registry.note_loaded(metadata)
        return BuiltPlugin(plan.name, plan.plugin, plan.policy, metadata, own)

    def _check_sinks_redactors(self) -> None:
        for plan in self._sinks_redactors.values():
            if plan.plugin is not None and is_async(method_of(plan.plugin, PluginType.REDACTOR)):
                reason = "it is asynchronous, and a sink's own redactors are not; name it in the setting 'redactors'"
                self._fault(plan.kind, plan.name, plan.plugin, reason, path=plan.path)

    def _make(self, plan: _Plan) -> None:
        assert plan.factory is not None
        try:
            plan.plugin = plan.factory() if plan.config is None else plan.factory(plan.config)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            from .loading import error_text

            if isinstance(error, Exception) and self._problems.take_over(error, f"{plan.path}."):
                return
            reason = error_text(error, secrets_of(plan.table))
            if isinstance(error, ValueError):
                self._problems.say(plan.path, "settings", "settings that the plugin can be made with", reason)
            else:
                self._unfit(plan, plan.factory, [f"making it raised {reason}"])
            return
        self._unfit(plan, plan.plugin, shape_faults(plan.plugin, plan.kind))

    def _fault(
        self,
        kind: PluginType,
        name: str,
        plugin: object,
        reason: str,
        *,
        path: str | None = None,
        distribution: str = "",
    ) -> None:
        given, allowed = show(plugin), expected_shape(kind)
        error = PluginError(name, f"{reason} (got {given}; allowed: {allowed})", distribution=distribution)
        self._faults.append(_Fault(name, path or f"{kind}s", given, allowed, reason, error))

    def _raise_any(self) -> None:
        if self._problems.items:
            for fault in self._faults:
                self._problems.say(fault.path, fault.given, fault.allowed, fault.reason)
            self._problems.raise_any()
        if self._faults:
            errors = [fault.error for fault in self._faults]
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
