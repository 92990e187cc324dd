"""The plugins that installed distributions offer through entry points, found without importing any of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from types import MappingProxyType
from typing import Any

import attrs

from ..checks import is_plugin_name, project_name
from ..errors import PluginError
from ..shown import masked_text
from .metadata import PluginType
from .names import skeleton

GROUPS: Mapping[str, PluginType] = MappingProxyType({f"fapilog.{kind}s": kind for kind in PluginType})
"""The entry-point groups, and the kind of plugin in each."""

_LARGEST = 1 << 20
"""Characters that the entry points of one distribution may have."""


@attrs.frozen
class InstalledDistribution:
    """A distribution that offers plugins, as its metadata describes it."""

    name: str
    version: str
    """Its version; empty if its metadata is gone."""
    requires: tuple[str, ...] = ()
    """What it needs, as in ``Requires-Dist``."""
    problem: str = ""
    """Why nothing is known of it; empty if all is well."""

    def __str__(self) -> str:
        return f"{masked_text(self.name)} {masked_text(self.version)}".rstrip()


@attrs.frozen
class InstalledPlugin:
    """A plugin that a distribution offers; nothing of it has been imported."""

    plugin_type: PluginType
    name: str
    entry_point: str
    """Where it is, as ``module:attribute``."""
    distribution: InstalledDistribution
    problem: str = ""
    """Why it cannot be used, as far as it can be told without importing it; empty if nothing is known."""


class InstalledPlugins:
    """Finds them when it is asked for the first time, in any thread, and then keeps what it has found.

    Parameters:
        path: the directories to look into, as on ``sys.path``, which is the default; with none, there are none.
        built_in: the names that no other plugin may have or look like, by kind.
    """

    def __init__(self, path: Sequence[str] | None, built_in: Mapping[PluginType, Iterable[str]]) -> None:
        self._path = None if path is None else tuple(path)
        self._built_in = built_in
        self._lock = Lock()
        self._found: tuple[InstalledPlugin, ...] | None = None

    def all(self) -> tuple[InstalledPlugin, ...]:
        """Return every plugin that is offered, whether it can be used or not, by kind, name and distribution.

        Raises:
            PluginError: if what finds distributions, which may be the program's own, raises.
        """
        with self._lock:
            if self._found is None:
                try:
                    self._found = tuple(sorted(self._find(), key=_order))
                except Exception as error:
                    said = f"looking for what is installed raised {type(error).__name__}"
                    raise PluginError("installed plugins", said) from error
            return self._found

    def named(self, plugin_type: PluginType, name: str) -> list[InstalledPlugin]:
        """Return the plugins of one kind whose name is *name* or looks like it."""
        wanted = skeleton(name)
        return [
            plugin for plugin in self.all() if plugin.plugin_type is plugin_type and skeleton(plugin.name) == wanted
        ]

    def _find(self) -> Iterator[InstalledPlugin]:
        from importlib.metadata import distributions

        if self._path == ():
            return
        found: Any = distributions() if self._path is None else distributions(path=list(self._path))
        seen: set[str] = set()
        for distribution in found:
            text = _entry_points_text(distribution)
            if "fapilog." not in text:
                continue
            described = _described(distribution)
            # What stands earlier on the path is what an import finds.
            if project_name(described.name) in seen:
                continue
            seen.add(project_name(described.name))
            for kind, name, entry_point, problem in _entries(text):
                problem = problem or described.problem or self._name_problem(kind, name)
                yield InstalledPlugin(kind, name, entry_point, described, problem)

    def _name_problem(self, kind: PluginType, name: str) -> str:
        for taken in self._built_in.get(kind, ()):
            if skeleton(taken) == skeleton(name):
                how = "has the name of" if taken == name else "has a name that looks like that of"
                return f"it {how} the built-in {kind} {taken!r}, which is used instead; its author has to rename it"
        if not is_plugin_name(name):
            return "its name is none that settings can have: ASCII letters, digits, '_' and '-', a letter first"
        return ""


def _order(plugin: InstalledPlugin) -> tuple[str, str, str]:
    return plugin.plugin_type, plugin.name, plugin.distribution.name


def _entry_points_text(distribution: Any) -> str:
    try:
        text = distribution.read_text("entry_points.txt")
    except Exception:
        return ""  # It cannot be read, or is no text: then it offers nothing.
    return text if isinstance(text, str) and len(text) <= _LARGEST else ""


def _described(distribution: Any) -> InstalledDistribution:
    """Return what the metadata of *distribution* says; it may be gone, or broken."""
    try:
        metadata: Any = distribution.metadata
        name, version = metadata.get("Name"), metadata.get("Version")
        requires = tuple(map(str, metadata.get_all("Requires-Dist") or ()))
    except Exception:
        name = version = None
        requires = ()
    if isinstance(name, str) and name and isinstance(version, str) and version:
        return InstalledDistribution(name, version, requires)
    folder = getattr(getattr(distribution, "_path", None), "stem", "")
    known = name if isinstance(name, str) and name else str(folder).partition("-")[0] or "an unknown distribution"
    problem = f"the metadata of its distribution is gone or broken; pip install --force-reinstall {masked_text(known)}"
    return InstalledDistribution(known, "", (), problem)


def _entries(text: str) -> Iterator[tuple[PluginType, str, str, str]]:
    """Yield kind, name, entry point and problem of each line of our groups; the lines of others may be anything.

    The format is that of the entry points specification of the Python Packaging User Guide: an INI file, with groups as
    sections, and lines such as ``name = module:attribute [extra]``.
    """
    kind: PluginType | None = None
    for line in map(str.strip, text.splitlines()):
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            kind = GROUPS.get(line[1:].partition("]")[0].strip())
        elif kind is not None:
            name, separator, value = (part.strip() for part in line.partition("="))
            entry_point = value.partition("[")[0].replace(" ", "")
            module, _, attribute = entry_point.partition(":")
            parts = [*module.split("."), *attribute.split(".")]
            right = bool(separator) and all(part.isidentifier() for part in parts)
            problem = "" if right else f"its entry point is '{masked_text(line)}', and not 'name = module:attribute'"
            yield kind, name, entry_point, problem


__all__ = ("GROUPS", "InstalledDistribution", "InstalledPlugin", "InstalledPlugins")
