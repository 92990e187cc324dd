"""Payment card numbers (ISO/IEC 7812-1): their length, their issuer's range and their check digit all have to fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from .._accelerated import accelerator
from ._attempts import Attempts

_SEPARATOR = r"(?: {1,2}|[.\-/_+\t]|%20)"
_REGION = re.compile(rf"(?<![0-9])[0-9](?:{_SEPARATOR}?[0-9]){{12,}}+", re.ASCII)
_GROUP = re.compile(rf"([0-9]+)({_SEPARATOR}?)")
_IN_A_NUMBER = re.compile(r"[0-9]\.")
_SHORTEST, _LONGEST = 13, 19
_DIGITS_OF_ISSUER = 6
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
_ISSUERS_BY_DIGIT = {
    digit: tuple(
        (first, last, len(str(first)), lengths)
        for first, last, lengths in _ISSUERS
        if str(first)[0] <= digit <= str(last)[0]
    )
    for digit in "23456789"
}
_DOUBLED = str.maketrans("0123456789", "0246813579")


def passes_luhn(digits: str) -> bool:
    """Return whether the last of *digits* is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    return (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


def card_lengths(digits: str) -> frozenset[int]:
    """Return how long card numbers are that begin as *digits* do, of which there are six or more."""
    for first, last, size, lengths in _ISSUERS_BY_DIGIT.get(digits[0], ()):
        if first <= int(digits[:size]) <= last:
            return lengths
    return frozenset()


def is_card_number(digits: str) -> bool:
    """Return whether *digits* are a number that a known issuer can have given to a card."""
    return len(digits) in card_lengths(digits) and passes_luhn(digits)


def cards_in_python(text: str) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a card number."""
    for region in _REGION.finditer(text):
        groups = [(found.start(1), found.end(1), found[2]) for found in _GROUP.finditer(text, *region.span())]
        index = 0
        while index < len(groups):
            count = _groups_of_card(text, groups, index)
            if count:
                yield groups[index][0], groups[index + count - 1][1]
            index += count or 1


def _cards() -> Callable[[str], Iterable[tuple[int, int]]]:
    if accelerator is None:
        return cards_in_python
    finder: Callable[[str], list[tuple[int, int]]] = accelerator.CardFinder(
        tuple(
            (first, last, len(str(first)), sum(1 << length for length in lengths)) for first, last, lengths in _ISSUERS
        )
    )
    return finder


_CARDS = _cards()


def find_cards(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a card number: as one run of digits, or in groups with the same separator."""
    for start, end in _CARDS(text):
        if not attempts.at(start):
            return
        yield start, end


def _groups_of_card(text: str, groups: list[tuple[int, int, str]], index: int) -> int:
    """Return how many of *groups*, from *index* on, are a card number; it looks at no more than seven of them.

    If they have one or two digits each, they have to be all of the groups: such numbers stand in tables as well.
    """
    start, end, separator = groups[index]
    size = end - start
    if size <= 2 and (index > 0 or not _SHORTEST <= size * len(groups) <= _LONGEST + 1):
        return 0
    lengths: frozenset[int] | None = None
    digits, sizes, best = "", list[int](), 0
    for group_start, group_end, following in groups[index : index + _LONGEST]:
        sizes.append(group_end - group_start)
        digits += text[group_start:group_end]
        if len(digits) > _LONGEST or not _may_be_layout(sizes):
            break
        if len(digits) >= _DIGITS_OF_ISSUER:
            if lengths is None:
                lengths = card_lengths(digits)
            if not lengths:
                break
            if len(digits) in lengths and (size > 2 or len(sizes) == len(groups)) and passes_luhn(digits):
                best = len(sizes)
        if following != separator:
            break
    return 0 if best == 1 and _is_part_of_more(text, start, end) else best


def _may_be_layout(sizes: list[int]) -> bool:
    """Return whether digits in groups of *sizes* are written as one number: unlike several numbers side by side."""
    if sizes[:2] == [4, 6]:
        return len(sizes) == 2 or (len(sizes) == 3 and sizes[2] in (4, 5))
    # Only the last one may be shorter.
    return sizes[-1] <= sizes[0] and (len(sizes) < 3 or sizes[-2] == sizes[0])


def _is_part_of_more(text: str, start: int, end: int) -> bool:
    return (
        _IN_A_NUMBER.match(text, max(start - 2, 0), start) is not None
        or _has_fraction(text, end)
        or _in_long_word(text, start, end)
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
