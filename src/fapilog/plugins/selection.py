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

    def name_denied_by(self, name: str) -> str:
        """Return the entry that denies all plugins of that name, or of one that looks like it, or an empty text."""
        for entry in self.denied:
            if not entry.startswith(OF_DISTRIBUTION) and skeleton(entry) == skeleton(name):
                return entry
        return ""

    def denied_by(self, plugin: InstalledPlugin) -> str:
        """Return the entry that denies *plugin*, by its name or its distribution; an empty text if none does."""
        by_distribution = _entry_of(plugin) if _entry_of(plugin) in self.denied else ""
        return self.name_denied_by(plugin.name) or by_distribution

    def names(self, plugin: InstalledPlugin) -> bool:
        """Return whether *plugin* is allowed by its own name."""
        return self.allowed is not None and plugin.name in self.allowed

    def allows(self, plugin: InstalledPlugin) -> bool:
        """Return whether *plugin* is allowed; whether it is denied is another matter."""
        return self.allowed is None or self.names(plugin) or _entry_of(plugin) in self.allowed

    def may_use(self, plugin: InstalledPlugin) -> bool:
        """Return whether *plugin* is allowed and not denied."""
        return self.allows(plugin) and not self.denied_by(plugin)


def _entry_of(plugin: InstalledPlugin) -> str:
    return OF_DISTRIBUTION + project_name(plugin.distribution.name)


EVERYTHING = Selection()
"""Without lists."""

__all__ = ("EVERYTHING", "Selection")
