"""Sinks and schedules that the tests of the pipeline share: held, scripted and recording sinks, and a held intake."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.lowlevel

import fapilog
from fapilog.plugins import Batch

TASK_LIMIT = 100_000
"""How many turns of the event loop a test waits for something, before it fails instead of hanging."""


class RecordingSink:
    """Keeps every batch, and when it came on the event loop's clock."""

    blocking = False

    def __init__(self, name: str = "sink", *, ordered: bool = True) -> None:
        self.metadata = fapilog.PluginMetadata(name, "1", fapilog.PluginType.SINK)
        self.ordered = ordered
        self.batches: list[list[fapilog.LogEvent]] = []
        self.times: list[float] = []
        self.flushes = 0
        self.closed = 0

    async def write(self, batch: Batch) -> Any:
        self.times.append(anyio.current_time())
        self.batches.append(list(batch.events))

    async def flush(self) -> None:
        self.flushes += 1

    async def aclose(self) -> None:
        self.closed += 1

    @property
    def events(self) -> list[fapilog.LogEvent]:
        """Every event written, in order."""
        return [event for batch in self.batches for event in batch]

    @property
    def messages(self) -> list[str]:
        """The message of every event written, in order."""
        return [event.message for event in self.events]

    @property
    def numbers(self) -> list[int]:
        """The field ``number`` of every event that has one, in order."""
        return [event.fields["number"] for event in self.events if "number" in event.fields]


class HeldSink(RecordingSink):
    """Takes nothing until it is released."""

    def __init__(self, name: str = "sink", *, ordered: bool = True) -> None:
        super().__init__(name, ordered=ordered)
        self.gate = anyio.Event()
        self.waiting = 0

    async def write(self, batch: Batch) -> None:
        self.waiting += 1
        await self.gate.wait()
        await super().write(batch)


Step = Callable[[Batch], Any]
"""What a scripted sink does with one write; what it returns is awaited if it can be."""


class ScriptedSink(RecordingSink):
    """Does at each write what the script says: an error to raise, a value to return, or a function.

    The last entry holds for all later writes. Attempts are in ``attempts``; the batches that succeeded in ``batches``.
    """

    def __init__(self, script: Iterable[Any], name: str = "sink", *, ordered: bool = True) -> None:
        super().__init__(name, ordered=ordered)
        self._script = list(script)
        self.attempts: list[list[str]] = []
        self.attempt_times: list[float] = []

    async def write(self, batch: Batch) -> Any:
        self.attempts.append([event.message for event in batch.events])
        self.attempt_times.append(anyio.current_time())
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(step, BaseException):
            raise step
        if callable(step):
            step = step(batch)
            if hasattr(step, "__await__"):
                step = await step
        if step is None or step is True:
            await super().write(batch)
        return step


class DirectScriptedSink(ScriptedSink):
    """The same as a plain call on the event loop."""

    def write(self, batch: Batch) -> Any:  # type: ignore[override]
        self.attempts.append([event.message for event in batch.events])
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(step, BaseException):
            raise step
        if callable(step):
            step = step(batch)
        if step is None or step is True:
            self.batches.append(list(batch.events))
        return step


async def never(_: Batch) -> None:
    """Wait for ever; a step of a script."""
    await anyio.sleep_forever()


def slow(seconds: float) -> Step:
    """Return a step that takes *seconds*."""

    async def step(_: Batch) -> None:
        await anyio.sleep(seconds)

    return step


async def until(condition: Callable[[], object]) -> None:
    """Give way to the other tasks until *condition* holds. Virtual time does not pass meanwhile."""
    for _ in range(TASK_LIMIT):
        if condition():
            return
        await anyio.lowlevel.checkpoint()
    raise AssertionError("what the test waits for did not happen")


async def turns(number: int = 30) -> None:
    """Let every task run until it waits for something. Virtual time does not pass meanwhile."""
    for _ in range(number):
        await anyio.lowlevel.checkpoint()


HELD = {"queue_batches": 1, "overflow_strategy": "block", "block_timeout": 3600, "write_timeout": 3600}
"""The policy of a `HeldSink` that makes the worker wait: it holds one batch, its stream one, and the worker one."""
PRIMERS = 3
"""How many events a held pipeline keeps behind its intake."""


async def hold(container: fapilog.AsyncLoggingContainer) -> None:
    """Fill what is behind the intake, with a `HeldSink` under the policy `HELD`: then the intake drains no more."""
    stages = container.metrics_collector.stages
    await until(lambda: not container.stats().in_flight)
    before = stages.taken
    for number in range(1, PRIMERS + 1):
        assert container.logger("primer").nowait.info("primer")
        await until(lambda number=number: stages.taken == before + number)
        await turns()


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run *function* in a thread of its own while the event loop turns, and return its result."""
    result: list[Any] = []
    errors: list[BaseException] = []

    def main() -> None:
        try:
            result.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    while thread.is_alive():
        await anyio.lowlevel.checkpoint()
    thread.join()
    if errors:
        raise errors[0]
    return result[0]


def quiet(container: fapilog.AsyncLoggingContainer) -> list[tuple[str, str]]:
    """Collect the container's diagnostics in a list instead of writing them; call it before entering."""
    told: list[tuple[str, str]] = []

    def report(key: str, message: str) -> None:
        told.append((key, message))

    container._diagnostics.warn = report  # type: ignore[method-assign]
    container._diagnostics.error = report  # type: ignore[method-assign]
    container.async_pipeline._report = report
    container.async_pipeline._losses._report = report
    return told


def account(container: fapilog.AsyncLoggingContainer) -> fapilog.DrainReport:
    """Return the report of a container that was left, after checking that every event is in exactly one place."""
    report = container.report
    assert report is not None
    assert report.balanced, str(report)
    assert report.in_flight == 0, str(report)
    assert all(sink.in_flight == 0 for sink in report.sinks.values()), str(report)
    return report


@contextmanager
def fast_switching() -> Iterator[None]:
    """Let threads interrupt each other as often as the interpreter can."""
    import sys

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
