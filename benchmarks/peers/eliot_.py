"""eliot with a destination that encodes with orjson into a buffered file, where its own one flushes every line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import eliot
import orjson

from .interface import FIELDS, MESSAGE, Calls, Target
from .output import BUFFER_SIZE, opened_binary


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    with opened_binary(target.path, BUFFER_SIZE) as file:

        def destination(message: dict[str, Any]) -> None:
            if target.plugins:
                if message["path"] == "/health" or message["status"] >= 600:
                    return
                message["service"] = "shop" if message["status"] < 500 else "shop-failing"
            file.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
            if target.path is None:
                file.flush()

        eliot.add_destinations(destination)
        # There are neither levels nor a context without an event of its own: both are fields like the others.
        yield Calls(
            names={"log": eliot.log_message},
            enter="if True:",
            enabled=f"log({MESSAGE!r}, level='info', request_id=request_id, tenant=tenant, {FIELDS})",
            disabled="pass",
        )
        eliot.remove_destination(destination)
