"""PluginRegistry: the plugins that one container knows by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from ..checks import is_plugin_name
from ..errors import PluginError
from ..shown import did_you_mean, masked_text, show
from .metadata import PluginMetadata, PluginType
from .schema import json_schema
from .shape import METHODS, a_kind, callable_name

_BUILT_IN: Mapping[PluginType, Mapping[str, str]] = MappingProxyType(
    {
        PluginType.SINK: MappingProxyType(
            {
                "console": "fapilog.sinks.console:ConsoleSink",
                "file": "fapilog.sinks.file:FileSink",
                "memory": "fapilog.sinks.memory:MemorySink",
                "null": "fapilog.sinks.null:NullSink",
                "stderr": "fapilog.sinks.streams:StderrSink",
                "stdout": "fapilog.sinks.streams:StdoutSink",
            }
        ),
        PluginType.FILTER: MappingProxyType({}),
        PluginType.ENRICHER: MappingProxyType({}),
        PluginType.PROCESSOR: MappingProxyType({}),
        PluginType.REDACTOR: MappingProxyType({"redact": "fapilog.redactors.redact:SensitiveDataRedactor"}),
    }
)
"""Where the built-in plugins are; a module is imported only when its plugin is used."""

Factory = TypeVar("Factory", bound=Callable[..., Any])


class PluginRegistry:
    """The plugins that one container knows by name: the built-in ones, and those registered here.

    Registries share nothing. What is registered is a class, or a function that makes the plugin; it is called with
    the configuration if it has an attribute ``Config``, else without arguments.
    """

    def __init__(self) -> None:
        self._registered: dict[tuple[PluginType, str], Callable[..., Any]] = {}
        self._loaded: list[PluginMetadata] = []

    def register(
        self,
        plugin: Factory,
        *,
        name: str | None = None,
        plugin_type: PluginType | str | None = None,
    ) -> Factory:
        """Make *plugin* known and return it, so that this may decorate a class.

        Parameters:
            plugin: a class, or a function that makes the plugin.
            name: letters, digits, ``_`` and ``-``; by default that of its metadata, else its own.
            plugin_type: by default that of its metadata, else the kind whose method the class has.

        Raises:
            PluginError: if it cannot be called, its kind is unknown, or its name is wrong, built in, or taken. Names
                that differ only in case, ``_`` and ``-`` count as the same.
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
            if _folded(taken) == _folded(name):
                raise PluginError(name, f"has the name of the built-in {kind} {taken!r}; choose another name")
        for (other_kind, taken), other in self._registered.items():
            if other_kind is kind and _folded(taken) == _folded(name) and (taken != name or other is not plugin):
                raise PluginError(name, f"has the name of another registered {kind}, {taken!r}; choose another name")
        self._registered[kind, name] = plugin
        return plugin

    def copy(self) -> PluginRegistry:
        """Return a registry that knows the same plugins and has loaded none."""
        copied = PluginRegistry()
        copied._registered.update(self._registered)
        return copied

    def names(self, plugin_type: PluginType | str) -> tuple[str, ...]:
        """Return the names of the plugins of one kind, sorted."""
        kind = PluginType(plugin_type)
        registered = [name for other_kind, name in self._registered if other_kind is kind]
        return tuple(sorted([*_BUILT_IN.get(kind, {}), *registered]))

    def get(self, plugin_type: PluginType | str, name: str) -> Callable[..., Any]:
        """Return the class or factory of a plugin; a built-in one is imported now.

        Raises:
            PluginError: if there is no such plugin, or importing it fails.
        """
        kind = PluginType(plugin_type)
        registered = self._registered.get((kind, name))
        if registered is not None:
            return registered
        entry_point = _BUILT_IN.get(kind, {}).get(name)
        if entry_point is None:
            known = self.names(kind)
            hint = did_you_mean(name, known) or f"there are {', '.join(known) if known else 'none'}"
            raise PluginError(masked_text(name), f"no {kind} of this name; {hint}")
        return load(name, entry_point)

    def metadata(self, plugin_type: PluginType | str, name: str) -> PluginMetadata:
        """Return what is known of a plugin; its class is imported for it, but not run.

        Raises:
            PluginError: if there is no such plugin, or importing it fails.
        """
        kind = PluginType(plugin_type)
        return plugin_metadata(self.get(kind, name), kind, name)

    @property
    def loaded(self) -> tuple[PluginMetadata, ...]:
        """What was built from this registry and beside it, in the order it was built in."""
        return tuple(self._loaded)

    def note_loaded(self, metadata: PluginMetadata) -> None:
        """Remember a plugin that was built."""
        self._loaded.append(metadata)

    def __repr__(self) -> str:
        return f"<PluginRegistry with {len(self._registered)} registered and {len(self._loaded)} loaded plugins>"


def plugin_metadata(plugin: object, plugin_type: PluginType, name: str | None = None) -> PluginMetadata:
    """Return the metadata of a class, object or function; what it does not tell itself is filled in."""
    found = _own_metadata(plugin)
    subject = plugin if isinstance(plugin, type) or hasattr(plugin, "__qualname__") else type(plugin)
    own_name = getattr(subject, "__qualname__", "")
    metadata = found or PluginMetadata(name=name or callable_name(plugin), version="0", plugin_type=plugin_type)
    schema = metadata.configuration_schema
    config = getattr(plugin, "Config", None)
    if not schema and isinstance(config, type) and attrs.has(config):
        schema = json_schema(config)
    return attrs.evolve(
        metadata,
        name=name or metadata.name,
        entry_point=metadata.entry_point or f"{getattr(subject, '__module__', '')}:{own_name}",
        configuration_schema=schema,
    )


def _own_metadata(plugin: object) -> PluginMetadata | None:
    try:
        found = getattr(plugin, "metadata", None)
    except Exception:
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


def _folded(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


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
        raise PluginError(name, f"importing {entry_point} failed: {type(error).__name__}: {error}") from error
    return loaded
