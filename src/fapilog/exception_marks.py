"""What an exception keeps of where it was raised, and of the event that told of it: marks in its own ``__dict__``.

The marks are kept by the exception, so that nothing of ours keeps an exception alive, and nothing has to be forgotten.
No code of the exception's class runs. Times are those of ``perf_counter_ns``.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any, Final, NamedTuple

from ._exception_parts import attributes_of, get_attribute, members_of, set_attribute
from ._frozen import FrozenDict
from ._text import class_of, cut

_RAISED: Final = "_fapilog_raised"
_LOGGED: Final = "_fapilog_logged"
_LONGEST: Final = 256
_MOST_CONTAINERS: Final = 4
"""Containers of which an exception keeps that they told of it; the newest."""
_MOST_MEMBERS: Final = 1000
"""Members of a group that are marked when it leaves a span."""
_REFERABLE_NS: Final = 600_000_000_000
"""How long an event is referred to. Later the exception is told in full again: the event may be in a file long gone."""


class Logged:
    """One event that tells of exceptions: shared by the event and the exceptions it describes."""

    __slots__ = ("accepted", "at", "container_id", "exception_id", "span_id")

    def __init__(self, container_id: str, exception_id: int, span_id: str) -> None:
        self.container_id: str = container_id
        self.exception_id: int = exception_id
        self.span_id: str = span_id
        self.at: int = perf_counter_ns()
        self.accepted: bool = False
        """Whether the event is in the queue; what was not accepted is not referred to."""

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Let copies of an exception in other processes, which may know no fapilog, have None in this place."""
        return type(None), ()

    def as_data(self) -> FrozenDict:
        """Return the reference that a reader finds the event by."""
        told: dict[str, Any] = {"exception_id": self.exception_id}
        if self.span_id:
            told["span_id"] = self.span_id
        return FrozenDict(told)


_TOLD: Final = (Logged, str)


class _Raised(NamedTuple):
    """Where an exception was raised, as its mark keeps it: as a plain tuple, which can be pickled anywhere."""

    span_id: str
    span: str
    task: str
    at: int


class Sighting:
    """One call that logs an exception: where it was made, and what it knows of earlier ones.

    Parameters:
        container_id: the container that logs; others' events are not referred to.
        exception_id: the number that this call's event is referred to by.
        span_id: the span that the call is in; empty if none.
        span: the name of that.
        task: the task or thread that calls.
        since: when the outermost span around the call was entered; 0 if there is none. What was marked before that
            belongs to other work, in which the same object was raised.
    """

    __slots__ = ("logged", "since", "span", "task")

    def __init__(self, container_id: str, exception_id: int, span_id: str, span: str, task: str, since: int) -> None:
        self.logged: Logged = Logged(container_id, exception_id, cut(span_id, _LONGEST))
        self.span: str = span
        self.task: str = task
        self.since: int = since

    def earlier(self, error: BaseException) -> tuple[Logged, str] | None:
        """Return the event of this container that told of *error* before, and its fingerprint then; None if none."""
        own = self.logged
        for logged, fingerprint in _told(error):
            if logged.container_id == own.container_id:
                known = logged.accepted and logged.at >= self.since and own.at - logged.at <= _REFERABLE_NS
                return (logged, fingerprint) if known else None
        return None

    def mark(self, error: BaseException, fingerprint: str, *, own_task: bool) -> None:
        """Keep in *error* that this call tells of it, and that it was raised here, unless another place is known.

        Parameters:
            own_task: whether it came to the calling task by itself, and not in a group, from a task unknown.
        """
        own = self.logged
        others = [mark for mark in _told(error) if mark[0].container_id != own.container_id]
        attributes = attributes_of(error)
        set_attribute(attributes, _LOGGED, ((own, fingerprint), *others[: _MOST_CONTAINERS - 1]))
        task = self.task if own_task else ""
        if (own.span_id or task) and _raised(error, self.since) is None:
            set_attribute(attributes, _RAISED, (own.span_id, cut(self.span, _LONGEST), cut(task, _LONGEST), own.at))

    def raised_in(self, error: BaseException) -> FrozenDict | None:
        """Return where *error* was raised, as data; None if that is not known, or is where this call is made."""
        found = _raised(error, self.since)
        if found is None:
            return None
        if found.span_id == self.logged.span_id and found.task in ("", self.task):
            return None
        told = {"span_id": found.span_id, "span": found.span, "task": found.task}
        return FrozenDict({name: value for name, value in told.items() if value})


def mark_raised(error: BaseException, span_id: str, span: str, task: str, began: int) -> None:
    """Keep in *error*, and in the members of a group, that a span was the first that it left.

    Parameters:
        began: when the span was entered. A mark from before is of an earlier raise of the same object, and replaced.
    """
    now = perf_counter_ns()
    span = cut(span, _LONGEST)
    waiting = [error]
    looked_at = 0
    while waiting and looked_at < _MOST_MEMBERS:
        leaf = waiting.pop()
        looked_at += 1
        if _raised(leaf, began) is not None:
            continue
        # A group's members come from other tasks, of which nothing is known here.
        own_task = task if leaf is error else ""
        set_attribute(attributes_of(leaf), _RAISED, (span_id, span, cut(own_task, _LONGEST), now))
        if issubclass(class_of(leaf), BaseExceptionGroup):
            waiting += members_of(leaf)[:_MOST_MEMBERS]


def is_told(error: BaseException, container_id: str, since: int) -> bool:
    """Return whether an event of a container, made and accepted after *since*, tells of *error* itself."""
    return any(
        logged.accepted and logged.container_id == container_id and logged.at >= since for logged, _ in _told(error)
    )


def _raised(error: BaseException, since: int) -> _Raised | None:
    mark = _tuple(get_attribute(attributes_of(error), _RAISED))
    # Anybody may have written to the dict.
    if tuple(map(class_of, mark)) != (str, str, str, int) or mark[3] < since:
        return None
    return _Raised(*mark)


def _told(error: BaseException) -> list[tuple[Logged, str]]:
    marks = map(_tuple, _tuple(get_attribute(attributes_of(error), _LOGGED)))
    # Copied by ``copy.deepcopy`` or ``pickle``, a mark holds None.
    return [(mark[0], mark[1]) for mark in marks if tuple(map(class_of, mark)) == _TOLD]


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if class_of(value) is tuple else ()
