"""The three faces of a logger: asynchronous, never waiting, and blocking for threads.

Everything a log call runs before its event is in the queue is in this module and in ``Intake``; it is
straight-line code, written for speed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from threading import current_thread, get_ident
from time import time_ns
from types import BuiltinFunctionType, FunctionType, MethodType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, TypeVar

import attrs

from .context import INSIDE_PLUGIN, AmbientContext
from .event import Ambient, Extras, Level, Origin, Record
from .pipeline.awaitables import ACCEPTED, REFUSED, Acceptance
from .pipeline.intake import Intake
from .spans import Span
from .tracebacks import describe_exception, exception_from
from .values import (
    EMPTY,
    PASS_TYPES,
    FrozenDict,
    freeze,
    freeze_mapping,
    repair_metrics,
    repair_severity,
    repair_tags,
    text,
)

if TYPE_CHECKING:
    from .container import AsyncLoggingContainer
    from .metrics import FlushReport

REPAIRED: Final = "fapilog.repaired"
"""The tag that names what a call gave of a wrong type, and what was therefore left out or changed."""

_OWN: Final = frozenset({"exc_info", "tags", "metrics", "severity"})
"""The keywords of a call that belong to the event and not to its fields."""


@attrs.define(eq=False)
class Threshold:
    """The level of one logger name, shared by every logger of that name, so that it can change while they log."""

    level: int


@attrs.define(eq=False)
class Core:
    """What every logger of one container shares."""

    container: AsyncLoggingContainer
    intake: Intake
    ambient: AmbientContext
    callsite: bool
    threshold: Callable[[str], Threshold]


ExcInfo: TypeAlias = "tuple[type[BaseException] | None, BaseException | None, TracebackType | None]"


class _Logger:
    """What the three faces have in common: the bound state, and how a call becomes a record."""

    __slots__ = ("_ambient", "_core", "_intake", "_origin", "_threshold")

    def __init__(self, core: Core, origin: Origin) -> None:
        self._core = core
        self._intake = core.intake
        self._ambient = core.ambient.variable.get
        self._origin = origin
        self._threshold = core.threshold(origin.logger)

    @property
    def name(self) -> str:
        """The logger's dotted name; empty for the root logger."""
        return self._origin.logger

    @property
    def container(self) -> AsyncLoggingContainer:
        """The container that the logger belongs to."""
        return self._core.container

    def is_enabled(self, level: str | int) -> bool:
        """Return whether an event of *level* would be logged.

        Raises:
            ValueError: if *level* is no level.
        """
        return Level.parse(level) >= self._threshold.level

    def bind(self, **fields: Any) -> Self:
        """Return a logger whose events have *fields* in their context, beside what is bound already."""
        return self._with(FrozenDict({**self._origin.bound, **freeze_mapping(fields)}), self._origin.logger)

    def unbind(self, *names: str) -> Self:
        """Return a logger without the bound fields of these names; a name that is not bound is ignored."""
        bound = {name: value for name, value in self._origin.bound.items() if name not in names}
        return self._with(FrozenDict(bound), self._origin.logger)

    def named(self, suffix: str) -> Self:
        """Return a logger whose name is this one's with *suffix* behind a dot; bound fields are kept."""
        name = f"{self._origin.logger}.{suffix}" if self._origin.logger else suffix
        return self._with(self._origin.bound, name)

    def _with(self, bound: FrozenDict, name: str) -> Self:
        origin = self._origin
        return type(self)(
            self._core, Origin(logger=name, source=origin.source, container_id=origin.container_id, bound=bound)
        )

    def context(self, **fields: Any) -> AbstractContextManager[None]:
        """Return a context manager inside which this container's events have *fields* in their context.

        They follow the task: tasks started inside the block have them too, others do not. The field
        ``correlation_id`` becomes the events' own ``correlation_id``.
        """
        return self._core.ambient.added(fields)

    def _build(self, level: int, message: Any, fields: dict[str, Any], depth: int) -> Record:
        """Return the record of a call that the methods' quick path does not cover."""
        extras = None
        if not _OWN.isdisjoint(fields):
            extras = make_extras(**{name: fields.pop(name, None) for name in _OWN})
        if not _all_pass(fields):
            fields = freeze_fields(fields)
        intake = self._intake
        task = intake.task_name() if get_ident() == intake.thread else text(current_thread().name)
        if self._core.callsite:
            extras = extras or Extras()
            extras.context = call_site(depth + 1)
        return (time_ns(), level, text(message), fields, self._origin, self._ambient(), task, extras)


