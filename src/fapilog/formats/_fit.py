"""Events that are too large: the largest values are cut, with a marker that names their size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from ._careful import Names, encode

Measure: TypeAlias = Callable[[Any], int]
"""Gives the bytes that a value, or a key, takes in a format."""

_VALUE_FLOOR = 56
"""Room for any marker: no value is given less."""
_KEY_FLOOR = 64
"""A key up to this size is never cut."""
_ENTRY_OVERHEAD = 2
"""The separators of an entry, such as the colon and the comma."""
_KEPT_SIZE = 96
"""Room for a value that identifies the event."""


def json_size(value: Any) -> int:
    """Return the bytes that *value* takes as JSON."""
    return len(encode(value))


def fit_event(
    event: Mapping[str, Any], budget: int, kept: Iterable[str], measure: Measure = json_size
) -> dict[str, Any]:
    """Return *event* cut to at most *budget* bytes.

    Parameters:
        event: a tree as :func:`plain` makes it.
        budget: in bytes, at least 1000.
        kept: the keys of the event's identity; their values are cut last, and only when they are unreasonably long.
        measure: the size of a value in the format.
    """
    head = {key: fit(event[key], _KEPT_SIZE, measure) for key in kept if key in event}
    used = sum(measure(key) + measure(value) + _ENTRY_OVERHEAD for key, value in head.items())
    body = fit_mapping({key: value for key, value in event.items() if key not in head}, budget - used, measure)
    # The identity keeps its place, so that a cut event reads like any other.
    result = {key: head[key] if key in head else body.pop(key) for key in event if key in head or key in body}
    return {**result, **body}


def fit(value: Any, budget: int, measure: Measure = json_size) -> Any:
    """Return *value* cut to at most *budget* bytes, which are at least enough for a marker."""
    if measure(value) <= budget:
        return value
    if isinstance(value, dict):
        return fit_mapping(cast("dict[str, Any]", value), budget, measure)
    if isinstance(value, (tuple, list)):
        return _fit_sequence(cast("list[Any]", value), budget, measure)
    return cut_text(value if isinstance(value, str) else str(value), budget, measure)


def cut_text(text: str, budget: int, measure: Measure = json_size, marker: str = "…<{} characters>") -> str:
    """Return the start of *text* and a marker with its length, together at most *budget* bytes."""
    ending = marker.format(len(text))
    start = text[: max(budget, 0)]
    while start and (size := measure(start + ending)) > budget:
        # In proportion to the excess, but at least one character less and never far too few.
        start = start[: min(len(start) - 1, max(len(start) * budget // size, len(start) - (size - budget)))]
    return start + ending


def fit_mapping(mapping: Mapping[str, Any], budget: int, measure: Measure = json_size) -> dict[str, Any]:
    """Return *mapping* cut to at most *budget* bytes: the small entries stay, the large ones share what is left.

    When there are too many entries for that, the first ones stay, and one more says how many there were.
    """
    sizes = {key: measure(key) + measure(value) + _ENTRY_OVERHEAD for key, value in mapping.items()}
    key_floor = min(_KEY_FLOOR, max(map(measure, mapping), default=0))
    count, available = _room(sizes.values(), budget - 2, key_floor + _VALUE_FLOOR + _ENTRY_OVERHEAD)
    keys = list(mapping)[:count]
    share = _share([sizes[key] for key in keys], available)
    names = Names()
    result: dict[str, Any] = {}
    for key in keys:
        value = mapping[key]
        if sizes[key] <= share:
            result[names.take(key)] = value
            continue
        key_budget = max(key_floor, share - _VALUE_FLOOR - _ENTRY_OVERHEAD - min(measure(value), share // 2))
        name = key if measure(key) <= key_budget else cut_text(key, key_budget - 8, measure, "…{}")
        name = names.take(name)
        result[name] = fit(value, share - measure(name) - _ENTRY_OVERHEAD, measure)
    if count < len(sizes):
        result[names.take("…")] = f"<{len(sizes) - count} more>"
    return result


def _fit_sequence(items: Sequence[Any], budget: int, measure: Measure) -> list[Any]:
    sizes = [measure(item) + 1 for item in items]
    count, available = _room(sizes, budget - 2, _VALUE_FLOOR + 1)
    share = _share(sizes[:count], available)
    result = [fit(item, share - 1, measure) for item in items[:count]]
    if count < len(sizes):
        result.append(f"<{len(sizes) - count} more>")
    return result


def _room(sizes: Iterable[int], budget: int, floor: int) -> tuple[int, int]:
    """Return how many entries can have at least *floor* bytes each, and the bytes that there are for them."""
    sizes = tuple(sizes)
    if sum(min(size, floor) for size in sizes) <= budget:
        return len(sizes), budget
    budget -= _VALUE_FLOOR - 10  # for the entry that says how many more there were
    used = count = 0
    for size in sizes:
        used += min(size, floor)
        if used > budget:
            break
        count += 1
    return count, budget


def _share(sizes: Iterable[int], available: int) -> int:
    """Return the most that one entry may have, so that entries below it stay whole and all fit."""
    ordered = sorted(sizes)
    for position, size in enumerate(ordered):
        share = available // (len(ordered) - position)
        if size > share:
            return share
        available -= size
    return max(ordered, default=0)
