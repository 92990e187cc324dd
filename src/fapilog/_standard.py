"""What to keep of an instance of a built-in or standard class, or of a subclass of one."""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodType,
    ModuleType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any, TypeAlias

from ._exception_parts import arguments_of, members_of
from ._text import bytes_text, class_of, plain_str, type_module, type_path

if TYPE_CHECKING:
    from ._walk import Walk

Handler: TypeAlias = "Callable[[Walk, Any, int], Any]"
"""Turns a value into a frozen tree: ``handler(walk, value, depth)``. It may raise; the walk contains that."""


def shown_by_str(walk: Walk, value: Any, depth: int) -> Any:
    """Return what ``str`` says of a value."""
    return shown(walk, walk.call(str, value))


def shown(walk: Walk, text: str) -> str:
    """Return a text that is not of an exact type, or of an unknown size, within the budget."""
    return walk.string(plain_str(text, walk.limits.string))


def _str_subclass(walk: Walk, value: Any, depth: int) -> Any:
    return shown(walk, value)


def _int_subclass(walk: Walk, value: Any, depth: int) -> Any:
    return walk.integer(int.__int__(value))


def _float_subclass(walk: Walk, value: Any, depth: int) -> Any:
    return float.__float__(value)


def _complex(walk: Walk, value: Any, depth: int) -> Any:
    return complex.__str__(value) if class_of(value) is complex else complex.__repr__(value)


def _bytes(walk: Walk, value: Any, depth: int) -> Any:
    limit = walk.limits.string
    base = bytearray if issubclass(class_of(value), bytearray) else bytes
    # A slice and not a view: while a view exists, another thread cannot resize its bytearray.
    return walk.string(bytes_text(bytes(base.__getitem__(value, slice(0, limit))), base.__len__(value), limit))


def _memoryview(walk: Walk, value: Any, depth: int) -> Any:
    limit = walk.limits.string
    if not value.c_contiguous:
        return f"<memoryview {value.nbytes} bytes>"
    flat = value.cast("B") if value.ndim != 1 or value.format != "B" else value
    return walk.string(bytes_text(bytes(flat[:limit]), value.nbytes, limit))


# Tools that freeze the clock replace the names of the classes in every module, but not these.
_combine = datetime.combine
_date_of = datetime.date
_time_of = datetime.timetz
_date_text = date.isoformat
_ANY_DATE = date.min


def _datetime_subclass(walk: Walk, value: Any, depth: int) -> Any:
    if type_module(class_of(value)).startswith("pandas"):
        # A Timestamp has nanoseconds, and NaT is no time at all: the base class knows neither.
        return shown_by_str(walk, value, depth)
    return _combine(_date_of(value), _time_of(value))


def _date_subclass(walk: Walk, value: Any, depth: int) -> Any:
    return _date_text(value)


def _time_subclass(walk: Walk, value: Any, depth: int) -> Any:
    return _time_of(_combine(_ANY_DATE, value))


def _function(walk: Walk, value: Any, depth: int) -> Any:
    if class_of(value) is MethodType:
        value = value.__func__
        if class_of(value) is not FunctionType:
            return walk.value(value, depth)
    module = value.__module__
    name = f"{module}.{value.__qualname__}" if type(module) is str and module != "builtins" else value.__qualname__
    return plain_str(name, walk.limits.key)


def _module(walk: Walk, value: Any, depth: int) -> Any:
    name = object.__getattribute__(value, "__name__")
    return plain_str(name, walk.limits.key)


def _namespace(walk: Walk, value: Any, depth: int) -> Any:
    state = instance_state(value)
    return walk.pairs(walk.first(state.items), len(state), id(value), depth)


def instance_state(value: Any) -> dict[str, Any]:
    """Return the instance's own dict, not what its class says is there."""
    try:
        state: Any = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return state if class_of(state) is dict else {}


def _timedelta(walk: Walk, value: Any, depth: int) -> Any:
    return timedelta.__str__(value)


# What is called of a built-in class is its own method: that of a subclass may be slow, lazy or wrong.
_dict: Any = dict
_ordered_dict: Any = OrderedDict
_tuple: Any = tuple
_list: Any = list
_deque: Any = deque
_array: Any = array


def _dict_subclass(walk: Walk, value: Any, depth: int) -> Any:
    items = _ordered_dict.items if issubclass(class_of(value), OrderedDict) else _dict.items
    pairs = walk.first(lambda: items(value))
    return walk.pairs(pairs, max(_dict.__len__(value), len(pairs)), id(value), depth)


