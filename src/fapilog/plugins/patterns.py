"""Regular expressions that come from settings: which are refused, and how much of a text they may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

LONGEST_PATTERN = 1000
"""Characters that a pattern may have."""
LONGEST_MATCHED = 4096
"""Characters of a text that a pattern is matched with; what stands behind them is not looked at."""

Refusal: TypeAlias = Callable[[str], "str | None"]
"""Returns why a pattern must not be used, or None."""


def refused(pattern: str) -> str | None:
    """Return why *pattern* must not be used, or None: it does not compile, or may take exponential time.

    Python's engine goes back and tries again, so that a repetition of what repeats or has alternatives, such as
    ``(a+)+`` or ``(a|a)*``, takes time that doubles with each character of a text that does not match. Every pattern of
    these forms is refused, also the harmless ones, and so is a back reference.

    Parameters:
        pattern: a regular expression as of :mod:`re`.
    """
    import re

    if len(pattern) > LONGEST_PATTERN:
        return f"it has {len(pattern)} characters; at most {LONGEST_PATTERN} are allowed"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"it is no regular expression: {error}"
    return _repeated_choice(pattern)


def _repeated_choice(pattern: str) -> str | None:
    """Return what in a pattern that compiles may take exponential time, or None."""
    has_choice = [False]  # for the whole and each group that is open: whether it can match a text in several ways
    closed_choice = False  # the same of the group that ended just here
    position = 0
    while position < len(pattern):
        character = pattern[position]
        after_group, closed_choice = closed_choice, False
        if character == "\\":
            following = pattern[position + 1 : position + 2]
            if following.isdigit() and following != "0":
                return "it has a back reference, which may take exponential time"
            position += 2
        elif character == "[":
            position = _end_of_set(pattern, position)
        elif character == "(":
            if pattern.startswith("(?P=", position) or pattern.startswith("(?(", position):
                return "it has a back reference, which may take exponential time"
            has_choice.append(False)
            position += 2 if pattern.startswith("(?", position) else 1  # this ? repeats nothing
        elif character == ")":
            closed_choice = has_choice.pop()
            has_choice[-1] |= closed_choice
            position += 1
        elif character == "|":
            has_choice[-1] = True
            position += 1
        elif (end := _end_of_repetition(pattern, position)) is not None:
            if after_group and character != "?":
                return f"it repeats what repeats or has alternatives, at its character {position + 1}"
            has_choice[-1] = True
            position = end
        else:
            position += 1
    return None


def _end_of_set(pattern: str, start: int) -> int:
    """Return where the character set ends that begins at *start*."""
    position = start + 1
    if pattern.startswith("^", position):
        position += 1
    if pattern.startswith("]", position):
        position += 1
    while pattern[position] != "]":
        position += 2 if pattern[position] == "\\" else 1
    return position + 1


def _end_of_repetition(pattern: str, start: int) -> int | None:
    """Return where the repetition ends that begins at *start*, or None if there is none."""
    import re

    found = re.compile(r"(?:[*+?]|\{\d*(?:,\d*)?\})[?+]?").match(pattern, start)
    return None if found is None or found[0] == "{}" else found.end()
