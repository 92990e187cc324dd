"""A Starlette service that logs five events for each request of an item, and none for a silent one.

``python -m benchmarks.tasks.service OPTIONS-AS-JSON``
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ..peers.interface import Calls, Target, make_loop

EVENTS_PER_REQUEST = 5
MANY = 1_000_000
"""More events than a run logs, for loggers that drop what exceeds a queue."""


def application(module: str, options: dict[str, Any]) -> Starlette:
    """Return the service; its logger, which writes to the standard output, lives as long as it does."""
    peer = importlib.import_module(f"benchmarks.peers.{module}")
    numbers = count()
    nothing = make_loop(Calls({}, "pass", "pass", "if True:"))
    log: Any = None

    async def item(request: Request) -> JSONResponse:
        number = next(numbers)
        begin = number * EVENTS_PER_REQUEST
        loop = nothing if request.path_params["kind"] == "silent" else log
        await loop(range(begin, begin + EVENTS_PER_REQUEST), f"r-{number}")
        return JSONResponse({"item": number})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        nonlocal log
        async with peer.opened(Target(None, MANY, options=options)) as calls:
            log = make_loop(calls)
            yield

    # One route for both: of two, the second would take longer to find, as much as logging an event.
    return Starlette(routes=[Route("/{kind}/{item}", item)], lifespan=lifespan)


def serve_with_uvicorn(app: Starlette, port: int) -> None:
    import uvicorn

    uvicorn.run(app, port=port, log_level="critical", access_log=False)


def serve_with_hypercorn(app: Starlette, port: int) -> None:
    import signal
    from functools import partial

    import trio
    from hypercorn.config import Config
    from hypercorn.trio import serve

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = config.errorlog = None

    async def until_terminated() -> None:
        stop = trio.Event()

        async def wait_for_the_signal() -> None:
            with trio.open_signal_receiver(signal.SIGTERM) as signals:
                async for _ in signals:
                    stop.set()
                    return

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_the_signal)
            await serve(app, config, shutdown_trigger=stop.wait)
            nursery.cancel_scope.cancel()

    trio.run(partial(until_terminated))


SERVERS = {"uvicorn": serve_with_uvicorn, "hypercorn": serve_with_hypercorn}


def main() -> None:
    options = json.loads(sys.argv[1])
    app = application(options["module"], options.get("options", {}))
    SERVERS[options["server"]](app, options["port"])


if __name__ == "__main__":
    main()
