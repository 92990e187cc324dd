"""OpenTelemetry: the active trace in events, and events as log records of its SDK."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar, TypeAlias

import attrs
from opentelemetry._logs import Logger, LoggerProvider, SeverityNumber, get_logger_provider
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from ..errors import PartialWriteError, TransientSinkError
from ..event import LogEvent
from ..formats._exception_lines import exception_lines
from ..plugins import Batch, PluginMetadata, PluginType
from ..values import FrozenDict, text

Attributes: TypeAlias = dict[str, Any]

SEVERITY_NUMBERS: Mapping[int, SeverityNumber] = {
    10: SeverityNumber.DEBUG,
    20: SeverityNumber.INFO,
    30: SeverityNumber.WARN,
    40: SeverityNumber.ERROR,
    50: SeverityNumber.FATAL,
}
"""By level; https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber."""

_MOST_LOGGERS = 1000
_MOST_GIVEN = 112
"""The most attributes from context and fields: with all others that is at most 128, beyond which the SDK by default
drops the oldest, one by one, and logs a warning for each."""
_LONGEST_STACKTRACE = 64 * 1024
_MOST_INT = 2**63 - 1
_TRACE = frozenset({"trace_id", "span_id", "trace_flags"})


@attrs.frozen(kw_only=True)
class OpenTelemetryEnricherConfig:
    """What the enricher can be told."""

    prefix: str = attrs.field(default="", validator=attrs.validators.instance_of(str))
    """What stands before the three names; give one if ``log.span`` is used as well, whose ids have the same names."""


class OpenTelemetryEnricher:
    """Adds the ids of the active OpenTelemetry span, as they are at the call, to the context of each event.

    ``trace_id`` has 32 hexadecimal digits, ``span_id`` 16 and ``trace_flags`` 2, by the names of
    https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/. Without an active span nothing is
    added. The span is looked up in the log call, by the thread and task that make it.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="opentelemetry",
        version="1.0.0",
        plugin_type=PluginType.ENRICHER,
        entry_point="fapilog.integrations.opentelemetry:OpenTelemetryEnricher",
        dependencies=["opentelemetry-api>=1.39"],
    )
    Config = OpenTelemetryEnricherConfig

    def __init__(self, config: OpenTelemetryEnricherConfig | None = None) -> None:
        prefix = (config or OpenTelemetryEnricherConfig()).prefix
        self._names = f"{prefix}trace_id", f"{prefix}span_id", f"{prefix}trace_flags"
        self._last: tuple[SpanContext | None, FrozenDict] = None, FrozenDict()
        """The span that was active last, and what it adds; replaced as a whole, for threads read it."""

    def at_call(self) -> FrozenDict | None:
        """Return the ids of the span that is active now."""
        span = get_current_span().get_span_context()
        last, added = self._last
        if span is last:
            return added
        if not span.is_valid:
            return None
        trace_id, span_id, trace_flags = self._names
        added = FrozenDict(
            {
                trace_id: format(span.trace_id, "032x"),
                span_id: format(span.span_id, "016x"),
                trace_flags: format(span.trace_flags, "02x"),
            }
        )
        self._last = span, added
        return added


@attrs.frozen(kw_only=True)
class OpenTelemetrySinkConfig:
    """What the sink can be told."""

    flush_timeout: float = attrs.field(default=4.0, validator=[attrs.validators.gt(0.0), attrs.validators.le(3600.0)])
    """Seconds, above 0 and at most 3600, that a flush gives the provider's processors. Keep it below the sink's
    ``write_timeout``."""


