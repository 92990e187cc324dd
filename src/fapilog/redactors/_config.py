"""What the redactor can be told, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs

from .._names import joined
from ..checks import CHECK, Check, Problems, check_instance, choice, is_mapping, number, text, whole_number
from ..plugins.patterns import refused_for_finding
from ..shown import did_you_mean, items_of, one_of, pairs_of, path_key, plain_text, type_of
from ._actions import Action
from ._detectors import NAMES
from ._presets import PRESETS

DEFAULT_PRESETS = ("credentials", "pci_dss")
DEFAULT_DETECTORS = tuple(name for name in NAMES if name not in ("high_entropy", "ipv4", "ipv6"))
_MOST = 1000
_SHORTEST_KEY = 16
_LEAST_LETTERS = 2
"""The screen takes what has fewer for no name: ``T12:30`` is a time."""


def _texts(allowed: str, problem: Callable[[str], str | None]) -> Check:
    """Return a check for a list of texts; *problem* returns what is wrong with one, as a hint, or None."""

    def check(problems: Problems, path: str, value: Any) -> Any:
        if not issubclass(type_of(value), (list, tuple)) or len(items := items_of(value)) > _MOST:
            problems.add(path, value, f"a list of at most {_MOST:_} texts")
            return value
        checked: list[str] = []
        for position, item in enumerate(items):
            if not issubclass(type_of(item), str):
                problems.add(f"{path}[{position}]", item, allowed)
                continue
            plain = plain_text(item)
            hint = problem(plain)
            if hint is None:
                checked.append(plain)
            else:
                problems.add(f"{path}[{position}]", plain, allowed, hint)
        return tuple(checked)

    return check


def _known(names: Sequence[str]) -> Check:
    def problem(name: str) -> str | None:
        return None if name in names else did_you_mean(name, names)

    return _texts(one_of(names), problem)


def _name_problem(name: str) -> str | None:
    if len(name) <= 128 and sum(character.isalpha() for character in joined(name)) >= _LEAST_LETTERS:
        return None
    return f"a name has at least {_LEAST_LETTERS} letters, and at most 128 characters"


def _table(allowed: str, item: Callable[[Problems, str, str, Any], Any]) -> Check:
    """Return a check for a table; *item* checks one of its values, given the key, and returns its normal form."""

    def check(problems: Problems, path: str, value: Any) -> Any:
        if not is_mapping(value) or len(value) > _MOST:
            problems.add(path, value, allowed)
            return value
        checked: dict[str, Any] = {}
        for key, entry in pairs_of(value):
            if issubclass(type_of(key), str) and plain_text(key):
                checked[plain_text(key)] = item(problems, f"{path}.{path_key(plain_text(key))}", plain_text(key), entry)
            else:
                problems.add(path, key, "keys that are text")
        return checked

    return check


def _pattern(problems: Problems, path: str, kind: str, value: Any) -> Any:
    if not issubclass(type_of(value), str):
        problems.add(path, value, "a regular expression")
        return value
    if kind in NAMES:
        problems.say(path, "the name of a built-in detector", "a name of its own", f"rename {kind!r}")
    reason = refused_for_finding(plain_text(value))
    if reason is not None:
        problems.add(path, value, "a regular expression that takes linear time", reason)
    return plain_text(value)


_ACTION = choice(Action)


def _action(problems: Problems, path: str, _: str, value: Any) -> Any:
    return _ACTION(problems, path, value)


def _key(problems: Problems, path: str, value: Any) -> Any:
    if issubclass(type_of(value), str) and (not value or len(value) >= _SHORTEST_KEY):
        return plain_text(value)
    hint = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
    problems.say(path, "something else", f"a text of at least {_SHORTEST_KEY} characters", hint)
    return value


def _as_action(value: Action | str) -> Action:
    """Let type checkers accept the text as well; the check afterwards makes it a member."""
    return cast("Action", value)


@attrs.frozen(kw_only=True)
class RedactConfig:
    """What the redactor can be told.

    Raises:
        ConfigurationError: if anything is wrong; it holds every problem.
    """

    presets: tuple[str, ...] = attrs.field(default=DEFAULT_PRESETS, metadata={CHECK: _known(tuple(PRESETS))})
    """The lists of names and detectors to begin with."""
    fields: tuple[str, ...] = attrs.field(default=(), metadata={CHECK: _texts("a field's name", _name_problem)})
    """More names of sensitive fields; each counts wherever its words stand in a key."""
    whole_fields: tuple[str, ...] = attrs.field(default=(), metadata={CHECK: _texts("a field's name", _name_problem)})
    """More names that count only as the whole of a key, or with an owner in front, as in ``user_age``."""
    detectors: tuple[str, ...] = attrs.field(default=DEFAULT_DETECTORS, metadata={CHECK: _known(NAMES)})
    """What is looked for in values, beside what the presets bring."""
    patterns: Mapping[str, str] = attrs.field(
        factory=dict[str, str], metadata={CHECK: _table("a table of regular expressions", _pattern)}
    )
    """Regular expressions of your own, by the name they are to be told by."""
    keep: tuple[str, ...] = attrs.field(default=(), metadata={CHECK: _texts("a field's name", _name_problem)})
    """Names, as the whole of a key, whose own text or number is left as it is."""
    keep_values: tuple[str, ...] = attrs.field(default=(), metadata={CHECK: _texts("a text", lambda _: None)})
    """Texts that are left as they are where a detector finds them, such as ``support@example.com``."""
    action: Action = attrs.field(default=Action.MASK, converter=_as_action, metadata={CHECK: _ACTION})
    """What is done to what is found."""
    actions: Mapping[str, Action] = attrs.field(
        factory=dict[str, Action], metadata={CHECK: _table("a table of actions", _action)}
    )
    """What is done instead, by the name of a field's rule or a detector."""
    mask: str = attrs.field(default="***", metadata={CHECK: text(64)})
    """What takes the place of what is hidden."""
    truncate_to: int = attrs.field(default=4, metadata={CHECK: whole_number(1, 64)})
    """Characters that the action ``truncate`` keeps."""
    pseudonym_key: str = attrs.field(default="", repr=False, metadata={CHECK: _key})
    """The secret key of the pseudonyms; needed for the action ``pseudonym``."""
    longest_text: int = attrs.field(default=16_384, metadata={CHECK: whole_number(256, 1_048_576)})
    """Characters of one text that are searched, if it is worth a look at all; what is beyond is masked."""
    deepest: int = attrs.field(default=64, metadata={CHECK: whole_number(1, 128)})
    """Containers inside each other that are looked into; what is deeper is masked."""
    most_values: int = attrs.field(default=10_000, metadata={CHECK: whole_number(16, 1_000_000)})
    """Values of one event that are looked at; what is beyond is masked."""
    time_limit: float = attrs.field(default=0.1, metadata={CHECK: number(0, 10, unit="seconds", above=True)})
    """Seconds for one event; the texts that are not looked at by then are masked."""

    def __attrs_post_init__(self) -> None:
        problems = Problems()
        check_instance(self, problems)
        if not problems.items and Action.PSEUDONYM in (self.action, *self.actions.values()) and not self.pseudonym_key:
            problems.say(
                "pseudonym_key",
                "nothing",
                "a secret text",
                "the action 'pseudonym' needs a key; or choose another action",
            )
        problems.raise_any()
