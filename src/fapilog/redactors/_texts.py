"""What is sensitive in one text: by the detectors, by the names in it, and inside what is URL-quoted."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate

import orjson

from .._names import SensitiveNames
from ._attempts import Attempts
from ._detectors import TextFinder, rest_of
from ._folding import INVISIBLE, LOOK_ALIKES, folded, offsets
from ._found import Found
from ._pairs import PairFinder
from ._unquoting import unquoted

NAME = "name:"
"""Stands before the name of a rule where a detector's may stand too."""

_TOKEN = re.compile(r"(?<![^\s&?#=\"'<>])[^\s&?#=\"'<>%]*+(?:%(?![0-9A-Fa-f]{2})[^\s&?#=\"'<>%]*+)*+%[^\s&?#=\"'<>]*+")
_QUOTED_LINE = re.compile("%0a", re.IGNORECASE)
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

        self._pairs = PairFinder(rule_of, rule_of_words, names.forms)

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

    def values(self, text: str, attempts: Attempts | None = None) -> list[Found]:
        """Return what the detectors find in *text*, but for what is kept."""
        found = self._finder.find(text, attempts) if self._finder.screen(text) else []
        if found and self._kept:
            return [one for one in found if text[one.start : one.end] not in self._kept]
        return found

    def _find(self, text: str, times: int, shared: Attempts | None = None) -> list[Found]:
        """Return what is in a text that was unquoted some *times*, out of one for which *shared* counts."""
        read = folded(text)
        attempts = Attempts(read, shared)
        found = self.values(text, attempts)
        inside: list[Found] = []
        if _SEPARATES.search(text):
            inside += self._pairs.find(read, attempts)
            if "%" in read:
                inside += self._quoted(read, times, attempts)
        rest = rest_of(read, attempts)
        if rest is not None:
            inside.append(rest)
        if inside:
            found = found + (inside if read is text else _moved(inside, offsets(text)))
        return _apart(found) if len(found) > 1 else found

    def _quoted(self, text: str, times: int, attempts: Attempts) -> list[Found]:
        """Return the words of *text* that are URL-quoted and hold something when they are not."""
        tokens = list(_TOKEN.finditer(text, 0, attempts.end))
        # Each in a line of its own, they are unquoted and searched together.
        lines = _QUOTED_LINE.sub("%20", "\n".join(token[0] for token in tokens))
        plain = unquoted(lines)
        if plain == lines:
            return []
        if times >= _MOST_UNQUOTED:
            return [Found(*token.span(), "url_quoted") for token in tokens if unquoted(token[0]) != token[0]]
        inside = self._find(plain, times + 1, attempts)
        if not inside:
            return []
        if any("\n" in plain[one.start : one.end] for one in inside):
            return self._quoted_apart(tokens, times, attempts)
        ends = list(accumulate(len(line) + 1 for line in plain.split("\n")))
        kinds: dict[int, str] = {}
        for one in inside:
            kinds.setdefault(bisect_right(ends, one.start), one.kind)
        return [Found(*tokens[number].span(), kind) for number, kind in kinds.items()]

    def _quoted_apart(self, tokens: list[re.Match[str]], times: int, attempts: Attempts) -> list[Found]:
        """Return the same, where something seems to go from one word on into the next: each is searched by itself."""
        found: list[Found] = []
        for token in attempts.on(iter(tokens)):
            plain = unquoted(token[0])
            inside = self._find(plain, times + 1, attempts) if plain != token[0] else []
            if inside:
                found.append(Found(*token.span(), inside[0].kind))
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
