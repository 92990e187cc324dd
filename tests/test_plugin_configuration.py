"""Plugins built from settings and from what the program gives, and what is said when that cannot be done."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, NewType

import attrs
import pytest

from fapilog.errors import ConfigurationError, PluginError, Problem
from fapilog.plugins import PluginMetadata, PluginRegistry, PluginType, SinkPolicy, StagePolicy
from fapilog.plugins.configuration import BuiltPlugins, build_all, build_plugins, is_async, method_of
from fapilog.settings import OverflowStrategy, Settings
from fapilog.sinks.memory import MemorySink
from fapilog.sinks.null import NullSink
from support import golden

CANARY = "hunter2-canary"


def build(settings: dict[str, Any] | None = None, registry: PluginRegistry | None = None, **given: Any) -> BuiltPlugins:
    return build_all(Settings.load(settings), registry or PluginRegistry(), **given)


def problems_of(settings: dict[str, Any], registry: PluginRegistry | None = None, **given: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        build(settings, registry, **given)
    return [str(problem) for problem in caught.value.problems]


WRONG = golden("wrong_plugin_settings.txt")


@pytest.mark.parametrize("name", WRONG)
def test_cf1_cf4_cf9_what_is_said_about_wrong_plugin_settings(name: str) -> None:
    settings, expected = WRONG[name]
    assert problems_of(settings) == expected


# -- building


def test_names_and_objects_are_built_in_order() -> None:
    memory = MemorySink()

    def keep(event: object) -> bool:
        return True

    registry = PluginRegistry()
    built = build(
        {
            "sinks": ["null", "errors=memory"],
            "plugin_config": {
                "errors": {"max_events": 7, "attempts": 2, "fallback": "null"},
                "keep": {"isolate": True},
                "memory": {"required": False},
            },
        },
        registry,
        sinks=[memory],
        filters=[keep],
    )
    assert [(sink.name, type(sink.plugin)) for sink in built.sinks] == [
        ("null", NullSink),
        ("errors", MemorySink),
        ("memory", MemorySink),
    ]
    assert built.sinks[2].policy.overflow_strategy is OverflowStrategy.DROP_NEWEST
    assert built.sinks[2].plugin is memory
    assert built.sinks[1].policy == SinkPolicy(attempts=2, fallback="null")
    assert built.filters[0].name == "keep"
    assert built.filters[0].plugin is keep
    assert built.filters[0].policy == StagePolicy(isolate=True)
    assert [metadata.name for metadata in registry.loaded] == ["null", "memory", "memory", "keep"]


def test_the_default_sink_is_used_when_none_is_named() -> None:
    (sink,) = build().sinks
    assert sink.name in ("console", "stdout")
    assert build({}, sinks=[MemorySink()]).sinks[0].name == "memory"


def test_either_default_sink_may_be_configured() -> None:
    (sink,) = build({"plugin_config": {"console": {"attempts": 1}, "stdout": {"attempts": 1}}}).sinks
    assert sink.policy.attempts == 1


def test_given_objects_have_names_of_their_own() -> None:
    first, second, third = MemorySink(), MemorySink(), MemorySink()
    built = build(
        {"sinks": ["memory"], "plugin_config": {"memory_3": {"overflow_strategy": "drop_oldest"}}},
        sinks=[first, second, third],
    )
    assert [sink.name for sink in built.sinks] == ["memory", "memory_2", "memory_3", "memory_4"]
    assert built.sinks[2].plugin is second
    assert built.sinks[2].policy.overflow_strategy is OverflowStrategy.DROP_OLDEST


def test_a_function_given_as_a_sink_has_a_write_method() -> None:
    taken: list[object] = []

    def collect(batch: object) -> None:
        taken.append(batch)

    (sink,) = build(sinks=[collect]).sinks
    assert sink.name == "collect"
    sink.plugin.write("batch")
    assert taken == ["batch"]


def test_functions_without_a_name_get_one() -> None:
    built = build(sinks=[MemorySink()], filters=[lambda event: True, functools.partial(bool)])
    assert [plugin.name for plugin in built.filters] == ["lambda", "bool"]


def test_one_kind_can_be_built_alone() -> None:
    settings = Settings(sinks=["null"], plugin_config={"keep": {"timeout": 3}, "null": {"attempts": 1}})

    def keep(event: object) -> bool:
        return True

    (plugin,) = build_plugins(settings, PluginRegistry(), PluginType.FILTER, [keep])
    assert plugin.policy == StagePolicy(timeout=3.0)
    (sink,) = build_plugins(settings, PluginRegistry(), PluginType.SINK)
    assert sink.policy == SinkPolicy(attempts=1)


def test_the_configuration_shares_nothing_with_the_settings() -> None:
    registry = registry_with(Shipper)
    settings = Settings(sinks=["shipper"], plugin_config={"shipper": {"url": "https://x", "extra": {"a": [1]}}})
    (sink,) = build_all(settings, registry).sinks
    sink.plugin.config.extra["a"].append(2)
    assert settings.plugin_config["shipper"]["extra"] == {"a": [1]}


# -- a plugin's own configuration


UserId = NewType("UserId", int)


@attrs.frozen
class Endpoint:
    host: str
    port: int = 443


def _check_url(_: Any, __: Any, value: str) -> None:
    if not value.startswith("https://"):
        raise ValueError(f"url {value!r} is not a URL that starts with https://")


class Shipper:
    metadata: ClassVar[PluginMetadata] = PluginMetadata("shipper", "1.0.0", PluginType.SINK)

    @attrs.frozen
    class Config:
        url: str = attrs.field(validator=_check_url)
        level: Literal["low", "high"] = "low"
        ratio: float = attrs.field(default=0.5, validator=[attrs.validators.ge(0), attrs.validators.le(1)])
        size: int | str = 1
        tags: list[str] = attrs.field(factory=list)
        limits: dict[str, int] = attrs.field(factory=dict)
        pair: tuple[int, str] = (1, "a")
        ids: frozenset[int] = frozenset()
        endpoint: Endpoint | None = None
        more: list[Endpoint] = attrs.field(factory=list)
        user: UserId = UserId(0)
        strategy: OverflowStrategy = OverflowStrategy.BLOCK
        path: Path | None = None
        pattern: re.Pattern[str] | None = None
        call: Callable[[], Any] | None = None
        extra: Any = None
        seconds: float = attrs.field(default=1.0, converter=float)
        api_key: str = ""
        pin: str = attrs.field(default="", repr=False)

        def __attrs_post_init__(self) -> None:
            if self.level == "high" and not self.tags:
                raise ValueError("level 'high' needs tags")

    def __init__(self, config: Config) -> None:
        self.config = config

    def write(self, batch: object) -> None: ...


def registry_with(*plugins: Any) -> PluginRegistry:
    registry = PluginRegistry()
    for plugin in plugins:
        registry.register(plugin)
    return registry


def configured(**table: Any) -> Shipper.Config:
    settings = {"sinks": ["shipper"], "plugin_config": {"shipper": {"url": "https://x", **table}}}
    config = build(settings, registry_with(Shipper)).sinks[0].plugin.config
    assert isinstance(config, Shipper.Config)
    return config


def test_a_configuration_is_structured() -> None:
    pattern = re.compile("x")
    config = configured(
        level="high",
        ratio=1,
        size="big",
        tags=("a", "b"),
        limits={"a": 1},
        pair=[2, "b"],
        ids=[1, 1],
        endpoint={"host": "h"},
        more=[{"host": "h", "port": 1}],
        user=3,
        strategy="raise",
        path="a.log",
        pattern=pattern,
        call=list,
        extra={"any": [1]},
        seconds="2.5",
    )
    assert type(config.ratio) is float
    assert type(config.strategy) is OverflowStrategy
    assert config == Shipper.Config(
        url="https://x",
        level="high",
        ratio=1.0,
        size="big",
        tags=["a", "b"],
        limits={"a": 1},
        pair=(2, "b"),
        ids=frozenset({1}),
        endpoint=Endpoint("h"),
        more=[Endpoint("h", 1)],
        user=UserId(3),
        strategy=OverflowStrategy.RAISE,
        path=Path("a.log"),
        pattern=pattern,
        call=list,
        extra={"any": [1]},
        seconds=2.5,
    )


def test_a_path_object_is_taken_for_text() -> None:
    settings = {"sinks": ["file"], "plugin_config": {"file": {"path": Path("a.log")}}}
    assert build(settings).sinks[0].name == "file"


WRONG_TABLES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "number_as_text": ({"ratio": "0.5"}, ["ratio: got '0.5'; allowed: a number; give it without quotes and"]),
    "bool_as_number": ({"ratio": True}, ["ratio: got True; allowed: a number"]),
    "nan": ({"ratio": float("nan")}, ["ratio: got nan; allowed: a number"]),
    "out_of_range": ({"ratio": 2}, ["ratio: got 2.0; allowed: a number <= 1"]),
    "no_branch": ({"size": 1.5}, ["size: got 1.5; allowed: a whole number or text"]),
    "text_as_list": ({"tags": "abc"}, ["tags: got 'abc'; allowed: a list of text"]),
    "item": ({"tags": ["a", 5, None]}, ["tags[1]: got 5; allowed: text", "tags[2]: got None; allowed: text"]),
    "table_item": ({"limits": {"a": "1"}}, ["limits.a: got '1'; allowed: a whole number; give it without quotes and"]),
    "no_table": ({"limits": 5}, ["limits: got 5; allowed: a table"]),
    "short_pair": ({"pair": [1]}, ["pair: got [1]; allowed: a list"]),
    "pair_item": ({"pair": ["1", "a"]}, ["pair[0]: got '1'; allowed: a whole number"]),
    "literal": ({"level": "hihg"}, ["level: got 'hihg'; allowed: 'low' or 'high'; did you mean 'high'?"]),
    "enum": ({"strategy": "drop"}, ["strategy: got 'drop'; allowed: 'block', 'drop_newest', 'drop_oldest' or 'raise'"]),
    "new_type": ({"user": "1"}, ["user: got '1'; allowed: a whole number; "]),
    "nested_missing": ({"endpoint": {}}, ["endpoint.host: got nothing; allowed: text; it has no default"]),
    "nested_type": ({"endpoint": {"host": "h", "port": "x"}}, ["endpoint.port: got 'x'; allowed: a whole number; "]),
    "nested_unknown": (
        {"more": [{"host": "h"}, {"host": "h", "prot": 1}]},
        ["more[1].prot: got an unknown setting; allowed: a known setting; did you mean 'port'?"],
    ),
    "nested_no_table": ({"endpoint": "h:1"}, ["endpoint: got 'h:1'; allowed: a table"]),
    "no_function": ({"call": 5}, ["call: got 5; allowed: another value"]),
    "no_pattern": ({"pattern": "x"}, ["pattern: got 'x'; allowed: another value"]),
    "converter": ({"seconds": "1s"}, ["seconds: got '1s'; allowed: a number; could not convert string to float"]),
    "validator": ({"url": "ftp://x"}, ["url: got 'ftp://x'; allowed: a URL that starts with https://"]),
    "combination": ({"level": "high"}, [": got a combination of settings; allowed: one that the plugin accepts; "]),
    "everything": (
        {"url": "x", "ratio": -1, "seconds": "x", "tags": 1, "rtaio": 1},
        [
            "rtaio: got an unknown setting; allowed: a known setting; did you mean 'ratio'?",
            "tags: got 1; allowed: a list of text",
            "url: got 'x'; allowed: a URL that starts with https://",
            "ratio: got -1.0; allowed: a number >= 0",
            "seconds: got 'x'; allowed: a number; could not convert string to float",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_cf9_what_is_said_about_a_wrong_configuration(name: str) -> None:
    table, expected = WRONG_TABLES[name]
    settings = {"sinks": ["shipper"], "plugin_config": {"shipper": {"url": "https://x", **table}}}
    found = problems_of(settings, registry_with(Shipper))
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.removeprefix("plugin_config.shipper").removeprefix(".").startswith(start)


SECRET_TABLES: list[dict[str, Any]] = [
    {"api_key": [CANARY]},
    {"api_key": {"x": CANARY}},
    {"url": f"ftp://user:{CANARY}@host"},
    {"url": CANARY, "api_key": CANARY},
    {"pin": [CANARY]},
    {"apikey": CANARY},
    {"endpoint": {"host": "h", "password": CANARY}},
    {"limits": {"token": CANARY}},
    {"tags": [f"https://u:{CANARY}@h", 5]},
]


@pytest.mark.parametrize("table", SECRET_TABLES, ids=repr)
def test_cf10_secrets_are_masked(table: dict[str, Any]) -> None:
    settings = Settings.load({"sinks": ["shipper"], "plugin_config": {"shipper": {"url": "x", **table}}})
    with pytest.raises(ConfigurationError) as caught:
        build_all(settings, registry_with(Shipper))
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.problems)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_cf10_a_secret_in_what_a_constructor_raises_is_masked() -> None:
    class Leaky(Shipper):
        def __init__(self, config: Shipper.Config) -> None:
            raise ValueError(f"cannot log in with {config.api_key}")

    registry = PluginRegistry()
    registry.register(Leaky, name="leaky")
    (problem,) = problems_of(
        {"sinks": ["leaky"], "plugin_config": {"leaky": {"url": "https://x", "api_key": CANARY}}}, registry
    )
    assert problem.endswith("ValueError: cannot log in with ***")


def test_problems_that_a_configuration_raises_itself_get_their_path() -> None:
    class Strict:
        @attrs.frozen
        class Config:
            a: int = 1

            def __attrs_post_init__(self) -> None:
                raise ConfigurationError([Problem("a", "1", "2")])

        def __init__(self, config: Config) -> None: ...
        def keep(self, event: object) -> bool:
            return True

    assert problems_of({"sinks": ["null"], "filters": ["Strict"]}, registry_with(Strict)) == [
        "plugin_config.Strict.a: got 1; allowed: 2"
    ]


def test_cf1_the_problems_of_all_kinds_come_at_once() -> None:
    class Sieve:
        def keep(self, event: object) -> bool:
            return True

    found = problems_of(
        {
            "sinks": ["nul", "a=memory", "file"],
            "filters": ["Sieve"],
            "enrichers": ["nothing"],
            "plugin_config": {
                "a": {"max_events": 0, "atempts": 1},
                "Sieve": {"timeout": -1, "mesh": 3},
                "fiel": {},
            },
        },
        registry_with(Sieve),
        redactors=[5],
    )
    assert [problem.partition(": ")[0] for problem in found] == [
        "sinks[0]",
        "plugin_config.a.atempts",
        "plugin_config.a.max_events",
        "plugin_config.file.path",
        "plugin_config.Sieve.timeout",
        "plugin_config.Sieve.mesh",
        "enrichers[0]",
        "plugin_config.fiel",
        "redactors",
    ]


def test_a_plugin_of_another_kind_is_recognised() -> None:
    (problem,) = problems_of({"sinks": ["null"], "filters": ["stdout"]})
    assert problem.startswith("filters[0]: got 'stdout'; allowed: ")
    assert problem.endswith("'stdout' is a sink; write it in sinks")


def test_one_table_cannot_be_for_two_plugins() -> None:
    class Both:
        def keep(self, event: object) -> bool:
            return True

        def redact(self, event: object) -> None: ...

    registry = PluginRegistry()
    registry.register(Both, name="both", plugin_type="filter")
    registry.register(Both, name="both", plugin_type="redactor")
    settings: dict[str, Any] = {"sinks": ["null"], "filters": ["both"], "redactors": ["both"]}
    assert build(settings, registry).redactors[0].name == "both"
    (problem,) = problems_of({**settings, "plugin_config": {"both": {"timeout": 1}}}, registry)
    assert problem.startswith(
        "plugin_config.both: got settings of a filter and a redactor; allowed: settings of one plugin"
    )
    assert problem.endswith("write 'other=both' in redactors")


def test_a_given_object_takes_only_the_policy_from_the_settings() -> None:
    assert problems_of({"plugin_config": {"memory": {"max_events": 5, "atempts": 1}}}, sinks=[MemorySink()])[1] == (
        "plugin_config.memory.atempts: got an unknown setting; allowed: a known setting; did you mean 'attempts'?"
    )


@pytest.mark.parametrize("name", ["stderr", "memory"])
@pytest.mark.parametrize(("key", "said"), [("level", "route = {level"), ("min_level", "route"), ("filters", "'route'")])
def test_what_other_libraries_set_at_a_sink_is_said_where_it_is_set_here(name: str, key: str, said: str) -> None:
    settings = {"sinks": ["stderr"], "plugin_config": {name: {key: "ERROR"}}}
    (problem,) = problems_of(settings, sinks=[MemorySink()])
    assert problem.startswith(f"plugin_config.{name}.{key}: got an unknown setting; allowed: a known setting; ")
    assert said in problem


def test_a_class_without_a_config_takes_only_the_policy() -> None:
    class Sieve:
        def keep(self, event: object) -> bool:
            return True

    settings = {"sinks": ["null"], "filters": ["Sieve"], "plugin_config": {"Sieve": {"mesh": 1}}}
    assert problems_of(settings, registry_with(Sieve)) == [
        "plugin_config.Sieve.mesh: got an unknown setting; allowed: the settings required, timeout, isolate"
    ]


def test_cf4_a_file_is_the_same_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    paths = {"a": {"path": str(tmp_path / "real" / "x.log")}, "b": {"path": tmp_path / "link" / "x.log"}}
    (problem,) = problems_of({"sinks": ["a=file", "b=file"], "plugin_config": paths})
    assert problem.startswith("plugin_config.b.path: got ")
    assert problem.endswith("a file that no other sink writes; plugin_config.a.path is the same file")


def test_cf4_every_cycle_of_fallbacks_is_told_once() -> None:
    names = ["a", "b", "c", "d", "e"]
    fallbacks = {"a": "b", "b": "c", "c": "b", "d": "e", "e": "d"}
    found = problems_of(
        {
            "sinks": [f"{name}=null" for name in names],
            "plugin_config": {name: {"fallback": fallbacks[name]} for name in names},
        }
    )
    assert [problem.rpartition("; ")[2] for problem in found] == ["b -> c -> b", "d -> e -> d"]


def test_cf4_a_chain_of_fallbacks_is_no_cycle() -> None:
    settings = {
        "sinks": ["a=null", "b=null", "c=null"],
        "plugin_config": {"a": {"fallback": "b"}, "b": {"fallback": "c"}},
    }
    assert [sink.policy.fallback for sink in build(settings, sinks=[]).sinks] == ["b", "c", None]
    given = build({"sinks": ["null"], "plugin_config": {"null": {"fallback": "memory"}}}, sinks=[MemorySink()])
    assert given.sinks[0].policy.fallback == "memory"


# -- the shape of plugins


class NoWrite: ...


class ManyArguments:
    def write(self, batch: object, more: object) -> None: ...


class NoArguments:
    def write(self) -> None: ...


class NotAMethod:
    write = 5


class Generator:
    def write(self, batch: object) -> Iterator[None]:
        yield


class AsyncGenerator:
    async def write(self, batch: object) -> AsyncIterator[None]:
        yield


class WrongFlush:
    def write(self, batch: object) -> None: ...
    def flush(self, deadline: object) -> None: ...


class AFilter:
    def keep(self, event: object) -> bool:
        return True


class Raising:
    @property
    def write(self) -> Any:
        raise RuntimeError(CANARY)


class SaysFilter:
    metadata: ClassVar[PluginMetadata] = PluginMetadata("sieve", "1.0.0", PluginType.FILTER)

    def write(self, batch: object) -> None: ...


SHAPES: dict[str, tuple[Any, str]] = {
    "missing_method": (NoWrite(), "plugin 'NoWrite': it has no method write(batch) "),
    "too_many_arguments": (ManyArguments(), "more: 'object') -> 'None' cannot be called as write(batch)"),
    "too_few_arguments": (NoArguments(), "cannot be called as write(batch): too many positional arguments"),
    "no_method": (NotAMethod(), "plugin 'NotAMethod': its write is int, not a method"),
    "generator": (Generator(), "write is a generator, so that calling it runs nothing; take out 'yield' and return"),
    "async_generator": (AsyncGenerator(), "write is a generator, so that calling it runs nothing"),
    "optional_method": (WrongFlush(), "flush(deadline: 'object') -> 'None' cannot be called as flush()"),
    "class": (MemorySink, "it is a class; give an instance of it, such as MemorySink()"),
    "other_class": (int, "it is a class, and not of a plugin"),
    "other_kind": (AFilter(), "it has no method write(batch); its keep() makes it a filter, to be given in filters"),
    "name": ("stdout", "it is a name; names go into the settings (got 'stdout'"),
    "number": (5, "plugin 'int': it has no method write(batch) (got 5; allowed: an object with"),
    "none": (None, "plugin 'NoneType': it has no method write(batch) (got None"),
    "function": (lambda: None, "plugin 'lambda': it cannot be called as a function of the batch: too many positional"),
    "raising": (Raising(), "asking it for its methods raised RuntimeError"),
    "metadata": (SaysFilter(), "its metadata says that it is a filter, to be given in filters"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_pl4_what_is_said_about_an_object_of_the_wrong_shape(name: str) -> None:
    plugin, expected = SHAPES[name]
    with pytest.raises(PluginError) as caught:
        build(sinks=[plugin])
    assert expected in str(caught.value)
    assert "or a function of the batch)" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("filters", "an object with the method keep(event), or a function of the event"),
        ("enrichers", "an object with the method enrich(event), or a function of the event"),
        ("processors", "an object with the method process(batch), or a function of the batch"),
        ("redactors", "an object with the method redact(event), or a function of the event"),
        ("sinks", "an object with the method write(batch), or a function of the batch"),
    ],
)
def test_pl4_every_kind_says_what_it_should_look_like(kind: str, expected: str) -> None:
    given: dict[str, Any] = {"sinks": [MemorySink()], kind: [NoWrite()]}
    with pytest.raises(PluginError) as caught:
        build(**given)
    assert expected in str(caught.value)


def test_pl4_a_registered_class_of_the_wrong_shape_is_told_when_it_is_made() -> None:
    registry = PluginRegistry()
    registry.register(ManyArguments)
    with pytest.raises(PluginError, match=re.escape("cannot be called as write(batch)")):
        build({"sinks": ["ManyArguments"]}, registry)


def test_pl4_a_factory_that_makes_nothing_is_told() -> None:
    registry = PluginRegistry()
    registry.register(lambda: None, name="empty", plugin_type="sink")
    with pytest.raises(PluginError, match="plugin 'empty': it has no method write"):
        build({"sinks": ["empty"]}, registry)


def test_a_constructor_that_fails_is_told() -> None:
    class Broken:
        def __init__(self) -> None:
            raise KeyError("x")

        def keep(self, event: object) -> bool:
            return True

    with pytest.raises(PluginError, match="plugin 'Broken': making it raised KeyError: 'x'"):
        build({"sinks": ["null"], "filters": ["Broken"]}, registry_with(Broken))


def test_nothing_is_made_while_anything_is_wrong() -> None:
    made: list[object] = []

    class Counted:
        def __init__(self) -> None:
            made.append(self)

        def keep(self, event: object) -> bool:
            return True

    problems_of({"sinks": ["nul"], "filters": ["Counted"]}, registry_with(Counted))
    assert made == []


def test_a_config_cannot_hide_the_keys_of_the_policy() -> None:
    class Clashing:
        @attrs.frozen
        class Config:
            timeout: float = 1.0

        def __init__(self, config: Config) -> None: ...
        def keep(self, event: object) -> bool:
            return True

    with pytest.raises(PluginError, match="its Config has 'timeout', which tells the pipeline how to treat it"):
        build({"sinks": ["null"], "filters": ["Clashing"]}, registry_with(Clashing))


def test_several_wrong_plugins_are_all_named() -> None:
    with pytest.raises(PluginError) as caught:
        build(sinks=[NoWrite(), NoArguments()], filters=[5])
    assert caught.value.plugin == "NoWrite"
    assert [note.partition(":")[0] for note in caught.value.__notes__] == ["plugin 'NoArguments'", "plugin 'int'"]


def test_the_same_object_cannot_be_given_twice() -> None:
    sink = MemorySink()
    with pytest.raises(PluginError, match="it is given twice in sinks; make another one"):
        build(sinks=[sink, sink])


def test_a_plugin_instead_of_a_list_is_told() -> None:
    with pytest.raises(PluginError, match=re.escape("plugin 'sinks': it is no list; write [...] around it")):
        build(sinks=MemorySink())


def test_a_built_in_that_cannot_be_imported_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fapilog.sinks.file", None)
    with pytest.raises(PluginError, match=r"importing fapilog\.sinks\.file:FileSink failed"):
        build({"sinks": ["file"], "plugin_config": {"file": {"path": "a.log"}}})


# -- sync or async


class Async:
    async def method(self) -> None: ...
    @staticmethod
    async def static() -> None: ...
    @classmethod
    async def of_class(cls) -> None: ...
    async def __call__(self) -> None: ...


class Sync:
    def method(self) -> None: ...
    def __call__(self) -> None: ...


async def coroutine_function(number: int = 0) -> None: ...


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (coroutine_function, True),
        (functools.partial(coroutine_function, 1), True),
        (functools.partial(functools.partial(coroutine_function), 1), True),
        (Async().method, True),
        (functools.partial(Async().method), True),
        (Async.static, True),
        (Async().of_class, True),
        (Async(), True),
        (functools.partial(Async()), True),
        (Sync().method, False),
        (Sync(), False),
        (functools.partial(Sync()), False),
        (lambda: None, False),
        (len, False),
        (Async, False),
    ],
)
def test_whether_a_method_is_asynchronous(method: Any, expected: bool) -> None:
    assert is_async(method) is expected


def test_the_method_of_a_plugin() -> None:
    sieve = AFilter()
    assert method_of(sieve, PluginType.FILTER) == sieve.keep
    assert method_of(len, PluginType.FILTER) is len
