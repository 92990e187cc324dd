"""A service of several worker processes that write one file: every line whole, every request once.

    gunicorn --worker-class asgi --workers 3 workers_service:app
    uvicorn --workers 3 workers_service:app

Each worker opens a container of its own, in its lifespan: events are told apart by `container`, and `process.pid`
says which process it was. Needs: pip install starlette gunicorn (or uvicorn)
"""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import fapilog
from fapilog import current_logger
from fapilog.integrations.asgi import FapilogMiddleware, lifespan

opened = lifespan(
    {
        "source": "workers",
        "sinks": ["file"],
        "enrichers": ["runtime"],
        "plugin_config": {"file": {"path": "workers.log", "max_bytes": 50_000_000, "keep": 5}},
    }
)


@asynccontextmanager
async def running(app: Starlette) -> AsyncGenerator[dict[str, fapilog.AsyncLoggingContainer]]:
    async with opened(app) as state:
        await current_logger().info("worker started")
        yield state
        await current_logger().info("worker stopping")
    print(app.state.fapilog.report, file=sys.stderr, flush=True)


async def order(request: Request) -> JSONResponse:
    await current_logger().info("ordered", order=request.path_params["order"])
    return JSONResponse({"worker": os.getpid()})


app = FapilogMiddleware(Starlette(routes=[Route("/orders/{order:int}", order, methods=["POST"])], lifespan=running))
