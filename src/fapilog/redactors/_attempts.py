"""How much is tried on one text, so that none costs more than its length accounts for."""

from __future__ import annotations

import re
from collections.abc import Iterator

LEAST = 128
CHARACTERS = 64
"""So many candidates are tried in any text, and one more for each so many characters of it."""


class Attempts:
    """Counts what is tried on one text. When no more may be, the rest of the text is not looked at.

    Parameters:
        text: the text, as it is searched.
        shared: what counts for the text that it is a part of, if it is one: what is tried on either is tried on both.
    """

    __slots__ = ("_left", "end")

    _left: list[int]
    end: int
    """From here on not all was looked at: the length of the text, as long as all is."""

    def __init__(self, text: str, shared: Attempts | None = None) -> None:
        self._left = [LEAST + len(text) // CHARACTERS] if shared is None else shared._left
        self.end = len(text)

    def at(self, position: int) -> bool:
        """Return whether a candidate may be tried that begins at *position*."""
        if position >= self.end:
            return False
        if self._left[0] == 0:
            self.end = position
            return False
        self._left[0] -= 1
        return True

    def on(self, candidates: Iterator[re.Match[str]]) -> Iterator[re.Match[str]]:
        """Yield *candidates*, which are in order, as long as they may be tried."""
        for candidate in candidates:
            if not self.at(candidate.start()):
                return
            yield candidate
