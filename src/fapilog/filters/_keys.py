"""Keys that events are told apart by: of bounded size, and hashable whatever the event holds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from hashlib import blake2b
from typing import Any, TypeAlias

from ..checks import Problems
from ..event import LogEvent
from ..plugins.expressions import ExpressionError, reader
from ..shown import items_of, plain_text

MOST_NAMES = 8
"""Names that one key may be made of."""
_LONGEST = 256
"""Characters of a value up to which it is kept as it is; of a longer one its digest is kept."""

KeyReader: TypeAlias = Callable[[LogEvent], Hashable]


def names(problems: Problems, path: str, value: Any) -> Any:
    """Check for a list of names of what an event has, as in an expression; its normal form is a new list."""
    allowed = f"a list of up to {MOST_NAMES} names such as 'logger', 'message' or 'fields.user'"
    if not issubclass(type(value), (list, tuple)) or len(items := items_of(value)) > MOST_NAMES:
        problems.add(path, value, allowed)
        return value
    checked: list[str] = []
    for position, item in enumerate(items):
        here = f"{path}[{position}]"
        if not issubclass(type(item), str):
            problems.add(here, item, "a name such as 'logger', 'message' or 'fields.user'")
            continue
        name = plain_text(item)
        try:
            reader(name)
        except ExpressionError as error:
            problems.add(here, name, "a name such as 'logger', 'message' or 'fields.user'", str(error))
        checked.append(name)
    return checked


def key_reader(by: Sequence[str]) -> KeyReader:
    """Return what gives an event's key: the values of the names *by*; the same for every event if there are none.

    Values that are equal in Python, such as 1 and 1.0, make the same key. A large value counts by its digest.
    """
    readers = [reader(name) for name in by]
    if not readers:
        return _no_key
    if len(readers) == 1:
        read = readers[0]

        def one(event: LogEvent) -> Hashable:
            value = read(event)
            return value if type(value) is str and len(value) <= _LONGEST else _bounded(value)

        return one

    def several(event: LogEvent) -> Hashable:
        parts: list[Hashable] = []
        for read in readers:
            value = read(event)
            is_small = value is None or (type(value) is str and len(value) <= _LONGEST)
            parts.append(value if is_small else _bounded(value))
        return tuple(parts)

    return several


def _no_key(event: LogEvent) -> Hashable:
    return None


def _bounded(value: Any) -> Hashable:
    """Return a value as part of a key: itself if it is small and hashable, else what stands for it."""
    if type(value) is str:
        return value if len(value) <= _LONGEST else _digest(value)
    if value is None or type(value) in _SMALL:
        # NaN is not equal to itself, and would be another key each time.
        return value if value == value else "nan"
    # A frozen tree is made of built-in types, so that its repr is quick, safe and the same for the same content.
    shown = repr(value)
    return ("repr", shown) if len(shown) <= _LONGEST else _digest(shown)


_SMALL: frozenset[Any] = frozenset({int, float, bool})


def _digest(value: str) -> bytes:
    return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).digest()
