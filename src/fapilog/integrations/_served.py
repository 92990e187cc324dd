"""Served: the request that a task has just served, for what its server logs of it afterwards.

A server logs an exception, and Granian the access too, when the application has returned to it: outside of the
request's context, but in its task. So the task keeps what the middleware knew.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import attrs

from ..current import entered
from ..event import Ambient
from ..exception_marks import is_told
from ..logger import AsyncLogger
from ._asgi_types import Scope


@attrs.frozen(eq=False)
class Served:
    """One request or WebSocket that is over."""

    logger: AsyncLogger
    """The root logger of the container that it was told to."""
    ambient: Ambient
    """The request's context, with its id."""
    began: int
    """When it began, on the clock of ``perf_counter_ns``."""
    method: str
    path: str
    error_id: int
    """The identity of the exception that left the application; 0 if none did. The exception itself is not kept."""

    def told(self, error: BaseException) -> bool:
        """Return whether its own event, or another one of it, tells of *error* already."""
        return is_told(error, self.logger.container.container_id, self.began)

    @contextmanager
    def context(self) -> Generator[None]:
        """Be in the request's context again inside the block."""
        variable = self.logger._variable
        token = variable.set(self.ambient)
        try:
            with entered(self.logger):
                yield
        finally:
            variable.reset(token)


_served: ContextVar[tuple[AsyncLogger, Ambient, int, str, str, int] | None] = ContextVar("fapilog.served", default=None)
"""What makes a `Served`: every request leaves it, and few are asked for it."""


def remember(logger: AsyncLogger, began: int, scope: Scope, error: BaseException | None) -> None:
    """Let the task know what it has served, when that is over, in the request's context.

    It is not taken back, for it is read later; the task ends soon after.
    """
    error_id = 0 if error is None else id(error)
    _served.set((logger, logger._variable.get(), began, scope.get("method", ""), scope["path"], error_id))


def served_with(error: BaseException) -> Served | None:
    """Return the request of this task that *error* has ended; None if that was another, or none."""
    found = _served.get()
    served = None if found is None else Served(*found)
    return served if served is not None and served.error_id == id(error) else None


def served_as(method: str, path: str) -> Served | None:
    """Return the request that this task has served last, if it was for that; None if not."""
    found = _served.get()
    served = None if found is None else Served(*found)
    return served if served is not None and (served.method, served.path) == (method, path) else None
