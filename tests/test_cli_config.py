"""``fapilog config``: what it prints, what it keeps to itself, and how it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fapilog
from fapilog import Settings, cli
from fapilog.cli.config import rows_of

CANARY = "hunter2-canary"
SOURCE = str(Path(fapilog.__file__).parents[1])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], list[str]]:
    code = cli.main(["config", *arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()


def test_show_prints_each_setting_and_where_it_came_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("fapilog.toml").write_text('source = "shop"\nsinks = ["file"]\n[plugin_config.file]\npath = "a.log"\n')
    monkeypatch.setenv("FAPILOG_BLOCK_TIMEOUT", "50 ms")
    code, out, err = run(capsys, "show", "fapilog.toml", "--preset", "production")
    assert (code, err) == (0, [])
    rows = {line.split()[0]: " ".join(line.split()[2:]) for line in out}
    assert rows["source"] == '"shop" # fapilog.toml:1'
    assert rows["plugin_config.file.path"] == '"a.log" # fapilog.toml:4'
    assert rows["block_timeout"] == "0.05 # FAPILOG_BLOCK_TIMEOUT"
    assert rows["shutdown_timeout"] == "8.0 # preset production"
    assert rows["max_workers"] == "1 # default"
    assert "\x1b" not in "".join(out)
    code, changed, _ = run(capsys, "show", "fapilog.toml", "--preset", "production", "--changed")
    assert (code, changed != out) == (0, True)
    assert not any("# default" in line for line in changed)


def test_show_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", "--preset", "dev", "--json")
    shown = json.loads("\n".join(out))
    assert code == 0
    assert shown["sinks"] == {"value": ["console"], "source": "preset dev"}
    assert shown["batch_size"] == {"value": 256, "source": "default"}


def test_show_searches_only_if_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    Path("fapilog.toml").write_text('source = "found"\n')
    assert '"found"' not in "".join(run(capsys, "show")[1])
    assert '"found"' in "".join(run(capsys, "show", "--search")[1])


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_cf10_show_keeps_secrets_and_escapes_to_itself(
    form: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("fapilog.toml").write_text(
        f"""
source = "https://user:{CANARY}@host/"
sinks = ["memory"]
[plugin_config.memory]
password = "{CANARY}"
headers = [["Authorization", "{CANARY}"]]
deep = [{{token = "{CANARY}"}}]
urls = ["https://u:{CANARY}@h"]
"a\\u001b[31m" = "\\u001b[2J\\n\\u202e"
[plugin_config.memory.api_key]
x = "{CANARY}"
"""
    )
    monkeypatch.setenv("FAPILOG_PLUGIN_CONFIG__MEMORY__DB_PASSWORD", CANARY)
    code, out, err = run(capsys, "show", "fapilog.toml", *form)
    assert (code, err) == (0, [])
    assert CANARY not in "\n".join(out)
    assert "***" in "\n".join(out)
    assert all(line.isprintable() for line in out)


def test_show_tells_all_problems_one_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.toml").write_text("batch_size = 0\n")
    monkeypatch.setenv("FAPILOG_LEVEL", "\x1b[31mloud")
    code, out, err = run(capsys, "show", "a.toml")
    assert (code, out) == (1, [])
    assert [line.partition(": ")[0] for line in err] == ["level", "batch_size"]
    assert err[1].endswith("set by a.toml:1")
    assert "\x1b" not in "".join(err)


def test_check_reads_the_file_alone_and_its_plugins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAPILOG_LEVEL", "loud")
    Path("good.toml").write_text('sinks = ["file"]\n[plugin_config.file]\npath = "a.log"\nmax_bytes = "10 MB"\n')
    assert run(capsys, "check", "good.toml") == (0, ["good.toml: good"], [])
    assert not Path("a.log").exists()
    Path("bad.toml").write_text('sinks = ["file", "fil"]\n[plugin_config.file]\nmax_bytez = 3\n')
    code, out, err = run(capsys, "check", "bad.toml")
    assert (code, out) == (1, [])
    assert [line.partition(":")[0] for line in err] == [
        "sinks[1]",
        "plugin_config.file.max_bytez",
        "plugin_config.file.path",
    ] or len(err) == 3
    code, _, err = run(capsys, "check", "missing\x1b.toml")
    assert (code, len(err)) == (1, 1)
    assert "\x1b" not in err[0]


def test_a_wrong_use_exits_with_2() -> None:
    for arguments in (["config"], ["config", "check"], ["config", "nonsense"], ["config", "show", "--nonsense"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 2


def test_the_schema_lets_pass_what_is_right_and_refuses_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    code, out, _ = run(capsys, "schema")
    assert code == 0
    schema = json.loads("\n".join(out))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    right = {
        "preset": "production",
        "level": "debug",
        "levels": {"api.db": "ERROR"},
        "sinks": ["stdout", "errors=file", "elsewhere"],
        "shutdown_timeout": "8s",
        "max_event_bytes": 5000,
        "plugin_config": {"file": {"path": "a.log", "max_bytes": "10 MB", "write_timeout": 2}, "errors": {"path": "b"}},
    }
    assert list(validator.iter_errors(right)) == []
    for wrong in (
        {"levle": 1},
        {"level": "loud"},
        {"sinks": "file"},
        {"sinks": ["a b"]},
        {"batch_size": 0},
        {"batch_size": "5"},
        {"reserved_for_errors": 1},
        {"plugin_config": {"file": {"pth": "a"}}},
        {"plugin_config": {"file": {"attempts": 0}}},
        {"preset": "prod"},
    ):
        assert list(validator.iter_errors(wrong)), wrong


def test_the_schema_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads("\n".join(run(capsys, "schema")[1]))
    assert {path.partition(".")[0] for path, _, _ in rows_of(Settings())} | {"preset"} == set(schema["properties"])


def test_a_reader_that_reads_no_further_is_no_mistake() -> None:
    environ = {**os.environ, "PYTHONPATH": SOURCE}
    process = subprocess.Popen(
        [sys.executable, "-m", "fapilog", "config", "schema"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        pipesize=4096 if sys.platform == "linux" else -1,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), error) == (0, b"")
