"""The programs that process faults strike; `oracle.launcher` runs one of these functions as a process's whole work.

Each takes the oracle's client and the event loop to run on, logs what the client issues, and leaves its ledger if it
comes to its end. The file sink's output is ``out.log`` in the run's directory.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import anyio.to_thread
import trio  # noqa: F401 - for all runs at once

import fapilog
from fapilog import AsyncLoggingContainer
from fapilog.plugins import Batch
from fapilog.sinks._file_config import FileConfig
from fapilog.sinks.file import FileSink
from oracle.client import Client, Producer
from oracle.trials import PATIENCE
from strikes import Striker
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
    """Two tasks and a thread that log until they are stopped; told when the tasks have logged a number of events."""

    def __init__(self, client: Client, told_after: int) -> None:
        self._client = client
        self._left = told_after
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    async def run(self, log: fapilog.AsyncLogger) -> None:
        """Log until this is cancelled."""
        self._thread = threading.Thread(target=self._log_in_thread, args=(log,), daemon=True)
        self._thread.start()
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
    """Handle a signal as programs do that know nothing of event loops; asyncio passes it on, Trio does not."""
    raise SystemExit(7)


async def log_and_sleep(client: Client, log: fapilog.AsyncLogger, number: int) -> None:
    """Log a number of events, and wait for ever once they are written."""
    producer = client.producer("main")
    for _ in range(number):
        await producer.acall(log)
    await log.flush()
    await anyio.wait_all_tasks_blocked()
    client.tell("logging")
    await anyio.sleep_forever()


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
    producers = Producers(client, told_after)

    async def main() -> None:
        handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        with accounted(client, container, producers), anyio.CancelScope() as scope:
            async with container:
                assert handlers == {number: signal.getsignal(number) for number in signal.valid_signals()}
                if on_sigterm == "handler":
                    await log_and_sleep(client, container.logger(), told_after)
                elif on_sigterm == "default":
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


def hold(event: fapilog.LogEvent) -> bool:
    """Keep every event, after some work."""
    return sum(number for number in range(300)) > 0


async def ask(event: fapilog.LogEvent) -> dict[str, int]:
    """Add to an event what another task has to be asked for."""
    await anyio.lowlevel.checkpoint()
    return {"asked": 1}


PLUGINS: dict[str, dict[str, Any]] = {
    "none": {},
    "synchronous": {"filters": [hold]},
    "asynchronous": {"filters": [hold], "enrichers": [ask]},
}
"""What is between the calls and the sinks."""


LOST = "asyncio has lost the wake-up of the program's own task"


def watch_for_lost_wakeups() -> None:
    """Tell, long after the program should have ended, of a task of its own that waits for what is done already.

    asyncio loses a wake-up when an exception strikes its code between the two. A task of fapilog's that is lost like
    that must hold up nothing, so those are not told of.
    """
    loop = asyncio.get_running_loop()

    def waiting_for_nothing() -> set[tuple[asyncio.Task[Any], object]]:
        waiting = ((task, getattr(task, "_fut_waiter", None)) for task in asyncio.all_tasks(loop))
        return {(task, future) for task, future in waiting if future is not None and future.done()}

    def look() -> None:
        first = waiting_for_nothing()
        time.sleep(0.5)  # or one that is about to be woken
        for task, _ in first & waiting_for_nothing():
            if not task.get_name().startswith("fapilog"):
                print(f"{LOST} {task.get_name()!r}", file=sys.stderr, flush=True)

    timer = threading.Timer(0.5 * PATIENCE, look)
    timer.daemon = True
    timer.start()


def struck(client: Client, loop: str, told_after: int, plugins: str) -> None:
    """Log without a pause until a signal's handler raises SystemExit, wherever the program is at that moment."""
    signal.signal(signal.SIGTERM, raising_exit)
    container = AsyncLoggingContainer(
        settings(client, queue_max_size=2000, batch_size=64), sinks=[AsyncSink("witness")], **PLUGINS[plugins]
    )
    producers = Producers(client, told_after)

    async def main() -> None:
        watch_for_lost_wakeups()
        with accounted(client, container, producers):
            async with container:
                try:
                    await producers.run(container.logger())
                except* SystemExit:
                    pass  # it struck the program itself, whose task group has wrapped it

    try:
        run_on(loop, main)
    finally:
        client.tell("returned")
    sys.exit(7)


