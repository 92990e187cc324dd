"""What frozen trees are made of, and how large they may become."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import attrs


def _refuse_to_change(self: FrozenDict, *args: Any, **kwargs: Any) -> NoReturn:
    raise TypeError("the mappings of an event are read-only; use event.add(...) or assign a new mapping")


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed; its keys are text and its values are frozen trees.

    The constructor copies what it is given and does not look at the values: give it frozen ones,
    for ``freeze`` and its companions trust a FrozenDict and pass it as it is.
    ``copy()`` and ``|`` return a plain dict, to be changed and frozen again.
    """

    __slots__ = ()

    if not TYPE_CHECKING:  # to a type checker it is a dict, which is what an event's mappings are declared as
        __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse_to_change

    def __copy__(self) -> FrozenDict:
        return self

    def __deepcopy__(self, memo: Any) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)


EMPTY = FrozenDict()
_dict: Any = dict


def merged(mapping: dict[str, Any], more: dict[str, Any]) -> FrozenDict:
    """Return one mapping of the items of two frozen ones; *more* has the last word."""
    result = FrozenDict(mapping)
    _dict.update(result, more)  # its own refuses
    return result


LONGEST_TEXT = 65_536
"""Characters of one text that are kept; of a call's message and texts together without a look at each."""
PASS_TYPES: frozenset[type] = frozenset({str, int, float, bool, type(None), datetime, date, time, UUID})
"""The exact types whose values a log call keeps as they are."""

SIMPLE_TYPES: frozenset[type] = PASS_TYPES - {type(None)}
"""Those of them whose values cannot be taken for an argument that was left out."""

UNSIZED_TYPES: frozenset[type] = PASS_TYPES - {str, int}
"""Those of them whose values are small whatever they hold."""

_AT_LEAST_0: Any = attrs.validators.ge(0)
_AT_LEAST_1: Any = attrs.validators.ge(1)
_HOLDS_A_MARKER: Any = attrs.validators.ge(64)


@attrs.frozen(eq=False, repr=False)  # nobody compares or shows one, and making the methods takes time at import
class Limits:
    """How much of a value is kept; what is cut leaves a marker that tells the original size."""

    depth: int = attrs.field(default=8, validator=_AT_LEAST_0)
    """Containers inside each other; what lies deeper is ``<depth limit>``."""
    items: int = attrs.field(default=1000, validator=_AT_LEAST_1)
    """Items of one container, the marker among them."""
    nodes: int = attrs.field(default=5_000, validator=_AT_LEAST_1)
    """Items of all containers together; an object that is no plain container costs ten."""
    string: int = attrs.field(default=LONGEST_TEXT, validator=_HOLDS_A_MARKER)
    """Characters of one text, the marker among them."""
    characters: int = attrs.field(default=1_048_576, validator=_AT_LEAST_0)
    """Characters of all texts longer than 256 together."""
    key: int = attrs.field(default=256, validator=_HOLDS_A_MARKER)
    """Characters of one key."""
    integer_bits: int = attrs.field(
        default=2048, validator=attrs.validators.and_(_AT_LEAST_0, attrs.validators.le(2048))
    )
    """Bits of a nested integer whose digits are kept; at most 2048, so that no setting of the
    interpreter's digit limit (640 at the least) can refuse the conversion."""
    seconds: float = attrs.field(default=0.05, validator=_AT_LEAST_0)
    """Time in code of the values' own classes (``__repr__``, ``items`` and the like), after which no
    more of it is called. One call that has begun cannot be bounded: an object whose ``__repr__``
    sleeps holds the log call for as long."""


DEFAULT_LIMITS = Limits()
