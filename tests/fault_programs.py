"""The programs that process faults strike; `oracle.launcher` runs one of these functions as a process's whole work.

Each takes the oracle's client and the event loop to run on, logs what the client issues, and leaves its ledger if it
comes to its end. The file sink's output is ``out.log`` in the run's directory.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import trio  # noqa: F401 - for all runs at once
import uvloop  # noqa: F401 - likewise

import fapilog
from fapilog import AsyncLoggingContainer
from fapilog.sinks._file_config import FileConfig
from fapilog.sinks.file import FileSink
from oracle.client import Client
from support import AsyncSink, Step, SyncSink, hang, shield, swallow

FILE = "out.log"


def run_on(loop: str, main: Callable[[], Awaitable[object]]) -> None:
    """Run *main* on one of the tests' event loops."""
    backend, _, uvloop = loop.partition("+")
    options = {} if backend == "trio" else {"use_uvloop": bool(uvloop)}
    anyio.run(main, backend=backend, backend_options=options)


def settings(client: Client, **more: Any) -> dict[str, Any]:
    """Return settings with a file sink."""
    config = {"file": {"path": str(client.directory / FILE)}, **more.pop("plugin_config", {})}
    return {"sinks": ["file"], "on_incomplete": "ignore", "plugin_config": config, **more}


class Producers:
    """Two tasks and a thread, or one task and a thread, that log until they are stopped.

    Told when the tasks have logged a number of events.
    """

    def __init__(self, client: Client, told_after: int, *, tasks: int = 2) -> None:
        self._client = client
        self._tasks = tasks
        self._left = told_after
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    async def run(self, log: fapilog.AsyncLogger) -> None:
        """Log until this is cancelled."""
        self._thread = threading.Thread(target=self._log_in_thread, args=(log,), daemon=True)
        self._thread.start()
        if self._tasks == 1:
            await self._log_in_task(log, "first")
        async with anyio.create_task_group() as group:
            group.start_soon(self._log_in_task, log, "second")
            await self._log_in_task(log, "first")

    async def _log_in_task(self, log: fapilog.AsyncLogger, name: str) -> None:
        producer = self._client.producer(name)
        while True:
            await producer.acall(log)
            self._count()
            await anyio.lowlevel.checkpoint()

    def _log_in_thread(self, log: fapilog.AsyncLogger) -> None:
        producer = self._client.producer("thread")
        while not self._stop.is_set():
            if not producer.call(log.blocking):
                self._stop.wait(0.01)  # refused for as long as the drain takes

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._client.tell("logging")

    def stop(self) -> None:
        """Stop the thread, which is not cancelled, and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


@contextmanager
def accounted(client: Client, container: AsyncLoggingContainer, producers: Producers | None = None) -> Iterator[None]:
    """Leave the ledger of *container* after the block, however it ends."""
    try:
        yield
    finally:
        if producers is not None:
            producers.stop()
        client.leave_ledger(container.stats())


# -- a program that logs until it is struck


def flood(client: Client, loop: str, told_after: int) -> None:
    """Log until killed."""

    async def main() -> None:
        async with AsyncLoggingContainer(settings(client)) as container:
            await Producers(client, told_after).run(container.logger())

    run_on(loop, main)


def crash(client: Client, loop: str, told_after: int, how: str) -> None:
    """Log, and then end without a word to anybody."""
    crashes: dict[str, Callable[[], object]] = {
        "os._exit": partial(os._exit, 9),
        "os.abort": os.abort,
        "segfault": partial(ctypes.string_at, 0),
    }

    async def main() -> None:
        async with AsyncLoggingContainer(settings(client)) as container:
            producer = client.producer("main")
            for _ in range(told_after):
                await producer.acall(container.logger())
            client.struck(how)
            crashes[how]()

    run_on(loop, main)


# -- programs that end in order

HINDRANCES: dict[str, Callable[[Client], object]] = {
    "none": lambda client: AsyncSink("witness"),
    "hangs": lambda client: AsyncSink("hindrance", write=noting(client, hang)),
    "shields itself": lambda client: AsyncSink("hindrance", write=noting(client, shield)),
    "swallows": lambda client: AsyncSink("hindrance", write=noting(client, swallow)),
    "blocks its thread": lambda client: SyncSink("hindrance", write=noting_wait(client)),
}
"""Sinks beside the file sink that keep the drain from ending, by what they do."""


def noting(client: Client, step: Step) -> Step:
    """Return *step*, which notes that it was reached."""

    async def noted() -> None:
        client.struck("hindrance")
        await step()

    return noted


def noting_wait(client: Client) -> Callable[[], None]:
    """Return a function that waits for ever, and notes that it was reached."""

    def wait() -> None:
        client.struck("hindrance")
        threading.Event().wait()

    return wait


def raising_exit(number: int, frame: object) -> NoReturn:
    """Handle a signal as programs do that know nothing of event loops."""
    raise SystemExit(7)


class ToldFileSink(FileSink):
    """A file sink that tells when it has closed its file."""

    def __init__(self, client: Client) -> None:
        super().__init__(FileConfig(path=str(client.directory / FILE)))
        self._client = client

    def aclose(self) -> None:
        super().aclose()
        self._client.tell("file closed")


async def cancel_at(scope: anyio.CancelScope, *numbers: signal.Signals) -> None:
    """Cancel *scope* at the first of the signals."""
    with anyio.open_signal_receiver(*numbers) as received:
        async for _ in received:
            scope.cancel()
            return


def service(
    client: Client,
    loop: str,
    told_after: int,
    hindrance: str = "none",
    on_sigterm: str = "default",
    timeout: float = 5.0,
) -> None:
    """Log until a signal ends the body; then drain, and leave the ledger.

    *on_sigterm* is what the application does about the signal: ``default``, a handler that raises (``handler``), or a
    scope that is cancelled (``receiver``).
    """
    if on_sigterm == "handler":
        signal.signal(signal.SIGTERM, raising_exit)
    config = {} if hindrance == "none" else {"hindrance": {"required": False, "write_timeout": 3600}}
    container = AsyncLoggingContainer(
        {"shutdown_timeout": timeout, "on_incomplete": "ignore", "plugin_config": config},
        sinks=[
            ToldFileSink(client), HINDRANCES[hindrance](client), AsyncSink("last", aclose=telling(client, "draining")),
        ],
    )  # fmt: skip
    # What a handler raises in a child task comes out as a group.
    producers = Producers(client, told_after, tasks=1 if on_sigterm == "handler" else 2)

    async def main() -> None:
        handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        with accounted(client, container, producers), anyio.CancelScope() as scope:
            async with container:
                assert handlers == {number: signal.getsignal(number) for number in signal.valid_signals()}
                if on_sigterm != "receiver":
                    await producers.run(container.logger())
                async with anyio.create_task_group() as group:
                    group.start_soon(cancel_at, scope, signal.SIGTERM)
                    group.start_soon(producers.run, container.logger())
        client.tell("left")
        if scope.cancelled_caught:
            sys.exit(7)

    try:
        run_on(loop, main)
    finally:
        client.tell("returned")


def telling(client: Client, words: str) -> Step:
    """Return a step that tells *words*."""

    async def tell() -> None:
        client.tell(words)

    return tell
