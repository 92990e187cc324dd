"""What a text means for a plugin's attribute: a number with a unit, or whatever an environment variable stands for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

import attrs

from ..environment import EnvironmentText, collection_in, list_in, number_in, table_in, truth_in
from ..shown import plain_text, type_of
from ..units import bytes_in, seconds_in
from .schema import field_types

UNIT: Final = "unit"
"""The key of an attribute's metadata under which its unit stands: ``bytes``, ``seconds`` or ``days``."""
_DAY: Final = 86_400.0
_DEEPEST: Final = 20


def meant(value: Any, annotation: Any, unit: str = "") -> Any:
    """Return what *value* means for an attribute: another value if it is a text that stands for one, else itself.

    Parameters:
        annotation: the attribute's type.
        unit: the attribute's unit, or an empty text.
    """
    if unit and issubclass(type_of(value), str) and (number := _measured(plain_text(value), unit)) is not None:
        return number
    return _meant(value, annotation, _DEEPEST)


def _measured(text: str, unit: str) -> float | None:
    if unit == "bytes":
        return bytes_in(text)
    seconds = seconds_in(text)
    return seconds / _DAY if seconds is not None and unit == "days" else seconds


def _meant(value: Any, annotation: Any, depth: int) -> Any:
    if depth == 0:
        return value
    branches = _branches(annotation)
    if type_of(value) is EnvironmentText:
        value = _from_text(value, branches)
    if type_of(value) is dict:
        return {key: _meant(item, _type_inside(branches, key), depth - 1) for key, item in value.items()}
    return value


def _from_text(text: EnvironmentText, branches: list[Any]) -> Any:
    """Return the first of what *text* can be among *branches*; a plain text if it can be nothing else."""
    kinds = [get_origin(branch) or branch for branch in branches]
    classes = [cast("type", kind) for kind in kinds if issubclass(type_of(kind), type) and kind not in (Any, object)]
    anything = len(classes) < len(kinds)
    if (anything or int in kinds or float in kinds) and (number := number_in(text)) is not None:
        return number
    if (anything or bool in kinds) and (truth := truth_in(text)) is not None:
        return truth
    if anything:
        found = collection_in(text)
        return plain_text(text) if found is None else found
    if any(attrs.has(kind) or issubclass(kind, Mapping) for kind in classes) and (table := table_in(text)) is not None:
        return table
    is_text = any(issubclass(kind, (str, bytes)) for kind in classes)
    if not is_text and any(map(_is_array, classes)) and (items := list_in(text)) is not None:
        return items
    return plain_text(text)


def _is_array(kind: type) -> bool:
    return not attrs.has(kind) and not issubclass(kind, (Mapping, Enum)) and issubclass(kind, Collection)


def _branches(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _branches(get_args(annotation)[0])
    if origin is Union or origin is UnionType:
        return [inner for branch in get_args(annotation) for inner in _branches(branch)]
    return [annotation]


def _type_inside(branches: list[Any], key: str) -> Any:
    """Return the type of what stands under *key* in a table of one of these types."""
    for branch in branches:
        kind: Any = get_origin(branch) or branch
        if issubclass(type_of(kind), type) and attrs.has(kind):
            names = {attribute.alias or attribute.name: attribute.name for attribute in attrs.fields(kind)}
            return field_types(kind).get(names.get(key, ""), Any)
        if issubclass(type_of(kind), type) and issubclass(kind, Mapping) and len(get_args(branch)) == 2:
            return get_args(branch)[1]
    return Any
