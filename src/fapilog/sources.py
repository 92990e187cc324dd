"""Where settings come from: defaults, preset, TOML file, environment, arguments; later wins.

Each source is a table with an entry in a record of who set what, so that an error and ``fapilog config show`` can say
where a value came from.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final, TypeAlias, cast

import attrs

from .checks import Problems, is_mapping, mapping_items, plain_table, split_entry
from .environment import EnvironmentText, list_in, table_in
from .presets import PRESETS
from .settings_files import find_settings_file, read_settings_file
from .shown import did_you_mean, nearest, one_of, path_key, plain_text, show, type_of

PREFIX: Final = "FAPILOG_"
CONFIG_VARIABLE: Final = "FAPILOG_CONFIG"
"""Names the TOML file to read."""
PRESET_VARIABLE: Final = "FAPILOG_PRESET"
"""Names the preset."""
_OF_KUBERNETES: Final = ("FAPILOG_SERVICE_", "FAPILOG_PORT")
"""Beginnings of variables that Kubernetes sets for a service named ``fapilog``."""
_MOST_VARIABLES: Final = 1000
_DEEPEST: Final = 16
"""Parts that a variable's name may have behind ``PLUGIN_CONFIG``."""
_TABLES: Final = ("plugin_config", "levels")
"""The settings that are tables, which the sources fill together; any other value is replaced as a whole."""


@attrs.frozen
class Source:
    """Where a value came from."""

    kind: str
    """``default``, ``preset``, ``file``, ``environment`` or ``argument``."""
    name: str = ""
    """The preset, the file's path or the variable; empty for the other two."""
    line: int = 0
    """The line in the file, or 0 if it is not known."""

    def __str__(self) -> str:
        match self.kind:
            case "preset":
                return f"preset {self.name}"
            case "file":
                return f"{self.name}:{self.line}" if self.line else self.name
            case "environment":
                return self.name
            case _:
                return self.kind


SourceOf: TypeAlias = Callable[[tuple[str, ...]], Source]
"""Returns the source of the value at a path of keys."""

ARGUMENT: Final = Source("argument")


