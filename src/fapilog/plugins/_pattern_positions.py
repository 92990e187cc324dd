"""A regular expression as the places in it that take a character, and which of them can follow which.

This is Glushkov's automaton (V. M. Glushkov, The abstract theory of automata, 1961), kept with the number of ways to
get from one place to the next: a matcher that backtracks tries each of them.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import attrs


def _module_of_re(name: str) -> Any:
    """Return a module that `re` is made of, or None: it is no part of the language, and may move."""
    try:
        return import_module(f"re.{name}")
    except ImportError:
        return None


parser: Any = _module_of_re("_parser")
constants: Any = _module_of_re("_constants")

MOST_PLACES = 300
_FEW = 3
"""How many copies stand for any larger fixed number of them."""
_OTHER_CHARACTERS = "\u00e4\u00c4\u00df\u017f\u00e7\u0416\u0436\u0663\uff19\u00a0\u2028\u4e2d\u212a\U0001f600\U00010400"
"""Of each kind that a class of characters may tell apart beyond ASCII, one."""
_FEW_TURNS, _FEW_WAYS = 4, 20
"""A counted repetition of more turns of a group, or of more ways to end, is judged as one without an end."""


class TooLarge(Exception):
    """Raised if an expression has too many places to be judged."""


@attrs.define(eq=False)
class Part:
    """A part of an expression, and how it is entered and left."""

    first: Counter[int] = attrs.field(factory=Counter[int])
    """The places that can be its first, each with the number of ways."""
    last: Counter[int] = attrs.field(factory=Counter[int])
    sure_last: set[int] = attrs.field(factory=set[int])
    """The places after which nothing in it, not even an assertion, can fail."""
    passes: int = 1
    """The number of ways to go through it without a character."""
    sure_pass: bool = True


@attrs.define(eq=False)
class Places:
    """The places of an expression; a place is a number, in the order in which they stand."""

    characters: list[int] = attrs.field(factory=list[int])
    """What each takes: a set of characters of the sample, as bits."""
    follow: list[Counter[int]] = attrs.field(factory=list[Counter[int]])
    scans: list[bool] = attrs.field(factory=list[bool])
    """Whether it stands for any number of characters that are taken in one way only."""
    looks_around: bool = False
    """Whether each turn of a repetition looks through any number of characters again."""
    sure_last: set[int] = attrs.field(factory=set[int])
    """The places after which nothing can fail any more."""

    def add(self, characters: int, scans: bool) -> Part:
        place = len(self.characters)
        if place >= MOST_PLACES:
            raise TooLarge
        self.characters.append(characters)
        self.follow.append(Counter())
        self.scans.append(scans)
        return Part(Counter({place: 1}), Counter({place: 1}), {place}, 0, False)

    def connect(self, last: Counter[int], first: Counter[int]) -> None:
        for place, ways in last.items():
            for following, more in first.items():
                self.follow[place][following] += ways * more

    def reached(self) -> list[int]:
        """Return for each place the places that can come after it at any distance, as bits."""
        reached = [sum(1 << following for following in follow) for follow in self.follow]
        for middle in range(len(reached)):
            bit, beyond = 1 << middle, reached[middle]
            for place, after in enumerate(reached):
                if after & bit:
                    reached[place] = after | beyond
        return reached

    def repeats(self) -> bool:
        """Return whether any place can come again."""
        return any(after >> place & 1 for place, after in enumerate(self.reached())) or any(self.scans)


def places_of(pattern: str) -> list[Places]:
    """Return the places of *pattern*, which compiles, and those of each part of it that is matched on its own.

    Raises:
        TooLarge: if it has more than 300.
    """
    tree = parser.parse(pattern)
    builder = _Builder(pattern)
    whole = builder.sequence(tree, tree.state.flags)
    builder.places.sure_last = whole.sure_last
    return [builder.places, *builder.apart]


class _Builder:
    """Makes the places of one expression, from the tree that the standard library parses it into."""

    def __init__(self, pattern: str) -> None:
        self.places = Places()
        self.apart: list[Places] = []
        self.scanning_assertions = 0
        codes = {ord(character) + step for character in pattern for step in (-1, 0, 1)}
        codes.update(range(128), map(ord, _OTHER_CHARACTERS))
        self.sample = "".join(chr(code) for code in sorted(codes) if 0 <= code <= sys.maxunicode)
        self.all = (1 << len(self.sample)) - 1

    def matching(self, source: str, flags: int) -> int:
        """Return the characters of the sample that an expression for one character matches."""
        matches = re.compile(source, flags & (re.IGNORECASE | re.DOTALL | re.ASCII)).fullmatch
        return sum(1 << index for index, character in enumerate(self.sample) if matches(character))

    def characters(self, operator: Any, argument: Any, flags: int) -> int | None:
        if operator is constants.LITERAL:
            return self.matching(re.escape(chr(argument)), flags)
        if operator is constants.NOT_LITERAL:
            return self.all & ~self.matching(re.escape(chr(argument)), flags)
        if operator is constants.ANY:
            return self.matching(".", flags)
        if operator is constants.IN:
            return self.matching(_class_source(argument), flags)
        return None

    def sequence(self, items: Iterable[Any], flags: int) -> Part:
        whole = Part()
        for operator, argument in items:
            whole = self.then(whole, self.item(operator, argument, flags))
        return whole

    def then(self, left: Part, right: Part) -> Part:
        self.places.connect(left.last, right.first)
        first = Counter(left.first)
        for place, ways in right.first.items():
            first[place] += ways * left.passes
        last = Counter(right.last)
        for place, ways in left.last.items():
            last[place] += ways * right.passes
        sure_last = right.sure_last | (left.sure_last if right.sure_pass else set[int]())
        return Part(+first, +last, sure_last, min(left.passes * right.passes, 2), left.sure_pass and right.sure_pass)

    def either(self, parts: Sequence[Part]) -> Part:
        whole = Part(passes=0, sure_pass=False)
        for part in parts:
            whole.first.update(part.first)
            whole.last.update(part.last)
            whole.sure_last |= part.sure_last
            whole.passes = min(whole.passes + part.passes, 2)
            whole.sure_pass = whole.sure_pass or part.sure_pass
        return whole

    def item(self, operator: Any, argument: Any, flags: int) -> Part:
        characters = self.characters(operator, argument, flags)
        if characters is not None:
            return self.places.add(characters, scans=False)
        if operator is constants.AT:
            return Part(sure_pass=False)
        if operator is constants.SUBPATTERN:
            _, added, removed, items = argument
            return self.sequence(items, (flags | added) & ~removed)
        if operator is constants.BRANCH:
            return self.either([self.sequence(items, flags) for items in argument[1]])
        if operator in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            least, most, items = argument
            return self.repeat(least, most, items, flags)
        if operator is constants.POSSESSIVE_REPEAT:
            can_be_empty = argument[0] == 0 or argument[2].getwidth()[0] == 0
            return self.one_way([(constants.MAX_REPEAT, argument)], can_be_empty, flags)
        if operator is constants.ATOMIC_GROUP:
            return self.one_way(argument, argument.getwidth()[0] == 0, flags)
        if operator in (constants.ASSERT, constants.ASSERT_NOT):
            self.scanning_assertions += self.on_its_own(argument[1], flags).repeats()
            return Part(sure_pass=False)
        if operator is constants.GROUPREF_EXISTS:
            _, yes, no = argument
            return self.either([self.sequence(yes, flags), self.sequence(no or [], flags)])
        # A reference back to a group, or what a later Python has: any characters, in one way.
        return self.places.add(self.all, scans=True)

    def on_its_own(self, items: Iterable[Any], flags: int) -> Places:
        """Return the places of a part into which the matcher does not go back."""
        outer, self.places = self.places, Places()
        try:
            self.places.sure_last = self.sequence(items, flags).sure_last
            self.apart.append(self.places)
            return self.places
        finally:
            self.places = outer

    def one_way(self, items: Iterable[Any], can_be_empty: bool, flags: int) -> Part:
        inner = self.on_its_own(items, flags)
        taken = 0
        for characters in inner.characters:
            taken |= characters
        part = self.places.add(taken, scans=inner.repeats())
        if can_be_empty:
            part.passes, part.sure_pass = 1, True
        return part

    def repeat(self, least: int, most: Any, items: Any, flags: int) -> Part:
        unbounded = most is constants.MAXREPEAT
        single = len(items) == 1 and self.characters(items[0][0], items[0][1], flags) is not None
        if unbounded or most - least >= _FEW_WAYS or (not single and _is_large(most, items)):
            return self.loop(least, items, flags)
        whole = Part()
        for _ in range(min(least, _FEW_TURNS)):
            whole = self.then(whole, self.sequence(items, flags))
        optional = Part()
        for _ in range(min(most - least, _FEW)):
            optional = self.either([self.then(self.sequence(items, flags), optional), Part()])
        return self.then(whole, optional)

    def loop(self, least: int, items: Any, flags: int) -> Part:
        before = self.scanning_assertions
        part = self.sequence(items, flags)
        if self.scanning_assertions > before:
            self.places.looks_around = True
        self.places.connect(part.last, part.first)
        if part.passes:
            # The matcher also tries a turn that takes nothing, between two others and in place of all of them.
            self.places.connect(part.last, part.first)
            part.passes = 2
        elif least == 0:
            part.passes = 1
        if least == 0:
            part.sure_pass = True
        elif least > 1:
            part.sure_last = set()
        return part


def _is_large(most: int, items: Any) -> bool:
    """Return whether *items* repeated *most* times, or with other counts around them, are too many to be laid out."""
    shortest, longest = items.getwidth()
    return most > _FEW_TURNS or (most > 1 and (shortest != longest or _repeats(items)))


def _repeats(items: Any) -> bool:
    return any(
        "_REPEAT" in str(operator) or (operator is constants.SUBPATTERN and _repeats(argument[3]))
        for operator, argument in items
    )


def _class_source(items: Iterable[Any]) -> str:
    """Return a class of characters as it is written, from how it is parsed."""
    source = ""
    for operator, argument in items:
        if operator is constants.NEGATE:
            source = "^"
        elif operator is constants.LITERAL:
            source += re.escape(chr(argument))
        elif operator is constants.RANGE:
            source += f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
        else:
            source += _CATEGORIES[str(argument)]
    return f"[{source}]"


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip
