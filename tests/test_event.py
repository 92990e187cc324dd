"""LogEvent and Level: what plugins and sinks read, and how an event may be changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from fapilog import Level, LogEvent
from fapilog.event import DEFAULT_SEVERITY, NO_AMBIENT, Ambient, Extras, Origin, Record, events_of
from fapilog.values import FrozenDict


def _record(**changes: object) -> Record:
    parts: dict[str, object] = {
        "time_ns": 1_700_000_000_123_456_789,
        "level": 30,
        "message": "slow",
        "fields": {"user": 7},
        "origin": Origin("api.db", "shop", "c0ffee00", FrozenDict({"pool": "main", "region": "eu"})),
        "ambient": Ambient(FrozenDict({"request_id": "r-1", "region": "us"}), "r-1"),
        "task": "main",
        "extras": None,
    }
    parts.update(changes)
    return tuple(parts.values())  # type: ignore[return-value]


def test_a_record_becomes_an_event_with_the_documented_types() -> None:
    event = LogEvent.from_record(_record(), 42)
    assert (event.message, event.level, event.severity, event.source, event.logger) == (
        "slow", "WARNING", 5, "shop", "api.db",
    )  # fmt: skip
    assert event.timestamp == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert event.timestamp.tzinfo is UTC
    assert (event.task, event.sequence, event.correlation_id, event.container_id) == ("main", 42, "r-1", "c0ffee00")
    assert event.fields == {"user": 7} and isinstance(event.fields, dict)
    assert event.tags == {} and isinstance(event.tags, dict)
    assert event.metrics == {} and isinstance(event.metrics, dict)
    assert event.exception is None


def test_bound_fields_stand_over_the_ambient_context_and_the_calls_own_over_both() -> None:
    extras = Extras(context=FrozenDict({"callsite": "here", "pool": "call"}), severity=9)
    event = LogEvent.from_record(_record(extras=extras))
    assert event.context == {"request_id": "r-1", "region": "eu", "pool": "call", "callsite": "here"}
    assert event.severity == 9


def test_the_mappings_are_read_only_and_add_freezes_what_it_adds() -> None:
    event = LogEvent.from_record(_record(ambient=NO_AMBIENT))
    with pytest.raises(TypeError, match="read-only"):
        event.fields["user"] = 8
    mutable = [1, 2]
    event.add(tags={"team": 5}, context={"a": mutable}, metrics={"ms": 3}, fields={"b": mutable})  # type: ignore[dict-item]
    mutable.append(3)
    assert event.tags == {"team": "5"}
    assert event.metrics == {"ms": 3.0}
    assert event.context["a"] == event.fields["b"] == (1, 2)
    assert event.fields["user"] == 7


def test_attributes_can_be_assigned_until_the_event_is_sealed() -> None:
    event = LogEvent("one", "error", fields={"a": 1}, tags={"t": "x"}, context={"c": 1}, metrics={"m": 1.0})
    event.message = "two"
    event.severity = 1
    event.fields = {"b": [1]}
    event.tags = {}
    event.context = {}
    event.metrics = {}
    event.correlation_id = "c-1"
    event.exception = {"type": "ValueError"}
    assert (event.message, event.severity, event.fields) == ("two", 1, {"b": (1,)})
    event._sealed = True
    for name in ("message", "severity", "fields", "tags", "context", "metrics", "correlation_id", "exception"):
        with pytest.raises(AttributeError, match="read-only after redaction"):
            setattr(event, name, getattr(event, name))
    with pytest.raises(AttributeError, match="read-only"):
        event.add(fields={"c": 1})


def test_a_copy_is_writable_and_leaves_the_original_alone() -> None:
    event = LogEvent("one", fields={"a": 1})
    event._sealed = True
    copy = event.copy()
    copy.add(fields={"b": 2})
    assert event.fields == {"a": 1}
    assert copy.fields == {"a": 1, "b": 2}
    assert "one" in repr(copy)


def test_a_given_timestamp_is_kept_in_utc_to_the_microsecond() -> None:
    zone = timezone(timedelta(hours=2))
    event = LogEvent("x", timestamp=datetime(2026, 1, 1, 2, 0, 0, 1, zone))
    assert event.timestamp == datetime(2026, 1, 1, 0, 0, 0, 1, UTC)
    assert event.time_ns % 1000 == 0
    with pytest.raises(ValueError, match="time zone"):
        LogEvent("x", timestamp=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ("debug", Level.DEBUG), (" Info ", Level.INFO), ("WARN", Level.WARNING), ("fatal", Level.CRITICAL),
        (10, Level.DEBUG), (29, Level.INFO), (45, Level.ERROR), (99, Level.CRITICAL), (10**30, Level.CRITICAL),
        (Level.ERROR, Level.ERROR),
    ],
)  # fmt: skip
def test_levels_are_parsed_from_names_and_numbers(given: str | int, level: Level) -> None:
    assert Level.parse(given) is level


@pytest.mark.parametrize("given", ["loud", "", 9, 0, -10, True, None, 20.5])
def test_what_is_no_level_is_refused_with_the_names_there_are(given: object) -> None:
    with pytest.raises(ValueError, match="use one of DEBUG, INFO, WARNING, ERROR, CRITICAL"):
        Level.parse(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("severity", [0, 11, True, "5", 2.5])
def test_a_severity_outside_1_to_10_is_refused(severity: object) -> None:
    with pytest.raises(ValueError, match="from 1 to 10"):
        LogEvent("x", severity=severity)  # type: ignore[arg-type]


def test_what_plugins_change_leaves_the_record_and_its_other_events_alone() -> None:
    item = _record(extras=Extras(tags=FrozenDict(team="a"), correlation_id=None))
    before = LogEvent.from_record(item)
    changed, other = events_of([item, item])
    changed.message = "other"
    changed.correlation_id = "c-2"
    changed.severity = 9
    changed.add(tags={"more": "b"}, metrics={"m": 1}, fields={"f": 2}, context={"k": 3})
    changed.add(context={"k": 4, "l": 5})
    assert changed.tags == {"team": "a", "more": "b"}
    assert (changed.message, changed.correlation_id, changed.severity) == ("other", "c-2", 9)
    assert changed.context == {**before.context, "k": 4, "l": 5}
    for event in (before, other):
        assert (event.message, event.severity) == (item[2], DEFAULT_SEVERITY[item[1]])
        assert event.correlation_id == item[5].correlation_id
        assert event.tags == {"team": "a"}
        assert event.metrics == {}
        assert "f" not in event.fields
        assert "k" not in event.context


def test_a_context_that_is_added_to_before_and_after_it_is_read_is_one() -> None:
    read, unread = events_of([_record(), _record()])
    assert read.context == LogEvent.from_record(_record()).context
    for event in (read, unread):
        event.add(context={"a": 1})
        copy = event.copy()
        copy.add(context={"b": 2})
        event.add(context={"a": 2})
        assert event.context["a"] == 2
        assert "b" not in event.context
        assert (copy.context["a"], copy.context["b"]) == (1, 2)
    assert read.context == unread.context
    assert list(read.context) == list(unread.context)
    with pytest.raises(TypeError, match="read-only"):
        unread.context["c"] = 3
