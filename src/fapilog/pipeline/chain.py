"""build_chain: a pipeline's filters, enrichers, processors and redactors, put together into stages."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from ..event import FieldsType
from ..metrics import PipelineCounts
from ..plugins.configuration import BuiltPlugin, BuiltPlugins, is_async
from ..plugins.policy import StagePolicy
from ..settings import Settings
from ..values import FrozenDict
from .backend import Backend
from .confirmations import Confirmations
from .filtering import FilterStep
from .stages import PluginStage, Receiver, Segment
from .steps import EnricherStep, ProcessorStep, RedactorStep, Step

_STEPS: tuple[tuple[str, str, type[Step]], ...] = (
    ("filters", "keep", FilterStep),
    ("enrichers", "enrich", EnricherStep),
    ("processors", "process", ProcessorStep),
    ("redactors", "redact", RedactorStep),
)
"""The kinds of plugin in the order of the stages, with their method; redaction is last."""


@frozen
class Chain:
    """What lies between the intake and the fan-out."""

    segment: Segment
    """What the workers run themselves."""
    following: Receiver
    """Where they hand it on to."""
    stages: tuple[PluginStage, ...]
    """The stages with tasks of their own, in the order of the flow."""
    fields_type: FieldsType
    """What a call's fields are best kept in."""


def build_chain(
    plugins: BuiltPlugins,
    settings: Settings,
    fan_out: Receiver,
    counts: PipelineCounts,
    failed: Callable[[str, str], None],
    confirmations: Confirmations,
    backend: Backend,
    plugin_context: contextvars.Context,
) -> Chain:
    """Put the plugins together from the last to the first: each stage knows the one behind it.

    Parameters:
        fan_out: what comes behind the last of them.
        failed: told of a plugin, by its name, and of what went wrong in it.
    """
    stages: list[PluginStage] = []
    following = fan_out
    behind: list[Step] = []
    for kind, method, step_class in reversed(_STEPS):
        of_kind: Sequence[BuiltPlugin[StagePolicy]] = getattr(plugins, kind)
        for plugin in reversed(of_kind):
            function = getattr(plugin.plugin, method, None) or plugin.plugin
            if not callable(function):
                continue  # an enricher that adds the same to every event, or does all it has to do in the call
            timeout = plugin.policy.resolved(settings).timeout or 1.0
            step = step_class(plugin.name, function, counts.stages, failed, timeout, backend.pass_on)
            step.attach(plugin.plugin, backend.time)
            if step_class is RedactorStep:
                _publish_counts(plugin, counts)
            if is_async(function) or plugin.policy.isolate:
                following = PluginStage(
                    step,
                    is_async(function),
                    settings.max_workers,
                    Segment(behind, plugin_context, confirmations),
                    following,
                    backend,
                    plugin_context,
                    confirmations,
                )
                stages.insert(0, following)
                behind = []
            else:
                behind.insert(0, step)
    fields_type = FrozenDict if stages else _fields_type(behind)
    return Chain(Segment(behind, plugin_context, confirmations), following, tuple(stages), fields_type)


def _publish_counts(redactor: BuiltPlugin[Any], counts: PipelineCounts) -> None:
    its_own = getattr(redactor.plugin, "counts", None)
    if type(its_own) is dict:
        counts.redacted[redactor.name] = its_own


def _fields_type(steps: Sequence[Step]) -> FieldsType:
    """Return what the accelerator is to keep a call's fields in, for these steps in the workers and nothing else."""
    if not all(step.takes_records for step in steps):
        return FrozenDict
    # What reads no event can do without the mapping; a redactor's screen looks into it, though in the record.
    return dict if any(isinstance(step, RedactorStep) for step in steps) else tuple
