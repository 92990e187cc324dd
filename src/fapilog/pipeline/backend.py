"""What AnyIO does not offer or offers too slowly, for each of its two backends.

AnyIO stays the interface of everything else; only here is a backend addressed by name.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import anyio
from anyio.lowlevel import current_token

from .._interrupts import Interrupt, raise_interrupt
from .trampoline import Abandoned as Abandoned
from .trampoline import Drive, drive_asyncio, drive_trio

if TYPE_CHECKING:
    import asyncio
    from types import ModuleType, TracebackType

    import trio
    from anyio.abc import TaskGroup


class Parking(Protocol):
    """One wait of one task for one wake-up; at a third of the cost of an event with a cancel scope around it."""

    def wake(self) -> None:
        """Let the task go on; once, on the loop's thread. Waking a task that has been cancelled does nothing."""
        ...

    def __await__(self) -> Generator[Any, Any, None]: ...


class Alarm(Parking, Protocol):
    """Waits of one task, one after the other, each of which a timer may end; it can be set while the task waits.

    The task enters it for as long as it waits by it.
    """

    spent: bool
    """Whether the task has to leave it now, before anything else that may wait, and to make another one."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool | None: ...

    def reset(self) -> None:
        """Take the timer out after a wait, however it ended; the task may then wait again, unless it is spent."""
        ...

    def wake_at(self, when: float) -> None:
        """Let the task go on at *when*, on the event loop's clock; once, from a task or a callback of the loop's."""
        ...

    def wake_at_from_call(self, when: float) -> None:
        """Do the same from a log call, which may have interrupted any code of the event loop's."""
        ...


class Backend(Protocol):
    """One event loop, as the pipeline needs it. Made inside that loop."""

    cancelled_class: type[BaseException]

    task_name: Callable[[], str]
    """Returns the name of the task that is running on the loop's thread, or "" outside a task; on the hot path."""

    time: Callable[[], float]
    """Returns the time on the event loop's clock."""

    running: Callable[[Any], Any] | None
    """Returns the asyncio task that runs on ``loop``, or None; None on Trio."""

    loop: Any
    """The event loop of asyncio; None on Trio."""

    run_context: dict[str, Any] | None
    """Holds as ``"task"`` the Trio task that runs, and has no such key between two tasks; None on asyncio."""

    effective_deadline: Callable[[], float]
    """Returns when the code that runs is cancelled at the latest, infinity for never; raises RuntimeError between two
    tasks or callbacks. Each span asks, so there is nothing around it."""

    def ready(self, value: bool) -> Awaitable[bool] | None:
        """Return an awaitable that is ready with *value* each time, if the loop has one faster than ours."""
        ...

    def parking(self) -> Parking:
        """Return a wait for the running task; it may be awaited once."""
        ...

    def alarm(self, when: float = inf) -> Alarm:
        """Return such waits with a timer, which is set to *when* for the first one, on the event loop's clock."""
        ...

    def task_identity(self) -> object:
        """Return an object that identifies the running task."""
        ...

    def has_ended(self, task: object) -> bool:
        """Return whether the task of that identity is known to have ended."""
        ...

    def is_asked_twice(self, task: object) -> bool:
        """Return whether that task has been cancelled natively more than once, and has not dealt with it."""
        ...

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Run *callback* on the loop soon; from any thread, and from a signal handler.

        Raises:
            RuntimeError: if the loop has ended.
        """
        ...

    def spawn(self, main: Callable[[], Coroutine[Any, Any, None]], name: str, context: Context) -> None:
        """Start a task that is no child of any task group (see ``host.py`` for why)."""
        ...

    def drive(self, coroutine: Coroutine[Any, Any, Any], control: Drive) -> Awaitable[Any]:
        """Run *coroutine* in the current task so that ``control.abandon()`` can end it at any await."""
        ...

    def protect(self, main: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Coroutine[Any, Any, None]]:
        """Return *main* such that a keyboard interrupt cannot strike anywhere in it.

        In the program's main task an interrupt is then raised at a checkpoint, and in others not at all.
        """
        ...

    pass_on: Callable[[Interrupt], object]
    """Lets an interrupt of the application's go its way that struck a task of the pipeline's, which goes on if this
    returns; else this raises it. The container says how; without one it is raised."""

    def raise_soon(self, error: BaseException) -> bool:
        """Have *error* raised by the event loop itself, as if it had struck between two tasks; return False if the
        loop's own code must not raise.
        """
        ...

    async def enter(self) -> TaskGroup:
        """Enter the task group of a container, and return it; ``leave`` leaves it."""
        ...

    def start_soon(self, main: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Start a task in that task group, all of it protected as ``protect`` has it: an interrupt that struck such a
        task anywhere would be raised only when the last of them has ended.
        """
        ...

    async def leave(self, timeout: float) -> None:
        """Leave that task group, whose tasks have ended or been told to, after *timeout* seconds at the latest."""
        ...


