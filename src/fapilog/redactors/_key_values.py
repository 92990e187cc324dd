"""Secrets that a text names: ``password=…``, ``"token": "…"``, ``Authorization: …``, ``--api-key …``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ._attempts import Attempts
from ._name_runs import name_runs

STEMS = ("pass", "psw", "pw", "pin", "secret", "token", "key", "auth", "cookie", "otp", "cred", "jwt", "cvv", "cvc",
         "cid", "code", "sess", "connect", "card", "ssn", "track")  # fmt: skip
"""One of these is in each name that counts, in whatever case."""

_KEY = re.compile(
    r"(?=(?:[\w.]++|-(?!-))*+(?P<option>--)?)(?P<key>[\w.\-]++)(?P<closing>(?:\\*+[\"'`]|\]|%5D|%22)?+)"
    r"(?P<separator>[ \t]{0,3}+(?:=>|:=|={1,3}|:)[ \t]{0,3}+|%3[DA]|>"
    r"|,\s{0,3}+(?=[bu]?\\*+[\"'])|[ \t]{1,3}+(?(option)(?=\S)|(?=[\"'])))",
    re.IGNORECASE,
)
_STRONG_ENDS = (
    "password", "passwd", "passwort", "passphrase", "passcode", "pswd", "secret", "secretkey", "token", "apikey",
    "accesskey", "accesskeyid", "privatekey", "secretaccesskey", "signingkey", "encryptionkey", "masterkey",
    "accountkey", "sharedaccesskey", "authkey", "sessionkey", "storagekey", "licensekey", "subscriptionkey", "hostkey",
    "sharedkey", "authorization", "authheader", "credential", "credentials", "sessionid", "sessid", "cookie", "mfacode",
    "verificationcode", "securitycode", "cardsecurity", "connectionstring", "passwordhash", "cardnumber", "cvvcode",
    "trackdata", "jsessionid", "connectsid",
)  # fmt: skip
_SHORT_ENDS = ("pass", "pwd", "pw", "pin", "otp", "totp", "cvv", "cvv2", "cvc", "cvc2", "cid", "jwt", "auth", "ssn",
               "track1", "track2")  # fmt: skip
_STRONG = re.compile(f"(?:{'|'.join(_STRONG_ENDS)})$")
_SHORT = re.compile(rf"(?:(?<![A-Za-z0-9])|(?<=[a-z0-9])(?=[A-Z]))(?i:{'|'.join(_SHORT_ENDS)})$")
_NAMES = name_runs((*_STRONG_ENDS, *_SHORT_ENDS), ".-", at_end=True)
_TO_END_OF_LINE = re.compile(r"(?:authorization|cookie)$")
_PUNCTUATION = str.maketrans("", "", "_-. ")
_NOT_SECRET = re.compile(
    r"(?:\*+|x{3,}|\.{3}|\u2026|true|false|null|none|nil|undefined|nan|yes|no|on|off|ok|required|missing|invalid|expired|"
    r"empty|wrong|incorrect|failed|failure|success|enabled|disabled|unset|set|redacted|masked|hidden|"
    r"\[redacted[^\]]{0,64}\]|<[\w \-]{1,32}>|\$\{\w{1,64}\}|\{\w{0,64}\}|%s|\$(?-i:[A-Z_]{2,64}))",
    re.IGNORECASE,
)
"""What stands for a value, or tells of it."""
_PROSE = frozenset({
    "not", "is", "was", "has", "must", "and", "or", "for", "the", "a", "an", "to", "in", "of", "by", "with", "from",
    "given", "provided", "str", "string", "bytes", "int", "bool", "optional", "any",
})  # fmt: skip
"""What may follow a name, a colon and a space in a sentence or a signature."""
_LONGEST_WORD = 16
_TWO_WORDS = re.compile(r"(?:api|access|secret|private|signing|encryption|account|license|auth) key$", re.IGNORECASE)
_LONGEST_TWO_WORDS = 14
_NEXT_PAIR = r"[,)}\]\"'\\]{1,6}[\"']?[\w.$\-]{1,64}\\{0,3}[\"']?[=:]|%26|%3B|%22"
_UNQUOTED = re.compile(rf"(?:[^\s&;`<,)}}\]\"'\\%]++|(?!{_NEXT_PAIR})[^\s&;`<])++", re.IGNORECASE)
_CLOSERS = "\"'`,.;)]}>\\"
_OPENING = re.compile(r"[bBuUrR]?(\\*+)(\"\"\"|'''|[\"'`])|()%22", re.IGNORECASE)
_LONGEST_KEY = 64


def is_secret_name(name: str) -> bool:
    """Return whether what *name* names is a secret: by how it ends, whatever joins its words."""
    name = name[-_LONGEST_KEY:]
    return _STRONG.search(name.translate(_PUNCTUATION).lower()) is not None or _SHORT.search(name) is not None


def find_named_secrets(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has the value of a secret that it names."""
    return _NamedSecrets(text).find(attempts)


