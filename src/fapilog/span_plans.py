"""Plan: what a span does beyond telling of itself."""

from __future__ import annotations

from math import inf
from sys import maxsize

import attrs

from .event import Level
from .values import freeze


@attrs.frozen
class Plan:
    """What a span does beyond telling of itself; see :meth:`fapilog.AsyncLogger.span` for each."""

    log_level: int | None = None
    buffer: int | None = None
    buffer_size: int = 1000
    sample: float | None = None
    slow: float = inf
    max_events: float = inf
    max_bytes: float = inf

    @classmethod
    def of(
        cls,
        log_level: str | int | None,
        buffer: str | int | None,
        buffer_size: int,
        sample: float | None,
        slow: float | None,
        max_events: int | None,
        max_bytes: int | None,
    ) -> Plan:
        """Return the plan that these arguments of a span mean.

        Raises:
            ValueError: if a level is no level, or a number is not in its range.
        """
        _check("buffer_size", buffer_size, 1)
        _check("sample", sample, 0, 1)
        _check("slow", slow, 0)
        _check("max_events", max_events, 0)
        _check("max_bytes", max_bytes, 0)
        return cls(
            None if log_level is None else Level.parse(log_level).value,
            None if buffer is None else Level.parse(buffer).value,
            buffer_size,
            sample,
            inf if slow is None else slow,
            inf if max_events is None else max_events,
            inf if max_bytes is None else max_bytes,
        )

    @property
    def asked_level(self) -> int:
        """The least level that calls inside must not refuse at once."""
        levels = [level for level in (self.log_level, self.buffer) if level is not None]
        return min(levels, default=maxsize)


def _check(name: str, value: object, least: float, most: float = inf) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        allowed = f"a number from {least} to {most}" if most != inf else f"a number of at least {least}"
        raise ValueError(f"{name} is {freeze(value)!r}; allowed: {allowed}")


NO_PLAN = Plan()
"""That of a plain span."""
