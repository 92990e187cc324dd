"""Errors that nobody caught, and warnings: the interpreter's hooks for them as sources of events."""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings as _warnings
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, TextIO, cast

from ..container import AsyncLoggingContainer
from ..event import Level
from ..values import freeze_mapping, text
from ._feed import Feed, extras_of
from ._records import Telling, telling


@contextmanager
def capture_errors(
    container: AsyncLoggingContainer,
    *,
    warnings: bool = True,
    program: bool = True,
    threads: bool = True,
    unraisable: bool = True,
    loop: bool = True,
    chain: bool = True,
) -> Generator[None]:
    """Log to *container* what goes wrong inside the block without anybody seeing to it.

    The hooks that were there before are called afterwards, unless *chain* is False; they always are if the container
    did not accept the event. They are there again at the end, and a hook that somebody has put over one of these
    inside the block stays. What a hook before logs of the same by the standard library's logging makes no second event.

    Parameters:
        warnings: warnings that the filters show, at WARNING, by the logger ``py.warnings`` (``warnings.showwarning``).
        program: an exception that leaves the block, at CRITICAL, and passes on; and one that ends the program while
            the block is open (``sys.excepthook``). A cancellation alone, or an exit, is no error.
        threads: what ends a thread, at ERROR (``threading.excepthook``).
        unraisable: what a finalizer or a callback could not raise, at ERROR (``sys.unraisablehook``).
        loop: what asyncio's event loop is told of, at ERROR, if it is one that runs here.
        chain: whether the hooks before are called as well.

    The hooks are the whole process's: what another container's tasks leave behind is logged here too.
    """
    errors = _Errors(Feed(container), chain)
    with ExitStack() as hooks:
        if warnings:
            hooks.enter_context(_hooked(_warnings, "showwarning", errors.warned))
        if program:
            hooks.enter_context(_hooked(sys, "excepthook", errors.ended))
        if threads:
            hooks.enter_context(_hooked(threading, "excepthook", errors.thread_ended))
        if unraisable:
            hooks.enter_context(_hooked(sys, "unraisablehook", errors.not_raised))
        if loop:
            hooks.enter_context(_loop_hooked(errors.loop_told))
        try:
            yield
        except BaseException as error:
            if program and _is_failure(error):
                errors.log("", Level.CRITICAL, "uncaught exception", error)
            raise


class _Errors:
    """Makes events of what the hooks are called with, and calls the hooks before."""

    def __init__(self, feed: Feed, chain: bool) -> None:
        self._feed = feed
        self._chain = chain

    def log(self, name: str, level: Level, message: Any, error: BaseException | None, **fields: Any) -> bool:
        """Log an event; return whether what there is to tell is told: the level may not be wanted."""
        logger = self._feed.logger(name)
        if not logger._enables(level):
            return True
        extras = extras_of(logger, {}, error)
        return self._feed.submit(logger, level.value, text(message), freeze_mapping(fields), extras)

    def _go_on(self, told: bool, previous: Callable[..., Any], *arguments: Any) -> None:
        if told and not self._chain:
            return
        now = Telling(self._feed.container.container_id) if told else None
        token = telling.set(now)
        try:
            previous(*arguments)
        finally:
            telling.reset(token)
            if now is not None:
                now.over = True

    def warned(
        self,
        previous: Callable[..., Any],
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        told = False
        if file is None:  # else somebody wants it written there
            told = self.log(
                "py.warnings",
                Level.WARNING,
                _text_of(message),
                None,
                category=category.__name__,
                file=filename,
                line=lineno,
            )
        self._go_on(told, previous, message, category, filename, lineno, file, line)

    def ended(
        self,
        previous: Callable[..., Any],
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType | None,
    ) -> None:
        told = _is_failure(error) and self.log("", Level.CRITICAL, "uncaught exception", error)
        self._go_on(told, previous, kind, error, traceback)

    def thread_ended(self, previous: Callable[..., Any], arguments: threading.ExceptHookArgs) -> None:
        told = False
        if not issubclass(arguments.exc_type, SystemExit):
            error = arguments.exc_value or arguments.exc_type()
            thread = arguments.thread
            told = self.log(
                "", Level.ERROR, "uncaught exception in a thread", error, thread=None if thread is None else thread.name
            )
        self._go_on(told, previous, arguments)

    def not_raised(self, previous: Callable[..., Any], arguments: sys.UnraisableHookArgs) -> None:
        error = arguments.exc_value or arguments.exc_type()
        message = arguments.err_msg or "exception ignored"
        told = self.log("", Level.ERROR, message, error, object=arguments.object)
        self._go_on(told, previous, arguments)

    def loop_told(
        self, previous: Callable[..., Any], running: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        fields = {name: value for name, value in context.items() if name not in ("message", "exception")}
        message = context.get("message") or "unhandled exception in the event loop"
        told = self.log("asyncio", Level.ERROR, message, context.get("exception"), **fields)
        self._go_on(told, previous, running, context)


def _text_of(message: Warning | str) -> str:
    return text(message.args[0] if isinstance(message, Warning) and len(message.args) == 1 else message)


def _is_failure(error: BaseException) -> bool:
    """Return whether *error* is an error, or a group with one in it; a cancellation, exit or interrupt is none."""
    left: list[BaseException] = [error]
    while left:
        one = left.pop()
        if isinstance(one, BaseExceptionGroup):
            left.extend(cast("BaseExceptionGroup[BaseException]", one).exceptions)
        elif isinstance(one, Exception):
            return True
    return False


class _Hooked:
    """A function in place of another one, which it gets as its first argument while it is active.

    After that somebody may still have it, who has hooked himself in over it: then it is as good as the other one.
    """

    def __init__(self, hook: Callable[..., None], previous: Callable[..., Any]) -> None:
        self._hook = hook
        self._previous = previous
        self.active: bool = True

    @property
    def previous(self) -> Callable[..., Any]:
        """The function that was there before, but none of these that are not active any more."""
        found = self._previous
        while isinstance(found, _Hooked) and not found.active:
            found = found._previous
        return found

    def __call__(self, *arguments: Any, **named: Any) -> None:
        if self.active:
            self._hook(self.previous, *arguments, **named)
        else:
            self.previous(*arguments, **named)


@contextmanager
def _hooked(module: Any, name: str, hook: Callable[..., None]) -> Generator[None]:
    """Put *hook* in place of a module's function inside the block."""
    hooked = _Hooked(hook, getattr(module, name))
    setattr(module, name, hooked)
    try:
        yield
    finally:
        hooked.active = False
        if getattr(module, name) is hooked:
            setattr(module, name, hooked.previous)


@contextmanager
def _loop_hooked(hook: Callable[..., None]) -> Generator[None]:
    """Put *hook* in place of the exception handler of the asyncio loop that runs here, if one does."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        yield
        return
    hooked = _Hooked(hook, loop.get_exception_handler() or _by_default)
    loop.set_exception_handler(hooked)
    try:
        yield
    finally:
        hooked.active = False
        current: object = loop.get_exception_handler()
        if current is hooked:
            previous = hooked.previous
            loop.set_exception_handler(None if previous is _by_default else previous)


def _by_default(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    loop.default_exception_handler(context)


__all__ = ("capture_errors",)
