"""A block that signals cancel."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import fapilog
from fapilog.integrations.signals import cancelled_by_signals
from fapilog.sinks.memory import MemorySink

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that a process can send to itself"),
]


@pytest.fixture(autouse=True)
def earlier() -> Iterator[list[int]]:
    """Handle what comes outside of the block, and check that this is so again after each test."""
    received: list[int] = []

    def handler(number: int, frame: Any) -> None:
        received.append(number)

    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    yield received
    for number, previous in before.items():
        assert signal.signal(number, previous) is handler


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_cancels_the_block_and_is_told(number: signal.Signals, earlier: list[int]) -> None:
    sink = MemorySink()
    async with fapilog.container(sinks=[sink]) as log:
        with log.context(service="shop"), cancelled_by_signals() as stop, log.span("work"):
            send(number)
            await anyio.sleep_forever()
        assert stop.received is number
        await log.info("stopped")
    stopping, work, stopped = sink.events
    assert (stopping.message, stopping.level, stopping.fields) == ("stopping", "WARNING", {"signal": number.name})
    assert stopping.context["service"] == "shop"
    assert work.context["span"]["outcome"] == "cancelled"
    assert work.context["span"]["cancellation"]["reason"] == number.name
    assert stopped.message == "stopped"
    assert earlier == []


async def test_tasks_inside_are_cancelled_and_their_clean_up_is_done() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            done.append(number)

    with cancelled_by_signals(signal.SIGUSR1) as stop:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
            send(signal.SIGUSR1)
    assert sorted(done) == [0, 1, 2]
    assert stop.received is signal.SIGUSR1


async def test_a_second_signal_is_for_whoever_was_there_before(earlier: list[int]) -> None:
    with cancelled_by_signals() as stop:
        try:
            send(signal.SIGTERM)
            await anyio.sleep_forever()
        finally:
            send(signal.SIGINT)
            send(signal.SIGTERM)
    assert stop.received is signal.SIGTERM
    assert earlier == [signal.SIGINT, signal.SIGTERM]


async def test_a_signal_that_wakes_an_idle_loop() -> None:
    """Sent by another thread while the loop waits for nothing but this."""
    with anyio.fail_after(20), cancelled_by_signals() as stop:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, lambda: send(signal.SIGTERM))
            await anyio.sleep_forever()
    assert stop.received is signal.SIGTERM


async def test_without_a_signal_nothing_changes(earlier: list[int]) -> None:
    with cancelled_by_signals() as stop:
        await anyio.lowlevel.checkpoint()
    assert stop.received is None
    assert not stop.cancel_scope.cancelled_caught
    error = ValueError("the block's own")
    with pytest.raises(ValueError, match="own") as caught, cancelled_by_signals():
        raise error
    assert caught.value is error
    assert error.__context__ is None
    send(signal.SIGTERM)
    assert earlier == [signal.SIGTERM]


async def test_a_signal_in_the_last_moment_cancels_nothing_else() -> None:
    sink = MemorySink()
    async with fapilog.container(sinks=[sink]):
        with cancelled_by_signals() as stop:
            send(signal.SIGTERM)
        await anyio.lowlevel.checkpoint()  # here the callback runs
        await anyio.lowlevel.checkpoint()
    assert stop.received is signal.SIGTERM
    assert sink.messages == ()


async def test_a_block_around_can_be_cancelled_too() -> None:
    with anyio.CancelScope() as outer:
        with cancelled_by_signals():
            outer.cancel()
            await anyio.sleep_forever()
    assert outer.cancelled_caught


async def test_what_cannot_be_handled_leaves_nothing_changed() -> None:
    with pytest.raises((ValueError, OSError)), cancelled_by_signals(signal.SIGTERM, signal.SIGKILL):
        raise AssertionError("entered")


async def test_not_in_another_thread() -> None:
    async def main() -> None:
        with cancelled_by_signals():
            raise AssertionError("entered")

    with pytest.raises(RuntimeError, match="main thread"):
        await anyio.to_thread.run_sync(lambda: anyio.run(main))
