"""The task tree: paths in events, what tasks do told as events, dumps, and the watch over the loop."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import threading
import time
from typing import Any, ClassVar

import anyio
import anyio.to_thread
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from fapilog import AsyncLoggingContainer, ContainerStateError, LogEvent
from fapilog.integrations import _loop_watch, _task_nodes
from fapilog.integrations._loop_watch import LoopWatch, Steps
from fapilog.integrations._signal_dump import write_at_once
from fapilog.integrations._task_nodes import LONGEST_PATH, path_below
from fapilog.integrations.task_tree import TaskState, TaskTree, TaskTreeDump
from fapilog.sinks.memory import MemorySink
from support import LOOPS, noise, own_threads, run_program, until

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio", "asyncio+uvloop"], indirect=True)
on_trio = pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)


@pytest.fixture
def memory() -> MemorySink:
    return MemorySink()


@pytest.fixture
def container(memory: MemorySink) -> AsyncLoggingContainer:
    return AsyncLoggingContainer({"level": "DEBUG"}, sinks=[memory])


def paths(memory: MemorySink) -> dict[str, Any]:
    return {event.message: event.context.get("task_path") for event in memory.events}


def below_the_test(path: str) -> str:
    """Return a path without the elements of whoever runs the tests."""
    return path.rpartition("/test/")[2] if "/test/" in path else path


def named(tree: TaskTree, name: str) -> TaskState:
    return next(task for task in tree.dump().walk() if task.name == name)


def told(memory: MemorySink, message: str) -> list[LogEvent]:
    return [event for event in memory.events if event.message == message]


async def logs(container: AsyncLoggingContainer, message: str) -> None:
    await container.logger().info(message)


# -- paths


async def test_every_event_has_the_path_of_its_task(memory, container):
    async def connection() -> None:
        await log.info("in a connection", number=1)
        with log.context(request=7), log.span("span"):
            await log.bind(bound=1).info("in blocks")
            log.nowait.error("at once")

    async def server() -> None:
        async with anyio.create_task_group() as connections:
            connections.start_soon(connection, name="connection-12")

    async with container:
        log = container.logger("server")
        await log.info("before")
        with TaskTree(container) as tree:
            async with anyio.create_task_group() as group:
                group.start_soon(server, name="server")
            own = tree.path_of_current_task()
        await log.info("after")
    expected = f"{own}/server/connection-12"
    assert own
    assert paths(memory) == {
        "before": None,
        "in a connection": expected,
        "in blocks": expected,
        "at once": expected,
        "span": expected,
        "after": None,
    }
    assert {event.task for event in memory.events if event.context.get("task_path")} == {"connection-12"}
    [inside] = told(memory, "in blocks")
    assert inside.context["request"] == 7 and inside.context["bound"] == 1 and "span_id" in inside.context


async def test_tasks_of_one_name_have_paths_of_their_own(memory, container):
    async def worker(log: Any, where: str) -> None:
        await anyio.lowlevel.checkpoint()
        await log.info(where)

    async def team(log: Any, where: str) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(worker, log, where, name="worker")

    async with container:
        with TaskTree(container) as tree:
            own = tree.path_of_current_task()
            async with anyio.create_task_group() as group:
                for where in ("a", "b"):
                    group.start_soon(team, container.logger(), where, name=where)
    assert paths(memory) == {"a": f"{own}/a/worker", "b": f"{own}/b/worker"}


async def test_a_path_is_made_once_for_each_task(memory, container, monkeypatch):
    made: list[str] = []

    def counting(parent: str, name: str) -> str:
        made.append(name)
        return path_below(parent, name)

    monkeypatch.setattr(_task_nodes, "path_below", counting)

    async def worker() -> None:
        for _ in range(10):
            await container.logger().info("works")

    async with container:
        with TaskTree(container):
            async with anyio.create_task_group() as group:
                group.start_soon(worker, name="the worker")
    assert made.count("the worker") == 1
    assert len(told(memory, "works")) == 10


async def test_the_events_of_one_task_share_one_context(container):
    seen = []
    async with container:
        with TaskTree(container):
            observer = container._root._core.observer

            def noting(record):
                record = observer(record)
                seen.append(record[5])
                return record

            container._root._core.observer = noting
            await container.logger().info("one")
            await container.logger().info("two")
            container._root._core.observer = observer
    assert len(seen) == 2 and seen[0] is seen[1]


async def test_an_event_of_a_thread_has_no_path(memory, container):
    async with container:
        with TaskTree(container):
            await anyio.to_thread.run_sync(lambda: container.logger().nowait.info("in a thread"))
    assert paths(memory) == {"in a thread": None}


@on_asyncio
async def test_asyncio_knows_no_parent_of_a_task_that_no_task_group_of_anyio_has_started(memory, container):
    async def plain() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(logs, container, "below", name="below")
        await container.logger().info("plain")

    async with container:
        with TaskTree(container) as tree:
            task = asyncio.create_task(plain(), name="plain")
            await task
            own = tree.path_of_current_task()
            assert "/" not in own or own
    assert paths(memory) == {"plain": "plain", "below": "plain/below"}


async def test_a_container_that_is_reloaded_goes_on_telling_paths(memory, container):
    async with container:
        with TaskTree(container) as tree:
            own = tree.path_of_current_task()
            await container.reload({"level": "INFO"})
            await container.logger().info("reloaded")
            intake = container.async_pipeline.intake
            assert intake.quick_thread == -1
        assert intake.quick_thread == threading.get_ident()
    assert paths(memory) == {"reloaded": own}


async def test_an_event_whose_path_cannot_be_found_is_logged_without_it(memory, container):
    def fail():
        raise RecursionError

    async with container:
        with TaskTree(container) as tree:
            tree._tasks.current = fail
            await container.logger().info("logged")
    assert paths(memory) == {"logged": None}


@on_trio  # asyncio makes a plain text of every name
async def test_a_name_may_be_of_a_class_of_its_own(memory, container):
    class Name(str):
        __slots__ = ()

        def __getitem__(self, key):
            raise ValueError("mine")

        def replace(self, *arguments):
            raise ValueError("mine")

        def translate(self, *arguments):
            raise ValueError("mine")

    async with container:
        with TaskTree(container):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(logs, container, "named", name=Name("n" * 200))
    assert paths(memory)["named"].endswith("/" + "n" * 128 + "...")


def test_a_name_in_a_path_is_one_element_on_one_line():
    assert path_below("main", "a/b\n\x1b[31m") == "main/a%2Fb\\n\\x1b[31m"


@given(st.lists(st.text(max_size=300), max_size=20))
def test_a_path_is_bounded_and_ends_with_the_tasks_own_name(names):
    path = ""
    for name in names:
        path = path_below(path, name)
        assert path == _task_nodes.path_element(name) or path.endswith("/" + _task_nodes.path_element(name))
        assert len(path) <= LONGEST_PATH + 10 * _task_nodes.LONGEST_NAME and "\n" not in path and "\x1b" not in path


# -- tasks told as events


async def test_the_start_the_end_and_the_outcome_of_tasks_are_told(memory, container):
    async def ends() -> None:
        await anyio.sleep(0.02)

    async with container:
        with TaskTree(container, lifecycle="info", look_every=0.001) as tree:
            own = tree.path_of_current_task()
            async with anyio.create_task_group() as group:
                group.start_soon(ends, name="ends")
                group.start_soon(anyio.sleep_forever, name="cancelled")
                await until(lambda: tree._tasks is not None and len(starts(tree)) == 2)
                await anyio.sleep(0.05)
                group.cancel_scope.cancel()
            await anyio.lowlevel.checkpoint()
    started = [event.task for event in told(memory, "task started") if event.task in ("ends", "cancelled")]
    assert sorted(started) == ["cancelled", "ends"]
    outcomes = {event.task: event.fields["outcome"] for event in told(memory, "task ended")}
    assert outcomes["ends"] == "ok" and outcomes["cancelled"] == "cancelled"
    assert not any(event.task.startswith("fapilog ") for event in memory.events)
    assert {event.logger for event in memory.events} == {"fapilog.tasks"}
    assert f"{own}/ends" in {event.context["task_path"] for event in told(memory, "task ended")}


def starts(tree: TaskTree) -> list[str]:
    return [task.name for task in tree.dump().walk() if task.name in ("ends", "cancelled")]


async def test_a_crash_is_told_once_in_the_innermost_task(memory, container):
    async def crashes() -> None:
        await container.logger().info("about to crash")
        raise ValueError("no such card")

    async def outer() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(crashes, name="crashes")

    async with container:
        with TaskTree(container) as tree:
            tree.dump()
            own = tree.path_of_current_task()
            with pytest.raises(BaseExceptionGroup):
                async with anyio.create_task_group() as group:
                    group.start_soon(outer, name="outer")
                    group.start_soon(anyio.sleep_forever, name="cancelled by it")
            await anyio.lowlevel.checkpoint()
    [crash] = told(memory, "task crashed")
    assert crash.level == "ERROR" and crash.context["task_path"] == f"{own}/outer/crashes"
    assert crash.exception is not None and crash.exception["message"] == "no such card"


async def test_a_crash_is_told_once_of_an_exception_with_a_dict_of_another_class(memory, container):
    class OddDict(dict[str, Any]):
        def _refuse(self, *given: Any) -> Any:
            raise RuntimeError

        get = __getitem__ = __setitem__ = __contains__ = _refuse

    async def crashes() -> None:
        await container.logger().info("about to crash")
        error = ValueError("no such card")
        error.__dict__ = OddDict()
        raise error

    async def outer() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(crashes, name="crashes")

    async with container:
        with TaskTree(container) as tree:
            tree.dump()
            with pytest.raises(BaseExceptionGroup):
                async with anyio.create_task_group() as group:
                    group.start_soon(outer, name="outer")
            await anyio.lowlevel.checkpoint()
    [crash] = told(memory, "task crashed")
    assert crash.task == "crashes"


async def test_a_crash_is_not_taken_for_that_of_a_task_that_ends_well_beside_it(memory, container):
    async def ends_well() -> None:
        await container.logger().info("waits")
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            pass  # it is the last step that counts here

    async def fails() -> None:
        await container.logger().info("fails")
        async with anyio.create_task_group() as group:
            group.start_soon(ends_well, name="ends well")
            await anyio.wait_all_tasks_blocked()
            raise ValueError("in the body")

    async with container:
        with TaskTree(container, lifecycle="info"):
            with pytest.raises(BaseExceptionGroup):
                async with anyio.create_task_group() as group:
                    group.start_soon(fails, name="fails")
            await anyio.lowlevel.checkpoint()
    outcomes = {event.task: event.fields["outcome"] for event in told(memory, "task ended")}
    assert (outcomes["ends well"], outcomes["fails"]) == ("ok", "error")
    assert [event.task for event in told(memory, "task crashed")] == ["fails"]


async def test_the_containers_own_tasks_are_left_out(memory, container):
    async with container:
        with TaskTree(container, lifecycle="info") as tree:
            await container.reload({"level": "DEBUG"})
            dump = tree.dump()
            own = [node for node, _ in tree._tasks.all() if node.own]
            assert len(own) == dump.own >= 1
            tree._held(own[0], 1.0, ())
    assert [event for event in memory.events if event.task.startswith("fapilog ")] == []


@pytest.mark.parametrize("loop", LOOPS)
def test_an_interrupt_in_a_task_is_no_crash(loop):
    done = run_program(
        """
        from fapilog.integrations.task_tree import TaskTree
        from fapilog.sinks.memory import MemorySink
        memory = MemorySink()
        async def exits():
            await container.logger().info("exits")
            raise SystemExit(3)
        async def main():
            global container
            container = fapilog.AsyncLoggingContainer(sinks=[memory])
            async with container:
                with TaskTree(container):
                    async with anyio.create_task_group() as group:
                        group.start_soon(exits)
        try:
            run(main)
        except BaseException as error:
            print(type(error).__name__)
        print([event.message for event in memory.events])
        """,
        loop,
    )
    assert done.stdout.splitlines()[-1] == "['exits']", done.stderr


# -- dumps


@pytest.mark.virtual_time
async def test_a_dump_shows_each_task_its_state_and_how_long_it_has_waited(container, anyio_backend_name):
    async def waits() -> None:
        await anyio.sleep(3)
        await container.logger().warning("going to wait")
        await anyio.sleep(100)

    async with container:
        with TaskTree(container) as tree:
            async with anyio.create_task_group() as group:
                group.start_soon(waits, name="waits")
                await anyio.wait_all_tasks_blocked()
                tree.dump()
                await anyio.sleep(3.5)
                tree.dump()
                await anyio.sleep(5)
                task = named(tree, "waits")
                assert (task.state, task.cancelled, task.children) == ("waiting", False, ())
                # Trio says when the wait began, asyncio when it was seen first.
                assert task.waited == pytest.approx(5.5 if anyio_backend_name == "trio" else 5, abs=0.1)
                assert task.age == pytest.approx(8.5, abs=0.1)
                assert task.where.startswith("test_task_tree.py:") and task.where.endswith(".waits")
                assert task.last_event is not None
                assert (task.last_event.level, task.last_event.message) == ("WARNING", "going to wait")
                own = [task for task in tree.dump().walk() if task.state == "running"]
                assert len(own) == 1 and task.path == f"{own[0].path}/waits"
                group.start_soon(anyio.sleep, 1, name="starts")
                assert named(tree, "starts").state == "ready"
                group.cancel_scope.cancel()
                assert named(tree, "waits").cancelled
            assert "waits" not in str(tree.dump())


async def test_a_dump_is_a_tree_as_text(container):
    async def team() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever, name="first")
            group.start_soon(anyio.sleep_forever, name="se\x1b[0m\ncond/")

    async with container:
        with TaskTree(container) as tree:
            async with anyio.create_task_group() as group:
                group.start_soon(team, name="team")
                await anyio.wait_all_tasks_blocked()
                dump = tree.dump()
                group.cancel_scope.cancel()
    text = str(dump)
    assert "\x1b" not in text and "se\\x1b[0m\\ncond%2F" in text
    lines = text.splitlines()
    team_line = next(index for index, line in enumerate(lines) if "team  waiting" in line)
    assert [line.lstrip(" │")[:3] for line in lines[team_line : team_line + 3]] == ["└─ ", "├─ ", "└─ "]
    assert dump.own >= 1 and "fapilog " not in text


async def test_a_deep_tree_is_dumped(container):
    depth = 150  # AnyIO cancels by recursion, and cannot do much more

    async def nest(left: int) -> None:
        if left:
            async with anyio.create_task_group() as group:
                group.start_soon(nest, left - 1, name="n")
        else:
            await container.logger().info("at the bottom")
            bottom.set()
            await anyio.sleep_forever()

    bottom = anyio.Event()
    async with container:
        with TaskTree(container) as tree:
            async with anyio.create_task_group() as group:
                group.start_soon(nest, depth, name="n")
                await bottom.wait()
                dump = tree.dump()
                text = str(dump)
                group.cancel_scope.cancel()
    assert text.count("─ n  ") == depth + 1
    assert max(len(task.path) for task in dump.walk()) <= LONGEST_PATH + 10


def test_a_tree_deeper_than_the_stack_becomes_text():
    task = TaskState("n", "n", "waiting", 1.0, False, "", 1.0, None, ())
    for _ in range(3000):
        task = TaskState("n", "n", "waiting", 1.0, False, "", 1.0, None, (task,))
    assert str(TaskTreeDump((task,), 0)).count("─ n  ") == 3000
    # Taken apart by hand: to free the whole at once would need as deep a stack.
    while task.children:
        task = task.children[0]


async def test_thousands_of_short_tasks_leave_nothing_behind(container):
    async def short(number: int) -> None:
        container.logger().nowait.debug("short", number=number)
        await anyio.lowlevel.checkpoint()

    async with container:
        with TaskTree(container) as tree:
            before = len(tree._tasks._nodes)
            for _ in range(20):
                async with anyio.create_task_group() as group:
                    for number in range(100):
                        group.start_soon(short, number)
                tree.dump()
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            assert len(tree._tasks._nodes) <= before + 2
            gc.collect()
            assert sum(type(thing) is _task_nodes.Node for thing in gc.get_objects()) <= before + 4


@on_asyncio
async def test_a_task_that_outlives_its_parent_keeps_its_path(memory, container):
    async def child() -> None:
        await gone.wait()
        await container.logger().info("orphan")

    async def parent() -> None:
        nonlocal task
        await container.logger().info("parent")
        task = asyncio.create_task(child(), name="child")
        await anyio.lowlevel.checkpoint()
        tree.dump()

    task = None
    gone = anyio.Event()
    async with container:
        with TaskTree(container) as tree:
            async with anyio.create_task_group() as group:
                group.start_soon(parent, name="parent")
            gone.set()
            await task
            tree.dump()
    assert paths(memory)["orphan"] == "child"


async def test_a_dump_while_tasks_are_cancelled_and_end(container):
    async with container:
        with TaskTree(container) as tree:

            async def dumps() -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    found.append(str(tree.dump()))

            found: list[str] = []
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(dumps)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
    assert len(found) == 20


# -- signals


@pytest.mark.parametrize("loop", LOOPS)
def test_a_signal_writes_a_dump_while_a_task_holds_the_loop(loop):
    done = run_program(
        """
        import time
        from fapilog.integrations.task_tree import TaskTree
        from fapilog.sinks.memory import MemorySink
        async def holds():
            await container.logger().info("holding")
            until = time.monotonic() + 0.2
            os.kill(os.getpid(), signal.SIGUSR1)
            while time.monotonic() < until:
                pass
        async def main():
            global container
            before = signal.getsignal(signal.SIGUSR1)
            container = fapilog.AsyncLoggingContainer(sinks=[MemorySink()])
            async with container:
                with TaskTree(container) as tree:
                    tree.dump_on(signal.SIGUSR1)
                    async with anyio.create_task_group() as group:
                        group.start_soon(holds, name="the holder")
                        group.start_soon(anyio.sleep, 0.01, name="the sleeper")
                    print("held", file=sys.stderr)
                    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
                    await anyio.sleep(0.4)
            assert signal.getsignal(signal.SIGUSR1) == before
        run(main)
        """,
        loop,
    )
    assert done.returncode == 0, done.stderr
    during, _, idle = done.stderr.partition("held\n")
    assert "the holder  running" in during and 'INFO "holding"' in during and "the sleeper" in during
    assert "the event loop's thread" in during and "holds" in during.partition("the event loop's thread")[2]
    assert "tasks, and" in idle and "the holder" not in idle
    assert noise(done.stderr) == []


async def test_a_signal_writes_to_the_stream_that_was_chosen(container):
    stream = io.StringIO()
    before = signal.getsignal(signal.SIGUSR2)
    async with container:
        with TaskTree(container) as tree:
            tree.dump_on(signal.SIGUSR2, stream)
            tree.dump_on(signal.SIGUSR2, stream)
            signal.raise_signal(signal.SIGUSR2)
    assert "tasks, and" in stream.getvalue()
    assert signal.getsignal(signal.SIGUSR2) == before


async def test_a_signal_that_comes_while_it_is_answered_is_not_answered_again(container):
    class Stream:
        written: ClassVar[list[str]] = []

        def write(self, text: str) -> None:
            self.written.append(text)
            signal.raise_signal(signal.SIGUSR2)

        def flush(self) -> None:
            pass

    async with container:
        with TaskTree(container) as tree:
            tree.dump_on(signal.SIGUSR2, Stream())
            signal.raise_signal(signal.SIGUSR2)
            signal.raise_signal(signal.SIGUSR2)
    assert len(Stream.written) == 2
    Stream.written.clear()


@on_trio
async def test_a_task_that_has_ended_while_it_is_looked_at_is_not_cancelled(container):
    async with container:
        with TaskTree(container) as tree:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever, name="ends")
                nodes = tree._tasks._nodes
                [task] = [task for task in nodes if task.name == "ends"]
                node = nodes[task]
                group.cancel_scope.cancel()
            nodes[task] = node
            assert not named(tree, "ends").cancelled


def test_a_pipe_that_nobody_reads_holds_a_handler_up_for_a_bounded_time(monkeypatch):
    monkeypatch.setattr("fapilog.integrations._signal_dump._LONGEST_WAIT", 0.05)
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "w") as stream:
            write_at_once(stream, "x" * 1_000_000)
            os.set_blocking(reading, False)
            assert len(os.read(reading, 2_000_000)) < 1_000_000
    finally:
        os.close(reading)


def test_a_stream_that_fails_is_left_alone():
    closed = io.StringIO()
    closed.close()
    write_at_once(closed, "text")


# -- the watch


async def test_a_task_that_holds_the_loop_is_told_with_its_stack(memory, container, monkeypatch):
    looked = threading.Event()
    stack_of = _loop_watch.stack_of

    def looking(thread: int) -> Any:
        found = stack_of(thread)
        if any(frame["function"].endswith("holds") for frame in found):
            looked.set()
        return found

    monkeypatch.setattr(_loop_watch, "stack_of", looking)
    threshold = 0.02

    async def holds() -> None:
        assert looked.wait(20)
        time.sleep(4 * threshold)  # noqa: ASYNC251 - that it holds the loop is what is tested

    async with container:
        with TaskTree(container, held_longer_than=threshold) as tree:
            tree.dump()
            await anyio.lowlevel.checkpoint()
            looked.clear()
            async with anyio.create_task_group() as group:
                group.start_soon(holds, name="holds")
            own = tree.path_of_current_task()
            await until(lambda: container.stats().submitted >= 1)
        assert [name for name in own_threads() if "task tree" in name] == []
    events = [event for event in told(memory, "event loop held") if event.task == "holds"]
    assert len(events) == 1
    [event] = events
    assert event.level == "WARNING" and event.fields["held"] >= threshold
    assert event.context["task_path"] == f"{own}/holds"
    assert any(frame["function"].endswith("holds") for frame in event.fields["stack"])


def test_the_watching_thread_sleeps_while_a_loop_that_says_so_is_idle():
    steps = Steps(0.001, lambda *_: None)
    looks: list[float] = []
    looked = threading.Event()

    def look() -> None:
        looks.append(1)
        looked.set()

    steps.look = look  # type: ignore[method-assign]
    watch = LoopWatch(steps, 0.001)
    steps.wake = watch.wake
    steps.idle = True
    watch.start()
    try:
        assert not looked.wait(0.05)
        while not looked.is_set():
            steps.resume()  # what the thread may not have gone to sleep for yet
    finally:
        watch.stop()


# -- opening and closing


async def test_nothing_stays_after_the_block(container):
    async with container:
        before = container.async_pipeline.intake.quick_thread
        with TaskTree(container, held_longer_than=1, lifecycle="debug", look_every=0.001) as tree:
            assert container.async_pipeline.intake.quick_thread != before
        assert container.async_pipeline.intake.quick_thread == before == threading.get_ident()
        assert container._root._core.observer is None
        with pytest.raises(ContainerStateError, match="inside its block"):
            tree.dump()
        assert tree.path_of_current_task() == ""
        with TaskTree(container):
            pass


async def test_tasks_that_outlive_the_tree_are_followed_no_more(memory, container):
    async def outlives() -> None:
        await container.logger().info("inside")
        await left.wait()
        await container.logger().info("outside")

    left = anyio.Event()
    async with container, anyio.create_task_group() as group:
        with TaskTree(container, lifecycle="info") as tree:
            group.start_soon(outlives, name="outlives")
            await anyio.wait_all_tasks_blocked()
            path = named(tree, "outlives").path
            timer = getattr(tree._tasks, "_timer", None)
        assert timer is None or timer.cancelled()
        left.set()
        group.start_soon(anyio.lowlevel.checkpoint, name="later")
        await anyio.wait_all_tasks_blocked()
    assert paths(memory) == {"task started": path, "inside": path, "outside": None}


async def test_a_container_has_one_task_tree_and_has_to_be_open(container):
    with pytest.raises(ContainerStateError, match="not open"), TaskTree(container):
        pass
    async with container:
        with TaskTree(container), pytest.raises(ContainerStateError, match="already"), TaskTree(container):
            pass
    with pytest.raises(ContainerStateError, match="not open"), TaskTree(container):
        pass


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_threshold_has_to_be_a_time(container, seconds):
    with pytest.raises(ValueError, match="held_longer_than"):
        TaskTree(container, held_longer_than=seconds)
    with pytest.raises(ValueError, match="look_every"):
        TaskTree(container, look_every=seconds)


async def test_two_containers_have_trees_of_their_own(memory):
    other = MemorySink()
    async with AsyncLoggingContainer(sinks=[memory]) as one, AsyncLoggingContainer(sinks=[other]) as two:
        with TaskTree(one), TaskTree(two):
            async with anyio.create_task_group() as group:
                group.start_soon(logs, one, "one", name="one")
                group.start_soon(logs, two, "two", name="two")
            assert paths(memory).keys() <= {"one"}
    assert paths(memory)["one"].endswith("/one") and paths(other)["two"].endswith("/two")


@on_trio
async def test_on_trio_a_task_is_known_that_has_never_logged(container):
    async with container:
        with TaskTree(container) as tree:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever, name="silent")
                assert "silent" in {node.name for node in tree._tasks._nodes.values()}
                group.cancel_scope.cancel()
