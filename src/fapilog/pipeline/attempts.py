"""What a delivery keeps of a write on its way, and what came of an attempt."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

from .._interrupts import raise_interrupt
from ..errors import PermanentSinkError, TransientSinkError
from ..plugins import Batch
from .confirmations import Receiver


class Write:
    """A batch on its way, with what has happened to it."""

    __slots__ = (
        *("admitted_ns", "ambiguous", "batch", "due", "failure", "failures", "in_place_of", "position"),
        *("redacted", "unknown"),
    )

    def __init__(self, batch: Batch, admitted_ns: int, *, in_place_of: Receiver | None = None) -> None:
        self.batch: Batch = batch
        self.admitted_ns: int = admitted_ns
        """The wall clock's time of its oldest event, in nanoseconds."""
        self.in_place_of: Receiver | None = in_place_of
        """The sink that was to deliver it and gave it up; None for the sink whose stream it is in."""
        self.position: int = 0
        """Which of the batches that entered the sink's stream it is, from 1; of several joined ones, the first."""
        self.failures: int = 0
        self.due: float = 0.0
        """When the next attempt may be made, on the event loop's clock."""
        self.failure: Failure | None = None
        """Why the attempt failed that was made before it entered the stream."""
        self.redacted: bool = False
        """Whether the sink's own redactors have seen it."""
        self.ambiguous: bool = False
        """Whether an attempt may have written it although it failed."""

        self.unknown: bool = False
        """Whether a write of it was cut off and may have landed, here or at the sink that gave it up."""

    def of(self, batch: Batch) -> Write:
        """Return the same for *batch*, a part of its own."""
        part = copy(self)
        part.batch = batch
        return part


class Failure(NamedTuple):
    """Why an attempt failed."""

    reason: str
    message: str
    retry: bool
    retry_after: float = 0.0


def check_result(result: Any) -> None:
    """Raise if what ``write`` returned does not mean success; None and True do, False asks for a retry."""
    if result is None or result is True:
        return
    if result is False:
        raise TransientSinkError("write returned False")
    refuse_awaitable(result, "write")
    raise PermanentSinkError(f"write returned {type(result).__name__}; it must return None, or raise")


def refuse_awaitable(result: Any, method: str) -> None:
    """Raise if what a plain method returned would have to be awaited to have done anything."""
    if hasattr(result, "__await__"):
        close: Callable[[], None] | None = getattr(result, "close", None)
        if close is not None:
            close()
        raise PermanentSinkError(f"{method} is a plain function that returned an awaitable; make it 'async def'")


def seconds_of(value: Any) -> float:
    """Return a wait that a sink named, or none if it is no sensible number."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return seconds if seconds > 0 else 0.0  # also for NaN


def described(error: BaseException) -> str:
    """Return the error's type and text; its text may raise."""
    try:
        return f"{type(error).__name__}: {error}"[:500]
    except BaseException as failure:
        raise_interrupt(failure)
        return type(error).__name__
