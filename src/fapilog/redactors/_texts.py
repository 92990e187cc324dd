"""What is sensitive in one text: by the detectors, by the names in it, and inside what is URL-quoted."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

import orjson

from .._names import SensitiveNames
from ._detectors import TextFinder
from ._folding import INVISIBLE, LOOK_ALIKES, folded, offsets
from ._found import Found
from ._pairs import PairFinder

NAME = "name:"
"""Stands before the name of a rule where a detector's may stand too."""

_TOKEN = re.compile(r"(?<![^\s&?#=\"'<>])[^\s&?#=\"'<>]++")
_SEPARATORS = "=:<%'\"`"
_LIKE_SEPARATORS = "".join(chr(code) for code, like in LOOK_ALIKES.items() if like in f"{_SEPARATORS}->")
_SEPARATES = re.compile(f"[{_SEPARATORS}{re.escape(_LIKE_SEPARATORS + ''.join(sorted(INVISIBLE)))}]|-[->]")
"""Stands between a name and its value, or around either."""
_MOST_UNQUOTED = 3
"""How often a text is unquoted that was URL-quoted again and again; what still is then counts as sensitive."""


class Texts:
    """Finds everything in a text.

    Parameters:
        names: which names are sensitive.
        finder: finds sensitive values.
        kept: values that are left where the finder finds them.
        longest: characters of a text that are searched.
    """

    def __init__(self, names: SensitiveNames, finder: TextFinder, kept: frozenset[str], longest: int) -> None:
        self._longest = longest
        self._finder = finder
        self._kept = kept
        self._last: tuple[str, list[Found]] = ("", [])
        """The last text and what is in it: whoever asks whether a text holds something asks for what it is next."""

        def rule_of(name: str) -> str | None:
            rule = names.rule(name)
            return None if rule is None else NAME + rule.name

        def rule_of_words(words: str) -> str | None:
            rule = names.exactly(words)
            return None if rule is None else NAME + rule.name

        self._pairs = PairFinder(rule_of, rule_of_words)

    def holds(self, text: str) -> bool:
        """Return whether *text* holds something sensitive, or is JSON, which may do so in its own way.

        Of a text that is too long to be searched, whether it may.
        """
        if len(text) > self._longest:
            return self._finder.screen(text) or _SEPARATES.search(text) is not None
        return bool(self.find(text)) or is_json(text)

    def find(self, text: str) -> list[Found]:
        """Return what is sensitive in *text*, sorted, without overlaps."""
        last = self._last
        if last[0] == text:
            return last[1]
        found = self._find(text, 0)
        self._last = (text, found)
        return found

    def forget(self) -> None:
        """Forget the last text."""
        self._last = ("", [])

    def values(self, text: str) -> list[Found]:
        """Return what the detectors find in *text*, but for what is kept."""
        found = self._finder.find(text) if self._finder.screen(text) else []
        if found and self._kept:
            return [one for one in found if text[one.start : one.end] not in self._kept]
        return found

    def _find(self, text: str, unquoted: int) -> list[Found]:
        found = self.values(text)
        if _SEPARATES.search(text):
            read = folded(text)
            inside = [*self._pairs.find(read), *(self._quoted(read, unquoted) if "%" in read else ())]
            if inside and read is not text:
                inside = _moved(inside, offsets(text))
            found = found + inside
        return _apart(found) if len(found) > 1 else found

    def _quoted(self, text: str, unquoted: int) -> list[Found]:
        """Return the words of *text* that are URL-quoted and hold something when they are not."""
        found: list[Found] = []
        for match in _TOKEN.finditer(text):
            token = match[0]
            if "%" not in token or (plain := unquote_plus(token)) == token:
                continue
            inside = [Found(0, 0, "url_quoted")] if unquoted >= _MOST_UNQUOTED else self._find(plain, unquoted + 1)
            if inside:
                found.append(Found(match.start(), match.end(), inside[0].kind))
        return found


def is_json(text: str) -> bool:
    """Return whether *text* is a JSON object or array."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _moved(found: list[Found], positions: list[int] | None) -> list[Found]:
    """Return *found* as they stand in the text that was folded."""
    if positions is None:
        return found
    return [Found(positions[start], positions[end - 1] + 1, kind) for start, end, kind in found]


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
