"""Texts written when a signal comes, in the handler itself: the event loop may be held."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import Any, TextIO

from ._signal_handlers import SignalHandlers

_LONGEST_WAIT = 0.5
"""Seconds that a stream may take in all to accept the text; the rest of it is dropped."""
_PIECE = 512
"""Bytes written at once: a pipe that says it is ready takes as many without waiting (POSIX, ``PIPE_BUF``)."""


class SignalDumps(SignalHandlers):
    """Handlers of signals, each of which writes a text; the handlers before come back in the end."""

    def __init__(self, text: Callable[[FrameType | None], str]) -> None:
        super().__init__()
        self._text = text
        self._is_writing = False

    def write_on(self, number: int, stream: TextIO | None) -> None:
        """Write the text to *stream* each time that signal comes.

        Raises:
            ValueError: if this is not the program's main thread, or the signal cannot be handled.
            OSError: likewise.
        """

        def handle(_: int, frame: FrameType | None) -> None:
            if self._is_writing:
                return  # the signal comes faster than it can be answered; handlers would pile up on the stack
            self._is_writing = True
            try:
                write_at_once(stream, self._text(frame))
            finally:
                self._is_writing = False

        self.install(number, handle)


def write_at_once(stream: TextIO | None, text: str) -> None:
    """Write *text* without the stream's buffer, whose owner may have been interrupted; never raises or waits long.

    Parameters:
        stream: where to; the standard error if None. One without a file descriptor is written to by its own methods.
        text: what to write.
    """
    target: Any = sys.stderr if stream is None else stream
    try:
        descriptor: int = target.fileno()
    except Exception:
        try:
            target.write(text)
            target.flush()
        except Exception:
            pass  # there is nobody to tell in a signal handler
        return
    try:
        _write(descriptor, text.encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # likewise


def _write(descriptor: int, data: bytes) -> None:
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    until = monotonic() + _LONGEST_WAIT
    while data and poller.poll(max(until - monotonic(), 0) * 1000):
        data = data[os.write(descriptor, data[:_PIECE]) :]
