"""A program that serves a container's metrics: ``prometheus_program.py BACKEND``.

It says where it serves, logs ten events for each line on its input, says ``logged``, and ends when its input does.
"""

from __future__ import annotations

import sys

import anyio
import anyio.to_thread
from prometheus_client import CollectorRegistry, start_http_server

from fapilog import AsyncLoggingContainer, LogEvent
from fapilog.integrations.prometheus import PrometheusCollector
from fapilog.sinks.memory import MemorySink
from fapilog.testing import FaultySink

SETTINGS = {"redactors": ["redact"], "plugin_config": {"faulty": {"breaker_failures": 100}}}
ODD = 'main "1"\\\n ä'
"""The value of the label ``container``, which is any text and has to survive the way."""


def keep(event: LogEvent) -> bool:
    return event.message != "noise"


def broken(event: LogEvent) -> None:
    raise ValueError("no")


async def main() -> None:
    sinks = [FaultySink(["permanent"]), MemorySink()]
    async with AsyncLoggingContainer(SETTINGS, sinks=sinks, filters=[keep], enrichers=[broken]) as container:
        registry = CollectorRegistry()
        registry.register(PrometheusCollector({ODD: container}))
        server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
        print("serving on", server.server_port, flush=True)
        log = container.logger()
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            for number in range(10):
                await log.info("noise" if number < 3 else "signal", password="hush")
            await log.flush()
            print("logged", flush=True)
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1])
