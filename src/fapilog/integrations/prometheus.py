"""Prometheus: a container's account, queues and latencies for ``prometheus_client``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, islice
from threading import Lock
from typing import TypeAlias, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..container import AsyncLoggingContainer
from ..health import HealthReport
from ..metrics import BUCKETS, HistogramSnapshot, MetricsSnapshot, SinkReport

_MOST_VALUES = 100
"""The most values of one label; what is beyond them is counted under ``other``."""
_OTHER = "other"
_TRANSIENT = "not_awaited"
"""The one reason whose count also falls: a call that begins to wait for room is taken out of it."""

Labels: TypeAlias = tuple[str, ...]
T = TypeVar("T")


class PrometheusCollector(Collector):
    """Gives ``prometheus_client`` a container's metrics whenever they are scraped; nothing is counted twice.

    Register it with a registry, ``registry.register(PrometheusCollector(container))``. The names, types and help
    texts follow the conventions for Prometheus (https://prometheus.io/docs/practices/naming/): base units, a counter
    ends in ``_total``, and the sum over all labels makes sense. The labels are ``container``, ``sink``, ``reason``,
    ``filter`` and ``plugin``; each has at most 100 values. Scraping is possible from any thread.

    Parameters:
        containers: a container, whose label ``container`` is empty, or several by the label's value; a mapping may
            change later. Choose names that outlive a restart, not the containers' ids.
    """

    def __init__(self, containers: AsyncLoggingContainer | Mapping[str, AsyncLoggingContainer]) -> None:
        self._containers: Mapping[str, AsyncLoggingContainer] = (
            containers if isinstance(containers, Mapping) else {"": containers}
        )
        self._highest = _Highest()

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without a sample, by which a registry finds names that are taken."""
        return _Families(self._highest).all()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        families = _Families(self._highest)
        for name, container in list(self._containers.items()):
            families.add_container((name[:200],), container.metrics_collector.snapshot(), container.health())
        return families.all()


class _Highest:
    """What each counter has shown at most.

    A snapshot from another thread may be taken between two steps of the pipeline and show a sum that is a batch too
    low. To Prometheus a counter that falls is one that was reset.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._process = os.getpid()
        self._values: dict[tuple[str, Labels], int] = {}

    def of(self, name: str, labels: Labels, value: int) -> int:
        with self._lock:
            if self._process != os.getpid():  # a child after a fork counts from zero
                self._process = os.getpid()
                self._values.clear()
            key = (name, labels)
            highest = self._values[key] = max(value, self._values.get(key, 0))
            return highest


class _Families:
    """The metric families of one scrape."""

    def __init__(self, highest: _Highest) -> None:
        self._highest = highest
        self._families: dict[str, Metric] = {}
        for name, documentation, labels in _COUNTERS:
            self._families[name] = CounterMetricFamily(name, documentation, labels=("container", *labels))
        for name, documentation, labels in _GAUGES:
            self._families[name] = GaugeMetricFamily(name, documentation, labels=("container", *labels))
        for name, documentation, labels in _HISTOGRAMS:
            self._families[name] = HistogramMetricFamily(name, documentation, labels=("container", *labels))

    def all(self) -> list[Metric]:
        return list(self._families.values())

    def add_container(self, container: Labels, snapshot: MetricsSnapshot, health: HealthReport) -> None:
        report = snapshot.report
        for name in ("submitted", "created", "merged", "unrouted", "dispatched"):
            self._count(f"fapilog_events_{name}", container, getattr(report, name))
        lost = dict(report.dropped)
        self._gauge("fapilog_events_not_awaited", container, lost.pop(_TRANSIENT, 0))
        self._count_each("fapilog_events_rejected", container, report.rejected)
        self._count_each("fapilog_events_dropped", container, lost)
        self._count_each("fapilog_events_filtered", container, report.filtered)
        self._count_each("fapilog_events_abandoned", container, report.abandoned)
        self._count_each("fapilog_plugin_errors", container, snapshot.plugin_errors)
        self._count_each("fapilog_events_withheld", container, snapshot.withheld)
        self._count("fapilog_calls_confirmed", container, snapshot.confirmed)
        self._count_each("fapilog_calls_not_confirmed", container, snapshot.not_confirmed)
        for name, counts in _few(snapshot.redacted):
            self._count_each("fapilog_values_redacted", (*container, name), counts)
        self._gauge("fapilog_events_in_flight", container, report.in_flight)
        self._gauge("fapilog_queue_events", container, snapshot.queue_depth)
        self._gauge("fapilog_queue_events_max", container, snapshot.queue_high_water)
        self._gauge("fapilog_queue_capacity_events", container, snapshot.queue_capacity)
        self._gauge("fapilog_ready", container, int(health.ready))
        for name, sink in _few(report.sinks):
            self._add_sink((*container, name), sink)
        for name, state in _few(health.sinks):
            self._gauge("fapilog_sink_ready", (*container, name), int(state.ready))
            self._gauge("fapilog_sink_queue_batches", (*container, name), state.queue_depth)
        for family, histograms in (
            ("fapilog_sink_write_duration_seconds", snapshot.write_seconds),
            ("fapilog_sink_delivery_duration_seconds", snapshot.delivery_seconds),
        ):
            for name, histogram in _few(histograms):
                self._add_histogram(family, (*container, name), histogram)

    def _add_sink(self, labels: Labels, sink: SinkReport) -> None:
        for name in ("routed", "delivered", "deferred", "fallback_in", "fallback_out"):
            self._count(f"fapilog_sink_events_{name}", labels, getattr(sink, name))
        for name in ("dropped", "failed", "abandoned"):
            self._count_each(f"fapilog_sink_events_{name}", labels, getattr(sink, name))
        self._count("fapilog_sink_retries", labels, sink.retries)
        self._count("fapilog_sink_events_duplicated", labels, sink.duplicates)
        self._count("fapilog_sink_events_outcome_unknown", labels, sink.outcome_unknown)
        self._count("fapilog_sink_events_withheld", labels, sink.withheld)
        self._gauge("fapilog_sink_events_in_flight", labels, sink.in_flight)

    def _count(self, name: str, labels: Labels, value: int) -> None:
        self._add(name, labels, self._highest.of(name, labels, value))

    def _count_each(self, name: str, labels: Labels, values: Mapping[str, int]) -> None:
        shown: dict[str, int] = {}
        for position, (label, value) in enumerate(values.items()):
            label = label[:200] if position < _MOST_VALUES - 1 else _OTHER
            shown[label] = shown.get(label, 0) + value
        for label, value in shown.items():
            self._count(name, (*labels, label), value)

    def _gauge(self, name: str, labels: Labels, value: int) -> None:
        self._add(name, labels, value)

    def _add(self, name: str, labels: Labels, value: int) -> None:
        family = self._families[name]
        assert isinstance(family, (CounterMetricFamily, GaugeMetricFamily))
        family.add_metric(labels, value)

    def _add_histogram(self, name: str, labels: Labels, histogram: HistogramSnapshot) -> None:
        family = self._families[name]
        assert isinstance(family, HistogramMetricFamily)
        bounds = [*map(str, BUCKETS), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.sum)


def _few(values: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    """Yield the first sinks, under names that are short."""
    for name, value in islice(values.items(), _MOST_VALUES):
        yield name[:200], value


_COUNTERS: tuple[tuple[str, str, Labels], ...] = (
    ("fapilog_events_submitted", "Calls at an enabled level, however they ended.", ()),
    ("fapilog_events_created", "Events made by processors, and summaries of losses.", ()),
    ("fapilog_events_rejected", "Events refused by rule.", ("reason",)),
    ("fapilog_events_dropped", "Events lost for lack of room before they reached the sinks.", ("reason",)),
    ("fapilog_events_filtered", "Events that a filter did not keep.", ("filter",)),
    ("fapilog_events_merged", "Events that a processor took out or merged into others.", ()),
    ("fapilog_events_unrouted", "Events that no sink was there for.", ()),
    ("fapilog_events_dispatched", "Events handed to the sinks.", ()),
    ("fapilog_events_abandoned", "Events given up at the deadline before they reached the sinks.", ("reason",)),
    ("fapilog_events_withheld", "Events whose content was withheld because a redactor failed.", ("plugin",)),
    ("fapilog_calls_confirmed", "Calls whose event every required sink has delivered.", ()),
    ("fapilog_calls_not_confirmed", "Calls that waited for that in vain, or were refused.", ("state",)),
    ("fapilog_values_redacted", "What redactors have hidden, and could not look at.", ("plugin", "reason")),
    ("fapilog_plugin_errors", "Failures of filters, enrichers, processors and redactors.", ("plugin",)),
    ("fapilog_sink_events_routed", "Events meant for the sink.", ("sink",)),
    ("fapilog_sink_events_delivered", "Events for which the sink returned success in time.", ("sink",)),
    ("fapilog_sink_events_dropped", "Events that did not enter the sink's stream.", ("sink", "reason")),
    ("fapilog_sink_events_failed", "Events whose write failed for good.", ("sink", "reason")),
    ("fapilog_sink_events_abandoned", "Events given up at the deadline.", ("sink", "reason")),
    ("fapilog_sink_events_deferred", "Events kept for a later run.", ("sink",)),
    ("fapilog_sink_events_fallback_in", "Events taken over from other sinks.", ("sink",)),
    ("fapilog_sink_events_fallback_out", "Events handed to the sink's fallback.", ("sink",)),
    ("fapilog_sink_events_duplicated", "Events that a retry may have written a second time.", ("sink",)),
    ("fapilog_sink_events_outcome_unknown", "Events whose write was cut off and may have landed.", ("sink",)),
    ("fapilog_sink_events_withheld", "Events whose content the sink's own redactors withheld.", ("sink",)),
    ("fapilog_sink_retries", "Attempts after the first.", ("sink",)),
)
"""Name without ``_total``, help text, labels."""

_GAUGES: tuple[tuple[str, str, Labels], ...] = (
    ("fapilog_ready", "Whether every event that is logged now can reach its required sinks.", ()),
    ("fapilog_events_in_flight", "Events that have no outcome yet.", ()),
    (
        "fapilog_events_not_awaited",
        "Events dropped because a call that found no room was not awaited; a call that is awaited later leaves it.",
        (),
    ),
    ("fapilog_queue_events", "Events that wait in the intake.", ()),
    ("fapilog_queue_events_max", "The most events that waited in the intake at once.", ()),
    ("fapilog_queue_capacity_events", "Events that the intake can hold.", ()),
    ("fapilog_sink_ready", "Whether nothing keeps the sink from taking events.", ("sink",)),
    ("fapilog_sink_queue_batches", "Batches that wait in the sink's stream.", ("sink",)),
    ("fapilog_sink_events_in_flight", "Events handed to the sink that have no outcome yet.", ("sink",)),
)

_HISTOGRAMS: tuple[tuple[str, str, Labels], ...] = (
    ("fapilog_sink_write_duration_seconds", "How long the sink's successful writes took.", ("sink",)),
    (
        "fapilog_sink_delivery_duration_seconds",
        "How long the oldest event of each write took from its call to the sink's success.",
        ("sink",),
    ),
)

__all__ = ("PrometheusCollector",)
