"""The level filter: keeps what is at or above a level, which may differ from logger to logger."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from ..checks import CHECK, Problems, check_or_raise, level_name, level_table
from ..event import Level, LogEvent, level_for
from ..plugins.metadata import PluginMetadata, PluginType
from ..plugins.protocols import Removed
from ..shown import plain_text

_MOST_LOGGERS = 10_000
"""Loggers whose level is remembered; names made from data must not grow without bound."""


def _directives(problems: Problems, path: str, value: Any) -> Any:
    """Check for levels of loggers, as a table or as the text ``"warning,app=info,app.db=debug"``; a table results."""
    if not issubclass(type(value), str):
        return level_table(problems, path, value)
    table: dict[str, str] = {}
    for directive in plain_text(value).split(","):
        name, separator, level = (part.strip() for part in directive.rpartition("="))
        if not directive.strip():
            continue
        if name in table:
            problems.say(path, f"two levels for {name!r}" if name else "two levels without a logger", "one level each")
        elif separator and not all(name.split(".")):
            problems.add(path, name, "a logger's dotted name before each '='")
        else:
            table[name] = level_name(problems, path, level)
    return table


@attrs.frozen(kw_only=True)
class LevelConfig:
    """What the level filter can be told."""

    level: str = attrs.field(default="DEBUG", metadata={CHECK: level_name})
    """The least level that is kept, of loggers that have none of their own."""
    levels: dict[str, str] | str = attrs.field(factory=dict[str, str], metadata={CHECK: _directives})
    """The least level of a logger and those below it, by its dotted name: a table, or as one text
    ``"app=info,app.db=debug"``, in which a level without a name is that of all others."""

    def __attrs_post_init__(self) -> None:
        check_or_raise(self)


class _Least:
    """The least level of a logger, and what is said of events below it."""

    __slots__ = ("level", "removed")

    def __init__(self, level: int, removed: Removed | bool) -> None:
        self.level: int = level
        self.removed: Removed | bool = removed


class LevelFilter:
    """Keeps an event at or above the least level of its logger.

    What is removed by a logger's own level is counted under that logger's name, as ``"level:app.db"``.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="level", version="1.0.0", plugin_type=PluginType.FILTER, entry_point="fapilog.filters.level:LevelFilter"
    )
    Config = LevelConfig

    def __init__(self, config: LevelConfig | None = None) -> None:
        config = config or LevelConfig()
        assert isinstance(config.levels, dict)
        levels = {"": config.level, **config.levels}
        self._levels: dict[str, int] = {name: Level.parse(level).value for name, level in levels.items()}
        self._leasts: dict[str, _Least] = {
            name: _Least(level, Removed(name) if name else False) for name, level in self._levels.items()
        }
        """By logger: those with a level of their own, and others that were seen."""

    def keep(self, event: LogEvent) -> bool | Removed:
        logger = event.logger
        least = self._leasts.get(logger) or self._look_up(logger)
        return True if event.level_number >= least.level else least.removed

    def keep_record(self, level: int, logger: str) -> bool | Removed:
        """Return what ``keep`` does for an event of that level and logger."""
        least = self._leasts.get(logger) or self._look_up(logger)
        return True if level >= least.level else least.removed

    def _look_up(self, logger: str) -> _Least:
        least = self._leasts[level_for(self._levels, logger)[0]]
        if len(self._leasts) < _MOST_LOGGERS:
            self._leasts[logger] = least
        return least
