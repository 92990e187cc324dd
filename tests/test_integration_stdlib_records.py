"""Records of the standard library as CPython's own tests make them, and odder ones."""

from __future__ import annotations

import copy
import logging
import logging.config
import logging.handlers
import os
import pickle
import queue
import sys
import threading
import warnings
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fapilog import AsyncLoggingContainer
from fapilog.integrations.stdlib import FapilogHandler, capture_logging
from fapilog.sinks.memory import MemorySink
from logging_tools import NAME, opened
from logging_tools import apart_logger as apart_logger

pytestmark = pytest.mark.anyio


def made(**attributes: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": NAME, "levelno": logging.INFO, "levelname": "INFO", **attributes})


# -- formatting


async def test_a_message_is_not_formatted_below_the_containers_level(logger: logging.Logger) -> None:
    asked: list[str] = []

    class Costly:
        def __str__(self) -> str:
            asked.append("asked")
            return "costly"

    sink = MemorySink()
    async with opened(sink, levels={NAME: "WARNING"}) as container:
        with capture_logging(container, NAME):
            logger.info("%s", Costly())
            assert asked == []
            logger.warning("%s", Costly())
    assert sink.messages == ("costly",)
    assert asked == ["asked"]


async def test_uvicorns_second_message_with_colours_is_left_out(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.warning("on port %d", 80, extra={"color_message": "on port \x1b[1m%d\x1b[0m", "colour": "red"})
    (event,) = sink.events
    assert (event.message, event.fields) == ("on port 80", {"colour": "red"})


class Raising:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error

    __repr__ = __str__


@pytest.mark.parametrize("error", [ValueError("no"), RecursionError(), SystemExit(3), GeneratorExit()])
async def test_a_value_whose_text_raises_costs_no_event(logger: logging.Logger, error: BaseException) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info("order %s", Raising(error))
            logger.info(Raising(error))
            logger.info("plain")
    first, second, _ = sink.events
    assert first.message == "order %s"
    assert first.fields["args"] == (f"<unprintable Raising: {type(error).__name__}>",)
    assert second.message == f"<unprintable Raising: {type(error).__name__}>"
    assert sink.messages[2] == "plain"


async def test_an_interrupt_while_formatting_passes(logger: logging.Logger) -> None:
    async with opened(MemorySink()) as container:
        with capture_logging(container, NAME), pytest.raises(KeyboardInterrupt):
            logger.info("%s", Raising(KeyboardInterrupt()))


async def test_an_exception_whose_text_raises(logger: logging.Logger) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            try:
                raise Broken
            except Broken:
                logger.exception("failed")
    (event,) = sink.events
    assert event.exception is not None
    assert event.exception["message"] == "<unprintable Broken: ValueError>"


async def test_arguments_are_kept_bounded_if_wanted(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME, keep_arguments=True):
            logger.info("%s of %d", "one", 2)
            logger.info("%(a)s", {"a": list(range(100_000))})
            logger.info("none")
    first, second, third = sink.events
    assert first.fields == {"msg": "%s of %d", "args": ("one", 2)}
    assert len(second.fields["args"]["a"]) < 2000
    assert third.fields == {}


async def test_a_formatter_makes_the_message(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME) as handler:
            handler.setFormatter(logging.Formatter("{levelname}: {message}", style="{"))
            logger.info("order %d", 7)
            handler.setFormatter(logging.Formatter("%(missing)s"))
            logger.info("order %d", 8)
    first, second = sink.events
    assert first.message == "INFO: order 7"
    assert (second.message, second.fields["args"]) == ("order %d", (8,))


async def test_a_signal_like_call_during_formatting_keeps_its_simple_arguments(logger: logging.Logger) -> None:
    class Interrupted:
        def __str__(self) -> str:
            logger.info("signal %d %s", 15, "TERM")
            return "value"

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info("outer %s", Interrupted())
    assert sink.messages == ("signal 15 TERM", "outer value")


# -- records made by hand, odd ones


async def test_a_record_of_nothing_but_defaults() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        FapilogHandler(container).handle(logging.makeLogRecord({}))
    (event,) = sink.events
    assert (event.message, event.level, event.logger, event.fields) == ("", "INFO", "", {})
    assert event.context == {"level_given": "None"}


@pytest.mark.parametrize(
    ("attributes", "level", "given"),
    [
        ({"levelno": "WARNING"}, "INFO", "WARNING"),
        ({"levelno": None}, "INFO", "None"),
        ({"levelno": True}, "INFO", "True"),
        ({"levelno": 30.0}, "INFO", "30.0"),
    ],
)
async def test_a_level_that_is_none_is_repaired_and_told(attributes: dict[str, Any], level: str, given: str) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        FapilogHandler(container).handle(made(**attributes))
    (event,) = sink.events
    assert event.level == level
    assert event.context["level_given"] == given
    assert event.tags == {"fapilog.repaired": "level"}


async def test_levels_of_the_users_own(logger: logging.Logger) -> None:
    sink = MemorySink()
    logging.addLevelName(25, "NOTICE")
    try:
        async with opened(sink) as container:
            with capture_logging(container, NAME):
                logger.log(25, "noted")
                logger.log(5, "traced")
                logger.log(10**30, "huge")
    finally:
        logging._levelToName.pop(25)
        logging._nameToLevel.pop("NOTICE")
    noted, traced, huge = sink.events
    assert (noted.level, noted.fields) == ("INFO", {"levelno": 25, "levelname": "NOTICE"})
    assert (traced.level, traced.fields) == ("DEBUG", {"levelno": 5})
    assert huge.level == "CRITICAL"


@pytest.mark.parametrize("created", [None, "now", float("nan"), float("inf"), -1.0, 1e300, 0])
async def test_an_impossible_time_is_now(created: Any) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        FapilogHandler(container).handle(made(created=created))
    (event,) = sink.events
    assert abs((datetime.now(UTC) - event.timestamp).total_seconds()) < 60


async def test_the_records_own_time_holds() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        FapilogHandler(container).handle(made(created=1_700_000_000.123456))
    assert sink.events[0].timestamp == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)


async def test_odd_attributes() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError

    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    record = made(msg="odd", name=None, pathname=Odd(), lineno="x", threadName=Odd(), taskName=Odd(), process="p")
    record.__dict__.update({"odd": Odd(), "cycle": cycle, "\ud800": "surrogate", "tags": 5, "exc_info": "no exception"})
    sink = MemorySink()
    async with opened(sink) as container:
        FapilogHandler(container, callsite=True).handle(record)
    (event,) = sink.events
    assert event.message == "odd"
    assert event.fields["odd"].startswith("<unprintable")
    assert event.tags["tags"] == "5"
    assert event.exception is None


async def test_a_record_without_attributes_is_told_of_and_raises_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = made()
    record.__dict__.clear()
    sink = MemorySink()
    async with opened(sink) as container:
        handler = FapilogHandler(container)
        handler.handle(record)
        assert "--- Logging error ---" in capfd.readouterr().err
        monkeypatch.setattr(logging, "raiseExceptions", False)
        handler.handle(record)
        assert capfd.readouterr().err == ""
        seen: list[logging.LogRecord] = []
        monkeypatch.setattr(handler, "handleError", seen.append)
        handler.handle(record)
        assert seen == [record]


async def test_a_subclass_of_the_record_makes_its_own_message() -> None:
    class Brace(logging.LogRecord):
        def getMessage(self) -> str:  # noqa: N802 - its name there
            return str(self.msg).format(*(self.args or ()))

    sink = MemorySink()
    async with opened(sink) as container:
        FapilogHandler(container).handle(Brace(NAME, 20, "file", 1, "{} and {}", (1, "two"), None))
    assert sink.messages == ("1 and two",)


async def test_a_pickled_record_keeps_what_was_true_where_it_was_made() -> None:
    # Since Python 3.12 a record has the name of the asyncio task too, which says more than that of the thread.
    record = made(msg="from afar", process=os.getpid() + 1, threadName="Worker-3", taskName=None)
    sink = MemorySink()
    async with opened(sink) as container:
        FapilogHandler(container).handle(pickle.loads(pickle.dumps(record)))
        FapilogHandler(container).handle(copy.copy(record))
    assert [event.task for event in sink.events] == ["Worker-3", "Worker-3"]


async def test_the_call_site_is_the_records(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink, callsite=True) as container:
        with capture_logging(container, NAME):
            logger.info("here")
            line = sys._getframe().f_lineno - 1
        with capture_logging(container, NAME, callsite=False):
            logger.info("not wanted")
    here, other = sink.events
    site = here.context["callsite"]
    assert (site["file"], site["line"]) == (__file__, line)
    assert site["function"] == "test_the_call_site_is_the_records"
    assert "callsite" not in other.context


async def test_the_tasks_name(logger: logging.Logger) -> None:
    sink = MemorySink()

    async def work() -> None:
        logger.info("from the task")

    async with opened(sink) as container:
        with capture_logging(container, NAME):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(work, name="the worker")
            thread = threading.Thread(target=logger.info, args=("from a thread",), name="the thread")
            thread.start()
            await anyio.to_thread.run_sync(thread.join)
    assert [event.task for event in sink.events] == ["the worker", "the thread"]


# -- what handlers, loggers and their configuration do


async def test_a_queue_between(logger: logging.Logger) -> None:
    sink = MemorySink()
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    between = logging.handlers.QueueHandler(waiting)
    async with opened(sink) as container:
        listener = logging.handlers.QueueListener(waiting, FapilogHandler(container), respect_handler_level=True)
        logger.addHandler(between)

        async def work() -> None:
            logger.info("order %d", 7, extra={"total": 1})
            try:
                raise ValueError("broken")
            except ValueError:
                logger.exception("failed")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
        logger.removeHandler(between)
        listener.start()
        await anyio.to_thread.run_sync(listener.stop)
    order, failed = sink.events
    assert (order.message, order.fields["total"]) == ("order 7", 1)
    assert failed.message.startswith("failed\nTraceback")
    assert not order.task.startswith("Thread")  # not the listener's


async def test_memory_handler_and_logger_adapter(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        buffer = logging.handlers.MemoryHandler(100, target=FapilogHandler(container))
        logger.addHandler(buffer)
        adapter = logging.LoggerAdapter(logger, {"request": "r-1"})
        adapter.info("adapted")
        logger.removeHandler(buffer)
        assert sink.messages == ()
        buffer.close()
    assert [(event.message, event.fields) for event in sink.events] == [("adapted", {"request": "r-1"})]


async def test_closing_flushing_and_shutdown_leave_the_handler_usable(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME) as handler:
            handler.flush()
            handler.close()
            logging.shutdown([lambda: handler])  # type: ignore[list-item]
            logger.info("still taken")
    assert sink.messages == ("still taken",)


async def test_dict_config_builds_the_handler(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        for description in (
            {"()": FapilogHandler, "container": container},
            {"class": "fapilog.integrations.stdlib.FapilogHandler", "container": container, "level": "WARNING"},
        ):
            logging.config.dictConfig(
                {
                    "version": 1,
                    "incremental": False,
                    "disable_existing_loggers": False,
                    "handlers": {"fapilog": description},
                    "loggers": {NAME: {"handlers": ["fapilog"], "level": 1}},
                }
            )
            logger.parent = None
            logger.info("info")
            logger.warning("warning")
        logger.handlers.clear()
    assert sink.messages == ("info", "warning", "warning")


async def test_without_a_container_the_current_one_is_meant(
    logger: logging.Logger, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler(sys.stderr))
    monkeypatch.setattr(logging.lastResort, "level", logging.WARNING)
    handler = FapilogHandler()
    logger.addHandler(handler)
    first, second = MemorySink(), MemorySink()
    async with opened(first):
        logger.info("to the first")
        async with opened(second):
            logger.info("to the second")
        logger.info("to the first again")
    logger.removeHandler(handler)
    assert first.messages == ("to the first", "to the first again")
    assert second.messages == ("to the second",)
    thread = threading.Thread(target=handler.handle, args=(made(msg="quiet"),))
    thread.start()
    thread.join()
    handler_error = made(msg="to the last resort", levelno=logging.ERROR)
    thread = threading.Thread(target=handler.handle, args=(handler_error,))
    thread.start()
    thread.join()
    assert capfd.readouterr().err == "to the last resort\n"


# -- filters


async def test_a_filter_that_raises_keeps_the_record_from_getting_out(
    logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    def redact(record: logging.LogRecord) -> bool:
        raise ValueError("cannot redact")

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME) as handler:
            handler.addFilter(redact)
            logger.info("secret")
    assert sink.messages == ()
    assert "cannot redact" in capfd.readouterr().err


async def test_a_filter_that_logs_ends(logger: logging.Logger) -> None:
    def asking(record: logging.LogRecord) -> bool:
        logger.info("asked")
        return True

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME) as handler:
            handler.addFilter(asking)
            logger.info("outer")
            logger.info("again")
    assert sink.messages == (*["asked"] * 3, "outer", *["asked"] * 3, "again")


async def test_excluded_loggers(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME, exclude=[f"{NAME}.client"]):
            logging.getLogger(f"{NAME}.client").info("no")
            logging.getLogger(f"{NAME}.client.pool").info("no")
            logging.getLogger(f"{NAME}.clients").info("yes")
    assert sink.messages == ("yes",)


async def test_logging_from_a_finalizer(logger: logging.Logger) -> None:
    class Finalized:
        def __del__(self) -> None:
            logger.info("gone %s", "now")

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            logger.info("before %r", Finalized())
    assert sink.messages[-1] == "gone now"
    assert len(sink.messages) == 2


async def test_a_thread_that_logs_after_the_end(logger: logging.Logger) -> None:
    sink = MemorySink()
    container = opened(sink)
    with capture_logging(container, NAME):
        async with container:
            pass
        thread = threading.Thread(target=logger.error, args=("late %d", 1))
        thread.start()
        thread.join()
    assert container.stats().rejected == {"closed": 1}
    assert container.stats().balanced


async def test_a_stack_that_is_nearly_used_up(logger: logging.Logger) -> None:
    def deeper() -> None:
        try:
            logger.info("deep %s", "down")
        finally:
            deeper()

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME), pytest.raises(RecursionError):
            deeper()
        with capture_logging(container, NAME):
            logger.info("well again")
    assert sink.messages[-1] == "well again"


async def test_no_warning_comes_from_the_handler(logger: logging.Logger) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with AsyncLoggingContainer(sinks=[MemorySink()]) as container:
            with capture_logging(container, NAME):
                logger.warning("fine")


ODD_VALUES: tuple[Any, ...] = (
    None, 0, -1, 10**40, True, 1.5, float("nan"), "", "text %s %d", b"\xff", (), (1,), ("a", "b", "c"), [], {},
    {"a": 1},
    ({"a": 1},), object(), type, Raising(ValueError()), (Raising(SystemExit()),), ValueError("error"), lambda: 1 / 0,
    (ValueError, ValueError("error"), None), (None, None, None), "\ud800",
)  # fmt: skip
NAMES = sorted({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "tags", "metrics", "severity", "x"})


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ODD_VALUES), max_size=6), st.booleans())
def test_any_record_is_one_event_and_raises_nothing(attributes: dict[str, Any], every_option: bool) -> None:
    sink = MemorySink()

    async def main() -> None:
        async with opened(sink, callsite=every_option) as container:
            exclude = ["no.such"] if every_option else []
            handler = FapilogHandler(container, keep_arguments=every_option, exclude=exclude)
            failures: list[logging.LogRecord] = []
            handler.handleError = failures.append  # type: ignore[method-assign]
            handler.handle(logging.makeLogRecord(attributes))
            assert failures == []

    anyio.run(main, backend="trio")
    assert len(sink.events) == 1
