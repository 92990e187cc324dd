"""Odd values to log: each name stands for a factory, so that no test sees another one's object."""

# ruff: noqa: DTZ001, DTZ901 - a time without a zone is one of them

from __future__ import annotations

import array
import collections
import contextvars
import dataclasses
import decimal
import enum
import fractions
import functools
import ipaddress
import itertools
import operator
import pathlib
import re
import threading
import types
import uuid
import weakref
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, NamedTuple, NoReturn

import attrs


class Raising:
    """A value whose ``__repr__`` and ``__str__`` raise."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error

    __str__ = __repr__


class RaisingFormat:
    def __format__(self, spec: str) -> str:
        raise ValueError(spec)


class WrongRepr:
    def __init__(self, result: object) -> None:
        self.result = result

    def __repr__(self) -> Any:
        return self.result


class StrSubclass(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError("no str")

    def __len__(self) -> int:
        raise ValueError("no len")


class ReprOfStrSubclass:
    def __repr__(self) -> str:
        return StrSubclass("sub")


class RecursingRepr:
    def __repr__(self) -> str:
        return repr(self)


class ReprOfItself:
    def __repr__(self) -> str:
        return f"<{[self]!r}>"


class HugeRepr:
    def __repr__(self) -> str:
        return "r" * 1_000_000


class IntSubclass(int):
    def __repr__(self) -> str:
        raise ValueError("no repr")

    def __index__(self) -> int:
        raise ValueError("no index")


class FloatSubclass(float):
    __slots__ = ()

    def __float__(self) -> float:
        raise ValueError("no float")


class BytesSubclass(bytes):
    __slots__ = ()

    def __len__(self) -> int:
        raise ValueError("no len")


class DictSubclass(dict[str, int]):
    def items(self) -> Any:
        raise ValueError("no items")

    def __len__(self) -> int:
        raise ValueError("no len")

    def __iter__(self) -> Iterator[str]:
        raise ValueError("no iter")


class ListSubclass(list[int]):
    def __iter__(self) -> Iterator[int]:
        raise ValueError("no iter")


class TupleSubclass(tuple[int, ...]):
    __slots__ = ()

    def __iter__(self) -> Iterator[int]:
        raise ValueError("no iter")


class SetSubclass(set[int]):
    def __iter__(self) -> Iterator[int]:
        raise ValueError("no iter")


class Zone(tzinfo):
    def dst(self, moment: datetime | None) -> None:
        return None

    def tzname(self, moment: datetime | None) -> str:
        return "zone"


class BadZone(Zone):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise ValueError("no offset")

    def __repr__(self) -> str:
        raise ValueError("no repr")


class WrongZone(Zone):
    def utcoffset(self, moment: datetime | None) -> Any:
        return 5


class DatetimeSubclass(datetime):
    def isoformat(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError("no isoformat")


class DateSubclass(date):
    def isoformat(self) -> NoReturn:
        raise ValueError("no isoformat")


class TimeSubclass(time):
    def isoformat(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError("no isoformat")


class LazyProxy:
    """Like a proxy outside of its request: whatever is asked, it raises."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise RuntimeError("working outside of request context")

    def __repr__(self) -> str:
        raise RuntimeError("working outside of request context")


