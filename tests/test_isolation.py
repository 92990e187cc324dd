"""One broken sink of three: what it costs the other two, which is next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

import anyio
import pytest

from fapilog import AsyncLoggingContainer
from fapilog.plugins import Batch
from fapilog.testing import FaultySink, RecordingSink
from fapilog.testing.clock import Backend, run_in_virtual_time
from sinks import account, never, quiet, slow
from support import swallow

EVENTS = 4_000
ROUNDS = 5
WANTED = 0.9
"""The share of its throughput that a sink has to keep beside a broken one."""


async def swallow_all(_: Batch) -> None:
    await swallow()


BROKEN: dict[str, Callable[[], Any]] = {
    "raises": lambda: FaultySink([OSError("no")], "b"),
    "exits": lambda: FaultySink([SystemExit(3)], "b"),
    "takes a second for each event": lambda: FaultySink([slow(1)], "b"),
    "hangs": lambda: FaultySink([never], "b"),
    "swallows its cancellation": lambda: FaultySink([swallow_all], "b"),
}


async def seconds_with(other: RecordingSink | FaultySink) -> float:
    """Return how much of the processor's time it takes until two sinks have all events, with *other* beside them."""
    a, c = RecordingSink("a"), RecordingSink("c")
    policy = {"batch_size": 1, "queue_batches": 4, "overflow_strategy": "drop_newest", "write_timeout": 2}
    container = AsyncLoggingContainer(
        {"batch_linger": 0, "shutdown_timeout": 1, "on_incomplete": "ignore", "plugin_config": {"b": policy}},
        sinks=[a, other, c],
    )
    quiet(container)
    async with container as entered:
        log = entered.logger()
        began, virtual = process_time(), anyio.current_time()
        for number in range(EVENTS):
            assert await log.info("m", number=number)
            if number % 100 == 0:
                await anyio.lowlevel.checkpoint()
        while len(a.events) < EVENTS or len(c.events) < EVENTS:
            await anyio.lowlevel.checkpoint()
        took = process_time() - began
        assert anyio.current_time() == virtual, "they waited for the other one"
    report = account(container)
    for sink in ("a", "c"):
        assert report.sinks[sink].delivered == report.sinks[sink].routed == EVENTS
    assert a.values("number") == c.values("number") == list(range(EVENTS))
    return took


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ov7_beside_a_broken_sink_the_others_lose_nothing_and_keep_nine_tenths_of_their_throughput(
    backend: Backend, broken: str
) -> None:
    healthy, beside = [], []
    for _ in range(ROUNDS):  # in turn, so that whatever else the machine does strikes both
        healthy.append(run_in_virtual_time(backend, seconds_with, RecordingSink("b")))
        beside.append(run_in_virtual_time(backend, seconds_with, BROKEN[broken]()))
    assert min(healthy) / min(beside) >= WANTED
