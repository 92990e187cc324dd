"""Short texts about values, made without running any code of theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

class_of: Callable[[Any], Any] = type
"""``type`` with one argument. A value's ``__class__`` is never asked: a proxy's says anything, or raises."""

CYCLE = "<cycle>"
DEPTH_LIMIT = "<depth limit>"
UNAVAILABLE = "<unavailable>"
"""What a lazy value says whose object cannot be had here and now."""
NO_STACK = "<unprintable: RecursionError>"
"""What takes the place of a value when the stack was used up before anything could be asked of it."""
HIDDEN = "<hidden>"
"""The value of a field that its class keeps out of its own repr."""
TRUNCATED = "<truncated>"
"""The key under which a cut mapping tells its original size."""

_NAME = type.__dict__["__name__"].__get__
_QUALNAME = type.__dict__["__qualname__"].__get__
_MODULE = type.__dict__["__module__"].__get__
_MRO = type.__dict__["__mro__"].__get__
_LONGEST_NAME = 200


def type_name(kind: type) -> str:
    """Return the bare name of *kind*, whatever its metaclass says."""
    name: str = _NAME(kind)
    return name[:_LONGEST_NAME]


def type_qualname(kind: type) -> str:
    """Return the name of *kind* inside its module."""
    name: str = _QUALNAME(kind)
    return name[:_LONGEST_NAME]


def type_module(kind: type) -> str:
    """Return the name of the module of *kind*; empty if it has none."""
    try:
        module = _MODULE(kind)
    except AttributeError:
        return ""
    return module[:_LONGEST_NAME] if type(module) is str else ""


def type_path(kind: type) -> str:
    """Return the qualified name of *kind*: with its module, unless that is ``builtins``."""
    module = type_module(kind)
    return type_qualname(kind) if module in ("", "builtins") else f"{module}.{type_qualname(kind)}"


def type_bases(kind: type) -> tuple[type, ...]:
    """Return *kind* and its bases, nearest first."""
    bases: tuple[type, ...] = _MRO(kind)
    return bases


def unprintable(kind: type, error: BaseException) -> str:
    """Return the marker for a value of *kind* whose own code failed with *error*."""
    return f"<unprintable {type_name(kind)}: {type_name(type(error))}>"


def omitted(kind: type) -> str:
    """Return the marker for a value of *kind* that was not looked at."""
    return f"<omitted {type_name(kind)}>"


def truncated(size: int | None, what: str) -> str:
    """Return the marker for *size* things, None if nobody knows how many."""
    return f"<truncated: more {what}>" if size is None else f"<truncated: {size} {what}>"


def cut(value: str, limit: int) -> str:
    """Return *value* if it has at most *limit* characters, else its beginning and a marker within the limit."""
    if len(value) <= limit:
        return value
    marker = truncated(len(value), "characters")
    return value[: max(limit - len(marker), 0)] + marker


def bytes_text(value: bytes, size: int, limit: int) -> str:
    r"""Return bytes as text: decoded if they are UTF-8, else as Python writes them, ``b'\xff'``.

    Parameters:
        value: the bytes, or at least *limit* of their first.
        size: how many there were.
        limit: the longest text to return, in characters.
    """
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        if len(value) < size and error.start > len(value) - _LONGEST_CHARACTER:
            # Nothing is wrong but that the last character was cut in two.
            text = value[: error.start].decode()
        else:
            value = value[: limit // _LONGEST_ESCAPE]
            text = repr(value)
    if len(value) == size and len(text) <= limit:
        return text
    marker = truncated(size, "bytes")
    return text[: max(limit - len(marker), 0)] + marker


_LONGEST_CHARACTER = 4
_LONGEST_ESCAPE = 4


def integer_text(value: int, bits: int) -> str:
    """Return the digits of *value*, or its size if it has more than *bits* bits."""
    size = value.bit_length()
    return str(value) if size <= bits else f"<int {size} bits>"


def plain_str(value: Any, limit: int) -> str:
    """Return a str, or an instance of a subclass, as an exact str of at most *limit* characters."""
    size = str.__len__(value)
    if size <= limit:
        return str.__str__(value)
    marker = truncated(size, "characters")
    return str.__getitem__(value, slice(0, max(limit - len(marker), 0))) + marker
