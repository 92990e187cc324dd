"""PluginRegistry: the plugins that one container knows by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from ..checks import is_plugin_name
from ..errors import PluginError
from ..shown import did_you_mean, masked_text, one_of, show
from .metadata import PluginMetadata, PluginType, SkippedPlugin
from .names import skeleton
from .schema import json_schema
from .selection import EVERYTHING, Selection
from .shape import METHODS, a_kind, callable_name

if TYPE_CHECKING:
    from .installed import InstalledPlugin, InstalledPlugins

_BUILT_IN: Mapping[PluginType, Mapping[str, str]] = MappingProxyType(
    {
        PluginType.SINK: MappingProxyType(
            {
                "console": "fapilog.sinks.console:ConsoleSink",
                "file": "fapilog.sinks.file:FileSink",
                "logging": "fapilog.integrations.logging_sink:LoggingSink",
                "memory": "fapilog.sinks.memory:MemorySink",
                "null": "fapilog.sinks.null:NullSink",
                "opentelemetry": "fapilog.integrations.opentelemetry:OpenTelemetrySink",
                "stderr": "fapilog.sinks.streams:StderrSink",
                "stdout": "fapilog.sinks.streams:StdoutSink",
            }
        ),
        PluginType.FILTER: MappingProxyType(
            {
                "deduplicate": "fapilog.filters.deduplicate:DeduplicateFilter",
                "expression": "fapilog.filters.expression:ExpressionFilter",
                "first_occurrence": "fapilog.filters.first_occurrence:FirstOccurrenceFilter",
                "first_then_every": "fapilog.filters.first_then_every:FirstThenEveryFilter",
                "level": "fapilog.filters.level:LevelFilter",
                "rate_limit": "fapilog.filters.rate_limit:RateLimitFilter",
                "sample": "fapilog.filters.sample:SampleFilter",
            }
        ),
        PluginType.ENRICHER: MappingProxyType(
            {
                "cloud": "fapilog.enrichers.cloud:CloudEnricher",
                "container": "fapilog.enrichers.container:ContainerEnricher",
                "kubernetes": "fapilog.enrichers.kubernetes:KubernetesEnricher",
                "opentelemetry": "fapilog.integrations.opentelemetry:OpenTelemetryEnricher",
                "process": "fapilog.enrichers.process:ProcessEnricher",
                "runtime": "fapilog.enrichers.runtime:RuntimeEnricher",
                "static": "fapilog.enrichers.static:StaticEnricher",
            }
        ),
        PluginType.PROCESSOR: MappingProxyType(
            {
                "allow_fields": "fapilog.processors.allow_fields:AllowFieldsProcessor",
                "drop_fields": "fapilog.processors.drop_fields:DropFieldsProcessor",
                "rename_fields": "fapilog.processors.rename_fields:RenameFieldsProcessor",
                "size_guard": "fapilog.processors.size_guard:SizeGuardProcessor",
            }
        ),
        PluginType.REDACTOR: MappingProxyType({"redact": "fapilog.redactors.redact:SensitiveDataRedactor"}),
    }
)
"""Where the built-in plugins are; a module is imported only when its plugin is used."""

Factory = TypeVar("Factory", bound=Callable[..., Any])


class PluginRegistry:
    """The plugins that one container knows by name: built-in ones, those registered here, and installed ones.

    What is registered is a class, a function that makes the plugin, or a function that does its work. The first two
    are called with the configuration if they have an attribute ``Config``, else without arguments.

    Installed plugins are those that distributions offer in the entry-point groups ``fapilog.sinks``,
    ``fapilog.filters``, ``fapilog.enrichers``, ``fapilog.processors`` and ``fapilog.redactors``. They are looked for
    when a name is asked for that is neither built in nor registered, and imported only when they are used.

    Registries share nothing but what they have found installed. Every method may be called from any thread.

    Parameters:
        path: the directories in which installed distributions are looked for; those of ``sys.path`` if None, and
            nowhere if it is empty.
    """

    def __init__(self, path: Sequence[str] | None = None) -> None:
        self._path = path
        self._registered: dict[tuple[PluginType, str], Callable[..., Any]] = {}
        self._lock = Lock()
        self._installed: InstalledPlugins | None = None
        self._loaded: list[PluginMetadata] = []
        self._skipped: list[SkippedPlugin] = []

    def register(
        self,
        plugin: Factory,
        *,
        name: str | None = None,
        plugin_type: PluginType | str | None = None,
    ) -> Factory:
        """Make *plugin* known and return it, so that this may decorate a class.

        Parameters:
            plugin: a class, a function that makes the plugin, or one that does its work.
            name: letters, digits, ``_`` and ``-``; by default that of its metadata, else its own.
            plugin_type: by default that of its metadata, else the kind whose method the class has.

        Raises:
            PluginError: if it cannot be called, its kind is unknown, or its name is wrong, built in, or taken. Names
                that differ only in case, ``_`` and ``-``, or look alike as ``file`` and ``fi1e``, count as the same.
        """
        metadata = _own_metadata(plugin)
        if name is None:
            name = metadata.name if metadata else callable_name(plugin)
        given: object = plugin
        if not callable(given):
            raise PluginError(name, f"got {show(given)}; register a class, or a function that makes the plugin")
        if type(name) is not str or not is_plugin_name(name):
            raise PluginError(show(name), "is no plugin's name; use ASCII letters, digits, '_' and '-', a letter first")
        kind = _plugin_type(name, plugin, plugin_type, metadata)
        if metadata is not None and metadata.plugin_type is not kind:
            raise PluginError(name, f"is registered as {a_kind(kind)}, but its metadata says {metadata.plugin_type}")
        for taken in _BUILT_IN.get(kind, {}):
            if skeleton(taken) == skeleton(name):
                raise PluginError(name, f"has the name of the built-in {kind} {taken!r}; choose another name")
        with self._lock:
            self._check_not_taken(kind, name, plugin)
            self._registered[kind, name] = plugin
        return plugin

    def _check_not_taken(self, kind: PluginType, name: str, plugin: object) -> None:
        for (other_kind, taken), other in self._registered.items():
            same = other_kind is kind and skeleton(taken) == skeleton(name)
            if same and (taken != name or other is not plugin):
                raise PluginError(name, f"has the name of another registered {kind}, {taken!r}; choose another name")

    def copy(self) -> PluginRegistry:
        """Return a registry that knows the same plugins and has loaded none."""
        copied = PluginRegistry(self._path)
        with self._lock:
            copied._registered.update(self._registered)
        # What was found never changes, and containers that are made one after the other need not look again.
        copied._installed = self._find_installed() if self._installed is not None else None
        return copied

    def installed(self) -> tuple[InstalledPlugin, ...]:
        """Return every plugin that installed distributions offer, also those that cannot be used; none is imported."""
        return self._find_installed().all()

    def names(self, plugin_type: PluginType | str) -> tuple[str, ...]:
        """Return the names of the plugins of one kind that may be usable, sorted; no plugin is imported."""
        kind = PluginType(plugin_type)
        registered = [name for other_kind, name in self._registered.copy() if other_kind is kind]
        installed = [plugin.name for plugin in self.installed() if plugin.plugin_type is kind and not plugin.problem]
        return tuple(sorted({*_BUILT_IN.get(kind, {}), *registered, *installed}))

    def knows(self, plugin_type: PluginType | str, name: str) -> bool:
        """Return whether there is a plugin of that kind and name, be it one that cannot be used.

        Installed plugins are looked for only if it is neither built in nor registered.
        """
        kind = PluginType(plugin_type)
        if name in _BUILT_IN.get(kind, {}) or (kind, name) in self._registered:
            return True
        return any(plugin.name == name for plugin in self._find_installed().named(kind, name))

    def get(self, plugin_type: PluginType | str, name: str, *, selection: Selection = EVERYTHING) -> Callable[..., Any]:
        """Return what is registered or installed under a name; a built-in or installed plugin is imported now.

        Parameters:
            plugin_type: the kind.
            name: the plugin's name.
            selection: what may be used, which is said by ``plugins_allowed`` and ``plugins_denied``.

        Raises:
            PluginError: if there is no such plugin, it may not be used, or it cannot be loaded.
        """
        return self.find(plugin_type, name, selection=selection)[0]

    def find(
        self, plugin_type: PluginType | str, name: str, *, selection: Selection = EVERYTHING
    ) -> tuple[Callable[..., Any], InstalledPlugin | None]:
        """Return what :meth:`get` does, and where it was installed from; None if it is built in or registered.

        Raises:
            PluginError: as :meth:`get` does.
        """
        kind = PluginType(plugin_type)
        registered = self._registered.get((kind, name))
        entry_point = _BUILT_IN.get(kind, {}).get(name)
        denied_by = selection.name_denied_by(name)
        if (registered is not None or entry_point is not None) and denied_by:
            raise PluginError(name, f"plugins_denied has {denied_by!r}; take it out, or do not name this {kind}")
        if entry_point is not None:
            return load(name, entry_point), None
        from .loading import check_registered, load_installed

        if registered is not None:
            check_registered(registered, kind, name)
            return registered, None
        chosen = self._choose(kind, name, selection)
        return load_installed(chosen), chosen

    def metadata(self, plugin_type: PluginType | str, name: str) -> PluginMetadata:
        """Return what is known of a plugin; its class is imported for it, but not run.

        Raises:
            PluginError: if there is no such plugin, or importing it fails.
        """
        kind = PluginType(plugin_type)
        plugin, origin = self.find(kind, name)
        return plugin_metadata(plugin, kind, name, origin)

    @property
    def loaded(self) -> tuple[PluginMetadata, ...]:
        """What was built from this registry and beside it, in the order it was built in."""
        return tuple(self._loaded)

    @property
    def skipped(self) -> tuple[SkippedPlugin, ...]:
        """The plugins with ``required = false`` that could not be used and were left out, and why."""
        return tuple(self._skipped)

    def note_loaded(self, metadata: PluginMetadata) -> None:
        """Remember a plugin that was built."""
        self._loaded.append(metadata)

    def note_skipped(self, skipped: SkippedPlugin) -> None:
        """Remember a plugin that was left out."""
        if skipped not in self._skipped:  # the same settings may be built again
            self._skipped.append(skipped)

    def problem_of(self, plugin: InstalledPlugin) -> str:
        """Return why an installed plugin cannot be used, as far as it can be told without importing it."""
        from .loading import unmet

        try:
            self._choose(plugin.plugin_type, plugin.name, EVERYTHING)
        except PluginError as error:
            return error.problem
        return plugin.problem or unmet(plugin.distribution.requires)

    def _find_installed(self) -> InstalledPlugins:
        with self._lock:
            if self._installed is None:
                from .installed import InstalledPlugins

                self._installed = InstalledPlugins(self._path, _BUILT_IN)
            return self._installed

    def _choose(self, kind: PluginType, name: str, selection: Selection) -> InstalledPlugin:
        """Return the one installed plugin that *name* stands for.

        Raises:
            PluginError: if there is none, it may not be used, or it is not clear which one is meant.
        """
        from .loading import error_of

        alike = self._find_installed().named(kind, name)
        named = [plugin for plugin in alike if plugin.name == name]
        if not named:
            known = self.names(kind)
            hint = did_you_mean(name, known) or f"there are {', '.join(known) if known else 'none'}"
            raise PluginError(masked_text(name), f"no {kind} of this name; {hint}")
        usable = [plugin for plugin in named if selection.may_use(plugin)]
        if not usable:
            plugin = named[0]
            entries = f"{name!r} or {_entry(plugin)!r}"
            denied_by = selection.denied_by(plugin)
            if denied_by:
                raise error_of(plugin, f"plugins_denied has {denied_by!r}; take it out, or do not name this {kind}")
            raise error_of(plugin, f"plugins_allowed does not have it; add {entries} to it, or do not name this {kind}")
        first, *others = usable
        if others:
            entries = one_of(_entry(plugin) for plugin in usable)
            raise PluginError(
                name,
                f"{_origins(usable)} offer {a_kind(kind)} of this name; uninstall one, or put the one that you do not "
                f"mean into plugins_denied: {entries}",
            )
        others = [plugin for plugin in alike if plugin.distribution != first.distribution and selection.may_use(plugin)]
        if others and not first.problem and not selection.names(first):
            raise error_of(
                first,
                f"its name looks like {show(others[0].name)} of {others[0].distribution}, and one may have been taken "
                f"for the other; write {name!r} into plugins_allowed if you mean it, or {_entry(others[0])!r} into "
                "plugins_denied",
            )
        return first

    def __repr__(self) -> str:
        return f"<PluginRegistry with {len(self._registered)} registered and {len(self._loaded)} loaded plugins>"


def built_in_names(plugin_type: PluginType) -> tuple[str, ...]:
    """Return the names of the built-in plugins of one kind, sorted."""
    return tuple(sorted(_BUILT_IN.get(plugin_type, {})))


def plugin_metadata(
    plugin: object, plugin_type: PluginType, name: str | None = None, origin: InstalledPlugin | None = None
) -> PluginMetadata:
    """Return the metadata of a class, object or function; what it does not tell itself is filled in.

    Parameters:
        plugin: the class, object or function.
        plugin_type: what it is, if it does not tell.
        name: the name that settings use for it.
        origin: where it was installed from; name, version and dependencies are then what its distribution says.

    Raises:
        PluginError: if no JSON Schema can be made of its ``Config``.
    """
    found = _own_metadata(plugin)
    subject = plugin if isinstance(plugin, type) or hasattr(plugin, "__qualname__") else type(plugin)
    own_name = getattr(subject, "__qualname__", "")
    metadata = found or PluginMetadata(name=name or callable_name(plugin), version="0", plugin_type=plugin_type)
    schema = metadata.configuration_schema
    config = getattr(plugin, "Config", None)
    if not schema and isinstance(config, type) and attrs.has(config):
        try:
            schema = json_schema(config)
        except Exception as error:
            said = f"no JSON Schema can be made of its Config, which raised {type(error).__name__}"
            distribution = "" if origin is None else str(origin.distribution)
            raise PluginError(name or metadata.name, said, distribution=distribution) from error
    metadata = attrs.evolve(
        metadata,
        name=name or metadata.name,
        entry_point=metadata.entry_point or f"{getattr(subject, '__module__', '')}:{own_name}",
        configuration_schema=schema,
    )
    if origin is None:
        return metadata
    from .requirements import applying

    needs = applying(origin.distribution.requires)
    return attrs.evolve(
        metadata,
        version=origin.distribution.version,
        entry_point=origin.entry_point,
        dependencies=list(dict.fromkeys([*needs, *metadata.dependencies])),
        distribution=origin.distribution.name,
    )


def _entry(plugin: InstalledPlugin) -> str:
    return f"dist:{masked_text(plugin.distribution.name)}"


def _origins(plugins: Sequence[InstalledPlugin]) -> str:
    return " and ".join(str(plugin.distribution) for plugin in plugins)


def _own_metadata(plugin: object) -> PluginMetadata | None:
    try:
        found = getattr(plugin, "metadata", None)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None
    return found if type(found) is PluginMetadata else None


def _plugin_type(
    name: str, plugin: object, given: PluginType | str | None, metadata: PluginMetadata | None
) -> PluginType:
    if given is not None:
        try:
            return PluginType(given)
        except ValueError:
            raise PluginError(
                name, f"{masked_text(str(given))!r} is no plugin type; use one of {', '.join(PluginType)}"
            ) from None
    if metadata is not None:
        return metadata.plugin_type
    kinds = [kind for kind, (method, _) in METHODS.items() if callable(getattr(plugin, method, None))]
    if len(kinds) != 1:
        raise PluginError(name, f"does not tell its kind; give plugin_type, one of {', '.join(PluginType)}")
    return kinds[0]


def load(name: str, entry_point: str) -> Callable[..., Any]:
    """Return the attribute that *entry_point* names as ``module:attribute``.

    Raises:
        PluginError: if importing it fails.
    """
    from importlib import import_module

    module, _, attribute = entry_point.partition(":")
    try:
        loaded: Callable[..., Any] = getattr(import_module(module), attribute)
    except Exception as error:
        from .loading import error_text

        raise PluginError(name, f"importing {entry_point} failed: {error_text(error)}") from error
    return loaded
