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

from .._accelerated import accelerator
from ..plugins import PlainWrite
from .backend import Backend
from .host import PluginTimeout, StillRunning, contained

_Writes: Any = getattr(accelerator, "Writes", None)
"""Makes plain writes in the thread without the interpreter; None without the accelerator, and not on every system."""


class _Job:
    __slots__ = ("_done", "_is_done", "arguments", "error", "function", "value")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function: Callable[..., Any] = function
        self.arguments: tuple[Any, ...] = arguments
        self._done: anyio.Event = anyio.Event()
        self._is_done = False
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self, *more: Any) -> None:
        try:
            self.value = self.function(*self.arguments, *more)
        except BaseException as error:
            self.error = error

    def told(self) -> None:
        self._is_done = True
        self._done.set()

    def is_done(self) -> bool:
        return self._is_done

    async def wait(self) -> None:
        await self._done.wait()


class _WriteJob(_Job):
    """A plain write; its function is called only if that fails, with the position and the number of the error."""

    __slots__ = ("_writes",)

    def __init__(self, writes: Any, write: PlainWrite) -> None:
        super().__init__(write.failed, ())
        self._writes = writes

    def is_done(self) -> bool:
        # The answer is about the write on its way, which once this one is done is another's.
        self._is_done = self._is_done or self._writes.found_done()
        return self._is_done

    async def wait(self) -> None:
        while not self.is_done():
            await anyio.wait_readable(self._writes)


class WriterThread:
    """Runs one blocking plugin's calls, one at a time, in a daemon thread."""

    def __init__(self, name: str, backend: Backend, context: Context, *, plain_writes: bool = False) -> None:
        """Make the thread, without starting it.

        Parameters:
            plain_writes: whether it is to make plain writes too, if it can.
        """
        self.name = name
        self._backend = backend
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._last: _Job | None = None
        self._writes: Any = _Writes() if plain_writes and _Writes is not None else None
        self.writes_plainly: bool = self._writes is not None
        """Whether it can make plain writes."""
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
        await self._wait_for_last(timeout)
        job = self._last = _Job(function, arguments)
        self._put(job)
        return await self._outcome(job, timeout)

    def write_at_once(self, write: PlainWrite) -> int:
        """Make a plain write here if it need not wait, neither for its reader nor for the call before it.

        Returns:
            The number of bytes written: all, or none if it would have to wait, or would fail. Only where somebody else
            writes to the same pipe at the same time, it may be another.
        """
        if not write.at_once or not (self._last is None or self._last.is_done()):
            return 0
        written: int = accelerator.write_at_once(write.descriptor, write.payload) if accelerator is not None else 0
        return written

    async def write(self, write: PlainWrite, *, timeout: float) -> None:
        """Make a plain write in the thread, which does not need the interpreter for it unless the write fails.

        Raises:
            PluginTimeout, Exception: as :meth:`call` does, for ``write.failed`` and its whole write.
        """
        await self._wait_for_last(timeout)
        job = self._last = _WriteJob(self._writes, write)
        self._writes.begin(write.descriptor, write.payload, write.patience)
        await self._outcome(job, timeout)

    async def _wait_for_last(self, timeout: float) -> None:
        last = self._last
        if last is None or last.is_done():
            return
        with anyio.move_on_after(timeout):
            await last.wait()
        if not last.is_done():
            raise StillRunning

    async def _outcome(self, job: _Job, timeout: float) -> Any:
        with anyio.move_on_after(timeout):
            await job.wait()
        if not job.is_done():
            raise PluginTimeout(still_running=True)
        if job.error is not None:
            raise contained(job.error)
        return job.value

    def _put(self, job: _Job | None) -> None:
        self._jobs.put(job)
        if self._writes is not None:
            self._writes.interrupt()

    def stop(self) -> None:
        """Ask the thread to end after the call that is running."""
        if self._thread.ident is None:
            self.exited.set()
        else:
            self._put(None)

    async def join(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds until the thread has ended; return whether it has."""
        with anyio.move_on_after(timeout):
            await self.exited.wait()
        if not self.exited.is_set():
            return False
        if self._thread.ident is not None:
            self._thread.join(timeout=1.0)  # it is past its last statement that could wait
        if self._writes is not None:
            self._writes.close()
        return True

    def _main(self) -> None:
        while (job := self._next_job()) is not None:
            job.run()
            if not self._tell(job.told):
                return
            del job
        self._tell(self.exited.set)

    def _next_job(self) -> _Job | None:
        """Wait for a job, and make plain writes meanwhile."""
        writes = self._writes
        while writes is not None and (failed := writes.run()) is not None:
            assert self._last is not None  # no other is begun before this one is done
            self._last.run(*failed)
            writes.end()
        return self._jobs.get()

    def _tell(self, callback: Callable[[], object]) -> bool:
        try:
            self._backend.call_soon(callback)
        except RuntimeError:  # the loop has ended, and whoever waited with it
            return False
        return True