class Layers:
    """The values of all sources, laid over each other, and the source of each by its dotted path."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, Source] = {}

    def add(self, table: Mapping[str, Any], source_of: SourceOf) -> None:
        """Lay *table* over what there is; ``source_of(path)`` is the source of a value, the path being its keys."""
        for key, value in table.items():
            path = (key,)
            if key in _TABLES and type_of(value) is dict:
                self.values[key] = self._merged(self.values.get(key), value, path, source_of)
            else:
                self._set(self.values, key, value, path, source_of)

    def _merged(self, under: Any, over: dict[str, Any], path: tuple[str, ...], source_of: SourceOf) -> dict[str, Any]:
        merged: dict[str, Any] = dict(under) if type_of(under) is dict else {}
        if not over and not merged:
            self.sources[dotted(path)] = source_of(path)
        for key, value in over.items():
            here = (*path, key)
            if type_of(value) is dict:
                merged[key] = self._merged(merged.get(key), value, here, source_of)
            else:
                self._set(merged, key, value, here, source_of)
        return merged

    def _set(self, table: dict[str, Any], key: str, value: Any, path: tuple[str, ...], source_of: SourceOf) -> None:
        table[key] = value
        here = dotted(path)
        for other in [other for other in self.sources if other.startswith(here + ".")]:
            del self.sources[other]
        self.sources[here] = source_of(path)


def source_text(sources: Mapping[str, Source], path: str) -> str:
    """Return what to call the source of the value at a dotted *path* in a message; empty for what the program gave."""
    here = path
    while here:
        found = sources.get(here)
        if found is not None:
            return str(found) if found.kind in ("preset", "file", "environment") else ""
        here = here[: max(here.rfind("."), here.rfind("["), 0)]
    inside = next((source for other, source in sources.items() if other.startswith(path + ".")), ARGUMENT)
    return str(inside) if inside.kind in ("preset", "file", "environment") else ""


def dotted(path: Iterable[str]) -> str:
    """Return the keys of *path* as a dotted path."""
    return ".".join(map(path_key, path))


def gather(
    fields: Mapping[str, Any],
    problems: Problems,
    *,
    file: str | os.PathLike[str] | None,
    search: bool,
    preset: str | None,
    environ: Mapping[str, str] | None,
    arguments: Mapping[str, Any],
) -> Layers:
    """Return the settings of every source, after noting what is wrong with the sources themselves.

    Parameters:
        fields: the names of the settings.
        file: the TOML file, or None for the one that ``FAPILOG_CONFIG`` names.
        search: whether to look for a file, from the working directory upward, if none is named.
        preset: the preset's name; it wins over ``FAPILOG_PRESET`` and over ``preset`` in the file.
        environ: the environment variables; None for the process's own.
        arguments: settings that win over all others.
    """
    variables = _own_variables(os.environ if environ is None else environ, problems)
    named_by = ""
    if file is None and (named := variables.get(CONFIG_VARIABLE)) is not None:
        if named:
            file, named_by = named, CONFIG_VARIABLE
        else:
            problems.say(CONFIG_VARIABLE, "an empty text", "the path of a TOML file", "or do not set the variable")
    if file is None and search:
        file = find_settings_file(problems)
    document: dict[str, Any] = {}
    lines: dict[tuple[str, ...], int] = {}
    shown_file = ""
    if file is not None:
        document, lines, shown_file, found = read_settings_file(file)
        problems.items += [attrs.evolve(problem, source=named_by) for problem in found.items]
    given = plain_arguments(arguments, problems)
    layers = Layers()
    _add_preset(layers, problems, (
        (preset, ARGUMENT),
        (given.pop("preset", None), ARGUMENT),
        (variables.get(PRESET_VARIABLE), Source("environment", PRESET_VARIABLE)),
        (document.pop("preset", None), Source("file", shown_file, _line_of(lines, ("preset",)))),
    ))  # fmt: skip
    layers.add(document, lambda path: Source("file", shown_file, _line_of(lines, path)))
    table, names = _environment_table(variables, fields, {**layers.values, **given}, problems)
    layers.add(table, lambda path: Source("environment", names[path]))
    layers.add(given, lambda _: ARGUMENT)
    return layers


def plain_arguments(arguments: Any, problems: Problems) -> dict[str, Any]:
    """Return settings given by the program as a dict whose tables are copies, after noting what is wrong with them."""
    if not is_mapping(arguments):
        problems.add("settings", arguments, "a Settings, a mapping, or the path of a TOML file")
        return {}
    given = mapping_items(arguments, "settings", problems)
    return {
        key: plain_table(problems, key, value, "") if key in _TABLES and is_mapping(value) else value
        for key, value in given.items()
    }


def _add_preset(layers: Layers, problems: Problems, candidates: Iterable[tuple[Any, Source]]) -> None:
    """Lay the settings of the first preset that is named under all others."""
    for name, named_by in candidates:
        if name is None:
            continue
        plain = plain_text(name).strip() if issubclass(type_of(name), str) else ""
        layers.sources["preset"] = named_by
        if plain in PRESETS:
            layers.add(PRESETS[plain].settings, partial(_same, Source("preset", plain)))
        else:
            problems.say("preset", show(name), f"the name of a preset: {one_of(PRESETS)}", did_you_mean(plain, PRESETS))
        return


def _same(source: Source, _: tuple[str, ...]) -> Source:
    return source


def _line_of(lines: Mapping[tuple[str, ...], int], path: tuple[str, ...]) -> int:
    """Return the line of the value at *path*, or of the nearest table around it whose line is known."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


# -- the environment


def _own_variables(environ: Mapping[str, str], problems: Problems) -> dict[str, EnvironmentText]:
    """Return the variables that are fapilog's, in a fixed order: a table before what is in it."""
    found: dict[str, EnvironmentText] = {}
    names = [name for name in environ if name.startswith(PREFIX) and not name.startswith(_OF_KUBERNETES)]
    if len(names) > _MOST_VARIABLES:
        problems.say("environment", f"{len(names)} variables {PREFIX}…", f"at most {_MOST_VARIABLES:_}")
    for name in sorted(islice(names, _MOST_VARIABLES), key=lambda name: (name.count("__"), name)):
        value = environ[name]
        try:
            value.encode()
            name.encode()
        except UnicodeEncodeError:
            problems.say(path_key(name), "bytes that are no text", "text in UTF-8")
        else:
            found[name] = EnvironmentText(value)
    return found


