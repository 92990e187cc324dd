"""``fapilog redact test``: what the redactor would hide in a file, where it stands, and why."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from ..checks import Problems
from ..diagnostics import escaped
from ..errors import ConfigurationError, FapilogError
from ..plugins.policy import StagePolicy, split_policy
from ..plugins.structure import structure_config
from ..redactors.redact import UNSEEN, Hit, RedactConfig, SensitiveDataRedactor
from ..settings import Settings
from ..values import freeze

_LONGEST_LINE = 1_048_576
"""Characters of a line that are looked at; what is beyond is not shown either."""
_WRONG, _UNREADABLE = 2, 1


def run(file: str, presets: Sequence[str] | None, settings: str | None, *, clean: bool = False) -> int:
    """Show what would be hidden in a file.

    Parameters:
        file: its path; ``-`` for the standard input.
        presets: the presets in place of those of the settings; None for the latter.
        settings: the path of a settings file whose ``plugin_config.redact`` is used; None for the default settings.
        clean: whether to print the lines as they would be written.

    Returns:
        0; 1 if the file cannot be read, 2 if the settings are wrong.
    """
    try:
        redactor = SensitiveDataRedactor(_config(presets, settings))
    except FapilogError as error:
        sys.stderr.write(f"fapilog redact test: {error}\n")
        return _WRONG
    try:
        _report(file, _lines_of(file), redactor, clean=clean)
    except _UnreadableError as error:
        sys.stderr.write(f"fapilog redact test cannot read {file}: {error}\n")
        return _UNREADABLE
    return 0


class _UnreadableError(Exception):
    """Raised when the file cannot be read; errors of writing what is found pass as they are."""


def _lines_of(file: str) -> Iterator[str]:
    try:
        if file == "-":
            yield from sys.stdin
        else:
            with open(file, encoding="utf-8", errors="backslashreplace") as lines:
                yield from lines
    except OSError as error:
        raise _UnreadableError(error.strerror) from error


def _config(presets: Sequence[str] | None, settings: str | None) -> RedactConfig:
    table: dict[str, Any] = {}
    problems = Problems()
    if settings is not None:
        table = dict(Settings.load(settings).plugin_config.get("redact", {}))
        _, table = split_policy(table, StagePolicy, name="redact", problems=problems)
    if presets:
        table["presets"] = list(presets)
    config: RedactConfig | None = structure_config(RedactConfig, table, "plugin_config.redact", problems)
    if config is None or problems.items:
        raise ConfigurationError(problems.items)
    return config


def _report(file: str, lines: Iterable[str], redactor: SensitiveDataRedactor, *, clean: bool) -> None:
    kinds: dict[str, int] = {}
    number = touched = 0
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")[:_LONGEST_LINE]
        shown, hits = _examined(text, redactor)
        touched += bool(hits)
        for hit in hits:
            kinds[hit.kind] = kinds.get(hit.kind, 0) + 1
            _say(f"{file}:{number}: {hit.path or 'text'}: {_reason(hit)}: {hit.action}")
        if clean:
            _say(shown)
    total = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    _say(f"{touched} of {number} lines hold something to hide{f': {total}' if total else ''}")


def _examined(text: str, redactor: SensitiveDataRedactor) -> tuple[str, list[Hit]]:
    """Return a line in its clean form, and what was hidden in it."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            tree = freeze(orjson.loads(text))
        except ValueError:
            pass
        else:
            shown, hits = redactor.examine(tree)
            return shown if isinstance(shown, str) else orjson.dumps(shown).decode(), hits
    shown, hits = redactor.examine(text)
    return str(shown), hits


def _reason(hit: Hit) -> str:
    if hit.kind in UNSEEN:
        return f"not looked at ({hit.kind})"
    detector, _, rule = hit.kind.partition(":")
    return f"the name {rule!r}" if rule else f"found as {detector}"


def _say(line: str) -> None:
    sys.stdout.write(f"{escaped(line)}\n")
