"""Loguru: its records become events of a container."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any

from ..container import AsyncLoggingContainer
from ..event import LEVEL_NAMES
from ..values import freeze_mapping, text
from ._feed import Feed, extras_of, nanoseconds_of, number_of, with_call_site

if TYPE_CHECKING:
    from loguru import Logger, Message


class LoguruSink:
    """A sink for Loguru that logs each record to *container*, from any thread, without waiting and without raising.

    The event has the record's message, time, module as its logger's name, exception as data, and position as
    ``callsite`` in its context. What was bound or given is in its fields; ``tags``, ``metrics`` and ``severity`` among
    these are the event's own. A level between two is the lower one, and the fields ``levelno`` and ``levelname`` then
    tell it. With Loguru's ``enqueue`` the thread is still the one that logged, but the task's context is not.

    :func:`capture_loguru` adds it so that Loguru formats as little as it can for it.

    Parameters:
        container: where the events go.
    """

    def __init__(self, container: AsyncLoggingContainer) -> None:
        self._feed = Feed(container)

    def __call__(self, message: Message) -> None:
        """Log one record."""
        record = message.record
        feed = self._feed
        number = record["level"].no
        logger = feed.logger(record["name"] or "")
        level = number_of(number)
        if not logger._enables(level):
            return
        fields: dict[str, Any] = dict(record["extra"])
        exception = record["exception"]
        extras = extras_of(logger, fields, None if exception is None else exception.value)
        if exception is not None and exception.value is None and exception.type is not None:
            fields["exc_text"] = exception.type.__qualname__  # it could not be taken along to another process
        if number not in LEVEL_NAMES:
            fields["levelno"] = number
            fields["levelname"] = record["level"].name
        extras = with_call_site(extras, record["file"].path, record["line"], record["function"])
        thread = record["thread"]
        here = thread.id == get_ident() and record["process"].id == os.getpid()
        feed.submit(
            logger,
            level,
            text(record["message"]),
            freeze_mapping(fields),
            extras,
            nanoseconds_of(record["time"].timestamp()),
            None if here else text(thread.name),
        )


@contextmanager
def capture_loguru(
    container: AsyncLoggingContainer, *, level: int | str = 0, logger: Logger | None = None, **options: Any
) -> Generator[int]:
    """Log Loguru's records to *container* inside the block; other handlers stay. Yields the handler's number.

    Parameters:
        level: the least level, as Loguru numbers or names it.
        logger: Loguru's logger; None for the one that ``from loguru import logger`` gives.
        options: for Loguru's ``add``, such as ``filter``; ``enqueue`` is not needed, for the sink never waits.

    Raises:
        ValueError: if the level is none that Loguru knows, or there is an option that it does not take.
    """
    if logger is None:
        from loguru import logger as default_logger

        logger = default_logger
    # Loguru renders every exception, even for a text that the sink does not read: without the values of variables,
    # whose code it would run for them.
    given: dict[str, Any] = {"format": _no_text, "backtrace": False, "diagnose": False, "level": level, **options}
    number: int = logger.add(LoguruSink(container), **given)
    try:
        yield number
    finally:
        try:
            logger.remove(number)
        except ValueError:
            pass  # somebody has removed all handlers inside the block


def _no_text(record: Any) -> str:
    return ""


__all__ = ("LoguruSink", "capture_loguru")
