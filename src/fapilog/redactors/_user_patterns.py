"""Stand-in: the check of a user's patterns."""

from __future__ import annotations

import re


def refused(pattern: str) -> str | None:
    """Stand-in."""
    try:
        if re.compile(pattern).match(""):
            return "it matches the empty text"
    except re.error as error:
        return f"it does not compile: {error}"
    return None
