"""Exceptions and exception groups as data: bounded, without source lines, and without a reference to the exception.

A described exception is a FrozenDict of

``type``, ``module``    the qualified name of its class, and the module of that
``message``             what ``str`` says of it
``notes``               a tuple of texts; left out when there are none
``frames``              a tuple of ``{file, line, function}``, the innermost last; left out without a traceback
``syntax``              ``{file, line, column}`` of a SyntaxError
``cancellation``        ``{source, reason, task}`` of a cancellation: what caused it, as far as it is known
``cause``, ``context``  the exception that it came from, described likewise; one of them at most, as when printed
``group``               a tuple of the members of an exception group, described likewise
``id``                  a small number; only if the exception is mentioned again
``fingerprint``         what exceptions of the same origin have in common; see ``fingerprints``
``raised_in``           ``{span_id, span, task}``, as far as known, if that is not where the call was made
``exception_id``        of the outermost: a number by which later events of the same container refer to this one
``logged``              ``{exception_id, span_id}`` of an earlier event that tells of this exception in full; then
                        frames, cause and members are left out here

An exception that was described already is mentioned as ``{type, ref}``, where ``ref`` is the ``id`` of the description.
What is left out for its size is told by ``{omitted: n}`` in its place; n is a lower bound where counting was given up.
A long chain keeps both ends: there ``{omitted: n, cause: {…}}`` leads to the exceptions at its far end.
"""

from __future__ import annotations

import sys
from collections import deque
from types import TracebackType
from typing import Any, TypeAlias

import attrs

from ._exception_parts import attributes_of, get_attribute, members_of
from ._frozen import FrozenDict, Limits
from ._interrupts import raise_interrupt
from ._standard import exception_text
from ._text import NO_STACK, class_of, cut, omitted, type_module, type_qualname, unprintable
from ._walk import Refused, Walk
from .cancellation import cause_of, is_cancellation
from .exception_marks import Sighting
from .fingerprints import fingerprint, group_fingerprint

_AT_LEAST_1: Any = attrs.validators.ge(1)
_AT_LEAST_2: Any = attrs.validators.ge(2)


@attrs.frozen(eq=False, repr=False)  # as Limits
class ExceptionLimits:
    """How much of an exception is kept."""

    exceptions: int = attrs.field(default=64, validator=_AT_LEAST_1)
    """Exceptions described in all."""
    chain: int = attrs.field(default=16, validator=_AT_LEAST_2)
    """Exceptions of one chain of causes and contexts: half from each end."""
    group: int = attrs.field(default=16, validator=_AT_LEAST_2)
    """Members of one group: half from each end."""
    group_depth: int = attrs.field(default=8, validator=_AT_LEAST_1)
    """Groups inside each other."""
    frames: int = attrs.field(default=64, validator=_AT_LEAST_2)
    """Frames of one traceback: half from each end."""
    total_frames: int = attrs.field(default=512, validator=_AT_LEAST_1)
    """Frames in all."""
    notes: int = attrs.field(default=16, validator=_AT_LEAST_1)
    """Notes of one exception."""
    steps: int = attrs.field(default=50_000, validator=_AT_LEAST_1)
    """Frames and links looked at, in all, for finding the far ends."""
    values: Limits = attrs.field(default=Limits(string=16_384, characters=131_072))
    """For messages and notes."""


DEFAULT_EXCEPTION_LIMITS = ExceptionLimits()

_NO_STACK_DESCRIPTION = FrozenDict(type="", module="", message=NO_STACK)
# Past what a class of exceptions may have in their place.
_qualname = type.__dict__["__qualname__"].__get__
_cause = BaseException.__dict__["__cause__"].__get__
_context = BaseException.__dict__["__context__"].__get__
_suppress_context = BaseException.__dict__["__suppress_context__"].__get__
_traceback = BaseException.__dict__["__traceback__"].__get__

_LONGEST_FILE = 1024
_LONGEST_FUNCTION = 256

_Node: TypeAlias = dict[str, Any]
_Place: TypeAlias = tuple[Any, Any]
"""Where a node goes: another node and a key, or a list and an index. The key "" is still to be chosen."""
_Link: TypeAlias = tuple[str, BaseException]
"""``cause`` or ``context``, and what is at the other end; the first of a chain has ""."""


def describe_exception(
    exception: BaseException,
    *,
    limits: ExceptionLimits = DEFAULT_EXCEPTION_LIMITS,
    sighting: Sighting | None = None,
) -> FrozenDict:
    """Return an exception, and all that belongs to it, as data.

    It runs no code of an exception but ``__str__``, and reads no file. It does not raise whatever that
    code does, unless it is KeyboardInterrupt.

    Parameters:
        exception: the exception; it may have no traceback.
        limits: how much of it is kept.
        sighting: the call that logs it: what an earlier call told is referred to, and what this one tells is marked.
    """
    try:
        return _Description(limits, sighting).of(exception)
    except RecursionError:
        try:
            # Without any further call of a Python function.
            return FrozenDict(type=_qualname(class_of(exception)), module="", message=NO_STACK)
        except RecursionError:
            return _NO_STACK_DESCRIPTION
    except BaseException as error:
        raise_interrupt(error)
        kind = class_of(exception)
        marker = unprintable(kind, error)
        return FrozenDict(type=type_qualname(kind), module=type_module(kind), message=marker)


