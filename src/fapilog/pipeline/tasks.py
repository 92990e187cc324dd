"""StageTasks: the tasks in which the stages of one pipeline run, and what ends them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from .._interrupts import interrupt_in
from .backend import Backend


class StageTasks:
    """Runs each stage in tasks of the container's task group, each in a shielded scope of its own.

    A stage goes on after an exception that struck in its task; only ``cancel`` and ``cancel_all``, or the end of the
    program, break it off.
    """

    def __init__(self, report: Callable[[str, str], None]) -> None:
        self._report = report
        self._backend: Backend
        self._owner: object
        self._interrupted: Callable[[], object]
        self._scopes: dict[object, list[anyio.CancelScope]] = {}
        self._running: dict[object, int] = {}
        self._ended: dict[object, anyio.Event] = {}
        self.stopping: bool = False
        """Whether the stages are to end where they are cancelled, and a new one at once."""

    def attach(self, backend: Backend, owner: object, interrupted: Callable[[], object]) -> None:
        """Say where the tasks are to run.

        Parameters:
            owner: the task that entered the container.
            interrupted: called when a stage finds that the program is being interrupted for the second time.
        """
        self._backend = backend
        self._owner = owner
        self._interrupted = interrupted

    def start(
        self,
        stage: object,
        main: Callable[[], Any],
        last: Callable[[], Any] | None = None,
        *,
        after: Sequence[anyio.Event] = (),
    ) -> None:
        """Run *main* in a task of *stage* once *after* are set, and then *last*, also where *main* was cancelled."""
        self._running[stage] = self._running.get(stage, 0) + 1
        ended = self._ended.setdefault(stage, anyio.Event())

        async def run() -> None:
            try:
                with anyio.CancelScope(shield=True) as scope:
                    self._scopes.setdefault(stage, []).append(scope)
                    if self.stopping:
                        scope.cancel()
                    try:
                        await self._supervised(_after(after, main))
                    finally:
                        if last is not None:
                            await last()
            except self._backend.cancelled_class:
                # With a native cancellation behind it, asyncio's task is not asked to end by its scope alone, and
                # AnyIO lets the exception out. In the task group it would cancel the body, and all that is in it.
                if not self.stopping:
                    raise
            except BaseException as error:  # an interrupt, which struck in the stage or as its scope was left
                interrupt = interrupt_in(error)
                if not isinstance(interrupt, SystemExit):
                    self._interrupted()
                    raise
                self._backend.pass_on(interrupt)
            finally:
                self._running[stage] -= 1
                if not self._running[stage]:
                    ended.set()

        self._backend.start_soon(run, f"fapilog {type(stage).__name__.lower()}")

    async def _supervised(self, main: Callable[[], Any]) -> None:
        """Run a stage's task, and again after a mistake of ours, or after the application's exit struck in it.

        One batch is lost by that, not the stage.
        """
        struck = False
        while True:
            try:
                if struck:
                    await checkpoint()
                await main()
            except self._backend.cancelled_class:
                if self.stopping or self._backend.has_ended(self._owner):
                    raise
                # Not ours: somebody cancels every task of asyncio's loop. The stage has to see the drain through,
                # unless the task that would leave the container has ended without doing so. If that one had been
                # cancelled before, this is the loop's end after a second interrupt.
                if self._backend.is_asked_twice(self._owner):
                    self._interrupted()
            except BaseException as error:
                if (interrupt := interrupt_in(error)) is not None:
                    self._backend.pass_on(interrupt)
                elif isinstance(error, Exception):
                    self._report("internal", f"internal error: {type(error).__name__}: {error}")
                else:
                    raise
                if self.stopping:
                    return
                struck = True
            else:
                return

    def __bool__(self) -> bool:
        """Return whether any was ever started."""
        return bool(self._ended)

    def ended(self, stage: object) -> anyio.Event:
        """Return what is set once every task of *stage* has ended."""
        return self._ended[stage]

    async def all_ended(self) -> None:
        """Wait until every task has ended."""
        for event in self._ended.values():
            await event.wait()

    def cancel(self, stage: object) -> None:
        """Cancel the tasks of *stage*, if it has begun to run."""
        for scope in self._scopes.get(stage, ()):
            scope.cancel(reason="container closing")

    def cancel_all(self) -> None:
        """Let every task end where it is; straight-line code, which may be called again."""
        self.stopping = True
        for stage in self._scopes:
            self.cancel(stage)

    def stages(self) -> set[object]:
        """Return the stages whose tasks have begun to run."""
        return set(self._scopes)


def _after(events: Sequence[anyio.Event], main: Callable[[], Any]) -> Callable[[], Any]:
    """Return *main*, to begin when every one of *events* is set."""
    if not events:
        return main

    async def begin() -> None:
        for event in events:
            await event.wait()
        await main()

    return begin
