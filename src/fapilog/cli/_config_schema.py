"""The JSON Schema of settings files, for editors."""

from __future__ import annotations

from typing import Any, cast

import attrs

from ..event import Level
from ..plugins import PluginRegistry, PluginType, SinkPolicy, StagePolicy
from ..plugins.schema import json_schema
from ..presets import PRESETS
from ..settings import Settings

_ENTRY = r"^[A-Za-z][A-Za-z0-9_-]{0,63}(=[A-Za-z][A-Za-z0-9_-]{0,63})?$"


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of settings files, with the settings of the built-in plugins."""
    whole = json_schema(Settings)
    properties: dict[str, Any] = whole["properties"]
    whole["title"] = "fapilog settings"
    level = {"enum": [*Level.__members__, *(name.lower() for name in Level.__members__)]}
    properties["level"] = {**level, "default": properties["level"]["default"]}
    properties["levels"] = {"type": "object", "additionalProperties": level}
    registry = PluginRegistry([])  # installed plugins stay out: theirs would be imported for it
    tables: dict[str, Any] = {}
    for kind in PluginType:
        known = registry.names(kind)
        entries: dict[str, Any] = {"type": "string", "pattern": _ENTRY}
        if known:
            # The names are offered; an instance such as "errors=file" and a plugin from elsewhere are no mistakes.
            entries = {"anyOf": [{"enum": list(known)}, entries]}
        properties[f"{kind}s"] = {"type": "array", "items": entries, "default": []}
        policy = SinkPolicy if kind is PluginType.SINK else StagePolicy
        for name in known:
            tables[name] = _table(registry.get(kind, name), policy)
    properties["plugin_config"] = {
        "type": "object",
        "properties": tables,
        "additionalProperties": {"type": "object"},
        "default": {},
    }
    properties["preset"] = {"enum": list(PRESETS)}
    return whole


def _table(factory: Any, policy: type) -> dict[str, Any]:
    """Return the schema of one plugin's table: its own settings, and those of its policy beside them."""
    config = getattr(factory, "Config", None)
    own = json_schema(cast("type", config)) if isinstance(config, type) and attrs.has(config) else {}
    definitions = own.pop("$defs", None)
    own.pop("$schema", None)
    table = {
        "type": "object",
        "properties": {**json_schema(policy)["properties"], **own.get("properties", {})},
        "additionalProperties": False,
    }
    # References inside point at the whole document, where these definitions are not; such a table is left open.
    return {"type": "object"} if definitions else table
