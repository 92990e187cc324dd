"""Running a coroutine of somebody else's so that it can be ended whatever it does.

Cancelling is asking. A coroutine may shield itself, or catch the cancellation and go on, and then no
cancel scope and no deadline ends it. These drivers stand between the coroutine and the event loop:
they pass on what it waits for, and when told to abandon it they wake their own task, close the
coroutine at the await where it stands, and return. What cannot be ended even so: code that never
awaits, and on Trio a wait that refuses to be aborted (a thread not started with ``abandon_on_cancel``)
or code that swallows everything inside a task group of its own.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from .._interrupts import interrupt_in, raise_interrupt

if TYPE_CHECKING:
    import asyncio

_CLOSE_ATTEMPTS = 10
_MOST_CANCELLATIONS = 100
"""How many cancellations a coroutine may be sent before it is abandoned without waiting for its deadline.

Both event loops deliver a cancellation again at every await until the coroutine ends. One that swallows
them would keep the loop busy, and virtual time from passing, up to the deadline.
"""


class Abandoned(Exception):
    """Raised by a driver whose coroutine was abandoned and has been closed."""


class Drive:
    """The control of one driven coroutine."""

    __slots__ = ("abandoned", "cancellations", "wake")

    def __init__(self) -> None:
        self.abandoned: bool = False
        self.cancellations: int = 0
        """How many the coroutine was sent and did not heed; a timeout of its own that has passed is none."""
        self.wake: Callable[[], bool] | None = None
        """Wakes the driver's parked task; returns False if what it waits for refuses to be aborted."""

    def abandon(self) -> bool:
        """End the coroutine now, or as soon as it next awaits; return False if its wait cannot be aborted."""
        self.abandoned = True
        wake, self.wake = self.wake, None
        return wake is None or wake()


def _close(coroutine: Coroutine[Any, Any, Any]) -> bool:
    """Close *coroutine* and what it awaits, whatever they do about it; return whether all of it is closed."""
    chain: list[Any] = []
    awaited: Any = coroutine
    while awaited is not None:
        chain.append(awaited)
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    closed = True
    for suspended in chain:
        if hasattr(suspended, "close") and not _close_one(suspended):
            closed = False
            # It swallows everything, for ever. Python would close it once more when it is freed and print a
            # message about it; holding a reference that nothing owns prevents both.
            import ctypes

            ctypes.pythonapi.Py_IncRef(ctypes.py_object(suspended))
    return closed


def _close_one(suspended: Any) -> bool:
    for _ in range(_CLOSE_ATTEMPTS):
        try:
            suspended.close()
        except RuntimeError as error:
            if error.args and "ignored GeneratorExit" in str(error.args[0]):
                continue
            return True
        except BaseException as error:  # its clean-up failed; it is closed all the same
            raise_interrupt(error)
            return True
        else:
            return True
    return False


@types.coroutine
def drive_asyncio(
    coroutine: Coroutine[Any, Any, Any], control: Drive, loop: asyncio.AbstractEventLoop
) -> Generator[Any, None, Any]:
    """Drive *coroutine* in the current asyncio task.

    The task waits for a future of ours and not for the coroutine's own, so that it can be woken although
    the coroutine's future refuses to be cancelled, as a task does that swallows its cancellation.
    """
    import asyncio

    task: Any = asyncio.current_task(loop)
    outer = task.cancelling()
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
        if task.cancelling() <= outer:
            # Whoever cancelled has taken it back: it was a scope of the coroutine's, and it has left that.
            control.cancellations = 0
        try:
            if getattr(future, "_asyncio_future_blocking", None) is None:
                yield future
            else:
                future._asyncio_future_blocking = False
                error = yield from _wait_asyncio(future, control, loop)
        except GeneratorExit:
            _close(coroutine)
            raise
        except BaseException as exception:
            error = exception
            control.cancellations += 1
        if control.abandoned or control.cancellations > _MOST_CANCELLATIONS:
            _close(coroutine)
            if error is not None:
                raise_interrupt(error)
            raise Abandoned


def _wait_asyncio(
    future: asyncio.Future[Any], control: Drive, loop: asyncio.AbstractEventLoop
) -> Generator[Any, None, BaseException | None]:
    """Wait until *future* is done or the control wakes us; return a cancellation to throw, as a task would."""
    while not (future.done() or control.abandoned):
        waiter = loop.create_future()
        wake = partial(_wake, waiter)
        control.wake = wake
        future.add_done_callback(wake)
        try:
            yield from waiter
        except GeneratorExit:
            raise
        except BaseException as cancellation:
            if interrupt_in(cancellation) is not None:
                return cancellation
            control.cancellations += 1
            # A task cancels what it waits for and, if that agrees, wakes when it is done. The message goes with it:
            # by it AnyIO knows whose scope a cancellation is for.
            if not future.cancel(*cancellation.args):
                return cancellation
        finally:
            future.remove_done_callback(wake)
            control.wake = None
    return None


