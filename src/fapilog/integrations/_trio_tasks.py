"""The tasks of a Trio run, followed by an instrument: none is missed."""

from __future__ import annotations

from typing import Any

import trio
from trio.abc import Instrument
from trio.lowlevel import Task

from ._loop_watch import Steps
from ._task_nodes import Ended, Node, Started


class TrioTasks(Instrument):
    """Follows every task of the running Trio loop from its start to its end.

    Parameters:
        started: told of each task that starts while this is open.
        ended: told of each task that ends.
        steps: told when a task begins and ends to run, if somebody watches.
    """

    def __init__(self, started: Started, ended: Ended, steps: Steps | None) -> None:
        self._started = started
        self._ended = ended
        self._steps = steps
        self._nodes: dict[Task, Node] = {}
        self._time = trio.lowlevel.current_clock().current_time
        self._running: Node | None = None
        self._failures_before = 0

    # -- what a task tree needs

    def now(self) -> float:
        return self._time()

    def open(self) -> None:
        root = trio.lowlevel.current_root_task()
        waiting = [] if root is None else [root]
        while waiting:
            task = waiting.pop()
            self._meet(task)
            waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        self._running = self._nodes.get(trio.lowlevel.current_task())
        self._failures_before = _failures(trio.lowlevel.current_task())
        trio.lowlevel.add_instrument(self)

    def close(self) -> None:
        try:
            trio.lowlevel.remove_instrument(self)
        except KeyError:
            pass  # Trio removes an instrument that has raised
        self._nodes.clear()
        self._running = None

    def current(self) -> Node | None:
        return self._running

    def all(self) -> list[tuple[Node, Node | None]]:
        return [(node, self._parent(node.task)) for node in list(self._nodes.values())]

    def state(self, node: Node) -> str:
        if node is self._running:
            return "running"
        return "ready" if node.ready else "waiting"

    def coroutine(self, node: Node) -> Any:
        return node.task.coro

    def _meet(self, task: Task) -> Node:
        node = self._nodes[task] = Node(task, task.name, self._parent(task), self._time())
        return node

    def _parent(self, task: Task) -> Node | None:
        nursery = task.parent_nursery
        # The root of all is Trio's own and stands in no path.
        if nursery is None or nursery.parent_task.parent_nursery is None:
            return None
        return self._nodes.get(nursery.parent_task)

    # -- what Trio calls; the last three for each step of each task

    def task_spawned(self, task: Task) -> None:
        self._started(self._meet(task))

    def task_exited(self, task: Task) -> None:
        node = self._nodes.pop(task, None)
        if node is None:
            return
        error = None
        # Only this task has run since its step began, so what has come to its nursery since then is its own.
        if _failures(task) > self._failures_before:
            error = _pending(task)[-1]
        self._ended(node, error)

    def task_scheduled(self, task: Task) -> None:
        node = self._nodes.get(task)
        if node is not None:
            node.ready = True

    def before_task_step(self, task: Task) -> None:
        node = self._running = self._nodes.get(task)
        if node is not None:
            node.ready = False
            self._failures_before = _failures(task)
            if self._steps is not None:
                self._steps.began(node)

    def after_task_step(self, task: Task) -> None:
        node, self._running = self._running, None
        if node is not None:
            node.since = self._time()
            if self._steps is not None:
                self._steps.ended(node)

    def before_io_wait(self, timeout: float) -> None:
        if self._steps is not None:
            self._steps.idle = timeout > 0

    def after_io_wait(self, timeout: float) -> None:
        if self._steps is not None and self._steps.idle:
            self._steps.resume()


def _pending(task: Task) -> list[BaseException]:
    """Return the exceptions that the tasks of the same nursery have ended with.

    Trio tells an instrument that a task has ended, but not how.
    """
    pending: list[BaseException] = getattr(task.parent_nursery, "_pending_excs", [])
    return pending


def _failures(task: Task) -> int:
    return len(_pending(task))
