"""blocking_container: a container for synchronous programs, run by an event loop in a thread."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress

import anyio

from .container import AsyncLoggingContainer, OnLoss, SettingsSource
from .errors import ContainerStateError
from .logger import BlockingLogger
from .pipeline.backend import current_backend
from .plugins import PluginRegistry

EXIT_MARGIN = 2.0
"""Seconds beyond ``shutdown_timeout`` that leaving waits for the thread; it is a daemon and can be left behind."""


@contextmanager
def blocking_container(
    settings: SettingsSource = None,
    *,
    sinks: Sequence[object] | None = None,
    filters: Sequence[object] | None = None,
    enrichers: Sequence[object] | None = None,
    processors: Sequence[object] | None = None,
    redactors: Sequence[object] | None = None,
    plugin_registry: PluginRegistry | None = None,
    on_loss: OnLoss | None = None,
    backend: str = "asyncio",
) -> Generator[BlockingLogger, None, None]:
    """Run a container for a synchronous program, in a thread, and yield its :class:`BlockingLogger`.

    Parameters:
        backend: the event loop to run in the thread, ``asyncio`` or ``trio``.

    The other parameters, and what leaving the block means, are those of :class:`AsyncLoggingContainer`. If the
    program ends without leaving the block, the container is drained while the interpreter exits.

    Raises:
        ContainerStateError: inside an event loop, where it would hold the loop; use ``container()`` there. Also if no
            thread can be started, or no event loop in it; the message says what to do.
    """
    if _in_event_loop():
        raise ContainerStateError(
            "blocking_container() was called inside an event loop, which it would hold; use 'async with container()'"
        )
    container = AsyncLoggingContainer(
        settings,
        sinks=sinks,
        filters=filters,
        enrichers=enrichers,
        processors=processors,
        redactors=redactors,
        plugin_registry=plugin_registry,
        on_loss=on_loss,
    )
    thread = _ContainerThread(container, backend)
    thread.enter()
    # Not only the block's end: a program may keep the block open in a generator, or forget it, and then end.
    atexit.register(thread.leave)
    try:
        with container.entered() as log:
            yield log.blocking
    except BaseException:
        thread.leave()  # its own error, if any, must not stand in for the body's
        raise
    thread.leave()
    if thread.error is not None:
        raise thread.error


class _ContainerThread:
    """A daemon thread with an event loop in which one container is entered and left."""

    def __init__(self, container: AsyncLoggingContainer, backend: str) -> None:
        self.error: BaseException | None = None
        self._container = container
        self._backend = backend
        self._entered = threading.Event()
        self._loop_runs = False
        self._stop: anyio.Event
        self._thread = threading.Thread(
            target=self._run, name=f"fapilog container {container.container_id}", daemon=True
        )

    def enter(self) -> None:
        """Start the thread and return once the container is entered; raises what entering raised."""
        try:
            self._thread.start()
        except RuntimeError as failure:  # from the limit of threads, or while the interpreter exits
            raise ContainerStateError(
                f"no thread could be started for the container: {failure}; raise the limit of processes and threads "
                "(ulimit -u, or the control group's pids.max), or, at the interpreter's exit, enter it before"
            ) from failure
        self._entered.wait()
        error = self.error
        if isinstance(error, Exception) and not self._loop_runs:
            raise ContainerStateError(
                f"the container's event loop did not start: {type(error).__name__}: {error}; the backend was "
                f"{self._backend!r}, allowed is 'asyncio' or 'trio'; a loop needs a few file descriptors (ulimit -n)"
            ) from error
        if error is not None:
            raise error

    def leave(self) -> None:
        """Leave the container and wait until the thread has ended; a keyboard interrupt ends the drain at once.

        One that comes before the drain has begun leaves it to the interpreter's exit.
        """
        intake = self._container.async_pipeline.intake
        if not intake.dead and self._thread.is_alive():  # a child after a fork has no such thread
            try:
                self._ask(self._stop.set)
            except BaseException:
                atexit.unregister(self.leave)  # a loop that is held would be waited for once more
                self._ask(self._stop_at_once)
                raise
        atexit.unregister(self.leave)

    def _stop_at_once(self) -> None:
        self._stop.set()  # the interrupt may have come before this was asked for
        self._container.interrupt()

    def _ask(self, step: Callable[[], object]) -> None:
        """Let the container's event loop call *step* and wait until the thread has ended."""
        with suppress(RuntimeError):  # the event loop has ended
            self._container.async_pipeline.intake.backend.call_soon(step)
            self._thread.join(self._container.settings.shutdown_timeout + EXIT_MARGIN)

    def _run(self) -> None:
        try:
            anyio.run(self._main, backend=self._backend)
        except BaseException as error:
            self.error = error
        finally:
            self._entered.set()

    async def _main(self) -> None:
        self._loop_runs = True
        self._stop = anyio.Event()
        async with self._container:
            self._entered.set()
            await self._stop.wait()


def _in_event_loop() -> bool:
    try:
        current_backend()
    except Exception:  # AnyIO's NoEventLoopError, or what older versions raised in its place
        return False
    return True
