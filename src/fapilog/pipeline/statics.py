"""What enrichers add to every event alike: asked once, and kept in the context that all events start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from typing import Any, cast

from .._interrupts import raise_interrupt
from ..event import Ambient
from ..metrics import StageCounts, count
from ..plugins.configuration import BuiltPlugin, is_static
from ..plugins.metadata import PluginType
from ..plugins.policy import StagePolicy
from ..values import FrozenDict, freeze_mapping
from .attempts import described


class Statics:
    """The outermost ambient context of a container, which has what its enrichers say of every event.

    So an event has it from the call on, as it has the context of ``log.context(...)``: every plugin sees it, what is
    said nearer to the call wins over it, and the formats encode it once for all events that share a context.
    """

    def __init__(self, enrichers: Sequence[BuiltPlugin[StagePolicy]], ambient: Ambient) -> None:
        self._enrichers = [enricher for enricher in enrichers if is_static(enricher.plugin, PluginType.ENRICHER)]
        self.ambient: Ambient = ambient
        """One for all pipelines of a container: a reload gives it other values."""
        self._values = FrozenDict()

    def gather(self, counts: StageCounts, failed: Callable[[str, str], None], plugin_context: Context) -> None:
        """Ask the enrichers, before the first event: in the process that the container is entered in.

        An enricher that fails is left out, counted and told of.
        """
        values: dict[str, Any] = {}
        for enricher in self._enrichers:
            try:
                added = plugin_context.copy().run(enricher.plugin.static)
                if not isinstance(added, Mapping):
                    raise TypeError(f"static returned {type(added).__name__}; it must return a mapping")
                values.update(freeze_mapping(cast("Mapping[str, Any]", added)))
            except BaseException as error:
                raise_interrupt(error)
                count(counts.plugin_errors, enricher.name)
                failed(enricher.name, described(error))
        self._values = FrozenDict(values)

    def apply(self) -> None:
        """Let events have what was gathered from here on. What is queued at a reload is told with it too."""
        self.ambient.values = self._values
        self.ambient.cache.clear()
