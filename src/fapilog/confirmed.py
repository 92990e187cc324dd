"""The confirmed faces of a logger: a call returns when every required sink has delivered its event, or raises."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import CancelledError
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from .calls import Face, LevelledLogMethod, LogMethod, make_level_method, make_log_method
from .context import INSIDE_PLUGIN
from .core import Core
from .errors import NotConfirmed
from .event import ConfirmedExtras, Extras, Level, Origin, Record
from .logger import _Logger
from .pipeline.awaitables import REFUSED, Acceptance
from .pipeline.confirming import Confirmation
from .values import FrozenDict

if TYPE_CHECKING:
    from typing import Self

_LONGEST = 86_400.0


class _Confirming(_Logger):
    """What both faces have in common: each record carries the confirmation that is waited for."""

    __slots__ = ("_timeout",)

    def __init__(self, core: Core, origin: Origin, timeout: float | None = None) -> None:
        super().__init__(core, origin)
        self._timeout = None if timeout is None else _checked(timeout)

    def _with(self, bound: FrozenDict, name: str) -> Self:
        made = super()._with(bound, name)
        made._timeout = self._timeout
        return made

    def _within_scope(self, record: Record) -> Record:
        record = self._carrying(record)
        inside = super()._within_scope(record)
        if inside is None:
            _confirmation_of(record).end("filtered", "span")
            return record
        return inside

    def _carrying(self, record: Record) -> Record:
        timeout = self._timeout
        if timeout is None:
            timeout = self._core.container.settings.confirm_timeout
        confirmation = Confirmation(self._intake, record, timeout)
        return (*record[:7], ConfirmedExtras(record[7] or Extras(), confirmation))


def _checked(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= _LONGEST:
        raise ValueError(f"{timeout!r} is no time to wait; give seconds above 0 and up to {_LONGEST:g}")
    return float(timeout)


def _confirmation_of(record: Record) -> Confirmation:
    confirmation: Confirmation = cast("ConfirmedExtras", record[7]).confirmation
    return confirmation


def _carrying(logger: _Confirming, record: Record) -> Record:
    """Return *record* with a confirmation, which it lacks if there was no frame left to look at the event."""
    return record if type(record[7]) is ConfirmedExtras else logger._carrying(record)


def _submit(logger: ConfirmedLogger, record: Record) -> Acceptance:
    intake = logger._intake
    try:
        record = _carrying(logger, record)
        confirmation = _confirmation_of(record)
    except RecursionError:
        intake._counts.dropped_recursion += 1
        return _LOST
    try:
        if not (confirmation.state or _refused(logger, confirmation, record)):
            if get_ident() == intake.thread:
                confirmation.submit(record)
            else:
                confirmation.end("unknown", "foreign_thread")
                intake.door.admit_nowait(record)
    except RecursionError:
        # Without a call of a Python function, for which there may be no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            confirmation.admitted = True
        elif not confirmation.state:
            intake._counts.dropped_recursion += 1
            confirmation.state, confirmation.reason = "dropped", "recursion"
            intake.confirmations.discard(confirmation)
    return confirmation


def _refused(logger: _Logger, confirmation: Confirmation, record: Record) -> bool:
    """Settle an event that comes where none is accepted; return whether it does. In any thread."""
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        confirmation.end("rejected", "reentrant")
    elif intake.state != "open":
        confirmation.end("rejected", intake.reject() if get_ident() == intake.thread else intake.door.reject())
    else:
        return False
    return True


def _submit_blocking(logger: BlockingConfirmedLogger, record: Record) -> bool:
    intake = logger._intake
    record = _carrying(logger, record)
    confirmation = _confirmation_of(record)
    if not (confirmation.state or _refused(logger, confirmation, record)):
        if get_ident() != intake.thread:
            return _wait_in_loop(logger, confirmation, record)
        intake._counts.dropped_would_deadlock += 1
        confirmation.end("dropped", "would_deadlock")
    raise confirmation.error()


def _wait_in_loop(logger: _Logger, confirmation: Confirmation, record: Record) -> bool:
    from anyio import from_thread

    async def confirmed() -> bool:
        confirmation.submit(record)
        return await confirmation

    try:
        return from_thread.run(confirmed, token=logger.container._token)
    except (RuntimeError, CancelledError):
        # The event loop has ended without having left the container, or ends, and has cancelled the wait.
        if not confirmation.state:
            confirmation.end("rejected", logger._intake.door.reject())
        if confirmation.state == "confirmed":
            return True
        raise confirmation.error() from None


class _Lost:
    """What a call returns for whose event there is no frame left; awaiting it raises, when there are some again."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, NoReturn]:
        raise NotConfirmed(
            "dropped", "recursion", {}, level=0, logger="", container_id="", time_ns=0, sequence=0, timeout=0
        )
        yield  # makes this a generator


_LOST: Final = _Lost()
_PROMISE: Final = (
    "True once every required sink has delivered the event, False if its level is not enabled.\n\n"
    "        It waits at most ``confirm_timeout``, or what ``confirming`` was given."
)
_ASYNC = Face(
    "ConfirmedLogger",
    REFUSED,
    REFUSED,
    _submit,
    f"awaiting the result returns {_PROMISE} A cancellation is held off so long and raised\n"
    "        after it, but for a caller that is handling one already.\n\n"
    "        Raises:\n"
    "            NotConfirmed: when it is awaited, if a required sink has not delivered the event by then, or cannot\n"
    "                deliver it any more.",
    quick=False,
    lost=_LOST,
)
_BLOCKING = Face(
    "BlockingConfirmedLogger",
    False,
    False,
    _submit_blocking,
    f"returns {_PROMISE}\n\n"
    "        Raises:\n"
    "            NotConfirmed: if a required sink has not delivered the event by then, or cannot deliver it any more;\n"
    "                on the event loop's own thread at once.",
    quick=False,
    lost=RecursionError,
)


class ConfirmedLogger(_Confirming):
    """Logs what must not get lost unnoticed: awaiting a call returns when every required sink has delivered the event.

    Bound fields, names, context and spans are those of the logger that this is a face of.
    """

    __slots__ = ()

    debug: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.DEBUG)
    info: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.INFO)
    warning: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.WARNING)
    error: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.ERROR)
    critical: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.CRITICAL)
    exception: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.ERROR, exc_info=True)
    log: LevelledLogMethod[Acceptance] = make_log_method(_ASYNC)


class BlockingConfirmedLogger(_Confirming):
    """The same for worker threads and synchronous programs: a call waits for the event's delivery."""

    __slots__ = ()

    debug: LogMethod[bool] = make_level_method(_BLOCKING, Level.DEBUG)
    info: LogMethod[bool] = make_level_method(_BLOCKING, Level.INFO)
    warning: LogMethod[bool] = make_level_method(_BLOCKING, Level.WARNING)
    error: LogMethod[bool] = make_level_method(_BLOCKING, Level.ERROR)
    critical: LogMethod[bool] = make_level_method(_BLOCKING, Level.CRITICAL)
    exception: LogMethod[bool] = make_level_method(_BLOCKING, Level.ERROR, exc_info=True)
    log: LevelledLogMethod[bool] = make_log_method(_BLOCKING)