def _enabled_level(level: Any) -> tuple[int, str]:
    """Return the level's number, and what was given instead of a level, if it was none."""
    try:
        return Level.parse(level).value, ""
    except (ValueError, TypeError):
        return Level.INFO.value, text(level)


def make_extras(exc_info: Any = None, tags: Any = None, metrics: Any = None, severity: Any = None) -> Extras:
    """Return what a call gave beside its message and fields; what is of a wrong type is repaired and marked."""
    extras = Extras()
    repaired: list[str] = []
    exception = exception_from(exc_info)
    if exception is not None:
        extras.exception = describe_exception(exception)
    if tags is not None:
        extras.tags, wrong = repair_tags(tags)
        if wrong:
            repaired.append("tags")
    if metrics is not None:
        extras.metrics, wrong = repair_metrics(metrics)
        if wrong:
            repaired.append("metrics")
    if severity is not None:
        extras.severity, wrong = repair_severity(severity)
        if wrong:
            repaired.append("severity")
    if repaired:
        extras.tags = FrozenDict({**extras.tags, REPAIRED: _joined(None, *repaired)})
    return extras


def _joined(before: str | None, *names: str) -> str:
    return ",".join(names if before is None else (before, *names))


def freeze_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* frozen; a function without arguments is called for its value first."""
    called = {name: _value_of(value) for name, value in fields.items()}
    return freeze_mapping(called)


_FUNCTIONS: Final[tuple[type, ...]] = (FunctionType, MethodType, BuiltinFunctionType, partial)


def _all_pass(fields: dict[str, Any]) -> bool:
    """Return whether every value passes as it is."""
    try:
        return PASS_TYPES.issuperset(map(type, fields.values()))
    except KeyboardInterrupt:
        raise
    except BaseException:  # a metaclass may define how its classes hash
        return False


def _value_of(value: Any) -> Any:
    kind: type[object] = type(value)
    # Compared by identity, because a metaclass may define what its classes equal.
    if not any(kind is function for function in _FUNCTIONS) or not _takes_nothing(value):
        return value
    try:
        return value()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"<lazy field failed: {type(error).__name__}>"


def _takes_nothing(function: Any) -> bool:
    """Return whether *function* can be called without arguments, as far as it tells."""
    if isinstance(function, partial):
        return not isinstance(function.func, type)
    bound = 0
    if isinstance(function, MethodType):
        function, bound = function.__func__, 1
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    defaults = len(getattr(function, "__defaults__", None) or ())
    keyword_defaults = len(getattr(function, "__kwdefaults__", None) or ())
    return bool(code.co_argcount - defaults <= bound and code.co_kwonlyargcount <= keyword_defaults)


def call_site(depth: int) -> FrozenDict:
    """Return where the code *depth* frames up is, without keeping its frame or reading its source."""
    try:
        frame = sys._getframe(depth + 1)
    except ValueError:
        return EMPTY
    site = FrozenDict({"file": frame.f_code.co_filename, "line": frame.f_lineno, "function": frame.f_code.co_qualname})
    return FrozenDict({"callsite": site})


def _async_submit(logger: AsyncLogger, record: Record) -> Acceptance:
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return REFUSED
    if get_ident() != intake.thread:
        return intake.door.admit(record)
    return intake.admit(record)


def _nowait_submit(logger: NowaitLogger, record: Record) -> bool:
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return False
    if get_ident() != intake.thread:
        return intake.door.admit_nowait(record)
    return intake.admit_nowait(record)


def _blocking_submit(logger: BlockingLogger, record: Record) -> bool:
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return False
    if get_ident() != intake.thread:
        return intake.door.admit_blocking(record)
    return intake.admit_on_loop(record)


R_co = TypeVar("R_co", covariant=True)


class LogMethod(Protocol[R_co]):
    """The signature of ``info`` and its siblings."""

    def __call__(
        self,
        message: str,
        /,
        *,
        exc_info: bool | BaseException | ExcInfo | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        severity: int | None = None,
        **fields: Any,
    ) -> R_co: ...


class LevelledLogMethod(Protocol[R_co]):
    """The signature of ``log``."""

    def __call__(
        self,
        level: str | int,
        message: str,
        /,
        *,
        exc_info: bool | BaseException | ExcInfo | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        severity: int | None = None,
        **fields: Any,
    ) -> R_co: ...


def _level_method(
    level: Level,
    accepted: Any,
    refused: Any,
    submit: Callable[[Any, Record], Any],
    doc: str,
    *,
    exc_info_default: bool = False,
) -> Any:
    """Return the method of one face for one level.

    One closure per level instead of a shared function with a level argument: the call is the hot path.
    """
    number = level.value
    # An error is always looked at by the intake: it may use the reserve, and no linger may hold it back.
    quick = level < Level.ERROR and submit is not _blocking_submit and not exc_info_default

    def log_method(self: Any, message: str, /, **fields: Any) -> Any:
        # The event's own keywords are not parameters: CPython compares every keyword of a call with every
        # keyword-only parameter, which costs more than all that follows here.
        if self._threshold.level > number:
            return refused
        intake: Intake = self._intake
        if get_ident() == intake.quick_thread and quick and type(message) is str and _OWN.isdisjoint(fields):
            plain = True
            try:
                for value in fields.values():
                    if type(value) not in PASS_TYPES:
                        plain = False
                        break
            except Exception:
                plain = False  # a metaclass may define how its classes hash
            if plain:
                ambient: Ambient = self._ambient()
                if ambient is not INSIDE_PLUGIN:
                    record = (time_ns(), number, message, fields, self._origin, ambient, intake.task_name(), None)
                    # Looked up only now: building the record may have run a finalizer that logs.
                    chunk = intake.chunk
                    if len(chunk) < intake.limit:
                        chunk.append(record)
                        return accepted
                    return submit(self, record)
        if exc_info_default:
            fields.setdefault("exc_info", True)
        return submit(self, self._build(number, message, fields, 1))

    log_method.__doc__ = doc
    return log_method


def _log_method(refused: Any, submit: Callable[[Any, Record], Any], doc: str) -> Any:
    """Return the ``log`` method of one face."""

    def log(self: Any, level: str | int, message: str, /, **fields: Any) -> Any:
        number, level_given = _enabled_level(level)
        if self._threshold.level > number:
            return refused
        record = self._build(number, message, fields, 1)
        if level_given:
            extras = record[7] or Extras()
            extras.tags = FrozenDict({**extras.tags, REPAIRED: _joined(extras.tags.get(REPAIRED), "level")})
            extras.context = FrozenDict({**extras.context, "level_given": level_given})
            record = (*record[:7], extras)
        return submit(self, record)

    log.__doc__ = doc
    return log


_ARGUMENTS = """

        Parameters:
            message: what happened; not formatted.
            exc_info: True for the exception being handled, or an exception.
            tags: key-value pairs of text, for filtering.
            metrics: measurements by name.
            severity: the alert priority, 1–10, instead of the level's.
            fields: anything; frozen now, so a later change of an argument is not seen. A function
                without arguments is called for its value, and only if the level is enabled.
