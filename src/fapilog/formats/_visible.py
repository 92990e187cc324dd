"""Text that is safe to show: every character that is not printable is written as a Python escape."""

from __future__ import annotations

import re
from typing import Any

from ._careful import scalar

_NEEDS_QUOTES = re.compile(r"""[\s='"]""")


def visible(text: str) -> str:
    """Return *text* with controls, line and direction marks and the like as the escapes of a Python string."""
    if text.isprintable():
        return text
    return "".join([character if character.isprintable() else repr(character)[1:-1] for character in text])


def visible_value(value: Any) -> str:
    """Return *value* for ``key=value``; a string is quoted only if it would be read wrongly otherwise."""
    if type(value) is not str:
        return visible(scalar(value))
    return visible_key(value)


def visible_key(key: str) -> str:
    """Return *key* for ``key=value``, quoted if it has a blank, a quote, an equals sign or a control, or is empty."""
    if key and key.isprintable() and _NEEDS_QUOTES.search(key) is None:
        return key
    return repr(key)
