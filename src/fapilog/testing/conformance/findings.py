"""Findings: the violations of one run in one event loop, with what the checks of all kinds share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...pipeline.host import GRACE
from .driver import CANCELLED, Driver, Outcome, Unheeded
from .violations import Violation

_MOST_WAITS = 8
"""At how many of a call's waits it is cancelled, each in a call of its own."""


class Findings:
    """Collects what a plugin does wrong in one event loop; a thing said before is not said again.

    Parameters:
        backend: the event loop's name.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.violations: list[Violation] = []
        self.doing: str = "making the plugin"
        """What the plugin is being asked to do, for the case that it does not come back."""
        self.timed_out: bool = False
        """Whether a call did not return in time, which on a virtual clock may be the clock's fault."""

    def say(self, check: str, what: str) -> None:
        """Note a violation."""
        violation = Violation(check, what, (self.backend,))
        if violation not in self.violations:
            self.violations.append(violation)

    def has(self, check: str) -> bool:
        """Return whether a violation of that check was noted."""
        return any(violation.check == check for violation in self.violations)

    def failed(self, check: str, outcome: Outcome, what: str) -> bool:
        """Note whatever was raised, or that the call did not return; return whether that was so."""
        if outcome.error is None:
            return False
        if outcome.timed_out:
            self.timed_out = True
            self.say("timeout", f"{what} did not return in time")
        elif outcome.crashed:
            self.say("errors", f"{what}: {outcome.told}")
        elif isinstance(outcome.error, AttributeError) and "read-only" in outcome.told:
            self.say("read-only", f"{what} tried to change an event and got {outcome.told}")
        else:
            self.say(check, f"{what} raised {outcome.told}")
        return True

    async def check_loop(
        self, driver: Driver, method: str, make: Callable[[], tuple[Any, ...]], first: Outcome
    ) -> bool:
        """Note it if calls of a method keep the event loop to themselves; return whether they do."""
        if held := await driver.held_too_long(method, make, first):
            self.say("loop", f"{method} held the event loop for {held:.2f} s")
        return bool(held)

    async def check_cancelling(self, driver: Driver, method: str, make: Callable[[], tuple[Any, ...]]) -> None:
        """Cancel an asynchronous method at each of its waits in turn, and see whether it heeds that."""
        if method not in driver.async_methods:
            return
        for wait in range(1, _MOST_WAITS + 1):
            self.doing = f"{method}, cancelled at wait {wait}"
            outcome = await driver.call(method, *make(), cancel_at=wait)
            watch = outcome.watch
            if not watch.cancelled_at and watch.waits < wait:
                return  # it has no more waits
            where = f"{method}, cancelled at its wait {wait},"
            if outcome.timed_out or isinstance(outcome.error, Unheeded):
                self.say("cancellation", f"{where} did not end")
                return
            if watch.delivered and outcome.value is not CANCELLED and outcome.error is None:
                self.say("cancellation", f"{where} swallowed the cancellation and returned {outcome.value!r}")
                return
            if watch.lingered > GRACE:
                self.say("cancellation", f"{where} went on for {watch.lingered:.2f} s; it has {GRACE} s")
                return


def kind_of(value: object) -> str:
    """Return the type's name of what a plugin returned."""
    return type(value).__name__
