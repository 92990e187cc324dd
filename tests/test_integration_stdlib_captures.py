"""Captures of loggers: what they take over, and that everything is as before afterwards, however they are left."""

from __future__ import annotations

import itertools
import logging
import logging.config
import os
import signal
import sys
import threading
from contextlib import ExitStack
from typing import Any

import anyio
import pytest

from fapilog import AsyncLoggingContainer
from fapilog.integrations.stdlib import capture_logging
from fapilog.sinks.memory import MemorySink
from logging_tools import NAME, opened
from logging_tools import apart_logger as apart_logger
from support import LOOPS, noise, run_program

pytestmark = pytest.mark.anyio


class Kept(logging.Handler):
    """Keeps the messages that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def state(logger: logging.Logger) -> tuple[list[logging.Handler], int, bool]:
    return list(logger.handlers), logger.level, logger.propagate


async def test_replacing_takes_the_other_handlers_out(logger: logging.Logger) -> None:
    below = logging.getLogger(f"{NAME}.below")
    above, own = Kept(), Kept()
    logger.addHandler(above)
    below.addHandler(own)
    before = state(below)
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, below.name, replace=True):
            below.info("captured")
        below.info("after")
    assert sink.messages == ("captured",)
    assert (own.messages, above.messages) == (["after"], ["after"])
    assert state(below) == before
    below.removeHandler(own)
    logger.removeHandler(above)


async def test_replacing_at_a_logger_and_one_below_it(logger: logging.Logger) -> None:
    below = logging.getLogger(f"{NAME}.below")
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME, below.name, replace=True):
            logger.info("above")
            below.info("below")
    assert sink.messages == ("above", "below")
    assert (below.handlers, below.propagate) == ([], True)


async def test_levels_of_other_loggers(logger: logging.Logger) -> None:
    chatty = logging.getLogger(f"{NAME}.chatty")
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME, level="INFO", levels={chatty.name: "ERROR", NAME: "DEBUG"}):
            logger.debug("told")
            chatty.warning("not told")
            chatty.error("told too")
        assert chatty.level == logging.NOTSET
    assert sink.messages == ("told", "told too")


@pytest.mark.parametrize("replace", list(itertools.product([False, True], repeat=3)))
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_captures_may_be_left_in_any_order(
    logger: logging.Logger, replace: tuple[bool, ...], order: tuple[int, ...]
) -> None:
    kept = Kept()
    logger.addHandler(kept)
    before = state(logger)
    sinks = [MemorySink() for _ in range(3)]
    containers = [opened(sink) for sink in sinks]
    async with containers[0], containers[1], containers[2]:
        captures = []
        for container, replaces, level in zip(containers, replace, ["DEBUG", None, "INFO"], strict=True):
            capture = capture_logging(container, NAME, level=level, replace=replaces)
            capture.__enter__()
            captures.append(capture)
        for number in order:
            logger.warning("before %d is left", number)
            captures[number].__exit__(None, None, None)
    logger.info("after")
    assert state(logger) == before
    assert kept.messages[-1] == "after"
    # What was put on last is never covered.
    assert len(sinks[2].messages) == order.index(2) + 1
    logger.removeHandler(kept)


async def test_a_capture_left_by_an_exception_or_a_cancellation(logger: logging.Logger) -> None:
    kept = Kept()
    logger.addHandler(kept)
    before = state(logger)
    async with opened(MemorySink()) as container:
        with pytest.raises(KeyError), capture_logging(container, NAME, level="ERROR", replace=True):
            raise KeyError
        assert state(logger) == before
        with anyio.CancelScope() as scope, capture_logging(container, NAME, level="ERROR", replace=True):
            scope.cancel()
            await anyio.sleep_forever()
        assert state(logger) == before
        with pytest.raises(ValueError, match="Unknown level"), ExitStack() as stack:
            stack.enter_context(capture_logging(container, NAME, f"{NAME}.x", levels={f"{NAME}.y": "LOUD"}))
        assert state(logger) == before
    logger.removeHandler(kept)


async def test_a_handler_added_inside_stays(logger: logging.Logger) -> None:
    old, new = Kept(), Kept()
    logger.addHandler(old)
    async with opened(MemorySink()) as container:
        with capture_logging(container, NAME, level="INFO", replace=True):
            logger.addHandler(new)
            logger.setLevel(7)
    assert set(logger.handlers) == {old, new}
    assert logger.level == 7
    for handler in (old, new):
        logger.removeHandler(handler)
    logger.setLevel(1)


def configuration(**loggers: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"kept": {"()": Kept}},
        "loggers": loggers,
    }


async def test_a_configuration_of_other_loggers_inside_changes_nothing(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME):
            # Closes every handler that there is, as when uvicorn starts.
            logging.config.dictConfig(configuration(elsewhere={"handlers": ["kept"]}))
            logger.info("still captured")
    assert sink.messages == ("still captured",)
    logging.getLogger("elsewhere").handlers.clear()


async def test_a_new_configuration_of_the_logger_inside_stays(logger: logging.Logger) -> None:
    old = Kept()
    logger.addHandler(old)
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME, level="INFO", replace=True):
            logging.config.dictConfig(configuration(**{NAME: {"handlers": ["kept"], "level": "INFO"}}))
            logger.parent = None
            handlers = list(logger.handlers)
            logger.info("to the new handler")
        assert state(logger) == (handlers, logging.INFO, True)
    (new,) = logger.handlers
    assert isinstance(new, Kept)
    assert new.messages == ["to the new handler"]
    assert (sink.messages, old.messages) == ((), [])
    logger.handlers.clear()
    logger.setLevel(1)


async def test_a_signal_handler_that_logs(logger: logging.Logger) -> None:
    if sys.platform == "win32":
        pytest.skip("no such signal")
    sink = MemorySink()
    number = 200

    def told(signum: int, frame: object) -> None:
        logger.info("signal %s", "alarm")

    before = signal.signal(signal.SIGUSR1, told)
    try:
        async with opened(sink) as container:
            with capture_logging(container, NAME):
                for index in range(number):
                    os.kill(os.getpid(), signal.SIGUSR1)
                    logger.info("body %r", [index])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert sink.messages.count("signal alarm") == number
    assert container.stats().balanced


async def test_threads_log_while_captures_come_and_go(logger: logging.Logger) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                logger.info("message %s", "x")
        except BaseException as error:
            failures.append(error)

    sink = MemorySink()
    async with opened(sink, overflow_strategy="drop_newest") as container:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for replace in (False, True) * 20:
            with capture_logging(container, NAME, level="INFO", replace=replace):
                await anyio.lowlevel.checkpoint()
        stop.set()
        for thread in threads:
            await anyio.to_thread.run_sync(thread.join)
    assert failures == []
    assert container.stats().balanced


async def test_a_sink_whose_client_logs_in_a_thread_of_its_own_is_excluded(logger: logging.Logger) -> None:
    client = logging.getLogger(f"{NAME}.client")
    writes = 0

    def sink(batch: Any) -> None:
        nonlocal writes
        writes += 1
        thread = threading.Thread(target=client.info, args=("sent",))
        thread.start()
        thread.join()

    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with capture_logging(container, NAME, exclude=[client.name]):
            logger.info("the only one")
            await container.flush()
    assert writes == 1
    assert container.stats().submitted == 1


FORKED = """
import logging
from fapilog import AsyncLoggingContainer
from fapilog.integrations.stdlib import capture_logging

