"""CircuitBreaker and Backoff: when a sink is left alone, and how long to wait before trying again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


class CircuitBreaker:
    """Opens after some failures in a row; then lets one probe through after a while.

    Parameters:
        failures: how many failures in a row open it; at least 1.
        reset: seconds after which an open breaker lets one probe through.
        clock: the event loop's time, in seconds.
    """

    def __init__(self, failures: int, reset: float, clock: Callable[[], float]) -> None:
        self._failures = failures
        self._reset = reset
        self._clock = clock
        self.in_a_row: int = 0
        """How many failures there were since the last success."""
        self._probe_at: float | None = None
        """From when on an open breaker allows a probe. ``allows`` and ``remaining`` compare the clock with this one
        number: two sums of the same times can differ in their last bit, and then the wait between them is none."""
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether the sink is left alone (a probe may be under way)."""
        return self._probe_at is not None

    def allows(self) -> bool:
        """Return whether an attempt may be made now; on an open breaker the one attempt it allows is the probe."""
        if self._probe_at is None:
            return True
        if self._probing or self._clock() < self._probe_at:
            return False
        self._probing = True
        return True

    def remaining(self) -> float:
        """Return the seconds until an open breaker allows a probe; 0 if an attempt may be made now."""
        if self._probe_at is None:
            return 0.0
        return max(self._probe_at - self._clock(), 0.0)

    def succeeded(self) -> None:
        """Close the breaker."""
        self.in_a_row = 0
        self._probe_at = None
        self._probing = False

    def failed(self) -> bool:
        """Count a failure; return whether it opened the breaker."""
        self.in_a_row += 1
        opens = self.in_a_row >= self._failures and self._probe_at is None
        if opens or self._probing:
            self._probe_at = self._clock() + self._reset
        self._probing = False
        return opens


class Backoff:
    """Exponential backoff with full jitter: a wait is uniform between zero and a bound that doubles.

    Parameters:
        first: the bound before the second attempt, in seconds.
        longest: the largest bound, in seconds.
    """

    def __init__(self, first: float, longest: float, generator: random.Random | None = None) -> None:
        self._first = first
        self._longest = longest
        self._random = generator

    def bound(self, attempt: int) -> float:
        """Return the longest wait after *attempt* failed attempts, in seconds."""
        # Beyond 2**60 the bound is the longest whatever the first is; larger exponents would overflow.
        return min(self._longest, self._first * 2.0 ** min(attempt - 1, 60))

    def wait(self, attempt: int) -> float:
        """Return how long to wait after *attempt* failed attempts, in seconds."""
        if self._random is None:
            import random  # most sinks never fail

            self._random = random.Random()
        return self._random.uniform(0.0, self.bound(attempt))
