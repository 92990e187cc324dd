"""The least that a log call can do: append what happened, and when, to a list.

It is no logger. What it takes after a pause is what the processor needs to begin with anything again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from time import time_ns
from typing import Any

from .interface import FIELDS, MESSAGE, Calls, Target


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    """Open a list."""
    events: list[tuple[Any, ...]] = []
    append = events.append

    def info(message: str, **fields: Any) -> None:
        append((time_ns(), 20, message, fields))

    yield Calls(
        names={"nullcontext": nullcontext, "info": info},
        enter="with nullcontext((request_id, tenant)):",
        enabled=f"info({MESSAGE!r}, {FIELDS})",
        disabled="pass",
    )
