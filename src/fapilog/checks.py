"""Checks of configuration values: each returns the value in its normal form or notes a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from itertools import islice
from typing import Any, TypeAlias

import attrs

from .environment import EnvironmentText, list_in, number_in, table_in, truth_in
from .errors import ConfigurationError, Problem
from .event import Level
from .shown import (
    did_you_mean,
    is_secret_name,
    is_secret_path,
    items_of,
    one_of,
    pairs_of,
    path_key,
    plain_text,
    show,
    type_of,
)
from .units import BYTES_EXAMPLE, SECONDS_EXAMPLE, bytes_in, seconds_in

CHECK = "fapilog.check"
"""The key of an attribute's metadata under which its check stands."""

OF_DISTRIBUTION = "dist:"
"""What the name of a distribution has before it, where a plugin's name may stand as well."""

_MOST_KEYS = 1000
"""Keys that one table may have, and names that one list may have."""
_MOST_VALUES = 10_000
"""Values that all plugins' settings may have together."""
_DEEPEST = 20


class Problems:
    """Collects what is wrong, so that all of it is told at once."""

    def __init__(self) -> None:
        self.items: list[Problem] = []

    def add(self, path: str, value: object, allowed: str, hint: str = "") -> None:
        """Note that *value* at *path* is wrong; it is shown bounded, and masked if *path* names a secret."""
        if type_of(value) is EnvironmentText and not value:
            hint = "give it a value, or do not set the variable"
        self.say(path, show(value, secret=is_secret_path(path)), allowed, hint)

    def say(self, path: str, given: str, allowed: str, hint: str = "") -> None:
        """Note a problem whose *given* is text that is safe to show."""
        self.items.append(Problem(path, given, allowed, hint))

    def unknown_keys(
        self, prefix: str, keys: list[str], known: Iterable[str], what: str, instead: Mapping[str, str] | None = None
    ) -> None:
        """Note that *keys* are none of the *known* ones; the values are not shown, a mistyped key may hold a secret.

        Parameters:
            instead: for keys that somebody may expect there, what to use in their place.
        """
        names = list(known)
        for key in keys[:20]:
            hint = (instead or {}).get(key) or did_you_mean(key, names)
            allowed = f"a known {what}" if hint else f"the {what}s {', '.join(names)}" if names else f"no {what}s"
            self.say(prefix + path_key(key), f"an unknown {what}", allowed, hint)
        if len(keys) > 20:
            self.say(prefix.rstrip(".") or "settings", f"{len(keys) - 20} more unknown {what}s", f"a known {what}")

    def take_over(self, error: Exception, prefix: str) -> bool:
        """Note the problems of a :class:`ConfigurationError`, *prefix* before their paths; return whether it is one."""
        if not isinstance(error, ConfigurationError):
            return False
        self.items += [attrs.evolve(problem, path=prefix + problem.path) for problem in error.problems]
        return True

    def raise_any(self) -> None:
        """Raise everything that was noted.

        Raises:
            ConfigurationError: if anything was.
        """
        if self.items:
            raise ConfigurationError(self.items)


Check: TypeAlias = Callable[[Problems, str, Any], Any]
"""Takes where to note problems, the value's path and the value; returns the value in its normal form."""


def check_fields(cls: type, values: Mapping[str, Any], problems: Problems, prefix: str = "") -> dict[str, Any]:
    """Return *values* in their normal form, after the checks in the metadata of the attrs class *cls*."""
    checked: dict[str, Any] = {}
    for attribute in attrs.fields(cls):
        if attribute.name in values:
            check: Check = attribute.metadata[CHECK]
            checked[attribute.name] = check(problems, prefix + attribute.name, values[attribute.name])
    return checked


def check_instance(instance: Any, problems: Problems) -> None:
    """Check a new instance of a frozen attrs class and bring its values into their normal form."""
    cls = type_of(instance)
    given = {attribute.name: getattr(instance, attribute.name) for attribute in attrs.fields(cls)}
    for name, value in check_fields(cls, given, problems).items():
        object.__setattr__(instance, name, value)


SCHEMA = "schema"
"""The name under which a check keeps the JSON Schema of what it lets pass."""


def _described(check: Check, **schema: Any) -> Check:
    """Return *check*, with the JSON Schema of what it lets pass."""
    check.__dict__[SCHEMA] = schema
    return check


def check_or_raise(instance: Any) -> None:
    """Check a new instance of a frozen attrs class, such as a plugin's ``Config``, whose values stand by themselves.

    Raises:
        ConfigurationError: if anything is wrong; it holds every problem.
    """
    problems = Problems()
    check_instance(instance, problems)
    problems.raise_any()


