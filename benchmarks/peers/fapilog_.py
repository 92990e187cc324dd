"""fapilog, with its default settings and the file sink."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import fapilog
from fapilog import LogEvent

from .interface import FIELDS, MESSAGE, Calls, Target


def keep(event: LogEvent) -> bool:
    """Stand for a user's filter: read the event."""
    return event.fields["path"] != "/health" and event.fields["status"] < 600


def enrich(event: LogEvent) -> dict[str, str]:
    """Stand for a user's enricher: read the event and add to it."""
    return {"service": "shop" if event.fields["status"] < 500 else "shop-failing"}


def plugins(target: Target) -> dict[str, Any]:
    """Return the container's arguments for the plugins of *target*."""
    return {"filters": [keep], "enrichers": [enrich]} if target.plugins else {}


def calls(log: fapilog.AsyncLogger) -> Calls:
    """Return the calls of a logger."""
    return Calls(
        names={
            "context": log.context,
            "info": log.info,
            "debug": log.debug,
            "nowait": log.nowait.info,
        },
        enter="with context(request_id=request_id, tenant=tenant):",
        enabled=f"await info({MESSAGE!r}, {FIELDS})",
        disabled=f"await debug({MESSAGE!r}, {FIELDS})",
        others={"nowait": f"nowait({MESSAGE!r}, {FIELDS})"},
    )


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    settings: dict[str, Any] = {"sinks": ["stdout"]}
    if target.path is not None:
        settings = {"sinks": ["file"], "plugin_config": {"file": {"path": target.path}}}
    async with fapilog.container({**settings, **target.options}, **plugins(target)) as log:
        yield calls(log)
