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
    """What the expression filter can be told: one of the two, or both. See :mod:`fapilog.plugins.expressions`."""

    keep: str = attrs.field(default="", metadata={CHECK: condition})
    """The condition that an event has to meet; empty for none."""
    drop: str = attrs.field(default="", metadata={CHECK: condition})
    """The condition of events that are removed, also if they meet the other; empty for none."""

    def __attrs_post_init__(self) -> None:
        check_or_raise(self)


class ExpressionFilter:
    """Keeps the events that meet the condition ``keep`` and not the condition ``drop``."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="expression",
        version="1.0.0",
        plugin_type=PluginType.FILTER,
        entry_point="fapilog.filters.expression:ExpressionFilter",
    )
    Config = ExpressionConfig

    def __init__(self, config: ExpressionConfig | None = None) -> None:
        config = config or ExpressionConfig()
        self.keep: Callable[[LogEvent], bool] = _keep(config)


def _keep(config: ExpressionConfig) -> Callable[[LogEvent], bool]:
    keeps = compiled(config.keep) if config.keep else _every
    if not config.drop:
        return keeps
    drops = compiled(config.drop)
    return lambda event: not drops(event) and keeps(event)


def _every(event: LogEvent) -> bool:
    return True
