"""SinkStream: one sink's bounded stream of batches, out of which those that may go out together come as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from anyio.lowlevel import checkpoint

from ..plugins import Batch
from .attempts import Write
from .channel import Channel
from .memory import touch_ahead


class SinkStream(Channel[Write]):
    """The batches on their way to one sink's task, in order.

    Parameters:
        capacity: the most batches that it holds.
        batch_size: the most events that come out as one.
    """

    def __init__(self, capacity: float, batch_size: int) -> None:
        super().__init__(capacity)
        self._batch_size = batch_size
        self.entered: int = 0
        """How many batches have come in; also those that were written without the detour through here."""
        self.left: int = 0
        """How many of them have come out."""
        self._deepest = 0
        """Beyond so many batches another one's memory is used ahead."""
        self.next: Write | None = None
        """What came out and could not be joined to what came before it."""

    def enter(self, write: Write) -> bool:
        """Put *write* into the stream if it has room; return whether it had."""
        depth = self.entered - self.left
        if depth > self._deepest:
            self._deepest = depth
            touch_ahead(len(write.batch))
        write.position = self.entered + 1
        if not self.put_nowait(write):
            return False
        self.entered += 1
        return True

    def pop(self) -> Write | None:
        """Take the oldest batch, or None when there is none."""
        write = self.take_nowait()
        if write is not None:
            self.left += 1
        return write

    def take(self) -> Write | None:
        """Take the oldest batches, together as many events as the sink takes at once; None when there are none."""
        first = self.next or self.pop()
        self.next = None
        if first is None or first.failure is not None:  # what failed is alone with its failure
            return first
        size = len(first.batch)
        parts = [first.batch]
        while size < self._batch_size and (following := self.pop()) is not None:
            if following.in_place_of is not first.in_place_of or size + len(following.batch) > self._batch_size:
                self.next = following
                break
            parts.append(following.batch)
            size += len(following.batch)
            first.unknown = first.unknown or following.unknown
        if len(parts) > 1:
            first.batch = Batch.joined(parts)
        return first

    async def extend(self, write: Write, hurries: Callable[[Write], bool]) -> None:
        """Join to *write* what comes, until it is full or *hurries*.

        If this is cancelled, what came is in it, or is the next to come out.
        """
        while len(write.batch) < self._batch_size and not hurries(write) and self.next is None:
            await self.wait_for_items()
            more = self.pop()
            if more is None:
                await checkpoint()
            elif more.in_place_of is write.in_place_of and (len(more.batch) + len(write.batch) <= self._batch_size):
                write.batch = Batch.joined([write.batch, more.batch])
                write.unknown = write.unknown or more.unknown
            else:
                self.next = more

    def passed(self, set_aside: Iterable[Write]) -> int:
        """Return up to which position all batches have come out, but for what is still at hand and *set_aside*."""
        kept = [write.position for write in (self.next, *set_aside) if write is not None]
        return min(kept) - 1 if kept else self.left