def struck_at(client: Client, loop: str, place: int, plugins: str, strategy: str) -> None:
    """Log a little into a queue that is too small, struck likewise, at one *place* of fapilog's code; tell where."""
    signal.signal(signal.SIGTERM, raising_exit)
    container = AsyncLoggingContainer(
        settings(client, queue_max_size=40, batch_size=16, overflow_strategy=strategy, block_timeout=0.2),
        sinks=[AsyncSink("witness")], **PLUGINS[plugins],
    )  # fmt: skip
    striker = Striker(place, signal.SIGTERM, lambda words: client.tell(f"struck {words}"))

    async def log_in_task(name: str) -> None:
        producer = client.producer(name)
        for number in range(50):
            await producer.acall(container.logger())
            if number % 8 == 0:
                await anyio.lowlevel.checkpoint()

    def log_in_thread() -> None:
        producer = client.producer("thread")
        for _ in range(30):
            producer.call(container.logger().blocking)

    async def main() -> None:
        with accounted(client, container):
            async with container:
                striker.start()
                try:
                    async with anyio.create_task_group() as group:
                        group.start_soon(anyio.to_thread.run_sync, log_in_thread)
                        group.start_soon(log_in_task, "first")
                        await log_in_task("second")
                except* SystemExit:
                    pass  # it struck the program itself, whose task group has wrapped it
                await container.flush()
            striker.stop()

    try:
        run_on(loop, main)
    finally:
        striker.stop()
        client.tell(f"passed {striker.passed}")
        client.tell("returned")
    sys.exit(7)


# -- programs that end by themselves


class ProgramError(Exception):
    """What ends a program."""


def fail() -> NoReturn:
    """End with an error that nobody handles."""
    raise ProgramError("the program's own")


ENDINGS: dict[str, Callable[[], object]] = {"returns": lambda: None, "exits": partial(sys.exit, 5), "fails": fail}
"""How a program's last function ends; the return codes are 0, 5 and 1."""

kept: list[object] = []
"""What is still there when the interpreter ends."""


def finish(client: Client, loop: str, ending: str, number: int, where: str) -> None:
    """Log in tasks and a thread, and end in one of `ENDINGS` inside the block: in the main task or a child of it."""
    container = AsyncLoggingContainer(settings(client))

    async def end() -> None:
        ENDINGS[ending]()

    async def log_some(name: str) -> None:
        producer = client.producer(name)
        for _ in range(number):
            await producer.acall(container.logger())

    def log_in_thread() -> None:
        producer = client.producer("thread")
        for _ in range(number):
            producer.call(container.logger().blocking)

    async def main() -> None:
        with accounted(client, container):
            async with container:
                async with anyio.create_task_group() as group:
                    group.start_soon(log_some, "first")
                    group.start_soon(log_some, "second")
                    group.start_soon(anyio.to_thread.run_sync, log_in_thread)
                if where == "main":
                    await end()
                async with anyio.create_task_group() as group:
                    group.start_soon(end)

    run_on(loop, main)


def forget_to_leave(client: Client, loop: str, ending: str, number: int, threads: int, **more: Any) -> None:
    """Log in a synchronous program that never leaves its container, also in daemon threads that never stop."""
    threading.excepthook = lambda hooked: print("thread hook", repr(hooked.exc_value), file=sys.stderr)
    backend = loop.partition("+")[0]
    block = fapilog.blocking_container(settings(client, **more), backend=backend)
    # The first that is registered is the last that is called.
    atexit.register(lambda: client.leave_ledger(log.container.stats(), running=threads > 0))
    log = block.__enter__()
    kept.append(block)
    producer = client.producer("main")

    def uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        producer.call(log)
        print("main hook", repr(error), file=sys.stderr)

    def flood_for_ever(name: str) -> None:
        mine = client.producer(name)
        while True:
            mine.call(log.nowait)

    sys.excepthook = uncaught
    for name in range(threads):
        threading.Thread(target=flood_for_ever, args=(f"thread{name}",), daemon=True).start()
    for _ in range(number):
        producer.call(log)
    if ending == "thread fails":
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    else:
        ENDINGS[ending]()


