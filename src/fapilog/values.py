r"""Values as bounded immutable trees: what a log call keeps of its arguments.

A frozen tree is made of None, bool, int, float, str, datetime, date, time, UUID, tuples of trees and
:class:`FrozenDict` of text to trees. A value whose exact type is in :data:`PASS_TYPES` passes as it is,
without a look at its size; every other value is turned into a tree within :class:`Limits`, as it is now:

========================================== ==========================================================
a mapping                                  FrozenDict; a key that is no text becomes its text, and the
                                           second of two equal names becomes ``name #2``
list, tuple, set, deque, range, a view     tuple; a set is sorted when its members can be compared
dataclass, attrs, pydantic, msgspec,       FrozenDict of the fields; a field kept out of the repr is
namedtuple, SimpleNamespace                ``<hidden>``, one that would need a database ``<unavailable>``
bytes, bytearray, memoryview               text: decoded if UTF-8, else as Python writes it, ``b'\xff'``
an int of more than 64 bits                its digits, or ``<int 16610 bits>``
Decimal, Fraction, complex, Path, …        its ``str``
Enum member                                its value if that is plain, else its name
class, function, module                    its qualified name
exception                                  ``Type: message``
array or frame of numbers                  ``<numpy.ndarray shape=(9, 9) dtype=float64>``; up to 16 numbers in full
anything named like a secret               its own repr, or only its class
anything else                              its ``repr``, cut
========================================== ==========================================================

What is left out says so: ``<truncated: 1000000 items>``, ``<cycle>``, ``<depth limit>``,
``<unprintable T: ErrorType>`` when the value's own code fails, ``<unavailable>`` for a lazy value that
cannot be had now, ``<omitted T>`` when the budget is spent. Nothing here raises because of a value, whatever
its code raises, except an interrupt of the application (``_interrupts.py``). One thing cannot be bounded: a
``__repr__`` that sleeps or allocates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._accelerated import accelerator
from ._frozen import DEFAULT_LIMITS as DEFAULT_LIMITS
from ._frozen import EMPTY as EMPTY
from ._frozen import LONGEST_TEXT as LONGEST_TEXT
from ._frozen import PASS_TYPES as PASS_TYPES
from ._frozen import SIMPLE_TYPES as SIMPLE_TYPES
from ._frozen import FrozenDict as FrozenDict
from ._frozen import Limits as Limits
from ._frozen import merged as merged
from ._interrupts import raise_interrupt
from ._text import NO_STACK as NO_STACK
from ._text import class_of, cut, unprintable
from ._walk import Walk

__all__ = (
    "DEFAULT_LIMITS",
    "EMPTY",
    "LONGEST_TEXT",
    "PASS_TYPES",
    "SIMPLE_TYPES",
    "FrozenDict",
    "Limits",
    "bounded_text",
    "freeze",
    "freeze_mapping",
    "freeze_metrics",
    "freeze_tags",
    "merged",
    "plain_copy",
    "repair_metrics",
    "repair_severity",
    "repair_tags",
    "text",
)

_dict: Any = dict
_LEAST_INT = -(2**63)
_MOST_INT = 2**64 - 1
_FEW = 64
_SHORT = 256
"""What is this small, and of the right types, needs no repair."""
_LONGEST_NUMBER = 1000
_FLAT = Limits(depth=2)
"""For metrics: what lies deeper is no number, whatever it is, but a key may be a tuple."""
NO_STACK_MAPPING = FrozenDict(value=NO_STACK)


def freeze(value: Any, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return *value* as a frozen tree.

    Parameters:
        value: anything; of a plain type it is returned as it is.
        limits: how much of it is kept.
    """
    try:
        if type(value) in PASS_TYPES:
            return value
        return Walk(limits).value(value, 0)
    except RecursionError:
        return NO_STACK
    except BaseException as error:
        raise_interrupt(error)
        return _failed(value, error)


def freeze_mapping(mapping: Any, limits: Limits = DEFAULT_LIMITS) -> FrozenDict:
    """Return a mapping as a frozen tree; None is an empty one, and another value is kept under ``value``."""
    if mapping is None:
        return EMPTY
    try:
        if limits is DEFAULT_LIMITS and (copy := plain_copy(mapping)):
            return FrozenDict(copy)
        frozen = Walk(limits).value(mapping, 0)
        if type(frozen) is not FrozenDict:
            walk = Walk(limits)
            walk.nodes -= 1  # the mapping around it
            frozen = FrozenDict(value=walk.value(mapping, 1))
    except RecursionError:
        return NO_STACK_MAPPING
    except BaseException as error:
        raise_interrupt(error)
        return FrozenDict(value=_failed(mapping, error))
    return frozen


def plain_copy_in_python(mapping: Any) -> dict[str, Any] | None:
    """Return a copy of a small dict whose content needs no freezing: it is what :func:`freeze_mapping` would hold.

    None if *mapping* is anything else, and has to be walked.
    """
    if class_of(mapping) is not dict or len(mapping) > _FEW:
        return None
    # Copying is one step for other threads; iterating over the original is not.
    copy: dict[Any, Any] = mapping.copy()
    for key, item in copy.items():
        if type(key) is not str or len(key) > _SHORT:
            return None
        # Only with `is`, for a metaclass may define how its classes are hashed and compared.
        kind = class_of(item)
        if kind is str:
            if len(item) > _SHORT:
                return None
        elif kind is int:
            if not _LEAST_INT <= item <= _MOST_INT:
                return None
        elif item is not None and kind is not float and kind is not bool and kind is not FrozenDict:
            return None
    return copy


