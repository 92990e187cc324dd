"""The sink made of a plain function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from types import CoroutineType
from typing import Any

from ..errors import PermanentSinkError, PluginError, TransientSinkError
from ..plugins.batch import Batch


class CallableSink:
    """Makes a sink of a function that takes the batch; an async function is awaited, another runs in a thread.

    What the function returns says how the write went: ``None`` or ``True`` is delivered, ``False`` is a failure
    that may be tried again, and so is an exception unless it is a :class:`PermanentSinkError`. Anything else is a
    mistake in the function: the events fail and are not tried again, since nobody knows whether they got out.
    """

    write: Callable[[Batch], Awaitable[None] | None]
    """Call the function with a batch; an async method if the function is async."""

    def __init__(self, function: Callable[[Batch], Any]) -> None:
        """Find out, once, whether *function* is async.

        Parameters:
            function: takes a :class:`Batch`; it may be a partial or an object with ``__call__``. Set its
                attribute ``blocking`` to False if it is quick enough for the event loop's own thread.

        Raises:
            PluginError: if *function* is no function, cannot be called with one argument, or is a generator.
        """
        self.name: str = _name(function)
        self._function = function
        self._is_async = _check(function, self.name)
        self.write = self._write_async if self._is_async else self._write_sync

    @property
    def blocking(self) -> bool:
        """Whether the function needs a thread: unless it is async or its attribute ``blocking`` is False."""
        return not self._is_async and getattr(self._function, "blocking", True) is not False

    @property
    def ordered(self) -> bool:
        """Whether a retry must hold back later events: if the function's attribute ``ordered`` is True."""
        return getattr(self._function, "ordered", False) is True

    def _write_sync(self, batch: Batch) -> None:
        result = self._function(batch)
        if result is not None and result is not True:
            self._refuse(result)

    async def _write_async(self, batch: Batch) -> None:
        result = await self._function(batch)
        if result is not None and result is not True:
            self._refuse(result)

    def _refuse(self, result: object) -> None:
        name = self.name
        if result is False:
            raise TransientSinkError(f"the function {name!r} returned False")
        kind = type(result).__name__
        if isinstance(result, Awaitable):
            if isinstance(result, CoroutineType):
                result.close()  # else Python warns that it was never awaited
            raise PermanentSinkError(
                f"the function {name!r} returned an awaitable ({kind}), which was not awaited; "
                "give the async function itself, or write 'async def' and await it there"
            )
        raise PermanentSinkError(
            f"the function {name!r} returned a value of type {kind}; "
            "return None or True for delivered, False to be tried again, or raise"
        )

    def __repr__(self) -> str:
        return f"<CallableSink {self.name}>"


def _inner(function: Any) -> object:
    while isinstance(function, partial):
        function = function.func
    return function


def _name(function: Any) -> str:
    function = _inner(function)
    name = getattr(function, "__name__", None)
    return name.strip("<>") if isinstance(name, str) else type(function).__name__


def _check(function: Any, name: str) -> bool:
    """Return whether *function* is async; raise if it cannot be a sink."""
    import inspect

    if not callable(function) or isinstance(function, type):
        raise PluginError(name, "is no function; give a function that takes a batch, or an object that has 'write'")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise PluginError(name, f"cannot be called with one argument, the batch: {error}") from None
    except ValueError:
        pass  # written in C, without a signature
    inner = _inner(function)
    candidates = (inner, getattr(type(inner), "__call__", None))  # noqa: B004
    if any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in candidates):
        raise PluginError(name, "is a generator function: calling it runs nothing; take out 'yield'")
    return any(inspect.iscoroutinefunction(one) for one in candidates)
