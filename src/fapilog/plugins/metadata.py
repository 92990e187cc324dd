"""What is known of a plugin without running it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import attrs


class PluginType(StrEnum):
    """The kinds of plugin."""

    SINK = "sink"
    PROCESSOR = "processor"
    ENRICHER = "enricher"
    REDACTOR = "redactor"
    FILTER = "filter"


@attrs.frozen
class PluginMetadata:
    """What is known of a plugin without running it."""

    name: str
    """The name that settings use."""
    version: str
    """Its semantic version."""
    plugin_type: PluginType
    """What it does in the pipeline."""
    entry_point: str = ""
    """Where it is loaded from, as ``module:attribute``."""
    dependencies: list[str] = attrs.field(factory=list[str])
    """The requirements it needs, as in a ``pyproject.toml``."""
    performance_profile: dict[str, float] = attrs.field(factory=dict[str, float])
    """What it says of its own speed, such as ``{"events_per_second": 500_000}``."""
    configuration_schema: dict[str, Any] = attrs.field(factory=dict[str, Any])
    """The JSON Schema of its configuration."""
