"""What only shows in a container: the account of the events, plugins beside others of their kind, and what is left."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, cast

import anyio

from ...container import AsyncLoggingContainer
from ...plugins import PluginType
from ..recording import RecordingSink
from .findings import Findings
from .samples import ODD_FIELDS

_EVENTS: Final = 200
_MUTABLE: Final = (list, dict, set, bytearray, deque)


async def examine_in_containers(first: Any, second: Any, kind: PluginType, findings: Findings, patience: float) -> None:
    """Run two instances of a plugin in two containers at once.

    Parameters:
        first, second: the instances; a plain function may be both.
        kind: what they are.
        findings: where violations go.
        patience: seconds that a call may take.
    """
    findings.doing = "running in two containers"
    if first is not second:
        for name in sorted(_shared(first, second)):
            findings.say("instances", f"two instances have the same {name}")
    before = _class_state(first)
    async with anyio.create_task_group() as group:
        for plugin in (first, second):
            group.start_soon(_run, plugin, kind, findings, patience)
    after = _class_state(first)
    for name, value in before.items():
        if after.get(name) != value:
            findings.say("instances", f"the class's {name} changed: instances in different containers share it")


async def _run(plugin: Any, kind: PluginType, findings: Findings, patience: float) -> None:
    settings: dict[str, Any] = {
        "level": "DEBUG",
        "shutdown_timeout": min(3 * _EVENTS * patience, 3600.0),
        "plugin_timeout": patience,
        "on_incomplete": "ignore",
        "queue_max_size": 10_000,
    }
    plugins: dict[str, Any] = {"sinks": [RecordingSink()], f"{kind}s": [plugin]}
    container = AsyncLoggingContainer(settings, **plugins)
    container._diagnostics._write = _ignore  # what goes wrong is found in the account
    async with container:
        log = container.logger()
        for number in range(_EVENTS):
            await log.info("conformance", number=number)
        for name, fields in _odd_fields():
            await log.warning(name, **fields)
        await log.flush()
        for number in range(_EVENTS):
            log.nowait.info("conformance", number=number)
    report = container.report
    assert report is not None
    if not report.balanced or report.in_flight or any(sink.in_flight for sink in report.sinks.values()):
        findings.say("ledger", f"the account does not balance: {report}")
    if not report.complete:
        findings.say("ledger", f"the container could not be drained: {report}")
    if lost := [name for name, sink in report.sinks.items() if sink.delivered != sink.routed]:
        findings.say("ledger", f"not everything was delivered to {', '.join(lost)}: {report}")
    if errors := container.metrics_collector.snapshot().plugin_errors:
        findings.say("ledger", f"the plugin failed {sum(errors.values())} times in a container")


def _odd_fields() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, make in ODD_FIELDS.items():
        yield name, {str(key): value for key, value in make().items() if str(key).isidentifier()}


def _ignore(line: str) -> None:
    """Tell nobody."""


def _shared(first: Any, second: Any) -> set[str]:
    """Return the names under which two instances have the same object, and one that can change."""
    ours, theirs = _attributes(first), _attributes(second)
    return {name for name, value in ours.items() if isinstance(value, _MUTABLE) and theirs.get(name) is value}


def _attributes(instance: Any) -> dict[str, Any]:
    found = dict(getattr(instance, "__dict__", {}))
    for cls in type(instance).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(instance, name):
                found[name] = getattr(instance, name)
    return found


def _class_state(instance: Any) -> dict[str, Any]:
    """Return copies of what the classes of a plugin have that can change."""
    return {
        f"{cls.__name__}.{name}": copy.copy(cast("Any", value))
        for cls in type(instance).__mro__
        for name, value in vars(cls).items()
        if isinstance(value, _MUTABLE) and not name.startswith("__")
    }
