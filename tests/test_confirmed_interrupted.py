"""Confirmed calls and what comes from outside meanwhile: cancellations, interrupts, threads, forks, a full stack."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

import fapilog
from confirming import make, nothing_left, pending, refused, told
from fapilog import NotConfirmed
from fapilog.testing import RecordingSink
from sinks import HELD, HeldSink, account, hold, in_thread, turns
from support import LOOPS, interrupt_program, noise, run_program

ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio-virtual"], indirect=True, scope="function")
VIRTUAL = pytest.mark.virtual_time
pytestmark = pytest.mark.anyio


async def release(sink: HeldSink, after: float) -> None:
    await anyio.sleep(after)
    sink.gate.set()


# -- cancelled scopes


@VIRTUAL
async def test_a_cancelled_scope_does_not_cut_the_wait_short_and_is_heeded_after_it() -> None:
    sink = HeldSink("sink")
    container = make(sink)
    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            tasks.start_soon(release, sink, 3)
            went_on = False
            began = anyio.current_time()
            with anyio.move_on_after(1) as scope:
                await container.logger().confirmed.info("a")
                went_on = True
            assert anyio.current_time() - began == pytest.approx(3)
            assert scope.cancelled_caught
            assert not went_on
            assert sink.messages == ["a"]


@VIRTUAL
async def test_in_a_scope_that_is_cancelled_already_it_waits_as_well() -> None:
    sink = HeldSink("sink")
    container = make(sink)
    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            tasks.start_soon(release, sink, 3)
            began = anyio.current_time()
            with anyio.CancelScope() as scope:
                scope.cancel()
                await container.logger().confirmed.info("a")
                pytest.fail("the cancellation was not heeded")
            assert anyio.current_time() - began == pytest.approx(3)


@VIRTUAL
async def test_a_cancelled_scope_lets_the_error_out() -> None:
    container = make(HeldSink("sink"), shutdown_timeout=0)
    with nothing_left(container):
        async with container:
            began = anyio.current_time()
            with pytest.raises(NotConfirmed), anyio.move_on_after(1):
                await container.logger().confirmed.info("a")
            assert anyio.current_time() - began == pytest.approx(5), "not longer than to its own deadline"


@VIRTUAL
async def test_while_a_cancellation_is_handled_nothing_is_raised_again() -> None:
    sink = HeldSink("sink")
    container = make(sink)
    steps: list[Any] = []
    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            tasks.start_soon(release, sink, 3)
            with anyio.move_on_after(1):
                try:
                    await anyio.sleep_forever()
                finally:
                    steps.append(await container.logger().confirmed.info("a"))
                    steps.append("cleaned up")
    assert steps == [True, "cleaned up"]


@VIRTUAL
async def test_waiting_for_room_is_not_cut_short_either() -> None:
    sink = HeldSink("sink")
    container = make(sink, policies={"sink": HELD}, queue_max_size=2, reserved_for_errors=0, batch_size=1)
    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            await hold(container)
            for _ in range(2):
                container.logger().nowait.info("fills")
            tasks.start_soon(release, sink, 3)
            with anyio.move_on_after(1) as scope:
                await container.logger().confirmed.info("a")
            assert scope.cancelled_caught
    assert sink.messages[-1] == "a"
    assert account(container).dropped == {}


@VIRTUAL
async def test_a_task_whose_group_is_cancelled_has_its_event_confirmed_first() -> None:
    sink = HeldSink("sink")
    container = make(sink)
    confirmed: list[bool] = []

    async def confirm() -> None:
        call = container.logger().confirmed.info("a")
        try:
            await call
        finally:
            confirmed.append(await call)

    with nothing_left(container):
        async with container, anyio.create_task_group() as releasing:
            releasing.start_soon(release, sink, 3)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(confirm)
                await turns()
                tasks.cancel_scope.cancel()
            assert confirmed == [True]


# -- native cancellations of asyncio's


@ON_ASYNCIO
async def test_a_native_cancellation_is_raised_after_the_wait() -> None:
    sink = HeldSink("sink")
    container = make(sink)
    seen: list[Any] = []

    async def confirm() -> None:
        try:
            await container.logger().confirmed.info("a")
        except asyncio.CancelledError as cancellation:
            seen.append((cancellation.args, cancellation.__cause__, list(sink.messages)))
            raise

    with nothing_left(container):
        async with container:
            task = asyncio.create_task(confirm())
            await turns()
            for reason in ("first", "second", "third"):
                task.cancel(reason)
                await turns()
            assert not task.done()
            sink.gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()
            assert task.cancelling() == 3, "who asked finds each of them"
    assert seen == [(("first",), None, ["a"])]


@ON_ASYNCIO
async def test_a_native_cancellation_is_raised_at_the_deadline_with_the_error_as_its_cause() -> None:
    container = make(HeldSink("sink"), shutdown_timeout=0)
    causes: list[BaseException | None] = []

    async def confirm() -> None:
        try:
            await container.logger().confirmed.info("a")
        except asyncio.CancelledError as cancellation:
            causes.append(cancellation.__cause__)
            raise

    with nothing_left(container):
        async with container:
            task = asyncio.create_task(confirm())
            await turns()
            began = anyio.current_time()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert anyio.current_time() - began == pytest.approx(5)
    assert isinstance(causes[0], NotConfirmed)


@ON_ASYNCIO
async def test_asyncios_timeout_is_late_and_works() -> None:
    sink = HeldSink("sink")
    container = make(sink)
    with nothing_left(container):
        async with container:
            began = anyio.current_time()
            releasing = asyncio.create_task(release(sink, 3))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await container.logger().confirmed.info("a")
            assert anyio.current_time() - began == pytest.approx(3)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            await releasing
            # One inside the other, and both their own deadline and the call's at the same moment.
            sink.gate = anyio.Event()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await container.logger().confirmed.info("b")
            assert task.cancelling() == 0
            sink.gate.set()


@ON_ASYNCIO
async def test_a_task_group_of_asyncios_ends_as_ever_when_a_sibling_fails() -> None:
    sink = HeldSink("sink")
    container = make(sink)
    results: list[bool] = []

    async def confirm() -> None:
        call = container.logger().confirmed.info("a")
        try:
            await call
        finally:
            results.append(await call)

    async def fails() -> None:
        await turns()
        raise ValueError("sibling")

    with nothing_left(container):
        async with container:
            releasing = asyncio.create_task(release(sink, 3))
            with pytest.raises(ExceptionGroup) as caught:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(confirm())
                    tasks.create_task(fails())
            assert [type(error) for error in caught.value.exceptions] == [ValueError]
            assert results == [True]
            await releasing


@ON_ASYNCIO
@pytest.mark.parametrize("native_after", [0.5, 1.5])
async def test_a_native_cancellation_beside_a_cancelled_scope_is_not_lost(native_after: float) -> None:
    sink = HeldSink("sink")
    container = make(sink)

    async def confirm() -> None:
        with anyio.move_on_after(1):
            await container.logger().confirmed.info("a")

    with nothing_left(container):
        async with container:
            releasing = asyncio.create_task(release(sink, 3))
            task = asyncio.create_task(confirm())
            await anyio.sleep(native_after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await releasing


@ON_ASYNCIO
async def test_a_cancellation_while_it_waits_for_room_keeps_its_place() -> None:
    sink = HeldSink("sink")
    container = make(sink, policies={"sink": HELD}, queue_max_size=2, reserved_for_errors=0, batch_size=1)

    async def confirm(message: str) -> None:
        await container.logger().confirmed.info(message)

    with nothing_left(container):
        async with container:
            await hold(container)
            for _ in range(2):
                container.logger().nowait.info("fills")
            tasks: list[asyncio.Task[None]] = []
            for message in "abc":
                tasks.append(asyncio.create_task(confirm(message)))
                await turns()
            tasks[1].cancel()
            await turns()
            sink.gate.set()
            assert [type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)] == [
                type(None),
                asyncio.CancelledError,
                type(None),
            ]
    assert sink.messages[-3:] == ["a", "b", "c"]
    assert account(container).dropped == {}


@VIRTUAL
async def test_a_wait_that_is_closed_leaves_nothing_behind() -> None:
    """As when a generator or a coroutine with a call in it is collected, or an interrupt strikes in the wait."""
    for full in (False, True):
        sink = HeldSink("sink")
        container = make(sink, policies={"sink": HELD}, queue_max_size=2, reserved_for_errors=0, batch_size=1)
        async with container:
            if full:
                await hold(container)
                for _ in range(2):
                    container.logger().nowait.info("fills")
            wait = container.logger().confirmed.info("a").__await__()
            wait.send(None)
            assert pending(container) == (0 if full else 1)
            with pytest.raises(KeyboardInterrupt):
                wait.throw(KeyboardInterrupt)
            assert pending(container) == 0
            sink.gate.set()
        assert account(container).dropped == ({"cancelled": 1} if full else {})
        assert container.metrics_collector.snapshot().not_confirmed == {"dropped" if full else "given_up": 1}


# -- threads


@pytest.mark.parametrize("outcome", ["confirmed", "fails", "off"])
async def test_a_thread_waits_for_the_delivery(outcome: str) -> None:
    async def sink(batch: Any) -> None:
        if outcome == "fails":
            raise fapilog.PermanentSinkError("no")
        messages.extend(event.message for event in batch)

    messages: list[str] = []
    container = make(sink)
    with nothing_left(container):
        async with container:
            log = container.logger("worker").blocking.bind(job=1)

            def work() -> bool:
                log.info("before")
                return log.confirmed.debug("a") if outcome == "off" else log.confirming(60).warning("a")

            if outcome == "fails":
                with pytest.raises(NotConfirmed) as caught:
                    await anyio.to_thread.run_sync(work)
                assert told(caught.value) == {"sink": "failed (permanent)"}
                assert caught.value.logger == "worker"
            else:
                assert await in_thread(work) is (outcome == "confirmed")
                assert messages == (["before", "a"] if outcome == "confirmed" else messages)


async def test_a_blocking_call_on_the_loops_own_thread_is_refused_at_once() -> None:
    container = make(RecordingSink("sink"))
    with nothing_left(container):
        async with container:
            with pytest.raises(NotConfirmed, match="this is the event loop's own thread") as caught:
                container.logger().blocking.confirmed.info("a")
            assert (caught.value.state, caught.value.reason) == ("dropped", "would_deadlock")
    assert account(container).dropped == {"would_deadlock": 1}


async def test_a_blocking_call_inside_a_plugin_is_refused_at_once() -> None:
    errors: list[NotConfirmed] = []

    def confirms(batch: Any) -> None:
        with pytest.raises(NotConfirmed) as caught:
            container.logger().blocking.confirmed.info("inner")
        errors.append(caught.value)

    container = make(confirms)
    with nothing_left(container):
        async with container:
            assert await container.logger().confirmed.info("outer")
    assert errors[0].reason == "reentrant"


async def test_a_thread_that_outlives_the_block_is_refused() -> None:
    container = make(RecordingSink("sink"))
    log = container.logger().blocking.confirmed
    with pytest.raises(NotConfirmed) as caught:
        await in_thread(partial(log.info, "a"))
    assert caught.value.reason == "not_started"
    async with container:
        pass
    with pytest.raises(NotConfirmed) as caught:
        await in_thread(partial(log.info, "a"))
    assert (caught.value.state, caught.value.reason) == ("rejected", "closed")
    assert container.stats().rejected == {"not_started": 1, "closed": 1}


async def test_a_thread_that_asks_the_loop_waits_there() -> None:
    sink = RecordingSink("sink")
    container = make(sink)
    with nothing_left(container):
        async with container:
            log = container.logger()

            async def confirm() -> bool:
                return await log.confirmed.info("a")

            assert await anyio.to_thread.run_sync(anyio.from_thread.run, confirm)
    assert sink.messages == ["a"]


async def test_a_call_in_a_thread_that_nobody_can_wait_for_is_logged_and_says_so() -> None:
    sink = RecordingSink("sink")
    container = make(sink)
    with nothing_left(container):
        async with container:
            calls: list[Awaitable[bool]] = []
            await in_thread(lambda: calls.append(container.logger().confirmed.info("a")))
            error = await refused(calls[0])
            assert (error.state, error.reason, told(error)) == ("unknown", "foreign_thread", {"sink": "pending"})
            assert "use log.blocking.confirmed" in str(error)
    assert sink.messages == ["a"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_synchronous_program_confirms(backend: str) -> None:
    messages: list[str] = []

    def sink(batch: Any) -> None:
        messages.extend(event.message for event in batch)

    with fapilog.blocking_container(sinks=[sink], backend=backend) as log:
        assert log.confirmed.info("a") is True
        assert messages == ["a"]
    with pytest.raises(NotConfirmed, match="closed"):
        log.confirmed.info("b")


async def test_many_threads_and_tasks_confirm_at_once() -> None:
    sink = RecordingSink("sink")
    container = make(sink)
    with nothing_left(container):
        async with container, anyio.create_task_group() as tasks:
            log = container.logger()

            async def confirm(number: int) -> None:
                assert await log.confirmed.info(f"task {number}")

            def confirm_in_thread(number: int) -> None:
                assert log.blocking.confirmed.info(f"thread {number}")

            for number in range(20):
                tasks.start_soon(confirm, number)
                tasks.start_soon(anyio.to_thread.run_sync, confirm_in_thread, number)
    assert len(sink.messages) == 40


# -- a full stack


@pytest.mark.parametrize("face", ["awaited", "blocking"])
async def test_near_the_recursion_limit_it_never_says_that_nothing_was_to_be_confirmed(face: str) -> None:
    sink = RecordingSink("sink")
    container = make(sink)
    outcomes: list[Any] = []
    with nothing_left(container):
        async with container:
            log = container.logger()
            awaited, blocking = log.confirmed, log.blocking.confirmed

            def descend(depth: int, call: Callable[[], Any]) -> Any:
                return call() if not depth else descend(depth - 1, call)

            def attempt(depth: int) -> Any:
                try:
                    return descend(depth, lambda: (awaited if face == "awaited" else blocking).info("a", number=depth))
                except RecursionError:
                    return RecursionError
                except NotConfirmed as error:
                    return error

            # From where there is room to where there is none for the call itself.
            limit = sys.getrecursionlimit()
            for depth in range(limit - 150, limit - 20):
                outcomes.append(attempt(depth))
                if face == "awaited" and outcomes[-1] is not RecursionError:
                    try:
                        outcomes[-1] = await outcomes[-1]
                    except NotConfirmed as error:
                        outcomes[-1] = error
    assert False not in outcomes
    confirmed = sum(outcome is True for outcome in outcomes)
    assert confirmed <= len(sink.messages)
    report = account(container)
    assert report.complete
    if face == "awaited":
        assert confirmed, "there was room at first"
        assert report.dropped.get("recursion"), "and none in the end"
        assert report.submitted == sum(outcome is not RecursionError for outcome in outcomes)


@pytest.mark.parametrize("method", ["info", "error"])
async def test_a_call_without_a_frame_left_to_wake_the_workers_does_not_keep_them_asleep(method: str) -> None:
    sink = RecordingSink("sink")
    container = make(sink, batch_linger=0)
    async with container:
        log = container.logger().nowait

        def descend(depth: int) -> None:
            if depth:
                descend(depth - 1)
            else:
                getattr(log, method)("a")

        limit = sys.getrecursionlimit()
        for depth in range(limit - 150, limit - 20):
            with suppress(RecursionError):
                descend(depth)
            await turns(3)
        log.info("wakes them")
        assert (await container.flush(5)).complete
        assert "wakes them" in sink.messages
    assert account(container).complete


# -- interrupts and forks, in programs of their own


WAITS = """
    import sys

    async def main():
        async def hangs(batch):
            await anyio.sleep_forever()

        policy = {"hangs": {"write_timeout": 60}}
        settings = {"shutdown_timeout": 0.1, "on_incomplete": "ignore", "plugin_config": policy}
        async with fapilog.container(settings, sinks=[hangs]) as log:
            waiting = log.container.async_pipeline.intake.confirmations
            task = asyncio.current_task() if BACKEND == "asyncio" else None
            main_thread, frames = threading.get_ident(), sys._current_frames

            def tell():
                while not waiting:
                    time.sleep(0.01)
                print("waits", flush=True)
                if task is not None:
                    # Elsewhere an interrupt may cost a task its wake-up, and asyncio waits for it without an end.
                    while not (task.cancelling() and frames()[main_thread].f_code.co_name in ("select", "run")):
                        time.sleep(0.01)
                    print("cancelled", flush=True)

            threading.Thread(target=tell, daemon=True).start()
            await log.info("before")
            await anyio.sleep(0.05)  # so that it is written, and what is waited for is behind it
            try:
                await log.confirming(60).info("a")
            finally:
                print(len(waiting), "left", flush=True)

    try:
        run(main)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_an_interrupt_ends_the_wait(loop: str) -> None:
    """On asyncio it is the second, for asyncio makes a cancellation of the first."""
    backend = loop.partition("+")[0]
    interrupts = 1 if backend == "trio" else 2
    program = textwrap.dedent(WAITS).replace("BACKEND", repr(backend))
    code, out, error = interrupt_program(program, loop, interrupts=interrupts)
    assert (code, noise(error)) == (0, [])
    assert out.splitlines()[interrupts:] == ["0 left", "interrupted"]


def test_a_child_after_a_fork_confirms_nothing() -> None:
    done = run_program(
        """
        import warnings
        warnings.simplefilter("ignore")

        async def main():
            messages = []
            async with fapilog.container(sinks=[lambda batch: messages.extend(e.message for e in batch)]) as log:
                call = log.confirmed.info("parent")
                pid = os.fork()
                if not pid:
                    left = len(log.container.async_pipeline.intake.confirmations)
                    try:
                        log.blocking.confirmed.info("child")
                    except fapilog.NotConfirmed as error:
                        print(left, error.state, error.reason, flush=True)
                    os._exit(0)
                os.waitpid(pid, 0)
                print(await call, messages)

        run(main)
        """
    )
    assert done.stdout.split("\n")[:2] == ["0 rejected dead", "True ['parent']"], done.stderr
