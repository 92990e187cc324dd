"""Load for the service, from a process of its own.

``python -m benchmarks.tasks.client PORT PATH SECONDS CONNECTIONS RATE``

With a rate, in requests per second, a connection sends at its own times, whether the service is fast or slow; with 0 it
sends the next request as soon as the last one is answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import count, repeat

from ..child import RESULT
from ..samples import quantiles


async def request(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send one request on a connection that stays open, and read the response."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode("ascii"))
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(head.decode(errors="replace"))
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)


async def load(
    port: int, path: str, due: Iterator[float], end: float, taken: list[float], waiting: list[float]
) -> None:
    """Send requests one after the other, none before it is due; what is not answered at the end has waited until then.

    A request that could not be sent in time, because the one before it was not answered, has waited since it was due.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for at in due:
        now = time.perf_counter()
        if now < at < end:
            await asyncio.sleep(at - now)
            now = at = time.perf_counter()
        if now >= end:
            break
        began = at or now
        try:
            async with asyncio.timeout(end - now + 0.1):
                await request(path, reader, writer)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            waiting.append(time.perf_counter() - began)
            break
        taken.append(time.perf_counter() - began)
    writer.close()


def times(rate: float, connections: int, began: float) -> Iterator[Iterator[float]]:
    """Yield when the requests of each connection are due; 0 is at once."""
    for number in range(connections):
        yield count(began + number / rate, connections / rate) if rate else repeat(0.0)


async def run(port: int, path: str, seconds: float, connections: int, rate: float) -> dict[str, object]:
    """Return what the load found."""
    taken: list[float] = []
    waiting: list[float] = []
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for due in times(rate, connections, began):
            group.create_task(load(port, path, due, began + seconds, taken, waiting))
    return {
        "requests": len(taken),
        "unanswered": len(waiting),
        "requests_per_second": len(taken) / seconds,
        "latency_ms": {name: value * 1e3 for name, value in quantiles(taken + waiting).items()},
    }


if __name__ == "__main__":
    port, path, seconds, connections, rate = sys.argv[1:]
    found = asyncio.run(run(int(port), path, float(seconds), int(connections), float(rate)))
    print(f"{RESULT}{json.dumps(found)}")
