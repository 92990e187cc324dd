"""fapilog, with its default settings and the file sink."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

import fapilog
from fapilog import LogEvent
from fapilog.plugins import Batch

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
            "nowait_debug": log.nowait.debug,
        },
        enter="with context(request_id=request_id, tenant=tenant):",
        enabled=f"await info({MESSAGE!r}, {FIELDS})",
        disabled=f"await debug({MESSAGE!r}, {FIELDS})",
        others={
            "nowait": f"nowait({MESSAGE!r}, {FIELDS})",
            "disabled nowait": f"nowait_debug({MESSAGE!r}, {FIELDS})",
        },
    )


async def slow(batch: Batch) -> None:
    """Stand for a sink that takes 3 ms for a batch."""
    await anyio.sleep(0.003)


async def hanging(batch: Batch) -> None:
    """Stand for a sink whose writes never end."""
    await anyio.sleep_forever()


def idle(batch: Batch) -> None:
    """Stand for a sink that does nothing."""


def encoding(batch: Batch) -> None:
    """Stand for a sink that only encodes."""
    batch.encoded("json")


for function in (idle, encoding):
    function.blocking = False

SINKS = {"slow": slow, "hanging": hanging, "idle": idle, "encoding": encoding}


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    """Open a container; the option ``sink`` names one of ours, the other options are settings."""
    options = dict(target.options)
    if "sink" in options:
        settings: dict[str, Any] = {}
        sinks = [SINKS[options.pop("sink")]]
    elif target.path is None:
        settings, sinks = {"sinks": ["stdout"]}, []
    else:
        settings, sinks = {"sinks": ["file"], "plugin_config": {"file": {"path": target.path}}}, []
    async with fapilog.container({**settings, **options}, sinks=sinks, **plugins(target)) as log:
        yield calls(log)
