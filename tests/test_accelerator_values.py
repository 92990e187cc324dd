"""The copy of plain mappings in C is the one in Python."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog._accelerated import accelerator
from fapilog.values import FrozenDict, plain_copy, plain_copy_in_python

pytestmark = pytest.mark.skipif(accelerator is None, reason="the package was built without a C compiler")


class Text(str):
    """A text that is no plain one."""

    __slots__ = ()


class Mapping(dict[str, Any]):
    """A dict that is no plain one."""


EDGES = [-(2**63) - 1, -(2**63), 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**200, -(2**200)]
plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from(EDGES), st.floats(), st.just(FrozenDict(a=1)),
    st.sampled_from(["", "text", "\ud800", "x" * 256]),
)  # fmt: skip
odd = st.sampled_from(["x" * 257, Text("x"), b"x", [1], {"a": 1}, Mapping(), object(), 1j, str, True.__class__])
keys = st.sampled_from(["a", "b", "ä", "k" * 256, ""])
odd_keys = st.sampled_from(["k" * 257, Text("a"), 7, None, ("a",), b"a"])


@given(st.one_of(st.dictionaries(keys, plain), st.dictionaries(st.one_of(keys, odd_keys), st.one_of(plain, odd))))
def test_a_mapping_is_copied_as_in_python_or_left_alone_as_there(mapping: dict[Any, Any]) -> None:
    copy, expected = plain_copy(mapping), plain_copy_in_python(mapping)
    assert copy == expected or repr(copy) == repr(expected)  # nan is not equal to itself
    assert type(copy) is type(expected)
    assert copy is not mapping
    assert copy is None or all(copy[key] is mapping[key] for key in mapping)


@pytest.mark.parametrize("odd", [None, 7, "text", [("a", 1)], Mapping(a=1), FrozenDict(a=1), {1, 2}, dict], ids=repr)
def test_what_is_no_plain_dict_is_left_alone(odd: Any) -> None:
    assert plain_copy(odd) is None
    assert plain_copy_in_python(odd) is None


@pytest.mark.parametrize(("number", "copied"), [(0, True), (64, True), (65, False)])
def test_a_large_mapping_is_left_alone(number: int, copied: bool) -> None:
    mapping = {str(key): key for key in range(number)}
    assert plain_copy(mapping) == plain_copy_in_python(mapping) == (mapping if copied else None)
