"""The standard library's logging as a source of events."""

from __future__ import annotations

import logging
import threading
from typing import Any

import anyio
import pytest

from fapilog import AsyncLoggingContainer
from fapilog.integrations.stdlib import FapilogHandler, capture_logging
from fapilog.sinks.memory import MemoryConfig, MemorySink
from logging_tools import NAME, opened
from logging_tools import apart_logger as apart_logger

pytestmark = pytest.mark.anyio


async def test_a_record_is_an_event(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info("order %d of %s", 7, "Ada", extra={"total": 12.5, "items": ["a", "b"]})
    (event,) = sink.events
    assert (event.message, event.level, event.logger) == ("order 7 of Ada", "INFO", NAME)
    assert event.fields == {"total": 12.5, "items": ("a", "b")}
    assert event.exception is None


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (1, "DEBUG"),
        (logging.DEBUG, "DEBUG"),
        (logging.INFO, "INFO"),
        (25, "INFO"),
        (logging.WARNING, "WARNING"),
        (logging.ERROR, "ERROR"),
        (logging.CRITICAL, "CRITICAL"),
        (70, "CRITICAL"),
    ],
)
async def test_levels(logger: logging.Logger, level: int, expected: str) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.log(level, "message")
    assert [(event.level, dict(event.tags)) for event in sink.events] == [(expected, {})]


async def test_the_containers_levels_hold_by_name(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink, levels={NAME: "ERROR"}) as container:
        with capture_logging(container, NAME):
            logger.warning("below")
            logger.error("above")
            container.set_level("INFO", NAME)
            logger.info("now above")
    assert sink.messages == ("above", "now above")


async def test_the_root_loggers_records_have_no_name() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, level=logging.WARNING):
            logging.getLogger().warning("from the root")
            logging.getLogger(NAME).warning("from below")
    own = [event for event in sink.events if event.message.startswith("from")]
    assert [event.logger for event in own] == ["", NAME]


