"""Exchange: one HTTP request's messages, watched on their way between server and application."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from ..cancellation import cancellation_in
from ..spans import Span
from ._asgi_types import Header, Message, Receive, Scope, Send
from ._bodies import Body
from ._correlation import Correlation
from ._request_policy import RequestPolicy
from ._watch import CLIENT, Watch, ends_a_request


class Exchange(Watch):
    """One HTTP request and its response."""

    __slots__ = ("_completed", "_received", "_request_body", "_response_body", "_response_headers", "_sent")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, correlation: Correlation, policy: RequestPolicy
    ) -> None:
        super().__init__(scope, receive, send, correlation, policy)
        self._received = 0
        """Bytes of the request's body that the application has taken."""
        self._sent = 0
        """Bytes of the response's body."""
        self._response_headers: list[Header] = []
        self._request_body = Body(policy.request_body) if policy.request_body else None
        self._response_body = Body(policy.response_body) if policy.response_body else None
        self._completed = 0.0
        """When the response was complete; 0 before."""

    async def receive(self) -> Message:
        """Pass on what the server has, and count it."""
        message = await self._receive()
        kind = message["type"]
        if kind == "http.request":
            if body := message.get("body"):
                self._received += len(body)
                if self._request_body is not None:
                    self._request_body.add(body)
        elif kind == "http.disconnect" and not self._completed:
            self._client_left = True
        return message

    async def send(self, message: Message) -> None:
        """Pass on what the application sends, with the id among the headers, and count it.

        What is no part of the response passes as it is: pushes, early hints, and what servers come to know later.
        """
        kind = message["type"]
        last = False
        if kind == "http.response.body":
            if body := message.get("body"):
                self._sent += len(body)
                if self._response_body is not None:
                    self._response_body.add(body)
            last = not message.get("more_body", False)
        elif kind == "http.response.start":
            self._status = message.get("status")
            self._response_headers = headers = self._correlation.added_to(message.get("headers", ()))
            message = {**message, "headers": headers}
        elif kind == "http.response.pathsend":
            # The server sends the file: only the headers say how long it is.
            self._sent += _content_length(self._response_headers)
            last = True
        elif kind == "http.response.zerocopysend":
            self._sent += message.get("count") or 0
            last = not message.get("more_body", False)
        first_last = last and not self._completed
        if first_last:
            # Before the server has it: it may tell of the end of the connection before it returns from here.
            self._completed = perf_counter()
        try:
            await self._send(message)
        except OSError:
            # How a server says that the client has left, since version 2.4 of the specification.
            if first_last or not self._completed:
                self._completed, self._client_left = 0.0, True
            raise
        if first_last:
            self._completed = perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for the response any more."""
        return bool(self._completed) or self._client_left

    def settle(self, span: Span, error: BaseException | None) -> dict[str, Any]:
        """Set how the request ended, and return what to tell of it."""
        status = self._status
        if error is None:
            if not self._completed and self._client_left:
                span.set_outcome("cancelled", cause=CLIENT)
            elif not self._completed or status is None or status >= 500:
                span.set_outcome("error")
        elif self._client_left and ends_a_request(error):
            span.set_outcome("cancelled", cause=CLIENT)
        if status is None and not self._client_left and (error is None or cancellation_in(error) is None):
            status = 500  # what a server sends when the application sent nothing
        return self._told(status, span._began / 1e9)

    def _told(self, status: int | None, began: float) -> dict[str, Any]:
        scope, policy = self._scope, self._policy
        told: dict[str, Any] = {"method": scope["method"], "path": scope["path"], **self._told_of_client()}
        if status is not None:
            told["status"] = status
        told["request_size"] = self._received
        told["response_size"] = self._sent
        if self._completed:
            told["response_duration"] = round(self._completed - began, 6)
        elif self._status is not None:
            told["incomplete"] = True
        told.update(self._told_of_request())
        if shown := policy.told_headers(self._response_headers, policy.response_headers):
            told["response_headers"] = shown
        for name, kept, headers in (
            ("request_body", self._request_body, scope["headers"]),
            ("response_body", self._response_body, self._response_headers),
        ):
            if kept is not None and (body := kept.told(headers, policy.masking)) is not None:
                told[name] = body
        return told


def _content_length(headers: list[Header]) -> int:
    for name, value in headers:
        if name.lower() == b"content-length" and value.isdigit() and len(value) < 20:
            return int(value)
    return 0
