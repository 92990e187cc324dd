"""Containers side by side, nested, in servers, in fixtures and across a fork; the current logger; flushing."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from fapilog import AsyncLogger, AsyncLoggingContainer, NoCurrentLogger, WrongTaskError, container, current_logger
from support import AsyncSink, DirectSink, SyncSink, account, hang, living, noise, own_threads, run_program, until

pytestmark = pytest.mark.anyio

EVERY_LOOP = pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])


class TestSeveral:
    async def test_two_side_by_side_share_nothing(self) -> None:
        one, two = AsyncSink(), AsyncSink()
        async with container({"level": "DEBUG"}, sinks=[one]) as first, container(sinks=[two]) as second:
            with first.context(a=1):
                await first.debug("one")
                await second.debug("two")
                await second.info("two")
            second.container.set_level("ERROR")
            await first.info("one more")
            await second.info("two more")
        assert (one.messages, two.messages) == (["one", "one more"], ["two"])
        assert account(first.container).submitted == 2
        assert account(second.container).submitted == 1
        assert first.container.container_id != second.container.container_id

    async def test_many_in_tasks_of_one_loop(self) -> None:
        sinks = [AsyncSink() for _ in range(20)]

        async def one(number: int) -> None:
            async with container(sinks=[sinks[number]]) as log:
                for _ in range(number):
                    await current_logger().info(f"{number}")
                    await anyio.lowlevel.checkpoint()
            assert account(log.container).dispatched == number

        before = living()
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, number)
        assert [sink.messages for sink in sinks] == [[f"{number}"] * number for number in range(20)]
        assert living() == before

    async def test_a_hung_one_does_not_hold_up_another(self) -> None:
        good = AsyncSink()
        async with container(
            {"shutdown_timeout": 0.1, "on_incomplete": "ignore"}, sinks=[AsyncSink(write=hang)]
        ) as outer:
            await outer.info("lost")
            async with container(sinks=[good]) as inner:
                await inner.info("delivered")
            assert account(inner.container).complete
        assert good.messages == ["delivered"]
        assert account(outer.container).sinks["sink"].abandoned == {"deadline": 1}

    async def test_one_may_be_the_sink_of_another(self) -> None:
        """Forwarding is no call of a plugin's to the container that it is a plugin of."""
        sink = AsyncSink()
        async with container(sinks=[sink]) as outer:

            class Forward(AsyncSink):
                async def write(self, batch: Any) -> None:
                    for event in batch:
                        assert await outer.info(event.message)

            async with container(sinks=[Forward()]) as inner:
                await inner.info("a")
        assert sink.messages == ["a"]

    async def test_the_loggers_know_their_container(self) -> None:
        async with AsyncLoggingContainer(sinks=[AsyncSink()]) as logs:
            log = logs.logger("api").bind(a=1)
            assert log.container is log.nowait.container is log.blocking.container is logs


class TestCurrentLogger:
    async def test_outside_it_raises_a_lookup_error_that_says_what_to_do(self) -> None:
        with pytest.raises(NoCurrentLogger, match=r"no container was entered in this context.*async with") as caught:
            current_logger()
        assert isinstance(caught.value, LookupError)

    async def test_it_is_the_innermost_and_comes_back(self) -> None:
        async with container(sinks=[AsyncSink()]) as outer:
            assert current_logger() is outer
            async with container(sinks=[AsyncSink()]) as inner:
                assert current_logger() is inner
            assert current_logger() is outer
        with pytest.raises(NoCurrentLogger):
            current_logger()

    async def test_it_comes_back_after_an_exception(self) -> None:
        with pytest.raises(ValueError):
            async with container(sinks=[AsyncSink()]):
                raise ValueError
        with pytest.raises(NoCurrentLogger):
            current_logger()

    async def test_it_is_not_set_by_a_container_that_does_not_start(self) -> None:
        def refuse(batch: Any) -> None: ...

        class Bad(AsyncSink):
            async def start(self) -> None:
                raise OSError

        with pytest.raises(Exception, match="did not start"):
            async with container(sinks=[Bad()]):
                pass
        with pytest.raises(NoCurrentLogger):
            current_logger()

    async def test_it_follows_the_task_tree_and_worker_threads(self) -> None:
        found: list[AsyncLogger] = []

        async def child() -> None:
            found.append(current_logger())
            found.append(await anyio.to_thread.run_sync(current_logger))

        async with container(sinks=[AsyncSink()]) as log, anyio.create_task_group() as group:
            group.start_soon(child)
        assert found == [log, log]

    async def test_a_plain_thread_does_not_inherit_it(self) -> None:
        errors: list[Exception] = []

        def look() -> None:
            try:
                current_logger()
            except NoCurrentLogger as error:
                errors.append(error)

        async with container(sinks=[AsyncSink()]):
            thread = threading.Thread(target=look)
            thread.start()
            await anyio.to_thread.run_sync(thread.join)
        assert len(errors) == 1

    async def test_inside_a_plugin_it_is_there_and_what_it_logs_is_refused(self) -> None:
        accepted: list[bool] = []

        class Chatty(AsyncSink):
            async def write(self, batch: Any) -> None:
                accepted.append(await current_logger().info("from the sink"))

        async with container(sinks=[Chatty()]) as log:
            await log.info("a")
        assert accepted in ([False], [])
        assert account(log.container).submitted == 1 + len(accepted)


