"""Where settings come from: presets, files, the environment and keywords, and what is said about each."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from ast import literal_eval
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog import AsyncLoggingContainer, ConfigurationError, Settings
from fapilog.environment import EnvironmentText, collection_in, list_in, number_in, table_in, truth_in
from fapilog.plugins.meant import meant
from fapilog.presets import PRESETS
from fapilog.settings import OverflowStrategy
from fapilog.sources import Source
from fapilog.units import bytes_in, seconds_in

CANARY = "hunter2-canary"
GOLDEN = Path(__file__).parent / "golden" / "wrong_sources.txt"


def golden() -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Return the cases of the golden file: what the sources hold, and the lines that are said about it."""
    cases: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for block in GOLDEN.read_text(encoding="utf-8").split("\n\n"):
        title, source, *lines = block.strip().splitlines()
        cases[title.removeprefix("# ")] = (literal_eval(source), [line.strip() for line in lines])
    return cases


WRONG = golden()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(environ: Mapping[str, str], **arguments: Any) -> Settings:
    return Settings.load(environ={f"FAPILOG_{name}": value for name, value in environ.items()}, **arguments)


def problems_of(*arguments: Any, **keywords: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        AsyncLoggingContainer(Settings.load(*arguments, **keywords))
    assert CANARY not in str(caught.value) + repr(caught.value) + repr(caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", WRONG)
def test_cf1_cf6_cf9_cf10_what_is_said_about_wrong_sources(name: str, here: Path) -> None:
    case, expected = WRONG[name]
    source = None
    if "file" in case:
        source = "fapilog.toml"
        Path(source).write_text(case["file"], encoding="utf-8")
    arguments = case.get("arguments", {})
    said = problems_of(source, preset=case.get("preset"), environ=case.get("environ", {}), **arguments)
    assert said == expected


def test_the_golden_files_hold_enough() -> None:
    files = ("wrong_settings.txt", "wrong_plugin_settings.txt", "wrong_sources.txt")
    assert sum((GOLDEN.parent / file).read_text(encoding="utf-8").count("\n\n") + 1 for file in files) >= 80


# -- precedence


def test_each_source_wins_over_the_one_before_it(here: Path) -> None:
    Path("fapilog.toml").write_text(
        'preset = "production"\nblock_timeout = 2\nmax_event_bytes = 5000\nsource = "file"\n'
    )
    environ = {"FAPILOG_MAX_EVENT_BYTES": "6000", "FAPILOG_CALLSITE": "true"}
    settings = Settings.load("fapilog.toml", environ=environ, callsite=False)
    assert settings == Settings(
        sinks=["stdout"],
        shutdown_timeout=8,
        block_timeout=2,
        max_event_bytes=6000,
        source="file",
        callsite=False,
        enrichers=["runtime"],
        redactors=["redact"],
        plugin_config={"redact": {"presets": ["credentials", "pci_dss"]}},
    )
    assert {path: str(source) for path, source in settings.sources.items()} == {
        "preset": "fapilog.toml:1",
        "level": "preset production",
        "sinks": "preset production",
        "overflow_strategy": "preset production",
        "shutdown_timeout": "preset production",
        "block_timeout": "fapilog.toml:2",
        "source": "fapilog.toml:4",
        "max_event_bytes": "FAPILOG_MAX_EVENT_BYTES",
        "callsite": "argument",
        "enrichers": "preset production",
        "redactors": "preset production",
        "plugin_config.redact.presets": "preset production",
    }


def test_tables_are_filled_together_and_lists_are_replaced(here: Path) -> None:
    Path("fapilog.toml").write_text(
        'sinks = ["file", "null"]\n[levels]\na = "DEBUG"\nb = "ERROR"\n[plugin_config.file]\npath = "a.log"\nkeep = 3\n'
    )
    settings = Settings.load(
        "fapilog.toml",
        environ={
            "FAPILOG_SINKS": "file",
            "FAPILOG_LEVELS__b": "info",
            "FAPILOG_PLUGIN_CONFIG__FILE__KEEP": "4",
            "FAPILOG_PLUGIN_CONFIG__FILE__MAX_BYTES": "1 MiB",
        },
        plugin_config={"file": {"path": "b.log"}},
    )
    assert settings.sinks == ["file"]
    assert settings.levels == {"a": "DEBUG", "b": "INFO"}
    assert settings.plugin_config == {"file": {"path": "b.log", "keep": "4", "max_bytes": "1 MiB"}}
    assert settings.sources["plugin_config.file.path"] == Source("argument")
    assert settings.sources["plugin_config.file.keep"] == Source("environment", "FAPILOG_PLUGIN_CONFIG__FILE__KEEP")
    sink: Any = AsyncLoggingContainer(settings).async_pipeline.plugins.sinks[0].plugin
    assert (sink._config.keep, sink._config.max_bytes) == (4, 1 << 20)


def test_a_keyword_names_the_preset_before_the_environment_and_that_before_the_file(here: Path) -> None:
    Path("fapilog.toml").write_text('preset = "dev"\n')
    environ = {"FAPILOG_PRESET": "serverless"}
    assert Settings.load("fapilog.toml", environ={}).sinks == ["console"]
    assert Settings.load("fapilog.toml", environ=environ).queue_max_size == 2_000
    assert Settings.load("fapilog.toml", environ=environ, preset="hardened").on_incomplete == "raise"
    expected: dict[str, Any] = {**PRESETS["dev"].settings, "level": "ERROR"}
    assert Settings.load({"preset": "dev", "level": "ERROR"}) == Settings(**expected)


def test_settings_and_mappings_stand_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAPILOG_LEVEL", "ERROR")
    monkeypatch.setenv("FAPILOG_NONSENSE", "1")
    assert Settings.load({"sinks": ["null"]}).level == "INFO"
    assert Settings.load(Settings(sinks=["null"])).level == "INFO"
    assert Settings.load(Settings(sinks=["null"]), level="DEBUG") == Settings(sinks=["null"], level="DEBUG")
    with pytest.raises(ConfigurationError, match="FAPILOG_NONSENSE"):
        Settings.load()


def test_a_container_without_settings_reads_the_environment_and_only_a_file_that_it_names(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("fapilog.toml").write_text('level = "CRITICAL"\n')
    Path("pyproject.toml").write_text('[tool.fapilog]\nlevel = "CRITICAL"\n')
    monkeypatch.setenv("FAPILOG_SINKS", "null")
    assert AsyncLoggingContainer().settings == Settings(sinks=["null"])
    monkeypatch.setenv("FAPILOG_CONFIG", "fapilog.toml")
    assert AsyncLoggingContainer().settings == Settings(sinks=["null"], level="CRITICAL")


# -- presets


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_plain_settings_that_a_container_can_be_made_from(name: str) -> None:
    preset = PRESETS[name]
    settings = Settings.load(preset=name, environ={})
    assert settings == Settings(**preset.settings)
    assert {str(source) for path, source in settings.sources.items() if path != "preset"} == {f"preset {name}"}
    assert AsyncLoggingContainer(settings).settings is settings


# -- the environment


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("LEVEL", " debug ", "DEBUG"),
        ("LEVEL", "30", "WARNING"),
        ("LEVELS", "api=debug, api.db = ERROR", {"api": "DEBUG", "api.db": "ERROR"}),
        ("LEVELS", '{"api.db": "debug"}', {"api.db": "DEBUG"}),
        ("LEVELS", '{api = "debug"}', {"api": "DEBUG"}),
        ("LEVELS", "", {}),
        ("SINKS", "null, errors=memory", ["null", "errors=memory"]),
        ("SINKS", '["null"]', ["null"]),
        ("SINKS", "['null',]", ["null"]),
        ("SINKS", "", []),
        ("SOURCE", " a,b ", " a,b "),
        ("SOURCE", "", ""),
        ("SOURCE", "true", "true"),
        ("BATCH_SIZE", " 5 ", 5),
        ("BATCH_LINGER", "1e-3", 0.001),
        ("BATCH_LINGER", "20 ms", 0.02),
        ("MAX_EVENT_BYTES", "64 KiB", 65_536),
        ("SHUTDOWN_TIMEOUT", "1h30m", 5_400.0),
        ("CALLSITE", "YES", True),
        ("CALLSITE", "0", False),
        ("OVERFLOW_STRATEGY", "DROP_OLDEST", OverflowStrategy.DROP_OLDEST),
    ],
)
def test_a_variable_is_read_as_what_its_setting_wants(name: str, text: str, expected: Any) -> None:
    value = getattr(loaded({name: text}), name.lower())
    assert (value, type(value)) == (expected, type(expected))


def test_a_plugins_variable_is_read_as_what_the_plugin_wants() -> None:
    settings = loaded(
        {
            "SINKS": "my-log=file",
            "PLUGIN_CONFIG__MY_LOG": '{"path": "1.log", "keep": 9, "max_bytes": 5}',
            "PLUGIN_CONFIG__MY_LOG__PATH": "12345",
            "PLUGIN_CONFIG__MY_LOG__ATTEMPTS": "7",
            "PLUGIN_CONFIG__MY_LOG__WRITE_TIMEOUT": "3s",
            "PLUGIN_CONFIG__MY_LOG__ORDERED": "off",
            "PLUGIN_CONFIG__MY_LOG__ROTATE_AT": "6h",
        }
    )
    (built,) = AsyncLoggingContainer(settings).async_pipeline.plugins.sinks
    config: Any = built.plugin
    config = config._config
    assert (config.path, config.keep, config.max_bytes, config.rotate_at) == ("12345", 9, 5, 21_600.0)
    assert type(config.path) is str
    assert (built.policy.attempts, built.policy.write_timeout, built.policy.ordered) == (7, 3.0, False)


@attrs.frozen(kw_only=True)
class Inner:
    host: str = ""
    port: int = 0


@pytest.mark.parametrize(
    ("text", "annotation", "expected"),
    [
        ("12", int, 12),
        ("12", str, "12"),
        ("12", str | int, 12),
        ("12", float | None, 12),
        ("x", int | None, "x"),
        ("yes", bool, True),
        ("1", bool, True),
        ("a,b", list[str], ["a", "b"]),
        ("a,b", str | list[str], "a,b"),
        ("[1]", list[int], [1]),
        ("a=1,b=2", dict[str, int], {"a": 1, "b": 2}),
        ("{host = 'h', port = 5}", Inner, {"host": "h", "port": 5}),
        ("host=7,port=5", Inner, {"host": "7", "port": 5}),
        ("12", Any, 12),
        ("[1]", Any, [1]),
        ("word", Any, "word"),
        ("off", object, False),
    ],
)
def test_a_text_means_what_the_type_says(text: str, annotation: Any, expected: Any) -> None:
    value = meant(EnvironmentText(text), annotation)
    assert (value, type(value)) == (expected, type(expected))
    assert meant(text, annotation) == text, "a text of the program's or a file's is what it is"


def test_variables_of_other_programs_are_left_alone() -> None:
    environ = {
        "FAPILOG_SERVICE_HOST": "10.0.0.1",
        "FAPILOG_SERVICE_PORT_HTTP": "80",
        "FAPILOG_PORT_80_TCP": "tcp://10.0.0.1:80",
        "FAPILOG_PORT": "tcp://10.0.0.1:80",
        "fapilog_level": "x",
        "XFAPILOG_LEVEL": "x",
        "FAPILOGLEVEL": "x",
    }
    assert Settings.load(environ=environ) == Settings()


@given(
    st.dictionaries(
        st.builds("FAPILOG_{}".format, st.sampled_from([a.name.upper() for a in attrs.fields(Settings)]) | st.text())
        | st.builds("FAPILOG_PLUGIN_CONFIG__{}__{}".format, st.sampled_from(("FILE", "X", "")), st.text(max_size=5)),
        st.text()
        | st.sampled_from(("[", "{", "[[[[", "nan", "1e999", "-", "=", ",", "a=b", "[1,2]", '{"a":{}}', "true")),
        max_size=5,
    )
)
def test_cf6_any_environment_gives_settings_or_a_configuration_error(environ: dict[str, str]) -> None:
    try:
        Settings.load(environ=environ)
    except ConfigurationError as error:
        text = str(error)
        assert all(line.isprintable() for line in text.splitlines())


def test_huge_environments_and_values_are_bounded() -> None:
    began = time.perf_counter()
    many = {f"FAPILOG_PLUGIN_CONFIG__P{number}__KEY": "1" for number in range(20_000)}
    assert any("at most 1_000" in line for line in problems_of(environ=many))
    assert len(problems_of(environ={f"FAPILOG_Q{number}": "1" for number in range(900)})) == 21
    for bomb in ("[" * 100_000, "{" * 100_000, '{"a":' * 50_000, "{" + "a." * 50_000 + "b = 1}", "a=1," * 50_000):
        for name in ("FAPILOG_SINKS", "FAPILOG_LEVELS", "FAPILOG_PLUGIN_CONFIG", "FAPILOG_PLUGIN_CONFIG__FILE"):
            assert len(str(problems_of(environ={name: bomb}))) < 10_000
    problems_of(environ={"FAPILOG_PLUGIN_CONFIG__X__" + "A__" * 5_000 + "B": "1"})
    assert time.perf_counter() - began < 30, "a hang, not slowness, is what this is about"


@pytest.mark.parametrize(
    "name", ["SINKS", "LEVELS", "BATCH_SIZE", "CALLSITE", "PLUGIN_CONFIG", "PLUGIN_CONFIG__X", "NO_SUCH", "PRESET"]
)
@pytest.mark.parametrize(
    "text",
    [f"https://user:{CANARY}@host/", f'{{"password": "{CANARY}"}}', f"password={CANARY}", f'["token", "{CANARY}"]'],
)
def test_cf10_no_error_about_a_variable_shows_a_secret(name: str, text: str) -> None:
    problems_of(environ={f"FAPILOG_{name}": text, "FAPILOG_MAX_WORKERS": "x"})


def test_cf10_a_plugins_secret_is_not_shown_wherever_it_stands() -> None:
    environ = {
        "FAPILOG_SINKS": "file",
        "FAPILOG_PLUGIN_CONFIG__FILE__PASSWORD": CANARY,
        "FAPILOG_PLUGIN_CONFIG__FILE__KEEP": CANARY,
        "FAPILOG_PLUGIN_CONFIG__FILE__PATH": f"https://u:{CANARY}@h",
    }
    said = problems_of(environ=environ)
    assert len(said) == 2
    del environ["FAPILOG_PLUGIN_CONFIG__FILE__KEEP"]  # no name and no form of a secret
    assert CANARY not in repr(Settings.load(environ=environ))


# -- files


@pytest.mark.untraced
def test_a_bomb_of_a_file_is_refused_soon(here: Path) -> None:
    path = Path("fapilog.toml")
    began = time.perf_counter()
    for content in (
        "a." * 400_000 + "b = 1\n",
        "".join(f"{'x.' * 99}k{n} = 1\n" for n in range(5000)),
        "x = " + "[" * 200_000,
        "x = " + "{a = " * 50_000,
        "[" + "a." * 99 + "b]\n" + "[[x]]\n" * 100_000,
    ):
        path.write_text(content[: 1 << 20])
        assert problems_of(path, environ={})
    assert time.perf_counter() - began < 60, "a hang, not slowness, is what this is about"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_odd_files_are_problems_and_hold_nobody_up(here: Path) -> None:
    os.mkfifo("pipe.toml")
    assert "a regular file" in problems_of("pipe.toml")[0]
    os.symlink("loop.toml", "loop.toml")
    assert "symbolic links" in problems_of("loop.toml")[0]
    assert "Is a directory" in problems_of(str(here))[0]
    assert "a regular file" in problems_of("/dev/zero")[0]
    Path("bom.toml").write_bytes(b"\xef\xbb\xbflevel = 'INFO'\n")
    assert "allowed: a TOML file" in problems_of("bom.toml")[0]


def test_a_search_finds_the_nearest_file_and_stops_at_the_projects_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    inner = project / "src" / "package"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (tmp_path / "fapilog.toml").write_text('level = "CRITICAL"\n')
    (project / ".git").mkdir()
    assert Settings.load(search=True, environ={}).level == "INFO", "what is above the project is not looked at"
    (project / "pyproject.toml").write_text('[tool.fapilog]\nlevel = "ERROR"\n')
    (project / "src" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    settings = Settings.load(search=True, environ={})
    assert settings.level == "ERROR"
    assert str(settings.sources["level"]) == f"{project}/pyproject.toml:2"
    (project / "fapilog.toml").write_text('level = "WARNING"\n')
    assert Settings.load(search=True, environ={}).level == "WARNING"
    assert Settings.load(environ={}).level == "INFO", "without being asked for, nothing is searched"
    named = {"FAPILOG_CONFIG": str(tmp_path / "fapilog.toml")}
    assert Settings.load(search=True, environ=named).level == "CRITICAL"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs file owners")
def test_a_search_refuses_a_file_that_everybody_can_write(here: Path) -> None:
    Path("fapilog.toml").write_text("level = 'ERROR'\n")
    Path("fapilog.toml").chmod(0o666)
    (said,) = problems_of(search=True, environ={})
    assert "found by searching; allowed: a file of your own" in said
    assert Settings.load("fapilog.toml", environ={}).level == "ERROR"


def test_the_lines_of_a_file_are_those_of_its_keys(here: Path) -> None:
    Path("fapilog.toml").write_text(
        """# level = 'x'
source = '''
level = 'no key'
'''
level = 'INFO' # comment
plugin_config.other.max_events = 5
sinks = [
  "null",
  "other=memory"]
[ plugin_config . 'file' ] # comment
path = 'a'
x = {y = 1}
"""
    )
    sources = {path: source.line for path, source in Settings.load("fapilog.toml", environ={}).sources.items()}
    assert sources == {
        "source": 2,
        "level": 5,
        "plugin_config.other.max_events": 6,
        "sinks": 7,
        "plugin_config.file.path": 11,
        "plugin_config.file.x.y": 12,
    }


# -- units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10 MB", 10_000_000),
        ("10MB", 10_000_000),
        ("10 mb", 10_000_000),
        ("10 MiB", 10_485_760),
        ("1.5 KiB", 1536),
        ("0.1 KB", 100),
        ("7 bytes", 7),
        ("2 TB", 2 * 10**12),
        (" 1 B ", 1),
        ("1.5 B", None),
        ("10 M", None),
        ("10", None),
        ("MB", None),
        ("-1 MB", None),
        ("1e3 MB", None),
        ("1e999 GB", None),
        ("1 MB 1 KB", None),
        ("9" * 60 + " GB", None),
        ("\u0661 MB", None),
        ("", None),
    ],
)
def test_sizes(text: str, expected: int | None) -> None:
    assert bytes_in(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", 5.0),
        ("250 ms", 0.25),
        ("10 us", 1e-5),
        ("1 day", 86_400.0),
        ("2 weeks", 1_209_600.0),
        ("1h30m", 5_400.0),
        ("1h 30m 5s", 5_405.0),
        ("1.5 min", 90.0),
        ("0s", 0.0),
        ("30m1h", None),
        ("5s5s", None),
        ("5", None),
        ("s", None),
        ("5 S", None),
        ("1 month", None),
        ("-5s", None),
        ("inf s", None),
        ("", None),
    ],
)
def test_durations(text: str, expected: float | None) -> None:
    assert seconds_in(text) == expected


