"""The three faces of a logger: asynchronous, never waiting, and blocking for threads.

Everything a log call runs before its event is in the queue is in this module and in ``Intake``; it is
straight-line code, written for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from threading import current_thread, get_ident
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from ._accelerated import accelerator
from .arguments import OWN, all_pass, call_site, enabled_level, freeze_fields, make_extras, marked_level
from .context import INSIDE_PLUGIN, added
from .event import Ambient, Extras, Level, Origin, Record
from .pipeline.awaitables import REFUSED, Acceptance
from .spans import Span
from .values import (
    NO_STACK,
    NO_STACK_MAPPING,
    PASS_TYPES,
    SIMPLE_TYPES,
    FrozenDict,
    freeze_mapping,
    text,
)

if TYPE_CHECKING:
    from .container import AsyncLoggingContainer
    from .metrics import FlushReport
    from .pipeline.intake import Intake


class Threshold:
    """The level of one logger name, shared by every logger of that name, so that it can change while they log."""

    __slots__ = ("level",)

    def __init__(self, level: int) -> None:
        self.level: int = level


class Core:
    """What every logger of one container shares."""

    __slots__ = ("ambient", "callsite", "container", "intake", "threshold")

    def __init__(
        self,
        container: AsyncLoggingContainer,
        intake: Intake,
        ambient: ContextVar[Ambient],
        callsite: bool,
        threshold: Callable[[str], Threshold],
    ) -> None:
        self.container: AsyncLoggingContainer = container
        self.intake: Intake = intake
        self.ambient: ContextVar[Ambient] = ambient
        self.callsite: bool = callsite
        self.threshold: Callable[[str], Threshold] = threshold
        if _CALLS is not None:
            _CALLS.meet_intake(type(intake))


ExcInfo: TypeAlias = "tuple[type[BaseException] | None, BaseException | None, TracebackType | None]"


class _Logger:
    """What the three faces have in common: the bound state, and how a call becomes a record."""

    __slots__ = ("_core", "_intake", "_origin", "_threshold", "_variable")

    def __init__(self, core: Core, origin: Origin) -> None:
        self._core = core
        self._intake = core.intake
        self._variable = core.ambient
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
        return added(self._variable, fields)

    def span(self, name: str, /, **fields: Any) -> Span:
        """Return a context manager that logs one event when its block ends: start, duration, outcome, parent."""
        return Span(NowaitLogger(self._core, self._origin), name, fields)

    def _build(self, level: int, message: Any, fields: dict[str, Any], depth: int) -> Record:
        """Return the record of a call that the methods' quick path does not cover."""
        extras = None
        if not OWN.isdisjoint(fields):
            extras = make_extras(**{name: fields.pop(name, None) for name in OWN})
        if not all_pass(fields):
            fields = freeze_fields(fields)
        intake = self._intake
        task = intake.task_name() if get_ident() == intake.thread else text(current_thread().name)
        if self._core.callsite:
            extras = extras or Extras()
            extras.context = call_site(depth + 1)
        return (time_ns(), level, text(message), fields, self._origin, self._variable.get(), task, extras)


def _async_submit(logger: AsyncLogger, record: Record) -> Acceptance:
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return REFUSED
    try:
        if get_ident() != intake.thread:
            return intake.door.admit(record)
        return intake.admit(record)
    except RecursionError:
        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return intake.accepted
        intake._counts.dropped_recursion += 1
        return intake.refused


def _nowait_submit(logger: NowaitLogger, record: Record) -> bool:
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return False
    try:
        if get_ident() != intake.thread:
            return intake.door.admit_nowait(record)
        return intake.admit_nowait(record)
    except RecursionError:
        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return True
        intake._counts.dropped_recursion += 1
        return False


def _blocking_submit(logger: BlockingLogger, record: Record) -> bool:
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return False
    try:
        if get_ident() != intake.thread:
            return intake.door.admit_blocking(record)
        return intake.admit_on_loop(record)
    except RecursionError:
        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return True
        intake._counts.dropped_recursion += 1
        return False


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


