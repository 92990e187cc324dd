"""Planning: which plugins a container has, with which settings, before any of them is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import attrs

from ..checks import Problems, plain_table, split_entry
from ..errors import PluginError
from ..settings import Settings
from ..shown import did_you_mean, one_of, secrets_of, show
from ._findings import Fault, Findings, Plan
from .metadata import PluginType
from .policy import SinkPolicy, StagePolicy, instead_of, policy_keys, split_policy
from .registry import PluginRegistry, load, plugin_metadata
from .selection import Selection
from .shape import a_kind, callable_name, is_plugin_itself, shape_faults
from .structure import structure_config

# Named, not imported: the built-in sinks know the plugins and not the other way round.
_DEFAULT_SINK_NAME = "fapilog.sinks.console:default_sink_name"


class Planning:
    """Plans every plugin of one container, and notes what is wrong with it."""

    def __init__(self, settings: Settings, registry: PluginRegistry, findings: Findings) -> None:
        self.plans: dict[PluginType, list[Plan]] = {}
        self.names: set[str] = set()
        """The names of all instances, also of those that cannot be planned."""
        self.default_sink: bool = False
        """Whether the settings name no sink, and there is one for that."""
        self.sinks_redactors: dict[str, Plan] = {}
        """The redactors that sinks name as their own, by the instance's name."""
        self.sinks_entries: dict[str, str] = {}
        """What the sinks say of these, also of those that cannot be planned."""
        self._settings = settings
        self._registry = registry
        self._findings = findings
        self._problems = findings.problems
        self._selection = Selection(settings.plugins_allowed, settings.plugins_denied)

    def plan(self, kind: PluginType, given: Sequence[object]) -> None:
        """Plan the plugins of one *kind*: those that the settings name, then the *given* ones."""
        plans = self.plans[kind] = []
        entries: list[str] = getattr(self._settings, f"{kind}s")
        if not isinstance(given, (list, tuple)):
            self._findings.fault(kind, f"{kind}s", given, "it is no list; write [...] around it")
            given = ()
        self.names.update(split_entry(entry)[0] for entry in entries)
        if kind is PluginType.SINK and not entries and not given and not self._findings.faults:
            self.default_sink = True
            entries = [load("default sink", _DEFAULT_SINK_NAME)()]
        for position, entry in enumerate(entries):
            plan = self._plan_named(kind, entry, f"{kind}s[{position}]")
            if plan is not None:
                plans.append(plan)
        taken = {split_entry(entry)[0] for entry in entries}
        for position, plugin in enumerate(given):
            if any(plugin is earlier for earlier in given[:position]):
                reason = f"it is given twice in {kind}s; make another one"
                self._findings.fault(kind, callable_name(plugin), plugin, reason)
                continue
            plan = self._plan_given(kind, plugin, taken)
            if plan is not None:
                plans.append(plan)

    def plan_sinks_redactors(self) -> None:
        """Plan the redactors that sinks name as their own; sinks that name the same instance share it."""
        general = {plan.name for plan in self.plans.get(PluginType.REDACTOR, ())}
        entries = self.sinks_entries
        for sink in self.plans.get(PluginType.SINK, ()):
            for position, entry in enumerate(cast("SinkPolicy", sink.policy).redactors):
                path = f"{sink.path}.redactors[{position}]"
                name, plugin_name = split_entry(entry)
                self.names.add(name)
                first = entries.setdefault(name, entry)
                if name in general:
                    hint = f"every event passes {name!r} already; for another instance write 'other={plugin_name}'"
                    self._problems.say(path, show(entry), "a redactor that is not among the container's", hint)
                elif first != entry:
                    hint = f"another sink has {first!r}"
                    self._problems.say(path, show(entry), "one plugin for each name", hint)
                elif name not in self.sinks_redactors:
                    plan = self._plan_named(PluginType.REDACTOR, entry, path)
                    if plan is not None:
                        self.sinks_redactors[name] = plan
                        if cast("StagePolicy", plan.policy).isolate:
                            hint = "a sink's own redactors run in the sink's task"
                            self._problems.say(f"{plan.path}.isolate", "True", "false", hint)

    def _plan_named(self, kind: PluginType, entry: str, path: str) -> Plan | None:
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
            self._findings.unfit(plan, factory, [reason], path)
            return None
        try:
            instead = instead_of(type(plan.policy))
            plan.config = structure_config(
                config_class, plan.table, plan.path, self._problems, beside=keys, instead=instead
            )
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            from .loading import error_text

            reason = f"making its Config raised {error_text(error, secrets_of(plan.table))}"
            self._findings.unfit(plan, factory, [reason], path)
            return None
        return plan

    def _unknown(self, kind: PluginType, name: str, plugin_name: str, path: str) -> None:
        """Note that there is no plugin of that name."""
        known = self._registry.names(kind)
        others = [other for other in PluginType if plugin_name in self._registry.names(other)]
        hint = (
            f"{plugin_name!r} is {a_kind(others[0])}; write it in {others[0]}s"
            if others
            else did_you_mean(plugin_name, known)
        )
        if self._findings.is_optional(name):
            self._policy_plan(kind, name, plugin_name)  # Mistakes in it are still told.
            self._findings.skip(kind, name, f"no {kind} of this name is installed{f'; {hint}' if hint else ''}")
            return
        allowed = f"the name of {a_kind(kind)}: {one_of(known)}" if known else f"nothing, no {kind} is registered"
        self._problems.say(path, show(plugin_name), allowed, hint)

    def _unusable(self, kind: PluginType, name: str, plugin_name: str, path: str, error: PluginError) -> None:
        """Note that a plugin could not be loaded."""
        if self._findings.is_optional(name):
            self._policy_plan(kind, name, plugin_name)  # Mistakes in it are still told.
            self._findings.skip(kind, name, str(error))
            return
        self._findings.faults.append(
            Fault(plugin_name, path, show(plugin_name), "a plugin that can be used", str(error), error)
        )

    def _plan_given(self, kind: PluginType, plugin: object, taken: set[str]) -> Plan | None:
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
            self._findings.fault(kind, base, plugin, reason)
        if faults:
            return None
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        self.names.add(name)
        plan = self._policy_plan(kind, name, base)
        plan.plugin = plugin
        # The object is made already: only the pipeline's treatment of it is left to tell.
        self._unknown_settings(plan)
        return plan

    def _unknown_settings(self, plan: Plan) -> None:
        """Note what is left of the table of a plugin that has no settings of its own."""
        policy_class = type(plan.policy)
        self._problems.unknown_keys(
            f"{plan.path}.", list(plan.table), policy_keys(policy_class), "setting", instead_of(policy_class)
        )

    def _policy_plan(self, kind: PluginType, name: str, plugin_name: str) -> Plan:
        # A copy, so that a plugin cannot change the settings.
        table = plain_table(Problems(), "", self._settings.plugin_config.get(name, {}), "")
        policy: SinkPolicy | StagePolicy
        if kind is PluginType.SINK:
            policy, rest = split_policy(table, SinkPolicy, name=name, problems=self._problems)
        else:
            policy, rest = split_policy(table, StagePolicy, name=name, problems=self._problems)
        return Plan(kind, name, plugin_name, policy, rest)
