"""The plugin protocols: what a filter, enricher, processor, redactor or sink looks like.

Each may be a class, an object or a plain function; its one method may be synchronous or asynchronous.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ..event import LogEvent
from ..values import text
from .batch import Batch


class Removed:
    """A filter's answer in place of False: the event does not go on, and this is why.

    It is counted as ``"<filter>:<reason>"``. Make one for each reason beforehand, and few of them: a filter has 100
    counts of its own at most, and what has another reason is counted under the filter's name alone. The reason is seen
    by whoever sees the account, so that nothing belongs into it that would have to be redacted.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        # It stands in one line of the account.
        self.reason: str = "".join(one if one.isprintable() else "?" for one in text(reason)[:100])

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"Removed({self.reason!r})"


@runtime_checkable
class Filter(Protocol):
    """Decides which events go on.

    Optional beside ``keep``, each synchronous: ``use_clock(clock)``, called once before the first event with a function
    that returns the time in seconds on the event loop's clock; ``summaries(final)``, which returns new events that tell
    of what was removed, as far as it is time for them, or all of them if *final*; with it goes the attribute
    ``next_summary``, the time on that clock at which the next one is due, or None. It is asked for summaries after each
    batch, when the next one is due, and at the end; they go on behind the events that were kept. A filter without
    summaries that needs no more than the level and the logger's name may have ``keep_record(level, logger)``, which
    gives the same answer as ``keep``, and is asked in its place while there is no event yet.
    """

    def keep(self, event: LogEvent) -> bool | Removed | Awaitable[bool | Removed]:
        """Return whether *event* goes on; an event that does not is counted as filtered."""
        ...


@runtime_checkable
class Enricher(Protocol):
    """Adds to events.

    What is the same for every event need not be added to each: an enricher may have a synchronous method ``static``,
    without arguments, which returns a mapping. It is called once, when the container is entered, and what it returns is
    in the context of every event from the call on, below the context that a call or a logger brings along. An enricher
    that has ``static`` may leave ``enrich`` out, and then costs an event nothing.

    What is true only where the call is made, such as the active trace, is another when ``enrich`` runs. For that an
    enricher may have the method ``at_call()``, beside ``enrich`` or in place of it. It is called without arguments in
    each log call whose level is enabled, in the thread and the context of the call; what it returns, a mapping or
    None, is added to the event's context. It must be quick and must not block; every call of the container then
    takes some microseconds more. A failure costs only what it would have added.
    """

    def enrich(self, event: LogEvent) -> Mapping[str, Any] | Awaitable[Mapping[str, Any] | None] | None:
        """Add to *event* with ``event.add(...)``, or return a mapping to add to its context."""
        ...


@runtime_checkable
class Processor(Protocol):
    """Rewrites, splits, merges or drops events."""

    def process(self, batch: Sequence[LogEvent]) -> list[LogEvent] | Awaitable[list[LogEvent]]:
        """Return the events that go on: the same objects, fewer (counted as merged) or new ones (created)."""
        ...


@runtime_checkable
class Redactor(Protocol):
    """Removes what must not get out.

    Optional beside ``redact``: ``screen(items)``, which returns the positions of the events that ``redact`` has to see
    as a list, so that the others pass without it (it is given records or events, and may not change them; if it fails,
    ``redact`` sees all of them); ``redact_text(text)``, which returns a text in its clean form, for fapilog's own
    messages; and ``counts``, a dict of how much was hidden, by reason, for the metrics.
    """

    def redact(self, event: LogEvent) -> Awaitable[None] | None:
        """Change *event* by assigning to its attributes; if this raises, the event's content is withheld."""
        ...


class PlainWrite(NamedTuple):
    """A write that is no more than bytes for a descriptor; what makes it need not be the sink, nor Python."""

    descriptor: int
    """Where to; open until the sink is closed."""
    payload: bytes
    """What to write, all of it."""
    patience: float
    """Seconds to wait in all for the reader of a descriptor that does not block."""
    failed: Callable[[int, int], None]
    """Called if not all could be written, with the number of bytes that were and an ``errno`` (``ETIMEDOUT`` if the
    patience was over); it raises what ``write`` would. In the sink's thread, or where the write was made."""
    at_once: bool = False
    """Whether the descriptor is a pipe's, opened non-blocking for this sink alone: what the pipe has room for is then
    written on the event loop, which that cannot hold up."""


@runtime_checkable
class Sink(Protocol):
    """Writes events somewhere.

    Optional beside ``write``, each synchronous or asynchronous and without arguments: ``start`` (before the
    first write; raising fails the container's start unless the sink is not required), ``flush`` (what was
    written is out when it returns) and ``aclose`` (called once, after the last write, also after a failure).
    Optional attributes: ``blocking`` (a synchronous sink runs in a thread of its own unless this is False;
    it is read before every write), ``payload_format`` (the format that ``write`` will ask the batch for: it
    is encoded before a thread gets it) and ``ordered`` (True when a retry must hold back later events). A sink that
    runs in a thread and writes to a descriptor may have ``plain_write``, which is asked before each ``write``, on the
    event loop: it returns a :class:`PlainWrite` to be made in place of that write, or None.
    """

    def write(self, batch: Batch) -> Awaitable[None] | None:
        """Write *batch*; returning means that every event in it was delivered.

        Raises:
            TransientSinkError: try again; so is any other exception.
            ThrottledSinkError: try again after the time it names.
            PermanentSinkError: do not try again.
            PartialWriteError: only some events were delivered.
        """
        ...
