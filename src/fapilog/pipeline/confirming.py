"""Confirming: a confirmed call's admission and its wait, which no cancellation cuts short before the deadline."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint

from ..errors import NotConfirmed
from ..settings import OverflowStrategy
from .backend import handling_cancellation
from .confirmations import Tracked
from .waiting import Waiter

if TYPE_CHECKING:
    from ..event import Record
    from .intake import Intake


class Confirmation(Tracked):
    """What a confirmed call returns; awaiting it waits for the outcome.

    The event is admitted by the call, if there is room. If it has to wait for room under ``BLOCK``, that begins when
    this is awaited, and lasts until the deadline at most; until then the event counts as dropped.
    """

    __slots__ = ("_deadline", "_decided", "_intake", "_record", "_room_decided", "_timeout", "_waiter", "admitted")

    def __init__(self, intake: Intake, record: Record, timeout: float) -> None:
        super().__init__(intake.confirmations, record)
        self._intake = intake
        self._timeout = timeout
        self._deadline: float = 0.0
        """On the event loop's clock, from the call on."""
        self._record: Record | None = None
        """The event, as long as it waits for somebody to wait for room."""
        self._waiter: Waiter | None = None
        self._room_decided: anyio.Event
        self._decided: anyio.Event | None = None
        self.admitted: bool = False
        """Whether the event is in the queue, or was."""

    # -- the call

    def submit(self, record: Record) -> None:
        """Admit *record*, the event that carries this, or settle why it is refused; on the event loop's thread."""
        intake = self._intake
        if intake.state != "open":
            self.end("rejected", intake.reject())
            return
        self._deadline = intake.backend.time() + self._timeout
        if self._try_admit(record):
            return
        if intake.admission.strategy is OverflowStrategy.BLOCK:
            self._all.discard(self)
            self._record = record
            intake._counts.dropped_not_awaited += 1
        elif intake._overflow(record):
            self.admitted = True
        else:
            is_refused = intake.admission.strategy is OverflowStrategy.RAISE
            self.end("rejected" if is_refused else "dropped", "queue_full")

    def _try_admit(self, record: Record) -> bool:
        self._all.add(self)  # first, for a recursion error may come out of what follows, with the event in the queue
        self._intake.urgent = True  # no linger holds back an event that somebody waits for
        self.admitted = self._intake._try_admit(record)
        return self.admitted

    # -- the wait

    def __await__(self) -> Generator[Any, Any, bool]:
        return self._confirmed().__await__()

    async def _confirmed(self) -> bool:
        """Return True once every required sink has delivered the event.

        Raises:
            NotConfirmed: if that is not so at the deadline, or cannot become so any more.

        A cancellation does not cut this short; it is raised after it, with a ``NotConfirmed`` as its cause if there is
        one and the cancellation is a native one of asyncio's. While the caller handles a cancellation, none is raised.
        A checkpoint if it returns.
        """
        interruption = None if self.state else await self._wait()
        error = None if self.state == "confirmed" else self.error()
        if interruption is not None:
            if error is None:
                raise interruption
            raise interruption from error
        if error is not None:
            raise error
        if handling_cancellation(self._intake.backend.cancelled_class):
            await cancel_shielded_checkpoint()
        else:
            await checkpoint()
        return True

    async def _wait(self) -> BaseException | None:
        """Wait until the outcome is known, or the deadline; return the cancellation that came meanwhile."""
        cancelled_class = self._intake.backend.cancelled_class
        interruption: BaseException | None = None
        try:
            self._intake.wake_if_due()  # the call may have had no frame left to do so
            while not self.state:
                try:
                    with anyio.CancelScope(deadline=self._deadline, shield=True) as scope:
                        await self._outcome()
                    if scope.cancelled_caught:
                        self._give_up("timeout", at_deadline=True)
                except cancelled_class as cancellation:
                    # A native one of asyncio's, which no shield holds off. It stays counted in the task, so that
                    # whoever asked for it finds it answered when it is raised.
                    interruption = interruption or cancellation
        finally:
            if not self.state:
                self._give_up("given_up", at_deadline=False)
        return interruption

    async def _outcome(self) -> None:
        if self._record is not None:
            self._ask_for_room(self._record)
        waiter = self._waiter
        if waiter is not None:
            await self._room_decided.wait()
            self._waiter = None
            self.admitted = waiter.admitted
            logged = None if waiter.record[7] is None else waiter.record[7].logged
            if logged is not None:
                logged.accepted = waiter.admitted
        if not self.state:
            if self._decided is None:
                self._decided = anyio.Event()
            await self._decided.wait()

    def _ask_for_room(self, record: Record) -> None:
        """Admit the event after all, or have it wait in order of arrival."""
        intake = self._intake
        self._record = None
        intake._counts.dropped_not_awaited -= 1
        if intake.state != "open":
            self.end("rejected", intake.reject())
        elif not self._try_admit(record):
            self._all.discard(self)
            self._room_decided = anyio.Event()
            self._waiter = intake._waiting.enter(record, self._room_decided.set, self)

    def _give_up(self, state: str, *, at_deadline: bool) -> None:
        """Wait no more: the event goes on, if it is in the queue; else it is dropped."""
        waiter, intake = self._waiter, self._intake
        if waiter is None or not waiter.waiting:
            self.end(state)
            return
        intake._waiting.withdraw(waiter)
        if at_deadline:
            intake._counts.dropped_block_timeout += 1
            if self._timeout >= intake.admission.block_timeout:
                intake._waiting.found_no_room()
        else:
            intake._counts.dropped_cancelled += 1
        self.end("dropped", "block_timeout" if at_deadline else "cancelled")

    def _ended(self) -> None:
        if self._decided is not None:
            self._decided.set()

    def error(self) -> NotConfirmed:
        """Return what tells of an event that was not confirmed."""
        return NotConfirmed(
            self.state,
            self.reason,
            self.sinks,
            level=self.level,
            logger=self.origin.logger,
            container_id=self.origin.container_id,
            time_ns=self.time_ns,
            sequence=self.sequence,
            timeout=self._timeout,
        )
