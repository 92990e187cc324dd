"""Sinks and schedules that the tests of the pipeline share: held sinks, a held intake, and steps of a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.lowlevel

import fapilog
from fapilog.plugins import Batch
from fapilog.testing import RecordingSink

TASK_LIMIT = 100_000
"""How many turns of the event loop a test waits for something, before it fails instead of hanging."""


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
"""What an entry of a faulty sink's script may be: what it returns is awaited if it can be."""


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
