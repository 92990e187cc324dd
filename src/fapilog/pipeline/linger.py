"""Linger: how long what follows a batch waits for company, so that a worker wakes once for all of it.

After a pause of the program a wake-up costs more than the events that it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

BUSY = 32
"""How many events taken at once say that more will come soon: the worker then begins to linger before the next one.
After a linger half of them say so, and after two in a row a quarter."""
STEADY = 2
"""How many lingers in a row say that the traffic is steady; after one, a request may just have ended."""
STEADILY_BUSY = BUSY >> STEADY
"""How many events taken at once say of steady traffic that more will come soon. What is less is sparse: there a wake-up
of the worker's own costs more than that a call looks at the clock."""
_LEEWAY = 1 / 8
"""What part of the linger's length a steady one may be shorter or longer. Traffic with a period that divides the length
would else come now before and now after its end."""


class Linger:
    """When the intake's workers wait though there is something to take, until when, and which event ends it.

    What comes within ``batch_linger`` of a batch waits for the rest of that time. Of steady and sparse traffic, what
    comes first after a batch waits for that whole time, and the first event that comes as it ends, give or take the
    leeway, takes along the others: so the worker runs when the program is awake already.
    """

    __slots__ = ("_ends_from", "_hold_until", "_in_a_row", "_seconds", "last", "longest", "most", "time")

    def __init__(self) -> None:
        self.time: Callable[[], float]
        """The event loop's clock, once there is one."""
        self._seconds = 0.0
        self._hold_until = -inf
        self._ends_from = inf
        self._in_a_row = 0
        self.last: int = 0
        """How many events were taken last, by the only worker; 0 if it has company. Of several workers, those that are
        woken beside the one that takes something would end the linger."""
        self.longest: int = 1
        """How many events end any linger: the rest of the chunk is for what comes until the workers run, so that a
        service with many requests at once does not find the queue deep, and wait, each time a chunk is full. At three
        quarters such a service's requests take a per cent longer; at half, one call in a hundred wakes the workers."""
        self.most: int = 1
        """After how many events to ask whether this linger is over."""

    def resize(self, chunk_size: int) -> None:
        """Let no more than five eighths of so many events linger; a single one has no company to wait for."""
        self.longest = chunk_size * 5 // 8

    def follow(self, seconds: float) -> None:
        """Let what comes within *seconds* from now on linger: a batch goes out."""
        self._seconds = seconds
        self._hold_until = self.time() + seconds

    def begin_ahead(self) -> float | None:
        """Begin to linger before the next event comes, if it will be soon; return until when.

        To set an alarm once it has come would cost more, and a call would have to do it.
        """
        if self.last < BUSY >> min(self._in_a_row, STEADY) or self._hold_until <= self.time():
            return None
        self.last = 0
        self._wait_for_the_rest()
        return self._hold_until

    def begin(self) -> float | None:
        """Begin to linger as the first event comes; return until when, or None if it goes out at once."""
        now = self.time()
        if self._hold_until <= now:
            return None
        if self._in_a_row < STEADY:
            self._wait_for_the_rest()
            return self._hold_until
        self.most = min(self.last * 3 // 4, self.longest)
        self._ends_from = now + self._seconds * (1 - _LEEWAY)
        return now + self._seconds * (1 + _LEEWAY)

    def _wait_for_the_rest(self) -> None:
        self.most = self.longest
        self._ends_from = inf

    def is_over(self) -> bool:
        """Return whether the events that linger go out with the one that has just come; else ask again some later."""
        if self.time() >= self._ends_from:
            self.most = self.longest  # what comes until the worker runs need not ask
            return True
        # By so little more that steady traffic cannot get from before the time to behind it without having asked.
        self.most = min(self.most + self.most // 4 + 1, self.longest)
        return False

    def end(self, lingered: bool) -> None:
        """Note that a wait has ended, and whether it was with a linger of the only worker's."""
        self._in_a_row = self._in_a_row + 1 if lingered else 0
