"""AtCall: what enrichers read in the log call itself, because it is another when they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from .._interrupts import raise_interrupt
from ..context import INSIDE_PLUGIN
from ..event import Ambient
from ..metrics import StageCounts, count
from ..values import EMPTY, FrozenDict, freeze_mapping, merged


class AtCall:
    """Calls each enricher's ``at_call`` where the log call is made; a failure costs what it would have added.

    Parameters:
        readers: the enrichers' names and methods.
        ambient: the container's ambient context; what a reader logs itself is rejected by it.
        counts: where failures are counted.
        failed: called with the name of an enricher that failed, and with what happened.
    """

    __slots__ = ("_counts", "_failed", "_readers", "_variable")

    def __init__(
        self,
        readers: Iterable[tuple[str, Callable[[], Mapping[str, Any] | None]]],
        ambient: ContextVar[Ambient],
        counts: StageCounts,
        failed: Callable[[str, str], None],
    ) -> None:
        self._readers = tuple(readers)
        self._variable = ambient
        self._counts = counts
        self._failed = failed

    def __call__(self) -> FrozenDict:
        """Return what is to be added to the event's context; never raises an ``Exception``."""
        variable = self._variable
        if variable.get() is INSIDE_PLUGIN:
            return EMPTY  # the event will be rejected
        found = EMPTY
        token = variable.set(INSIDE_PLUGIN)
        try:
            for name, read in self._readers:
                try:
                    added = read()
                    if added:
                        frozen = added if type(added) is FrozenDict else freeze_mapping(added)
                        found = merged(found, frozen) if found else frozen
                except BaseException as error:
                    raise_interrupt(error)
                    # Not exact when threads fail at once; no event is lost by it.
                    count(self._counts.plugin_errors, name)
                    self._failed(name, f"at_call raised {type(error).__name__}")
        finally:
            variable.reset(token)
        return found
