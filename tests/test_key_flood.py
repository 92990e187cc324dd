"""A flood of keys that a client chooses: what is remembered of them is bounded, and nobody else notices."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fapilog
from fapilog import Level, LogEvent, current_logger
from fapilog.filters.deduplicate import DeduplicateConfig, DeduplicateFilter
from fapilog.filters.first_occurrence import FirstOccurrenceConfig, FirstOccurrenceFilter
from fapilog.filters.first_then_every import FirstThenEveryConfig, FirstThenEveryFilter
from fapilog.filters.rate_limit import RateLimitConfig, RateLimitFilter
from fapilog.filters.sample import SampleConfig, SampleFilter
from fapilog.integrations._feed import Feed

pytestmark = pytest.mark.anyio

MOST_KEYS = 1_000
MOST_BYTES_FOR_A_KEY = 2_000
"""A key is kept up to 256 characters, and what is remembered of its events, a message say, up to 1,000."""

FILTERS: dict[str, Callable[[], Any]] = {
    "rate_limit": lambda: RateLimitFilter(RateLimitConfig(rate=1, burst=2, by=["fields.user"], max_keys=MOST_KEYS)),
    "rate_limit by logger": lambda: RateLimitFilter(
        RateLimitConfig(rate=1, burst=2, by=["logger"], max_keys=MOST_KEYS)
    ),
    "deduplicate": lambda: DeduplicateFilter(DeduplicateConfig(window=60, by=["fields.user"], max_keys=MOST_KEYS)),
    "first_occurrence": lambda: FirstOccurrenceFilter(
        FirstOccurrenceConfig(period=60, by=["fields.user"], max_keys=MOST_KEYS)
    ),
    "first_then_every": lambda: FirstThenEveryFilter(
        FirstThenEveryConfig(first=2, every=0, period=60, by=["fields.user", "logger"], max_keys=MOST_KEYS)
    ),
    "sample": lambda: SampleFilter(SampleConfig(rate=0.5, by=["fields.user"])),
}


def event(user: str, message: str = "failed login") -> LogEvent:
    return LogEvent(message, level=Level.INFO, fields={"user": user}, logger=user)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def remembered() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.untraced
@pytest.mark.parametrize(
    "number", [3_000, pytest.param(1_000_000, marks=[pytest.mark.torture, pytest.mark.timeout(900)])]
)
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.usefixtures("traced")
def test_se18_what_a_filter_remembers_of_a_flood_of_keys_is_bounded(name: str, number: int) -> None:
    kept = FILTERS[name]()
    now = 0.0
    if hasattr(kept, "use_clock"):
        kept.use_clock(lambda: now)
    before = remembered()
    for position in range(number):
        now += 1e-6
        kept.keep(event(f"{position}" + "x" * 600, "m" * 2_000))
    assert remembered() - before < MOST_KEYS * MOST_BYTES_FOR_A_KEY + 100_000


@pytest.mark.untraced
@pytest.mark.parametrize("name", [name for name in FILTERS if name != "sample"])
def test_se18_a_flood_of_one_key_costs_the_others_nothing(name: str) -> None:
    kept = FILTERS[name]()
    kept.use_clock(lambda: 0.0)
    flood = sum(bool(kept.keep(event("attacker"))) for _ in range(20_000))
    assert flood <= 2
    assert all(kept.keep(event(f"user-{number}")) is True for number in range(MOST_KEYS - 1))


@pytest.mark.parametrize("name", ["rate_limit", "rate_limit by logger"])
def test_se18_who_keeps_coming_is_limited_through_a_flood_of_other_keys(name: str) -> None:
    """The limit of one that is seen again and again is not forgotten for keys that come once."""
    kept = FILTERS[name]()
    now = 0.0
    kept.use_clock(lambda: now)
    passed = 0
    for position in range(4_000):
        now += 5e-5
        passed += bool(kept.keep(event("steady")) is True)
        for more in range(5):
            kept.keep(event(f"{position}-{more}"))
    assert passed <= 3  # the burst, and one for the fifth of a second


@pytest.mark.untraced
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"], indirect=True)
async def test_se18_a_container_remembers_a_bounded_part_of_whatever_a_client_chooses() -> None:
    """Names of loggers, keys of fields, tags and contexts, values, types of messages: new ones in each event."""
    settings = {
        "sinks": ["null"],
        "redactors": ["redact"],
        "levels": {"app": "DEBUG"},
        "filters": ["rate_limit", "deduplicate", "first_occurrence", "first_then_every", "level"],
        "plugin_config": {
            "rate_limit": {"rate": 1e6, "by": ["logger"], "max_keys": 100},
            "deduplicate": {"by": ["message", "fields"], "max_keys": 100},
            "first_occurrence": {"by": ["message"], "max_keys": 100},
            "first_then_every": {"by": ["message", "fields.user"], "max_keys": 100},
            "level": {"levels": {"app": "INFO"}},
        },
    }
    async with fapilog.container(settings) as log:
        feed = Feed(log.container)

        async def flood(first: int, number: int) -> None:
            for position in range(first, first + number):
                name = f"k{position}"
                with log.context(**{name: position, "request_id": name}):
                    named = current_logger().named(name)
                    await named.info(f"message {position}", **{name: name, "user": name, "tags": {name: name}})
                    feed.logger(name).warning(name)
            await log.flush()

        # Whatever fills up has filled up by then: the largest holds 10,000.
        await flood(0, 12_000)
        tracemalloc.start()
        try:
            before = remembered()
            await flood(12_000, 3_000)
            grown = remembered() - before
        finally:
            tracemalloc.stop()
    assert grown < 400_000  # caches that are emptied when they are full may be fuller than they were
    assert log.container.report is not None
    assert log.container.report.in_flight == 0
    assert len(log.container.report.filtered) < 50


async def test_se18_the_loggers_that_a_bridge_keeps_are_bounded() -> None:
    async with fapilog.container({"sinks": ["null"]}) as log:
        feed = Feed(log.container)
        for position in range(3_000):
            feed.logger(f"name-{position}")
        assert len(feed._loggers) == 1_000
