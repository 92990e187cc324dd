"""FastAPI: the logger as a dependency."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Depends
from starlette.requests import HTTPConnection

from ..logger import AsyncLogger
from ._lifespan import lifespan as lifespan
from .asgi import FapilogMiddleware as FapilogMiddleware
from .asgi import logger_of


async def request_logger(connection: HTTPConnection) -> AsyncLogger:
    """Return the logger of the request or WebSocket.

    Raises:
        ContainerStateError: if there is neither a middleware around nor a container in the lifespan's state.
    """
    return logger_of(connection.scope)


Logger: TypeAlias = Annotated[AsyncLogger, Depends(request_logger)]
"""The type of a parameter that is the logger: ``async def order(number: int, log: Logger)``."""

__all__ = ("FapilogMiddleware", "Logger", "lifespan", "request_logger")
