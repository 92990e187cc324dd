"""Spans: blocks of work, each told by one event at its end."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from math import inf
from threading import get_ident
from time import monotonic, perf_counter_ns, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import attrs

from .arguments import OWN, all_pass, is_lazy
from .cancellation import DEADLINE, Cancellation, cancellation_in, cause_of, first_seen
from .context import INSIDE_PLUGIN
from .event import Ambient, Extras, Level, Record
from .tracebacks import describe_exception
from .values import FrozenDict, freeze, freeze_mapping, text

if TYPE_CHECKING:
    from .logger import NowaitLogger

Function = TypeVar("Function", bound=Callable[..., Any])

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


@attrs.frozen
class TraceParent:
    """The caller's place in a trace, as a ``traceparent`` header says it."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits: the span that the next one has as its parent."""
    sampled: bool = True
    """Whether the caller may have recorded it."""

    @classmethod
    def parse(cls, header: object) -> TraceParent | None:
        """Return what a header says, or None if it is no valid one, and a trace begins anew.

        As W3C Trace Context (https://www.w3.org/TR/trace-context/, section 3.2): a later version may have more
        parts behind the four of version 00.
        """
        if type(header) is not str or len(header) > 512:
            return None
        found = _TRACEPARENT.fullmatch(header.strip(" \t"))
        if found is None or (found[1] == "00" and len(found[0]) != 55):
            return None
        return cls(found[2], found[3], bool(int(found[4], 16) & 1))

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


class Span:
    """Logs one event when its block ends, with start, duration and outcome.

    Events inside carry ``trace_id`` and ``span_id`` in their context (sizes as in W3C Trace Context), and a span inside
    has this one as its parent; so have the tasks and the worker threads that are started inside. The outcome is ``ok``,
    ``error`` (the event is at ERROR and has the exception), ``deadline`` (cancelled because the time was up) or
    ``cancelled``. Entering and leaving never wait, also in a cancelled scope.
    """

    __slots__ = (
        "_began",
        "_deadline",
        "_fields",
        "_inside",
        "_joined",
        "_logger",
        "_name",
        "_outer",
        "_parent_id",
        "_start_level",
        "_started_ns",
        "_traceparent",
        "ended",
        "sampled",
        "span_id",
        "trace_id",
    )

    def __init__(
        self,
        logger: NowaitLogger,
        name: str,
        fields: dict[str, Any],
        *,
        start_level: str | int | None = None,
        traceparent: str | None = None,
    ) -> None:
        self._logger = logger
        self._name = name
        self._fields = fields if all_pass(fields) else _frozen_now(fields)
        self._start_level = start_level
        self._traceparent = traceparent
        self._parent_id = ""
        self._outer: Ambient | None = None
        self._inside: Ambient | None = None
        self._joined = ""
        """The OpenTelemetry span that was active on entering."""
        self._deadline = inf
        self._started_ns = 0
        self._began = 0
        self.ended: bool = False
        """Whether the block has been left."""
        self.sampled: bool = True
        """What ``traceparent`` says to others: whether the trace is recorded."""
        self.trace_id: str = ""
        """The trace's id, 32 hexadecimal digits; known once the block is entered."""
        self.span_id: str = ""
        """The span's id, 16 hexadecimal digits; known once the block is entered."""

    @property
    def traceparent(self) -> str:
        """The header that makes another service's span a child of this one; empty before the block is entered."""
        return str(TraceParent(self.trace_id, self.span_id, self.sampled)) if self.span_id else ""

    def set(self, **fields: Any) -> None:
        """Add *fields* to the event that the end of the block logs. They are frozen now, like a log call's."""
        self._fields.update(freeze_mapping(fields))

    def __enter__(self) -> Self:
        if self._outer is not None:
            raise RuntimeError("a span can be entered once only; call 'span' again")
        logger = self._logger
        variable = logger._variable
        self._outer = outer = variable.get()
        self._find_parent(outer)
        if outer is not INSIDE_PLUGIN:
            values = FrozenDict({**outer.values, "trace_id": self.trace_id, "span_id": self.span_id})
            self._inside = inside = Ambient(values, outer.correlation_id, self)
            variable.set(inside)
        self._deadline = _deadline(logger)
        self._started_ns = time_ns()
        self._began = perf_counter_ns()
        if self._start_level is not None and logger.is_enabled(self._start_level):
            fields = {name: value for name, value in self._fields.items() if not is_lazy(value)}
            self._log(Level.parse(self._start_level), f"{self._name} started", fields, self._told_at_start(), None)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        outer = self._outer
        if outer is None or self.ended:
            raise RuntimeError("a span has to be entered before it is left, and can be left once only")
        duration = (perf_counter_ns() - self._began) / 1e9
        told = self._told_at_start()
        told["duration"] = duration
        cancellation = None if exception is None else cancellation_in(exception)
        level, leaving = Level.INFO, None
        if exception is None:
            told["outcome"] = "ok"
        elif cancellation is not None:
            cause = cause_of(cancellation)
            told["outcome"] = "deadline" if cause.source == DEADLINE else "cancelled"
            told["cancellation"] = self._explained(cancellation, cause)
        else:
            told["outcome"] = "error"
            level, leaving = Level.ERROR, exception
        if not self._is_where_it_was_entered():
            told["context_lost"] = True
        if level >= self._logger._threshold.level:
            self._log(level, self._name, self._fields, told, leaving)
        self.ended = True
        self._restore(outer)

    # -- entering

    def _find_parent(self, outer: Ambient) -> None:
        """Join the innermost of what may be around: the caller's header, OpenTelemetry's span, a span of ours."""
        given = TraceParent.parse(self._traceparent)
        if given is None:
            given = self._active_elsewhere(outer)
        if given is not None:
            self.trace_id, self._parent_id, self.sampled = given.trace_id, given.span_id, given.sampled
            self.span_id = os.urandom(8).hex()
            return
        values = outer.values
        self.trace_id = values.get("trace_id") or ""
        self._parent_id = values.get("span_id") or ""
        if isinstance(outer.span, Span):
            self.sampled = outer.span.sampled
        # One request to the system for both: it is most of what entering a span costs.
        random = os.urandom(8 if self.trace_id else 24).hex()
        self.span_id = random[:16]
        self.trace_id = self.trace_id or random[16:]

    def _active_elsewhere(self, outer: Ambient) -> TraceParent | None:
        """Return OpenTelemetry's active span, unless a span of ours has joined it and is the inner one."""
        module = sys.modules.get("opentelemetry.trace")
        if module is None:
            return None
        context = cast("Any", module).get_current_span().get_span_context()
        if not context.is_valid:
            return None
        self._joined = span_id = f"{context.span_id:016x}"
        if isinstance(outer.span, Span) and outer.span._joined == span_id:
            return None
        return TraceParent(f"{context.trace_id:032x}", span_id, bool(context.trace_flags & 1))

    # -- leaving

    def _told_at_start(self) -> dict[str, Any]:
        told: dict[str, Any] = {"start": datetime.fromtimestamp(self._started_ns / 1e9, UTC)}
        if self._parent_id:
            told["parent_id"] = self._parent_id
        return told

    def _explained(self, cancellation: BaseException, cause: Cancellation) -> FrozenDict:
        """Return what is known of a cancellation, and in seconds how long leaving took since then.

        A deadline is known from entering. Neither backend keeps when ``cancel()`` was called: there it is the time
        since the innermost span saw the cancellation.
        """
        now = _clock(self._logger)
        seen = first_seen(cancellation, now)
        told: dict[str, Any] = dict(cause.as_data())
        if cause.source == DEADLINE and self._deadline < now:
            told["unwinding"] = now - self._deadline
            told["shielded"] = max(seen - self._deadline, 0.0)
        else:
            told["unwinding"] = now - seen
        return FrozenDict(told)

    def _is_where_it_was_entered(self) -> bool:
        """Return whether the ambient context is the span's own, and so whether the events inside had its ids."""
        return self._inside is None or self._logger._variable.get() is self._inside

    def _restore(self, outer: Ambient) -> None:
        """Give the context back what was around the span, but nothing of a span that has ended meanwhile.

        Generators that were begun inside each other and end in another order would else leave a dead one behind.
        """
        variable = self._logger._variable
        if self._inside is None or variable.get() is not self._inside:
            return
        while isinstance(outer.span, Span) and outer.span.ended and outer.span._outer is not None:
            outer = outer.span._outer
        variable.set(outer)

    def _log(
        self, level: Level, message: str, fields: dict[str, Any], told: dict[str, Any], exception: BaseException | None
    ) -> None:
        logger = self._logger
        record: Record = logger._build(level, message, dict(fields), 2)
        extras = record[7] or Extras()
        span = FrozenDict(told)
        extras.context = FrozenDict({**extras.context, "span": span}) if extras.context else FrozenDict(span=span)
        if exception is not None and extras.exception is None:
            extras.exception = describe_exception(exception)
        # Left elsewhere, the context has other ids, or none.
        ambient = record[5] if record[5] is INSIDE_PLUGIN or self._inside is None else self._inside
        logger._submit((*record[:5], ambient, record[6], extras))


