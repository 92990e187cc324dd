"""Settings files: a ``fapilog.toml``, or ``[tool.fapilog]`` in a ``pyproject.toml``."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any, Final

from .checks import Problems, plain_table
from .shown import masked_text, show, type_of

_LARGEST_FILE: Final = 1 << 20
"""Bytes that a settings file may have."""
_MOST_WORK: Final = 1_000_000
"""The squares of the numbers of dots in each line, added up, at most: reading a key takes the square of its parts."""
_NAMES: Final = ("fapilog.toml", "pyproject.toml")
"""Files that are looked for in each directory, the first before the second."""
_ROOTS: Final = (".git", ".hg", ".jj", ".svn")
"""What marks the top of a project, above which nothing is looked for."""

_PART: Final = r"[\w-]+|\"[^\"]*\"|'[^']*'"
_KEYED: Final = rf"((?:{_PART})(?:\s*\.\s*(?:{_PART}))*)\s*=\s*(.*)"
_HEADER: Final = r"\[+\s*([^\[\]]+?)\s*\]+\s*(?:#.*)?"


def read_settings_file(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], dict[tuple[str, ...], int], str, Problems]:
    """Return a file's settings, the lines that they stand in, its path as text to show, and what is wrong with it.

    The settings are bounded in number and depth.
    """
    problems = Problems()
    shown_path = show(path)
    try:
        name = os.fspath(path)
        shown_path = show(name)
        text = _read(name, shown_path, problems)
        document = _parsed(text, shown_path, problems)
    except OSError as error:
        problems.say("settings", f"the file {shown_path}", "a TOML file that can be read", error.strerror or "")
    except (ValueError, RecursionError) as error:
        # Undecodable bytes, a path with a NUL, and what is no TOML are all ValueErrors.
        reason = "a byte is not UTF-8" if isinstance(error, UnicodeDecodeError) else masked_text(str(error))
        problems.say("settings", f"the file {shown_path}", "a TOML file", reason)
    except Exception as error:
        problems.say("settings", shown_path, "the path of a TOML file", f"asking for it raised {type(error).__name__}")
    else:
        in_pyproject = os.path.basename(name) in ("pyproject.toml", b"pyproject.toml")
        table = _settings_of(document, in_pyproject, shown_path, problems)
        plain = {
            key: plain_table(problems, key, value, "a table") if type_of(value) is dict else value
            for key, value in table.items()
        }
        return plain, lines_of(text, ("tool", "fapilog") if in_pyproject else ()), shown_path.strip("'"), problems
    return {}, {}, shown_path, problems


def _read(name: str | bytes, shown_path: str, problems: Problems) -> str:
    # Not opened before it is known to be a file: opening a pipe would wait for somebody who writes to it.
    if stat.S_IFMT(os.stat(name).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        problems.say("settings", f"the file {shown_path}", "a regular file")
        return ""
    with open(name, "rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        problems.say("settings", f"the file {shown_path}", f"a file of at most {_LARGEST_FILE:_} bytes")
        return ""
    return content.decode()


def _parsed(text: str, shown_path: str, problems: Problems) -> dict[str, Any]:
    import tomllib

    work = 0
    for number, line in enumerate(text.splitlines(), 1):
        work += line.count(".") ** 2
        if work > _MOST_WORK:
            problems.say("settings", f"the file {shown_path}", "a file with fewer dots", f"shorten line {number}")
            return {}
    return tomllib.loads(text)


def _settings_of(
    document: Mapping[str, Any], in_pyproject: bool, shown_path: str, problems: Problems
) -> Mapping[str, Any]:
    tool: Any = document.get("tool")
    table: Any = tool.get("fapilog") if type_of(tool) is dict else None
    is_table = type_of(table) is dict
    if not in_pyproject:
        if is_table and len(document) == 1:
            hint = "only a pyproject.toml has its settings in [tool.fapilog]; move them to the top of the file"
            problems.say("tool.fapilog", "a table", "settings at the top of the file", hint)
            return {}
        return document
    if not is_table:
        problems.say(
            "tool.fapilog", "nothing" if table is None else show(table), f"a table [tool.fapilog] in {shown_path}"
        )
        return {}
    found: Mapping[str, Any] = table
    return found


def find_settings_file(problems: Problems) -> str | None:
    """Return the nearest settings file, from the working directory upward, or None.

    The search ends with the directory that holds the repository, with the home directory, and at another file system.
    A file that somebody else could have put there is a problem, and not read.
    """
    try:
        directory = os.getcwd()
        device = os.stat(directory).st_dev
    except OSError as error:
        problems.say("settings", "the working directory", "a directory that exists", error.strerror or "")
        return None
    home = os.path.expanduser("~")
    while True:
        for name in _NAMES:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and (name != "pyproject.toml" or _has_table(path)):
                return path if _is_trusted(path, problems) else None
        parent = os.path.dirname(directory)
        at_root = any(os.path.exists(os.path.join(directory, mark)) for mark in _ROOTS)
        if at_root or directory in (home, parent) or os.stat(parent).st_dev != device:
            return None
        directory = parent


def _has_table(path: str) -> bool:
    """Return whether a ``pyproject.toml`` has settings of ours; one that cannot be read has none."""
    unheard = Problems()
    try:
        document = _parsed(_read(path, show(path), unheard), show(path), unheard)
    except (OSError, ValueError, RecursionError):
        return False
    tool: Any = document.get("tool")
    return type_of(tool) is dict and "fapilog" in tool


def _is_trusted(path: str, problems: Problems) -> bool:
    """Return whether only this user or the administrator can have written the file, on systems that tell."""
    if not hasattr(os, "geteuid"):
        return True
    status = os.stat(path)
    if status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o002:
        return True
    problems.say(
        "settings",
        f"the file {show(path)}, of user {status.st_uid}, which was found by searching",
        "a file of your own that not everybody can write",
        "if you trust it, name it: Settings.load(path), or FAPILOG_CONFIG",
    )
    return False


def lines_of(text: str, prefix: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """Return the line of each key below the table *prefix*, by its path without it.

    Reads TOML line by line, which finds every key that begins a line; keys inside inline tables have the line of
    the key before them.
    """
    import re

    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    closing = ""
    header, keyed = re.compile(_HEADER), re.compile(_KEYED)
    for number, line in enumerate(text.splitlines(), 1):
        if closing:
            closing = "" if closing in line else closing
            continue
        line = line.strip()
        if (key := keyed.match(line)) is not None:
            path = table + _parts(key[1])
            closing = next((mark for mark in ('"""', "'''") if key[2].count(mark) == 1), "")
        elif (heading := header.fullmatch(line)) is not None:
            path = table = _parts(heading[1])
        else:
            continue
        if path[: len(prefix)] == prefix and len(path) > len(prefix):
            found.setdefault(path[len(prefix) :], number)
    return found


def _parts(key: str) -> tuple[str, ...]:
    import re

    return tuple(part.strip("\"'") for part in re.findall(_PART, key))
