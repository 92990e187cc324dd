"""Struck at every checkpoint: each program is cancelled, closed or hit at every single step of its event loop."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import attrs
import pytest
from hypothesis import settings

from checkpoints import Steps, run_counted
from fapilog.testing.clock import Backend
from schedules import Run, Schedule, Sink, run

PROGRAMS = {
    "calls that wait for room": Schedule(
        queue_max_size=2,
        sinks=(Sink(writes=("slow", "ok"), queue_batches=1, batch_size=1),),
        producers=((("await", 1),) * 6, (("await", 1), ("error", 1), ("late", 1), ("call", 1), ("await", 1))),
    ),
    "a sink that fails and falls back": Schedule(
        strategy="drop_oldest",
        sinks=(
            Sink(
                writes=("land_and_raise", "partial", "raise"), attempts=2, ordered=True, falls_back=True, batch_size=3
            ),
            Sink(kind="direct"),
        ),
        producers=((("burst", 4), ("yield", 2), ("burst", 12), ("sleep", 1), ("thread", 1)),),
    ),
    "plugins in tasks of their own": Schedule(
        workers=2,
        plugins=("async_filter", "isolated", "split", "async_merge"),
        sinks=(Sink(batch_linger=0.01),),
        producers=((("await", 1),) * 8, (("burst", 5), ("flush", 5))),
    ),
    "sinks that do not answer": Schedule(
        strategy="raise",
        shutdown_timeout=0.5,
        sinks=(Sink(writes=("swallow",)), Sink(writes=("shield",)), Sink(writes=("ok",), flush="hang")),
        producers=((("nowait", 1), ("yield", 3), ("nowait", 1), ("cancelled_flush", 2)),),
        ending="aclose_twice",
    ),
}
STRIKES = [
    ("trio", "scope"), ("trio", "producers"), ("trio", "aclose"),
    ("asyncio", "scope"), ("asyncio", "producers"), ("asyncio", "aclose"), ("asyncio", "native"), ("asyncio", "stage"),
]  # fmt: skip


def steps_of(backend: Backend, program: Schedule) -> int:
    steps = Steps()

    async def main() -> None:
        await Run(program, steps, native=backend == "asyncio").main()

    run_counted(backend, steps, main)
    return steps.number


@pytest.mark.untraced
@pytest.mark.timeout(300)  # hundreds of runs
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize(("backend", "strike"), STRIKES)
def test_cx1_cx2_the_ledger_is_exact_whichever_checkpoint_is_struck(backend: Backend, strike: str, name: str) -> None:
    program = PROGRAMS[name]
    number = steps_of(backend, program)
    assert number > 40, "the program has too few checkpoints to be of interest"
    # All of them on one Python; on the others, every fifth.
    for step in range(1, number + 1, 1 if settings.get_current_profile_name() == "ci" else 5):
        run(backend, attrs.evolve(program, strikes=((step, strike),)))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_every_step_of_every_task_is_counted(backend: Backend) -> None:
    async def child() -> None:
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()

    async def main() -> None:
        before = steps.number
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(child)
        seen.append(steps.number - before)

    seen: list[int] = []
    steps = Steps()
    run_counted(backend, steps, main)
    # Ten tasks of three steps each, and one or two of the task that waits for them.
    assert 31 <= seen[0] <= 33
