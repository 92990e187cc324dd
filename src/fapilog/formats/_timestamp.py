"""Timestamps as RFC 3339 text: the second is formatted once, what follows it comes from a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MILLISECOND = 1_000_000
"""The width of a window, in nanoseconds."""
MICROSECONDS = tuple(f"{number:03d}Z" for number in range(1000))
"""The end of a timestamp by its microsecond within the millisecond."""

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_LAST_SECOND = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)


class Clock:
    """Formats nanoseconds since the Unix epoch, and remembers the last second and millisecond.

    What it remembers are tuples, replaced whole: threads that format at once never see half of one.
    """

    __slots__ = ("_second", "window")

    def __init__(self) -> None:
        self._second: tuple[int, str] = (0, "1970-01-01T00:00:00")
        self.window: tuple[int, str] = (0, "1970-01-01T00:00:00.000")
        """The start of a millisecond, and its text.

        The text of a time in it is this text and ``MICROSECONDS[(time_ns - start) // 1000]``.
        """

    def move(self, time_ns: int) -> tuple[int, str]:
        """Set and return the window that *time_ns* is in.

        What is outside the years 1 to 9999, which RFC 3339 cannot say, becomes the nearest time inside.
        """
        start, text = self._second
        elapsed = time_ns - start
        if not 0 <= elapsed < _SECOND:
            second = time_ns // _SECOND
            if second < _FIRST_SECOND:
                window = self.window = (time_ns, "0001-01-01T00:00:00.000")
                return window
            if second > _LAST_SECOND:
                window = self.window = (time_ns - 999_999, "9999-12-31T23:59:59.999")
                return window
            start = second * _SECOND
            text = (_EPOCH + timedelta(seconds=second)).isoformat()[:19]
            self._second = (start, text)
            elapsed = time_ns - start
        millisecond = elapsed // MILLISECOND
        window = self.window = (start + millisecond * MILLISECOND, f"{text}.{millisecond:03d}")
        return window

    def text(self, time_ns: int) -> str:
        """Return *time_ns* as RFC 3339 text with microseconds and ``Z``."""
        start, prefix = self.window
        elapsed = time_ns - start
        if not 0 <= elapsed < MILLISECOND:
            start, prefix = self.move(time_ns)
            elapsed = time_ns - start
        return prefix + MICROSECONDS[elapsed // 1000]
