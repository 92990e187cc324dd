"""Strikes a program with a signal at a chosen one of the places where Python looks for signals."""

from __future__ import annotations

import dis
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import fapilog

_OURS = str(Path(fapilog.__file__).parent)


class Striker:
    """Counts, in the code of fapilog, the places where Python would call a signal's handler, and strikes at one.

    Python does so at the beginning of a function, also when a coroutine is resumed, before it jumps back, and after it
    has called what is not written in Python. Nothing else can be interrupted.
    """

    def __init__(self, at: int, number: signal.Signals, told: Callable[[str], object]) -> None:
        """Make a striker.

        Parameters:
            at: at which of the places to strike, from 1; at none if there are fewer.
            number: the signal.
            told: called with a description of the place.
        """
        self.passed = 0
        self._at = at
        self._number = number
        self._told = told
        self._places: dict[CodeType, set[int]] = {}

    def start(self) -> None:
        """Begin to count, in this thread."""
        sys.settrace(self._enter)

    def stop(self) -> None:
        """Count no more."""
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self._pass(frame)
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode":
            code = frame.f_code
            places = self._places.get(code)
            if places is None:
                places = self._places[code] = _places(code)
            if frame.f_lasti in places:
                self._pass(frame)
        return self._step

    def _pass(self, frame: FrameType) -> None:
        self.passed += 1
        if self.passed == self._at:
            self._told(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
            signal.raise_signal(self._number)


def _places(code: CodeType) -> set[int]:
    places: set[int] = set()
    before = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "JUMP_BACKWARD" or before.startswith("CALL"):
            places.add(instruction.offset)
        before = instruction.opname
    return places
