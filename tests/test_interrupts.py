"""An interrupt that strikes where it hurts: in a stage's own code, or in what ends the container."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import pytest

from fapilog import AsyncLoggingContainer, LogEvent
from fapilog._interrupts import interrupt_in, raise_interrupt
from fapilog.ending import Ending
from fapilog.errors import ContainerStateError, NotConfirmed, PluginError
from fapilog.pipeline.backend import current_backend
from fapilog.pipeline.confirmations import Confirmations
from fapilog.pipeline.door import Door
from fapilog.pipeline.intake import Intake
from fapilog.pipeline.waiting import Waiting
from sinks import RecordingSink, turns, until
from support import LOOPS, AsyncSink, account, fail, hang, noise, run_program

pytestmark = pytest.mark.anyio

NATIVE = pytest.mark.parametrize("anyio_backend", ["asyncio", "asyncio+uvloop"], indirect=True)


@pytest.mark.parametrize("calls", [1, 300])
def test_pr5_two_interrupts_that_strike_a_workers_code_end_the_drain_at_once(calls: int) -> None:
    """On asyncio, where the second is raised at once and in whatever runs; the others take two at a time for one."""
    body = f"""
    def interrupt(event):
        if event.fields["n"] == {calls - 1}:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return True
    async def main():
        container = fapilog.AsyncLoggingContainer(
            {{"shutdown_timeout": 60}}, sinks=[AsyncSink("bad", aclose=hang)], filters=[interrupt]
        )
        try:
            async with container:
                for n in range({calls}):
                    await container.logger().info("a", n=n)
                await anyio.sleep_forever()
        finally:
            print(container.report.balanced, container.report.in_flight, container.report.complete, flush=True)
    run(main)
    """
    ended = run_program(body)
    assert ended.stdout == "True 0 False\n", ended.stderr
    assert "KeyboardInterrupt" in ended.stderr
    assert ended.returncode in (-2, 130, 1)
    assert noise(ended.stderr) == []


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_pr5_trio_raises_an_interrupt_nowhere_in_the_tasks_of_a_container() -> None:
    """It would end the task alone, and be raised only when all have ended: at the drain's deadline."""
    import trio

    async def ask(event: LogEvent) -> bool:
        await anyio.lowlevel.checkpoint()
        return True

    tasks: set[str] = set()
    places: set[str] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        try:
            name = trio.lowlevel.current_task().name
        except RuntimeError:
            return  # between two tasks
        if name.startswith("fapilog "):
            tasks.add(name)
            if event in ("call", "return") and not trio.lowlevel.currently_ki_protected():
                places.add(f"{event} of {frame.f_code.co_qualname} in {name}")

    sys.setprofile(look)
    try:
        async with AsyncLoggingContainer({}, sinks=[AsyncSink("old")], filters=[ask]) as container:
            await container.logger().info("a")
            await container.reload({}, sinks=[AsyncSink("new")], filters=[ask])
            await container.logger().info("b")
    finally:
        sys.setprofile(None)
    assert tasks == {
        *("fapilog workers", "fapilog pluginstage", "fapilog delivery", "fapilog reload", "fapilog drain"),
        *("fapilog ask", "fapilog old", "fapilog new"),
    }
    assert places == set()


@pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop"])
def test_pr5_a_second_interrupt_that_strikes_as_a_stage_ends_ends_the_drain_at_once(loop: str) -> None:
    body = """
    from fapilog.pipeline import tasks

    class Anyio:
        def __getattr__(self, name):
            return getattr(anyio, name)

        class CancelScope:
            def __init__(self, **given):
                self.scope = anyio.CancelScope(**given)
            def __enter__(self):
                return self.scope.__enter__()
            def __exit__(self, *error):
                if armed:
                    armed.clear()
                    signal.raise_signal(signal.SIGINT)
                return self.scope.__exit__(*error)

    async def arm():
        armed.append(True)
    async def main():
        try:
            async with container:
                await container.logger().info("a")
                signal.raise_signal(signal.SIGINT)
                await anyio.sleep_forever()
        finally:
            print(armed, container.report.balanced, container.report.in_flight, container.report.complete, flush=True)
    armed = []
    tasks.anyio = Anyio()
    sinks = [AsyncSink("bad", aclose=hang), AsyncSink("last", aclose=arm)]
    container = fapilog.AsyncLoggingContainer({"shutdown_timeout": 60}, sinks=sinks)
    run(main)
    """
    ended = run_program(body, loop)
    assert ended.stdout == "[] True 0 False\n", ended.stderr
    assert "KeyboardInterrupt" in ended.stderr
    assert ended.returncode in (-2, 130, 1)


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (AsyncLoggingContainer, "_reset_current_logger"),
        (AsyncLoggingContainer, "_leave"),
        (Ending, "finish"),
        (Intake, "shut"),
        (Door, "close"),
        (Waiting, "refuse"),
        (Intake, "wake_worker"),
    ],
    ids=lambda given: given if isinstance(given, str) else given.__name__,
)
async def test_pr4_cx6_an_interrupt_that_strikes_as_the_container_closes_keeps_nothing_from_being_drained(
    monkeypatch: pytest.MonkeyPatch, owner: type, method: str, idle: bool
) -> None:
    sink = AsyncSink()
    container = AsyncLoggingContainer({}, sinks=[sink])
    real = getattr(owner, method)

    def interrupted(self: object, *given: Any) -> NoReturn:
        monkeypatch.setattr(owner, method, real)
        raise OSError  # not a KeyboardInterrupt, which would end the test's event loop

    caught: BaseException | None = None
    try:
        async with container:
            await container.logger().info("a")
            if idle:
                await container.flush()  # no linger ends, and no worker wakes by itself
            monkeypatch.setattr(owner, method, interrupted)
    except OSError as error:
        caught = error
    assert type(caught) is OSError
    assert sink.messages == ["a"]
    assert account(container).complete


STRUCK = {
    "filter": "filters=[lambda event: strike() or True]",
    "enricher": "enrichers=[lambda event: strike()]",
    "asynchronous enricher": "enrichers=[astrike]",
    "processor": "processors=[lambda events: strike() or events]",
    "redactor": "redactors=[lambda event: strike()]",
    "direct sink": "sinks=[sink, DirectSink('struck', write=strike)]",
    "asynchronous sink": "sinks=[sink, AsyncSink('struck', write=astrike)]",
    "on_loss": "on_loss=lambda losses: strike()",
    "repr": "enrichers=[lambda event: {'a': Shown()}]",
}


@pytest.mark.parametrize("plugin", STRUCK)
@pytest.mark.parametrize("loop", LOOPS)
def test_pr4_an_exit_that_strikes_a_plugin_ends_the_program_and_every_event_is_accounted_for(
    loop: str, plugin: str
) -> None:
    """Also on Trio, where it is the container that ends the body, for the loop itself must not raise."""
    body = f"""
    def handle(number, frame):
        raise SystemExit(7)
    def strike(*given):
        if not struck:
            struck.append(True)
            signal.raise_signal(signal.SIGTERM)
            for _ in range(2):
                pass
    async def astrike(*given):
        await anyio.lowlevel.checkpoint()
        strike()
    class Shown:
        def __repr__(self):
            strike()
            return "shown"
    signal.signal(signal.SIGTERM, handle)
    struck, sink = [], DirectSink()
    given = dict(sinks=[sink])
    given.update({STRUCK[plugin]})
    container = fapilog.AsyncLoggingContainer({{"queue_max_size": 10}}, **given)
    async def main():
        try:
            async with container:
                for number in range(12):
                    container.logger().nowait.info("a")
                await anyio.sleep_forever()
        finally:
            report = container.report
            lost = sum(report.dropped.values()) + sum(report.abandoned.values())
            print(report.balanced, report.in_flight, report.complete, len(struck), flush=True)
            print(len(sink.messages) + lost - report.created, sum(report.abandoned.values()), flush=True)
    run(main)
    """
    ended = run_program(body, loop)
    assert ended.returncode == 7, ended.stderr
    abandoned = ended.stdout.split()[-1]
    assert ended.stdout == f"True 0 True 1\n12 {abandoned}\n", ended.stderr
    # What strikes in ``on_loss`` costs the batch that was being handed on, and the end of asyncio's loop cancels what
    # an asynchronous plugin has in hand; a plugin's failure by itself costs no event.
    assert int(abandoned) <= {"on_loss": 1, "asynchronous enricher": 2}.get(plugin, 0)
    assert noise(ended.stderr) == []


