"""Which plugins a container may use, as ``plugins_allowed`` and ``plugins_denied`` say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from ..checks import OF_DISTRIBUTION, project_name
from .names import skeleton

if TYPE_CHECKING:
    from .installed import InstalledPlugin


@attrs.frozen
class Selection:
    """The allow list and the deny list; an entry is a plugin's name, or ``dist:`` and a distribution's name."""

    allowed: Sequence[str] | None = None
    """What may be used of the plugins that other distributions offer; None for all of them."""
    denied: Sequence[str] = ()
    """What may not be used, built-in plugins included; stronger than ``allowed``."""

    def denies_name(self, name: str) -> bool:
        """Return whether no plugin of that name may be used; a name that looks like a denied one is denied too."""
        return any(_is_name(entry) and skeleton(entry) == skeleton(name) for entry in self.denied)

    def denies(self, plugin: InstalledPlugin) -> bool:
        """Return whether *plugin* is denied, by its name or its distribution."""
        return self.denies_name(plugin.name) or _has_distribution(self.denied, plugin)

    def names(self, plugin: InstalledPlugin) -> bool:
        """Return whether *plugin* is allowed by its own name."""
        return self.allowed is not None and plugin.name in self.allowed

    def allows(self, plugin: InstalledPlugin) -> bool:
        """Return whether *plugin* is allowed; whether it is denied is another matter."""
        return self.allowed is None or self.names(plugin) or _has_distribution(self.allowed, plugin)


def _is_name(entry: str) -> bool:
    return not entry.startswith(OF_DISTRIBUTION)


def _has_distribution(entries: Sequence[str], plugin: InstalledPlugin) -> bool:
    return OF_DISTRIBUTION + project_name(plugin.distribution.name) in entries


EVERYTHING = Selection()
"""Without lists."""

__all__ = ("EVERYTHING", "Selection")
