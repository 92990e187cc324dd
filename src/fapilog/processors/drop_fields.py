"""The drop_fields processor: takes values out of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from ..checks import CHECK, check_or_raise
from ..event import LogEvent
from ..plugins.metadata import PluginMetadata, PluginType
from ._paths import find, mapping_of, paths, split, without


@attrs.frozen(kw_only=True)
class DropFieldsConfig:
    """What the drop_fields processor can be told."""

    paths: list[str] = attrs.field(metadata={CHECK: paths})
    """What is taken out, such as ``["fields.password", "context.user.email"]``."""

    def __attrs_post_init__(self) -> None:
        check_or_raise(self)


class DropFieldsProcessor:
    """Takes the values at the given paths out of each event; where there is none, the event stays as it is."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="drop_fields",
        version="1.0.0",
        plugin_type=PluginType.PROCESSOR,
        entry_point="fapilog.processors.drop_fields:DropFieldsProcessor",
    )
    Config = DropFieldsConfig

    def __init__(self, config: DropFieldsConfig) -> None:
        self._paths = [found for path in config.paths if (found := split(path)) is not None]

    def process(self, batch: Sequence[LogEvent]) -> list[LogEvent]:
        for event in batch:
            for name, *keys in self._paths:
                mapping = mapping_of(event, name)
                if keys[0] in mapping and find(mapping, tuple(keys))[0]:
                    setattr(event, name, without(mapping, tuple(keys)))
        return list(batch)
