"""The public names: exactly these, typed, and cheap to import."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import fapilog

NAMES = {
    "container", "blocking_container", "current_logger", "AsyncLoggingContainer", "AsyncLogger", "NowaitLogger",
    "BlockingLogger", "LogEvent", "Level", "Settings", "OverflowStrategy", "PluginMetadata", "PluginType",
    "PluginRegistry", "MetricsCollector", "AsyncPipeline", "DrainReport", "Filter", "Enricher", "Processor",
    "Redactor", "Sink", "ConfirmedLogger", "BlockingConfirmedLogger",
}  # fmt: skip
ERRORS = {
    "FapilogError", "ConfigurationError", "ContainerStateError", "DrainIncomplete", "NoCurrentLogger", "NotConfirmed",
    "PartialWriteError", "PermanentSinkError", "PluginError", "QueueFull", "SinkError", "ThrottledSinkError",
    "TransientSinkError", "WrongTaskError",
}  # fmt: skip


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(fapilog.__all__) == NAMES | ERRORS
    assert list(fapilog.__all__) == sorted(fapilog.__all__)
    assert all(getattr(fapilog, name) is not None for name in fapilog.__all__)


def test_a_name_is_listed_before_it_is_used_and_an_unknown_one_is_an_error(clean_environ: dict[str, str]) -> None:
    code = (
        "import fapilog, sys; print(set(fapilog.__all__) <= set(dir(fapilog)), 'fapilog.settings' in sys.modules,"
        "hasattr(fapilog, 'Nonsense'), fapilog.Settings().level, 'Settings' in vars(fapilog))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=clean_environ, text=True
    ).stdout
    assert found.split() == ["True", "False", "False", "INFO", "True"]


def test_every_error_has_the_one_root() -> None:
    assert all(issubclass(getattr(fapilog, name), fapilog.FapilogError) for name in ERRORS)
    assert issubclass(fapilog.NoCurrentLogger, LookupError)


@pytest.mark.parametrize("name", sorted(NAMES | ERRORS))
def test_every_public_name_is_documented(name: str) -> None:
    assert (getattr(fapilog, name).__doc__ or "").strip()


def test_importing_loads_no_backend_no_extra_and_nothing_that_is_used_later(clean_environ: dict[str, str]) -> None:
    code = (
        "import json, sys; before = set(sys.modules); import anyio, attrs, orjson; known = set(sys.modules);"
        "import fapilog; print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - known})))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=clean_environ, text=True
    ).stdout
    loaded = set(json.loads(found))
    unwanted = {
        "trio", "cattrs", "asyncio", "logging", "importlib", "difflib", "tomllib", "ctypes", "uvloop", "starlette",
        "hypercorn", "httpx2", "ssl", "sqlite3", "pytest", "argparse",
    }  # fmt: skip
    assert "fapilog" in loaded
    assert not loaded & unwanted


def test_importing_loads_neither_the_loggers_nor_the_pipeline(clean_environ: dict[str, str]) -> None:
    code = "import sys, fapilog; print(*sorted(name for name in sys.modules if name.startswith('fapilog')))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=clean_environ, text=True
    ).stdout
    modules = ("container", "current", "errors", "pipeline", "pipeline.fork")
    assert found.split() == ["fapilog", *(f"fapilog.{name}" for name in modules)]
