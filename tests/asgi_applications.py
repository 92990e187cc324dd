"""The same application in each framework, and a server for it in a process of its own.

``python tests/asgi_applications.py SERVER FRAMEWORK PORT LOG`` serves until SIGTERM.
"""

import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from fapilog import current_logger
from fapilog.integrations.access_logs import capture_server_logs
from fapilog.integrations.asgi import FapilogMiddleware
from fapilog.plugins import Batch

OPTIONS: dict[str, Any] = {
    "skip": ["/health", "/untold"],
    "query": True,
    "request_headers": ["authorization", "x-team"],
}


async def work(number: int) -> dict[str, int]:
    log = current_logger()
    await log.info("in the handler", number=number)
    await anyio.to_thread.run_sync(partial(log.nowait.info, "in a thread"))
    return {"number": number}


async def fail() -> None:
    raise ExceptionGroup("both", [ValueError("first"), KeyError("second")])


async def lines() -> AsyncIterator[bytes]:
    for number in range(3):
        await current_logger().info("streaming", number=number)
        yield f"{number}\n".encode()


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1024
        await anyio.sleep(0.01)


async def afterwards() -> None:
    await current_logger().info("in the background")


@asynccontextmanager
async def own_lifespan(app: Any = None) -> AsyncGenerator[None]:
    async with server_logs_taken():
        yield


@asynccontextmanager
async def server_logs_taken() -> AsyncGenerator[None]:
    """Take what the server logs, and tell at the end what was not logged."""
    log = current_logger()
    with capture_server_logs():
        yield
    await log.info("account", filtered=dict(log.container.stats().filtered))


def starlette(settings: dict[str, Any]) -> Any:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Mount, Route, WebSocketRoute
    from starlette.websockets import WebSocket

    from fapilog.integrations.starlette import lifespan

    async def item(request: Request) -> JSONResponse:
        return JSONResponse(await work(request.path_params["number"]), background=BackgroundTask(afterwards))

    async def broken(request: Request) -> None:
        await fail()

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(endless() if "endless" in request.url.path else lines())

    async def health(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message)

    items = Mount("/items", routes=[Route("/{number:int}", item)])
    routes = [
        items,
        Route("/broken", broken),
        Route("/untold", broken),
        Route("/stream", stream),
        Route("/endless", stream),
        Route("/health", health),
        WebSocketRoute("/socket", socket),
    ]
    return FapilogMiddleware(Starlette(routes=routes, lifespan=lifespan(settings, own_lifespan)), **OPTIONS)


def fastapi(settings: dict[str, Any]) -> Any:
    from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, WebSocket
    from fastapi.responses import PlainTextResponse, StreamingResponse

    from fapilog.integrations.fastapi import Logger, lifespan

    app = FastAPI(lifespan=lifespan(settings, own_lifespan))
    items = APIRouter(prefix="/items")

    def dependency(log: Logger) -> None:  # synchronous: FastAPI runs it in a thread
        log.nowait.info("in a dependency")

    @items.get("/{number}")
    async def item(
        number: int, tasks: BackgroundTasks, log: Logger, needed: None = Depends(dependency)
    ) -> dict[str, int]:
        tasks.add_task(afterwards)
        return await work(number)

    @app.get("/broken")
    @app.get("/untold")
    async def broken() -> None:
        await fail()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(lines())

    @app.get("/endless")
    async def unending() -> StreamingResponse:
        return StreamingResponse(endless())

    @app.get("/health")
    async def health() -> PlainTextResponse:
        return PlainTextResponse("ok")

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, log: Logger) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message)

    app.include_router(items)
    return FapilogMiddleware(app, **OPTIONS)


