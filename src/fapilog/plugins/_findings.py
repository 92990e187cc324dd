"""Plans of plugins, and what is found wrong while they are made and carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..checks import Problems
from ..errors import PluginError
from ..settings import Settings
from ..shown import path_key, show
from .metadata import PluginType, SkippedPlugin
from .policy import SinkPolicy, StagePolicy
from .shape import expected_shape

if TYPE_CHECKING:
    from .installed import InstalledPlugin


class Plan:
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
        """Where its settings stand."""
        return f"plugin_config.{path_key(self.name)}"


class Fault(NamedTuple):
    """What is wrong with a plugin itself."""

    plugin: str
    path: str
    given: str
    allowed: str
    reason: str
    error: PluginError
    """What is raised if nothing is wrong with the settings."""


class Findings:
    """Collects what is wrong, so that all of it is told at once, and which optional plugins are left out."""

    def __init__(self, settings: Settings) -> None:
        self.problems: Problems = Problems()
        """What is wrong with the settings."""
        self.faults: list[Fault] = []
        """What is wrong with the plugins themselves."""
        self.skipped: list[SkippedPlugin] = []
        """The optional plugins that are left out."""
        self._settings = settings

    def is_optional(self, name: str) -> bool:
        """Return whether the plugin may be left out if it cannot be used."""
        table = self._settings.plugin_config.get(name)
        return isinstance(table, dict) and cast("dict[str, Any]", table).get("required") is False

    def skip(self, kind: PluginType, name: str, reason: str) -> None:
        """Leave an optional plugin out."""
        self.skipped.append(SkippedPlugin(kind, name, reason))

    def is_skipped(self, kind: PluginType, name: str) -> bool:
        """Return whether the plugin is left out."""
        return any(skipped.plugin_type is kind and skipped.name == name for skipped in self.skipped)

    def unfit(self, plan: Plan, plugin: object, reasons: Sequence[str], path: str = "") -> None:
        """Note that a plugin that the settings name was loaded and cannot be used."""
        if reasons and self.is_optional(plan.name):
            self.skip(plan.kind, plan.name, reasons[0])
            return
        distribution = ""
        if plan.origin is not None:
            from .loading import updated

            distribution = str(plan.origin.distribution)
            reasons = [f"{reason}; {updated(plan.origin)}" for reason in reasons]
        for reason in reasons:
            self.fault(plan.kind, plan.name, plugin, reason, path=path or plan.path, distribution=distribution)

    def fault(
        self,
        kind: PluginType,
        name: str,
        plugin: object,
        reason: str,
        *,
        path: str | None = None,
        distribution: str = "",
    ) -> None:
        """Note what is wrong with a plugin itself."""
        given, allowed = show(plugin), expected_shape(kind)
        error = PluginError(name, f"{reason} (got {given}; allowed: {allowed})", distribution=distribution)
        self.faults.append(Fault(name, path or f"{kind}s", given, allowed, reason, error))

    def raise_any(self) -> None:
        """Raise what was noted, if anything was: as wrong settings if any are wrong, else as the first wrong plugin."""
        if self.problems.items:
            for fault in self.faults:
                self.problems.say(fault.path, fault.given, fault.allowed, fault.reason)
            self.problems.raise_any()
        if self.faults:
            errors = [fault.error for fault in self.faults]
            for other in errors[1:]:
                errors[0].add_note(str(other))
            raise errors[0]
