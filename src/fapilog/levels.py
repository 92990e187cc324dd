"""Levels: the least level of each logger name, and what blocks change of it for as long as they last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from sys import maxsize
from threading import RLock

from .event import Level, level_for

_MOST_NAMES = 10_000
"""Names made from data must not grow without bound; a logger of one more name keeps the level it had at first."""


class Threshold:
    """The level of one logger name, shared by every logger of that name, so that it can change while they log."""

    __slots__ = ("level", "own")

    def __init__(self, own: int, level: int | None = None) -> None:
        self.own: int = own
        """What is logged where no block says otherwise."""
        self.level: int = own if level is None else level
        """What a call of a lower level need not look any further for: ``own``, or lower while any block asks for it."""


class Levels:
    """The levels of one container's loggers.

    A block that lowers the level for its tasks makes every call of that level look at its context; all others are
    refused as before. So a call pays for such blocks only while there are some.
    """

    def __init__(self, root: str, levels: Mapping[str, str]) -> None:
        self._levels = _numbers(root, levels)
        self._thresholds: dict[str, Threshold] = {}
        self._asked: Counter[int] = Counter()
        self._lowest = maxsize
        self._lock = RLock()
        """Blocks are entered and left in any thread, and in signal handlers."""

    def threshold(self, name: str) -> Threshold:
        """Return the threshold of a logger name."""
        threshold = self._thresholds.get(name)
        if threshold is None:
            own = self._own(name)
            threshold = Threshold(own, min(own, self._lowest))
            if len(self._thresholds) < _MOST_NAMES:
                self._thresholds[name] = threshold
        return threshold

    def set(self, name: str, level: str | int) -> None:
        """Change the level of a name, which is empty for the root, and of those below it that have none of their own.

        Raises:
            ValueError: if *level* is no level.
        """
        self._levels[name] = Level.parse(level).value
        self._apply()

    def replace(self, root: str, levels: Mapping[str, str]) -> None:
        """Change them all."""
        self._levels = _numbers(root, levels)
        self._apply()

    def ask_for(self, level: int) -> None:
        """Let calls of *level* look at their context, until :meth:`need_no_more`."""
        with self._lock:
            self._asked[level] += 1
            self._lower()

    def need_no_more(self, level: int) -> None:
        """Take one :meth:`ask_for` back."""
        with self._lock:
            self._asked[level] -= 1
            if not self._asked[level]:
                del self._asked[level]
            self._lower()

    def _lower(self) -> None:
        lowest = min(self._asked, default=maxsize)
        if lowest != self._lowest:
            self._lowest = lowest
            self._apply()

    def _apply(self) -> None:
        for name, threshold in list(self._thresholds.items()):
            threshold.own = own = self._own(name)
            threshold.level = min(own, self._lowest)

    def _own(self, name: str) -> int:
        return level_for(self._levels, name)[1]


def _numbers(root: str, levels: Mapping[str, str]) -> dict[str, int]:
    """Return the levels by logger name; that of the root has an empty name."""
    return {name: Level.parse(level).value for name, level in {"": root, **levels}.items()}