class OpenTelemetrySink:
    """Hands events to an OpenTelemetry ``LoggerProvider``.

    The log record has the event's time, its message as body, its level as severity number and text, its logger's name
    as instrumentation scope (``fapilog`` for the root logger), and the trace context that the event has in its own:
    from :class:`OpenTelemetryEnricher`, or from ``log.span``. Context and fields are attributes under their names. By
    the semantic conventions (https://opentelemetry.io/docs/specs/semconv/) are ``code.file.path``,
    ``code.line.number`` and ``code.function.name``, and ``exception.type``, ``exception.message`` and
    ``exception.stacktrace``. What else the event has is ``fapilog.tags``, ``fapilog.metrics``, ``fapilog.severity``,
    ``fapilog.task``, ``fapilog.source``, ``fapilog.correlation_id`` and ``fapilog.sequence``. More than 112 of
    context and fields are left out, and ``fapilog.omitted`` says how many.

    The provider is its owner's to shut down. It runs in the sink's thread, for processors may block.

    Parameters:
        logger_provider: the provider; None for the one that is set globally when the sink starts.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="opentelemetry",
        version="1.0.0",
        plugin_type=PluginType.SINK,
        entry_point="fapilog.integrations.opentelemetry:OpenTelemetrySink",
        dependencies=["opentelemetry-api>=1.39"],
    )
    Config = OpenTelemetrySinkConfig
    blocking: ClassVar[bool] = True
    ordered: ClassVar[bool] = True

    def __init__(
        self, config: OpenTelemetrySinkConfig | None = None, *, logger_provider: LoggerProvider | None = None
    ) -> None:
        self._config = config or OpenTelemetrySinkConfig()
        self._provider = logger_provider
        self._loggers: dict[str, Logger] = {}
        self._last_trace: tuple[object, Context] = None, Context()

    def start(self) -> None:
        """Look the provider up."""
        if self._provider is None:
            self._provider = get_logger_provider()

    def write(self, batch: Batch) -> None:
        """Hand *batch* over.

        Raises:
            PartialWriteError: if the provider raised for some of the events; these may be tried again.
        """
        failed: dict[int, BaseException] = {}
        observed = time.time_ns()
        for position, event in enumerate(batch.events):
            try:
                self._logger(event.logger).emit(
                    timestamp=event.time_ns,
                    observed_timestamp=observed,
                    context=self._trace_of(event.context),
                    severity_number=SEVERITY_NUMBERS[event.level_number],
                    severity_text=event.level,
                    body=event.message,
                    attributes=attributes_of(event),
                )
            except Exception as error:
                failed[position] = error
        if failed:
            raise PartialWriteError(failed)

    def flush(self) -> None:
        """Let the provider's processors export what they hold.

        Raises:
            TransientSinkError: if they did not within the time.
        """
        force_flush = getattr(self._provider, "force_flush", None)
        if force_flush is not None and not force_flush(int(self._config.flush_timeout * 1000)):
            raise TransientSinkError(f"the logger provider did not export all within {self._config.flush_timeout} s")

    def _logger(self, name: str) -> Logger:
        name = name or "fapilog"
        logger = self._loggers.get(name)
        if logger is None:
            if len(self._loggers) >= _MOST_LOGGERS:  # the provider keeps what it has made; names may be made from data
                name = "fapilog"
            assert self._provider is not None
            logger = self._loggers[name] = self._provider.get_logger(name)
        return logger

    def _trace_of(self, context: Mapping[str, Any]) -> Context:
        """Return the trace context of an event; never an empty one, in whose place the SDK would take this thread's."""
        given = context.get("trace_id"), context.get("span_id"), context.get("trace_flags")
        last, found = self._last_trace
        if given == last:
            return found
        span = NonRecordingSpan(_span_context(*given))
        found = set_span_in_context(span, Context())
        self._last_trace = given, found
        return found


def _span_context(trace_id: Any, span_id: Any, flags: Any) -> SpanContext:
    return SpanContext(
        trace_id=_number(trace_id, 32),
        span_id=_number(span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(_number(flags, 2)),
    )


def _number(digits: Any, length: int) -> int:
    """Return a number of so many hexadecimal digits; 0, which is not valid, for anything else."""
    if type(digits) is not str or len(digits) != length:
        return 0
    try:
        return int.from_bytes(bytes.fromhex(digits), "big")
    except ValueError:
        return 0


def attributes_of(event: LogEvent) -> Attributes:
    """Return the attributes of the log record that *event* becomes."""
    context = {name: value for name, value in event.context.items() if name not in _TRACE}
    attributes: Attributes = {}
    site = context.get("callsite")
    if isinstance(site, FrozenDict):
        del context["callsite"]
        attributes["code.file.path"] = site.get("file")
        attributes["code.line.number"] = site.get("line")
        attributes["code.function.name"] = site.get("function")
    exception = event.exception
    if exception is not None:
        module = exception.get("module")
        name = text(exception.get("type", ""))
        attributes["exception.type"] = name if module in (None, "", "builtins") else f"{module}.{name}"
        attributes["exception.message"] = text(exception.get("message", ""))
        attributes["exception.stacktrace"] = "\n".join(exception_lines(exception, _LONGEST_STACKTRACE).collected)
    for name, value in (
        ("tags", event.tags),
        ("metrics", event.metrics),
        ("task", event.task),
        ("source", event.source),
        ("correlation_id", event.correlation_id),
    ):
        if value:
            attributes[f"fapilog.{name}"] = any_value(value)
    attributes["fapilog.severity"] = event.severity
    attributes["fapilog.sequence"] = event.sequence
    given = {**context, **event.fields}
    given.pop("", None)  # the data model has no empty names
    for name, value in islice(given.items(), _MOST_GIVEN):
        attributes[name] = any_value(value)
    if len(given) > _MOST_GIVEN:
        attributes["fapilog.omitted"] = len(given) - _MOST_GIVEN
    return attributes


def any_value(tree: Any) -> Any:
    """Return a frozen tree as the data model's ``AnyValue``: what it has no type for as text.

    A list of several types is JSON text, for SDKs before 1.45 drop such lists.
    """
    if tree is None or isinstance(tree, (str, float, bool)):
        return tree
    if isinstance(tree, int):
        return tree if -_MOST_INT - 1 <= tree <= _MOST_INT else str(tree)
    if issubclass(type(tree), tuple):
        return _array([any_value(item) for item in tree])
    if isinstance(tree, FrozenDict):
        return {name: any_value(item) for name, item in tree.items()}
    return tree.isoformat() if hasattr(tree, "isoformat") else text(tree)


def _array(items: list[Any]) -> list[Any] | str:
    kinds: set[type[object]] = {type(item) for item in items if item is not None}
    if len(kinds) <= 1:
        return items
    if kinds == {int, float}:
        return [None if item is None else float(item) for item in items]
    return json.dumps(items)


__all__ = (
    "SEVERITY_NUMBERS",
    "OpenTelemetryEnricher",
    "OpenTelemetryEnricherConfig",
    "OpenTelemetrySink",
    "OpenTelemetrySinkConfig",
)
