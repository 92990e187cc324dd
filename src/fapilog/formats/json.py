"""The ``json`` format: one strict JSON object a line, as ``event.schema.json`` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import orjson

from ..event import DEFAULT_SEVERITY, LEVEL_NAMES, Ambient, LogEvent, Origin, Record
from ._careful import LINE_OPTIONS, encode, escape_controls, moment, plain, reraise_interrupt
from ._fit import fit_event
from ._timestamp import MICROSECONDS, MILLISECOND, Clock

KEPT = ("timestamp", "level", "sequence", "truncated", "container", "logger", "correlation_id")
"""What a cut line keeps."""

_T = TypeVar("_T")
_MAX_CACHED = 64


class JsonFormatter:
    """Encodes events as JSON lines.

    A line is one ``orjson.dumps`` of a dict that is used again for the next event. What events share stands in it
    encoded already, as fragments: a fragment is copied as it is, so that one holds several members. The value of
    ``level`` brings ``severity`` along, and that of ``container`` brings everything from there to ``context``.

    Parameters:
        max_event_bytes: the most bytes of a line, its newline included; a longer line is cut. At least 1024.
    """

    __slots__ = ("_clock", "_max_event_bytes", "name")

    def __init__(self, *, max_event_bytes: int = 262_144) -> None:
        self.name = "json"
        self._max_event_bytes = max_event_bytes
        self._clock = Clock()

    def format(self, event: LogEvent) -> bytes:
        """Return *event* as one line; never raises because of the event's data."""
        return self.format_batch((event,), event.sequence)

    def format_batch(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        """Return all *items* as lines, in order."""
        dumps = orjson.dumps
        clock = self._clock
        buffer = bytearray()
        window_start, window_text = clock.window
        last_origin = last_ambient = last_task = last_level = None
        full: dict[str, Any] = dict.fromkeys(("timestamp", "level", "message", "fields", "sequence", "container"))
        without_fields: dict[str, Any] = dict.fromkeys(("timestamp", "level", "message", "sequence", "container"))
        sequence = first_sequence - 1
        for item in items:
            sequence += 1
            if type(item) is tuple:
                time_ns, level, message, fields, origin, ambient, task, extras = item
                if extras is None:
                    elapsed = time_ns - window_start
                    if not 0 <= elapsed < MILLISECOND:
                        window_start, window_text = clock.move(time_ns)
                        elapsed = time_ns - window_start
                    if origin is not last_origin or ambient is not last_ambient or task is not last_task:
                        full["container"] = without_fields["container"] = _shared(origin, ambient, task)
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
                    body = _event_body(LogEvent.from_record(item, sequence), clock)
            else:
                body = _event_body(cast("LogEvent", item), clock)
            try:
                buffer += dumps(body, moment, LINE_OPTIONS)
            except Exception as error:
                reraise_interrupt(error)
                buffer += encode(plain(self._tree(item, sequence)))
                buffer += b"\n"
        lines = bytes(buffer)
        if not lines.isascii():
            lines = escape_controls(lines)
        if len(lines) > self._max_event_bytes:
            return self._cut_long_lines(lines, items, first_sequence)
        return lines

    def _tree(self, item: Record | LogEvent, sequence: int) -> dict[str, Any]:
        """Return the event as a tree without fragments, which the careful path can change."""
        event = LogEvent.from_record(item, sequence) if type(item) is tuple else cast("LogEvent", item)
        return event_tree(event, self._clock)

    def _cut_long_lines(self, lines: bytes, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        limit = self._max_event_bytes
        result: list[bytes] = []
        for position, line in enumerate(lines.split(b"\n")[:-1]):
            if len(line) >= limit:
                tree = self._tree(items[position], first_sequence + position)
                tree["truncated"] = len(line) + 1
                line = encode(fit_event(plain(tree), limit - 1, KEPT))
            result.append(line)
        result.append(b"")
        return b"\n".join(result)


def _event_body(event: LogEvent, clock: Clock) -> dict[str, Any]:
    """Return what to encode for *event*: the same line as the loop above makes of a record."""
    level = event._level
    severity = event._severity
    fields = event._fields
    record = event._record
    correlation_id = event._correlation_id
    untouched = (
        event._context is None
        and record is not None
        and correlation_id == record[5].correlation_id
        and ((extras := record[7]) is None or not extras.context)
    )
    body: dict[str, Any] = {
        "timestamp": clock.text(event._time_ns),
        "level": _LEVELS[level] if severity == DEFAULT_SEVERITY[level] else _level(level, severity),
        "message": event._message,
        "fields": fields,
        "sequence": event._sequence,
        "container": (
            _shared(record[4], record[5], event._task)
            if untouched and record is not None
            else _identity(event._origin, event._task)
        ),
    }
    if not fields:
        del body["fields"]
    if not untouched:
        if correlation_id:
            body["correlation_id"] = correlation_id
        context = event.context
        if context:
            body["context"] = context
    if event._tags:
        body["tags"] = event._tags
    if event._metrics:
        body["metrics"] = event._metrics
    if event._exception:
        body["exception"] = event._exception
    return body


def _level(level: int, severity: int) -> orjson.Fragment:
    return orjson.Fragment(b'"%s","severity":%d' % (LEVEL_NAMES[level].encode(), severity))


_LEVELS = {number: _level(number, severity) for number, severity in DEFAULT_SEVERITY.items()}


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


def _shared(origin: Origin, ambient: Ambient, task: str) -> orjson.Fragment:
    """Return what the events of one logger, context and task have in common, encoded once."""
    # Events outside any context share one ambient object with all containers: their pieces stay with the logger.
    if ambient.values or ambient.correlation_id:
        pieces = _pieces(ambient.cache, origin)
    else:
        pieces = _pieces(origin.cache, "json")
    found = pieces.get(task)
    if found is None:
        encoded = _identity_json(origin, task)
        if ambient.correlation_id:
            encoded += b',"correlation_id":' + encode(ambient.correlation_id)
        if ambient.values or origin.bound:
            encoded += b',"context":' + encode({**ambient.values, **origin.bound})
        found = _remember(pieces, task, orjson.Fragment(encoded))
    return found


def _identity(origin: Origin, task: str) -> orjson.Fragment:
    """Return the members from ``container`` to ``task``, encoded once."""
    pieces = _pieces(origin.cache, "json identity")
    found = pieces.get(task)
    if found is None:
        found = _remember(pieces, task, orjson.Fragment(_identity_json(origin, task)))
    return found


def _identity_json(origin: Origin, task: str) -> bytes:
    encoded = encode(origin.container_id)
    for name, value in ((b"source", origin.source), (b"logger", origin.logger), (b"task", task)):
        if value:
            encoded += b',"' + name + b'":' + encode(value)
    return encoded


def _pieces(cache: dict[Any, Any], key: object) -> dict[str, orjson.Fragment]:
    found: dict[str, orjson.Fragment] | None = cache.get(key)
    return _remember(cache, key, {}) if found is None else found


def _remember(cache: dict[Any, Any], key: object, value: _T) -> _T:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    cache[key] = value
    return value