class TestEntered:
    async def test_a_servers_request_tasks_are_no_children_of_the_lifespan_task(self) -> None:
        """The shape of an ASGI server: lifespan and requests are tasks beside each other, each with its own context."""
        sink = AsyncSink()
        started, stop = anyio.Event(), anyio.Event()
        app: dict[str, AsyncLoggingContainer] = {}

        async def lifespan() -> None:
            async with AsyncLoggingContainer(sinks=[sink]) as app["logs"]:
                await current_logger().info("up")
                started.set()
                await stop.wait()
                await current_logger().info("down")

        async def request(number: int) -> None:
            with pytest.raises(NoCurrentLogger):
                current_logger()
            with app["logs"].entered() as log:
                assert current_logger() is log
                with log.context(request=number):
                    await anyio.lowlevel.checkpoint()
                    await current_logger().info(f"request {number}")
            with pytest.raises(NoCurrentLogger):
                current_logger()

        async with anyio.create_task_group() as server:
            server.start_soon(lifespan)
            await started.wait()
            async with anyio.create_task_group() as requests:
                for number in range(5):
                    requests.start_soon(request, number)
            stop.set()
        assert sink.messages[0] == "up" and sink.messages[-1] == "down"
        assert sorted(sink.messages[1:-1]) == [f"request {number}" for number in range(5)]

    async def test_a_request_after_the_lifespan_has_ended_is_refused_and_raises_nothing(self) -> None:
        async with AsyncLoggingContainer(sinks=[AsyncSink()]) as logs:
            pass
        with logs.entered():
            assert not await current_logger().info("late")
            assert not current_logger().nowait.error("late")
        assert logs.stats().rejected == {"closed": 2}

    async def test_entered_containers_nest_with_others(self) -> None:
        async with AsyncLoggingContainer(sinks=[AsyncSink()]) as one, AsyncLoggingContainer(sinks=[AsyncSink()]) as two:
            with one.entered() as first:
                with two.entered() as second:
                    assert current_logger() is second
                assert current_logger() is first
            assert current_logger().container is two

    async def test_an_async_generator_that_is_left_in_another_context_does_no_harm(self) -> None:
        async with AsyncLoggingContainer(sinks=[AsyncSink()]) as logs:

            async def generator() -> AsyncIterator[int]:
                with logs.entered():
                    yield 1

            values = generator()

            async def begin() -> None:
                await anext(values)

            async with anyio.create_task_group() as group:
                group.start_soon(begin)
            await values.aclose()  # type: ignore[attr-defined]
            assert await current_logger().info("a")


class TestFixtures:
    """The shapes in which test suites open a container."""

    @pytest.fixture
    async def log(self) -> AsyncIterator[AsyncLogger]:
        sink = AsyncSink()
        async with container(sinks=[sink]) as opened:
            yield opened
        assert sink.messages == ["from the test"]
        assert account(opened.container).complete

    async def test_an_async_generator_fixture_of_anyios_plugin(self, log: AsyncLogger) -> None:
        await log.info("from the test")

    @pytest.fixture
    async def entered_and_left_by_hand(self) -> AsyncIterator[AsyncLogger]:
        block = container(sinks=[AsyncSink()])
        yield await block.__aenter__()
        await block.__aexit__(None, None, None)

    async def test_a_fixture_without_async_with(self, entered_and_left_by_hand: AsyncLogger) -> None:
        await entered_and_left_by_hand.info("a")

    async def test_an_asynccontextmanager_around_it(self) -> None:
        sink = AsyncSink()

        @asynccontextmanager
        async def application() -> AsyncIterator[AsyncLogger]:
            async with container(sinks=[sink]) as log:
                yield log

        with pytest.raises(ValueError, match="x"):
            async with application() as log:
                await log.info("a")
                raise ValueError("x")
        assert sink.messages == ["a"]

    async def test_a_fixture_that_is_finished_in_another_task_gets_an_error_that_names_the_ways(self) -> None:
        """As pytest-asyncio finishes them."""
        sink = AsyncSink()

        async def fixture() -> AsyncIterator[AsyncLogger]:
            async with container(sinks=[sink]) as log:
                yield log

        values = fixture()
        log = await anext(values)
        await log.info("a")
        caught: list[BaseException] = []

        async def finish() -> None:
            try:
                await anext(values)
            except WrongTaskError as error:
                caught.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(finish)
        assert "Enter and leave it in one task" in str(caught[0])
        assert sink.messages == ["a"] and account(log.container).complete
        await log.container.__aexit__(None, None, None)


