"""Record: one accepted call, as the hot path keeps it, and the parts that records share."""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from ._text import class_of
from .exception_marks import Logged
from .values import EMPTY, FrozenDict, merged


@attrs.frozen(eq=False)
class Origin:
    """Where events come from: what every event of one bound logger shares.

    The pipeline keeps one per logger and set of bound fields, so that what it says is encoded once.
    """

    logger: str
    source: str
    container_id: str
    bound: FrozenDict = EMPTY
    """The fields bound to the logger; they are part of an event's ``context``."""
    cache: dict[Any, Any] = attrs.field(factory=dict[Any, Any], repr=False)
    """Encoded pieces, kept by the formats; bounded by them."""


def _no_pieces() -> dict[Any, Any]:
    return {}  # to call ``dict[Any, Any]`` takes four times as long


# Not made with ``frozen``, which takes twice as long to make one: a server makes one for each request.
@attrs.define(eq=False)
class Ambient:
    """The context of one ``log.context(...)`` block; never changed, shared by every event inside."""

    values: FrozenDict = EMPTY
    correlation_id: str = ""
    scope: Any = attrs.field(default=None, repr=False)
    """The innermost :class:`fapilog.scopes.Scope` that the block is in, or None."""
    cache: dict[Any, Any] = attrs.field(factory=_no_pieces, init=False, repr=False)
    """Encoded pieces, kept by the formats; bounded by them."""


NO_AMBIENT = Ambient()


class Extras:
    """What only some calls carry: kept apart so that the others do not pay for it."""

    __slots__ = ("context", "correlation_id", "exception", "logged", "metrics", "severity", "tags")

    def __init__(
        self,
        severity: int | None = None,
        tags: FrozenDict = EMPTY,
        metrics: FrozenDict = EMPTY,
        context: FrozenDict = EMPTY,
        exception: FrozenDict | None = None,
        correlation_id: str | None = None,
    ) -> None:
        self.severity: int | None = severity
        self.tags: FrozenDict = tags
        self.metrics: FrozenDict = metrics
        self.context: FrozenDict = context
        """Additions to the event's context, such as the call site."""
        self.exception: FrozenDict | None = exception
        self.correlation_id: str | None = correlation_id
        """The event's own, in place of its context's; a plugin has set it."""
        self.logged: Logged | None = None
        """Shared with the exceptions that the event tells of: whether it was accepted."""


NO_EXTRAS = Extras()


class ConfirmedExtras(Extras):
    """The extras of an event whose caller waits for its delivery; a class of its own, so that others carry nothing."""

    __slots__ = ("confirmation",)

    def __init__(self, extras: Extras, confirmation: Any) -> None:
        """Carry *confirmation*, which the pipeline knows, beside what *extras* has."""
        super().__init__(
            extras.severity, extras.tags, extras.metrics, extras.context, extras.exception, extras.correlation_id
        )
        self.logged: Logged | None = extras.logged
        self.confirmation: Any = confirmation

    def __reduce__(self) -> Any:
        """Let copies and other processes have the content alone: who waits is here, for this event."""
        content = (self.severity, self.tags, self.metrics, self.context, self.exception, self.correlation_id)
        return Extras, content


def remade(old: Extras, new: Extras) -> Extras:
    """Return *new*, the changed extras of the event that has *old*; who waits for the event goes on doing so."""
    return new if type(old) is not ConfirmedExtras else ConfirmedExtras(new, old.confirmation)


Record: TypeAlias = tuple[int, int, str, dict[str, Any], Origin, Ambient, str, Extras | None]
"""One accepted call, as the hot path keeps it: ``(time_ns, level, message, fields, origin, ambient,
task, extras)``. Its values are frozen already. Only the pipeline and the formats read it.

In the queue of a container whose plugins read no events, ``fields`` may also stand unpacked, as the tuple
``(names, *values)``, or ``()``: making a dict of them takes a fifth of an event's instructions, and the quick
formats can do without. Whoever else reads a record gets it from :func:`with_mapping`."""


FieldsType: TypeAlias = type[dict[str, Any]] | type[tuple[Any, ...]]
"""What a call's fields are kept in."""


def with_mapping(record: Record) -> Record:
    """Return *record* with its fields in a mapping: itself, if they are in one."""
    unpacked: Any = record[3]
    if class_of(unpacked) is not tuple:
        return record
    names = unpacked[0] if unpacked else ()
    return (*record[:3], FrozenDict(zip(names, unpacked[1:], strict=True)), *record[4:])


def record_context(record: Record) -> FrozenDict:
    """Return the context of an accepted call: ambient, then bound fields, then the call's own additions."""
    bound = record[4].bound
    values = record[5].values
    extras = record[7]
    if bound:
        values = merged(values, bound) if values else bound
    if extras is not None and extras.context:
        values = merged(values, extras.context)
    return values
