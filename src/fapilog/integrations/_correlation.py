"""Correlation: the id that a request came with, or gets, and the headers that carry it back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import attrs

from ..traces import TraceParent
from ._asgi_types import Header

REQUEST_ID = b"x-request-id"
CORRELATION_ID = b"x-correlation-id"
_TRACEPARENT = b"traceparent"
_NAMES = frozenset({REQUEST_ID, CORRELATION_ID, _TRACEPARENT})
_LONGEST_ID = 128
_LONGEST_VALUE = 512
"""Bytes of a header that are looked at, spaces around the id included; also what a ``traceparent`` may have."""


@attrs.define
class Correlation:
    """What the requests' headers say of who belongs to whom."""

    id: str
    """The id of the request: from 1 to 128 printable ASCII characters."""
    traceparent: str | None = None
    """The caller's place in a trace; checked by the span that takes it."""
    returned: tuple[Header, ...] = ()
    """The response's headers that carry the id."""
    is_trace_id: bool = False
    """Whether the id was made here, and the request's trace is to have the same."""

    @classmethod
    def of(cls, headers: Iterable[Header]) -> Correlation:
        """Return the first valid one of ``x-request-id``, ``x-correlation-id`` and ``traceparent``, or a new id."""
        given: dict[bytes, bytes] = {}
        for name, value in headers:
            # Servers lower the names, as the specification says.
            if name in _NAMES and name not in given and value and not value.isspace():
                given[name] = value
        if not given:
            return cls._made(None)
        traceparent = _traceparent_in(given)
        for name in (REQUEST_ID, CORRELATION_ID):
            if found := _valid(given.get(name, b"")):
                return cls(found, traceparent, _carrying(found, both=name is CORRELATION_ID))
        parsed = TraceParent.parse(traceparent)
        if parsed is None:
            return cls._made(None)
        return cls(parsed.trace_id, traceparent, _carrying(parsed.trace_id))

    @classmethod
    def _made(cls, traceparent: str | None) -> Correlation:
        made = secrets.token_hex(16)
        return cls(made, traceparent, _carrying(made), is_trace_id=True)

    @property
    def context(self) -> dict[str, str]:
        """What the events of the request have in their context."""
        context = {"request_id": self.id, "correlation_id": self.id}
        if self.is_trace_id:
            context["trace_id"] = self.id
        return context

    def added_to(self, headers: Iterable[Header]) -> list[Header]:
        """Return *headers* with those that carry the id, but for those that the application has set itself."""
        result = list(headers)
        present = {name.lower() for name, _ in result}
        result += [header for header in self.returned if header[0] not in present]
        return result


def _valid(value: bytes) -> str:
    """Return the id that a header's value is; empty if it is none.

    Nothing but printable ASCII comes through: the id is sent back, where a line break would begin another header
    (RFC 9110, section 5.5), and written to logs.
    """
    if len(value) > _LONGEST_VALUE:
        return ""
    value = value.strip(b" \t")
    if not 0 < len(value) <= _LONGEST_ID or not value.isascii():
        return ""
    found = value.decode("ascii")
    return found if found.isprintable() else ""


def _traceparent_in(given: dict[bytes, bytes]) -> str | None:
    value = given.get(_TRACEPARENT, b"")
    return value.decode("latin-1") if 0 < len(value) <= _LONGEST_VALUE else None


def _carrying(correlation_id: str, *, both: bool = False) -> tuple[Header, ...]:
    value = correlation_id.encode("ascii")
    return ((REQUEST_ID, value), (CORRELATION_ID, value)) if both else ((REQUEST_ID, value),)
