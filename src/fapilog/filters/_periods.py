"""What is remembered of each key for a while: a period that begins with the key's first event, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import islice
from typing import Any

import attrs

from ..checks import CHECK, whole_number
from ._selective import SelectiveConfig

SUPPRESSED = "suppressed"
"""The metric of an event that tells how many of its like were removed since the last one that was kept."""


@attrs.frozen(kw_only=True)
class PeriodicConfig(SelectiveConfig):
    """What a filter can be told that remembers keys for a while."""

    max_keys: int = attrs.field(default=10_000, metadata={CHECK: whole_number(1, 1_000_000)})
    """Keys that are remembered, at most; for a new one more the oldest is forgotten, and begins anew with its next
    event."""


class Period:
    """One key's running period."""

    __slots__ = ("about", "began", "count", "suppressed")

    def __init__(self, began: float) -> None:
        self.began: float = began
        self.count: int = 0
        """Events since then."""
        self.suppressed: int = 0
        """Events removed since the last one that was kept."""
        self.about: Any = None
        """What the filter remembers of the key's events."""


class Periods:
    """The periods of up to *most* keys, the oldest first; all have the same length.

    A period is forgotten some time after it is over, and before that only if a new key needs its place: then the
    oldest goes, and the key's next event begins a new one.

    Parameters:
        length: seconds that a period lasts.
        most: keys, at most.
        forgotten: called with each period that is forgotten.
    """

    def __init__(self, length: float, most: int, forgotten: Callable[[Period], None] | None = None) -> None:
        self._length = length
        self._most = most
        self._forgotten = forgotten
        self._periods: dict[Hashable, Period] = {}

    def running(self, key: Hashable, now: float) -> Period | None:
        """Return the period of *key* that runs at *now*, if one does."""
        period = self._periods.get(key)
        if period is not None and period.began <= now < period.began + self._length:
            return period
        return None

    def begin(self, key: Hashable, now: float) -> tuple[Period, Period | None]:
        """Return a new period of *key*, and the one before it if it was not forgotten yet."""
        before = self._periods.pop(key, None)
        self._make_room(now)
        period = self._periods[key] = Period(now)
        return period, before

    def _make_room(self, now: float) -> None:
        """Forget what is over: two for each that is new, so that the memory follows what is in use."""
        for key in list(islice(self._periods, 2)):
            if self._is_over(self._periods[key], now) or len(self._periods) >= self._most:
                self._forget(key)

    def forget_what_is_over(self, now: float) -> None:
        """Forget every period that is over at *now*."""
        while self._periods:
            key = next(iter(self._periods))
            if not self._is_over(self._periods[key], now):
                return
            self._forget(key)

    def forget_all(self) -> None:
        """Forget every period."""
        while self._periods:
            self._forget(next(iter(self._periods)))

    def next_end(self) -> float | None:
        """Return when the oldest period ends of which events were suppressed; None if there is none."""
        for period in self._periods.values():
            if period.suppressed:
                return period.began + self._length
        return None

    def end_of(self, period: Period) -> float:
        """Return when *period* is over."""
        return period.began + self._length

    def _is_over(self, period: Period, now: float) -> bool:
        return not period.began <= now < period.began + self._length

    def _forget(self, key: Hashable) -> None:
        period = self._periods.pop(key)
        if self._forgotten is not None:
            self._forgotten(period)

    def __len__(self) -> int:
        return len(self._periods)
