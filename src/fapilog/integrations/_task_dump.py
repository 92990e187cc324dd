"""What a task tree tells of its tasks at one moment: as data, and as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from ..diagnostics import escaped
from ..event import LEVEL_NAMES
from ._loop_watch import Stack
from ._task_nodes import Node, Tasks, path_element

_LIBRARIES = ("/trio/", "/anyio/", "/asyncio/", "/fapilog/", "/contextlib.py", "/uvloop/")
"""Whose code is not where somebody would look for what a task waits for."""
_MOST_AWAITS = 1000
_LONGEST_MESSAGE = 80


@attrs.frozen
class LastEvent:
    """The event that a task logged last."""

    level: str
    message: str
    """The first 200 characters of it."""
    age: float
    """Seconds since then."""


@attrs.frozen
class TaskState:
    """One task at one moment."""

    name: str
    path: str
    state: str
    """``running``, ``ready`` (it runs as soon as the loop comes to it) or ``waiting``."""
    waited: float
    """Seconds that it has been waiting: since its last step on Trio; on asyncio since it was first seen in this
    wait, so it may be longer. 0 if it does not wait."""
    cancelled: bool
    """Whether it has been cancelled and has yet to notice."""
    where: str
    """``file:line function`` of the innermost code that is not the event loop's; empty if there is none, and
    of the task that runs."""
    age: float
    """Seconds since it started or was met."""
    last_event: LastEvent | None
    """The last event that it logged since it was met."""
    children: tuple[TaskState, ...]

    def walk(self) -> Iterator[TaskState]:
        """Return an iterator over this task and all below it."""
        waiting: list[TaskState] = [self]
        while waiting:
            state = waiting.pop()
            yield state
            waiting.extend(reversed(state.children))


@attrs.frozen
class TaskTreeDump:
    """The living tasks at one moment; ``str`` makes it the text for people."""

    tasks: tuple[TaskState, ...]
    """Those without a parent that is known; the others are below them."""
    own: int
    """How many tasks of containers there are beside these."""
    stack: Stack = ()
    """Where the event loop's thread was, if a signal asked for this."""

    def walk(self) -> Iterator[TaskState]:
        """Return an iterator over all tasks, parents first."""
        for task in self.tasks:
            yield from task.walk()

    def __str__(self) -> str:
        lines = [f"{sum(1 for _ in self.walk())} tasks, and {self.own} of fapilog's own"]
        waiting = [(task, "", "") for task in reversed(self.tasks)]
        while waiting:
            task, lead, below = waiting.pop()
            lines.append(lead + _line(task))
            for position, child in enumerate(reversed(task.children)):
                is_last = position == 0
                waiting.append((child, below + ("└─ " if is_last else "├─ "), below + ("   " if is_last else "│  ")))
        if self.stack:
            lines.append("the event loop's thread, innermost last:")
            lines += [f"  {escaped('{file}:{line} {function}'.format_map(frame))}" for frame in self.stack]
        return "\n".join(lines) + "\n"


def _line(task: TaskState) -> str:
    parts = [path_element(task.name), task.state if task.state != "waiting" else f"waiting {task.waited:.1f} s"]
    if task.where:
        parts.append(f"at {escaped(task.where)}")
    if task.cancelled:
        parts.append("cancelled")
    last = task.last_event
    if last is not None:
        parts.append(f'last event {last.age:.1f} s ago: {last.level} "{escaped(last.message[:_LONGEST_MESSAGE])}"')
    return "  ".join(parts)


def dump_of(tasks: Tasks, describe: Any, now: float, now_ns: int, stack: Stack = ()) -> TaskTreeDump:
    """Return what there is to tell of *tasks*.

    Parameters:
        tasks: the tasks of the running loop.
        describe: AnyIO's class of task descriptions.
        now: the time on the event loop's clock.
        now_ns: the time as events have it.
        stack: where the loop's thread is.
    """
    entries = tasks.all()
    children: dict[int, list[Node]] = {}
    for node, parent in entries:
        children.setdefault(id(parent) if parent is not None else 0, []).append(node)
    # Children first, without recursion: a tree may be deeper than a stack.
    order: list[Node] = list(children.get(0, ()))
    for node in order:
        order += children.get(id(node), ())
    states: dict[int, TaskState] = {}
    for node in reversed(order):
        if not node.own and not _is_loops_own(tasks.coroutine(node)):
            below = tuple(states[id(child)] for child in children.get(id(node), ()) if id(child) in states)
            states[id(node)] = _state_of(node, tasks, describe, now, now_ns, below)
    tops = tuple(states[id(node)] for node in children.get(0, ()) if id(node) in states)
    return TaskTreeDump(tops, sum(node.own for node in order), stack)


def _is_loops_own(coroutine: Any) -> bool:
    """Return whether a task is one that Trio runs for itself."""
    code = getattr(coroutine, "cr_code", None)
    return code is not None and "/trio/_core/" in code.co_filename.replace("\\", "/")


def _state_of(
    node: Node, tasks: Tasks, describe: Any, now: float, now_ns: int, children: tuple[TaskState, ...]
) -> TaskState:
    state = tasks.state(node)
    last = node.last
    return TaskState(
        name=node.name,
        path=node.path,
        state=state,
        waited=max(now - node.since, 0.0) if state == "waiting" else 0.0,
        cancelled=_is_cancelled(node, describe),
        where="" if state == "running" else where(tasks.coroutine(node)),
        age=max(now - node.began, 0.0),
        last_event=None
        if last is None
        else LastEvent(LEVEL_NAMES[last[1]], last[2], max((now_ns - last[0]) / 1e9, 0.0)),
        children=children,
    )


def _is_cancelled(node: Node, describe: Any) -> bool:
    try:
        return bool(describe(node.task).has_pending_cancellation())
    except AttributeError:  # Trio's task has ended, since another thread or a signal handler has begun to look
        return False


def where(coroutine: Any) -> str:
    """Return the place in which a coroutine waits: the innermost that is not the event loop's own."""
    best = ""
    for _ in range(_MOST_AWAITS):
        frame = None
        for name, awaited in (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await")):
            frame = getattr(coroutine, name, None)
            if frame is not None:
                coroutine = getattr(coroutine, awaited, None)
                break
        if frame is None:
            break
        code = frame.f_code
        file = code.co_filename.replace("\\", "/")
        if not any(part in file for part in _LIBRARIES):
            best = f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_qualname}"
    return best
