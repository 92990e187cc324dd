"""The redactor: hides what is sensitive in an event, by the names of its fields and by what is in its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .._names import SensitiveNames
from ..event import Ambient, Extras, LogEvent, Origin, Record, remade
from ..plugins.metadata import PluginMetadata, PluginType
from ..values import FrozenDict
from ._actions import Replacements
from ._config import RedactConfig as RedactConfig
from ._detectors import text_finder
from ._engine import Engine, Limits
from ._pass import UNSEEN as UNSEEN
from ._pass import Hit as Hit
from ._pass import Pass
from ._presets import resolved
from ._screen import ScreenRules

_MOST_CACHED = 64


class SensitiveDataRedactor:
    """Hides what is sensitive, at any depth of an event; what it cannot look at is hidden too.

    Events that its screen finds clean pass untouched, which is most of them and costs little.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="redact",
        version="1.0.0",
        plugin_type=PluginType.REDACTOR,
        entry_point="fapilog.redactors.redact:SensitiveDataRedactor",
    )
    Config = RedactConfig

    def __init__(self, config: RedactConfig | None = None) -> None:
        config = config or RedactConfig()
        self._config = config
        preset = resolved(config.presets)
        detectors = tuple(dict.fromkeys((*preset.detectors, *config.detectors)))
        finder = text_finder(detectors, config.patterns)
        self._engine = Engine(
            names=SensitiveNames(
                (*preset.fields, *config.fields), (*preset.whole_fields, *config.whole_fields), config.keep
            ),
            finder=finder,
            kept_values=frozenset(config.keep_values),
            rules=ScreenRules(finder.screen, "payment_card" in detectors, config.longest_text),
            replacements=Replacements(config.mask, config.truncate_to, config.pseudonym_key),
            action=config.action,
            actions=config.actions,
            limits=Limits(config.longest_text, config.deepest, config.most_values, config.time_limit),
        )
        self._cache_key = object()
        """Under which the clean forms of shared contexts are kept with them."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many things were hidden so far, by detector, ``name:`` and rule, or the limit that was hit.

        What many events share, such as a request's context, is counted once.
        """
        return self._engine.counts

    def screen(self, items: Sequence[Record | LogEvent]) -> Sequence[int]:
        """Return the positions of the events that :meth:`redact` has to see; it would not change the others."""
        positions: Sequence[int] = self._engine.screen(items)
        return positions

    def redact(self, event: LogEvent) -> None:
        """Hide what is sensitive in *event*.

        Raises:
            AttributeError: if the event is read-only.
        """
        self._redact(event, Pass(self._engine))

    def redact_text(self, text: str) -> str:
        """Return *text* with what is sensitive in it hidden."""
        clean = Pass(self._engine).text_member(text, "text")
        self._engine.texts.forget()
        return clean

    def examine(self, value: Any) -> tuple[Any, list[Hit]]:
        """Return a frozen tree, or a text, with what is sensitive in it hidden, and what that was: where and why."""
        hits: list[Hit] = []
        clean = Pass(self._engine, hits).tree(value)
        self._engine.texts.forget()
        return clean, hits

    def _redact(self, event: LogEvent, work: Pass) -> None:
        event._check_open()
        time_ns, level, message, fields, origin, ambient, task, extras = event._record
        context = event._context
        if context is not None:
            clean = work.mapping_member(context, "context")
            event._context = clean if type(context) is FrozenDict else dict(clean)
        event._record = (
            time_ns,
            level,
            work.text_member(message, "message"),
            work.mapping_member(fields, "fields"),
            self._clean_origin(origin, work),
            self._clean_ambient(ambient, work),
            work.text_member(task, "task"),
            None if extras is None else remade(extras, _clean_extras(extras, work)),
        )
        event._fields = None
        self._engine.texts.forget()

    def _clean_ambient(self, ambient: Ambient, work: Pass) -> Ambient:
        if not ambient.values and not ambient.correlation_id:
            return ambient
        known: Ambient | None = ambient.cache.get(self._cache_key)
        if known is None:
            known = Ambient(
                work.mapping_member(ambient.values, "context"),
                work.text_member(ambient.correlation_id, "correlation_id"),
            )
            if known.values is ambient.values and known.correlation_id is ambient.correlation_id:
                return ambient
            if len(ambient.cache) < _MOST_CACHED:
                ambient.cache[self._cache_key] = known
        return known

    def _clean_origin(self, origin: Origin, work: Pass) -> Origin:
        known: Origin | None = origin.cache.get(self._cache_key)
        if known is None:
            known = Origin(
                logger=work.text_member(origin.logger, "logger"),
                source=work.text_member(origin.source, "source"),
                container_id=origin.container_id,
                bound=work.mapping_member(origin.bound, "context"),
            )
            if known.logger is origin.logger and known.source is origin.source and known.bound is origin.bound:
                return origin
            if len(origin.cache) < _MOST_CACHED:
                origin.cache[self._cache_key] = known
        return known


def _clean_extras(extras: Extras, work: Pass) -> Extras:
    metrics = work.mapping_member(extras.metrics, "metrics")
    return Extras(
        extras.severity,
        work.mapping_member(extras.tags, "tags"),
        # A measurement that is hidden is left out: a mask is no number.
        FrozenDict({name: value for name, value in metrics.items() if type(value) is float}),
        work.mapping_member(extras.context, "context"),
        None if extras.exception is None else work.mapping_member(extras.exception, "exception"),
        None if extras.correlation_id is None else work.text_member(extras.correlation_id, "correlation_id"),
    )
