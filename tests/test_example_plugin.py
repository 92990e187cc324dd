"""The example of a plugin package: built, installed into a fresh environment, and used there as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from support import SOURCE

PACKAGE = Path(__file__).parents[1] / "examples" / "fapilog-plugin-sqlite"


class Environment:
    """A fresh environment that sees what is installed here, and has the plugins beside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        venv.create(folder, symlinks=True)
        site = next(folder.glob("lib/python*/site-packages"))
        here = dict.fromkeys([SOURCE, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        (site / "here.pth").write_text("".join(f"{path}\n" for path in here), encoding="utf-8")

    def run(self, *arguments: str, expected: int = 0, **variables: str) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHON"))}
        done = subprocess.run(
            [self.python, *arguments],
            capture_output=True,
            check=False,
            cwd=self.folder,
            env={**environ, "PYTHONWARNINGS": "error", **variables},
            text=True,
            timeout=50,
        )
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout + done.stderr

    def plugins(self, *arguments: str, expected: int = 0) -> str:
        return self.run("-m", "fapilog", "plugins", *arguments, expected=expected)


def pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(PACKAGE, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(folder), str(folder / "source"))
    (wheel,) = folder.glob("*.whl")
    made = Environment(folder / "environment")
    pip("--python", str(made.python), "install", "--no-deps", "--no-index", str(wheel))
    return made


PROGRAM = """
import anyio, fapilog

async def main():
    async with fapilog.container("fapilog.toml") as log:
        await log.info("order placed", order=7)
    print([metadata.distribution for metadata in log.container.plugin_registry.loaded])

anyio.run(main, backend="trio")
"""

SETTINGS = """
sinks = ["sqlite"]
enrichers = ["deployment"]

[plugin_config.sqlite]
path = "events.db"
"""

QUERY = """
import sqlite3
for row in sqlite3.connect("events.db").execute("SELECT event FROM events"):
    print(row[0])
"""


def test_a_program_uses_both_plugins(environment: Environment) -> None:
    (environment.folder / "fapilog.toml").write_text(SETTINGS, encoding="utf-8")
    told = environment.run("-c", PROGRAM, DEPLOYMENT_ENVIRONMENT="production")
    assert told == "['fapilog-plugin-sqlite', 'fapilog-plugin-sqlite']\n"
    event = json.loads(environment.run("-W", "ignore", "-c", QUERY))
    assert (event["message"], event["fields"]) == ("order placed", {"order": 7})
    assert event["context"] == {"deployment": {"environment": "production"}}


def test_the_command_line_lists_it(environment: Environment) -> None:
    lines = [line.split() for line in environment.plugins("list").splitlines()]
    assert ["sink", "sqlite", "1.0.0", "fapilog-plugin-sqlite"] in lines
    assert ["enricher", "deployment", "1.0.0", "fapilog-plugin-sqlite"] in lines
    found = json.loads(environment.plugins("list", "--json", "--kind", "enricher"))
    assert {
        "kind": "enricher",
        "name": "deployment",
        "version": "1.0.0",
        "distribution": "fapilog-plugin-sqlite",
        "problem": "",
    } in found


def test_the_command_line_shows_it(environment: Environment) -> None:
    lines = environment.plugins("show", "sqlite").splitlines()
    assert lines[:5] == [
        "sink sqlite of fapilog-plugin-sqlite 1.0.0",
        "  from       fapilog_plugin_sqlite.sink:SqliteSink",
        lines[2],
        lines[3],
        "  declares   events_per_second 20_000",
    ]
    assert lines[2].startswith("  needs      fapilog<1,>=0.1: ")
    assert lines[2].endswith(" is installed")
    assert [line.split() for line in lines[6:]] == [
        ["path", "a", "path", "required", "The", "database;", "created", "if", "it", "is", "missing."],
        ["table", "text", "default", "'events'", "The", "table."],
        ["busy_timeout", "a", "number", "default", "1.0", "Seconds", "to", "wait", "for", "another", "writer."],
    ]
    (metadata,) = json.loads(environment.plugins("show", "sqlite", "--json"))
    assert metadata["configuration_schema"]["required"] == ["path"]
    assert metadata["distribution"] == "fapilog-plugin-sqlite"


def test_the_command_line_checks_it(environment: Environment) -> None:
    assert environment.plugins("check").splitlines() == [
        "ok    enricher deployment",
        "ok    sink sqlite: not made, for it has no default for path; give --config",
    ]
    assert environment.plugins("check", "sqlite", "--config", '{"path": "checked.db"}') == "ok    sink sqlite\n"
    assert "plugin_config.sqlite.path: got 5; allowed: a path" in environment.plugins(
        "check", "sqlite", "--config", '{"path": 5}', expected=1
    )


def test_the_command_line_measures_it(environment: Environment) -> None:
    told = environment.plugins(
        "bench", "sqlite", "--config", '{"path": "measured.db"}', "--seconds", "0.01", "--within", "1000"
    )
    first, _, *rows = told.splitlines()
    assert first.startswith("sink sqlite of fapilog-plugin-sqlite 1.0.0 on asyncio: the median of ")
    assert [row.split()[0] for row in rows] == ["events_per_second", "microseconds_per_event", "bytes_per_event"]
    assert rows[0].split()[2:] == ["20_000", "holds"]
    assert rows[1].split()[2:] == ["-"]


def test_its_own_tests_pass(environment: Environment) -> None:
    tests = str(environment.folder.parent / "source" / "tests")
    told = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:trio", tests)
    assert " passed" in told
