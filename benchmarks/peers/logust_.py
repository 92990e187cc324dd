"""logust, which is written in Rust, with ``serialize=True`` and without the caller's file and line."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from logust import CollectOptions, logger

from .interface import FIELDS, MESSAGE, Calls, Target


def keep(record: dict[str, Any]) -> bool:
    extra = record["extra"]
    return extra["path"] != "/health" and int(extra["status"]) < 600


def enrich(record: dict[str, Any]) -> None:
    extra = record["extra"]
    extra["service"] = "shop" if int(extra["status"]) < 500 else "shop-failing"


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    logger.remove()
    collect = CollectOptions(caller=False, thread=False, process=False)
    logger.add(
        sys.stdout if target.path is None else target.path,
        level="INFO",
        serialize=True,
        collect=collect,
        **({"filter": keep} if target.plugins else {}),
    )
    logger.set_level("INFO")
    bind = (logger.patch(enrich) if target.plugins else logger).bind
    yield Calls(
        names={"bind": bind},
        enter="log = bind(request_id=request_id, tenant=tenant)\ninfo = log.info\ndebug = log.debug",
        enabled=f"info({MESSAGE!r}, {FIELDS})",
        disabled=f"debug({MESSAGE!r}, {FIELDS})",
    )
    logger.complete()
    logger.remove()
