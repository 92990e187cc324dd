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
    """What it says of its own speed, as ``fapilog plugins bench`` measures it: ``events_per_second``,
    ``microseconds_per_event`` and ``bytes_per_event`` (of memory, at most, while it works)."""
    configuration_schema: dict[str, Any] = attrs.field(factory=dict[str, Any])
    """The JSON Schema of its configuration."""
    requires_fapilog: str = ""
    """The versions of fapilog that it works with, such as ``>=0.1,<2`` (PEP 440); empty for any."""
    distribution: str = ""
    """The distribution that it was installed with; empty for a built-in or registered plugin."""


@attrs.frozen
class SkippedPlugin:
    """A plugin with ``required = false`` that could not be used and was left out."""

    plugin_type: PluginType
    name: str
    """The name of the instance, as in ``plugin_config``."""
    reason: str
    """Why it could not be used."""
