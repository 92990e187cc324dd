"""Which regular expressions of users are taken: those that take no more than time in proportion to the text.

Python's matcher tries every way to divide a text between repetitions. A repetition inside a repetition, or two in a row
that take the same characters, have so many ways that a text of a few dozen characters, or of a few thousand, stops the
program: no other thread runs meanwhile. So an expression is judged by its form before it is used, and refused with the
reason if it could do that for *some* text. Possessive repetitions (``a++``) and atomic groups (``(?>a+)``) try one way
only and are always a remedy.

The two conditions are those of A. Weber and H. Seidl, On the degree of ambiguity of finite automata (1991).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from ._pattern_positions import Places, TooLarge, parser, places_of

LONGEST_PATTERN = 1_000
"""Characters that an expression may have."""
LONGEST_MATCHED = 4_096
"""Characters of a text that a condition's expression is matched with; what stands behind them is not looked at."""
LARGEST_REPEAT = 1_000
_MOST_STEPS = 200_000
"""After so many steps an expression is too complicated to be judged; this takes about a quarter of a second."""

_REMEDY = "make one of them possessive ('++'), or let them take different characters"
_COUNTS = re.compile(r"\{([0-9]+)?(?:,([0-9]+)?)?\}")


Refusal: TypeAlias = Callable[[str], "str | None"]
"""Returns why a pattern must not be used, or None."""


def refused(pattern: str) -> str | None:
    """Return why a user's regular expression *pattern* is not taken, and what to do, or None if it is taken."""
    return _refused(pattern, may_be_empty=True)


def refused_for_finding(pattern: str) -> str | None:
    """Do the same for an expression that is to find something, and so must not match the empty text."""
    return _refused(pattern, may_be_empty=False)


def _refused(pattern: str, *, may_be_empty: bool) -> str | None:
    if len(pattern) > LONGEST_PATTERN:
        return f"it has {len(pattern)} characters, and at most {LONGEST_PATTERN} are allowed"
    large = [int(count) for counts in _COUNTS.findall(pattern) for count in counts if count and len(count) < 19]
    if any(count > LARGEST_REPEAT for count in large):
        return f"it repeats something {max(large)} times, and at most {LARGEST_REPEAT} are allowed"
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError, ValueError, Warning) as error:
        return f"it is no regular expression: {error}"
    if not may_be_empty and compiled.match(""):
        return "it matches the empty text; let it need at least one character"
    if parser is None:
        return _refused_by_text(pattern)
    try:
        if not may_be_empty and parser.parse(pattern).getwidth()[0] == 0:
            return "it can match without a character; let it need at least one"
        return _refused_by_places(places_of(pattern))
    except (TooLarge, RecursionError):
        return "it is too complicated to be judged; divide it into several"


def _refused_by_places(all_places: list[Places]) -> str | None:
    for places in all_places:
        if places.looks_around:
            return "a repetition looks ahead through the text at each of its turns; look ahead once, before it"
        reached = places.reached()
        loops = _loops(reached)
        steps = [_MOST_STEPS]
        if any(_divides(places, loop, steps) for loop in loops):
            return f"a repetition can take the same characters in more than one way: {_REMEDY}"
        following = [{place} for place, scans in enumerate(places.scans) if scans and not reached[place] >> place & 1]
        if any(
            _meets(places, reached, first, second, steps)
            for first in loops
            for second in [*loops, *following]
            if first is not second and not second <= places.sure_last
        ):
            return f"two repetitions, one after the other, can take the same characters: {_REMEDY}"
    return None


def _loops(reached: list[int]) -> list[set[int]]:
    """Return the sets of places that can each come after every other of the same set."""
    loops: list[set[int]] = []
    for place, after in enumerate(reached):
        if after >> place & 1 and not any(place in loop for loop in loops):
            loops.append({other for other in range(len(reached)) if after >> other & 1 and reached[other] >> place & 1})
    return loops


def _count(steps: list[int]) -> None:
    steps[0] -= 1
    if steps[0] < 0:
        raise TooLarge


def _divides(places: Places, loop: set[int], steps: list[int]) -> bool:
    """Return whether there are two ways through *loop*, for the same characters, from a place back to the same place.

    If there are, they can be chosen between at each turn: the number of ways doubles with each.
    """
    follow, characters = places.follow, places.characters
    if any(follow[place][other] > 1 and characters[other] for place in loop for other in loop):
        return True
    after: dict[tuple[int, int], set[tuple[int, int]]] = {}
    pending = [(place, place) for place in loop]
    seen = set(pending)
    while pending:
        pair = pending.pop()
        next_pairs = after[pair] = set()
        for left in follow[pair[0]].keys() & loop:
            for right in follow[pair[1]].keys() & loop:
                _count(steps)
                if characters[left] & characters[right]:
                    next_pairs.add((left, right))
                    if (left, right) not in seen:
                        seen.add((left, right))
                        pending.append((left, right))
    before: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for pair, next_pairs in after.items():
        for next_pair in next_pairs:
            before.setdefault(next_pair, []).append(pair)
    # Which of the pairs that come apart come together again.
    pending = [pair for pair in seen if pair[0] == pair[1]]
    returns = set(pending)
    while pending:
        for pair in before.get(pending.pop(), ()):
            if pair[0] != pair[1]:
                return True
            if pair not in returns:
                returns.add(pair)
                pending.append(pair)
    return False


def _meets(places: Places, reached: list[int], first: set[int], second: set[int], steps: list[int]) -> bool:
    """Return whether some characters can go once around *first*, once around *second*, and from the one to the other.

    If they can, a text of them repeated can be divided between the two at each of its repetitions.
    """
    if not any(reached[place] >> other & 1 for place in first for other in second):
        return False
    return any(_meets_from(places, start, end, first, second, steps) for start in first for end in second)


def _meets_from(places: Places, start: int, end: int, first: set[int], second: set[int], steps: list[int]) -> bool:
    follow, characters = places.follow, places.characters
    scans = places.scans[end]
    goal = (start, end, end)
    pending = [(start, start, end)]
    seen = set(pending)
    while pending:
        around, between, beyond = pending.pop()
        beyonds = follow[beyond].keys() & second
        if scans:
            beyonds.add(beyond)
        for next_around in follow[around].keys() & first:
            for next_between in [*follow[between], *([between] if places.scans[between] else ())]:
                both = characters[next_around] & characters[next_between]
                for next_beyond in beyonds if both else ():
                    _count(steps)
                    if both & characters[next_beyond]:
                        reached = (next_around, next_between, next_beyond)
                        if reached == goal:
                            return True
                        if reached not in seen:
                            seen.add(reached)
                            pending.append(reached)
    return False


_ESCAPE_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_UNBOUNDED = re.compile(r"(?:[*+]|\{[0-9]*,[0-9]*\})(\+?)")
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{)")


def _refused_by_text(pattern: str) -> str | None:
    """Judge *pattern* where the standard library's parser is not to be had: strictly, by what is written."""
    written = _ESCAPE_OR_CLASS.sub("x", pattern)
    repetitions = _UNBOUNDED.findall(written).count("")
    if repetitions > 1 or (_REPEATED_GROUP.search(written) and (repetitions > 1 or "|" in written or "?" in written)):
        return f"it has more than one repetition, or choices in one, and cannot be judged by this Python: {_REMEDY}"
    return None
