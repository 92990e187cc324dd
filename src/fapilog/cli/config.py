"""``fapilog config``: show the effective settings, check a file, print the JSON Schema of settings files."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import IO, Any

import attrs

from ..errors import ConfigurationError, FapilogError, PluginError
from ..presets import PRESETS
from ..settings import Settings
from ..shown import is_secret_path, show, type_of
from ..sources import dotted

GOOD, PROBLEMS = 0, 1
"""The exit codes; 2 is for a wrong use of the command."""

_BOLD, _DIM, _RED, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"


def add_parser(commands: Any) -> None:
    """Add ``config`` and what it can do to the *commands* of the command line."""
    parser: ArgumentParser = commands.add_parser(
        "config",
        help="show, check and describe settings",
        description="Exit codes: 0 if all is well, 1 if there are problems, 2 if the command was used wrongly.",
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="action")
    showing = actions.add_parser(
        "show",
        help="print the effective settings and where each value came from",
        description="Reads what container() would read here: the file, FAPILOG_CONFIG, FAPILOG_PRESET and the other "
        "variables. Secrets are not shown.",
    )
    showing.add_argument("file", nargs="?", metavar="FILE", help="a TOML file (default: the one FAPILOG_CONFIG names)")
    showing.add_argument("--preset", metavar="NAME", help=f"a preset: {', '.join(PRESETS)}")
    showing.add_argument("--search", action="store_true", help="look for a file from this directory upward")
    showing.add_argument("--changed", action="store_true", help="leave out defaults")
    showing.add_argument("--json", action="store_true", help="print JSON")
    showing.set_defaults(run=show_settings)
    checking = actions.add_parser(
        "check",
        help="check a settings file, its plugins' settings included",
        description="Reads the file alone, without the environment. Plugins that it names are imported and made, "
        "but not started. Prints one problem a line.",
    )
    checking.add_argument("file", metavar="FILE", help="a fapilog.toml, or a pyproject.toml with [tool.fapilog]")
    checking.set_defaults(run=check_file)
    describing = actions.add_parser(
        "schema",
        help="print the JSON Schema of settings files",
        description="For editors: save it and name it in the file's first line, '#:schema ./fapilog.schema.json'.",
    )
    describing.set_defaults(run=print_schema)


def show_settings(arguments: Namespace) -> int:
    """Print the effective settings and where each value came from; return the exit code."""
    try:
        settings = Settings.load(arguments.file, preset=arguments.preset, search=arguments.search)
    except ConfigurationError as error:
        return _tell(error)
    rows = [
        (path, value, source)
        for path, value, source in rows_of(settings)
        if not (arguments.changed and source == "default")
    ]
    if arguments.json:
        _say(json.dumps({path: {"value": value, "source": source} for path, value, source in rows}, indent=2))
        return GOOD
    width = max((len(path) for path, _, _ in rows), default=0)
    shown = [(path, _as_toml(value), source) for path, value, source in rows]
    value_width = min(max((len(value) for _, value, _ in shown), default=0), 40)
    for path, value, source in shown:
        line = f"{_styled(path, _BOLD, sys.stdout)}{' ' * (width - len(path))} = {value:<{value_width}}"
        _say(f"{line}  {_styled('# ' + _plain(source), _DIM, sys.stdout)}")
    return GOOD


def rows_of(settings: Settings) -> Iterator[tuple[str, Any, str]]:
    """Yield the path, the value and the source of each setting; a secret's value is masked."""
    for attribute in attrs.fields(Settings):
        value = getattr(settings, attribute.name)
        if type_of(value) is dict and value:
            yield from _rows_inside((attribute.name,), value, settings)
        else:
            yield attribute.name, _plain_value(value), _source(settings, attribute.name)


def _rows_inside(path: tuple[str, ...], table: Mapping[str, Any], settings: Settings) -> Iterator[tuple[str, Any, str]]:
    for key, value in table.items():
        here = (*path, key)
        if type_of(value) is dict and value:
            yield from _rows_inside(here, value, settings)
            continue
        shown = dotted(here)
        yield (
            shown,
            show(value, secret=True) if is_secret_path(shown) else _plain_value(value),
            _source(settings, shown),
        )


def _source(settings: Settings, path: str) -> str:
    source = settings.sources.get(path)
    return "default" if source is None else str(source)


def _plain_value(value: Any) -> Any:
    """Return *value* as JSON can hold it, without secrets inside; a text of the environment as it would be read."""
    kind = type_of(value)
    if value is None or kind in (bool, int, float):
        return value
    if issubclass(kind, str):
        return _masked(value)
    if kind is list and all(issubclass(type_of(item), str) for item in value):
        return [_masked(item) for item in value]
    return show(value)


def _masked(text: str) -> str:
    shown = show(str.__str__(text))
    return shown[1:-1] if shown[:1] == shown[-1:] and shown[:1] in "'\"" else shown


def _as_toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value is not None else "none"


def check_file(arguments: Namespace) -> int:
    """Check a file and its plugins' settings; return the exit code."""
    from ..container import AsyncLoggingContainer
    from ..plugins import PluginRegistry
    from ..plugins.configuration import GivenPlugins, add_plugin_problems

    try:
        AsyncLoggingContainer(Settings.from_toml(arguments.file))
    except ConfigurationError as error:
        add_plugin_problems(error, GivenPlugins(), PluginRegistry())
        return _tell(error)
    except PluginError as error:
        return _tell(error)
    _say(f"{_plain(arguments.file)}: good")
    return GOOD


def _tell(error: FapilogError) -> int:
    problems = error.problems if isinstance(error, ConfigurationError) else (error, *getattr(error, "__notes__", ()))
    for problem in problems:
        path, separator, rest = _plain(str(problem)).partition(": ")
        _say(f"{_styled(path, _RED, sys.stderr)}{separator}{rest}", sys.stderr)
    return PROBLEMS


def print_schema(_: Namespace) -> int:
    """Print the JSON Schema of settings files; return the exit code."""
    from ._config_schema import settings_schema

    _say(json.dumps(settings_schema(), indent=2))
    return GOOD


def _plain(text: str) -> str:
    """Return *text* without characters that could move a terminal's cursor or change its colours."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _say(text: str, stream: IO[str] | None = None) -> None:
    (stream or sys.stdout).write(text + "\n")


def _styled(text: str, style: str, stream: IO[str]) -> str:
    wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"{style}{text}{_RESET}" if wanted else text


__all__ = ("add_parser", "check_file", "print_schema", "show_settings")
