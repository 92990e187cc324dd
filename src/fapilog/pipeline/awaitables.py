"""What a log call returns: awaitables that say whether the event was accepted, and wait where that helps."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from anyio.lowlevel import cancel_shielded_checkpoint

from .._accelerated import accelerator
from ..errors import QueueFull
from .backend import handling_cancellation

if TYPE_CHECKING:
    from ..event import Record
    from .turns import Turns


class Acceptance(Protocol):
    """What ``log.info(...)`` returns: awaiting it waits for room if need be, and tells whether it was accepted."""

    def __await__(self) -> Generator[Any, Any, bool]: ...


class Decided:
    """The outcome is known and nothing waits; no checkpoint. One object serves every call."""

    __slots__ = ("_accepted",)

    def __init__(self, accepted: bool) -> None:
        self._accepted = accepted

    def __await__(self) -> Generator[Any, Any, bool]:
        return self._accepted
        yield  # makes this a generator


_decided = Decided if accelerator is None else accelerator.Decided
ACCEPTED: Acceptance = _decided(True)
REFUSED: Acceptance = _decided(False)


class Yielding:
    """Accepted into a deep queue: awaiting lets the workers catch up first, and is a checkpoint.

    While the caller handles a cancellation it is one shielded checkpoint, so that the clean-up goes on after it.
    """

    __slots__ = ("_cancelled_class", "_turns")

    def __init__(self, cancelled_class: type[BaseException], turns: Turns) -> None:
        self._cancelled_class = cancelled_class
        self._turns = turns

    def __await__(self) -> Generator[Any, Any, bool]:
        if handling_cancellation(self._cancelled_class):
            yield from cancel_shielded_checkpoint().__await__()
        else:
            yield from self._turns.wait().__await__()
        return True


class Full:
    """Refused under ``OverflowStrategy.RAISE``: awaiting raises, and the call itself did not."""

    __slots__ = ("_capacity",)

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity

    def __await__(self) -> Generator[Any, Any, bool]:
        raise QueueFull(self._capacity)
        yield  # makes this a generator


class RoomWaiter(Protocol):
    """The side of the intake that waits for room."""

    async def wait_for_room(self, record: Record) -> bool: ...


class WaitingCall:
    """No room yet under ``OverflowStrategy.BLOCK``: the wait begins when this is awaited.

    Until then the event counts as dropped, for the caller may never await it.
    """

    __slots__ = ("_accepted", "_intake", "_record")

    def __init__(self, intake: RoomWaiter, record: Record) -> None:
        self._intake = intake
        self._record: Record | None = record
        self._accepted = False

    def __await__(self) -> Generator[Any, Any, bool]:
        record, self._record = self._record, None
        if record is not None:
            self._accepted = yield from self._intake.wait_for_room(record).__await__()
            extras = record[7]
            if extras is not None and extras.logged is not None:
                extras.logged.accepted = self._accepted
        return self._accepted
