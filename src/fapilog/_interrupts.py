"""What is an interrupt of the application, which has to pass, and what a failure of the code it was raised in.

On asyncio an interrupt is raised wherever the main thread is just then: in a plugin, in a ``__repr__``, in our
own code. ``KeyboardInterrupt`` is always one. ``SystemExit`` is one if a signal's handler raised it; if a plugin
or a value did, it is a failure like any other, which must end neither a task nor the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ._exception_parts import members_of

if TYPE_CHECKING:
    from types import FrameType, TracebackType

Interrupt: TypeAlias = "KeyboardInterrupt | SystemExit"

_MOST_LOOKED_AT = 100
"""How many exceptions behind one another, or side by side, are looked at."""

# Past what a class of exceptions may have in their place.
_exceptions: Any = BaseException
_context: Callable[[BaseException], BaseException | None] = _exceptions.__context__.__get__
_traceback: Callable[[BaseException], TracebackType | None] = _exceptions.__traceback__.__get__


def interrupt_in(error: BaseException) -> Interrupt | None:
    """Return the application's interrupt that *error* is, holds as a group, or was raised in the place of.

    Parameters:
        error: an exception as it was caught; the frames of its traceback say what it passed.
    """
    kind = type(error)
    if issubclass(kind, Exception) and _context(error) is None and not issubclass(kind, BaseExceptionGroup):
        return None  # as nearly always
    # One that strikes in the code of a cancel scope makes AnyIO raise an error in its place. What was being handled
    # before that, further out, is behind an error too, and has been dealt with or will be.
    passed: set[FrameType] = set()
    found: BaseException | None = error
    for _ in range(_MOST_LOOKED_AT):
        if found is None:
            break
        traceback = _traceback(found)
        if found is error or (traceback is not None and traceback.tb_frame in passed):
            kind = type(found)
            if issubclass(kind, KeyboardInterrupt) or (issubclass(kind, SystemExit) and _by_handler(traceback)):
                return cast("Interrupt", found)
            if issubclass(kind, BaseExceptionGroup):
                for member in members_of(found)[:_MOST_LOOKED_AT]:
                    if (inside := interrupt_in(member)) is not None:
                        return inside
            while traceback is not None:
                passed.add(traceback.tb_frame)
                traceback = traceback.tb_next
        found = _context(found)
    return None


def raise_interrupt(error: BaseException) -> None:
    """Raise the application's interrupt that is in *error*, if there is one."""
    interrupt = interrupt_in(error)
    if interrupt is not None:
        raise interrupt


def _by_handler(traceback: TracebackType | None) -> bool:
    """Return whether one of the frames that were left is a signal handler's.

    Python calls a handler with the number and the frame that it interrupts, which so is the handler's caller. No other
    function is called with the frame of its caller.
    """
    while traceback is not None:
        frame = traceback.tb_frame
        interrupted = frame.f_back
        if interrupted is not None and any(value is interrupted for value in _arguments(frame)):
            return True
        traceback = traceback.tb_next
    return False


def _arguments(frame: FrameType) -> list[Any]:
    code, values = frame.f_code, frame.f_locals
    number = code.co_argcount
    arguments = [values.get(name) for name in code.co_varnames[:number]]
    if code.co_flags & 0x04:  # inspect.CO_VARARGS
        arguments += cast("tuple[Any, ...]", values.get(code.co_varnames[number + code.co_kwonlyargcount], ()))
    return arguments
