"""Code around a container that does what it should not: loops beside loops, containers left behind, hostile plugins."""

from __future__ import annotations

import ast
import gc
import json
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs
import pytest

import fapilog
from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.pipeline.intake import Intake
from sinks import RecordingSink
from support import LOOPS, SOURCE, AsyncSink, DirectSink, SyncSink, account, noise, own_threads, run_program, until

pytestmark = pytest.mark.anyio


# -- the event loop is held


async def test_sk6_a_sink_that_holds_the_loop_is_named_and_loses_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    sink = DirectSink("busy", write=lambda: time.sleep(0.15))
    container = AsyncLoggingContainer(sinks=[sink])
    async with container:
        await container.logger().info("a")
    assert account(container).sinks["busy"].delivered == 1
    assert "write of 'busy' held the event loop for 0.1" in capfd.readouterr().err


@pytest.mark.parametrize("held", [False, True])
async def test_ov10_a_loop_that_the_application_holds_while_threads_log_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], held: bool
) -> None:
    monkeypatch.setattr("fapilog.pipeline.door.LONG_LAG", 0.2)
    sink = RecordingSink()
    container = AsyncLoggingContainer(sinks=[sink])
    async with container:
        log = container.logger()
        answers: list[bool] = []
        thread = threading.Thread(target=lambda: answers.extend(log.blocking.info("thread") for _ in range(50)))
        thread.start()
        if held:
            time.sleep(0.3)  # noqa: ASYNC251 - this is what it must not do
        await anyio.to_thread.run_sync(thread.join)
        await log.flush()
    assert answers == [True] * 50
    assert sink.messages == ["thread"] * 50
    account(container)
    assert ("the event loop was held for 0." in capfd.readouterr().err) == held


# -- waiters and interrupts


