"""The plugins of one container as the pipeline gets them: made, but not started."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, Generic, NamedTuple, TypeVar

from .metadata import PluginMetadata
from .policy import SinkPolicy, StagePolicy

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
