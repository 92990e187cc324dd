"""Stand-in: the value detectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ._found import Found

_PATTERNS: dict[str, str] = {
    "payment_card": r"(?<![0-9])[3-6][0-9](?:[ -]?[0-9]){11,17}(?![0-9])",
    "iban": r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b",
    "us_ssn": r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
    "email": r"[\w.+-]+@[\w-]+\.[\w.-]+",
    "phone": r"\+[0-9](?:[ ()-]?[0-9]){7,14}",
    "ipv4": r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b",
    "ipv6": r"\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{1,4}\b",
    "jwt": r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]+)?",
    "pem": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    "bearer": r"(?i)(?<=bearer )[\w.~+/=-]+",
    "basic": r"(?i)(?<=basic )[\w+/=-]{6,}",
    "cloud_key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bsk_live_[A-Za-z0-9]{16,}",
    "url_credentials": r"(?<=://)[^\s/@]+(?=@)",
    "url_query": r"(?i)(?<=[?&]token=)[^\s&#]+",
    "key_value": r"(?i)(?<=password=)[^\s&;,]+",
    "high_entropy": r"\b[A-Za-z0-9+/=_-]{40,}\b",
    "uk_nino": r"\b[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b",
}
NAMES: tuple[str, ...] = tuple(_PATTERNS)


def _luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + position % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


class TextFinder:
    """Stand-in."""

    screen: Callable[[str], bool]

    def __init__(self, patterns: list[tuple[str, re.Pattern[str]]]) -> None:
        self._patterns = patterns
        self.screen = lambda text: bool(self.find(text))

    def find(self, text: str) -> list[Found]:
        found: list[Found] = []
        for kind, pattern in self._patterns:
            for match in pattern.finditer(text):
                if kind == "payment_card" and not _luhn(re.sub("[^0-9]", "", match[0])):
                    continue
                found.append(Found(match.start(), match.end(), kind))
        kept: list[Found] = []
        for one in sorted(found):
            if not kept or one.start >= kept[-1].end:
                kept.append(one)
        return kept


def text_finder(names: Sequence[str], patterns: Mapping[str, str] = {}) -> TextFinder:
    """Stand-in."""
    chosen = [(name, re.compile(_PATTERNS[name])) for name in names]
    return TextFinder(chosen + [(name, re.compile(pattern)) for name, pattern in patterns.items()])
