"""Faulty sinks: they fail by a script or by chance, the same for the same seed, and know what really landed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import isawaitable
from random import Random
from typing import Any, ClassVar

import anyio
import attrs

from ..event import LogEvent
from ..metrics import DrainReport, SinkReport
from ..plugins import Batch
from .faults import WAITING, Fault, Kind, checked_chances
from .recording import PlainRecordingSink, Recorded, RecordingSink

_KEPT_ERROR = 200
"""Characters of an error that an attempt keeps."""


@attrs.define(eq=False)
class Attempt:
    """One write that a faulty sink was asked for, and what it made of it."""

    events: tuple[LogEvent, ...]
    time: float
    """When it came, in seconds on the event loop's clock."""
    fault: Fault
    landed: int = 0
    """How many of the events really arrived."""
    acknowledged: int = 0
    """For how many of them the sink told success."""
    outcome: str = "not ended"
    """``returned``, or the error that was raised."""

    @property
    def messages(self) -> list[str]:
        """The events' messages."""
        return [event.message for event in self.events]


class Faulty(Recorded):
    """What the asynchronous and the plain form share: the choice of a fault, and the account."""

    def __init__(
        self,
        script: Iterable[Any] | None = None,
        name: str = "faulty",
        *,
        seed: int = 0,
        chances: Mapping[str, float] | None = None,
        longest: float = 1.0,
        ordered: bool = True,
    ) -> None:
        """Prepare the faults.

        Parameters:
            script: what each write does, in order (see :meth:`Fault.of`); its last entry holds for all later writes.
            name: the sink's name in settings and reports.
            seed: decides everything that is left to chance.
            chances: how likely each kind of fault is, from 0 to 1, for writes when there is no script.
            longest: the most seconds of a delay, or of a wait that is asked for, that is left to chance.
            ordered: whether a retry holds back later events.

        Raises:
            ValueError: if a kind of fault is unknown, the chances are no chances, the script is empty, or there is
                both a script and chances.
        """
        super().__init__(name, ordered=ordered)
        if script is not None and chances is not None:
            raise ValueError("a script and chances exclude each other; give one of them")
        self._script = None if script is None else [Fault.of(entry) for entry in script]
        if self._script == []:
            raise ValueError("the script is empty; give at least one entry, such as 'ok'")
        self._chances: dict[Kind, float] = checked_chances(chances or {})
        self._random = Random(seed)
        # Apart, so that which write has which kind of fault does not depend on how the events are cut into batches.
        self._details = Random(f"details of {seed}")
        self._longest = longest
        self.seed: int = seed
        self.attempts: list[Attempt] = []
        """Every write, in order."""

    def _begin(self, batch: Batch) -> Attempt:
        self.times.append(anyio.current_time())
        fault = self._next().settled(self._details, len(batch), self._longest)
        attempt = Attempt(batch.events, self.times[-1], fault)
        self.attempts.append(attempt)
        return attempt

    def _next(self) -> Fault:
        if self._script is not None:
            return self._script.pop(0) if len(self._script) > 1 else self._script[0]
        roll = self._random.random()
        for kind, chance in self._chances.items():
            roll -= chance
            if roll < 0:
                return Fault.of(kind)
        return Fault.ok()

    def _land(self, attempt: Attempt, without: Mapping[int, BaseException] | None = None) -> None:
        events = [event for position, event in enumerate(attempt.events) if position not in (without or {})]
        attempt.landed = len(events)
        if events:
            self.batches.append(tuple(events))

    def _answer(self, attempt: Attempt, value: Any) -> Any:
        """Do what is left of the attempt once its waiting is over, and return or raise what the write does."""
        fault = attempt.fault
        if fault.kind == "partial":
            self._land(attempt, without=fault.failed)
            attempt.acknowledged = attempt.landed
            raise self._raised(attempt, fault.exception())
        if fault.kind == "lost_answer":
            self._land(attempt)
            raise self._raised(attempt, fault.exception())
        if fault.kind == "corrupt":
            attempt.outcome = "returned"
            return fault.value
        if fault.kind not in ("ok", *WAITING):
            raise self._raised(attempt, fault.exception())
        attempt.outcome = "returned"
        if value is None or value is True:
            self._land(attempt)
            attempt.acknowledged = attempt.landed
        return value

    @staticmethod
    def _raised(attempt: Attempt, error: BaseException) -> BaseException:
        attempt.outcome = f"{type(error).__name__}: {error}"[:_KEPT_ERROR]
        return error

    @property
    def attempted(self) -> list[list[str]]:
        """The messages of every write, in order, whatever came of it."""
        return [attempt.messages for attempt in self.attempts]

    @property
    def landed(self) -> list[str]:
        """The message of every event that really arrived, in order, and again for each time it did."""
        return self.messages

    @property
    def faults(self) -> list[Kind]:
        """The kind of every write's fault, in order."""
        return [attempt.fault.kind for attempt in self.attempts]

    def disagreements(self, report: DrainReport | SinkReport) -> list[str]:
        """Return where a report and what this sink saw contradict each other; nothing if they agree.

        Parameters:
            report: the container's, in which this sink is looked up by its name, or the sink's own.

        Raises:
            KeyError: if the container's report has no sink of this name.
        """
        sink = report.sinks[self.metadata.name] if isinstance(report, DrainReport) else report
        acknowledged = sum(attempt.acknowledged for attempt in self.attempts)
        landed = self.events
        twice = len(landed) - len({(event.container_id, event.sequence) for event in landed})
        found: list[str] = []
        if not sink.delivered <= acknowledged <= sink.delivered + sink.outcome_unknown:
            unknown = f" (and {sink.outcome_unknown} unknown)" if sink.outcome_unknown else ""
            found.append(
                f"reported {sink.delivered} delivered{unknown}; the sink told success for {acknowledged} events"
            )
        if twice > sink.duplicates:
            found.append(f"reported {sink.duplicates} duplicates; {twice} events landed once more than needed")
        if sink.in_flight or not sink.balanced:
            found.append(f"the account is not balanced, or {sink.in_flight} events are still in flight")
        return found

    def assert_agrees(self, report: DrainReport | SinkReport) -> None:
        """Assert that a report says what this sink saw; the parameters are those of :meth:`disagreements`.

        Raises:
            AssertionError: if they contradict each other, with every contradiction.
        """
        __tracebackhide__ = True
        if found := self.disagreements(report):
            done = ", ".join(f"{attempt.fault.kind} -> {attempt.outcome}" for attempt in self.attempts[-10:])
            raise AssertionError("\n".join([*found, f"seed {self.seed}; last writes: {done}"]))


