"""The log call: ``info`` and its siblings, and the record that a call makes.

Everything a log call runs before its event is in the queue is here, in ``submitting`` and in ``Intake``; it is
straight-line code, written for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter, Signature
from threading import get_ident
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar

from ._accelerated import accelerator
from .arguments import OWN, all_pass, call_site, enabled_level, freeze_fields, make_extras, marked_level
from .context import INSIDE_PLUGIN
from .event import Ambient, Extras, Level, Origin, Record
from .levels import Threshold
from .scopes import Scope
from .submitting import submitted
from .values import LONGEST_TEXT, NO_STACK, NO_STACK_MAPPING, PASS_TYPES, SIMPLE_TYPES, bounded_text, merged

if TYPE_CHECKING:
    from .core import Core
    from .pipeline.intake import Intake

ExcInfo: TypeAlias = "tuple[type[BaseException] | None, BaseException | None, TracebackType | None]"
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


class RecordBuilder:
    """A logger as its log calls see it: what is bound to it, and how a call becomes a record."""

    __slots__ = ("_core", "_intake", "_origin", "_threshold", "_variable")

    def __init__(self, core: Core, origin: Origin) -> None:
        self._core = core
        self._intake = core.intake
        self._variable = core.ambient
        self._origin = origin
        self._threshold = core.levels.threshold(origin.logger)

    def _enables(self, level: int) -> bool:
        scope: Scope | None = self._variable.get().scope
        own = self._threshold.own
        return level >= own if scope is None else scope.enables(level, own)

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


CALLS: Final = (
    None
    if accelerator is None
    else accelerator.Calls(
        logger_type=RecordBuilder,
        threshold_type=Threshold,
        ambient_type=Ambient,
        scope_type=Scope,
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


class Face(NamedTuple):
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


def make_level_method(face: Face, level: Level, *, exc_info: bool = False) -> Any:
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
                        task = intake.run_context["task"].name if running is None else running(intake.loop).get_name()
                    except (KeyError, AttributeError):  # there is none: a callback, a signal handler
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
            return submitted(submit, self, built)
        except RecursionError:  # it could not even be called
            intake._counts.dropped_recursion += 1
            if lost is RecursionError:
                raise
            return intake.refused if lost is None else lost

    if exc_info:
        face.named(log_method, "exception", f"{level.name} with the exception being handled")
    else:
        face.named(log_method, level.name.lower(), level.name)
    if CALLS is None:
        return log_method
    return CALLS.method(log_method, submit, number, quick, accepted is None, accepted, refused)


def make_log_method(face: Face) -> Any:
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
        return submitted(submit, self, built)

    return face.named(log, "log", "*level*")
