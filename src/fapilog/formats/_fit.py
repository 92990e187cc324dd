"""Events that are too large: the largest values are cut, with a marker that names their size."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias, cast

from ._careful import MAX_DEPTH, encode, numbered, scalar, size_of_integer
from ._characters import characters

Measure: TypeAlias = Callable[[Any, int], int]
"""Gives the bytes that a value, or a key, takes in a format. If they are more than the second argument, it may give
any number that is more, so that it need not look at all of the value."""

_VALUE_FLOOR = 56
"""Room for any marker: no value is given less."""
_KEY_FLOOR = 64
"""A key up to this size is never cut."""
_ENTRY_OVERHEAD = 2
"""The separators of an entry, such as the colon and the comma."""
_KEPT_SIZE = 96
"""Room for a value that identifies the event."""
_MORE_RESERVE = _VALUE_FLOOR - 10
"""Room for the entry that says how many more there were."""
_LONGEST_MARKER = 36
# A text, which ``re`` compiles at its first use: most programs never cut an event.
_MORE = r" *(?:note: |…=)?'?<(\d{1,18}) more>'?"
"""What stands for entries that were left out before; also as an exception's line for people."""


class Marker:
    """How the end of a cut text names the length that it had."""

    __slots__ = ("form", "pattern")

    def __init__(self, form: str, pattern: re.Pattern[str]) -> None:
        self.form: str = form
        self.pattern: re.Pattern[str] = pattern
        """Finds the marker at the end of a text that was cut before, also in quotes or with a number after it."""

    def ending(self, text: str) -> str:
        """Return the marker for *text*: its own, if it was cut before, because that names the original length."""
        found = self.pattern.search(text, max(len(text) - _LONGEST_MARKER, 0))
        return self.form.format(len(text)) if found is None else found.group()


_CUT_VALUE = Marker("…<{} characters>", re.compile(r"…<\d+ characters>['\"]?\Z"))
_CUT_KEY = Marker("…{}", re.compile(r"…\d+([#_]\d+)?'?\Z"))


def json_size(value: Any, most: int) -> int:
    """Return the bytes that *value* takes as JSON."""
    size = characters(value, most)
    return size if size > most else len(encode(value))


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
    used = sum(measure(key, budget) + measure(value, budget) + _ENTRY_OVERHEAD for key, value in head.items())
    body = fit_mapping({key: value for key, value in event.items() if key not in head}, budget - used, measure)
    # The identity keeps its place, so that a cut event reads like any other.
    result = {key: head[key] if key in head else body.pop(key) for key in event if key in head or key in body}
    return {**result, **body}


def fit(value: Any, budget: int, measure: Measure = json_size, depth: int = MAX_DEPTH) -> Any:
    """Return *value* cut to at most *budget* bytes, which are at least enough for a marker."""
    return value if measure(value, budget) <= budget else _cut(value, budget, measure, depth)


def _cut(value: Any, budget: int, measure: Measure, depth: int) -> Any:
    if isinstance(value, str):
        return cut_text(value, budget, measure)
    if not isinstance(value, (dict, tuple, list)):
        return size_of_integer(value) if isinstance(value, int) else cut_text(scalar(value), budget, measure)
    if depth == 0:
        return "<too deep>"
    if isinstance(value, dict):
        return fit_mapping(cast("dict[str, Any]", value), budget, measure, depth - 1)
    return _fit_sequence(cast("Sequence[Any]", value), budget, measure, depth - 1)


def cut_text(text: str, budget: int, measure: Measure = json_size, marker: Marker = _CUT_VALUE) -> str:
    """Return the start of *text* and a marker with its length, together at most *budget* bytes."""
    ending = marker.ending(text)
    start = text[: max(budget, 0)]
    while start and (size := measure(start + ending, budget)) > budget:
        # In proportion to the excess, but at least one character less and never far too few.
        start = start[: min(len(start) - 1, max(len(start) * budget // size, len(start) - (size - budget)))]
    return start + ending


def fit_mapping(
    mapping: Mapping[str, Any], budget: int, measure: Measure = json_size, depth: int = MAX_DEPTH
) -> dict[str, Any]:
    """Return *mapping* cut to at most *budget* bytes: the small entries stay, the large ones share what is left.

    When there are too many entries for that, the first ones stay, and one more says how many there were.
    """
    budget = max(budget - 2, 0)
    key_sizes = [measure(key, budget) for key in islice(mapping, budget)]
    key_floor = min(_KEY_FLOOR, max(key_sizes, default=0))
    measured = zip(key_sizes, (measure(value, budget) for value in mapping.values()), strict=False)
    sizes, available = _room(
        (key_size + value_size + _ENTRY_OVERHEAD for key_size, value_size in measured),
        budget,
        key_floor + _VALUE_FLOOR + _ENTRY_OVERHEAD,
    )
    share = share_of(sizes, available)
    numbers: dict[str, int] = {}
    result: dict[str, Any] = {}
    for (key, value), key_size, size in zip(mapping.items(), key_sizes, sizes, strict=False):
        if size <= share and key not in result:
            result[key] = value
            continue
        value_size = size - key_size - _ENTRY_OVERHEAD
        key_budget = max(key_floor, share - _VALUE_FLOOR - _ENTRY_OVERHEAD - min(value_size, share // 2))
        name = key if key_size <= key_budget else cut_text(key, key_budget - 8, measure, _CUT_KEY)
        if name in result:
            name = numbered(name, result, numbers)
        value_budget = share - measure(name, share) - _ENTRY_OVERHEAD
        result[name] = value if value_size <= value_budget else _cut(value, value_budget, measure, depth)
    count = len(mapping) - len(sizes)
    if count:
        name = "…" if "…" not in result else numbered("…", result, numbers)
        result[name] = f"<{count + hidden(islice(mapping.values(), len(sizes), None))} more>"
    return result


def _fit_sequence(items: Sequence[Any], budget: int, measure: Measure, depth: int) -> list[Any]:
    budget = max(budget - 2, 0)
    sizes, available = _room((measure(item, budget) + 1 for item in items), budget, _VALUE_FLOOR + 1)
    share = share_of(sizes, available)
    result = [
        item if size <= share else _cut(item, share - 1, measure, depth)
        for item, size in zip(items, sizes, strict=False)
    ]
    count = len(items) - len(sizes)
    if count:
        result.append(f"<{count + hidden(islice(items, len(sizes), None))} more>")
    return result


def hidden(left_out: Iterable[Any]) -> int:
    """Return how many entries that were left out before are told by those that are *left_out* now."""
    told = [value for value in left_out if isinstance(value, str) and value.endswith((" more>", " more>'"))]
    return sum(int(match[1]) - 1 for text in told if (match := re.fullmatch(_MORE, text)))


def _room(measured: Iterable[int], budget: int, floor: int) -> tuple[list[int], int]:
    """Return the sizes of the first entries, as many as can have at least *floor* bytes each, and their room."""
    sizes: list[int] = []
    used = count = 0
    for size in measured:
        sizes.append(size)
        used += min(size, floor)
        if used > budget:
            # The entry that says how many more there were needs room too.
            return sizes[:count], budget - _MORE_RESERVE
        if used <= budget - _MORE_RESERVE:
            count = len(sizes)
    return sizes, budget


def share_of(sizes: Iterable[int], available: int) -> int:
    """Return the most that one entry may have, so that entries below it stay whole and all fit."""
    ordered = sorted(sizes)
    for position, size in enumerate(ordered):
        share = available // (len(ordered) - position)
        if size > share:
            return share
        available -= size
    return max(ordered, default=0)