class FaultySink(Faulty, RecordingSink):
    """An asynchronous sink that fails by a script or by chance; ``batches`` holds what really landed.

    It waits on the event loop's clock, so that on a virtual one no time is lost.
    """

    async def write(self, batch: Batch) -> Any:
        """Do what the script or the seed says. A checkpoint only if it waits; if cancelled, nothing lands."""
        attempt = self._begin(batch)
        fault = attempt.fault
        value: Any = fault.value if fault.kind == "ok" else None
        try:
            if fault.step is not None:
                value = fault.step(batch)
                if isawaitable(value):
                    value = await value
            elif fault.kind == "delay":
                await anyio.sleep(fault.seconds or 0.0)
            elif fault.kind == "hang":
                await anyio.sleep_forever()
        except BaseException as error:
            self._raised(attempt, error)
            raise
        return self._answer(attempt, value)


class PlainFaultySink(Faulty, PlainRecordingSink):
    """The same as a synchronous sink, called on the event loop's own thread; it cannot wait.

    Raises:
        ValueError: also if the script or the chances have a fault that waits.
    """

    blocking: ClassVar[bool] = False

    def __init__(self, script: Iterable[Any] | None = None, name: str = "faulty", **options: Any) -> None:
        super().__init__(script, name, **options)
        kinds = [*(fault.kind for fault in self._script or ()), *self._chances]
        if waits := sorted(WAITING.intersection(kinds)):
            raise ValueError(f"{', '.join(waits)} would hold the event loop; use FaultySink")

    def write(self, batch: Batch) -> Any:
        """Do what the script or the seed says."""
        attempt = self._begin(batch)
        value: Any = attempt.fault.value
        if attempt.fault.step is not None:
            try:
                value = attempt.fault.step(batch)
            except BaseException as error:
                self._raised(attempt, error)
                raise
        return self._answer(attempt, value)