class _NamedSecrets:
    """One look at a text; no part of it is looked at more than a fixed number of times."""

    __slots__ = ("next_marks", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.next_marks: dict[str, tuple[int, int]] = {}
        """From where on a quotation mark, or the end of the line, was looked for, and where the next one is."""

    def find(self, attempts: Attempts) -> Iterator[tuple[int, int]]:
        position = 0
        known: dict[str, bool] = {}
        for start in _NAMES(self.text):
            if start < position or (found := _KEY.match(self.text, start)) is None:
                continue
            if not attempts.at(start):
                return
            position = found.end()
            name = found["key"]
            is_secret = known.get(name)
            if is_secret is None:
                is_secret = known[name] = is_secret_name(name)
            if (is_secret or self._is_two_words(found)) and self._separates(found):
                span = self._value(found, name)
                if span:
                    position = max(position, span[1])
                    yield span

    def _is_two_words(self, found: re.Match[str]) -> bool:
        """Return whether the name is the second word of one such as ``API key``."""
        end = found.end("key")
        return found["key"].lower() == "key" and bool(
            _TWO_WORDS.search(self.text[max(0, end - _LONGEST_TWO_WORDS) : end])
        )

    def _separates(self, found: re.Match[str]) -> bool:
        separator = found["separator"].strip()
        before = self.text[found.start() - 1 : found.start()]
        if separator == ">":
            return before == "<"
        if separator == ",":
            return bool(found["closing"])
        if separator == "":
            return not found["closing"] and (
                "--" in found["key"]
                or (
                    self.text[found.end()] in "\"'"
                    and _STRONG.search(found["key"].lower()) is not None
                    and not found["key"].lower().endswith("token")
                )
            )
        return True

    def _value(self, found: re.Match[str], name: str) -> tuple[int, int] | None:
        text, start = self.text, found.end()
        opening = _OPENING.match(text, start)
        if opening:
            return self._quoted(opening)
        if _TO_END_OF_LINE.search(name.translate(_PUNCTUATION).lower()) and found["separator"].strip() in (":", "="):
            return self._line(found.start(), start)
        unquoted = _UNQUOTED.match(text, start)
        if unquoted is None:
            return None
        end = unquoted.end()
        while end > start and text[end - 1] in _CLOSERS:
            end -= 1
        if end == start or self._tells_nothing(found, start, end):
            return None
        return start, end

    def _tells_nothing(self, found: re.Match[str], start: int, end: int) -> bool:
        value = self.text[start:end]
        if _NOT_SECRET.fullmatch(value.strip("\"'()[]")) or _NOT_SECRET.fullmatch(value):
            return True
        if value.lower() in _PROSE and found["separator"][-1] == " ":
            return True
        return found["key"].lower().endswith("auth") and value.isalpha() and len(value) < _LONGEST_WORD

    def _quoted(self, opening: re.Match[str]) -> tuple[int, int] | None:
        """Return what stands between a quotation mark and its like, in the same line."""
        text, start = self.text, opening.end()
        mark = opening[2] or "%22"
        escapes = len(opening[1] or "")
        end = self._closing(mark, escapes, start)
        if end == start or _NOT_SECRET.fullmatch(text, start, end):
            return None
        return start, end

    def _closing(self, mark: str, escapes: int, start: int) -> int:
        text = self.text
        line_end = self._index("\n", start)
        position = start
        while (position := self._index(mark, position)) < line_end:
            first = position
            while first > start and text[first - 1] == "\\":
                first -= 1
            # A mark that is itself escaped has more backslashes before it than the one that opened.
            if (position - first) % (2 * (escapes + 1)) == escapes:
                return first if escapes else position
            position += len(mark)
        return line_end

    def _index(self, mark: str, start: int) -> int:
        """Return where the next *mark* is; where the text ends if there is none."""
        looked_from, position = self.next_marks.get(mark, (0, -1))
        if not looked_from <= start <= position:
            position = self.text.find(mark, start)
            if position < 0:
                position = len(self.text)
            self.next_marks[mark] = (start, position)
        return position

    def _line(self, key: int, start: int) -> tuple[int, int] | None:
        """Return the rest of the line, or of what is quoted if the quotation begins before the key."""
        end = self._index("\n", start)
        before = self.text[key - 1 : key]
        if before in ("'", '"', "`"):
            end = min(end, self._index(before, start))
        while end > start and self.text[end - 1] in "\r \t":
            end -= 1
        if end == start or _NOT_SECRET.fullmatch(self.text, start, end):
            return None
        return start, end
