"""What is kept of each task while a task tree is open: its path, its last event, and since when it waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..diagnostics import escaped
from ..event import Ambient, Record
from ..values import FrozenDict, text

LONGEST_NAME = 128
"""Characters of a task's name in a path."""
LONGEST_PATH = 1024
"""Characters of a path; of a longer one the front is left out."""
_OMITTED = "..."
_LONGEST_MESSAGE = 200
_OWN_PREFIX = "fapilog "
"""What the names of a container's own tasks begin with."""


def path_element(name: str) -> str:
    """Return a task's name as it stands in a path: bounded, on one line, and without a slash of its own."""
    if len(name) > LONGEST_NAME:
        name = name[:LONGEST_NAME] + _OMITTED
    return escaped(name).replace("/", "%2F")


def path_below(parent: str, name: str) -> str:
    """Return the path of a task of that *name* whose parent has the path *parent*; empty if it has no parent."""
    element = path_element(name)
    path = f"{parent}/{element}" if parent else element
    if len(path) <= LONGEST_PATH:
        return path
    # Whole elements go, so that what is left of the path is true.
    kept = path[len(path) - LONGEST_PATH :].partition("/")[2]
    return f"{_OMITTED}/{kept or element}"


class Node:
    """One task that has not ended."""

    __slots__ = (
        "_ambient",
        "_base",
        "_values",
        "began",
        "last",
        "name",
        "own",
        "path",
        "since",
        "task",
        "wait",
    )

    def __init__(self, task: Any, name: str, parent: Node | None, began: float) -> None:
        self.task = task
        name = text(name)  # it may be of a class derived from str
        self.name: str = name
        self.path: str = path_below("" if parent is None else parent.path, name)
        """The path, as the names were when the task was met; it is made here and never again."""
        self.own: bool = name.startswith(_OWN_PREFIX) or (parent is not None and parent.own)
        """Whether it is one of a container's own tasks, which are left out."""
        self.began: float = began
        """When it started, or when it was met, on the event loop's clock."""
        self.since: float = began
        """When its last step ended; where steps are not seen, when it was first seen in its present wait."""
        self.wait: Any = None
        """What the tasks of a backend keep with it."""
        self.last: tuple[int, int, str] | None = None
        """The time, level and message of its last event."""
        self._base: Ambient | None = None
        self._values: FrozenDict | None = None
        self._ambient: Ambient | None = None

    def observed(self, record: Record) -> Record:
        """Keep *record* as the last event, and return it with the path in its context."""
        message = record[2]
        self.last = (record[0], record[1], message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE])
        base = record[5]
        ambient = self._ambient
        # One context for all events of the task, as long as what is around stays: it is encoded once.
        if ambient is None or self._base is not base or self._values is not base.values:
            self._base, self._values = base, base.values
            ambient = Ambient(FrozenDict({**base.values, "task_path": self.path}), base.correlation_id, base.scope)
            self._ambient = ambient
        return (*record[:5], ambient, *record[6:])


class Tasks(Protocol):
    """The tasks of one event loop, as a task tree needs them; on the loop's thread, and in signal handlers."""

    def now(self) -> float:
        """Return the time on the event loop's clock; from any thread."""
        ...

    def open(self) -> None:
        """Begin to follow the tasks that there are and those to come."""
        ...

    def close(self) -> None:
        """Follow them no more."""
        ...

    def current(self) -> Node | None:
        """Return the task that runs."""
        ...

    def all(self) -> list[tuple[Node, Node | None]]:
        """Return every living task and its parent, if that is known."""
        ...

    def state(self, node: Node) -> str:
        """Return ``running``, ``ready`` or ``waiting``, and bring ``since`` up to date."""
        ...

    def coroutine(self, node: Node) -> Any:
        """Return the task's coroutine."""
        ...


Started = Callable[[Node], object]
Ended = Callable[[Node, "BaseException | None"], object]
"""What a task tree is told of: the task, and the exception that it ended with."""
