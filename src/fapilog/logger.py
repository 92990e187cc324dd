"""The three faces of a logger: asynchronous, never waiting, and blocking for threads.

Everything a log call runs before its event is in the queue is in this module and in ``Intake``; it is
straight-line code, written for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import partial
from inspect import Parameter, Signature, signature
from itertools import count
from sys import modules
from threading import current_thread, get_ident
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self, TypeAlias, TypeVar, cast, overload

from ._accelerated import accelerator
from .arguments import OWN, all_pass, call_site, enabled_level, freeze_fields, make_extras, marked_level
from .context import INSIDE_PLUGIN, added, contexts
from .event import Ambient, Extras, Level, Origin, Record
from .exception_marks import Sighting
from .formats._timestamp import Clock
from .instrument import Function, instrumented
from .levels import Levels, Threshold
from .pipeline.awaitables import REFUSED, Acceptance
from .scopes import Discarded, Levelled, Scope
from .spans import SPANS, Plan, Span, making
from .traces import Ids
from .values import (
    LONGEST_TEXT,
    NO_STACK,
    NO_STACK_MAPPING,
    PASS_TYPES,
    SIMPLE_TYPES,
    FrozenDict,
    bounded_text,
    freeze_mapping,
    merged,
    text,
)

if TYPE_CHECKING:
    from .confirmed import BlockingConfirmedLogger, ConfirmedLogger
    from .container import AsyncLoggingContainer
    from .metrics import FlushReport
    from .pipeline.intake import Intake


class Core:
    """What every logger of one container shares."""

    __slots__ = (
        "_exception_ids",
        "ambient",
        "at_call",
        "callsite",
        "clock",
        "container",
        "ids",
        "intake",
        "levels",
        "observer",
    )

    def __init__(
        self,
        container: AsyncLoggingContainer,
        intake: Intake,
        ambient: ContextVar[Ambient],
        callsite: bool,
        levels: Levels,
        at_call: Callable[[], FrozenDict] | None = None,
    ) -> None:
        self.container: AsyncLoggingContainer = container
        self.intake: Intake = intake
        self.ambient: ContextVar[Ambient] = ambient
        self.callsite: bool = callsite
        self.levels: Levels = levels
        self.at_call: Callable[[], FrozenDict] | None = at_call
        """Returns what enrichers add to the context in the call itself; None if none does."""
        self._exception_ids = count(1)
        self.clock: Clock = Clock()
        """Writes times that stand in events as text."""
        self.ids: Ids = Ids()
        self.observer: Callable[[Record], Record] | None = None
        """Sees every event in its call, and returns what is submitted instead; see :meth:`observe`."""
        if _CALLS is not None:
            _CALLS.meet_intake(type(intake))

    def submit(self, record: Record) -> bool:
        """Submit an event without waiting; return whether it was accepted."""
        intake = self.intake
        if get_ident() != intake.thread:
            return intake.door.admit_nowait(record)
        chunk = intake.chunk
        if len(chunk) < intake.limit and record[1] < Level.ERROR:  # as the quick path, which has no way for errors
            chunk.append(record)
            return True
        return intake.admit_nowait(record)

    def task_name(self) -> str:
        """Return the name of the task that runs, or of the thread if it is not the event loop's."""
        intake = self.intake
        return intake.task_name() if get_ident() == intake.thread else text(current_thread().name)

    def sighting(self, container_id: str, ambient: Ambient, task: str) -> Sighting:
        """Return what an exception is linked to that is logged in this context."""
        scope: Scope | None = ambient.scope
        span = None if scope is None else scope.span
        name, since = ("", 0) if span is None else (span.name, span.root_began)
        span_id = ambient.values.get("span_id")
        number = next(self._exception_ids)
        return Sighting(container_id, number, span_id if type(span_id) is str else "", name, task, since)

    def observe(self, observer: Callable[[Record], Record] | None) -> None:
        """Let *observer* see the events from now on; None for nobody. On the loop's thread.

        It runs in the calls, in any thread and in signal handlers, and must not raise.
        """
        self.observer = observer
        self.intake.observe(observer is not None)

    def discard(self, reason: Discarded, number: int) -> None:
        """Count events that do not go on."""
        self.container.metrics_collector.discard(reason, number)


