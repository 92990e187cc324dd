"""The demo's client: sends requests side by side, gives some up, and keeps what it saw."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import anyio
import attrs
import httpx2

CONCURRENCY = 20
_PATIENCE = 0.02
"""Seconds that the client waits for the end of a slow response."""


@attrs.frozen
class Seen:
    """One request as the client saw it."""

    request_id: str
    path: str
    status: int
    """The response's status; for a request that was given up, the one it began with."""
    seconds: float
    cancelled: bool = False

    @property
    def outcome(self) -> str:
        """What the service should have logged as the request's outcome."""
        if self.cancelled:
            return "cancelled"
        return "error" if self.status >= 500 else "ok"


def path_of(number: int) -> str:
    """Return what the request of that number asks for: of twenty, one fails, one finds nothing, one is too slow."""
    match number % 20:
        case 5:
            return "/broken" if number % 40 == 5 else "/broken-group"
        case 10:
            return "/missing"
        case 15:
            return "/slow"
        case _:
            return f"/orders/{number}"


async def send_requests(base_url: str, count: int, prefix: str) -> list[Seen]:
    """Send *count* requests, ``CONCURRENCY`` at a time, and return what became of them.

    Parameters:
        prefix: what the requests' ids begin with.
    """
    seen: list[Seen] = []
    numbers = iter(range(count))
    # Straight to the loopback address, whatever proxy the environment names.
    async with (
        httpx2.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as client,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(CONCURRENCY):
            tasks.start_soon(_send, client, numbers, prefix, seen)
    return seen


async def _send(client: httpx2.AsyncClient, numbers: Iterator[int], prefix: str, seen: list[Seen]) -> None:
    for number in numbers:
        path = path_of(number)
        request_id = f"{prefix}-{number}"
        headers = {"x-request-id": request_id}
        began = perf_counter()
        if path == "/slow":
            status, cancelled = await _give_up(client, path, headers)
        else:
            response = await client.get(path, headers=headers)
            status, cancelled = response.status_code, False
            if response.headers["x-request-id"] != request_id:
                raise RuntimeError(f"the response to {request_id} has the id {response.headers['x-request-id']!r}")
        seen.append(Seen(request_id, path, status, perf_counter() - began, cancelled))


async def _give_up(client: httpx2.AsyncClient, path: str, headers: dict[str, str]) -> tuple[int, bool]:
    """Send a request and cancel it a moment after the response has begun: the service is known to work on it."""
    status = 0
    with anyio.CancelScope() as scope:
        async with client.stream("GET", path, headers=headers) as response:
            status = response.status_code
            scope.deadline = anyio.current_time() + _PATIENCE
            await response.aread()
    return status, scope.cancelled_caught
