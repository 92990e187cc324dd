"""Load for the service, from a process of its own that lives as long as the service.

``python -m benchmarks.tasks.client PORT CONNECTIONS`` reads one request for load from each line of its standard input,
``{"path": ..., "seconds": ..., "rate": ...}``, and answers with a line of what it found.

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

LATE = 0.1
"""Seconds after the end that an answer is waited for."""


class Connection:
    """One connection, which stays open for as long as the service answers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, if that has not been done."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    def close(self) -> None:
        """Give the connection up; the next request makes a new one."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def request(self, path: str) -> None:
        """Send one request, and read the response."""
        reader, writer = await self.open()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode("ascii"))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(head.decode(errors="replace"))
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)

    async def load(self, path: str, due: Iterator[float], end: float, taken: list[float], waited: list[float]) -> None:
        """Send requests one after the other, none before it is due; what is not answered at the end waited until then.

        A request that could not be sent in time, because the one before it was not answered, has waited since it was
        due.
        """
        for at in due:
            if at >= end:
                break
            now = time.perf_counter()
            if now < at:
                await asyncio.sleep(at - now)
                now = at = time.perf_counter()
            if now >= end:
                break
            began = at or now
            try:
                async with asyncio.timeout(end - now + LATE):
                    await self.request(path)
            except (OSError, asyncio.IncompleteReadError):  # TimeoutError is one
                waited.append(time.perf_counter() - began)
                self.close()
                break
            taken.append(time.perf_counter() - began)


def times(rate: float, connections: int, began: float) -> Iterator[Iterator[float]]:
    """Yield when the requests of each connection are due; 0 is at once."""
    for number in range(connections):
        yield count(began + number / rate, connections / rate) if rate else repeat(0.0)


async def load(connections: list[Connection], path: str, seconds: float, rate: float) -> dict[str, object]:
    """Return what the load found: the seconds of each request that was answered, and of those that were not."""
    taken: list[float] = []
    waited: list[float] = []
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for connection, due in zip(connections, times(rate, len(connections), began), strict=True):
            group.create_task(connection.load(path, due, began + seconds, taken, waited))
    return {"seconds": seconds, "taken": taken, "waited": waited}


def main() -> None:
    port, count_of_connections = map(int, sys.argv[1:])
    connections = [Connection(port) for _ in range(count_of_connections)]
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            found = runner.run(load(connections, **json.loads(line)))
            print(f"{RESULT}{json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main()