class _Face(NamedTuple):
    """What the methods of one face have in common."""

    name: str
    accepted: Any
    """What a call returns when its event is in the queue; None for the intake's ready awaitable."""
    refused: Any
    """What it returns when the level is not enabled; None for the intake's ready awaitable."""
    submit: Callable[[Any, Record], Any]
    doc: str

    def named(self, method: Any, name: str, what: str) -> Any:
        """Give a made method the name that an error about its arguments shows, and its documentation."""
        method.__qualname__ = f"{self.name}.{name}"
        method.__name__ = name
        method.__doc__ = f"Log an event at {what}; {self.doc}{_ARGUMENTS}"
        return method


def _level_method(face: _Face, level: Level, *, exc_info: bool = False) -> Any:
    """Return the method of one face for one level.

    One closure per level instead of a shared function with a level argument: the call is the hot path.
    """
    accepted, refused, submit = face.accepted, face.refused, face.submit
    number = level.value
    # An error is always looked at by the intake: it may use the reserve, and no linger may hold it back.
    quick = level < Level.ERROR and submit is not _blocking_submit

    def log_method(self: Any, message: str, /, **fields: Any) -> Any:
        # The event's own keywords are not parameters: CPython compares every keyword of a call with every
        # keyword-only parameter, which costs more than all that follows here.
        if self._threshold.level > number:
            return self._intake.refused if refused is None else refused
        intake: Intake = self._intake
        if (
            get_ident() == intake.quick_thread
            and quick
            and type(message) is str
            and "exc_info" not in fields
            and "severity" not in fields
        ):
            plain = True
            try:
                for value in fields.values():
                    # None may also be the value of ``tags`` or ``metrics``, which are mappings else.
                    if type(value) not in SIMPLE_TYPES and (value is not None or not OWN.isdisjoint(fields)):
                        plain = False
                        break
            except Exception:
                plain = False  # a metaclass may define how its classes hash
            if plain:
                ambient: Ambient = self._variable.get()
                if ambient is not INSIDE_PLUGIN:
                    refuse = intake.refuse_await if accepted is None else intake.refuse_nowait
                    if refuse is not None:
                        return refuse()
                    running = intake.running
                    try:
                        task = intake.run_context.task.name if running is None else running(intake.loop).get_name()
                    except AttributeError:  # there is none: a callback, a signal handler
                        task = ""
                    record = (time_ns(), number, message, fields, self._origin, ambient, task, None)
                    # Looked up only now: building the record may have run a finalizer that logs.
                    chunk = intake.chunk
                    if len(chunk) < intake.limit:
                        chunk.append(record)
                        return intake.accepted if accepted is None else accepted
                    return submit(self, record)
        try:
            if exc_info:
                fields.setdefault("exc_info", True)
            record = self._build(number, message, fields, 1)
        except RecursionError:
            # Without a call of a Python function, for which there may be no frame left.
            told = message if type(message) is str else NO_STACK
            record = (time_ns(), number, told, NO_STACK_MAPPING, self._origin, self._variable.get(), "", None)
        try:
            return submit(self, record)
        except RecursionError:  # it could not even be called
            intake._counts.dropped_recursion += 1
            return intake.refused if refused is None else refused

    if exc_info:
        face.named(log_method, "exception", f"{level.name} with the exception being handled")
    else:
        face.named(log_method, level.name.lower(), level.name)
    if _CALLS is None:
        return log_method
    return _CALLS.method(log_method, submit, number, quick, accepted is None, accepted, refused)


def _log_method(face: _Face) -> Any:
    """Return the ``log`` method of one face."""
    refused, submit = face.refused, face.submit

    def log(self: Any, level: str | int, message: str, /, **fields: Any) -> Any:
        try:
            number, level_given = enabled_level(level)
            if self._threshold.level > number:
                return self._intake.refused if refused is None else refused
            record = self._build(number, message, fields, 1)
            if level_given:
                record = (*record[:7], marked_level(record[7], level_given))
        except RecursionError:
            self._intake._counts.dropped_recursion += 1
            return self._intake.refused if refused is None else refused
        return submit(self, record)

    return face.named(log, "log", "*level*")


_CALLS: Final = (
    None
    if accelerator is None
    else accelerator.Calls(
        logger_type=_Logger,
        threshold_type=Threshold,
        inside_plugin=INSIDE_PLUGIN,
        own=tuple(OWN),
        passing=tuple(PASS_TYPES),
    )
)
"""Makes the methods whose plain calls run in C; None without the accelerator."""

