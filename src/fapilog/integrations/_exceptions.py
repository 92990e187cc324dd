"""Exceptions that a framework turns into a response by itself, so that none leaves the application."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ..spans import Span

SPAN_NAME = "fapilog.span"
"""The name of the request's span in the scope; a second middleware further in finds it and keeps out of the way."""
_INTERNAL_ERROR = 500


def listen_for_exceptions(app: object) -> None:
    """Have *app* tell the spans of its requests the exceptions that it handles as internal errors.

    Litestar and Quart do so, and offer to tell of it: Litestar in a list of hooks, Quart by a signal. Starlette and
    FastAPI raise the exception again. Whatever else *app* is, nothing happens.
    """
    modules = {base.__module__.partition(".")[0] for base in type(app).__mro__}
    if "litestar" in modules:
        hooks: Any = getattr(app, "after_exception", ())
        if hasattr(hooks, "append") and _after_exception not in hooks:
            hooks.append(_after_exception)
    elif "quart" in modules:
        signals: Any = sys.modules.get("quart.signals")
        if signals is not None:
            signals.got_request_exception.connect(_got_exception, app)
            signals.got_websocket_exception.connect(_got_exception, app)


async def _after_exception(exception: Exception, scope: Mapping[str, Any]) -> None:
    """Take an exception from Litestar, which tells of those too that are answers, such as a page not found."""
    if getattr(exception, "status_code", _INTERNAL_ERROR) >= _INTERNAL_ERROR:
        _tell(scope, exception)


async def _got_exception(app: Any, exception: BaseException, **_: Any) -> None:
    """Take an exception from Quart, whose request is known to the task that handles it."""
    quart: Any = sys.modules["quart"]
    for connection in (quart.request, quart.websocket):
        if connection:
            _tell(connection.scope, exception)


def _tell(scope: Mapping[str, Any], exception: BaseException) -> None:
    span = scope.get(SPAN_NAME)
    if isinstance(span, Span):
        span.set_outcome("error", exception=exception)
