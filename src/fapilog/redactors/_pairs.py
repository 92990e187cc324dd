"""Names with their values inside a text: ``password=…``, ``"token": "…"``, ``--api-key …``, ``<pin>…</pin>``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from .._names import word_list
from ._attempts import Attempts
from ._found import Found
from ._name_runs import NameRuns, name_runs, plain_forms
from ._unquoting import unquoted

# What is repeated without a bound is possessive and begins only where no longer run could, so that a text is read in
# linear time.
_NAME = r"((?:[\w.\-%\[\]]|\\{1,2}u[0-9A-Fa-f]{4})++)"
_PAIR = re.compile(_NAME + r"\\{0,4}[\"'`]?(?:[ \t]\([^()\r\n]{1,24}\))?[ \t]{0,8}(?:=>|->|:=|[:=])\s{0,8}")
_ESCAPED = re.compile(r"\\{1,2}u([0-9A-Fa-f]{4})")
_OPTION = re.compile(r"-(?<![^\s\"'\[(,]-)-?([A-Za-z][\w\-]*+)[ \t]+(?!-)")
_ELEMENT = re.compile(r"<([\w:.\-]{1,64}+)(?:\s[^<>]{0,256}+)?>(?:\s{0,8}<!\[CDATA\[)?([^<]++)")
_NAMED = re.compile(
    r"[nkhf](?<!\w.)(?:(?<=n)ame|(?<=k)ey|(?<=h)eader|(?<=f)ield)\\{0,4}[\"']?\s{0,4}[=:]\s{0,4}\\{0,4}[\"']?([\w.\-\[\]]{1,64}+)\\{0,4}[\"']?"
)
_NAMED_VALUE = re.compile(r"[^<>\r\n]{0,256}?\bvalues?\\{0,4}[\"']?\s{0,4}[=:]\s{0,4}(?:\[\s{0,4})?")
_NAMED_ELEMENT = re.compile(r"[^<>\r\n]{0,256}+>([^<]++)")
_NAMED_PART = re.compile(r"[^\r\n]{0,256}+\r?\n(?:[^\r\n]{1,256}+\r?\n){0,8}\r?\n((?:(?!\r?\n--)[\s\S]){1,4096}+)")
_QUOTED_AFTER = re.compile(
    r"([pPiIaAsS][aAwWrRdDpPcCeE](?<!\w..)(?i:(?<=pa)ss(?:word|wd|phrase)|(?<=pw)d|(?<=id)entified"
    r"|(?:(?<=ap)i|(?<=ac)cess|(?<=se)cret|(?<=pr)ivate)[ _-]?key))(?i:\s{1,4}by)?\s{1,4}(?=[\"'])"
)
# Two characters rule out nearly all of a text at once, which makes it worth while to ask first.
_BEFORE_QUOTED = re.compile(r"[dDeEyY]\s(?<=(?i:ord|swd|ase|pwd|ied|key|\sby)\s)\s{0,3}(?=[\"'])")
_LOGIN_OPTION = re.compile(r"-(?<!\S-)(?:u|-user|-proxy-user)[ =]{0,4}[\"']?[^\s:\"']{1,64}:([^\s\"']++)")
_PAIR_OF_TEXTS = re.compile(r"[\[(]\s{0,4}b?\\{0,4}[\"']([\w.\-]{1,64}+)\\{0,4}[\"']\s{0,4},\s{0,4}b?(?=\\{0,4}[\"'])")
_BEFORE_PAIR = re.compile(r"[\[(]\s{0,4}b?\\{0,4}[\"']\Z")
_LONGEST_BEFORE_PAIR = 11
_WORDS_BEFORE = re.compile(r"(?:[A-Za-z]{1,24} ){1,2}$")

_QUOTE = re.compile(r"\\{0,4}([\"'`])")
_SCHEME = re.compile(r"(?i)(?:bearer|basic|digest|negotiate|token|apikey|hmac|aws4-hmac-sha256)[ \t]{1,8}(?=\S)")
_ENDS = r",;&\"'`<>(){}\[\]|"
_PLAIN_VALUE = re.compile(
    rf"[^\s](?:[^\s{_ENDS}]++|[{_ENDS}](?!\s|$|[{_ENDS}:]{{0,4}}(?:\s|$)|[\w.\-%\[\]\"'`\\]{{1,48}}\s{{0,2}}[=:]))*+"
)
_LINE = re.compile(r"[^\r\n]++")
_BRACKET = re.compile(r"[{}\[\]()]")
_OPENING = {"{": "}", "[": "]", "(": ")"}
_WHOLE_LINE = frozenset(
    word_list(
        """
        authorization proxyauthorization xforwardedauthorization cookie setcookie wwwauthenticate authheader passphrase
        mnemonic seedphrase recoveryphrase
        """
    )
)
"""The words of names whose values have spaces in them, as one."""
_LONGEST_NAME = 128
_PASSWORD = "password"


class PairFinder:
    """Finds the values of sensitive names in texts.

    Parameters:
        rule_of: returns the name of the rule that makes a name sensitive, or None.
        forms: what each sensitive name has in it, as one word in lower case.
    """

    def __init__(
        self,
        rule_of: Callable[[str], str | None],
        rule_of_words: Callable[[str], str | None],
        forms: Iterable[str],
    ) -> None:
        self._rule_of = rule_of
        self._rule_of_words = rule_of_words
        forms = plain_forms(forms)
        self._names = name_runs(forms, ".-%[]", at_end=False, pairs=True)
        self._options = name_runs(forms, "-", at_end=False)
        self._words = name_runs(forms, ":.-[]", at_end=False)

    def find(self, text: str, attempts: Attempts) -> Iterator[Found]:
        """Yield the values of sensitive names, in no order; they may overlap."""
        return _Pairs(text, attempts, self._rule_of, self._rule_of_words).find(self._names, self._options, self._words)


class _Pairs:
    """The work on one text.

    Each sensitive name is an attempt, and each other one that is looked up, but only once.
    """

    __slots__ = ("_attempts", "_hidden", "_known", "_rule_of", "_rule_of_words", "_text")

    def __init__(
        self,
        text: str,
        attempts: Attempts,
        rule_of: Callable[[str], str | None],
        rule_of_words: Callable[[str], str | None],
    ) -> None:
        self._text = text
        self._attempts = attempts
        self._rule_of = rule_of
        self._rule_of_words = rule_of_words
        self._known: dict[str, str | None] = {}
        self._hidden = 0
        """Where the last value ends that was found."""

    def find(self, names: NameRuns, options: NameRuns, words: NameRuns) -> Iterator[Found]:
        text = self._text
        yield from self._values(self._matches(_PAIR, names(text)))
        if "-" in text:
            with_dash = (start for start in options(text) if text[start] == "-")
            yield from self._values(self._matches(_OPTION, with_dash))
            if (rule := self._rule_of(_PASSWORD)) is not None:
                logins = self._attempts.on(_LOGIN_OPTION.finditer(text))
                yield from (Found(*match.span(1), rule) for match in logins)
        quoted = "'" in text or '"' in text
        if quoted and _BEFORE_QUOTED.search(text) is not None:
            yield from self._values(_QUOTED_AFTER.finditer(text))
        if quoted or "<" in text:
            starts = words(text)
            yield from self._values(self._matches(_PAIR_OF_TEXTS, self._pairs_of_texts(starts)))
            yield from self._elements(starts)
        yield from self._named(words)

    def _matches(self, pattern: re.Pattern[str], starts: Iterable[int]) -> Iterator[re.Match[str]]:
        """Yield the matches of *pattern* at *starts*.

        What stands in a value that is found is hidden with it, and looking there again would take quadratic time.
        """
        text = self._text
        for start in starts:
            if start >= self._attempts.end:
                return
            if start >= self._hidden and (match := pattern.match(text, start)) is not None:
                yield match

    def _pairs_of_texts(self, starts: list[int]) -> Iterator[int]:
        text = self._text
        if "[" not in text and "(" not in text:
            return
        for start in starts:
            if start > 1 and text[start - 1] in "\"'" and text[start - 2] in "[( \\b\t\r\n\f\v":
                before = _BEFORE_PAIR.search(text, max(start - _LONGEST_BEFORE_PAIR, 0), start)
                if before is not None:
                    yield before.start()

    def _elements(self, starts: list[int]) -> Iterator[Found]:
        text = self._text
        for start in starts:
            if start >= self._attempts.end:
                return
            if start and text[start - 1] == "<" and (match := _ELEMENT.match(text, start - 1)) is not None:
                rule = self._rule(match[1], start)
                if rule is not None:
                    yield Found(match.start(2), match.end(2), rule)

    def _values(self, matches: Iterable[re.Match[str]]) -> Iterator[Found]:
        """Yield the value behind each of *matches* whose first group is a sensitive name."""
        text = self._text
        self._hidden = 0
        for match in matches:
            if match.start() >= self._attempts.end:
                return
            if match.start() < self._hidden:
                continue
            name = match[1]
            if name.lower() == "identified":  # by a password, in SQL
                name = _PASSWORD
            rule = self._rule(name, match.start(1)) or self._rule_of_several(match.start(1), name)
            if rule is not None:
                self._hidden = _end_of_value(text, match.end(), name)
                found = _inside_quotes(text, match.end(), self._hidden, rule)
                if found is not None:
                    yield found

    def _named(self, words: NameRuns) -> Iterator[Found]:
        """Yield the values that stand beside ``name="…"``: in a form, in XML, in a part of a multipart body."""
        text = self._text
        hidden = 0
        for match in _NAMED.finditer(text):
            if match.start() >= self._attempts.end:
                return
            if match.start() < hidden or not words(match[1]):
                continue
            rule = self._rule(match[1], match.start())
            if rule is None:
                continue
            beside = _NAMED_VALUE.match(text, match.end())
            if beside is not None:
                hidden = _end_of_value(text, beside.end(), match[1])
                found = _inside_quotes(text, beside.end(), hidden, rule)
                if found is not None:
                    yield found
            for pattern in (_NAMED_ELEMENT, _NAMED_PART):
                content = pattern.match(text, match.end())
                if content is not None:
                    hidden = max(hidden, content.end(1))
                    yield Found(content.start(1), content.end(1), rule)

    def _rule(self, name: str, start: int) -> str | None:
        """Return the rule for the name that stands at *start*, or None."""
        name = name[-_LONGEST_NAME:]
        return self._looked_up(name, start, self._rule_of_written)

    def _looked_up(self, name: str, start: int, rule_of: Callable[[str], str | None]) -> str | None:
        known = self._known
        rule = known.get(name)
        if (rule is not None or name not in known) and self._attempts.at(start):
            if rule is None:
                rule = known[name] = rule_of(name)
            return rule
        return None

    def _rule_of_written(self, name: str) -> str | None:
        if "%" in name:
            name = unquoted(name)
        if "\\" in name:
            name = _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 16)), name)
        return self._rule_of(name)

    def _rule_of_several(self, start: int, name: str) -> str | None:
        """Return the rule for a name of two or three words that stand apart, such as ``Card number: …``."""
        text = self._text
        if text[start - 1 : start] != " ":
            return None
        before = _WORDS_BEFORE.search(text[max(start - 50, 0) : start])
        if before is None:
            return None
        return self._looked_up(before[0] + name, start, self._rule_of_last)

    def _rule_of_last(self, several: str) -> str | None:
        words = several.split()
        for count in range(2, len(words) + 1):
            rule = self._rule_of_words(" ".join(words[-count:]))
            if rule is not None:
                return rule
        return None


def _inside_quotes(text: str, start: int, end: int, rule: str) -> Found | None:
    """Return the value that stands at *start*, without the quotes around it; None if it is empty."""
    quote = _QUOTE.match(text, start)
    if quote is not None and quote.end() <= end:
        start = quote.end()
        if text[end - 1] == quote[1] and end > start:
            end = start + len(text[start : end - 1].rstrip("\\"))
    return Found(start, end, rule) if end > start else None


def _end_of_value(text: str, start: int, name: str) -> int:
    if start >= len(text):
        return start
    quote = _QUOTE.match(text, start)
    if quote is not None:
        return _end_of_quoted(text, quote)
    if text[start] in _OPENING:
        return _end_of_brackets(text, start)
    whole_line = "".join(character for character in name.lower() if character.isalnum()) in _WHOLE_LINE
    if whole_line:
        line = _LINE.match(text, start)
        return start if line is None else line.end()
    scheme = _SCHEME.match(text, start)
    value = _PLAIN_VALUE.match(text, start if scheme is None else scheme.end())
    return start if value is None else value.end()


def _end_of_quoted(text: str, quote: re.Match[str]) -> int:
    """Return where a quoted value ends, its closing quote included; the end of the text if there is none."""
    backslashes = quote.end() - quote.start() - 1
    position = quote.end()
    while True:
        position = text.find(quote[1], position)
        if position < 0:
            return len(text)
        before = position
        while before > quote.end() and text[before - 1] == "\\":
            before -= 1
        escapes = position - before
        # Inside quotes that are escaped themselves, a quote that belongs to the value has more backslashes.
        if escapes <= backslashes if backslashes else escapes % 2 == 0:
            return position + 1
        position += 1


def _end_of_brackets(text: str, start: int) -> int:
    """Return where the brackets that open at *start* are closed; the end of the text if they are not."""
    depth = 0
    for match in _BRACKET.finditer(text, start):
        depth += 1 if match[0] in _OPENING else -1
        if depth <= 0:
            return match.end()
    return len(text)
