"""An installed plugin loaded: what it needs is checked, then it is imported, then looked at; each fault one error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from math import isfinite
from typing import Any, cast

import attrs

from ..checks import project_name
from ..errors import PluginError
from ..shown import items_of, masked_text, show, type_name, type_of
from .installed import InstalledPlugin
from .metadata import PluginMetadata, PluginType
from .requirements import Requirement, installed_version
from .shape import a_kind, factory_faults
from .versions import VersionRange

VersionOf = Callable[[str], "str | None"]


def load_installed(plugin: InstalledPlugin, version_of: VersionOf = installed_version) -> Any:
    """Return what the entry point of *plugin* names: a class, a function that makes the plugin, or the plugin.

    Parameters:
        plugin: what to load; that it may be used has been found out.
        version_of: returns the version that is installed of a distribution, None if it is not installed.

    Raises:
        PluginError: if it needs what is not installed, if importing it fails, or if it is no plugin.
        KeyboardInterrupt: if its import is interrupted; a note names the plugin.
    """
    fault = plugin.problem or unmet(plugin.distribution.requires, version_of)
    if fault:
        raise error_of(plugin, fault)
    loaded = _imported(plugin)
    faults = factory_faults(loaded, plugin.plugin_type) + metadata_faults(loaded, plugin.plugin_type)
    if faults:
        raise error_of(plugin, f"{faults[0]}; {updated(plugin)}")
    fault = unmet_by_itself(loaded, version_of)
    if fault:
        raise error_of(plugin, fault)
    return loaded


def error_of(plugin: InstalledPlugin, message: str) -> PluginError:
    """Return the error that *message* says about *plugin*, with its distribution."""
    return PluginError(masked_text(plugin.name), message, distribution=str(plugin.distribution))


def check_registered(plugin: object, plugin_type: PluginType, name: str) -> None:
    """See to it that what the program registered makes, or is, a *plugin_type*.

    Raises:
        PluginError: if it is not.
    """
    faults = factory_faults(plugin, plugin_type) + metadata_faults(plugin, plugin_type)
    fault = faults[0] if faults else unmet_by_itself(plugin)
    if fault:
        raise PluginError(name, fault)


def unmet(requirements: Iterable[str], version_of: VersionOf = installed_version) -> str:
    """Return what is wrong with the first of *requirements* that is not met, and the remedy, or an empty text."""
    for text in requirements:
        try:
            requirement = Requirement.parse(text)
        except ValueError as error:
            return f"what it needs cannot be told: {error}; its author has to correct its metadata"
        fault = requirement.fault(version_of)
        if fault:
            return fault
    return ""


def metadata_faults(plugin: object, plugin_type: PluginType) -> list[str]:
    """Return what is wrong with the metadata that *plugin* has itself; nothing if it has none."""
    found = _asked(plugin, "metadata")
    if isinstance(found, _Raised):
        return [f"asking it for its metadata raised {found.name}"]
    if found is None:
        return []
    if type(found) is not PluginMetadata:
        return [f"its metadata is {show(found)}, and not a PluginMetadata"]
    faults = [
        f"its metadata has the {name} {show(getattr(found, name))}, and not a text"
        for name in ("name", "version", "entry_point", "requires_fapilog")
        if type(getattr(found, name)) is not str
    ]
    if found.plugin_type != plugin_type:
        faults.append(f"it is to be {a_kind(plugin_type)}, but its metadata says {show(found.plugin_type)}")
    if not _is_list_of_texts(found.dependencies):
        faults.append(f"its metadata has the dependencies {show(found.dependencies)}, and not a list of requirements")
    if not _is_profile(found.performance_profile):
        shown = show(found.performance_profile)
        faults.append(f"its metadata has the performance_profile {shown}, and not a table of names and finite numbers")
    if not faults and found.requires_fapilog:
        try:
            VersionRange(found.requires_fapilog)
        except ValueError as error:
            faults.append(f"its requires_fapilog is no version range: {error}")
    return faults


def unmet_by_itself(plugin: object, version_of: VersionOf = installed_version) -> str:
    """Return what is wrong with what *plugin*, whose metadata is right, says that it needs, or an empty text."""
    found = _asked(plugin, "metadata")
    if type(found) is not PluginMetadata:
        return ""
    fapilog = [f"fapilog {found.requires_fapilog}"] if found.requires_fapilog else []
    return unmet([*fapilog, *found.dependencies], version_of)


def error_text(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Return the type and the message of an error without *secrets*, whatever its own ``__str__`` does."""
    try:
        text = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        text = "<its text cannot be had>"
    return masked_text(f"{type_name(error)}: {text}" if text else type_name(error), secrets)


@attrs.frozen
class _Raised:
    """Stands for what could not be asked for."""

    name: str
    """The type of what was raised."""


def _asked(plugin: object, attribute: str) -> object:
    try:
        return getattr(plugin, attribute, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _Raised(type_name(error))


def _is_list_of_texts(value: object) -> bool:
    return type(value) in (list, tuple) and all(type(item) is str for item in items_of(value))


def _is_profile(value: object) -> bool:
    if type_of(value) is not dict:
        return False
    pairs = cast("dict[Any, Any]", value).items()
    return all(type(name) is str and type(number) in (int, float) and isfinite(number) for name, number in pairs)


def _imported(plugin: InstalledPlugin) -> Any:
    from importlib import import_module

    module, _, attribute = plugin.entry_point.partition(":")
    try:
        with _modules_kept(plugin):
            loaded: Any = import_module(module)
            for name in attribute.split("."):
                loaded = getattr(loaded, name)
    except PluginError:
        raise
    except KeyboardInterrupt as error:
        # A person's, for all we know, also if the module raised it itself.
        error.add_note(f"fapilog: while importing the plugin {plugin.name!r} of {plugin.distribution}")
        raise
    except BaseException as error:
        said = f"importing {plugin.entry_point} failed: {error_text(error)}; {_import_remedy(plugin, error)}"
        raise error_of(plugin, said) from error
    return loaded


def _import_remedy(plugin: InstalledPlugin, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = plugin.entry_point.partition(":")[0].partition(".")[0]
        if error.name.partition(".")[0] != top:
            return f"install what provides the module {masked_text(error.name)!r}"
        return f"pip install --force-reinstall {project_name(plugin.distribution.name)}"
    return updated(plugin)


def updated(plugin: InstalledPlugin) -> str:
    """Return the remedy for what is wrong with *plugin* itself."""
    return f"pip install --upgrade {project_name(plugin.distribution.name)}, or tell its author"


@contextmanager
def _modules_kept(plugin: InstalledPlugin) -> Generator[None]:
    """See to it that what is imported replaces neither ``sys.modules`` nor any module of fapilog in it.

    That is against mistakes: a module that is imported may do anything to the program, which nothing here can prevent.
    """
    modules = sys.modules
    ours = {name: module for name, module in modules.items() if name == "fapilog" or name.startswith("fapilog.")}
    try:
        yield
    finally:
        replaced = ["sys.modules"] if sys.modules is not modules else []
        sys.modules = modules
        for name, module in ours.items():
            if modules.get(name) is not module:
                modules[name] = module
                replaced.append(name)
        if replaced:
            raise error_of(
                plugin, f"importing {plugin.entry_point} replaced {replaced[0]}, which was put back; {updated(plugin)}"
            )


__all__ = (
    "check_registered",
    "error_of",
    "error_text",
    "load_installed",
    "metadata_faults",
    "unmet",
    "unmet_by_itself",
    "updated",
)
