"""Writes reference.md, beside this file, from the signatures and docstrings of the public names.

Run ``python docs/make_reference.py`` after changing one; a test compares the file with what this makes.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

REFERENCE = Path(__file__).with_name("reference.md")

SECTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "Containers": {"fapilog": ("container", "blocking_container", "AsyncLoggingContainer", "current_logger")},
    "Loggers": {
        "fapilog": ("AsyncLogger", "NowaitLogger", "BlockingLogger", "ConfirmedLogger", "BlockingConfirmedLogger"),
        "fapilog.pipeline.awaitables": ("Acceptance",),
        "fapilog.spans": ("Span",),
    },
    "Events": {"fapilog": ("LogEvent", "Level"), "fapilog.plugins": ("Batch",)},
    "Settings": {
        "fapilog": ("Settings", "OverflowStrategy"),
        "fapilog.plugins": ("SinkPolicy", "StagePolicy"),
    },
    "Accounts and metrics": {
        "fapilog": ("DrainReport", "MetricsCollector"),
        "fapilog.metrics": ("SinkReport", "FlushReport", "MetricsSnapshot", "HistogramSnapshot"),
    },
    "Plugins": {
        "fapilog": (
            *("Sink", "Filter", "Enricher", "Processor", "Redactor"),
            *("PluginMetadata", "PluginType", "PluginRegistry", "AsyncPipeline"),
        ),
        "fapilog.plugins": ("PlainWrite",),
    },
    "Built-in sinks": {
        "fapilog.sinks.console": ("ConsoleSink",),
        "fapilog.sinks.file": ("FileSink",),
        "fapilog.sinks.memory": ("MemorySink", "MemoryConfig"),
        "fapilog.sinks.null": ("NullSink",),
        "fapilog.sinks.streams": ("StdoutSink", "StderrSink"),
    },
    "Integrations": {
        "fapilog.integrations.asgi": ("FapilogMiddleware", "lifespan", "request_span"),
        "fapilog.integrations.fastapi": ("request_logger",),
        "fapilog.integrations.access_logs": ("ServerLogHandler", "capture_server_logs"),
        "fapilog.integrations.health": ("HealthEndpoint",),
        "fapilog.integrations.stdlib": ("FapilogHandler", "capture_logging"),
        "fapilog.integrations.uncaught": ("capture_errors",),
        "fapilog.integrations.logging_sink": ("LoggingSink",),
        "fapilog.integrations.structlog": ("FapilogProcessor",),
        "fapilog.integrations.loguru": ("LoguruSink", "capture_loguru"),
        "fapilog.integrations.opentelemetry": ("OpenTelemetryEnricher", "OpenTelemetrySink"),
        "fapilog.integrations.prometheus": ("PrometheusCollector",),
        "fapilog.integrations.signals": ("cancelled_by_signals", "Stop"),
        "fapilog.integrations.task_tree": ("TaskTree",),
    },
    "Testing": {
        "fapilog.testing": ("check_plugin", "examine_plugin", "CapturedLogs", "HostedContainer"),
        "fapilog.testing.conformance": ("Violation", "ConformanceError"),
        "fapilog.testing.recording": ("Recorded", "RecordingSink", "PlainRecordingSink"),
        "fapilog.testing.faulty_sink": ("Faulty", "FaultySink", "PlainFaultySink", "Attempt"),
        "fapilog.testing.faults": ("Fault",),
        "fapilog.testing.faulty_file": ("FaultyFile", "Call"),
        "fapilog.testing.clock": ("virtual_time", "run_in_virtual_time", "VirtualTimeLoop"),
    },
    "Errors": {
        "fapilog": (
            *("FapilogError", "ConfigurationError", "PluginError", "ContainerStateError", "WrongTaskError"),
            *("NoCurrentLogger", "QueueFull", "NotConfirmed", "DrainIncomplete", "SinkError", "TransientSinkError"),
            *("ThrottledSinkError", "PermanentSinkError", "PartialWriteError"),
        ),
        "fapilog.errors": ("Problem", "SinkOutcome"),
    },
}
"""Every public name, and what those give or take, by section and module."""

_HIDDEN: dict[str, set[str]] = {
    "AsyncLoggingContainer": {"forget"},
    "AsyncPipeline": {"start", "flush", "drain", "stop", "discard"},
    "FapilogHandler": {"createLock", "handle"},
    "FaultyFile": {"owns_descriptor", "owns_path", "call"},
    "Fault": {"settled", "exception"},
    "LogEvent": {"from_record"},
    "MetricsCollector": {"reset", "add_sink", "losses", "queue_depth"},
    "PluginRegistry": {"note_loaded"},
    "VirtualTimeLoop": {"time"},
}
"""Members that are for the package's own use."""

