"""The first_occurrence filter: keeps the first event of a kind, and the next one only after a while."""

from __future__ import annotations

from typing import ClassVar

import attrs

from ..checks import CHECK, number
from ..event import LogEvent
from ..plugins.metadata import PluginMetadata, PluginType
from ._keyed import KeyedFilter
from ._keys import names
from ._periods import PeriodicConfig, Periods

_WEEK = 7 * 86_400.0


@attrs.frozen(kw_only=True)
class FirstOccurrenceConfig(PeriodicConfig):
    """What the first_occurrence filter can be told."""

    period: float = attrs.field(default=60.0, metadata={CHECK: number(0, _WEEK, unit="seconds", above=True)})
    """Seconds after a kept event in which no other of its kind is kept, at most a week."""
    by: list[str] = attrs.field(factory=lambda: ["level", "message"], metadata={CHECK: names})
    """Names of what makes events of one kind, as in an expression."""


class FirstOccurrenceFilter(KeyedFilter):
    """Keeps the first event of a kind in each period; how many were removed is told by the account alone."""

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="first_occurrence",
        version="1.0.0",
        plugin_type=PluginType.FILTER,
        entry_point="fapilog.filters.first_occurrence:FirstOccurrenceFilter",
    )
    Config = FirstOccurrenceConfig

    def __init__(self, config: FirstOccurrenceConfig | None = None) -> None:
        config = config or FirstOccurrenceConfig()
        super().__init__(config, config.by)
        self._periods = Periods(config.period, config.max_keys)

    def keep(self, event: LogEvent) -> bool:
        if event.level_number >= self._kept_level or (self._when is not None and not self._when(event)):
            return True
        key = self._key(event)
        now = self._clock()
        if self._periods.running(key, now) is not None:
            return False
        self._periods.begin(key, now)
        return True
