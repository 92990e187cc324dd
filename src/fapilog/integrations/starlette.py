"""Starlette: the lifespan of its applications and of FastAPI's."""

from __future__ import annotations

from ._lifespan import lifespan as lifespan
from .asgi import FapilogMiddleware as FapilogMiddleware
from .asgi import request_span as request_span

__all__ = ("FapilogMiddleware", "lifespan", "request_span")