ExcInfo: TypeAlias = "tuple[type[BaseException] | None, BaseException | None, TracebackType | None]"


class _Logger:
    """What the three faces have in common: the bound state, and how a call becomes a record."""

    __slots__ = ("_core", "_intake", "_origin", "_threshold", "_variable")

    def __init__(self, core: Core, origin: Origin) -> None:
        self._core = core
        self._intake = core.intake
        self._variable = core.ambient
        self._origin = origin
        self._threshold = core.levels.threshold(origin.logger)

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
        return self._enables(Level.parse(level))

    def _enables(self, level: int) -> bool:
        scope: Scope | None = self._variable.get().scope
        own = self._threshold.own
        return level >= own if scope is None else scope.enables(level, own)

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

    def context(self, *, log_level: str | int | None = None, **fields: Any) -> AbstractContextManager[None]:
        """Return a context manager inside which this container's events have *fields* in their context.

        They follow the task: tasks started inside the block have them too, others do not. The field
        ``correlation_id`` becomes the events' own ``correlation_id``.

        Parameters:
            log_level: the least level inside the block, whatever the loggers' own levels are; None to leave them.
            fields: what the events have in their context.

        Raises:
            ValueError: if *log_level* is no level.
        """
        block = added(self._variable, fields)
        return (
            block if log_level is None else Levelled(self._variable, block, self._core.levels, Level.parse(log_level))
        )

    @making
    def span(
        self,
        name: str,
        /,
        *,
        start_level: str | int | None = None,
        traceparent: str | None = None,
        log_level: str | int | None = None,
        buffer: str | int | None = None,
        buffer_size: int = 1000,
        sample: float | None = None,
        slow: float | None = None,
        max_events: int | None = None,
        max_bytes: int | None = None,
        **fields: Any,
    ) -> Span:
        """Return a context manager that logs one event when its block ends: start, duration, outcome, parent.

        Parameters:
            name: what the block does; the event's message.
            start_level: log an event at the block's start too, at this level.
            traceparent: the caller's place in a trace, as the header of that name says it (W3C Trace Context); one
                that is not valid is ignored, and so is None.
            log_level: the least level inside, in place of the loggers' own.
            buffer: hold back what is below the level inside but not below this one, until the span ends well and it
                is given up, or until an error, a deadline, a slow end or ``span.keep()`` lets it go on.
            buffer_size: how many events are held at most, from 1; the oldest gives way.
            sample: the share of traces, from 0 to 1, whose scope is logged in any case; of the others everything
                below ERROR is held back as with *buffer*, the span's own event as well.
            slow: seconds from which the span counts as slow: its event is a WARNING, and what is held goes on.
            max_events: how many events below ERROR go on from inside; the number beyond is told by the span.
            max_bytes: how many bytes of JSON their messages and fields may have in all, likewise.
            fields: for the event. Frozen now; a function without arguments is called at the end.

        Raises:
            ValueError: if a level is no level, or a number is not in its range.
        """
        plan = None
        # Written out, for most spans have none of them, and to go through a tuple takes as long as all that follows.
        if not (
            log_level is None
            and buffer is None
            and sample is None
            and slow is None
            and max_events is None
            and max_bytes is None
        ):
            plan = Plan.of(log_level, buffer, buffer_size, sample, slow, max_events, max_bytes)
        return Span(self, name, fields, start_level, traceparent, plan)

    @overload
    def instrument(self, function: Function, /) -> Function: ...
    @overload
    def instrument(self, /, *, name: str | None = None, **fields: Any) -> Callable[[Function], Function]: ...
    def instrument(
        self, function: Callable[..., Any] | None = None, /, *, name: str | None = None, **fields: Any
    ) -> Any:
        """Put a span around each call of a function or coroutine function: ``@log.instrument``, or with arguments.

        Parameters:
            name: the span's name; by default the function's qualified name.
            fields: for the span's event, frozen now.

        Raises:
            TypeError: if it is a generator function.
        """
        if function is None:
            return partial(instrumented, self, name=name, fields=fields)
        return instrumented(self, function, name, fields)

    def _waiting_never(self) -> NowaitLogger:
        return NowaitLogger(self._core, self._origin)

    def _build(self, level: int, message: Any, fields: dict[str, Any], depth: int) -> Record:
        """Return the record of a call that the methods' quick path does not cover."""
        extras = None
        core = self._core
        task = core.task_name()
        ambient = self._variable.get()
        if not OWN.isdisjoint(fields):
            sighting = partial(core.sighting, self._origin.container_id, ambient, task)
            extras = make_extras(sighting, **{name: fields.pop(name, None) for name in OWN})
        if not all_pass(fields):
            fields = freeze_fields(fields)
        if core.at_call is not None and (read := core.at_call()):
            extras = extras or Extras()
            extras.context = read
        if core.callsite:
            extras = extras or Extras()
            extras.context = merged(extras.context, call_site(depth + 1))
        return (time_ns(), level, bounded_text(message), fields, self._origin, ambient, task, extras)

    def _within_scope(self, record: Record) -> Record | None:
        """Return what goes on of an event after the scope that it was logged in; None if it is held back there."""
        observer = self._core.observer
        if observer is not None:
            record = observer(record)
        scope: Scope | None = record[5].scope
        return record if scope is None else scope.take(record, self._threshold.own, self._core)


