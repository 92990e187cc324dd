"""WriterThread: blocking calls run in a daemon thread of the container's own, one at a time, each with a deadline."""

from __future__ import annotations

import contextvars
import errno
import fcntl
import os
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from fapilog import PluginMetadata, PluginType, container
from fapilog.formats.json import JsonFormatter
from fapilog.pipeline.backend import current_backend
from fapilog.pipeline.host import PluginCrash, PluginTimeout, StillRunning
from fapilog.pipeline.threads import WriterThread
from fapilog.plugins import Batch, PlainWrite
from support import SyncSink, own_threads, raiser, run_program, until

pytestmark = pytest.mark.anyio

mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="outside")


def make(*, plain_writes: bool = False) -> WriterThread:
    context = contextvars.copy_context()
    context.run(mark.set, "in the plugin")
    return WriterThread("plugin", current_backend(), context, plain_writes=plain_writes)


@pytest.fixture
async def thread() -> AsyncIterator[WriterThread]:
    """Return a running thread that has to end after the test."""
    made = make()
    made.start()
    yield made
    made.stop()
    assert await made.join(5)
    assert own_threads() == []


async def test_it_returns_what_the_function_returns(thread: WriterThread) -> None:
    assert await thread.call(divmod, 7, 2, timeout=5) == (3, 1)


async def test_it_raises_what_the_function_raises(thread: WriterThread) -> None:
    error = ValueError("x")
    with pytest.raises(ValueError) as caught:
        await thread.call(raiser(error), timeout=5)
    assert caught.value is error
    assert await thread.call(int, "7", timeout=5) == 7


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
async def test_a_base_exception_becomes_a_crash_and_the_thread_goes_on(
    thread: WriterThread, error: BaseException
) -> None:
    with pytest.raises(PluginCrash) as caught:
        await thread.call(raiser(error), timeout=5)
    assert caught.value.__cause__ is error
    assert await thread.call(int, "7", timeout=5) == 7


async def test_all_calls_run_in_one_daemon_thread_and_in_the_plugins_context(thread: WriterThread) -> None:
    def look() -> tuple[int, str, bool, str]:
        here = threading.current_thread()
        return threading.get_ident(), here.name, here.daemon, mark.get()

    seen = {await thread.call(look, timeout=5) for _ in range(3)}
    [(identity, name, daemon, marked)] = seen
    assert identity != threading.get_ident()
    assert (name, daemon, marked) == ("fapilog plugin", True, "in the plugin")


async def test_the_loop_goes_on_while_the_thread_blocks(thread: WriterThread) -> None:
    """The function waits for what another task of the loop does."""
    release = threading.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, release.set)
        assert await thread.call(release.wait, 5, timeout=5)


async def test_a_call_that_takes_too_long_is_left_and_the_next_ones_are_not_begun(thread: WriterThread) -> None:
    release = threading.Event()
    began: list[int] = []
    try:
        with pytest.raises(PluginTimeout) as caught:
            await thread.call(release.wait, timeout=0.01)
        assert caught.value.still_running
        for number in range(3):
            with pytest.raises(StillRunning):
                await thread.call(began.append, number, timeout=0)
    finally:
        release.set()
    await thread.call(began.append, 7, timeout=5)
    assert began == [7]


async def test_a_cancelled_call_goes_on_in_its_thread(thread: WriterThread) -> None:
    release, ended = threading.Event(), threading.Event()

    def wait() -> None:
        release.wait()
        ended.set()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: thread.call(wait, timeout=60))
            await until(lambda: not thread._jobs.qsize())
            scope.cancel()
    assert not ended.is_set()
    release.set()
    await thread.call(int, timeout=5)
    assert ended.is_set()


async def test_join_waits_for_a_stuck_thread_no_longer_than_it_is_told() -> None:
    thread, release = make(), threading.Event()
    thread.start()
    with pytest.raises(PluginTimeout):
        await thread.call(release.wait, timeout=0)
    thread.stop()
    with anyio.fail_after(5):
        assert not await thread.join(0.01)
    with anyio.move_on_after(0.01) as scope:
        await thread.join(3600)
    assert scope.cancelled_caught
    release.set()
    assert await thread.join(5)


