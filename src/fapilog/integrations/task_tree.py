"""The task tree: every event tells the path of its task, and the living tasks can be looked at while they run."""

from __future__ import annotations

import asyncio
import signal as _signal
from collections.abc import Iterator
from sys import float_info
from threading import get_ident
from time import time_ns
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO, cast

import anyio

from .._exception_parts import attributes_of, get_attribute, members_of, set_attribute
from .._text import class_of
from ..cancellation import cancellation_in, is_cancellation
from ..container import AsyncLoggingContainer
from ..context import INSIDE_PLUGIN
from ..errors import ContainerStateError
from ..event import Ambient, Extras, Level, Record
from ..tracebacks import describe_exception
from ..values import FrozenDict
from ._asyncio_tasks import AsyncioTasks
from ._loop_watch import Heartbeats, LoopWatch, Stack, frames_from
from ._signal_dump import SignalDumps
from ._task_dump import LastEvent, TaskState, TaskTreeDump, dump_of
from ._task_nodes import Node, Tasks

if TYPE_CHECKING:
    from ._loop_watch import Watched

_TOLD = "_fapilog_crash_told"
_MOST_LEAVES = 1000


class TaskTree:
    """A context manager inside which events tell the path of their task, and the tasks can be dumped and watched.

    The path is in the event's context as ``task_path``: the names of the task's ancestors and its own, such as
    ``main/server/connection-12``. It is made once for each task, from the names at that time.

    On Trio every task is known from its start to its end. asyncio tells of no start: there a task is met when it logs,
    when :meth:`dump` is called, or with *lifecycle* every *look_every* seconds; and the parent of a task is known only
    if a task group of AnyIO's has started it, so that the path of any other is its name.

    Inside the block a log call takes the way with ``callsite`` and other extras, which takes longer; outside of it
    nothing does. The tasks of containers are left out of everything and counted only.

    Parameters:
        container: the container whose events get the path, and that gets the tree's own events.
        lifecycle: the level at which the start and the end of each task are logged; None to log neither.
        crashes: whether an exception that a task ends with is logged, at ERROR: in the innermost task only.
        held_longer_than: seconds, above 0, for which a task may hold the event loop; the event about one that does,
            at WARNING, has the stack it was in. None to watch nothing.
        look_every: seconds, above 0, between two looks for new tasks on asyncio, with *lifecycle*.
        logger: the name of the logger of the tree's own events.

    Raises:
        ValueError: if a number is not in its range, or a level is no level.
    """

    def __init__(
        self,
        container: AsyncLoggingContainer,
        *,
        lifecycle: str | int | None = None,
        crashes: bool = True,
        held_longer_than: float | None = None,
        look_every: float = 1.0,
        logger: str = "fapilog.tasks",
    ) -> None:
        for name, seconds in (("held_longer_than", held_longer_than), ("look_every", look_every)):
            if seconds is not None and not 0 < seconds <= float_info.max:
                raise ValueError(f"{name} is {seconds!r}; it must be a number of seconds above 0")
        self._container = container
        self._lifecycle = None if lifecycle is None else Level.parse(lifecycle)
        self._crashes = crashes
        self._held_longer_than = held_longer_than
        self._look_every = look_every
        self._log = container.logger(logger).nowait
        self._core = self._log._core
        self._thread = -1
        self._tasks: Tasks | None = None
        self._describe: Any = None
        self._watch: LoopWatch | None = None
        self._signals = SignalDumps(self._text_for_signal)

    # -- entering and leaving

    def __enter__(self) -> Self:
        """Begin; in a task of the container's event loop.

        Raises:
            ContainerStateError: if the container is not open in this event loop, or has a task tree already.
        """
        intake = self._core.intake
        if intake.state != "open" or intake.thread != get_ident():
            raise ContainerStateError(
                f"container {self._container.container_id} is not open in this event loop; "
                "enter the task tree inside the container's block"
            )
        if self._core.observer is not None:
            raise ContainerStateError(f"container {self._container.container_id} has a task tree already; use that one")
        self._describe = type(anyio.get_current_task())
        self._thread = get_ident()
        self._tasks = tasks = self._follow(intake.loop)
        tasks.open()
        self._core.observe(self._observe)
        if self._watch is not None:
            self._watch.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End: nothing of the tree stays, and signals have the handlers that they had."""
        self._signals.restore()
        self._core.observe(None)
        if self._watch is not None:
            self._watch.stop()
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            tasks.close()

    def _follow(self, loop: Any) -> Tasks:
        threshold = self._held_longer_than
        if loop is None:
            from ._loop_watch import Steps
            from ._trio_tasks import TrioTasks, WatchedTrioTasks

            if threshold is None:
                return TrioTasks(self._started, self._ended)
            steps = Steps(threshold, self._held)
            self._watch = LoopWatch(cast("Watched", steps), threshold)
            steps.wake = self._watch.wake
            return WatchedTrioTasks(self._started, self._ended, steps)
        event_loop = cast("asyncio.AbstractEventLoop", loop)
        look_every = None if self._lifecycle is None else self._look_every
        tasks = AsyncioTasks(event_loop, self._started, self._ended, look_every)
        if threshold is not None:
            heartbeats = Heartbeats(threshold, self._held, event_loop, tasks.glimpse)
            self._watch = LoopWatch(cast("Watched", heartbeats), threshold)
        return tasks

    # -- what the tree is asked

    def dump(self) -> TaskTreeDump:
        """Return the living tasks as they are now; ``str`` makes it text. From any thread: from another one
        the task that runs on Trio counts as ready.

        Raises:
            ContainerStateError: outside of the tree's block.
        """
        return self._dump(())

    def dump_on(self, signal: int, stream: TextIO | None = None) -> None:
        """Write a dump each time *signal* comes, until the block is left, when it gets back the handler it had.

        It is written in the signal handler, so also while a task holds the loop in Python code. A stream that takes
        nothing holds that up for half a second at most.

        Parameters:
            signal: such as ``signal.SIGUSR1``.
            stream: where to; the standard error if None.

        Raises:
            ContainerStateError: outside of the tree's block.
            ValueError: if this is not the program's main thread, or there is no such signal.
            OSError: if the signal cannot be handled.
        """
        self._open_tasks()
        self._signals.write_on(_signal.Signals(signal), stream)

    def path_of_current_task(self) -> str:
        """Return the path of the task that runs; empty if none does, or outside of the tree's block."""
        tasks = self._tasks
        node = None if tasks is None or get_ident() != self._thread else tasks.current()
        return "" if node is None else node.path

    def _dump(self, stack: Stack) -> TaskTreeDump:
        tasks = self._open_tasks()
        return dump_of(tasks, self._describe, tasks.now(), time_ns(), stack)

    def _open_tasks(self) -> Tasks:
        tasks = self._tasks
        if tasks is None:
            raise ContainerStateError("the task tree is not open; use it inside its block")
        return tasks

    def _text_for_signal(self, frame: FrameType | None) -> str:
        try:
            return str(self._dump(frames_from(frame) if get_ident() == self._thread else ()))
        except Exception as error:
            return f"the task tree cannot be dumped just now: {type(error).__name__}\n"

    # -- what the tree is told

    def _observe(self, record: Record) -> Record:
        tasks = self._tasks
        if tasks is None or get_ident() != self._thread or record[5] is INSIDE_PLUGIN:
            return record
        try:
            node = tasks.current()
            return record if node is None else node.observed(record)
        except Exception:  # the stack is used up, or the like: the event counts for more than its path
            return record

    def _started(self, node: Node) -> None:
        if self._lifecycle is not None and not node.own:
            self._submit(self._lifecycle, "task started", node, {})

    def _ended(self, node: Node, error: BaseException | None) -> None:
        if node.own:
            return
        outcome = "ok"
        if error is not None:
            if cancellation_in(error) is not None:
                outcome = "cancelled"
            elif isinstance(error, (KeyboardInterrupt, SystemExit)):
                outcome = "interrupted"
            else:
                outcome = "error"
                if self._crashes:
                    self._tell_crash(node, error)
        if self._lifecycle is not None and self._tasks is not None:
            age = max(self._tasks.now() - node.began, 0.0)
            self._submit(self._lifecycle, "task ended", node, {"outcome": outcome, "duration": age})

    def _tell_crash(self, node: Node, error: BaseException) -> None:
        """Log the exception that a task ended with, unless all of it has been told of a task inside it."""
        is_new = False
        for leaf in _leaves(error):
            attributes = attributes_of(leaf)
            if get_attribute(attributes, _TOLD) is None and not is_cancellation(leaf):
                is_new = True
                set_attribute(attributes, _TOLD, True)
        if is_new:
            extras = Extras()
            extras.exception = describe_exception(error)
            self._submit(Level.ERROR, "task crashed", node, {}, extras)

    def _held(self, node: Node | None, held: float, stack: Stack) -> None:
        if self._tasks is None:
            return
        if node is None or not node.own:  # an event about a sink would hold the loop with its writing again
            self._submit(Level.WARNING, "event loop held", node, {"held": held, "stack": stack})

    def _submit(
        self, level: Level, message: str, node: Node | None, fields: dict[str, Any], extras: Extras | None = None
    ) -> None:
        """Log an event about a task as if that had logged it, whoever runs just now."""
        if level < self._log._threshold.own:
            return
        ambient = self._container.async_pipeline.statics.ambient
        if node is not None:
            ambient = Ambient(FrozenDict({**ambient.values, "task_path": node.path}))
        name = "" if node is None else node.name
        self._core.submit(
            (time_ns(), level.value, message, FrozenDict(fields), self._log._origin, ambient, name, extras)
        )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Return the exceptions that are no groups in *error*, as far as there are not too many."""
    waiting = [error]
    seen = 0
    while waiting and seen < _MOST_LEAVES:
        leaf = waiting.pop()
        seen += 1
        if issubclass(class_of(leaf), BaseExceptionGroup):
            waiting += members_of(leaf)
        else:
            yield leaf


__all__ = ("LastEvent", "TaskState", "TaskTree", "TaskTreeDump")