def _submitted(submit: Callable[[Any, Record], Any], logger: Any, record: Record) -> Any:
    """Submit an event, and keep whether it was accepted where later events look that tell of the same exception."""
    result = submit(logger, record)
    extras = record[7]
    if extras is not None and extras.logged is not None:
        intake: Intake = logger._intake
        extras.logged.accepted = intake.has_accepted(result)
    return result


def async_submit(logger: _Logger, record: Record) -> Acceptance:
    """Submit an event as a call of an ``AsyncLogger`` does; return what the caller may await."""
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return REFUSED
    try:
        if get_ident() != intake.thread:
            return intake.door.admit(record)
        chunk = intake.chunk
        if len(chunk) < intake.limit and record[1] < Level.ERROR:  # as the quick path, which has no way for errors
            chunk.append(record)
            return intake.accepted
        return intake.admit(record)
    except RecursionError:
        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return intake.accepted
        intake._counts.dropped_recursion += 1
        return intake.refused


def _nowait_submit(logger: NowaitLogger, record: Record) -> bool:
    if record[5] is INSIDE_PLUGIN:
        logger._intake._counts.rejected_reentrant += 1
        return False
    intake = logger._intake
    try:
        return logger._core.submit(record)
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


def _signature(*positional: str) -> Signature:
    """Return what a method takes; what it takes in order to refuse it is left out."""
    fields = Parameter("fields", Parameter.VAR_KEYWORD, annotation=Any)
    return Signature([*(Parameter(name, Parameter.POSITIONAL_ONLY) for name in positional), fields])


_LEVEL_SIGNATURE = _signature("self", "message")
_LOG_SIGNATURE = _signature("self", "level", "message")


def _unexpected(method: Any) -> TypeError:
    """Return the error for arguments that the standard library's logging would put into the message."""
    return TypeError(
        f"{method.__qualname__}() takes nothing by position behind the message, which is not formatted; give values as "
        f"keywords, which become the event's fields: log.{method.__name__}(..., user=name)"
    )


