"""ASGI: a container that lives as long as the application, and one event for each request."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import Any, TypeAlias, cast

import anyio
import attrs

from ..container import AsyncLoggingContainer, SettingsSource
from ..errors import ContainerStateError, QueueFull
from ..event import Level

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[dict[str, AsyncLoggingContainer]]]

STATE_NAME = "fapilog"
"""The name of the container in ``scope["state"]`` and on ``app.state``."""

_LONGEST_REQUEST_ID = 128
_TRACEPARENT = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace_id>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?"
)


class FapilogMiddleware:
    """Logs one event for each HTTP request, and gives every event of a request the request's id.

    Inside a request ``current_logger()`` is the container's root logger, and the events have the
    ``request_id`` in their context and as their ``correlation_id``. The id is the ``x-request-id`` header, if it
    is printable ASCII of at most 128 characters, else the trace id of a valid ``traceparent``, else a new one;
    it is sent back as ``x-request-id``, unless the application sets that header itself.

    The event is logged by the logger ``asgi``, when the application has returned or raised, with ``method``,
    ``path``, ``status``, ``duration`` (seconds) and ``outcome``: ``ok``, ``error`` (an exception or a status from
    500, at ERROR), or ``cancelled`` (the client left or the request was cancelled before the response was
    complete). An exception is part of the event, those in a group too, and passes on unchanged.
    Lifespan and websocket connections pass through.

    Wrap it around the whole application, ``app = FapilogMiddleware(Starlette(...))``, and the pages that an
    error handler sends have the id too.

    Parameters:
        app: the ASGI application.
        container: the container to log to; if None, the one that :func:`lifespan` opened, or that another
            lifespan put into its state as ``fapilog``.
    """

    def __init__(self, app: ASGIApp, container: AsyncLoggingContainer | None = None) -> None:
        self.app = app
        self._container = container

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            ContainerStateError: if there is no container to log to.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        container = self._container or _container_of(scope)
        exchange = _Exchange(receive, send, _request_id(scope))
        with (
            container.entered() as root,
            root.context(request_id=exchange.request_id, correlation_id=exchange.request_id),
        ):
            log = root.named("asgi")
            began = perf_counter()
            try:
                await self.app(scope, exchange.receive, exchange.send)
            except BaseException as error:
                level, told, logged = exchange.failure(error)
                # Never waits: this may be a cancellation on its way.
                log.nowait.log(level, "request", exc_info=logged, **_request(scope, began), **told)
                raise
            level, told = exchange.success()
            try:
                await log.log(level, "request", **_request(scope, began), **told)
            except QueueFull:
                pass  # counted as rejected; the request itself went well


@attrs.define(eq=False)
class _Exchange:
    """One request's messages, watched on their way between server and application."""

    _receive: Receive
    _send: Send
    request_id: str
    _status: int | None = None
    _complete: bool = False
    _client_left: bool = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._complete:
            self._client_left = True
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
            message = {**message, "headers": self._with_request_id(message.get("headers", ()))}
        try:
            await self._send(message)
        except OSError:
            # How a server says that the client has left, since version 2.4 of the specification.
            self._client_left = self._client_left or not self._complete
            raise
        if kind == "http.response.body" and not message.get("more_body", False):
            self._complete = True

    def _with_request_id(self, headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = list(headers)
        if not any(name.lower() == b"x-request-id" for name, _ in headers):
            headers.append((b"x-request-id", self.request_id.encode("ascii")))
        return headers

    def success(self) -> tuple[Level, dict[str, Any]]:
        """Return the level and what to tell when the application has returned."""
        if self._client_left:
            return Level.INFO, {"status": self._status, "outcome": "cancelled"}
        status = self._status or 500  # what a server sends when the application sent nothing
        if status >= 500:
            return Level.ERROR, {"status": status, "outcome": "error"}
        return Level.INFO, {"status": status, "outcome": "ok"}

    def failure(self, error: BaseException) -> tuple[Level, dict[str, Any], BaseException | None]:
        """Return the level, what to tell, and the exception to tell of, when the application has raised *error*."""
        cancelled = anyio.get_cancelled_exc_class()

        def is_end(leaf: BaseException) -> bool:
            return isinstance(leaf, cancelled) or (self._client_left and _says_client_left(leaf))

        if _all_leaves(error, is_end):
            return Level.INFO, {"status": self._status, "outcome": "cancelled"}, None
        return Level.ERROR, {"status": self._status or 500, "outcome": "error"}, error


def _all_leaves(error: BaseException, matches: Callable[[BaseException], bool]) -> bool:
    """Return whether *matches* holds for *error*, or for every exception in it if it is a group."""
    if isinstance(error, BaseExceptionGroup):
        inside = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return all(_all_leaves(leaf, matches) for leaf in inside)
    return matches(error)


def _says_client_left(error: BaseException) -> bool:
    # Starlette's error, by its name: importing Starlette here would make everybody need it.
    return isinstance(error, OSError) or type(error).__name__ == "ClientDisconnect"


def _request(scope: Scope, began: float) -> dict[str, Any]:
    """Return what to tell of a request; the query is left out, for it may hold secrets."""
    return {
        "method": scope["method"],
        "path": scope["path"],
        "duration": round(perf_counter() - began, 6),
    }


def _request_id(scope: Scope) -> str:
    """Return the id that the request came with, or a new one."""
    given = traceparent = b""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = given or value
        elif name == b"traceparent":
            traceparent = traceparent or value
    given = given.strip()
    if 0 < len(given) <= _LONGEST_REQUEST_ID and all(0x20 <= character <= 0x7E for character in given):
        return str(given, "ascii")
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found and not (found["more"] and found["version"] == b"00"):
        return str(found["trace_id"], "ascii")
    return secrets.token_hex(16)


def _container_of(scope: Scope) -> AsyncLoggingContainer:
    """Return the container in the lifespan's state or on the application's."""
    state = scope.get("state")
    container = cast("Mapping[str, Any]", state).get(STATE_NAME) if isinstance(state, Mapping) else None
    if container is None:
        container = getattr(getattr(scope.get("app"), "state", None), STATE_NAME, None)
    if not isinstance(container, AsyncLoggingContainer):
        raise ContainerStateError(
            "FapilogMiddleware found no container: give the application the lifespan of "
            "fapilog.integrations.asgi.lifespan(), check that the server runs it, or pass container= to the middleware"
        )
    return container


def lifespan(settings: SettingsSource = None, *, sinks: Sequence[object] | None = None) -> Lifespan:
    """Return a lifespan, for ``Starlette(lifespan=...)``, that opens a container and drains it at the end.

    The container is put into the lifespan's state, and on ``app.state``, as ``fapilog``; there its report
    can be read when it has been left. Each start of the application opens a new one.

    Parameters:
        settings, sinks: as for :class:`fapilog.AsyncLoggingContainer`; what is wrong with them is raised
            when the application starts.
    """

    @asynccontextmanager
    async def opened(app: Any) -> AsyncGenerator[dict[str, AsyncLoggingContainer]]:
        async with AsyncLoggingContainer(settings, sinks=sinks) as container:
            state = getattr(app, "state", None)
            if state is not None:
                setattr(state, STATE_NAME, container)
            yield {STATE_NAME: container}

    return opened


__all__ = ("FapilogMiddleware", "lifespan")
