"""``fapilog plugins``: what plugins there are, what one can be told, whether they can be used, and how fast one is."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from ..plugins import PluginMetadata, PluginRegistry, PluginType
    from ..plugins.configuration import BuiltPlugin

_KINDS = ("sink", "filter", "enricher", "processor", "redactor")


def add_commands(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add ``plugins`` and its own commands to those of the command line."""
    parser = commands.add_parser(
        "plugins",
        help="list the plugins, show one, check that they can be used, measure one",
        description="Plugins are built in, or come with other distributions that are installed in this environment.",
    )
    actions = parser.add_subparsers(title="commands", required=True, metavar="command")

    listed = actions.add_parser("list", help="list every plugin; none is imported")
    _add_kind(listed)
    listed.add_argument("--json", action="store_true", help="print JSON")
    listed.set_defaults(run=_list)

    shown = actions.add_parser("show", help="show what is known of a plugin, and its settings; it is imported")
    shown.add_argument("name", help="the plugin's name")
    _add_kind(shown)
    shown.add_argument("--json", action="store_true", help="print its metadata, with the JSON Schema of its settings")
    shown.set_defaults(run=_show)

    checked = actions.add_parser("check", help="import plugins, make them, and say what is wrong with them")
    checked.add_argument("names", nargs="*", metavar="name", help="plugins' names (default: all that are not built in)")
    _add_kind(checked)
    _add_config(checked)
    checked.add_argument(
        "--conformance", action="store_true", help="also run them through the conformance kit; sinks then really write"
    )
    checked.set_defaults(run=_check)

    measured = actions.add_parser(
        "bench",
        help="measure a plugin, and compare with what it says of itself",
        description="Calls the plugin with batches of events and compares with its performance_profile. A sink really "
        "writes: give it settings of a target that may be filled.",
    )
    measured.add_argument("name", help="the plugin's name")
    _add_kind(measured)
    _add_config(measured)
    measured.add_argument(
        "--seconds", type=_between(0.001, 600), default=1.0, metavar="S", help="how long to measure (default: 1)"
    )
    measured.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio", help="the event loop")
    measured.add_argument(
        "--within",
        type=_between(1, 1000),
        default=2.0,
        metavar="FACTOR",
        help="how many times worse than declared it may be, for machines differ (default: 2)",
    )
    measured.set_defaults(run=_bench)


def list_plugins(kind: str | None = None, *, as_json: bool = False) -> int:
    """Print every plugin, built in or installed, and what is wrong with it as far as its metadata tells; return 0."""
    from ..plugins import PluginRegistry
    from ..plugins.registry import built_in_names

    registry = PluginRegistry()
    rows = [
        {"kind": str(one), "name": name, "version": "", "distribution": "fapilog", "problem": ""}
        for one in _kinds(kind)
        for name in built_in_names(one)
    ]
    rows += [
        {
            "kind": str(plugin.plugin_type),
            "name": plugin.name,
            "version": plugin.distribution.version,
            "distribution": plugin.distribution.name,
            "problem": registry.problem_of(plugin),
        }
        for plugin in registry.installed()
        if plugin.plugin_type in _kinds(kind)
    ]
    rows.sort(key=lambda row: (_KINDS.index(row["kind"]), row["name"]))
    if as_json:
        _print_json(rows)
        return 0
    table = [("kind", "name", "version", "from", "")]
    table += [
        (row["kind"], row["name"], row["version"] or "-", row["distribution"], row["problem"] and "unusable")
        for row in rows
    ]
    _print_table(table)
    for row in rows:
        if row["problem"]:
            _say(f"\n{row['kind']} {row['name']} of {row['distribution']}: {row['problem']}")
    return 0


def show_plugin(name: str, kind: str | None = None, *, as_json: bool = False) -> int:
    """Print what is known of the plugins of that name; return 1 if there is none, or it cannot be loaded."""
    from ..errors import PluginError
    from ..plugins import PluginRegistry

    registry = PluginRegistry()
    try:
        found = [registry.metadata(one, name) for one in _kinds_of(registry, name, kind)]
    except PluginError as error:
        return _fail(str(error))
    if as_json:
        import attrs

        _print_json([attrs.asdict(metadata) for metadata in found])
        return 0
    for position, metadata in enumerate(found):
        if position:
            _say("")
        _print_metadata(metadata)
    return 0


