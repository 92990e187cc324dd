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

    def _whole(self, event: LogEvent) -> bytes:
        return encode(flat(event, self._clock)) + b"\n"

    def _cut(self, event: LogEvent, size: int) -> bytes:
        tree = flat(event, self._clock)
        tree["truncated"] = size
        return encode(fit_event(plain(tree), self._max_event_bytes - 1, KEPT)) + b"\n"
