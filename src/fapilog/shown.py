"""Values shown in messages about a configuration: bounded, on one line, with secrets masked.

Nothing here calls a method of a value that is not a plain built-in one, so that a hostile ``__repr__``
or ``__eq__`` cannot get in the way of saying what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from re import Match

MASK = "***"
_LONGEST = 160
"""Characters that a shown value may take."""
_LONGEST_SEARCHED = 4096
"""Characters up to which a text is searched for secrets; a longer one is not shown at all."""
_LONGEST_INSIDE = 512
"""The same for a text inside a table or list, of which there may be many."""
_ITEMS = 6
_DEPTH = 3

_SECRET_NAMES = (
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "token",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "credential",
    "cookie",
)
_SECRET_KEY = (
    r"(?:pass(?:word|wd|phrase)|pwd|token|secret|(?:api|access|private)[-_ ]?key|authorization|credential|cookie)"
)
_SECRET_ASSIGNMENT = (
    rf"(?i)({_SECRET_KEY}[\w-]{{0,40}}['\"]?\s{{0,8}}[=:]\s{{0,8}})"
    r"(?:\"[^\"]*\"|'[^']*'|(?:bearer|basic)\s{1,8}[^\s'\"]+|[^\s&;,'\"]+)"
)
_SECRET_PAIR = (
    rf"(?i)([\[(]\s{{0,8}}(['\"])[\w -]{{0,40}}{_SECRET_KEY}[\w -]{{0,40}}\2\s{{0,8}},\s{{0,8}})(?:\"[^\"]*\"|'[^']*')"
)
_SECRET_PATTERNS = (
    (_SECRET_PAIR, r"\1" + MASK),
    (_SECRET_ASSIGNMENT, r"\1" + MASK),
    (r"(?i)\b(bearer|basic)\s{1,8}[\w.~+/=-]+", r"\1 " + MASK),
)


def is_secret_name(name: str) -> bool:
    """Return whether a value kept under *name* is taken for a secret, such as ``db_password`` or ``Api-Key``."""
    folded = name.lower().replace("_", "").replace("-", "").replace(" ", "")
    if any(secret in folded for secret in _SECRET_NAMES):
        return True
    from ._names import secret_names

    return secret_names().rule(name) is not None


def is_secret_path(path: str) -> bool:
    """Return whether any key of the dotted *path* names a secret; the names of plugins in it do not count."""
    keys = path.split(".")
    return any(is_secret_name(key) for key in (keys[2:] if keys[0] == "plugin_config" else keys))


def masked_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Return *text* on one line and bounded, without *secrets* and without what looks like one."""
    import re

    for secret in secrets:
        text = text.replace(secret, MASK)
    if len(text) > _LONGEST_SEARCHED:
        return f"text of {len(text)} characters"
    text = re.sub(r"[^\s'\"<>]+", _without_userinfo, text)
    for pattern, replacement in _SECRET_PATTERNS:
        text = re.sub(pattern, replacement, text)
    text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return _cut(text, _LONGEST - 4)  # room for the quotes around it


def show(value: object, *, secret: bool = False) -> str:
    """Return *value* as bounded text for a message.

    Parameters:
        value: anything; the content of an object that is no plain data is not shown, only its type.
        secret: whether the value is a secret; then only true, false and nothing are shown as they are.
    """
    if value is None or value is True or value is False:
        return repr(value)
    return MASK if secret else _cut(_shown(value, _DEPTH))


def shown_mapping(values: Mapping[str, Any]) -> str:
    """Return the whole of *values* like ``repr`` does, with secrets masked."""
    return "{" + ", ".join(f"{key!r}: {_pair_value(key, value, 20, 1_000)}" for key, value in values.items()) + "}"


def type_name(value: object) -> str:
    """Return the name of *value*'s type, whatever its metaclass does."""
    try:
        return masked_text(str.__str__(type(value).__qualname__))
    except Exception:
        return "object"


def type_of(value: object) -> type[Any]:
    """Return the type of *value*, which, other than ``isinstance``, asks the value nothing."""
    return type(value)


def plain_text(value: Any) -> str:
    """Return a text, or an instance of a subclass, as a plain ``str``."""
    return str.__str__(value)


def items_of(value: Any) -> list[Any]:
    """Return the items of a list or tuple, whatever a subclass makes of iterating over it."""
    base: Any = list if issubclass(type_of(value), list) else tuple
    return list(base.__iter__(value))


