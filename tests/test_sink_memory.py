"""The memory sink and the null sink."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from fapilog.event import LogEvent
from fapilog.plugins import Batch, Sink
from fapilog.sinks.memory import MemoryConfig, MemorySink
from fapilog.sinks.null import NullSink


def batch_of(*messages: str) -> Batch:
    return Batch([LogEvent(message) for message in messages], 0, {})


@pytest.mark.parametrize("sink", [MemorySink(), NullSink()], ids=["memory", "null"])
def test_it_is_a_sink_that_needs_no_thread(sink: Sink) -> None:
    assert isinstance(sink, Sink)
    assert sink.blocking is False  # type: ignore[attr-defined]
    assert sink.write(batch_of("one")) is None


def test_the_events_are_kept_in_order() -> None:
    sink = MemorySink()
    first, second = batch_of("one", "two"), batch_of("three")
    sink.write(first)
    sink.write(second)
    assert sink.events == first.events + second.events
    assert sink.messages == ("one", "two", "three")
    assert sink.total == 3


def test_only_the_last_events_are_kept_and_all_are_counted() -> None:
    sink = MemorySink(MemoryConfig(max_events=2))
    sink.write(batch_of("one", "two", "three"))
    assert sink.messages == ("two", "three")
    sink.write(batch_of("four"))
    assert sink.messages == ("three", "four")
    assert sink.total == 4
    assert repr(sink) == "<MemorySink 2 of 4 events kept>"


def test_a_thousand_events_are_kept_by_default() -> None:
    sink = MemorySink()
    sink.write(batch_of(*map(str, range(1001))))
    assert (sink.messages[0], len(sink.events)) == ("1", 1000)


def test_clearing_forgets_the_events_and_not_the_count() -> None:
    sink = MemorySink()
    sink.write(batch_of("one"))
    sink.clear()
    assert sink.events == ()
    assert sink.total == 1
    sink.write(batch_of("two"))
    assert sink.messages == ("two",)


@pytest.mark.parametrize("max_events", [0, -1])
def test_a_size_below_one_is_refused(max_events: int) -> None:
    with pytest.raises(ValueError, match="max_events"):
        MemoryConfig(max_events=max_events)


def test_reading_while_another_thread_writes_sees_whole_snapshots() -> None:
    sink = MemorySink(MemoryConfig(max_events=500))
    batch = batch_of(*map(str, range(100)))
    enough = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not enough.is_set():
            sink.write(batch)
            written += 100

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            messages = [int(message) for message in sink.messages]
            assert len(messages) <= 500
            assert all(later == (earlier + 1) % 100 for earlier, later in pairwise(messages))
    finally:
        enough.set()
        writer.join()
    assert sink.total == written