@pytest.mark.parametrize("method", ["make_room_in_chunk", "has_room_for_thread"])
async def test_cx9_an_interrupt_while_room_is_given_to_waiting_threads_loses_none_of_them(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """It strikes before the second of three gets in."""
    sink = RecordingSink()
    container = AsyncLoggingContainer({"batch_linger": 0, "block_timeout": 20, "shutdown_timeout": 30}, sinks=[sink])
    async with container:
        intake, log = container.async_pipeline.intake, container.logger().blocking
        real, calls = getattr(Intake, method), 0
        with monkeypatch.context() as full:
            full.setattr(Intake, "depth", lambda self: 10**6)
            threads = [threading.Thread(target=log.info, args=(f"{number}",)) for number in range(3)]
            for number, thread in enumerate(threads):
                thread.start()
                await until(lambda number=number: len(intake.door._waiters) == number + 1)

        def interrupted(self: Intake, *given: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return real(self, *given)

        monkeypatch.setattr(Intake, method, interrupted)
        with pytest.raises(KeyboardInterrupt):
            intake.door.serve_waiters()
        assert len(intake.door._waiters) == 2
        monkeypatch.setattr(Intake, method, real)
        intake.door.serve_waiters()
        for thread in threads:
            await anyio.to_thread.run_sync(thread.join)
    assert sink.messages == ["0", "1", "2"]
    assert account(container).dropped == {}


async def test_cx9_an_interrupt_while_room_is_given_to_waiting_callers_loses_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = RecordingSink()
    container = AsyncLoggingContainer({"batch_linger": 0, "block_timeout": 20, "shutdown_timeout": 30}, sinks=[sink])
    async with container:
        intake, log = container.async_pipeline.intake, container.logger()
        real, calls = Intake.make_room_in_chunk, 0

        def interrupted(self: Intake) -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            real(self)

        async with anyio.create_task_group() as group:
            with monkeypatch.context() as full:
                full.setattr(Intake, "depth", lambda self: 10**6)
                full.setattr(intake, "quick_thread", -1)  # every call asks for it
                for number in range(3):
                    group.start_soon(_log, log, f"{number}")
                await until(lambda: len(intake._waiting.waiters) == 3)
            waiting = [waiter.record[2] for waiter in intake._waiting.waiters]  # Trio starts tasks in any order
            monkeypatch.setattr(Intake, "make_room_in_chunk", interrupted)
            with pytest.raises(KeyboardInterrupt):
                intake._waiting.serve()
            assert len(intake._waiting.waiters) == 2
            monkeypatch.setattr(Intake, "make_room_in_chunk", real)
            intake._waiting.serve()
            intake.wake_worker()
    assert sink.messages == waiting
    assert account(container).dropped == {}


async def _log(log: fapilog.AsyncLogger, message: str) -> None:
    assert await log.info(message)


# -- loops beside loops, and containers left behind


@pytest.mark.parametrize("inner", ["asyncio", "trio"])
async def test_cx13_loops_in_threads_and_their_containers_keep_their_events_apart(inner: str) -> None:
    """A logger of the outer loop's is used in the inner loop as a thread's, and the other way round."""
    outer_sink, inner_sink = RecordingSink("outer"), RecordingSink("inner")
    outer = AsyncLoggingContainer(sinks=[outer_sink])
    inside = AsyncLoggingContainer(sinks=[inner_sink])

    async def main() -> None:
        async with inside:
            for number in range(20):
                await inside.logger().info(f"inner {number}")
                await outer.logger().info(f"outer {number}")
                assert fapilog.current_logger().container is inside

    async with outer:
        await anyio.to_thread.run_sync(lambda: anyio.run(main, backend=inner))
        assert not inside.logger().nowait.info("its loop has ended")
        assert fapilog.current_logger().container is outer
    assert outer_sink.messages == [f"outer {number}" for number in range(20)]
    assert inner_sink.messages == [f"inner {number}" for number in range(20)]
    account(outer)
    assert account(inside).balanced


@pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop"])
def test_cx18_a_container_that_is_never_left_warns_once(loop: str) -> None:
    """On Trio a task group that is not left has undefined behaviour."""
    body = """
    import gc
    async def main():
        container = fapilog.AsyncLoggingContainer(sinks=[AsyncSink()])
        await container.__aenter__()
        await container.logger().info("a")
        del container
    run(main)
    gc.collect()
    """
    ended = run_program(body, loop)
    assert ended.returncode == 0
    assert ended.stderr.count("was entered and never left") == 1


def test_cx18_a_container_that_was_never_entered_or_was_left_warns_of_nothing() -> None:
    async def main() -> None:
        async with AsyncLoggingContainer(sinks=[AsyncSink()]):
            pass

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        anyio.run(main)
        AsyncLoggingContainer(sinks=[AsyncSink()])
        gc.collect()
    assert [str(warning.message) for warning in caught if "never left" in str(warning.message)] == []


# -- hostile plugins


async def test_pl7_a_plugin_that_leaks_tasks_and_threads_costs_the_container_nothing() -> None:
    release = threading.Event()
    leaked: list[threading.Thread] = []

    def leak(event: LogEvent) -> None:
        thread = threading.Thread(target=release.wait, daemon=True)
        thread.start()
        leaked.append(thread)

    sink = RecordingSink()
    container = AsyncLoggingContainer(sinks=[sink, SyncSink("other")], enrichers=[leak])
    try:
        async with container:
            for number in range(5):
                await container.logger().info("a", number=number)
        assert sink.values("number") == [0, 1, 2, 3, 4]
        assert account(container).complete
        assert own_threads() == []
        assert len(leaked) == 5
    finally:
        release.set()


@pytest.mark.parametrize("where", ["sink", "enricher"])
async def test_pl7_cx12_a_plugin_that_closes_the_container_does_not_wait_for_itself(where: str) -> None:
    async def close(*given: Any) -> None:
        await container.aclose()
        closed.append(True)

    closed: list[bool] = []
    sink = RecordingSink()
    plugins: dict[str, Any] = {"sinks": [sink, close]} if where == "sink" else {"sinks": [sink], "enrichers": [close]}
    container = AsyncLoggingContainer(**plugins)
    async with container:
        for _ in range(3):
            assert await container.logger().info("a")
        await until(lambda: closed)
        assert not container.logger().nowait.info("late")
    assert sink.messages == ["a"] * 3
    report = account(container)
    assert report.complete
    assert report.elapsed < 3


async def test_pl10_a_plugin_cannot_change_the_settings_or_what_was_redacted() -> None:
    seen: list[str] = []

    def redact(event: LogEvent) -> None:
        event.fields = dict.fromkeys(event.fields, "***")

    async def write(batch: Any) -> None:
        for event in batch.events:
            for name, value in (("message", "changed"), ("fields", {"secret": "canary"})):
                try:
                    setattr(event, name, value)
                except Exception as error:
                    seen.append(type(error).__name__)
            for change in (lambda: container.settings.__setattr__("redactors", []), event.fields.clear):
                try:
                    change()
                except Exception as error:
                    seen.append(type(error).__name__)

    sink = RecordingSink()
    container = AsyncLoggingContainer(sinks=[write, sink], redactors=[redact])
    async with container:
        await container.logger().info("a", secret="canary")
    account(container)
    assert len(seen) == 4
    assert sink.messages == ["a"]
    assert sink.values("secret") == ["***"]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        container.settings.level = "DEBUG"  # type: ignore[misc]


async def test_se8_names_in_a_users_data_control_nothing(tmp_path: Path) -> None:
    """There is no marker in an event that switches anything off: what a caller passes is data."""
    marks = {
        "_fapilog_unsafe": True, "__fapilog_redacted__": True, "_sealed": False, "level": "DEBUG", "timestamp": 0,
        "sequence": -1, "logger": "x", "container": "x", "message": "x", "redactors": [], "context": {"a": 1},
    }  # fmt: skip

    def redact(event: LogEvent) -> None:
        event.fields = {**event.fields, "secret": "***"}

    path = tmp_path / "out.log"
    settings = {"sinks": ["file"], "plugin_config": {"file": {"path": str(path)}}}
    container = AsyncLoggingContainer(settings, redactors=[redact])
    async with container:
        await container.logger().info("mine", secret="canary", **{k: v for k, v in marks.items() if k != "message"})
        await container.logger().warning("again", message="x", secret="canary")
    account(container)
    first, second = map(json.loads, path.read_text().splitlines())
    assert "canary" not in path.read_text()
    assert (first["message"], first["level"], first["sequence"], first["container"]) == (
        "mine", "INFO", 1, container.container_id,
    )  # fmt: skip
    assert (second["message"], second["level"], second["fields"]["message"]) == ("again", "WARNING", "x")


# -- the source


FORBIDDEN = {"pickle", "marshal", "shelve", "yaml", "dill", "cloudpickle", "jsonpickle", "eval", "exec", "compile"}


def test_se15_nothing_in_the_source_reads_what_could_run() -> None:
    found: list[str] = []
    for path in Path(SOURCE, "fapilog").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = {(node.module or "").partition(".")[0]}
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                names = {node.func.id}
            else:
                continue
            found += [f"{path.name}:{node.lineno} {name}" for name in names & FORBIDDEN]
    assert found == []


@pytest.mark.parametrize("loop", LOOPS)
def test_se20_a_program_that_logs_connects_to_nothing_and_shows_nothing_of_its_environment(loop: str) -> None:
    """Audited in the interpreter: what a C library did by itself would not be seen."""
    body = """
    os.environ["CANARY_TOKEN"] = "canary-in-the-environment"
    touched = []
    def audit(event, arguments):
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen"):
            touched.append((event, str(arguments)))
    sys.addaudithook(audit)
    async def main():
        async with fapilog.container({"sinks": ["stdout"]}) as log:
            await log.info("a")
            try:
                raise ValueError("b")
            except ValueError:
                await log.exception("c")
    run(main)
    assert touched == [], touched
    """
    ended = run_program(body, loop)
    assert ended.returncode == 0, ended.stderr
    assert noise(ended.stderr) == []
    assert "canary" not in ended.stdout + ended.stderr
    assert len(ended.stdout.splitlines()) >= 2


# -- an interpreter without the lock


@pytest.mark.skipif(
    getattr(sys, "_is_gil_enabled", lambda: True)(), reason="needs a free-threaded interpreter, which this is not"
)
async def test_th10_without_the_interpreters_lock_threads_are_counted_exactly() -> None:
    container = AsyncLoggingContainer({"queue_max_size": 100}, sinks=[RecordingSink()])

    def log_much() -> None:
        for _ in range(20_000):
            container.logger().nowait.info("x")

    async with container:
        threads = [threading.Thread(target=log_much) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await anyio.to_thread.run_sync(thread.join)
    assert account(container).submitted == 160_000


@pytest.mark.virtual_time
@pytest.mark.parametrize("anyio_backend", ["trio-virtual"], indirect=True, scope="function")
async def test_sk5_a_sink_that_swallows_everything_in_a_nursery_is_asked_to_leave_it_so_often_and_no_more() -> None:
    swallowed = 0
    gate = anyio.Event()

    async def write() -> None:
        nonlocal swallowed
        async with anyio.create_task_group():
            while not gate.is_set():
                try:
                    with anyio.CancelScope(shield=True):
                        await gate.wait()
                except BaseException:
                    swallowed += 1

    settings = {"shutdown_timeout": 1, "on_incomplete": "ignore"}
    async with AsyncLoggingContainer(settings, sinks=[AsyncSink("bad", write=write)]) as container:
        await container.logger().info("a")
        began = anyio.current_time()
    assert anyio.current_time() - began < 2.5
    assert 0 < swallowed < 250
    assert account(container).sinks["bad"].abandoned == {"deadline": 1}
    gate.set()  # or Trio would wait for it for ever