class TestFlush:
    async def test_everything_before_it_is_delivered_when_it_returns(self) -> None:
        sinks = [AsyncSink("one"), SyncSink("two"), DirectSink("three")]
        async with container({"batch_linger": 60}, sinks=sinks) as log:
            for number in range(300):
                await log.info(f"{number}")
            flushed = await log.flush(5)
            assert flushed.complete and flushed.pending == ()
            for sink in sinks:
                assert sink.messages == [f"{number}" for number in range(300)]
                assert sink.calls[-1] == "flush"

    async def test_ov12_it_returns_while_producers_never_stop(self) -> None:
        sink = AsyncSink()
        stop = False

        async def producer(name: str) -> None:
            while not stop:
                await log.info(name)

        async with container(sinks=[sink]) as log, anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(producer, f"{number}")
            for number in range(5):
                await log.info(f"mark {number}")
                assert (await log.flush(5)).complete
                assert f"mark {number}" in sink.messages
            stop = True

    async def test_events_of_threads_before_it_are_delivered_too(self) -> None:
        sink = AsyncSink()
        async with container(sinks=[sink]) as log:

            def work() -> None:
                for number in range(200):
                    assert log.blocking.info(f"{number}")

            await anyio.to_thread.run_sync(work)
            assert (await log.flush(5)).complete
            assert sink.messages == [f"{number}" for number in range(200)]

    @pytest.mark.virtual_time
    async def test_it_cuts_linger_and_backoff_short(self) -> None:
        failures = iter([OSError("x")])

        async def fail_once() -> None:
            for error in failures:
                raise error

        sink = AsyncSink(write=fail_once)
        config = {"sink": {"backoff": 60, "backoff_max": 60, "batch_linger": 60, "ordered": True}}
        async with container({"plugin_config": config, "batch_linger": 60}, sinks=[sink]) as log:
            await log.info("a")
            await anyio.sleep(0.001)
            await log.info("b")
            began = anyio.current_time()
            assert (await log.flush(5)).complete
            assert anyio.current_time() == began
            assert sink.messages == ["a", "b"]

    @pytest.mark.virtual_time
    async def test_it_gives_up_at_its_timeout_and_names_the_sinks(self) -> None:
        async with container(
            {"shutdown_timeout": 0.5, "on_incomplete": "ignore"},
            sinks=[AsyncSink("bad", write=hang), AsyncSink("good")],
        ) as log:
            await log.info("a")
            flushed = await log.flush(0.25)
            assert not flushed.complete and flushed.pending == ("bad",) and flushed.elapsed == 0.25
            flushed = await log.flush()
            assert not flushed.complete and flushed.elapsed == 0.5

    async def test_inside_a_plugin_it_returns_at_once(self) -> None:
        answers: list[bool] = []

        class Flushing(AsyncSink):
            async def write(self, batch: Any) -> None:
                answers.append((await log.flush()).complete)
                await super().write(batch)

        sink = Flushing()
        with anyio.fail_after(3):
            async with container(sinks=[sink]) as log:
                await log.info("a")
                await until(lambda: answers)
                assert log.container.report is None
        assert answers == [False] and sink.messages == ["a"]

    async def test_before_and_after_the_block_it_returns_at_once(self) -> None:
        logs = AsyncLoggingContainer(sinks=[AsyncSink()])
        assert not (await logs.flush()).complete
        async with logs:
            assert (await logs.flush()).complete
        assert (await logs.flush()).complete

    async def test_it_waits_no_longer_once_the_container_is_closed(self) -> None:
        gate = anyio.Event()
        sink = AsyncSink(write=gate.wait)
        answers: list[bool] = []
        async with container(sinks=[sink]) as log:
            await log.info("a")

            async def flush() -> None:
                answers.append((await log.flush(60)).complete)

            async with anyio.create_task_group() as group:
                group.start_soon(flush)
                await sink.entered.wait()
                group.start_soon(log.container.aclose)
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                gate.set()
        assert answers == [True] and sink.messages == ["a"]


