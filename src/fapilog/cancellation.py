"""What a cancellation says of itself: what caused it, the reason given, and the task that asked for it.

Trio keeps these on ``Cancelled`` (since 0.31). AnyIO on asyncio writes them into the message of the ``CancelledError``
(since 4.11); a native ``task.cancel(msg)`` has its message only, and ``asyncio.timeout()`` tells nothing.
"""

from __future__ import annotations

import re
from typing import Any

import attrs

from ._exception_parts import arguments_of, attributes_of, get_attribute, members_of, set_attribute
from ._frozen import FrozenDict
from ._text import class_of, cut, type_bases, type_module, type_qualname

DEADLINE = "deadline"
EXPLICIT = "explicit"
UNKNOWN = "unknown"
_LONGEST = 1024
_SOURCES = frozenset({DEADLINE, EXPLICIT, "nursery", "shutdown", "KeyboardInterrupt"})
"""What Trio names as the source; see ``trio.Cancelled``."""
_SCOPE_MESSAGE = re.compile(r"Cancelled via cancel scope [0-9a-f]+(?: by (.*?))?(?:; reason: (.*))?", re.DOTALL)
"""What AnyIO's cancel scope says on asyncio."""
_SCOPE_DEADLINE = "deadline exceeded"
_CLASSES = frozenset({("trio", "Cancelled"), ("asyncio.exceptions", "CancelledError")})
_SEEN = "_fapilog_first_seen"
_MOST_MEMBERS = 10_000
"""Members of groups that are looked at; a group with more counts as an error."""


@attrs.frozen
class Cancellation:
    """What is known of the cause of one cancellation."""

    source: str = UNKNOWN
    """``deadline``, ``explicit``, ``nursery`` (a sibling failed), ``shutdown``, ``KeyboardInterrupt`` or ``unknown``.
    On asyncio only the first two and the last are told apart."""
    reason: str = ""
    """The text given to ``cancel(reason=...)``; empty if there was none."""
    task: str = ""
    """The task that asked for it, as its ``repr``; empty if the backend does not tell."""

    def as_data(self) -> FrozenDict:
        """Return what is known as a frozen mapping."""
        told = {"source": self.source, "reason": self.reason, "task": self.task}
        return FrozenDict({name: value for name, value in told.items() if value})


def is_cancellation(error: BaseException) -> bool:
    """Return whether *error* is one of the two backends' cancellation, whichever of them runs."""
    return any((type_module(kind), type_qualname(kind)) in _CLASSES for kind in type_bases(class_of(error)))


def cancellation_in(error: BaseException) -> BaseException | None:
    """Return the cancellation that *error* is, or the first in a group that holds nothing else; None for an error.

    It runs no code of the exceptions' classes.
    """
    waiting = [error]
    first: BaseException | None = None
    looked_at = 0
    while waiting:
        leaf = waiting.pop()
        looked_at += 1
        if issubclass(class_of(leaf), BaseExceptionGroup):
            waiting += reversed(members_of(leaf))
        elif looked_at > _MOST_MEMBERS or not is_cancellation(leaf):
            return None
        else:
            first = first or leaf
    return first


def cause_of(cancellation: BaseException) -> Cancellation:
    """Return what a cancellation says of its cause."""
    if type_module(class_of(cancellation)) != "trio":
        return _from_message(arguments_of(cancellation))
    # No class can be derived from Trio's, so that these are its own attributes.
    of_trio: Any = cancellation
    source = of_trio.source
    return Cancellation(source if source in _SOURCES else UNKNOWN, _text(of_trio.reason), _text(of_trio.source_task))


def first_seen(cancellation: BaseException, now: float) -> float:
    """Return when this was asked first of the same cancellation; *now*, if that is now."""
    attributes = attributes_of(cancellation)
    seen = get_attribute(attributes, _SEEN)
    if type(seen) is float:
        return seen
    set_attribute(attributes, _SEEN, now)
    return now


def _from_message(arguments: tuple[Any, ...]) -> Cancellation:
    message = arguments[0] if arguments else None
    if type(message) is not str or not message:
        return Cancellation()
    found = _SCOPE_MESSAGE.fullmatch(message)
    if found is None:
        return Cancellation(EXPLICIT, _text(message))
    task, reason = found.groups()
    if reason == _SCOPE_DEADLINE:
        return Cancellation(DEADLINE)
    return Cancellation(EXPLICIT, _text(reason), _text(task))


def _text(value: Any) -> str:
    return cut(value, _LONGEST) if type(value) is str else ""
