"""What the filters have in common that follow the events of each key in the course of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from ._keys import key_reader
from ._selective import SelectiveConfig


class KeyedFilter:
    """Which events a filter looks at, by which keys, and on which clock.

    Each such filter's ``keep`` begins alike: whether it looks at the event, then its key, then the time. That is
    written out in each, for a call would take as long as what it does.

    Parameters:
        by: names of what makes an event's key.
    """

    def __init__(self, config: SelectiveConfig, by: Sequence[str]) -> None:
        self._key = key_reader(by)
        self._when = config.condition
        self._kept_level = config.kept_level
        self._clock: Callable[[], float] = monotonic

    def use_clock(self, clock: Callable[[], float]) -> None:
        """Measure time with *clock*, in seconds; without it the system's monotonic clock is used."""
        self._clock = clock
