"""The ``json_flat`` format: one JSON object a line, with fields and context at its top level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, cast

import orjson

from ..event import DEFAULT_SEVERITY, LEVEL_NAMES, Ambient, LogEvent, Origin, Record
from ._careful import LINE_OPTIONS, encode, escape_controls, moment, plain, readable, reraise_interrupt
from ._fit import fit_event
from ._flat import OWN_KEYS, OWN_PREFIXES, flat
from ._lines import LineFormatter
from ._quick_pairs import NotQuick
from ._shared import SharedPieces, plain_record
from ._timestamp import MICROSECONDS, MILLISECOND
from .json import KEPT, sequence_value

_JOINED = 32
_MAX_KEYS = 1024
_MAX_CONTEXTS = 64
_LONGEST_KEY = 256


class _Shared:
    """What the lines of one logger, context and task have in common."""

    __slots__ = ("_context", "_head", "_names", "levels")

    def __init__(
        self, levels: dict[int, orjson.Fragment], head: dict[str, Any], context: dict[str, Any], names: _Names
    ) -> None:
        self.levels: dict[int, orjson.Fragment] = levels
        """The value of ``level`` with what follows it up to the message."""
        self._head = head
        self._context = context
        self._names = names

    def body(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return all of a line as one mapping, in which what each event has of its own is still None.

        Raises:
            NotQuick: if a key of *fields* cannot stay as it is.
        """
        if not self._names.issuperset(fields):
            self._names.learn(fields)
        return {**self._head, **fields, **self._context}


class _Names(set[str]):
    """Keys of fields that stay as they are beside one context: none is the event's own, or one of *context*."""

    __slots__ = ("_context",)

    def __init__(self, context: tuple[str, ...]) -> None:
        super().__init__()
        self._context = context

    def learn(self, fields: dict[str, Any]) -> None:
        """Add the keys of *fields*.

        Raises:
            NotQuick: if one of them may not be here.
        """
        if len(self) >= _MAX_KEYS:
            self.clear()
        for key in fields:
            if (
                len(self) >= _MAX_KEYS
                or len(key) > _LONGEST_KEY
                or key in OWN_KEYS
                or key.startswith(OWN_PREFIXES)
                or key in self._context
                or readable(key) != key
            ):
                raise NotQuick
            self.add(key)


class FlatJsonFormatter(LineFormatter):
    """Encodes events as flat JSON lines, for readers that cannot query nested objects.

    Tags and metrics are ``tags.name`` and ``metrics.name``; the exception and the values of fields stay nested.

    Parameters:
        max_event_bytes: the most bytes of a line, its newline included; a longer line is cut. At least 1024.
    """

    __slots__ = ("_names", "_shared")

    def __init__(self, *, max_event_bytes: int = 262_144) -> None:
        super().__init__("json_flat", max_event_bytes)
        self._names: dict[tuple[str, ...], _Names] = {}
        self._shared = SharedPieces("json_flat", self._share)

    def format_batch(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        """Return all *items* as lines, in order; see ``JsonFormatter`` for how."""
        dumps = orjson.dumps
        clock = self._clock
        most = self._max_event_bytes
        lines: list[bytes] = []
        append = lines.append
        joined: list[bytes] = []
        window_start, window_text = clock.window
        last_origin = last_ambient = last_task = None
        shared = _NOTHING
        levels = shared.levels
        bodies: dict[tuple[str, ...], dict[str, Any]] = {}
        for sequence, item in enumerate(items, first_sequence):
            line = b""
            record = item if type(item) is tuple else plain_record(cast("LogEvent", item))
            if record is not None:
                time_ns, level, message, fields, origin, ambient, task, extras = record
                if extras is None:
                    elapsed = time_ns - window_start
                    if not 0 <= elapsed < MILLISECOND:
                        window_start, window_text = clock.move(time_ns)
                        elapsed = time_ns - window_start
                    try:
                        if origin is not last_origin or ambient is not last_ambient or task is not last_task:
                            shared = self._shared.of(origin, ambient, task)
                            last_origin, last_ambient, last_task = origin, ambient, task
                            levels = shared.levels
                            bodies.clear()
                        keys = tuple(fields)
                        body = bodies.get(keys)
                        if body is None:
                            body = bodies[keys] = shared.body(fields)
                        else:
                            body.update(fields)
                        body["timestamp"] = window_text + MICROSECONDS[elapsed // 1000]
                        body["level"] = levels[level]
                        body["message"] = message
                        body["sequence"] = sequence if record is item else sequence_value(cast("LogEvent", item))
                        line = dumps(body, moment, LINE_OPTIONS)
                    except Exception as error:
                        reraise_interrupt(error)
            if not line.isascii():
                line = escape_controls(line) if len(line) <= most else b""
            append(line if 0 < len(line) <= most else self._careful(item, sequence))
            if len(lines) >= _JOINED:
                joined.append(b"".join(lines))
                lines.clear()
        joined.append(b"".join(lines))
        return b"".join(joined)

    def _careful(self, item: Record | LogEvent, sequence: int) -> bytes:
        return self.format(LogEvent.from_record(item, sequence) if type(item) is tuple else cast("LogEvent", item))

    def _share(self, origin: Origin, ambient: Ambient, task: str) -> _Shared:
        head: dict[str, Any] = dict.fromkeys(("timestamp", "level", "message"))
        if origin.source:
            head["source"] = origin.source
        head["sequence"] = None
        identity = {"task": task, "container": origin.container_id, "correlation_id": ambient.correlation_id}
        head.update(_merged({key: value for key, value in identity.items() if value}))
        logger = {"logger": origin.logger} if origin.logger else {}
        levels = {
            level: _merged({"level": LEVEL_NAMES[level], "severity": severity, **logger})["level"]
            for level, severity in DEFAULT_SEVERITY.items()
        }
        context = {**ambient.values, **origin.bound}
        names = tuple(context)
        found = self._names.get(names)
        if found is None:
            _Names(()).learn(context)
            if len(self._names) >= _MAX_CONTEXTS:
                self._names.clear()
            found = self._names[names] = _Names(names)
        return _Shared(levels, head, _merged(context), found)

    def _whole(self, event: LogEvent) -> bytes:
        return encode(flat(event, self._clock)) + b"\n"

    def _cut(self, event: LogEvent, size: int) -> bytes:
        tree = flat(event, self._clock)
        tree["truncated"] = size
        return encode(fit_event(plain(tree), self._max_event_bytes - 1, KEPT)) + b"\n"


def _merged(members: dict[str, Any]) -> dict[str, orjson.Fragment]:
    """Return the first key of *members* with a fragment that brings the others along."""
    encoded = b",".join([encode(key) + b":" + encode(value) for key, value in members.items()])
    return {key: orjson.Fragment(encoded[len(encode(key)) + 1 :]) for key in islice(members, 1)}


_NOTHING = _Shared({}, {}, {}, _Names(()))
