"""What a sink is put through: its life from start to aclose, batches of every sort, and cancellation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import PartialWriteError
from ...event import LogEvent
from ...plugins import Batch
from .driver import Driver, Outcome
from .findings import Findings, kind_of
from .samples import MANY, batch_of, content, odd_events, plain_event


async def examine_sink(
    sink: Any, unwritten: Any, findings: Findings, patience: float, given: Iterable[LogEvent]
) -> None:
    """Put a sink through everything it meets in a container.

    Parameters:
        sink: the sink; it is started, written to and closed.
        unwritten: another one, which is started and closed without a write.
        findings: where violations go.
        patience: seconds that a call may take.
        given: further events to write.
    """
    driver = Driver.of_sink(sink, patience)
    try:
        await _examine(driver, findings, list(given))
    finally:
        findings.doing = "ending"
        ended = await driver.close()
        if not ended:
            findings.say("leaks", "the task or thread that ran the sink could not be ended")
    driver = Driver.of_sink(unwritten, patience)
    try:
        await _call(driver, findings, "start", "start of a second instance")
        await _call(driver, findings, "aclose", "aclose without a write")
    finally:
        await driver.close()


async def _examine(driver: Driver, findings: Findings, given: list[LogEvent]) -> None:
    if not await _call(driver, findings, "start", "start"):
        return
    await _call(driver, findings, "flush", "flush before any write")
    batches: list[tuple[str, list[LogEvent]]] = [("one event", [plain_event()]), ("an empty batch", [])]
    batches += [(f"an event with {name}", [event]) for name, event in odd_events().items()]
    batches += [("the event given", [event.copy()]) for event in given]
    batches += [("all odd events", [*odd_events().values()])]
    batches += [(f"{MANY} events", [plain_event(number) for number in range(MANY)])]
    for name, events in batches:
        findings.doing = f"write of {name}"
        outcome = await _write(driver, findings, batch_of(events), f"write of {name}")
        if outcome.timed_out or (name == "one event" and outcome.error is not None):
            break  # the other batches would tell the same
        if name == "one event" and await findings.check_loop(driver, "write", _one, outcome):
            break
    else:
        findings.doing = "write"
        await findings.check_cancelling(driver, "write", _one)
        if "write" in driver.async_methods and not findings.has("cancellation"):
            await _write(driver, findings, *_one(), "write after a cancelled one")
    await _call(driver, findings, "flush", "flush")
    await _call(driver, findings, "flush", "flush when there is nothing to flush")
    await _call(driver, findings, "aclose", "aclose")
    await _call(driver, findings, "aclose", "a second aclose")


def _one() -> tuple[Batch]:
    return (batch_of([plain_event()]),)


async def _write(driver: Driver, findings: Findings, batch: Batch, what: str) -> Outcome:
    events, before = batch.events, content(batch.events)
    outcome = await driver.call("write", batch)
    if isinstance(outcome.error, PartialWriteError):
        _check_positions(outcome.error, len(events), findings, what)
    if not findings.failed("write", outcome, what) and outcome.value not in (None, True, False):
        findings.say("returns", f"{what} returned {kind_of(outcome.value)}")
    elif outcome.value is False:
        findings.say("write", f"{what} returned False")
    same = len(batch) == len(events) and all(map(_is, batch.events, events))
    if not same or not all(event._sealed for event in events) or content(events) != before:
        findings.say("read-only", f"{what} changed the batch or its events")
    return outcome


def _is(one: object, other: object) -> bool:
    return one is other


def _check_positions(error: PartialWriteError, number: int, findings: Findings, what: str) -> None:
    wrong = [position for position in error.failed if type(position) is not int or not 0 <= position < number]
    if wrong:
        findings.say("errors", f"{what} raised PartialWriteError for positions that the batch has not: {wrong[:5]!r}")


async def _call(driver: Driver, findings: Findings, method: str, what: str) -> bool:
    """Call an optional method; return whether it is missing or went well."""
    if not driver.has(method):
        return True
    findings.doing = what
    outcome = await driver.call(method)
    if findings.failed(method, outcome, what):
        return False
    if outcome.value is not None:
        findings.say("returns", f"{what} returned {kind_of(outcome.value)}")
    if outcome.watch.held > 0.1 and method != "start":
        await findings.check_loop(driver, method, tuple, outcome)
    return True
