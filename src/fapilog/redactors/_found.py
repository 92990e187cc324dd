"""What a detector reports: where in a text something sensitive stands, and what it is."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    """One part of a text that is to be hidden: ``text[start:end]``."""

    start: int
    end: int
    kind: str
    """The name of the detector, such as ``payment_card``."""
