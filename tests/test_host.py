"""PluginHost and the trampolines: a plugin's coroutine runs as in a task of its own, and can be ended at any await."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from fapilog.pipeline.backend import Abandoned, Backend, current_backend, handling_cancellation, settle
from fapilog.pipeline.host import GRACE, PluginCrash, PluginHost, PluginTimeout, StillRunning
from fapilog.pipeline.trampoline import Drive
from support import (
    hang,
    living,
    run_program,
    shield,
    shield_beside_a_task,
    shield_in_a_task_group,
    swallow,
    until,
)

pytestmark = pytest.mark.anyio

NATIVE = pytest.mark.parametrize("anyio_backend", ["asyncio", "asyncio+uvloop"], indirect=True)
Method = Callable[[], Awaitable[object]]
mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="outside")


async def swallow_shielded() -> None:
    with anyio.CancelScope(shield=True):
        await swallow()


async def busy() -> None:
    """Be always ready to run, shielded."""
    with anyio.CancelScope(shield=True):
        while True:
            await anyio.lowlevel.checkpoint()


async def ping_pong() -> None:
    """Be waiting or ready to run by turns, with a task group of its own each time, shielded."""
    with anyio.CancelScope(shield=True):
        while True:
            event = anyio.Event()
            async with anyio.create_task_group() as group:
                group.start_soon(_set, event)
                await event.wait()


async def _set(event: anyio.Event) -> None:
    event.set()


@pytest.fixture
async def host() -> AsyncIterator[PluginHost]:
    """Return a host that is stopped after the test."""
    context = contextvars.copy_context()
    context.run(mark.set, "in the plugin")
    made = PluginHost("plugin", current_backend(), context)
    made.start()
    yield made
    made.cancel()
    made.abandon()
    with anyio.fail_after(5):
        await made.exited.wait()


class TestCalls:
    async def test_it_returns_what_the_coroutine_returns(self, host: PluginHost) -> None:
        async def seven() -> int:
            await anyio.lowlevel.checkpoint()
            return 7

        assert [await host.call(seven, 1) for _ in range(3)] == [7, 7, 7]

    async def test_it_raises_what_the_coroutine_raises(self, host: PluginHost) -> None:
        error = ValueError("x")

        async def failing() -> None:
            raise error

        with pytest.raises(ValueError) as caught:
            await host.call(failing, 1)
        assert caught.value is error

    @pytest.mark.parametrize("error", [SystemExit(3), BaseExceptionGroup("g", [SystemExit(3)])], ids=repr)
    async def test_a_base_exception_becomes_a_crash_with_it_as_the_cause(
        self, host: PluginHost, error: BaseException
    ) -> None:
        async def failing() -> None:
            raise error

        with pytest.raises(PluginCrash, match=f"{type(error).__name__} raised by the plugin") as caught:
            await host.call(failing, 1)
        assert caught.value.__cause__ is error

    @pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
    async def test_an_interrupt_of_its_own_does_not_end_trio(self, host: PluginHost) -> None:
        async def failing() -> None:
            raise KeyboardInterrupt

        with pytest.raises(RuntimeError, match="the plugin raised KeyboardInterrupt"):
            await host.call(failing, 1)
        await host.call(anyio.lowlevel.checkpoint, 1)

    async def test_all_calls_run_in_one_task_and_in_the_plugins_context(self, host: PluginHost) -> None:
        seen = set()

        async def look() -> None:
            seen.add((current_backend().task_identity(), mark.get()))

        for _ in range(3):
            await host.call(look, 1)
        [(task, marked)] = seen
        assert task is not current_backend().task_identity() and marked == "in the plugin"

    async def test_a_task_group_may_be_entered_in_one_call_and_left_in_another(self, host: PluginHost) -> None:
        group = anyio.create_task_group()
        ran = []

        async def child() -> None:
            ran.append(1)

        async def start() -> None:
            await group.__aenter__()

        async def aclose() -> None:
            group.start_soon(child)
            await group.__aexit__(None, None, None)

        await host.call(start, 1, scoped=False)
        await host.call(aclose, 1, scoped=False)
        assert ran == [1]

    async def test_everything_a_task_can_await_works_in_it(self, host: PluginHost) -> None:
        async def work() -> list[object]:
            found: list[object] = []
            async with anyio.create_task_group() as group:
                event = anyio.Event()
                group.start_soon(_set, event)
                await event.wait()
            with anyio.move_on_after(0.001) as scope:
                await anyio.sleep_forever()
            found.append(scope.cancelled_caught)
            try:
                with anyio.fail_after(0):
                    await anyio.sleep_forever()
            except TimeoutError:
                found.append("timeout")
            found.append(await anyio.to_thread.run_sync(threading.get_ident) != threading.get_ident())
            send, receive = anyio.create_memory_object_stream[int](1)
            async with send, receive:
                await send.send(1)
                found.append(await receive.receive())
            await anyio.lowlevel.checkpoint()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.001)
            async with anyio.Lock():
                await anyio.lowlevel.checkpoint()
            return found

        assert await host.call(work, 5) == [True, "timeout", True, 1]

    @NATIVE
    async def test_everything_an_asyncio_task_can_await_works_in_it(self, host: PluginHost) -> None:
        async def work() -> list[object]:
            found: list[object] = []
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(60)
            except TimeoutError:
                found.append("timeout")
            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0, "task"))
            found.append(task.result())
            found += await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2))
            try:
                await asyncio.wait_for(asyncio.sleep(60), 0.001)
            except TimeoutError:
                found.append("timeout")
            cancelled = asyncio.ensure_future(asyncio.sleep(60))
            cancelled.cancel()
            try:
                await cancelled
            except asyncio.CancelledError:
                found.append("cancelled")
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(ValueError("x"))
            try:
                await failed
            except ValueError:
                found.append("failed")
            current = asyncio.current_task()
            assert current is not None and current.cancelling() == 0
            return found

        assert await host.call(work, 5) == ["timeout", "task", 1, 2, "timeout", "cancelled", "failed"]


class TestDeadlines:
    @pytest.mark.virtual_time
    async def test_waits_that_end_by_timeouts_of_its_own_are_no_cancellations(self, host: PluginHost) -> None:
        """Trio sleeps by cancelling a scope: a sink that sleeps often is not one that swallows its cancellation."""

        async def patient() -> str:
            for _ in range(300):
                await anyio.sleep(0.5)
                with anyio.move_on_after(0.5):
                    await anyio.sleep_forever()
            return "done"

        assert await host.call(patient, 3600) == "done"
        assert anyio.current_time() == 300

    @pytest.mark.virtual_time
    async def test_a_slow_call_is_cancelled_at_its_deadline(self, host: PluginHost) -> None:
        ended = []

        async def slow() -> None:
            try:
                await anyio.sleep(60)
            finally:
                ended.append(anyio.current_time())

        began = anyio.current_time()
        with pytest.raises(PluginTimeout) as caught:
            await host.call(slow, 2)
        assert not caught.value.still_running
        assert ended == [began + 2] and anyio.current_time() == began + 2
        await host.call(anyio.lowlevel.checkpoint, 1)

    @pytest.mark.virtual_time
    async def test_the_deadline_begins_anew_while_it_gets_on(self, host: PluginHost) -> None:
        done = 0

        async def slow() -> str:
            nonlocal done
            for _ in range(5):
                await anyio.sleep(1.5)
                done += 1
            return "done"

        assert await host.call(slow, 2, progress=lambda: done) == "done"
        with pytest.raises(PluginTimeout):
            await host.call(slow, 1, progress=lambda: done)

    @pytest.mark.virtual_time
    @pytest.mark.parametrize(
        "method", [shield, swallow, swallow_shielded, shield_in_a_task_group, shield_beside_a_task]
    )
    async def test_one_that_does_not_end_is_closed_soon_after(self, host: PluginHost, method: Method) -> None:
        began = anyio.current_time()
        with pytest.raises(PluginTimeout) as caught:
            await host.call(method, 1)
        assert not caught.value.still_running
        assert anyio.current_time() <= began + 1 + 2 * GRACE
        await host.call(anyio.lowlevel.checkpoint, 1)
        assert handling_cancellation(current_backend().cancelled_class) is False

    @pytest.mark.parametrize("method", [busy, ping_pong])
    async def test_one_that_is_always_ready_to_run_is_closed_as_well(self, host: PluginHost, method: Method) -> None:
        """Closing must not disturb a task that is to run already: Trio takes that for an internal error."""
        with pytest.raises(PluginTimeout) as caught:
            await host.call(method, 0.01)
        assert not caught.value.still_running
        await host.call(anyio.lowlevel.checkpoint, 1)

    async def test_a_wait_for_a_thread_is_still_running_on_trio(
        self, host: PluginHost, anyio_backend_name: str
    ) -> None:
        release = threading.Event()
        went_on = []

        async def wait() -> None:
            await anyio.to_thread.run_sync(release.wait)
            went_on.append(1)

        try:
            with pytest.raises(PluginTimeout) as caught:
                await host.call(wait, 0.01)
            assert caught.value.still_running == (anyio_backend_name == "trio")
            if caught.value.still_running:
                with pytest.raises(StillRunning):
                    await host.call(anyio.lowlevel.checkpoint, 0.01)
        finally:
            release.set()
        await host.call(anyio.lowlevel.checkpoint, 5)
        assert went_on == []

    @pytest.mark.virtual_time
    async def test_cancelling_the_call_cancels_the_coroutine_which_unwinds_in_its_own_task(
        self, host: PluginHost
    ) -> None:
        ended = anyio.Event()

        async def slow() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(1)
                ended.set()

        with anyio.move_on_after(1):
            await host.call(slow, 60)
        assert anyio.current_time() == 1 and not ended.is_set()
        assert await settle(ended, 60)
        assert anyio.current_time() == 2

    @pytest.mark.virtual_time
    async def test_the_next_call_waits_for_one_that_unwinds_and_then_gives_up(self, host: PluginHost) -> None:
        async def slow() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(10)

        with anyio.move_on_after(1):
            await host.call(slow, 60)
        with pytest.raises(StillRunning):
            await host.call(anyio.lowlevel.checkpoint, 1)
        await host.call(anyio.lowlevel.checkpoint, 20)
        assert anyio.current_time() == 11


class TestStopping:
    async def test_stop_lets_the_call_finish(self) -> None:
        before = living()
        host = PluginHost("plugin", current_backend(), contextvars.copy_context())
        host.start()
        gate = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(host.call, gate.wait, 5)
            await until(lambda: gate.statistics().tasks_waiting)
            host.stop()
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            assert not host.exited.is_set()
            gate.set()
        with anyio.fail_after(5):
            await host.exited.wait()
            await until(lambda: living() == before)

    async def test_one_that_was_never_started_has_ended_when_it_is_stopped(self) -> None:
        host = PluginHost("plugin", current_backend(), contextvars.copy_context())
        host.stop()
        assert host.exited.is_set()

    @pytest.mark.parametrize("method", [hang, shield, swallow, swallow_shielded, shield_beside_a_task, busy, ping_pong])
    @pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5])
    async def test_abandoning_ends_the_task_whenever_it_comes(self, method: Method, turns: int) -> None:
        before = living()
        host = PluginHost("plugin", current_backend(), contextvars.copy_context())
        host.start()
        async with anyio.create_task_group() as group:

            async def call() -> None:
                with pytest.raises(PluginTimeout):
                    await host.call(method, 60)

            group.start_soon(call)
            await until(lambda: host._job is not None)
            # A child of the plugin's has to be in its shield to be got out of it.
            for _ in range(turns + 3 * (method is shield_beside_a_task)):
                await anyio.lowlevel.checkpoint()
            host.cancel()
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            host.abandon()
            host.abandon()
            with anyio.fail_after(5):
                await host.exited.wait()
        gc.collect(1)  # what was left behind, so that a warning about it comes here
        if "task" not in method.__name__ or "trio" in type(current_backend()).__name__.lower():
            await until(lambda: living() == before)

    @NATIVE
    async def test_a_task_that_was_cancelled_natively_is_started_again(self, host: PluginHost) -> None:
        await host.call(anyio.lowlevel.checkpoint, 1)
        for task in asyncio.all_tasks():
            if task.get_name() == "fapilog plugin":
                task.cancel()
        await until(lambda: not any(task.get_name() == "fapilog plugin" for task in asyncio.all_tasks()))
        await host.call(anyio.lowlevel.checkpoint, 1)

    @NATIVE
    async def test_a_native_cancellation_in_a_call_ends_the_call(self, host: PluginHost) -> None:
        async def cancel() -> None:
            await anyio.lowlevel.checkpoint()
            for task in asyncio.all_tasks():
                if task.get_name() == "fapilog plugin":
                    task.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(cancel)
            with pytest.raises(PluginTimeout):
                await host.call(hang, 60)
        await host.call(anyio.lowlevel.checkpoint, 1)


async def drive(backend: Backend, coroutine: Any, control: Drive) -> Any:
    return await backend.drive(coroutine, control)


class TestDriving:
    """The trampolines alone, in the test's own task."""

    async def test_the_result_and_the_error_pass(self) -> None:
        async def one() -> int:
            await anyio.lowlevel.checkpoint()
            return 1

        async def failing() -> int:
            await anyio.lowlevel.checkpoint()
            raise LookupError("x")

        backend = current_backend()
        assert await drive(backend, one(), Drive()) == 1
        with pytest.raises(LookupError, match="x"):
            await drive(backend, failing(), Drive())

    async def test_a_cancellation_reaches_the_coroutine_and_comes_out(self) -> None:
        seen = []

        async def wait() -> None:
            try:
                await anyio.sleep_forever()
            except BaseException as error:
                seen.append(type(error))
                raise

        backend = current_backend()
        with anyio.move_on_after(0.01) as scope:
            await drive(backend, wait(), Drive())
        assert scope.cancelled_caught and seen == [backend.cancelled_class]

    async def test_abandoned_before_it_runs_it_ends_at_its_first_await(self) -> None:
        steps = []

        async def work() -> None:
            try:
                steps.append("first")
                await anyio.lowlevel.checkpoint()
                steps.append("second")
            finally:
                steps.append("closed")

        control = Drive()
        assert control.abandon()
        with pytest.raises(Abandoned):
            await drive(current_backend(), work(), control)
        assert steps == ["first", "closed"]

    async def test_abandoned_while_it_waits_it_is_closed_there(self) -> None:
        steps = []

        async def work() -> None:
            try:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep_forever()
            except GeneratorExit:
                steps.append("closed")
                raise

        control = Drive()
        backend = current_backend()

        async def abandon() -> None:
            await until(lambda: control.wake)
            control.abandon()

        async with anyio.create_task_group() as group:
            group.start_soon(abandon)
            with pytest.raises(Abandoned):
                await drive(backend, work(), control)
        assert steps == ["closed"]
        await anyio.lowlevel.checkpoint()

    @pytest.mark.virtual_time
    async def test_clean_up_that_fails_or_waits_when_it_is_closed_is_ended(self) -> None:
        async def failing() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                raise LookupError("x")

        async def waiting() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                await anyio.sleep_forever()

        for method in (failing, waiting):
            control = Drive()

            async def abandon(control: Drive = control) -> None:
                await until(lambda: control.wake)
                control.abandon()

            async with anyio.create_task_group() as group:
                group.start_soon(abandon)
                with pytest.raises(Abandoned):
                    await drive(current_backend(), method(), control)

    async def test_one_that_swallows_cancellations_for_ever_is_ended_without_a_deadline(self) -> None:
        with anyio.move_on_after(0):
            with pytest.raises(Abandoned):
                await drive(current_backend(), swallow(), Drive())

    async def test_a_coroutine_deep_in_others_that_cannot_be_closed_says_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        noise: list[object] = []
        monkeypatch.setattr(sys, "unraisablehook", noise.append)

        async def outer() -> None:
            await middle()

        async def middle() -> None:
            await swallow()

        control = Drive()
        control.abandon()
        with pytest.raises(Abandoned):
            await drive(current_backend(), outer(), control)
        gc.collect()
        assert noise == []


@pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])
def test_an_idle_host_does_not_keep_the_loop_from_ending(loop: str) -> None:
    body = """
    import contextvars
    from fapilog.pipeline.backend import current_backend
    from fapilog.pipeline.host import PluginHost

    async def main():
        host = PluginHost("plugin", current_backend(), contextvars.copy_context())
        host.start()
        await host.call(anyio.lowlevel.checkpoint, 1)
        print("end", flush=True)

    import anyio.lowlevel
    run(main)
    """
    ended = run_program(body, loop)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "end\n", "")
