"""What nobody caught, and warnings, as events; and that the hooks are chained and there again afterwards."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

from fapilog.integrations.stdlib import capture_errors, capture_logging
from fapilog.sinks.memory import MemorySink
from logging_tools import NAME, opened
from logging_tools import apart_logger as apart_logger

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[Any]]]:
    """Put hooks in place that keep what they are called with, and check that they are there again."""
    called: dict[str, list[Any]] = {"warning": [], "program": [], "thread": [], "unraisable": []}
    own = {
        "warning": lambda *arguments: called["warning"].append(arguments),
        "program": lambda *arguments: called["program"].append(arguments),
        "thread": lambda arguments: called["thread"].append(arguments.exc_type),
        "unraisable": lambda arguments: called["unraisable"].append(arguments.exc_type),
    }
    places = {"warning": (warnings, "showwarning"), "program": (sys, "excepthook")}
    places |= {"thread": (threading, "excepthook"), "unraisable": (sys, "unraisablehook")}
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for kind, (module, name) in places.items():
            monkeypatch.setattr(module, name, own[kind])
        yield called
        for kind, (module, name) in places.items():
            assert getattr(module, name) is own[kind]


async def test_warnings(hooks: dict[str, list[Any]]) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_errors(container):
            warnings.warn("take care", RuntimeWarning, stacklevel=1)
            warnings.showwarning("elsewhere", UserWarning, "file", 1, sys.stderr)
        warnings.warn("not any more", RuntimeWarning, stacklevel=1)
    (event,) = sink.events
    assert (event.message, event.level, event.logger) == ("take care", "WARNING", "py.warnings")
    assert event.fields["category"] == "RuntimeWarning"
    assert event.fields["file"] == __file__
    assert [str(arguments[0]) for arguments in hooks["warning"]] == ["take care", "elsewhere", "not any more"]


async def test_a_threads_exception(hooks: dict[str, list[Any]]) -> None:
    sink = MemorySink()

    def fail(error: BaseException) -> None:
        raise error

    async with opened(sink) as container:
        with capture_errors(container):
            for error in (ValueError("broken"), SystemExit(3)):
                thread = threading.Thread(target=fail, args=(error,), name="the worker")
                thread.start()
                await anyio.to_thread.run_sync(thread.join)
    (event,) = sink.events
    assert (event.message, event.level) == ("uncaught exception in a thread", "ERROR")
    assert event.exception is not None and event.exception["message"] == "broken"
    assert (event.fields, event.task) == ({"thread": "the worker"}, "the worker")
    assert hooks["thread"] == [ValueError, SystemExit]


async def test_what_cannot_be_raised(hooks: dict[str, list[Any]]) -> None:
    class Finalized:
        def __del__(self) -> None:
            raise ValueError("in the finalizer")

    sink = MemorySink()
    async with opened(sink) as container:
        with capture_errors(container):
            Finalized()
            gc.collect()
    (event,) = sink.events
    assert (event.message, event.level) == ("exception ignored", "ERROR")
    assert event.exception is not None and event.exception["message"] == "in the finalizer"
    assert "__del__" in event.fields["object"]
    assert hooks["unraisable"] == [ValueError]


async def test_an_exception_that_leaves_the_block() -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        error = ValueError("broken")
        with pytest.raises(ValueError, match="broken") as caught, capture_errors(container):
            raise error
        assert caught.value is error
        with pytest.raises(BaseExceptionGroup), capture_errors(container):
            raise BaseExceptionGroup("several", [KeyboardInterrupt(), ValueError("inside")])
        with pytest.raises(SystemExit), capture_errors(container):
            raise SystemExit
        with pytest.raises(BaseExceptionGroup), capture_errors(container):
            raise BaseExceptionGroup("no error", [KeyboardInterrupt()])
        with pytest.raises(KeyError), capture_errors(container, program=False):
            raise KeyError
        with anyio.CancelScope() as scope, capture_errors(container):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert [(event.level, event.exception["type"]) for event in sink.events if event.exception] == [
        ("CRITICAL", "ValueError"),
        ("CRITICAL", "BaseExceptionGroup"),
    ]
    assert len(sink.events) == 2


async def test_the_programs_hook(hooks: dict[str, list[Any]]) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_errors(container):
            sys.excepthook(ValueError, ValueError("the last"), None)
            sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    (event,) = sink.events
    assert (event.level, event.message) == ("CRITICAL", "uncaught exception")
    assert [arguments[0] for arguments in hooks["program"]] == [ValueError, KeyboardInterrupt]


async def test_the_event_loops_handler(logger: logging.Logger) -> None:
    sink = MemorySink()
    told: list[dict[str, Any]] = []
    async with opened(sink) as container:
        if sniffio.current_async_library() != "asyncio":
            with capture_errors(container):
                pass
            return
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: told.append(context))
        own = loop.get_exception_handler()
        with capture_errors(container):
            loop.call_soon(int, "no number")
            await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
        assert loop.get_exception_handler() is own
        loop.set_exception_handler(before)
    (event,) = sink.events
    assert (event.level, event.logger) == ("ERROR", "asyncio")
    assert event.exception is not None and event.exception["type"] == "ValueError"
    assert len(told) == 1


async def test_what_the_hook_before_logs_makes_no_second_event(logger: logging.Logger) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_logging(container, NAME), pytest.MonkeyPatch.context() as patch:
            patch.setattr(warnings, "showwarning", lambda *arguments: logger.warning("logged as well"))
            with capture_errors(container):
                warnings.warn("once", stacklevel=1)
            logger.info("after")
    assert sink.messages == ("once", "after")


async def test_a_task_that_the_hook_before_starts_logs_like_any_other(logger: logging.Logger) -> None:
    sink = MemorySink()

    async def report() -> None:
        logger.info("from the task")

    async with opened(sink) as container, anyio.create_task_group() as tasks:
        with capture_logging(container, NAME), pytest.MonkeyPatch.context() as patch:
            patch.setattr(warnings, "showwarning", lambda *arguments: tasks.start_soon(report))
            with capture_errors(container):
                warnings.warn("once", stacklevel=1)
            await anyio.wait_all_tasks_blocked()
    assert sink.messages == ("once", "from the task")


async def test_without_the_hooks_before(hooks: dict[str, list[Any]]) -> None:
    sink = MemorySink()
    async with opened(sink) as container:
        with capture_errors(container, chain=False):
            warnings.warn("logged", stacklevel=1)
            await container.aclose()
            warnings.warn("not accepted", stacklevel=1)
    assert sink.messages == ("logged",)
    assert [str(arguments[0]) for arguments in hooks["warning"]] == ["not accepted"]


async def test_only_what_is_wanted() -> None:
    sink = MemorySink()
    before = sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning
    async with opened(sink) as container:
        with capture_errors(container, warnings=False, program=False, threads=False, unraisable=False, loop=False):
            assert (sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning) == before


async def test_hooks_left_in_another_order_are_there_again(hooks: dict[str, list[Any]]) -> None:
    first, second = MemorySink(), MemorySink()
    async with opened(first) as one, opened(second) as other:
        outer, inner = capture_errors(one), capture_errors(other)
        outer.__enter__()
        inner.__enter__()
        warnings.warn("both", stacklevel=1)
        outer.__exit__(None, None, None)
        warnings.warn("inner", stacklevel=1)
        mine = warnings.showwarning
        inner.__exit__(None, None, None)
        warnings.warn("none", stacklevel=1)
        assert warnings.showwarning is not mine
    assert (first.messages, second.messages) == (("both",), ("both", "inner"))
    assert [str(arguments[0]) for arguments in hooks["warning"]] == ["both", "inner", "none"]