def _end_wait(future: asyncio.Future[None]) -> None:
    if not future.done():
        try:
            future.set_result(None)
        except Exception as error:
            import asyncio

            # A signal handler or a finalizer that logs came in between, and has done it.
            if not isinstance(error, asyncio.InvalidStateError):
                raise


class _AsyncioParking:
    __slots__ = ("_future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[None] = loop.create_future()

    def wake(self) -> None:
        _end_wait(self._future)

    def __await__(self) -> Generator[Any, Any, None]:
        return self._future.__await__()


class _AsyncioAlarm(_AsyncioParking):
    __slots__ = ("_loop", "_timer")

    spent = False

    def __init__(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        super().__init__(loop)
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        if when != inf:
            self.wake_at(when)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._take_timer_out()

    def _take_timer_out(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reset(self) -> None:
        self._take_timer_out()
        self._future = self._loop.create_future()

    def wake_at(self, when: float) -> None:
        self._end_at(self._future, when)

    def wake_at_from_call(self, when: float) -> None:
        # Not at once: a finalizer that logs may have interrupted the loop while it puts a timer into its heap.
        self._loop.call_soon(self._end_at, self._future, when)

    def _end_at(self, future: asyncio.Future[None], when: float) -> None:
        if not future.done():  # else the task may be in its next wait already
            # Of the alarm itself, the timer would be a cycle: what it keeps would live until the garbage is collected.
            self._timer = self._loop.call_at(when, _end_wait, future)


class AsyncioBackend:
    """asyncio, uvloop included."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        self.cancelled_class: type[BaseException] = asyncio.CancelledError
        self.pass_on: Callable[[Interrupt], object] = raise_interrupt
        self._loop = loop
        self._task_group: TaskGroup
        self._tasks: set[asyncio.Task[None]] = set()
        # Before Python 3.12 ``asyncio.current_task`` is Python code around a look-up in this dict;
        # since 3.12 it is C and as fast.
        if sys.version_info >= (3, 12):
            current: Any = asyncio.current_task
        else:
            current = cast("Any", asyncio.tasks)._current_tasks.get
        self._current: Callable[[Any], asyncio.Task[Any] | None] = current
        self.running: Callable[[Any], Any] | None = current
        self.loop: Any = loop
        self.run_context: dict[str, Any] | None = None
        self.time: Callable[[], float] = loop.time

        def task_name() -> str:
            task = current(loop)
            return "" if task is None else task.get_name()

        self.task_name = task_name
        # As anyio.current_effective_deadline(), which first finds out each time which loop runs.
        self.effective_deadline: Callable[[], float] = current_token().backend_class.current_effective_deadline

    def ready(self, value: bool) -> Awaitable[bool]:
        future = self._loop.create_future()
        future.set_result(value)
        return future

    def parking(self) -> Parking:
        return _AsyncioParking(self._loop)

    def alarm(self, when: float = inf) -> Alarm:
        return _AsyncioAlarm(self._loop, when)

    def task_identity(self) -> object:
        return self._current(self._loop)

    def has_ended(self, task: object) -> bool:
        return cast("asyncio.Task[object]", task).done()

    def is_asked_twice(self, task: object) -> bool:
        return cast("asyncio.Task[object]", task).cancelling() > 1

    def call_soon(self, callback: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(callback)

    def spawn(self, main: Callable[[], Coroutine[Any, Any, None]], name: str, context: Context) -> None:
        task = self._loop.create_task(main(), name=name, context=context)
        # The loop keeps only a weak reference to a task.
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # an interrupt has ended the loop already; asyncio need not tell of it again

    def drive(self, coroutine: Coroutine[Any, Any, Any], control: Drive) -> Awaitable[Any]:
        return drive_asyncio(coroutine, control, self._loop)

    def protect(self, main: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Coroutine[Any, Any, None]]:
        # asyncio raises an interrupt wherever the thread is just then; there is no way to direct it.
        return main

    def raise_soon(self, error: BaseException) -> bool:
        self._loop.call_soon_threadsafe(raise_interrupt, error)
        return True

    async def enter(self) -> TaskGroup:
        self._task_group = anyio.create_task_group()
        return await self._task_group.__aenter__()

    def start_soon(self, main: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._task_group.start_soon(main, name=name)

    async def leave(self, timeout: float) -> None:
        # An interrupt may have struck the task group's own bookkeeping, which then waits for a task that has ended.
        control = Drive()
        timer = self._loop.call_later(timeout, control.abandon)
        try:
            leaving = self._task_group.__aexit__(None, None, None)
            await self.drive(cast("Coroutine[Any, Any, Any]", leaving), control)
        except Abandoned:
            pass
        finally:
            timer.cancel()


class _TrioParking:
    __slots__ = ("_task", "_trio", "_woken")

    def __init__(self, module: ModuleType) -> None:
        self._trio: Any = module
        self._task: trio.lowlevel.Task | None = None
        self._woken = False

    def wake(self) -> None:
        task, self._task, self._woken = self._task, None, True
        if task is not None:
            self._trio.lowlevel.reschedule(task)

    def _abort(self, raise_cancel: object) -> object:
        self._task = None
        return self._trio.lowlevel.Abort.SUCCEEDED

    def __await__(self) -> Generator[Any, Any, None]:
        lowlevel = self._trio.lowlevel
        if self._woken:
            yield from lowlevel.checkpoint().__await__()
        else:
            self._task = lowlevel.current_task()
            yield from lowlevel.wait_task_rescheduled(self._abort).__await__()


class _TrioAlarm(_TrioParking):
    __slots__ = ("_is_set", "_scope", "spent")

    def __init__(self, module: ModuleType, when: float) -> None:
        super().__init__(module)
        # To enter a scope for each wait would cost more than all else about waiting; a new one is needed only when the
        # time has come, which cancels it. To give it a deadline afterwards costs more than to make it with one.
        self._scope: trio.CancelScope = module.CancelScope(deadline=when)
        self._is_set = when != inf
        self.spent: bool = False

    def __enter__(self) -> Self:
        self._scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return self._scope.__exit__(kind, error, traceback)

    def wake_at(self, when: float) -> None:
        self._is_set = True
        self._scope.deadline = when

    wake_at_from_call = wake_at

    def reset(self) -> None:
        self._woken = False
        if self._is_set:
            self._is_set = False
            self.spent = self._scope.cancel_called
            if not self.spent:
                self._scope.deadline = inf

    def _abort(self, raise_cancel: object) -> object:
        if not self._scope.cancel_called:
            return super()._abort(raise_cancel)
        # The time has come. To go on without the exception costs less; a cancellation from outside comes later.
        self.wake()
        return self._trio.lowlevel.Abort.FAILED


class _TrioRunContext(dict[str, Any]):
    """The task that runs, should Trio's own object with it have been moved."""

    def __missing__(self, key: str) -> trio.lowlevel.Task:
        import trio

        try:
            return trio.lowlevel.current_task()
        except RuntimeError:
            raise KeyError(key) from None


class TrioBackend:
    """Trio."""

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        import trio

        self._trio = trio
        self.cancelled_class: type[BaseException] = trio.Cancelled
        self.pass_on: Callable[[Interrupt], object] = raise_interrupt
        self._token = token
        self._task_group: TaskGroup
        self._nursery: trio.Nursery
        """What is behind the task group."""
        self._current = trio.lowlevel.current_task
        self.time: Callable[[], float] = trio.lowlevel.current_clock().current_time
        self.effective_deadline: Callable[[], float] = trio.current_effective_deadline
        self.running: Callable[[Any], Any] | None = None
        self.loop: Any = None
        # ``current_task`` is Python code around a look-up in a thread-local object. A look-up in what that holds for
        # this thread, which stays the same, takes a tenth of the instructions.
        local: Any = getattr(trio._core._run, "GLOBAL_RUN_CONTEXT", None)
        run_context = cast("dict[str, Any]", _TrioRunContext() if local is None else vars(local))
        self.run_context: dict[str, Any] | None = run_context

        def task_name() -> str:
            try:
                task: trio.lowlevel.Task = run_context["task"]
                return task.name
            except KeyError:  # on the loop's thread, between two tasks: a signal handler, a callback
                return ""

        self.task_name = task_name

    def ready(self, value: bool) -> None:
        return None

    def parking(self) -> Parking:
        return _TrioParking(self._trio)

    def alarm(self, when: float = inf) -> Alarm:
        return _TrioAlarm(self._trio, when)

    def task_identity(self) -> object:
        return self._current()

    def has_ended(self, task: object) -> bool:
        return False  # no task of Trio's can end inside its nursery

    def is_asked_twice(self, task: object) -> bool:
        return False  # Trio has no native cancellation but its scopes'

    def call_soon(self, callback: Callable[[], object]) -> None:
        self._token.run_sync_soon(callback)

    def spawn(self, main: Callable[[], Coroutine[Any, Any, None]], name: str, context: Context) -> None:
        self._trio.lowlevel.spawn_system_task(main, name=name, context=context)

    def drive(self, coroutine: Coroutine[Any, Any, Any], control: Drive) -> Awaitable[Any]:
        return drive_trio(coroutine, control, self._trio)

    def protect(self, main: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Coroutine[Any, Any, None]]:
        async def protected() -> None:
            await main()

        enabled: Callable[[], Coroutine[Any, Any, None]] = self._trio.lowlevel.enable_ki_protection(protected)
        return enabled

    def raise_soon(self, error: BaseException) -> bool:
        return False  # what is raised there is an internal error to Trio

    async def enter(self) -> TaskGroup:
        self._task_group = anyio.create_task_group()
        await self._task_group.__aenter__()
        self._nursery = self._current().child_nurseries[-1]
        return self._task_group

    def start_soon(self, main: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        # AnyIO would put code of its own around it, which is not protected.
        self._nursery.start_soon(self.protect(main), name=name)

    async def leave(self, timeout: float) -> None:
        # Nothing can leave a nursery whose tasks run; ours end when they are cancelled.
        await self._task_group.__aexit__(None, None, None)


def current_backend() -> Backend:
    """Return the backend of the running event loop.

    Raises:
        anyio.NoEventLoopError: outside an event loop that AnyIO supports.
    """
    token = current_token().native_token
    if "trio" in sys.modules and isinstance(token, sys.modules["trio"].lowlevel.TrioToken):
        return TrioBackend(cast("trio.lowlevel.TrioToken", token))
    return AsyncioBackend(cast("asyncio.AbstractEventLoop", token))


def handling_cancellation(cancelled_class: type[BaseException]) -> bool:
    """Return whether the caller is in an ``except`` or ``finally`` of a cancellation."""
    exception: Any = sys.exc_info()[1]
    if exception is None or isinstance(exception, Exception):
        return False
    if isinstance(exception, BaseExceptionGroup):
        return cast("Any", exception).subgroup(cancelled_class) is not None
    return isinstance(exception, cancelled_class)


async def settle(event: anyio.Event, timeout: float) -> bool:
    """Wait for *event* at most *timeout* seconds, shielded; return whether it is set."""
    with anyio.move_on_after(timeout, shield=True):
        await event.wait()
    return event.is_set()