def whole_number(minimum: int, maximum: int, *, unit: str = "") -> Check:
    """Return a check for an integer from *minimum* to *maximum*; a bool is none, a text with a *unit* is one."""
    allowed = f"a whole number {f'of {unit} ' if unit else ''}from {minimum:_} to {maximum:_}"

    def check(problems: Problems, path: str, value: Any) -> Any:
        given = _number_given(value, unit)
        kind = type_of(given)
        if kind is not bool and issubclass(kind, int) and minimum <= (number := int.__int__(given)) <= maximum:
            return number
        problems.add(path, value, allowed, _number_hint(value, unit))
        return value

    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return _described(check, **({"anyOf": [schema, {"type": "string"}]} if unit else schema))


def number(minimum: float, maximum: float, *, unit: str = "", above: bool = False, below: bool = False) -> Check:
    """Return a check for a finite number from *minimum* (or *above* it) to *maximum* (or *below* it)."""
    of = f"a number of {unit}" if unit else "a number"
    last = "and below" if below else "and up to" if above else "to"
    allowed = f"{of} {'above' if above else 'from'} {minimum:g} {last} {maximum:g}"

    def check(problems: Problems, path: str, value: Any) -> Any:
        given = _number_given(value, unit)
        kind = type_of(given)
        if kind is not bool and issubclass(kind, (int, float)):
            # The bounds are compared first: a huge int has no float, and NaN is in no range.
            plain = int.__int__(given) if issubclass(kind, int) else float.__float__(given)
            if minimum <= plain <= maximum and not (above and plain == minimum) and not (below and plain == maximum):
                return float(plain)
        problems.add(path, value, allowed, _number_hint(value, unit))
        return value

    lowest, highest = "exclusiveMinimum" if above else "minimum", "exclusiveMaximum" if below else "maximum"
    schema = {"type": "number", lowest: minimum, highest: maximum}
    return _described(check, **({"anyOf": [schema, {"type": "string"}]} if unit else schema))


def flag(problems: Problems, path: str, value: Any) -> Any:
    """Check for a bool; numbers and texts are none, but for those of the environment."""
    if type(value) is EnvironmentText and (truth := truth_in(value)) is not None:
        return truth
    if type(value) is not bool:
        hint = ""
        if (
            type(value) is not EnvironmentText
            and issubclass(type_of(value), str)
            and plain_text(value).lower()
            in (
                "true",
                "false",
            )
        ):
            hint = "write it without quotes"
        problems.add(path, value, "true or false", hint)
    return value


def choice(values: type[StrEnum] | tuple[str, ...]) -> Check:
    """Return a check for one of *values*; of an enum, a member or its value."""
    names = [str(value) for value in values]
    allowed = one_of(names)
    enum = values if isinstance(values, type) else None

    def check(problems: Problems, path: str, value: Any) -> Any:
        if issubclass(type_of(value), str):
            text = plain_text(value)
            if type_of(value) is EnvironmentText:
                text = text.strip().lower()
            if text in names:
                return enum(text) if enum is not None else text
            problems.add(path, value, allowed, did_you_mean(text, names))
        else:
            problems.add(path, value, allowed)
        return value

    return check


def text(longest: int) -> Check:
    """Return a check for a text of at most *longest* characters."""

    def check(problems: Problems, path: str, value: Any) -> Any:
        if issubclass(type_of(value), str) and str.__len__(value) <= longest:
            return plain_text(value)
        problems.add(path, value, f"text of at most {longest:_} characters")
        return value

    return check


def optional(inner: Check) -> Check:
    """Return a check that lets None pass and leaves the rest to *inner*."""

    def check(problems: Problems, path: str, value: Any) -> Any:
        return None if value is None else inner(problems, path, value)

    return _described(check, **getattr(inner, SCHEMA, {}))


def level_name(problems: Problems, path: str, value: Any) -> Any:
    """Check for a level, by name in any case or by number; its normal form is the name."""
    kind = type_of(value)
    try:
        if kind is EnvironmentText:
            plain = plain_text(value).strip()
            return Level.parse(int(plain) if plain.isdecimal() and len(plain) < 5 else plain).name
        if issubclass(kind, str):
            return Level.parse(plain_text(value)).name
        if kind is not bool and issubclass(kind, int):
            return Level.parse(int.__int__(value)).name
    except ValueError:
        pass
    names = list(Level.__members__)
    hint = did_you_mean(plain_text(value).upper(), names) if issubclass(kind, str) else ""
    problems.add(path, value, one_of(names), hint)
    return value


