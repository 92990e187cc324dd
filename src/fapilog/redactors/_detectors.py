"""The built-in detectors by name, and the finder that looks for what several of them know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs

from ._addresses import find_ipv4, find_ipv6
from ._attempts import Attempts
from ._cards import find_cards
from ._cloud_keys import MARKS, PREFIXES, find_cloud_keys
from ._contacts import NUMBERED, find_emails, find_phones
from ._credentials import find_basic_credentials, find_bearer_tokens, find_jwts, find_pem_blocks
from ._entropy import find_random_words
from ._folding import folded, offsets
from ._found import Found
from ._identities import find_ibans, find_nhs_numbers, find_ninos, find_ssns
from ._key_values import STEMS, find_named_secrets
from ._signs import Shape, Signs, screens
from ._urls import PARAMETER_STEMS, find_secret_parameters, find_url_credentials

Spans = Iterable[tuple[int, int]]
ATTEMPTS = "attempts_limit"
"""The kind of the rest of a text on which no more may be tried."""


@attrs.frozen
class Detector:
    """Knows one kind of sensitive value by its form."""

    find: Callable[[str, Attempts], Spans]
    """Yields the start and end of each in a folded text, as far as it may try; takes time in proportion to the length
    of the text."""
    signs: Signs
    """What each text has in which it finds any."""


def _words(*words: str) -> Signs:
    return Signs(words=frozenset(words))


def _prefixes(*prefixes: str) -> Signs:
    return Signs(prefixes=frozenset(prefixes))


def _names(*names: str) -> Signs:
    return Signs(names=frozenset(names))


def _numbered(*words: str) -> Signs:
    return Signs(numbered=frozenset(words))


def _shapes(shapes: Shape) -> Signs:
    return Signs(shapes=shapes)


DETECTORS: Mapping[str, Detector] = MappingProxyType(
    {
        "payment_card": Detector(find_cards, _shapes(Shape.CARD | Shape.GROUPED)),
        "iban": Detector(find_ibans, _shapes(Shape.LETTERED)),
        "us_ssn": Detector(find_ssns, _shapes(Shape.GROUPED) | _numbered("ssn", "itin", "social")),
        "uk_nino": Detector(find_ninos, _shapes(Shape.LETTERED)),
        "uk_nhs": Detector(find_nhs_numbers, _numbered("nhs")),
        "email": Detector(find_emails, _words("@", "%40")),
        "phone": Detector(find_phones, _shapes(Shape.GROUPED | Shape.PLUS) | _numbered(*NUMBERED)),
        "ipv4": Detector(find_ipv4, _shapes(Shape.DOTTED)),
        "ipv6": Detector(find_ipv6, _shapes(Shape.COLONS)),
        "jwt": Detector(find_jwts, _prefixes("eyJ")),
        "pem": Detector(find_pem_blocks, _words("-begin ", "- begin ", "putty-user-key-file-")),
        "bearer": Detector(find_bearer_tokens, _words("bearer")),
        "basic": Detector(find_basic_credentials, _words("basic")),
        "cloud_key": Detector(find_cloud_keys, _prefixes(*PREFIXES) | _words(*MARKS)),
        "url_credentials": Detector(find_url_credentials, _words("@", "%40")),
        "url_query": Detector(find_secret_parameters, _names(*PARAMETER_STEMS)),
        "key_value": Detector(find_named_secrets, _names(*STEMS)),
        "high_entropy": Detector(find_random_words, _shapes(Shape.RANDOM)),
    }
)

NAMES: tuple[str, ...] = tuple(DETECTORS)
"""The names of all built-in detectors."""


class TextFinder:
    """Finds the sensitive parts of texts. Made by :func:`text_finder`."""

    __slots__ = ("_detectors", "_patterns", "screen")

    screen: Callable[[str], bool]
    """Says, quickly, whether a text may have sensitive parts: if it says no, `find` finds none."""

    def __init__(self, names: Sequence[str], patterns: Mapping[str, str]) -> None:
        detectors = {name: DETECTORS[name] for name in names}
        signs = Signs()
        for detector in detectors.values():
            signs |= detector.signs
        has_signs, *each_has_signs = screens([signs, *(detector.signs for detector in detectors.values())])
        self._detectors = tuple(
            (name, detector.find, has) for (name, detector), has in zip(detectors.items(), each_has_signs, strict=True)
        )
        self._patterns = tuple((kind, re.compile(pattern)) for kind, pattern in patterns.items())
        searches = [pattern.search for _, pattern in self._patterns]
        self.screen = (
            (lambda text: has_signs(text) or any(search(text) for search in searches)) if searches else has_signs
        )

    def find(self, text: str, attempts: Attempts | None = None) -> list[Found]:
        """Return the sensitive parts of *text*, in order and without overlaps.

        Where two overlap, both are hidden, as the kind of the longer one. It takes time in proportion to the length
        of *text* (for the patterns of users, as far as they do), and raises nothing for any text.

        Args:
            text: the text.
            attempts: what counts how much is tried on the text as it is read; whoever gives it hides what comes
                after. Without it, that is among the sensitive parts.
        """
        read = folded(text)
        counted = Attempts(read) if attempts is None else attempts
        found = [
            Found(start, end, name)
            for name, find, has_signs in self._detectors
            if has_signs(text)
            for start, end in find(read, counted)
        ]
        if attempts is None and (rest := rest_of(read, counted)) is not None:
            found.append(rest)
        if found and read is not text:
            found = list(_moved(found, offsets(text)))
        for kind, pattern in self._patterns:
            found += [Found(*match.span(), kind) for match in pattern.finditer(text) if match.end() > match.start()]
        return _without_overlaps(found) if len(found) > 1 else found


def rest_of(text: str, attempts: Attempts) -> Found | None:
    """Return what of *text* was not looked at, because too much was to be tried on it; None if all was."""
    return Found(attempts.end, len(text), ATTEMPTS) if attempts.end < len(text) else None


def _moved(found: list[Found], positions: list[int] | None) -> Iterator[Found]:
    """Yield *found* as they stand in the text that was folded."""
    for start, end, kind in found:
        yield Found(start, end, kind) if positions is None else Found(positions[start], positions[end - 1] + 1, kind)


def _without_overlaps(found: list[Found]) -> list[Found]:
    found.sort(key=lambda each: (each.start, -each.end))
    result = [found[0]]
    longest = found[0].end - found[0].start
    for each in found[1:]:
        last = result[-1]
        length = each.end - each.start
        if each.start >= last.end:
            result.append(each)
            longest = length
        elif each.end > last.end:
            # What only one of them covers is no less sensitive.
            result[-1] = Found(last.start, each.end, each.kind if length > longest else last.kind)
            longest = max(longest, length)
    return result


def text_finder(names: Sequence[str], patterns: Mapping[str, str] = MappingProxyType({})) -> TextFinder:
    """Return a finder of what the built-in detectors *names* know and of what the regular expressions *patterns* match.

    Args:
        names: some of :data:`NAMES`.
        patterns: a regular expression for each kind of the user's own; each has passed
            ``fapilog.plugins.patterns.refused_for_finding``.
    """
    return TextFinder(names, patterns)
