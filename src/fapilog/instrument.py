"""Functions with a span around each of their calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .spans import Span
from .values import text

if TYPE_CHECKING:
    from .logger import _Logger

Function = TypeVar("Function", bound=Callable[..., Any])


def instrumented(logger: _Logger, function: Function, name: str | None, fields: dict[str, Any]) -> Function:
    """Return *function* with a span around each call.

    Raises:
        TypeError: if it is a generator function, also an asynchronous one: what the caller does between two items
            would run inside the span, in a context that is not the span's.
    """
    label = name or text(getattr(function, "__qualname__", type(function).__qualname__))
    if isasyncgenfunction(function) or isgeneratorfunction(function):
        raise TypeError(
            f"{label} is a generator function, whose caller would run inside the span between two items; "
            "open the span where the items are used, or around the work for one item"
        )
    if iscoroutinefunction(function):

        @wraps(function)
        async def in_task(*arguments: Any, **keywords: Any) -> Any:
            with Span(logger, label, dict(fields)):
                return await function(*arguments, **keywords)

        return cast("Function", in_task)

    @wraps(function)
    def in_call(*arguments: Any, **keywords: Any) -> Any:
        with Span(logger, label, dict(fields)):
            return function(*arguments, **keywords)

    return cast("Function", in_call)
