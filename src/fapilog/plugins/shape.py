"""What a plugin looks like: its one method, whether that is asynchronous, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from ..shown import show, type_name, type_of
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
_BESIDE_ENRICH = ("static", "at_call")
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


def is_static(plugin: Any, plugin_type: PluginType) -> bool:
    """Return whether *plugin* is an enricher that has something for every event, by its method ``static``."""
    return (
        plugin_type is PluginType.ENRICHER
        and not issubclass(type(plugin), type)
        and callable(getattr(plugin, "static", None))
    )


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
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return [f"asking it for its methods raised {type(error).__name__}"]
    if issubclass(type(plugin), type):
        return [_class_fault(plugin, method is not None)]
    beside = [name for name in _BESIDE_ENRICH if getattr(plugin, name, None) is not None]
    if beside and plugin_type is PluginType.ENRICHER:
        faults = [] if method is None else _call_faults(method_name, method, argument)
        for name in beside:
            faults += _call_faults(name, getattr(plugin, name), None)
            if is_async(getattr(plugin, name)):
                faults.append(f"its {name} is asynchronous; make it a plain method, nothing waits for it")
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


def _is_class(plugin: object) -> bool:
    return issubclass(type(plugin), type)


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
    except Exception:
        return []  # A function written in C does not tell, and what stands in for a function may raise anything.
    try:
        found.bind(*([None] if argument else []))
    except TypeError as error:
        subject = "it" if name == "it" else f"{name}{found}"
        return [f"{subject} cannot be called as {wanted}: {error}"]
    return []


def is_plugin_itself(plugin: Any, plugin_type: PluginType) -> bool:
    """Return whether a registered *plugin* is a function that does a plugin's work, and not one that makes a plugin.

    One that can be called without arguments makes a plugin, and so does a class, and one with a ``Config``.
    """
    if _is_class(plugin) or not callable(plugin) or getattr(plugin, "Config", None) is not None:
        return False
    return bool(_call_faults("it", plugin, None)) and not _call_faults("it", plugin, METHODS[plugin_type][1])


def factory_faults(plugin: Any, plugin_type: PluginType) -> list[str]:
    """Return what keeps *plugin* from making a *plugin_type*, or from being one, as far as can be told before."""
    method_name, argument = METHODS[plugin_type]
    try:
        config = getattr(plugin, "Config", None)
        method = getattr(plugin, method_name, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return [f"asking it for what it has raised {type_name(error)}"]
    if config is not None and not (_is_class(config) and attrs.has(config)):
        return [f"its Config is {show(config)}, and not an attrs class; decorate it with attrs.frozen(kw_only=True)"]
    is_class = _is_class(plugin)
    if not is_class and method is not None:
        return [f"it is an object, which containers would share; name its class, {type_name(plugin)}"]
    if not callable(plugin):
        return [f"it is {show(plugin)}, and not a class or function"]
    if is_plugin_itself(plugin, plugin_type):
        return _call_faults("it", plugin, argument)
    if not is_class and is_async(plugin):
        return ["it makes the plugin and is asynchronous; write 'def' instead of 'async def', and wait in start()"]
    if not is_class and config is None and _call_faults("it", plugin, None):
        return [f"it can be called neither as a function of the {argument}, nor without arguments to make the plugin"]
    faults = _call_faults("it", plugin, None if config is None else "config")
    if faults:
        wanted = "without arguments, for it has no Config" if config is None else "with its Config"
        return [f"it cannot be called {wanted}: {faults[0].rpartition(': ')[2]}"]
    return _made_faults(plugin, plugin_type) if is_class else []


def _made_faults(plugin: Any, plugin_type: PluginType) -> list[str]:
    """Return what is wrong with the method of the instances of a class; one that is made with them is not known yet."""
    from functools import partial
    from inspect import getattr_static
    from types import FunctionType

    name, argument = METHODS[plugin_type]
    method = getattr_static(plugin, name, None)
    if method is None:
        # A constructor may give its instances a method: those of a class without one have what the class has.
        making = {"__init__", "__new__", "__call__", "__getattr__", "__getattribute__"}
        classes: tuple[type, ...] = plugin.__mro__[:-1]
        if not any(making & set(vars(base)) for base in classes):
            return [f"it has no method {name}({argument}){_other_kind(plugin, plugin_type)}"]
        return []
    if isinstance(method, (staticmethod, classmethod)):
        return _call_faults(name, getattr(plugin, name), argument)
    if isinstance(method, FunctionType):
        return _call_faults(name, partial(method, None), argument)
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


__all__ = (
    "METHODS",
    "a_kind",
    "callable_name",
    "expected_shape",
    "factory_faults",
    "is_async",
    "is_plugin_itself",
    "is_static",
    "method_of",
    "shape_faults",
)
