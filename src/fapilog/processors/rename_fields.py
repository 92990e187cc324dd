"""The rename_fields processor: gives values another name, or moves them to another of an event's mappings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from ..checks import CHECK, Problems, check_or_raise, plain_table
from ..event import LogEvent
from ..plugins.metadata import PluginMetadata, PluginType
from ..shown import path_key
from ._paths import find, mapping_of, path, split, with_value, without


def _names(problems: Problems, where: str, value: Any) -> Any:
    """Check for a table from paths to paths."""
    table = plain_table(problems, where, value, "a table from old to new paths")
    for old, new in table.items():
        path(problems, f"{where}.{path_key(old)}", old)
        path(problems, f"{where}.{path_key(old)}", new)
    return table


@attrs.frozen(kw_only=True)
class RenameFieldsConfig:
    """What the rename_fields processor can be told."""

    names: dict[str, str] = attrs.field(metadata={CHECK: _names})
    """The new path of each old one, such as ``{"fields.usr" = "context.user.id"}``; done in this order."""

    def __attrs_post_init__(self) -> None:
        check_or_raise(self)


class RenameFieldsProcessor:
    """Moves the value at each old path to its new one; what was there is replaced.

    Moved into the tags a value becomes text, and into the metrics a number; what cannot become one is left out.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="rename_fields",
        version="1.0.0",
        plugin_type=PluginType.PROCESSOR,
        entry_point="fapilog.processors.rename_fields:RenameFieldsProcessor",
    )
    Config = RenameFieldsConfig

    def __init__(self, config: RenameFieldsConfig) -> None:
        pairs = [(split(old), split(new)) for old, new in config.names.items()]
        self._moves = [(old, new) for old, new in pairs if old is not None and new is not None and old != new]

    def process(self, batch: Sequence[LogEvent]) -> list[LogEvent]:
        for event in batch:
            for (old_name, *old), (new_name, *new) in self._moves:
                mapping = mapping_of(event, old_name)
                if old[0] not in mapping:
                    continue
                is_there, value = find(mapping, tuple(old))
                if is_there:
                    setattr(event, old_name, without(mapping, tuple(old)))
                    setattr(event, new_name, with_value(mapping_of(event, new_name), tuple(new), value))
        return list(batch)