def check_plugins(
    names: Sequence[str],
    kind: str | None = None,
    config: dict[str, Any] | None = None,
    *,
    conformance: bool = False,
) -> int:
    """Import and make plugins, and print what is wrong with each; return 1 if anything is.

    Parameters:
        names: their names; all that are not built in if there are none.
        kind: look at plugins of this kind only.
        config: the settings to make them with.
        conformance: whether to run them through the conformance kit as well.
    """
    from ..errors import PluginError
    from ..plugins import PluginRegistry

    registry = PluginRegistry()
    try:
        if names:
            wanted = [(one, name) for name in names for one in _kinds_of(registry, name, kind)]
        else:
            wanted = [
                (plugin.plugin_type, plugin.name)
                for plugin in registry.installed()
                if plugin.plugin_type in _kinds(kind)
            ]
    except PluginError as error:
        return _fail(str(error))
    if not wanted:
        _say("no plugin is installed beside the built-in ones")
    wrong = 0
    for plugin_type, name in dict.fromkeys(wanted):
        said, right = _checked(registry, plugin_type, name, config, conformance=conformance)
        _say(f"{'ok   ' if right else 'WRONG'} {plugin_type} {name}{f': {said}' if said else ''}")
        wrong += not right
    return 1 if wrong else 0


def build_plugin(
    registry: PluginRegistry, plugin_type: PluginType, name: str, config: dict[str, Any] | None = None
) -> BuiltPlugin[Any]:
    """Return one plugin, loaded and made with the settings *config*.

    Raises:
        PluginError: if it cannot be loaded or made.
        ConfigurationError: if its settings are wrong.
    """
    from ..plugins.configuration import build_plugins
    from ..settings import Settings

    settings = Settings.from_mapping({f"{plugin_type}s": [name], "plugin_config": {name: config or {}}})
    (built,) = build_plugins(settings, registry, plugin_type)
    return built


def _checked(
    registry: PluginRegistry, plugin_type: PluginType, name: str, config: dict[str, Any] | None, *, conformance: bool
) -> tuple[str, bool]:
    """Return what there is to say about a plugin, and whether it is right."""
    from ..errors import ConfigurationError, PluginError

    try:
        build_plugin(registry, plugin_type, name, config)
    except ConfigurationError as error:
        if config is None and all(problem.given == "nothing" for problem in error.problems):
            missing = ", ".join(problem.path.rpartition(".")[2] for problem in error.problems)
            return f"not made, for it has no default for {missing}; give --config", not conformance
        return "; ".join(map(str, error.problems)), False
    except PluginError as error:
        return str(error), False
    if not conformance:
        return "", True
    from ..testing import examine_plugin

    violations = examine_plugin(lambda: build_plugin(registry, plugin_type, name, config).plugin, plugin_type)
    return "".join(f"\n{violation}" for violation in violations), not violations


def _list(arguments: Namespace) -> int:
    return list_plugins(arguments.kind, as_json=arguments.json)


def _show(arguments: Namespace) -> int:
    return show_plugin(arguments.name, arguments.kind, as_json=arguments.json)


def _check(arguments: Namespace) -> int:
    return check_plugins(arguments.names, arguments.kind, arguments.config, conformance=arguments.conformance)


def _bench(arguments: Namespace) -> int:
    from ..errors import ConfigurationError, PluginError
    from ..plugins import PluginRegistry
    from ._bench import compare, measure

    registry = PluginRegistry()
    try:
        kinds = _kinds_of(registry, arguments.name, arguments.kind)
        if len(kinds) > 1:
            return _fail(f"{arguments.name!r} is the name of several plugins; give --kind, one of {', '.join(kinds)}")
        built = build_plugin(registry, kinds[0], arguments.name, arguments.config)
        measurement = measure(built.plugin, kinds[0], seconds=arguments.seconds, backend=arguments.backend)
    except (ConfigurationError, PluginError) as error:
        return _fail(str(error))
    rows, holds = compare(measurement, built.metadata.performance_profile, arguments.within)
    _say(f"{_title(built.metadata)} on {arguments.backend}: {measurement}")
    _print_table([("", "measured", "declared", ""), *rows])
    return 0 if holds else 1