class BoundProxy:
    """A proxy that says it is of another class."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return dict

    def __repr__(self) -> str:
        return "<bound proxy>"


class DetachedInstanceError(Exception):
    """Named like the error of a database object without its session."""


class Detached:
    def __repr__(self) -> str:
        raise DetachedInstanceError("not bound to a session")


class RaisingMapping(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise OSError("gone")

    def __len__(self) -> int:
        raise OSError("gone")


class EndlessMapping(Mapping[int, int]):
    def __getitem__(self, key: int) -> int:
        return key

    def __iter__(self) -> Iterator[int]:
        return itertools.count()

    def __len__(self) -> int:
        raise OverflowError


class EndlessSequence(Sequence[int]):
    def __getitem__(self, index: Any) -> Any:
        return index

    def __len__(self) -> int:
        return 10**18


class GrowingSequence(Sequence[Any]):
    """Each item is another one of its kind: no cycle, no end."""

    def __getitem__(self, index: Any) -> Any:
        if index:
            raise IndexError
        return GrowingSequence()

    def __len__(self) -> int:
        return 1


class BadHash:
    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return "same"


class ComparingRaises:
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison")


class BoolRaises:
    def __bool__(self) -> bool:
        raise ValueError("no truth")

    def __len__(self) -> int:
        raise ValueError("no len")


class EvilMeta(type):
    def __hash__(cls) -> int:
        raise ValueError("no hash")

    def __eq__(cls, other: object) -> bool:
        raise ValueError("no comparison")

    def __getattribute__(cls, name: str) -> Any:
        raise ValueError(name)

    def __instancecheck__(cls, instance: object) -> bool:
        raise ValueError("no check")


class Evil(metaclass=EvilMeta):
    pass


class AgreeableMeta(type):
    """Its classes have every attribute that they are asked for."""

    def __getattr__(cls, name: str) -> str:
        return "yes"


class Agreeable(metaclass=AgreeableMeta):
    def __getattr__(self, name: str) -> str:
        return "yes"

    def __repr__(self) -> str:
        return "<agreeable>"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 2
    password: str = dataclasses.field(default="hunter2", repr=False)
    kind: dataclasses.InitVar[int] = 3


@dataclasses.dataclass(slots=True)
class SlottedPoint:
    x: int
    y: list[int] = dataclasses.field(default_factory=lambda: [1, 2])


@dataclasses.dataclass
class Node:
    name: str
    following: Node | None = None


@attrs.define
class Account:
    name: str
    token: str = attrs.field(default="hunter2", repr=False)
    card: str = attrs.field(default="4111", repr=lambda value: f"ends {value[-2:]}")


@attrs.define
class Unset:
    first: int = attrs.field(init=False)
    second: int = 2


class Pair(NamedTuple):
    left: int
    right: str


class Color(enum.Enum):
    RED = "red"
    ODD = object()


class Number(enum.IntEnum):
    ONE = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class SecretStr:
    """Like the class of the same name in validation libraries."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "SecretStr('**********')"


class SecretText(str):
    __slots__ = ()


class ModelField:
    def __init__(self, *, shown: bool) -> None:
        self.repr = shown

    def check(self) -> None:
        pass


class Model:
    """Like a model of a validation library."""

    __pydantic_core_schema__ = object()
    __pydantic_fields__ = {"name": ModelField(shown=True), "pin": ModelField(shown=False)}  # noqa: RUF012

    def __init__(self) -> None:
        self.name = "n"
        self.pin = "hunter2"
        object.__setattr__(self, "__pydantic_extra__", {"more": [1]})


class Struct:
    """Like a structure of a serialisation library."""

    __slots__ = ("a", "b")
    __struct_fields__ = ("a", "b")

    def __init__(self) -> None:
        self.a = 1
        self.b = [2]


class Array:
    """Like an array of numbers; looking at its content is an error."""

    def __init__(self, shape: tuple[int, ...], item: object = None) -> None:
        self._shape = shape
        self._item = item

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> str:
        return "float64"

    def item(self) -> object:
        return self._item

    def tolist(self) -> NoReturn:
        raise AssertionError("dumped")

    def __repr__(self) -> NoReturn:
        raise AssertionError("dumped")

    __iter__ = __repr__


Array.__module__ = "numpy"


class Frame:
    """Like a table."""

    shape = (1_000_000, 12)
    dtypes = None

    def __repr__(self) -> NoReturn:
        raise AssertionError("dumped")


class RaisingShape:
    dtype = "x"

    @property
    def shape(self) -> NoReturn:
        raise RuntimeError("no shape")


class BadPath:
    def __fspath__(self) -> Any:
        return 5


class RaisingAttributes:
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise ValueError("no dict")

    def __repr__(self) -> str:
        return "<no attributes>"


class RaisingStr(Exception):
    def __str__(self) -> str:
        raise ValueError("no str")


class Thing:
    pass


def _nested(depth: int, wrap: Callable[[Any], Any]) -> object:
    value: object = "end"
    for _ in range(depth):
        value = wrap(value)
    return value


def _self_containing_list() -> object:
    value: list[Any] = [1]
    value.append(value)
    return value


def _self_containing_dict() -> object:
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    return value


def _mutual() -> object:
    left: dict[str, Any] = {}
    right: list[Any] = [left]
    left["right"] = (right,)
    return left


def _object_cycle() -> object:
    node = Node("a")
    node.following = Node("b", node)
    return node


