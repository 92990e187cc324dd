"""Driving a plugin's methods as the pipeline does, and watching them: how long they run, and what cancelling does."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import nullcontext
from contextvars import copy_context
from time import monotonic
from typing import Any, Final

import anyio
import attrs

from ...pipeline.attempts import described
from ...pipeline.backend import current_backend
from ...pipeline.caller import SLOW_CALL, PluginCaller
from ...pipeline.host import GRACE, PluginCrash, PluginHost, PluginTimeout, contained
from ...pipeline.trampoline import _close as close_all
from ...plugins.shape import is_async
from ...shown import type_of

SINK_METHODS: Final = ("start", "write", "flush", "aclose")
"""What a sink may have."""
CANCELLED: Final = object()
"""What a call gives that was cancelled and ended by it."""
_TRIES = 3
"""How often a call may hold the loop too long before it is believed: another process may have had the processor."""


_MOST_DELIVERED = 100
"""How often a call may be told of its cancellation; event loops tell it again at every wait."""


class Unheeded(Exception):
    """Raised for a call that went on and on after it was cancelled, and was closed."""


@attrs.define
class Watch:
    """What was seen of one call."""

    cancel_at: int = 0
    """At which of its waits the call is cancelled, from 1; 0 for not at all."""
    waits: int = 0
    """How often it waited."""
    held: float = 0.0
    """Real seconds of its longest stretch on the event loop without waiting."""
    delivered: int = 0
    """How often the cancellation reached its code."""
    cancelled_at: float = 0.0
    """When it was cancelled, on the event loop's clock."""
    lingered: float = 0.0
    """Seconds on that clock from the cancellation to the end."""


@attrs.define
class Outcome:
    """What came of one call."""

    value: Any = None
    error: Exception | None = None
    watch: Watch = attrs.field(factory=Watch)

    @property
    def crashed(self) -> bool:
        """Whether something was raised that is no ``Exception``."""
        return isinstance(self.error, PluginCrash)

    @property
    def timed_out(self) -> bool:
        """Whether the call did not return in time."""
        return isinstance(self.error, PluginTimeout)

    @property
    def told(self) -> str:
        """What was raised, as text."""
        return str(self.error) if self.crashed else described(self.error) if self.error else "nothing"