async def test_exceptions(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            try:
                raise ValueError("broken")
            except ValueError as error:
                logger.exception("failed")
                logger.warning("given", exc_info=error)
            logger.warning("nothing to tell", exc_info=True)  # noqa: LOG014 - what is tested
    told, given, nothing = sink.events
    assert told.exception is not None and given.exception is not None
    assert (told.level, told.exception["type"], told.exception["message"]) == ("ERROR", "ValueError", "broken")
    assert given.exception["type"] == "ValueError"
    assert nothing.exception is None


async def test_an_exception_that_is_text_already_and_the_stack_are_kept(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            record = logger.makeRecord(NAME, logging.ERROR, __file__, 1, "from afar", (), None)
            record.exc_text = "Traceback ...\nValueError: broken"
            logger.handle(record)
            logger.info("here", stack_info=True)
    afar, here = sink.events
    assert afar.fields == {"exc_text": "Traceback ...\nValueError: broken"}
    assert "test_an_exception_that_is_text" in here.fields["stack_info"]


async def test_arguments_that_do_not_fit_are_told_apart(
    logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info("%d orders", "many")
            logger.info("no place", 1)  # noqa: PLE1205 - what is tested
    first, second = sink.events
    assert (first.message, first.fields["args"]) == ("%d orders", ("many",))
    assert first.fields["format_error"].startswith("TypeError: ")
    assert (second.message, second.fields["args"]) == ("no place", (1,))
    assert capfd.readouterr().err == ""


async def test_a_message_need_not_be_text(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info({"a": 1})
            logger.info(ValueError("broken"))
    assert sink.messages == ("{'a': 1}", "broken")


async def test_extra_is_data_and_never_called(logger: logging.Logger) -> None:
    called: list[str] = []

    def function() -> str:
        called.append("called")
        return "value"

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info("message", extra={"function": function, "self": 1, "level": "x", 5: "five"})
    (event,) = sink.events
    assert called == []
    assert "function" in event.fields["function"]
    assert (event.fields["self"], event.fields["level"], event.fields["5"]) == (1, "x", "five")
    assert event.level == "INFO"


async def test_the_events_own_names_in_extra(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info("message", extra={"tags": {"team": "pay"}, "metrics": {"ms": 1.5}, "severity": 8})
    (event,) = sink.events
    assert (event.tags, event.metrics, event.severity, event.fields) == ({"team": "pay"}, {"ms": 1.5}, 8, {})


async def test_the_context_of_the_task_holds(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME), container.logger().context(request_id="r-1", correlation_id="c-1"):
            logger.info("inside")
    (event,) = sink.events
    assert (event.context, event.correlation_id) == ({"request_id": "r-1"}, "c-1")


async def test_every_thread_may_log(logger: logging.Logger) -> None:
    threads, each = 8, 250
    sink = MemorySink(MemoryConfig(max_events=threads * each))

    def work(number: int) -> None:
        for index in range(each):
            logger.info("%d-%d", number, index)

    async with opened(sink) as container:
        with capture_logging(container, NAME):
            async with anyio.create_task_group() as tasks:
                for number in range(threads):
                    tasks.start_soon(anyio.to_thread.run_sync, work, number)
    assert container.report is not None and container.report.balanced
    assert container.report.submitted == threads * each
    for number in range(threads):
        own = [message for message in sink.messages if message.startswith(f"{number}-")]
        assert own == [f"{number}-{index}" for index in range(each)]


async def test_a_value_whose_text_logs_ends(logger: logging.Logger) -> None:
    class Talkative:
        def __str__(self) -> str:
            logger.info("asked %s", self)
            return "answer"

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info("outer %s", Talkative())
            logger.info("after %s", "it")
    assert sink.messages == ("asked %s", "outer answer", "after it")


async def test_a_value_whose_text_waits_for_another_thread_that_logs(logger: logging.Logger) -> None:
    class Waiting:
        def __str__(self) -> str:
            thread = threading.Thread(target=logger.info, args=("from the thread",))
            thread.start()
            thread.join(30)
            assert not thread.is_alive()
            return "answer"

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info("outer %s", Waiting())
    assert sorted(sink.messages) == ["from the thread", "outer answer"]


async def test_sk14_a_sink_that_logs_does_not_feed_itself(logger: logging.Logger) -> None:
    writes: list[int] = []

    def sink(batch: Any) -> None:
        writes.append(len(batch))
        logger.info("sent a batch")

    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with capture_logging(container, NAME):
            logger.info("the only one")
            await container.flush()
    assert sum(writes) == 1
    assert container.report is not None and container.report.balanced
    assert container.report.rejected == {"reentrant": 1}


async def test_a_record_after_the_end_is_refused_and_counted(logger: logging.Logger) -> None:
    sink = MemorySink()
    container = opened(sink)
    with capture_logging(container, NAME):
        async with container:
            logger.info("inside")
            await container.aclose()
            logger.info("too late")
        logger.info("outside")
    assert sink.messages == ("inside",)


async def test_an_error_in_the_handler_does_not_reach_the_caller(
    logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            record = logger.makeRecord(NAME, logging.INFO, __file__, 1, "message", (), None)
            del record.levelno
            FapilogHandler(container).handle(record)
    assert "--- Logging error ---" in capfd.readouterr().err


async def test_filters_and_the_handlers_level(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME) as handler:
            handler.setLevel(logging.WARNING)
            handler.addFilter(lambda record: "secret" not in record.getMessage())
            logger.info("below")
            logger.warning("a secret")
            logger.warning("passes")
    assert sink.messages == ("passes",)


async def test_everything_is_as_before_afterwards(logger: logging.Logger) -> None:
    other = logging.NullHandler()
    logger.addHandler(other)
    logger.setLevel(logging.ERROR)
    async with opened(MemorySink()) as container:
        try:
            with capture_logging(container, NAME, f"{NAME}.below", level="DEBUG") as handler:
                assert logger.handlers == [other, handler]
                assert logger.level == logging.DEBUG
                raise KeyError
        except KeyError:
            pass
    assert logger.handlers == [other]
    assert logger.level == logging.ERROR
    below = logging.getLogger(f"{NAME}.below")
    assert (below.level, below.handlers, below.propagate) == (logging.NOTSET, [], True)
    logger.removeHandler(other)
    logger.setLevel(1)


async def test_a_level_that_is_none_leaves_everything_as_before(logger: logging.Logger) -> None:
    async with opened(MemorySink()) as container:
        with pytest.raises(ValueError, match="Unknown level"), capture_logging(container, NAME, level="LOUD"):
            pass
    assert logger.level == 1


async def test_no_record_arrives_twice(logger: logging.Logger) -> None:
    below = logging.getLogger(f"{NAME}.below")
    apart = logging.getLogger(f"{NAME}.apart")
    apart.propagate = False
    sink = MemorySink()
    try:
        async with opened(sink) as container:
            with capture_logging(container, f"{NAME}.below", NAME, f"{NAME}.apart", NAME):
                logger.info("here")
                below.info("below")
                apart.info("apart")
    finally:
        apart.propagate = True
    assert sink.messages == ("here", "below", "apart")


async def test_two_containers_have_their_own_records(logger: logging.Logger) -> None:
    below = logging.getLogger(f"{NAME}.below")
    first, second = MemorySink(), MemorySink()
    async with opened(first) as one, opened(second) as other:
        with capture_logging(one, NAME), capture_logging(other, f"{NAME}.below"):
            logger.info("here")
            below.info("below")
    assert first.messages == ("here", "below")
    assert second.messages == ("below",)
