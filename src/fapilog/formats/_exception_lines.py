"""Exceptions as lines for people: causes first, groups as a tree, nothing but printable text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from ._careful import scalar
from ._visible import visible, visible_key, visible_value

_MAX_CHAIN = 1000
_MAX_NESTING = 50
_KNOWN = frozenset({"type", "module", "message", "notes", "frames", "cause", "context", "group", "id", "ref"})
_OMITTED = frozenset({"omitted", "cause", "context"})
_CAUSE = "The exception above was the direct cause of the one below:"
_CONTEXT = "While the exception above was handled, the one below was raised:"
_CONTINUED = "  | "


def exception_lines(tree: Any, nesting: int = _MAX_NESTING) -> Iterator[str]:
    """Yield the lines of an exception as ``describe_exception`` gives it; any other tree is shown as well as it can be.

    Lines of a message or note after its first start with a bar, so that they cannot pass for frames.
    """
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
            yield "... earlier causes are left out"
    while chain:
        yield from _one(chain.pop(), nesting)
        if chain:
            yield links.pop()


def _one(value: Any, nesting: int) -> Iterator[str]:
    tree = _mapping(value)
    if tree is None:
        yield visible(scalar(value))
        return
    if "omitted" in tree and tree.keys() <= _OMITTED:
        yield f"... {visible(scalar(tree['omitted']))} exceptions left out"
        return
    frames = _items(tree.get("frames"))
    if frames:
        yield "Traceback (most recent call last):"
        for frame in frames:
            yield f"  {_frame(frame)}"
    yield from _title(tree)
    syntax = _mapping(tree.get("syntax"))
    if syntax:
        yield "  at " + ":".join(visible(scalar(item)) for item in syntax.values())
    for note in _items(tree.get("notes")):
        yield from _lines("  note: ", note)
    for key, value in tree.items():
        if key not in _KNOWN and not (key == "syntax" and syntax):
            yield f"  {visible_key(key)}={visible_value(value)}"
    members = _items(tree.get("group"))
    for number, member in enumerate(members, 1):
        if nesting == 0:
            yield f"  └─ {len(members)} nested too deeply to show"
            break
        first, other = ("  ├─ ", "  │  ") if number < len(members) else ("  └─ ", "     ")
        for line in exception_lines(member, nesting - 1):
            yield first + line
            first = other


def _title(tree: dict[str, Any]) -> Iterator[str]:
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
        yield name
    else:
        yield from _lines(f"{name}: ", message)


def _frame(value: Any) -> str:
    frame = _mapping(value)
    if frame is None:
        return visible(scalar(value))
    if "omitted" in frame:
        return f"... {visible(scalar(frame['omitted']))} frames left out"
    file, line, function = (visible(scalar(frame.get(key, "?"))) for key in ("file", "line", "function"))
    return f"{file}:{line} in {function}"


def _lines(start: str, value: Any) -> Iterator[str]:
    for line in scalar(value).replace("\r\n", "\n").split("\n"):
        yield start + visible(line)
        start = _CONTINUED


def _mapping(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, (tuple, list)):
        return cast("Sequence[Any]", value)
    return () if value is None or value == "" else (value,)
