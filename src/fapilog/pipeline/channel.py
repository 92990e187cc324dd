"""Channel: a bounded memory object stream between two stages whose items no cancellation can lose.

A task parked in a memory object stream's ``receive()`` can be cancelled natively by asyncio after the
item was handed to it and before it ran: the item is gone. So here a receiver waits for a wake-up and
takes with ``receive_nowait()``; an item is in the stream or with whoever took it, and nowhere between.
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar

import anyio
from anyio import ClosedResourceError, EndOfStream, WouldBlock

T = TypeVar("T")


class Channel(Generic[T]):
    """A bounded stream with one sender at a time and any number of receivers."""

    def __init__(self, capacity: float) -> None:
        from anyio import create_memory_object_stream  # costs as much to import as all of this package's pipeline

        self._send, self._receive = create_memory_object_stream[T](capacity if capacity > 0 else math.inf)
        self._arrived = anyio.Event()
        self._room = anyio.Event()
        self.closed: bool = False

    def __len__(self) -> int:
        return self._receive.statistics().current_buffer_used

    def put_nowait(self, item: T) -> bool:
        """Put *item* into the stream if it has room; return whether it had."""
        try:
            self._send.send_nowait(item)
        except WouldBlock:
            return False
        self._arrived.set()
        return True

    async def put(self, item: T) -> None:
        """Put *item* into the stream, waiting for room. If this is cancelled, the item is not in the stream."""
        while not self.put_nowait(item):
            await self.wait_for_room()

    async def wait_for_room(self) -> None:
        """Wait until something was taken."""
        self._room = anyio.Event()
        await self._room.wait()

    def take_nowait(self) -> T | None:
        """Return the oldest item, or None when there is none, or when the stream was freed."""
        try:
            item = self._receive.receive_nowait()
        except (WouldBlock, EndOfStream, ClosedResourceError):
            return None
        self._room.set()
        return item

    async def wait_for_items(self) -> None:
        """Wait until there may be something to take, the channel was closed, or ``wake`` was called."""
        if len(self) or self.closed:
            return
        if self._arrived.is_set():
            self._arrived = anyio.Event()
        await self._arrived.wait()

    def wake(self) -> None:
        """Wake the receivers."""
        self._arrived.set()

    def wake_senders(self) -> None:
        """Wake who waits for room, although there is none."""
        self._room.set()

    def close(self) -> None:
        """Accept no more; receivers find what is left and then the end."""
        self.closed = True
        self._arrived.set()

    def discard(self) -> None:
        """Free the stream; what is left in it is gone, and counted by whoever calls this."""
        self.closed = True
        while self.take_nowait() is not None:
            pass  # or a receiver that runs once more would wait for what it can no longer take
        self._send.close()
        self._receive.close()
        self._arrived.set()
        self._room.set()