_ARGUMENTS: Final = """

        Parameters:
            message: what happened; not formatted.
            exc_info: True for the exception being handled, or an exception.
            tags: key-value pairs of text, for filtering.
            metrics: measurements by name.
            severity: the alert priority, 1–10, instead of the level's.
            fields: anything; frozen now, so a later change of an argument is not seen. A function
                without arguments is called for its value, and only if the level is enabled.
"""


_ASYNC = _Face(
    "AsyncLogger",
    None,
    None,
    _async_submit,
    "the event is accepted before this returns.\n\n"
    "        Await the result for backpressure: it is a checkpoint when the intake is deep, waits for room\n"
    "        under ``BLOCK``, raises ``QueueFull`` under ``RAISE``, and says whether the event was accepted.\n"
    "        If it is cancelled while it waits for room, the event is counted as dropped.",
)
_NOWAIT = _Face(
    "NowaitLogger",
    True,
    False,
    _nowait_submit,
    "never waits, never raises, from any thread; returns whether the event was accepted.",
)
_BLOCKING = _Face(
    "BlockingLogger",
    True,
    False,
    _blocking_submit,
    "returns whether the event was accepted.\n\n"
    "        In a foreign thread this waits for room under ``BLOCK``, at most ``block_timeout``, and raises\n"
    "        ``QueueFull`` under ``RAISE``. On the event loop's own thread it never waits and never raises.",
)


class AsyncLogger(_Logger):
    """Logs from asynchronous code: a call accepts the event, awaiting the result is the backpressure."""

    __slots__ = ("_blocking", "_nowait")

    def __init__(self, core: Core, origin: Origin) -> None:
        super().__init__(core, origin)
        self._nowait: NowaitLogger | None = None
        self._blocking: BlockingLogger | None = None

    debug: LogMethod[Acceptance] = _level_method(_ASYNC, Level.DEBUG)
    info: LogMethod[Acceptance] = _level_method(_ASYNC, Level.INFO)
    warning: LogMethod[Acceptance] = _level_method(_ASYNC, Level.WARNING)
    error: LogMethod[Acceptance] = _level_method(_ASYNC, Level.ERROR)
    critical: LogMethod[Acceptance] = _level_method(_ASYNC, Level.CRITICAL)
    exception: LogMethod[Acceptance] = _level_method(_ASYNC, Level.ERROR, exc_info=True)
    log: LevelledLogMethod[Acceptance] = _log_method(_ASYNC)

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

    debug: LogMethod[bool] = _level_method(_NOWAIT, Level.DEBUG)
    info: LogMethod[bool] = _level_method(_NOWAIT, Level.INFO)
    warning: LogMethod[bool] = _level_method(_NOWAIT, Level.WARNING)
    error: LogMethod[bool] = _level_method(_NOWAIT, Level.ERROR)
    critical: LogMethod[bool] = _level_method(_NOWAIT, Level.CRITICAL)
    exception: LogMethod[bool] = _level_method(_NOWAIT, Level.ERROR, exc_info=True)
    log: LevelledLogMethod[bool] = _log_method(_NOWAIT)


class BlockingLogger(_Logger):
    """Logs from threads and synchronous programs; a call may wait for room."""

    __slots__ = ()

    debug: LogMethod[bool] = _level_method(_BLOCKING, Level.DEBUG)
    info: LogMethod[bool] = _level_method(_BLOCKING, Level.INFO)
    warning: LogMethod[bool] = _level_method(_BLOCKING, Level.WARNING)
    error: LogMethod[bool] = _level_method(_BLOCKING, Level.ERROR)
    critical: LogMethod[bool] = _level_method(_BLOCKING, Level.CRITICAL)
    exception: LogMethod[bool] = _level_method(_BLOCKING, Level.ERROR, exc_info=True)
    log: LevelledLogMethod[bool] = _log_method(_BLOCKING)

    @property
    def nowait(self) -> NowaitLogger:
        """The face of this logger that never waits and never raises."""
        return NowaitLogger(self._core, self._origin)

    def flush(self, timeout: float | None = None) -> FlushReport:
        """Wait until every event admitted before this call has an outcome at every sink and the sinks have flushed.

        Parameters:
            timeout: seconds to wait at most; ``shutdown_timeout`` if None.

        Raises:
            ContainerStateError: on the event loop's own thread, where this would wait for itself.
        """
        return self._core.container.flush_from_thread(timeout)
