"""Numbers that a state or a bank gives to a person: IBAN, US social security and taxpayer numbers, UK NINO and NHS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from string import ascii_letters

from .._accelerated import accelerator
from ._attempts import Attempts

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
"""The characters of an IBAN by country (SWIFT, IBAN Registry, release 99)."""

_LEAST_DIGITS = 6
"""No bank has accounts of letters alone."""


def _second_letters() -> str:
    """Return an expression for what follows the first letter of an IBAN, in either case."""
    seconds: dict[str, str] = {}
    for country in IBAN_LENGTHS:
        seconds[country[0]] = seconds.get(country[0], "") + country[1]
    return "|".join(f"(?<=[{first}{first.lower()}])[{rest}{rest.lower()}]" for first, rest in seconds.items())


_IBAN_START = re.compile(
    rf"[A-Za-z](?<![A-Za-z0-9].)(?=[A-Za-z][0-9]{{2}}(?:[ .\-+]|%20)?[A-Za-z0-9])(?:{_second_letters()})[0-9]{{2}}"
)
_IBAN_PART = re.compile(r"(?:[ .\-+]|%20)?([A-Za-z0-9])")

_LETTER_OR_DIGIT = re.compile(r"[A-Za-z0-9]")
_NO_SEPARATORS = str.maketrans("", "", " .-+")
_NUMBERS = str.maketrans({character: str(int(character, 36)) for character in ascii_letters})

_SSN = re.compile(
    r"[0-9](?<![0-9A-Za-z].)(?<![0-9][-. ].)[0-9]{2}([-. ])([0-9]{2})\1([0-9]{4})(?![0-9A-Za-z]|[-.][0-9])"
)
_SSN_NAMED = re.compile(
    r"[sSiI](?<![A-Za-z].)(?i:(?<=s)sn|(?<=i)tin|(?<=s)ocial.security(?:.(?:number|num|no))?)[^0-9\n]{0,12}+"
    r"([0-9]{3})[-. ]?([0-9]{2})[-. ]?([0-9]{4})(?![0-9])"
)
_ITIN_GROUPS = frozenset((*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)))

_NINO = re.compile(
    r"[A-Za-z](?<![A-Za-z0-9].)[A-Za-z](?:[ .\-+]|%20)?[0-9]{2}(?:[ .\-+]|%20)?[0-9]{2}(?:[ .\-+]|%20)?[0-9]{2}"
    r"(?:[ .\-+]|%20)?[A-Da-d](?![A-Za-z0-9])"
)
_NINO_FIRST = frozenset("ABCEGHJKLMNOPRSTWXYZ")
_NINO_SECOND = frozenset("ABCEGHJKLMNPRSTWXYZ")
_NINO_NOT_GIVEN = frozenset({"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"})

_NHS = re.compile(
    r"[nN](?<![A-Za-z].)(?i:hs)(?![A-Za-z])[^0-9\n]{0,16}+([0-9]{3})[- ]?([0-9]{3})[- ]?([0-9]{4})(?![0-9])"
)


def is_iban(characters: str) -> bool:
    """Return whether *characters*, without separators, have their country's length and the check digits (ISO 13616)."""
    if IBAN_LENGTHS.get(characters[:2].upper()) != len(characters):
        return False
    return _remainder(characters) == 1 and sum(map(str.isdigit, characters)) >= _LEAST_DIGITS


def _remainder(characters: str) -> int:
    return int((characters[4:] + characters[:4]).translate(_NUMBERS)) % 97


def ibans_in_python(text: str) -> Iterator[tuple[int, int]]:
    """Yield where *text* has an IBAN."""
    for found in _IBAN_START.finditer(text):
        start = found.start()
        length = IBAN_LENGTHS[found[0][:2].upper()]
        # What can be one is seldom one: the check digits come first, and where it ends comes last.
        written = text[start : start + 2 * length]
        if "%" in written:
            written = text[start : start + 4 * length].replace("%20", "")
        characters = written.translate(_NO_SEPARATORS)[:length]
        if characters.isascii() and characters.isalnum() and is_iban(characters):
            end = start
            for _ in range(length):
                part = _IBAN_PART.match(text, end)
                if part is None:
                    break
                end = part.end()
            else:
                if not _LETTER_OR_DIGIT.match(text, end):
                    yield start, end


_IBANS: Callable[[str], Iterable[tuple[int, int]]] = (
    ibans_in_python if accelerator is None else accelerator.IbanFinder(IBAN_LENGTHS)
)


def find_ibans(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has an IBAN, as one word or in groups."""
    for start, end in _IBANS(text):
        if not attempts.at(start):
            return
        yield start, end


def _is_ssn(area: str, group: str, serial: str) -> bool:
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _is_itin(area: str, group: str) -> bool:
    return area >= "900" and int(group) in _ITIN_GROUPS


def find_ssns(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a US social security or individual taxpayer number of an area that is given out.

    Spaces between its parts, or nothing, count only after its name, or if there is nothing else in the line.
    """
    for found in attempts.on(_SSN.finditer(text)):
        area = found[0][:3]
        separator, group, serial = found.groups()
        alone = separator != " " or _is_line(text, *found.span())
        if alone and (_is_ssn(area, group, serial) or _is_itin(area, group)):
            yield found.span()
    for found in attempts.on(_SSN_NAMED.finditer(text)):
        if _is_ssn(*found.groups()) or _is_itin(found[1], found[2]):
            yield found.start(1), found.end(3)


def _is_line(text: str, start: int, end: int) -> bool:
    """Return whether there is nothing but spaces beside a part of a line."""
    while start > 0 and text[start - 1] in " \t\r":
        start -= 1
    while end < len(text) and text[end] in " \t\r":
        end += 1
    return (start == 0 or text[start - 1] == "\n") and (end == len(text) or text[end] == "\n")


def find_ninos(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has a UK national insurance number (HMRC manual NIM39110)."""
    for found in attempts.on(_NINO.finditer(text)):
        prefix = found[0][:2].upper()
        given = prefix[0] in _NINO_FIRST and prefix[1] in _NINO_SECOND and prefix not in _NINO_NOT_GIVEN
        if given and not _is_hash(found[0]):
            yield found.span()


def _is_hash(word: str) -> bool:
    return word.islower() and not word.strip("0123456789abcdef")


def find_nhs_numbers(text: str, attempts: Attempts) -> Iterator[tuple[int, int]]:
    """Yield where *text* has, after its name, an NHS number with the right check digit (NHS Data Dictionary)."""
    for found in attempts.on(_NHS.finditer(text)):
        digits = "".join(found.groups())
        check = 11 - sum(int(digit) * weight for digit, weight in zip(digits[:9], range(10, 1, -1), strict=True)) % 11
        if check % 11 == int(digits[9]):
            yield found.start(1), found.end(3)
