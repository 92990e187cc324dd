"""What an enricher reads in the log call itself."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.to_thread
import pytest

from fapilog import AsyncLoggingContainer, PluginError
from fapilog.sinks.memory import MemorySink

pytestmark = pytest.mark.anyio

ACTIVE: ContextVar[str] = ContextVar("active", default="")


class Reader:
    """Adds what is active at the call."""

    name = "reader"

    def at_call(self) -> Mapping[str, Any] | None:
        return {"active": ACTIVE.get()} if ACTIVE.get() else None


class Both(Reader):
    """Adds something in the call, and something later."""

    def enrich(self, event: Any) -> Mapping[str, Any]:
        return {"later": ACTIVE.get(), "seen": event.context.get("active")}


async def test_it_is_read_where_the_call_is_made() -> None:
    sink = MemorySink()
    async with AsyncLoggingContainer({"callsite": True}, sinks=[sink], enrichers=[Reader()]) as container:
        log = container.logger()

        async def work(name: str) -> None:
            ACTIVE.set(name)
            await anyio.lowlevel.checkpoint()
            log.nowait.info(name)

        def thread() -> None:
            ACTIVE.set("thread")
            log.blocking.info("thread")

        async with anyio.create_task_group() as tasks:
            for name in ("a", "b", "c"):
                tasks.start_soon(work, name)
        worker = threading.Thread(target=thread)
        worker.start()
        await anyio.to_thread.run_sync(worker.join)
        await log.info("")
    assert [event.context.get("active", "") for event in sink.events] == [event.message for event in sink.events]
    assert len(sink.events) == 5
    assert all("callsite" in event.context for event in sink.events)


async def test_an_enricher_may_do_both() -> None:
    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink], enrichers=[Both()]) as container:
        token = ACTIVE.set("now")
        await container.logger().info("hello")
        ACTIVE.reset(token)
    assert sink.events[0].context == {"active": "now", "later": "", "seen": "now"}


async def test_it_is_not_called_below_the_level() -> None:
    calls: list[int] = []

    class Counting:
        def at_call(self) -> None:
            calls.append(1)

    async with AsyncLoggingContainer({"level": "WARNING"}, sinks=[MemorySink()], enrichers=[Counting()]) as container:
        container.logger().nowait.info("no")
        assert calls == []
        container.logger().nowait.warning("yes")
        assert calls == [1]


async def test_one_that_fails_costs_only_what_it_would_have_added(capfd: pytest.CaptureFixture[str]) -> None:
    class Failing:
        name = "failing"

        def at_call(self) -> Mapping[str, Any]:
            raise SystemExit

    sink = MemorySink()
    token = ACTIVE.set("x")
    async with AsyncLoggingContainer(sinks=[sink], enrichers=[Failing(), Reader()]) as container:
        await container.logger().info("hello")
    ACTIVE.reset(token)
    assert sink.events[0].context == {"active": "x"}
    assert container.metrics_collector.snapshot().plugin_errors == {"failing": 1}
    assert "at_call raised SystemExit" in capfd.readouterr().err


async def test_one_that_logs_itself_ends() -> None:
    class Logging:
        def at_call(self) -> None:
            container.logger().nowait.info("inside")

    sink = MemorySink()
    container = AsyncLoggingContainer(sinks=[sink], enrichers=[Logging()])
    async with container:
        await container.logger().info("outer")
    assert sink.messages == ("outer",)
    assert container.stats().rejected == {"reentrant": 1}


async def test_what_it_returns_is_frozen_and_may_be_anything() -> None:
    class Odd:
        def at_call(self) -> Any:
            return [1, 2]

    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink], enrichers=[Odd()]) as container:
        await container.logger().info("outer")
    assert sink.events[0].context == {"value": (1, 2)}


class Asynchronous:
    async def at_call(self) -> None: ...


class WithArgument:
    def at_call(self, event: Any) -> None: ...


@pytest.mark.parametrize(
    ("enricher", "problem"),
    [(Asynchronous(), "at_call is asynchronous"), (WithArgument(), "cannot be called as at_call()")],
)
def test_a_wrong_shape_is_told_before_the_start(enricher: Any, problem: str) -> None:
    with pytest.raises(PluginError) as caught:
        AsyncLoggingContainer(sinks=[MemorySink()], enrichers=[enricher])
    assert problem in str(caught.value)
