"""E-mail addresses and telephone numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ._attempts import Attempts

_AT_DOMAIN = re.compile(r"(?:@|%40)(?=[\w\-]++(?:\.[\w\-]*+)*?\.(?:[^\W\d_]{2}|[xX][nN]--))([\w.\-]++)")
_QUOTED_NAME = re.compile(r"\"[^\"\s@]{1,64}\"")
_LONGEST_QUOTED = 66
_NO_DOMAINS = frozenset({
    "service", "socket", "timer", "target", "slice", "mount", "scope", "path", "device",  # units of systemd
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "map", "json", "tgz", "gz",  # "icon@2x.png"
    "local", "localhost", "lan",  # no public address, and often "user@host"
})  # fmt: skip

# Each begins with a plain character, or one of a few, and looks behind it then: so not every position is tried.
_END = r"(?![\w]|[-.:/][0-9])"
_BEFORE = r"[\w.+/@#$\-]"
"""What a number does not begin behind."""
_E164 = re.compile(r"\+(?<![0-9A-Za-z+.]\+)\(?([1-9])(?:[ .\-/()]{0,3}[0-9]){7,14}+(?![0-9])")
_INTERNATIONAL = re.compile(
    rf"00(?<![0-9] 00)(?<![\w.+/@#$\-]00)[ .\-]?([1-9][0-9]{{0,2}})(?:[ .\-/()]{{1,3}}[0-9]{{2,9}}){{1,6}}+{_END}",
    re.ASCII,
)
_AMERICAN = re.compile(
    r"[2-9](?=[0-9]{2}[.\-)])"
    rf"(?:(?:(?<=(1[ .\-]\().)(?<!{_BEFORE}1.\(.)|(?<=(\().)(?<!{_BEFORE}\(.))[0-9]{{2}}\)[ .\-]?"
    rf"|(?:(?<=(1[ .\-]).)(?<!{_BEFORE}1..)|(?<!{_BEFORE}.))[0-9]{{2}}([.\-]))"
    rf"[2-9][0-9]{{2}}([ .\-])[0-9]{{4}}{_END}",
    re.ASCII,
)
_LEADING_ZERO = re.compile(
    rf"0(?=[1-9])(?:(?:(?<=(\()0)(?<!{_BEFORE}\(0)(?<![0-9] \(0)|(?<!{_BEFORE}0)(?<![0-9] 0))"
    rf"[1-9][0-9]{{0,4}}(?:\)[ \-]?|[ \-/])[0-9]{{2,9}}(?:[ \-/][0-9]{{2,9}}){{0,4}}+{_END}(?! [0-9])"
    rf"|(?<!{_BEFORE}0)[1-9](?:\.[0-9]{{2}}){{4}}{_END})",
    re.ASCII,
)
_DATE = re.compile(r"[0-9]{2}([/\-])[0-9]{2}\1(?:19|20)[0-9]{2}")
NUMBERED = ("phone", "tel", "mobile", "fax", "sms", "whatsapp", "msisdn")
"""Words that tell of a telephone number."""
_NAMED = re.compile(
    r"[tTpPmMfFsSwW](?<![A-Za-z].)(?i:(?<=t)elephone|(?<=p)hone|(?<=t)el|(?<=m)obile|(?<=f)ax|(?<=s)ms|(?<=w)hatsapp"
    r"|(?<=m)sisdn)(?i:[ _\-]?(?:number|num|no|nr))?[^\w\n+(]{1,5}+(?i:to[ :]{1,2}|is[ :]{1,2})?"
    r"(\+?\(?[0-9](?:[ .\-/()]{0,2}[0-9]){6,14}+)(?![0-9])"
)


def find_emails(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has an e-mail address; the ``@`` may be written ``%40``."""
    if "@" not in text and "%40" not in text:
        return
    position = 0
    for found in _AT_DOMAIN.finditer(text):
        at, end = found.span()
        if at < position:
            continue
        start = _name_start(text, position, at)
        if start == at:
            continue
        if not attempts.at(start):
            return
        position = end
        while text[start] in "'.-" and start < at:
            start += 1
        while text[end - 1] in ".-_":
            end -= 1
        name, domain = text[start:at], text[found.start(1) : end]
        if name and _is_domain(domain) and not (name == "git" and text[end : end + 1] in (":", "/")):
            yield start, end


def _name_start(text: str, least: int, at: int) -> int:
    """Return where the name before *at* begins, not before *least*; *at* if there is none."""
    start = at
    while start > least and (text[start - 1].isalnum() or text[start - 1] in "_.+'-"):
        start -= 1
    if start == at and text.startswith('"@', at - 1):
        opening = text.rfind('"', max(least, at - _LONGEST_QUOTED), at - 1)
        return opening if opening >= 0 and _QUOTED_NAME.fullmatch(text, opening, at) else at
    return start


def _is_domain(domain: str) -> bool:
    before, dot, last = domain.rpartition(".")
    if not (before and dot) or before.startswith(".") or ".." in domain:
        return False
    return (len(last) >= 2 and last.isalpha() and last.lower() not in _NO_DOMAINS) or last.lower().startswith("xn--")


def find_phones(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a telephone number (ITU-T E.164), or a common national form of one.

    Digits that could be anything else count only after a word such as ``phone`` or ``tel``.
    """
    for found in attempts.on(_E164.finditer(text)):
        if _is_e164("".join(filter(str.isdigit, found[0])), found[0]):
            yield found.span()
    for found in attempts.on(_INTERNATIONAL.finditer(text)):
        if 9 <= _digits(found[0]) - 2 <= 15:
            yield found.span()
    for found in attempts.on(_AMERICAN.finditer(text)):
        if found[4] in (None, found[5]):
            yield found.start() - len(found[1] or found[2] or found[3] or ""), found.end()
    for found in attempts.on(_LEADING_ZERO.finditer(text)):
        if 9 <= _digits(found[0]) <= 12 and not _DATE.match(found[0]):
            yield found.start() - len(found[1] or ""), found.end()
    for found in attempts.on(_NAMED.finditer(text)):
        yield found.span(1)


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def _is_e164(digits: str, written: str) -> bool:
    if digits[0] == "1":
        return len(digits) == 11 and digits[1] >= "2" and digits[4] >= "2"
    return 9 <= len(digits) <= 15 or (len(digits) == 8 and len(written) > 9)
