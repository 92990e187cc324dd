"""The allow_fields processor: keeps of an event's mappings only what is on a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from ..checks import CHECK, check_or_raise
from ..event import LogEvent
from ..plugins.metadata import PluginMetadata, PluginType
from ._paths import Path, find, mapping_of, paths, split, with_value


@attrs.frozen(kw_only=True)
class AllowFieldsConfig:
    """What the allow_fields processor can be told."""

    paths: list[str] = attrs.field(metadata={CHECK: paths})
    """What stays, such as ``["fields.status", "context.user.id"]``. A mapping of which nothing is named (fields,
    context, tags or metrics) stays as it is; below a path everything stays."""

    def __attrs_post_init__(self) -> None:
        check_or_raise(self)


class AllowFieldsProcessor:
    """Keeps of the mappings that are named in the paths only what they name."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="allow_fields",
        version="1.0.0",
        plugin_type=PluginType.PROCESSOR,
        entry_point="fapilog.processors.allow_fields:AllowFieldsProcessor",
    )
    Config = AllowFieldsConfig

    def __init__(self, config: AllowFieldsConfig) -> None:
        allowed = [found for path in config.paths if (found := split(path)) is not None]
        self._top: dict[str, frozenset[str]] = {}
        """The keys that stay as they are, for each mapping of which anything is named."""
        self._nested: dict[str, list[Path]] = {}
        """The paths to what stays of other keys."""
        for name in dict.fromkeys(path[0] for path in allowed):
            inner = [path[1:] for path in allowed if path[0] == name]
            self._top[name] = frozenset(path[0] for path in inner if len(path) == 1)
            self._nested[name] = [path for path in inner if path[0] not in self._top[name]]

    def process(self, batch: Sequence[LogEvent]) -> list[LogEvent]:
        for event in batch:
            for name, top in self._top.items():
                mapping = mapping_of(event, name)
                if not mapping.keys() <= top:
                    kept: dict[str, Any] = {key: value for key, value in mapping.items() if key in top}
                    for path in self._nested[name]:
                        is_there, value = find(mapping, path)
                        if is_there:
                            kept = with_value(kept, path, value)
                    setattr(event, name, kept)
        return list(batch)