async def main():
    async with AsyncLoggingContainer({"sinks": ["stdout"]}) as container:
        with capture_logging(container, level="INFO", replace=True):
            logging.info("parent")
            await container.flush()
            child = os.fork()
            if not child:
                logging.info("child %s", "x")
                account = container.stats()
                logging.shutdown()
                os._exit(0 if account.rejected == {"dead": 1} else 9)
            status = os.waitpid(child, 0)[1]
            assert os.waitstatus_to_exitcode(status) == 0, status

run(main)
"""

AT_EXIT = """
import atexit, logging
from fapilog import AsyncLoggingContainer
from fapilog.integrations.stdlib import capture_logging

logging.basicConfig(level="INFO", stream=sys.stdout, format="old %(message)s")

class Last:
    def __del__(self):
        logging.getLogger("last").info("finalized")

last = Last()
container = AsyncLoggingContainer({"sinks": ["stdout"]})
capture = capture_logging(container)

async def main():
    async with container:
        capture.__enter__()
        logging.info("inside")

run(main)
atexit.register(logging.info, "at exit")
thread = threading.Thread(target=logging.info, args=("from a thread",))
thread.start()
thread.join()
del last
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("body", "old"), [(FORKED, []), (AT_EXIT, ["inside", "from a thread", "finalized", "at exit"])]
)
def test_in_a_program(body: str, old: list[str], loop: str) -> None:
    done = run_program(body, loop)
    assert (done.returncode, noise(done.stderr)) == (0, []), done.stderr
    lines = done.stdout.splitlines()
    assert len([line for line in lines if '"message"' in line]) == 1
    assert [line for line in lines if line.startswith("old ")] == [f"old {message}" for message in old]
