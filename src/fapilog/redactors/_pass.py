"""The work on one event: its frozen trees are walked, and what is sensitive in them is replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

import orjson

from .._names import NameRule
from ..values import FrozenDict
from ._actions import DROPPED, Action, Dropped
from ._detectors import ATTEMPTS
from ._engine import LONGEST_KEY, NAMING, Engine, KeyVerdict, folded_key
from ._screen import CLEAN, KEPT, NAMED_BY_ANOTHER, OTHER_TYPES, is_card_number, may_be_name
from ._texts import NAME

Path: TypeAlias = "tuple[Path, str | int] | None"
"""Where a value stands: the path of what it is in, and its key or position there."""

TIME = "time_limit"
LENGTH = "length_limit"
DEPTH = "depth_limit"
ITEMS = "items_limit"
ERROR = "error"
UNKNOWN = "unknown_type"
UNSEEN = (TIME, LENGTH, ATTEMPTS, DEPTH, ITEMS, ERROR, UNKNOWN)
"""Why something was masked that was not looked at, as it is counted."""

_MOST_JSON = 4
"""JSON inside a text of JSON, and so on; what is deeper is masked."""
_CARD = "payment_card"


class Hit(NamedTuple):
    """One thing that was hidden."""

    path: str
    """Where it stood, such as ``fields.user.password``."""
    kind: str
    """The detector; ``name:`` and the name of a rule; or why it could not be looked at."""
    action: Action


class Pass:
    """The work on one event.

    Parameters:
        engine: what is known, and what is to be done.
        hits: where to note what is hidden; None if nobody wants to know.
    """

    __slots__ = ("_deadline", "_engine", "_hits", "_json", "_values")

    def __init__(self, engine: Engine, hits: list[Hit] | None = None) -> None:
        self._engine = engine
        self._hits = hits
        self._values = engine.limits.values
        self._deadline = perf_counter() + engine.limits.seconds
        self._json = 0

    def text_member(self, text: Any, name: str) -> str:
        """Return one of an event's texts in its clean form; one that fails is masked."""
        path = (None, name)
        try:
            if type(text) is str:
                clean = self._text(text, path)
                return "" if isinstance(clean, Dropped) else clean
            return self._unseen(UNKNOWN, path)
        except Exception:
            return self._unseen(ERROR, path)

    def mapping_member(self, mapping: Any, name: str) -> FrozenDict:
        """Return one of an event's mappings in its clean form; a value that fails is masked by itself."""
        path = (None, name)
        try:
            clean = self._mapping(mapping, path, 0)
        except Exception:
            return FrozenDict({name: self._unseen(ERROR, path)})
        return clean if type(clean) is FrozenDict else FrozenDict(clean)

    def tree(self, value: Any) -> Any:
        """Return a value that stands by itself in its clean form."""
        try:
            clean = self._value(value, None, 0)
        except Exception:
            clean = self._unseen(ERROR, None)
        return "" if clean is DROPPED else clean

    # -- trees

    def _value(self, value: Any, path: Path, depth: int) -> Any:
        """Return *value* in its clean form, itself if nothing had to be hidden; ``DROPPED`` if it is to be left out."""
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]
        self._values -= 1
        if self._values < 0:
            return self._unseen(ITEMS, path)
        if kind is str:
            return self._text(value, path)
        if value is None or kind is bool or kind in OTHER_TYPES:
            return value
        if kind is int or kind is float:
            return self._number(value, path)
        if depth >= self._engine.limits.depth:
            return self._unseen(DEPTH, path)
        if kind is FrozenDict or kind is dict:
            return self._mapping(value, path, depth)
        if kind is tuple or kind is list:
            return self._sequence(value, path, depth)
        return self._unseen(UNKNOWN, path)

    def _mapping(self, mapping: Mapping[str, Any], path: Path, depth: int) -> Any:
        named = self._named_values(mapping)
        changed = False
        clean: dict[str, Any] = {}
        for key, value in mapping.items():
            try:
                verdict = self._engine.verdict(key)
                new_key = self._clean_key(key, verdict, path)
            except Exception:
                verdict, new_key = CLEAN, self._unseen(ERROR, path)
            try:
                new_value = self._entry(value, verdict, named, (path, new_key), depth)
            except Exception:
                new_value = self._unseen(ERROR, (path, new_key))
            if new_value is DROPPED:
                changed = True
                continue
            if new_key is not key:
                new_key = _unused(new_key, mapping, clean)
                changed = True
            elif new_value is not value:
                changed = True
            clean[new_key] = new_value
        if not changed:
            return mapping
        return clean if type(mapping) is dict else FrozenDict(clean)

    def _clean_key(self, key: str, verdict: int | KeyVerdict, path: Path) -> str:
        if isinstance(verdict, KeyVerdict) and verdict.dirty:
            # Without its own place: a key's part is replaced, and never left out.
            clean = self._without(key, (None, shown_path((path, self._engine.replacements.mask))))
            return key if isinstance(clean, Dropped) else clean
        return key

    def _entry(self, value: Any, verdict: int | KeyVerdict, named: NameRule | None, path: Path, depth: int) -> Any:
        """Return the value of a key in its clean form."""
        if isinstance(verdict, KeyVerdict):
            if verdict.rule is not None:
                return self._by_name(value, verdict.rule, path)
        elif verdict:
            if named is not None and verdict & NAMED_BY_ANOTHER:
                return self._by_name(value, named, path)
            if verdict & KEPT and type(value) in (str, int, float):
                return value
        return self._value(value, path, depth + 1)

    def _named_values(self, mapping: Mapping[str, Any]) -> NameRule | None:
        """Return the rule for the value in ``{"name": "Authorization", "value": …}``."""
        for key, value in mapping.items():
            if type(value) is str and len(value) <= LONGEST_KEY and folded_key(key) in NAMING:
                rule = self._engine.names.rule(value)
                if rule is not None:
                    return rule
        return None

    def _sequence(self, values: Sequence[Any], path: Path, depth: int) -> Any:
        clean: list[Any] = []
        changed = False
        rule: NameRule | None = None
        for position, value in enumerate(values):
            here = (path, position)
            if rule is not None:
                new = self._by_name(value, rule, here)
                if len(values) != 3 or position != 1:  # of three, both others belong to the name
                    rule = None
            else:
                new = self._value(value, here, depth + 1)
                if type(value) is str and len(values) > 1:
                    rule = self._name_of_next(value, position)
            changed = changed or new is not value
            if new is not DROPPED:
                clean.append(new)
        if not changed:
            return values
        return tuple(clean) if type(values) is tuple else clean

    def _name_of_next(self, text: str, position: int) -> NameRule | None:
        """Return the rule for the item behind *text* if that is its name: of a pair, or an option of a command."""
        if position % 2 == 0 and may_be_name(text):
            return self._engine.rule(text)
        if text.startswith("--") and len(text) <= LONGEST_KEY and "=" not in text:
            return self._engine.names.rule(text)
        return None

    def _number(self, value: float, path: Path) -> Any:
        number = int(value) if type(value) is float and abs(value) < 1e20 else value
        if type(number) is int and number == value and is_card_number(number):
            text = str(number)
            if any(one.kind == _CARD and one.end - one.start == len(text) for one in self._engine.texts.values(text)):
                action = self._engine.action_for(_CARD)
                self._note(_CARD, action, path)
                return self._engine.replacements.of(number, action)
        return value

    def _by_name(self, value: Any, rule: NameRule, path: Path) -> Any:
        if value is None or value == "":
            return value
        kind = NAME + rule.name
        action = self._engine.action_for(kind)
        self._note(kind, action, path)
        return self._engine.replacements.of(value, action)

    # -- texts

    def _text(self, text: str, path: Path) -> str | Dropped:
        """Return a text in its clean form; ``DROPPED`` if what is in it is to be left out with the whole field."""
        engine = self._engine
        if perf_counter() > self._deadline:
            return self._unseen(TIME, path)
        if not engine.screen.text(text):
            return text
        rest = ""
        if len(text) > engine.limits.text:
            # What is cut in two could not be recognised, so the cut is where a space is.
            self._note(LENGTH, Action.MASK, path)
            text = _up_to_a_space(text, engine.limits.text)
            rest = engine.replacements.mask
        as_json = self._json_text(text, path) if text.lstrip()[:1] in ("{", "[") else None
        clean = self._without(text, path) if as_json is None else as_json
        return clean if isinstance(clean, Dropped) or not rest else clean + rest

    def _json_text(self, text: str, path: Path) -> str | None:
        """Return a text of JSON in its clean form; None if it is none."""
        try:
            decoded = orjson.loads(text)
        except ValueError:  # also of what has lone surrogates in it
            return None
        if self._json >= _MOST_JSON:
            return self._unseen(DEPTH, path)
        self._json += 1
        try:
            clean = self._value(decoded, path, 0)
        finally:
            self._json -= 1
        return text if clean is decoded else orjson.dumps(clean).decode()

    def _without(self, text: str, path: Path) -> str | Dropped:
        """Return *text* with what is sensitive in it replaced."""
        engine = self._engine
        found = engine.texts.find(text)
        if not found:
            return text
        parts: list[str] = []
        position = 0
        for one in found:
            action = engine.action_for(one.kind)
            self._note(one.kind, action, path)
            if action is Action.DROP and path is not None and path[0] is not None:
                return DROPPED
            parts += [text[position : one.start], engine.replacements.of_part(text[one.start : one.end], action)]
            position = one.end
        parts.append(text[position:])
        return "".join(parts)

    # -- accounts

    def _unseen(self, reason: str, path: Path) -> str:
        self._note(reason, Action.MASK, path)
        return self._engine.replacements.mask

    def _note(self, kind: str, action: Action, path: Path) -> None:
        counts = self._engine.counts
        counts[kind] = counts.get(kind, 0) + 1
        if self._hits is not None:
            self._hits.append(Hit(shown_path(path), kind, action))


def shown_path(path: Path) -> str:
    """Return a path as text: ``fields.items[3].password``."""
    parts: list[str] = []
    while path is not None:
        path, step = path
        parts.append(f"[{step}]" if type(step) is int else f".{step}")
    return "".join(reversed(parts)).removeprefix(".")


def _up_to_a_space(text: str, length: int) -> str:
    """Return the beginning of *text*, at most *length* characters, up to where a space is."""
    end = length
    while end > 0 and not text[end - 1].isspace():
        end -= 1
    return text[:end]


def _unused(key: str, mapping: Mapping[str, Any], clean: Mapping[str, Any]) -> str:
    """Return *key*, or one like it that no other value has."""
    number = 1
    unused = key
    while unused in mapping or unused in clean:
        number += 1
        unused = f"{key} #{number}"
    return unused
