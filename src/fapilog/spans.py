"""Spans: blocks of work, each told by one event at its end."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from sys import maxsize, modules
from threading import get_ident
from time import monotonic, perf_counter_ns, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from ._accelerated import accelerator
from .arguments import OWN, add_exception, all_pass, is_lazy
from .cancellation import DEADLINE, Cancellation, cancellation_in, cause_of, first_seen
from .context import INSIDE_PLUGIN, over
from .event import Ambient, Extras, Level, Record
from .exception_marks import mark_raised
from .scopes import Budget, Ring, Scope
from .span_plans import NO_PLAN, Plan
from .tracebacks import describe_exception
from .traces import TraceParent, active_opentelemetry_span, is_sampled
from .values import FrozenDict, freeze, freeze_mapping, text

if TYPE_CHECKING:
    from .logger import _Logger

Function = TypeVar("Function", bound=Callable[..., Any])

SPANS: Final = None if accelerator is None else accelerator.Spans()
"""Makes, enters and leaves plain spans in C, once it has met the classes; None without the accelerator."""


def making(function: Function) -> Function:
    """Return what makes spans as *function* does: in C, where that can do it."""
    return function if SPANS is None else SPANS.making(function)


def _entering(function: Function) -> Function:
    return function if SPANS is None else SPANS.entering(function)


def _leaving(function: Function) -> Function:
    return function if SPANS is None else SPANS.leaving(function)


_INFO, _WARNING, _ERROR = Level.INFO.value, Level.WARNING.value, Level.ERROR.value
"""Plain numbers, as the records of log calls have them."""
_INTERESTING = frozenset({"error", "deadline"})
"""Outcomes that let go on what a span holds back."""
_SETTABLE = frozenset({"ok", "error", "cancelled"})


class Span(Scope):
    """Logs one event when its block ends, with start, duration and outcome.

    Events inside carry ``trace_id`` and ``span_id`` in their context (sizes as in W3C Trace Context), and a span inside
    has this one as its parent; so have the tasks and the worker threads that are started inside. The outcome is ``ok``,
    ``error`` (the event is at ERROR and has the exception), ``deadline`` (cancelled because the time was up) or
    ``cancelled``. Entering and leaving never wait, also in a cancelled scope.
    """

    __slots__ = (
        "_began",
        "_cause",
        "_deadline",
        "_fields",
        "_handled",
        "_inner_errors",
        "_inner_events",
        "_inside",
        "_joined",
        "_kept",
        "_logger",
        "_outcome",
        "_outer",
        "_own_ring",
        "_parent_id",
        "_passes",
        "_plan",
        "_start_level",
        "_started_ns",
        "_traceparent",
        "name",
        "root_began",
        "sampled",
        "span_id",
        "trace_id",
    )

    # Known from entering on, and set there.
    _deadline: float
    _parent_id: str
    _started_ns: int
    _began: int

    def __init__(
        self,
        logger: _Logger,
        name: str,
        fields: dict[str, Any],
        start_level: str | int | None = None,
        traceparent: str | None = None,
        plan: Plan | None = None,
    ) -> None:
        self._logger = logger
        self.name: str = name if type(name) is str else text(name)
        """What the block does."""
        self._passes = passes = all_pass(fields)
        self._fields = fields if passes else _frozen_now(fields)
        if passes and not OWN.isdisjoint(fields):
            self._passes = False
        self._start_level = None if start_level is None else Level.parse(start_level).value
        self._traceparent = traceparent
        self._plan = NO_PLAN if plan is None else plan
        self._outer: Ambient | None = None
        self._inside: Ambient | None = None
        self._joined = ""
        """The OpenTelemetry span that was active on entering."""
        self._own_ring: Ring | None = None
        self._kept = ""
        """Why what is held back was let go on, if it was not for an error."""
        self._inner_events = self._inner_errors = 0
        """What the spans inside have counted, and their own events."""
        self._outcome = self._cause = ""
        """What was said of the end, if it was."""
        self._handled: Any = None
        """The exception that was given with it, as data."""
        self.root_began: int = 0
        """When the outermost span around was entered, on the clock of ``perf_counter_ns``."""
        self.ended: bool = False
        self.sampled: bool = True
        """What ``traceparent`` says to others: whether the trace is recorded."""
        self.trace_id: str = ""
        """The trace's id, 32 hexadecimal digits; known once the block is entered."""
        self.span_id: str = ""
        """The span's id, 16 hexadecimal digits; known once the block is entered."""

    @property
    def span(self) -> Span:
        """The span itself."""
        return self

    @property
    def traceparent(self) -> str:
        """The header that makes another service's span a child of this one; empty before the block is entered."""
        return str(TraceParent(self.trace_id, self.span_id, self.sampled)) if self.span_id else ""

    def set(self, **fields: Any) -> None:
        """Add *fields* to the event that the end of the block logs. They are frozen now, like a log call's."""
        added = freeze_mapping(fields)
        self._fields.update(added)
        if not (all_pass(added) and OWN.isdisjoint(added)):
            self._passes = False

    def set_outcome(
        self,
        outcome: Literal["ok", "error", "cancelled"],
        *,
        cause: str = "",
        exception: BaseException | None = None,
    ) -> None:
        """Say how the block ends, where that cannot be told from what it raises; the last call counts.

        Parameters:
            outcome: told instead of the one that an exception means; the exception is told with ``error`` only.
            cause: what cancelled it, told as the ``source`` of the cancellation.
            exception: one that does not leave the block, to be told if nothing else does; None keeps the one given
                before.

        Raises:
            ValueError: if *outcome* is none of the three.
        """
        if outcome not in _SETTABLE:
            raise ValueError(f"outcome is {freeze(outcome)!r}; allowed: 'ok', 'error' or 'cancelled'")
        self._outcome, self._cause = outcome, text(cause)
        if exception is not None:
            self._handled = describe_exception(exception)

    def keep(self) -> None:
        """Let go on what the span holds back (``buffer``, ``sample``), and what is still to come."""
        self._kept = self._kept or "asked"
        if self._own_ring is not None:
            self._own_ring.let_go()

    @_entering
    def __enter__(self) -> Self:
        if self._outer is not None:
            raise RuntimeError("a span can be entered once only; call 'span' again")
        logger = self._logger
        variable = logger._variable
        self._outer = outer = variable.get()
        Scope.__init__(self, outer.scope)
        around = self.around
        self._find_parent(outer, around)
        if self._plan is not NO_PLAN:
            self._follow_plan(self._plan)
        # As ``begin`` does.
        self.plain: bool = self.level is None and self.ring is None and self.budget is None
        self._deadline = _deadline(logger)
        self._started_ns = time_ns()
        self._began = began = perf_counter_ns()
        self.root_began = began if around is None else around.root_began
        # From here on a signal handler may log inside.
        if outer is not INSIDE_PLUGIN:
            self._inside = inside = over(outer, {"trace_id": self.trace_id, "span_id": self.span_id}, self)
            variable.set(inside)
        if self._start_level is not None and logger._enables(self._start_level):
            fields = {name: value for name, value in self._fields.items() if not is_lazy(value)}
            self._log(self._start_level, f"{self.name} started", fields, self._told_at_start(), None)
        return self

    @_leaving
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        outer = self._outer
        if outer is None or self.ended:
            raise RuntimeError("a span has to be entered before it is left, and can be left once only")
        logger = self._logger
        told = self._told_at_start()
        # In whole microseconds: more digits would tell no more, and are written more slowly.
        told["duration"] = (perf_counter_ns() - self._began) // 1000 / 1e6
        level, failed = _INFO, False
        if exception is None and not self._outcome:
            told["outcome"] = "ok"
        else:
            level = self._tell_outcome(told, exception)
            failed = told["outcome"] == "error"
            if failed and exception is not None:
                mark_raised(exception, self.span_id, self.name, logger._core.task_name(), self._began)
        events = self.events + self._inner_events
        if events:
            told["events"] = events
        errors = self.errors + self._inner_errors
        if errors:
            told["errors"] = errors
        if self._plan is not NO_PLAN:
            level = self._tell_plan(told, level)
        inside = self._inside
        # Whether the events inside had the span's ids.
        where_it_was_entered = inside is None or logger._variable.get() is inside
        if not where_it_was_entered:
            told["context_lost"] = True
        if self._own_ring is not None:
            self._decide(self._own_ring, told)
        # A scope that is plain leaves it to the logger.
        if level >= logger._threshold.own if self.plain else logger._enables(level):
            self._log(level, self.name, self._fields, told, exception if failed else None)
        self.ended = True
        self.plain = False
        if self._own_ring is not None:
            self._own_ring.end()
        if self._plan is not NO_PLAN and self._plan.asked_level != maxsize:
            logger._core.levels.need_no_more(self._plan.asked_level)
        if self.around is not None:
            self._tell_parent(self.around, failed)
        if inside is not None and where_it_was_entered:
            if outer.scope is None:
                logger._variable.set(outer)
            else:
                self._restore(outer)
        self._inside = None  # it refers to the span; what refers to each other would be left to the garbage collector

    # -- entering

    def _find_parent(self, outer: Ambient, around: Span | None) -> None:
        """Join the innermost of what may be around: the caller's header, OpenTelemetry's span, a span of ours."""
        digits = self._logger._core.ids.draw()
        self.span_id = digits[:16]
        given = None if self._traceparent is None else TraceParent.parse(self._traceparent)
        if given is None and "opentelemetry.trace" in modules:
            given = self._active_elsewhere(around)
        if given is not None:
            self.trace_id, self._parent_id, self.sampled = given.trace_id, given.span_id, given.sampled
            return
        values = outer.values
        self.trace_id = values.get("trace_id") or digits[16:]
        self._parent_id = values.get("span_id") or ""
        if around is not None:
            self.sampled = around.sampled

    def _active_elsewhere(self, around: Span | None) -> TraceParent | None:
        """Return OpenTelemetry's active span, unless a span of ours has joined it and is the inner one."""
        active = active_opentelemetry_span()
        if active is None:
            return None
        self._joined = active.span_id
        return None if around is not None and around._joined == active.span_id else active

    def _follow_plan(self, plan: Plan) -> None:
        core = self._logger._core
        if plan.log_level is not None:
            self.level: int | None = plan.log_level
        not_sampled = plan.sample is not None and not is_sampled(self.trace_id, plan.sample)
        if plan.buffer is not None or not_sampled:
            level = plan.buffer if plan.buffer is not None else 0
            self.ring: Ring | None = Ring(core, self.ring, level, plan.buffer_size, everything=not_sampled)
            self._own_ring = self.ring
        if plan.max_events != inf or plan.max_bytes != inf:
            self.budget: Budget | None = Budget(self.budget, plan.max_events, plan.max_bytes)
        if plan.asked_level != maxsize:
            core.levels.ask_for(plan.asked_level)

    # -- leaving

    def _told_at_start(self) -> dict[str, Any]:
        told: dict[str, Any] = {"start": self._logger._core.clock.text(self._started_ns)}
        if self._parent_id:
            told["parent_id"] = self._parent_id
        return told

    def _tell_outcome(self, told: dict[str, Any], exception: BaseException | None) -> int:
        """Add the outcome to what is told, and return the level of telling it."""
        if self._outcome:
            told["outcome"] = self._outcome
            if self._cause:
                told["cancellation"] = FrozenDict(source=self._cause)
            return _ERROR if self._outcome == "error" else _INFO
        if exception is None:
            told["outcome"] = "ok"
            return _INFO
        cancellation = cancellation_in(exception)
        if cancellation is None:
            told["outcome"] = "error"
            return _ERROR
        cause = cause_of(cancellation)
        told["outcome"] = "deadline" if cause.source == DEADLINE else "cancelled"
        told["cancellation"] = self._explained(cancellation, cause)
        return _INFO

    def _tell_plan(self, told: dict[str, Any], level: int) -> int:
        """Add what the plan made of the end and of what was logged inside, and return the level of telling it."""
        if told["duration"] >= self._plan.slow:
            told["slow"] = True
            level = max(level, _WARNING)
        if self.budget is not None and self.budget.over:
            told["over_budget"] = self.budget.over
            level = max(level, _WARNING)
        if self._plan.sample is not None and (self._own_ring is None or not self._own_ring.everything):
            told["sample_rate"] = self._plan.sample
        return level

    def _decide(self, ring: Ring, told: dict[str, Any]) -> None:
        """Let go on what is held back if the end is of interest, and tell why."""
        if ring.released:
            told["kept"] = self._kept or "error"
        elif told["outcome"] in _INTERESTING or "slow" in told:
            told["kept"] = told["outcome"] if told["outcome"] in _INTERESTING else "slow"
            ring.let_go()

    def _tell_parent(self, parent: Span, failed: bool) -> None:
        """Let the span around count what was inside, and the span's own event."""
        if not parent.ended:
            # Each is one addition to an attribute: a span inside may end in any thread.
            parent._inner_events += self.events + self._inner_events + 1
            parent._inner_errors += self.errors + self._inner_errors + failed

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

    def _restore(self, outer: Ambient) -> None:
        """Give the context back what was around the span, but nothing of a span that has ended meanwhile.

        Generators that were begun inside each other and end in another order would else leave a dead one behind.
        """
        while outer.scope is not None and (span := outer.scope.span) is not None and span.ended:
            outer = span._outer
        self._logger._variable.set(outer)

    def _log(
        self, level: int, message: str, fields: dict[str, Any], told: dict[str, Any], exception: BaseException | None
    ) -> None:
        logger = self._logger
        core = logger._core
        ambient = self._inside
        extras = None
        if (
            ambient is not None
            and self._passes
            and exception is None
            and self._handled is None
            and core.at_call is None
            and not core.callsite
            and "span" not in logger._origin.bound
        ):
            # What is told stands in the context that the event alone has: so it is written as quickly as any other.
            alone = over(ambient, {"span": told}, None)
            record: Record = (time_ns(), level, message, fields.copy(), logger._origin, alone, core.task_name(), None)
        else:
            record = self._record(level, message, fields, told, exception)
            extras = record[7]
        if record[5] is INSIDE_PLUGIN:
            logger._intake._counts.rejected_reentrant += 1
            return
        if core.observer is not None:
            record = core.observer(record)
        if self.ring is not None:
            if level >= _ERROR:
                self.ring.release()
            elif self.ring.hold(record, enabled=True):
                return
        accepted = self._submit(record)
        if extras is not None and extras.logged is not None:
            extras.logged.accepted = accepted

    def _record(
        self, level: int, message: str, fields: dict[str, Any], told: dict[str, Any], exception: BaseException | None
    ) -> Record:
        """Return the span's event, with whatever belongs to it."""
        logger = self._logger
        record = logger._build(level, message, dict(fields), 3)
        extras = record[7] or Extras()
        span = FrozenDict(told)
        extras.context = FrozenDict({**extras.context, "span": span}) if extras.context else FrozenDict(span=span)
        if extras.exception is None and exception is None and told.get("outcome") == "error":
            extras.exception = self._handled
        # Left elsewhere, the context has other ids, or none.
        ambient = record[5] if record[5] is INSIDE_PLUGIN or self._inside is None else self._inside
        if exception is not None and extras.exception is None:
            sighting = logger._core.sighting(record[4].container_id, ambient, record[6])
            add_exception(extras, exception, sighting)
        return (*record[:5], ambient, record[6], extras)

    def _submit(self, record: Record) -> bool:
        """Submit the span's own event; return whether it is accepted by now."""
        return self._logger._core.submit(record)


def _frozen_now(fields: dict[str, Any]) -> dict[str, Any]:
    """Return *fields* with the values they have now; what is lazy is called at the end, for its value then."""
    return {name: value if name in OWN or is_lazy(value) else freeze(value) for name, value in fields.items()}


def _deadline(logger: _Logger) -> float:
    """Return when the code that runs will be cancelled at the latest, on the event loop's clock."""
    intake = logger._intake
    if get_ident() != intake.thread:
        return inf
    try:
        return intake.backend.effective_deadline()
    except RuntimeError:  # a signal handler or a finalizer, between two tasks
        return inf


def _clock(logger: _Logger) -> float:
    intake = logger._intake
    return intake.backend.time() if get_ident() == intake.thread else monotonic()