def level_table(problems: Problems, path: str, value: Any) -> Any:
    """Check for a table from logger names to levels."""
    table = plain_table(problems, path, _table_given(value), "a table of logger names and levels")
    checked: dict[str, Any] = {}
    for name, level in table.items():
        if not all(name.split(".")):
            hint = "the root logger's level is the setting 'level'" if not name else ""
            problems.say(f"{path}.{path_key(name)}", show(name), "a logger's dotted name, such as 'api.db'", hint)
        checked[name] = level_name(problems, f"{path}.{path_key(name)}", level)
    return checked


def is_plugin_name(name: str) -> bool:
    """Return whether *name* can be a plugin's name: ASCII letters, digits, ``_`` and ``-``, a letter first."""
    return (
        len(name) <= 64 and name.isascii() and name[:1].isalpha() and name.replace("_", "").replace("-", "").isalnum()
    )


def split_entry(entry: str) -> tuple[str, str]:
    """Return the instance name and the plugin name of one entry of a list, ``"errors=file"`` or ``"file"``."""
    instance, separator, plugin = entry.partition("=")
    return (instance, plugin) if separator else (entry, entry)


def plugin_name(problems: Problems, path: str, value: Any) -> Any:
    """Check for the name of a plugin."""
    if issubclass(type_of(value), str) and is_plugin_name(plain_text(value)):
        return plain_text(value)
    problems.add(path, value, "a plugin's name of ASCII letters, digits, '_' and '-'")
    return value


def plugin_names(problems: Problems, path: str, value: Any) -> Any:
    """Check for a list of plugin names, each of an instance of its own; its normal form is a new list."""
    if type_of(value) is EnvironmentText:
        value = value if (listed := list_in(value)) is None else listed
    kind = type_of(value)
    if not issubclass(kind, (list, tuple)) or len(items := items_of(value)) > _MOST_KEYS:
        one = issubclass(kind, str) and all(map(is_plugin_name, split_entry(plain_text(value))))
        hint = f"write [{show(value)}]" if one else ""
        problems.add(path, value, "a list of plugin names", hint)
        return value
    checked: list[Any] = []
    positions: dict[str, int] = {}
    for position, item in enumerate(items):
        here = f"{path}[{position}]"
        if not issubclass(type(item), str) or not all(map(is_plugin_name, split_entry(plain_text(item)))):
            problems.add(
                here,
                item,
                "a plugin's name, or 'instance=plugin', each of ASCII letters, digits, '_' and '-'",
                _entry_hint(item),
            )
            continue
        entry = plain_text(item)
        instance, plugin = split_entry(entry)
        first = positions.setdefault(instance, position)
        if first != position:
            problems.add(
                here,
                entry,
                "names that differ",
                f"{path}[{first}] has the name {instance!r} already; for another instance write 'other={plugin}'",
            )
        checked.append(entry)
    return checked


def plugin_selection(problems: Problems, path: str, value: Any) -> Any:
    """Check for a list of plugins' names and of ``dist:`` with a distribution's name; its normal form is a new list."""
    kind = type_of(value)
    allowed = "a list of plugin names and of 'dist:' with a distribution's name"
    if not issubclass(kind, (list, tuple)) or len(items := items_of(value)) > _MOST_KEYS:
        hint = f"write [{show(value)}]" if issubclass(kind, str) and _is_selected(plain_text(value)) else ""
        problems.add(path, value, allowed, hint)
        return value
    checked: list[Any] = []
    for position, item in enumerate(items):
        if not issubclass(type(item), str) or not _is_selected(plain_text(item)):
            problems.add(f"{path}[{position}]", item, "a plugin's name, or 'dist:' and a distribution's name")
            continue
        entry = plain_text(item)
        name = entry.removeprefix(OF_DISTRIBUTION)
        if name != entry and project_name(name) == "fapilog":
            hint = "the built-in plugins need no permission, and are denied by their names"
            problems.add(f"{path}[{position}]", entry, "another distribution than fapilog itself", hint)
        checked.append(entry if name == entry else OF_DISTRIBUTION + project_name(name))
    return checked


def project_name(name: str) -> str:
    """Return the name of a distribution in its normal form, as package indexes compare it (PEP 503)."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def _is_selected(entry: str) -> bool:
    name = entry.removeprefix(OF_DISTRIBUTION)
    if name == entry:
        return is_plugin_name(entry)
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    return len(name) <= 128 and plain.isascii() and plain.isalnum() and name[0].isalnum() and name[-1].isalnum()


def plugin_table(problems: Problems, path: str, value: Any) -> Any:
    """Check for a table of plugins' settings, each a table itself; its normal form is a deep copy."""
    table = plain_table(problems, path, _table_given(value), "a table of plugins' settings")
    for name, settings in table.items():
        settings = table[name] = _table_given(settings)
        if type(settings) is not dict:
            # Whoever leaves out the plugin's name has written a secret's in its place.
            given = show(settings, secret=is_secret_name(name))
            problems.say(f"{path}.{path_key(name)}", given, "a table of the plugin's settings")
    return table


