"""What is sensitive in one text: by the detectors, by the names of what it holds, and inside what is URL-quoted in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_plus

from ._detectors import TextFinder
from ._found import Found
from ._names import SensitiveNames
from ._pairs import PairFinder

NAME = "name:"
"""Stands before the name of a rule where a detector's may stand too."""

_TOKEN = re.compile(r"(?<![^\s&?#=\"'<>])[^\s&?#=\"'<>]++")
_MOST_UNQUOTED = 3
"""How often a text is unquoted that was URL-quoted again and again; what still is then counts as sensitive."""


class Texts:
    """Finds everything in a text.

    Parameters:
        names: which names are sensitive.
        finder: finds sensitive values.
        kept: values that are left where the finder finds them.
        suspicious: whether a text is worth a look; never wrong in one direction.
    """

    def __init__(
        self, names: SensitiveNames, finder: TextFinder, kept: frozenset[str], suspicious: Callable[[str], bool]
    ) -> None:
        self._finder = finder
        self._kept = kept
        self.suspicious = suspicious

        def rule_of(name: str) -> str | None:
            rule = names.rule(name)
            return None if rule is None else NAME + rule.name

        def rule_of_words(words: str) -> str | None:
            rule = names.exactly(words)
            return None if rule is None else NAME + rule.name

        self._pairs = PairFinder(rule_of, rule_of_words)

    def find(self, text: str) -> list[Found]:
        """Return what is sensitive in *text*, sorted, without overlaps."""
        return self._find(text, 0) if self.suspicious(text) else []

    def values(self, text: str) -> list[Found]:
        """Return what the detectors find in *text*, but for what is kept."""
        found = self._finder.find(text)
        if found and self._kept:
            return [one for one in found if text[one.start : one.end] not in self._kept]
        return found

    def _find(self, text: str, unquoted: int) -> list[Found]:
        found = [*self.values(text), *self._pairs.find(text)]
        if "%" in text:
            found += self._quoted(text, unquoted)
        return _apart(found) if len(found) > 1 else found

    def _quoted(self, text: str, unquoted: int) -> list[Found]:
        found: list[Found] = []
        for match in _TOKEN.finditer(text):
            token = match[0]
            if "%" not in token or (plain := unquote_plus(token)) == token:
                continue
            if unquoted >= _MOST_UNQUOTED:
                found.append(Found(match.start(), match.end(), "url_quoted"))
            elif self.suspicious(plain):
                inside = self._find(plain, unquoted + 1)
                if inside:
                    found.append(Found(match.start(), match.end(), inside[0].kind))
        return found


def _apart(found: list[Found]) -> list[Found]:
    """Return *found* sorted, those that overlap as one."""
    apart: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if apart and one.start < apart[-1].end:
            last = apart[-1]
            if one.end > last.end:
                apart[-1] = Found(last.start, one.end, last.kind)
        else:
            apart.append(one)
    return apart
