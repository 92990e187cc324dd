"""The first_then_every filter: keeps the first events of a kind in a period, and of the rest every so many-th."""

from __future__ import annotations

from typing import ClassVar

import attrs

from ..checks import CHECK, number, whole_number
from ..event import LogEvent
from ..plugins.metadata import PluginMetadata, PluginType
from ._keyed import KeyedFilter
from ._keys import names
from ._periods import SUPPRESSED, PeriodicConfig, Periods

_DAY = 86_400.0


@attrs.frozen(kw_only=True)
class FirstThenEveryConfig(PeriodicConfig):
    """What the first_then_every filter can be told.

    The defaults are those of zap's production logger: in each second the first 100 of each message and level, and then
    every 100th (``zap.NewProductionConfig``).
    """

    first: int = attrs.field(default=100, metadata={CHECK: whole_number(0, 1_000_000_000)})
    """Events of one kind that are kept in each period before any is removed."""
    every: int = attrs.field(default=100, metadata={CHECK: whole_number(0, 1_000_000_000)})
    """Of the events after them every so many-th is kept; 0 for none."""
    period: float = attrs.field(default=1.0, metadata={CHECK: number(0, _DAY, unit="seconds", above=True)})
    """Seconds that a period lasts; it begins with the first event of its kind."""
    by: list[str] = attrs.field(factory=lambda: ["level", "message"], metadata={CHECK: names})
    """Names of what makes events of one kind, as in an expression."""


class FirstThenEveryFilter(KeyedFilter):
    """Keeps the first events of a kind in each period, then every so many-th.

    An event that is kept after others were removed carries their number as the metric ``suppressed``.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="first_then_every",
        version="1.0.0",
        plugin_type=PluginType.FILTER,
        entry_point="fapilog.filters.first_then_every:FirstThenEveryFilter",
    )
    Config = FirstThenEveryConfig

    def __init__(self, config: FirstThenEveryConfig | None = None) -> None:
        config = config or FirstThenEveryConfig()
        super().__init__(config, config.by)
        self._first = config.first
        self._every = config.every
        self._periods = Periods(config.period, config.max_keys)

    def keep(self, event: LogEvent) -> bool:
        if event.level_number >= self._kept_level or (self._when is not None and not self._when(event)):
            return True
        key = self._key(event)
        now = self._clock()
        period = self._periods.running(key, now)
        if period is None:
            period, before = self._periods.begin(key, now)
            if before is not None:
                period.suppressed = before.suppressed
        period.count += 1
        over = period.count - self._first
        if over > 0 and not (self._every and over % self._every == 0):
            period.suppressed += 1
            return False
        if period.suppressed:
            event.add(metrics={SUPPRESSED: float(period.suppressed)})
            period.suppressed = 0
        return True
