"""Leaving a container: what the body did passes unchanged, every event has an outcome, nothing stays, in time."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from fapilog import (
    AsyncLoggingContainer,
    ContainerStateError,
    DrainIncomplete,
    PluginError,
    WrongTaskError,
    container,
)
from fapilog.pipeline.fanout import FanOut
from support import (
    AsyncSink,
    DirectSink,
    Step,
    SyncSink,
    account,
    fail,
    hang,
    interrupt_program,
    living,
    noise,
    own_threads,
    raiser,
    run_program,
    shield,
    shield_beside_a_task,
    shield_in_a_task_group,
    swallow,
    until,
    wait_in_thread,
)

pytestmark = pytest.mark.anyio

QUICK: dict[str, Any] = {"shutdown_timeout": 0.2, "on_incomplete": "ignore"}
NATIVE = pytest.mark.parametrize("anyio_backend", ["asyncio", "asyncio+uvloop"], indirect=True)
EVERY_LOOP = pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])
BOUND = 0.2 + 1.0
"""What leaving may take under `QUICK`, in seconds; tested on virtual time, where it is exact."""


class Quit(BaseException):
    """An exception of the application's that is no `Exception`."""


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Return an event for threads to wait for; it is set, and their end waited for, after the test."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name.startswith("fapilog") and thread.daemon:
            thread.join(5)
        elif thread.name.startswith(("AnyIO worker", "Trio thread")):
            thread.join(0.2)  # it goes on to wait for other work, and ends seconds later


