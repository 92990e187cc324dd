"""The deduplicate filter: keeps one of several equal events, and tells how many there were."""

from __future__ import annotations

from typing import ClassVar

import attrs

from ..checks import CHECK, number
from ..event import LogEvent
from ..plugins.metadata import PluginMetadata, PluginType
from ._keyed import KeyedFilter
from ._keys import names
from ._periods import SUPPRESSED, Period, PeriodicConfig, Periods

_DAY = 86_400.0
_LONGEST_MESSAGE = 1000
"""Characters of a message that are remembered for the summary."""
_LONGEST_LOGGER = 256

_WHAT_IS_EQUAL = ("level", "logger", "message", "fields", "exception.type", "exception.message")


@attrs.frozen(kw_only=True)
class DeduplicateConfig(PeriodicConfig):
    """What the deduplicate filter can be told."""

    window: float = attrs.field(default=5.0, metadata={CHECK: number(0, _DAY, unit="seconds", above=True)})
    """Seconds after a kept event in which its like are removed."""
    by: list[str] = attrs.field(factory=lambda: list(_WHAT_IS_EQUAL), metadata={CHECK: names})
    """Names of what has to be the same in equal events, as in an expression."""


class DeduplicateFilter(KeyedFilter):
    """Keeps the first of equal events and removes the others that come within the window after it.

    How many were removed is told exactly once: by the next such event that is kept, as the metric ``suppressed``; or,
    if the window ends without one, or the key is forgotten, or the container is left, by an event of its own.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="deduplicate",
        version="1.0.0",
        plugin_type=PluginType.FILTER,
        entry_point="fapilog.filters.deduplicate:DeduplicateFilter",
    )
    Config = DeduplicateConfig

    def __init__(self, config: DeduplicateConfig | None = None) -> None:
        config = config or DeduplicateConfig()
        super().__init__(config, config.by)
        self._periods = Periods(config.window, config.max_keys, self._note)
        self._summaries: list[LogEvent] = []
        """What is to be told of keys that were forgotten."""
        self.next_summary: float | None = None
        """When the next summary is due, on the filter's clock."""

    def keep(self, event: LogEvent) -> bool:
        if event.level_number >= self._kept_level or (self._when is not None and not self._when(event)):
            return True
        key = self._key(event)
        now = self._clock()
        period = self._periods.running(key, now)
        if period is not None:
            period.suppressed += 1
            if period.suppressed == 1:
                due = self._periods.end_of(period)
                if self.next_summary is None or due < self.next_summary:
                    self.next_summary = due
            return False
        period, before = self._periods.begin(key, now)
        logger = event.logger[:_LONGEST_LOGGER]
        period.about = (event.message[:_LONGEST_MESSAGE], event.level_number, logger, event.source)
        if before is not None and before.suppressed:
            event.add(metrics={SUPPRESSED: float(before.suppressed)})
        return True

    def summaries(self, final: bool) -> list[LogEvent]:
        """Return an event for each key whose window is over, and of which events were removed since the last telling.

        Parameters:
            final: whether every key's window counts as over.
        """
        if final:
            self._periods.forget_all()
            self.next_summary = None
        elif self.next_summary is not None and self.next_summary <= (now := self._clock()):
            self._periods.forget_what_is_over(now)
            self.next_summary = self._periods.next_end()
        if not self._summaries:
            return self._summaries
        summaries, self._summaries = self._summaries, []
        return summaries

    def _note(self, period: Period) -> None:
        """Make the summary of a period that is forgotten."""
        if period.suppressed:
            message, level, logger, source = period.about
            self._summaries.append(
                LogEvent(
                    "repeated events were left out",
                    level,
                    logger=logger,
                    source=source,
                    fields={"repeated": message},
                    metrics={SUPPRESSED: float(period.suppressed)},
                )
            )
