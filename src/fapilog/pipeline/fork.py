"""What a child does with the containers it inherits when a process forks: forget them.

The child has copies of the events but neither the tasks nor the threads that would write them, and the
parent writes them. So in the child a container is dead: its queue is empty, its counters are zero, and
a call is rejected and counted.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forgettable(Protocol):
    """A container, as far as a fork is concerned."""

    def forget(self) -> None: ...


# The one object of this package that is shared by containers: an at-fork hook can be registered and never
# taken back, so one hook serves all containers, and holds none of them.
_live: weakref.WeakSet[Forgettable] = weakref.WeakSet()


def forget_after_fork(container: Forgettable) -> None:
    """Have *container* forgotten in any child that is forked from now on."""
    _live.add(container)


def _forget_all() -> None:
    for container in list(_live):
        container.forget()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
