"""Settings: their normal form, where they come from, and what is said about wrong ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog.errors import ConfigurationError, Problem
from fapilog.event import Level
from fapilog.settings import OverflowStrategy, Settings
from fapilog.shown import masked_text, nearest, show
from support import golden

CANARY = "hunter2-canary"


WRONG = golden("wrong_settings.txt")


def problems_of(source: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(source)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", WRONG)
def test_cf1_cf3_cf9_what_is_said_about_wrong_settings(name: str) -> None:
    source, expected = WRONG[name]
    assert problems_of(source) == expected


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, (source, _) in WRONG.items()
        if type(source) is dict and all(key in attrs.fields_dict(Settings) for key in source)
    ],
)
def test_the_constructor_says_the_same_as_a_mapping(name: str) -> None:
    source, expected = WRONG[name]
    with pytest.raises(ConfigurationError) as caught:
        Settings(**source)
    assert [str(problem) for problem in caught.value.problems] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            object(),
            "settings: got an object of type object; allowed: a Settings, a mapping, or the path of a TOML file",
        ),
        ({"batch_linger": float("nan")}, "batch_linger: got nan; allowed: a number of seconds from 0 to 60"),
        ({"source": "x" * 5000}, "source: got text of 5000 characters; allowed: text of at most 1_000 characters"),
        (
            {"queue_max_size": 10**400},
            "queue_max_size: got a very large number; allowed: a whole number from 1 to 10_000_000",
        ),
        ({"block_timeout": 10**400}, "block_timeout: got a very large number; allowed: a number of seconds from 0 to"),
        ({"sinks": [print]}, "sinks[0]: got an object of type builtin_function_or_method; allowed: a plugin's name"),
        ({"sinks": (name for name in ["file"])}, "sinks: got an object of type generator; allowed: a list of plugin"),
        ({"level": lambda: "INFO"}, "level: got an object of type function; allowed: 'DEBUG'"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_cf9_cf12_what_is_said_about_values_that_no_file_holds(source: Any, expected: str) -> None:
    (problem,) = problems_of(source)
    assert problem.startswith(expected)


def test_cf1_all_problems_come_at_once_with_their_parts() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_mapping({"max_quue": 5, "batch_size": "x", "level": 3, "plugin_config": {"a": 1}})
    assert {problem.path for problem in caught.value.problems} == {
        "max_quue",
        "batch_size",
        "level",
        "plugin_config.a",
    }
    assert str(caught.value).startswith("4 problems in the settings:\n  max_quue: ")
    wrong = next(problem for problem in caught.value.problems if problem.path == "batch_size")
    assert (wrong.given, wrong.allowed) == ("'x'", "a whole number from 1 to 1_000_000")


def test_defaults() -> None:
    assert attrs.asdict(Settings()) == {
        "level": "INFO",
        "levels": {},
        "source": "",
        "sinks": [],
        "filters": [],
        "enrichers": [],
        "processors": [],
        "redactors": [],
        "plugin_config": {},
        "plugins_allowed": None,
        "plugins_denied": [],
        "batch_size": 256,
        "batch_linger": 0.02,
        "max_workers": 1,
        "max_event_bytes": 262_144,
        "queue_max_size": 10_000,
        "overflow_strategy": OverflowStrategy.BLOCK,
        "reserved_for_errors": 0.1,
        "block_timeout": 1.0,
        "confirm_timeout": 5.0,
        "shutdown_timeout": 5.0,
        "plugin_timeout": 1.0,
        "on_incomplete": "warn",
        "callsite": False,
    }


def test_values_are_brought_into_their_normal_form() -> None:
    class Text(str):
        __slots__ = ()

    settings = Settings(
        level=Level.DEBUG,
        levels={"api.db": "warn"},
        overflow_strategy="drop_oldest",
        block_timeout=2,
        sinks=[Text("file"), "errors=file"],
    )
    assert settings.level == "DEBUG"
    assert settings.levels == {"api.db": "WARNING"}
    assert settings.overflow_strategy is OverflowStrategy.DROP_OLDEST
    assert type(settings.block_timeout) is float
    assert [type(name) for name in settings.sinks] == [str, str]


def test_settings_are_frozen_and_share_nothing_with_what_was_given() -> None:
    sinks = ["file"]
    inner: dict[str, Any] = {"path": "a.log", "list": [1, [2]]}
    settings = Settings(sinks=sinks, plugin_config={"file": inner})
    sinks.append("stdout")
    inner["path"] = "b.log"
    inner["list"][1].append(3)
    assert settings.sinks == ["file"]
    assert settings.plugin_config == {"file": {"path": "a.log", "list": [1, [2]]}}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        settings.level = "DEBUG"  # type: ignore[misc]


def test_evolve_checks_again() -> None:
    settings = Settings(sinks=["file"])
    assert attrs.evolve(settings, level="debug").level == "DEBUG"
    with pytest.raises(ConfigurationError, match="batch_size: got 0"):
        attrs.evolve(settings, batch_size=0)


def test_objects_in_plugin_config_stay_as_they_are() -> None:
    def function() -> None: ...

    path = Path("a.log")
    settings = Settings(plugin_config={"x": {"call": function, "path": path, "ids": {1, 2}, "pair": (1, [2])}})
    table = settings.plugin_config["x"]
    assert table["call"] is function
    assert table["path"] is path
    assert table["ids"] == {1, 2}
    assert table["pair"] == (1, [2])


# -- where settings come from


def test_load_takes_settings_a_mapping_a_path_and_nothing(tmp_path: Path) -> None:
    settings = Settings(level="DEBUG")
    assert Settings.load(settings) is settings
    assert Settings.load(None) == Settings()
    assert Settings.load({"level": "debug"}) == settings
    file = tmp_path / "fapilog.toml"
    file.write_text('level = "debug"\n')
    assert Settings.load(file) == Settings.load(str(file)) == settings


def test_a_toml_file_and_a_pyproject_say_the_same(tmp_path: Path) -> None:
    body = 'sinks = ["file", "errors=file"]\nbatch_linger = 1\n'
    table = 'path = "a.log"\n'
    (tmp_path / "fapilog.toml").write_text(f"{body}[plugin_config.file]\n{table}")
    (tmp_path / "pyproject.toml").write_text(
        f"[project]\nname = 'x'\n[tool.fapilog]\n{body}[tool.fapilog.plugin_config.file]\n{table}"
    )
    settings = Settings.from_toml(tmp_path / "fapilog.toml")
    assert settings.sinks == ["file", "errors=file"]
    assert settings.batch_linger == 1.0
    assert settings.plugin_config == {"file": {"path": "a.log"}}
    assert Settings.from_toml(tmp_path / "pyproject.toml") == settings


FILES: dict[str, tuple[str, bytes, str]] = {
    "no_toml": ("a.toml", b"level = ", "allowed: a TOML file; Invalid value (at end of document)"),
    "no_utf_8": ("a.toml", b"level = '\xff'", "allowed: a TOML file; a byte is not UTF-8"),
    "too_large": ("a.toml", b"#" * (1 << 20) + b"#", "allowed: a file of at most 1_048_576 bytes"),
    "nested": ("a.toml", b"x = " + b"[" * 20_000, "allowed: a TOML file"),
    "tool_elsewhere": (
        "a.toml",
        b"[tool.fapilog]\nlevel = 'INFO'",
        "only a pyproject.toml has its settings in [tool.fapilog]; move them to the top of the file",
    ),
    "no_table": ("pyproject.toml", b"[project]\n", "tool.fapilog: got nothing; allowed: a table [tool.fapilog] in"),
    "no_table_but_text": ("pyproject.toml", b"[tool]\nfapilog = 'x'\n", "tool.fapilog: got 'x'; allowed: a table"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_said_to_be_wrong(name: str, tmp_path: Path) -> None:
    file, content, expected = FILES[name]
    (tmp_path / file).write_bytes(content)
    (problem,) = problems_of(tmp_path / file)
    assert expected in problem
    assert file in problem or "tool.fapilog" in problem


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("no/such/file.toml", "got the file 'no/such/file.toml'; allowed: a TOML file that can be read; No such file"),
        (".", "a TOML file that can be read; Is a directory"),
        ("a\0b", "allowed: a TOML file; embedded null byte"),
        ("x" * 300, "a TOML file that can be read; File name too long"),
    ],
)
def test_a_path_that_cannot_be_read_is_a_problem(path: str, expected: str) -> None:
    (problem,) = problems_of(path)
    assert expected in problem


def test_a_problem_names_the_file_and_the_line_of_a_wrong_setting(tmp_path: Path) -> None:
    file = tmp_path / "fapilog.toml"
    file.write_text("# first\nbatch_size = 0\n")
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(file)
    assert [(problem.path, problem.source) for problem in caught.value.problems] == [("batch_size", f"{file}:2")]
    assert str(caught.value).endswith("fapilog.toml:2")


def test_a_raising_path_object_is_a_problem() -> None:
    class Hostile:
        def __fspath__(self) -> str:
            raise RuntimeError(CANARY)

    (problem,) = problems_of(Hostile())
    assert "asking for it raised RuntimeError" in problem
    assert CANARY not in problem


# -- contradictions


def test_cf3_a_short_shutdown_does_not_contradict_the_default_block_timeout() -> None:
    assert Settings(shutdown_timeout=0.5).block_timeout == 1.0
    assert Settings(block_timeout=9, overflow_strategy="drop_newest").block_timeout == 9.0


# -- hostile input


class HostileMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(CANARY)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError(CANARY)

    def __len__(self) -> int:
        raise RuntimeError(CANARY)


class HostileValue:
    def _raise(self, *_: Any) -> Any:
        raise RuntimeError(CANARY)

    __eq__ = __repr__ = __str__ = __bool__ = __len__ = __iter__ = __int__ = __float__ = __index__ = _raise
    __hash__ = None  # type: ignore[assignment]
    __class__ = property(_raise)


class HostileText(str):
    __slots__ = ()

    def _raise(self, *_: Any) -> Any:
        raise RuntimeError(CANARY)

    __eq__ = __repr__ = __str__ = __len__ = __iter__ = lower = upper = strip = partition = _raise
    __hash__ = str.__hash__


class HostileNumber(int):
    def _raise(self, *_: Any) -> Any:
        raise RuntimeError(CANARY)

    __eq__ = __repr__ = __str__ = __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = _raise
    __hash__ = int.__hash__


def test_cf12_hostile_mappings_are_problems() -> None:
    (problem,) = problems_of(HostileMapping())
    assert problem.endswith("HostileMapping; allowed: a mapping that can be read; reading it raised RuntimeError")
    (problem,) = problems_of({"plugin_config": {"x": HostileMapping()}})
    assert problem.startswith("plugin_config.x: got an object of type HostileMapping")


@pytest.mark.parametrize("field", [attribute.name for attribute in attrs.fields(Settings)])
def test_cf12_a_hostile_value_is_one_problem(field: str) -> None:
    (problem,) = problems_of({field: HostileValue()})
    assert problem.startswith(f"{field}: got an object of type HostileValue; allowed: ")


@pytest.mark.parametrize("field", [attribute.name for attribute in attrs.fields(Settings)])
def test_cf12_hostile_subclasses_of_plain_types_are_taken_as_plain(field: str) -> None:
    for value in (HostileText("?!"), HostileNumber(-7)):
        if (field, type(value)) == ("source", HostileText):
            continue
        (problem,) = problems_of({field: value})
        assert problem.startswith(f"{field}: got {'-7' if isinstance(value, int) else chr(39) + '?!'}")
    assert Settings.load({"source": HostileText("x")}).source == "x"


def test_cf12_hostile_keys_are_problems() -> None:
    assert problems_of({HostileText("?!"): 5})[0].startswith("'?!': got an unknown setting")
    assert problems_of({None: 1, 2.5: 3, ("a",): 4}) == [
        "settings: got the key None; allowed: keys that are text",
        "settings: got the key 2.5; allowed: keys that are text",
        "settings: got the key ('a'); allowed: keys that are text",
    ]


def test_cf12_huge_and_endless_mappings_end() -> None:
    assert problems_of({str(number): number for number in range(100_000)}) == [
        "settings: got more than 1_000 keys; allowed: at most 1_000 keys"
    ]
    many = problems_of({f"key{number}": number for number in range(500)})
    assert len(many) == 21
    assert many[-1] == "settings: got 480 more unknown settings; allowed: a known setting"
    assert problems_of({"plugin_config": {"x": {"list": list(range(100_000))}}}) == [
        "plugin_config.x.list: got too many values; allowed: at most 10_000 values in all"
    ]
    endless: dict[str, Any] = {}
    endless["again"] = endless
    (problem,) = problems_of({"plugin_config": {"x": endless}})
    assert problem.endswith("got values nested deeper; allowed: at most 20 levels")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(object),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from([attribute.name for attribute in attrs.fields(Settings)]),
)
def test_cf12_anything_at_all_gives_settings_or_a_configuration_error(value: Any, field: str) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        settings = Settings.load({field: value})
    except ConfigurationError as error:
        problems = error.problems
    else:
        assert attrs.evolve(settings).level in Level.__members__
    assert all("\n" not in str(problem) and len(str(problem)) < 1500 for problem in problems)


# -- secrets

SECRETS: list[Any] = [
    {"password": CANARY},
    {"db_password": [CANARY]},
    {"API-Key": CANARY},
    {"headers": {"Authorization": f"Bearer {CANARY}"}},
    {"headers": [["authorization", CANARY]]},
    {"headers": [("X-Api-Key", CANARY)]},
    {"url": f"https://user:{CANARY}@host/x"},
    {"url": f"https://user:p@ss/{CANARY}@host/x"},
    {"url": f"https://host/x?token={CANARY}&b=1"},
    {"dsn": f"host=x password={CANARY}"},
    {"dsn": f"user:{CANARY}@host:5432/db"},
    {"header": f"Authorization: Basic {CANARY}"},
    {"json": f'{{"client_secret": "{CANARY}"}}'},
]


@pytest.mark.parametrize("table", SECRETS, ids=repr)
def test_cf10_secrets_are_masked_in_messages_and_reprs(table: Any) -> None:
    assert CANARY in str(table)
    settings = Settings(plugin_config={"http": table})
    assert CANARY not in repr(settings)
    assert "http" in repr(settings)
    for wrong in ({"plugin_config": {"http": [table]}}, {"sinks": table}, {"sinks": [table]}, {"source": table}):
        with pytest.raises(ConfigurationError) as caught:
            Settings.load(wrong)
        assert CANARY not in str(caught.value)
        assert CANARY not in repr(caught.value)
        assert CANARY not in repr(caught.value.problems)


def test_cf10_the_value_of_a_mistyped_key_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({"pasword": CANARY})
    assert CANARY not in str(caught.value)


def test_what_is_no_secret_is_shown() -> None:
    assert show({"url": "https://host/x?page=2", "max": 5}) == "{'url': 'https://host/x?page=2', 'max': 5}"
    assert show({"password": None, "token": True}) == "{'password': None, 'token': True}"
    assert show("mail me at a@b.example") == "'mail me at a@b.example'"


def test_what_is_shown_is_bounded_and_on_one_line() -> None:
    assert len(show(["x" * 5000] * 5000)) <= 160
    assert len(show("a" * 300)) <= 160
    assert show("a" * 100_000) == "text of 100000 characters"
    assert masked_text("a\nb\x1b[31m\u2028") == "a\\nb\\x1b[31m\\u2028"
    assert show(10**5000) == "a very large number"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("max_quue", "queue_max_size"),
        ("batchsize", "batch_size"),
        ("timeout_shutdown", "shutdown_timeout"),
        ("QUEUE-MAX-SIZE", "queue_max_size"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_cf1_the_nearest_name(name: str, expected: str) -> None:
    assert nearest(name, [attribute.name for attribute in attrs.fields(Settings)]) == expected


# -- import cost


def test_importing_settings_imports_nothing_that_is_not_used(clean_environ: dict[str, str]) -> None:
    code = (
        "import sys, anyio.lowlevel, attrs, orjson\n"
        "known = set(sys.modules)\n"
        "from fapilog.settings import Settings\n"
        "Settings(plugin_config={'x': {'a': [1]}})\n"
        "print(sorted({'cattrs', 'difflib', 'tomllib', 'logging'} & (set(sys.modules) - known)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50, env=clean_environ
    )
    assert done.stdout.strip() == "[]"
