"""Many tasks that log at once: each gets its turn, none waits for a sink while there is room, and no wait is lost."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any, Literal

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog import AsyncLoggingContainer
from fapilog.pipeline.backend import current_backend
from fapilog.pipeline.intake import CHUNK, Intake
from fapilog.pipeline.turns import AT_ONCE, Turns
from fapilog.testing import RecordingSink
from fapilog.testing.clock import run_in_virtual_time
from sinks import HELD, HeldSink, account, hold, quiet, turns

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


class Workers:
    """Stand for the workers: a queue that is deep as long as it is told to be."""

    def __init__(self) -> None:
        self.deep = True
        self.taken = 0
        self.turns = Turns(current_backend(), lambda: self.deep, lambda: self.taken)
        self.went_on: list[int] = []

    async def wait(self, number: int) -> None:
        await self.turns.wait()
        self.went_on.append(number)

    async def take(self, rounds: int = 30) -> None:
        """Take a chunk in each round of the event loop, and leave the queue as deep as it is."""
        for _ in range(rounds):
            self.taken += 1
            await anyio.lowlevel.checkpoint()


async def test_tasks_wait_while_the_workers_take_and_the_queue_is_deep() -> None:
    workers = Workers()
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(workers.wait, number)
        await workers.take()
        assert not workers.went_on
        workers.deep = False
        await turns()
        assert sorted(workers.went_on) == [0, 1, 2]


async def test_tasks_go_on_when_the_workers_take_nothing_however_deep_the_queue_is() -> None:
    workers = Workers()
    async with anyio.create_task_group() as tasks:
        for number in range(5 * AT_ONCE):
            tasks.start_soon(workers.wait, number)
    assert len(workers.went_on) == 5 * AT_ONCE


async def test_only_some_go_on_at_once_and_in_order_of_arrival() -> None:
    workers = Workers()
    number = 0
    async with anyio.create_task_group() as tasks:
        for number in range(3 * AT_ONCE):
            tasks.start_soon(workers.wait, number)
            await workers.take(2)
        workers.deep = False
        await turns(2)
        assert 0 < len(workers.went_on) < 2 * AT_ONCE
        assert set(workers.went_on) <= set(range(2 * AT_ONCE))
    assert sorted(workers.went_on) == list(range(number + 1))


async def test_waiting_for_a_turn_is_a_checkpoint_also_in_a_shallow_queue() -> None:
    workers = Workers()
    workers.deep = False
    with anyio.CancelScope() as scope:
        scope.cancel()
        await workers.turns.wait()
    assert scope.cancelled_caught


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(seed=st.integers(0, 2**32), number=st.integers(1, 3 * AT_ONCE))
def test_whoever_is_cancelled_the_others_get_their_turn(
    backend: Literal["asyncio", "trio"], seed: int, number: int
) -> None:
    run_in_virtual_time(backend, cancel_some, Random(seed), number)


async def cancel_some(random: Random, number: int) -> None:
    workers = Workers()
    scopes = [anyio.CancelScope() for _ in range(number)]
    cancelled = set(random.sample(range(number), random.randrange(number + 1)))

    async def wait(position: int) -> None:
        with scopes[position]:
            await workers.wait(position)

    with anyio.fail_after(1):  # of virtual time, which passes only if every task waits for good
        async with anyio.create_task_group() as tasks:
            for position in range(number):
                tasks.start_soon(wait, position)
                await workers.take(random.randrange(3))
            workers.deep = random.random() < 0.5
            for position in cancelled:
                scopes[position].cancel()
                await workers.take(random.random() < 0.2)
    assert set(range(number)) - cancelled <= set(workers.went_on)


class Struck(deque[Any]):
    """An interrupt strikes after a call of one of its methods: where Python looks for signals."""

    def __init__(self, method: str, at: int) -> None:
        super().__init__()
        self._method = method
        self._left = at

    def append(self, item: Any) -> None:
        super().append(item)
        self._strike("append")

    def popleft(self) -> Any:
        item = super().popleft()
        self._strike("popleft")
        return item

    def _strike(self, method: str) -> None:
        if method == self._method:
            self._left -= 1
            if self._left == 0:
                raise OSError("struck")  # a KeyboardInterrupt would end the test


@pytest.mark.parametrize("number", [3, AT_ONCE + 1, AT_ONCE + 2, 2 * AT_ONCE])
@pytest.mark.parametrize("method", ["append", "popleft"])
@pytest.mark.parametrize("at", [1, 2, AT_ONCE, AT_ONCE + 1])
async def test_pr4_an_interrupt_that_strikes_as_turns_are_given_holds_nobody_up(
    number: int, method: str, at: int
) -> None:
    workers = Workers()
    workers.turns._waiting = Struck(method, at)
    struck: list[int] = []

    async def wait(position: int) -> None:
        try:
            await workers.wait(position)
        except OSError:
            struck.append(position)

    with anyio.fail_after(1):  # of virtual time, which passes only if every task waits for good
        async with anyio.create_task_group() as tasks:
            for position in range(number):
                tasks.start_soon(wait, position)
                await workers.take(2)
            workers.deep = False
    assert sorted(workers.went_on + struck) == list(range(number))
    assert len(struck) == (at < number)
    assert not workers.turns._waiting


@pytest.mark.untraced
async def test_many_busy_tasks_do_not_fill_the_queue() -> None:
    sink = RecordingSink("sink")
    number, each = 200, 60
    async with AsyncLoggingContainer({"batch_linger": 0}, sinks=[sink]) as container:
        log = container.logger()

        async def busy(task: int) -> None:
            for event in range(each):
                assert await log.info("event", task=task, number=event)

        async with anyio.create_task_group() as tasks:
            for task in range(number):
                tasks.start_soon(busy, task)
    assert len(sink.events) == number * each
    # Each task that finds the queue deep adds one event at most before it waits for its turn.
    assert container.metrics_collector.snapshot().queue_high_water < 2 * CHUNK + number
    for task in range(number):
        assert [e.fields["number"] for e in sink.events if e.fields["task"] == task] == list(range(each))
    account(container)


async def test_nobody_waits_for_a_held_sink_while_there_is_room() -> None:
    sink = HeldSink()
    given = {"batch_linger": 0, "queue_max_size": 5000, "on_incomplete": "ignore", "plugin_config": {"sink": HELD}}
    container = AsyncLoggingContainer(given, sinks=[sink])
    quiet(container)
    async with container:
        log = container.logger()
        await hold(container)

        async def busy() -> None:
            for _ in range(20):
                assert await log.info("event")

        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(busy)
        assert anyio.current_time() == began
        assert not sink.batches
        sink.gate.set()
    account(container)


async def test_who_waited_for_room_waits_for_a_turn_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = 0
    wait_for_room = Intake.wait_for_room

    async def counted(intake: Intake, record: Any) -> bool:
        nonlocal waits
        waits += 1
        return await wait_for_room(intake, record)

    monkeypatch.setattr(Intake, "wait_for_room", counted)
    sink = RecordingSink("sink")
    number, each = 2000, 5
    async with AsyncLoggingContainer({"batch_linger": 0, "queue_max_size": 1000}, sinks=[sink]) as container:
        log = container.logger()

        async def busy() -> None:
            for _ in range(each):
                assert await log.info("event")

        async with anyio.create_task_group() as tasks:
            for _ in range(number):
                tasks.start_soon(busy)
    assert len(sink.events) == number * each
    # The first calls of so many tasks fill the queue; from then on they come as fast as the workers take.
    assert waits < 1.5 * number
    account(container)