def litestar(settings: dict[str, Any]) -> Any:
    from litestar import Litestar, WebSocket, get, websocket
    from litestar.background_tasks import BackgroundTask
    from litestar.response import Response, Stream

    @get("/items/{number:int}")
    async def item(number: int) -> Response[dict[str, int]]:
        return Response(await work(number), background=BackgroundTask(afterwards))

    @get("/broken")
    async def broken() -> None:
        await fail()

    @get("/stream")
    async def stream() -> Stream:
        return Stream(lines())

    @get("/endless")
    async def unending() -> Stream:
        return Stream(endless())

    @get("/health", media_type="text/plain")
    async def health() -> str:
        return "ok"

    @websocket("/socket")
    async def socket(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        async for message in socket.iter_data():
            await socket.send_text(message)

    app = Litestar([item, broken, stream, unending, health, socket], lifespan=[own_lifespan], openapi_config=None)
    return FapilogMiddleware(app, settings=settings, **OPTIONS)


def quart(settings: dict[str, Any]) -> Any:
    from quart import Quart

    return _quart(Quart("application"), settings)


def quart_trio(settings: dict[str, Any]) -> Any:
    from quart_trio import QuartTrio

    return _quart(QuartTrio("application"), settings)


def _quart(app: Any, settings: dict[str, Any]) -> Any:
    from quart import websocket

    @app.route("/items/<int:number>")
    async def item(number: int) -> dict[str, int]:
        app.add_background_task(afterwards)
        return await work(number)

    @app.route("/broken")
    async def broken() -> None:
        await fail()

    @app.route("/stream")
    async def stream() -> Any:
        return lines()

    @app.route("/endless")
    async def unending() -> Any:
        return endless(), {"x-accel-buffering": "no"}

    @app.route("/health")
    async def health() -> str:
        return "ok"

    @app.websocket("/socket")
    async def socket() -> None:
        while True:
            await websocket.send(await websocket.receive())

    app.while_serving(_serving)
    return FapilogMiddleware(app, settings=settings, **OPTIONS)


async def _serving() -> AsyncGenerator[None]:
    async with server_logs_taken():
        yield


class Held:
    """Appends to a file, once there is another of its name with ``.go`` behind it."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def write(self, batch: Batch) -> None:
        while not await anyio.Path(f"{self._path}.go").exists():  # noqa: ASYNC110 - another process makes it
            await anyio.sleep(0.02)
        async with await anyio.open_file(self._path, "ab") as file:
            await file.write(batch.encoded("json"))


def held(settings: dict[str, Any]) -> Any:
    """Return an application whose queue is full after a few requests; a response that waits for room comes too late."""

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    path = settings["plugin_config"]["file"]["path"]
    patient = {"queue_max_size": 2, "block_timeout": 60, "shutdown_timeout": 60}
    sink = {"queue_batches": 1, "block_timeout": 60, "write_timeout": 60}
    return FapilogMiddleware(plain, settings={**patient, "plugin_config": {"Held": sink}}, sinks=[Held(path)])


FRAMEWORKS = {make.__name__: make for make in (starlette, fastapi, litestar, quart, quart_trio, held)}


def serve_with_uvicorn(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(app, port=port, lifespan="on")


def serve_with_hypercorn(app: Any, port: int, backend: str) -> None:
    from importlib import import_module

    import anyio
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = "-"

    async def main() -> None:
        stop = anyio.Event()

        async def wait_for_the_signal() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM) as signals:
                async for _ in signals:
                    stop.set()
                    return

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for_the_signal)
            await import_module(f"hypercorn.{backend}").serve(app, config, shutdown_trigger=stop.wait)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)


def serve_with_granian(app: Any, port: int) -> None:
    """Start Granian as its command line does: it imports the application in a process of its own."""
    from granian import Granian
    from granian.constants import Interfaces

    server = Granian(
        "asgi_applications:application", port=port, interface=Interfaces.ASGI, factory=True, log_access=True
    )
    server.serve()


def application() -> Any:
    framework, path = os.environ["ASGI_APPLICATION"].split(":", 1)
    return FRAMEWORKS[framework]({"source": "shop", "sinks": ["file"], "plugin_config": {"file": {"path": path}}})


SERVERS = {
    "uvicorn": serve_with_uvicorn,
    "hypercorn-asyncio": partial(serve_with_hypercorn, backend="asyncio"),
    "hypercorn-trio": partial(serve_with_hypercorn, backend="trio"),
    "granian": serve_with_granian,
}


def main() -> None:
    server, framework, port, path = sys.argv[1:]
    os.environ["ASGI_APPLICATION"] = f"{framework}:{path}"
    SERVERS[server](None if server == "granian" else application(), int(port))


if __name__ == "__main__":
    main()
