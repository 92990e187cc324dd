"""The ``json_flat`` format: one JSON object a line, with fields and context at its top level."""

from __future__ import annotations

from ..event import LogEvent
from ._careful import encode, plain
from ._fit import fit_event
from ._flat import flat
from ._lines import LineFormatter
from .json import KEPT


class FlatJsonFormatter(LineFormatter):
    """Encodes events as flat JSON lines, for readers that cannot query nested objects.

    Tags and metrics are ``tags.name`` and ``metrics.name``; the exception and the values of fields stay nested.

    Parameters:
        max_event_bytes: the most bytes of a line, its newline included; a longer line is cut. At least 1024.
    """

    __slots__ = ()

    def __init__(self, *, max_event_bytes: int = 262_144) -> None:
        super().__init__("json_flat", max_event_bytes)

    def format(self, event: LogEvent) -> bytes:
        """Return *event* as one line; never raises because of the event's data."""
        tree = flat(event, self._clock)
        line = encode(tree)
        if len(line) >= self._max_event_bytes:
            tree["truncated"] = len(line) + 1
            line = encode(fit_event(plain(tree), self._max_event_bytes - 1, KEPT))
        return line + b"\n"