async def test_one_that_was_never_started_has_ended_when_it_is_stopped() -> None:
    thread = make()
    thread.stop()
    assert await thread.join(0)


async def test_th4_the_applications_own_threads_do_not_hold_it_up(thread: WriterThread) -> None:
    release = threading.Event()
    limiter = anyio.to_thread.current_default_thread_limiter()
    async with anyio.create_task_group() as group:
        for _ in range(int(limiter.total_tokens)):
            group.start_soon(anyio.to_thread.run_sync, release.wait)
        await until(lambda: limiter.available_tokens == 0)
        try:
            assert await thread.call(int, "7", timeout=5) == 7
        finally:
            release.set()


# Plain writes


class Written:
    """A pipe of 4 KiB that does not block, and plain writes to it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(self.writer, False)
        self.failures: list[tuple[int, int, str]] = []

    def write(self, payload: bytes, patience: float = 60.0) -> PlainWrite:
        return PlainWrite(self.writer, payload, patience, self.failed)

    def failed(self, position: int, error: int) -> None:
        self.failures.append((position, error, mark.get()))
        raise OSError(error, "x")

    def read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size and (piece := os.read(self.reader, size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def close_reader(self) -> None:
        os.close(self.reader)
        self.reader = -1


@pytest.fixture
def pipe() -> Iterator[Written]:
    pipe = Written()
    yield pipe
    os.close(pipe.writer)
    if pipe.reader >= 0:
        pipe.close_reader()


@pytest.fixture
async def writer() -> AsyncIterator[WriterThread]:
    """Return a running thread that makes plain writes and has to end after the test, and its descriptor with it."""
    made = make(plain_writes=True)
    if not made.writes_plainly:
        pytest.skip("plain writes need the accelerator, on Linux")
    descriptor = made._writes.fileno()
    made.start()
    yield made
    made.stop()
    assert await made.join(5)
    assert own_threads() == []
    with pytest.raises(OSError):
        os.fstat(descriptor)


async def test_plain_writes_and_calls_follow_each_other(writer: WriterThread, pipe: Written) -> None:
    for number in range(50):
        await writer.write(pipe.write(b"%02d" % number), timeout=5)
        assert await writer.call(int, "7", timeout=5) == 7
        assert pipe.read(2) == b"%02d" % number
    assert pipe.failures == []


async def test_a_write_that_need_not_wait_is_made_at_once(writer: WriterThread, pipe: Written) -> None:
    assert writer.write_at_once(pipe.write(b"at once")._replace(at_once=True)) == 7
    assert pipe.read(7) == b"at once"
    assert writer.write_at_once(pipe.write(b"in the thread")) == 0
    assert writer.write_at_once(pipe.write(b"x" * 4096)._replace(at_once=True)) == 4096
    assert writer.write_at_once(pipe.write(b"y")._replace(at_once=True)) == 0, "it is full"
    assert pipe.read(4096) == b"x" * 4096
    pipe.close_reader()
    assert writer.write_at_once(pipe.write(b"z")._replace(at_once=True)) == 0, "its reader is gone"
    assert pipe.failures == [], "that is for the thread to find"


async def test_a_long_write_is_made_at_once_only_if_all_of_it_has_room(writer: WriterThread, pipe: Written) -> None:
    fcntl.fcntl(pipe.writer, fcntl.F_SETPIPE_SZ, 65536)
    long = bytes(range(256)) * 256
    assert writer.write_at_once(pipe.write(long)._replace(at_once=True)) == 65536
    assert pipe.read(65536) == long
    assert writer.write_at_once(pipe.write(long + b"x")._replace(at_once=True)) == 0
    assert writer.write_at_once(pipe.write(b"unread")._replace(at_once=True)) == 6
    assert writer.write_at_once(pipe.write(long[:4097])._replace(at_once=True)) == 0
    assert writer.write_at_once(pipe.write(long[:4096])._replace(at_once=True)) == 4096
    assert pipe.read(6 + 4096) == b"unread" + long[:4096]


async def test_nothing_is_written_at_once_while_the_thread_is_busy(writer: WriterThread, pipe: Written) -> None:
    begun, release = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        release.wait(5)

    async with anyio.create_task_group() as group:

        async def call() -> None:
            await writer.call(hold, timeout=5)

        group.start_soon(call)
        await until(begun.is_set)
        assert writer.write_at_once(pipe.write(b"before")._replace(at_once=True)) == 0
        release.set()
    assert writer.write_at_once(pipe.write(b"after")._replace(at_once=True)) == 5
    assert pipe.read(5) == b"after"


async def test_a_plain_write_waits_for_its_reader_and_the_loop_goes_on(writer: WriterThread, pipe: Written) -> None:
    payload = bytes(range(256)) * 100
    found: list[bytes] = []
    async with anyio.create_task_group() as group:

        async def read() -> None:
            found.append(await anyio.to_thread.run_sync(pipe.read, len(payload)))

        group.start_soon(read)
        await writer.write(pipe.write(payload), timeout=5)
    assert found == [payload]


async def test_a_plain_write_whose_reader_is_gone_fails_in_the_thread(writer: WriterThread, pipe: Written) -> None:
    pipe.close_reader()
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            await writer.write(pipe.write(b"x"), timeout=5)
    assert pipe.failures == [(0, errno.EPIPE, "in the plugin")] * 2


async def test_a_plain_write_has_patience_with_its_reader_once_in_all(writer: WriterThread, pipe: Written) -> None:
    with pytest.raises(TimeoutError):
        await writer.write(pipe.write(bytes(5000), patience=0.01), timeout=5)
    assert pipe.failures == [(4096, errno.ETIMEDOUT, "in the plugin")]
    assert pipe.read(4096) == bytes(4096)
    await writer.write(pipe.write(b"more"), timeout=5)
    assert pipe.read(4) == b"more"


async def test_after_a_plain_write_that_takes_too_long_nothing_is_begun(writer: WriterThread, pipe: Written) -> None:
    began: list[int] = []
    with pytest.raises(PluginTimeout) as caught:
        await writer.write(pipe.write(bytes(5000)), timeout=0.01)
    assert caught.value.still_running
    for number in range(3):
        with pytest.raises(StillRunning):
            await writer.write(pipe.write(b"too soon"), timeout=0)
        with pytest.raises(StillRunning):
            await writer.call(began.append, number, timeout=0)
    assert await anyio.to_thread.run_sync(pipe.read, 5000) == bytes(5000)
    await writer.call(began.append, 7, timeout=5)
    assert began == [7]


async def test_a_cancelled_plain_write_goes_on_and_its_failure_is_not_lost(writer: WriterThread, pipe: Written) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: writer.write(pipe.write(bytes(5000)), timeout=60))
            await anyio.wait_readable(pipe.reader)
            scope.cancel()
    assert pipe.failures == []
    with pytest.raises(StillRunning):
        await writer.call(int, timeout=0)
    pipe.close_reader()
    assert await writer.call(int, timeout=5) == 0
    assert pipe.failures == [(4096, errno.EPIPE, "in the plugin")]


async def test_a_thread_asked_to_stop_ends_its_plain_write_first(pipe: Written) -> None:
    thread = make(plain_writes=True)
    if not thread.writes_plainly:
        pytest.skip("plain writes need the accelerator, on Linux")
    thread.start()
    with pytest.raises(PluginTimeout):
        await thread.write(pipe.write(bytes(5000)), timeout=0)
    thread.stop()
    assert not await thread.join(0.01)
    assert await anyio.to_thread.run_sync(pipe.read, 5000) == bytes(5000)
    assert await thread.join(5)


# What a sink gets


class PreparedSink:
    """A sink that says in which format it writes, and looks whether it finds its batch encoded."""

    metadata = PluginMetadata("prepared", "1", PluginType.SINK)

    def __init__(self, payload_format: object) -> None:
        self.payload_format = payload_format
        self.threads: list[int] = []

    def write(self, batch: Batch) -> None:
        batch.encoded("json")


async def test_a_batch_is_encoded_before_the_sinks_thread_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding: list[int] = []
    format_batch = JsonFormatter.format_batch

    def observed(self: JsonFormatter, items: Any, first: int) -> bytes:
        encoding.append(threading.get_ident())
        return format_batch(self, items, first)

    monkeypatch.setattr(JsonFormatter, "format_batch", observed)
    async with container(sinks=[PreparedSink("json")]) as log:
        await log.info("a")
    assert encoding == [threading.get_ident()]
    report = log.container.report
    assert report is not None
    assert report.sinks["prepared"].delivered == 1


async def test_a_format_that_does_not_exist_fails_the_write_and_nothing_else() -> None:
    sink = PreparedSink("none")
    async with container(sinks=[sink]) as log:
        await log.info("a")
    report = log.container.report
    assert report is not None
    assert report.sinks["prepared"].failed == {"sink_error": 1}
    assert report.complete


async def test_a_sinks_calls_all_run_in_its_own_thread() -> None:
    one, two = SyncSink("one"), SyncSink("two")
    async with container(sinks=[one, two]) as log:
        await log.info("a")
        await log.flush()
    assert (one.threads, two.threads) == ({"fapilog one"}, {"fapilog two"})
    assert one.calls == ["start", "write", "flush", "flush", "aclose"]
    assert own_threads() == []


@pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])
class TestPrograms:
    def test_th3_a_thread_that_outlives_its_loop_ends_quietly(self, loop: str) -> None:
        body = """
        import contextvars
        from fapilog.pipeline.backend import current_backend
        from fapilog.pipeline.threads import WriterThread

        release = threading.Event()
        made = []

        async def main():
            thread = WriterThread("plugin", current_backend(), contextvars.copy_context())
            thread.start()
            made.append(thread)
            try:
                await thread.call(release.wait, timeout=0)
            except Exception as error:
                print(type(error).__name__, flush=True)

        run(main)
        release.set()
        made[0]._thread.join(5)
        print(made[0]._thread.is_alive(), flush=True)
        """
        ended = run_program(body, loop)
        assert (ended.stdout, ended.stderr) == ("PluginTimeout\nFalse\n", "")

    def test_th3_threads_that_log_while_the_loop_closes(self, loop: str) -> None:
        """Every call says whether its event was accepted, and what was accepted was delivered; none raises."""
        body = """
        import sys
        sys.setswitchinterval(1e-5)
        errors, accepted, calls = [], [], []

        def flood(log, stop, number):
            count = took = 0
            try:
                while not stop.is_set():
                    count += 1
                    took += log.nowait.info("x")
                    count += 1
                    took += log.blocking.info("x")
            except BaseException as error:
                errors.append(error)
            accepted.append(took)
            calls.append(count)

        async def once(stop, threads):
            sink = DirectSink()
            async with fapilog.container({"queue_max_size": 50, "block_timeout": 0.01}, sinks=[sink]) as log:
                for number in range(4):
                    thread = threading.Thread(target=flood, args=(log, stop, number))
                    thread.start()
                    threads.append(thread)
                for _ in range(20):
                    await anyio.lowlevel.checkpoint()
            return log.container, sink

        for _ in range(30):
            accepted.clear(), calls.clear()
            stop, threads = threading.Event(), []
            container, sink = anyio.run(once, stop, threads, **OPTIONS)
            stop.set()
            for thread in threads:
                thread.join()
            assert not errors, errors
            stats = container.stats()
            messages = [message for message in sink.messages if message == "x"]
            assert len(messages) == sum(accepted), (len(messages), sum(accepted), stats)
            assert stats.submitted == sum(calls) and stats.balanced and stats.in_flight == 0, stats
        print("ok")
        """
        options = {"backend": loop.partition("+")[0]}
        if loop != "trio":
            options["backend_options"] = {"use_uvloop": "uvloop" in loop}  # type: ignore[assignment]
        ended = run_program(f"import anyio.lowlevel\nOPTIONS = {options!r}\n" + textwrap.dedent(body), loop)
        assert ended.stdout == "ok\n", ended.stderr

    def test_pr12_a_daemon_thread_that_logs_while_the_interpreter_exits(self, loop: str) -> None:
        body = """
        def flood(log):
            while True:
                log.nowait.info("x")
                log.blocking.info("x")

        async def main():
            async with fapilog.container(sinks=[SyncSink()]) as log:
                for _ in range(3):
                    threading.Thread(target=flood, args=(log,), daemon=True).start()
                await log.info("a")
            print(log.container.report.balanced, flush=True)

        run(main)
        raise SystemExit(5)
        """
        ended = run_program(body, loop)
        assert (ended.returncode, ended.stdout) == (5, "True\n"), ended.stderr