@pytest.mark.parametrize("loop", LOOPS)
def test_pr4_an_exit_that_strikes_between_a_write_on_the_loop_and_its_count_leaves_its_outcome_unknown(
    loop: str,
) -> None:
    """The batches behind it are written by the same delivery, whose task has not been struck."""
    body = """
    from fapilog.pipeline.breaker import CircuitBreaker

    def handle(number, frame):
        raise SystemExit(7)
    def strike(breaker):
        if not struck:
            struck.append(True)
            signal.raise_signal(signal.SIGTERM)
        succeeded(breaker)
    signal.signal(signal.SIGTERM, handle)
    succeeded, CircuitBreaker.succeeded = CircuitBreaker.succeeded, strike
    struck, sink = [], DirectSink()
    container = fapilog.AsyncLoggingContainer({}, sinks=[sink])
    async def main():
        try:
            async with container:
                for _ in range(1000):
                    container.logger().nowait.info("a")
                await anyio.sleep_forever()
        finally:
            report = container.report
            at_sink, = report.sinks.values()
            print(report.balanced, report.in_flight, at_sink.outcome_unknown, sum(at_sink.abandoned.values()))
            print(len(sink.messages), at_sink.delivered, flush=True)
    run(main)
    """
    ended = run_program(body, loop)
    assert ended.returncode == 7, ended.stderr
    assert ended.stdout == "True 0 256 256\n1000 744\n", ended.stderr
    assert noise(ended.stderr) == []


@pytest.mark.parametrize("kind", ["Direct", "Async"])
@pytest.mark.parametrize("loop", LOOPS)
def test_pr4_an_exit_that_strikes_a_sink_behind_its_write_leaves_the_outcome_unknown(loop: str, kind: str) -> None:
    """The write seems to have failed, and the end of the loop may come before the retry, which writes it again."""
    body = f"""
    def handle(number, frame):
        raise SystemExit(7)
    class Struck({kind}Sink):
        {"async " * (kind == "Async")}def write(self, batch):
            self.messages += [event.message for event in batch]
            if len(self.messages) == 1:
                signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, handle)
    sink = Struck()
    container = fapilog.AsyncLoggingContainer({{}}, sinks=[sink])
    async def main():
        try:
            async with container:
                container.logger().nowait.info("a")
                await anyio.sleep_forever()
        finally:
            at_sink, = container.report.sinks.values()
            print(container.report.balanced, at_sink.outcome_unknown, at_sink.abandoned, len(sink.messages))
    run(main)
    """
    ended = run_program(body, loop)
    assert ended.returncode == 7, ended.stderr
    assert ended.stdout in ("True 1 {'deadline': 1} 1\n", "True 1 {} 2\n"), ended.stderr


@pytest.mark.parametrize("loop", LOOPS)
def test_pr4_an_exit_that_strikes_as_the_account_is_about_to_be_made_keeps_nobody_waiting(loop: str) -> None:
    body = """
    from fapilog.ending import Ending

    def handle(number, frame):
        raise SystemExit(7)
    def strike(ending, *, complete):
        Ending._conclude = conclude
        signal.raise_signal(signal.SIGTERM)
        for _ in range(2):
            pass
    conclude, Ending._conclude = Ending._conclude, strike
    signal.signal(signal.SIGTERM, handle)
    sink = DirectSink()
    container = fapilog.AsyncLoggingContainer({"shutdown_timeout": 5}, sinks=[sink])
    async def main():
        try:
            async with container:
                await container.logger().info("a")
        finally:
            report = container.report
            print(report.balanced, report.in_flight, report.sinks["sink"].delivered, report.elapsed < 4, flush=True)
    run(main)
    """
    ended = run_program(body, loop)
    assert ended.stdout == "True 0 1 True\n", ended.stderr
    assert ended.returncode in (1, 7), ended.stderr  # Trio ends with the group that it is in


