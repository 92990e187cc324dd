"""PluginHost: the task in which one asynchronous plugin's coroutines run.

A task group waits for its children, and a child that shields itself, swallows its cancellation or waits
for a thread that cannot be interrupted makes it wait for ever. So a plugin's coroutines run in a task of
their own beside the task group; the container starts it, waits for it, and at a deadline asks, then
abandons, then leaves. Only a wait that refuses to be aborted can outlive the container, and then only
that wait does. All calls of one plugin run in one task, so that a sink may enter a task group in
``start`` and leave it in ``aclose``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from contextvars import Context
from typing import Any

import anyio

from .._interrupts import interrupt_in
from .backend import Abandoned, Backend, settle
from .trampoline import Drive

GRACE = 0.15
"""Seconds between asking a plugin to stop, by cancelling, and closing it."""


class PluginTimeout(Exception):
    """Raised when a plugin's call took longer than its deadline; ``still_running`` when it could not be ended."""

    def __init__(self, still_running: bool) -> None:
        self.still_running = still_running
        super().__init__("timed out")


class StillRunning(PluginTimeout):
    """Raised when a call was not begun because the one before it could not be ended and is still running."""

    def __init__(self) -> None:
        super().__init__(still_running=True)


class PluginCrash(Exception):
    """Raised in place of a ``BaseException`` of a plugin's, such as SystemExit, which must not end our task."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__} raised by the plugin")
        self.interrupted: bool = interrupt_in(error) is not None
        """Whether it was the application's interrupt, which struck the plugin wherever that was."""


def contained(error: BaseException) -> Exception:
    """Return a plugin's *error* as something that may be raised in a task of the pipeline."""
    if isinstance(error, Exception):
        return error
    crash = PluginCrash(error)
    crash.__cause__ = error
    return crash


class _Job:
    __slots__ = ("done", "drive", "error", "make", "scope", "value", "was_not_begun")

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Any]], scope: anyio.CancelScope | None) -> None:
        self.make: Callable[[], Coroutine[Any, Any, Any]] = make
        self.done: anyio.Event = anyio.Event()
        self.drive: Drive = Drive()
        self.scope: anyio.CancelScope | None = scope
        """Around the coroutine; None when the coroutine may leave a scope of its own open behind it."""
        self.value: Any = None
        self.error: BaseException | None = None
        self.was_not_begun: bool = False
        """Whether the task ended before it began with this."""

    def interrupt(self, reason: str) -> None:
        """Cancel the coroutine; without a scope around it, close it."""
        if self.scope is not None:
            self.scope.cancel(reason=reason)
        elif not self.done.is_set():
            self.drive.abandon()


class PluginHost:
    """Runs one asynchronous plugin's coroutines, one at a time, in a task of its own."""

    def __init__(self, name: str, backend: Backend, context: Context) -> None:
        self.name = name
        self._backend = backend
        self._context = context
        self._job: _Job | None = None
        self._wake = anyio.Event()
        self._stopping = False
        self._running = False
        self.exited: anyio.Event = anyio.Event()

    def start(self) -> None:
        """Start the task."""
        self._running = True
        self._backend.spawn(self._main, f"fapilog {self.name}", self._context.copy())

    async def call(
        self,
        make: Callable[[], Coroutine[Any, Any, Any]],
        timeout: float,
        progress: Callable[[], int] | None = None,
        *,
        scoped: bool = True,
    ) -> Any:
        """Run the coroutine that *make* returns and return its result.

        Parameters:
            timeout: seconds after which it is cancelled, and closed ``GRACE`` later.
            progress: a count that grows while the coroutine gets on; the timeout then begins anew.
            scoped: False for a coroutine that enters a task group or cancel scope and leaves it open for another
                call to close. Scopes nest, so there can be none around such a call, and instead of being
                cancelled it is closed.

        Raises:
            PluginTimeout: if it did not return in time.
            Exception: what the coroutine raised; a BaseException of its own as :class:`PluginCrash`.

        If this is cancelled, the coroutine is cancelled too and goes on unwinding in its own task.
        """
        if self._job is not None and not self._job.done.is_set():
            with anyio.move_on_after(timeout):
                await self._job.done.wait()
            if not self._job.done.is_set():
                raise StillRunning
        job = await self._done_or_late(make, timeout, progress, scoped)
        if job.was_not_begun:
            job = await self._done_or_late(make, timeout, progress, scoped)
        if not job.done.is_set():
            job.interrupt("plugin timeout")
            if not await settle(job.done, GRACE):
                job.drive.abandon()
                await settle(job.done, GRACE)
            raise PluginTimeout(still_running=not job.done.is_set())
        if job.was_not_begun or (job.scope is not None and job.scope.cancelled_caught):
            raise PluginTimeout(still_running=False)
        if job.error is not None:
            raise contained(job.error)
        return job.value

    async def _done_or_late(
        self,
        make: Callable[[], Coroutine[Any, Any, Any]],
        timeout: float,
        progress: Callable[[], int] | None,
        scoped: bool,
    ) -> _Job:
        """Give the task a job and wait until it is done, or its time is over; return it."""
        job = self._job = _Job(make, anyio.CancelScope() if scoped else None)
        if not self._running:
            self.start()
        self._wake.set()
        try:
            await self._wait(job, timeout, progress)
        except BaseException:
            job.interrupt("the wait for the plugin was cancelled")
            raise
        return job

    @staticmethod
    async def _wait(job: _Job, timeout: float, progress: Callable[[], int] | None) -> None:
        seen = -1
        while not job.done.is_set():
            if progress is not None:
                reached = progress()
                if reached == seen:
                    return
                seen = reached
            with anyio.move_on_after(timeout):
                await job.done.wait()
            if progress is None:
                return

    def stop(self) -> None:
        """Ask the task to end once it is idle."""
        self._stopping = True
        self._wake.set()
        if not self._running:
            self.exited.set()

    def cancel(self) -> None:
        """Cancel the coroutine that is running, if any, and ask the task to end."""
        self.stop()
        if self._job is not None:
            self._job.interrupt("container closing")

    def abandon(self) -> None:
        """Close the coroutine that is running, if any, wherever it stands."""
        self.stop()
        if self._job is not None and not self._job.done.is_set():
            self._job.drive.abandon()

    async def _main(self) -> None:
        try:
            while True:
                job = self._job
                if job is None or job.done.is_set():
                    if self._stopping:
                        return
                    self._wake = anyio.Event()
                    await self._wake.wait()
                    continue
                await self._run(job)
        finally:
            self._running = False
            job = self._job
            if job is not None and not job.done.is_set():  # somebody cancels every task there is
                job.was_not_begun = True
                job.done.set()
            if self._stopping:
                self.exited.set()

    async def _run(self, job: _Job) -> None:
        try:
            with job.scope or nullcontext():
                job.value = await self._backend.drive(job.make(), job.drive)
        except Abandoned:
            job.error = PluginTimeout(still_running=False)
        except self._backend.cancelled_class:
            # Not of our scope: the loop is shutting down, or somebody cancels every task there is.
            job.error = PluginTimeout(still_running=False)
            raise
        except BaseException as error:
            job.error = error
            if (interrupt := interrupt_in(error)) is not None:
                self._backend.pass_on(interrupt)
        finally:
            job.done.set()
