"""structlog as its performance page advises: orjson, bytes, cached loggers, no stdlib; a file that is not flushed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import structlog

from .interface import FIELDS, MESSAGE, Calls, Target
from .output import BUFFER_SIZE, Unflushed, opened_binary

Event = MutableMapping[str, Any]


def keep(_: object, __: str, event: Event) -> Event:
    if event["path"] == "/health" or event["status"] >= 600:
        raise structlog.DropEvent
    return event


def enrich(_: object, __: str, event: Event) -> Event:
    event["service"] = "shop" if event["status"] < 500 else "shop-failing"
    return event


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    with opened_binary(target.path, BUFFER_SIZE) as file:
        structlog.configure(
            cache_logger_on_first_use=True,
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                structlog.processors.TimeStamper(fmt=None),
                *([keep, enrich] if target.plugins else []),
                structlog.processors.EventRenamer("message"),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            # Lines on the standard output are for somebody who waits for them.
            logger_factory=structlog.BytesLoggerFactory(file if target.path is None else Unflushed(file)),
        )
        asynchronous = target.options.get("asynchronous", False)
        call = "await {}" if asynchronous else "{}"
        name = "ainfo" if asynchronous else "info"
        yield Calls(
            names={"bind": structlog.get_logger().bind},
            enter=f"log = bind(request_id=request_id, tenant=tenant)\ninfo = log.{name}\ndebug = log.{name[:-4]}debug",
            enabled=call.format(f"info({MESSAGE!r}, {FIELDS})"),
            disabled=call.format(f"debug({MESSAGE!r}, {FIELDS})"),
        )