"""


def _doc(level: str, rest: str) -> str:
    return f"Log an event at {level}; {rest}{_ARGUMENTS}"


_ASYNC = (
    "the event is accepted before this returns.\n\n"
    "        Await the result for backpressure: it is a checkpoint when the intake is deep, waits for room\n"
    "        under ``BLOCK``, raises ``QueueFull`` under ``RAISE``, and says whether the event was accepted.\n"
    "        If it is cancelled while it waits for room, the event is counted as dropped."
)
_NOWAIT = "never waits, never raises, from any thread; returns whether the event was accepted."
_BLOCKING = (
    "returns whether the event was accepted.\n\n"
    "        In a foreign thread this waits for room under ``BLOCK``, at most ``block_timeout``, and raises\n"
    "        ``QueueFull`` under ``RAISE``. On the event loop's own thread it never waits and never raises."
)


class AsyncLogger(_Logger):
    """Logs from asynchronous code: a call accepts the event, awaiting the result is the backpressure."""

    __slots__ = ("_blocking", "_nowait")

    def __init__(self, core: Core, origin: Origin) -> None:
        super().__init__(core, origin)
        self._nowait: NowaitLogger | None = None
        self._blocking: BlockingLogger | None = None

    debug: LogMethod[Acceptance] = _level_method(Level.DEBUG, ACCEPTED, REFUSED, _async_submit, _doc("DEBUG", _ASYNC))
    info: LogMethod[Acceptance] = _level_method(Level.INFO, ACCEPTED, REFUSED, _async_submit, _doc("INFO", _ASYNC))
    warning: LogMethod[Acceptance] = _level_method(
        Level.WARNING, ACCEPTED, REFUSED, _async_submit, _doc("WARNING", _ASYNC)
    )
    error: LogMethod[Acceptance] = _level_method(Level.ERROR, ACCEPTED, REFUSED, _async_submit, _doc("ERROR", _ASYNC))
    critical: LogMethod[Acceptance] = _level_method(
        Level.CRITICAL, ACCEPTED, REFUSED, _async_submit, _doc("CRITICAL", _ASYNC)
    )
    exception: LogMethod[Acceptance] = _level_method(
        Level.ERROR, ACCEPTED, REFUSED, _async_submit, _doc("ERROR with the exception being handled", _ASYNC),
        exc_info_default=True,
    )  # fmt: skip
    log: LevelledLogMethod[Acceptance] = _log_method(REFUSED, _async_submit, _doc("*level*", _ASYNC))

    @property
    def nowait(self) -> NowaitLogger:
        """The face of this logger that never waits and never raises, for any thread."""
        if self._nowait is None:
            self._nowait = NowaitLogger(self._core, self._origin)
        return self._nowait

    @property
    def blocking(self) -> BlockingLogger:
        """The face of this logger for worker threads and synchronous programs."""
        if self._blocking is None:
            self._blocking = BlockingLogger(self._core, self._origin)
        return self._blocking

    def span(self, name: str, /, **fields: Any) -> Span:
        """Return a context manager that logs one event when its block ends: start, duration, outcome, parent."""
        return Span(self, name, fields)

    async def flush(self, timeout: float | None = None) -> FlushReport:
        """Wait until every event admitted before this call has an outcome at every sink and the sinks have flushed.

        Parameters:
            timeout: seconds to wait at most; ``shutdown_timeout`` if None.

        Lingering and backoff are cut short. Inside a plugin this returns at once, incomplete. If it is
        cancelled, nothing is lost. A checkpoint.
        """
        return await self._core.container.flush(timeout)


class NowaitLogger(_Logger):
    """Logs without ever waiting or raising, from any thread; each call returns whether the event was accepted."""

    __slots__ = ()

    debug: LogMethod[bool] = _level_method(Level.DEBUG, True, False, _nowait_submit, _doc("DEBUG", _NOWAIT))
    info: LogMethod[bool] = _level_method(Level.INFO, True, False, _nowait_submit, _doc("INFO", _NOWAIT))
    warning: LogMethod[bool] = _level_method(Level.WARNING, True, False, _nowait_submit, _doc("WARNING", _NOWAIT))
    error: LogMethod[bool] = _level_method(Level.ERROR, True, False, _nowait_submit, _doc("ERROR", _NOWAIT))
    critical: LogMethod[bool] = _level_method(Level.CRITICAL, True, False, _nowait_submit, _doc("CRITICAL", _NOWAIT))
    exception: LogMethod[bool] = _level_method(
        Level.ERROR, True, False, _nowait_submit, _doc("ERROR with the exception being handled", _NOWAIT),
        exc_info_default=True,
    )  # fmt: skip
    log: LevelledLogMethod[bool] = _log_method(False, _nowait_submit, _doc("*level*", _NOWAIT))


class BlockingLogger(_Logger):
    """Logs from threads and synchronous programs; a call may wait for room."""

    __slots__ = ()

    debug: LogMethod[bool] = _level_method(Level.DEBUG, True, False, _blocking_submit, _doc("DEBUG", _BLOCKING))
    info: LogMethod[bool] = _level_method(Level.INFO, True, False, _blocking_submit, _doc("INFO", _BLOCKING))
    warning: LogMethod[bool] = _level_method(Level.WARNING, True, False, _blocking_submit, _doc("WARNING", _BLOCKING))
    error: LogMethod[bool] = _level_method(Level.ERROR, True, False, _blocking_submit, _doc("ERROR", _BLOCKING))
    critical: LogMethod[bool] = _level_method(
        Level.CRITICAL, True, False, _blocking_submit, _doc("CRITICAL", _BLOCKING)
    )
    exception: LogMethod[bool] = _level_method(
        Level.ERROR, True, False, _blocking_submit, _doc("ERROR with the exception being handled", _BLOCKING),
        exc_info_default=True,
    )  # fmt: skip
    log: LevelledLogMethod[bool] = _log_method(False, _blocking_submit, _doc("*level*", _BLOCKING))

    @property
    def nowait(self) -> NowaitLogger:
        """The face of this logger that never waits and never raises."""
        return NowaitLogger(self._core, self._origin)
