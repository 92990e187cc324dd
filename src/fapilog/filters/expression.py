"""The expression filter: keeps, or drops, the events that meet a condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import attrs

from ..checks import CHECK, check_or_raise
from ..event import LogEvent
from ..plugins.expressions import compiled
from ..plugins.metadata import PluginMetadata, PluginType
from ._selective import condition


@attrs.frozen(kw_only=True)
class ExpressionConfig:
    """What the expression filter can be told: one of the two, or both."""

    keep: str = attrs.field(default="", metadata={CHECK: condition})
    """The condition that an event has to meet; see :mod:`fapilog.plugins.expressions`."""
    drop: str = attrs.field(default="", metadata={CHECK: condition})
    """The condition of events that are removed, also if they meet the other."""

    def __attrs_post_init__(self) -> None:
        check_or_raise(self)
        if not self.keep and not self.drop:
            raise ValueError("neither keep nor drop is given; write a condition, such as drop = \"path == '/health'\"")


class ExpressionFilter:
    """Keeps the events that meet the condition ``keep`` and not the condition ``drop``."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="expression",
        version="1.0.0",
        plugin_type=PluginType.FILTER,
        entry_point="fapilog.filters.expression:ExpressionFilter",
    )
    Config = ExpressionConfig

    def __init__(self, config: ExpressionConfig) -> None:
        self.keep: Callable[[LogEvent], bool] = _function(config)


def _function(config: ExpressionConfig) -> Callable[[LogEvent], bool]:
    if not config.drop:
        return compiled(config.keep)
    drops = compiled(config.drop)
    if not config.keep:
        return lambda event: not drops(event)
    keeps = compiled(config.keep)
    return lambda event: keeps(event) and not drops(event)
