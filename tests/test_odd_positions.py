"""Odd values in every position of a call: each gives exactly one line of strict JSON, and no exception."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from time import thread_time
from typing import Any

import anyio
import pytest

import fapilog
from odd_values import ODD_VALUES
from time_bounds import slowness, within_a_time

LIMIT = 16_384
MOST_SECONDS = 0.005
"""What a call may take of its caller's processor time, whatever it is given."""


def _key(value: Any) -> dict[Any, Any]:
    try:
        return {value: "value of an odd key"}
    except Exception:  # unhashable; then a pair that holds it is what can be a key's neighbour
        return {"unhashable": value}


def _raise(value: Any) -> None:
    error = ValueError(value)
    error.add_note("with a note")
    raise error


async def _as_field(log: fapilog.AsyncLogger, value: Any) -> None:
    await log.info("m", odd=value)


async def _as_nested(log: fapilog.AsyncLogger, value: Any) -> None:
    await log.info("m", odd={"list": [1, (value, {"deep": value})]})


async def _as_key(log: fapilog.AsyncLogger, value: Any) -> None:
    await log.info("m", odd=_key(value))


async def _as_bound(log: fapilog.AsyncLogger, value: Any) -> None:
    await log.bind(odd=value).info("m")


async def _as_context(log: fapilog.AsyncLogger, value: Any) -> None:
    with log.context(odd=value, correlation_id=value):
        await log.info("m")


async def _as_tag(log: fapilog.AsyncLogger, value: Any) -> None:
    await log.info("m", tags={"odd": value}, metrics={"odd": value}, severity=value)


async def _as_tags(log: fapilog.AsyncLogger, value: Any) -> None:
    await log.info("m", tags=value, metrics=value, exc_info=value)


async def _as_message(log: fapilog.AsyncLogger, value: Any) -> None:
    await log.info(value)


async def _as_exception_argument(log: fapilog.AsyncLogger, value: Any) -> None:
    try:
        _raise(value)
    except ValueError:
        await log.exception("m")


async def _as_level(log: fapilog.AsyncLogger, value: Any) -> None:
    await log.log(value, "m")


POSITIONS: dict[str, Callable[[fapilog.AsyncLogger, Any], Any]] = {
    "field": _as_field,
    "nested": _as_nested,
    "key": _as_key,
    "bound": _as_bound,
    "context": _as_context,
    "tag": _as_tag,
    "tags": _as_tags,
    "message": _as_message,
    "exception argument": _as_exception_argument,
}


def _strict(line: bytes) -> dict[str, Any]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in found]
        assert len(keys) == len(set(keys)), f"a key twice in {keys}"
        return dict(found)

    def constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    value: dict[str, Any] = json.loads(line, object_pairs_hook=pairs, parse_constant=constant)
    return value


@pytest.mark.untraced
@pytest.mark.parametrize("position", POSITIONS, ids=lambda name: name.replace(" ", "_"))
async def test_odd_values_give_one_valid_line_each(position: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.log"
    settings = {
        "sinks": ["file"],
        "plugin_config": {"file": {"path": str(path)}},
        "max_event_bytes": LIMIT,
        "queue_max_size": 1000,
    }
    async with fapilog.container(settings) as log:
        for make in ODD_VALUES.values():
            await POSITIONS[position](log, make())
    report = log.container.report
    assert report is not None
    assert report.complete and report.balanced
    assert report.sinks["file"].delivered == len(ODD_VALUES)
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == len(ODD_VALUES) >= 100
    for line, (name, sequence) in zip(lines, zip(ODD_VALUES, range(1, 1000), strict=False), strict=True):
        event = _strict(line)
        assert event["sequence"] == sequence, name
        assert len(line) < LIMIT, name


async def test_an_odd_level_is_logged_at_info_and_marked(tmp_path: Path) -> None:
    events: list[fapilog.LogEvent] = []

    async def keep(batch: Any) -> None:
        events.extend(batch.events)

    async with fapilog.container({"level": "DEBUG"}, sinks=[keep]) as log:
        for make in ODD_VALUES.values():
            await _as_level(log, make())
    assert len(events) == len(ODD_VALUES)
    marked = [event for event in events if "level" in event.tags.get("fapilog.repaired", "")]
    assert all(event.level == "INFO" for event in marked)
    assert len(marked) > len(ODD_VALUES) // 2


async def test_a_keyboard_interrupt_from_a_value_passes_and_the_logger_goes_on() -> None:
    class Interrupts:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    messages: list[str] = []

    async def keep(batch: Any) -> None:
        messages.extend(event.message for event in batch.events)

    async with fapilog.container(sinks=[keep]) as log:
        with pytest.raises(KeyboardInterrupt):
            log.info("interrupted", odd=Interrupts())
        await log.info("after")
        await anyio.lowlevel.checkpoint()
    assert messages == ["after"]
    report = log.container.report
    assert report is not None and report.balanced and report.submitted == 1


def _seconds_of_hashing(value: Any) -> float:
    """Return how long the caller's own dict takes with *value* as a key, before there is a call."""
    began = thread_time()
    try:
        hash(value)
    except Exception:
        return 0.0
    return thread_time() - began


@pytest.mark.untraced
@within_a_time
@pytest.mark.parametrize("position", POSITIONS, ids=lambda name: name.replace(" ", "_"))
async def test_bd6_bd11_bd19_no_value_takes_the_caller_more_than_5_ms(position: str, times: int) -> None:
    most = MOST_SECONDS * times

    async def took(value: Any) -> float:
        began = thread_time()
        await POSITIONS[position](log, value)
        return thread_time() - began

    slow = {}
    async with fapilog.container({"sinks": ["null"], "queue_max_size": 10_000}) as log:
        for name, make in ODD_VALUES.items():
            value = make()
            own = _seconds_of_hashing(value) if position == "key" else 0.0
            taken = [await took(value) - own]
            # The first call of a kind imports what it needs, and any may meet the garbage collector, or a slow machine.
            while min(taken) > most and len(taken) < 30:
                slower = slowness()
                taken.append((await took(value) - own) / slower)
            if min(taken) > most:
                slow[name] = min(taken)
    assert not slow
