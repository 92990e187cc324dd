"""loguru with ``serialize=True`` and a buffered file."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger

from .interface import FIELDS, MESSAGE, Calls, Target
from .output import BUFFER_SIZE


def keep(record: dict[str, Any]) -> bool:
    extra = record["extra"]
    return extra["path"] != "/health" and extra["status"] < 600


def enrich(record: dict[str, Any]) -> None:
    extra = record["extra"]
    extra["service"] = "shop" if extra["status"] < 500 else "shop-failing"


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    logger.remove()
    filters = {"filter": keep} if target.plugins else {}
    if target.path is None:
        logger.add(sys.stdout, level="INFO", format="{message}", serialize=True, backtrace=False, **filters)
    else:
        logger.add(
            target.path,
            level="INFO",
            format="{message}",
            serialize=True,
            backtrace=False,
            buffering=BUFFER_SIZE,
            **filters,
        )
    bind = (logger.patch(enrich) if target.plugins else logger).bind
    yield Calls(
        names={"bind": bind},
        enter="log = bind(request_id=request_id, tenant=tenant)\ninfo = log.info\ndebug = log.debug",
        enabled=f"info({MESSAGE!r}, {FIELDS})",
        disabled=f"debug({MESSAGE!r}, {FIELDS})",
    )
    logger.remove()
