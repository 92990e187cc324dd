"""What a detector reports: a part of a text, and what kind of sensitive value it is."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    """A sensitive part of a text, ``text[start:end]``."""

    start: int
    end: int
    kind: str
    """The name of the detector, such as ``payment_card``."""
