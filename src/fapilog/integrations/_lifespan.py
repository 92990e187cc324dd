"""Lifespan: a container that is opened before an application starts, and drained before the server hears of its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeAlias, cast

from ..container import AsyncLoggingContainer, SettingsSource
from ..errors import ContainerStateError, FapilogError
from ._asgi_types import ASGIApp, Message, Receive, Scope, Send

Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]
OwnLifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Any]]

STATE_NAME = "fapilog"
"""The name of the container in ``scope["state"]`` and on ``app.state``."""
_LAST = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})


def lifespan(
    settings: SettingsSource = None, own: OwnLifespan | None = None, *, sinks: Sequence[object] | None = None
) -> Lifespan:
    """Return a lifespan, for ``Starlette(lifespan=...)`` and its like, that opens a container and drains it at the end.

    The container is put into the lifespan's state, and on ``app.state``, as ``fapilog``; there its report
    can be read when it has been left. Each start of the application opens a new one.

    Parameters:
        settings, sinks: as for :class:`fapilog.AsyncLoggingContainer`; what is wrong with them is raised
            when the application starts.
        own: the application's own lifespan. It runs inside, so that it can log from its first line to its last, and
            what it yields is in the state beside the container.
    """

    @asynccontextmanager
    async def opened(app: Any) -> AsyncGenerator[dict[str, Any]]:
        async with AsyncLoggingContainer(settings, sinks=sinks) as container:
            state = getattr(app, "state", None)
            if state is not None:
                setattr(state, STATE_NAME, container)
            inner: AbstractAsyncContextManager[Any] = nullcontext() if own is None else own(app)
            async with inner as yielded:
                yield {**(yielded or {}), STATE_NAME: container}

    return opened


def container_of(scope: Scope) -> AsyncLoggingContainer:
    """Return the container in the lifespan's state or on the application's.

    Raises:
        ContainerStateError: if there is none.
    """
    state = scope.get("state")
    container = cast("Mapping[str, Any]", state).get(STATE_NAME) if isinstance(state, Mapping) else None
    if container is None:
        container = getattr(getattr(scope.get("app"), "state", None), STATE_NAME, None)
    if not isinstance(container, AsyncLoggingContainer):
        raise ContainerStateError(
            "FapilogMiddleware found no container: give the application the lifespan of "
            "fapilog.integrations.starlette.lifespan(), or settings= to the middleware, and check that the server runs "
            "the lifespan; or pass container= to the middleware"
        )
    return container


class HostedContainer:
    """A container that lives as long as an application of whatever framework, by the server's lifespan messages.

    Parameters:
        settings, sinks: as for :class:`fapilog.AsyncLoggingContainer`.
    """

    def __init__(self, settings: SettingsSource, sinks: Sequence[object] | None) -> None:
        self._settings = settings
        self._sinks = sinks
        self.container: AsyncLoggingContainer | None = None
        """The one of the latest start."""

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the lifespan of *app* inside the container.

        The server hears that the shutdown is complete once the container is drained: it may end the process then. An
        application that knows no lifespan gets one all the same.

        Raises:
            FapilogError: if the container cannot be opened, after the server was told so.
        """
        dialogue: _Dialogue | None = None
        try:
            async with AsyncLoggingContainer(self._settings, sinks=self._sinks) as container:
                self.container = container
                state = scope.get("state")
                if isinstance(state, MutableMapping):
                    state[STATE_NAME] = container
                dialogue = _Dialogue(container, receive, send)
                await dialogue.run(app, scope)
        except FapilogError as error:
            if dialogue is None:
                await receive()
                await send({"type": "lifespan.startup.failed", "message": f"fapilog: {error}"})
            raise


class _Dialogue:
    """The lifespan's messages between server and application."""

    def __init__(self, container: AsyncLoggingContainer, receive: Receive, send: Send) -> None:
        self._container = container
        self._receive = receive
        self._send = send
        self._is_known = False
        """Whether the application has taken part."""

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            if self._is_known:
                raise
        if not self._is_known:  # it has raised or returned at once, as applications do that know no lifespan
            await self._receive()
            await self._send({"type": "lifespan.startup.complete"})
            await self._receive()
            await self.send({"type": "lifespan.shutdown.complete"})

    async def receive(self) -> Message:
        self._is_known = True
        return await self._receive()

    async def send(self, message: Message) -> None:
        self._is_known = True
        if message["type"] in _LAST:
            await self._container.aclose()
        await self._send(message)
