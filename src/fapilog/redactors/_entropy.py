"""Words that are too random to be words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import log2

from ._attempts import Attempts

_WORD = re.compile(
    r"(?<![A-Za-z0-9+/=_\-])(?=[a-z0-9+/_\-]*+[A-Z])(?=[A-Z0-9+/_\-]*+[a-z])(?=[A-Za-z+/_\-]*+[0-9])"
    r"[A-Za-z0-9+/_\-]{20,}+={0,2}"
)
_LONGEST_MEASURED = 256
_LEAST_BITS = 3.7
"""Shannon entropy in bits for each character; base64 of 20 random bytes has about 4.3, English words 2.5 to 3.5."""


def find_random_words(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a word of 20 characters or more in base64 with letters of both cases and digits.

    Hexadecimal numbers, such as hashes and UUIDs, are no such words: they identify far more often than they open.
    """
    for found in attempts.on(_WORD.finditer(text)):
        word = found[0][:_LONGEST_MEASURED]
        if _has_all_kinds(word) and _bits(word) >= _LEAST_BITS:
            yield found.span()


def _has_all_kinds(word: str) -> bool:
    return any(map(str.islower, word)) and any(map(str.isupper, word)) and any(map(str.isdigit, word))


def _bits(word: str) -> float:
    length = len(word)
    return -sum(count / length * log2(count / length) for count in Counter(word).values())
