"""Health: whether a container and its sinks can do their work, and what keeps them from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs


@attrs.frozen(kw_only=True)
class SinkHealth:
    """Whether one sink takes events at this moment."""

    name: str
    required: bool
    """Whether the container is not ready without this sink."""
    reasons: tuple[str, ...]
    """What keeps the sink from taking events: ``not_started`` (its start failed), ``breaker_open`` (it failed several
    times in a row and is left alone), ``stalled`` (it takes nothing and keeps nobody waiting any longer)."""
    failures: int
    """How many attempts have failed in a row."""
    last_error: str
    """What the last failure said, at most 500 characters; empty if there was none. It may hold what a target said, so
    do not show it to everybody."""
    last_error_at: datetime | None
    """When that was, in UTC."""
    queue_depth: int
    """Batches that wait in the sink's stream."""
    queue_capacity: int
    """Batches that the stream can hold."""
    in_flight: int
    """Events that were handed to the sink and have no outcome yet."""
    fallback: str | None
    """The sink that gets what this one gives up."""

    @property
    def ready(self) -> bool:
        """Whether nothing keeps the sink from taking events."""
        return not self.reasons


@attrs.frozen(kw_only=True)
class HealthReport:
    """Whether a container can do its work at this moment."""

    container_id: str
    state: str
    """``not_started``, ``starting``, ``open``, ``closing`` (it drains), ``closed``, or ``dead`` (a child's copy after
    a fork)."""
    reasons: tuple[str, ...]
    """What keeps the container from being ready: its state if it is not open, ``queue_full``, and ``sink:`` with the
    name of each sink that is required, not ready, and without a fallback that is."""
    queue_depth: int
    """Events that wait in the intake."""
    queue_capacity: int
    sinks: Mapping[str, SinkHealth]

    @property
    def live(self) -> bool:
        """Whether the container works, or will: False once it has closed, and in a child after a fork."""
        return self.state not in ("closed", "dead")

    @property
    def ready(self) -> bool:
        """Whether every event that is logged now can reach its required sinks."""
        return not self.reasons


def health_report(
    *, container_id: str, state: str, queue_depth: int, queue_capacity: int, sinks: Iterable[SinkHealth]
) -> HealthReport:
    """Return the report on a container, with the reasons found out."""
    by_name = {sink.name: sink for sink in sinks}
    reasons: list[str] = []
    if state != "open":
        reasons.append(state)
    if queue_depth >= queue_capacity:
        reasons.append("queue_full")
    reasons += [f"sink:{sink.name}" for sink in by_name.values() if sink.required and not _is_served(sink, by_name)]
    return HealthReport(
        container_id=container_id,
        state=state,
        reasons=tuple(reasons),
        queue_depth=queue_depth,
        queue_capacity=queue_capacity,
        sinks=by_name,
    )


def _is_served(sink: SinkHealth, sinks: Mapping[str, SinkHealth]) -> bool:
    """Return whether the sink takes events, or one of those that they fall back to, one after the other."""
    seen: set[str] = set()
    following: SinkHealth | None = sink
    while following is not None and following.name not in seen:
        if following.ready:
            return True
        seen.add(following.name)
        following = sinks.get(following.fallback) if following.fallback is not None else None
    return False
