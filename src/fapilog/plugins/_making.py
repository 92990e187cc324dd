"""Making the planned plugins, once nothing is wrong with any plugin's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..checks import split_entry
from ..shown import secrets_of
from ._findings import Findings, Plan
from ._planning import Planning
from .built import BuiltPlugin
from .metadata import PluginType
from .policy import SinkPolicy, StagePolicy
from .registry import PluginRegistry, load, plugin_metadata
from .shape import is_async, method_of, shape_faults

# Named, not imported: the built-in sinks know the plugins and not the other way round.
_FUNCTION_SINK = "fapilog.sinks.callable:CallableSink"


class Making:
    """Makes what was planned; what cannot be made is noted."""

    def __init__(self, planning: Planning, registry: PluginRegistry, findings: Findings) -> None:
        self._plans = planning.plans
        self._sinks_redactors = planning.sinks_redactors
        self._registry = registry
        self._findings = findings

    def make_all(self) -> dict[str, tuple[BuiltPlugin[Any], ...]]:
        """Make the plugins and return them by their kind's plural, or raise what was collected."""
        if not self._findings.problems.items and not self._findings.faults:
            for plans in (*self._plans.values(), self._sinks_redactors.values()):
                for plan in plans:
                    if plan.factory is not None:
                        self._make(plan)
            self._check_sinks_redactors()
        self._findings.raise_any()
        built: dict[str, tuple[BuiltPlugin[Any], ...]] = {}
        redactors = {
            name: self._built(plan, {})
            for name, plan in self._sinks_redactors.items()
            if not self._findings.is_skipped(PluginType.REDACTOR, name)
        }
        for kind, plans in self._plans.items():
            built[f"{kind}s"] = tuple(
                self._built(plan, redactors) for plan in plans if not self._findings.is_skipped(kind, plan.name)
            )
        for left_out in self._findings.skipped:
            self._registry.note_skipped(left_out)
        return built

    def _make(self, plan: Plan) -> None:
        assert plan.factory is not None
        try:
            plan.plugin = plan.factory() if plan.config is None else plan.factory(plan.config)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            from .loading import error_text

            if isinstance(error, Exception) and self._findings.problems.take_over(error, f"{plan.path}."):
                return
            reason = error_text(error, secrets_of(plan.table))
            if isinstance(error, ValueError):
                self._findings.problems.say(plan.path, "settings", "settings that the plugin can be made with", reason)
            else:
                self._findings.unfit(plan, plan.factory, [f"making it raised {reason}"])
            return
        self._findings.unfit(plan, plan.plugin, shape_faults(plan.plugin, plan.kind))

    def _check_sinks_redactors(self) -> None:
        for plan in self._sinks_redactors.values():
            if plan.plugin is not None and is_async(method_of(plan.plugin, PluginType.REDACTOR)):
                reason = "it is asynchronous, and a sink's own redactors are not; name it in the setting 'redactors'"
                self._findings.fault(plan.kind, plan.name, plan.plugin, reason, path=plan.path)

    def _built(self, plan: Plan, redactors: Mapping[str, BuiltPlugin[StagePolicy]]) -> BuiltPlugin[Any]:
        source = plan.plugin if plan.factory is None else plan.factory
        metadata = plugin_metadata(source, plan.kind, plan.plugin_name, plan.origin)
        own: tuple[BuiltPlugin[StagePolicy], ...] = ()
        if isinstance(plan.policy, SinkPolicy):
            if not hasattr(plan.plugin, "write"):
                plan.plugin = load(plan.name, _FUNCTION_SINK)(plan.plugin)
            names = (split_entry(entry)[0] for entry in plan.policy.redactors)
            own = tuple(
                (redactors or {})[name] for name in names if not self._findings.is_skipped(PluginType.REDACTOR, name)
            )
            if plan.policy.fallback is not None and self._findings.is_skipped(PluginType.SINK, plan.policy.fallback):
                plan.policy = attrs.evolve(plan.policy, fallback=None)
        self._registry.note_loaded(metadata)
        return BuiltPlugin(plan.name, plan.plugin, plan.policy, metadata, own)