def exception_from(exc_info: Any) -> BaseException | None:
    """Return the exception that an ``exc_info`` argument means.

    Parameters:
        exc_info: an exception; a ``(type, value, traceback)`` tuple; True for the exception that is being
            handled; anything else means none.
    """
    try:
        kind = class_of(exc_info)
        if issubclass(kind, BaseException):
            found: BaseException = exc_info
            return found
        if kind is bool or kind is int:
            return sys.exception() if exc_info else None
        if kind is tuple and len(exc_info) == 3:
            return exception_from(exc_info[1]) if issubclass(class_of(exc_info[1]), BaseException) else None
    except BaseException as error:
        raise_interrupt(error)
        return None
    return None


class _Description:
    """The state of describing one exception.

    First mutable nodes are made, breadth first; then they are frozen from the leaves up. Nothing recurses,
    so that neither a long chain nor a nearly used up stack matters.
    """

    def __init__(self, limits: ExceptionLimits, sighting: Sighting | None) -> None:
        self.limits = limits
        self.sighting = sighting
        self.walk = Walk(limits.values)
        self.frames_left = limits.total_frames
        self.steps_left = limits.steps
        self.ids = 0
        self.described: dict[int, _Node] = {}
        self.nodes: list[tuple[_Node, _Place | None]] = []
        """In the order of making: a node stands before all that hangs on it."""
        self.groups: dict[int, tuple[BaseException, int]] = {}
        """The groups and their depths, by the ids of their nodes."""
        self.queue: deque[tuple[BaseException, _Place | None, int]] = deque()

    def of(self, exception: BaseException) -> FrozenDict:
        self.queue.append((exception, None, 0))
        while self.queue:
            self.add_chain(*self.queue.popleft())
        frozen = FrozenDict()
        for node, place in reversed(self.nodes):
            if "group" in node:
                members = node["group"] = tuple(node["group"])
                error, depth = self.groups[id(node)]
                node["fingerprint"] = group_fingerprint(error, _fingerprints(members))
                self.mark(error, node["fingerprint"], depth)
            if place is None and self.sighting is not None and "logged" not in node:
                node["exception_id"] = self.sighting.logged.exception_id
            frozen = FrozenDict(node)
            if place is not None:
                parent, key = place
                parent[key] = frozen
        return frozen

    def add(self, node: _Node, place: _Place | None) -> _Node:
        self.nodes.append((node, place))
        return node

    def add_chain(self, exception: BaseException, place: _Place | None, depth: int) -> None:
        """Add an exception that hangs at *place* inside *depth* groups, and those that it came from."""
        head, tail, missing, known = self.follow(exception)
        room = self.limits.exceptions - len(self.described)
        excess = max(len(head) + len(tail) - room, 0)
        if excess:
            missing += excess
            tail = tail[excess:]
            head = head[:room]
        for link, error in head:
            place = self.add_exception(error, _at(place, link), depth), ""
        if missing:
            place = self.add({"omitted": missing}, _at(place, "cause")), ""
        for link, error in tail:
            place = self.add_exception(error, _at(place, link), depth), ""
        if known is not None:
            link, error = known
            self.add_reference(error, _at(place, link))

    def follow(self, exception: BaseException) -> tuple[list[_Link], list[_Link], int, _Link | None]:
        """Return both ends of a chain, the count between them, and the known exception that it leads back to."""
        half = self.limits.chain // 2
        head: list[_Link] = []
        tail: deque[_Link] = deque(maxlen=self.limits.chain - half)
        seen: set[int] = set()
        link = ""
        known: _Link | None = None
        error: BaseException | None = exception
        described = self.described
        sighting = self.sighting
        steps = self.steps_left
        while error is not None and steps > 0:
            identity = id(error)
            if identity in seen or identity in described:
                known = link, error
                error = None
                break
            seen.add(identity)
            steps -= 1
            (head if len(head) < half else tail).append((link, error))
            if sighting is not None and sighting.earlier(error) is not None:
                error = None  # what it came from was told then
                break
            link, following = "cause", _cause(error)
            if following is None and not _suppress_context(error):
                link, following = "context", _context(error)
            error = following
        self.steps_left = steps
        # An exception that is left when the steps are used up stands for all behind it.
        missing = len(seen) - len(head) - len(tail) + (error is not None)
        return head, list(tail), missing, known

    def add_reference(self, error: BaseException, place: _Place | None) -> None:
        node: _Node = {"type": type_qualname(class_of(error))}
        described = self.described.get(id(error))
        if described is None:
            # It stands in the part of a chain that was left out.
            node["omitted"] = 1
        else:
            if "id" not in described:
                self.ids += 1
                described["id"] = self.ids
            node["ref"] = described["id"]
        self.add(node, place)

    def add_exception(self, error: BaseException, place: _Place | None, depth: int) -> _Node:
        kind = class_of(error)
        node: _Node = {"type": type_qualname(kind), "module": type_module(kind), "message": self.message(error)}
        self.described[id(error)] = self.add(node, place)
        notes = self.notes(error)
        if notes:
            node["notes"] = notes
        sighting = self.sighting
        raised_in = None if sighting is None else sighting.raised_in(error)
        if raised_in is not None:
            node["raised_in"] = raised_in
        earlier = None if sighting is None else sighting.earlier(error)
        if earlier is not None:
            logged, node["fingerprint"] = earlier
            node["logged"] = logged.as_data()
            return node
        entries, more = self.entries(error)
        if entries:
            node["frames"] = self.frames(entries, more)
        if issubclass(kind, BaseExceptionGroup):
            node["group"] = self.group(error, depth + 1)
            self.groups[id(node)] = error, depth
            return node
        if issubclass(kind, SyntaxError):
            node["syntax"] = self.syntax(error)
        elif is_cancellation(error):
            node["cancellation"] = cause_of(error).as_data()
        node["fingerprint"] = fingerprint(error, entries)
        self.mark(error, node["fingerprint"], depth)
        return node

    def mark(self, error: BaseException, known_by: str, depth: int) -> None:
        if self.sighting is not None:
            self.sighting.mark(error, known_by, own_task=depth == 0)

    def message(self, error: BaseException) -> str:
        kind = class_of(error)
        try:
            return exception_text(self.walk, error)
        except Refused:
            return omitted(kind)
        except BaseException as failure:
            raise_interrupt(failure)
            return unprintable(kind, failure)

    def notes(self, error: BaseException) -> tuple[Any, ...]:
        found = get_attribute(attributes_of(error), "__notes__")
        if found is None:
            return ()
        if class_of(found) is not list and class_of(found) is not tuple:
            found = [found]
        kept = [self.walk.render(self.walk.value(note, 0)) for note in found[: self.limits.notes]]
        if len(found) > len(kept):
            kept.append(f"<omitted: {len(found) - len(kept)} notes>")
        return tuple(kept)

    def entries(self, error: BaseException) -> tuple[list[TracebackType], bool]:
        """Return the entries of a traceback, the innermost last, and whether there are more than may be looked at."""
        entries: list[TracebackType] = []
        following: TracebackType | None = _traceback(error)
        while following is not None and len(entries) < self.steps_left:
            entries.append(following)
            following = following.tb_next
        self.steps_left -= len(entries)
        return entries, following is not None

    def frames(self, entries: list[TracebackType], more: bool) -> tuple[FrozenDict, ...]:
        room = min(self.limits.frames, self.frames_left)
        head = entries[: room // 2]
        tail = entries[max(len(entries) - (room - room // 2), len(head)) :]
        self.frames_left -= len(head) + len(tail)
        result = [_frame(entry) for entry in head]
        missing = len(entries) - len(head) - len(tail) + more
        if missing:
            result.append(FrozenDict(omitted=missing))
        result += [_frame(entry) for entry in tail]
        return tuple(result)

    def syntax(self, error: BaseException) -> FrozenDict:
        values = self.walk.value
        return FrozenDict({name: values(get(error), 0) for name, get in _SYNTAX})

    def group(self, error: BaseException, depth: int) -> list[Any]:
        """Queue the members of a group, and return the list that they will be put into."""
        members = members_of(error)
        room = self.limits.group if depth <= self.limits.group_depth else 0
        missing = max(len(members) - room, 0)
        first = room // 2 if missing else len(members)
        last = room - first if missing else 0
        places: list[Any] = []
        for member in members[:first]:
            self.queue.append((member, (places, len(places)), depth))
            places.append(None)
        if missing:
            places.append(FrozenDict(omitted=missing))
        for member in members[len(members) - last :]:
            self.queue.append((member, (places, len(places)), depth))
            places.append(None)
        return places


def _at(place: _Place | None, link: str) -> _Place | None:
    """Return the place for the next exception of a chain: the first has its own, any other hangs on the one before."""
    return (place[0], link) if place is not None and place[1] == "" else place


def _fingerprints(members: tuple[FrozenDict, ...]) -> list[str]:
    return [member["fingerprint"] for member in members if "fingerprint" in member]


def _frame(entry: TracebackType) -> FrozenDict:
    code = entry.tb_frame.f_code
    return FrozenDict(
        file=cut(code.co_filename, _LONGEST_FILE),
        line=entry.tb_lineno,
        function=cut(code.co_qualname, _LONGEST_FUNCTION),
    )


_SYNTAX = tuple(
    (name, SyntaxError.__dict__[attribute].__get__)
    for name, attribute in (("file", "filename"), ("line", "lineno"), ("column", "offset"))
)
