"""The tasks of an asyncio loop: asyncio tells of none that starts, so each is met when it logs or is looked at.

AnyIO knows the parents of the tasks that its task groups have started; of others nobody does.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from threading import get_ident
from typing import Any
from weakref import ref

import anyio

from ._task_nodes import Ended, Node, Started


class AsyncioTasks:
    """Follows the tasks of the running asyncio loop from when they are met to their end.

    Parameters:
        loop: the running loop.
        started: told of each task that is met after this was opened.
        ended: told of each task that ends and had been met.
        look_every: seconds between two looks for new tasks; None to look only when asked.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, started: Started, ended: Ended, look_every: float | None
    ) -> None:
        self._loop = loop
        self._started = started
        self._ended = ended
        self._look_every = look_every
        self._nodes: dict[int, Node] = {}
        """By the identity of the task, which it keeps until the callback of its end has run: that holds the task."""
        # AnyIO's description of a task, whose class takes any task of this loop.
        self._describe: Any = type(anyio.get_current_task())
        self._timer: asyncio.TimerHandle | None = None
        self._context = Context()
        """For the callbacks: a task's own context would stay alive with them."""
        self._open = False
        self._thread = get_ident()

    def now(self) -> float:
        return self._loop.time()

    def open(self) -> None:
        started, self._started = self._started, _ignore
        self._look()
        self._started = started
        self._open = True
        self._set_timer()

    def close(self) -> None:
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        for node in list(self._nodes.values()):
            node.task.remove_done_callback(self._done)
        self._nodes.clear()

    def current(self) -> Node | None:
        task = asyncio.current_task(self._loop)
        return None if task is None else self._nodes.get(id(task)) or self._meet(task)

    def glimpse(self) -> Node | None:
        """Return the task that runs, as another thread sees it: one that has not been met is not met by this."""
        task = asyncio.current_task(self._loop)
        if task is None:
            return None
        return self._nodes.get(id(task)) or self._nodes_of(task)[0]

    def all(self) -> list[tuple[Node, Node | None]]:
        if get_ident() == self._thread:  # in another one a task may end meanwhile
            self._look()
        return [(node, self._nodes.get(self._parent_id(node.task) or 0)) for node in list(self._nodes.values())]

    def state(self, node: Node) -> str:
        task = node.task
        if task is asyncio.current_task(self._loop):
            return "running"
        waiter = getattr(task, "_fut_waiter", None)
        if waiter is None or waiter.done():
            return "ready"
        if node.wait is None or node.wait() is not waiter:
            node.wait = ref(waiter)  # not the future itself, which may hold anything
            node.since = self._loop.time()
        return "waiting"

    def coroutine(self, node: Node) -> Any:
        return node.task.get_coro()

    # -- meeting and losing tasks

    def _set_timer(self) -> None:
        if self._look_every is not None and self._open:
            self._timer = self._loop.call_later(self._look_every, self._look_again, context=self._context)

    def _look_again(self) -> None:
        self._look()
        self._set_timer()

    def _look(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            if id(task) not in self._nodes:
                self._meet(task)

    def _parent_id(self, task: asyncio.Task[Any]) -> int | None:
        parent_id: int | None = self._describe(task).parent_id
        return parent_id

    def _meet(self, task: asyncio.Task[Any]) -> Node:
        """Keep *task* and its ancestors, as far as they were not met before, until they end."""
        nodes = self._nodes_of(task)
        for node in reversed(nodes):
            self._nodes[id(node.task)] = node
            node.task.add_done_callback(self._done, context=self._context)
            self._started(node)
        return nodes[0]

    def _nodes_of(self, task: asyncio.Task[Any]) -> list[Node]:
        """Make the node of *task*, and those of its ancestors that were not met before; its own is the first."""
        unmet = [task]
        met = {id(task)}
        parent = None
        living: dict[int, asyncio.Task[Any]] | None = None
        while (parent_id := self._parent_id(unmet[-1])) is not None and parent_id not in met:
            parent = self._nodes.get(parent_id)
            if parent is not None:
                break
            if living is None:
                living = {id(other): other for other in asyncio.all_tasks(self._loop)}
            if parent_id not in living:  # it has ended before its child
                break
            unmet.append(living[parent_id])
            met.add(parent_id)
        nodes: list[Node] = []
        for other in reversed(unmet):
            parent = Node(other, other.get_name(), parent, self._loop.time())
            nodes.append(parent)
        nodes.reverse()
        return nodes

    def _done(self, task: asyncio.Task[Any]) -> None:
        node = self._nodes.pop(id(task), None)
        if node is not None and self._open:
            # Not by ``exception()``, after which asyncio would not tell of one that nobody has looked at.
            error: BaseException | None = getattr(task, "_exception", None)
            self._ended(node, asyncio.CancelledError() if task.cancelled() else error)


def _ignore(node: Node) -> None:
    """Take no notice of the tasks that were there before."""
