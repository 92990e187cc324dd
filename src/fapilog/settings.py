"""Settings, and the mappings and TOML files that they come from."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from os import PathLike, fspath
from typing import Any, Literal, TypeAlias, cast

import attrs

from .checks import (
    CHECK,
    Problems,
    check_fields,
    check_instance,
    choice,
    flag,
    is_mapping,
    level_name,
    level_table,
    mapping_items,
    number,
    optional,
    plugin_names,
    plugin_selection,
    plugin_table,
    text,
    whole_number,
)
from .shown import masked_text, show, shown_mapping, type_of

_LARGEST_FILE = 1 << 20
"""Bytes that a settings file may have."""
_DAY = 86_400.0

OnIncomplete: TypeAlias = Literal["warn", "raise", "ignore"]


class OverflowStrategy(StrEnum):
    """What a full queue means for a log call, and so what can be lost."""

    BLOCK = "block"
    """The call waits for room, in order of arrival, at most ``block_timeout``; only then is its event lost,
    and counted. A call that cannot wait, such as ``log.nowait``, loses its event at once."""
    DROP_NEWEST = "drop_newest"
    """The new event is lost, and counted; what is queued stays."""
    DROP_OLDEST = "drop_oldest"
    """The oldest queued event below ERROR is lost, and counted, and the new one enters; an ERROR gives way
    only to another ERROR."""
    RAISE = "raise"
    """The call raises :class:`fapilog.QueueFull` and its event is lost, counted as rejected; ``log.nowait``
    returns False instead. At a sink's stream, where no caller is left to tell, it means ``DROP_NEWEST``."""


def _as_strategy(value: OverflowStrategy | str) -> OverflowStrategy:
    """Let type checkers accept the text as well; the check afterwards makes it a member."""
    return cast("OverflowStrategy", value)


def _as_level(value: str | int) -> str:
    """Let type checkers accept a :class:`fapilog.Level` as well; the check afterwards makes it its name."""
    return cast("str", value)


@attrs.frozen(kw_only=True)
class Settings:
    """Everything that a container is told; frozen, checked when made.

    Lists and mappings are copied: changing what was given has no effect. The settings of one sink, such as its
    ``write_timeout``, stand beside the plugin's own in ``plugin_config``; see
    :class:`fapilog.plugins.policy.SinkPolicy`.

    Raises:
        ConfigurationError: if anything is wrong; it holds every problem.
    """

    level: str = attrs.field(default="INFO", converter=_as_level, metadata={CHECK: level_name})
    """The least level that is logged; a name in any case, or a number, kept as the name."""
    levels: dict[str, str] = attrs.field(factory=dict[str, str], metadata={CHECK: level_table})
    """The least level of a logger and those below it, by its dotted name."""
    source: str = attrs.field(default="", metadata={CHECK: text(1000)})
    """The service or component that the events come from; at most 1000 characters."""
    sinks: list[str] = attrs.field(factory=list[str], metadata={CHECK: plugin_names})
    """Names of sinks: ``"file"``, or ``"errors=file"`` for another instance of it. Empty for the default sink."""
    filters: list[str] = attrs.field(factory=list[str], metadata={CHECK: plugin_names})
    """Names of filters, in the order they run in."""
    enrichers: list[str] = attrs.field(factory=list[str], metadata={CHECK: plugin_names})
    """Names of enrichers, in the order they run in."""
    processors: list[str] = attrs.field(factory=list[str], metadata={CHECK: plugin_names})
    """Names of processors, in the order they run in."""
    redactors: list[str] = attrs.field(factory=list[str], metadata={CHECK: plugin_names})
    """Names of redactors, in the order they run in."""
    plugin_config: dict[str, Any] = attrs.field(
        factory=dict[str, Any], repr=shown_mapping, metadata={CHECK: plugin_table}
    )
    """One table of settings for each plugin instance, by its name; secrets in it are masked in the ``repr``."""
    plugins_allowed: list[str] | None = attrs.field(default=None, metadata={CHECK: optional(plugin_selection)})
    """The installed plugins that may be used: names, and ``"dist:NAME"`` for all of a distribution; None for any.

    It does not concern what is built in, registered or given by the program."""
    plugins_denied: list[str] = attrs.field(factory=list[str], metadata={CHECK: plugin_selection})
    """The plugins that may not be used, built-in ones included, likewise; stronger than ``plugins_allowed``."""
    batch_size: int = attrs.field(default=256, metadata={CHECK: whole_number(1, 1_000_000)})
    """Events of one write to a sink, at most, unless the sink has its own."""
    batch_linger: float = attrs.field(default=0.02, metadata={CHECK: number(0, 60, unit="seconds")})
    """Seconds, up to 60, that events after a first one may wait for more."""
    max_workers: int = attrs.field(default=1, metadata={CHECK: whole_number(1, 1024)})
    """Worker tasks that run the plugins."""
    max_event_bytes: int = attrs.field(default=262_144, metadata={CHECK: whole_number(1024, 1 << 30)})
    """Bytes of one encoded event, at least 1024; a larger event is cut with a marker."""
    queue_max_size: int = attrs.field(default=10_000, metadata={CHECK: whole_number(1, 10_000_000)})
    """Events that wait for a worker, at most."""
    overflow_strategy: OverflowStrategy = attrs.field(
        default=OverflowStrategy.BLOCK, converter=_as_strategy, metadata={CHECK: choice(OverflowStrategy)}
    )
    """What a full queue means; a member or its value, such as ``"drop_oldest"``."""
    reserved_for_errors: float = attrs.field(default=0.1, metadata={CHECK: number(0, 1, below=True)})
    """The share of the queue, from 0 and below 1, that only ERROR and above may use."""
    block_timeout: float = attrs.field(default=1.0, metadata={CHECK: number(0, _DAY, unit="seconds")})
    """Seconds that a call waits for room, at most, under ``BLOCK``."""
    shutdown_timeout: float = attrs.field(default=5.0, metadata={CHECK: number(0, _DAY, unit="seconds")})
    """Seconds that leaving the container may take to get every event out."""
    plugin_timeout: float = attrs.field(default=1.0, metadata={CHECK: number(0, _DAY, unit="seconds", above=True)})
    """Seconds that one call of an asynchronous filter, enricher, processor or redactor may take."""
    on_incomplete: OnIncomplete = attrs.field(default="warn", metadata={CHECK: choice(("warn", "raise", "ignore"))})
    """What an unfinished drain means: a line on the standard error, a ``DrainIncomplete``, or nothing."""
    callsite: bool = attrs.field(default=False, metadata={CHECK: flag})
    """Whether the file, line and function of a call are added to its event's context."""

    def __attrs_post_init__(self) -> None:
        problems = Problems()
        check_instance(self, problems)
        if not problems.items:
            _check_together(self, problems)
        problems.raise_any()

    @classmethod
    def load(cls, source: Settings | Mapping[str, Any] | str | PathLike[str] | None = None) -> Settings:
        """Return the settings that *source* holds.

        Parameters:
            source: settings, returned as they are; a mapping; the path of a TOML file; or None for the defaults.

        Raises:
            ConfigurationError: if it is none of these, cannot be read, or holds anything wrong.
        """
        kind = type_of(source)
        if source is None:
            return cls()
        if issubclass(kind, Settings):
            return cast("Settings", source)
        if issubclass(kind, str) or hasattr(kind, "__fspath__"):
            return cls.from_toml(cast("str | PathLike[str]", source))
        return cls.from_mapping(cast("Mapping[str, Any]", source))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Settings:
        """Return the settings in *mapping*, whose keys are the names of this class's attributes.

        Raises:
            ConfigurationError: if it is no mapping, or holds an unknown key or anything else wrong.
        """
        problems = Problems()
        values: dict[str, Any] = {}
        if is_mapping(mapping):
            values = mapping_items(mapping, "settings", problems)
        else:
            problems.add("settings", mapping, "a Settings, a mapping, or the path of a TOML file")
        names = [attribute.name for attribute in attrs.fields(cls)]
        problems.unknown_keys("", [key for key in values if key not in names], names, "setting")
        if problems.items:
            check_fields(cls, values, problems)
        problems.raise_any()
        return cls(**values)

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Settings:
        """Return the settings in a TOML file: all of it, or ``[tool.fapilog]`` of a ``pyproject.toml``.

        Raises:
            ConfigurationError: if the file cannot be read, is no TOML, or holds anything wrong; a note names the file.
        """
        problems = Problems()
        table, shown_path = _read_toml(path, problems)
        problems.raise_any()
        try:
            return cls.from_mapping(table)
        except ValueError as error:
            error.add_note(f"in the file {shown_path}")
            raise


