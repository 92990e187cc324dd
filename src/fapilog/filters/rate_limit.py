"""The rate limit filter: keeps so many events a second, for each key."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice
from math import ceil
from typing import ClassVar

import attrs

from ..checks import CHECK, number, optional, whole_number
from ..event import LogEvent
from ..plugins.metadata import PluginMetadata, PluginType
from ..plugins.protocols import Removed
from ._keyed import KeyedFilter
from ._keys import names
from ._selective import SelectiveConfig

_TOLD_REASONS = 20
"""Keys whose removed events are counted apart."""
_ROUNDING = 1e-6
"""The part of a token that sums of binary fractions may be wrong by."""
_TELLABLE = frozenset({"level", "logger", "source"})
"""Names whose values stand in the program's text and not in its data, so that the account may show them."""


@attrs.frozen(kw_only=True)
class RateLimitConfig(SelectiveConfig):
    """What the rate limit filter can be told."""

    rate: float = attrs.field(metadata={CHECK: number(0, 1_000_000, unit="events a second", above=True)})
    """Events of one key that are kept in a second, in the long run; above 0."""
    burst: int | None = attrs.field(default=None, metadata={CHECK: optional(whole_number(1, 1_000_000))})
    """Events of one key that may come at once after a pause; by default those of one second, at least 1."""
    by: list[str] = attrs.field(factory=list[str], metadata={CHECK: names})
    """Names of what makes the key, as in an expression, such as ``["logger", "fields.user"]``. Empty for one limit
    over all events."""
    max_keys: int = attrs.field(default=10_000, metadata={CHECK: whole_number(1, 1_000_000)})
    """Keys that are remembered, at most; for a new one more the one is forgotten that was seen the longest ago, and
    has its whole burst again when it returns."""


class RateLimitFilter(KeyedFilter):
    """Keeps the events of each key that a token bucket has a token for.

    In any t seconds at most ``burst + rate * t`` events of a key are kept. A bucket is remembered as one number, the
    time at which it is full again, as in the generic cell rate algorithm (ITU-T I.371, annex A). Removed events are
    counted by key, as ``"rate_limit:app.db"``, if the key is a logger, level or source; of other keys, which may hold
    what has to be redacted, and of more than 20 the account tells the number only.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="rate_limit",
        version="1.0.0",
        plugin_type=PluginType.FILTER,
        entry_point="fapilog.filters.rate_limit:RateLimitFilter",
    )
    Config = RateLimitConfig

    def __init__(self, config: RateLimitConfig) -> None:
        super().__init__(config, config.by)
        burst = config.burst or max(1, ceil(config.rate))
        self._seconds = 1.0 / config.rate
        """Those that one token takes to come."""
        self._tolerance = (burst - 1 + _ROUNDING) * self._seconds
        """How far the time at which a bucket is full may lie ahead for there to be a token."""
        self._empty = burst * self._seconds
        """How far it lies ahead for an empty bucket."""
        self._max_keys = config.max_keys
        self._full_at: dict[Hashable, float] = {}
        """When each bucket is full again; the one that was seen last stands last."""
        tells_keys = len(config.by) == 1 and config.by[0] in _TELLABLE
        self._removed: dict[Hashable, Removed] | None = {} if tells_keys else None
        """The answer for each key whose removed events are counted apart."""

    def keep(self, event: LogEvent) -> bool | Removed:
        if event.level_number >= self._kept_level or (self._when is not None and not self._when(event)):
            return True
        key = self._key(event)
        now = self._clock()
        full_at = self._full_at.pop(key, None)
        if full_at is None:
            self._make_room(now)
            full_at = now
        elif full_at <= now:
            full_at = now
        elif full_at - now > self._tolerance:
            if full_at - now > self._empty + self._seconds:
                full_at = now + self._empty  # the clock went back
            self._full_at[key] = full_at
            return False if self._removed is None else self._reason(key)
        self._full_at[key] = full_at + self._seconds
        return True

    def _make_room(self, now: float) -> None:
        """Forget buckets that are full, two for each that is new, and if need be one that is not."""
        for key in list(islice(self._full_at, 2)):
            if self._full_at[key] <= now or len(self._full_at) >= self._max_keys:
                del self._full_at[key]

    def _reason(self, key: Hashable) -> Removed | bool:
        assert self._removed is not None
        removed = self._removed.get(key)
        if removed is None:
            if len(self._removed) >= _TOLD_REASONS or type(key) is not str:
                return False
            removed = self._removed[key] = Removed(key)
        return removed
