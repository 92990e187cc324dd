"""What a container says of its health, and the endpoint that tells it."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.to_thread
import attrs
import orjson
import pytest

from fapilog import AsyncLoggingContainer
from fapilog.errors import ContainerStateError
from fapilog.health import SinkHealth, health_report
from fapilog.integrations.asgi import STATE_NAME
from fapilog.integrations.health import HealthEndpoint
from fapilog.sinks.memory import MemorySink
from fapilog.testing import FaultySink
from support import AsyncSink, fail, hang, run_program

pytestmark = pytest.mark.anyio


async def test_from_before_the_start_to_after_the_end() -> None:
    container = AsyncLoggingContainer(sinks=[MemorySink()])
    before = container.health()
    assert (before.state, before.live, before.ready, before.reasons) == ("not_started", True, False, ("not_started",))
    async with container:
        now = container.health()
        assert (now.state, now.live, now.ready, now.reasons) == ("open", True, True, ())
        assert now.sinks["memory"].ready
        elsewhere = await anyio.to_thread.run_sync(container.health)
        assert elsewhere == now
    after = container.health()
    assert (after.state, after.live, after.ready) == ("closed", False, False)


async def test_it_is_frozen() -> None:
    async with AsyncLoggingContainer(sinks=[MemorySink()]) as container:
        report = container.health()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.state = "open"  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.sinks["memory"].failures = 3  # type: ignore[misc]


@pytest.mark.virtual_time
async def test_a_breaker_that_is_open() -> None:
    sink = FaultySink(["transient"] * 5 + ["ok"])
    settings = {"plugin_config": {"faulty": {"attempts": 20, "breaker_reset": 60, "backoff": 0.001}}}
    async with AsyncLoggingContainer(settings, sinks=[sink, MemorySink()]) as container:
        await container.logger().info("hello")
        await anyio.sleep(30)
        health = container.health()
        state = health.sinks["faulty"]
        assert (health.reasons, state.reasons) == (("sink:faulty",), ("breaker_open",))
        assert (state.failures, state.in_flight) == (5, 1)
        assert state.last_error.startswith("TransientSinkError")
        assert state.last_error_at is not None
        assert health.live
        await anyio.sleep(60)
        again = container.health()
        assert again.ready
        assert again.sinks["faulty"].failures == 0
        assert again.sinks["faulty"].last_error != ""


@pytest.mark.virtual_time
async def test_a_sink_that_is_stalled() -> None:
    sink = AsyncSink(write=hang)
    settings = {
        "block_timeout": 1,
        "plugin_config": {"sink": {"queue_batches": 1, "write_timeout": 3000, "batch_size": 1}},
        "shutdown_timeout": 1,
        "on_incomplete": "ignore",
    }
    async with AsyncLoggingContainer(settings, sinks=[sink]) as container:
        for number in range(4):
            await container.logger().info(f"{number}")
            await anyio.sleep(5)
        state = container.health().sinks["sink"]
        assert state.reasons == ("stalled",)
        assert (state.queue_depth, state.queue_capacity) == (1, 1)
        assert not container.health().ready


async def test_a_sink_that_is_not_required_and_does_not_start() -> None:
    sink = AsyncSink(start=fail(OSError("no route")))
    settings = {"plugin_config": {"sink": {"required": False}}}
    async with AsyncLoggingContainer(settings, sinks=[sink, MemorySink()]) as container:
        health = container.health()
        assert health.ready
        assert health.sinks["sink"].reasons == ("not_started",)
        assert "no route" in health.sinks["sink"].last_error


async def test_a_full_queue() -> None:
    settings = {"queue_max_size": 2, "reserved_for_errors": 0, "overflow_strategy": "drop_newest"}
    async with AsyncLoggingContainer(settings, sinks=[MemorySink()]) as container:
        for _ in range(3):
            container.logger().nowait.info("message")
        assert container.health().reasons == ("queue_full",)
        await container.flush()
        assert container.health().ready


def sink_health(name: str, *reasons: str, fallback: str | None = None) -> SinkHealth:
    return SinkHealth(
        name=name,
        required=True,
        reasons=reasons,
        failures=0,
        last_error="",
        last_error_at=None,
        queue_depth=0,
        queue_capacity=64,
        in_flight=0,
        fallback=fallback,
    )


@pytest.mark.parametrize(
    ("sinks", "reasons"),
    [
        ([sink_health("a", "stalled", fallback="b"), sink_health("b")], ()),
        ([sink_health("a", "stalled", fallback="b"), sink_health("b", "stalled")], ("sink:a", "sink:b")),
        ([sink_health("a", "stalled", fallback="b"), sink_health("b", "x", fallback="a")], ("sink:a", "sink:b")),
        ([sink_health("a", "stalled", fallback="gone")], ("sink:a",)),
    ],
)
def test_a_fallback_that_is_ready_stands_in(sinks: list[SinkHealth], reasons: tuple[str, ...]) -> None:
    report = health_report(container_id="c", state="open", queue_depth=0, queue_capacity=10, sinks=sinks)
    assert report.reasons == reasons


def test_a_child_after_a_fork_is_dead() -> None:
    done = run_program(
        """
        async def main():
            async with fapilog.AsyncLoggingContainer({"sinks": ["null"]}) as container:
                child = os.fork()
                if not child:
                    health = container.health()
                    os._exit(0 if (health.state, health.live, health.ready) == ("dead", False, False) else 9)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
                assert container.health().ready
        run(main)
        """
    )
    assert done.returncode == 0, done.stderr


# -- the endpoint


async def asked(
    endpoint: HealthEndpoint, path: str, method: str = "GET", **scope: Any
) -> tuple[int, Any, dict[str, str]]:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await endpoint({"type": "http", "path": path, "method": method, "headers": [], **scope}, receive, send)
    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], orjson.loads(body["body"]) if body["body"] else None, headers


async def test_the_endpoint() -> None:
    container = AsyncLoggingContainer(sinks=[MemorySink()])
    endpoint = HealthEndpoint(container)
    async with container:
        assert await asked(endpoint, "/health/live") == (
            200,
            {"status": "ok", "state": "open", "reasons": []},
            {"content-type": "application/json", "cache-control": "no-store"},
        )
        assert (await asked(endpoint, "/health/ready/"))[0] == 200
        assert (await asked(endpoint, ""))[0] == 200
        status, body, headers = await asked(endpoint, "/ready", "HEAD")
        assert (status, body) == (200, None)
        status, body, headers = await asked(endpoint, "/ready", "POST")
        assert (status, body, headers["allow"]) == (405, None, "GET, HEAD")
        with pytest.raises(ValueError, match="websocket"):
            await asked(endpoint, "/ready", type="websocket")
        await container.aclose()
        assert (await asked(endpoint, "/live"))[:2] == (
            503,
            {"status": "unavailable", "state": "closed", "reasons": ["closed"]},
        )


async def test_the_endpoint_finds_the_lifespans_container() -> None:
    with pytest.raises(ContainerStateError):
        await asked(HealthEndpoint(), "/ready")
    async with AsyncLoggingContainer(sinks=[MemorySink()]) as container:
        assert (await asked(HealthEndpoint(), "/ready", state={STATE_NAME: container}))[0] == 200


async def test_errors_are_told_only_if_wanted() -> None:
    sink = FaultySink(["permanent"])
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        await container.logger().info("hello")
        await container.flush()
        _, plain, _ = await asked(HealthEndpoint(container), "/ready")
        _, details, _ = await asked(HealthEndpoint(container, details=True), "/ready")
        _, errors, _ = await asked(HealthEndpoint(container, errors=True), "/ready")
    assert set(plain) == {"status", "state", "reasons"}
    assert "last_error" not in details["sinks"]["faulty"]
    assert details["queue"] == {"depth": 0, "capacity": 10_000}
    assert errors["sinks"]["faulty"]["last_error"].startswith("PermanentSinkError")
    assert errors["sinks"]["faulty"]["last_error_at"].endswith("+00:00")
