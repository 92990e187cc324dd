"""The standard library: a QueueHandler, and in its listener's thread an orjson encoder and a buffered file."""

from __future__ import annotations

import logging
import logging.handlers
import queue
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO

import orjson

from .ambient import CONTEXT, in_context
from .interface import FIELDS_DICT, MESSAGE, Calls, Target
from .output import BUFFER_SIZE, opened_binary


class ContextQueueHandler(logging.handlers.QueueHandler):
    """Takes the context along; spares the copy and the formatting, which are for queues between processes."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record.context = CONTEXT.get()
        return record


class JsonHandler(logging.Handler):
    def __init__(self, file: BinaryIO, *, flush: bool) -> None:
        super().__init__()
        self._file = file
        self._flush_lines = flush

    def emit(self, record: logging.LogRecord) -> None:
        self._file.write(
            orjson.dumps(
                {
                    "timestamp": record.created,
                    "level": record.levelname,
                    "message": record.msg,
                    **record.context,
                    **record.fields,
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
        )
        if self._flush_lines:
            self._file.flush()


class ReadingFilter(logging.Filter):
    """Stands for a user's filter and enricher in one, as this API has it: it reads the record and adds to it."""

    def filter(self, record: logging.LogRecord) -> bool:
        fields = record.fields
        if fields["path"] == "/health" or fields["status"] >= 600:
            return False
        fields["service"] = "shop" if fields["status"] < 500 else "shop-failing"
        return True


def collect_less() -> None:
    """Do not collect what no record shows, as the logging cookbook advises."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    with opened_binary(target.path, BUFFER_SIZE) as file:
        waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        logger = logging.getLogger("bench")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(ContextQueueHandler(waiting))
        if target.plugins:
            logger.addFilter(ReadingFilter())
        collect_less()
        # Lines on the standard output are for somebody who waits for them.
        listener = logging.handlers.QueueListener(waiting, JsonHandler(file, flush=target.path is None))
        listener.start()
        try:
            yield Calls(
                names={"in_context": in_context, "info": logger.info, "debug": logger.debug},
                enter="with in_context(request_id=request_id, tenant=tenant):",
                enabled=f"info({MESSAGE!r}, extra={{'fields': {FIELDS_DICT}}})",
                disabled=f"debug({MESSAGE!r}, extra={{'fields': {FIELDS_DICT}}})",
            )
        finally:
            listener.stop()
