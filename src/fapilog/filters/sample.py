"""The sample filter: keeps a share of the events, all or none of one request."""

from __future__ import annotations

import random
from collections.abc import Callable
from hashlib import blake2b
from typing import ClassVar

import attrs

from ..checks import CHECK, flag, number
from ..event import LogEvent
from ..plugins.metadata import PluginMetadata, PluginType
from ._keys import KeyReader, key_reader, names
from ._selective import SelectiveConfig

SAMPLE_RATE = "sample_rate"
"""The metric of a kept event that tells which share of its like is kept."""

_BITS = 56
"""Random bits of a trace id, its last ones, as W3C Trace Context Level 2 has it (section 2.2.2.4, "Random Trace ID
Flag"); OpenTelemetry's samplers compare these with the rate ("TraceState: Probability Sampling")."""
_DIGITS = _BITS // 4
_TRACE_ID_BYTES = 16


@attrs.frozen(kw_only=True)
class SampleConfig(SelectiveConfig):
    """What the sample filter can be told."""

    rate: float = attrs.field(metadata={CHECK: number(0, 1)})
    """The share of events that is kept, from 0 to 1."""
    by: list[str] = attrs.field(factory=list[str], metadata={CHECK: names})
    """Names of what tells events apart, as in an expression: all events with the same values are kept, or none is.
    Empty for the trace id in the context, else the correlation id. An event that has none is decided by itself."""
    keep_errors: bool = attrs.field(default=True, metadata={CHECK: flag})
    """Whether events at ERROR and above are always kept."""


class SampleFilter:
    """Keeps a share of the events; each that it keeps carries the share as the metric ``sample_rate``.

    So a count of kept events is scaled by adding up ``1 / sample_rate``. An event that carries a rate already gets the
    product, except that the same id decides the same everywhere, so that by ids the smaller one counts.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="sample", version="1.0.0", plugin_type=PluginType.FILTER, entry_point="fapilog.filters.sample:SampleFilter"
    )
    Config = SampleConfig

    def __init__(self, config: SampleConfig, *, random_number: Callable[[], float] = random.random) -> None:
        self._rate = config.rate
        self._when = config.condition
        self._kept_level = config.kept_level
        self._key: KeyReader = key_reader(config.by) if config.by else _id_of
        self._random_number = random_number
        self._least = round((1.0 - config.rate) * (1 << _BITS))
        """What the random bits of an id have to reach."""

    def keep(self, event: LogEvent) -> bool:
        if event.level_number >= self._kept_level or (self._when is not None and not self._when(event)):
            return True
        key = self._key(event)
        by_itself = key is None or key == ""
        if by_itself:
            if self._random_number() >= self._rate:
                return False
        elif _random_bits(key if type(key) is str else repr(key)) < self._least:
            return False
        before = event.metrics.get(SAMPLE_RATE, 1.0)
        rate = before * self._rate if by_itself else min(before, self._rate)
        if rate != before:
            event.add(metrics={SAMPLE_RATE: rate})
        return True


def _id_of(event: LogEvent) -> str:
    trace_id = event.context.get("trace_id")
    return trace_id if type(trace_id) is str and trace_id else event.correlation_id


def _random_bits(given: str) -> int:
    """Return the random bits of a trace id as they are, and those of a digest of anything else."""
    if len(given) == 2 * _TRACE_ID_BYTES:
        try:
            return int(given[-_DIGITS:], 16)
        except ValueError:
            pass
    return int.from_bytes(blake2b(given.encode("utf-8", "surrogatepass"), digest_size=_BITS // 8).digest(), "big")
