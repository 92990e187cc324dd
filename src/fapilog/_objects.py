"""What to keep of an object, decided by its class; no library is imported to find that out."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from enum import Enum
from types import MemberDescriptorType, WrapperDescriptorType
from typing import TYPE_CHECKING, Any

from ._frozen import UNSIZED_TYPES
from ._standard import BUILT_IN, Handler, exception_value, instance_state, shown, shown_by_str
from ._text import (
    HIDDEN,
    UNAVAILABLE,
    class_of,
    plain_str,
    type_bases,
    type_module,
    type_name,
    type_path,
    type_qualname,
)

if TYPE_CHECKING:
    from ._walk import Walk

_SHOWN_BY_STR = frozenset(
    {
        "collections.UserString",
        "decimal.Decimal",
        "fractions.Fraction",
        "ipaddress._IPAddressBase",
        "uuid.UUID",
        "zoneinfo.ZoneInfo",
    }
)
"""Classes, by qualified name, whose ``str`` says everything."""

_SMALL_ARRAY = 16


def classify(kind: Any) -> Handler:
    """Return what turns values of *kind* into frozen trees."""
    if issubclass(kind, type):
        return _type
    if issubclass(kind, Enum):
        return _enum
    if issubclass(kind, BaseException):
        return exception_value
    if "secret" in type_name(kind).lower():
        return _secret
    for base, handler in BUILT_IN:
        if issubclass(kind, base):
            return handler
    bases = type_bases(kind)
    # Not hasattr(): a metaclass may answer that as it likes.
    names = set[str]().union(*(base.__dict__ for base in bases))
    for marker, handler in _MARKED:
        if marker <= names:
            return handler
    if any(f"{type_module(base)}.{type_qualname(base)}" in _SHOWN_BY_STR for base in bases):
        return shown_by_str
    if issubclass(kind, Mapping):
        return _mapping
    if issubclass(kind, Sequence | AbstractSet | KeysView | ItemsView | ValuesView):
        return _iterable
    return _unknown


def _type(walk: Walk, value: Any, depth: int) -> Any:
    return type_path(value)


def _enum(walk: Walk, value: Any, depth: int) -> Any:
    plain = value._value_
    if type(plain) in UNSIZED_TYPES or type(plain) in (str, int):
        return walk.value(plain, depth)
    return walk.value(value._name_, depth)


def _secret(walk: Walk, value: Any, depth: int) -> Any:
    kind = class_of(value)
    if type(kind.__repr__) is WrapperDescriptorType:
        # A built-in repr would show the content of a str or a dict.
        return f"<{type_name(kind)}>"
    return plain_str(walk.call(repr, value), walk.limits.string)


def _unknown(walk: Walk, value: Any, depth: int) -> Any:
    return shown(walk, walk.call(walk.show, value))


def _attrs(walk: Walk, value: Any, depth: int) -> Any:
    fields = [(field.name, field.repr) for field in class_of(value).__attrs_attrs__]
    return _fields(walk, value, fields, depth)


def _dataclass(walk: Walk, value: Any, depth: int) -> Any:
    from dataclasses import fields

    return _fields(walk, value, [(field.name, field.repr) for field in fields(value)], depth)


def _struct(walk: Walk, value: Any, depth: int) -> Any:
    return _fields(walk, value, [(name, True) for name in class_of(value).__struct_fields__], depth)


def _pydantic(walk: Walk, value: Any, depth: int) -> Any:
    kind = class_of(value)
    fields: Any = getattr(kind, "__pydantic_fields__", ())
    if class_of(fields) is not dict:
        fields = kind.model_fields
    visible = [(name, getattr(field, "repr", True)) for name, field in fields.items()]
    try:
        extra = object.__getattribute__(value, "__pydantic_extra__")
    except AttributeError:
        extra = None
    return _fields(walk, value, visible, depth, extra if class_of(extra) is dict else None)


def _fields(
    walk: Walk, value: Any, fields: list[tuple[str, Any]], depth: int, extra: dict[str, Any] | None = None
) -> Any:
    """Return the named fields of an object; what its class keeps out of its repr stays hidden."""
    state = instance_state(value)
    pairs: list[tuple[Any, Any]] = []
    for name, visible in fields[: walk.limits.items + 1]:
        if visible is False:
            item: Any = HIDDEN
        else:
            item = _read(value, state, name)
            if visible is not True and callable(visible) and item is not UNAVAILABLE:
                item = walk.call(visible, item)
        pairs.append((name, item))
    if extra:
        pairs += walk.first(extra.items)
    return walk.pairs(pairs, len(fields) + len(extra or ()), id(value), depth)


def _read(value: Any, state: dict[str, Any], name: str) -> Any:
    """Return the value of a field without running a property or a database's lazy loader."""
    if name in state:
        return state[name]
    for base in type_bases(class_of(value)):
        if name in base.__dict__:
            found = base.__dict__[name]
            break
    else:
        return UNAVAILABLE
    if class_of(found) is MemberDescriptorType:
        try:
            return found.__get__(value)
        except AttributeError:
            return UNAVAILABLE
    return UNAVAILABLE if hasattr(class_of(found), "__get__") else found


