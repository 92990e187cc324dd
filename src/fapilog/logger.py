"""The three faces of a logger: asynchronous, never waiting, and blocking for threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from inspect import signature
from sys import modules
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Self, cast, overload

from .calls import CALLS, Face, LevelledLogMethod, LogMethod, RecordBuilder, make_level_method, make_log_method
from .context import added, contexts
from .core import Core
from .event import Level, Origin
from .instrument import Function, instrumented
from .pipeline.awaitables import Acceptance
from .scopes import Levelled
from .span_plans import Plan
from .spans import SPANS, Span, making
from .submitting import async_submit, blocking_submit, nowait_submit
from .traces import Ids
from .values import FrozenDict, freeze_mapping

if TYPE_CHECKING:
    from .confirmed import BlockingConfirmedLogger, ConfirmedLogger
    from .container import AsyncLoggingContainer
    from .metrics import FlushReport


def _adding(function: Function) -> Function:
    """Return what makes blocks as *function* does: in C, where that can do it."""
    return function if contexts is None else contexts.adding(function, RecordBuilder, "log_level")


class _Logger(RecordBuilder):
    """What all faces have in common beside their log methods."""

    __slots__ = ()

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

    @_adding
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


if CALLS is not None and SPANS is not None:
    SPANS.meet(
        # Plain spans are made as copies of it: what it holds are values, which they may share.
        new_span=Span(cast("Any", None), "", {}),
        calls=CALLS,
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

_ASYNC = Face(
    "AsyncLogger",
    None,
    None,
    async_submit,
    "the event is accepted before this returns.\n\n"
    "        Await the result for backpressure: it is a checkpoint when the intake is deep, waits for room\n"
    "        under ``BLOCK``, raises ``QueueFull`` under ``RAISE``, and says whether the event was accepted.\n"
    "        If it is cancelled while it waits for room, the event is counted as dropped.",
)
_NOWAIT = Face(
    "NowaitLogger",
    True,
    False,
    nowait_submit,
    "never waits, never raises, from any thread; returns whether the event was accepted.",
)
_BLOCKING = Face(
    "BlockingLogger",
    True,
    False,
    blocking_submit,
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

    debug: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.DEBUG)
    info: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.INFO)
    warning: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.WARNING)
    error: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.ERROR)
    critical: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.CRITICAL)
    exception: LogMethod[Acceptance] = make_level_method(_ASYNC, Level.ERROR, exc_info=True)
    log: LevelledLogMethod[Acceptance] = make_log_method(_ASYNC)

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

    debug: LogMethod[bool] = make_level_method(_NOWAIT, Level.DEBUG)
    info: LogMethod[bool] = make_level_method(_NOWAIT, Level.INFO)
    warning: LogMethod[bool] = make_level_method(_NOWAIT, Level.WARNING)
    error: LogMethod[bool] = make_level_method(_NOWAIT, Level.ERROR)
    critical: LogMethod[bool] = make_level_method(_NOWAIT, Level.CRITICAL)
    exception: LogMethod[bool] = make_level_method(_NOWAIT, Level.ERROR, exc_info=True)
    log: LevelledLogMethod[bool] = make_log_method(_NOWAIT)


class BlockingLogger(_Logger):
    """Logs from threads and synchronous programs; a call may wait for room."""

    __slots__ = ()

    debug: LogMethod[bool] = make_level_method(_BLOCKING, Level.DEBUG)
    info: LogMethod[bool] = make_level_method(_BLOCKING, Level.INFO)
    warning: LogMethod[bool] = make_level_method(_BLOCKING, Level.WARNING)
    error: LogMethod[bool] = make_level_method(_BLOCKING, Level.ERROR)
    critical: LogMethod[bool] = make_level_method(_BLOCKING, Level.CRITICAL)
    exception: LogMethod[bool] = make_level_method(_BLOCKING, Level.ERROR, exc_info=True)
    log: LevelledLogMethod[bool] = make_log_method(_BLOCKING)

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
