"""A place in a trace that comes from elsewhere: the caller's header, or OpenTelemetry's active span."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import attrs

from .values import text

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


_DRAWN = 128
"""Ids drawn at once."""


class Ids:
    """Random ids, 48 hexadecimal digits each: 16 for a span, and 32 for a trace if it begins one.

    Drawn many at once, for a request to the system for each would be most of what entering a span costs.
    """

    __slots__ = ("_drawn",)

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def draw(self) -> str:
        """Return digits that nobody else has, in any thread and any signal handler."""
        try:
            return self._drawn.pop()
        except IndexError:
            drawn = os.urandom(24 * _DRAWN).hex(" ", 24).split()
            one = drawn.pop()
            self._drawn = drawn
            return one

    def forget(self) -> None:
        """Draw others from now on; a forked process has copies of its parent's."""
        self._drawn = []


@attrs.frozen
class TraceParent:
    """The caller's place in a trace, as a ``traceparent`` header says it."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits: the span that the next one has as its parent."""
    sampled: bool = True
    """Whether the caller may have recorded it."""

    @classmethod
    def parse(cls, header: object) -> TraceParent | None:
        """Return what a header says, or None if it is no valid one, and a trace begins anew.

        As W3C Trace Context (https://www.w3.org/TR/trace-context/, section 3.2): a later version may have more
        parts behind the four of version 00.
        """
        if type(header) is not str or len(header) > 512:
            return None
        found = _TRACEPARENT.fullmatch(header.strip(" \t"))
        if found is None or (found[1] == "00" and len(found[0]) != 55):
            return None
        return cls(found[2], found[3], bool(int(found[4], 16) & 1))

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def active_opentelemetry_span() -> TraceParent | None:
    """Return OpenTelemetry's active span, if something has imported it and there is one."""
    module: Any = sys.modules.get("opentelemetry.trace")
    if module is None:
        return None
    context = module.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return TraceParent(f"{context.trace_id:032x}", f"{context.span_id:016x}", bool(context.trace_flags & 1))


def is_sampled(trace_id: object, rate: float) -> bool:
    """Return whether a trace is among the share of *rate*; the same for every span of it, in every service.

    The last 56 bits of a trace id are random (W3C Trace Context Level 2, section 2.2.4). An id of another kind, which
    the context has from elsewhere, is hashed.
    """
    shown = text(trace_id)
    try:
        random = int(shown[-14:], 16)
    except ValueError:
        import hashlib  # costs a third of what importing this package does

        random = int.from_bytes(hashlib.blake2b(shown.encode("utf-8", "replace"), digest_size=7).digest(), "big")
    return random < rate * (1 << 56)