def _check_together(settings: Settings, problems: Problems) -> None:
    """Note values that are right by themselves and contradict each other."""
    for position, entry in enumerate(settings.plugins_allowed or ()):
        if entry in settings.plugins_denied:
            problems.add(
                f"plugins_allowed[{position}]",
                entry,
                "what plugins_denied does not have",
                "take it out of one of the two",
            )
    # The default of block_timeout contradicts nothing: who gives a short shutdown_timeout did not choose it.
    if (
        settings.overflow_strategy is OverflowStrategy.BLOCK
        and settings.block_timeout > settings.shutdown_timeout
        and settings.block_timeout != attrs.fields_dict(Settings)["block_timeout"].default
    ):
        problems.add(
            "block_timeout",
            settings.block_timeout,
            f"at most shutdown_timeout, which is {settings.shutdown_timeout}",
            "a call must not wait longer than leaving the container may take; "
            "lower block_timeout or raise shutdown_timeout",
        )


def _read_toml(path: str | PathLike[str], problems: Problems) -> tuple[Mapping[str, Any], str]:
    """Return the table in the file at *path* and the path as text to show, after noting what is wrong."""
    import tomllib

    shown_path = show(path)
    try:
        name = fspath(path)
        shown_path = show(name)
        with open(name, "rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            problems.say("settings", f"the file {shown_path}", f"a file of at most {_LARGEST_FILE:_} bytes")
            return {}, shown_path
        document = tomllib.loads(content.decode())
    except OSError as error:
        problems.say("settings", f"the file {shown_path}", "a TOML file that can be read", error.strerror or "")
        return {}, shown_path
    except (ValueError, RecursionError) as error:
        # Undecodable bytes, a path with a NUL, and what is no TOML are all ValueErrors.
        reason = "a byte is not UTF-8" if isinstance(error, UnicodeDecodeError) else masked_text(str(error))
        problems.say("settings", f"the file {shown_path}", "a TOML file", reason)
        return {}, shown_path
    except Exception as error:
        problems.say("settings", shown_path, "the path of a TOML file", f"asking for it raised {type(error).__name__}")
        return {}, shown_path
    tool: Any = document.get("tool")
    table: Any = tool.get("fapilog") if type_of(tool) is dict else None
    is_table = type_of(table) is dict
    if not name.endswith("pyproject.toml"):
        if is_table and len(document) == 1:
            hint = "only a pyproject.toml has its settings in [tool.fapilog]; move them to the top of the file"
            problems.say("tool.fapilog", "a table", "settings at the top of the file", hint)
            return {}, shown_path
        return document, shown_path
    if not is_table:
        problems.say(
            "tool.fapilog", "nothing" if table is None else show(table), f"a table [tool.fapilog] in {shown_path}"
        )
        return {}, shown_path
    return table, shown_path
