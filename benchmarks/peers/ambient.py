"""A context that follows the task, for loggers that have none of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

CONTEXT: ContextVar[dict[str, Any]] = ContextVar("context")


@contextmanager
def in_context(**fields: Any) -> Iterator[None]:
    """Set the context inside the block."""
    token = CONTEXT.set(fields)
    try:
        yield
    finally:
        CONTEXT.reset(token)
