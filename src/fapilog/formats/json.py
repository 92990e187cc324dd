"""The ``json`` format: one strict JSON object a line, as ``event.schema.json`` describes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from functools import partial
from typing import Any, TypeVar, cast
from uuid import UUID

import orjson

from .._accelerated import accelerator
from ..event import DEFAULT_SEVERITY, LEVEL_NAMES, NO_AMBIENT, Ambient, LogEvent, Origin, Record
from ..values import FrozenDict, plain_copy
from ._careful import LINE_OPTIONS, encode, escape_controls, moment, plain, reraise_interrupt
from ._characters import characters, event_characters, most_characters
from ._fit import fit_event
from ._shorten import shortened
from ._timestamp import MICROSECONDS, MILLISECOND, Clock

KEPT = ("timestamp", "level", "sequence", "sink_sequence", "truncated", "container", "logger", "correlation_id")
"""What a cut line keeps."""

_MEMBERS = ("timestamp", "level", "message", "fields", "sequence", "container")
_T = TypeVar("_T")
_MAX_CACHED = 64
_JOINED = 32
"""Lines that are joined at a time: what orjson returns keeps the memory of a larger buffer busy, and some hundred
of these at once make the allocator give memory back to the system and take it again for each batch."""


class JsonFormatter:
    """Encodes events as JSON lines.

    A line is one ``orjson.dumps`` of a dict that is used again for the next event. What events share stands in it
    encoded already, as fragments: a fragment is copied as it is, so that one holds several members. The value of
    ``level`` brings ``severity`` along, and that of ``container`` brings everything from there to ``context``.

    With the accelerator the lines are written in C, to the same bytes; it asks for those that need any care.

    Parameters:
        max_event_bytes: the most bytes of a line, its newline included; a longer line is cut. At least 1024.
    """

    __slots__ = ("_clock", "_encoder", "_max_event_bytes", "_most_characters", "name", "reads_unpacked")

    def __init__(self, *, max_event_bytes: int = 262_144) -> None:
        self.name: str = "json"
        self._max_event_bytes = max_event_bytes
        self._most_characters = most_characters(max_event_bytes)
        self._clock = Clock()
        self._encoder = (
            None
            if accelerator is None
            else accelerator.LineEncoder(
                event_type=LogEvent,
                origin_type=Origin,
                ambient_type=Ambient,
                mapping_type=FrozenDict,
                levels=_LEVELS_ENCODED,
                shared=partial(_shared, most=self._most_characters),
                identity=partial(_identity, most=self._most_characters),
                number=orjson.dumps,
                other=encode,
                other_types=(datetime, date, time, UUID),
                most=max_event_bytes,
            )
        )
        self.reads_unpacked: bool = self._encoder is not None

    def format(self, event: LogEvent) -> bytes:
        """Return *event* as one line; never raises because of the event's data."""
        return self.format_batch((event,), event.sequence)

    def format_batch(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        """Return all *items* as lines, in order."""
        encoder = self._encoder
        if encoder is not None:
            return encoder(items, first_sequence, self._line)
        if items and type(items[0]) is tuple:
            payload = b"".join(self._record_lines(items, first_sequence))
        else:
            payload = b"".join(self._event_lines(items, first_sequence))
        if len(payload) <= self._max_event_bytes and not payload.isascii():
            payload = escape_controls(payload)
        if len(payload) > self._max_event_bytes:
            payload = b"".join(self._within_limit(payload, items, first_sequence))
        return payload

    def _record_lines(self, items: Sequence[Any], first_sequence: int) -> list[bytes]:
        """Return the lines of records, some joined; the loop that most events go through."""
        dumps = orjson.dumps
        clock = self._clock
        most = self._most_characters
        lines: list[bytes] = []
        append = lines.append
        joined: list[bytes] = []
        window_start, window_text = clock.window
        last_origin = last_ambient = last_task = last_level = None
        full: dict[str, Any] = dict.fromkeys(_MEMBERS)
        without_fields: dict[str, Any] = dict.fromkeys(name for name in _MEMBERS if name != "fields")
        sequence = first_sequence - 1
        for item in items:
            sequence += 1
            try:
                time_ns, level, message, fields, origin, ambient, task, extras = item
                if extras is None:
                    elapsed = time_ns - window_start
                    if not 0 <= elapsed < MILLISECOND:
                        window_start, window_text = clock.move(time_ns)
                        elapsed = time_ns - window_start
                    if origin is not last_origin or ambient is not last_ambient or task is not last_task:
                        shared = orjson.Fragment(_shared(origin, ambient, task, most))
                        full["container"] = without_fields["container"] = shared
                        last_origin, last_ambient, last_task = origin, ambient, task
                    if level != last_level:
                        full["level"] = without_fields["level"] = _LEVELS[level]
                        last_level = level
                    if fields:
                        body = full
                        body["fields"] = fields
                    else:
                        body = without_fields
                    body["timestamp"] = window_text + MICROSECONDS[elapsed // 1000]
                    body["message"] = message
                    body["sequence"] = sequence
                else:
                    body = _event_body(LogEvent.from_record(item, sequence), clock, most)
                append(dumps(body, moment, LINE_OPTIONS))
                if len(lines) >= _JOINED:
                    joined.append(b"".join(lines))
                    lines.clear()
            except Exception as error:
                reraise_interrupt(error)
                append(self._careful_line(_event(item, sequence)))
        return joined + lines

    def _event_lines(self, items: Sequence[Any], first_sequence: int) -> list[bytes]:
        """Return the lines of events that plugins have seen, some joined; most of them are their records still."""
        dumps = orjson.dumps
        clock = self._clock
        most = self._most_characters
        lines: list[bytes] = []
        append = lines.append
        joined: list[bytes] = []
        window_start, window_text = clock.window
        last_origin = last_ambient = last_task = None
        enriched_origin = enriched_ambient = enriched_task = None
        full: dict[str, Any] = dict.fromkeys(_MEMBERS)
        enriched: dict[str, Any] = dict.fromkeys((*_MEMBERS, "context"))
        for sequence, item in enumerate(items, first_sequence):
            try:
                event = _event(item, sequence)
                time_ns, level, message, fields, origin, ambient, task, extras = event._record
                context = event._context
                if extras is None and fields and (context is None or (context and type(context) is dict)):
                    elapsed = time_ns - window_start
                    if not 0 <= elapsed < MILLISECOND:
                        window_start, window_text = clock.move(time_ns)
                        elapsed = time_ns - window_start
                    if context is None:
                        if origin is not last_origin or ambient is not last_ambient or task is not last_task:
                            full["container"] = orjson.Fragment(_shared(origin, ambient, task, most))
                            last_origin, last_ambient, last_task = origin, ambient, task
                        body = full
                    else:
                        if (
                            origin is not enriched_origin
                            or ambient is not enriched_ambient
                            or task is not enriched_task
                        ):
                            enriched["container"] = orjson.Fragment(_identity(origin, ambient, task, most))
                            enriched_origin, enriched_ambient, enriched_task = origin, ambient, task
                        body = enriched
                        body["context"] = {**ambient.values, **origin.bound, **context}
                    body["timestamp"] = window_text + MICROSECONDS[elapsed // 1000]
                    body["level"] = _LEVELS[level]
                    body["message"] = message
                    body["fields"] = fields
                    body["sequence"] = sequence_value(event)
                else:
                    body = _event_body(event, clock, most)
                append(dumps(body, moment, LINE_OPTIONS))
                if len(lines) >= _JOINED:
                    joined.append(b"".join(lines))
                    lines.clear()
            except Exception as error:
                reraise_interrupt(error)
                append(self._careful_line(_event(item, sequence)))
        return joined + lines

    def _line(self, item: Record | LogEvent, sequence: int) -> bytes:
        """Return the finished line of one item, which the accelerator does not write."""
        try:
            body = _event_body(_event(item, sequence), self._clock, self._most_characters)
            line = orjson.dumps(body, moment, LINE_OPTIONS)
        except Exception as error:
            reraise_interrupt(error)
            line = self._careful_line(_event(item, sequence))
        return self._finished(line, item, sequence)

    def _careful_line(self, event: LogEvent) -> bytes:
        """Return the line of an event that cannot be encoded as it is."""
        size = event_characters(event, self._most_characters)
        if size > self._most_characters:
            return self._cut(event, size)
        return encode(plain(event_tree(event, self._clock))) + b"\n"

    def _within_limit(self, payload: bytes, items: Sequence[Record | LogEvent], first_sequence: int) -> Iterator[bytes]:
        for position, line in enumerate(payload.splitlines(keepends=True)):
            if len(line) > self._max_event_bytes or not line.isascii():
                line = self._finished(line, items[position], first_sequence + position)
            yield line

    def _finished(self, line: bytes, item: Record | LogEvent, sequence: int) -> bytes:
        """Return the encoded *line* of *item* as it is written: without controls, and cut if it is too long."""
        if len(line) <= self._most_characters and not line.isascii():
            line = escape_controls(line)
        return line if len(line) <= self._max_event_bytes else self._cut(_event(item, sequence), len(line))

    def _cut(self, event: LogEvent, size: int) -> bytes:
        """Return what is most important in *event* as a line within the limit, which says *size*."""
        tree = event_tree(shortened(event, self._max_event_bytes), self._clock)
        tree["truncated"] = size
        return encode(fit_event(plain(tree), self._max_event_bytes - 1, KEPT)) + b"\n"


def _event(item: Record | LogEvent, sequence: int) -> LogEvent:
    return LogEvent.from_record(item, sequence) if type(item) is tuple else cast("LogEvent", item)


def _event_body(event: LogEvent, clock: Clock, most: int) -> dict[str, Any]:
    """Return what to encode for *event*: the same line as the loop above makes of a record.

    Raises:
        ValueError: if what it shares with others has more than *most* characters.
    """
    time_ns, level, message, fields, origin, ambient, task, extras = event._record
    severity = event.severity
    correlation_id = event.correlation_id
    context = event._context
    untouched = (
        (context is None or (context is ambient.values and not origin.bound))
        and correlation_id == ambient.correlation_id
        and (extras is None or not extras.context)
    )
    body: dict[str, Any] = {
        "timestamp": clock.text(time_ns),
        "level": _LEVELS[level] if severity == DEFAULT_SEVERITY[level] else orjson.Fragment(_level(level, severity)),
        "message": message,
        "fields": fields,
        "sequence": sequence_value(event),
        "container": orjson.Fragment(
            _shared(origin, ambient, task, most) if untouched else _identity(origin, NO_AMBIENT, task, most)
        ),
    }
    if not fields:
        del body["fields"]
    if not untouched:
        if correlation_id:
            body["correlation_id"] = correlation_id
        if event.context:
            body["context"] = event.context
    if extras is not None:
        if extras.tags:
            body["tags"] = extras.tags
        if extras.metrics:
            body["metrics"] = extras.metrics
        if extras.exception:
            body["exception"] = extras.exception
    return body


def sequence_value(event: LogEvent) -> int | orjson.Fragment:
    """Return the value of the member ``sequence``; it brings ``sink_sequence`` along if the event has one."""
    sink_sequence = event._sink_sequence
    if not sink_sequence:
        return event._sequence
    return orjson.Fragment(b'%d,"sink_sequence":%d' % (event._sequence, sink_sequence))


def _level(level: int, severity: int) -> bytes:
    return b'"%s","severity":%d' % (LEVEL_NAMES[level].encode(), severity)


_LEVELS_ENCODED = {number: _level(number, severity) for number, severity in DEFAULT_SEVERITY.items()}
_LEVELS = {number: orjson.Fragment(encoded) for number, encoded in _LEVELS_ENCODED.items()}


def event_tree(event: LogEvent, clock: Clock) -> dict[str, Any]:
    """Return the attributes of *event* that are not empty, under their names and in their order on the wire."""
    tree: dict[str, Any] = {
        "timestamp": clock.text(event.time_ns),
        "level": event.level,
        "severity": event.severity,
        "message": event.message,
    }
    if event.fields:
        tree["fields"] = event.fields
    tree["sequence"] = event.sequence
    if event.sink_sequence:
        tree["sink_sequence"] = event.sink_sequence
    tree["container"] = event.container_id
    rest: dict[str, Any] = {
        "source": event.source,
        "logger": event.logger,
        "task": event.task,
        "correlation_id": event.correlation_id,
        "context": event.context,
        "tags": event.tags,
        "metrics": event.metrics,
        "exception": event.exception,
    }
    tree.update((name, value) for name, value in rest.items() if value)
    return tree


def _shared(origin: Origin, ambient: Ambient, task: str, most: int) -> bytes:
    """Return what the events of one logger, context and task have in common, encoded once.

    Raises:
        ValueError: if it has more than *most* characters, and every one of these events is too large therefore.
    """
    # Events outside any context share one ambient object with all containers: their pieces stay with the logger.
    if ambient.values or ambient.correlation_id:
        pieces = _pieces(ambient.cache, origin)
    else:
        pieces = _pieces(origin.cache, "json")
    found = pieces.get(task)
    if found is None:
        encoded = _identity_json(origin, ambient, task, most)
        if ambient.values or origin.bound:
            context = {**ambient.values, **origin.bound}
            if plain_copy(context) is None:  # each request has its own, and is seldom large
                _check_size(context, most)
            encoded += b',"context":' + encode(context)
        found = _remember(pieces, task, encoded)
    return found


def _identity(origin: Origin, ambient: Ambient, task: str, most: int) -> bytes:
    """Return the members from ``container`` to ``correlation_id``, encoded once.

    Raises:
        ValueError: if they have more than *most* characters.
    """
    if ambient.correlation_id:
        pieces = _pieces(ambient.cache, ("json identity", origin))
    else:
        pieces = _pieces(origin.cache, "json identity")
    found = pieces.get(task)
    if found is None:
        found = _remember(pieces, task, _identity_json(origin, ambient, task, most))
    return found


def _identity_json(origin: Origin, ambient: Ambient, task: str, most: int) -> bytes:
    encoded = _place_json(origin, most)
    for name, value in ((b',"task":', task), (b',"correlation_id":', ambient.correlation_id)):
        if value:
            _check_size(value, most)
            encoded += name + encode(value)
    return encoded


def _place_json(origin: Origin, most: int) -> bytes:
    """Return the members from ``container`` to ``logger``, encoded once."""
    found: bytes | None = origin.cache.get("json place")
    if found is None:
        _check_size((origin.container_id, origin.source, origin.logger), most)
        found = encode(origin.container_id)
        for name, value in ((b',"source":', origin.source), (b',"logger":', origin.logger)):
            if value:
                found += name + encode(value)
        _remember(origin.cache, "json place", found)
    return found


def _check_size(shared: object, most: int) -> None:
    if (len(shared) if type(shared) is str else characters(shared, most)) > most:
        raise ValueError("what these events share is too large to be encoded once for all")


def _pieces(cache: dict[Any, Any], key: object) -> dict[str, bytes]:
    found: dict[str, bytes] | None = cache.get(key)
    return _remember(cache, key, {}) if found is None else found


def _remember(cache: dict[Any, Any], key: object, value: _T) -> _T:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    cache[key] = value
    return value
