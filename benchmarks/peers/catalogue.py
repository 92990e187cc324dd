"""Which loggers there are, in which configurations, and on which event loops they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ANY_LOOP = ("asyncio",)
"""A logger that does not await costs the same on every event loop; it is measured on one."""
EVERY_LOOP = ("asyncio", "uvloop", "trio")


@dataclass(frozen=True)
class Entry:
    """One logger in one configuration."""

    name: str
    module: str
    label: str
    """How the configuration reads in a table."""
    events: int
    """How many events one run logs: a quarter of a second's worth, or more."""
    loops: tuple[str, ...] = ANY_LOOP
    options: dict[str, Any] = field(default_factory=dict)
    package: str = ""
    """The distribution whose version is told."""
    original: bool = False
    """Whether it needs the environment of the original fapilog."""


NOTHING = Entry("nothing", "nothing", "no logging", 100_000, EVERY_LOOP)
APPEND = Entry("append", "append", "an append to a list, no logger", 200_000, EVERY_LOOP)
FAPILOG = Entry("fapilog", "fapilog_", "fapilog", 200_000, EVERY_LOOP, package="fapilog")
STRUCTLOG = Entry("structlog", "structlog_", "structlog, orjson, buffered", 100_000, package="structlog")
PICOLOGGING = Entry("picologging", "picologging_", "picologging, orjson", 150_000, package="picologging")

ENTRIES = (
    FAPILOG,
    PICOLOGGING,
    Entry(
        "picologging-tuned",
        "picologging_",
        "picologging, orjson, never flushed",
        200_000,
        options={"flush": False},
        package="picologging",
    ),
    STRUCTLOG,
    Entry("logust", "logust_", "logust (Rust)", 100_000, package="logust"),
    Entry("eliot", "eliot_", "eliot, orjson, buffered", 80_000, package="eliot"),
    Entry("stdlib", "stdlib", "logging, QueueHandler, orjson", 50_000),
    Entry("opentelemetry", "opentelemetry_", "OpenTelemetry, batches", 30_000, package="opentelemetry-sdk"),
    Entry("loguru", "loguru_", "loguru, serialize", 25_000, package="loguru"),
    Entry(
        "structlog-async",
        "structlog_",
        "structlog `ainfo`",
        6_000,
        ("asyncio", "uvloop"),
        options={"asynchronous": True},
        package="structlog",
    ),
    Entry(
        "original",
        "original",
        "fapilog 0.18 (the original)",
        6_000,
        ("asyncio", "uvloop"),
        package="fapilog",
        original=True,
    ),
)


def entry(name: str) -> Entry:
    """Return the entry of that name."""
    return next(found for found in ENTRIES if found.name == name)