class TestTheBody:
    @pytest.mark.parametrize(
        "error",
        [
            ValueError("x"),
            Quit("x"),
            ExceptionGroup("several", [ValueError("x"), KeyError("y")]),
            BaseExceptionGroup("several", [Quit("x")]),
            KeyboardInterrupt(),
            SystemExit(3),
            GeneratorExit(),
            StopAsyncIteration(),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("yields", ["logger", "container"])
    async def test_its_exception_comes_out_as_the_same_object(self, error: BaseException, yields: str) -> None:
        sink = AsyncSink()
        caught: BaseException | None = None
        logs = AsyncLoggingContainer(sinks=[sink])
        try:
            if yields == "container":
                async with logs as entered:
                    await entered.logger().info("before")
                    raise error
            else:
                async with container(sinks=[sink]) as log:
                    await log.info("before")
                    raise error
        except BaseException as outside:
            caught = outside
        assert caught is error
        assert traceback.extract_tb(error.__traceback__)[-1].name == ("test_its_exception_comes_out_as_the_same_object")
        assert error.__context__ is None and error.__cause__ is None
        assert not hasattr(error, "__notes__")
        assert sink.messages == ["before"]
        error.__traceback__ = None

    async def test_its_result_comes_out(self) -> None:
        async def body() -> int:
            async with container(sinks=[AsyncSink()]):
                return 7

        assert await body() == 7

    async def test_an_exception_of_a_task_group_inside_is_not_wrapped_again(self) -> None:
        async def failing() -> None:
            raise ValueError("x")

        with pytest.raises(ExceptionGroup) as caught:
            async with container(sinks=[AsyncSink()]), anyio.create_task_group() as group:
                group.start_soon(failing)
        assert [type(error) for error in caught.value.exceptions] == [ValueError]

    @pytest.mark.virtual_time
    @pytest.mark.parametrize("on_incomplete", ["warn", "raise", "ignore"])
    async def test_cx11_an_incomplete_drain_is_a_note_on_its_exception(
        self, on_incomplete: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        error = ValueError("x")
        with pytest.raises(ValueError) as caught:
            async with container({**QUICK, "on_incomplete": on_incomplete}, sinks=[AsyncSink(write=hang)]) as log:
                await log.info("lost")
                raise error
        assert caught.value is error
        [note] = error.__notes__
        assert "the drain did not finish" in note and "1 abandoned" in note
        assert capfd.readouterr().err == ""

    @pytest.mark.virtual_time
    async def test_cx11_an_exception_that_takes_no_note_passes_all_the_same(self) -> None:
        error = ValueError("x")
        error.__notes__ = "not a list"  # type: ignore[assignment]
        with pytest.raises(ValueError) as caught:
            async with container(QUICK, sinks=[AsyncSink(write=hang)]) as log:
                await log.info("lost")
                raise error
        assert caught.value is error

    @pytest.mark.virtual_time
    async def test_cx11_a_cancellation_passes_an_incomplete_drain(self) -> None:
        with anyio.CancelScope() as scope:
            async with container(QUICK, sinks=[AsyncSink(write=hang)]) as log:
                await log.info("lost")
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught


class TestCancellation:
    async def test_it_passes_as_the_same_object_and_everything_is_delivered(self) -> None:
        sink = AsyncSink()
        inside = outside = None
        with anyio.CancelScope() as scope:
            try:
                async with container(sinks=[sink]) as log:
                    for number in range(300):
                        await log.info(f"{number}")
                    scope.cancel()
                    try:
                        await anyio.sleep_forever()
                    except BaseException as error:
                        inside = error
                        raise
            except BaseException as error:
                outside = error
                raise
        assert scope.cancelled_caught
        assert inside is outside is not None
        assert sink.messages == [f"{number}" for number in range(300)]
        assert account(log.container).complete

    async def test_cx5_a_cancelled_scope_with_a_full_queue(self) -> None:
        sink = AsyncSink()
        settings = {"queue_max_size": 64, "reserved_for_errors": 0}
        with anyio.CancelScope() as scope:
            async with container(settings, sinks=[sink]) as log:
                accepted = [log.nowait.info(f"{number}") for number in range(100)]
                scope.cancel()
                await anyio.sleep_forever()
        report = account(log.container)
        assert accepted.count(True) == 64 and report.dropped == {"queue_full": 36}
        assert report.created == 1
        sink.messages.remove("events were lost")
        assert sink.messages == [f"{number}" for number in range(64)]

    async def test_a_cancelled_task_group_ends_the_block_inside_it(self) -> None:
        sink = AsyncSink()

        async def server(ready: anyio.Event) -> None:
            async with container(sinks=[sink]) as log:
                await log.info("up")
                ready.set()
                try:
                    await anyio.sleep_forever()
                finally:
                    await log.info("down")

        async with anyio.create_task_group() as group:
            ready = anyio.Event()
            group.start_soon(server, ready)
            await ready.wait()
            group.cancel_scope.cancel()
        assert sink.messages == ["up", "down"]

    async def test_a_body_in_a_scope_that_was_cancelled_before(self) -> None:
        sink = AsyncSink()
        with anyio.CancelScope() as scope:
            async with container(sinks=[sink]) as log:
                scope.cancel()
                log.nowait.info("after")
        assert sink.messages == ["after"]
        assert account(log.container).complete

    @pytest.mark.virtual_time
    async def test_cx16_the_drain_keeps_its_own_deadline_under_the_callers(self) -> None:
        async def slow() -> None:
            await anyio.sleep(1)

        sink = AsyncSink(write=slow)
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.1):
                async with container({"shutdown_timeout": 5}, sinks=[sink]) as log:
                    await log.info("delivered")
                    await anyio.sleep_forever()
        assert sink.messages == ["delivered"]
        assert account(log.container).complete
        assert anyio.current_time() >= 1

    @pytest.mark.virtual_time
    async def test_cx16_a_deadline_that_passes_during_the_drain_is_the_callers_alone(self) -> None:
        async def slow() -> None:
            await anyio.sleep(1)

        sink = AsyncSink(write=slow)
        with anyio.move_on_after(0.1) as scope:
            async with container({"shutdown_timeout": 5}, sinks=[sink]) as log:
                await log.info("delivered")
            await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert sink.messages == ["delivered"]

    async def test_cx10_logging_while_a_cancellation_is_handled_neither_fails_nor_ends_the_clean_up(self) -> None:
        sink = AsyncSink()
        done = []
        async with container(sinks=[sink]) as log:
            with anyio.CancelScope() as scope:
                scope.cancel()
                try:
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class():
                    for number in range(400):  # more than the depth at which awaiting yields
                        await log.info(f"except {number}")
                    done.append("except")
                    raise
                finally:
                    await log.info("finally")
                    done.append("finally")
        assert done == ["except", "finally"]
        assert sink.messages == [*(f"except {number}" for number in range(400)), "finally"]

    async def test_aclose_in_the_clean_up_of_a_cancelled_body_drains(self) -> None:
        sink = AsyncSink()
        with anyio.CancelScope() as scope:
            async with container(sinks=[sink]) as log:
                for number in range(300):
                    log.nowait.info(f"{number}")
                scope.cancel()
                try:
                    await anyio.sleep_forever()
                finally:
                    await log.container.aclose()
                    assert account(log.container).complete
        assert sink.messages == [f"{number}" for number in range(300)]

    @pytest.mark.virtual_time
    async def test_an_aclose_in_the_clean_up_of_a_cancelled_body_leaves_the_sinks_their_time(self) -> None:
        closed: list[str] = []

        async def close() -> None:
            await anyio.sleep(0.1)
            closed.append("stuck")

        stuck, slow = AsyncSink("stuck", write=hang, aclose=close), AsyncSink("slow", write=partial(anyio.sleep, 1.1))
        hard = AsyncSink("hard", write=shield)
        policy = {name: {"write_timeout": 100} for name in ("stuck", "slow", "hard")}
        settings = {"shutdown_timeout": 1, "on_incomplete": "ignore", "plugin_config": policy}
        with anyio.CancelScope() as scope:
            async with container(settings, sinks=[stuck, slow, hard]) as log:
                log.nowait.info("a")
                await hard.entered.wait()
                scope.cancel()
                try:
                    await anyio.sleep_forever()
                finally:
                    await log.container.aclose()
                    assert slow.messages == ["a"]
                    assert closed == ["stuck"]
                    callers = [delivery.caller for delivery in log.container.async_pipeline.deliveries]
                    assert [caller._host is None or caller._host.exited.is_set() for caller in callers] == [True] * 3
        assert account(log.container).sinks["slow"].delivered == 1

    async def test_a_cancelled_flush_and_a_cancelled_aclose_lose_nothing(self) -> None:
        gate = anyio.Event()
        sink = AsyncSink(write=gate.wait)
        async with container(sinks=[sink]) as log:
            await log.info("a")
            with anyio.move_on_after(0):
                await log.flush()
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(log.container.aclose)
                    await sink.entered.wait()
                    scope.cancel()
                    gate.set()
            assert scope.cancel_called
        assert sink.messages == ["a"]
        assert account(log.container).complete


@NATIVE
class TestNativeCancellation:
    async def test_cx2_once(self) -> None:
        sink = AsyncSink()
        seen: list[BaseException] = []

        async def main() -> None:
            try:
                async with container(sinks=[sink]) as log:
                    await log.info("a")
                    try:
                        await asyncio.sleep(60)
                    except asyncio.CancelledError as error:
                        seen.append(error)
                        await log.info("b")
                        raise
            except asyncio.CancelledError as error:
                seen.append(error)
                raise

        task = asyncio.create_task(main())
        await until(lambda: sink.messages)
        task.cancel("stop")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen[0] is seen[1] and seen[0].args == ("stop",)
        assert sink.messages == ["a", "b"]

    @pytest.mark.parametrize("times", [1, 2, 3])
    async def test_cx2_during_the_drain_it_is_raised_after_it(self, times: int) -> None:
        gate = anyio.Event()
        sink = AsyncSink(write=gate.wait)
        logs = AsyncLoggingContainer(sinks=[sink])

        async def main() -> None:
            async with logs:
                await logs.logger().info("a")

        task = asyncio.create_task(main())
        await sink.entered.wait()
        for _ in range(times):
            task.cancel()
            for _ in range(20):
                await asyncio.sleep(0)
        assert not task.done()
        assert task.cancelling() == times
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sink.messages == ["a"] and sink.calls[-1] == "aclose"
        assert account(logs).complete

    async def test_cx2_a_body_that_was_cancelled_is_cancelled_again_in_the_drain(self) -> None:
        gate = anyio.Event()
        sink = AsyncSink(write=gate.wait)
        entered = anyio.Event()
        inside: list[BaseException] = []

        async def main() -> None:
            async with container(sinks=[sink]) as log:
                await log.info("a")
                entered.set()
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError as error:
                    inside.append(error)
                    raise

        task = asyncio.create_task(main())
        await entered.wait()
        task.cancel("first")
        await until(lambda: inside)
        task.cancel("second")
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError, match="first"):
            await task
        assert sink.messages == ["a"]

    async def test_cx2_an_error_of_the_body_is_the_context_of_a_cancellation_in_the_drain(self) -> None:
        gate = anyio.Event()
        sink = AsyncSink(write=gate.wait)
        error = ValueError("x")

        async def main() -> None:
            async with container(sinks=[sink]) as log:
                await log.info("a")
                raise error

        task = asyncio.create_task(main())
        await sink.entered.wait()
        task.cancel()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sink.messages == ["a"]

    async def test_cx2_asyncio_timeout_becomes_a_timeout_error(self) -> None:
        sink = AsyncSink()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as timeout:
                async with container(sinks=[sink]) as log:
                    await log.info("a")
                    timeout.reschedule(asyncio.get_running_loop().time())
                    await asyncio.sleep(60)
        current = asyncio.current_task()
        assert current is not None and current.cancelling() == 0
        assert sink.messages == ["a"]

    async def test_cx2_asyncio_timeout_in_the_drain_becomes_a_timeout_error_after_it(self) -> None:
        gate = anyio.Event()
        sink = AsyncSink(write=gate.wait)
        logs = AsyncLoggingContainer(sinks=[sink])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0) as timeout:
                timeout.reschedule(None)
                async with logs:
                    await logs.logger().info("a")
                    asyncio.get_running_loop().call_later(0.01, gate.set)
                    timeout.reschedule(asyncio.get_running_loop().time())
        assert sink.messages == ["a"]
        assert account(logs).complete

    async def test_cx2_wait_for(self) -> None:
        sink = AsyncSink()

        async def main() -> None:
            async with container(sinks=[sink]) as log:
                await log.info("a")
                await asyncio.sleep(60)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(main(), 1.0)
        assert sink.messages == ["a"]

    async def test_cx2_a_task_group_whose_other_task_fails(self) -> None:
        sink = AsyncSink()

        async def main() -> None:
            async with container(sinks=[sink]) as log:
                await log.info("a")
                await asyncio.sleep(60)

        async def failing() -> None:
            await until(lambda: sink.messages)
            raise ValueError("x")

        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(main())
                group.create_task(failing())
        assert [type(error) for error in caught.value.exceptions] == [ValueError]
        assert sink.messages == ["a"]

    @pytest.mark.parametrize("step", [hang, shield, swallow])
    @pytest.mark.parametrize("times", [1, 2])
    async def test_cx2_while_a_sink_starts(self, step: Step, times: int) -> None:
        before = living()
        first, sink = AsyncSink("first"), AsyncSink(start=step)

        async def main() -> None:
            async with container(QUICK, sinks=[first, sink]):
                raise AssertionError("entered")

        task = asyncio.create_task(main())
        await sink.entered.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: living() == before)
        assert first.calls[-1] == "aclose"

    @pytest.mark.parametrize("depth", range(12))
    async def test_cx3_between_hand_over_and_wake_up(self, depth: int) -> None:
        """Cancel at each turn of the loop after the call: in every one the event is delivered."""
        sink = AsyncSink()

        async def main() -> None:
            async with container(sinks=[sink]) as log:
                await log.info("a")
                await log.info("b")
                await asyncio.sleep(60)

        task = asyncio.create_task(main())
        await until(lambda: sink.calls)  # it has started
        for _ in range(depth):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sink.messages in ([], ["a", "b"])
        assert sink.messages or depth < 2

    async def test_cx2_every_other_task_of_the_loop_is_cancelled(self) -> None:
        """As programs do that cancel `asyncio.all_tasks()` to end; the body was left out, and is not affected."""
        sink = AsyncSink()
        async with container(sinks=[sink]) as log:
            await log.info("before")
            await log.flush()
            here = asyncio.current_task()
            for task in asyncio.all_tasks() - {here}:
                if task.get_name().startswith("fapilog"):
                    task.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            await log.info("after")
        account(log.container)
        assert sink.messages == ["before", "after"]
        assert sink.calls[-1] == "aclose" and sink.calls.count("aclose") == 1

    async def test_cx2_a_write_whose_task_is_cancelled_before_it_begins_is_made_in_another(self) -> None:
        sink = AsyncSink()
        async with container({"batch_linger": 0}, sinks=[sink]) as log:
            await log.info("a")
            await until(lambda: log.container.async_pipeline.deliveries[0]._being_written)
            assert "write" not in sink.calls
            for task in asyncio.all_tasks():
                if task.get_name() == "fapilog sink":
                    task.cancel()
        report = account(log.container).sinks["sink"]
        assert report.delivered == len(sink.messages) == 1
        assert not report.failed and not report.outcome_unknown

    async def test_cx2_a_write_whose_delivery_is_cancelled_has_an_unknown_outcome_and_ends_a_probe(self) -> None:
        sink = AsyncSink(write=fail(OSError("no")))
        settings = {
            "batch_linger": 0,
            "plugin_config": {"sink": {"attempts": 1, "breaker_failures": 1, "breaker_reset": 0.001}},
        }
        async with container(settings, sinks=[sink]) as log:
            await log.info("fails, and opens the breaker")
            await until(lambda: log.container.stats().sinks["sink"].failed)
            sink.entered = anyio.Event()
            sink.steps["write"] = hang
            await log.info("probes, and is cut off")
            await sink.entered.wait()
            for task in asyncio.all_tasks():
                if task.get_name() == "fapilog delivery":
                    task.cancel()
            await until(lambda: log.container.stats().sinks["sink"].outcome_unknown)
            del sink.steps["write"]
            await log.info("probes again")
            await until(lambda: sink.messages)
        report = account(log.container).sinks["sink"]
        assert (report.delivered, report.outcome_unknown, report.abandoned) == (1, 1, {"deadline": 1})

    async def test_cx2_a_stage_cancelled_while_the_container_ends_does_not_cancel_the_body(self) -> None:
        logs = AsyncLoggingContainer(
            {"shutdown_timeout": 0.01, "on_incomplete": "ignore"}, sinks=[AsyncSink(write=hang)]
        )
        async with logs:
            await logs.logger().info("a")
            for task in asyncio.all_tasks():
                if task.get_name() == "fapilog delivery":
                    task.cancel()
            await logs.aclose(0.01)
            await asyncio.sleep(0)
            assert not logs._task_group.cancel_scope.cancel_called
        account(logs)

    @pytest.mark.parametrize("turns", range(8))
    async def test_cx3_a_stage_cancelled_at_any_turn_loses_nothing_unaccounted(self, turns: int) -> None:
        sink = AsyncSink()
        logs = AsyncLoggingContainer(sinks=[sink])
        try:
            async with logs:
                for _ in range(5):
                    await asyncio.sleep(0)  # a task that was cancelled before it ran is a warning of Python's
                await logs.logger().info("a")
                for _ in range(turns):
                    await asyncio.sleep(0)
                for task in asyncio.all_tasks():
                    if task.get_name().startswith("fapilog"):
                        task.cancel()
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass
        report = account(logs)
        assert report.submitted == 1


