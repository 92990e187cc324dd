"""When a file is rotated by time, and the names that rotated files get."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable

_PREPARE = 1.0
"""Seconds before a boundary from which a rotation is to be expected."""


class Schedule:
    """Boundaries in UTC, every *period* seconds since the epoch; None has no boundaries.

    A clock that steps back causes no rotation. The file in use then ends at the boundary it would have
    ended at anyway; only after a step of more than a period it ends at the next boundary of the new time.
    """

    def __init__(self, period: float | None, clock: Callable[[], float]) -> None:
        self._period = period
        self._clock = clock
        self._current = 0.0

    def begin(self, when: float | None = None) -> None:
        """Start the period of a file that was last written at *when*, by default now."""
        if self._period is not None:
            self._current = (self._clock() if when is None else when) // self._period

    def is_due(self) -> bool:
        """Return whether a boundary lies between the file's period and now."""
        if self._period is None:
            return False
        current = self._clock() // self._period
        if current < self._current - 1:
            self._current = current
        return current > self._current

    def is_near(self) -> bool:
        """Return whether a boundary has passed or is less than a second away."""
        return self._period is not None and self._clock() + _PREPARE >= (self._current + 1) * self._period


class ArchiveNames:
    """The names of one log file's rotated files: ``app-20261123T014500Z.0000.log``, then ``.gz`` if compressed.

    Their order is the order in which they were rotated, also after the clock stepped back.
    """

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._directory, name = os.path.split(path)
        self._stem, self._suffix = os.path.splitext(name)
        self._clock = clock
        self._pattern = re.compile(
            rf"{re.escape(self._stem)}-(\d{{4,}}\d{{4}}T\d{{6}}Z)\.(\d{{4,}}){re.escape(self._suffix)}(\.gz|\.gz\.tmp)?",
            re.ASCII,
        )
        self._last: tuple[str, int] = ("", -1)

    def parse(self, name: str) -> tuple[tuple[int, str, int], str] | None:
        """Return the place in the order and the ending (empty, ``.gz`` or ``.gz.tmp``), or None for another's file."""
        match = self._pattern.fullmatch(name)
        if match is None:
            return None
        return (len(match[1]), match[1], int(match[2])), match[3] or ""

    def next(self) -> str:
        """Return the path for the next rotated file: later than all there are, and used by none.

        Raises:
            OSError: if the directory cannot be read.
        """
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(max(0.0, self._clock())))
        stamp, counter = self._last
        latest = (len(stamp), stamp, counter)
        for name in os.listdir(self._directory):
            found = self.parse(name)
            if found is not None and found[0] > latest:
                latest = found[0]
        length, stamp, counter = latest
        if (len(now), now) > (length, stamp):
            stamp, counter = now, -1
        self._last = (stamp, counter + 1)
        return os.path.join(self._directory, f"{self._stem}-{stamp}.{counter + 1:04d}{self._suffix}")
