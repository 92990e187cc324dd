"""Foreign threads: what they log arrives once, in each thread's order, and wakes a loop that has nothing to do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import fapilog
from fapilog import AsyncLoggingContainer
from fapilog.testing import RecordingSink
from sinks import HELD, PRIMERS, HeldSink, account, fast_switching, hold, in_thread, quiet, turns, until

pytestmark = pytest.mark.anyio

THREADS = 16


class Threads:
    """Threads that all run one function with their number, and are waited for while the event loop turns."""

    def __init__(self, function: Callable[[int], Any], number: int = THREADS) -> None:
        self.results: list[Any] = [None] * number
        self.errors: list[BaseException] = []

        def main(position: int) -> None:
            try:
                self.results[position] = function(position)
            except BaseException as error:
                self.errors.append(error)

        self._threads = [
            threading.Thread(target=main, args=(n,), name=f"producer {n}", daemon=True) for n in range(number)
        ]
        for thread in self._threads:
            thread.start()

    async def joined(self) -> list[Any]:
        """Wait for the threads and return what the function returned."""
        with anyio.fail_after(60):
            for thread in self._threads:
                while thread.is_alive():
                    await anyio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors[0]
        return self.results


def make(sink: RecordingSink, **given: Any) -> AsyncLoggingContainer:
    # The queue is what may be full; a sink whose task gets no turn for long still has room.
    settings = {"on_incomplete": "ignore", "shutdown_timeout": 30, "plugin_config": {"sink": {"queue_batches": 10_000}}}
    container = AsyncLoggingContainer({**settings, **given}, sinks=[sink])
    quiet(container)
    return container


@pytest.mark.untraced
@pytest.mark.parametrize("strategy", ["drop_newest", "drop_oldest", "raise", "block"])
async def test_th1_16_threads_that_never_wait_are_counted_exactly(strategy: str) -> None:
    each = 5000 if strategy == "drop_newest" else 1000
    sink = RecordingSink("sink")
    with fast_switching():
        async with make(sink, overflow_strategy=strategy, queue_max_size=1000) as container:
            log = container.logger().nowait
            threads = Threads(lambda position: sum(log.info("event", thread=position, number=n) for n in range(each)))
            for number in range(each):
                log.info("event", thread=-1, number=number)
                if number % 50 == 0:
                    await anyio.lowlevel.checkpoint()
            accepted = await threads.joined()
    report = account(container)
    assert report.submitted == (THREADS + 1) * each
    lost = sum(report.dropped.values()) + sum(report.rejected.values())
    assert report.sinks["sink"].delivered - report.created == report.submitted - lost
    seen: dict[int, list[int]] = {}
    for event in sink.events:
        if "number" in event.fields:
            seen.setdefault(event.fields["thread"], []).append(event.fields["number"])
    for numbers in seen.values():
        assert numbers == sorted(set(numbers)), "each once, and in the order of its thread"
    if strategy != "drop_oldest":
        assert [len(seen.get(position, ())) for position in range(THREADS)] == accepted
    assert [event.sequence for event in sink.events] == list(range(1, len(sink.events) + 1))


@pytest.mark.untraced
async def test_ov5_threads_that_wait_for_room_lose_nothing_and_keep_their_order() -> None:
    each = 300
    sink = RecordingSink("sink")
    with fast_switching():
        async with make(sink, queue_max_size=8, block_timeout=30) as container:
            log = container.logger()
            threads = Threads(
                lambda position: sum(log.blocking.info("event", thread=position, number=n) for n in range(each))
            )
            for number in range(each):
                assert await log.info("event", thread=-1, number=number)
            assert await threads.joined() == [each] * THREADS
    report = account(container)
    assert report.submitted == report.sinks["sink"].delivered == (THREADS + 1) * each
    for position in range(-1, THREADS):
        numbers = [event.fields["number"] for event in sink.events if event.fields["thread"] == position]
        assert numbers == list(range(each))


async def test_a_threads_event_for_which_no_error_in_the_queue_gives_way_is_counted_when_the_loop_finds_that() -> None:
    sink = HeldSink()
    given = {"queue_max_size": 4, "reserved_for_errors": 0, "overflow_strategy": "drop_oldest", "batch_linger": 0}
    async with make(sink, **given, plugin_config={"sink": HELD}) as container:
        log = container.logger().nowait
        await hold(container)
        for _ in range(4):
            assert log.error("error")
        await in_thread(lambda: log.info("event"))
        await turns()
        sink.gate.set()
    report = account(container)
    assert report.dropped == {"queue_full": 1}
    assert report.submitted == PRIMERS + 5


async def test_a_threads_event_drives_out_no_error_of_another_thread_while_the_loop_is_held() -> None:
    sink = RecordingSink("sink")
    given = {"queue_max_size": 4, "reserved_for_errors": 0, "overflow_strategy": "drop_oldest"}
    async with make(sink, **given) as container:
        log = container.logger().nowait
        said: list[bool] = []

        def work() -> None:
            said.extend([log.error("error") for _ in range(4)])
            said.append(log.info("event"))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()  # the loop cannot take them meanwhile
        assert said == [True] * 4 + [False]
    report = account(container)
    assert report.dropped == {"queue_full": 1}
    assert report.submitted == 5


async def test_ov5_waiting_threads_get_room_in_the_order_of_their_calls() -> None:
    sink = HeldSink()
    async with make(
        sink, queue_max_size=20, reserved_for_errors=0, block_timeout=30, batch_linger=0, plugin_config={"sink": HELD}
    ) as container:
        log = container.logger()
        await hold(container)
        for number in range(20):
            assert log.nowait.info("event", number=number)
        door = container.async_pipeline.intake.door
        waiting: list[Threads] = []
        for number in range(20, 40):
            waiting.append(Threads(lambda _, number=number: log.blocking.info("event", number=number), 1))
            await until(lambda number=number: len(door._waiters) == number - 19)
        assert not log.nowait.info("late")
        sink.gate.set()
        for threads in waiting:
            assert await threads.joined() == [True]
    assert sink.values("number") == list(range(40))
    assert account(container).dropped == {"queue_full": 1}


async def test_a_thread_whose_wait_is_over_is_counted_and_the_others_then_do_not_wait() -> None:
    sink = HeldSink()
    async with make(
        sink, queue_max_size=1, block_timeout=0.01, batch_linger=0, plugin_config={"sink": HELD}
    ) as container:
        log = container.logger()
        await hold(container)
        assert log.nowait.info("event", number=0)
        results = [await in_thread(lambda: log.blocking.info("late")) for _ in range(5)]
        assert results == [False] * 5
        assert container.stats().dropped == {"block_timeout": 1, "congested": 4}
        sink.gate.set()
        await until(lambda: 0 in sink.values("number"))
        assert await in_thread(lambda: log.blocking.info("event", number=1))
    assert sink.values("number") == [0, 1]


async def test_closing_refuses_the_threads_that_wait_at_once() -> None:
    sink = HeldSink()
    async with make(
        sink, queue_max_size=1, block_timeout=30, batch_linger=0, plugin_config={"sink": HELD}
    ) as container:
        log = container.logger()
        await hold(container)
        assert log.nowait.info("event", number=0)
        threads = Threads(lambda position: log.blocking.info("late"), 5)
        await until(lambda: len(container.async_pipeline.intake.door._waiters) == 5)
        async with anyio.create_task_group() as group:
            group.start_soon(container.aclose)
            assert await threads.joined() == [False] * 5
            sink.gate.set()
    assert sink.values("number") == [0]
    assert account(container).rejected == {"closed": 5}


async def test_room_that_comes_just_before_a_thread_begins_to_wait_is_not_missed() -> None:
    """The thread sees a full queue; then the loop empties it and goes to sleep; then the thread begins to wait."""
    sink = HeldSink()
    async with make(
        sink, queue_max_size=1, block_timeout=20, batch_linger=0, plugin_config={"sink": HELD}
    ) as container:
        log = container.logger()
        await hold(container)
        assert log.nowait.info("event", number=0)
        door = container.async_pipeline.intake.door
        about_to_wait, emptied = threading.Event(), threading.Event()

        class SlowToWait(deque[Any]):
            def append(self, item: Any) -> None:
                about_to_wait.set()
                emptied.wait(10)
                super().append(item)

        door._waiters = SlowToWait()
        threads = Threads(lambda _: log.blocking.info("event", number=1), 1)
        await until_real(about_to_wait.is_set)
        sink.gate.set()
        await until(lambda: 0 in sink.values("number"))
        await turns(100)
        emptied.set()
        with anyio.fail_after(10):
            assert await threads.joined() == [True]
    assert sink.values("number") == [0, 1]
    assert not account(container).dropped


async def until_real(condition: Callable[[], object]) -> None:
    """Give way to other tasks and threads until *condition* holds."""
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_a_call_from_a_thread_wakes_a_loop_that_has_nothing_to_do() -> None:
    written = anyio.Event()

    class Telling(RecordingSink):
        async def write(self, batch: Any) -> None:
            await super().write(batch)
            written.set()

    for method in ("info", "error"):
        written = anyio.Event()
        sink = Telling("sink")
        async with make(sink, batch_linger=30) as container:
            log = container.logger().nowait
            await turns()
            thread = threading.Thread(target=lambda log=log, method=method: getattr(log, method)("from a thread"))
            thread.start()
            with anyio.fail_after(20):
                await written.wait()  # nothing else wakes the loop
            thread.join()
            assert sink.messages == ["from a thread"]


async def test_many_calls_from_a_thread_wake_the_loop_once() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        backend = container.async_pipeline.intake.backend
        calls: list[Callable[[], object]] = []
        call_soon = backend.call_soon

        def counted(callback: Callable[[], object]) -> None:
            calls.append(callback)
            call_soon(callback)

        backend.call_soon = counted  # type: ignore[method-assign]
        done = threading.Event()

        def log_much() -> None:
            for number in range(500):
                container.logger().nowait.info("event", number=number)
            done.set()

        threading.Thread(target=log_much).start()
        done.wait(20)  # holds the loop: it cannot answer meanwhile
        assert len(calls) == 1
        await until(lambda: len(sink.values("number")) == 500)
        assert len(calls) == 1
    assert sink.values("number") == list(range(500))


@pytest.mark.virtual_time
async def test_what_threads_log_within_the_linger_goes_out_together() -> None:
    sink = RecordingSink("sink")
    async with make(sink, batch_linger=1) as container:
        intake = container.async_pipeline.intake
        await turns()
        for number in range(5):
            with_thread, intake.thread = intake.thread, -1  # as if the call came from another thread
            assert container.logger().nowait.info("event", number=number)
            intake.thread = with_thread
            await anyio.sleep(0.1)
        await anyio.sleep(2)
        assert [[event.fields["number"] for event in batch] for batch in sink.batches] == [[0], [1, 2, 3, 4]]


async def test_th3_threads_that_log_while_the_container_closes_are_all_accounted_for() -> None:
    with fast_switching():
        for attempt in range(20):
            sink = RecordingSink("sink")
            stop = threading.Event()
            container = make(sink, queue_max_size=50, overflow_strategy="drop_newest", batch_linger=0)
            async with container:
                log = container.logger().nowait

                def flood(position: int, log: Any = log, stop: threading.Event = stop) -> tuple[int, int]:
                    accepted = number = 0
                    while not stop.is_set():
                        accepted += log.info("event", thread=position, number=number)
                        number += 1
                    return number, accepted

                threads = Threads(flood, 4)
                for _ in range(attempt % 7 + 1):
                    await anyio.lowlevel.checkpoint()
            stop.set()
            results = await threads.joined()
            report = container.stats()
            assert report.balanced and report.in_flight == 0, str(report)
            assert report.submitted == sum(number for number, _ in results)
            assert len(sink.values("number")) == sum(accepted for _, accepted in results)


async def test_th3_an_event_that_a_thread_was_putting_in_while_the_intake_closed_is_delivered() -> None:
    """The thread has found the intake open and is about to leave its event there when the loop closes it."""
    sink = RecordingSink("sink")
    container = make(sink, batch_linger=0)
    about_to_put = threading.Event()
    async with container:
        door = container.async_pipeline.intake.door
        has_room = door._has_room

        def slow_to_put(record: Any) -> bool:
            found = has_room(record)
            about_to_put.set()
            threading.Event().wait(0.05)  # the loop gets all the way through closing unless it waits for this
            return found

        door._has_room = slow_to_put  # type: ignore[method-assign]
        threads = Threads(lambda _: container.logger().nowait.info("event", number=0), 1)
        await until_real(about_to_put.is_set)
    accepted = (await threads.joined())[0]
    report = container.stats()
    assert report.balanced and report.in_flight == 0, str(report)
    assert report.submitted == 1
    assert sink.values("number") == ([0] if accepted else [])


@pytest.mark.parametrize("strategy", ["drop_oldest", "drop_newest"])
async def test_ov10_a_loop_that_is_held_while_threads_log_keeps_what_its_strategy_says(strategy: str) -> None:
    sink = RecordingSink("sink")
    async with make(sink, queue_max_size=100, reserved_for_errors=0, overflow_strategy=strategy) as container:
        await turns()
        done = threading.Event()

        def log_much() -> None:
            for number in range(1000):
                container.logger().nowait.info("event", number=number)
            done.set()

        threading.Thread(target=log_much).start()
        done.wait(20)  # holds the loop
        assert container.stats().in_flight <= 200
    assert sink.values("number") == list(range(900, 1000) if strategy == "drop_oldest" else range(100))
    report = account(container)
    assert sum(report.dropped.values()) == 900
    assert report.submitted == 1000


async def test_a_thread_never_sees_an_error_when_the_loop_empties_the_full_door_under_it() -> None:
    """``drop_oldest`` looks at the oldest event in the door, which the loop may take at any moment."""
    sink = RecordingSink("sink")
    async with make(sink, queue_max_size=1, overflow_strategy="drop_oldest", batch_linger=0) as container:
        door = container.async_pipeline.intake.door

        class Vanishing(deque[Any]):
            def __len__(self) -> int:  # as it was when the thread asked
                return super().__len__() if threading.current_thread() is threading.main_thread() else 1

        door.records = Vanishing()
        assert await in_thread(lambda: container.logger().nowait.info("event", number=0))
    assert sink.values("number") == [0]


async def test_an_async_logger_in_a_thread_submits_and_says_whether_it_was_accepted() -> None:
    sink = HeldSink()
    async with make(
        sink, queue_max_size=2, reserved_for_errors=0, overflow_strategy="raise", batch_linger=0,
        plugin_config={"sink": HELD},
    ) as container:  # fmt: skip
        await hold(container)
        results = [await in_thread(lambda n=n: container.logger().info("event", number=n)) for n in range(3)]
        assert await results[0] is True
        assert await results[1] is True
        with pytest.raises(fapilog.QueueFull):
            await results[2]
        with pytest.raises(fapilog.QueueFull):
            await in_thread(lambda: container.logger().blocking.info("event"))
        sink.gate.set()
    assert sink.values("number") == [0, 1]
    assert account(container).submitted == PRIMERS + 4


async def test_an_event_names_the_thread_that_logged_it() -> None:
    sink = RecordingSink("sink")
    async with make(sink) as container:
        await Threads(lambda _: container.logger().nowait.info("event"), 3).joined()
    assert {event.task for event in sink.events} == {"producer 0", "producer 1", "producer 2"}
