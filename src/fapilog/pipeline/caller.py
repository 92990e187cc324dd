"""PluginCaller: runs a plugin's methods where they belong: in its host task, in its thread, or directly."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import Any, cast

import anyio

from .._interrupts import interrupt_in
from ..plugins import Batch, PlainWrite
from ..plugins.configuration import is_async
from .backend import Backend
from .host import PluginCrash, PluginHost, PluginTimeout, contained
from .threads import WriterThread

SLOW_CALL = 0.1
"""Seconds after which a direct call is reported: it held the event loop."""


class PluginCaller:
    """Runs one sink's methods, each with a deadline if it can have one.

    An asynchronous method runs in the sink's host task, a synchronous one in the sink's thread. A write
    runs directly if the sink's ``blocking`` is False at that moment; a sink whose class says so for good
    has no thread, and all its synchronous methods run directly.
    """

    def __init__(
        self,
        name: str,
        plugin: Any,
        backend: Backend,
        plugin_context: Context,
        report: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self._backend = backend
        self._plugin = plugin
        self._plugin_context = plugin_context
        self._report = report
        self.has_started: bool = False
        """Whether the plugin's ``start`` has returned, also after nobody waited for it any more."""
        methods = {method: getattr(plugin, method, None) for method in ("start", "write", "flush", "aclose")}
        self._methods: dict[str, Callable[..., Any]] = {
            method: function for method, function in methods.items() if callable(function)
        }
        self._async = {method for method, function in self._methods.items() if is_async(function)}
        self._host = PluginHost(name, backend, plugin_context) if self._async else None
        never_blocks = getattr(cast("type[object]", type(plugin)), "blocking", True) is False
        needs_thread = len(self._async) < len(self._methods) and not never_blocks
        self._thread = (
            WriterThread(name, backend, plugin_context, plain_writes=hasattr(plugin, "plain_write"))
            if needs_thread
            else None
        )

    def start_workers(self) -> None:
        """Start the host task and the thread that the plugin needs.

        Raises:
            RuntimeError: if the system cannot start another thread.
        """
        if self._thread is not None:
            self._thread.start()
        if self._host is not None:
            self._host.start()

    async def start(self, timeout: float) -> None:
        """Start the workers, and run the plugin's ``start`` if it has one.

        Raises:
            RuntimeError: if the system cannot start another thread.
            PluginTimeout, Exception: as :meth:`call` does.
        """
        self.start_workers()
        start = self._methods.get("start")
        if start is None:
            self.has_started = True
            return
        self._methods["start"] = self._noting_start(start)
        await self.call("start", timeout=timeout)

    def _noting_start(self, start: Callable[..., Any]) -> Callable[[], Any]:
        def start_directly() -> None:
            start()
            self.has_started = True

        async def start_in_host() -> None:
            await start()
            self.has_started = True

        return start_in_host if "start" in self._async else start_directly

    def has(self, method: str) -> bool:
        """Return whether the plugin has the method."""
        return method in self._methods

    async def call(self, method: str, *arguments: Any, timeout: float) -> Any:
        """Run a method and return its result.

        Raises:
            PluginTimeout: if it did not return within *timeout* seconds.
            Exception: what it raised; a BaseException of its own as :class:`PluginCrash`.

        If this is cancelled, an asynchronous method is cancelled too; a thread goes on.
        """
        function = self._methods[method]
        if method in self._async:
            assert self._host is not None
            scoped = method not in ("start", "aclose")  # a sink may open a scope in one and close it in the other
            return await self._host.call(lambda: function(*arguments), timeout, scoped=scoped)
        if self._thread is not None and (method != "write" or getattr(self._plugin, "blocking", True)):
            if method == "write":
                write = self._prepared(*arguments)
                if write is not None:
                    return await self._thread.write(write, timeout=timeout)
            return await self._thread.call(function, *arguments, timeout=timeout)
        return self.call_directly(method, *arguments)

    def writes_directly(self) -> bool:
        """Return whether the next write is a plain call on the event loop's thread."""
        if "write" in self._async:
            return False
        return self._thread is None or not getattr(self._plugin, "blocking", True)

    def write_at_once(self, batch: Batch) -> bool:
        """Write *batch* here if that cannot hold the event loop; return whether that was done.

        Raises:
            Exception: as :meth:`call` does for ``write``.
        """
        thread = self._thread
        if thread is None or not thread.writes_plainly:
            return False
        write = self._prepared(batch)
        if write is None or not (written := thread.write_at_once(write)):
            return False
        if written < len(write.payload):
            self._run(write.failed, written, errno.EAGAIN)
        return True

    def call_directly(self, method: str, *arguments: Any) -> Any:
        """Run a synchronous method here and return its result; a slow one is told of.

        Raises:
            Exception: what it raised; a BaseException of its own as :class:`PluginCrash`.
        """
        began = monotonic()
        result = self._run(self._methods[method], *arguments)
        took = monotonic() - began
        if took > SLOW_CALL:
            self._report("slow", f"{method} of {self.name!r} held the event loop for {took:.3f} s")
        return result

    def _prepared(self, batch: Batch) -> PlainWrite | None:
        """Encode *batch* for a write in the thread, and return the write if it is a plain one.

        In the thread, encoding and the event loop would take the interpreter from each other every few microseconds.
        """
        assert self._thread is not None
        write: PlainWrite | None = self._run(prepared_write, self._plugin, batch, self._thread.writes_plainly)
        return write

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run code of the plugin's here, and return its result; what it raises is contained."""
        try:
            return self._plugin_context.copy().run(function, *arguments)
        except BaseException as error:
            self.pass_on_interrupt(error)
            failure = contained(error)
        raise failure  # out here nothing is being handled, which would be behind it

    def pass_on_interrupt(self, error: BaseException) -> bool:
        """Let the application's interrupt that is in *error* go its way; raises it if it cannot.

        Returns whether there is one, or was, in place of which *error* was raised.
        """
        interrupt = interrupt_in(error)
        if interrupt is not None:
            self._backend.pass_on(interrupt)
            return True
        return isinstance(error, PluginCrash) and error.interrupted

    def stop(self) -> None:
        """Ask the host task and the thread to end when they are idle."""
        if self._host is not None:
            self._host.stop()
        if self._thread is not None:
            self._thread.stop()

    def cancel(self) -> None:
        """Cancel what is running and ask everything to end."""
        if self._host is not None:
            self._host.cancel()
        if self._thread is not None:
            self._thread.stop()

    def abandon(self) -> None:
        """Close what is running in the host task, wherever it stands."""
        if self._host is not None:
            self._host.abandon()

    async def join(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for the host task and the thread to end; return whether they have."""
        ended = True
        if self._host is not None:
            with anyio.move_on_after(timeout):
                await self._host.exited.wait()
            ended = self._host.exited.is_set()
        if self._thread is not None:
            ended = await self._thread.join(timeout) and ended
        return ended


def prepared_write(plugin: Any, batch: Batch, may_be_plain: bool) -> PlainWrite | None:
    """Encode *batch* as the sink will want it, if it says how, and return its plain write if it makes one."""
    plain_write = getattr(plugin, "plain_write", None) if may_be_plain else None
    if plain_write is not None:
        write: PlainWrite | None = plain_write(batch)
        if write is not None:
            return write
    payload_format = getattr(plugin, "payload_format", None)
    if payload_format is not None:
        batch.encoded(payload_format)
    return None


__all__ = ("PluginCaller", "PluginTimeout")
