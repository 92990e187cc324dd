"""A FastAPI service on uvicorn: one id and one event for each request, whatever its code runs in.

    uvicorn fastapi_service:app

Coroutines, functions in threads, background tasks, streams and libraries that use logging all log with the request's
id; uvicorn's own records are in the same file, shop.log. Needs: pip install fastapi uvicorn
"""

import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

import fapilog
from fapilog import current_logger
from fapilog.integrations.asgi import FapilogMiddleware, lifespan
from fapilog.integrations.stdlib import capture_logging

opened = lifespan({"source": "shop", "sinks": ["file"], "plugin_config": {"file": {"path": "shop.log"}}})


@asynccontextmanager
async def running(api: FastAPI) -> AsyncGenerator[dict[str, fapilog.AsyncLoggingContainer]]:
    async with opened(api) as state:
        container = api.state.fapilog
        with capture_logging(container, "uvicorn.error", "bank"):
            await current_logger().info("service started")
            yield state
            await current_logger().info("service stopping")
    print(container.report, file=sys.stderr)


api = FastAPI(lifespan=running)
app = FapilogMiddleware(api)


async def send_receipt(order: int) -> None:
    await current_logger().info("receipt sent", order=order)  # after the response, and before the request's event


@api.post("/orders/{order}", status_code=201)
async def take(order: int, later: BackgroundTasks) -> dict[str, int]:
    with current_logger().span("charge", order=order):
        logging.getLogger("bank").warning("the bank is slow")
    later.add_task(send_receipt, order)
    return {"order": order}


@api.get("/orders/{order}")
def look_up(order: int) -> dict[str, int]:
    """Run in a thread, as it is no coroutine function."""
    log = current_logger().blocking
    if order > 100:
        log.warning("unknown order", order=order)
        raise HTTPException(404)
    log.info("looked up", order=order)
    return {"order": order}


@api.get("/export")
async def export() -> StreamingResponse:
    async def rows() -> AsyncIterator[str]:
        for order in range(3):
            await current_logger().info("exported", order=order)
            yield f"{order}\n"

    return StreamingResponse(rows(), media_type="text/csv")


@api.post("/upload")
async def upload(request: Request) -> dict[str, int]:
    size = len(await request.body())
    await current_logger().info("uploaded", size=size)
    return {"size": size}


@api.get("/broken")
async def broken() -> None:
    raise RuntimeError("told in the request's event")
