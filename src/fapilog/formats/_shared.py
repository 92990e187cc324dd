"""SharedPieces: what the lines of events from one place have in common, written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..event import Ambient, LogEvent, Origin, Record
from ._characters import characters
from ._quick_pairs import MOST_CHARACTERS, NotQuick

_MAX_CACHED = 64

T = TypeVar("T")


class SharedPieces(Generic[T]):
    """Keeps with each logger and context what a format makes of them; for a bounded number of them and of tasks.

    Parameters:
        name: the format's name.
        make: makes it; raises NotQuick if something needs care.
    """

    __slots__ = ("_make", "_name")

    def __init__(self, name: str, make: Callable[[Origin, Ambient, str], T]) -> None:
        self._name = name
        self._make = make

    def of(self, origin: Origin, ambient: Ambient, task: str) -> T:
        """Return what the events of one logger, context and task share.

        Raises:
            NotQuick: if it is large, or something in it needs care.
        """
        # Events outside any context share one ambient object with all containers: their pieces stay with the logger.
        if ambient.values or ambient.correlation_id:
            pieces = _entry(ambient.cache, (self._name, origin))
        else:
            pieces = _entry(origin.cache, self._name)
        found: T | None = pieces.get(task)
        if found is None:
            identity = (origin.logger, origin.source, origin.container_id, task, ambient.correlation_id)
            if characters((identity, ambient.values, origin.bound), MOST_CHARACTERS) > MOST_CHARACTERS:
                raise NotQuick
            found = self._make(origin, ambient, task)
            if len(pieces) >= _MAX_CACHED:
                pieces.clear()
            pieces[task] = found
        return found


def _entry(cache: dict[Any, Any], key: object) -> dict[str, Any]:
    found: dict[str, Any] | None = cache.get(key)
    if found is None:
        if len(cache) >= _MAX_CACHED:
            cache.clear()
        found = cache[key] = {}
    return found


def plain_record(event: LogEvent) -> Record | None:
    """Return the record of *event*, or None if one without extras cannot say all of it."""
    record = event._record
    context = event._context
    if record[7] is None and (context is None or (context is record[5].values and not record[4].bound)):
        return record
    return None
