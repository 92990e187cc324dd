"""The ledger and the metrics: where every event went, counted exactly, and how long things took."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any, cast

from .reports import BUCKETS as BUCKETS
from .reports import DrainReport as DrainReport
from .reports import FlushReport as FlushReport
from .reports import HistogramSnapshot as HistogramSnapshot
from .reports import MetricsSnapshot as MetricsSnapshot
from .reports import ReloadReport as ReloadReport
from .reports import SinkReport as SinkReport

REJECTED = ("queue_full", "closed", "not_started", "reentrant", "dead")
DROPPED = (
    "queue_full",
    "evicted",
    "block_timeout",
    "congested",
    "not_awaited",
    "cancelled",
    "would_deadlock",
    "recursion",
)
FILTERED = ("span_buffer", "span_sample", "span_budget", "told_already")
"""Why the scope of a call does not let its event go on, or a bridge does not take a record; all others are filtered by
plugins."""


class AdmissionCounts:
    """What became of calls that the intake did not keep, one attribute per reason.

    Plain integers, not a mapping, because ``counts.reason += 1`` cannot be interrupted by a signal
    handler or another thread under CPython's global lock, and a look-up followed by a store can.
    The loop's thread and the foreign threads each have one of these; a reader adds them up.
    """

    def __init__(self) -> None:
        self.rejected_queue_full: int = 0
        self.rejected_closed: int = 0
        self.rejected_not_started: int = 0
        self.rejected_reentrant: int = 0
        self.rejected_dead: int = 0
        self.dropped_queue_full: int = 0
        self.dropped_evicted: int = 0
        self.dropped_block_timeout: int = 0
        self.dropped_congested: int = 0
        self.dropped_not_awaited: int = 0
        self.dropped_cancelled: int = 0
        self.dropped_would_deadlock: int = 0
        self.dropped_recursion: int = 0
        self.filtered_span_buffer: int = 0
        self.filtered_span_sample: int = 0
        self.filtered_span_budget: int = 0
        self.filtered_told_already: int = 0

    @property
    def dropped(self) -> int:
        """How many events were dropped, whatever the reason."""
        return (
            self.dropped_queue_full
            + self.dropped_evicted
            + self.dropped_block_timeout
            + self.dropped_congested
            + self.dropped_not_awaited
            + self.dropped_cancelled
            + self.dropped_would_deadlock
            + self.dropped_recursion
        )


class StageCounts:
    """What became of events between the intake and the fan-out; touched by the pipeline's own tasks only."""

    def __init__(self) -> None:
        self.taken: int = 0
        self.created: int = 0
        self.merged: int = 0
        self.unrouted: int = 0
        self.dispatched: int = 0
        self.in_stages: int = 0
        """Events taken from the intake that have no outcome yet."""
        self.filtered: dict[str, int] = {}
        self.dropped: dict[str, int] = {}
        self.abandoned: dict[str, int] = {}
        self.plugin_errors: dict[str, int] = {}
        """Failures of filters, enrichers, processors and redactors by plugin; no event is lost by one."""
        self.withheld: dict[str, int] = {}
        """Events whose content was withheld because a redactor failed, by redactor."""


class SinkCounts:
    """One sink's side of the ledger; touched by the pipeline's own tasks only."""

    def __init__(self) -> None:
        self.routed: int = 0
        self.fallback_in: int = 0
        self.delivered: int = 0
        self.fallback_out: int = 0
        self.deferred: int = 0
        self.retries: int = 0
        self.duplicates: int = 0
        self.outcome_unknown: int = 0
        self.withheld: int = 0
        self.dropped: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        self.abandoned: dict[str, int] = {}

    @property
    def in_flight(self) -> int:
        """Events routed here that have no outcome yet."""
        return (
            self.routed
            + self.fallback_in
            - self.delivered
            - self.fallback_out
            - self.deferred
            - sum(self.dropped.values())
            - sum(self.failed.values())
            - sum(self.abandoned.values())
        )


class ConfirmationCounts:
    """How many confirmed calls have ended, and how."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start from zero, also in a child after a fork, where whoever held the lock does not exist."""
        self._lock = RLock()
        """Calls end on the loop and in threads; few of them, so that a lock costs nothing."""
        self._ended: dict[str, int] = {}

    def count(self, state: str) -> None:
        """Count a call: as ``confirmed``, or by what kept it from being that."""
        with self._lock:
            count(self._ended, state)

    def snapshot(self) -> tuple[int, dict[str, int]]:
        """Return how many were confirmed, and how many were not by what kept them from it."""
        with self._lock:
            not_confirmed = dict(self._ended)
        return not_confirmed.pop("confirmed", 0), not_confirmed


def count(counts: dict[str, int], reason: str, number: int = 1) -> None:
    """Add *number* to a reason's count."""
    counts[reason] = counts.get(reason, 0) + number


