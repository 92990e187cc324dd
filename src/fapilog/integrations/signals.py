"""Signals: a block that SIGTERM or Ctrl-C cancels, so that a program ends in good order, on either backend."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import copy_context
from threading import current_thread, main_thread
from types import FrameType

import anyio
import attrs

from ..current import current_logger
from ..errors import NoCurrentLogger
from ..logger import NowaitLogger
from ..pipeline.backend import current_backend
from ._signal_handlers import SignalHandlers

_DEFAULT = (signal.SIGTERM, signal.SIGINT)


@attrs.define(eq=False)
class Stop:
    """What a block that signals cancel knows of its end."""

    cancel_scope: anyio.CancelScope
    """The scope around the block; cancel it to end the block for another reason."""
    received: signal.Signals | None = None
    """The signal that came; None while none has."""
    is_over: bool = False
    """Whether the block has been left."""


@contextmanager
def cancelled_by_signals(*numbers: int) -> Generator[Stop]:
    """Cancel the block when one of the signals comes; what is behind the block then goes on.

    The signal is told as a WARNING, ``stopping``, by the logger that is current where the block is entered, if there
    is one. A second signal finds the handlers that were there before: Ctrl-C raises ``KeyboardInterrupt``, and SIGTERM
    ends the process, unless somebody else handles it. They are back at the block's end too. Exceptions pass as they
    are.

    Not for programs under a server such as uvicorn, which handles these signals itself.

    Parameters:
        numbers: the signals; SIGTERM and SIGINT if none is given.

    Raises:
        RuntimeError: outside the main thread, where Python handles signals, or without an event loop.
        ValueError, OSError: if one of the numbers is no signal, or one that cannot be handled.
    """
    backend = current_backend()
    logger = _logger_of_here()
    context = copy_context()
    stop = Stop(anyio.CancelScope())
    handlers = SignalHandlers()

    def received(number: int, frame: FrameType | None) -> None:
        handlers.restore()
        stop.received = came = signal.Signals(number)
        backend.call_soon(lambda: context.run(cancel, came.name))

    def cancel(name: str) -> None:
        if stop.is_over:
            return
        if logger is not None:
            logger.warning("stopping", signal=name)
        stop.cancel_scope.cancel(reason=name)

    if current_thread() is not main_thread():
        raise RuntimeError("signals come to the main thread only; use cancelled_by_signals() in an event loop there")
    try:
        for number in numbers or _DEFAULT:
            handlers.install(number, received)
        with stop.cancel_scope:
            yield stop
    finally:
        stop.is_over = True
        handlers.restore()


def _logger_of_here() -> NowaitLogger | None:
    try:
        return current_logger().nowait
    except NoCurrentLogger:
        return None


__all__ = ("Stop", "cancelled_by_signals")
