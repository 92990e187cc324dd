"""Texts of environment variables, and what they mean where a number, a truth value, a list or a table is wanted.

A variable's text is kept as an :class:`EnvironmentText` until it is known what is wanted: a check of a setting, or the
type of a plugin's attribute, says so. So ``12345`` is a number for a port and a text for a password.
"""

from __future__ import annotations

from typing import Any, Final

_TRUTH: Final = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
_LONGEST_NUMBER: Final = 40
_LONGEST_COLLECTION: Final = 1 << 20


class EnvironmentText(str):
    """The text of an environment variable, which may stand for any type."""

    __slots__ = ()


def truth_in(text: str) -> bool | None:
    """Return the truth value that *text* says: true, false, yes, no, on, off, 1 or 0 in any case; else None."""
    return _TRUTH.get(str.lower(str.strip(text)))


def number_in(text: str) -> int | float | None:
    """Return the finite number that *text* is, or None; an int if it has neither point nor exponent."""
    plain = str.strip(text)
    if not plain or len(plain) > _LONGEST_NUMBER or not plain.isascii() or plain.strip("0123456789+-._eE"):
        return None
    for kind in (int, float):
        try:
            number = kind(plain)
        except ValueError:
            continue
        return number if number - number == 0 else None
    return None


def collection_in(text: str) -> list[Any] | dict[str, Any] | None:
    """Return the array or table that *text* is in JSON or TOML, or None."""
    plain = str.strip(text)
    if plain[:1] not in ("[", "{") or len(plain) > _LONGEST_COLLECTION:
        return None
    import orjson

    try:
        found = orjson.loads(plain)
    except ValueError:
        found = _toml_value(plain)
    return found if type(found) in (list, dict) else None


def list_in(text: str) -> list[Any] | None:
    """Return the list that *text* is: an array in JSON or TOML, or items between commas; an empty text is none."""
    plain = str.strip(text)
    if plain[:1] in ("[", "{"):
        found = collection_in(plain)
        return found if type(found) is list else None
    return [item.strip() for item in plain.split(",")] if plain else []


def table_in(text: str) -> dict[str, Any] | None:
    """Return the table that *text* is: one in JSON or TOML, or ``name=value`` between commas."""
    plain = str.strip(text)
    if plain[:1] in ("[", "{"):
        found = collection_in(plain)
        return found if type(found) is dict else None
    pairs = [item.partition("=") for item in plain.split(",")] if plain else []
    if not all(name.strip() and separator for name, separator, _ in pairs):
        return None
    return {name.strip(): EnvironmentText(value.strip()) for name, _, value in pairs}


def _toml_value(text: str) -> Any:
    """Return the TOML value *text*, or None; it must not hold a line that would be a key of its own."""
    import tomllib

    if text.count(".") > 1000:  # a key of many parts takes the square of their number
        return None
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return None
    return document["value"] if len(document) == 1 else None