_SET_BY_INIT: dict[str, dict[str, str]] = {
    "AsyncLoggingContainer": {
        "settings: Settings": "What the container was told.",
        "container_id: str": "A short random id; every event carries it.",
        "plugin_registry: PluginRegistry": "The plugins that the container knows by name, and those it has built.",
        "metrics_collector: MetricsCollector": "The counters and histograms.",
        "async_pipeline: AsyncPipeline": "The stages between the log calls and the sinks.",
        "report: DrainReport | None": "The account, once the container has been left.",
    },
    "ConfigurationError": {"problems: tuple[Problem, ...]": "Everything that is wrong."},
    "PluginError": {"plugin: str": "The plugin's name."},
    "QueueFull": {"capacity: int": "How many events the intake holds."},
    "DrainIncomplete": {"report: DrainReport": "The account, with what was abandoned."},
    "ThrottledSinkError": {"retry_after: float": "Seconds to wait before the next attempt, at least."},
}
"""Attributes that only a constructor names."""


def reference() -> str:
    """Return the whole page."""
    parts = [
        "# Reference",
        "Made from the docstrings by `docs/make_reference.py`; do not edit it by hand.",
        "A name is imported from `fapilog` unless another module is given.",
    ]
    for section, modules in SECTIONS.items():
        parts.append(f"## {section}")
        for module, names in modules.items():
            for name in names:
                parts += entry(module, name)
    return "\n\n".join(parts) + "\n"


def entry(module: str, name: str) -> Iterator[str]:
    """Yield the paragraphs about one name."""
    found: Any = getattr(import_module(module), name)
    yield f"### `{name}`"
    if module != "fapilog":
        yield f"From `{module}`."
    if not inspect.isclass(found):
        yield code(f"{name}{_signature(found)}")
        yield from markdown(found.__doc__)
        return
    node = _class_node(found)
    bases = ", ".join(
        base for base in map(ast.unparse, node.bases) if base not in {"Protocol", "object"} and base[0] != "_"
    )
    yield code(f"class {name}({bases})" if bases else f"class {name}")
    yield from markdown(ast.get_docstring(node))
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            yield from markdown(ast.get_docstring(item))
    yield from _members(found)


def _members(cls: type) -> Iterator[str]:
    """Yield the paragraphs about the members of *cls*, those of its own package's base classes too."""
    seen: set[str] = set(_HIDDEN.get(cls.__name__, ()))
    seen.update(given.partition(": ")[0] for given in _SET_BY_INIT.get(cls.__name__, ()))
    told: dict[str, str] = {}
    attributes: list[str] = []
    methods: list[str] = []
    for base in cls.__mro__:
        if not base.__module__.startswith("fapilog"):
            continue
        node = _class_node(base)
        module = import_module(base.__module__)
        for position, item in enumerate(node.body):
            name = _name(item)
            if name.startswith("_") or not name or name in seen:
                continue
            seen.add(name)
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                decorators = {ast.unparse(decorator) for decorator in item.decorator_list}
                doc = ast.get_docstring(item)
                if any(decorator.endswith(".setter") for decorator in decorators) or doc is None:
                    continue
                if "property" in decorators:
                    attributes.append(_attribute(name, item.returns, "", doc))
                else:
                    prefix = "async " if isinstance(item, ast.AsyncFunctionDef) else ""
                    kind = "classmethod " if "classmethod" in decorators else ""
                    kind = "staticmethod " if "staticmethod" in decorators else kind
                    methods.append("\n\n".join([code(f"{kind}{prefix}{name}{_arguments(item)}"), *markdown(doc)]))
            elif isinstance(item, (ast.AnnAssign, ast.Assign)):
                annotation = item.annotation if isinstance(item, ast.AnnAssign) else None
                value = inspect.unwrap(getattr(cls, name, None))
                if isinstance(annotation, ast.Subscript) and isinstance(value, FunctionType):
                    methods.append(_callable(name, annotation, value, module, told))
                elif (doc := _docstring_behind(node.body, position)) is not None:
                    attributes.append(_attribute(name, annotation, _default(item), doc))
                elif annotation is not None and hasattr(cls, "__attrs_attrs__"):
                    attributes.append(_attribute(name, annotation, _default(item), ""))
                elif any(base.__name__ == "Enum" for base in cls.__mro__) and isinstance(item, ast.Assign):
                    attributes.append(f"- `{name}` = `{ast.unparse(item.value)}`")
    for given, meaning in _SET_BY_INIT.get(cls.__name__, {}).items():
        name, _, type_name = given.partition(": ")
        attributes.append(f"- `{name}`: `{type_name}`. {meaning}")
    if attributes:
        yield "\n".join(attributes)
    yield from methods


