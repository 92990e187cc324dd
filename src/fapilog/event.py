"""LogEvent and Level: what a plugin and a sink see of one log call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from time import time_ns
from typing import Any, cast

import attrs

from ._accelerated import accelerator

# Given out here too: whoever deals with events deals with what they are made of.
from .record import NO_AMBIENT as NO_AMBIENT
from .record import NO_EXTRAS as NO_EXTRAS
from .record import Ambient as Ambient
from .record import ConfirmedExtras as ConfirmedExtras
from .record import Extras as Extras
from .record import FieldsType as FieldsType
from .record import Origin as Origin
from .record import Record as Record
from .record import record_context, with_mapping
from .record import remade as remade
from .values import EMPTY, FrozenDict, freeze, freeze_mapping, freeze_metrics, freeze_tags, merged, text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Level(IntEnum):
    """The standard logging levels; a larger number is more severe."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50

    @classmethod
    def parse(cls, value: str | int) -> Level:
        """Return the level that *value* names.

        Parameters:
            value: a name in any case (also ``WARN`` and ``FATAL``), or a number; a number between
                two levels is the lower one.

        Raises:
            ValueError: if *value* is no level's name, is a bool, or is below 10.
        """
        kind = type(value)  # not isinstance: a value may claim a class, or run code when asked for it
        if issubclass(kind, str):
            name = str.__str__(cast("str", value)).strip().upper()
            found = cls.__members__.get(_LEVEL_ALIASES.get(name, name))
            if found is not None:
                return found
        elif issubclass(kind, int) and kind is not bool:
            number = int.__index__(cast("int", value))
            if number >= cls.DEBUG.value:
                return cls(min(number // 10 * 10, cls.CRITICAL.value))
        raise ValueError(f"{text(value)[:200]!r} is no level; use one of {', '.join(cls.__members__)}")


_LEVEL_ALIASES = {"WARN": "WARNING", "FATAL": "CRITICAL"}

LEVEL_NAMES: dict[int, str] = {level.value: level.name for level in Level}
DEFAULT_SEVERITY: dict[int, int] = {10: 2, 20: 3, 30: 5, 40: 7, 50: 9}
"""The alert priority (1–10) of an event whose call set none."""


@attrs.define(eq=False, init=False, repr=False)
class LogEvent:
    """One event, as enrichers, processors, redactors, filters and sinks see it.

    Its mappings are read-only: add to them with :meth:`add`, or assign a new mapping. What is added
    or assigned is frozen like a call's values. After redaction the whole event is read-only and
    assigning raises :class:`AttributeError`.
    """

    # An event is its record and what has become of it. Few attributes make it quick to build: most events are built
    # for a plugin that reads little of them. Records and their extras may be shared: they are replaced, not changed.
    _record: Record
    _fields: FrozenDict | None
    """The record's fields as the plugins see them, once one has looked."""
    _context: FrozenDict | dict[str, Any] | None
    """The whole context, or as a plain dict what is to be added to the record's; None for just the record's."""
    _sequence: int
    _sink_sequence: int
    _sealed: bool

    def __init__(
        self,
        message: str,
        level: str | int = Level.INFO,
        *,
        timestamp: datetime | None = None,
        source: str = "",
        severity: int | None = None,
        tags: Mapping[str, str] | None = None,
        context: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        correlation_id: str = "",
        fields: Mapping[str, Any] | None = None,
        logger: str = "",
        task: str = "",
        exception: Mapping[str, Any] | None = None,
        sequence: int = 0,
        container_id: str = "",
    ) -> None:
        self._record = (
            time_ns() if timestamp is None else _nanoseconds(timestamp),
            Level.parse(level).value,
            text(message),
            EMPTY if fields is None else freeze_mapping(fields),
            Origin(logger=text(logger), source=text(source), container_id=container_id),
            Ambient(correlation_id=correlation_id) if correlation_id else NO_AMBIENT,
            task,
            Extras(
                severity=None if severity is None else _severity(severity),
                tags=EMPTY if tags is None else freeze_tags(tags),
                metrics=EMPTY if metrics is None else freeze_metrics(metrics),
                exception=None if exception is None else freeze_mapping(exception),
            ),
        )
        self._fields = None
        self._context = None if context is None else freeze_mapping(context)
        self._sequence = sequence
        self._sink_sequence = 0
        self._sealed = False

    @classmethod
    def from_record(cls, record: Record, sequence: int = 0) -> LogEvent:
        """Return the event of an accepted call; its mappings are built when they are first read."""
        event: LogEvent = _new_event(cls)
        event._record = with_mapping(record)
        event._fields = None
        event._context = None
        event._sequence = sequence
        event._sink_sequence = 0
        event._sealed = False
        return event

    @property
    def message(self) -> str:
        """The primary log message."""
        return self._record[2]

    @message.setter
    def message(self, value: str) -> None:
        self._check_open()
        record = self._record
        self._record = (*record[:2], text(value), *record[3:])

    @property
    def level(self) -> str:
        """The level's name: DEBUG, INFO, WARNING, ERROR or CRITICAL."""
        return LEVEL_NAMES[self._record[1]]

    @property
    def level_number(self) -> int:
        """The level as a number, for comparing."""
        return self._record[1]

    @property
    def timestamp(self) -> datetime:
        """When the call was made: aware, in UTC, to the microsecond."""
        return _EPOCH + timedelta(microseconds=self._record[0] // 1000)

    @property
    def time_ns(self) -> int:
        """When the call was made, in nanoseconds since the Unix epoch."""
        return self._record[0]

    @property
    def source(self) -> str:
        """The service or component that the event comes from."""
        return self._record[4].source

    @property
    def severity(self) -> int:
        """The alert priority, from 1 to 10."""
        severity = (self._record[7] or NO_EXTRAS).severity
        return DEFAULT_SEVERITY[self._record[1]] if severity is None else severity

    @severity.setter
    def severity(self, value: int) -> None:
        self._check_open()
        self._set_extras(severity=_severity(value))

    @property
    def tags(self) -> dict[str, str]:
        """Key-value pairs for filtering; read-only."""
        return cast("dict[str, str]", (self._record[7] or NO_EXTRAS).tags)

    @tags.setter
    def tags(self, value: Mapping[str, str]) -> None:
        self._check_open()
        self._set_extras(tags=freeze_tags(value))

    @property
    def context(self) -> dict[str, Any]:
        """The ambient context, with the logger's bound fields over it; read-only."""
        context = self._context
        if type(context) is not FrozenDict:
            known = record_context(self._record)
            context = self._context = known if context is None else merged(known, context)
        return context

    @context.setter
    def context(self, value: Mapping[str, Any]) -> None:
        self._check_open()
        self._context = freeze_mapping(value)

    @property
    def metrics(self) -> dict[str, float]:
        """Measurements; read-only."""
        return cast("dict[str, float]", (self._record[7] or NO_EXTRAS).metrics)

    @metrics.setter
    def metrics(self, value: Mapping[str, float]) -> None:
        self._check_open()
        self._set_extras(metrics=freeze_metrics(value))

    @property
    def correlation_id(self) -> str:
        """The id that ties the events of one request together; empty when unknown."""
        correlation_id = (self._record[7] or NO_EXTRAS).correlation_id
        return self._record[5].correlation_id if correlation_id is None else correlation_id

    @correlation_id.setter
    def correlation_id(self, value: str) -> None:
        self._check_open()
        self._set_extras(correlation_id=text(value))

    @property
    def fields(self) -> dict[str, Any]:
        """The call's keywords; read-only."""
        fields = self._fields
        if fields is None:
            given = self._record[3]
            fields = self._fields = given if type(given) is FrozenDict else FrozenDict(given)
        return fields

    @fields.setter
    def fields(self, value: Mapping[str, Any]) -> None:
        self._check_open()
        self._set_fields(freeze_mapping(value))

    @property
    def logger(self) -> str:
        """The logger's dotted name; empty for the root logger."""
        return self._record[4].logger

    @property
    def task(self) -> str:
        """The name of the task (or thread) that logged."""
        return self._record[6]

    @property
    def exception(self) -> FrozenDict | None:
        """The exception as data, or None."""
        return (self._record[7] or NO_EXTRAS).exception

    @exception.setter
    def exception(self, value: Mapping[str, Any] | None) -> None:
        self._check_open()
        self._set_extras(exception=None if value is None else freeze_mapping(value))

    @property
    def sequence(self) -> int:
        """The position in the container's output, from 1, without gaps; 0 before the fan-out."""
        return self._sequence

    @property
    def sink_sequence(self) -> int:
        """The position in the output of a sink that gets only some events, from 1, without gaps; else 0."""
        return self._sink_sequence

    @property
    def container_id(self) -> str:
        """The short id of the container that the event belongs to."""
        return self._record[4].container_id

    def add(
        self,
        *,
        tags: Mapping[str, str] | None = None,
        context: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to the event's mappings; a key that exists gets the new value, frozen like a call's.

        Raises:
            AttributeError: if the event is read-only, which it is after redaction.
        """
        self._check_open()
        extras = self._record[7] or NO_EXTRAS
        if tags:
            self._set_extras(tags=merged(extras.tags, freeze_tags(tags)))
        if context:
            self._add_context(freeze_mapping(context))
        if metrics:
            self._set_extras(metrics=merged(extras.metrics, freeze_metrics(metrics)))
        if fields:
            self._set_fields(merged(self._record[3], freeze_mapping(fields)))

    def copy(self) -> LogEvent:
        """Return a writable event with the same content and another identity."""
        event: LogEvent = _new_event(type(self))
        event._record = self._record
        event._fields = self._fields
        event._context = self._context
        event._sequence = self._sequence
        event._sink_sequence = 0
        event._sealed = False
        return event

    def _add_context(self, added: dict[str, Any]) -> None:
        """Add a frozen mapping, or a plain dict with frozen values that is nobody else's, to the open event."""
        context = self._context
        if context is None:
            self._context = {**added} if type(added) is FrozenDict else added
        elif type(context) is FrozenDict:
            self._context = merged(context, added)
        else:
            self._context = {**context, **added}

    def _set_fields(self, fields: FrozenDict) -> None:
        record = self._record
        self._record = (*record[:3], fields, *record[4:])
        self._fields = fields

    def _set_extras(self, **changes: Any) -> None:
        record = self._record
        old = record[7] or NO_EXTRAS
        extras = Extras(old.severity, old.tags, old.metrics, old.context, old.exception, old.correlation_id)
        for name, value in changes.items():
            setattr(extras, name, value)
        self._record = (*record[:7], extras if type(old) is Extras else remade(old, extras))

    def _check_open(self) -> None:
        if self._sealed:
            raise AttributeError("the event is read-only after redaction; change it in an enricher or a processor")

    def __repr__(self) -> str:
        return f"<LogEvent {self.level} {self.message!r} sequence={self._sequence}>"


_new_event: Any = object.__new__


def _events_of(records: Iterable[Record]) -> list[LogEvent]:
    """Return the events of many accepted calls, as :meth:`LogEvent.from_record` makes them."""
    new_event = _new_event
    events: list[LogEvent] = []
    append = events.append
    event: LogEvent
    for record in records:
        event = new_event(LogEvent)
        event._record = with_mapping(record)
        event._fields = None
        event._context = None
        event._sequence = 0
        event._sink_sequence = 0
        event._sealed = False
        append(event)
    return events


def _with_mappings(items: Iterable[Record | LogEvent]) -> list[Record | LogEvent]:
    """Return *items*, each record as :func:`~fapilog.record.with_mapping` has it."""
    return [with_mapping(item) if type(item) is tuple else item for item in items]


events_of: Callable[[Iterable[Record]], list[LogEvent]]
with_mappings: Callable[[Iterable[Record | LogEvent]], list[Record | LogEvent]]
if accelerator is None:
    events_of, with_mappings = _events_of, _with_mappings
else:
    _maker = accelerator.EventMaker(LogEvent, FrozenDict)
    events_of, with_mappings = _maker, _maker.with_mappings


def level_for(levels: Mapping[str, int], logger: str) -> tuple[str, int]:
    """Return the entry of *levels* that counts for a logger: its own, else that of the nearest name above it.

    Parameters:
        levels: level numbers by dotted name, that of all others by the empty name.
        logger: a dotted name; empty for the root logger.
    """
    while logger and logger not in levels:
        logger = logger.rpartition(".")[0]
    return logger, levels[logger]


def record_of(event: LogEvent) -> Record:
    """Return *event* as a record, with what plugins have done to it."""
    record = event._record
    if event._context is None:
        return record
    origin = record[4]
    # The context is whole: nothing of what the logger, the ambient context or the call had added may come in again.
    extras = record[7]
    if extras is not None and extras.context:
        extras = remade(
            extras,
            Extras(extras.severity, extras.tags, extras.metrics, EMPTY, extras.exception, extras.correlation_id),
        )
    if origin.bound:
        origin = Origin(logger=origin.logger, source=origin.source, container_id=origin.container_id)
    return (
        *record[:4],
        origin,
        Ambient(cast("FrozenDict", event.context), record[5].correlation_id),
        record[6],
        extras,
    )


def _nanoseconds(timestamp: datetime) -> int:
    if timestamp.tzinfo is None:
        raise ValueError(f"timestamp {timestamp!r} has no time zone; use an aware datetime such as datetime.now(UTC)")
    return (timestamp - _EPOCH) // timedelta(microseconds=1) * 1000


def _severity(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10:
        raise ValueError(f"severity {freeze(value)!r} is not a whole number from 1 to 10")
    return value
