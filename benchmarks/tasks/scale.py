"""What an event costs in fapilog as one thing grows: sinks, plugins, fields, workers, producers or containers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

import fapilog
from fapilog import LogEvent

from ..peers.interface import FIELDS, MESSAGE, Calls, make_loop

FORMATS = {"same": ("json",), "other": ("json", "logfmt")}


def enricher(number: int) -> Any:
    """Return one of several enrichers that read and add to every event."""
    name = f"plugin_{number}"

    def enrich(event: LogEvent) -> dict[str, Any]:
        return {name: event.level}

    return enrich


def settings(options: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Return the settings of one container that writes to files of its own in the directory."""
    formats = islice(cycle(FORMATS[options.get("formats", "same")]), options.get("sinks", 1))
    files = {
        f"file-{number}": {"path": str(directory / f"{number}.log"), "format": form}
        for number, form in enumerate(formats)
    }
    return {
        "sinks": [f"{name}=file" for name in files],
        "plugin_config": files,
        "max_workers": options.get("workers", 1),
        "queue_max_size": options.get("queue_max_size", 10_000),
    }


def fields_text(count: int) -> str:
    """Return that many fields as the arguments of a call."""
    return ", ".join([f"user_id=number, {', '.join(f'field_{n}={n}' for n in range(1, count))}"] if count else [])


def calls_of(log: fapilog.AsyncLogger, options: dict[str, Any]) -> Calls:
    """Return the calls of one container's logger, with the number of fields that is asked for."""
    fields = FIELDS if "fields" not in options else fields_text(options["fields"])
    return Calls(
        names={"context": log.context, "info": log.info, "blocking": log.blocking.info},
        enter="with context(request_id=request_id, tenant=tenant):",
        enabled=f"await info({MESSAGE!r}, {fields})",
        disabled="pass",
        others={"blocking": f"blocking({MESSAGE!r}, {fields})"},
    )


async def produce(loops: list[Callable[..., Any]], options: dict[str, Any]) -> None:
    """Log the events from as many tasks or threads as are asked for, evenly to all containers."""
    tasks, threads, events = options.get("tasks", 1), options.get("threads", 0), options["events"]
    share = events // (len(loops) * (threads or tasks))
    async with anyio.create_task_group() as group:
        for loop in loops:
            for _ in range(threads or tasks):
                if threads:
                    group.start_soon(anyio.to_thread.run_sync, loop, range(share))
                else:
                    group.start_soon(loop, range(share))


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the CPU time per event; every line has to be in the files of every sink."""
    root = Path(options["path"]).parent
    enrichers = [enricher(number) for number in range(options.get("plugins", 0))]
    directories = [root / str(number) for number in range(options.get("containers", 1))]
    async with AsyncExitStack() as stack:
        logs = [
            await stack.enter_async_context(fapilog.container(settings(options, directory), enrichers=enrichers))
            for directory in directories
        ]
        threads = "threads" in options
        kind = "blocking" if threads else "enabled"
        loops = [make_loop(calls_of(log, options), kind, synchronous=threads) for log in logs]
        began, began_cpu = time.perf_counter(), time.process_time()
        await produce(loops, options)
        for log in logs:
            await log.flush()
        seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    events, sinks = options["events"], options.get("sinks", 1)
    written = sum(path.read_bytes().count(b"\n") for directory in directories for path in directory.iterdir())
    if written != events * sinks:
        raise RuntimeError(f"{written} lines were written, not {events * sinks}")
    return {"cpu_us": cpu / events * 1e6, "wall_us": seconds / events * 1e6}