def _kinds(kind: str | None) -> list[PluginType]:
    from ..plugins import PluginType

    return [PluginType(one) for one in _KINDS if kind in (None, one)]


def _kinds_of(registry: PluginRegistry, name: str, kind: str | None) -> list[PluginType]:
    """Return the kinds that have a plugin of that name.

    Raises:
        PluginError: if none has.
    """
    from ..errors import PluginError
    from ..shown import did_you_mean, masked_text

    found = [one for one in _kinds(kind) if registry.knows(one, name)]
    if not found:
        known = [other for one in _kinds(kind) for other in registry.names(one)]
        hint = did_you_mean(name, known) or "'fapilog plugins list' says what there is"
        raise PluginError(masked_text(name), f"no {kind or 'plugin'} of this name; {hint}")
    return found


def _title(metadata: PluginMetadata) -> str:
    origin = f"of {metadata.distribution} {metadata.version}" if metadata.distribution else metadata.version
    return f"{metadata.plugin_type} {metadata.name} {origin}"


def _print_metadata(metadata: PluginMetadata) -> None:
    from ..plugins.requirements import installed_requirement
    from ..plugins.schema import describe

    _say(_title(metadata))
    _say(f"  from       {metadata.entry_point}")
    for requirement in metadata.dependencies:
        _say(f"  needs      {requirement}: {installed_requirement(requirement)}")
    for name, number in metadata.performance_profile.items():
        _say(f"  declares   {name} {number:,}".replace(",", "_"))
    properties: dict[str, Any] = metadata.configuration_schema.get("properties", {})
    if not properties:
        _say("  has no settings of its own")
        return
    _say("  settings:")
    rows: list[Sequence[str]] = []
    for name, schema in properties.items():
        required = name in metadata.configuration_schema.get("required", ())
        default = schema.get("default")
        shown = "required" if required else "" if default is None else f"default {default!r}"
        rows.append((f"    {name}", describe(schema), shown, str(schema.get("description", ""))))
    _print_table(rows)


def _print_table(rows: Iterable[Sequence[str]]) -> None:
    from ..diagnostics import escaped

    table = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_json(value: object) -> None:
    from json import dumps

    # A plugin may have put anything into its schema.
    _say(dumps(value, indent=2, default=str))


def _say(text: str) -> None:
    from ..diagnostics import escaped

    sys.stdout.write("\n".join(map(escaped, text.split("\n"))) + "\n")


def _fail(text: str) -> int:
    from ..diagnostics import escaped

    sys.stderr.write("\n".join(map(escaped, text.split("\n"))) + "\n")
    return 1


def _add_kind(parser: ArgumentParser) -> None:
    parser.add_argument("--kind", choices=_KINDS, help="plugins of this kind only")


def _add_config(parser: ArgumentParser) -> None:
    parser.add_argument("--config", type=_config, metavar="JSON", help="the plugin's settings, as a JSON object")


def _config(given: str) -> dict[str, Any]:
    from json import loads

    from ..shown import type_of

    try:
        value: Any = loads(given)
    except (ValueError, RecursionError) as error:
        raise ArgumentTypeError(f"it is no JSON: {error}") from None
    if type_of(value) is not dict:
        raise ArgumentTypeError('it is no JSON object, such as {"url": "https://example.org"}')
    config: dict[str, Any] = value
    return config


def _between(least: float, most: float) -> Callable[[str], float]:
    def convert(given: str) -> float:
        try:
            number = float(given)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise ArgumentTypeError(f"{given!r} is no number from {least:g} to {most:g}")
        return number

    return convert


__all__ = ("add_commands", "build_plugin", "check_plugins", "list_plugins", "show_plugin")
