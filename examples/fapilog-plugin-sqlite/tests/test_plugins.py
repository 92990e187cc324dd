"""The plugins do what fapilog relies on, and what the README says."""

from __future__ import annotations

import itertools
import json
import sqlite3
import stat
from pathlib import Path

import pytest
from fapilog_plugin_sqlite.deployment import _deployment, deployment
from fapilog_plugin_sqlite.sink import SqliteConfig, SqliteSink

import fapilog
from fapilog.formats import make_formatters
from fapilog.plugins import Batch
from fapilog.testing import check_plugin


def rows(path: Path, table: str = "events") -> list[tuple[str, str, str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT level, logger, event FROM {table} ORDER BY sequence").fetchall()
    finally:
        connection.close()


def test_the_sink_conforms(tmp_path: Path) -> None:
    numbers = itertools.count()
    check_plugin(lambda: SqliteSink(SqliteConfig(path=tmp_path / f"{next(numbers)}.db")))


def test_the_enricher_conforms() -> None:
    check_plugin(lambda: deployment, "enricher")


@pytest.mark.anyio
async def test_each_event_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    settings = {"sinks": ["sqlite"], "plugin_config": {"sqlite": {"path": str(path), "table": "log"}}}
    for _ in range(2):
        async with fapilog.container(settings) as log:
            await log.named("api").info("first", order=1)
            await log.error("second \ud800")
    found = rows(path, "log")
    assert sorted((level, logger) for level, logger, _ in found) == [("ERROR", "")] * 2 + [("INFO", "api")] * 2
    assert json.loads(found[0][2])["fields"] == {"order": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_locked_database_may_be_tried_again_and_adds_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    sink = SqliteSink(SqliteConfig(path=path, busy_timeout=0))
    batch = Batch([fapilog.LogEvent("hello", "INFO", sequence=1)], 1, make_formatters())
    sink.start()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(fapilog.TransientSinkError, match="locked"):
        sink.write(batch)
    other.execute("COMMIT")
    other.close()
    sink.write(batch)
    sink.write(batch)
    sink.aclose()
    assert len(rows(path)) == 1
    with pytest.raises(fapilog.PermanentSinkError, match="closed"):
        sink.write(batch)


@pytest.mark.parametrize("config", [{"table": "a; DROP TABLE b"}, {"table": ""}, {"busy_timeout": -1}])
def test_wrong_settings_are_told(config: dict[str, object], tmp_path: Path) -> None:
    table = {"path": str(tmp_path / "a.db"), **config}
    with pytest.raises(fapilog.ConfigurationError, match=rf"plugin_config\.sqlite\.{next(iter(config))}: got "):
        fapilog.container({"sinks": ["sqlite"], "plugin_config": {"sqlite": table}})


def test_the_enricher_adds_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    event = fapilog.LogEvent("hello", "INFO")
    monkeypatch.delenv("DEPLOYMENT_ENVIRONMENT", raising=False)
    monkeypatch.setenv("DEPLOYMENT_VERSION", "7")
    _deployment.cache_clear()
    assert deployment(event) == {"deployment": {"version": "7"}}
    monkeypatch.delenv("DEPLOYMENT_VERSION")
    _deployment.cache_clear()
    assert deployment(event) == {}
    _deployment.cache_clear()
