"""Load for the service, from a process of its own: ``python -m benchmarks.tasks.client PORT SECONDS CONNECTIONS``."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from ..child import RESULT
from ..samples import quantiles

REQUEST = b"GET /items/42 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n"


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send one request on a connection that stays open, and read the response."""
    writer.write(REQUEST)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(head.decode(errors="replace"))
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)


async def load(port: int, end: float, taken: list[float], waiting: list[float]) -> None:
    """Send one request after the other until the end; what is not answered by then has waited until then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.perf_counter()) < end:
        try:
            async with asyncio.timeout(end - began + 0.1):
                await request(reader, writer)
        except TimeoutError:
            waiting.append(time.perf_counter() - began)
            break
        taken.append(time.perf_counter() - began)
    writer.close()


async def run(port: int, seconds: float, connections: int) -> dict[str, object]:
    """Return what the load found."""
    taken: list[float] = []
    waiting: list[float] = []
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(load(port, began + seconds, taken, waiting))
    return {
        "requests": len(taken),
        "unanswered": len(waiting),
        "requests_per_second": len(taken) / seconds,
        "latency_ms": {name: value * 1e3 for name, value in quantiles(taken + waiting).items()},
    }


if __name__ == "__main__":
    found = asyncio.run(run(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
    print(f"{RESULT}{json.dumps(found)}")