# -- forks


def fork_beside_threads(client: Client, loop: str, forks: int, threads: int) -> None:
    """Fork, while threads log, children that log to the parent's container and then to one of their own."""
    container = AsyncLoggingContainer(settings(client, block_timeout=0.01))
    stop = threading.Event()

    def flood_until_stopped(name: str) -> None:
        producer = client.producer(name)
        for turn in count():
            if stop.is_set():
                return
            # Not more than is written in the meantime: every event is looked at in the end.
            if turn % 20 == 19:
                stop.wait(0.005)
            producer.call(container.logger().blocking if turn % 2 else container.logger().nowait)

    def child(number: int) -> None:
        signal.alarm(20)
        log = container.logger()
        answers = [log.nowait.info("child"), log.blocking.error("child")]
        stats = container.stats()
        if answers == [False, False] and stats.rejected == {"dead": 2} and stats.submitted == 2 and stats.balanced:
            os._exit(0)
        os._exit(3)

    def fork_all(which: str) -> None:
        for number in range(forks // 2):
            if (process := os.fork()) == 0:
                child(number)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            client.struck("fork" if code == 0 else f"fork-that-ended-with-{code}")

    async def main() -> None:
        with accounted(client, container):
            async with container:
                flooding = [
                    threading.Thread(target=flood_until_stopped, args=(f"thread{number}",)) for number in range(threads)
                ]
                for thread in flooding:
                    thread.start()
                try:
                    fork_all("loop")
                    await anyio.to_thread.run_sync(fork_all, "thread")
                finally:
                    stop.set()
                    for thread in flooding:
                        await anyio.to_thread.run_sync(thread.join)

    run_on(loop, main)


def prefork(client: Client, loop: str, children: int, number: int) -> None:
    """Fork workers with events buffered, each of which opens a container of its own, as prefork servers do."""
    backend = loop.partition("+")[0]
    parent = client.producer("parent")

    def work(name: str, inherited: fapilog.BlockingLogger) -> None:
        signal.alarm(30)
        client.note(f"inherited {name} {inherited.info('in the parent')}")
        producer = client.producer(name)
        with fapilog.blocking_container(settings(client), backend=backend) as log:
            for _ in range(number):
                producer.call(log)
        client.leave_ledger(log.container.stats())

    with fapilog.blocking_container(settings(client), backend=backend) as log:
        workers = []
        for child in range(children):
            for _ in range(number):
                parent.call(log)
            if (process := os.fork()) == 0:
                work(f"child{child}", log)
                return  # and end as any program does
            workers.append(process)
            client.struck("fork")
        for _ in range(number):
            parent.call(log)
        for process in workers:
            status = os.waitpid(process, 0)[1]
            assert os.waitstatus_to_exitcode(status) == 0, status
    client.leave_ledger(log.container.stats())


def pool_work(directory: str, name: str, number: int) -> list[bool]:
    """Log in a worker process of a pool."""
    client = Client(Path(directory))
    producer = client.producer(name)
    with fapilog.blocking_container(settings(client)) as log:
        answers = [producer.call(log) for _ in range(number)]
    client.leave_ledger(log.container.stats())
    return answers


def pool(client: Client, loop: str, method: str, number: int) -> None:
    """Log in the workers of a process pool, started in one of the ways there are."""
    container = AsyncLoggingContainer(settings(client))

    def work() -> None:
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            jobs = [executor.submit(pool_work, str(client.directory), f"job{job}", number) for job in range(4)]
            for job in jobs:
                assert job.result(30) == [True] * number
                client.struck("worker")

    async def main() -> None:
        with accounted(client, container):
            async with container:
                producer = client.producer("parent")
                for _ in range(number):
                    await producer.acall(container.logger())
                await anyio.to_thread.run_sync(work)
                for _ in range(number):
                    await producer.acall(container.logger())

    run_on(loop, main)


# -- signals that do not end a program


class Logs:
    """Logs when it is collected; it is part of a cycle, so that the collector has to."""

    def __init__(self, producer: Producer, log: fapilog.NowaitLogger) -> None:
        self._producer = producer
        self._log = log
        self._cycle = self

    def __del__(self) -> None:
        self._producer.call(self._log)


def log_in_handlers(client: Client, loop: str, signals: int, interval: float, threshold: int) -> None:
    """Log in a signal handler, in finalizers during collection, in a task and in a thread, all at once."""
    container = AsyncLoggingContainer(settings(client, queue_max_size=200_000, shutdown_timeout=30.0))
    handled = 0
    in_handler = client.producer("handler", ordered=False)
    in_finalizer = client.producer("finalizer", ordered=False)

    def handle(number: int, frame: object) -> None:
        nonlocal handled
        handled += 1
        in_handler.call(container.logger().nowait)
        client.struck("signal")

    async def main() -> None:
        with accounted(client, container):
            async with container:
                log = container.logger()
                done = threading.Event()

                def log_in_thread() -> None:
                    producer = client.producer("thread")
                    while not done.wait(0.001):
                        producer.call(log.blocking)

                thread = threading.Thread(target=log_in_thread)
                thread.start()
                signal.signal(signal.SIGALRM, handle)
                gc.set_threshold(threshold)
                signal.setitimer(signal.ITIMER_REAL, interval, interval)
                producer = client.producer("main")
                try:
                    while handled < signals:
                        await producer.acall(log)
                        Logs(in_finalizer, log.nowait)
                        await anyio.lowlevel.checkpoint()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    gc.set_threshold(700)
                    done.set()
                    thread.join()
                gc.collect()

    run_on(loop, main)


class SlowFileSink(FileSink):
    """Writes every batch to the file after a wait, so that a write is under way most of the time."""

    def __init__(self, client: Client) -> None:
        super().__init__(FileConfig(path=str(client.directory / FILE)))
        self._client = client

    async def write(self, batch: Batch) -> None:  # type: ignore[override]
        try:
            await anyio.sleep(0.02)
        except BaseException:
            self._client.struck("cut-off")
            raise
        super().write(batch)


def stand_still(client: Client, loop: str, number: int) -> None:
    """Log in small pieces to a sink whose writes wait, until told to end."""
    container = AsyncLoggingContainer(
        {"plugin_config": {"file": {"write_timeout": 0.5}}, "block_timeout": 0.5},
        sinks=[SlowFileSink(client)],
    )

    async def main() -> None:
        with accounted(client, container):
            async with container:
                producer = client.producer("main")
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as group:
                        group.start_soon(cancel_at, scope, signal.SIGTERM)
                        for turn in count():
                            await producer.acall(container.logger())
                            await anyio.sleep(0.001)
                            if turn % number == 0:
                                client.tell(f"turn {turn // number}")

    run_on(loop, main)


def reopen(client: Client, loop: str, number: int) -> None:
    """Log on after a file was moved, and count how often the application's own handler of SIGHUP was called."""
    container = AsyncLoggingContainer(settings(client))
    signal.signal(signal.SIGHUP, lambda *_: client.struck("hangup"))

    async def main() -> None:
        with accounted(client, container), anyio.CancelScope() as scope:
            async with container, anyio.create_task_group() as group:
                group.start_soon(cancel_at, scope, signal.SIGTERM)
                producer = client.producer("main")
                for turn in count():
                    await producer.acall(container.logger())
                    await anyio.sleep(0.0005)
                    if turn % number == 0:
                        client.tell(f"turn {turn // number}")

    run_on(loop, main)


def telling(client: Client, words: str) -> Step:
    """Return a step that tells *words*."""

    async def tell() -> None:
        client.tell(words)

    return tell
