"""Payment card numbers (ISO/IEC 7812-1): their length, their issuer's range and their check digit all have to fit."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SEPARATOR = r"(?:[ .\-/_+]|%20)"
_REGION = re.compile(rf"(?<![0-9])[0-9](?:{_SEPARATOR}?[0-9]){{12,}}+", re.ASCII)
_GROUP = re.compile(rf"([0-9]+)({_SEPARATOR}?)")
_IN_A_NUMBER = re.compile(r"[0-9]\.")
_SHORTEST, _LONGEST = 13, 19
_LONG_WORD = 32
"""Digits inside a longer word than this are a part of a hash or of an encoded text."""

_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = (
    (4, 4, frozenset({13, 16, 18, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),  # Mastercard
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),  # American Express
    (6011, 6011, frozenset({16, 19})),  # Discover
    (644, 659, frozenset(range(16, 20))),  # Discover, RuPay, Verve
    (60, 60, frozenset({16})),  # RuPay, Hipercard
    (62, 62, frozenset(range(16, 20))),  # UnionPay
    (81, 82, frozenset(range(16, 20))),  # UnionPay, RuPay
    (300, 305, frozenset(range(14, 20))),  # Diners Club
    (3095, 3095, frozenset(range(14, 20))),  # Diners Club
    (36, 36, frozenset(range(14, 20))),  # Diners Club
    (38, 39, frozenset(range(14, 20))),  # Diners Club
    (3528, 3589, frozenset(range(16, 20))),  # JCB
    (2200, 2205, frozenset(range(16, 20))),  # Mir
    (5018, 5020, frozenset(range(13, 20))),  # Maestro, Dankort
    (5038, 5038, frozenset(range(13, 20))),  # Maestro
    (506099, 506198, frozenset({16, 18, 19})),  # Verve
    (508, 509, frozenset({16})),  # RuPay, Elo
    (56, 58, frozenset(range(13, 20))),  # Maestro
    (6304, 6304, frozenset(range(13, 20))),  # Maestro
    (636, 639, frozenset(range(16, 20))),  # InterPayment, InstaPayment, Elo
    (67, 67, frozenset(range(13, 20))),  # Maestro
    (9792, 9792, frozenset({16})),  # Troy
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def passes_luhn(digits: str) -> bool:
    """Return whether the last of *digits* is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    values = [int(digit) for digit in digits]
    return (sum(values[-1::-2]) + sum(_DOUBLED[value] for value in values[-2::-2])) % 10 == 0


def is_card_number(digits: str) -> bool:
    """Return whether *digits* are a number that a known issuer can have given to a card."""
    length = len(digits)
    return (
        _SHORTEST <= length <= _LONGEST
        and any(
            length in lengths and first <= int(digits[: len(str(first))]) <= last for first, last, lengths in _ISSUERS
        )
        and passes_luhn(digits)
    )


def find_cards(text: str) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a card number: as one run of digits, or in groups with the same separator."""
    for region in _REGION.finditer(text):
        groups = [(found.start(1), found.end(1), found[2]) for found in _GROUP.finditer(text, *region.span())]
        index = 0
        while index < len(groups):
            count = _groups_of_card(text, groups, index)
            if count:
                yield groups[index][0], groups[index + count - 1][1]
            index += count or 1


def _groups_of_card(text: str, groups: list[tuple[int, int, str]], index: int) -> int:
    """Return how many of *groups*, from *index* on, are a card number; it looks at no more than 19 of them."""
    start, end, separator = groups[index]
    digits, sizes, best = "", list[int](), 0
    for group_start, group_end, following in groups[index : index + _LONGEST]:
        sizes.append(group_end - group_start)
        if len(digits) + sizes[-1] > _LONGEST:
            break
        digits += text[group_start:group_end]
        if len(digits) >= _SHORTEST and _is_card_layout(sizes) and is_card_number(digits):
            best = len(sizes)
        if following != separator:
            break
    if best == 1 and (
        _in_long_word(text, start, end) or _IN_A_NUMBER.match(text, start - 2) or _has_fraction(text, end)
    ):
        return 0
    return best


def _is_card_layout(sizes: list[int]) -> bool:
    """Return whether digits in groups of *sizes* are written as one number: unlike several numbers side by side."""
    return (
        len(sizes) == 1 or sizes in ([4, 6, 5], [4, 6, 4]) or (set(sizes[:-1]) == {sizes[0]} and sizes[-1] <= sizes[0])
    )


def _has_fraction(text: str, end: int) -> bool:
    return text[end : end + 1] == "." and text[end + 1 : end + 2].isdigit()


def _in_long_word(text: str, start: int, end: int) -> bool:
    left, right = start, end
    while left > 0 and end - left < _LONG_WORD and text[left - 1].isalnum():
        left -= 1
    while right < len(text) and right - start < _LONG_WORD and text[right].isalnum():
        right += 1
    return right - left >= _LONG_WORD
