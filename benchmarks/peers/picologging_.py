"""picologging with an orjson formatter: as it comes, and hand-tuned so that it never flushes after a line.

Its log calls ignore ``extra``, so the fields are passed as the message's arguments.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import picologging

from .ambient import CONTEXT, in_context
from .interface import FIELDS_DICT, MESSAGE, Calls, Target
from .output import BUFFER_SIZE, opened_binary


def encode(record: picologging.LogRecord, option: int = 0) -> bytes:
    return orjson.dumps(
        {
            "timestamp": record.created,
            "level": record.levelname,
            "message": record.msg,
            **CONTEXT.get(),
            **record.args,
        },
        option=option,
    )


class JsonFormatter(picologging.Formatter):
    def format(self, record: picologging.LogRecord) -> str:
        return encode(record).decode()


class BytesHandler(picologging.Handler):
    """The hand-tuned handler: bytes into a buffer, which is written when it is full."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: picologging.LogRecord) -> None:
        self._write(encode(record, orjson.OPT_APPEND_NEWLINE))


class ReadingFilter(picologging.Filter):
    """Stands for a user's filter and enricher in one, as this API has it: it reads the record and adds to it."""

    def filter(self, record: picologging.LogRecord) -> bool:
        fields = record.args
        if fields["path"] == "/health" or fields["status"] >= 600:
            return False
        fields["service"] = "shop" if fields["status"] < 500 else "shop-failing"
        return True


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    with opened_binary(target.path, BUFFER_SIZE) as file:
        handler: picologging.Handler
        if not target.options.get("flush", True):
            handler = BytesHandler(file.write)
        elif target.path is None:
            handler = picologging.StreamHandler(sys.stdout)
        else:
            handler = picologging.FileHandler(target.path)
        handler.setFormatter(JsonFormatter())
        logger = picologging.Logger("bench", picologging.INFO)
        logger.addHandler(handler)
        if target.plugins:
            logger.addFilter(ReadingFilter())
        yield Calls(
            names={"in_context": in_context, "info": logger.info, "debug": logger.debug},
            enter="with in_context(request_id=request_id, tenant=tenant):",
            enabled=f"info({MESSAGE!r}, {FIELDS_DICT})",
            disabled=f"debug({MESSAGE!r}, {FIELDS_DICT})",
        )
        handler.close()
