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

    Trio calls an instrument only for what its class defines: this one for the end of each step, and that is all it
    costs a step.

    Parameters:
        started: told of each task that starts while this is open.
        ended: told of each task that ends.
    """

    def __init__(self, started: Started, ended: Ended) -> None:
        self._started = started
        self._ended = ended
        self._nodes: dict[Task, Node] = {}
        self._time = trio.lowlevel.current_clock().current_time

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
        trio.lowlevel.add_instrument(self)

    def close(self) -> None:
        try:
            trio.lowlevel.remove_instrument(self)
        except KeyError:
            pass  # Trio removes an instrument that has raised
        self._nodes.clear()

    def current(self) -> Node | None:
        try:
            return self._nodes.get(trio.lowlevel.current_task())
        except RuntimeError:  # between two tasks, or in another thread
            return None

    def all(self) -> list[tuple[Node, Node | None]]:
        return [(node, self._parent(node.task)) for node in list(self._nodes.values())]

    def state(self, node: Node) -> str:
        if node is self.current():
            return "running"
        # How a wait is broken off; a task that is to run has none any more.
        return "waiting" if getattr(node.task, "_abort_func", True) is not None else "ready"

    def coroutine(self, node: Node) -> Any:
        return node.task.coro

    def _meet(self, task: Task) -> Node:
        node = self._nodes[task] = Node(task, task.name, self._parent(task), self._time())
        node.wait = id(getattr(task.coro, "cr_frame", None))
        return node

    def _parent(self, task: Task) -> Node | None:
        nursery = task.parent_nursery
        # The root of all is Trio's own and stands in no path.
        if nursery is None or nursery.parent_task.parent_nursery is None:
            return None
        return self._nodes.get(nursery.parent_task)

    # -- what Trio calls

    def task_spawned(self, task: Task) -> None:
        self._started(self._meet(task))

    def task_exited(self, task: Task) -> None:
        node = self._nodes.pop(task, None)
        if node is not None:
            self._ended(node, _error_of(node))

    def after_task_step(self, task: Task) -> None:
        node = self._nodes.get(task)
        if node is not None:
            node.since = self._time()


class WatchedTrioTasks(TrioTasks):
    """Does the same and tells when a step begins and ends.

    Parameters:
        started, ended: as above.
        steps: who is told.
    """

    def __init__(self, started: Started, ended: Ended, steps: Steps) -> None:
        super().__init__(started, ended)
        self._steps = steps
        self._stepping: Node | None = None

    def before_task_step(self, task: Task) -> None:
        node = self._stepping = self._nodes.get(task)
        if node is not None:
            self._steps.began(node)

    def after_task_step(self, task: Task) -> None:
        node, self._stepping = self._stepping, None
        if node is not None:
            node.since = self._time()
            self._steps.ended(node)

    def before_io_wait(self, timeout: float) -> None:
        self._steps.idle = timeout > 0

    def after_io_wait(self, timeout: float) -> None:
        if self._steps.idle:
            self._steps.resume()


def _error_of(node: Node) -> BaseException | None:
    """Return the exception that the task of *node*, which has just ended, ended with.

    Trio tells an instrument that a task has ended, but not how: what it raised is the last that has come to its
    nursery, if it came out of the frame that the task began in. That frame lives as long as the exception's traceback,
    so that no other can have its identity.
    """
    pending: list[BaseException] = getattr(node.task.parent_nursery, "_pending_excs", [])
    traceback = pending[-1].__traceback__ if pending else None
    return pending[-1] if traceback is not None and id(traceback.tb_frame) == node.wait else None
