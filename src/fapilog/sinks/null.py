"""The null sink: takes every event and keeps none."""

from __future__ import annotations

from typing import ClassVar

from ..plugins.batch import Batch
from ..plugins.metadata import PluginMetadata, PluginType


class NullSink:
    """Delivers every event to nowhere: for measuring, and for switching output off without touching the rest."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="null", version="1.0.0", plugin_type=PluginType.SINK, entry_point="fapilog.sinks.null:NullSink"
    )
    blocking: ClassVar[bool] = False

    def write(self, batch: Batch) -> None:
        """Take *batch* without looking at it."""
