"""Health endpoint: an ASGI application that answers whether a container can do its work."""

from __future__ import annotations

from typing import Any

import orjson

from ..container import AsyncLoggingContainer
from ..health import HealthReport
from ._asgi_types import Receive, Scope, Send
from ._lifespan import container_of


class HealthEndpoint:
    """Answers ``GET`` and ``HEAD`` for paths that end in ``/live`` or ``/ready``; any other path counts as ``/ready``.

    The status is 200 if the container is live or ready and 503 if not. The body is a JSON object with ``status``
    (``ok`` or ``unavailable``), ``state`` and ``reasons``, and with the queues and each sink's reasons if there are to
    be details. Restart a process that is not live; send no requests to one that is not ready, if it must not work
    without its log. Mount it where it belongs: ``Mount("/health", HealthEndpoint(container))``.

    Parameters:
        container: the container; None for the one that :func:`fapilog.integrations.asgi.lifespan` opened.
        details: whether the queues and the sinks are told.
        errors: whether each sink's last error is told too. It may hold what its target said: only for those who may
            see that.
    """

    def __init__(
        self, container: AsyncLoggingContainer | None = None, *, details: bool = False, errors: bool = False
    ) -> None:
        self._container = container
        self._details = details or errors
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other kinds of connection are not taken.

        Raises:
            ContainerStateError: if there is no container to ask.
            ValueError: if the connection is no HTTP request.
        """
        if scope["type"] != "http":
            raise ValueError(f"HealthEndpoint answers HTTP requests only, not {scope['type']!r}")
        if scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, b"", ((b"allow", b"GET, HEAD"),))
            return
        report = (self._container or container_of(scope)).health()
        good = report.live if str(scope["path"]).rstrip("/").endswith("/live") else report.ready
        body = b"" if scope["method"] == "HEAD" else orjson.dumps(self._told(report, good))
        await _answer(send, 200 if good else 503, body, ((b"content-type", b"application/json"),))

    def _told(self, report: HealthReport, good: bool) -> dict[str, Any]:
        told: dict[str, Any] = {
            "status": "ok" if good else "unavailable",
            "state": report.state,
            "reasons": report.reasons,
        }
        if self._details:
            told["queue"] = {"depth": report.queue_depth, "capacity": report.queue_capacity}
            told["sinks"] = {}
            for name, sink in report.sinks.items():
                told["sinks"][name] = {
                    "ready": sink.ready,
                    "required": sink.required,
                    "reasons": sink.reasons,
                    "failures": sink.failures,
                    "queue": {"depth": sink.queue_depth, "capacity": sink.queue_capacity},
                    "in_flight": sink.in_flight,
                }
                if self._errors and sink.last_error_at is not None:
                    told["sinks"][name]["last_error"] = sink.last_error
                    told["sinks"][name]["last_error_at"] = sink.last_error_at
        return told


async def _answer(send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    headers = (*headers, (b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


__all__ = ("HealthEndpoint",)
