"""ASGI: a container that lives as long as the application, and a span around each request and each WebSocket."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from time import perf_counter_ns
from typing import Any

from ..container import AsyncLoggingContainer, SettingsSource
from ..current import current_logger
from ..errors import NoCurrentLogger
from ..logger import AsyncLogger, NowaitLogger
from ..spans import Span
from ._asgi_types import ASGIApp as ASGIApp
from ._asgi_types import Receive, Scope, Send
from ._conversation import Conversation
from ._correlation import Correlation
from ._exceptions import SPAN_NAME, listen_for_exceptions
from ._exchange import Exchange
from ._lifespan import STATE_NAME as STATE_NAME
from ._lifespan import HostedContainer, container_of
from ._lifespan import Lifespan as Lifespan
from ._lifespan import lifespan as lifespan
from ._request_policy import RequestPolicy
from ._request_span import RequestSpan
from ._routes import route_of
from ._served import remember


class FapilogMiddleware:
    """Gives each request and each WebSocket an id, a span, and one event that tells how it went.

    Inside a request ``current_logger()`` is the container's root logger, in its background tasks, threads and
    dependencies too, and the events have the id as their ``correlation_id``, and as ``request_id`` in their context.
    The id is the first valid one of ``x-request-id``, ``x-correlation-id`` (printable ASCII of at most 128 characters)
    and the trace id of ``traceparent``, else a new one. It is sent back as ``x-request-id``, and as
    ``x-correlation-id`` if that is where it was found, unless the application sets the header itself.

    The event is logged by the logger ``asgi`` when the application has returned or raised. It is the event of a span,
    a child of the one that ``traceparent`` names: ``request`` with ``method``, ``path``, ``route``, ``client``,
    ``status``, ``request_size``, ``response_size`` (bytes) and ``response_duration`` (seconds until the response was
    complete; the span's own duration includes background tasks), or ``websocket`` with ``path``, ``route``,
    ``client``, ``accepted``, what was ``received`` and ``sent``, ``closed_by`` and ``close_code``. The span's outcome
    is ``ok``; ``error`` at ERROR, for an exception, a status from 500 or a response that was not completed;
    ``cancelled`` if the request was cancelled, with the source ``client`` if it was the client that left; or
    ``deadline``. An exception is part of the event, those in a group too, and passes on unchanged.

    Wrap it around the whole application, ``app = FapilogMiddleware(Starlette(...))``, and the pages that an
    error handler sends have the id too.

    Parameters:
        app: the ASGI application.
        container: the container to log to; if None, the one of *settings*, else the one that :func:`lifespan` opened,
            or that another lifespan put into its state as ``fapilog``.
        settings, sinks: as for :class:`fapilog.AsyncLoggingContainer`: if one of them is given, the middleware opens a
            container itself when the server starts the application, and drains it when the server stops. For
            frameworks whose lifespan is not Starlette's.
        skip: patterns such as ``/health`` and ``/static/*`` of paths whose requests get no event, and no span. ``*``
            stands for any characters, slashes too. What is logged inside has the id all the same.
        sample, slow, buffer: as for :meth:`fapilog.AsyncLogger.span`: the share of requests that are logged even if
            all goes well, the seconds from which a request counts as slow, and the level of the details to keep until a
            request fails.
        request_headers, response_headers: names of headers to tell, in any case; ``["*"]`` for all.
        query: whether the query is told.
        request_body, response_body: the longest body to tell, from 0 (none) to 1048576 bytes. JSON, forms and texts
            are told; of what is longer, compressed or of another kind, only that.
        redact: names of headers, query parameters and members of bodies that hold secrets, beside those that are known
            to, such as ``authorization``, ``cookie`` and ``access_token``. The values of all of them are masked, and so
            is what looks like a credential elsewhere.

    Raises:
        ValueError: if one of them is not what it may be.
    """

    def __init__(
        self,
        app: ASGIApp,
        container: AsyncLoggingContainer | None = None,
        *,
        settings: SettingsSource = None,
        sinks: Sequence[object] | None = None,
        skip: Collection[str] = (),
        sample: float | None = None,
        slow: float | None = None,
        buffer: str | int | None = None,
        request_headers: Collection[str] = (),
        response_headers: Collection[str] = (),
        query: bool = False,
        request_body: int = 0,
        response_body: int = 0,
        redact: Collection[str] = (),
    ) -> None:
        if container is not None and not (settings is None and sinks is None):
            raise ValueError("give the middleware a container, or the settings and sinks of one to open, but not both")
        self.app = app
        listen_for_exceptions(app)
        self._container = container
        self._host = None if settings is None and sinks is None else HostedContainer(settings, sinks)
        self._loggers: tuple[AsyncLogger, NowaitLogger] | None = None
        """The root logger of the container that was used last, and the one that tells of requests."""
        self._policy = RequestPolicy.of(
            skip=skip,
            sample=sample,
            slow=slow,
            buffer=buffer,
            request_headers=request_headers,
            response_headers=response_headers,
            query=query,
            request_body=request_body,
            response_body=response_body,
            redact=redact,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            ContainerStateError: if there is no container to log to.
        """
        kind = scope["type"]
        if kind == "lifespan" and self._host is not None:
            await self._host.run(self.app, scope, receive, send)
        elif kind not in ("http", "websocket") or SPAN_NAME in scope:
            await self.app(scope, receive, send)
        else:
            await self._serve(kind, scope, receive, send)

    async def _serve(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        root, log = self._loggers_for(scope)
        policy = self._policy
        correlation = Correlation.of(scope["headers"])
        watch = Exchange if kind == "http" else Conversation
        exchange = watch(scope, receive, send, correlation, policy)
        with log.container.entered(), root.context(**correlation.context):
            error: BaseException | None = None
            if policy.skips(scope["path"]):
                began = perf_counter_ns()
                try:
                    await self.app({**scope, SPAN_NAME: None}, receive, exchange.send)
                except BaseException as raised:
                    error = raised
                    raise
                finally:
                    remember(root, began, scope, error)
                return
            name = "request" if kind == "http" else "websocket"
            span = RequestSpan(log, name, correlation.traceparent, policy.plan)
            # A copy, as the specification asks for: frameworks write into it what they find, such as the route.
            inner = {**scope, SPAN_NAME: span}
            try:
                with span:
                    try:
                        await self.app(inner, exchange.receive, exchange.send)
                    except BaseException as raised:
                        error = raised
                        raise
                    finally:
                        span.set(**self._told(span, exchange, inner, scope, error))
                        # Not when cancelled or closed, and not while the server has yet to answer for the application.
                        span.may_wait = exchange.is_over and (error is None or isinstance(error, Exception))
            finally:
                remember(root, span._began, scope, error)
                await span.acceptance

    def _told(
        self,
        span: Span,
        exchange: Exchange | Conversation,
        inner: Scope,
        scope: Scope,
        error: BaseException | None,
    ) -> dict[str, Any]:
        told = exchange.settle(span, error)
        if (route := route_of(inner, scope.get("root_path", ""), self.app)) is not None:
            told["route"] = route
        return told

    def _loggers_for(self, scope: Scope) -> tuple[AsyncLogger, NowaitLogger]:
        host = self._host
        container = self._container or (None if host is None else host.container) or container_of(scope)
        loggers = self._loggers
        if loggers is None or loggers[0].container is not container:
            root = container.logger()
            loggers = self._loggers = root, root.nowait.named("asgi")
        return loggers


def request_span(scope: Scope) -> Span | None:
    """Return the span of the request that *scope* is about, to add fields to its event or to keep what it holds back.

    None where no middleware is around, or the request is one that it skips.
    """
    return scope.get(SPAN_NAME)


def logger_of(scope: Scope) -> AsyncLogger:
    """Return the current logger; where no middleware is around, the root logger of the lifespan's container.

    Raises:
        ContainerStateError: if there is neither.
    """
    try:
        return current_logger()
    except NoCurrentLogger:
        return container_of(scope).logger()


__all__ = ("FapilogMiddleware", "lifespan", "request_span")
