"""One broken sink of three: what it costs the other two, which is next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

import anyio
import pytest

from fapilog import AsyncLoggingContainer
from fapilog.plugins import Batch
from fapilog.testing import FaultySink, RecordingSink
from fapilog.testing.clock import Backend, run_in_virtual_time
from sinks import account, never, quiet, slow
from support import swallow

EVENTS = 4_000
WANTED = 0.9
"""The share of its throughput that a sink has to keep beside a broken one."""


class Work:
    """Counts the calls of functions, in Python and in C: what is done, on a machine of whatever speed."""

    calls = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, _: object) -> None:
        self.calls += event in {"call", "c_call"}


async def swallow_all(_: Batch) -> None:
    await swallow()


BROKEN: dict[str, Callable[[], Any]] = {
    "raises": lambda: FaultySink([OSError("no")], "b"),
    "exits": lambda: FaultySink([SystemExit(3)], "b"),
    "takes a second for each event": lambda: FaultySink([slow(1)], "b"),
    "hangs": lambda: FaultySink([never], "b"),
    "swallows its cancellation": lambda: FaultySink([swallow_all], "b"),
}


async def work_with(other: RecordingSink | FaultySink) -> int:
    """Return how much is done until two sinks have all events, with *other* beside them."""
    a, c = RecordingSink("a"), RecordingSink("c")
    policy = {"batch_size": 1, "queue_batches": 4, "overflow_strategy": "drop_newest", "write_timeout": 2}
    container = AsyncLoggingContainer(
        {"batch_linger": 0, "shutdown_timeout": 1, "on_incomplete": "ignore", "plugin_config": {"b": policy}},
        sinks=[a, other, c],
    )
    quiet(container)
    async with container as entered:
        log = entered.logger()
        virtual = anyio.current_time()
        with Work() as work:
            for number in range(EVENTS):
                assert await log.info("m", number=number)
                if number % 100 == 0:
                    await anyio.lowlevel.checkpoint()
            while len(a.events) < EVENTS or len(c.events) < EVENTS:
                await anyio.lowlevel.checkpoint()
        assert anyio.current_time() == virtual, "they waited for the other one"
    report = account(container)
    for sink in ("a", "c"):
        assert report.sinks[sink].delivered == report.sinks[sink].routed == EVENTS
    assert a.values("number") == c.values("number") == list(range(EVENTS))
    return work.calls


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ov7_beside_a_broken_sink_the_others_lose_nothing_and_keep_nine_tenths_of_their_throughput(
    backend: Backend, broken: str
) -> None:
    healthy = run_in_virtual_time(backend, work_with, RecordingSink("b"))
    beside = run_in_virtual_time(backend, work_with, BROKEN[broken]())
    assert healthy / beside >= WANTED