def _callable(name: str, annotation: ast.Subscript, value: FunctionType, module: Any, told: dict[str, str]) -> str:
    """Return a member whose annotation is a protocol of what it is called with, such as ``LogMethod[bool]``."""
    call = _class_node(getattr(module, ast.unparse(annotation.value))).body[-1]
    assert isinstance(call, ast.FunctionDef)
    call.returns = annotation.slice
    summary, _, rest = inspect.cleandoc(value.__doc__ or "").partition("\n\n")
    arguments = _arguments(call)
    if (first := told.setdefault(arguments + rest, name)) != name:
        return f"`{name}(...)`, with the parameters and the result of `{first}`: {' '.join(markdown(summary))}"
    return "\n\n".join([code(f"{name}{arguments}"), *markdown(summary), *markdown(rest)])


def _attribute(name: str, annotation: ast.expr | None, default: str, doc: str) -> str:
    of = f": `{ast.unparse(annotation)}`" if annotation is not None else ""
    value = f" = `{default}`" if default else ""
    return f"- `{name}`{of}{value}. {' '.join(' '.join(markdown(doc)).split())}".rstrip()


def _default(item: ast.AnnAssign | ast.Assign) -> str:
    value = item.value
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "attrs.field":
        for keyword in value.keywords:
            if keyword.arg == "default":
                return ast.unparse(keyword.value)
        return ""
    return "" if value is None else ast.unparse(value)


def _signature(function: Any) -> str:
    node = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return _arguments(node)


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the parameters and the result of a function, without ``self``, on several lines if they are many."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    parts: list[str] = []
    for number, (argument, default) in enumerate(zip(positional, defaults, strict=True), 1):
        if argument.arg not in {"self", "cls"}:
            parts.append(_parameter(argument, default))
        if number == len(arguments.posonlyargs):
            parts.append("/")
    if arguments.vararg is not None:
        parts.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        parts.append("*")
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if not argument.arg.startswith("_"):
            parts.append(_parameter(argument, default))
    if arguments.kwarg is not None:
        parts.append(f"**{ast.unparse(arguments.kwarg)}")
    if parts[:1] == ["/"]:
        del parts[0]
    if parts[-1:] == ["*"]:
        del parts[-1]
    returns = ast.unparse(node.returns) if node.returns is not None else ""
    result = f" -> {returns}" if returns and not returns.startswith("_") else ""
    line = f"({', '.join(parts)}){result}"
    return line if len(line) <= 90 else "(\n    " + ",\n    ".join(parts) + f",\n){result}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    if default is None:
        return text
    return f"{text} = {ast.unparse(default)}"


def _class_node(cls: type) -> ast.ClassDef:
    source = Path(inspect.getsourcefile(cls) or "").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            return node
    raise LookupError(f"no class {cls.__name__} in {cls.__module__}")


def _name(item: ast.stmt) -> str:
    if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return item.name
    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
        return item.target.id
    if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
        return item.targets[0].id
    return ""


def _docstring_behind(body: list[ast.stmt], position: int) -> str | None:
    """Return the docstring of the attribute at *position*: the text that is the next statement."""
    following = body[position + 1] if position + 1 < len(body) else None
    if (
        isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
        and isinstance(following.value.value, str)
    ):
        return inspect.cleandoc(following.value.value)
    return None


def code(text: str) -> str:
    """Return *text* as a block of code that no test runs."""
    return f"```python no-run\n{text}\n```"


def markdown(doc: str | None) -> Iterator[str]:
    """Yield the paragraphs of a docstring as Markdown."""
    for paragraph in inspect.cleandoc(doc or "").split("\n\n"):
        lines = paragraph.split("\n")
        if lines[0] in {"Parameters:", "Returns:", "Raises:"}:
            yield f"*{lines[0][:-1]}*"
            yield "\n".join(_entries(lines[1:]))
        elif paragraph:
            yield _inline(" ".join(lines))


def _entries(lines: list[str]) -> Iterator[str]:
    """Yield one list item for each ``name: text`` of a section, which may go on in further lines."""
    entries: list[str] = []
    for line in textwrap.dedent("\n".join(lines)).split("\n"):
        if line.startswith(" ") and entries:
            entries[-1] += f" {line.strip()}"
        else:
            entries.append(line)
    for text in entries:
        names, separator, meaning = text.partition(": ")
        if separator and " " not in names.replace(", ", ","):
            shown = ", ".join(f"`{name}`" for name in names.split(", "))
            yield f"- {shown}: {_inline(meaning)}"
        else:
            yield f"- {_inline(text)}"


def _inline(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def main() -> int:
    """Write the page."""
    REFERENCE.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
