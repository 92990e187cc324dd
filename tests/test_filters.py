"""The built-in filters, one by one: what each keeps, what it tells of the rest, and how much it remembers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog import ConfigurationError, Level, LogEvent
from fapilog.filters._keys import MOST_NAMES, key_reader
from fapilog.filters.deduplicate import DeduplicateConfig, DeduplicateFilter
from fapilog.filters.expression import ExpressionConfig, ExpressionFilter
from fapilog.filters.first_occurrence import FirstOccurrenceConfig, FirstOccurrenceFilter
from fapilog.filters.first_then_every import FirstThenEveryConfig, FirstThenEveryFilter
from fapilog.filters.level import LevelConfig, LevelFilter
from fapilog.filters.rate_limit import RateLimitConfig, RateLimitFilter
from fapilog.filters.sample import SampleConfig, SampleFilter
from fapilog.plugins import Filter, PluginRegistry, PluginType, Removed
from fapilog.testing import check_plugin

NAMES = ("deduplicate", "expression", "first_occurrence", "first_then_every", "level", "rate_limit", "sample")


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def event(message: str = "m", level: str = "INFO", **parts: Any) -> LogEvent:
    return LogEvent(message, level, **parts)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_known_by_name_and_has_metadata_and_a_schema(name: str) -> None:
    registry = PluginRegistry()
    metadata = registry.metadata(PluginType.FILTER, name)
    assert metadata.name == name
    assert metadata.plugin_type is PluginType.FILTER
    assert metadata.configuration_schema["additionalProperties"] is False
    assert registry.names(PluginType.FILTER) == NAMES


@pytest.mark.parametrize(
    "made",
    [
        LevelFilter(),
        DeduplicateFilter(),
        FirstOccurrenceFilter(),
        FirstThenEveryFilter(),
        RateLimitFilter(RateLimitConfig(rate=1)),
        SampleFilter(SampleConfig(rate=1)),
        ExpressionFilter(ExpressionConfig(keep="message")),
    ],
    ids=lambda made: type(made).__name__,
)
def test_each_is_a_filter_that_works_without_a_pipeline(made: Filter) -> None:
    assert isinstance(made, Filter)
    assert made.keep(event()) is True


# -- level


def test_the_level_filter_goes_by_the_nearest_logger_that_has_a_level() -> None:
    levels = LevelFilter(LevelConfig(level="warning", levels={"app": "INFO", "app.db": "error"}))
    assert levels.keep(event(level="WARNING"))
    assert not levels.keep(event(level="INFO"))
    assert levels.keep(event(level="INFO", logger="app"))
    assert levels.keep(event(level="INFO", logger="app.web"))
    assert not levels.keep(event(level="DEBUG", logger="app.web"))
    assert levels.keep(event(level="INFO", logger="app.dbx"))
    removed = levels.keep(event(level="WARNING", logger="app.db.pool"))
    assert type(removed) is Removed and removed.reason == "app.db"
    assert levels.keep(event(level="ERROR", logger="app.db.pool"))


@pytest.mark.parametrize("text", ["warning,app=info,app.db=error", " WARN , app = info,app.db=ERROR,"])
def test_levels_may_be_one_text(text: str) -> None:
    assert LevelConfig(levels=text).levels == {"": "WARNING", "app": "INFO", "app.db": "ERROR"}
    assert not LevelFilter(LevelConfig(levels=text)).keep(event())


@pytest.mark.parametrize("levels", ["app=loud", "=info", "a..b=info", "info,debug", "a=info,a=debug", {"": "INFO"}, 5])
def test_levels_that_are_none_are_refused(levels: Any) -> None:
    with pytest.raises(ConfigurationError, match="levels"):
        LevelConfig(levels=levels)


@given(st.sampled_from(list(Level)), st.sampled_from(["", "a", "a.b", "a.b.c", "x"]))
def test_the_level_filter_says_the_same_of_records_as_of_events(level: Level, logger: str) -> None:
    levels = LevelFilter(LevelConfig(levels="error,a=info,a.b=debug"))
    least = {"": 40, "a": 20, "a.b": 10, "a.b.c": 10, "x": 40}[logger]
    assert bool(levels.keep(event(level=level.name, logger=logger))) is (level >= least)
    assert bool(levels.keep_record(level, logger)) is (level >= least)


def test_the_level_filter_does_not_remember_every_name_there_ever_was() -> None:
    levels = LevelFilter(LevelConfig(level="INFO"))
    for number in range(20_000):
        assert not levels.keep_record(Level.DEBUG, f"request.{number}")
    assert len(levels._leasts) <= 10_000


# -- expression


def test_the_expression_filter_keeps_or_drops() -> None:
    found = event("found", fields={"path": "/health"})
    other = event("other", "DEBUG", fields={"path": "/"})
    assert [ExpressionFilter(ExpressionConfig(drop="path == '/health'")).keep(one) for one in (found, other)] == [
        False,
        True,
    ]
    assert [ExpressionFilter(ExpressionConfig(keep="level >= info")).keep(one) for one in (found, other)] == [
        True,
        False,
    ]
    both = ExpressionFilter(ExpressionConfig(keep="exists path", drop="level < info"))
    assert [both.keep(one) for one in (found, other, event())] == [True, False, False]


def test_the_expression_filter_tells_where_a_condition_is_wrong() -> None:
    assert ExpressionFilter().keep(event()), "without a condition it keeps everything"
    with pytest.raises(ConfigurationError, match="at character 3"):
        ExpressionConfig(keep="a = 1")


# -- sample


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.25, 0.5, 1.0])
def test_a_share_of_the_events_is_kept_and_each_carries_it(rate: float) -> None:
    sample = SampleFilter(SampleConfig(rate=rate))
    events = [event(correlation_id=f"r-{number}") for number in range(4000)]
    kept = [one for one in events if sample.keep(one)]
    assert abs(len(kept) - rate * 4000) <= 4 * math.sqrt(rate * (1 - rate) * 4000)
    assert all(one.metrics == ({"sample_rate": rate} if rate < 1 else {}) for one in kept)
    assert not any(one.metrics for one in events if one not in kept)


@given(st.text(min_size=1, max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_an_id_decides_the_same_everywhere_and_a_higher_rate_keeps_more(given: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    first = SampleFilter(SampleConfig(rate=low)).keep(event("a", correlation_id=given))
    assert SampleFilter(SampleConfig(rate=low)).keep(event("b", correlation_id=given)) is first
    assert SampleFilter(SampleConfig(rate=low, by=["correlation_id"])).keep(event(correlation_id=given)) is first
    assert SampleFilter(SampleConfig(rate=high)).keep(event("c", correlation_id=given)) or not first


@pytest.mark.parametrize(
    ("trace_id", "kept"),
    # Of a trace id the last 56 bits decide, as they do for OpenTelemetry: a quarter is kept from 0.75 on.
    [("f" * 18 + "c" + "0" * 13, True), ("f" * 18 + "b" + "f" * 13, False), ("0" * 18 + "ff" + "0" * 12, True)],
)
def test_a_trace_id_decides_as_it_does_in_other_programs(trace_id: str, kept: bool) -> None:
    sample = SampleFilter(SampleConfig(rate=0.25))
    assert sample.keep(event(context={"trace_id": trace_id}, correlation_id="any")) is kept
    assert SampleFilter(SampleConfig(rate=0.25, by=["context.trace_id"])).keep(
        event(context={"trace_id": trace_id})
    ) is kept  # fmt: skip


def test_without_an_id_each_event_is_decided_by_itself() -> None:
    numbers = iter([0.1, 0.9, 0.49, 0.5])
    sample = SampleFilter(SampleConfig(rate=0.5), random_number=lambda: next(numbers))
    assert [sample.keep(event()) for _ in range(4)] == [True, False, True, False]


def test_rates_that_came_before_are_taken_into_account() -> None:
    independent, by_id = event(metrics={"sample_rate": 0.5}), event(metrics={"sample_rate": 0.2}, correlation_id="r-2")
    assert SampleFilter(SampleConfig(rate=0.5), random_number=lambda: 0.0).keep(independent)
    assert independent.metrics == {"sample_rate": 0.25}
    assert SampleFilter(SampleConfig(rate=0.9)).keep(by_id)
    assert by_id.metrics == {"sample_rate": 0.2}


def test_errors_are_always_kept_unless_it_is_told_otherwise() -> None:
    for level in ("ERROR", "CRITICAL"):
        one = event(level=level)
        assert SampleFilter(SampleConfig(rate=0)).keep(one)
        assert not one.metrics
        assert not SampleFilter(SampleConfig(rate=0, keep_errors=False)).keep(one)
    assert not SampleFilter(SampleConfig(rate=0)).keep(event(level="WARNING"))


def test_events_that_do_not_meet_the_condition_are_kept() -> None:
    when = "message == 'a'"
    filters: list[Filter] = [
        SampleFilter(SampleConfig(rate=0, when=when)),
        RateLimitFilter(RateLimitConfig(rate=0.001, when=when)),
        FirstThenEveryFilter(FirstThenEveryConfig(first=0, every=0, when=when)),
        FirstOccurrenceFilter(FirstOccurrenceConfig(when=when, by=[])),
        DeduplicateFilter(DeduplicateConfig(when=when)),
    ]
    for made in filters:
        made.keep(event("a"))
        assert not made.keep(event("a"))
        assert [made.keep(event("b")) for _ in range(3)] == [True] * 3


# -- rate_limit


def limiter(clock: Clock, **config: Any) -> RateLimitFilter:
    made = RateLimitFilter(RateLimitConfig(**config))
    made.use_clock(clock)
    return made


def test_a_burst_passes_and_then_the_rate() -> None:
    clock = Clock()
    limit = limiter(clock, rate=2, burst=3)
    assert [limit.keep(event()) for _ in range(5)] == [True, True, True, False, False]
    clock.now += 0.5
    assert [limit.keep(event()) for _ in range(2)] == [True, False]
    clock.now += 100
    assert [limit.keep(event()) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("rate", "burst"), [(0.1, 1), (1, 1), (2.5, 3), (100, 100)])
def test_the_burst_is_what_comes_in_a_second_by_default(rate: float, burst: int) -> None:
    limit = limiter(Clock(), rate=rate)
    assert [bool(limit.keep(event())) for _ in range(burst + 1)] == [True] * burst + [False]


def test_each_key_has_a_limit_of_its_own_and_a_logger_is_told() -> None:
    limit = limiter(Clock(), rate=1, by=["logger"])
    assert limit.keep(event(logger="api"))
    assert limit.keep(event(logger="db"))
    removed = limit.keep(event(logger="api"))
    assert type(removed) is Removed and removed.reason == "api"
    secret = limiter(Clock(), rate=1, by=["fields.user"])
    assert secret.keep(event(fields={"user": "ann"}))
    assert secret.keep(event(fields={"user": "ann"})) is False
    many = limiter(Clock(), rate=0.001, by=["logger"])
    told = [[many.keep(event(logger=f"l{number}")) for _ in range(2)][1] for number in range(50)]
    assert len({one.reason for one in told if type(one) is Removed}) == 20
    assert not any(told)


@given(
    st.floats(0.1, 50),
    st.integers(1, 20),
    st.lists(st.tuples(st.floats(0, 3) | st.just(0.0), st.sampled_from("ab")), max_size=80),
)
def test_never_more_than_the_burst_and_the_rate_in_any_time(
    rate: float, burst: int, calls: Sequence[tuple[float, str]]
) -> None:
    clock = Clock()
    limit = limiter(clock, rate=rate, burst=burst, by=["message"])
    kept: dict[str, list[float]] = {"a": [], "b": []}
    removed: dict[str, list[float]] = {"a": [], "b": []}
    for pause, key in calls:
        clock.now += pause
        (kept if limit.keep(event(key)) else removed)[key].append(clock.now)
    for times in kept.values():
        for first, began in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= burst + rate * (times[last] - began) + 1e-3
    for key, times in removed.items():
        # Nothing is removed needlessly: in some time before it as many were kept as may be.
        for at in times:
            assert any(
                sum(began <= time <= at for time in kept[key]) + 1 > burst + rate * (at - began) - 1e-3
                for began in kept[key]
            )


def test_the_keys_that_are_remembered_are_bounded_and_those_seen_last_stay() -> None:
    clock = Clock()
    limit = limiter(clock, rate=0.001, burst=1, by=["message"], max_keys=100)
    for number in range(30_000):
        assert limit.keep(event(str(number)))
        assert len(limit._full_at) <= 100
    assert not limit.keep(event("29999"))
    assert not limit.keep(event("29901"))
    assert limit.keep(event("0")), "a key that was forgotten has its burst again"


def test_buckets_that_are_full_are_forgotten() -> None:
    clock = Clock()
    limit = limiter(clock, rate=1, burst=1, by=["message"])
    for number in range(1000):
        limit.keep(event(str(number)))
    clock.now += 10
    for number in range(1000):
        limit.keep(event(f"new {number}"))
    assert len(limit._full_at) <= 1000


def test_a_clock_that_goes_back_does_not_stop_events_for_long() -> None:
    clock = Clock()
    limit = limiter(clock, rate=1, burst=2)
    assert [bool(limit.keep(event())) for _ in range(3)] == [True, True, False]
    clock.now -= 10_000
    limit.keep(event())
    clock.now += 2
    assert limit.keep(event())


# -- first_then_every and first_occurrence


def test_the_first_ones_and_then_every_so_many_th() -> None:
    clock = Clock()
    chosen = FirstThenEveryFilter(FirstThenEveryConfig(first=2, every=3, period=10))
    chosen.use_clock(clock)
    events = [event() for _ in range(9)]
    assert [chosen.keep(one) for one in events] == [True, True, False, False, True, False, False, True, False]
    assert [one.metrics.get("suppressed") for one in events] == [None, None, None, None, 2, None, None, 2, None]
    assert chosen.keep(event("another")), "each kind is counted for itself"
    assert chosen.keep(event(level="ERROR"))
    clock.now += 10
    later = event()
    assert chosen.keep(later)
    assert later.metrics == {"suppressed": 1}


def test_none_after_the_first_ones() -> None:
    chosen = FirstThenEveryFilter(FirstThenEveryConfig(first=1, every=0))
    assert [chosen.keep(event()) for _ in range(3)] == [True, False, False]


def test_the_first_occurrence_in_a_period() -> None:
    clock = Clock()
    first = FirstOccurrenceFilter(FirstOccurrenceConfig(period=5))
    first.use_clock(clock)
    assert [first.keep(event(one)) for one in "aab"] == [True, False, True]
    clock.now += 5
    assert [first.keep(event(one)) for one in "aab"] == [True, False, True]


@pytest.mark.parametrize("make", [
    lambda: FirstThenEveryFilter(FirstThenEveryConfig(max_keys=50, by=["message"])),
    lambda: FirstOccurrenceFilter(FirstOccurrenceConfig(max_keys=50)),
    lambda: DeduplicateFilter(DeduplicateConfig(max_keys=50)),
])  # fmt: skip
def test_what_is_remembered_is_bounded(make: Any) -> None:
    made = make()
    for number in range(20_000):
        assert made.keep(event(str(number)))
        assert len(made._periods) <= 50
    clock = Clock()
    made = make()
    made.use_clock(clock)
    for number in range(40):
        made.keep(event(str(number)))
    clock.now += 1e6
    for number in range(40):
        made.keep(event(f"new {number}"))
    assert len(made._periods) <= 40, "what is over is forgotten as new ones come"


# -- deduplicate


def deduplicate(clock: Clock, **config: Any) -> DeduplicateFilter:
    made = DeduplicateFilter(DeduplicateConfig(**config))
    made.use_clock(clock)
    return made


def test_a_repeat_is_removed_and_told_by_the_next_that_is_kept() -> None:
    clock = Clock()
    dedupe = deduplicate(clock, window=5)
    assert [dedupe.keep(event("a", fields={"x": 1})) for _ in range(3)] == [True, False, False]
    assert dedupe.keep(event("a", fields={"x": 2})), "another field makes another event"
    clock.now += 4.99
    assert not dedupe.keep(event("a", fields={"x": 1}))
    clock.now += 0.01
    last = event("a", fields={"x": 1})
    assert dedupe.keep(last)
    assert last.metrics == {"suppressed": 3}
    assert dedupe.summaries(False) == []
    assert dedupe.summaries(True) == []


def test_a_window_that_ends_is_told_by_an_event() -> None:
    clock = Clock()
    dedupe = deduplicate(clock, window=5)
    assert dedupe.next_summary is None
    dedupe.keep(event("a", "ERROR", logger="app", source="shop"))
    clock.now += 1
    dedupe.keep(event("b"))
    assert dedupe.next_summary is None, "nothing was removed yet"
    dedupe.keep(event("b"))
    dedupe.keep(event("a", "ERROR", logger="app", source="shop"))
    assert dedupe.next_summary == 1005
    assert dedupe.summaries(False) == []
    clock.now = 1005
    (summary,) = dedupe.summaries(False)
    assert (summary.message, summary.level, summary.logger, summary.source) == (
        "repeated events were left out", "ERROR", "app", "shop"
    )  # fmt: skip
    assert summary.fields == {"repeated": "a"}
    assert summary.metrics == {"suppressed": 1}
    assert dedupe.next_summary == 1006
    assert [one.fields for one in dedupe.summaries(True)] == [{"repeated": "b"}]
    assert dedupe.next_summary is None


def test_an_event_that_differs_in_its_exception_only_is_no_repeat() -> None:
    dedupe = deduplicate(Clock())
    assert dedupe.keep(event(exception={"type": "ValueError", "message": "a"}))
    assert dedupe.keep(event(exception={"type": "ValueError", "message": "b"}))
    assert dedupe.keep(event())
    assert not dedupe.keep(event(exception={"type": "ValueError", "message": "a"}))


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.0, 1.0, 2.5, -3.0]), st.integers(0, 6), st.booleans()), max_size=60),
    st.integers(1, 4),
)
def test_what_was_kept_and_what_was_told_is_all_there_was(
    steps: Sequence[tuple[float, int, bool]], max_keys: int
) -> None:
    clock = Clock()
    dedupe = deduplicate(clock, window=4, max_keys=max_keys)
    accounted: dict[str, float] = {}
    sent: dict[str, float] = {}
    summaries: list[LogEvent] = []
    for pause, kind, asks in steps:
        clock.now += pause
        one = event(str(kind))
        sent[one.message] = sent.get(one.message, 0) + 1
        if dedupe.keep(one):
            accounted[one.message] = accounted.get(one.message, 0) + 1 + one.metrics.get("suppressed", 0)
        if asks:
            summaries += dedupe.summaries(False)
    for summary in [*summaries, *dedupe.summaries(True)]:
        accounted[summary.fields["repeated"]] += summary.metrics["suppressed"]
    assert accounted == sent


# -- keys


ODD: tuple[Any, ...] = (
    None, True, 1, 2**64, 1.5, math.nan, math.inf, "", "x" * 100_000, "\ud800", "\0", (), (1, [2]), {"a": {"b": ()}},
    datetime(2026, 1, 1, tzinfo=UTC), b"bytes", object(), ["x"] * 5000,
)  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=lambda value: f"{type(value).__name__}")
def test_any_value_makes_a_small_key_and_the_same_one_each_time(value: Any) -> None:
    for by in (["x"], ["x", "message"], ["fields", "x", "level"]):
        read = key_reader(by)
        key = read(event(fields={"x": value}))
        assert read(event(fields={"x": value})) == key or type(value) is object
        assert len(repr(key)) < 1000
        assert hash(key) == hash(key)


def test_a_key_tells_values_apart() -> None:
    keys = {key_reader(["x"])(event(fields={"x": value})) for value in ODD}
    assert len(keys) == len(ODD) - 1, "only 1 and True are the same key"


@pytest.mark.parametrize("by", ["logger", [5], ["a b"], ["message.x"], ["'x'"], ["x"] * (MOST_NAMES + 1), [""]])
def test_names_that_are_none_are_refused(by: Any) -> None:
    with pytest.raises(ConfigurationError, match="by"):
        RateLimitConfig(rate=1, by=by)


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (RateLimitConfig, {"rate": 0}),
        (RateLimitConfig, {"rate": 1, "burst": 0}),
        (RateLimitConfig, {"rate": 1, "max_keys": 0}),
        (RateLimitConfig, {"rate": math.nan}),
        (SampleConfig, {"rate": 1.1}),
        (SampleConfig, {"rate": 0.5, "when": "("}),
        (SampleConfig, {"rate": 0.5, "keep_errors": "yes"}),
        (FirstThenEveryConfig, {"first": -1}),
        (FirstOccurrenceConfig, {"period": 0}),
        (DeduplicateConfig, {"window": 0}),
    ],
)
def test_settings_that_are_wrong_are_refused(config: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        config(**values)


MAKERS: dict[str, Any] = {
    "level": lambda: LevelFilter(LevelConfig(levels="error,app=info")),
    "deduplicate": DeduplicateFilter,
    "first_occurrence": FirstOccurrenceFilter,
    "first_then_every": lambda: FirstThenEveryFilter(FirstThenEveryConfig(first=1, every=2, by=["fields", "level"])),
    "rate_limit": lambda: RateLimitFilter(RateLimitConfig(rate=1, by=["logger"])),
    "sample": lambda: SampleFilter(SampleConfig(rate=0.5, by=["fields"])),
    "expression": lambda: ExpressionFilter(ExpressionConfig(drop="fields.user matches 'a' or level < info")),
}


@pytest.mark.parametrize("name", NAMES)
def test_each_conforms_to_what_the_pipeline_relies_on(name: str) -> None:
    check_plugin(MAKERS[name], "filter")