@NATIVE
# AnyIO makes the coroutine before the task; in a task that never steps it is never awaited.
@pytest.mark.filterwarnings("ignore:.*once:RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_drain_that_is_cancelled_before_its_first_step_is_started_again() -> None:
    """As by a second interrupt, which makes asyncio cancel every task there is."""
    sink = AsyncSink()
    container = AsyncLoggingContainer({}, sinks=[sink])

    async def log_and_leave() -> None:
        async with container:
            await container.logger().info("a")
            asyncio.get_running_loop().call_soon(cancel_everything)

    def cancel_everything() -> None:
        # The task that drains was made in the step that has just ended, and has not run yet.
        began.append((container.async_pipeline.intake.state, container._ending.runs))
        for task in asyncio.all_tasks():
            if task is leaving or task.get_name().startswith("fapilog"):
                task.cancel()

    began: list[tuple[str, bool]] = []
    leaving = asyncio.create_task(log_and_leave())
    with pytest.raises(asyncio.CancelledError):
        await leaving
    gc.collect()  # here, and not in another test
    assert began == [("closed", False)]
    assert sink.messages == ["a"]
    assert account(container).complete


@pytest.mark.parametrize("anyio_backend", ["asyncio-virtual"], indirect=True, scope="function")
@pytest.mark.virtual_time
@pytest.mark.parametrize("asked", [1, 2])
async def test_pr5_the_loops_end_after_a_second_interrupt_ends_the_drain_at_once(asked: int) -> None:
    """The first interrupt has cancelled the main task; at the second, asyncio cancels every task there is."""
    container = AsyncLoggingContainer(
        {"shutdown_timeout": 60.0, "on_incomplete": "ignore"}, sinks=[AsyncSink(write=hang)]
    )

    async def log_and_leave() -> None:
        async with container:
            await container.logger().info("a")
            await anyio.sleep(1)
            for _ in range(asked):
                leaving.cancel()
            for task in asyncio.all_tasks():
                if task.get_name().startswith("fapilog workers"):
                    task.cancel()
            await anyio.sleep_forever()

    leaving = asyncio.create_task(log_and_leave())
    with pytest.raises(asyncio.CancelledError):
        await leaving
    report = account(container)
    assert (report.elapsed < 1) == (asked == 2)


@pytest.mark.virtual_time
async def test_a_drain_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"shutdown_timeout": 5.0, "on_incomplete": "ignore"}
    container = AsyncLoggingContainer(settings, sinks=[AsyncSink("bad", write=hang)])
    monkeypatch.setattr(container.async_pipeline, "stop", anyio.sleep_forever)
    async with container:
        await container.logger().info("a")
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(6.0)
    report = account(container)
    assert not report.complete
    assert report.sinks["bad"].delivered == 0


@pytest.mark.virtual_time
async def test_a_start_that_cannot_be_given_up_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    container = AsyncLoggingContainer({"shutdown_timeout": 5.0}, sinks=[AsyncSink("bad", start=fail(OSError("no")))])
    monkeypatch.setattr(container.async_pipeline, "give_up_start", anyio.sleep_forever)
    with pytest.raises(PluginError, match="did not start"):
        await container.__aenter__()
    assert anyio.current_time() == pytest.approx(6.0)


