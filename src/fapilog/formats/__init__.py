"""The built-in formats: events as JSON lines, flat JSON lines, logfmt, or text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..plugins.batch import Formatter


def make_formatters(max_event_bytes: int = 262_144) -> dict[str, Formatter]:
    """Return one formatter per built-in format, by the name that settings and sinks use.

    Parameters:
        max_event_bytes: the most bytes that one event may take, its terminator included; at least 1024.
    """
    from .console import ConsoleFormatter
    from .json import JsonFormatter
    from .json_flat import FlatJsonFormatter
    from .logfmt import LogfmtFormatter

    formatters: tuple[Formatter, ...] = (
        JsonFormatter(max_event_bytes=max_event_bytes),
        FlatJsonFormatter(max_event_bytes=max_event_bytes),
        LogfmtFormatter(max_event_bytes=max_event_bytes),
        ConsoleFormatter(max_event_bytes=max_event_bytes),
        ConsoleFormatter(max_event_bytes=max_event_bytes, colour=True),
    )
    return {formatter.name: formatter for formatter in formatters}
