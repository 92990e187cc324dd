"""What a container costs beside its events: memory that a full queue takes, idle wake-ups, starting and stopping."""

from __future__ import annotations

import os
import resource
import time
from typing import Any

import anyio

import fapilog

from ..peers import fapilog_
from ..peers.interface import Target, make_loop


def memory_now() -> int:
    """Return the bytes that this process has in memory now; 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


async def queue_memory(options: dict[str, Any]) -> dict[str, Any]:
    """Fill a queue whose sink hangs and return the bytes that it took."""
    size = options["queue_max_size"]
    told = {"sink": "hanging", "queue_max_size": size, "reserved_for_errors": 0.0, "shutdown_timeout": 0.1}
    async with fapilog_.opened(Target(None, size, options=told)) as calls:
        loop = make_loop(calls, "nowait", synchronous=True)
        loop(range(1))
        before = memory_now()
        loop(range(size))
        taken = memory_now() - before
    return {"queue_bytes": taken, "bytes_per_event": taken / size}


async def idle(options: dict[str, Any]) -> dict[str, Any]:
    """Do nothing for a while, with a container open or without, and return how often the process woke up."""

    async def wait() -> dict[str, Any]:
        await anyio.sleep(0.5)
        before, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw, time.process_time()
        await anyio.sleep(options["seconds"])
        woken = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
        return {
            "wakeups_per_second": woken / options["seconds"],
            "cpu_ms_per_second": (time.process_time() - cpu) / options["seconds"] * 1e3,
        }

    if not options["container"]:
        return await wait()
    file = {"sinks": ["file"], "plugin_config": {"file": {"path": options["path"]}}}
    async with fapilog.container(file) as log:
        await log.info("started")
        return await wait()


async def start_and_stop(options: dict[str, Any]) -> dict[str, Any]:
    """Enter and leave containers, one after the other, and return the milliseconds of one."""
    count = options["containers"]
    began, began_cpu = time.perf_counter(), time.process_time()
    for number in range(count):
        path = f"{options['path']}.{number}"
        async with fapilog.container({"sinks": ["file"], "plugin_config": {"file": {"path": path}}}):
            pass
    wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return {"wall_ms": wall / count * 1e3, "cpu_ms": cpu / count * 1e3}


KINDS = {"queue_memory": queue_memory, "idle": idle, "start_and_stop": start_and_stop}


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Measure what ``kind`` names."""
    return await KINDS[options["kind"]](options)