def _tuple_subclass(walk: Walk, value: Any, depth: int) -> Any:
    names: Any = getattr(class_of(value), "_fields", ())
    size = _tuple.__len__(value)
    items = walk.first(lambda: _tuple.__iter__(value))
    if class_of(names) is tuple and len(names) == size and all(class_of(name) is str for name in names):
        return walk.pairs(list(zip(names, items, strict=False)), size, id(value), depth)
    return walk.sequence(items, size, id(value), depth)


def _list_subclass(walk: Walk, value: Any, depth: int) -> Any:
    items = walk.first(lambda: _list.__iter__(value))
    return walk.sequence(items, max(_list.__len__(value), len(items)), id(value), depth)


def _from_deque(walk: Walk, value: Any, depth: int) -> Any:
    items = walk.first(lambda: _deque.__iter__(value))
    return walk.sequence(items, max(_deque.__len__(value), len(items)), id(value), depth)


def _from_array(walk: Walk, value: Any, depth: int) -> Any:
    keep = walk.limits.items + 1
    return walk.sequence(_array.__getitem__(value, slice(0, keep)).tolist(), _array.__len__(value), id(value), depth)


def _set(walk: Walk, value: Any, depth: int) -> Any:
    base: Any = set if issubclass(class_of(value), set) else frozenset
    items = walk.first(lambda: base.__iter__(value))
    size = max(base.__len__(value), len(items))
    frozen = walk.sequence(items, size, id(value), depth)
    if class_of(frozen) is tuple and size == len(frozen):
        try:
            return tuple(sorted(frozen, key=_by_type))
        except Exception:
            return frozen
    return frozen


def _by_type(tree: Any) -> tuple[str, Any]:
    return type(tree).__name__, tree


def _range(walk: Walk, value: range, depth: int) -> Any:
    keep = walk.limits.items + 1
    try:
        size = len(value)
    except OverflowError:
        size = None
    return walk.sequence(list(value[:keep]), size, id(value), depth)


def exception_value(walk: Walk, value: BaseException, depth: int) -> Any:
    """Return an exception that is a value as ``Type: message``."""
    message = exception_text(walk, value)
    name = type_path(class_of(value))
    return walk.string(f"{name}: {message}") if message else name


def exception_text(walk: Walk, error: BaseException) -> str:
    """Return what ``str(error)`` says, without showing all of an argument that is large.

    Whatever the error's own code raises gets out.
    """
    if type(class_of(error).__str__) is not WrapperDescriptorType or issubclass(class_of(error), UnicodeError):
        return shown(walk, walk.call(str, error))
    if issubclass(class_of(error), BaseExceptionGroup):
        count = len(members_of(error))
        return f"{shown(walk, _group_message(error))} ({count} sub-exception{'s' if count != 1 else ''})"
    arguments = arguments_of(error)
    if issubclass(class_of(error), SyntaxError):
        # Its arguments hold the source line; its text is made of these.
        arguments = tuple(get(error) for get in _SYNTAX_TEXT)
    if len(arguments) <= _FEW and all(_is_small(argument) for argument in arguments):
        return shown(walk, walk.call(str, error))
    if issubclass(class_of(error), SyntaxError):
        arguments = arguments[:1]
    return walk.render(walk.value(arguments[0] if len(arguments) == 1 else arguments, 0))


def _is_small(value: Any) -> bool:
    if type(value) is str:
        return len(value) <= _SMALL_TEXT
    if type(value) is int:
        return value.bit_length() <= _SMALL_INTEGER
    return value is None or type(value) is bool or type(value) is float


_FEW = 8
_SMALL_TEXT = 4096
_SMALL_INTEGER = 64
_SYNTAX_TEXT = tuple(SyntaxError.__dict__[name].__get__ for name in ("msg", "filename", "lineno"))
_group_message = BaseExceptionGroup.__dict__["message"].__get__


BUILT_IN: tuple[tuple[type | tuple[type, ...], Handler], ...] = (
    (str, _str_subclass),
    (int, _int_subclass),
    (float, _float_subclass),
    ((bytes, bytearray), _bytes),
    (memoryview, _memoryview),
    (dict, _dict_subclass),
    (tuple, _tuple_subclass),
    (list, _list_subclass),
    ((set, frozenset), _set),
    (deque, _from_deque),
    (range, _range),
    (array, _from_array),
    (datetime, _datetime_subclass),
    (date, _date_subclass),
    (time, _time_subclass),
    (timedelta, _timedelta),
    (complex, _complex),
    ((FunctionType, BuiltinFunctionType, MethodType), _function),
    (ModuleType, _module),
    (SimpleNamespace, _namespace),
)