class _Face(NamedTuple):
    """What the methods of one face have in common."""

    name: str
    accepted: Any
    """What a call returns when its event is in the queue; None for the intake's ready awaitable."""
    refused: Any
    """What it returns when the level is not enabled; None for the intake's ready awaitable."""
    submit: Callable[[Any, Record], Any]
    doc: str
    quick: bool = True
    """Whether a plain call may go straight into the open chunk."""
    lost: Any = None
    """What a call returns for whose event there is no frame left, if not the same as for a level that is off;
    RecursionError to raise it."""

    def named(self, method: Any, name: str, what: str) -> Any:
        """Give a made method the name that an error about its arguments shows, its documentation and its signature."""
        method.__qualname__ = f"{self.name}.{name}"
        method.__name__ = name
        method.__doc__ = f"Log an event at {what}; {self.doc}{_ARGUMENTS}"
        method.__signature__ = _LOG_SIGNATURE if name == "log" else _LEVEL_SIGNATURE
        return method


def _level_method(face: _Face, level: Level, *, exc_info: bool = False) -> Any:
    """Return the method of one face for one level.

    One closure per level instead of a shared function with a level argument: the call is the hot path.
    """
    accepted, refused, submit = face.accepted, face.refused, face.submit
    lost = refused if face.lost is None else face.lost
    number = level.value
    # An error is always looked at by the intake: it may use the reserve, and no linger may hold it back.
    quick = level < Level.ERROR and face.quick

    def log_method(self: Any, message: str, /, *others: object, **fields: Any) -> Any:
        # The event's own keywords are not parameters: CPython compares every keyword of a call with every
        # keyword-only parameter, which costs more than all that follows here.
        if others:
            raise _unexpected(log_method)
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
            characters = len(message)
            try:
                for value in fields.values():
                    if type(value) is str:
                        characters += len(value)
                    # None may also be the value of ``tags`` or ``metrics``, which are mappings else.
                    elif type(value) not in SIMPLE_TYPES and (value is not None or not OWN.isdisjoint(fields)):
                        plain = False
                        break
            except Exception:
                plain = False  # a metaclass may define how its classes hash
            if plain and characters <= LONGEST_TEXT:
                ambient: Ambient = self._variable.get()
                scope: Scope | None = ambient.scope
                if ambient is not INSIDE_PLUGIN and number >= self._threshold.own and (scope is None or scope.plain):
                    refuse = intake.refuse_await if accepted is None else intake.refuse_nowait
                    if refuse is not None:
                        return refuse()
                    running = intake.running
                    try:
                        task = intake.run_context.task.name if running is None else running(intake.loop).get_name()
                    except AttributeError:  # there is none: a callback, a signal handler
                        task = ""
                    record = (time_ns(), number, message, fields, self._origin, ambient, task, None)
                    if scope is not None:
                        scope.events += 1
                    # Looked up only now: building the record may have run a finalizer that logs.
                    chunk = intake.chunk
                    if len(chunk) < intake.limit:
                        chunk.append(record)
                        return intake.accepted if accepted is None else accepted
                    return submit(self, record)
        try:
            if not self._enables(number):
                return intake.refused if refused is None else refused
            if exc_info:
                fields.setdefault("exc_info", True)
            built = self._within_scope(self._build(number, message, fields, 1))
        except RecursionError:
            # Without a call of a Python function, for which there may be no frame left.
            told = message if type(message) is str else NO_STACK
            built = (time_ns(), number, told, NO_STACK_MAPPING, self._origin, self._variable.get(), "", None)
        if built is None:
            return intake.accepted if accepted is None else accepted
        try:
            return _submitted(submit, self, built)
        except RecursionError:  # it could not even be called
            intake._counts.dropped_recursion += 1
            if lost is RecursionError:
                raise
            return intake.refused if lost is None else lost

    if exc_info:
        face.named(log_method, "exception", f"{level.name} with the exception being handled")
    else:
        face.named(log_method, level.name.lower(), level.name)
    if _CALLS is None:
        return log_method
    return _CALLS.method(log_method, submit, number, quick, accepted is None, accepted, refused)