plain_copy: Callable[[Any], dict[str, Any] | None]
plain_copy = plain_copy_in_python if accelerator is None else accelerator.plain_copy_for(FrozenDict)


def freeze_tags(tags: Any) -> FrozenDict:
    """Return tags as a frozen mapping of text to text, repaired like :func:`repair_tags`."""
    return repair_tags(tags)[0]


def freeze_metrics(metrics: Any) -> FrozenDict:
    """Return metrics as a frozen mapping of text to float, repaired like :func:`repair_metrics`."""
    return repair_metrics(metrics)[0]


def repair_tags(value: Any) -> tuple[FrozenDict, bool]:
    """Return tags as a frozen mapping of text to text, and whether anything had to be repaired.

    A value that is no text becomes its text; what is no mapping is kept under ``tags``. None is no tags.
    """
    try:
        if value is None:
            return EMPTY, False
        if class_of(value) is dict and len(value) <= _FEW:
            copy: dict[Any, Any] = value.copy()
            for key, item in copy.items():
                if type(key) is not str or type(item) is not str or len(key) > _SHORT or len(item) > _SHORT:
                    break
            else:
                return FrozenDict(copy), False
        return _repair(Walk(show=str), value, "tags", _tag)
    except RecursionError:  # there may be no frame left for a call
        return EMPTY, True
    except BaseException as error:
        raise_interrupt(error)
        return EMPTY, True


def repair_metrics(value: Any) -> tuple[FrozenDict, bool]:
    """Return metrics as a frozen mapping of text to float, and whether anything had to be repaired.

    A text that is a number becomes that number, and counts as repaired; another value that is no number
    is left out. A number in place of the mapping is kept under ``metrics``. None is no metrics.
    """
    try:
        if value is None:
            return EMPTY, False
        if class_of(value) is dict and len(value) <= _FEW:
            copy: dict[Any, Any] = value.copy()
            for key, item in copy.items():
                if type(key) is not str or type(item) is not float or len(key) > _SHORT:
                    break
            else:
                return FrozenDict(copy), False
        return _repair(Walk(_FLAT, show=str), value, "metrics", _metric)
    except RecursionError:  # there may be no frame left for a call
        return EMPTY, True
    except BaseException as error:
        raise_interrupt(error)
        return EMPTY, True


def repair_severity(value: Any) -> tuple[int | None, bool]:
    """Return the severity within 1 to 10, None if it is no whole number, and whether it had to be repaired."""
    try:
        if value is None:
            return None, False
        kind = class_of(value)
        if kind is bool or not issubclass(kind, int):
            return None, True
        number = int.__int__(value)
        return min(max(number, 1), 10), not 1 <= number <= 10
    except BaseException as error:
        raise_interrupt(error)
        return None, True


def text(value: Any) -> str:
    """Return *value* as text: a str as it is, anything else like ``str(value)``, bounded like :func:`freeze`.

    Containers are shown as their frozen trees, so a list looks like a tuple.
    """
    if type(value) is str:
        return value
    try:
        walk = Walk(show=str)
        return walk.render(walk.value(value, 0))
    except RecursionError:
        return NO_STACK
    except BaseException as error:
        raise_interrupt(error)
        return _failed(value, error)


def bounded_text(value: Any) -> str:
    """Return *value* as text of at most :data:`LONGEST_TEXT` characters, a marker of what was cut among them."""
    return cut(text(value), LONGEST_TEXT)


def _failed(value: Any, error: BaseException) -> str:
    """Return the marker for a value that failed before the walk could contain it, for instance at a metaclass."""
    return unprintable(class_of(value), error)


def _repair(walk: Walk, value: Any, name: str, convert: Callable[[Walk, Any], Any]) -> tuple[FrozenDict, bool]:
    tree = walk.value(value, 0)
    wrong = class_of(tree) is not FrozenDict
    if wrong:
        tree = {name: tree}
    elif issubclass(class_of(value), dict):
        keys = walk.first(lambda: _dict.keys(value))
        wrong = len(keys) != len(tree) or not all(issubclass(class_of(key), str) for key in keys)
    converted: dict[str, Any] = {}
    for key, item in tree.items():
        good = convert(walk, item)
        if good is not None:
            converted[key] = good
        if type(good) is not type(item) and not (type(good) is float and type(item) in (int, bool)):
            wrong = True
    return FrozenDict(converted), wrong


def _tag(walk: Walk, tree: Any) -> str:
    return walk.render(tree)


def _metric(walk: Walk, tree: Any) -> float | None:
    if type(tree) in (float, int, bool):
        return float(tree)
    if type(tree) is str and len(tree) <= _LONGEST_NUMBER:
        # Decimal and Fraction arrive here as their text.
        numerator, _, denominator = tree.partition("/")
        try:
            return float(numerator) / float(denominator or 1)
        except (ValueError, ArithmeticError):
            return None
    return None
