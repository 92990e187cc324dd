"""FilterStep: what a filter does to a list of events, the reasons that it tells, and the summaries that it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from .._interrupts import Interrupt, raise_interrupt
from ..event import LogEvent, Record
from ..metrics import StageCounts, count
from ..plugins import Removed
from .steps import Step, counted, refuse_awaitable

MOST_SUMMARIES = 1_000_000
"""The most events that a filter may make at once to tell of what it removed, so that an endless generator ends."""
MOST_REASONS = 100
"""The most reasons of one filter that are counted apart."""


class FilterStep(Step):
    """A filter: an event it does not keep is counted under its name, and the reason if it tells one."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        counts: StageCounts,
        report: Callable[[str, str], None],
        timeout: float,
        pass_on: Callable[[Interrupt], object] = raise_interrupt,
    ) -> None:
        super().__init__(name, function, counts, report, timeout, pass_on)
        self._reasons: dict[str, int] | None = None
        """Those of the list that was applied last."""
        self._names: dict[str, str] = {}
        """What each reason is counted as."""
        self._keep_record: Callable[[int, str], Any] | None = None
        self._filter: Any = None
        """The filter itself, once it was attached."""
        self._clock: Callable[[], float]
        self._told_in_vain: bool = False
        """Whether a summary was due when the filter was asked last, and none was made; then none is waited for."""

    def attach(self, plugin: Any, clock: Callable[[], float]) -> None:
        self._clock = clock
        try:
            use_clock: Any = getattr(plugin, "use_clock", None)
            if use_clock is not None:
                use_clock(clock)
            self._filter = plugin
            self.has_summaries: bool = getattr(plugin, "summaries", None) is not None
            self._keep_record = getattr(plugin, "keep_record", None)
            # Summaries are events, and a list holds records or events.
            self.takes_records: bool = self._keep_record is not None and not self.has_summaries
        except BaseException as error:
            self._failed(error)

    def apply(self, events: list[LogEvent]) -> list[LogEvent]:
        if self.takes_records and events and isinstance(events[0], tuple):
            return cast("list[LogEvent]", self._apply_to_records(cast("list[Record]", events)))
        # The same as a Step's, without the calls that the usual answers do not need.
        function = self._function
        kept: list[LogEvent] = []
        self._reasons = None
        for event in events:
            try:
                keep = function(event)
                if keep is not True and keep is not False:
                    keep = self._answer(keep)
            except BaseException as error:
                self._failed(error)
                keep = True
            if keep:
                kept.append(event)
        return kept

    def _apply_to_records(self, records: Sequence[Record]) -> list[Record]:
        function = self._keep_record
        assert function is not None
        kept: list[Record] = []
        self._reasons = None
        for record in records:
            try:
                keep = function(record[1], record[4].logger)
                if keep is not True and keep is not False:
                    keep = self._answer(keep)
            except BaseException as error:
                self._failed(error)
                keep = True
            if keep:
                kept.append(record)
        return kept

    def _answer(self, result: Any) -> bool:
        """Return what an unusual answer means, and note its reason."""
        if type(result) is Removed:
            self._reasons = counted(self._reasons, result)
            return False
        refuse_awaitable(result)
        return bool(result)

    def _on_result(self, event: LogEvent, result: Any) -> bool | Removed:
        if type(result) is Removed:
            return result
        refuse_awaitable(result)
        return bool(result)

    def settle(self, before: int, after: int, reasons: Mapping[str, int] | None = None) -> None:
        if reasons is None:
            reasons, self._reasons = self._reasons, None
        removed = unexplained = before - after
        if not removed:
            return
        filtered = self._counts.filtered
        if reasons is not None:
            for reason, number in reasons.items():
                count(filtered, self._counted_as(reason), number)
                unexplained -= number
        if unexplained:
            count(filtered, self.name, unexplained)
        self._counts.in_stages -= removed

    def _counted_as(self, reason: str) -> str:
        name = self._names.get(reason)
        if name is None:
            if len(self._names) >= MOST_REASONS:
                return self.name
            name = self._names[reason] = f"{self.name}:{reason}"
        return name

    def next_summary(self) -> float | None:
        if not self.has_summaries or self._told_in_vain:
            return None
        try:
            due: Any = self._filter.next_summary
        except BaseException as error:
            self._failed(error)
            return None
        return float(due) if (type(due) is float and due == due) or type(due) is int else None

    def summaries(self, *, final: bool = False) -> list[LogEvent]:
        if not self.has_summaries:
            return []
        made: list[LogEvent] = []
        try:
            for event in islice(self._filter.summaries(final), MOST_SUMMARIES):
                if not isinstance(event, LogEvent):
                    raise TypeError(f"summaries returned {type(event).__name__}; it must return events")
                made.append(event.copy())  # it may be on its way already, or come twice
        except BaseException as error:
            self._failed(error)
        self._counts.created += len(made)
        self._counts.in_stages += len(made)
        due = self.next_summary()
        self._told_in_vain = not made and due is not None and due <= self._clock()
        return made
