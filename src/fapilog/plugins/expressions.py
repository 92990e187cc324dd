r"""Expressions on events: conditions written in settings, such as ``level >= warning and fields.status == 503``.

An expression compares the parts of an event with literals or with each other::

    level >= error
    message contains "timeout" or fields.http.status in [502, 503, 504]
    logger startswith "app.db" and not exists context.user
    tags.team == "pay" and metrics.latency_ms > 250.5

*Names* are ``message``, ``level``, ``severity``, ``source``, ``logger``, ``task``, ``correlation_id``, and
``fields.x``, ``context.x``, ``tags.x``, ``metrics.x`` and ``exception.x`` with any number of dots; another name alone
is a field, so that ``status`` is ``fields.status``. A key that is no word stands in quotes: ``fields."http.status"``.
What is not there is none.

*Literals* are texts in ``"`` or ``'``, numbers, ``true``, ``false``, ``none``, and lists of them in ``[ ]``. In a text
``\n``, ``\r``, ``\t``, ``\\`` and a quote behind a backslash stand for one character; another backslash stays.

*Operators*, the loosest first: ``or``; ``and``; ``not``; then ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``,
``not in``, ``contains``, ``startswith``, ``endswith``, ``matches`` (a regular expression found anywhere in the first
4096 characters), and ``exists`` before a name (neither missing nor none). A name alone holds unless it is none, false,
0 or empty. Two values of different kinds are not equal and in no order; ``!=`` and ``not in`` are the opposites of
``==`` and ``in``. Levels are compared in their order, with a level's name or number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from ..event import Level, LogEvent
from ..shown import did_you_mean, masked_text
from . import _expression_operators as operators
from ._expression_operators import Condition, Reader
from ._expression_tokens import ExpressionError as ExpressionError
from ._expression_tokens import Token, tokens
from .patterns import Refusal, refused

LONGEST = 4096
"""Characters that an expression may have."""
DEEPEST = 32
"""Parentheses and negations that may stand inside each other."""

_ATTRIBUTES = ("message", "level", "severity", "source", "logger", "task", "correlation_id")
_MAPPINGS = ("fields", "context", "tags", "metrics", "exception")
_TEXT_OPERATORS = {"startswith": operators.starts_with, "endswith": operators.ends_with}
_COMPARING = frozenset({*operators.COMPARISONS, "in", "contains", "matches", *_TEXT_OPERATORS})


def compiled(text: str, *, refuse_pattern: Refusal = refused) -> Callable[[LogEvent], bool]:
    """Return a function that tells whether an event meets the condition *text*; it never raises.

    Parameters:
        text: the expression, of at most 4096 characters.
        refuse_pattern: returns why a regular expression in it must not be used, or None.

    Raises:
        ExpressionError: if *text* is no expression; a ``ValueError`` that tells the reason and the position.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression has {len(text)} characters; at most {LONGEST} are allowed", LONGEST + 1)
    return _Parser(text, refuse_pattern).whole()


_NO_LITERAL: Any = object()


def reader(name: str) -> Callable[[LogEvent], Any]:
    """Return a function that reads from an event what *name* stands for in an expression; it never raises.

    Raises:
        ExpressionError: if *name* is no name, such as ``message`` or ``fields.user.id``.
    """
    if len(name) > LONGEST:
        raise ExpressionError(f"the name has {len(name)} characters; at most {LONGEST} are allowed", LONGEST + 1)
    return _Parser(name, refused).name_alone()


@attrs.frozen
class _Operand:
    """One side of a comparison."""

    position: int
    read: Reader
    literal: Any = _NO_LITERAL
    """The literal's value, a list's as a tuple."""
    is_level: bool = False
    word: str = ""
    """The name, if it is a single word: beside a level it is taken for one."""
    bare: Token | None = None
    """The first word of a list that is in no quotes, as only levels may be."""

    @property
    def is_literal(self) -> bool:
        return self.literal is not _NO_LITERAL

    @property
    def is_list(self) -> bool:
        return type(self.literal) is tuple


