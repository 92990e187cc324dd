"""The walk over one value: its budgets, its containers, and the guard around foreign code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from itertools import islice
from time import perf_counter
from typing import Any

from ._frozen import DEFAULT_LIMITS, EMPTY, UNSIZED_TYPES, FrozenDict, Limits
from ._interrupts import raise_interrupt
from ._objects import classify
from ._standard import Handler
from ._text import (
    CYCLE,
    DEPTH_LIMIT,
    TRUNCATED,
    UNAVAILABLE,
    class_of,
    cut,
    integer_text,
    omitted,
    truncated,
    type_bases,
    type_name,
    unprintable,
)

_SHORT = 256
"""A text up to this length is kept without counting it: the counting would cost more."""
_LEAST = -(2**63)
_MOST = 2**64 - 1
_LEAST_SMALL = -(2**30)
_MOST_SMALL = 2**30
_OBJECT_COST = 10
_ATTEMPTS = 3

_inside_foreign_code: ContextVar[bool] = ContextVar("_inside_foreign_code", default=False)

_LAZY_ERRORS = frozenset({"ReferenceError", "DetachedInstanceError", "MissingGreenlet", "SynchronousOnlyOperation"})
"""The errors of a dead weak proxy and of a database object without its session."""


class Refused(Exception):
    """Raised when foreign code is not called, as the budget is spent or foreign code is already running."""


class Walk:
    """The state of turning one value into a frozen tree."""

    __slots__ = ("characters", "kinds", "limits", "nodes", "path", "seconds", "show")

    def __init__(self, limits: Limits = DEFAULT_LIMITS, show: Callable[[Any], str] = repr) -> None:
        self.limits = limits
        self.show = show
        self.nodes = limits.nodes
        self.characters = limits.characters
        self.seconds = limits.seconds
        self.path: set[int] = set()
        self.kinds: dict[type, Handler] | None = None

    def value(self, value: Any, depth: int) -> Any:
        """Return *value* as a frozen tree; *depth* containers are around it."""
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]
        if kind is dict:
            if len(value) <= self.limits.items:
                # Copying is one step for other threads; iterating over the original is not.
                copy = value.copy()
                return self.pairs(copy.items(), len(copy), id(value), depth)
            pairs = self.first(value.items)
            return self.pairs(pairs, max(len(value), len(pairs)), id(value), depth)
        if kind is list or kind is tuple:
            return self.sequence(value, len(value), id(value), depth)
        if kind is str:
            return value if len(value) <= _SHORT else self.string(value)
        if kind is int:
            return self.integer(value)
        if kind is FrozenDict:
            return value
        return self.other(value, depth)

    def string(self, value: str) -> str:
        """Return an exact str within what the budget leaves."""
        size = len(value)
        limit = min(self.limits.string, self.characters)
        if size > limit:
            value = cut(value, limit)
        self.characters -= len(value)
        return value

    def integer(self, value: int) -> int | str:
        """Return an exact int if it fits 64 bits, else text."""
        if _LEAST <= value <= _MOST:
            return value
        # Making digits takes quadratic time.
        self.nodes -= _OBJECT_COST + value.bit_length() // 64
        return integer_text(value, self.limits.integer_bits if self.nodes > 0 else 0)

    def first(self, iterate: Callable[[], Iterable[Any]]) -> list[Any]:
        """Return the first items, one more than may be kept; begin again if a thread changed the container."""
        keep = self.limits.items + 1
        for _ in range(_ATTEMPTS):
            try:
                return list(islice(iterate(), keep))
            except RecursionError:
                raise
            except RuntimeError:
                continue
        return list(islice(iterate(), keep))

    def pairs(self, pairs: Iterable[tuple[Any, Any]], size: int | None, identity: int, depth: int) -> Any:
        """Return pairs of key and value as a frozen dict.

        Parameters:
            pairs: can be iterated over again, and is nobody else's.
            size: how many there are in the original, None if more than in *pairs* and nobody knows.
            identity: the id of the original, to find cycles.
        """
        if not size and size is not None:
            return EMPTY
        limits = self.limits
        path = self.path
        if depth >= limits.depth:
            self.nodes -= 1
            return CYCLE if identity in path else DEPTH_LIMIT
        if identity in path:
            return CYCLE
        room = limits.items if limits.items < self.nodes else self.nodes
        cutting = size is None or size > room
        if cutting:
            if room <= 0:
                return truncated(size, "items")
            pairs = list(islice(pairs, room - 1))
        self.nodes -= room if size is None or cutting else size
        longest = limits.key
        taken: set[str] | None = None
        counts: dict[str, int] = {}
        result: dict[str, Any] = {}
        path.add(identity)
        try:
            for key, item in pairs:
                if type(key) is not str or len(key) > longest:
                    if taken is None:
                        taken = {k for k, _ in pairs if type(k) is str and len(k) <= longest}
                    key = self.key(key, taken, counts, depth)
                # The plain values once more, inline: most values are plain, and a call costs more than all of this.
                # Only with `is`, for a metaclass may define how its classes are hashed and compared.
                kind = type(item)  # pyright: ignore[reportUnknownVariableType]
                if kind is str:
                    result[key] = item if len(item) <= _SHORT else self.string(item)
                elif kind is int:
                    result[key] = item if _LEAST_SMALL < item < _MOST_SMALL else self.integer(item)
                elif item is None or kind is float or kind is bool:
                    result[key] = item
                else:
                    result[key] = self.value(item, depth + 1)
        finally:
            path.discard(identity)
        if cutting:
            result[self.key(TRUNCATED, set(result), counts, depth)] = truncated(size, "items")
        return FrozenDict(result)

    def sequence(self, values: Sequence[Any], size: int | None, identity: int, depth: int) -> Any:
        """Return a list, a tuple, or the first items of something else as a tuple.

        Parameters:
            values: the original, if it is an exact list or tuple, else a private snapshot of it.
            size: how many there are in the original, None if more than in *values* and nobody knows.
            identity: the id of the original, to find cycles.
        """
        if not size and size is not None:
            return ()
        limits = self.limits
        path = self.path
        if depth >= limits.depth:
            self.nodes -= 1
            return CYCLE if identity in path else DEPTH_LIMIT
        if identity in path:
            return CYCLE
        room = limits.items if limits.items < self.nodes else self.nodes
        cutting = size is None or size > room
        if cutting:
            if room <= 0:
                return truncated(size, "items")
            values = values[: room - 1]
        elif class_of(values) is list:
            values = values[:size]
        self.nodes -= room if size is None or cutting else size
        result: list[Any] = []
        path.add(identity)
        try:
            for item in values:
                kind = type(item)  # pyright: ignore[reportUnknownVariableType]
                if kind is str:
                    result.append(item if len(item) <= _SHORT else self.string(item))
                elif kind is int:
                    result.append(item if _LEAST_SMALL < item < _MOST_SMALL else self.integer(item))
                elif item is None or kind is float or kind is bool:
                    result.append(item)
                else:
                    result.append(self.value(item, depth + 1))
        finally:
            path.discard(identity)
        if cutting:
            result.append(truncated(size, "items"))
        return tuple(result)

    def other(self, value: Any, depth: int) -> Any:
        """Return anything that is no plain value and no plain container; only KeyboardInterrupt gets out."""
        kind = class_of(value)
        try:
            if kind in UNSIZED_TYPES:
                return value
            if self.nodes <= 0:
                return omitted(kind)
            self.nodes -= _OBJECT_COST
            kinds = self.kinds
            if kinds is None:
                kinds = self.kinds = {}
            handler = kinds.get(kind)
            if handler is None:
                handler = kinds[kind] = classify(kind)
            return handler(self, value, depth)
        except Refused:
            return omitted(kind)
        except BaseException as error:
            raise_interrupt(error)
            return UNAVAILABLE if self.is_lazy(value, error) else unprintable(kind, error)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call code that belongs to a value.

        Raises:
            Refused: if such code has used up its time, or this walk itself was started by such code.
                (A ``__repr__`` that logs its own object would otherwise never come to an end.)
        """
        if self.seconds <= 0 or _inside_foreign_code.get():
            raise Refused
        token = _inside_foreign_code.set(True)
        started = perf_counter()
        try:
            return function(*arguments)
        finally:
            self.seconds -= perf_counter() - started
            _inside_foreign_code.reset(token)

    def key(self, key: Any, taken: set[str], counts: dict[str, int], depth: int) -> str:
        """Return the text for a key that is no short text, or is taken; no two keys get the same.

        Text keys keep their own names; of the others the first gets its text, the next ``text #2``.
        """
        longest = self.limits.key
        name = cut(key if type(key) is str else self.render(self.value(key, depth + 1)), longest)
        if name in taken:
            base = name
            count = counts.get(base, 1)
            while name in taken:
                count += 1
                suffix = f" #{count}"
                name = cut(base, longest - len(suffix)) + suffix
            counts[base] = count
        taken.add(name)
        return name

    def render(self, tree: Any) -> str:
        """Return a frozen tree as text."""
        if type(tree) is str:
            return tree
        if type(tree) is int:
            return integer_text(tree, self.limits.integer_bits)
        if tree is None or type(tree) in (float, bool):
            return str(tree)
        try:
            # The time zone of a datetime can still run foreign code here.
            return self.string(self.call(str, tree))
        except Refused:
            return omitted(class_of(tree))
        except BaseException as error:
            raise_interrupt(error)
            return unprintable(class_of(tree), error)

    def is_lazy(self, value: Any, error: BaseException) -> bool:
        """Return whether *value*, whose code failed with *error*, stands for something that cannot be had now."""
        if any(type_name(base) in _LAZY_ERRORS for base in type_bases(class_of(error))):
            return True
        try:
            return self.call(getattr, value, "__class__") is not type(value)
        except BaseException as again:
            raise_interrupt(again)
            return type(again) is not Refused
