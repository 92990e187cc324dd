"""What a test leaves behind: tasks, threads, file descriptors, and containers whose account does not balance."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio.lowlevel
import attrs

from ..container import AsyncLoggingContainer

if TYPE_CHECKING:
    import trio

PATIENCE = 1.0
"""Seconds of real time that a thread or a descriptor has to go away after the test."""
_TURNS = 50
"""Turns of the event loop that a task has to end after the test."""
_POOLED = ("AnyIO worker thread", "Trio thread", "asyncio_", "pytest_timeout", "Dummy-")
"""The beginnings of the names of threads that their libraries keep for later, or that are none of ours."""
_RUNNER = "TestRunner."
"""The beginning of the names of what AnyIO's pytest plugin runs fixtures and tests in, anew for each."""
_DIRECTORIES = ("/proc/self/fd", "/dev/fd")


@attrs.frozen
class Belongings:
    """What there is at one moment: tasks, threads and descriptors, each with its description."""

    tasks: dict[int, str]
    threads: dict[int, str]
    descriptors: dict[int, str]

    @classmethod
    def now(cls) -> Belongings:
        """Return what there is now; the tasks only inside an event loop. Not a checkpoint."""
        return cls(_tasks(), _threads(), _descriptors())

    def left(self, before: Belongings) -> list[str]:
        """Return what is here and was not *before*, one line each."""
        lines = [f"task {text}" for key, text in self.tasks.items() if key not in before.tasks]
        lines += [f"thread {text}" for key, text in self.threads.items() if key not in before.threads]
        return lines + self._left_descriptors(before)

    def _left_descriptors(self, before: Belongings) -> list[str]:
        # By kind and number, not by identity: uvloop makes its own pair of sockets anew whenever it runs.
        room = Counter(map(_kind, before.descriptors.values()))
        new: list[str] = []
        for number, text in sorted(
            self.descriptors.items(), key=lambda item: before.descriptors.get(item[0]) != item[1]
        ):
            room[_kind(text)] -= 1
            if room[_kind(text)] < 0:
                new.append(f"file descriptor {number}: {text}")
        return new


async def left_behind(before: Belongings) -> list[str]:
    """Return what is there now and was not *before*, after giving it some time to end. A checkpoint.

    Parameters:
        before: what there was, from the same event loop.
    """
    for _ in range(_TURNS):
        if not Belongings.now().left(before):
            return []
        await anyio.lowlevel.checkpoint()
    found = left_behind_now(before)
    await anyio.lowlevel.checkpoint()
    return found


def left_behind_now(before: Belongings) -> list[str]:
    """Return what is there now and was not *before*; threads and descriptors get up to ``PATIENCE`` seconds to go."""
    deadline = time.monotonic() + PATIENCE
    while found := Belongings.now().left(before):
        gc.collect()  # an object that nobody has any more keeps no descriptor
        if time.monotonic() > deadline or all(line.startswith("task ") for line in found):
            break
        time.sleep(0.01)
    return found


@contextmanager
def opened_containers() -> Generator[list[AsyncLoggingContainer], None, None]:
    """Collect every container that is entered inside the block, by whichever code."""
    found: list[AsyncLoggingContainer] = []
    real: Callable[[AsyncLoggingContainer], Awaitable[AsyncLoggingContainer]] = AsyncLoggingContainer.__aenter__

    async def enter(self: AsyncLoggingContainer) -> AsyncLoggingContainer:
        found.append(self)
        return await real(self)

    patched = cast("Any", AsyncLoggingContainer)
    patched.__aenter__ = enter
    try:
        yield found
    finally:
        patched.__aenter__ = real


def faults_of(container: AsyncLoggingContainer) -> list[str]:
    """Return what is wrong with the account of a container that ought to have been left, one line each."""
    if not container._entered or container.async_pipeline.intake.dead:
        return []
    report = container.report
    if report is None:
        return [f"container {container.container_id} was not left: {container.stats()}"]
    faults: list[str] = []
    if not report.balanced:
        faults.append(f"the account does not balance: {report}")
    waiting = report.in_flight + sum(sink.in_flight for sink in report.sinks.values())
    if waiting:
        faults.append(f"{waiting} events were not delivered and are in flight still: {report}")
    return faults


def _tasks() -> dict[int, str]:
    if "trio" in sys.modules:
        import trio

        try:
            root = trio.lowlevel.current_root_task()
        except RuntimeError:
            root = None
        if root is not None:
            return {id(task): repr(task.name) for task in _below(root)}
    import asyncio

    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no event loop
        return {}
    return {
        id(task): f"{task.get_name()!r} ({name})"
        for task in tasks
        if not (name := _coroutine(task)).startswith(_RUNNER)
    }


def _below(task: trio.lowlevel.Task) -> Generator[trio.lowlevel.Task, None, None]:
    pending = [task]
    while pending:
        current = pending.pop()
        yield current
        pending += [child for nursery in current.child_nurseries for child in nursery.child_tasks]


def _coroutine(task: Any) -> str:
    return getattr(task.get_coro(), "__qualname__", "unknown")


def _threads() -> dict[int, str]:
    return {id(thread): repr(thread.name) for thread in threading.enumerate() if not thread.name.startswith(_POOLED)}


def _kind(target: str) -> str:
    """Return what a descriptor is open on: the file, or ``socket``, ``pipe`` and the like without their numbers."""
    return target if target.startswith("/") else target.partition(":")[0]


def _descriptors() -> dict[int, str]:
    for directory in _DIRECTORIES:
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        found: dict[int, str] = {}
        for name in names:
            try:
                os.fstat(int(name))  # not the one that the listing itself used
                found[int(name)] = os.readlink(f"{directory}/{name}")
            except OSError:
                continue
        return found
    return {}
