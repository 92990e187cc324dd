"""How fast a plugin is: it is called with batches of events as the pipeline calls it, and timed."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Any, Final

import anyio
import attrs

from ..errors import PluginError
from ..event import LogEvent
from ..formats import make_formatters
from ..plugins import Batch, PluginType
from ..plugins.loading import error_text
from ..plugins.shape import callable_name, is_async, method_of

BATCH: Final = 256
"""Events of one call of a sink or processor, and of one round."""
_LEAST_ROUNDS: Final = 3
_MEMORY_ROUNDS: Final = 5
_LESS_IS_BETTER: Final = {"events_per_second": False, "microseconds_per_event": True, "bytes_per_event": True}
"""What is measured, and which way it is better."""


@attrs.frozen
class Measurement:
    """What was measured of a plugin."""

    rounds: int
    """How many batches were timed."""
    seconds_per_event: float
    """The median."""
    bytes_per_event: float
    """The most memory that was allocated at once while a batch was worked on, by event of it; the median."""

    @property
    def profile(self) -> dict[str, float]:
        """The measurement in the terms of a ``performance_profile``."""
        return {
            "events_per_second": 1 / self.seconds_per_event,
            "microseconds_per_event": self.seconds_per_event * 1e6,
            "bytes_per_event": self.bytes_per_event,
        }

    def __str__(self) -> str:
        return f"the median of {self.rounds} batches of {BATCH} events"


def measure(
    plugin: Any,
    plugin_type: PluginType,
    *,
    seconds: float,
    backend: str = "asyncio",
    clock: Callable[[], float] = perf_counter,
) -> Measurement:
    """Start a plugin if it is a sink, call it for a time, close it, and return what was measured.

    The call itself is measured: no stream, no thread and no step of the pipeline. What a sink asks its batches to
    encode is encoded anew for each.

    Parameters:
        seconds: how long to measure the time; the memory is measured afterwards, in a few batches.
        backend: ``asyncio`` or ``trio``.
        clock: the time in seconds.

    Raises:
        PluginError: if the plugin raises.
        KeyboardInterrupt: if it is interrupted; the sink is closed.
    """
    try:
        return anyio.run(_measure, plugin, plugin_type, seconds, clock, backend=backend)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(callable_name(plugin), f"while it was measured it raised {error_text(error)}") from error


def compare(
    measurement: Measurement, declared: Mapping[str, float], within: float
) -> tuple[list[tuple[str, str, str, str]], bool]:
    """Return a table of what was measured beside what was declared, and whether all that was declared holds.

    Parameters:
        within: how many times worse than declared is still taken for the same.
    """
    rows: list[tuple[str, str, str, str]] = []
    all_hold = True
    for name, measured in measurement.profile.items():
        if name not in declared:
            rows.append((name, _number(measured), "-", ""))
            continue
        claim = declared[name]
        holds = measured <= claim * within if _LESS_IS_BETTER[name] else measured * within >= claim
        all_hold = all_hold and holds
        rows.append((name, _number(measured), _number(claim), "holds" if holds else "DOES NOT HOLD"))
    rows += [
        (name, "-", _number(claim), "not measured") for name, claim in declared.items() if name not in _LESS_IS_BETTER
    ]
    return rows, all_hold


async def _measure(plugin: Any, plugin_type: PluginType, seconds: float, clock: Callable[[], float]) -> Measurement:
    make = _batches if plugin_type in (PluginType.SINK, PluginType.PROCESSOR) else _single_events
    arguments = make(plugin_type)
    method = method_of(plugin, plugin_type)
    call = _call_async if is_async(method) else _call
    is_sink = plugin_type is PluginType.SINK
    if is_sink:
        await _optional(plugin, "start")
    try:
        await call(method, arguments())  # what is made with the first call is not what a call costs
        gc.collect()
        times = await _times(call, method, arguments, seconds, clock)
        memory = [await _memory(call, method, arguments()) for _ in range(_MEMORY_ROUNDS)]
        if is_sink:
            await _optional(plugin, "flush")
    finally:
        if is_sink:
            with anyio.CancelScope(shield=True), anyio.move_on_after(5):
                await _optional(plugin, "aclose")
    return Measurement(len(times), max(median(times), 1e-12) / BATCH, median(memory) / BATCH)


async def _times(
    call: Callable[..., Awaitable[None]],
    method: Callable[..., Any],
    arguments: Callable[[], list[Any]],
    seconds: float,
    clock: Callable[[], float],
) -> list[float]:
    times: list[float] = []
    end = clock() + seconds
    while len(times) < _LEAST_ROUNDS or clock() < end:
        prepared = arguments()
        began = clock()
        await call(method, prepared)
        times.append(clock() - began)
    return times


async def _memory(call: Callable[..., Awaitable[None]], method: Callable[..., Any], arguments: list[Any]) -> int:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        await call(method, arguments)
        return max(0, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()


async def _call(method: Callable[..., Any], arguments: list[Any]) -> None:
    for argument in arguments:
        method(argument)


async def _call_async(method: Callable[..., Any], arguments: list[Any]) -> None:
    for argument in arguments:
        await method(argument)


async def _optional(sink: Any, name: str) -> None:
    method = getattr(sink, name, None)
    if method is not None:
        result = method()
        if is_async(method):
            await result


def _single_events(_: PluginType) -> Callable[[], list[Any]]:
    return _events


def _batches(plugin_type: PluginType) -> Callable[[], list[Any]]:
    formatters = make_formatters(262_144)
    if plugin_type is PluginType.PROCESSOR:
        return lambda: [_events()]
    return lambda: [Batch(_events(), 1, formatters)]


def _events() -> list[LogEvent]:
    """Return events such as a service logs; new ones, for a plugin may change them."""
    return [
        LogEvent(
            "order placed",
            "INFO",
            source="shop",
            tags={"team": "pay"},
            context={"request_id": "r-1", "region": "eu"},
            metrics={"latency_ms": 12.5},
            fields={"order": number, "user": "ann", "items": ("a", "b"), "path": "/orders/1", "total": 99.5},
            logger="shop.orders",
            task="worker",
            sequence=number,
            container_id="b710f01d",
        )
        for number in range(1, BATCH + 1)
    ]


def _number(number: float) -> str:
    return f"{number:_.0f}" if abs(number) >= 100 else f"{number:.3g}"


__all__ = ("BATCH", "Measurement", "compare", "measure")
