"""Text that is safe to show: every character that is not printable is written as a Python escape."""

from __future__ import annotations

from typing import Any

from ._careful import scalar

_NUMBERS = frozenset({int, float})


def visible(text: str) -> str:
    """Return *text* with controls, line and direction marks and the like as the escapes of a Python string."""
    if text.isprintable():
        return text
    # `repr` doubles backslashes too, and escapes a single quote in a text that has both kinds; that is undone.
    return repr(text)[1:-1].replace("\\'", "'").replace("\\\\", "\\")


def visible_value(value: Any) -> str:
    """Return *value* for ``key=value``; a string is quoted only if it would be read wrongly otherwise."""
    if type(value) is str:
        return visible_key(value)
    return scalar(value) if type(value) in _NUMBERS else visible(scalar(value))


def visible_key(key: str) -> str:
    """Return *key* for ``key=value``, quoted if it has a blank, a quote, an equals sign or a control, or is empty."""
    if key.isalnum() or key.isidentifier():
        return key
    if key and key.isprintable() and not (" " in key or "=" in key or "'" in key or '"' in key):
        return key
    return repr(key)
