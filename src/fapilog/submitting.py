"""Submitting: how each face of a logger hands a record to the intake, in the call that has made it."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any

from .context import INSIDE_PLUGIN
from .event import Level, Record
from .pipeline.awaitables import REFUSED, Acceptance

if TYPE_CHECKING:
    from .calls import RecordBuilder


def submitted(submit: Callable[[Any, Record], Any], logger: RecordBuilder, record: Record) -> Any:
    """Submit an event, and keep whether it was accepted where later events look that tell of the same exception."""
    result = submit(logger, record)
    extras = record[7]
    if extras is not None and extras.logged is not None:
        extras.logged.accepted = logger._intake.has_accepted(result)
    return result


def async_submit(logger: RecordBuilder, record: Record) -> Acceptance:
    """Submit an event as a call of an ``AsyncLogger`` does; return what the caller may await."""
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return REFUSED
    try:
        if get_ident() != intake.thread:
            return intake.door.admit(record)
        chunk = intake.chunk
        if len(chunk) < intake.limit and record[1] < Level.ERROR:  # as the quick path, which has no way for errors
            chunk.append(record)
            return intake.accepted
        return intake.admit(record)
    except RecursionError:
        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return intake.accepted
        intake._counts.dropped_recursion += 1
        return intake.refused


def nowait_submit(logger: RecordBuilder, record: Record) -> bool:
    """Submit an event as a call of a ``NowaitLogger`` does; return whether it was accepted."""
    if record[5] is INSIDE_PLUGIN:
        logger._intake._counts.rejected_reentrant += 1
        return False
    intake = logger._intake
    try:
        return logger._core.submit(record)
    except RecursionError:
        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return True
        intake._counts.dropped_recursion += 1
        return False


def blocking_submit(logger: RecordBuilder, record: Record) -> bool:
    """Submit an event as a call of a ``BlockingLogger`` does; return whether it was accepted."""
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return False
    try:
        if get_ident() != intake.thread:
            return intake.door.admit_blocking(record)
        return intake.admit_on_loop(record)
    except RecursionError:
        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return True
        intake._counts.dropped_recursion += 1
        return False