def _log_method(face: _Face) -> Any:
    """Return the ``log`` method of one face."""
    accepted, refused, submit = face.accepted, face.refused, face.submit
    lost = refused if face.lost is None else face.lost

    def log(self: Any, level: str | int, message: str, /, *others: object, **fields: Any) -> Any:
        if others:
            raise _unexpected(log)
        try:
            number, level_given = enabled_level(level)
            if self._threshold.level > number or not self._enables(number):
                return self._intake.refused if refused is None else refused
            record = self._build(number, message, fields, 1)
            if level_given:
                record = (*record[:7], marked_level(record[7], level_given))
            built = self._within_scope(record)
        except RecursionError:
            self._intake._counts.dropped_recursion += 1
            if lost is RecursionError:
                raise
            return self._intake.refused if lost is None else lost
        if built is None:
            return self._intake.accepted if accepted is None else accepted
        return _submitted(submit, self, built)

    return face.named(log, "log", "*level*")


_CALLS: Final = (
    None
    if accelerator is None
    else accelerator.Calls(
        logger_type=_Logger,
        threshold_type=Threshold,
        ambient_type=Ambient,
        scope_type=Scope,
        inside_plugin=INSIDE_PLUGIN,
        own=tuple(OWN),
        passing=tuple(PASS_TYPES),
    )
)
"""Makes the methods whose plain calls run in C; None without the accelerator."""

if _CALLS is not None and SPANS is not None:
    SPANS.meet(
        # Plain spans are made as copies of it: what it holds are values, which they may share.
        new_span=Span(cast("Any", None), "", {}),
        calls=_CALLS,
        contexts=contexts,
        core_type=Core,
        ids_type=Ids,
        origin_type=Origin,
        options=tuple(
            name
            for name, parameter in signature(_Logger.span).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        ),
        modules=modules,
        perf_counter_ns=perf_counter_ns,
        level=Level.INFO.value,
    )

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
    async_submit,
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
    quick=False,
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
        return self._waiting_never()

    def _waiting_never(self) -> NowaitLogger:
        if self._nowait is None:
            self._nowait = NowaitLogger(self._core, self._origin)
        return self._nowait

    @property
    def blocking(self) -> BlockingLogger:
        """The face of this logger for worker threads and synchronous programs."""
        if self._blocking is None:
            self._blocking = BlockingLogger(self._core, self._origin)
        return self._blocking

    @property
    def confirmed(self) -> ConfirmedLogger:
        """The face of this logger whose calls wait until every required sink has delivered the event."""
        return self.confirming(None)

    def confirming(self, timeout: float | None) -> ConfirmedLogger:
        """Return the same with another time to wait.

        Parameters:
            timeout: seconds to wait at most, above 0 and up to 86400; None for ``confirm_timeout`` of the settings.

        Raises:
            ValueError: if *timeout* is not in that range.
        """
        from .confirmed import ConfirmedLogger

        return ConfirmedLogger(self._core, self._origin, timeout)

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

    def _waiting_never(self) -> NowaitLogger:
        return self

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
        return self._waiting_never()

    @property
    def confirmed(self) -> BlockingConfirmedLogger:
        """The face of this logger whose calls wait until every required sink has delivered the event."""
        return self.confirming(None)

    def confirming(self, timeout: float | None) -> BlockingConfirmedLogger:
        """Return the same with another time to wait.

        Parameters:
            timeout: seconds to wait at most, above 0 and up to 86400; None for ``confirm_timeout`` of the settings.

        Raises:
            ValueError: if *timeout* is not in that range.
        """
        from .confirmed import BlockingConfirmedLogger

        return BlockingConfirmedLogger(self._core, self._origin, timeout)

    def flush(self, timeout: float | None = None) -> FlushReport:
        """Wait until every event admitted before this call has an outcome at every sink and the sinks have flushed.

        Parameters:
            timeout: seconds to wait at most; ``shutdown_timeout`` if None.

        Raises:
            ContainerStateError: on the event loop's own thread, where this would wait for itself.
        """
        return self._core.container.flush_from_thread(timeout)
