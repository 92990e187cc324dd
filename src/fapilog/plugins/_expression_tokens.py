"""The words of an expression on events, and what is wrong where."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

from ..errors import FapilogError

KEYWORDS = frozenset(
    {"and", "or", "not", "in", "contains", "startswith", "endswith", "matches", "exists", "true", "false", "none"}
)
"""Words with a meaning of their own, in any case of letters; behind a dot they are names."""

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_MISTAKEN = {
    "=": "==",
    "&": "and",
    "&&": "and",
    "|": "or",
    "||": "or",
    "!": "not",
    "===": "==",
    "<>": "!=",
    "null": "none",
}
_LONGEST_NUMBER = 40


class ExpressionError(FapilogError, ValueError):
    """Raised when an expression on events cannot be understood."""

    def __init__(self, reason: str, position: int) -> None:
        self.reason = reason
        """What is wrong, and what to write instead."""
        self.position = position
        """Which character of the expression it stands at, from 1."""
        super().__init__(f"{reason}, at character {position}")


class Token(NamedTuple):
    """One word, sign or literal."""

    kind: str
    """``word``, ``text``, ``number``, ``end``; of a keyword or a sign it is that itself."""
    value: str | int | float
    position: int
    """Which character it begins at, from 1."""


def tokens(text: str) -> list[Token]:
    """Return the tokens of *text*, the last of kind ``end``.

    Raises:
        ExpressionError: at the first character that is part of none.
    """
    import re

    token = re.compile(
        r"""\s*(?:(?P<word>[^\W\d]\w*)
                |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])
                |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
                |(?P<sign>===|==|!=|<>|<=|>=|&&|\|\||[<>=()\[\],.!&|])
                |(?P<end>\Z))""",
        re.VERBOSE | re.DOTALL,
    )
    found: list[Token] = []
    position = 0
    while True:
        match = token.match(text, position)
        if match is None or match.lastgroup is None:
            raise _unknown(text, position)
        kind = match.lastgroup
        found.append(_token(kind, match[kind], match.start(kind) + 1, found))
        if kind == "end":
            return found
        position = match.end()


def _token(kind: str, text: str, position: int, before: list[Token]) -> Token:
    if kind == "end":
        return Token("end", "", position)
    if kind == "text":
        return Token("text", _unescaped(text[1:-1]), position)
    if kind == "number":
        return Token("number", _number(text, position), position)
    if before and before[-1].kind == ".":
        return Token(kind if kind == "word" else text, text, position)
    if (meant := _MISTAKEN.get(text.lower())) is not None:
        raise ExpressionError(f"{text!r} is not known here; write {meant!r}", position)
    if kind == "word":
        return Token(text.lower() if text.lower() in KEYWORDS else "word", text, position)
    return Token(text, text, position)


def _unescaped(text: str) -> str:
    """Return what a literal stands for; a backslash before anything unknown stays, as patterns need it."""
    if "\\" not in text:
        return text
    parts: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            escaped = next(characters)
            character = _ESCAPES.get(escaped) or (escaped if escaped in "\\\"'" else "\\" + escaped)
        parts.append(character)
    return "".join(parts)


def _number(text: str, position: int) -> int | float:
    if len(text) > _LONGEST_NUMBER:
        raise ExpressionError(f"a number has at most {_LONGEST_NUMBER} characters", position)
    number = int(text) if text.lstrip("-").isdigit() else float(text)
    if not isfinite(number):
        raise ExpressionError(f"the number {text} is too large", position)
    return number


def _unknown(text: str, position: int) -> ExpressionError:
    while text[position].isspace():
        position += 1
    character = text[position]
    if character in "\"'":
        return ExpressionError(f"the text that begins with {character} has no end", position + 1)
    if character == "-" and not text[position + 1 : position + 2].isdigit():
        return ExpressionError("a key with a '-' stands in quotes, such as fields.\"request-id\"", position + 1)
    if character.isdigit() or character == "-":
        return ExpressionError("this is no number, such as 5, -0.5 or 1e3", position + 1)
    return ExpressionError(f"{character!r} is not known here", position + 1)
