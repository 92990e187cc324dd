"""Credentials that are known by their form: JSON web tokens, PEM blocks, bearer tokens, basic credentials."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from ._attempts import Attempts

_JWT = re.compile(
    r"eyJ(?<![A-Za-z0-9]eyJ)"
    r"(?:[\w\-]{6,}+\.(?:[\w\-]{6,}+|(?=\.[\w\-]{6}))(?:\.[\w\-]*+){0,3}|[\w\-]*+)",
    re.ASCII,
)
"""The second of the five parts of an encrypted token (RFC 7516) may be empty. A word without the rest of a token is
matched too, to its end: another start in it would have the same rest."""

# They begin with plain letters in either case, which can be looked for without trying each character.
_PEM_BEGIN = re.compile(
    r"[bB](?i:egin )(?:(?<=----.{6})|(?<=---- .{6}))(?i:[A-Z0-9 ]{1,64})-{4,5}"
    r"|[pP](?i:uTTY-User-Key-File-)[0-9]:"
)
_PEM_END = re.compile(
    r"[eE](?i:nd )(?:(?<=----.{4})|(?<=---- .{4}))(?i:[A-Z0-9 ]{1,64})-{4,5}|[pP](?i:rivate-MAC:)\s{0,4}+\w++"
)
_MOST_DASHES = 5

_SPACE = r"(?:[\s:=+\"']|%20|%22|%3[ADad]|\\\"){1,4}+"
_BEARER = re.compile(rf"[bB](?<![A-Za-z0-9].)(?i:earer){_SPACE}([A-Za-z0-9._~+/\-]{{8,}}+={{0,2}})")
_BASIC = re.compile(rf"[bB](?<![A-Za-z0-9].)(?i:asic){_SPACE}([A-Za-z0-9+/_\-]{{6,}}+)(?:={{0,2}}|(?:%3[Dd]){{0,2}})")
_LOOKS_RANDOM = re.compile(r"[0-9]|[a-z][A-Z]|[A-Z]{2}|\S{24}")
_LONGEST_CHECKED = 4096


def find_jwts(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a JSON web token (RFC 7519): parts of base64url, the first of which begins ``{"``."""
    for found in attempts.on(_JWT.finditer(text)):
        if "." in found[0]:
            yield found.span()


def find_pem_blocks(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a PEM block (RFC 7468); one that does not end goes on to the end of the text."""
    position = 0
    while (begin := _PEM_BEGIN.search(text, position)) and attempts.at(begin.start()):
        start = begin.start() - text.endswith(" ", 0, begin.start())
        least = max(position, start - _MOST_DASHES)
        while start > least and text[start - 1] == "-":
            start -= 1
        end = _PEM_END.search(text, begin.end())
        position = end.end() if end else len(text)
        yield start, position


def find_bearer_tokens(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has the token of the ``Bearer`` scheme (RFC 6750)."""
    for found in attempts.on(_BEARER.finditer(text)):
        start, end = found.span(1)
        while text[end - 1] == ".":
            end -= 1
        if _LOOKS_RANDOM.search(text, start, end):
            yield start, end


def find_basic_credentials(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has the credentials of the ``Basic`` scheme (RFC 7617): base64 of ``user:password``."""
    for found in attempts.on(_BASIC.finditer(text)):
        if _is_user_and_password(found[1]):
            yield found.start(1), found.end()


def _is_user_and_password(encoded: str) -> bool:
    encoded = encoded[:_LONGEST_CHECKED].replace("-", "+").replace("_", "/")
    try:
        decoded = binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error:
        return False
    return b":" in decoded and all(byte >= 0x20 and byte != 0x7F for byte in decoded)
