"""Sensitive: marks a value as sensitive where it is used."""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar, final

Value = TypeVar("Value")

_SHOWN = "***"


@final
class Sensitive(Generic[Value]):
    """Holds a value that is never shown: not by ``str``, ``repr`` or formatting, and not in a log.

    An event keeps ``***`` in its place from the call on, whatever redactors there are. ``reveal`` returns the value.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Value) -> None:
        self._value = value

    def reveal(self) -> Value:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return _SHOWN

    def __str__(self) -> str:
        return _SHOWN

    def __format__(self, specification: str) -> str:
        return _SHOWN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sensitive):
            return NotImplemented
        theirs: Any = other  # pyright: ignore[reportUnknownVariableType]
        return bool(self._value == theirs._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Sensitive is not pickled or copied: what is written so can be read; reveal() it if you must")
