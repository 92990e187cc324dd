"""Turns: where tasks wait that log faster than the workers take, although the queue has room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from .backend import Backend, Parking

AT_ONCE = 32
"""The most tasks that get their turn in one round of the event loop."""
IN_VAIN = 2
"""After how many looks at workers that took nothing they are held up. Trio runs the tasks of one round in any order, so
one round may see none of their work, and never two."""


class _Turn:
    __slots__ = ("came", "parking", "watches")

    def __init__(self, parking: Parking) -> None:
        self.parking: Parking = parking
        self.came: bool = False
        self.watches: bool = False


class Turns:
    """The tasks that wait until the workers have caught up, in order of arrival.

    The oldest watches the workers, at one checkpoint each round of the event loop. All others are parked: a
    thousand tasks that each took a checkpoint for each event would cost more than all the rest of the pipeline.
    When the workers have caught up, or take nothing because a sink or a plugin holds them up, a few of the
    oldest go on, and the next one watches. So nobody here waits for a sink: that is what room in the queue is for.
    """

    __slots__ = ("_backend", "_is_deep", "_taken", "_waiting", "_watched")

    def __init__(self, backend: Backend, is_deep: Callable[[], bool], taken: Callable[[], int]) -> None:
        self._backend = backend
        self._is_deep = is_deep
        self._taken = taken
        self._waiting: deque[_Turn] = deque()
        self._watched = False
        """Whether somebody watches, or has been told to."""

    async def wait(self) -> None:
        """Wait for the task's turn; always a checkpoint."""
        if self._watched:
            turn = _Turn(self._backend.parking())
            try:
                self._waiting.append(turn)
                await turn.parking
            except BaseException:
                if turn.watches:
                    self._go_on()
                elif not turn.came:
                    self._waiting.remove(turn)
                raise
            if not turn.watches:
                return
        self._watched = True
        try:
            await self._watch()
        finally:
            self._go_on()

    async def _watch(self) -> None:
        taken, in_vain = self._taken(), 0
        await checkpoint()
        while in_vain < IN_VAIN and self._is_deep():
            before, taken = taken, self._taken()
            in_vain = in_vain + 1 if taken == before else 0
            if in_vain < IN_VAIN:
                await checkpoint()

    def _go_on(self) -> None:
        """Give the oldest their turn, and the watch to the one behind them; also if an interrupt strikes meanwhile."""
        try:
            self._give_turns()
        except BaseException:
            self._give_turns()  # or those who wait might do so for ever
            raise

    def _give_turns(self) -> None:
        # Each is told before it is taken out, as an interrupt may strike after any call; to be told again does nothing.
        waiting = self._waiting
        self._watched = False
        for _ in range(min(AT_ONCE, len(waiting))):
            turn = waiting[0]
            turn.came = True
            turn.parking.wake()
            waiting.popleft()
        if waiting:
            turn = waiting[0]
            turn.came = turn.watches = True
            turn.parking.wake()
            self._watched = True
            waiting.popleft()