class Driver:
    """Calls one plugin's methods in one event loop, each with a deadline.

    Parameters:
        methods: the methods to drive, by name.
        patience: seconds that a call may take, on the event loop's clock.
    """

    def __init__(self, methods: dict[str, Callable[..., Any]], patience: float) -> None:
        self._methods = methods
        self._patience = patience
        self._watch = Watch()
        backend = current_backend()
        self._cancelled_class = backend.cancelled_class
        context = copy_context()
        self.async_methods: frozenset[str] = frozenset(name for name, method in methods.items() if is_async(method))
        self._host = PluginHost("plugin", backend, context)
        self._caller: PluginCaller | None = None

    @classmethod
    def of_sink(cls, sink: Any, patience: float) -> Driver:
        """Return a driver that runs a sink's synchronous methods where the pipeline would."""
        found = {name: method for name in SINK_METHODS if callable(method := getattr(sink, name, None))}
        driver = cls(found, patience)
        plain = {name: method for name, method in found.items() if name not in driver.async_methods}
        if plain:
            # What PluginCaller looks at: the methods, and ``blocking`` of the class and of the object.
            blocking = getattr(type_of(sink), "blocking", True)
            proxy = type("Plain", (), {"blocking": False if blocking is False else _Blocking(sink)})()
            for name, method in plain.items():
                setattr(proxy, name, method)
            driver._caller = PluginCaller("plugin", proxy, current_backend(), copy_context(), _ignore)
            driver._caller.start_workers()
        return driver

    def has(self, method: str) -> bool:
        """Return whether the plugin has the method."""
        return method in self._methods

    async def call(self, method: str, *arguments: Any, cancel_at: int = 0) -> Outcome:
        """Call a method and return what came of it; an interrupt passes.

        Parameters:
            cancel_at: at which of its waits an asynchronous method is cancelled, from 1.
        """
        watch = Watch(cancel_at=cancel_at)
        function = self._methods[method]
        try:
            if method in self.async_methods:
                scoped = method not in ("start", "aclose")
                value = await self._host.call(
                    lambda: self._watched(function(*arguments), watch, scoped), self._patience, scoped=scoped
                )
            elif self._caller is not None:
                began = monotonic()
                value = await self._caller.call(method, *arguments, timeout=self._patience)
                if self._caller._thread is None or (method == "write" and self._caller.writes_directly()):
                    watch.held = monotonic() - began
            else:
                value = self._directly(function, arguments, watch)
        except Exception as error:
            return Outcome(error=error, watch=watch)
        finally:
            if watch.cancelled_at:
                watch.lingered = anyio.current_time() - watch.cancelled_at
        return Outcome(value, watch=watch)

    @staticmethod
    def _directly(function: Callable[..., Any], arguments: tuple[Any, ...], watch: Watch) -> Any:
        began = monotonic()
        try:
            return function(*arguments)
        except (KeyboardInterrupt, Exception):
            raise
        except BaseException as error:
            raise contained(error) from None
        finally:
            watch.held = monotonic() - began

    async def held_too_long(self, method: str, make: Callable[[], tuple[Any, ...]], first: Outcome) -> float:
        """Return how long calls of a method hold the loop, in seconds, if that is too long each time; else 0."""
        held = first.watch.held
        for _ in range(_TRIES):
            if held <= SLOW_CALL:
                return 0.0
            held = min(held, (await self.call(method, *make())).watch.held)
        return held

    async def close(self) -> bool:
        """End the tasks and threads that ran the plugin; return whether they ended."""
        ended = True
        self._host.stop()
        if self._caller is not None:
            self._caller.stop()
            ended = await self._caller.join(GRACE + 1)
        with anyio.move_on_after(GRACE):
            await self._host.exited.wait()
        if not self._host.exited.is_set():
            self._host.abandon()
            with anyio.move_on_after(GRACE):
                await self._host.exited.wait()
        return ended and self._host.exited.is_set()

    async def _watched(self, coroutine: Coroutine[Any, Any, Any], watch: Watch, scoped: bool) -> Any:
        scope = anyio.CancelScope() if scoped else None
        with scope or nullcontext():
            return await _watched(coroutine, watch, scope, self._cancelled_class)
        return CANCELLED


@types.coroutine
def _watched(
    coroutine: Coroutine[Any, Any, Any],
    watch: Watch,
    scope: anyio.CancelScope | None,
    cancelled_class: type[BaseException],
) -> Generator[Any, Any, Any]:
    """Run *coroutine* where it would run anyway, timing each stretch and cancelling it at the wait asked for."""
    value: Any = None
    error: BaseException | None = None
    while True:
        began = monotonic()
        try:
            trap = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            return stop.value
        finally:
            watch.held = max(watch.held, monotonic() - began)
        watch.waits += 1
        if scope is not None and watch.waits == watch.cancel_at:
            watch.cancelled_at = anyio.current_time()
            scope.cancel(reason="the conformance kit cancels here")
        value = error = None
        try:
            value = yield trap
        except GeneratorExit:
            close_all(coroutine)
            raise
        except BaseException as exception:
            error = exception
        if scope is not None and scope.cancel_called:
            # Trio hands an outcome to the trap, which raises what is in it.
            watch.delivered += isinstance(getattr(value, "error", error), cancelled_class)
            if watch.delivered > _MOST_DELIVERED:
                close_all(coroutine)
                raise Unheeded


class _Blocking:
    """A class attribute that reads the attribute ``blocking`` of another object."""

    def __init__(self, sink: Any) -> None:
        self._sink = sink

    def __get__(self, instance: object, owner: type) -> Any:
        return self if instance is None else getattr(self._sink, "blocking", True)


def _ignore(key: str, message: str) -> None:
    """Tell nobody: the kit looks for itself."""
