"""Assembly: the plugins and pipelines of one container, built from its settings and from what the program gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .diagnostics import Diagnostics
from .event import Origin
from .formats import make_formatters
from .metrics import MetricsCollector
from .pipeline.pipeline import AsyncPipeline
from .plugins import PluginRegistry, SkippedPlugin
from .plugins.configuration import BuiltPlugins, GivenPlugins
from .plugins.kept import kept_plugins
from .settings import Settings


class Assembly:
    """Builds what one container runs; nothing of it is started."""

    def __init__(
        self,
        origin: Origin,
        metrics: MetricsCollector,
        diagnostics: Diagnostics,
        on_loss: Callable[[Mapping[str, int]], object] | None,
    ) -> None:
        self._origin = origin
        self._metrics = metrics
        self._diagnostics = diagnostics
        self._on_loss = on_loss

    def first(self, settings: Settings, given: GivenPlugins, registry: PluginRegistry) -> AsyncPipeline:
        """Return the pipeline that a container begins with."""
        return self._pipeline(settings, self._plugins(settings, given, registry, ()), None)

    def successor(
        self,
        old: AsyncPipeline,
        old_settings: Settings,
        settings: Settings,
        given: GivenPlugins,
        registry: PluginRegistry,
        told: Sequence[SkippedPlugin],
    ) -> AsyncPipeline:
        """Return the pipeline that is to take over from *old*, with the plugins of that which are the same.

        Parameters:
            told: the optional plugins of which was told before that they are left out.
        """
        plugins = kept_plugins(old.plugins, old_settings, self._plugins(settings, given, registry, told), settings)
        return self._pipeline(settings, plugins, old)

    def _plugins(
        self, settings: Settings, given: GivenPlugins, registry: PluginRegistry, told: Sequence[SkippedPlugin]
    ) -> BuiltPlugins:
        """Build what the settings name and what is given, and tell what was optional and is left out."""
        plugins = given.build(settings, registry)
        self._diagnostics.redact = plugins.redact_text
        for skipped in registry.skipped:
            if skipped not in told:
                self._diagnostics.warn(
                    f"{skipped.name}.skipped", f"{skipped.plugin_type} {skipped.name!r} is left out: {skipped.reason}"
                )
        return plugins

    def _pipeline(self, settings: Settings, plugins: BuiltPlugins, predecessor: AsyncPipeline | None) -> AsyncPipeline:
        return AsyncPipeline(
            settings,
            plugins,
            make_formatters(settings.max_event_bytes),
            self._metrics,
            self._origin,
            self._diagnostics.warn,
            self._on_loss,
            predecessor=predecessor,
        )
