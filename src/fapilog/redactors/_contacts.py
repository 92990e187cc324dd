"""E-mail addresses and telephone numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

_EMAIL = re.compile(r"(?<![\w.+'\-])[\w.+'\-]++(?:@|%40)[\w.\-]++|\"[^\"\s@]{1,64}\"@[\w.\-]++", re.IGNORECASE)
_AT = re.compile(r"@|%40")
_NO_DOMAINS = frozenset({
    "service", "socket", "timer", "target", "slice", "mount", "scope", "path", "device",  # units of systemd
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "map", "json", "tgz", "gz",  # "icon@2x.png"
    "local", "localhost", "lan",  # no public address, and often "user@host"
})  # fmt: skip

_END = r"(?![\w]|[-.:/][0-9])"
_PHONE_START = r"(?<![\w.+/@#$\-])"
_E164 = re.compile(r"(?<![0-9A-Za-z+.])\+\(?([1-9])(?:[ .\-/()]{0,3}[0-9]){7,14}+(?![0-9])")
_INTERNATIONAL = re.compile(
    rf"(?<![0-9] ){_PHONE_START}00[ .\-]?([1-9][0-9]{{0,2}})(?:[ .\-/()]{{1,3}}[0-9]{{2,9}}){{1,6}}+{_END}", re.ASCII
)
_AMERICAN = re.compile(
    rf"{_PHONE_START}(?:1[ .\-])?(?:\(([2-9][0-9]{{2}})\)[ .\-]?|([2-9][0-9]{{2}})(?=([.\-]))[.\-])"
    rf"([2-9][0-9]{{2}})([ .\-])[0-9]{{4}}{_END}",
    re.ASCII,
)
_LEADING_ZERO = re.compile(
    rf"(?<![0-9] ){_PHONE_START}\(?0[1-9][0-9]{{0,4}}(?:\)[ \-]?|[ \-/])"
    rf"[0-9]{{2,9}}(?:[ \-/][0-9]{{2,9}}){{0,4}}+{_END}(?! [0-9])"
    rf"|{_PHONE_START}0[1-9](?:\.[0-9]{{2}}){{4}}{_END}",
    re.ASCII,
)
_DATE = re.compile(r"[0-9]{2}([/\-])[0-9]{2}\1(?:19|20)[0-9]{2}")
NUMBERED = ("phone", "tel", "mobile", "fax", "sms", "whatsapp", "msisdn")
"""Words that tell of a telephone number."""
_NAMED = re.compile(
    r"(?<![a-z])(?:(?:tele)?phone|tel|mobile|fax|sms|whatsapp|msisdn)"
    r"(?:[ _\-]?(?:number|num|no|nr))?[^\w\n+(]{1,5}(?:to[ :]{1,2}|is[ :]{1,2})?"
    r"(\+?\(?[0-9](?:[ .\-/()]{0,2}[0-9]){6,14}+)(?![0-9])",
    re.IGNORECASE,
)


def find_emails(text: str) -> Iterator[tuple[int, int]]:
    """Yield where *text* has an e-mail address; the ``@`` may be written ``%40``."""
    if "@" not in text and "%40" not in text:
        return
    for found in _EMAIL.finditer(text):
        start, end = found.span()
        at = _AT.search(text, start, end)
        assert at is not None
        while text[start] in "'.-" and start < at.start():
            start += 1
        while text[end - 1] in ".-_":
            end -= 1
        name, domain = text[start : at.start()], text[at.end() : end]
        if name and _is_domain(domain) and not (name == "git" and text[end : end + 1] in (":", "/")):
            yield start, end


def _is_domain(domain: str) -> bool:
    before, dot, last = domain.rpartition(".")
    if not (before and dot) or before.startswith(".") or ".." in domain:
        return False
    return (len(last) >= 2 and last.isalpha() and last.lower() not in _NO_DOMAINS) or last.lower().startswith("xn--")


def find_phones(text: str) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a telephone number (ITU-T E.164), or a common national form of one.

    Digits that could be anything else count only after a word such as ``phone`` or ``tel``.
    """
    for found in _E164.finditer(text):
        if _is_e164("".join(filter(str.isdigit, found[0])), found[0]):
            yield found.span()
    for found in _INTERNATIONAL.finditer(text):
        if 9 <= _digits(found[0]) - 2 <= 15:
            yield found.span()
    for found in _AMERICAN.finditer(text):
        if found[3] in (None, found[5]):
            yield found.span()
    for found in _LEADING_ZERO.finditer(text):
        if 9 <= _digits(found[0]) <= 12 and not _DATE.match(found[0]):
            yield found.span()
    for found in _NAMED.finditer(text):
        yield found.span(1)


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def _is_e164(digits: str, written: str) -> bool:
    if digits[0] == "1":
        return len(digits) == 11 and digits[1] >= "2" and digits[4] >= "2"
    return 9 <= len(digits) <= 15 or (len(digits) == 8 and len(written) > 9)
