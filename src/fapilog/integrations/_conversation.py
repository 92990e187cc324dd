"""Conversation: one WebSocket's messages, watched on their way between server and application."""

from __future__ import annotations

from typing import Any

from ..spans import Span
from ._asgi_types import Message, Receive, Scope, Send
from ._correlation import Correlation
from ._request_policy import RequestPolicy
from ._watch import CLIENT, Watch, ends_a_request

_NORMAL = 1000
_LOST = 1006
"""What a server tells when the client was gone without a close frame (RFC 6455, section 7.4.1)."""
_INTERNAL_ERROR = 1011
_FORBIDDEN = 403
"""What a server answers when the application closes before it has accepted."""


class Conversation(Watch):
    """One WebSocket, from the handshake to the close."""

    __slots__ = (
        "_accepted",
        "_close_code",
        "_closed_by",
        "_received",
        "_received_size",
        "_sent",
        "_sent_size",
        "_subprotocol",
    )

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, correlation: Correlation, policy: RequestPolicy
    ) -> None:
        super().__init__(scope, receive, send, correlation, policy)
        self._accepted = False
        self._closed_by = ""
        self._close_code: int | None = None
        self._subprotocol: str | None = None
        self._received = self._sent = 0
        self._received_size = self._sent_size = 0

    async def receive(self) -> Message:
        """Pass on what the server has, and count it."""
        message = await self._receive()
        kind = message["type"]
        if kind == "websocket.receive":
            self._received += 1
            self._received_size += _size(message)
        elif kind == "websocket.disconnect" and not self._closed_by:
            self._closed_by = "client"
            self._close_code = message.get("code", 1005)
            self._client_left = self._close_code == _LOST
        return message

    async def send(self, message: Message) -> None:
        """Pass on what the application sends, with the id among the headers of the handshake, and count it."""
        kind = message["type"]
        if kind == "websocket.send":
            self._sent += 1
            self._sent_size += _size(message)
        elif kind in ("websocket.accept", "websocket.http.response.start"):
            message = {**message, "headers": self._correlation.added_to(message.get("headers") or ())}
        try:
            await self._send(message)
        except OSError:
            # How a server says that the client has left, since version 2.4 of the specification.
            self._client_left = self._client_left or not self._closed_by
            raise
        if kind == "websocket.accept":
            self._accepted = True
            self._subprotocol = message.get("subprotocol")
        elif kind == "websocket.close" and not self._closed_by:
            self._closed_by = "application"
            if self._accepted:
                self._close_code = message.get("code", _NORMAL)
            else:
                self._status = _FORBIDDEN
        elif kind == "websocket.http.response.start":
            self._closed_by = "application"
            self._status = message.get("status")

    @property
    def is_over(self) -> bool:
        """Whether either side has closed, so that the server has nothing to say any more."""
        return bool(self._closed_by) or self._client_left

    def settle(self, span: Span, error: BaseException | None) -> dict[str, Any]:
        """Set how the conversation ended, and return what to tell of it."""
        if error is None:
            if self._client_left:
                span.set_outcome("cancelled", cause=CLIENT)
            elif not self._closed_by and not self._accepted:
                self._status = 500  # what a server sends when the application has not answered
                span.set_outcome("error")
            elif (self._closed_by == "application" and self._close_code == _INTERNAL_ERROR) or (
                self._status or 0
            ) >= 500:
                span.set_outcome("error")
        elif self._closed_by == "client" or self._client_left:
            # Frameworks tell the application by an exception that the client has closed.
            if ends_a_request(error):
                if self._client_left:
                    span.set_outcome("cancelled", cause=CLIENT)
                else:
                    span.set_outcome("ok")
        elif not self._accepted:
            self._status = 500
        return self._told()

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = {"path": self._scope["path"], **self._told_of_client(), "accepted": self._accepted}
        if self._status is not None:
            told["status"] = self._status
        if self._accepted:
            told["received"], told["received_size"] = self._received, self._received_size
            told["sent"], told["sent_size"] = self._sent, self._sent_size
            if self._closed_by:
                told["closed_by"] = self._closed_by
            if self._close_code is not None:
                told["close_code"] = self._close_code
            if self._subprotocol is not None:
                told["subprotocol"] = self._subprotocol
        told.update(self._told_of_request())
        return told


def _size(message: Message) -> int:
    """Return the bytes of a message; a text has the characters that it has counted once encoded in UTF-8."""
    data = message.get("bytes")
    if data is not None:
        return len(data)
    text = message.get("text") or ""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
