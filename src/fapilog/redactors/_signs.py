"""Signs: what a text has if a detector can find anything in it, told at a fraction of what finding costs.

A text without signs is clean. One with signs may be clean too; only the detectors know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Flag, auto

import attrs

from .._accelerated import accelerator
from ._folding import folded, folding_table

LEAST_WORD = 16
"""A prefix and its key have together at least so many characters."""


class Shape(Flag):
    """How characters stand side by side."""

    NONE = 0
    CARD = auto()
    """13 to 19 digits side by side that begin with 2 to 9."""
    GROUPED = auto()
    """A chain of 9 or more digits with something between them."""
    PLUS = auto()
    """A chain of 8 or more digits after ``+`` or ``+(``."""
    LETTERED = auto()
    """Two letters that begin a word, and two digits, with one separator at most between."""
    DOTTED = auto()
    """Four numbers with a full stop between each two."""
    COLONS = auto()
    """``::``, or seven colons."""
    RANDOM = auto()
    """20 letters, digits and ``+/=_-`` side by side."""


@attrs.frozen(kw_only=True)
class Signs:
    """What a text has, at least one of it, if a detector finds something in it.

    Digits are counted in chains: with at most three of `` -./_+()%`` and tabulators between each two. A word is
    letters, digits and ``_.-/+=$``. A text with fewer than six digits has no chains, cards or letters with digits.
    """

    words: frozenset[str] = frozenset()
    """Any of these, in lower case here and in any case there."""
    prefixes: frozenset[str] = frozenset()
    """Any of these at the start of 16 or more characters of a word, not after a letter or digit, in just this case."""
    names: frozenset[str] = frozenset()
    """Any of these, in any case, in a text that has one of ``=:>%``, a quotation mark or ``--`` as well."""
    numbered: frozenset[str] = frozenset()
    """Any of these, in any case, in a text with a chain of 7 or more digits as well."""
    shapes: Shape = Shape.NONE

    def __or__(self, other: Signs) -> Signs:
        return Signs(
            words=self.words | other.words,
            prefixes=self.prefixes | other.prefixes,
            names=self.names | other.names,
            numbered=self.numbered | other.numbered,
            shapes=self.shapes | other.shapes,
        )


SEPARATORS = "=:>%\"'`"
"""One of these, or ``--``, stands between a name and its value."""
LEAST_DIGITS = 6

_GAPS = r"[ \-./_+()%\t]{1,3}"
_CARD = re.compile(r"(?<![0-9])[2-9][0-9]{12,18}(?![0-9])")
_CHAIN = re.compile(rf"(\+\(?)?([0-9]++(?:{_GAPS}[0-9]++)*+)")
_DOTTED = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_LETTERED = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}(?:[ .\-+]|%20)?[0-9]{2}")
_RANDOM = re.compile(r"[A-Za-z0-9+/=_\-]{20}")

_NO_DIGITS = bytes(code for code in range(256) if not 0x30 <= code <= 0x39)
_WORD_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/+=$"
_IN_WORD = bytes(0x78 if code in _WORD_CHARACTERS else 0x20 for code in range(256))
_LONG_WORD = b"x" * LEAST_WORD


def screens(all_signs: Iterable[Signs]) -> list[Callable[[str], bool]]:
    """Return for each of *all_signs* a function that says whether a text has one of them."""
    if accelerator is None:
        return [screen_in_python(signs) for signs in all_signs]
    table = folding_table()
    return [
        accelerator.TextScreen(
            tuple(signs.words),
            tuple(signs.names),
            tuple(signs.numbered),
            tuple(signs.prefixes),
            signs.shapes.value,
            table,
        )
        for signs in all_signs
    ]


def screen_in_python(signs: Signs) -> Callable[[str], bool]:
    """Return a function that says whether a text has one of *signs*."""
    words, names = tuple(signs.words), tuple(signs.names)
    uses_lower = bool(words or names)
    # Each begins with a plain letter: what begins so can be looked for without trying each character.
    prefixes = "|".join(
        rf"{first}(?<![A-Za-z0-9]{first})(?={rest})" for first, rest in sorted(_by_first_letter(signs.prefixes).items())
    )
    prefix = re.compile(rf"(?:{prefixes})[A-Za-z0-9_.\-/+=$]{{{LEAST_WORD - 1}}}") if prefixes else None
    shapes = signs.shapes
    counts_digits = bool(signs.numbered or shapes & (Shape.CARD | Shape.GROUPED | Shape.PLUS | Shape.LETTERED))
    dotted, colons, random = Shape.DOTTED in shapes, Shape.COLONS in shapes, Shape.RANDOM in shapes

    def has_signs(text: str) -> bool:
        if not text.isascii():
            text = folded(text)
        if uses_lower:
            lower = text.lower()
            for word in words:
                if word in lower:
                    return True
            if names and (
                "=" in text or ":" in text or ">" in text or "%" in text or "'" in text or '"' in text or "`" in text
                or "--" in text
            ):  # fmt: skip
                for name in names:
                    if name in lower:
                        return True
        encoded = text.encode("utf-8", "replace")
        if prefix and _LONG_WORD in encoded.translate(_IN_WORD) and prefix.search(text):
            return True
        if counts_digits and len(encoded.translate(None, _NO_DIGITS)) >= LEAST_DIGITS and _has_digits(signs, text):
            return True
        return (
            (dotted and text.count(".") >= 3 and _DOTTED.search(text) is not None)
            or (colons and ("::" in text or text.count(":") >= 7))
            or (random and _RANDOM.search(text) is not None)
        )

    return has_signs


def _by_first_letter(prefixes: Iterable[str]) -> dict[str, str]:
    """Return for each first letter of *prefixes* an expression for the rest of any of them, the longest first."""
    rests: dict[str, list[str]] = {}
    for prefix in sorted(prefixes, key=len, reverse=True):
        rests.setdefault(prefix[0], []).append(re.escape(prefix[1:]))
    return {first: "|".join(rest) for first, rest in rests.items()}


def _has_digits(signs: Signs, text: str) -> bool:
    shapes = signs.shapes
    if Shape.CARD in shapes and _CARD.search(text):
        return True
    if Shape.LETTERED in shapes and _LETTERED.search(text):
        return True
    grouped, plus = Shape.GROUPED in shapes, Shape.PLUS in shapes
    lower = text.lower()
    named = any(word in lower for word in signs.numbered)
    if grouped or plus or named:
        for chain in _CHAIN.finditer(text):
            digits = sum(map(str.isdigit, chain[2]))
            if (
                (grouped and digits >= 9 and digits < len(chain[2]))
                or (plus and digits >= 8 and chain[1])
                or (named and digits >= 7)
            ):
                return True
    return False