def _environment_table(
    variables: Mapping[str, EnvironmentText], fields: Mapping[str, Any], below: Mapping[str, Any], problems: Problems
) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """Return the settings in *variables* as a table, and the variable of each by its path."""
    table: dict[str, Any] = {}
    names: dict[tuple[str, ...], str] = {}
    unknown: list[str] = []
    for name, value in variables.items():
        if name in (CONFIG_VARIABLE, PRESET_VARIABLE):
            continue
        first, *rest = name.removeprefix(PREFIX).split("__")
        field = first.lower()
        if field not in fields:
            unknown.append(name)
        elif not rest:
            _put(table, (field,), value, name, names)
        elif field not in _TABLES or not all(rest) or len(rest) > (1 if field == "levels" else _DEEPEST):
            form = "FAPILOG_PLUGIN_CONFIG__FILE__PATH" if field == "plugin_config" else f"{PREFIX}{first}"
            problems.say(path_key(name), "a name of several parts", f"a name such as {form}")
        elif field == "levels":
            _put(table, (field, rest[0]), value, name, names)
        else:
            instances = _instances({**below, **table})
            instance, others = _resolved(rest[0], instances)
            if others:
                problems.say(path_key(name), f"a name for {one_of(others)}", "a name for one plugin", "rename one")
            elif not _put(table, (field, instance, *_keys(below, instance, rest[1:])), value, name, names):
                problems.say(path_key(name), "a part of what is a value", "either the value or its parts")
    _say_unknown(unknown, fields, problems)
    return table, names


def _put(
    table: dict[str, Any],
    path: tuple[str, ...],
    value: EnvironmentText,
    name: str,
    names: dict[tuple[str, ...], str],
) -> bool:
    """Put *value* at *path* into *table*; return False if something before the end of the path is no table."""
    for position, key in enumerate(path[:-1], 1):
        inner = table.setdefault(key, {})
        if type_of(inner) is EnvironmentText and (meant := table_in(inner)) is not None:
            # The whole table has a variable of its own, and this is a part of it.
            table[key] = inner = meant
            names.update(((*path[:position], known), names[path[:position]]) for known in meant)
        if type_of(inner) is not dict:
            return False
        table = inner
    if type_of(table.get(path[-1])) is dict:
        return False
    table[path[-1]] = value
    names[path] = name
    return True


def _instances(values: Mapping[str, Any]) -> list[str]:
    """Return the names of plugin instances that *values* name."""
    found: list[str] = []
    for kind in ("sinks", "filters", "enrichers", "processors", "redactors"):
        entries = values.get(kind)
        if type_of(entries) is EnvironmentText:
            entries = list_in(cast("str", entries))
        if type_of(entries) in (list, tuple):
            found += [split_entry(plain_text(entry))[0] for entry in cast("Any", entries) if type_of(entry) is str]
    tables = values.get("plugin_config")
    if type_of(tables) is dict:
        found += cast("dict[str, Any]", tables)
    return list(dict.fromkeys(found))


def _resolved(part: str, names: Iterable[str]) -> tuple[str, list[str]]:
    """Return the one of *names* that a part of a variable's name means, and all of them if there are several."""
    wanted = _folded(part)
    found = [name for name in names if _folded(name) == wanted]
    if len(found) > 1:
        return part, found
    return (found[0] if found else part.lower()), []


def _keys(below: Mapping[str, Any], instance: str, parts: list[str]) -> list[str]:
    """Return the keys that the further parts of a variable's name mean: as they are spelt in a table there is."""
    tables: Any = below.get("plugin_config")
    table: Any = tables.get(instance) if type_of(tables) is dict else None
    keys: list[str] = []
    for part in parts:
        key, _ = _resolved(part, table if type_of(table) is dict else ())
        table = table.get(key) if type_of(table) is dict else None
        keys.append(key)
    return keys


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


def _say_unknown(names: list[str], fields: Mapping[str, Any], problems: Problems) -> None:
    """Note variables that no setting has the name of; their values are not shown, one may hold a secret."""
    known = [*(PREFIX + field.upper() for field in fields), CONFIG_VARIABLE, PRESET_VARIABLE]
    for name in names[:20]:
        near = nearest(name.removeprefix(PREFIX), [other.removeprefix(PREFIX) for other in known])
        hint = f"did you mean '{PREFIX}{near}'?" if near else ""
        allowed = f"a known variable, {PREFIX} and a setting's name in capitals"
        problems.say(path_key(name), "an unknown variable", allowed, hint)
    if len(names) > 20:
        problems.say("environment", f"{len(names) - 20} more unknown variables", "known variables")
