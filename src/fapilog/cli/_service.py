"""The demo's service: a Starlette application under Hypercorn, logging as an application would."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import anyio
from anyio.lowlevel import checkpoint
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from ..container import AsyncLoggingContainer
from ..current import current_logger
from ..integrations.asgi import FapilogMiddleware, lifespan
from ..integrations.stdlib import capture_logging


class Service:
    """The application, and the container that its lifespan opens."""

    def __init__(self, settings: Mapping[str, Any], sinks: Sequence[object]) -> None:
        self._opened = lifespan(settings, sinks=sinks)
        self._starlette = Starlette(
            routes=[
                Route("/orders/{number:int}", _order),
                Route("/broken", _broken),
                Route("/broken-group", _broken_group),
                Route("/slow", _slow),
            ],
            lifespan=self._lifespan,
        )
        self.app = FapilogMiddleware(self._starlette)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncGenerator[dict[str, AsyncLoggingContainer]]:
        async with self._opened(app) as state:
            with capture_logging(state["fapilog"], "hypercorn", "httpx2", level=logging.INFO):
                yield state

    @property
    def container(self) -> AsyncLoggingContainer:
        """The container; known once the service has started."""
        container: AsyncLoggingContainer = self._starlette.state.fapilog
        return container

    async def serve(self, backend: str, listener: socket.socket, until: Callable[[], Awaitable[None]]) -> None:
        """Serve under Hypercorn's worker for *backend*.

        Parameters:
            backend: ``trio`` or ``asyncio``.
            listener: the socket to listen on; it belongs to Hypercorn from here on.
            until: returns when the service is to stop.
        """
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        # As a logger, not as a target: Hypercorn then leaves its handlers alone. Its access log would say again what
        # the middleware says.
        config.errorlog = logging.getLogger("hypercorn.error")
        serve: Callable[..., Awaitable[None]] = import_module(f"hypercorn.{backend}").serve
        await serve(self.app, config, shutdown_trigger=until)


async def _order(request: Request) -> JSONResponse:
    number = request.path_params["number"]
    log = current_logger().named("orders")
    with log.span("read order", order=number):
        await checkpoint()  # where a service would ask its database
        await log.info("order found", order=number, items=number % 7)
    return JSONResponse({"order": number})


async def _broken(request: Request) -> JSONResponse:
    raise RuntimeError("the demo's broken route")


async def _broken_group(request: Request) -> JSONResponse:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_fail, "payment")
        tasks.start_soon(_fail, "stock")
    return JSONResponse({})


async def _fail(what: str) -> None:
    raise ValueError(f"no {what} service in the demo")


async def _slow(request: Request) -> StreamingResponse:
    return StreamingResponse(_slow_lines(), media_type="text/plain")


async def _slow_lines() -> AsyncGenerator[str]:
    log = current_logger().named("slow")
    finished = False
    try:
        yield "first line\n"
        await anyio.sleep(60)
        yield "second line\n"
        finished = True
    finally:
        # Runs while the request is being cancelled; the event is accepted all the same.
        await log.info("slow response ended", finished=finished)