FORK = """
import anyio.lowlevel
import anyio.to_thread

def write(batch):
    for event in batch:
        os.write(1, f"wrote {{event.message}}\\n".encode())

class Async(AsyncSink):
    async def write(self, batch):
        await super().write(batch)
        await anyio.lowlevel.checkpoint()
        write(batch)

class Sync(SyncSink):
    def write(self, batch):
        super().write(batch)
        write(batch)

async def main():
    child = None
    sink = {sink}()
    try:
        async with fapilog.container({{"shutdown_timeout": 2}}, sinks=[sink]) as log:
            await log.info("parent")
            {before}
            child = os.fork()
            if child:
                await log.info("parent again")
            else:
                signal.alarm(4)
                accepted = [log.nowait.info("x"), log.blocking.error("x"), await log.info("x"), await log.error("x")]
                stats = log.container.stats()
                os.write(1, f"child {{accepted}} {{stats.rejected}} {{stats.submitted}} {{stats.balanced}}\\n".encode())
                {leave}
    except LookupError:
        assert not child
    if not child:
        # What comes after the block is not ours: to go on in a loop that the parent runs is nobody's right.
        os._exit(0)
    _, status = await anyio.to_thread.run_sync(os.waitpid, child, 0)
    print(status, sink.messages, log.container.report.complete)

run(main)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
@EVERY_LOOP
class TestFork:
    @pytest.mark.parametrize(
        ("sink", "before", "leave"),
        [
            ("Async", "await log.flush()", "pass"),
            ("Async", "pass", "raise LookupError"),
            ("Async", "await until(lambda: sink.messages)", "pass"),
            ("Sync", "await log.flush()", "pass"),
            ("Sync", "await anyio.lowlevel.checkpoint()", "raise LookupError"),
            ("Async", "await log.flush()", "await log.container.aclose()"),
            ("Async", "await log.flush()", "assert not (await log.flush()).complete"),
        ],
    )
    def test_pr14_pr16_a_childs_calls_are_refused_and_it_leaves_without_writing(
        self, loop: str, leave: str, sink: str, before: str
    ) -> None:
        ended = run_program(FORK.format(sink=sink, before=before, leave=leave), loop)
        lines = ended.stdout.splitlines()
        assert "child [False, False, False, False] {'dead': 4} 4 True" in lines, ended.stderr
        assert [line for line in lines if line.startswith("wrote")] == ["wrote parent", "wrote parent again"]
        assert lines[-1] == "0 ['parent', 'parent again'] True", ended.stderr
        assert (ended.returncode, noise(ended.stderr)) == (0, [])

    def test_pr13_forks_while_threads_log(self, loop: str) -> None:
        body = """
        import time
        async def main():
            stop = threading.Event()
            def flood():
                while not stop.is_set():
                    log.nowait.info("x")
                    log.blocking.info("x")
            def forks():
                codes = set()
                for _ in range(20):
                    child = os.fork()
                    if child == 0:
                        signal.alarm(2)
                        code = 1
                        try:
                            log.nowait.info("child"); log.blocking.info("child"); log.error("child")
                            stats = log.container.stats()
                            code = 0 if (stats.submitted, stats.rejected) == (3, {"dead": 3}) else 2
                        finally:
                            os._exit(code)
                    codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
                return codes
            async with fapilog.container({"block_timeout": 0.01}, sinks=[SyncSink()]) as log:
                threads = [threading.Thread(target=flood) for _ in range(4)]
                for thread in threads: thread.start()
                try:
                    codes = {"loop": forks(), "thread": await anyio.to_thread.run_sync(forks)}
                finally:
                    stop.set()
                for thread in threads: await anyio.to_thread.run_sync(thread.join)
            print(codes, log.container.report.balanced, log.container.report.in_flight)

        import anyio.to_thread
        run(main)
        """
        ended = run_program(body, loop, timeout=55)
        assert ended.stdout == "{'loop': {0}, 'thread': {0}} True 0\n", ended.stderr[-2000:]


def test_nothing_of_a_test_stays_behind() -> None:
    assert own_threads() == []