@given(st.text(max_size=80))
def test_no_text_makes_a_reader_raise(text: str) -> None:
    for reader in (bytes_in, seconds_in, number_in, truth_in, list_in, table_in, collection_in):
        reader(text)


# -- nothing that is not asked for


def test_loading_without_a_source_imports_no_reader(clean_environ: dict[str, str]) -> None:
    code = (
        "import sys, anyio.lowlevel, attrs, orjson\n"
        "known = set(sys.modules)\n"
        "from fapilog.settings import Settings\n"
        "Settings.load()\n"
        "print(sorted({'cattrs', 'difflib', 'tomllib', 'logging', 'argparse'} & (set(sys.modules) - known)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50, env=clean_environ
    )
    assert done.stdout.strip() == "[]"
    assert fapilog.Settings is Settings


def test_cf10_problems_of_settings_and_of_plugins_are_told_at_once(here: Path) -> None:
    wrong = {
        "levle": "INFO",
        "batch_size": 0,
        "redactors": ["redact"],
        "plugin_config": {"redact": {"presets": ["credential"]}},
    }
    with pytest.raises(ConfigurationError) as caught:
        fapilog.container(wrong)
    assert [problem.path for problem in caught.value.problems] == [
        "levle", "batch_size", "plugin_config.redact.presets[0]",
    ]  # fmt: skip
    # What is wrong with the list of plugins would make their tables look unused.
    with pytest.raises(ConfigurationError) as caught:
        fapilog.container({**wrong, "redactors": "redact"})
    assert [problem.path for problem in caught.value.problems] == ["levle", "redactors", "batch_size"]
