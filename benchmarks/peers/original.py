"""The original fapilog 0.18: one rotating file, which never rotates here, no redaction, and no drops when it is full.

It runs in an environment of its own, for both packages have the same name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fapilog.core.settings import Settings

import fapilog

from .interface import FIELDS, MESSAGE, Calls, Target

WORKERS = 2
"""What its production preset has, and what its notes call faster than one."""


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Calls]:
    path = None if target.path is None else Path(target.path)
    settings = Settings(
        core={
            "log_level": "INFO",
            "worker_count": WORKERS,
            "drop_on_full": False,
            "enrichers": [],
            "redactors": [],
            "sinks": ["stdout_json" if path is None else "rotating_file"],
            "shutdown_timeout_seconds": 60.0,
        },
        sink_config={}
        if path is None
        else {"rotating_file": {"directory": str(path.parent), "filename_prefix": path.stem, "max_bytes": 2**32}},
    )
    logger = await fapilog.get_async_logger("bench", settings=settings)
    yield Calls(
        names={"bind": logger.bind},
        enter="log = bind(request_id=request_id, tenant=tenant)\ninfo = log.info\ndebug = log.debug",
        enabled=f"await info({MESSAGE!r}, {FIELDS})",
        disabled=f"await debug({MESSAGE!r}, {FIELDS})",
    )
    await logger.drain()
