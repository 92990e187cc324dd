"""The engine: what is known of keys, what is done to what is found, and how much is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .._names import NameRule, SensitiveNames, joined, word_list
from ._actions import Action, Replacements
from ._detectors import TextFinder
from ._name_runs import name_runs, plain_forms
from ._screen import KEPT, NAMED_BY_ANOTHER, NAMES_ANOTHER, CleanTexts, ScreenRules, make_screen
from ._texts import NAME, Texts

_MOST_VERDICTS = 4096
_ANY_CHARACTER = "".join(map(chr, range(1, 128)))
LONGEST_KEY = 256
"""Characters of a key that is remembered."""
NAMING = frozenset(word_list("name key header field param parameter variable attribute header_name k"))
"""Keys whose text may be the name of the value beside them."""
NAMED = frozenset(word_list("value values val v content header_value"))
"""The keys of such values."""


class KeyVerdict(NamedTuple):
    """What is known of a key that is not clean."""

    rule: NameRule | None
    """What makes its value sensitive."""
    dirty: bool
    """Whether the key itself holds something sensitive."""


class Limits(NamedTuple):
    """How much of an event is looked at; what is beyond is masked."""

    text: int
    """Characters of one text."""
    depth: int
    """Containers inside each other."""
    values: int
    """Values of one event."""
    seconds: float
    """Time for one event."""


class Engine:
    """What stays the same from event to event, and the counts.

    Parameters:
        names: which names are sensitive.
        finder: finds sensitive values in texts.
        kept_values: texts that are left where a detector finds them.
        rules: what makes an event worth a look.
        replacements: makes what takes the place of what is found.
        action: what is done to what has no action of its own.
        actions: the actions by name or detector.
        limits: how much is looked at.
    """

    def __init__(
        self,
        names: SensitiveNames,
        finder: TextFinder,
        kept_values: frozenset[str],
        rules: ScreenRules,
        replacements: Replacements,
        action: Action,
        actions: Mapping[str, Action],
        limits: Limits,
    ) -> None:
        self.names = names
        self.replacements = replacements
        self.limits = limits
        self._action = action
        self._actions: dict[str, Action] = dict(actions)
        self._actions_by_name = {joined(name): action for name, action in actions.items()}
        self._may_be_listed = name_runs(plain_forms(names.forms), _ANY_CHARACTER, at_end=False)
        """Finds nothing in most keys, which then are on no list."""
        self.verdicts: dict[str, Any] = {}
        """What is known of keys: an int of the screen's, or a :class:`KeyVerdict`; bounded."""
        self.counts: dict[str, int] = {}
        """How many things were hidden, by what found them."""
        self.texts = Texts(names, finder, kept_values, limits.text)
        self.screen: Any = make_screen(rules, self.verdicts, CleanTexts(self.texts.holds))

    def action_for(self, kind: str) -> Action:
        """Return what is done to what a detector, or a rule with ``name:`` before it, finds."""
        action = self._actions.get(kind)
        if action is None:
            action = self._action
            if kind.startswith(NAME):
                action = self._actions_by_name.get(joined(kind.removeprefix(NAME)), action)
            self._actions[kind] = action  # there are no more kinds than names and detectors
        return action

    def verdict(self, key: str) -> int | KeyVerdict:
        """Return what is known of *key*, finding it out if need be."""
        known: int | KeyVerdict | None = self.verdicts.get(key)
        if known is None:
            known = self._find_out(key)
            if len(key) <= LONGEST_KEY:
                if len(self.verdicts) >= _MOST_VERDICTS:
                    self.verdicts.clear()
                self.verdicts[key] = known
        return known

    def rule(self, name: str) -> NameRule | None:
        """Return what makes the value of *name* sensitive, or None."""
        verdict = self.verdict(name)
        return verdict.rule if type(verdict) is KeyVerdict else None

    def _find_out(self, key: str) -> int | KeyVerdict:
        rule = self.names.rule(key) if "\0" in key or self._may_be_listed(key) else None
        dirty = bool(self.texts.find(key))
        if rule is not None or dirty:
            return KeyVerdict(rule, dirty)
        folded = folded_key(key)
        return (
            KEPT * self.names.is_kept(key) | NAMES_ANOTHER * (folded in NAMING) | NAMED_BY_ANOTHER * (folded in NAMED)
        )


def folded_key(key: str) -> str:
    """Return a key as it stands in the sets above."""
    return key.lower().replace("-", "_")
