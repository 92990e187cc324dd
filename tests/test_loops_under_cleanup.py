"""No interrupt that strikes a loop passes by what is around it: its ``with``, its ``finally``, its ``except``.

From 3.13 on Python looks for signals before it jumps back to the beginning of a loop, and does not always count that
jump as part of the block that the loop is in: an exception from there leaves a lock locked. In a function of its own
the same loop is safe, for the call is part of the block. (python/cpython issue 108214.)
"""

from __future__ import annotations

import ast
import dis
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

import fapilog

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="needs a Python that looks for signals before a jump, and not behind it"
)

SOURCES = sorted(Path(fapilog.__file__).parent.rglob("*.py"))

HARMLESS = {"Walk.pairs": "what it cleans up is its walk's own, which an interrupt ends"}

UNSAFE = """
def take(lock, items):
    with lock:
        while items:
            items.pop()

def take_first(lock, items):
    try:
        for item in items:
            if item:
                print(item)
    finally:
        lock.release()

def take_all(lock, items):
    try:
        return [item for item in items if item]
    except BaseException:
        lock.release()
        raise
"""
SAFE = """
def take(lock, items):
    with lock:
        take_all(items)
    try:
        for item in items:
            if item:
                print(item)
    except ValueError:
        pass
    except BaseException as error:
        raise_interrupt(error)
        return

def take_all(items):
    while items:
        items.pop()
"""


def unsafe_loops(source: str) -> list[str]:
    """Return the functions in which a loop jumps back outside of a block that cleans up after it."""
    blocks = {
        (function.name, min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])): [
            lines for node in _own(function) if (lines := _lines_cleaned_up_after(node))
        ]
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    found: list[str] = []
    for code in _codes(compile(source, "<source>", "exec")):
        around = blocks.get((code.co_name, code.co_firstlineno), [])
        jumps = _lines_of_jumps_out_of_their_block(code)
        found += [code.co_qualname for line in jumps if any(line in lines for lines in around)]
    return found


def _lines_of_jumps_out_of_their_block(code: CodeType) -> Iterator[int]:
    entries = [(entry.start, entry.end, entry.target) for entry in dis._parse_exception_table(code)]  # type: ignore[attr-defined]

    def handlers(offset: int) -> list[int]:
        return [target for start, end, target in entries if start <= offset < end]

    for instruction in dis.get_instructions(code):
        if instruction.opname != "JUMP_BACKWARD":
            continue
        line = instruction.positions and instruction.positions.lineno
        if handlers(instruction.offset) != handlers(instruction.argval) and line is not None:
            yield line


def _lines_cleaned_up_after(node: ast.AST) -> range | None:
    if isinstance(node, ast.With | ast.AsyncWith) or (
        isinstance(node, ast.Try | ast.TryStar)
        and (node.finalbody or any(_cleans_up(handler) for handler in node.handlers))
    ):
        return range(node.body[0].lineno, (node.body[-1].end_lineno or 0) + 1)
    return None


def _cleans_up(handler: ast.ExceptHandler) -> bool:
    """Return whether *handler* does something about an interrupt but raise it again."""
    caught = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else set()
    if handler.type and not caught & {"BaseException", "KeyboardInterrupt", "SystemExit"}:
        return False
    return not ast.unparse(handler.body[0]).startswith("raise")


def _own(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield child
            yield from _own(child)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def test_no_loop_is_outside_of_what_cleans_up_after_it() -> None:
    found = {path.name: set(unsafe_loops(path.read_text())) - set(HARMLESS) for path in SOURCES}
    assert {name: loops for name, loops in found.items() if loops} == {}


def test_such_loops_are_found() -> None:
    assert unsafe_loops(UNSAFE) == ["take", "take_first", "take_all"]
    assert unsafe_loops(SAFE) == []
