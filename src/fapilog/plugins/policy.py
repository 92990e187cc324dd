"""SinkPolicy and StagePolicy: how the pipeline treats one plugin, told beside the plugin's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import attrs

from ..checks import (
    CHECK,
    Problems,
    check_fields,
    check_instance,
    choice,
    flag,
    number,
    optional,
    plugin_name,
    plugin_names,
    whole_number,
)
from ..settings import OverflowStrategy, Settings
from .routes import Route, as_routes, routes

_DAY = 86_400.0


def _as_strategy(value: OverflowStrategy | str | None) -> OverflowStrategy | None:
    """Let type checkers accept the text as well; the check afterwards makes it a member."""
    return cast("OverflowStrategy | None", value)


@attrs.frozen(kw_only=True)
class SinkPolicy:
    """How events are delivered to one sink; its keys stand in ``plugin_config.<name>`` beside the sink's own.

    Raises:
        ConfigurationError: if anything is wrong; it holds every problem.
    """

    required: bool = attrs.field(default=True, metadata={CHECK: flag})
    """Whether the container fails when the sink cannot be loaded, made or started, or goes on without it; a sink that
    is not required drops rather than blocks."""
    write_timeout: float = attrs.field(default=5.0, metadata={CHECK: number(0, _DAY, unit="seconds", above=True)})
    """Seconds that one write may take."""
    attempts: int = attrs.field(default=5, metadata={CHECK: whole_number(1, 1_000_000)})
    """Writes of one batch, the first one included, before it has failed."""
    backoff: float = attrs.field(default=0.1, metadata={CHECK: number(0, _DAY, unit="seconds")})
    """Seconds to wait before the second attempt, at most; doubled for each further one, with full jitter."""
    backoff_max: float = attrs.field(default=10.0, metadata={CHECK: number(0, _DAY, unit="seconds")})
    """Seconds to wait between two attempts, at most."""
    breaker_failures: int = attrs.field(default=5, metadata={CHECK: whole_number(1, 1_000_000)})
    """Failed writes in a row after which the circuit breaker opens."""
    breaker_reset: float = attrs.field(default=10.0, metadata={CHECK: number(0, _DAY, unit="seconds")})
    """Seconds after which an open breaker lets one probe through."""
    queue_batches: int = attrs.field(default=64, metadata={CHECK: whole_number(1, 100_000)})
    """Batches that wait for the sink, at most."""
    overflow_strategy: OverflowStrategy | None = attrs.field(
        default=None, converter=_as_strategy, metadata={CHECK: optional(choice(OverflowStrategy))}
    )
    """What the sink's full stream means; None for the container's, or ``DROP_NEWEST`` if the sink is not required."""
    block_timeout: float | None = attrs.field(default=None, metadata={CHECK: optional(number(0, _DAY, unit="seconds"))})
    """Seconds that the fan-out waits for the sink under ``BLOCK``, before it is stalled; None for the container's."""
    batch_size: int | None = attrs.field(default=None, metadata={CHECK: optional(whole_number(1, 1_000_000))})
    """Events of one write, at most; None for the container's."""
    batch_linger: float = attrs.field(default=0.0, metadata={CHECK: number(0, 3600, unit="seconds")})
    """Seconds that a batch smaller than ``batch_size`` may wait for more events."""
    fallback: str | None = attrs.field(default=None, metadata={CHECK: optional(plugin_name)})
    """The name of the sink that gets what this one could not deliver; None for a counted failure."""
    route: tuple[Route, ...] | None = attrs.field(default=None, converter=as_routes, metadata={CHECK: optional(routes)})
    """The events that the sink gets: those of one of these routes. None for all, or if it is a fallback for none."""
    redactors: list[str] = attrs.field(factory=list[str], metadata={CHECK: plugin_names})
    """Names of synchronous redactors that only this sink's events pass, after those of the container."""
    ordered: bool | None = attrs.field(default=None, metadata={CHECK: optional(flag)})
    """Whether a retry holds back later events; None for the sink's own attribute, or False."""

    def __attrs_post_init__(self) -> None:
        problems = Problems()
        check_instance(self, problems)
        if not problems.items:
            if self.overflow_strategy is None and not self.required:
                object.__setattr__(self, "overflow_strategy", OverflowStrategy.DROP_NEWEST)
            self._check_together(problems)
        problems.raise_any()

    def _check_together(self, problems: Problems) -> None:
        """Note values that are right by themselves and contradict each other."""
        if self.backoff > self.backoff_max:
            problems.add(
                "backoff",
                self.backoff,
                f"at most backoff_max, which is {self.backoff_max}",
                "lower backoff or raise backoff_max",
            )
        if self.block_timeout is not None and self.overflow_strategy not in (None, OverflowStrategy.BLOCK):
            problems.add(
                "block_timeout",
                self.block_timeout,
                f"nothing, because overflow_strategy is '{self.overflow_strategy}'",
                "leave block_timeout out, or set overflow_strategy to 'block'",
            )

    def resolved(self, settings: Settings, sink: object = None) -> SinkPolicy:
        """Return this policy with what is None filled in: from *settings*, and ``ordered`` from *sink*."""
        strategy = self.overflow_strategy or settings.overflow_strategy
        if strategy is OverflowStrategy.RAISE:
            # No caller is left to raise at once the event has come this far.
            strategy = OverflowStrategy.DROP_NEWEST
        block_timeout = settings.block_timeout if self.block_timeout is None else self.block_timeout
        return attrs.evolve(
            self,
            overflow_strategy=strategy,
            block_timeout=block_timeout if strategy is OverflowStrategy.BLOCK else None,
            batch_size=settings.batch_size if self.batch_size is None else self.batch_size,
            ordered=getattr(sink, "ordered", False) is True if self.ordered is None else self.ordered,
        )


