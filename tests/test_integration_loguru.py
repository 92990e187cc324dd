"""Loguru as a source of events, with the real package."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest
from loguru import logger as loguru_logger

from fapilog import AsyncLoggingContainer
from fapilog.integrations.loguru import LoguruSink, capture_loguru
from fapilog.sinks.memory import MemorySink
from logging_tools import opened

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Take Loguru's own handler out, which would write to the standard error."""
    loguru_logger.remove()
    yield
    assert not loguru_logger._core.handlers  # type: ignore[attr-defined]


async def test_a_record_is_an_event() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_loguru(container):
            bound = loguru_logger.bind(region="eu", tags={"team": "pay"}, severity=8)
            bound.info("order {} of {name}", 7, name="Ada")
            line = sys._getframe().f_lineno - 1
            with loguru_logger.contextualize(request="r-1"), container.logger().context(correlation_id="c-1"):
                loguru_logger.info("inside")
        loguru_logger.info("after")
    order, inside = sink.events
    assert (order.message, order.level, order.logger) == ("order 7 of Ada", "INFO", __name__)
    assert order.fields == {"region": "eu", "name": "Ada"}
    assert (order.tags, order.severity) == ({"team": "pay"}, 8)
    site = order.context["callsite"]
    assert (site["file"], site["line"], site["function"]) == (__file__, line, "test_a_record_is_an_event")
    assert (inside.fields, inside.correlation_id) == ({"request": "r-1"}, "c-1")


async def test_levels() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_loguru(container):
            for name in ("trace", "debug", "info", "success", "warning", "error", "critical"):
                getattr(loguru_logger, name)(name)
            loguru_logger.log(38, "by number")
    assert [event.level for event in sink.events] == [
        "DEBUG", "DEBUG", "INFO", "INFO", "WARNING", "ERROR", "CRITICAL", "WARNING",
    ]  # fmt: skip
    told = {event.message: event.fields for event in sink.events if event.fields}
    assert told == {
        "trace": {"levelno": 5, "levelname": "TRACE"},
        "success": {"levelno": 25, "levelname": "SUCCESS"},
        "by number": {"levelno": 38, "levelname": "Level 38"},
    }


async def test_both_sides_levels_hold() -> None:
    sink = MemorySink()
    async with opened(sink, levels={__name__: "WARNING"}) as container:
        with capture_loguru(container, level="INFO"):
            loguru_logger.debug("no")
            loguru_logger.info("no")
            loguru_logger.warning("yes")
    assert sink.messages == ("yes",)


async def test_exceptions() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_loguru(container):
            try:
                raise ValueError("broken")
            except ValueError as error:
                loguru_logger.exception("being handled")
                loguru_logger.opt(exception=error).warning("given")
            with loguru_logger.catch(message="caught"):
                raise KeyError("key")
    assert [(event.exception or {}).get("type") for event in sink.events] == ["ValueError", "ValueError", "KeyError"]
    assert sink.messages[-1] == "caught"


async def test_loguru_shows_no_variables_for_a_text_that_nobody_reads() -> None:
    asked: list[str] = []

    class Costly:
        def __repr__(self) -> str:
            asked.append("asked")
            return "costly"

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_loguru(container):
            try:
                Costly() + 1  # type: ignore[operator]
            except TypeError:
                loguru_logger.exception("failed")
            try:
                local = Costly()
                local.missing  # type: ignore[attr-defined]  # noqa: B018 - it is to fail
            except AttributeError:
                loguru_logger.exception("failed")
    assert asked == []  # diagnose would show the value of each name


@pytest.mark.parametrize("enqueue", [False, True])
async def test_the_thread_that_logged(enqueue: bool) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_loguru(container, enqueue=enqueue):
            thread = threading.Thread(target=loguru_logger.info, args=("hello",), name="the thread")
            thread.start()
            await anyio.to_thread.run_sync(thread.join)
            await anyio.to_thread.run_sync(loguru_logger.complete)
    (event,) = sink.events
    assert event.task == "the thread"


async def test_a_sink_that_logs_by_loguru_does_not_feed_itself() -> None:
    def sink(batch: Any) -> None:
        loguru_logger.info("sent")

    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with capture_loguru(container):
            loguru_logger.info("the only one")
            await container.flush()
    assert container.stats().rejected == {"reentrant": 1}


async def test_it_may_be_added_by_hand_and_removed_by_others(capfd: pytest.CaptureFixture[str]) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        loguru_logger.add(LoguruSink(container))
        loguru_logger.info("by hand")
        with capture_loguru(container, logger=loguru_logger):
            loguru_logger.remove()
        with pytest.raises(ValueError, match="LOUD"), capture_loguru(container, level="LOUD"):
            pass
    assert sink.messages == ("by hand",)
    assert capfd.readouterr().err == ""


async def test_odd_values() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_loguru(container):
            loguru_logger.bind(odd=Odd(), function=lambda: "called").info("odd")
            loguru_logger.error("as elsewhere", exc_info=ValueError("given"))
    odd, elsewhere = sink.events
    assert odd.fields["odd"].startswith("<unprintable")
    assert "function" in odd.fields["function"] or "lambda" in odd.fields["function"]
    assert elsewhere.exception is not None and elsewhere.exception["message"] == "given"


async def test_after_the_end_nothing_raises(capfd: pytest.CaptureFixture[str]) -> None:
    container = opened(MemorySink())
    with capture_loguru(container):
        async with container:
            pass
        loguru_logger.info("late")
    assert container.stats().rejected == {"closed": 1}
    assert capfd.readouterr().err == ""
