"""A container's health and metrics, while one of its sinks fails and after it."""

from __future__ import annotations

import anyio
from prometheus_client import CollectorRegistry

import fapilog
from fapilog.integrations.prometheus import PrometheusCollector


class Flaky:
    """A sink whose target is away at first."""

    def __init__(self) -> None:
        self.away = True

    async def write(self, batch: fapilog.plugins.Batch) -> None:
        if self.away:
            raise ConnectionError("the target is away")


async def probe_until(container: fapilog.AsyncLoggingContainer, *, ready: bool) -> None:
    while container.health().ready != ready:  # noqa: ASYNC110 - a probe does ask now and then
        await anyio.sleep(0.01)


async def main() -> None:
    sink = Flaky()
    settings = {
        "sinks": ["stdout"],
        "plugin_config": {"Flaky": {"attempts": 50, "backoff": 0.01, "breaker_failures": 2, "breaker_reset": 0.1}},
    }
    async with fapilog.AsyncLoggingContainer(settings, sinks=[sink]) as container:
        registry = CollectorRegistry()
        registry.register(PrometheusCollector({"main": container}))
        await container.logger().info("hello")
        await probe_until(container, ready=False)
        health = container.health()
        print("not ready:", *health.reasons, *health.sinks["Flaky"].reasons, health.sinks["Flaky"].last_error)
        sink.away = False
        await probe_until(container, ready=True)
        await container.flush()
        labels = {"container": "main", "sink": "Flaky"}
        print("ready; delivered", registry.get_sample_value("fapilog_sink_events_delivered_total", labels))
    print(container.report)


if __name__ == "__main__":
    anyio.run(main, backend="trio")
