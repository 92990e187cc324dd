"""Paths to values in an event, such as ``fields.user.email``, and what is done at their ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from ..checks import Problems
from ..event import LogEvent
from ..shown import items_of, plain_text

MAPPINGS = ("fields", "context", "tags", "metrics")
"""What of an event a path may begin with."""
MOST_PATHS = 1000
_DEEPEST = 20
_ALLOWED = "a path such as 'fields.user.email', which begins with fields, context, tags or metrics"

Path: TypeAlias = tuple[str, ...]


def split(path: str) -> Path | None:
    """Return the keys of a dotted path, or None if it does not lead into one of an event's mappings.

    A key with a dot in it has a backslash before the dot.
    """
    keys = [key.replace("\0", ".") for key in path.replace("\\.", "\0").split(".")]
    if keys[0] not in MAPPINGS or not 2 <= len(keys) <= _DEEPEST or not all(keys):
        return None
    return tuple(keys)


def paths(problems: Problems, where: str, value: Any) -> Any:
    """Check for a list of paths; its normal form is a new list."""
    if not issubclass(type(value), (list, tuple)) or len(items := items_of(value)) > MOST_PATHS:
        problems.add(where, value, f"a list of at most {MOST_PATHS} paths, such as ['fields.user.email']")
        return value
    for position, item in enumerate(items):
        if not issubclass(type(item), str) or split(plain_text(item)) is None:
            problems.add(f"{where}[{position}]", item, _ALLOWED)
    return [plain_text(item) if issubclass(type(item), str) else item for item in items]


def path(problems: Problems, where: str, value: Any) -> Any:
    """Check for one path."""
    if not issubclass(type(value), str) or split(plain_text(value)) is None:
        problems.add(where, value, _ALLOWED)
        return value
    return plain_text(value)


def find(mapping: Mapping[str, Any], keys: Path) -> tuple[bool, Any]:
    """Return whether there is a value at *keys* in *mapping*, and the value."""
    value: Any = mapping
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return False, None
        value = cast("dict[str, Any]", value)[key]
    return True, value


def without(mapping: Mapping[str, Any], keys: Path) -> dict[str, Any]:
    """Return a copy of *mapping* without the value at *keys*, which is there; a mapping left empty stays."""
    key, *rest = keys
    if not rest:
        return {name: value for name, value in mapping.items() if name != key}
    return {**mapping, key: without(mapping[key], tuple(rest))}


def with_value(mapping: Mapping[str, Any], keys: Path, value: Any) -> dict[str, Any]:
    """Return a copy of *mapping* with *value* at *keys*; what is in the way of the path is replaced."""
    key, *rest = keys
    if not rest:
        return {**mapping, key: value}
    inner: Any = mapping.get(key)
    outer: Any = cast("Mapping[str, Any]", inner) if isinstance(inner, Mapping) else {}
    return {**mapping, key: with_value(outer, tuple(rest), value)}


def mapping_of(event: LogEvent, name: str) -> Mapping[str, Any]:
    """Return one of the event's mappings."""
    mapping: Mapping[str, Any] = getattr(event, name)
    return mapping
