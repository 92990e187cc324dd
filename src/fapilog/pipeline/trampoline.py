"""Running a coroutine of somebody else's so that it can be ended whatever it does.

Cancelling is asking. A coroutine may shield itself, or catch the cancellation and go on, and then no
cancel scope and no deadline ends it. These drivers stand between the coroutine and the event loop:
they pass on what it waits for, and when told to abandon it they wake their own task, close the
coroutine at the await where it stands, and return. What cannot be ended even so: code that never
awaits, and on Trio a wait that refuses to be aborted (a thread not started with ``abandon_on_cancel``).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import asyncio

_CLOSE_ATTEMPTS = 10


class Abandoned(Exception):
    """Raised by a driver whose coroutine was abandoned and has been closed."""


@attrs.define(eq=False)
class Drive:
    """The control of one driven coroutine."""

    abandoned: bool = False
    wake: Callable[[], bool] | None = None
    """Wakes the driver's parked task; returns False if what it waits for refuses to be aborted."""

    def abandon(self) -> bool:
        """End the coroutine now, or as soon as it next awaits; return False if its wait cannot be aborted."""
        self.abandoned = True
        wake, self.wake = self.wake, None
        return wake is None or wake()


def _close(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Close *coroutine*, whatever it does about it."""
    for _ in range(_CLOSE_ATTEMPTS):
        try:
            coroutine.close()
        except RuntimeError as error:
            if error.args and "ignored GeneratorExit" in str(error.args[0]):
                continue
            return
        except BaseException:  # noqa: BLE001 - its clean-up failed; it is closed all the same
            return
        else:
            return
    # It swallows everything, for ever. Python would close it once more when it is freed and print a
    # message about it; holding a reference that nothing owns prevents both.
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))


@types.coroutine
def drive_asyncio(
    coroutine: Coroutine[Any, Any, Any], control: Drive, loop: asyncio.AbstractEventLoop
) -> Generator[Any, None, Any]:
    """Drive *coroutine* in the current asyncio task.

    The task waits for a future of ours and not for the coroutine's own, so that it can be woken although
    the coroutine's future refuses to be cancelled, as a task does that swallows its cancellation.
    """
    error: BaseException | None = None
    while True:
        try:
            future: Any = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            return stop.value
        if control.abandoned:
            _close(coroutine)
            raise Abandoned
        error = None
        try:
            if getattr(future, "_asyncio_future_blocking", None) is None:
                yield future
            else:
                future._asyncio_future_blocking = False
                while not future.done() and not control.abandoned:
                    error = yield from _wait_asyncio(future, control, loop)
                    if error is not None:
                        break
        except BaseException as exception:  # noqa: BLE001 - handed on to the coroutine, as its task would
            error = exception
        if control.abandoned:
            _close(coroutine)
            raise Abandoned


def _wait_asyncio(
    future: asyncio.Future[Any], control: Drive, loop: asyncio.AbstractEventLoop
) -> Generator[Any, None, BaseException | None]:
    """Wait until *future* is done or the control wakes us; return a cancellation to throw, as a task would."""
    waiter = loop.create_future()

    def wake(_: object = None) -> bool:
        if not waiter.done():
            waiter.set_result(None)
        return True

    control.wake = wake
    future.add_done_callback(wake)
    try:
        yield from waiter
    except BaseException as cancellation:  # noqa: BLE001 - see the return
        # A task cancels what it waits for and, if that agrees, wakes when it is done.
        return None if future.cancel() else cancellation
    finally:
        future.remove_done_callback(wake)
        control.wake = None
    return None


@types.coroutine
def drive_trio(coroutine: Coroutine[Any, Any, Any], control: Drive, trio: Any) -> Generator[Any, Any, Any]:
    """Drive *coroutine* in the current Trio task.

    To wake the task early, what it waits for is aborted first, by the abort function that came with the
    trap: after a successful abort nothing else will reschedule the task, so we may.
    """
    task = trio.lowlevel.current_task()
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            trap = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            return stop.value
        if control.abandoned:
            _close(coroutine)
            raise Abandoned
        value = error = None
        abort = getattr(trap, "abort_func", None)
        if abort is not None:
            control.wake = _trio_wake(trio, task, abort)
        try:
            value = yield trap
        except BaseException as exception:  # noqa: BLE001 - handed on to the coroutine, as its task would
            error = exception
        control.wake = None
        if control.abandoned:
            _close(coroutine)
            raise Abandoned


def _trio_wake(trio: Any, task: Any, abort: Callable[[Any], Any]) -> Callable[[], bool]:
    def raise_cancel() -> None:
        raise Abandoned

    def wake() -> bool:
        if abort(raise_cancel) is not trio.lowlevel.Abort.SUCCEEDED:
            return False
        trio.lowlevel.reschedule(task)
        return True

    return wake
