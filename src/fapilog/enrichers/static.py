"""The static enricher: fields that every event is to have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from ..plugins.metadata import PluginMetadata, PluginType


@attrs.frozen
class StaticConfig:
    """What the static enricher can be told."""

    fields: dict[str, Any] = attrs.field(factory=dict[str, Any])
    """What every event's context has, by name."""


class StaticEnricher:
    """Adds the same fields to the context of every event."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="static",
        version="1.0.0",
        plugin_type=PluginType.ENRICHER,
        entry_point="fapilog.enrichers.static:StaticEnricher",
    )
    Config = StaticConfig

    def __init__(self, config: StaticConfig | None = None) -> None:
        self._fields = dict((config or StaticConfig()).fields)

    def static(self) -> Mapping[str, Any]:
        """Return the fields."""
        return self._fields
