"""Texts as the detectors read them: look-alikes of ASCII characters as ASCII, and without what has no width.

``４１１１`` (full-width digits), ``4111\N{NO-BREAK SPACE}1111`` and ``name＠example.com`` say the same to a person as
their ASCII forms. Letters that merely look alike in another script (a Cyrillic ``а``) are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_DIGIT_ZEROS = (
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136,
    0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0,
    0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0,
)  # fmt: skip
"""The zeros of the decimal digits of Unicode 14 (general category Nd); the other nine of each follow it."""

_LOOK_ALIKES = {
    " ": "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63",
    "@": "\ufe6b",
    ".": "\u2024\u3002\ufe52\uff61",
    ":": "\u2236\ua789\ufe13\ufe55",
    "=": "\ufe66",
    "/": "\u2044\u2215",
    "+": "\ufe62",
    "%": "\ufe6a",
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
    "'": "\u2018\u2019\u201a\u201b\u2032",
}

_INVISIBLE = (
    "\u00ad\u034f\u061c\u180e"
    + "".join(map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070))))
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "\ufeff"
)

_MATHEMATICAL_LETTERS, _ALPHABETS = 0x1D400, 13
"""Bold, italic, monospace and so on: each alphabet is 26 capital and 26 small letters (Unicode, block 1D400)."""


def _look_alikes() -> dict[int, str]:
    table = {ord(other): character for character, others in _LOOK_ALIKES.items() for other in others}
    # What a comparison without regard to case takes for ASCII letters as well.
    table.update({0x0130: "I", 0x0131: "i", 0x017F: "s", 0x212A: "K"})
    table.update((code, chr(code - 0xFEE0)) for code in range(0xFF01, 0xFF5F))
    table.update((zero + digit, str(digit)) for zero in _DIGIT_ZEROS for digit in range(10))
    for letter in range(26):
        for first in range(_MATHEMATICAL_LETTERS, _MATHEMATICAL_LETTERS + 52 * _ALPHABETS, 52):
            table[first + letter] = chr(ord("A") + letter)
            table[first + 26 + letter] = chr(ord("a") + letter)
    return table


LOOK_ALIKES: Mapping[int, str] = _look_alikes()
"""An ASCII character for the code of each of its look-alikes."""
INVISIBLE = frozenset(_INVISIBLE)
"""The characters that have no width."""

_TABLE = dict(LOOK_ALIKES)
_HAS_LOOK_ALIKE = re.compile("[" + re.escape("".join(chr(code) for code in LOOK_ALIKES if code < 0x10000)) + "]")
_MAY_HAVE_FAR_ONE = re.compile("[\U00010000-\U0001ffff]")
"""A set of characters is compared one by one if one of them is not of the first 65,536."""
_HAS_INVISIBLE = re.compile("[" + re.escape(_INVISIBLE) + "]")


_OTHER, _NOTHING, _CODES = 0x80, 0xFF, 0x20000


def folding_table() -> bytes:
    """Return how each code below 0x20000 is read: as an ASCII character, as nothing (0xFF) or as any other (0x80)."""
    table = bytearray([_OTHER]) * _CODES
    table[:128] = range(128)
    for code, character in LOOK_ALIKES.items():
        table[code] = ord(character)
    for character in INVISIBLE:
        table[ord(character)] = _NOTHING
    return bytes(table)


def folded(text: str) -> str:
    """Return *text* as the detectors read it."""
    if text.isascii():
        return text
    if _HAS_INVISIBLE.search(text):
        text = _HAS_INVISIBLE.sub("", text)
    return text.translate(_TABLE) if _HAS_LOOK_ALIKE.search(text) or _MAY_HAVE_FAR_ONE.search(text) else text


def offsets(text: str) -> list[int] | None:
    """Return where in *text* each character of ``folded(text)`` stands, or None if each stands where it stood."""
    if text.isascii() or not _HAS_INVISIBLE.search(text):
        return None
    return [index for index, character in enumerate(text) if character not in INVISIBLE]
