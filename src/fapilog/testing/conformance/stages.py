"""What a filter, enricher, processor or redactor is put through: events of every sort, answers, cancellation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from ...event import LogEvent
from ...metrics import StageCounts
from ...pipeline.steps import MOST_CREATED, Progress, RedactorStep
from ...plugins import PluginType, Removed
from ...plugins.shape import METHODS, is_async, is_static, method_of
from .driver import Driver, Outcome
from .findings import Findings, kind_of
from .samples import MANY, ODD_FIELDS, content, odd_events, plain_event


async def examine_stage(
    plugin: Any, kind: PluginType, findings: Findings, patience: float, given: Sequence[LogEvent], hidden: Sequence[str]
) -> None:
    """Put a plugin that works on events through everything it meets in a container.

    Parameters:
        plugin: the plugin or function.
        kind: what it is.
        findings: where violations go.
        patience: seconds that a call may take.
        given: further events to try.
        hidden: texts in *given* that a redactor has to remove.
    """
    method = METHODS[kind][0]
    if is_static(plugin, kind):
        await _examine_static(plugin, findings, patience)
        if not callable(method_of(plugin, kind)):
            return
    driver = Driver({method: method_of(plugin, kind)}, patience)
    try:
        if kind is PluginType.PROCESSOR:
            await _examine_processor(driver, findings, given)
        else:
            await _examine_events(driver, method, kind, findings, given)
    finally:
        findings.doing = "ending"
        if not await driver.close():
            findings.say("leaks", "the task that ran the plugin could not be ended")
    if kind is PluginType.REDACTOR and hidden:
        findings.doing = "redacting what has to be hidden"
        await _check_hidden(plugin, findings, patience, given, hidden)


async def _examine_static(plugin: Any, findings: Findings, patience: float) -> None:
    """Ask an enricher what it has for every event."""
    findings.doing = what = "static"
    driver = Driver({what: plugin.static}, patience)
    try:
        outcome = await driver.call(what)
        if not findings.failed("odd values", outcome, what):
            if outcome.value is None:
                findings.say("returns", "static returned None, not a mapping")
            _check_enrich(outcome.value, plain_event(), findings, what)
            await findings.check_loop(driver, what, tuple, outcome)
    finally:
        await driver.close()


async def _examine_events(
    driver: Driver, method: str, kind: PluginType, findings: Findings, given: Sequence[LogEvent]
) -> None:
    def one() -> tuple[Any, ...]:
        return (plain_event(),)

    samples = {"an ordinary event": plain_event(), **{f"an event with {name}": e for name, e in odd_events().items()}}
    samples.update({f"the event given {number}": event.copy() for number, event in enumerate(given, 1)})
    for name, event in samples.items():
        findings.doing = what = f"{method} of {name}"
        metrics = event.metrics
        before = content([event])
        outcome = await driver.call(method, event)
        if findings.failed("odd values", outcome, what):
            if outcome.timed_out:
                return
            continue
        _ANSWERS[kind](outcome.value, event, findings, what)
        if kind is PluginType.FILTER and content([_with_metrics(event, metrics)]) != before:
            findings.say("read-only", f"{what} changed the event; a filter only looks, and may add metrics")
        if await findings.check_loop(driver, method, one, outcome):
            return
    findings.doing = method
    await findings.check_cancelling(driver, method, one)


def _with_metrics(event: LogEvent, metrics: Mapping[str, float]) -> LogEvent:
    """Return a copy of *event* with the *metrics* it had."""
    copied = event.copy()
    copied.metrics = metrics
    return copied


def _check_keep(value: Any, event: LogEvent, findings: Findings, what: str) -> None:
    if type(value) is not bool and type(value) is not Removed:
        findings.say("returns", f"{what} returned {kind_of(value)}, not a bool")


def _check_enrich(value: Any, event: LogEvent, findings: Findings, what: str) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        findings.say("returns", f"{what} returned {kind_of(value)}, not a mapping or None")
        return
    try:
        event.add(context=cast("Mapping[str, Any]", value))
    except Exception as error:
        findings.say("returns", f"{what} returned a mapping that cannot be added: {type(error).__name__}")


def _check_redact(value: Any, event: LogEvent, findings: Findings, what: str) -> None:
    if value is not None and value is not event:
        findings.say("returns", f"{what} returned {kind_of(value)}, not None: change the event that is given")


_ANSWERS: Mapping[PluginType, Callable[[Any, LogEvent, Findings, str], None]] = {
    PluginType.FILTER: _check_keep,
    PluginType.ENRICHER: _check_enrich,
    PluginType.REDACTOR: _check_redact,
}


async def _examine_processor(driver: Driver, findings: Findings, given: Sequence[LogEvent]) -> None:
    went_out: set[int] = set()
    kept: list[LogEvent] = []  # so that no identity is used again

    def one() -> tuple[Any, ...]:
        return ([plain_event()],)

    batches: list[tuple[str, list[LogEvent]]] = [("one event", [plain_event()]), ("no events", [])]
    batches += [("all odd events", [*odd_events().values()])]
    batches += [("the events given", [event.copy() for event in given])] if given else []
    batches += [(f"{MANY} events", [plain_event(number) for number in range(MANY)])]
    for name, events in batches:
        findings.doing = what = f"process of {name}"
        outcome = await driver.call("process", list(events))
        if findings.failed("odd values", outcome, what):
            if outcome.timed_out:
                return
            continue
        _check_processed(outcome, len(events), went_out, findings, what)
        value: object = outcome.value
        for event in cast("list[object]", value) if isinstance(value, list) else ():
            if isinstance(event, LogEvent):
                event._sealed = True  # as it is once it went out
                kept.append(event)
                went_out.add(id(event))
        if len(events) == 1 and await findings.check_loop(driver, "process", one, outcome):
            return
    findings.doing = "process"
    await findings.check_cancelling(driver, "process", one)


def _check_processed(outcome: Outcome, number: int, went_out: set[int], findings: Findings, what: str) -> None:
    value: object = outcome.value
    if not isinstance(value, list):
        findings.say("returns", f"{what} returned {kind_of(value)}, not a list of events")
        return
    out = cast("list[object]", value)
    if others := sorted({kind_of(item) for item in out if not isinstance(item, LogEvent)}):
        findings.say("returns", f"{what} returned a list with {', '.join(others)} in it")
    if len({id(item) for item in out}) < len(out):
        findings.say("returns", f"{what} returned an event twice, which goes out once; return event.copy()")
    if any(id(item) in went_out for item in out):
        findings.say("read-only", f"{what} returned an event of an earlier batch, which went out then")
    if len(out) > number + MOST_CREATED:
        findings.say("returns", f"{what} returned {len(out)} events; {MOST_CREATED} new ones are allowed")


def _nothing() -> Mapping[str, Any]:
    return {}


async def _check_hidden(
    plugin: Any, findings: Findings, patience: float, given: Iterable[LogEvent], hidden: Sequence[str]
) -> None:
    """See what gets out of the events given, by themselves and beside every odd value, in the pipeline's own step."""
    function = method_of(plugin, PluginType.REDACTOR)
    step = RedactorStep("plugin", function, StageCounts(), lambda _, __: None, patience)
    for event in given:
        for name, make in {"nothing odd": _nothing, **ODD_FIELDS}.items():
            tried = event.copy()
            odd = make()
            tried.fields = {**odd, **tried.fields, "odd": odd}
            if is_async(function):
                progress = Progress()
                await step.apply_async([tried], progress)
            else:
                step.apply([tried])
            text = content([tried]).decode()
            for secret in hidden:
                if secret in text:
                    findings.say("hidden", f"{secret[:3]}... got out of {event.message!r} beside {name}")
