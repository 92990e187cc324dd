"""What the tests of the standard library's logging share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

import pytest

from fapilog import AsyncLoggingContainer
from fapilog.sinks.memory import MemorySink

NAME: Final = "tests.integration"


@pytest.fixture(name="logger")
def apart_logger() -> Iterator[logging.Logger]:
    """Yield a logger that lets everything pass and that nobody else listens to, pytest included."""
    logger = logging.getLogger(NAME)
    parent, level = logger.parent, logger.level
    logger.parent = None
    logger.setLevel(1)
    yield logger
    left = logger.handlers[:], logger.propagate, logger.level, "fapilog_layers" in vars(logger)
    logger.handlers.clear()
    logger.propagate = True
    logger.parent = parent
    logger.setLevel(level)
    vars(logger).pop("fapilog_layers", None)
    assert left == ([], True, 1, False)


def opened(sink: MemorySink, **settings: Any) -> AsyncLoggingContainer:
    return AsyncLoggingContainer({"level": "DEBUG", **settings}, sinks=[sink])
