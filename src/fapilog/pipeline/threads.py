"""WriterThread: the thread in which one blocking plugin's calls run.

The container's own daemon threads, started when it is entered: AnyIO's worker threads keep the process
from exiting while one is stuck, share a limiter that the application can use up, and cannot be started
while the interpreter exits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue
from typing import Any

import anyio

from .backend import Backend
from .host import PluginTimeout, StillRunning, contained


class _Job:
    __slots__ = ("arguments", "done", "error", "function", "value")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function: Callable[..., Any] = function
        self.arguments: tuple[Any, ...] = arguments
        self.done: anyio.Event = anyio.Event()
        self.value: Any = None
        self.error: BaseException | None = None


class WriterThread:
    """Runs one blocking plugin's calls, one at a time, in a daemon thread."""

    def __init__(self, name: str, backend: Backend, context: Context) -> None:
        self.name = name
        self._backend = backend
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._last: _Job | None = None
        self._thread = threading.Thread(
            target=context.copy().run, args=(self._main,), name=f"fapilog {name}", daemon=True
        )
        self.exited: anyio.Event = anyio.Event()

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: if the system cannot start another thread.
        """
        self._thread.start()

    async def call(self, function: Callable[..., Any], *arguments: Any, timeout: float) -> Any:
        """Run ``function(*arguments)`` in the thread and return its result.

        Parameters:
            timeout: seconds after which this gives up waiting; the thread itself cannot be ended.

        Raises:
            PluginTimeout: if it did not return in time, or if the call before it is still running.
            Exception: what the function raised; a BaseException as :class:`PluginCrash`.

        If this is cancelled, the function goes on in its thread.
        """
        if self._last is not None and not self._last.done.is_set():
            with anyio.move_on_after(timeout):
                await self._last.done.wait()
            if not self._last.done.is_set():
                raise StillRunning
        job = self._last = _Job(function, arguments)
        self._jobs.put(job)
        with anyio.move_on_after(timeout):
            await job.done.wait()
        if not job.done.is_set():
            raise PluginTimeout(still_running=True)
        if job.error is not None:
            raise contained(job.error)
        return job.value

    def stop(self) -> None:
        """Ask the thread to end after the call that is running."""
        if self._thread.ident is None:
            self.exited.set()
        else:
            self._jobs.put(None)

    async def join(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds until the thread has ended; return whether it has."""
        with anyio.move_on_after(timeout):
            await self.exited.wait()
        if not self.exited.is_set():
            return False
        if self._thread.ident is None:
            return True
        self._thread.join(timeout=1.0)  # it is past its last statement that could wait
        return True

    def _main(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.value = job.function(*job.arguments)
            except BaseException as error:
                job.error = error
            if not self._tell(job.done):
                return
            del job
        self._tell(self.exited)

    def _tell(self, event: anyio.Event) -> bool:
        try:
            self._backend.call_soon(event.set)
        except RuntimeError:  # the loop has ended, and whoever waited with it
            return False
        return True