def pairs_of(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return the pairs of a dict, whatever a subclass makes of ``items``; another mapping is asked."""
    base: Any = dict
    pairs: Iterable[tuple[Any, Any]] = base.items(value) if issubclass(type_of(value), dict) else value.items()
    return pairs


def secrets_of(value: Any, *, secret: bool = False, depth: int = 8) -> list[str]:
    """Return the texts in *value* that stand under the name of a secret, to take them out of another's message."""
    kind = type_of(value)
    found: list[str] = []
    if depth and kind is dict:
        for key, item in value.items():
            found += secrets_of(item, secret=secret or _is_secret_key(key), depth=depth - 1)
    elif depth and kind in (list, tuple):
        is_pair = len(value) == 2 and _is_secret_key(value[0])
        for item in value:
            found += secrets_of(item, secret=secret or (is_pair and item is not value[0]), depth=depth - 1)
    elif secret and issubclass(kind, str) and str.__len__(value):
        found.append(plain_text(value))
    elif secret and kind in (int, float):
        found.append(_shown(value, 1))
    return found


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the one of *names* that *name* was probably meant to be, or an empty text."""
    from difflib import SequenceMatcher

    name = name[:64]
    best, best_ratio = "", 0.6
    for candidate in names:
        for left, right in ((_folded(name), _folded(candidate)), (_sorted_words(name), _sorted_words(candidate))):
            ratio = SequenceMatcher(None, left, right).ratio()
            if ratio > best_ratio:
                best, best_ratio = candidate, ratio
    return best


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the hint that names the nearest of *names*, or an empty text."""
    found = nearest(name, names)
    return f"did you mean {found!r}?" if found else ""


def one_of(names: Iterable[object]) -> str:
    """Return *names* as a choice: ``'a', 'b' or 'c'``."""
    shown = [repr(name) if type(name) is str else show(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}" if shown else "nothing"


def path_key(key: str) -> str:
    """Return *key* as one step of a dotted path; one with other than plain characters is quoted and bounded."""
    plain = key.isascii() and 0 < len(key) <= 64 and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else repr(_cut(masked_text(key), 64))


def _without_userinfo(word: Match[str]) -> str:
    """Mask the userinfo of a URL, up to the last @ because a password may hold one."""
    text = word[0]
    end = text.rfind("@")
    start = text.find("://", 0, max(end, 0))
    if start >= 0:
        return text[: start + 3] + MASK + text[end:]
    return MASK + text[end:] if ":" in text[: max(end, 0)] else text


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


def _sorted_words(name: str) -> str:
    return "_".join(sorted(_folded(name).split("_")))


def _cut(text: str, length: int = _LONGEST) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _is_secret_key(key: object) -> bool:
    return issubclass(type_of(key), str) and is_secret_name(plain_text(key))


def _pair_value(key: object, value: object, depth: int, items: int = _ITEMS) -> str:
    return show(value, secret=True) if _is_secret_key(key) else _shown(value, depth, items)


def _shown(value: Any, depth: int, items: int = _ITEMS) -> str:
    """Return *value* as text, with at most *items* items of each collection."""
    kind = type_of(value)
    if value is None or kind is bool:
        return repr(value)
    if issubclass(kind, int):
        return int.__repr__(value) if int.bit_length(value) <= 256 else "a very large number"
    if issubclass(kind, float):
        return float.__repr__(value)
    if issubclass(kind, str):
        text = str.__str__(value)
        searched = _LONGEST_SEARCHED if depth == _DEPTH else _LONGEST_INSIDE
        return repr(masked_text(text)) if len(text) <= searched else f"text of {len(text)} characters"
    if issubclass(kind, (bytes, bytearray)):
        return f"{len(value)} bytes" if kind in (bytes, bytearray) else "bytes"
    if depth == 0 and issubclass(kind, (dict, list, tuple)):
        return "…"
    if issubclass(kind, dict):
        given = list(pairs_of(value))
        pairs = [
            f"{_shown(key, depth - 1, items)}: {_pair_value(key, item, depth - 1, items)}"
            for key, item in given[:items]
        ]
        return "{" + ", ".join(pairs + ["…"] * (len(given) > items)) + "}"
    if issubclass(kind, list):
        return f"[{_sequence(items_of(value), depth, items)}]"
    if issubclass(kind, tuple):
        return f"({_sequence(items_of(value), depth, items)})"
    if kind.__module__ in ("datetime", "pathlib", "decimal", "uuid"):
        return repr(masked_text(str(value)))
    if issubclass(kind, type):
        return f"the class {masked_text(str.__str__(type.__getattribute__(value, '__qualname__')))}"
    return f"an object of type {type_name(value)}"


def _sequence(values: list[Any], depth: int, items: int) -> str:
    if len(values) == 2 and _is_secret_key(values[0]):
        # A pair such as ("Authorization", "Bearer …") of a list of headers.
        return f"{_shown(values[0], depth - 1, items)}, {show(values[1], secret=True)}"
    shown = [_shown(item, depth - 1, items) for item in values[:items]]
    return ", ".join(shown + ["…"] * (len(values) > items))
