"""Settings: everything that a container is told, checked when made."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import attrs

from .checks import (
    CHECK,
    Problems,
    check_fields,
    check_instance,
    choice,
    flag,
    level_name,
    level_table,
    number,
    optional,
    plugin_names,
    plugin_selection,
    plugin_table,
    text,
    whole_number,
)
from .errors import ConfigurationError
from .shown import shown_mapping, type_of

if TYPE_CHECKING:
    from .sources import Layers, Source

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


class _Sourced:
    """Has a place for where the values came from, which is no setting and does not count when two are compared."""

    __slots__ = ("_sources",)


@attrs.frozen(kw_only=True)
class Settings(_Sourced):
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
    """Seconds, up to 60, that events after a first one may wait for more; of steady traffic, up to an eighth longer."""
    max_workers: int = attrs.field(default=1, metadata={CHECK: whole_number(1, 1024)})
    """Worker tasks that run the plugins."""
    max_event_bytes: int = attrs.field(default=262_144, metadata={CHECK: whole_number(1024, 1 << 30, unit="bytes")})
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
    confirm_timeout: float = attrs.field(default=5.0, metadata={CHECK: number(0, _DAY, unit="seconds", above=True)})
    """Seconds that a call of ``log.confirmed`` waits for its event's delivery, at most."""
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

    @property
    def sources(self) -> Mapping[str, Source]:
        """Where each value came from, by its dotted path; what is not in it is a default, or was given to the class."""
        return getattr(self, "_sources", {})

    def source_of(self, path: str) -> str:
        """Return what set the value at the dotted *path*, as ``FAPILOG_LEVEL`` or ``fapilog.toml:3``; else nothing."""
        from .sources import source_text

        return source_text(self.sources, path)

    @classmethod
    def load(
        cls,
        source: Settings | Mapping[str, Any] | str | PathLike[str] | None = None,
        /,
        *,
        preset: str | None = None,
        search: bool = False,
        environ: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Settings:
        """Return the settings of all sources: defaults, preset, TOML file, environment, keywords; later wins.

        Parameters:
            source: the path of a TOML file, or None for the one that ``FAPILOG_CONFIG`` names, if any. Settings or a
                mapping stand for themselves: neither files nor the environment are looked at.
            preset: the name of a preset; else ``FAPILOG_PRESET`` or the key ``preset`` of the file names it.
            search: whether to look for a ``fapilog.toml``, or a ``pyproject.toml`` with ``[tool.fapilog]``, from the
                working directory upward, if no file is named.
            environ: environment variables; None for the process's own, ``{}`` for none.
            settings: settings by name, which win over all others.

        Raises:
            ConfigurationError: if anything is wrong; it holds every problem, and where each value came from.
        """
        from .sources import gather, plain_arguments

        kind = type_of(source)
        if issubclass(kind, Settings) and not settings and preset is None:
            return cast("Settings", source)
        problems = Problems()
        fields = attrs.fields_dict(cls)
        is_path = issubclass(kind, str) or hasattr(kind, "__fspath__")
        if source is None or is_path:
            file = cast("str | PathLike[str] | None", source)
            layers = gather(
                fields, problems, file=file, search=search, preset=preset, environ=environ, arguments=settings
            )
        else:
            given: Any = source
            if issubclass(kind, Settings):
                given = {name: getattr(given, name) for name in fields}
            layers = gather(
                fields,
                problems,
                file=None,
                search=False,
                preset=preset,
                environ={},
                arguments={**plain_arguments(given, problems), **settings},
            )
        return cls._of(layers, problems)

    @classmethod
    def _of(cls, layers: Layers, problems: Problems) -> Settings:
        from .sources import source_text

        names = list(attrs.fields_dict(cls))
        problems.unknown_keys("", [key for key in layers.values if key not in names], names, "setting")
        if problems.items:
            check_fields(cls, layers.values, problems)
        problems.items = list(dict.fromkeys(problems.items))  # a table that is too deep was found so before
        try:
            problems.raise_any()
            made = cls(**layers.values)
        except ConfigurationError as error:
            error.locate(partial(source_text, layers.sources))
            error.right = cls._right(layers, error)
            raise
        object.__setattr__(made, "_sources", layers.sources)
        return made

    @classmethod
    def _right(cls, layers: Layers, error: ConfigurationError) -> Settings | None:
        """Return the settings without those that *error* is about; None if what plugins there are is among these."""
        wrong = {problem.path.partition(".")[0].partition("[")[0] for problem in error.problems}
        if not wrong.isdisjoint(("sinks", "filters", "enrichers", "processors", "redactors", "plugin_config")):
            return None
        fields = attrs.fields_dict(cls)
        try:
            right = cls(
                **{name: value for name, value in layers.values.items() if name in fields and name not in wrong}
            )
        except ConfigurationError:
            return None  # two that are right by themselves contradict each other
        object.__setattr__(right, "_sources", layers.sources)
        return right

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Settings:
        """Return the settings in *mapping*, whose keys are the names of this class's attributes; nothing else is read.

        Raises:
            ConfigurationError: if it is no mapping, or holds an unknown key or anything else wrong.
        """
        from .sources import ARGUMENT, Layers, plain_arguments

        problems = Problems()
        layers = Layers()
        layers.add(plain_arguments(mapping, problems), lambda _: ARGUMENT)
        return cls._of(layers, problems)

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Settings:
        """Return the settings in a TOML file: all of it, or ``[tool.fapilog]`` of a ``pyproject.toml``; nothing else.

        Raises:
            ConfigurationError: if the file cannot be read, is no TOML, or holds anything wrong.
        """
        return cls.load(path, environ={})


def check_reloadable(old: Settings, new: Settings) -> None:
    """Check that a container with the settings *old* can go on with *new*.

    Raises:
        ConfigurationError: if something differs that loggers carry with them.
    """
    problems = Problems()
    if new.source != old.source:
        problems.add(
            "source",
            new.source,
            f"{old.source!r}, as before",
            "loggers carry it; a reload cannot change it, a start can",
        )
    try:
        problems.raise_any()
    except ConfigurationError as error:
        error.locate(new.source_of)
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
