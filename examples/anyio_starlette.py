"""A Starlette service: the container lives in the lifespan, every request has an id and one event.

Serve it on either backend, ``hypercorn -k trio anyio_starlette:app`` or ``hypercorn anyio_starlette:app``, or run this
file. Needs the extra: pip install "fapilog[demo]".
"""

import anyio
import hypercorn.trio
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from fapilog import current_logger
from fapilog.integrations.asgi import FapilogMiddleware, lifespan


async def charge(order: int) -> None:
    await current_logger().info("charged", order=order)  # in another task, with the request's id all the same


async def checkout(request: Request) -> JSONResponse:
    order = request.path_params["order"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(charge, order)
    return JSONResponse({"order": order})


async def broken(request: Request) -> JSONResponse:
    raise RuntimeError("told in the request's event")


app = FapilogMiddleware(
    Starlette(
        routes=[Route("/checkout/{order:int}", checkout, methods=["POST"]), Route("/broken", broken)],
        lifespan=lifespan({"source": "shop"}),
    )
)


async def main() -> None:
    config = Config()
    config.bind = ["127.0.0.1:8080"]
    await hypercorn.trio.serve(app, config)


if __name__ == "__main__":
    anyio.run(main, backend="trio")