def _frozen_now(fields: dict[str, Any]) -> dict[str, Any]:
    """Return *fields* with the values they have now; what is lazy is called at the end, for its value then."""
    return {name: value if name in OWN or is_lazy(value) else freeze(value) for name, value in fields.items()}


def _deadline(logger: NowaitLogger) -> float:
    """Return when the code that runs will be cancelled at the latest, on the event loop's clock."""
    intake = logger._intake
    return intake.backend.effective_deadline() if get_ident() == intake.thread else inf


def _clock(logger: NowaitLogger) -> float:
    intake = logger._intake
    return intake.backend.time() if get_ident() == intake.thread else monotonic()


def instrumented(logger: NowaitLogger, function: Function, name: str | None, fields: dict[str, Any]) -> Function:
    """Return *function* with a span around each call.

    Raises:
        TypeError: if it is a generator function, also an asynchronous one: what the caller does between two items
            would run inside the span, in a context that is not the span's.
    """
    label = name or text(getattr(function, "__qualname__", type(function).__qualname__))
    if isasyncgenfunction(function) or isgeneratorfunction(function):
        raise TypeError(
            f"{label} is a generator function, whose caller would run inside the span between two items; "
            "open the span where the items are used, or around the work for one item"
        )
    if iscoroutinefunction(function):

        @wraps(function)
        async def in_task(*arguments: Any, **keywords: Any) -> Any:
            with Span(logger, label, dict(fields)):
                return await function(*arguments, **keywords)

        return cast("Function", in_task)

    @wraps(function)
    def in_call(*arguments: Any, **keywords: Any) -> Any:
        with Span(logger, label, dict(fields)):
            return function(*arguments, **keywords)

    return cast("Function", in_call)
