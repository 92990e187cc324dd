"""The reports: the account and the metrics of a container as they were at one moment, frozen."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class SinkReport:
    """One sink's account: ``routed + fallback_in`` equals the sum of all the places an event can be in."""

    routed: int
    fallback_in: int
    delivered: int
    """Events for which the sink returned success in time."""
    dropped: Mapping[str, int]
    """Events that did not enter the sink's stream, by reason."""
    failed: Mapping[str, int]
    """Events whose write failed for good, by reason; a write that timed out is ``timeout``."""
    fallback_out: int
    """Events handed to the sink's fallback."""
    abandoned: Mapping[str, int]
    """Events given up at the deadline, by reason."""
    deferred: int
    """Events kept for a later run."""
    in_flight: int
    retries: int
    """Attempts after the first."""
    duplicates: int
    """Events that a retry may have written a second time."""
    outcome_unknown: int
    """Events whose write was cut off, by its timeout, an interrupt or the deadline; it may have landed all the same."""
    withheld: int = 0
    """Events that lost their content because one of the sink's own redactors failed."""

    @property
    def balanced(self) -> bool:
        """Whether every event routed here is in exactly one place."""
        return self.routed + self.fallback_in == (
            self.delivered
            + sum(self.dropped.values())
            + sum(self.failed.values())
            + self.fallback_out
            + sum(self.abandoned.values())
            + self.deferred
            + self.in_flight
        )


@attrs.frozen
class DrainReport:
    """The account of a container: every event in exactly one place."""

    container_id: str
    submitted: int
    """Calls at an enabled level, however they ended."""
    created: int
    """Events made inside: by processors, the summaries of losses, and what filters tell of events they removed."""
    rejected: Mapping[str, int]
    """Events refused by rule: full under ``RAISE``, closed, not started, logged by a plugin, dead after a fork."""
    dropped: Mapping[str, int]
    """Events lost because there was no room, by reason."""
    filtered: Mapping[str, int]
    """Events that a filter did not keep, by filter, with ``"<filter>:<reason>"`` for those it told a reason of; and
    those that a span held back or had no budget for."""
    merged: int
    """Events a processor took out or merged into others."""
    unrouted: int
    """Events that no sink was there for, or whose route wanted them."""
    dispatched: int
    """Events handed to the sinks; ``sinks`` says what became of them."""
    abandoned: Mapping[str, int]
    """Events given up at the deadline before they reached the fan-out."""
    in_flight: int
    sinks: Mapping[str, SinkReport]
    elapsed: float = 0.0
    """How long the drain took, in seconds."""
    complete: bool = False
    """Whether the drain finished: everything had an outcome before the deadline and every sink was closed."""
    drained: bool = False
    """Whether the drain has ended, complete or not; before that this is the account so far."""

    @property
    def balanced(self) -> bool:
        """Whether the equations hold: the container's and every sink's."""
        return self.submitted + self.created == (
            sum(self.rejected.values())
            + sum(self.dropped.values())
            + sum(self.filtered.values())
            + self.merged
            + self.unrouted
            + self.dispatched
            + sum(self.abandoned.values())
            + self.in_flight
        ) and all(sink.balanced for sink in self.sinks.values())

    def __str__(self) -> str:
        parts = [f"{self.submitted} submitted"]
        if self.created:
            parts.append(f"{self.created} created")
        parts += _told(self, ("rejected", "dropped", "filtered"))
        parts += [f"{value} {name}" for name in ("merged", "unrouted") if (value := getattr(self, name))]
        parts.append(f"{self.dispatched} dispatched")
        parts += _told(self, ("abandoned",))
        if self.in_flight:
            parts.append(f"{self.in_flight} in flight")
        lines = [f"container {self.container_id}: " + ", ".join(parts)]
        for name, sink in self.sinks.items():
            told = [f"{sink.delivered} delivered", *_told(sink, ("dropped", "failed", "abandoned"))]
            told += [
                f"{value} {attribute.replace('_', ' ')}"
                for attribute in (
                    "fallback_in",
                    "fallback_out",
                    "deferred",
                    "in_flight",
                    "retries",
                    "duplicates",
                    "outcome_unknown",
                    "withheld",
                )
                if (value := getattr(sink, attribute))
            ]
            lines.append(f"  sink {name}: {sink.routed} routed, " + ", ".join(told))
        if self.drained:
            lines.append(f"  drain {'complete' if self.complete else 'incomplete'} after {self.elapsed:.3f} s")
        return "\n".join(lines)


def _told(report: DrainReport | SinkReport, names: tuple[str, ...]) -> list[str]:
    told: list[str] = []
    for name in names:
        reasons: Mapping[str, int] = getattr(report, name)
        if reasons:
            listed = ", ".join(f"{reason} {number}" for reason, number in reasons.items())
            told.append(f"{sum(reasons.values())} {name} ({listed})")
    return told


@attrs.frozen
class FlushReport:
    """What a flush achieved."""

    complete: bool
    """Whether every event admitted before has an outcome at every sink, and the sinks have flushed."""
    elapsed: float
    """How long it took, in seconds."""
    pending: tuple[str, ...] = ()
    """The sinks that had not finished."""


@attrs.frozen
class ReloadReport:
    """What became of the pipeline that a reload has replaced."""

    generation: int
    """How many pipelines the container has had, the one that runs now included."""
    complete: bool
    """Whether everything in the replaced pipeline had an outcome before its deadline, and its sinks were closed."""
    elapsed: float
    """How long it took to run dry, in seconds."""
    dispatched: int
    """Events that the replaced pipeline had handed to its sinks in all."""
    abandoned: Mapping[str, int]
    """Events given up at the deadline before they reached its fan-out."""
    sinks: Mapping[str, SinkReport]
    """What became of the events handed to each of its sinks; the container's own report counts them too."""


BUCKETS: tuple[float, ...] = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the latency histograms' buckets, in seconds; one more bucket holds what is beyond."""


@attrs.frozen
class HistogramSnapshot:
    """A latency distribution, in seconds."""

    counts: tuple[int, ...]
    """How many observations each bucket of ``BUCKETS`` holds, and one more for those beyond."""
    total: int
    sum: float
    maximum: float

    def quantile(self, fraction: float) -> float:
        """Return the upper bound of the bucket that holds the given fraction (0–1) of the observations."""
        wanted = fraction * self.total
        seen = 0
        for bound, number in zip(BUCKETS, self.counts, strict=False):
            seen += number
            if seen >= wanted:
                return bound
        return self.maximum


@attrs.frozen
class MetricsSnapshot:
    """A container's metrics at one moment."""

    report: DrainReport
    """The account so far."""
    queue_depth: int
    """Events waiting in the intake."""
    queue_high_water: int
    """The most events that waited there at once."""
    queue_capacity: int
    plugin_errors: Mapping[str, int]
    """Failures of filters, enrichers, processors and redactors, by plugin."""
    withheld: Mapping[str, int]
    """Events whose content was withheld because a redactor failed, by redactor."""
    redacted: Mapping[str, Mapping[str, int]]
    """What redactors that count have hidden: by redactor, then by what found it or why it was not looked at."""
    write_seconds: Mapping[str, HistogramSnapshot]
    """How long each sink's writes took."""
    delivery_seconds: Mapping[str, HistogramSnapshot]
    """How long the oldest event of each write took from the call to the sink's success, by sink."""
    confirmed: int = 0
    """Calls of ``log.confirmed`` that were confirmed."""
    not_confirmed: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """Those that were not, by the state of :class:`fapilog.NotConfirmed`."""
