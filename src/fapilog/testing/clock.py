"""Virtual time on both backends: a clock that jumps to the next timer as soon as nothing else can run."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias, TypeVar, TypeVarTuple, Unpack

import anyio

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

Backend: TypeAlias = Literal["asyncio", "trio"]

BACKENDS: Final[tuple[Backend, ...]] = ("asyncio", "trio")
"""The backends that have a virtual clock; uvloop has none, because its timers live in C."""


def virtual_time(backend: Backend) -> tuple[Backend, dict[str, Any]]:
    """Return AnyIO's backend name and options for one run on virtual time.

    The clock starts at 0 under asyncio, does not move while a task can run, and jumps to the next deadline
    when every task waits. Threads and sockets work, but a task that waits for one does not hold the clock: with
    a timer pending, the clock jumps first. Only the clock of the event loop is virtual (`anyio.current_time`,
    sleeps, deadlines); `time.monotonic` and `time.time_ns` are not.

    Parameters:
        backend: ``"asyncio"`` or ``"trio"``.

    Returns:
        A pair that AnyIO's ``anyio_backend`` fixture accepts. Make one for each test; `run_in_virtual_time` makes
        its own.

    Raises:
        ValueError: if the backend has no virtual clock.
    """
    if backend == "asyncio":
        return backend, {"loop_factory": VirtualTimeLoop}
    if backend == "trio":
        from trio.testing import MockClock

        return backend, {"clock": MockClock(autojump_threshold=0)}
    raise ValueError(f"no virtual clock for the backend {backend!r}; allowed: {', '.join(BACKENDS)}")


def run_in_virtual_time(
    backend: Backend, function: Callable[[Unpack[Arguments]], Awaitable[T]], *args: *Arguments
) -> T:
    """Run an async function to its end on a virtual clock of its own.

    Parameters:
        backend: ``"asyncio"`` or ``"trio"``.
        function: the async function.
        args: its arguments.

    Returns:
        What the function returns.

    Raises:
        ValueError: if the backend has no virtual clock.
        BaseException: whatever the function raises.
    """
    name, options = virtual_time(backend)
    if name == "trio":
        import trio

        # Not through AnyIO, which hands its options on to Trio from 4.14 on only.
        return trio.run(function, *args, **options)
    return anyio.run(function, *args, backend=name, backend_options=options)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose time is virtual and jumps to the next timer when nothing is ready.

    It is what `trio.testing.MockClock` with ``autojump_threshold=0`` is to Trio. Use it as ``loop_factory``.
    """

    def __init__(self) -> None:
        self._virtual_now = 0.0
        super().__init__(_JumpingSelector(self.jump))

    def time(self) -> float:
        """Return the virtual time in seconds; a new loop starts at 0."""
        return self._virtual_now

    def jump(self, seconds: float) -> None:
        """Advance the clock by hand.

        Timers that become due run in the next turn of the loop.

        Parameters:
            seconds: how far, at least 0.

        Raises:
            ValueError: if ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds} s; jump by 0 s or more")
        self._virtual_now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Polls for I/O and jumps the clock where a plain selector would wait for the next timer."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # No timer is pending: only I/O or another thread can bring work, and this wait is real.
        if timeout is None:
            return super().select()
        # First what is ready now, such as the wake-up of `call_soon_threadsafe`; the jump only if there is nothing.
        ready = super().select(0)
        if not ready:
            self._jump(timeout)
        return ready