class Histogram:
    """A latency distribution that is being filled."""

    __slots__ = ("_counts", "_maximum", "_sum", "_total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._total = 0
        self._sum = 0.0
        self._maximum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation; a negative one, as after a clock step, counts as zero."""
        seconds = max(seconds, 0.0)
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._total += 1
        self._sum += seconds
        self._maximum = max(self._maximum, seconds)

    def add(self, other: Histogram) -> None:
        """Count what *other* has observed as well."""
        self._counts = [mine + its for mine, its in zip(self._counts, other._counts, strict=True)]
        self._total += other._total
        self._sum += other._sum
        self._maximum = max(self._maximum, other._maximum)

    def snapshot(self) -> HistogramSnapshot:
        """Return what was observed so far."""
        return HistogramSnapshot(tuple(self._counts), self._total, self._sum, self._maximum)


class PipelineCounts:
    """What one pipeline counts; after a reload a container has another pipeline, and another one of these."""

    def __init__(self) -> None:
        self.stages: StageCounts = StageCounts()
        self.sinks: dict[str, SinkCounts] = {}
        self.write_seconds: dict[str, Histogram] = {}
        self.delivery_seconds: dict[str, Histogram] = {}
        self.redacted: dict[str, Mapping[str, int]] = {}
        """The counts of the redactors that keep any, by redactor; they go on counting in them."""

    def add_sink(self, name: str) -> SinkCounts:
        """Return the counters of a new sink."""
        self.sinks[name] = counts = SinkCounts()
        self.write_seconds[name] = Histogram()
        self.delivery_seconds[name] = Histogram()
        return counts

    def add(self, other: PipelineCounts) -> None:
        """Count what *other* has counted as well."""
        _add(self.stages, other.stages)
        for name, counts in other.sinks.items():
            if name not in self.sinks:
                self.add_sink(name)
            _add(self.sinks[name], counts)
            self.write_seconds[name].add(other.write_seconds[name])
            self.delivery_seconds[name].add(other.delivery_seconds[name])

    def count_redacted(self, name: str, counts: Mapping[str, int]) -> None:
        """Count what a redactor has counted as well."""
        total = dict(self.redacted.get(name, {}))
        for reason, number in tuple(counts.items()):
            count(total, reason, number)
        self.redacted[name] = total

    def sink_reports(self) -> dict[str, SinkReport]:
        """Return each sink's account."""
        return {name: _sink_report(counts) for name, counts in self.sinks.items()}

    def reset(self) -> None:
        """Start from zero; whoever holds the counters goes on counting in them."""
        _reset(self.stages)
        for counts in self.sinks.values():
            _reset(counts)


class MetricsCollector:
    """Keeps a container's counters and latency histograms; reading it is possible from any thread."""

    def __init__(self, container_id: str, queue_capacity: int) -> None:
        self.container_id: str = container_id
        self.queue_capacity: int = queue_capacity
        self.loop_counts: AdmissionCounts = AdmissionCounts()
        self.thread_counts: AdmissionCounts = AdmissionCounts()
        self.confirmations: ConfirmationCounts = ConfirmationCounts()
        self.pipelines: tuple[PipelineCounts, ...] = (PipelineCounts(),)
        """What each pipeline has counted that runs, in the order in which they were made; during a reload there are
        two. Before them stands the sum of those that have ended, if there are any."""
        self.stages: StageCounts = self.pipelines[0].stages
        """What is counted of the events that are taken from the intake now."""
        self.queue_high_water: int = 0
        self.queue_depth: Callable[[], int] = _no_depth
        """Events admitted and not yet taken, callers that wait for room included; set by the intake."""
        self._has_past = False

    def reset(self) -> None:
        """Start from zero, in a child after a fork; whoever holds the counters goes on counting in them."""
        for counts in (self.loop_counts, self.thread_counts):
            _reset(counts)
        self.confirmations.reset()
        for pipeline in self.pipelines:
            pipeline.reset()
        self.queue_high_water = 0

    @property
    def sinks(self) -> dict[str, SinkCounts]:
        """The counters of each sink of the pipeline that was made last."""
        return self.pipelines[-1].sinks

    def begin(self, counts: PipelineCounts) -> None:
        """Include what another pipeline counts."""
        self.pipelines = (*self.pipelines, counts)

    def end(self, counts: PipelineCounts) -> None:
        """Take what a pipeline has counted into the sum of those that have ended; it counts no more."""
        # Another thread may be reading: it sees the pipelines as they were or as they are.
        past = PipelineCounts()
        if self._has_past:
            past.add(self.pipelines[0])
            for name, redacted in self.pipelines[0].redacted.items():
                past.count_redacted(name, redacted)
        past.add(counts)
        kept = [one for pipeline in self.pipelines if pipeline is not counts for one in pipeline.redacted.values()]
        for name, redacted in counts.redacted.items():
            if not any(one is redacted for one in kept):  # else the redactor goes on in another pipeline
                past.count_redacted(name, redacted)
        running = self.pipelines[1:] if self._has_past else self.pipelines
        self.pipelines = (past, *(pipeline for pipeline in running if pipeline is not counts))
        self._has_past = True

    def report(self, *, elapsed: float = 0.0, complete: bool = False, drained: bool = False) -> DrainReport:
        """Return the account so far."""
        total = self._total()
        stages = total.stages
        depth = self.queue_depth()
        rejected = self._admission("rejected", REJECTED)
        dropped = self._admission("dropped", DROPPED)
        filtered = self._admission("filtered", FILTERED)
        submitted = stages.taken + depth + sum(rejected.values()) + sum(dropped.values()) + sum(filtered.values())
        for reason, number in stages.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + number
        for name, number in stages.filtered.items():
            filtered[name] = filtered.get(name, 0) + number
        return DrainReport(
            container_id=self.container_id,
            submitted=submitted,
            created=stages.created,
            rejected=rejected,
            dropped=dropped,
            filtered=filtered,
            merged=stages.merged,
            unrouted=stages.unrouted,
            dispatched=stages.dispatched,
            abandoned=dict(stages.abandoned),
            in_flight=depth + stages.in_stages,
            sinks=total.sink_reports(),
            elapsed=elapsed,
            complete=complete,
            drained=drained,
        )

    def snapshot(self) -> MetricsSnapshot:
        """Return everything that is measured, at this moment."""
        depth = self.queue_depth()
        total = self._total()
        confirmed, not_confirmed = self.confirmations.snapshot()
        return MetricsSnapshot(
            report=self.report(),
            queue_depth=depth,
            queue_high_water=max(self.queue_high_water, depth),
            queue_capacity=self.queue_capacity,
            plugin_errors=dict(total.stages.plugin_errors),
            withheld=dict(total.stages.withheld),
            redacted=self._redacted(),
            confirmed=confirmed,
            not_confirmed=not_confirmed,
            write_seconds={name: histogram.snapshot() for name, histogram in total.write_seconds.items()},
            delivery_seconds={name: histogram.snapshot() for name, histogram in total.delivery_seconds.items()},
        )

    def _redacted(self) -> dict[str, Mapping[str, int]]:
        """Return what the redactors of all pipelines have counted; one that was kept at a reload is in two of them."""
        total = PipelineCounts()
        seen: list[Mapping[str, int]] = []
        for pipeline in self.pipelines:
            for name, counts in tuple(pipeline.redacted.items()):
                if not any(one is counts for one in seen):
                    seen.append(counts)
                    total.count_redacted(name, counts)
        return total.redacted

    def _total(self) -> PipelineCounts:
        """Return what all pipelines have counted together."""
        pipelines = self.pipelines
        if len(pipelines) == 1:
            return pipelines[0]
        total = PipelineCounts()
        for pipeline in pipelines:
            total.add(pipeline)
        return total

    def losses(self) -> dict[str, int]:
        """Return how many events were lost before the fan-out so far, by reason."""
        # Asked for each batch, and nearly always there are none.
        lost: dict[str, int] = {}
        if self.loop_counts.dropped or self.thread_counts.dropped:
            lost = self._admission("dropped", DROPPED)
        for pipeline in self.pipelines:
            for reason, number in pipeline.stages.dropped.items():
                lost[reason] = lost.get(reason, 0) + number
        return lost

    def discard(self, reason: str, number: int) -> None:
        """Count events that the scope of their calls did not let go on; from any thread."""
        # And what a bridge does not take: each of the reasons in FILTERED.
        # Each branch is one addition to an attribute, as AdmissionCounts demands.
        counts = self.thread_counts
        if reason == "span_buffer":
            counts.filtered_span_buffer += number
        elif reason == "span_sample":
            counts.filtered_span_sample += number
        elif reason == "told_already":
            counts.filtered_told_already += number
        else:
            counts.filtered_span_budget += number

    def _admission(self, outcome: str, reasons: tuple[str, ...]) -> dict[str, int]:
        found: dict[str, int] = {}
        for reason in reasons:
            name = f"{outcome}_{reason}"
            number = getattr(self.loop_counts, name) + getattr(self.thread_counts, name)
            if number:
                found[reason] = number
        return found


def _no_depth() -> int:
    return 0


def _add(counts: StageCounts | SinkCounts, others: StageCounts | SinkCounts) -> None:
    mine: dict[str, Any] = vars(counts)
    for name, value in vars(others).items():
        if isinstance(value, dict):
            for reason, number in list(cast("dict[str, int]", value).items()):
                count(mine[name], reason, number)
        else:
            mine[name] += value


def _reset(counts: AdmissionCounts | StageCounts | SinkCounts) -> None:
    numbers: dict[str, Any] = vars(counts)
    for name, value in numbers.items():
        if isinstance(value, dict):
            value.clear()
        else:
            setattr(counts, name, 0)


def _sink_report(counts: SinkCounts) -> SinkReport:
    return SinkReport(
        routed=counts.routed,
        fallback_in=counts.fallback_in,
        delivered=counts.delivered,
        dropped=dict(counts.dropped),
        failed=dict(counts.failed),
        fallback_out=counts.fallback_out,
        abandoned=dict(counts.abandoned),
        deferred=counts.deferred,
        in_flight=counts.in_flight,
        retries=counts.retries,
        duplicates=counts.duplicates,
        outcome_unknown=counts.outcome_unknown,
        withheld=counts.withheld,
    )
