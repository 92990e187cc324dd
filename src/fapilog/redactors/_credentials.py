"""Credentials that are known by their form: JSON web tokens, PEM blocks, bearer tokens, basic credentials."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

_WORD = re.compile(r"[\w\-]++", re.ASCII)
_LETTER_OR_DIGIT = re.compile(r"[A-Za-z0-9]")
_JWT_REST = re.compile(r"eyJ[\w\-]{6,}+\.(?:[\w\-]{6,}+|(?=\.[\w\-]{6}))(?:\.[\w\-]*+){0,3}", re.ASCII)
"""The second of the five parts of an encrypted token (RFC 7516) may be empty."""

_PEM_BEGIN = re.compile(r"-{4,5} ?BEGIN [A-Z0-9 ]{1,64}-{4,5}|PuTTY-User-Key-File-[0-9]:", re.IGNORECASE)
_PEM_END = re.compile(r"-{4,5} ?END [A-Z0-9 ]{1,64}-{4,5}|Private-MAC:\s{0,4}+\w++", re.IGNORECASE)

_SPACE = r"(?:[\s:=+\"']|%20|%22|%3[ADad]|\\\"){1,4}+"
_BEARER = re.compile(rf"(?<![A-Za-z0-9])bearer{_SPACE}([A-Za-z0-9._~+/\-]{{8,}}+={{0,2}})", re.IGNORECASE)
_BASIC = re.compile(
    rf"(?<![A-Za-z0-9])basic{_SPACE}([A-Za-z0-9+/_\-]{{6,}}+)(?:={{0,2}}|(?:%3D){{0,2}})", re.IGNORECASE
)
_LOOKS_RANDOM = re.compile(r"[0-9]|[a-z][A-Z]|[A-Z]{2}|\S{24}")
_LONGEST_CHECKED = 4096


def find_jwts(text: str) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a JSON web token (RFC 7519): parts of base64url, the first of which begins ``{"``."""
    position = text.find("eyJ")
    while position >= 0:
        after = position + 1
        if not _LETTER_OR_DIGIT.match(text, position - 1, position):
            # Without the rest of a token, all of this word has been looked at: another start in it has the same rest.
            found = _JWT_REST.match(text, position) or _WORD.match(text, position)
            assert found is not None
            if "." in found[0]:
                yield found.span()
            after = found.end()
        position = text.find("eyJ", after)


def find_pem_blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a PEM block (RFC 7468); one that does not end goes on to the end of the text."""
    position = 0
    while begin := _PEM_BEGIN.search(text, position):
        end = _PEM_END.search(text, begin.end())
        position = end.end() if end else len(text)
        yield begin.start(), position


def find_bearer_tokens(text: str) -> Iterator[tuple[int, int]]:
    """Yield where *text* has the token of the ``Bearer`` scheme (RFC 6750)."""
    for found in _BEARER.finditer(text):
        start, end = found.span(1)
        while text[end - 1] == ".":
            end -= 1
        if _LOOKS_RANDOM.search(text, start, end):
            yield start, end


def find_basic_credentials(text: str) -> Iterator[tuple[int, int]]:
    """Yield where *text* has the credentials of the ``Basic`` scheme (RFC 7617): base64 of ``user:password``."""
    for found in _BASIC.finditer(text):
        if _is_user_and_password(found[1]):
            yield found.start(1), found.end()


def _is_user_and_password(encoded: str) -> bool:
    encoded = encoded[:_LONGEST_CHECKED].replace("-", "+").replace("_", "/")
    try:
        decoded = binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error:
        return False
    return b":" in decoded and all(byte >= 0x20 and byte != 0x7F for byte in decoded)
