"""No logger at all: what a program costs and how late its tasks are without logging."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .interface import Calls, Target


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    yield Calls(names={}, enter="if True:", enabled="pass", disabled="pass")
