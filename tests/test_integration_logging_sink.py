"""Events as records of the standard library."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.integrations.logging_sink import LoggingSinkConfig, record_of
from fapilog.integrations.stdlib import LoggingSink, capture_logging
from fapilog.sinks.memory import MemorySink
from fapilog.testing.conformance import check_plugin
from logging_tools import NAME
from logging_tools import apart_logger as apart_logger

pytestmark = pytest.mark.anyio


class Kept(logging.Handler):
    """Keeps the records that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


async def test_an_event_is_a_record(logger: logging.Logger) -> None:
    kept = Kept()
    logger.addHandler(kept)
    sink = LoggingSink(LoggingSinkConfig(logger=NAME))
    async with AsyncLoggingContainer({"callsite": True}, sinks=[sink]) as container:
        log = container.logger("shop").bind(region="eu")
        try:
            raise ValueError("broken\nbadly")
        except ValueError:
            await log.exception("order 100%", name="x", total=3, tags={"a": "b"})
        await container.logger().info("root")
    logger.removeHandler(kept)
    record, root = kept.records
    said: dict[str, Any] = vars(record)
    assert (record.name, record.getMessage(), record.levelname) == (f"{NAME}.shop", "order 100%", "ERROR")
    assert record.filename == "test_integration_logging_sink.py"
    assert (record.module, record.funcName) == ("test_integration_logging_sink", "test_an_event_is_a_record")
    assert (said["region"], said["name_"], said["total"], said["tags"]) == ("eu", "x", 3, {"a": "b"})
    text = logging.Formatter("%(asctime)s %(threadName)s %(message)s").format(record)
    assert "ValueError: broken" in text
    assert root.name == NAME


async def test_the_level_of_the_logger_holds(logger: logging.Logger) -> None:
    kept = Kept()
    logger.addHandler(kept)
    logger.setLevel(logging.WARNING)
    async with AsyncLoggingContainer(sinks=[LoggingSink(LoggingSinkConfig(logger=NAME))]) as container:
        await container.logger().info("no")
        await container.logger().warning("yes")
    logger.removeHandler(kept)
    logger.setLevel(1)
    assert [record.getMessage() for record in kept.records] == ["yes"]


async def test_both_ways_at_once_are_no_loop(logger: logging.Logger) -> None:
    kept = Kept()
    logger.addHandler(kept)
    memory, other = MemorySink(), MemorySink()
    sink = LoggingSink(LoggingSinkConfig(logger=NAME))
    second = LoggingSink(LoggingSinkConfig(logger=NAME))
    async with (
        AsyncLoggingContainer(sinks=[sink, memory]) as one,
        AsyncLoggingContainer(sinks=[second, other]) as two,
    ):
        with capture_logging(one, NAME), capture_logging(two, NAME):
            await one.logger().info("an event")
            logger.info("a record")
            await one.flush()
            await two.flush()
    logger.removeHandler(kept)
    assert sorted(memory.messages) == ["a record", "an event"]
    assert other.messages == ("a record",)
    # The record itself, and what each of the containers made of its events.
    assert sorted(record.getMessage() for record in kept.records) == ["a record", "a record", "a record", "an event"]
    for container in (one, two):
        assert container.report is not None and container.report.balanced
        assert container.report.rejected == {}


async def test_a_handler_that_raises_fails_the_event_and_no_other(
    logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    def check(record: logging.LogRecord) -> bool:
        if record.getMessage() == "bad":
            raise ValueError
        return True

    kept = Kept()
    logger.addHandler(kept)
    logger.addFilter(check)
    async with AsyncLoggingContainer(sinks=[LoggingSink(LoggingSinkConfig(logger=NAME))]) as container:
        for message in ("one", "bad", "two"):
            await container.logger().info(message)
    logger.removeFilter(check)
    logger.removeHandler(kept)
    assert [record.getMessage() for record in kept.records] == ["one", "two"]
    assert container.report is not None
    (report,) = container.report.sinks.values()
    assert (report.delivered, report.failed) == (2, {"permanent": 1})


def test_names_made_from_data_do_not_grow_without_bound() -> None:
    sink = LoggingSink(LoggingSinkConfig(logger=NAME))
    for number in range(1100):
        sink._logger(f"made.from.data.{number}")
    assert len(sink._loggers) == 1000
    assert sink._logger("another").name == NAME
    for number in range(1100):
        logging.Logger.manager.loggerDict.pop(f"{NAME}.made.from.data.{number}", None)


def test_a_call_site_may_be_anything() -> None:
    record = record_of(LogEvent("hello", context={"callsite": "no mapping"}), "name")
    assert (record.pathname, record.lineno, record.funcName) == ("", 0, None)
    assert vars(record)["callsite"] == "no mapping"


def test_the_sink_is_a_good_plugin() -> None:
    check_plugin(LoggingSink)
