"""The errors fapilog raises: one root, one small class per cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import attrs


class FapilogError(Exception):
    """The root of every error that fapilog raises."""


@attrs.frozen
class Problem:
    """One thing that is wrong with a configuration."""

    path: str
    """Where it is, as a dotted path such as ``plugin_config.file.max_bytes``."""
    given: str
    """What was given, as bounded text; a secret is masked."""
    allowed: str
    """What is allowed there."""
    hint: str = ""
    """What to do, for instance the nearest valid name; empty when there is nothing to add."""
    source: str = ""
    """Where the value came from, such as ``FAPILOG_LEVEL`` or ``fapilog.toml:3``; empty if the program gave it."""

    def __str__(self) -> str:
        text = f"{self.path}: got {self.given}; allowed: {self.allowed}"
        if self.hint:
            text = f"{text}; {self.hint}"
        return f"{text}; set by {self.source}" if self.source else text


class ConfigurationError(FapilogError, ValueError):
    """Raised when settings are wrong, before any task starts; holds every problem at once."""

    problems: tuple[Problem, ...]
    right: Any = None
    """The settings without those that are wrong, if nothing of the plugins is among these: by them the plugins' own can
    be checked as well."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._tell(problems)
        super().__init__(*self.args)

    def add(self, problems: Iterable[Problem]) -> None:
        """Tell of more problems, behind those that are known."""
        self._tell((*self.problems, *problems))

    def locate(self, source_of: Callable[[str], str]) -> None:
        """Add to each problem where its value came from; ``source_of(path)`` says it, or is empty."""
        self._tell(
            problem if problem.source else attrs.evolve(problem, source=source_of(problem.path))
            for problem in self.problems
        )

    def _tell(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{count} problem{'s' if count != 1 else ''} in the settings:"]
        lines += [f"  {problem}" for problem in self.problems]
        self.args: tuple[Any, ...] = ("\n".join(lines),)


class PluginError(FapilogError):
    """Raised when a plugin cannot be used: not found, of the wrong shape, or failing to start."""

    def __init__(self, plugin: str, message: str, *, distribution: str = "") -> None:
        self.plugin = plugin
        self.problem = message
        """What is wrong, without the plugin's name."""
        self.distribution = distribution
        """The distribution that the plugin is of, and its version; empty if it is built in or the program's own."""
        origin = f" of {distribution}" if distribution else ""
        super().__init__(f"plugin {plugin!r}{origin}: {message}")


class ContainerStateError(FapilogError, RuntimeError):
    """Raised when a container is used in a state that does not allow it, such as entered twice."""


class WrongTaskError(ContainerStateError):
    """Raised when a container is left in another task than the one that entered it."""

    def __init__(self) -> None:
        super().__init__(
            "this container was entered in one task and left in another; a task group cannot do that. "
            "Enter and leave it in one task: put 'async with' around the code that logs, open it in the "
            "application's lifespan, or give it a task of its own that waits until the rest is done"
        )


class NoCurrentLogger(FapilogError, LookupError):
    """Raised by ``current_logger()`` when no container was entered in this context."""

    def __init__(self) -> None:
        super().__init__(
            "no container was entered in this context; call current_logger() inside "
            "'async with fapilog.container()', or enter it here with 'with container.entered():'"
        )


class QueueFull(FapilogError):
    """Raised when the intake is full under ``OverflowStrategy.RAISE``; the event is counted as rejected."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        super().__init__(
            f"the intake holds its {capacity} events and the overflow strategy is 'raise'; "
            "raise queue_max_size, choose another overflow_strategy, or log less"
        )


@attrs.frozen
class SinkOutcome:
    """What became of a confirmed event at one required sink."""

    state: str
    """``delivered``; ``pending`` when the wait ended; ``dropped``, ``failed``, ``withheld``, ``abandoned`` or
    ``outcome_unknown`` (a write was cut off and may have landed); ``not_routed``; or what ended the event before the
    sinks: ``filtered``, ``merged``, ``rejected``."""
    reason: str = ""
    """Why, in the words of the account, or the plugin's name; empty if there is nothing to add."""

    def __str__(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason else self.state


class NotConfirmed(FapilogError):
    """Raised by a call of ``log.confirmed`` when not every required sink has delivered its event.

    It does not say that the event is nowhere: ``state`` and ``sinks`` say what is known of that.
    """

    def __init__(
        self,
        state: str,
        reason: str,
        sinks: Mapping[str, SinkOutcome],
        *,
        level: int,
        logger: str,
        container_id: str,
        time_ns: int,
        sequence: int,
        timeout: float,
    ) -> None:
        self.state: str = state
        """``timeout``, ``dropped``, ``failed``, ``outcome_unknown``, ``filtered``, ``merged``, ``withheld``,
        ``unrouted``, ``rejected``, ``abandoned``, ``given_up`` (the wait was closed), or ``unknown`` for a call outside
        the event loop's thread."""
        self.reason: str = reason
        """Why, in the words of the account, or the plugin's name; empty if there is nothing to add."""
        self.sinks: dict[str, SinkOutcome] = dict(sinks)
        """What became of the event at each required sink, by its name."""
        self.level: int = level
        """The event's level, as a number."""
        self.logger: str = logger
        self.container_id: str = container_id
        self.time_ns: int = time_ns
        """When the call was made, in nanoseconds since the Unix epoch; the event's own time."""
        self.sequence: int = sequence
        """The event's number in the container's output; 0 if it has none."""
        self.timeout: float = timeout
        """Seconds that the call was to wait, at most."""
        which = f"event {sequence}" if sequence else "event"
        named = f" of logger {logger!r}" if logger else ""
        at = datetime.fromtimestamp(time_ns // 1000 / 1e6, UTC).isoformat(timespec="microseconds")
        what = f"{state} ({reason})" if reason else f"{state} after {timeout:g} s" if state == "timeout" else state
        told = "".join(f"; sink {name!r}: {outcome}" for name, outcome in self.sinks.items())
        super().__init__(
            f"the {which}{named} of {at} in container {container_id} is not confirmed: {what}{told}; "
            f"{_REMEDIES.get((state, reason)) or _REMEDIES.get((state, '')) or _LOOK}"
        )


_LOOK = "see container.health() for what keeps a sink from delivering, and treat the event as not written"
_REMEDIES = {
    ("timeout", ""): "it may yet be delivered; see container.health(), or wait longer with log.confirming(seconds)",
    ("outcome_unknown", ""): "it may have been written; raise the sink's write_timeout if it is only slow",
    ("unrouted", ""): "no required sink gets such events; set required = true at the sink that has to, and let its "
    "route pick them",
    ("filtered", ""): "let the filter, or the span that the call is in, keep such events",
    ("merged", ""): "let the processor leave such events, or copies of them, in the list",
    ("withheld", ""): "a redactor failed, and the content was not let out; see standard error for its failure",
    ("dropped", ""): "treat the event as lost; give the queue or the sink more room, or overflow_strategy = 'block'",
    ("dropped", "would_deadlock"): "this is the event loop's own thread; use 'await log.confirmed...'",
    ("dropped", "recursion"): "the call stack was full",
    ("rejected", ""): "log inside the container's block",
    ("rejected", "dead"): "this process is a fork; enter a container of its own",
    ("rejected", "reentrant"): "a plugin cannot wait for the pipeline that runs it; confirm from the application",
    ("rejected", "queue_full"): "treat the event as lost; raise queue_max_size, or choose overflow_strategy = 'block'",
    ("unknown", ""): "the event is logged, but nobody can wait for it in this thread; use log.blocking.confirmed",
}
"""What to do, by state and reason."""


class DrainIncomplete(FapilogError):
    """Raised on leaving a container whose drain did not finish, under ``on_incomplete = "raise"``."""

    def __init__(self, report: Any) -> None:
        self.report = report
        super().__init__(str(report))


class SinkError(FapilogError):
    """The root of what a sink raises to say how its write failed; any other exception is taken as transient."""


class TransientSinkError(SinkError):
    """Raised by a sink when the write may succeed if tried again."""


class PermanentSinkError(SinkError):
    """Raised by a sink when trying again cannot help: the events are not retried."""


class ThrottledSinkError(TransientSinkError):
    """Raised by a sink when its target asked to wait."""

    def __init__(self, message: str = "throttled", *, retry_after: float = 0.0) -> None:
        self.retry_after = retry_after
        """Seconds to wait before the next attempt, at least."""
        super().__init__(message)


class PartialWriteError(TransientSinkError):
    """Raised by a sink that delivered some events of a batch; only the failed ones are tried again.

    ``failed`` holds the positions in the batch, from zero: those that may be tried again
    map to an ordinary exception, those that may not to a :class:`PermanentSinkError`.
    """

    failed: dict[int, BaseException]

    def __init__(self, failed: Mapping[int, BaseException] | Iterable[int]) -> None:
        if isinstance(failed, Mapping):
            self.failed = dict(cast("Mapping[int, BaseException]", failed))
        else:
            self.failed = {position: TransientSinkError("not delivered") for position in failed}
        super().__init__(f"{len(self.failed)} events of the batch were not delivered")
