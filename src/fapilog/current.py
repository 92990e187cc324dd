"""The current logger: that of the innermost container entered in a context."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .errors import NoCurrentLogger

if TYPE_CHECKING:
    from .logger import AsyncLogger

CURRENT_LOGGER: ContextVar[AsyncLogger] = ContextVar("fapilog.current_logger")


def current_logger() -> AsyncLogger:
    """Return the root logger of the innermost container entered in this context.

    Raises:
        NoCurrentLogger: if no container was entered in it; a :class:`LookupError`.
    """
    try:
        return CURRENT_LOGGER.get()
    except LookupError:
        raise NoCurrentLogger from None


@contextmanager
def entered(logger: AsyncLogger) -> Generator[AsyncLogger, None, None]:
    """Make *logger* the current one inside the block."""
    token = CURRENT_LOGGER.set(logger)
    try:
        yield logger
    finally:
        try:
            CURRENT_LOGGER.reset(token)
        except ValueError:
            # Left in another context than entered, as generators do; that context keeps its own value.
            pass