KINDS: dict[str, type[SyncSink]] = {"thread": SyncSink, "direct": DirectSink}

REAL_INTERRUPTS = {("async", "asyncio"), ("direct", "asyncio"), ("direct", "trio")}
"""Where a sink's code runs in a task that may be interrupted."""

HOSTILE = {
    "hangs": hang,
    "shields itself": shield,
    "swallows": swallow,
    "shields in a task group": shield_in_a_task_group,
    "shields beside a task": shield_beside_a_task,
}


class TestHostileSinks:
    @pytest.mark.virtual_time
    @pytest.mark.parametrize("step", HOSTILE.values(), ids=HOSTILE)
    @pytest.mark.parametrize("method", ["write", "flush", "aclose"])
    async def test_sk4_sk10_cx7_cx8_it_is_left_behind_and_costs_the_others_nothing(
        self, step: Step, method: str, anyio_backend_name: str
    ) -> None:
        before = living()
        bad, good = AsyncSink("bad", **{method: step}), AsyncSink("good")
        logs = AsyncLoggingContainer(QUICK, sinks=[bad, good])
        async with logs:
            for number in range(3):
                await logs.logger().info(f"{number}")
            left = anyio.current_time()
        assert anyio.current_time() - left <= BOUND
        report = account(logs)
        assert not report.complete
        outcome = report.sinks["bad"]
        assert (outcome.delivered, outcome.abandoned) == ((0, {"deadline": 3}) if method == "write" else (3, {}))
        assert report.sinks["good"].delivered == 3
        assert good.messages == ["0", "1", "2"] and good.calls[-1] == "aclose"
        if not ("task" in step.__name__ and anyio_backend_name == "asyncio"):
            # asyncio does not tell whose child a task is; one that a sink started and shields ends with the loop.
            assert living() == before

    @pytest.mark.parametrize("method", ["write", "flush", "aclose"])
    async def test_sk5_a_blocked_thread_is_left_behind(self, method: str, release: threading.Event) -> None:
        before = living()
        bad, good = SyncSink("bad", **{method: release.wait}), AsyncSink("good")
        logs = AsyncLoggingContainer(QUICK, sinks=[bad, good])
        with anyio.fail_after(5):
            async with logs:
                await logs.logger().info("a")
        report = account(logs)
        assert not report.complete
        assert report.sinks["bad"].abandoned == ({"deadline": 1} if method == "write" else {})
        assert good.messages == ["a"] and good.calls[-1] == "aclose"
        assert living() == before

    async def test_sk5_many_blocked_threads_share_one_deadline(self, release: threading.Event) -> None:
        """One deadline each, one after the other, would take eight seconds."""

        class Stuck(SyncSink):
            start = None  # type: ignore[assignment]  # a short timeout is one for `start` as well

        sinks = [Stuck(f"bad{number}", write=release.wait) for number in range(40)]
        config = {f"bad{number}": {"write_timeout": 0.01} for number in range(40)}
        logs = AsyncLoggingContainer({**QUICK, "plugin_config": config}, sinks=sinks)
        async with logs:
            await logs.logger().info("a")
            left = anyio.current_time()
        assert anyio.current_time() - left < 5
        report = account(logs)
        assert not report.complete
        assert all(sink.failed == {"timeout": 1} and sink.outcome_unknown == 1 for sink in report.sinks.values())

    @pytest.mark.virtual_time
    async def test_sk5_a_wait_in_a_worker_thread_is_left_behind(
        self, release: threading.Event, anyio_backend_name: str
    ) -> None:
        before = living()
        good = AsyncSink("good")
        logs = AsyncLoggingContainer(QUICK, sinks=[AsyncSink("bad", write=wait_in_thread(release)), good])
        async with logs:
            await logs.logger().info("a")
            left = anyio.current_time()
        assert anyio.current_time() - left <= BOUND
        assert account(logs).sinks["bad"].abandoned == {"deadline": 1}
        assert good.messages == ["a"]
        # Trio cannot abort that wait; the task ends with the thread, and with nothing more of the sink run.
        assert living() - before == (1 if anyio_backend_name == "trio" else 0)
        release.set()
        await until(lambda: living() == before)

    @pytest.mark.virtual_time
    async def test_sinks_whose_clean_up_takes_longer_and_longer_share_one_deadline(self) -> None:
        def slow_clean_up(seconds: float) -> Step:
            async def step() -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(seconds)

            return step

        sinks = [AsyncSink(f"bad{number}", write=slow_clean_up(number * 0.2)) for number in range(12)]
        logs = AsyncLoggingContainer(QUICK, sinks=sinks)
        async with logs:
            await logs.logger().info("a")
            left = anyio.current_time()
        assert anyio.current_time() - left <= BOUND
        account(logs)

    @pytest.mark.parametrize("method", ["write", "flush", "aclose"])
    @pytest.mark.parametrize(
        "error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), Quit()], ids=repr
    )
    @pytest.mark.parametrize("kind", ["async", "thread", "direct"])
    async def test_sk1_sk10_a_raising_sink_costs_the_others_nothing(
        self, method: str, error: BaseException, kind: str, anyio_backend_name: str
    ) -> None:
        if isinstance(error, KeyboardInterrupt) and (kind, anyio_backend_name) in REAL_INTERRUPTS:
            pytest.skip("there a real interrupt may arrive, and passes")
        before = living()
        bad = (
            AsyncSink("bad", **{method: fail(error)})
            if kind == "async"
            else KINDS[kind]("bad", **{method: raiser(error)})
        )
        good = AsyncSink("good")
        logs = AsyncLoggingContainer({"plugin_config": {"bad": {"attempts": 2}}}, sinks=[bad, good])
        async with logs:
            await logs.logger().info("a")
        report = account(logs)
        assert bad.calls[-1] == "aclose"
        assert good.messages == ["a"] and good.calls[-1] == "aclose"
        assert report.sinks["bad"].delivered == (0 if method == "write" else 1)
        assert sum(report.sinks["bad"].failed.values()) == (1 if method == "write" else 0)
        assert living() == before

    @pytest.mark.virtual_time
    async def test_a_write_that_timed_out_is_failed_and_the_sink_goes_on(self) -> None:
        steps = iter([hang, anyio.lowlevel.checkpoint])

        async def first_hangs() -> None:
            await next(steps)()

        sink = AsyncSink(write=first_hangs)
        logs = AsyncLoggingContainer({"plugin_config": {"sink": {"write_timeout": 0.5}}}, sinks=[sink])
        async with logs:
            await logs.logger().info("a")
            await logs.flush()
            await logs.logger().info("b")
        report = account(logs)
        assert report.complete and sink.messages == ["b"]
        assert report.sinks["sink"].failed == {"timeout": 1} and report.sinks["sink"].outcome_unknown == 1

    @pytest.mark.virtual_time
    async def test_sk4_a_hung_sink_with_a_full_stream_costs_the_others_nothing(self) -> None:
        """The fan-out may wait for the hung sink when the block is left; the events behind it are others' as well."""
        bad, good = AsyncSink("bad", write=hang), AsyncSink("good")
        settings = {**QUICK, "batch_size": 1, "plugin_config": {"bad": {"queue_batches": 1}}}
        logs = AsyncLoggingContainer(settings, sinks=[bad, good])
        async with logs:
            for number in range(10):
                await logs.logger().info(f"{number}")
                await anyio.lowlevel.checkpoint()
        account(logs)
        assert good.messages == [f"{number}" for number in range(10)]

    async def test_sk14_a_sink_that_logs_does_not_feed_itself(self) -> None:
        class Chatty(AsyncSink):
            async def write(self, batch: Any) -> None:
                await super().write(batch)
                assert not log.nowait.info("from the sink")
                assert not await log.info("from the sink")
                assert not log.blocking.info("from the sink")

        sink = Chatty()
        async with container(sinks=[sink]) as log:
            await log.info("a")
        report = account(log.container)
        assert sink.messages == ["a"]
        assert report.rejected == {"reentrant": 3}

    async def test_sk14_a_sink_that_logs_in_its_thread_does_not_feed_itself(self) -> None:
        class Chatty(SyncSink):
            def write(self, batch: Any) -> None:
                super().write(batch)
                log.nowait.info("from the sink")
                log.blocking.info("from the sink")

        sink = Chatty()
        async with container(sinks=[sink]) as log:
            await log.info("a")
        assert sink.messages == ["a"]
        assert account(log.container).rejected == {"reentrant": 2}


