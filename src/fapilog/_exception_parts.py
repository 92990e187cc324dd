"""The parts of an exception as BaseException itself keeps them, whatever its class has in their place.

To ask for them runs no code of the exception's class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

arguments_of: Callable[[BaseException], tuple[Any, ...]] = BaseException.__dict__["args"].__get__
members_of: Callable[[BaseException], tuple[BaseException, ...]] = BaseExceptionGroup.__dict__["exceptions"].__get__
"""Those of a group."""
attributes_of: Callable[[BaseException], dict[str, Any]] = BaseException.__dict__["__dict__"].__get__
"""The ``__dict__``, which a class with ``__slots__`` has too. It may have been replaced by one of a class derived from
dict, and is read and written with the two functions that follow."""
get_attribute: Callable[[dict[str, Any], str], Any] = dict.__dict__["get"]
set_attribute: Callable[[dict[str, Any], str, Any], None] = dict.__dict__["__setitem__"]
