"""The virtual clocks: time jumps when nothing can run, and only then."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog.testing.clock import BACKENDS, Backend, VirtualTimeLoop, run_in_virtual_time, virtual_time

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

HOUR = 3600.0


async def test_a_long_sleep_takes_no_time_and_exactly_its_own() -> None:
    start = anyio.current_time()
    await anyio.sleep(24 * 7 * HOUR)
    assert anyio.current_time() - start == 24 * 7 * HOUR


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_a_clock_of_its_own(turn: int) -> None:
    assert anyio.current_time() == 0.0
    await anyio.sleep(turn * HOUR)


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    woken: list[tuple[float, float]] = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append((seconds, anyio.current_time()))

    async with anyio.create_task_group() as group:
        for seconds in (30.0, 10.0, 20.0):
            group.start_soon(sleeper, seconds)
    assert woken == [(10.0, 10.0), (20.0, 20.0), (30.0, 30.0)]


async def test_the_clock_stands_still_while_a_task_can_run() -> None:
    with anyio.move_on_after(0.001) as scope:
        for _ in range(1000):
            await anyio.lowlevel.checkpoint()
    assert not scope.cancelled_caught
    assert anyio.current_time() == 0.0


async def test_a_deadline_passes_when_everything_waits() -> None:
    with anyio.move_on_after(HOUR) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert anyio.current_time() == HOUR


async def test_a_thread_wakes_the_loop_when_no_timer_is_pending() -> None:
    thread = await anyio.to_thread.run_sync(threading.get_ident)
    assert thread != threading.get_ident()
    assert anyio.current_time() == 0.0


async def test_a_ready_socket_comes_before_the_jump() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        right.send(b"x")
        with anyio.move_on_after(HOUR) as scope:
            await anyio.wait_readable(left)
        assert not scope.cancelled_caught
        assert anyio.current_time() == 0.0


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=5))
async def test_any_sleep_ends_at_its_deadline(naps: list[float]) -> None:
    for seconds in naps:
        deadline = anyio.current_time() + seconds
        await anyio.sleep(seconds)
        assert anyio.current_time() == pytest.approx(deadline, abs=1e-8, rel=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_runs_in_virtual_time(backend: Backend) -> None:
    async def main(seconds: float) -> float:
        await anyio.sleep(seconds)
        return anyio.current_time()

    assert run_in_virtual_time(backend, main, HOUR) == HOUR


def test_a_backend_without_a_virtual_clock_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no virtual clock for the backend 'uvloop'; allowed: asyncio, trio"):
        virtual_time(cast("Backend", "uvloop"))


def test_the_loop_can_be_moved_by_hand_and_never_back() -> None:
    loop = VirtualTimeLoop()
    try:
        loop.jump(2.5)
        loop.jump(0)
        assert loop.time() == 2.5
        with pytest.raises(ValueError, match="time cannot go back by 1 s"):
            loop.jump(-1)
        assert loop.time() == 2.5
    finally:
        loop.close()


class TestFixtures:
    """What conftest.py promises."""

    async def test_a_marked_test_runs_on_the_virtual_backends(
        self, anyio_backend_name: str, request: pytest.FixtureRequest
    ) -> None:
        assert request.node.callspec.params["anyio_backend"] == f"{anyio_backend_name}-virtual"

    @pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
    async def test_a_test_can_name_its_backend(self, anyio_backend_name: str) -> None:
        assert anyio_backend_name == "trio"
        assert anyio.current_time() != 0.0

    @pytest.mark.parametrize("anyio_backend", ["asyncio", "asyncio+uvloop"], indirect=True)
    async def test_uvloop_is_uvloop(self, request: pytest.FixtureRequest) -> None:
        asked = request.node.callspec.params["anyio_backend"] == "asyncio+uvloop"
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop") == asked

    def test_a_child_process_can_start_without_coverage(
        self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
    ) -> None:
        monkeypatch.setenv("COVERAGE_PROCESS_CONFIG", "x")
        environ = request.getfixturevalue("clean_environ")
        assert "COVERAGE_PROCESS_CONFIG" not in environ
        assert "PATH" in environ
