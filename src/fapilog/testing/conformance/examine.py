"""check_plugin and examine_plugin: everything the kit has, on both event loops, from any test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from typing import Any

import anyio
import attrs

from ...event import LogEvent
from ...plugins import PluginType, SinkPolicy
from ...plugins.shape import METHODS, a_kind, callable_name, is_async, method_of
from ...settings import Settings
from ...shown import type_of
from ...sinks.callable import CallableSink
from ..clock import BACKENDS, Backend, run_in_virtual_time
from ..leaks import Belongings, left_behind
from .containers import examine_in_containers
from .driver import SINK_METHODS
from .findings import Findings
from .sinks import examine_sink
from .stages import examine_stage
from .static import examine_statically, kind_of_plugin
from .violations import ConformanceError, Violation


@attrs.frozen
class _Task:
    factory: Callable[[], Any]
    kind: PluginType
    patience: float
    events: tuple[LogEvent, ...]
    hidden: tuple[str, ...]

    def make(self) -> Any:
        plugin = self.factory()
        is_function = self.kind is PluginType.SINK and not hasattr(plugin, "write")
        return CallableSink(plugin) if is_function else plugin


def check_plugin(
    factory: Callable[[], Any],
    kind: PluginType | str | None = None,
    *,
    events: Iterable[LogEvent] = (),
    hidden: Sequence[str] = (),
    backends: Sequence[Backend] = BACKENDS,
    patience: float | None = None,
    longest: float = 60.0,
) -> None:
    """Raise if a plugin does anything that the pipeline cannot work with.

    The plugin is looked at, driven through everything it meets in a container, and run in two containers at once, on
    each event loop. Where it needs no thread and no answer from outside, time is virtual. It may be called in any
    test, also inside an event loop, which it holds meanwhile.

    Parameters:
        factory: makes the plugin, a new one each time, ready for use: a class, or a function without arguments.
        kind: what the plugin is; found out if it has metadata or a method of one kind only.
        events: further events to try it with, such as those that matter to it.
        hidden: for a redactor, texts in *events* that may not get out, whatever else is in the event.
        backends: the event loops.
        patience: seconds that one call may take; if None what the settings have by default, for a sink 5, for others 1.
        longest: seconds of real time that the run in one event loop may take.

    Raises:
        ConformanceError: with every violation: what, why it matters, how to fix it.
        TypeError: if it cannot be told what the plugin is.
        BaseException: whatever the factory raises.
    """
    __tracebackhide__ = True
    violations = examine_plugin(
        factory, kind, events=events, hidden=hidden, backends=backends, patience=patience, longest=longest
    )
    if violations:
        raise ConformanceError(callable_name(factory), violations)


def examine_plugin(
    factory: Callable[[], Any],
    kind: PluginType | str | None = None,
    *,
    events: Iterable[LogEvent] = (),
    hidden: Sequence[str] = (),
    backends: Sequence[Backend] = BACKENDS,
    patience: float | None = None,
    longest: float = 60.0,
) -> list[Violation]:
    """Return what :func:`check_plugin` would raise for; the parameters and the other errors are the same."""
    plugin, other = factory(), factory()
    found_kind = kind_of_plugin(plugin) if kind is None else PluginType(kind)
    if found_kind is None:
        wanted = ", ".join(f"{method}() for {a_kind(kind)}" for kind, (method, _) in METHODS.items())
        raise TypeError(f"{callable_name(plugin)} does not tell what it is; give kind=..., or a method: {wanted}")
    violations = examine_statically(plugin, other, found_kind)
    if any(violation.check == "shape" for violation in violations):
        return violations  # it cannot be called
    seconds = patience or (SinkPolicy().write_timeout if found_kind is PluginType.SINK else Settings().plugin_timeout)
    task = _Task(factory, found_kind, seconds, tuple(events), tuple(hidden))
    for backend in backends:
        violations = _merged(violations, _on(backend, task, longest))
    return violations


def _on(backend: Backend, task: _Task, longest: float) -> list[Violation]:
    findings = Findings(backend)
    if task.kind is not PluginType.SINK or not _needs_thread(task):
        findings = _run(backend, task, longest, virtual=True)
        if not findings.timed_out:
            return findings.violations
        # Perhaps it waited for a thread or a socket, for which a virtual clock does not wait.
    return _run(backend, task, longest, virtual=False).violations


def _needs_thread(task: _Task) -> bool:
    """Return whether a method of the sink runs in a thread, for which a virtual clock does not wait."""
    sink = task.make()
    methods = [getattr(sink, name, None) for name in SINK_METHODS]
    plain = [method for method in methods if callable(method) and not is_async(method)]
    return bool(plain) and getattr(type_of(sink), "blocking", True) is not False


def _run(backend: Backend, task: _Task, longest: float, *, virtual: bool) -> Findings:
    """Run all checks in one event loop, in a thread of its own: what holds the loop cannot be ended, but left."""
    findings = Findings(backend)
    errors: list[BaseException] = []

    def main() -> None:
        try:
            if virtual:
                run_in_virtual_time(backend, _examine, task, findings)
            else:
                anyio.run(_examine, task, findings, backend=backend)
        except BaseException as error:
            errors.append(error)

    # With an empty context, for the event loop around this one is none of its business.
    thread = threading.Thread(target=Context().run, args=(main,), name="fapilog conformance", daemon=True)
    thread.start()
    thread.join(longest)
    if thread.is_alive():
        findings.say("loop", f"{findings.doing} did not come back within {longest:g} s of real time")
    elif errors:
        raise errors[0]
    return findings


async def _examine(task: _Task, findings: Findings) -> None:
    before = Belongings.now()
    if task.kind is PluginType.SINK:
        await examine_sink(task.make(), task.make(), findings, task.patience, task.events)
    elif callable(method_of(task.make(), task.kind)):  # not an enricher that does all in the log call
        await examine_stage(task.make(), task.kind, findings, task.patience, task.events, task.hidden)
    if not findings.violations:  # it would only fail again, and less clearly
        await examine_in_containers(task.make(), task.make(), task.kind, findings, task.patience)
    findings.doing = "looking for what is left"
    for line in await left_behind(before):
        findings.say("leaks", line)


def _merged(violations: list[Violation], more: list[Violation]) -> list[Violation]:
    """Return all of them, those seen in several event loops once."""
    merged = {(violation.check, violation.what): violation for violation in violations}
    for violation in more:
        known = merged.get((violation.check, violation.what))
        backends = (*(known.backends if known else ()), *violation.backends)
        merged[violation.check, violation.what] = attrs.evolve(violation, backends=backends)
    return list(merged.values())