class _Parser:
    """Goes through the tokens once and returns closures."""

    def __init__(self, text: str, refuse_pattern: Refusal) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        self._refuse_pattern = refuse_pattern

    # -- conditions

    def whole(self) -> Condition:
        if self._tokens[0].kind == "end":
            raise ExpressionError("the expression is empty; write a condition such as 'level >= warning'", 1)
        condition = self._either()
        token = self._tokens[self._at]
        if token.kind != "end":
            raise self._expected("'and', 'or' or the end", token)
        return condition

    def name_alone(self) -> Reader:
        token = self._tokens[0]
        if token.kind != "word":
            raise self._expected("a name such as 'message' or 'fields.user'", token)
        read = self._name().read
        self._want("end")
        return read

    def _either(self) -> Condition:
        conditions = [self._both()]
        while self._take("or"):
            conditions.append(self._both())
        return conditions[0] if len(conditions) == 1 else operators.any_of(conditions)

    def _both(self) -> Condition:
        conditions = [self._negation()]
        while self._take("and"):
            conditions.append(self._negation())
        return conditions[0] if len(conditions) == 1 else operators.all_of(conditions)

    def _negation(self) -> Condition:
        if self._take("not"):
            self._deeper()
            condition = operators.negated(self._negation())
            self._depth -= 1
            return condition
        if self._take("("):
            self._deeper()
            condition = self._either()
            self._depth -= 1
            self._want(")")
            return condition
        if self._take("exists"):
            return self._existence()
        return self._comparison()

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ExpressionError(
                f"more than {DEEPEST} parentheses and negations stand inside each other",
                self._tokens[self._at - 1].position,
            )

    def _existence(self) -> Condition:
        in_parentheses = self._take("(")
        operand = self._operand()
        if operand.is_literal:
            raise ExpressionError("only a name can be asked whether it exists", operand.position)
        if in_parentheses:
            self._want(")")
        return operators.exists(operand.read)

    def _comparison(self) -> Condition:
        left = self._operand()
        token = self._tokens[self._at]
        if token.kind not in _COMPARING and token.kind != "not":
            if left.is_level:
                raise ExpressionError("every event has a level; write 'level >= warning' or the like", left.position)
            if left.is_literal:
                raise self._expected("an operator such as '==' after the literal", token)
            return operators.truth(left.read)
        self._at += 1
        is_opposite = token.kind == "not"
        sign = self._want("in").kind if is_opposite else token.kind
        right = self._operand()
        condition = self._compared(left, sign, right, token)
        following = self._tokens[self._at]
        if following.kind in _COMPARING:
            raise ExpressionError("comparisons are no chain; write 'a < b and b < c'", following.position)
        return operators.negated(condition) if is_opposite else condition

    def _compared(self, left: _Operand, sign: str, right: _Operand, token: Token) -> Condition:
        if left.is_level or right.is_level:
            return self._level_compared(left, sign, right, token)
        bare = left.bare or right.bare
        if bare is not None:
            raise ExpressionError(f"a list holds literals; write '\"{masked_text(str(bare.value))}\"'", bare.position)
        if sign == "matches":
            return operators.matches(left.read, self._pattern(right))
        if sign == "in" or sign == "contains":
            part, whole = (left, right) if sign == "in" else (right, left)
            if whole.is_list:
                return operators.among(part.read, whole.literal)
            return operators.contains(whole.read, part.read)
        if sign in _TEXT_OPERATORS:
            return _TEXT_OPERATORS[sign](left.read, right.read)
        if sign in operators.ORDERS:
            if right.is_literal:
                return operators.in_order_with(sign, left.read, right.literal)
            if left.is_literal:
                return operators.in_order_with(operators.MIRRORED[sign], right.read, left.literal)
            return operators.in_order(sign, left.read, right.read)
        if right.is_literal:
            equal = operators.equal_to(left.read, right.literal)
        elif left.is_literal:
            equal = operators.equal_to(right.read, left.literal)
        else:
            equal = operators.equal(left.read, right.read)
        return equal if sign == "==" else operators.negated(equal)

    def _level_compared(self, left: _Operand, sign: str, right: _Operand, token: Token) -> Condition:
        if sign in operators.COMPARISONS:
            if right.is_level:
                left, sign, right = right, operators.MIRRORED[sign], left
            return operators.level_compared(sign, self._level(right))
        if sign != "in" or not left.is_level:
            raise ExpressionError("a level is compared with ==, !=, <, <=, >, >=, in and not in only", token.position)
        if not right.is_list:
            raise ExpressionError("write a list of levels, such as [info, warning]", right.position)
        items = [_Operand(right.position, right.read, item) for item in right.literal]
        return operators.level_among(frozenset(self._level(item) for item in items))

    def _level(self, operand: _Operand) -> int:
        given = operand.word or operand.literal
        try:
            return Level.parse(given).value
        except ValueError:
            said = masked_text(given) if type(given) is str else "this"
            hint = did_you_mean(said.upper(), Level.__members__) or f"use one of {', '.join(Level.__members__)}"
            raise ExpressionError(f"{said!r} is no level; {hint}", operand.position) from None

    def _pattern(self, operand: _Operand) -> str:
        pattern = operand.literal
        if type(pattern) is not str:
            raise ExpressionError("'matches' wants a regular expression in quotes", operand.position)
        reason = self._refuse_pattern(pattern)
        if reason is not None:
            raise ExpressionError(f"the regular expression is refused: {reason}", operand.position)
        return pattern

    # -- operands

    def _operand(self) -> _Operand:
        token = self._tokens[self._at]
        if token.kind == "word":
            return self._name()
        if self._take("["):
            return self._list(token.position)
        literal = self._literal("a name or a literal")
        return _Operand(token.position, operators.constant(literal), literal)

    def _literal(self, expected: str) -> Any:
        token = self._tokens[self._at]
        if token.kind in _CONSTANTS:
            value: Any = _CONSTANTS[token.kind]
        elif token.kind == "text" or token.kind == "number":
            value = token.value
        else:
            raise self._expected(expected, token)
        self._at += 1
        return value

    def _list(self, position: int) -> _Operand:
        items: list[Any] = []
        bare: Token | None = None
        while not self._take("]"):
            token = self._tokens[self._at]
            if self._take("word"):
                bare = bare or token
                items.append(token.value)
            else:
                items.append(self._literal("a text, a number, true, false, none or the end of the list"))
            if not self._take(","):
                self._want("]")
                break
        literals = tuple(items)
        return _Operand(position, operators.constant(literals), literals, bare=bare)

    def _name(self) -> _Operand:
        first = self._tokens[self._at]
        self._at += 1
        path: list[str] = []
        while self._take("."):
            token = self._tokens[self._at]
            if token.kind != "word" and token.kind != "text":
                raise self._expected("a name, or a key in quotes, after the dot", token)
            self._at += 1
            path.append(str(token.value))
        root = str(first.value)
        if root in _MAPPINGS:
            return _Operand(first.position, operators.reader_of(root, path))
        if root not in _ATTRIBUTES:
            read = operators.reader_of("fields", [root, *path])
            return _Operand(first.position, read, word="" if path else root)
        if path:
            raise ExpressionError(f"{root!r} has no parts; a field of this name is 'fields.{root}'", first.position)
        return _Operand(first.position, operators.reader_of(root, ()), is_level=root == "level")

    # -- tokens

    def _take(self, kind: str) -> bool:
        """Go past the next token if it is of *kind*; return whether it was."""
        if self._tokens[self._at].kind != kind:
            return False
        self._at += 1
        return True

    def _want(self, kind: str) -> Token:
        token = self._tokens[self._at]
        if token.kind != kind:
            raise self._expected("the end" if kind == "end" else repr(kind), token)
        self._at += 1
        return token

    def _expected(self, what: str, token: Token) -> ExpressionError:
        found = "the end" if token.kind == "end" else repr(masked_text(str(token.value)))
        return ExpressionError(f"expected {what}, found {found}", token.position)


_CONSTANTS = {"true": True, "false": False, "none": None}
