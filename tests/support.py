"""Small sinks that misbehave on purpose, and helpers that several test modules share."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from ast import literal_eval
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn

import anyio
import anyio.lowlevel
import anyio.to_thread
import trio

import fapilog
from fapilog import PluginMetadata, PluginType
from fapilog.plugins import Batch
from sinks import account as account

SOURCE: Final = str(Path(fapilog.__file__).parents[1])
TESTS: Final = str(Path(__file__).parent)

LOOPS: Final = ("asyncio", "asyncio+uvloop", "trio")
"""What `run_program` can run a program on."""

Step = Callable[[], Awaitable[object]]
"""What an asynchronous sink does in one of its methods."""


def golden(name: str) -> dict[str, tuple[Any, list[str]]]:
    """Return the cases in a golden file: under each name what is given, and the lines that are said about it."""
    cases: dict[str, tuple[Any, list[str]]] = {}
    for block in (Path(__file__).parent / "golden" / name).read_text(encoding="utf-8").split("\n\n"):
        title, source, *lines = block.strip().splitlines()
        cases[title.removeprefix("# ")] = (literal_eval(source), [line.strip() for line in lines])
    return cases


# -- what a sink may do in a method


async def hang() -> None:
    """Wait for ever, as a peer that does not answer makes one wait."""
    await anyio.sleep_forever()


async def shield() -> None:
    """Wait for half a minute, shielded."""
    with anyio.CancelScope(shield=True):
        await anyio.sleep(30)


async def swallow() -> None:
    """Wait for ever and catch whatever wants to end the wait, also the closing of the coroutine."""
    while True:
        try:
            await anyio.sleep_forever()
        except BaseException:
            pass


async def shield_in_a_task_group() -> None:
    """Wait for half a minute in a child task, shielded, in a task group of its own."""
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 30)


async def shield_beside_a_task() -> None:
    """Wait for half a minute inside a task group, and so does a child of it, both shielded."""
    async with anyio.create_task_group() as group:
        group.start_soon(shield)
        await shield()


def wait_in_thread(event: threading.Event) -> Step:
    """Return a step that waits in a worker thread of AnyIO's, which cannot be interrupted."""

    async def step() -> None:
        await anyio.to_thread.run_sync(event.wait)

    return step


def fail(error: BaseException) -> Step:
    """Return a step that raises *error*."""

    async def step() -> NoReturn:
        raise error

    return step


class AsyncSink:
    """An asynchronous sink that notes what is called and keeps the messages written.

    A step given for a method, by its name, is done in it first; the messages count as written after it.
    """

    def __init__(self, name: str = "sink", **steps: Step) -> None:
        self.metadata = PluginMetadata(name=name, version="1", plugin_type=PluginType.SINK)
        self.steps = steps
        self.calls: list[str] = []
        self.messages: list[str] = []
        self.entered = anyio.Event()
        """Set when a method with a step was called."""

    async def _do(self, method: str) -> None:
        self.calls.append(method)
        if method in self.steps:
            self.entered.set()
            await self.steps[method]()

    async def start(self) -> None:
        await self._do("start")

    async def write(self, batch: Batch) -> None:
        await self._do("write")
        self.messages += [event.message for event in batch]

    async def flush(self) -> None:
        await self._do("flush")

    async def aclose(self) -> None:
        await self._do("aclose")


class SyncSink:
    """A synchronous sink that does likewise, in a thread of its own.

    A thread takes real time: on a virtual clock every deadline passes first.
    """

    def __init__(self, name: str = "sink", **steps: Callable[[], object]) -> None:
        self.metadata = PluginMetadata(name=name, version="1", plugin_type=PluginType.SINK)
        self.steps = steps
        self.calls: list[str] = []
        self.messages: list[str] = []
        self.threads: set[str] = set()

    def _do(self, method: str) -> None:
        self.calls.append(method)
        self.threads.add(threading.current_thread().name)
        if method in self.steps:
            self.steps[method]()

    def start(self) -> None:
        self._do("start")

    def write(self, batch: Batch) -> None:
        self._do("write")
        self.messages += [event.message for event in batch]

    def flush(self) -> None:
        self._do("flush")

    def aclose(self) -> None:
        self._do("aclose")


class DirectSink(SyncSink):
    """A synchronous sink that does not block, and so is called on the event loop."""

    blocking: ClassVar[bool] = False


def raiser(error: BaseException) -> Callable[[], NoReturn]:
    """Return a function that raises *error*."""

    def step() -> NoReturn:
        raise error

    return step


# -- looking at what is left


def living() -> int:
    """Return how many tasks there are on the running event loop."""
    try:
        return trio.lowlevel.current_statistics().tasks_living
    except RuntimeError:
        return len(asyncio.all_tasks())


def own_threads() -> list[str]:
    """Return the names of the threads that containers have started and that are still running."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("fapilog")]


async def until(condition: Callable[[], object]) -> None:
    """Give way to the other tasks until *condition* holds; a thread's work counts as well."""
    while not condition():
        await anyio.lowlevel.checkpoint()


# -- child processes

_PRELUDE = """
import sys
sys.path[:0] = {paths!r}
import asyncio, os, signal, threading, time
import anyio
import fapilog
from support import *

# Whoever runs the tests in the background may have it ignored, which programs inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

def woken_by_signals():
    # A signal that comes just before asyncio waits would be seen only after the wait. Trio and uvloop see to that.
    loop = asyncio.new_event_loop()
    loop.add_signal_handler(signal.SIGUSR1, int)
    return loop

def run(main):
    anyio.run(main, backend={backend!r}, backend_options={options})
"""


def program(body: str, loop: str = "asyncio") -> list[str]:
    """Return the command that runs *body*, in which ``run(main)`` runs a coroutine function on *loop*."""
    backend, _, uvloop = loop.partition("+")
    options = "{}" if backend == "trio" else "{'use_uvloop': True}" if uvloop else "{'loop_factory': woken_by_signals}"
    prelude = _PRELUDE.format(paths=[SOURCE, TESTS], backend=backend, options=options)
    # Warnings are shown and not raised: where they come up, in finalizers, raising would only show them too.
    return [sys.executable, "-W", "always", "-c", prelude + textwrap.dedent(body)]


def run_program(body: str, loop: str = "asyncio", timeout: float = 25) -> subprocess.CompletedProcess[str]:
    """Run *body* in a process of its own to its end and return what came of it.

    A program that waits for a sink which shields itself for half a minute has not ended in time.
    """
    return subprocess.run(
        program(body, loop),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        start_new_session=True,
        env=unmeasured(),
    )


def unmeasured() -> dict[str, str]:
    """Return an environment in which no coverage is measured: forks and interrupts are to strike the program alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def interrupt_program(body: str, loop: str, *, interrupts: int, timeout: float = 25) -> tuple[int, str, str]:
    """Run *body*, send it SIGINT each time it prints a line, and return its return code and what it wrote.

    *interrupts* is how many lines are answered so.
    """
    process = subprocess.Popen(
        program(body, loop),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=unmeasured(),
    )
    assert process.stdout is not None
    lines = []
    watch = threading.Timer(timeout, process.kill)
    watch.start()
    try:
        for _ in range(interrupts):
            lines.append(process.stdout.readline())
            os.kill(process.pid, signal.SIGINT)
        out, error = process.communicate()
    finally:
        watch.cancel()
        process.kill()
        process.wait()
    return process.returncode, "".join(lines) + out, error


NOISE: Final = (
    "ignored GeneratorExit",
    "never awaited",
    "never retrieved",
    "ResourceWarning",
    "RuntimeWarning",
    "Exception ignored",
    "was destroyed but it is pending",
    "TrioInternalError",
    "internal error",
)
"""What the interpreter or an event loop says on the standard error when something was left in disorder."""


def noise(error: str) -> list[str]:
    """Return the lines of *error* that tell of something left in disorder."""
    return [line for line in error.splitlines() if any(words in line for words in NOISE)]
