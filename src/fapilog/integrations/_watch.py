"""Watch: what is common to the ways of watching one connection's messages between server and application."""

from __future__ import annotations

from typing import Any, cast

from ..cancellation import cancellation_in
from ._asgi_types import Receive, Scope, Send
from ._correlation import Correlation
from ._request_policy import RequestPolicy

CLIENT = "client"
"""The source of a cancellation that is the client's leaving."""
_CLIENT_LEFT = frozenset({"ClientDisconnect", "WebSocketDisconnect", "ClientDisconnected"})
"""How Starlette, Litestar and servers call their errors for it: importing them here would make everybody need them."""


class Watch:
    """One connection: what it began with, and how it ends."""

    __slots__ = ("_client_left", "_correlation", "_policy", "_receive", "_scope", "_send", "_status")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, correlation: Correlation, policy: RequestPolicy
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._correlation = correlation
        self._policy = policy
        self._status: int | None = None
        """What the client was answered."""
        self._client_left = False
        """Whether the client was gone before the application was done."""

    def _told_of_client(self) -> dict[str, str]:
        """Return the address of the client, as the server tells it; nothing for one behind a Unix socket."""
        client = self._scope.get("client")
        return {"client": str(client[0])} if client else {}

    def _told_of_request(self) -> dict[str, Any]:
        """Return what is to be told of the request's query and headers."""
        scope, policy = self._scope, self._policy
        told: dict[str, Any] = {}
        if query := policy.told_query(scope):
            told["query"] = query
        if headers := policy.told_headers(scope["headers"], policy.request_headers):
            told["request_headers"] = headers
        return told


def ends_a_request(error: BaseException) -> bool:
    """Return whether *error* is no more than what comes of a client that left, or a group of such."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(ends_a_request, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    return isinstance(error, OSError) or type(error).__name__ in _CLIENT_LEFT or cancellation_in(error) is not None