@attrs.frozen(kw_only=True)
class StagePolicy:
    """How one filter, enricher, processor or redactor is run; its keys stand in ``plugin_config.<name>``.

    Raises:
        ConfigurationError: if anything is wrong; it holds every problem.
    """

    required: bool = attrs.field(default=True, metadata={CHECK: flag})
    """Whether the container fails when the plugin cannot be loaded or made, or goes on without it."""
    timeout: float | None = attrs.field(
        default=None, metadata={CHECK: optional(number(0, _DAY, unit="seconds", above=True))}
    )
    """Seconds that one call may take; None for the container's ``plugin_timeout``."""
    isolate: bool = attrs.field(default=False, metadata={CHECK: flag})
    """Whether the plugin runs in a task with a bounded stream of its own."""

    def __attrs_post_init__(self) -> None:
        problems = Problems()
        check_instance(self, problems)
        problems.raise_any()

    def resolved(self, settings: Settings) -> StagePolicy:
        """Return this policy with what is None filled in from *settings*."""
        return attrs.evolve(self, timeout=settings.plugin_timeout) if self.timeout is None else self


Policy = TypeVar("Policy", SinkPolicy, StagePolicy)


def policy_keys(policy_class: type[SinkPolicy | StagePolicy]) -> tuple[str, ...]:
    """Return the keys of ``plugin_config.<name>`` that belong to the policy."""
    return tuple(attribute.name for attribute in attrs.fields(policy_class))


def instead_of(policy_class: type[SinkPolicy | StagePolicy]) -> Mapping[str, str]:
    """Return what to use in place of keys that other libraries have and ``plugin_config.<name>`` has not."""
    return _INSTEAD if policy_class is SinkPolicy else {}


_LEVEL = "for the sink's own least level: route = {level = \"error\"}; for all sinks, the setting 'level'"
_FILTER = "which events the sink gets is said by its 'route'; the setting 'filters' is for all sinks"
_INSTEAD = {
    **dict.fromkeys(("level", "levels", "log_level", "loglevel", "min_level", "minimum_level", "threshold"), _LEVEL),
    **dict.fromkeys(("filter", "filters"), _FILTER),
}


def split_policy(
    table: Mapping[str, Any], policy_class: type[Policy], *, name: str = "", problems: Problems | None = None
) -> tuple[Policy, dict[str, Any]]:
    """Return the policy in *table* and what is left for the plugin itself.

    Parameters:
        table: the plugin's settings, ``plugin_config.<name>``.
        policy_class: :class:`SinkPolicy` or :class:`StagePolicy`.
        name: the plugin's name, for the paths of problems.
        problems: where to note problems, the policy having defaults in their places; without it they are raised.

    Raises:
        ConfigurationError: if the policy is wrong and *problems* was not given.
    """
    found = Problems()
    prefix = f"plugin_config.{name}." if name else ""
    keys = policy_keys(policy_class)
    given = {key: value for key, value in table.items() if key in keys}
    rest = {key: value for key, value in table.items() if key not in keys}
    check_fields(policy_class, given, found, prefix)
    wrong = tuple(problem.path for problem in found.items)
    right = {key: value for key, value in given.items() if not any(_is_in(path, prefix + key) for path in wrong)}
    try:
        policy = policy_class(**right)
    except ValueError as error:
        policy = policy_class()
        found.take_over(error, prefix)
    if problems is None:
        found.raise_any()
    else:
        problems.items += found.items
    return policy, rest


def _is_in(path: str, key: str) -> bool:
    return path == key or path.startswith((f"{key}.", f"{key}["))