def _numbers(walk: Walk, value: Any, depth: int) -> Any:
    shape = walk.call(getattr, value, "shape")
    if issubclass(class_of(shape), tuple) and type_module(class_of(value)).startswith("numpy"):
        if not shape:
            if "datetime64" in type_name(class_of(value)):
                # As a Python value, a time in nanoseconds is a bare number.
                return shown_by_str(walk, value, depth)
            plain = walk.call(value.item)
            if class_of(plain) is not class_of(value):
                return walk.value(plain, depth)
        elif len(shape) == 1 and shape[0] <= _SMALL_ARRAY:
            return walk.sequence(walk.call(value.tolist), shape[0], id(value), depth)
    size = walk.render(walk.value(shape, walk.limits.depth - 1))
    parts = [type_path(class_of(value)), f"shape={size}"]
    if hasattr(class_of(value), "dtype"):
        parts.append(f"dtype={plain_str(walk.call(lambda: str(value.dtype)), walk.limits.key)}")
    return f"<{' '.join(parts)}>"


def _path(walk: Walk, value: Any, depth: int) -> Any:
    path = walk.call(class_of(value).__fspath__, value)
    if not isinstance(path, str | bytes):
        raise TypeError("__fspath__ returned neither str nor bytes")
    return walk.value(path, depth)


def _mapping(walk: Walk, value: Any, depth: int) -> Any:
    pairs: list[Any] = walk.call(lambda: walk.first(value.items))
    return walk.pairs(pairs, _size(walk, value, pairs), id(value), depth)


def _iterable(walk: Walk, value: Any, depth: int) -> Any:
    items: list[Any] = walk.call(walk.first, lambda: value)
    return walk.sequence(items, _size(walk, value, items), id(value), depth)


def _size(walk: Walk, value: Any, first: list[Any]) -> int | None:
    """Return the number of items, of which *first* are the first; None if that cannot be had."""
    if len(first) <= walk.limits.items:
        return len(first)
    try:
        size: int = walk.call(len, value)
        return max(size, len(first))
    except Exception:
        return None


_MARKED: tuple[tuple[frozenset[str], Handler], ...] = (
    (frozenset({"__attrs_attrs__"}), _attrs),
    (frozenset({"__dataclass_fields__"}), _dataclass),
    (frozenset({"__struct_fields__"}), _struct),
    (frozenset({"__pydantic_core_schema__", "__pydantic_fields__"}), _pydantic),
    (frozenset({"__pydantic_core_schema__", "model_fields"}), _pydantic),
    (frozenset({"shape", "dtype"}), _numbers),
    (frozenset({"shape", "dtypes"}), _numbers),
    (frozenset({"__fspath__"}), _path),
)
"""Classes known by the names that they, or their bases, define."""