def _namespace_cycle() -> object:
    value = types.SimpleNamespace()
    value.self = value
    return value


def _deque_cycle() -> object:
    value: collections.deque[Any] = collections.deque()
    value.append(value)
    return value


def _doubling() -> object:
    value: list[Any] = ["x"]
    for _ in range(60):
        value = [value, value]
    return value


def _wide_sharing() -> object:
    value: list[Any] = ["x"] * 1000
    for _ in range(7):
        value = [value] * 1000
    return value


def _missing_field() -> object:
    point = Point(1)
    del point.x
    return point


def _dead_proxy() -> object:
    return weakref.proxy(Thing())


def _released_view() -> object:
    view = memoryview(b"abc")
    view.release()
    return view


def _chained_error() -> object:
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error
    except ValueError as error:
        return error


def _wrong_notes() -> object:
    error = ValueError("noted")
    error.__notes__ = 5  # type: ignore[assignment]
    return error


def _many_keys(count: int) -> dict[str, int]:
    return dict.fromkeys(map(str, range(count)), 1)


_HUGE = 10**5000
_LONG = 10_000_000

_TEXT: dict[str, Callable[[], object]] = {
    "bd1_bytes": lambda: b"plain",
    "bd1_bytes_empty": lambda: b"",
    "bd1_bytes_not_utf8": lambda: b"\xff\xfe\x00caf\xc3\xa9",
    "bd1_bytes_split_character": lambda: "é".encode()[:1],
    "bd1_bytes_huge": lambda: b"\xff" * _LONG,
    "bd1_bytes_subclass": lambda: BytesSubclass(b"sub"),
    "bd1_bytearray": lambda: bytearray(b"array\x80"),
    "bd1_memoryview": lambda: memoryview(b"view\x80"),
    "bd1_memoryview_released": _released_view,
    "bd1_memoryview_strided": lambda: memoryview(b"abcdef")[::2],
    "bd1_memoryview_two_dimensions": lambda: memoryview(bytes(16)).cast("I", (2, 2)),
    "bd1_memoryview_huge": lambda: memoryview(bytes(_LONG)),
    "bd1_array": lambda: array.array("d", [1.0, float("nan")]),
    "bd1_array_huge": lambda: array.array("q", bytes(8_000_000)),
    "bd2_lone_surrogate": lambda: "\ud800",
    "bd2_low_surrogate_in_text": lambda: "a\udcffb",
    "bd2_swapped_surrogates": lambda: "\udc00\ud800",
    "bd2_noncharacter": lambda: "\ufffe\uffff",
    "bd2_nul": lambda: "a\0b",
    "bd2_controls": lambda: "".join(map(chr, range(32))) + "\x7f" + "".join(map(chr, range(0x80, 0xA0))),
    "bd2_line_separators": lambda: "a\nb\r\nc\u2028d\u2029e\x85f",
    "bd2_bidirectional": lambda: "\u202eabc\u2066",
    "bd2_beyond_the_basic_plane": lambda: "\U0001f600\U0010ffff",
    "bd2_terminal_escape": lambda: "\x1b[31mred\x1b]0;title\x07",
    "bd2_empty": lambda: "",
    "bd7_string_10_mb": lambda: "x" * _LONG,
    "bd7_string_10_mb_wide": lambda: "\U0001f600" * (_LONG // 4),
    "bd7_string_10_mb_of_surrogates": lambda: "\ud800" * _LONG,
    "bd7_nested_string_10_mb": lambda: [["x" * _LONG]],
    "bd7_many_long_strings": lambda: ["x" * 100_000] * 900,
    "bd7_key_10_mb": lambda: {"k" * _LONG: 1},
    "bd7_two_keys_10_mb": lambda: {"k" * _LONG + "a": 1, "k" * _LONG + "b": 2},
    "bd7_str_subclass": lambda: StrSubclass("sub"),
    "bd7_str_subclass_10_mb": lambda: StrSubclass("x" * _LONG),
    "bd7_user_string": lambda: collections.UserString("user"),
}

_NUMBERS: dict[str, Callable[[], object]] = {
    "bd3_nan": lambda: float("nan"),
    "bd3_infinity": lambda: float("inf"),
    "bd3_minus_infinity": lambda: float("-inf"),
    "bd3_minus_zero": lambda: -0.0,
    "bd3_nested_nan": lambda: {"a": [float("nan"), float("-inf")]},
    "bd3_tiny": lambda: 5e-324,
    "bd3_float_subclass": lambda: FloatSubclass(1.5),
    "bd3_decimal": lambda: decimal.Decimal("1.10"),
    "bd3_decimal_nan": lambda: decimal.Decimal("NaN"),
    "bd3_decimal_signalling_nan": lambda: decimal.Decimal("sNaN"),
    "bd3_decimal_large_exponent": lambda: decimal.Decimal("1E+999999"),
    "bd3_fraction": lambda: fractions.Fraction(1, 3),
    "bd3_fraction_huge": lambda: fractions.Fraction(1, _HUGE),
    "bd3_complex": lambda: complex(1, -2),
    "bd3_complex_nan": lambda: complex(float("nan"), float("inf")),
    "bd4_beyond_float_precision": lambda: 2**53 + 1,
    "bd4_largest_64_bits": lambda: 2**64 - 1,
    "bd4_beyond_64_bits": lambda: 2**64,
    "bd4_smallest_64_bits": lambda: -(2**63),
    "bd4_below_64_bits": lambda: -(2**63) - 1,
    "bd4_5000_digits": lambda: _HUGE,
    "bd4_nested_5000_digits": lambda: [_HUGE, {"a": -_HUGE}],
    "bd4_key_of_5000_digits": lambda: {_HUGE: 1},
    "bd4_many_of_600_digits": lambda: [10**600] * 1000,
    "bd4_int_subclass": lambda: IntSubclass(7),
    "bd4_int_subclass_of_5000_digits": lambda: IntSubclass(_HUGE),
    "bd4_bool": lambda: True,
    "bd24_level_negative": lambda: -1,
    "bd24_level_huge": lambda: 10**30,
    "bd24_level_subclass": lambda: Number.ONE,
}

_SHAPES: dict[str, Callable[[], object]] = {
    "bd5_list_in_itself": _self_containing_list,
    "bd5_dict_in_itself": _self_containing_dict,
    "bd5_mutual": _mutual,
    "bd5_objects": _object_cycle,
    "bd5_namespace": _namespace_cycle,
    "bd5_deque": _deque_cycle,
    "bd6_depth_100_000_list": lambda: _nested(100_000, lambda inner: [inner]),
    "bd6_depth_100_000_dict": lambda: _nested(100_000, lambda inner: {"a": inner}),
    "bd6_depth_100_000_tuple": lambda: _nested(100_000, lambda inner: (inner,)),
    "bd6_depth_1000_objects": lambda: _nested(1000, lambda inner: Node("n", inner)),
    "bd6_million_items": lambda: [0] * 1_000_000,
    "bd6_million_lists": lambda: [[]] * 1_000_000,
    "bd6_million_keys": lambda: dict.fromkeys(range(1_000_000)),
    "bd6_many_text_keys": lambda: _many_keys(100_000),
    "bd6_million_members": lambda: set(range(1_000_000)),
    "bd6_million_tuple": lambda: (None,) * 1_000_000,
    "bd6_million_deque": lambda: collections.deque(range(1_000_000)),
    "bd6_range": lambda: range(10),
    "bd6_range_of_10_to_the_18": lambda: range(10**18),
    "bd6_range_of_10_to_the_30": lambda: range(10**30),
    "bd6_doubling_60_times": _doubling,
    "bd6_thousand_to_the_8": _wide_sharing,
    "bd6_thousand_objects": lambda: [Thing() for _ in range(1000)],
    "bd6_lists_of_objects": lambda: [[Thing()] * 1000] * 1000,
    "bd6_dict_items_view": lambda: _many_keys(100_000).items(),
    "bd6_endless_mapping": EndlessMapping,
    "bd6_endless_sequence": EndlessSequence,
    "bd6_growing_sequence": GrowingSequence,
    "bd6_generator": lambda: (i for i in itertools.count()),
    "bd6_counter_iterator": itertools.count,
    "bd6_empty_list": list,
    "bd6_empty_dict": dict,
    "bd6_empty_set": set,
    "bd6_empty_tuple": tuple,
    "bd6_set": lambda: {3, 1, 2},
    "bd6_set_of_mixed": lambda: {1, "1", None, (1, 2), 2.5, b"x"},
    "bd6_frozenset_of_frozensets": lambda: frozenset({frozenset({1}), frozenset({2, 3})}),
    "bd6_dict_keys_view": {"a": 1}.keys,
    "bd6_dict_values_view": {"a": 1}.values,
    "bd6_ordered_dict": lambda: collections.OrderedDict(a=1),
    "bd6_default_dict": lambda: collections.defaultdict(list, a=[1]),
    "bd6_counter": lambda: collections.Counter("aab"),
    "bd6_chain_map": lambda: collections.ChainMap({"a": 1}, {"b": 2}),
    "bd6_mapping_proxy": lambda: types.MappingProxyType({"a": [1]}),
    "bd6_user_dict": lambda: collections.UserDict({"a": 1}),
    "bd6_user_list": lambda: collections.UserList([1]),
    "bd6_dict_subclass_that_raises": lambda: DictSubclass(a=1),
    "bd6_list_subclass_that_raises": lambda: ListSubclass([1]),
    "bd6_tuple_subclass_that_raises": lambda: TupleSubclass((1,)),
    "bd6_set_subclass_that_raises": lambda: SetSubclass({1}),
    "bd6_partial_of_a_function": lambda: functools.partial(print, 1),
}

_KEYS: dict[str, Callable[[], object]] = {
    "bd8_one_and_text_one": lambda: {1: "int", "1": "str"},
    "bd8_text_one_and_one": lambda: {"1": "str", 1: "int"},
    "bd8_none_and_text_none": lambda: {None: 1, "None": 2},
    "bd8_tuple_keys": lambda: {(1, 2): 1, ("a", None): 2, (): 3},
    "bd8_bool_keys": lambda: {True: 1, "True": 2},
    "bd8_float_keys": lambda: {1.5: 1, float("nan"): 2, float("inf"): 3},
    "bd8_bytes_keys": lambda: {b"a": 1, "a": 2},
    "bd8_enum_keys": lambda: {Color.RED: 1, "red": 2, Number.ONE: 3},
    "bd8_datetime_keys": lambda: {datetime(2024, 1, 1, tzinfo=UTC): 1, date(2024, 1, 1): 2},
    "bd8_datetime_key_with_bad_zone": lambda: {datetime(2024, 1, 1): 1, time(1, tzinfo=UTC): 2},
    "bd8_uuid_key": lambda: {uuid.UUID(int=1): 1},
    "bd8_same_text": lambda: {BadHash(): i for i in range(50)},
    "bd8_raising_key": lambda: {Raising(ValueError()): 1, Raising(KeyError()): 2},
    "bd8_comparing_key": lambda: {ComparingRaises(): 1, "a": 2},
    "bd8_frozenset_key": lambda: {frozenset({1}): 1},
    "bd8_class_key": lambda: {int: 1},
    "bd8_surrogate_key": lambda: {"\ud800": 1},
    "bd8_empty_key": lambda: {"": 1},
    "bd8_control_key": lambda: {"a\nb\0": 1},
    "bd8_huge_tuple_key": lambda: {tuple(range(100_000)): 1},
    "bd8_str_subclass_key": lambda: {StrSubclass("k"): 1, "k": 2},
    "bd8_key_named_like_the_marker": lambda: {"<truncated>": 1, **_many_keys(2000)},
    "bd8_suffix_taken": lambda: {1: "a", "1": "b", "1 #2": "c"},
    "se19_colliding_hashes": lambda: {i * (2**61 - 1): i for i in range(300)},
}

_CODE: dict[str, Callable[[], object]] = {
    "bd9_repr_raises": lambda: Raising(ValueError("boom")),
    "bd9_repr_raises_unprintable": lambda: Raising(RaisingStr()),
    "bd9_format_raises": RaisingFormat,
    "bd9_repr_returns_none": lambda: WrongRepr(None),
    "bd9_repr_returns_bytes": lambda: WrongRepr(b"x"),
    "bd9_repr_returns_str_subclass": ReprOfStrSubclass,
    "bd9_repr_recurses": RecursingRepr,
    "bd9_repr_of_itself": ReprOfItself,
    "bd9_repr_of_a_million": HugeRepr,
    "bd9_repr_raises_memory_error": lambda: Raising(MemoryError()),
    "bd9_repr_raises_recursion_error": lambda: Raising(RecursionError()),
    "bd9_repr_raises_group": lambda: Raising(BaseExceptionGroup("g", [SystemExit(1)])),
    "bd9_repr_raises_stop_iteration": lambda: Raising(StopIteration()),
    "bd9_nested_repr_raises": lambda: {"a": [Raising(ValueError("boom"))]},
    "bd9_truth_raises": BoolRaises,
    "bd9_evil_metaclass": Evil,
    "bd9_evil_class": lambda: Evil,
    "bd9_agreeable": Agreeable,
    "bd9_agreeable_class": lambda: Agreeable,
    "bd9_attributes_raise": RaisingAttributes,
    "bd10_repr_exits": lambda: Raising(SystemExit(3)),
    "bd10_repr_closes_generator": lambda: Raising(GeneratorExit()),
    "bd10_nested_repr_exits": lambda: [{"a": Raising(SystemExit(3))}],
    "bd14_lazy_proxy": LazyProxy,
    "bd14_nested_lazy_proxy": lambda: {"request": LazyProxy()},
    "bd14_bound_proxy": BoundProxy,
    "bd14_detached": Detached,
    "bd14_dead_weak_proxy": _dead_proxy,
    "bd14_mapping_raises": RaisingMapping,
}

_OBJECTS: dict[str, Callable[[], object]] = {
    "bd15_dataclass": lambda: Point(1),
    "bd15_dataclass_class": lambda: Point,
    "bd15_slotted_dataclass": lambda: SlottedPoint(1),
    "bd15_dataclass_without_its_field": _missing_field,
    "bd15_attrs": lambda: Account("a"),
    "bd15_attrs_unset": Unset,
    "bd15_namedtuple": lambda: Pair(1, "r"),
    "bd15_struct_sequence": lambda: __import__("time").gmtime(0),
    "bd15_enum": lambda: Color.RED,
    "bd15_enum_of_object": lambda: Color.ODD,
    "bd15_int_enum": lambda: Number.ONE,
    "bd15_flag": lambda: Access.READ | Access.WRITE,
    "bd15_enum_class": lambda: Color,
    "bd15_model": Model,
    "bd15_struct": Struct,
    "bd15_secret": lambda: SecretStr("hunter2"),
    "bd15_secret_in_dataclass": lambda: Node("n", SecretStr("hunter2")),  # type: ignore[arg-type]
    "bd15_secret_text": lambda: SecretText("hunter2"),
    "bd15_simple_namespace": lambda: types.SimpleNamespace(a=1, b=[2]),
    "bd15_plain_object": Thing,
    "bd15_object": object,
    "bd15_path": lambda: pathlib.PurePosixPath("/etc/hosts"),
    "bd15_path_with_surrogate": lambda: pathlib.PurePosixPath("/\udcff"),
    "bd15_bad_path": BadPath,
    "bd15_address": lambda: ipaddress.ip_address("::1"),
    "bd15_network": lambda: ipaddress.ip_network("10.0.0.0/8"),
    "bd15_uuid": lambda: uuid.UUID(int=5),
    "bd15_pattern": lambda: re.compile("a+"),
    "bd15_match": lambda: re.match("a+", "aaa"),
    "bd15_class": lambda: int,
    "bd15_generic_alias": lambda: list[int],
    "bd15_union": lambda: int | None,
    "bd15_function": lambda: _many_keys,
    "bd15_lambda": lambda: lambda: None,
    "bd15_built_in_function": lambda: len,
    "bd15_bound_method": lambda: [].append,
    "bd15_method": lambda: ModelField(shown=True).check,
    "bd15_module": lambda: types,
    "bd15_item_getter": lambda: operator.itemgetter(1),
    "bd15_lock": threading.Lock,
    "bd15_context_variable": lambda: contextvars.ContextVar("v"),
    "bd15_context": contextvars.copy_context,
    "bd15_not_implemented": lambda: NotImplemented,
    "bd15_ellipsis": lambda: ...,
    "bd15_slice": lambda: slice(1, 2),
    "bd16_array_giant": lambda: Array((100_000, 100_000)),
    "bd16_array_of_no_dimensions": lambda: Array((), 2.5),
    "bd16_array_holding_an_array": lambda: Array((), Array((3, 3))),
    "bd16_table": Frame,
    "bd16_shape_raises": RaisingShape,
}

_TIMES: dict[str, Callable[[], object]] = {
    "bd17_datetime_max": lambda: datetime.max,
    "bd17_datetime_min": lambda: datetime.min,
    "bd17_datetime_max_far_zone": lambda: datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))),
    "bd17_datetime_min_far_zone": lambda: datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),
    "bd17_datetime_naive": lambda: datetime(2024, 2, 29),
    "bd17_datetime_fold": lambda: datetime(2024, 10, 27, 2, 30, fold=1),
    "bd17_datetime_odd_offset": lambda: datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=1))),
    "bd17_datetime_bad_zone": lambda: datetime(2024, 1, 1, tzinfo=BadZone()),
    "bd17_datetime_wrong_zone": lambda: datetime(2024, 1, 1, tzinfo=WrongZone()),
    "bd17_nested_datetime_bad_zone": lambda: [{"at": datetime(2024, 1, 1, tzinfo=BadZone())}],
    "bd17_datetime_subclass": lambda: DatetimeSubclass(2024, 1, 1, tzinfo=UTC),
    "bd17_datetime_subclass_bad_zone": lambda: DatetimeSubclass(2024, 1, 1, tzinfo=BadZone()),
    "bd17_date": lambda: date(1, 1, 1),
    "bd17_date_subclass": lambda: DateSubclass(2024, 1, 1),
    "bd17_time_with_zone": lambda: time(1, 2, tzinfo=UTC),
    "bd17_time_bad_zone": lambda: time(1, tzinfo=BadZone()),
    "bd17_time_subclass": lambda: TimeSubclass(1, 2),
    "bd17_timedelta": lambda: timedelta(days=-1, microseconds=1),
    "bd17_timedelta_max": lambda: timedelta.max,
    "bd17_zone": lambda: UTC,
    "bd17_zone_bad": BadZone,
    "bd17_zone_class": lambda: zoneinfo.ZoneInfo,
}

