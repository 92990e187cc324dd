"""Signal handlers that are installed for a while; those before come back in the end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class SignalHandlers:
    """Handlers of signals, and what handled each of these before."""

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}

    def install(self, number: int, handler: Callable[[int, FrameType | None], object]) -> None:
        """Have *handler* called each time that signal comes.

        Raises:
            ValueError: if this is not the program's main thread, or the signal cannot be handled.
            OSError: likewise.
        """
        previous = signal.signal(number, handler)
        self._previous.setdefault(number, previous)

    def restore(self) -> None:
        """Give every signal the handler that it had. May be called in a handler, and more than once."""
        while self._previous:
            number, previous = self._previous.popitem()
            # None is a handler that was not installed from Python, and cannot be from here.
            signal.signal(number, signal.SIG_DFL if previous is None else previous)