def _wake(waiter: asyncio.Future[None], _: object = None) -> bool:
    if not waiter.done():
        waiter.set_result(None)
    return True


@types.coroutine
def drive_trio(coroutine: Coroutine[Any, Any, Any], control: Drive, trio: Any) -> Generator[Any, Any, Any]:
    """Drive *coroutine* in the current Trio task.

    To wake the task early, what it waits for is aborted first, by the abort function that came with the
    trap: after a successful abort nothing else will reschedule the task, so we may.
    """
    task = trio.lowlevel.current_task()
    scopes = getattr(task, "_cancel_status", None)
    outer = len(task.child_nurseries)
    value: Any = None
    error: BaseException | None = None
    own: KeyboardInterrupt | None = None
    while True:
        try:
            trap = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            return stop.value
        except KeyboardInterrupt as interrupt:
            trap, own = None, interrupt
        if own is not None:
            # A real one does not reach this task, which Trio protects. One that the plugin raises itself must
            # not end this task either: Trio takes a failing task of its system for an internal error.
            raise RuntimeError("the plugin raised KeyboardInterrupt") from own
        if not control.abandoned:
            value = error = None
            if not getattr(getattr(task, "_cancel_status", None), "effectively_cancelled", True):
                control.cancellations = 0  # it has left the scope that was cancelled, as after each of Trio's sleeps
            abort = getattr(trap, "abort_func", None)
            if abort is not None:
                control.wake = _trio_wake(trio, task, outer, abort)
            try:
                value = yield trap
            except GeneratorExit:
                _close(coroutine)
                raise
            except BaseException as exception:  # handed on to the coroutine, as its task would
                error = exception
            trap = None
            # Trio hands an outcome to the trap, which raises what is in it.
            control.cancellations += isinstance(getattr(value, "error", error), trio.Cancelled)
            control.wake = None
        if control.abandoned or control.cancellations > _MOST_CANCELLATIONS:
            if len(task.child_nurseries) > outer:
                yield from _leave_nurseries(coroutine, outer, trap, value, error, trio)
            if not _close(coroutine) and scopes is not None:
                # It is still inside its cancel scopes, and our task must not be.
                task._activate_cancel_status(scopes)
            raise Abandoned


def _trio_wake(trio: Any, task: Any, outer: int, abort: Callable[[Any], Any]) -> Callable[[], bool]:
    def wake() -> bool:
        from outcome import Error

        # Trio forgets the abort function as soon as the task is to run, or once the wait has refused to be
        # aborted: in neither case may it be called again.
        forgotten = getattr(task, "_abort_func", abort) is None
        aborted = not forgotten and abort(_raise_abandoned) is trio.lowlevel.Abort.SUCCEEDED
        if aborted:
            trio.lowlevel.reschedule(task, Error(Abandoned()))
        for nursery in task.child_nurseries[outer:]:
            _end_children(nursery)
        return aborted

    return wake


def _raise_abandoned() -> None:
    raise Abandoned


def _leave_nurseries(
    coroutine: Coroutine[Any, Any, Any], outer: int, trap: Any, value: Any, error: BaseException | None, trio: Any
) -> Generator[Any, Any, None]:
    """Make *coroutine*, which waits for *trap* or else is to get *value* or *error*, leave the nurseries it is in.

    Those are the task's but for the *outer* first ones. A nursery must be left in order, with its children
    ended: closing the coroutine inside one would destroy Trio's bookkeeping. So every wait in it fails until
    it is out, except that for the children.
    """
    task = trio.lowlevel.current_task()
    for nursery in task.child_nurseries[outer:]:
        _end_children(nursery)
    rounds = 0
    while len(task.child_nurseries) > outer:
        if trap is not None:
            rounds += 1
            value = error = None
            abort = getattr(trap, "abort_func", None)
            if (
                abort is not None
                and rounds < _MOST_CANCELLATIONS
                and abort(_raise_abandoned) is trio.lowlevel.Abort.SUCCEEDED
            ):
                error = Abandoned()
            else:
                try:
                    value = yield trap
                except BaseException as exception:  # handed on to the coroutine, as its task would
                    error = exception
        try:
            trap = coroutine.send(value) if error is None else coroutine.throw(error)
        except BaseException:  # it has ended, with our error or one of its own
            return


def _end_children(nursery: Any) -> None:
    """Cancel the tasks of *nursery*, and those of theirs, in spite of their shields."""
    nursery.cancel_scope.cancel()
    for task in nursery.child_tasks:
        status = getattr(task, "_cancel_status", None)
        while status is not None and status is not nursery._cancel_status:
            status._scope.shield = False
            status = status.parent
        for inner in task.child_nurseries:
            _end_children(inner)