_ERRORS: dict[str, Callable[[], object]] = {
    "bd20_error": lambda: ValueError("boom"),
    "bd20_error_without_arguments": ValueError,
    "bd20_error_with_giant_argument": lambda: ValueError([0] * 1_000_000),
    "bd20_error_with_long_message": lambda: ValueError("x" * _LONG),
    "bd20_error_with_raising_argument": lambda: ValueError(Raising(OSError())),
    "bd20_error_with_lock": lambda: ValueError(threading.Lock(), 2),
    "bd20_error_str_raises": lambda: RaisingStr("x"),
    "bd20_error_wrong_notes": _wrong_notes,
    "bd20_key_error": lambda: KeyError("a"),
    "bd20_os_error": lambda: FileNotFoundError(2, "gone", "/x"),
    "bd20_unicode_error": lambda: UnicodeDecodeError("utf-8", bytes(1_000_000), 0, 1, "why"),
    "bd20_syntax_error_bare": SyntaxError,
    "bd20_syntax_error_odd": lambda: SyntaxError("m", ("f", "no line", [1], b"text")),  # type: ignore[arg-type]
    "bd20_chained": _chained_error,
    "bd20_group": lambda: ExceptionGroup("g", [ValueError("a"), KeyError("b")]),
    "bd20_group_giant": lambda: ExceptionGroup("g", [ValueError("a")] * 10_000),
    "bd20_base_exception": lambda: KeyboardInterrupt("kept"),
    "bd20_error_class": lambda: ValueError,
    "bd20_exc_info_of_nothing": lambda: (None, None, None),
}

_MESSAGES: dict[str, Callable[[], object]] = {
    "bd22_none": lambda: None,
    "bd22_percent": lambda: "100% %s %(a)s %",
    "bd22_braces": lambda: "{} {0} {a!r} }{",
    "bd22_dollar": lambda: "${a} $b",
    "bd22_json": lambda: '{"a": "b"}\n',
    "bd22_template_class": lambda: __import__("string").Template("$a"),
}

ODD_VALUES: dict[str, Callable[[], object]] = {
    **_TEXT,
    **_NUMBERS,
    **_SHAPES,
    **_KEYS,
    **_CODE,
    **_OBJECTS,
    **_TIMES,
    **_ERRORS,
    **_MESSAGES,
}
"""Every odd value by name. None sleeps or forks; what interrupts the keyboard is apart from them."""
