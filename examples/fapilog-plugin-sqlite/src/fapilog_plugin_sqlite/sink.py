"""The sink ``sqlite``: keeps events in a table of an SQLite database."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import attrs

from fapilog import PermanentSinkError, PluginMetadata, PluginType, TransientSinkError
from fapilog.plugins import Batch


def _is_table_name(config: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value):
        raise ValueError(f"{attribute.name} {value!r} is no name of at most 64 ASCII letters, digits and '_'")


@attrs.frozen(kw_only=True)
class SqliteConfig:
    """What the sink can be told."""

    path: Path = attrs.field(metadata={"description": "The database; created if it is missing."})
    table: str = attrs.field(default="events", validator=_is_table_name, metadata={"description": "The table."})
    busy_timeout: float = attrs.field(
        default=1.0,
        validator=[attrs.validators.ge(0), attrs.validators.le(60)],
        metadata={"description": "Seconds to wait for another writer.", "schema": {"minimum": 0, "maximum": 60}},
    )


class SqliteSink:
    """Writes each batch in one transaction.

    It is synchronous, so that fapilog runs it in a thread: a disk may take its time without holding the event loop.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="sqlite",
        version="1.0.0",
        plugin_type=PluginType.SINK,
        entry_point="fapilog_plugin_sqlite.sink:SqliteSink",
        performance_profile={"events_per_second": 20_000},
        requires_fapilog=">=0.1,<1",
    )
    Config = SqliteConfig
    payload_format: ClassVar[str] = "json"

    def __init__(self, config: SqliteConfig) -> None:
        self._config = config
        self._connection: sqlite3.Connection | None = None

    def start(self) -> None:
        """Open the database and create the table."""
        # Created here, for its owner only: what is logged is nobody else's.
        os.close(os.open(self._config.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        # fapilog gives a stuck sink another thread, so that the connection may not be bound to one.
        self._connection = sqlite3.connect(
            self._config.path, timeout=self._config.busy_timeout, check_same_thread=False, isolation_level=None
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        # With the key, a batch that is written again after a doubtful failure adds nothing twice.
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self._config.table} (container TEXT, sequence INTEGER, time TEXT, "
            "level TEXT, logger TEXT, event TEXT, PRIMARY KEY (container, sequence)) WITHOUT ROWID"
        )

    def write(self, batch: Batch) -> None:
        """Insert the events of *batch*, all or none of them."""
        if self._connection is None:
            raise PermanentSinkError("the sink was not started, or is closed")
        lines = batch.encoded("json").decode().splitlines()
        rows = [
            (
                event.container_id,
                event.sequence,
                event.timestamp.isoformat(),
                event.level,
                event.logger.encode(errors="replace").decode(),
                line,
            )
            for event, line in zip(batch.events, lines, strict=True)
        ]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    f"INSERT OR IGNORE INTO {self._config.table} VALUES (?, ?, ?, ?, ?, ?)", rows
                )
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:  # locked, or the disk is full: it may pass
            raise TransientSinkError(str(error)) from error
        except sqlite3.DatabaseError as error:  # it is no database, or damaged
            raise PermanentSinkError(str(error)) from error

    def aclose(self) -> None:
        """Close the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
