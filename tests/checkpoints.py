"""Every checkpoint of a program, counted: a step is what a task does between two of them.

`run_counted` runs a program on a virtual clock and calls what `Steps.at` holds just before the step of that number,
whatever task it belongs to. So a test can strike at every point at which a program can be struck, on both backends.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import trio
import trio.testing

from fapilog.testing.clock import Backend, VirtualTimeLoop


class Steps:
    """Counts the steps of all tasks of one event loop."""

    def __init__(self) -> None:
        self.number = 0
        self.at: dict[int, list[Callable[[], object]]] = {}
        """What to do before the steps of these numbers; it runs outside every task."""
        self.tasks: list[asyncio.Task[Any]] = []
        """Every task there was, in the order in which they were made; on asyncio only."""

    def step(self) -> None:
        """Count a step that is about to be taken."""
        self.number += 1
        if self.number in self.at:
            for strike in self.at.pop(self.number):
                strike()


class _TrioSteps(trio.abc.Instrument):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._steps.step()


class _CountedCoroutine(Coroutine[Any, Any, Any]):
    """A task's coroutine whose every step is counted; to asyncio and AnyIO it looks like the coroutine itself."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], steps: Steps) -> None:
        self._coroutine: Any = coroutine
        self._steps = steps

    def send(self, value: Any) -> Any:
        self._steps.step()
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        self._steps.step()
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)


class _CountedLoop(VirtualTimeLoop):
    def __init__(self, steps: Steps) -> None:
        super().__init__()

        def start(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
            task = asyncio.Task(_CountedCoroutine(coroutine, steps), loop=loop, **options)
            steps.tasks.append(task)
            return task

        self.set_task_factory(start)


def run_counted(
    backend: Backend, steps: Steps, function: Callable[..., Awaitable[Any]], *arguments: Any, seed: int = 0
) -> Any:
    """Run an async function on a virtual clock of its own while *steps* counts; return its result.

    Trio runs the tasks of one round in any order; here *seed* chooses it, so that a run can be repeated.
    """
    if backend == "asyncio":
        options = {"loop_factory": lambda: _CountedLoop(steps)}
        try:
            return anyio.run(function, *arguments, backend="asyncio", backend_options=options)
        finally:
            # A plugin's coroutine that swallows everything lives as long as the process, with all that it knows of;
            # asyncio would go through tasks kept by it at the end of each later loop.
            steps.tasks.clear()
    scheduler: Any = trio._core._run
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = True, random.Random(seed)
    try:
        clock = trio.testing.MockClock(autojump_threshold=0)
        return trio.run(function, *arguments, clock=clock, instruments=[_TrioSteps(steps)])
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = False
