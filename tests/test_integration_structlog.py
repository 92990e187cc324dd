"""structlog as a source of events, with the real package."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest
import sniffio
import structlog
from structlog.processors import CallsiteParameter, CallsiteParameterAdder

from fapilog import AsyncLoggingContainer
from fapilog.integrations.structlog import FapilogProcessor
from fapilog.sinks.memory import MemorySink
from logging_tools import opened

pytestmark = pytest.mark.anyio


class Unused:
    """What structlog wraps; it must not be called."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def logger_for(container: AsyncLoggingContainer, *before: Any, wrapped: Any = None, **options: Any) -> Any:
    return structlog.wrap_logger(
        wrapped or Unused(),
        processors=[*before, FapilogProcessor(container, **options)],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )


async def test_an_event() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        log = logger_for(container).bind(region="eu")
        log.info("order %d", 7, total=12.5, items=["a"], tags={"team": "pay"}, metrics={"ms": 1.0}, severity=8)
    (event,) = sink.events
    assert (event.message, event.level, event.logger) == ("order 7", "INFO", "")
    assert event.fields == {"region": "eu", "total": 12.5, "items": ("a",)}
    assert (event.tags, event.metrics, event.severity) == ({"team": "pay"}, {"ms": 1.0}, 8)


async def test_levels() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        log = logger_for(container)
        for name in ("debug", "info", "warning", "warn", "error", "exception", "critical", "fatal"):
            getattr(log, name)(name)
        log.log(logging.WARNING, "by number")
    assert [event.level for event in sink.events] == [
        "DEBUG", "INFO", "WARNING", "WARNING", "ERROR", "ERROR", "CRITICAL", "CRITICAL", "WARNING",
    ]  # fmt: skip


async def test_a_level_in_the_event_dict() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        processor = FapilogProcessor(container, forward=True)
        processor(None, "info", {"event": "a", "level": "WARN"})
        processor(None, "info", {"event": "b", "level": "ours"})
        processor(None, "notice", {"event": "c"})
        processor(None, "info", {})
    warned, ours, notice, empty = sink.events
    assert (warned.level, warned.fields) == ("WARNING", {})
    assert (ours.level, ours.fields) == ("INFO", {"level": "ours"})
    assert (notice.level, notice.context) == ("INFO", {"level_given": "notice"})
    assert notice.tags == {"fapilog.repaired": "level"}
    assert empty.message == ""


async def test_the_containers_levels_hold() -> None:
    sink = MemorySink()
    async with opened(sink, level="WARNING") as container:
        log = logger_for(container)
        log.info("no")
        log.warning("yes")
    assert sink.messages == ("yes",)
    assert container.stats().submitted == 1


async def test_exceptions() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        log = logger_for(container)
        try:
            raise ValueError("broken")
        except ValueError as error:
            log.exception("being handled")
            log.warning("given", exc_info=error)
            log.warning("as a tuple", exc_info=sys.exc_info())
            logger_for(container, structlog.processors.format_exc_info).error("as text", exc_info=True)
        log.info("none", exc_info=True)  # noqa: LOG014 - what is tested
    *told, as_text, none = sink.events
    assert [event.exception["message"] for event in told if event.exception] == ["broken"] * 3
    assert "ValueError: broken" in as_text.fields["exception"]
    assert none.exception is None


async def test_the_call_site_and_the_loggers_name() -> None:
    sink = MemorySink()
    wrapped = logging.getLogger("shop.orders")
    parameters = [CallsiteParameter.PATHNAME, CallsiteParameter.LINENO, CallsiteParameter.FUNC_NAME]
    async with opened(sink) as container:
        adder = CallsiteParameterAdder(parameters)
        log = logger_for(container, structlog.stdlib.add_logger_name, adder, wrapped=wrapped)
        log.info("here")
        line = sys._getframe().f_lineno - 1
    (event,) = sink.events
    assert event.logger == "shop.orders"
    assert event.context["callsite"] == {"file": __file__, "line": line, "function": sys._getframe().f_code.co_name}
    assert event.fields == {}


async def test_context_variables_are_context() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        log = logger_for(container, structlog.contextvars.merge_contextvars)
        with structlog.contextvars.bound_contextvars(request="r-1", user="ann"):
            log.info("inside", user="bob", more=1)
            logger_for(container).info("not merged")
        with container.logger().context(correlation_id="c-1"):
            log.info("ambient")
    inside, other, ambient = sink.events
    assert (inside.context, inside.fields) == ({"request": "r-1"}, {"user": "bob", "more": 1})
    assert (other.context, other.fields) == ({}, {})
    assert ambient.correlation_id == "c-1"


async def test_processors_behind_get_what_goes_on() -> None:
    sink = MemorySink()
    gone_on: list[Any] = []

    def behind(logger: Any, name: str, event_dict: Any) -> Any:
        gone_on.append(dict(event_dict))
        raise structlog.DropEvent

    async with opened(sink) as container:
        log = structlog.wrap_logger(Unused(), processors=[FapilogProcessor(container, forward=True), behind])
        log.info("both", tags={"a": "b"}, exc_info=True, level="info")  # noqa: LOG014 - what is tested
    assert gone_on == [{"event": "both", "tags": {"a": "b"}, "exc_info": True, "level": "info"}]
    assert sink.messages == ("both",)


async def test_odd_values() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError

    called: list[str] = []
    sink = MemorySink()
    async with opened(sink) as container:
        log = logger_for(container)
        log.info(Odd(), odd=Odd(), function=lambda: called.append("called"), logger=Odd())
    (event,) = sink.events
    assert event.message.startswith("<unprintable")
    assert called == []


async def test_threads_and_the_asynchronous_methods() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        log = logger_for(container)
        thread = threading.Thread(target=log.info, args=("from a thread",), name="the thread")
        thread.start()
        await anyio.to_thread.run_sync(thread.join)
        if sniffio.current_async_library() == "asyncio":  # these are for asyncio only
            await log.ainfo("asynchronous")
            await container.flush()
            assert sink.messages[-1] == "asynchronous"
    assert sink.events[0].task == "the thread"
    assert container.stats().balanced


async def test_a_sink_that_logs_by_structlog_does_not_feed_itself() -> None:
    def sink(batch: Any) -> None:
        log.info("sent")

    container = AsyncLoggingContainer(sinks=[sink])
    log = logger_for(container)
    async with container:
        log.info("the only one")
        await container.flush()
    assert container.stats().rejected == {"reentrant": 1}


async def test_after_the_end_nothing_raises() -> None:
    async with opened(MemorySink()) as container:
        log = logger_for(container)
    log.info("late")
    assert container.stats().rejected == {"closed": 1}
