"""Hosting: a container in a task of its own, for fixtures, which may be entered in one task and left in another."""

from __future__ import annotations

from contextvars import copy_context
from types import TracebackType

import anyio

from ..container import AsyncLoggingContainer
from ..pipeline.backend import current_backend


class HostedContainer:
    """An asynchronous context manager around a container that may be left in another task than it was entered in.

    A task of its own enters the container, waits, and leaves it. Code that finds its logger by
    :func:`fapilog.current_logger` needs ``with container.entered():`` beside.

    Parameters:
        container: the container; it must not have been entered.
    """

    def __init__(self, container: AsyncLoggingContainer) -> None:
        self.container = container
        self._entered: anyio.Event
        self._leave: anyio.Event
        self._left: anyio.Event
        self._error: BaseException | None = None

    async def __aenter__(self) -> AsyncLoggingContainer:
        """Start the container and return it; a checkpoint. If this is cancelled, it is ended again.

        Raises:
            ContainerStateError: if the container was entered before.
            PluginError: if a required sink does not start.
        """
        self._entered, self._leave, self._left = anyio.Event(), anyio.Event(), anyio.Event()
        current_backend().spawn(self._host, f"fapilog container {self.container.container_id}", copy_context())
        try:
            await self._entered.wait()
        except BaseException:
            self._leave.set()
            raise
        self._raise_any()
        return self.container

    async def _host(self) -> None:
        # It is no child of any task group, so nothing may get out of it.
        try:
            async with self.container:
                self._entered.set()
                await self._leave.wait()
        except BaseException as error:
            self._error = error
        finally:
            self._entered.set()
            self._left.set()

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain and leave the container; a checkpoint. If this is cancelled, the drain goes on by itself.

        Raises:
            DrainIncomplete: if the drain did not finish and ``on_incomplete`` is ``raise``.
        """
        self._leave.set()
        await self._left.wait()
        if exception is None:
            self._raise_any()

    def _raise_any(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