def plain_table(problems: Problems, path: str, value: Any, allowed: str) -> dict[str, Any]:
    """Return a deep copy of the mapping *value*, or an empty one after noting what is wrong with it."""
    if not is_mapping(value):
        problems.add(path, value, allowed)
        return {}
    copied: dict[str, Any] = _copied(value, path, problems, _DEEPEST, [_MOST_VALUES])
    return copied


def is_mapping(value: object) -> bool:
    """Return whether *value* is a mapping, going by its type alone."""
    try:
        return issubclass(type(value), Mapping)
    except Exception:
        return False


def mapping_items(value: Any, path: str, problems: Problems) -> dict[str, Any]:
    """Return the first level of the mapping *value* as a dict with plain text keys, after noting what is wrong."""
    found: dict[str, Any] = {}
    try:
        pairs = [(key, item) for key, item in islice(pairs_of(value), _MOST_KEYS + 1)]
    except Exception as error:
        problems.say(path, show(value), "a mapping that can be read", f"reading it raised {type(error).__name__}")
        return found
    if len(pairs) > _MOST_KEYS:
        problems.say(path, f"more than {_MOST_KEYS:_} keys", f"at most {_MOST_KEYS:_} keys")
        pairs = []
    for key, item in pairs:
        if issubclass(type(key), str):
            found[plain_text(key)] = item
        else:
            problems.say(path, f"the key {show(key)}", "keys that are text")
    return found


def _copied(value: Any, path: str, problems: Problems, depth: int, room: list[int]) -> Any:
    """Return a copy of *value* down to what is neither mapping nor list; *room* holds how many values may follow."""
    kind = type_of(value)
    if is_mapping(value):
        pairs = mapping_items(value, path, problems)
        if not _fits(path, problems, depth, room, len(pairs)):
            return {}
        return {key: _copied(item, f"{path}.{path_key(key)}", problems, depth - 1, room) for key, item in pairs.items()}
    if issubclass(kind, (list, tuple)):
        items = items_of(value)
        if not _fits(path, problems, depth, room, len(items)):
            return []
        copies = [_copied(item, f"{path}[{at}]", problems, depth - 1, room) for at, item in enumerate(items)]
        return copies if issubclass(kind, list) else tuple(copies)
    if kind is set or kind is frozenset:
        make: Any = kind
        return make(value if _fits(path, problems, depth, room, len(value)) else ())
    return plain_text(value) if issubclass(kind, str) and kind is not EnvironmentText else value


def _fits(path: str, problems: Problems, depth: int, room: list[int], count: int) -> bool:
    if depth == 0:
        problems.say(path, "values nested deeper", f"at most {_DEEPEST} levels")
        return False
    if room[0] < 0:
        return False
    room[0] -= count
    if room[0] < 0:
        problems.say(path, "too many values", f"at most {_MOST_VALUES:_} values in all")
        return False
    return True


def _entry_hint(item: Any) -> str:
    if issubclass(type(item), str):
        stripped = "=".join(part.strip() for part in plain_text(item).split("="))
        if stripped and all(map(is_plugin_name, split_entry(stripped))):
            return f"write {stripped!r}, without spaces"
        return ""
    return "give plugin objects and functions to container(...), names in the settings"


def _number_given(value: Any, unit: str) -> Any:
    """Return the number that a text with a unit or a text of the environment says, or *value* as it is."""
    kind = type_of(value)
    if not issubclass(kind, str) or not (unit or kind is EnvironmentText):
        return value
    plain = plain_text(value)
    found: float | None = number_in(plain) if kind is EnvironmentText else None
    if found is None and unit == "bytes":
        found = bytes_in(plain)
    elif found is None and unit == "seconds":
        found = seconds_in(plain)
    return value if found is None else found


def _table_given(value: Any) -> Any:
    """Return the table that a text of the environment says, or *value* as it is."""
    if type_of(value) is not EnvironmentText:
        return value
    return value if (found := table_in(value)) is None else found


def _number_hint(value: Any, unit: str = "") -> str:
    kind = type_of(value)
    if kind is bool:
        return "a truth value is no number"
    if not issubclass(kind, str):
        return ""
    plain = plain_text(value)
    if number_in(plain) is not None:
        return "" if kind is EnvironmentText else "write it without quotes"
    if unit == "bytes":
        return "" if bytes_in(plain) is not None else BYTES_EXAMPLE
    if unit == "seconds":
        return "" if seconds_in(plain) is not None else SECONDS_EXAMPLE
    return "write a plain number, without a unit" if 0 < len(plain) <= 30 else ""
