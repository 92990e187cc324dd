"""What a plugin looks like: its one method, whether that is asynchronous, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..shown import type_name, type_of
from .metadata import PluginType

METHODS: dict[PluginType, tuple[str, str]] = {
    PluginType.FILTER: ("keep", "event"),
    PluginType.ENRICHER: ("enrich", "event"),
    PluginType.PROCESSOR: ("process", "batch"),
    PluginType.REDACTOR: ("redact", "event"),
    PluginType.SINK: ("write", "batch"),
}
"""The method of each kind of plugin, and what it takes."""

_OPTIONAL = ("start", "flush", "aclose")
"""Methods that a sink may have; without arguments."""


def a_kind(plugin_type: PluginType) -> str:
    """Return *plugin_type* with its article."""
    return f"{'an' if plugin_type is PluginType.ENRICHER else 'a'} {plugin_type}"


def is_async(method: Callable[..., Any]) -> bool:
    """Return whether calling *method* gives a coroutine; it may be a partial, bound, or an object with ``__call__``."""
    from functools import partial
    from inspect import iscoroutinefunction

    function: Any = method
    while isinstance(function, partial):
        function = function.func
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(type_of(function), "__call__", None))  # noqa: B004


def method_of(plugin: Any, plugin_type: PluginType) -> Callable[..., Any]:
    """Return what the pipeline calls: the plugin's method, or the plugin itself if it is a function."""
    method: Callable[..., Any] = getattr(plugin, METHODS[plugin_type][0], plugin)
    return method


def expected_shape(plugin_type: PluginType) -> str:
    """Return what a plugin of *plugin_type* looks like, in words."""
    method, argument = METHODS[plugin_type]
    return f"an object with the method {method}({argument}), or a function of the {argument}"


def shape_faults(plugin: Any, plugin_type: PluginType) -> list[str]:
    """Return what keeps *plugin* from being a *plugin_type*; nothing if it is one."""
    method_name, argument = METHODS[plugin_type]
    try:
        method = getattr(plugin, method_name, None)
        optional = [(name, getattr(plugin, name, None)) for name in _OPTIONAL] if plugin_type is PluginType.SINK else []
    except Exception as error:
        return [f"asking it for its methods raised {type(error).__name__}"]
    if issubclass(type(plugin), type):
        return [_class_fault(plugin, method is not None)]
    at_call = getattr(plugin, "at_call", None) if plugin_type is PluginType.ENRICHER else None
    if at_call is not None:
        faults = _call_faults("at_call", at_call, None)
        if not faults and is_async(at_call):
            faults = ["at_call is asynchronous; it is called in the log call, which does not wait for it"]
        if faults or method is None:
            return faults
    if method is None:
        if not callable(plugin):
            return [f"it has no method {method_name}({argument}){_other_kind(plugin, plugin_type)}"]
        if _other_kind(plugin, plugin_type):
            return [f"it has no method {method_name}({argument}){_other_kind(plugin, plugin_type)}"]
        return _call_faults("it", plugin, argument)
    faults = _call_faults(method_name, method, argument)
    for name, other in optional:
        if other is not None:
            faults += _call_faults(name, other, None)
    return faults


def _class_fault(plugin: Any, has_method: bool) -> str:
    name = getattr(plugin, "__name__", "class")
    return (
        f"it is a class; give an instance of it, such as {name}()"
        if has_method
        else "it is a class, and not of a plugin"
    )


def _other_kind(plugin: object, plugin_type: PluginType) -> str:
    for other, (method, _) in METHODS.items():
        if other is not plugin_type and callable(getattr(plugin, method, None)):
            return f"; its {method}() makes it {a_kind(other)}, to be given in {other}s"
    return ""


def _call_faults(name: str, method: object, argument: str | None) -> list[str]:
    """Return why *method* cannot be called with the one *argument*, or without any, if anything."""
    from inspect import isasyncgenfunction, isgeneratorfunction, signature

    wanted = f"{name}({argument or ''})" if name != "it" else f"a function of the {argument}"
    if not callable(method):
        return [f"its {name} is {type_name(method)}, not a method"]
    if isgeneratorfunction(method) or isasyncgenfunction(method):
        return [f"{name} is a generator, so that calling it runs nothing; take out 'yield' and return"]
    try:
        found = signature(method)
    except (ValueError, TypeError):
        return []  # A function written in C does not tell.
    try:
        found.bind(*([None] if argument else []))
    except TypeError as error:
        subject = "it" if name == "it" else f"{name}{found}"
        return [f"{subject} cannot be called as {wanted}: {error}"]
    return []


def callable_name(plugin: object) -> str:
    """Return the name that a function or an object has (``name``), or its type's, as a plugin's name."""
    from functools import partial

    while isinstance(plugin, partial):
        plugin = plugin.func
    try:
        given = getattr(plugin, "__name__", None) or getattr(plugin, "name", None)
    except Exception:
        given = None
    name = given if type(given) is str else type_name(plugin).rpartition(".")[2]
    name = "".join(character if character.isascii() and character.isalnum() else "_" for character in name.strip("<>"))
    return (name if name[:1].isalpha() else f"plugin{name}")[:64]


__all__ = ("METHODS", "a_kind", "callable_name", "expected_shape", "is_async", "method_of", "shape_faults")