class TestOurOwnMistakes:
    async def test_sk21_cx15_a_crashing_worker_is_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        accept = FanOut.accept
        crashes = [RuntimeError("ours")]

        async def crash_once(self: FanOut, items: Any) -> None:
            if crashes and items:
                raise crashes.pop()
            await accept(self, items)

        monkeypatch.setattr(FanOut, "accept", crash_once)
        sink = AsyncSink()
        async with container(sinks=[sink]) as log:
            await log.info("in the crash")
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert not crashes
            await log.info("after")
            flushed = await log.flush(1)
        report = account(log.container)
        assert flushed.complete
        assert "after" in sink.messages
        assert report.submitted == 2


class TestStarting:
    @pytest.mark.parametrize("kind", ["async", "thread", "direct"])
    async def test_sk9_a_required_sink_that_does_not_start(self, kind: str) -> None:
        before, threads = living(), own_threads()
        error = OSError("no disk")
        bad = AsyncSink("bad", start=fail(error)) if kind == "async" else KINDS[kind]("bad", start=raiser(error))
        first, last = SyncSink("first"), SyncSink("last")
        logs = AsyncLoggingContainer(sinks=[first, bad, last])
        with pytest.raises(PluginError, match=r"plugin 'bad': the sink did not start: OSError: no disk") as caught:
            async with logs:
                raise AssertionError("entered")
        assert caught.value.__cause__ is error
        assert first.calls == ["start", "aclose"]
        assert last.calls == []
        assert living() == before and own_threads() == threads
        assert not logs.logger().nowait.info("x")
        assert logs.stats().balanced

    @pytest.mark.virtual_time
    @pytest.mark.parametrize("step", [hang, shield, swallow])
    async def test_sk9_a_required_sink_that_hangs_in_start(self, step: Step) -> None:
        before = living()
        logs = AsyncLoggingContainer(
            {"plugin_config": {"bad": {"write_timeout": 0.5}}}, sinks=[AsyncSink("bad", start=step)]
        )
        with pytest.raises(PluginError, match="the sink did not start"):
            await logs.__aenter__()
        assert anyio.current_time() <= 0.5 + 1
        assert living() == before

    @pytest.mark.parametrize("kind", ["async", "thread", "direct"])
    async def test_sk9_a_sink_that_is_not_required_is_left_out(
        self, kind: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        bad: AsyncSink | SyncSink
        if kind == "async":
            bad = AsyncSink("bad", start=fail(OSError("no disk")))
        else:
            bad = KINDS[kind]("bad", start=raiser(OSError("no disk")))
        good = AsyncSink("good")
        settings = {"plugin_config": {"bad": {"required": False}}}
        async with container(settings, sinks=[bad, good]) as log:
            await log.info("a")
            assert (await log.flush()).complete
        report = account(log.container)
        assert good.messages == ["a"] and bad.messages == []
        assert report.sinks["bad"].failed == {"not_started": 1}
        assert "sink 'bad' is left out" in capfd.readouterr().err

    async def test_cancelling_while_a_sink_starts_leaves_nothing(self) -> None:
        before = living()
        first, sink = AsyncSink("first"), AsyncSink(start=hang)
        async with anyio.create_task_group() as group:

            async def main() -> None:
                async with container(QUICK, sinks=[first, sink]):
                    raise AssertionError("entered")

            group.start_soon(main)
            await sink.entered.wait()
            group.cancel_scope.cancel()
        assert living() == before
        assert first.calls[-1] == "aclose"

    async def test_pr23_a_thread_that_cannot_be_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        before = living()
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(PluginError, match="can't start new thread"):
            async with container(sinks=[SyncSink("bad"), SyncSink("other")]):
                raise AssertionError("entered")
        assert living() == before


class TestIncomplete:
    @pytest.mark.virtual_time
    async def test_warn_is_one_line_on_stderr(self, capfd: pytest.CaptureFixture[str]) -> None:
        async with container({**QUICK, "on_incomplete": "warn"}, sinks=[AsyncSink(write=hang)]) as log:
            await log.info("a")
        [line] = capfd.readouterr().err.splitlines()
        assert "the drain did not finish" in line and "1 abandoned (deadline 1)" in line

    @pytest.mark.virtual_time
    async def test_raise_has_the_report(self) -> None:
        with pytest.raises(DrainIncomplete) as caught:
            async with container({**QUICK, "on_incomplete": "raise"}, sinks=[AsyncSink(write=hang)]) as log:
                await log.info("a")
        assert caught.value.report is log.container.report
        assert caught.value.report.sinks["sink"].abandoned == {"deadline": 1}

    @pytest.mark.virtual_time
    async def test_ignore_is_silent(self, capfd: pytest.CaptureFixture[str]) -> None:
        async with container(QUICK, sinks=[AsyncSink(write=hang)]) as log:
            await log.info("a")
        assert capfd.readouterr().err == ""
        assert not account(log.container).complete

    @pytest.mark.parametrize("on_incomplete", ["warn", "raise", "ignore"])
    async def test_a_complete_drain_says_nothing(self, on_incomplete: str, capfd: pytest.CaptureFixture[str]) -> None:
        async with container({"on_incomplete": on_incomplete}, sinks=[AsyncSink()]) as log:
            await log.info("a")
        assert capfd.readouterr().err == ""
        assert account(log.container).complete


class TestStates:
    async def test_cx12_calls_before_the_start_and_after_the_end_are_refused_and_counted(self) -> None:
        sink = AsyncSink()
        logs = AsyncLoggingContainer(sinks=[sink])
        log = logs.logger("api")

        def calls() -> list[bool]:
            return [log.nowait.info("x"), log.nowait.error("x"), log.blocking.info("x"), log.blocking.critical("x")]

        assert calls() == [False] * 4
        assert not await log.info("x")
        assert logs.stats().rejected == {"not_started": 5}
        async with logs:
            assert await log.info("inside")
        assert calls() == [False] * 4
        assert not await log.error("x")
        assert logs.stats().rejected == {"not_started": 5, "closed": 5}
        assert logs.stats().balanced and logs.stats().submitted == 11
        assert sink.messages == ["inside"]

    async def test_cx12_it_is_entered_once(self) -> None:
        logs = AsyncLoggingContainer(sinks=[AsyncSink()])
        async with logs:
            with pytest.raises(ContainerStateError, match="was entered before"):
                await logs.__aenter__()
            assert await logs.logger().info("still open")
        with pytest.raises(ContainerStateError, match="was entered before"):
            await logs.__aenter__()

    async def test_cx12_aclose_ends_it_early_and_may_be_called_again(self) -> None:
        sink = AsyncSink()
        logs = AsyncLoggingContainer(sinks=[sink])
        with pytest.raises(ContainerStateError, match="was not entered"):
            await logs.aclose()
        async with logs:
            await logs.logger().info("a")
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(logs.aclose)
            assert sink.messages == ["a"] and sink.calls.count("aclose") == 1
            report = logs.report
            assert report is not None and report.complete
            assert not await logs.logger().info("too late")
            await logs.aclose()
        await logs.aclose()
        assert sink.calls.count("aclose") == 1
        assert account(logs).rejected == {"closed": 1}

    @pytest.mark.virtual_time
    async def test_cx12_aclose_has_a_deadline_of_its_own(self) -> None:
        async with container({"on_incomplete": "ignore"}, sinks=[AsyncSink(write=hang)]) as log:
            await log.info("a")
            began = anyio.current_time()
            await log.container.aclose(timeout=0.1)
            assert anyio.current_time() - began <= 0.1 + 1
        assert account(log.container).sinks["sink"].abandoned == {"deadline": 1}

    async def test_cx12_callers_that_wait_for_room_are_refused_when_it_closes(self) -> None:
        gate = anyio.Event()
        sink = AsyncSink(write=gate.wait)
        settings = {"queue_max_size": 1, "reserved_for_errors": 0, "block_timeout": 5, "batch_size": 1}
        config = {"sink": {"queue_batches": 1}}
        answers: list[bool] = []
        async with container({**settings, "plugin_config": config}, sinks=[sink]) as log:

            async def call() -> None:
                answers.append(await log.info("x"))

            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(call)
                for _ in range(20):
                    await anyio.lowlevel.checkpoint()
                group.start_soon(log.container.aclose)
                await until(lambda: len(answers) == 20)
                gate.set()
        report = account(log.container)
        assert answers.count(True) == len(sink.messages)
        assert report.rejected["closed"] == answers.count(False) > 0

    async def test_another_task_leaves_it(self) -> None:
        sink = AsyncSink()
        logs = AsyncLoggingContainer(sinks=[sink])
        await logs.__aenter__()
        await logs.logger().info("a")
        errors: list[BaseException] = []

        async def leave() -> None:
            try:
                await logs.__aexit__(None, None, None)
            except WrongTaskError as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(leave)
        assert len(errors) == 1
        assert "entered in one task and left in another" in str(errors[0])
        assert sink.messages == ["a"] and account(logs).complete
        await logs.__aexit__(None, None, None)

    async def test_another_task_leaves_it_with_an_exception(self) -> None:
        logs = AsyncLoggingContainer(sinks=[AsyncSink()])
        await logs.__aenter__()
        error = ValueError("x")
        caught: list[BaseException] = []

        async def leave() -> None:
            try:
                await logs.__aexit__(ValueError, error, None)
            except WrongTaskError as wrong:
                caught.append(wrong)

        async with anyio.create_task_group() as group:
            group.start_soon(leave)
        assert caught[0].__cause__ is error
        await logs.__aexit__(None, None, None)

    async def test_nothing_stays(self) -> None:
        before, threads = living(), own_threads()
        async with container(sinks=[AsyncSink("one"), SyncSink("two"), DirectSink("three")]) as log:
            assert own_threads() != threads
            await log.info("a")
        assert living() == before and own_threads() == threads


# -- whole programs

HOSTILE_PROGRAM = """
async def main():
    try:
        async with fapilog.container({{"shutdown_timeout": 0.2}}, sinks=[{sink}, good]) as log:
            await log.info("a")
            {body}
    finally:
        print(good.messages, flush=True)

good = AsyncSink("good")
run(main)
"""
SINKS = {
    "hangs": 'AsyncSink("bad", write=hang)',
    "shields itself": 'AsyncSink("bad", write=shield)',
    "swallows": 'AsyncSink("bad", write=swallow)',
    "shields in a task group": 'AsyncSink("bad", write=shield_in_a_task_group)',
    "shields beside a task": 'AsyncSink("bad", write=shield_beside_a_task)',
    "blocks its thread": 'SyncSink("bad", write=threading.Event().wait)',
    "blocks its thread in aclose": 'SyncSink("bad", aclose=threading.Event().wait)',
    "blocks its thread in flush": 'SyncSink("bad", flush=threading.Event().wait)',
}


@EVERY_LOOP
class TestPrograms:
    @pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS)
    def test_sk5_cx8_the_process_ends_with_its_own_code_and_without_noise(self, sink: str, loop: str) -> None:
        ended = run_program(HOSTILE_PROGRAM.format(sink=sink, body="raise SystemExit(3)"), loop)
        assert ended.returncode == 3
        assert ended.stdout == "['a']\n"
        assert noise(ended.stderr) == []

    @pytest.mark.parametrize(
        ("body", "code"), [("pass", 0), ("raise SystemExit(3)", 3), ("sys.exit('message')", 1), ("1 / 0", 1)]
    )
    def test_pr8_the_return_code_is_the_bodys_and_everything_is_delivered(
        self, body: str, code: int, loop: str
    ) -> None:
        ended = run_program(HOSTILE_PROGRAM.format(sink='SyncSink("other")', body=body), loop)
        assert ended.returncode == code
        assert ended.stdout == "['a']\n"
        assert noise(ended.stderr) == []
        assert ("ZeroDivisionError" in ended.stderr) == ("1 / 0" in body)
        assert "Group" not in ended.stderr

    @pytest.mark.parametrize(
        "sink", [SINKS["hangs"], SINKS["shields itself"], SINKS["swallows"], SINKS["blocks its thread"]]
    )
    def test_pr5_a_second_interrupt_ends_the_drain_at_once(self, sink: str, loop: str) -> None:
        """The drain would take a minute, so that a test which waited for it would fail."""
        body = f"""
        async def note():
            # From a thread and a little later: the drain then waits for the other sink and for nothing else.
            threading.Timer(0.3, print, ["draining"], {{"flush": True}}).start()
        async def main():
            try:
                async with fapilog.container({{"shutdown_timeout": 60}}, sinks=[{sink}, good]) as log:
                    await log.info("a")
                    print("running", flush=True)
                    await anyio.sleep_forever()
            finally:
                report = log.container.report
                print(good.messages, report.balanced, report.in_flight, report.complete, flush=True)
        good = AsyncSink("good", aclose=note)
        run(main)
        """
        code, out, error = interrupt_program(body, loop, interrupts=2)
        assert out.splitlines() == ["running", "draining", "['a'] True 0 False"], error
        assert code in (-2, 130, 1)
        assert "KeyboardInterrupt" in error
        assert noise(error) == []

    def test_pr5_interrupts_that_arrive_in_a_sinks_code(self, loop: str) -> None:
        body = """
        async def interrupted():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep_forever()
        async def main():
            try:
                async with fapilog.container({"shutdown_timeout": 60}, sinks=[bad]) as log:
                    await log.info("a")
            finally:
                print(log.container.report.balanced, log.container.report.in_flight, flush=True)
        bad = AsyncSink("bad", aclose=interrupted)
        run(main)
        """
        ended = run_program(body, loop)
        assert ended.stdout == "True 0\n"
        assert ended.returncode in (-2, 130, 1)
        assert noise(ended.stderr) == []

    def test_one_interrupt_lets_the_drain_finish(self, loop: str) -> None:
        body = """
        async def main():
            try:
                async with fapilog.container(sinks=[sink]) as log:
                    await log.info("a")
                    try:
                        print("running", flush=True)
                        await anyio.sleep_forever()
                    finally:
                        await log.info("b")
            finally:
                print(sink.messages, log.container.report.complete, flush=True)
        sink = SyncSink()
        run(main)
        """
        code, out, error = interrupt_program(body, loop, interrupts=1)
        assert out.splitlines() == ["running", "['a', 'b'] True"], error
        assert code in (-2, 130, 1)
        assert noise(error) == []

    def test_pr21_signal_handlers_and_finalizers_that_log(self, loop: str) -> None:
        body = """
        import gc

        class Logs:
            def __init__(self, log): self.log = log; self.cycle = self
            def __del__(self): self.log.nowait.info("finalizer")

        async def main():
            sink = DirectSink()
            handled = []
            def handle(number, frame):
                handled.append(log.nowait.info("signal"))
                log.nowait.error("signal error")
            async with fapilog.container({"queue_max_size": 200_000}, sinks=[sink]) as log:
                signal.signal(signal.SIGALRM, handle)
                signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
                gc.set_threshold(10)
                for number in range(20_000):
                    await log.info("call")
                    if number % 10 == 0:
                        Logs(log)
                while handled.count(True) < 20:
                    await anyio.lowlevel.checkpoint()
                signal.setitimer(signal.ITIMER_REAL, 0)
                gc.collect()
            report = log.container.report
            counts = {message: sink.messages.count(message) for message in set(sink.messages)}
            assert counts["call"] == 20_000, (counts, report)
            assert counts["signal"] == handled.count(True), (counts, report)
            # What interrupts the sink's own code is taken for a call of the sink's; it is counted.
            assert set(report.rejected) <= {"reentrant"} and not report.dropped, report
            assert report.submitted == 20_000 + 2 * len(handled) + 2_000, (counts, report)
            assert report.balanced and report.in_flight == 0, report
            print("ok")

        run(main)
        """
        ended = run_program(body, loop)
        assert ended.stdout == "ok\n", ended.stderr
        assert noise(ended.stderr) == []

    def test_cx6_an_interrupt_as_the_drain_begins_does_not_hang(self, loop: str) -> None:
        body = """
        async def main():
            async with fapilog.container(sinks=[AsyncSink()]) as log:
                await log.info("a")
                intake = type(log.container.async_pipeline.intake)
                close = intake.close
                def interrupted(*arguments):
                    intake.close = close
                    raise KeyboardInterrupt
                intake.close = interrupted

        run(main)
        """
        ended = run_program(body, loop)
        assert ended.returncode in (-2, 130, 1)
        assert ended.stderr.splitlines()[-1] == "KeyboardInterrupt"

    def test_an_idle_loop_is_woken_by_a_signal_handler_that_logs(self, loop: str) -> None:
        body = """
        async def main():
            sink = AsyncSink()
            done = anyio.Event()
            async def note(): done.set()
            sink.steps["write"] = note
            async with fapilog.container(sinks=[sink]) as log:
                signal.signal(signal.SIGALRM, lambda *_: log.nowait.info("signal"))
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                with anyio.fail_after(5):
                    await done.wait()
            print(sink.messages)

        run(main)
        """
        ended = run_program(body, loop)
        assert ended.stdout == "['signal']\n", ended.stderr

    def test_a_loop_that_is_stopped_from_inside_with_the_container_open(self, loop: str) -> None:
        """The container is never left: the process ends all the same."""
        body = """
        async def main():
            logs = fapilog.AsyncLoggingContainer(sinks=[SyncSink()])
            if sys.argv[1:] == []:
                os.environ["X"] = "1"
            await logs.__aenter__()
            await logs.logger().info("a")
            raise SystemExit(4)

        run(main)
        """
        if loop == "trio":
            pytest.skip("Trio itself refuses a task that ends inside a nursery")
        assert run_program(body, loop).returncode == 4


def test_nothing_of_a_test_stays_behind() -> None:
    assert own_threads() == []
