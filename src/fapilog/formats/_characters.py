"""How much text there is in an event, counted without looking at any of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..event import LogEvent
from ._careful import MAX_DIGITS_BITS

_WHOLE = 65_536
"""An event of no more characters than this is always encoded whole first, so that its size is known exactly."""
_SMALL = frozenset({float, bool, type(None)})
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


def most_characters(max_event_bytes: int) -> int:
    """Return how many characters an event may have to be encoded whole; one with more is too large in any case."""
    return max(max_event_bytes, _WHOLE)


def characters(tree: object, most: int) -> int:
    """Return the characters of the texts and large numbers in *tree*, and one more for each value and each key.

    It looks at no more than *most* values; of a tree that has more, it returns any number above *most*.
    """
    total = 1
    pending: list[object] = [tree]
    for value in pending:
        if type(value) is str:
            total += len(value)
        elif type(value) is int:
            if not _SMALLEST <= value <= _LARGEST:
                total += _digits(value)
        elif type(value) in _SMALL:
            pass
        elif isinstance(value, dict):
            mapping = cast("dict[str, Any]", value)
            total += 2 * len(mapping)
            if len(pending) + 2 * len(mapping) <= most:
                pending += mapping
                pending += mapping.values()
        elif isinstance(value, (tuple, list)):
            items = cast("tuple[Any, ...]", value)
            total += len(items)
            if len(pending) + len(items) <= most:
                pending += items
        elif isinstance(value, str):
            total += str.__len__(value)
        elif isinstance(value, int):
            total += _digits(value)
    return total


def _digits(value: int) -> int:
    bits = int.bit_length(value)
    return bits * 3 // 10 if bits <= MAX_DIGITS_BITS else 0


def event_characters(event: LogEvent, most: int) -> int:
    """Return the same as :func:`characters` for what *event* holds, quickly for an ordinary one."""
    _, _, message, fields, origin, _, task, _ = event._record
    total = len(message) + len(origin.logger) + len(origin.source) + len(task)
    mapping: Mapping[str, object]
    for mapping in (fields, event.context, event.tags, event.metrics):
        for key, value in mapping.items():
            if type(value) is str:
                total += len(key) + len(value) + 2
            elif (type(value) is int and _SMALLEST <= value <= _LARGEST) or type(value) in _SMALL:
                total += len(key) + 2
            else:
                total += len(key) + 1 + characters(value, most - total)
    if event.exception:
        total += characters(event.exception, most - total)
    return total + len(event.correlation_id) + len(origin.container_id)