@pytest.mark.virtual_time
@pytest.mark.parametrize("where", ["body", "task inside", "task outside"])
async def test_cx12_a_drain_that_does_not_end_in_an_early_aclose_leaves_the_body_alone(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    settings = {"shutdown_timeout": 5.0, "on_incomplete": "ignore"}
    container = AsyncLoggingContainer(settings, sinks=[AsyncSink("bad", write=hang)])
    monkeypatch.setattr(container.async_pipeline, "stop", anyio.sleep_forever)
    entered = anyio.Event()

    async def close() -> None:
        await entered.wait()
        await container.aclose()

    async with anyio.create_task_group() as outside:
        if where == "task outside":
            outside.start_soon(close)
        async with container:
            await container.logger().info("a")
            entered.set()
            if where == "body":
                await close()
            elif where == "task inside":
                async with anyio.create_task_group() as inside:
                    inside.start_soon(close)
            began = anyio.current_time()
            await anyio.sleep(60)
            assert anyio.current_time() - began >= 60
            assert not container.logger().nowait.info("refused")
    report = account(container)
    assert not report.complete
    assert report.rejected == {"closed": 1}


@pytest.mark.parametrize("anyio_backend", ["asyncio-virtual"], indirect=True, scope="function")
@pytest.mark.virtual_time
async def test_a_task_group_that_waits_for_a_task_that_has_ended_is_left_behind() -> None:
    container = AsyncLoggingContainer({}, sinks=[AsyncSink()])
    async with container:
        await container.logger().info("a")
        # What an interrupt in its bookkeeping leaves behind.
        lost: Any = asyncio.create_task(asyncio.sleep(0))
        container._task_group._tasks.add(lost)  # type: ignore[attr-defined]
        await lost
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(1.0)
    assert account(container).complete


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
@pytest.mark.parametrize("name", ["workers", "pluginstage", "ask", "delivery", "sink", "drain", "reload"])
async def test_pr4_a_task_of_the_containers_that_never_runs_again_is_left_behind_in_time(name: str) -> None:
    """As when an exit strikes asyncio between its taking a task's wake-up from its queue and running it."""
    loop: Any = asyncio.get_running_loop()
    lost: list[tuple[Any, ...]] = []

    def lose() -> None:
        for handle in loop._ready:
            task = getattr(handle._callback, "__self__", None)
            if isinstance(task, asyncio.Task) and task.get_name() == f"fapilog {name}":
                lost.append((handle._callback, *handle._args))
                handle.cancel()
                return
        loop.call_soon(lose)

    async def ask(event: LogEvent) -> bool:
        await anyio.lowlevel.checkpoint()
        return True

    settings = {"shutdown_timeout": 0.3, "on_incomplete": "ignore"}
    container = AsyncLoggingContainer(settings, sinks=[AsyncSink()], filters=[ask])
    with revived(lost), anyio.fail_after(20):
        async with container, anyio.create_task_group() as group:
            await container.flush()  # every task waits
            if name != "drain":
                lose()
            if name == "reload":
                group.start_soon(suppressed, container.reload, settings)
            await container.logger().info("a")
            await until(lambda: lost or name == "drain")
            container.logger().nowait.info("b")
            await turns()
            if name == "drain":
                lose()
    report = account(container)
    assert lost
    assert report.submitted == 2
    assert report.complete is (name == "reload")
    await turns()
    assert container.report == report, "also if it then runs again"


async def test_a_sinks_task_that_was_just_woken_as_the_container_gives_up_ends() -> None:
    async with AsyncLoggingContainer({"on_incomplete": "ignore"}, sinks=[AsyncSink()]) as container:
        (delivery,) = container.async_pipeline.deliveries
        while not len(delivery._stream):  # on Trio the task may run before this one sees that it was woken
            container.logger().nowait.info("a")
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
                if len(delivery._stream):
                    break
        ending = container._ending
        ending._begin(1.0, partial(ending._drain, 1.0))
        ending._conclude(complete=False)
    report = account(container)
    assert sum(report.sinks["sink"].abandoned.values()) >= 1
    assert container.stats() == report


@pytest.mark.parametrize("route", [None, {"level": "debug"}], ids=["all", "by route"])
async def test_what_is_kept_from_being_offered_to_a_sink_is_counted_there_all_the_same(
    monkeypatch: pytest.MonkeyPatch, route: dict[str, str] | None
) -> None:
    """As an interrupt does that strikes between the sinks; here it is a mistake, which ends no event loop."""
    policy = {} if route is None else {"route": route}
    settings = {"plugin_config": {"first": policy, "second": policy}}
    async with AsyncLoggingContainer(settings, sinks=[AsyncSink("first"), AsyncSink("second")]) as container:
        first, _ = container.async_pipeline.deliveries
        offer = first.offer

        def struck(*_: object) -> NoReturn:
            monkeypatch.setattr(first, "offer", offer)
            raise RuntimeError

        monkeypatch.setattr(first, "offer", struck)
        for message in ("a", "b"):
            container.logger().nowait.info(message)
            await container.flush()
    report = account(container)
    assert report.dispatched == 2
    for sink in report.sinks.values():
        assert (sink.routed, sink.delivered, sink.abandoned) == (2, 1, {"deadline": 1})


@pytest.mark.parametrize("route", [None, {"level": "debug"}], ids=["all", "by route"])
async def test_what_is_kept_from_every_sink_after_it_was_counted_is_counted_there_all_the_same(
    monkeypatch: pytest.MonkeyPatch, route: dict[str, str] | None
) -> None:
    dispatch = Confirmations.dispatch

    def struck(*_: object) -> NoReturn:
        monkeypatch.setattr(Confirmations, "dispatch", dispatch)
        raise RuntimeError

    settings = {"plugin_config": {"sink": {} if route is None else {"route": route}}}
    container = AsyncLoggingContainer(settings, sinks=[AsyncSink()])
    async with anyio.create_task_group() as group, container:
        monkeypatch.setattr(Confirmations, "dispatch", struck)
        group.start_soon(suppressed, container.logger().confirmed.info, "a")
        await turns()
        await container.flush()
    (sink,) = account(container).sinks.values()
    assert (sink.routed, sink.delivered, sink.abandoned) == (1, 0, {"deadline": 1})


@contextmanager
def revived(lost: list[tuple[Any, ...]]) -> Iterator[None]:
    """Let the tasks run after the block whose wake-ups were lost in it: the event loop waits for them at its end."""
    try:
        yield
    finally:
        for callback, *arguments in lost:
            asyncio.get_running_loop().call_soon(callback, *arguments)


async def suppressed(call: Callable[..., Any], *arguments: Any) -> None:
    with suppress(ContainerStateError, NotConfirmed):
        await call(*arguments)


async def test_the_account_is_made_although_an_interrupt_strikes_its_making(monkeypatch: pytest.MonkeyPatch) -> None:
    container = AsyncLoggingContainer({}, sinks=[AsyncSink()])
    discard = container.async_pipeline.discard

    def interrupted() -> NoReturn:
        monkeypatch.setattr(container.async_pipeline, "discard", discard)
        raise RuntimeError  # not a KeyboardInterrupt, which would end the test's event loop

    monkeypatch.setattr(container.async_pipeline, "discard", interrupted)
    with pytest.raises(BaseExceptionGroup):
        async with container:
            await container.logger().info("a")
    account(container)


@NATIVE
async def test_pr21_a_worker_is_woken_once_when_a_signal_handler_logs_while_it_is_being_woken() -> None:
    """The handler strikes where it can: when the call has returned that asks whether the worker was woken before."""

    class Interrupted:
        def done(self) -> bool:
            before = future.done()
            if not before:
                future.set_result(None)
            return before

        def set_result(self, value: None) -> None:
            future.set_result(value)

    alarm = current_backend().alarm()
    future: asyncio.Future[None] = alarm._future  # type: ignore[attr-defined]
    alarm._future = Interrupted()  # type: ignore[attr-defined]
    alarm.wake()
    assert future.done()


@pytest.mark.virtual_time
async def test_pr21_a_linger_ends_in_time_that_a_signal_handler_began_while_the_worker_was_about_to_wait() -> None:
    begin = anyio.current_time()
    with current_backend().alarm() as alarm:
        alarm.wake_at_from_call(begin + 2)
        with anyio.fail_after(10):
            await alarm
    assert anyio.current_time() == begin + 2


@pytest.mark.virtual_time
async def test_pr21_a_linger_that_a_handler_began_for_a_worker_already_woken_does_not_end_its_next_wait() -> None:
    begin = anyio.current_time()
    with current_backend().alarm() as alarm:
        alarm.wake()
        alarm.wake_at_from_call(begin + 2)
        await alarm
        alarm.reset()
        with anyio.move_on_after(10) as waited:
            await alarm
    assert waited.cancelled_caught
    assert anyio.current_time() == begin + 10


async def test_pr21_what_a_thread_logged_keeps_its_order_when_a_signal_handler_logs_while_it_is_taken_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = RecordingSink()
    container = AsyncLoggingContainer({"batch_linger": 0}, sinks=[sink])
    async with container:
        log = container.logger().nowait
        append = Intake._append

        def interrupted(intake: Intake, record: Any) -> None:
            monkeypatch.setattr(Intake, "_append", append)
            assert log.info("handler")
            append(intake, record)

        thread = threading.Thread(target=lambda: [log.info("thread", number=number) for number in range(3)])
        thread.start()
        thread.join()
        monkeypatch.setattr(Intake, "_append", interrupted)
        assert log.info("loop")  # takes over what the thread has left
    account(container)
    assert sink.values("number") == [0, 1, 2]
    assert sorted(sink.messages) == ["handler", "loop", "thread", "thread", "thread"]


@pytest.mark.parametrize("after", [False, True])
async def test_cx9_an_interrupt_in_a_call_loses_nothing_that_a_thread_logged(
    monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """A call first takes over what threads have left; the interrupt strikes before or after one of these is in."""
    sink = RecordingSink()
    container = AsyncLoggingContainer({"batch_linger": 0}, sinks=[sink])
    async with container:
        log = container.logger().nowait
        append = Intake._append

        def interrupted(intake: Intake, record: Any) -> None:
            monkeypatch.setattr(Intake, "_append", append)
            if after:
                append(intake, record)
            raise KeyboardInterrupt

        thread = threading.Thread(target=lambda: [log.info("thread", number=number) for number in range(3)])
        thread.start()
        thread.join()
        monkeypatch.setattr(Intake, "_append", interrupted)
        try:
            log.info("loop")
        except KeyboardInterrupt:
            interrupts = 1
    assert interrupts == 1
    assert sink.messages == ["thread"] * 3
    assert sink.values("number") == [0, 1, 2]
    assert account(container).submitted == 3


def handler(number: int, frame: Any) -> NoReturn:
    raise SystemExit(7)


class Handlers:
    def method(self, number: int, frame: Any) -> NoReturn:
        self.deeper()

    def deeper(self) -> NoReturn:
        sys.exit(7)

    def __call__(self, *arguments: Any, **more: Any) -> NoReturn:
        sys.exit(7)


def once(status: int, number: int, frame: Any) -> NoReturn:
    """Exit, and be nobody's handler any more when that is looked at."""
    signal.signal(number, signal.SIG_DFL)
    sys.exit(status)


def struck() -> None:
    signal.raise_signal(signal.SIGUSR1)
    for _ in range(2):
        pass


def translated() -> None:
    try:
        struck()
    except BaseException:
        raise ValueError from None


def grouped() -> None:
    try:
        struck()
    except BaseException as error:
        raise BaseExceptionGroup("two", [ValueError(), error]) from None


def exits() -> None:
    sys.exit(7)


def exits_in_place() -> None:
    try:
        exits()
    except SystemExit:
        raise ValueError from None


class TestWhatAnInterruptIs:
    """`interrupt_in` tells an interrupt of the application from a failure of the code that it struck."""

    @pytest.fixture(autouse=True)
    def restored(self) -> Iterator[None]:
        before = signal.getsignal(signal.SIGUSR1)
        yield
        signal.signal(signal.SIGUSR1, before)

    @pytest.mark.parametrize("strike", [struck, translated, grouped])
    @pytest.mark.parametrize(
        "handle",
        [handler, Handlers().method, Handlers(), partial(once, 7), lambda *_: sys.exit(7), signal.default_int_handler],
        ids=["function", "method", "object", "partial", "lambda", "C"],
    )
    def test_pr4_what_a_handler_raised_is_one_also_behind_an_error_and_in_a_group(
        self, handle: Any, strike: Callable[[], None]
    ) -> None:
        signal.signal(signal.SIGUSR1, handle)
        try:
            strike()
        except BaseException as error:
            caught = error
        found = interrupt_in(caught)
        assert isinstance(found, (SystemExit, KeyboardInterrupt))
        assert getattr(found, "code", 7) == 7
        with pytest.raises(type(found)):
            raise_interrupt(caught)

    @pytest.mark.parametrize("code", [exits, exits_in_place])
    def test_pr4_an_exit_that_no_handler_raised_is_a_failure(self, code: Callable[[], None]) -> None:
        try:
            code()
        except BaseException as error:
            caught = error
        assert interrupt_in(caught) is None
        raise_interrupt(caught)

    def test_pr4_what_was_being_handled_further_out_is_none_of_the_errors(self) -> None:
        def fail() -> BaseException:
            try:
                raise ValueError
            except ValueError as error:
                return error

        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            error, handled = fail(), interrupt
        assert error.__context__ is handled
        assert interrupt_in(error) is None

    def test_a_ring_of_errors_ends(self) -> None:
        first, second = ValueError(), TypeError()
        first.__context__, second.__context__ = second, first
        assert interrupt_in(first) is None

    def test_an_interrupt_is_found_in_a_group_at_any_depth(self) -> None:
        """As a task group of the plugin's raises it."""
        interrupt = KeyboardInterrupt()
        inner = BaseExceptionGroup("inner", [TypeError(), interrupt])
        assert interrupt_in(BaseExceptionGroup("outer", [ValueError(), inner])) is interrupt
        assert interrupt_in(BaseExceptionGroup("outer", [ValueError(), ExceptionGroup("inner", [TypeError()])])) is None
