"""Exceptions as lines for people: causes first, groups as a tree, nothing but printable text.

An exception that stands alone has its traceback above it, as Python prints it. A group has its members below it, each
with the innermost of its frames and the place it comes from, and only below these its own traceback, which says no more
than where the tasks were waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ._careful import scalar
from ._fit import hidden
from ._visible import visible, visible_key, visible_value

_MAX_CHAIN = 1000
_MAX_NESTING = 50
_KNOWN = frozenset({"type", "module", "message", "notes", "frames", "cause", "context", "group", "id", "ref"}) | {
    "fingerprint",
    "raised_in",
    "exception_id",
    "logged",
}
"""Keys with a way of their own to be shown; a fingerprint is for machines and is not."""
_OMITTED = frozenset({"omitted", "cause", "context"})
_CAUSE = "The exception above was the direct cause of the one below:"
_CONTEXT = "While the exception above was handled, the one below was raised:"
_CONTINUED = "  | "
_MEMBER_FRAMES = 4
"""Innermost frames that are shown of a member of a group."""


class Lines:
    """Lines that are collected up to a size; the others are only counted."""

    __slots__ = ("collected", "more", "room")

    def __init__(self, room: int) -> None:
        self.room: int = room
        """The characters that are still to be collected."""
        self.collected: list[str] = []
        self.more: int = 0


def exception_lines(tree: Any, room: int) -> Lines:
    """Return the lines of an exception as ``describe_exception`` gives it, up to *room* characters of them.

    Any other tree is shown as well as it can be. Lines of a message or note after its first start with a bar,
    so that they cannot pass for frames.
    """
    lines = Lines(room)
    _Part(lines, "", "", _MAX_NESTING, member=False).add_chain(tree)
    return lines


class _Part:
    """A part of the lines: its first line starts with *first*, every other one with *other*."""

    __slots__ = ("first", "lines", "member", "nesting", "other")

    def __init__(self, lines: Lines, first: str, other: str, nesting: int, *, member: bool) -> None:
        self.lines = lines
        self.first = first
        self.other = other
        self.nesting = nesting
        self.member = member

    def add(self, line: str) -> None:
        lines = self.lines
        if lines.room > 0:
            lines.collected.append(self.first + line)
            lines.room -= len(lines.collected[-1])
        else:
            lines.more += 1 + hidden((line,))
        self.first = self.other

    def add_text(self, start: str, value: Any) -> None:
        lines = scalar(value).replace("\r\n", "\n").split("\n")
        for position, line in enumerate(lines):
            if position and self.lines.room <= 0:
                self.lines.more += len(lines) - position
                return
            self.add(start + visible(line))
            start = _CONTINUED

    def add_chain(self, tree: Any) -> None:
        chain, links = [tree], list[str]()
        while len(chain) < _MAX_CHAIN and (known := _mapping(chain[-1])):
            if known.get("cause"):
                chain.append(known["cause"])
                links.append(_CAUSE)
            elif known.get("context"):
                chain.append(known["context"])
                links.append(_CONTEXT)
            else:
                break
        else:
            if len(chain) == _MAX_CHAIN:
                self.add("... earlier causes are left out")
        while chain:
            self.add_one(chain.pop())
            if chain:
                self.add(links.pop())

    def add_one(self, value: Any) -> None:
        tree = _mapping(value)
        if tree is None:
            self.add(visible(scalar(value)))
            return
        if "omitted" in tree and tree.keys() <= _OMITTED:
            self.add(f"... {visible(scalar(tree['omitted']))} exceptions left out")
            return
        frames = _items(tree.get("frames"))
        members = _items(tree.get("group"))
        below = self.member or bool(members)
        if frames and not below:
            self.add_traceback(frames)
        self.add_title(tree)
        syntax = _mapping(tree.get("syntax"))
        if syntax:
            self.add("  at " + ":".join(visible(scalar(item)) for item in syntax.values()))
        for note in _items(tree.get("notes")):
            self.add_text("  note: ", note)
        for key, value in tree.items():
            if key not in _KNOWN and not (key == "syntax" and syntax):
                self.add(f"  {visible_key(key)}={visible_value(value)}")
        self.add_links(tree)
        if frames and self.member and not members:
            self.add_innermost(frames)
        if members and self.nesting == 0:
            self.add(f"  └─ {len(members)} nested too deeply to show")
            return
        for number, member in enumerate(members, 1):
            first, other = ("  ├─ ", "  │  ") if number < len(members) else ("  └─ ", "     ")
            _Part(self.lines, self.first + first, self.other + other, self.nesting - 1, member=True).add_chain(member)
        if frames and members:
            (self.add_innermost if self.member else self.add_traceback)(frames)

    def add_traceback(self, frames: Sequence[Any]) -> None:
        self.add("Traceback (most recent call last):")
        for frame in frames:
            self.add(f"  {_frame(frame)}")

    def add_innermost(self, frames: Sequence[Any]) -> None:
        """Add the innermost frames of a member, the one that raised first."""
        for frame in reversed(frames[-_MEMBER_FRAMES:]):
            self.add(f"  at {_frame(frame)}")
        if len(frames) > _MEMBER_FRAMES:
            self.add(f"  ... {len(frames) - _MEMBER_FRAMES} frames farther out")

    def add_links(self, tree: dict[str, Any]) -> None:
        """Add where an exception was raised, and by what it is referred to, or refers to the event that tells of it."""
        if "exception_id" in tree:
            self.add(f"  told as exception {visible(scalar(tree['exception_id']))}")
        place = _named(tree.get("raised_in"), (("task", "task"), ("span", "span"), ("span_id", "")))
        if place:
            self.add(f"  raised in {place}")
        event = _named(tree.get("logged"), (("exception_id", "exception"), ("span_id", "span")))
        if event:
            self.add(f"  logged before as {event}")

    def add_title(self, tree: dict[str, Any]) -> None:
        name = visible(scalar(tree.get("type", "exception")))
        module = tree.get("module")
        if module and module != "builtins":
            name = f"{visible(scalar(module))}.{name}"
        if "ref" in tree:
            name += f" (shown before as #{visible(scalar(tree['ref']))})"
        elif "id" in tree:
            name += f" #{visible(scalar(tree['id']))}"
        message = tree.get("message")
        if message is None or message == "":
            self.add(name)
        else:
            self.add_text(f"{name}: ", message)


def _named(value: Any, names: tuple[tuple[str, str], ...]) -> str:
    """Return what *value* holds under these keys, each behind its name; all of it, if it has none of them."""
    if not value:
        return ""
    known = _mapping(value) or {}
    texts = [f"{name} {visible(scalar(known[key]))}".strip() for key, name in names if key in known]
    return ", ".join(texts) or visible_value(value)


def _frame(value: Any) -> str:
    frame = _mapping(value)
    if frame is None:
        return visible(scalar(value))
    if "omitted" in frame:
        return f"... {visible(scalar(frame['omitted']))} frames left out"
    file, line, function = (visible(scalar(frame.get(key, "?"))) for key in ("file", "line", "function"))
    return f"{file}:{line} in {function}"


def _mapping(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, (tuple, list)):
        return cast("Sequence[Any]", value)
    return () if value is None or value == "" else (value,)
