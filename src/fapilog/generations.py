"""Generations: the pipeline of a container, and the one that is to take its place while a reload is under way."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from .diagnostics import Diagnostics
from .metrics import MetricsCollector, ReloadReport
from .pipeline.backend import Backend
from .pipeline.pipeline import AsyncPipeline

if TYPE_CHECKING:
    from .pipeline.succession import Succession


class Generations:
    """The pipelines of one container, one after another."""

    def __init__(self, first: AsyncPipeline, metrics: MetricsCollector, diagnostics: Diagnostics) -> None:
        self.current: AsyncPipeline = first
        self.succession: Succession | None = None
        """The reload that is under way."""
        self._metrics = metrics
        self._diagnostics = diagnostics
        self._backend: Backend
        self._surroundings: tuple[Backend, object, Context, Callable[[], object]]
        """What every pipeline runs in, as a succession takes it."""

    async def start(self, backend: Backend, owner: object, context: Context, interrupted: Callable[[], object]) -> None:
        """Start the first pipeline; those to come run in the same surroundings.

        Parameters:
            owner: the task that has entered the container.
            context: what plugins run in.
            interrupted: called when an interrupt of the program's has struck a task of a pipeline's.
        """
        self._backend = backend
        self._surroundings = (backend, owner, context, interrupted)
        await self.current.start(backend, context, interrupted)

    async def replace(
        self, new: AsyncPipeline, timeout: float, took_over: Callable[[], object], *, tells_incomplete: bool
    ) -> ReloadReport | None:
        """Let *new* take over, and wait until the old pipeline has run dry; return what became of it.

        Parameters:
            timeout: seconds that the old pipeline has to run dry.
            took_over: called in the moment in which the new pipeline takes over.
            tells_incomplete: whether it is told if the old pipeline did not run dry.

        Returns None if it was given up, because the container is left. If this is cancelled before the switch, the
        old pipeline stays; after it, the new one runs. A checkpoint.
        """
        from .pipeline.succession import Succession

        def take_over() -> None:
            self.current = new
            took_over()

        def end(succession: Succession) -> None:
            if self.succession is succession:
                self.succession = None
            report = succession.report
            if report is not None and not report.complete and tells_incomplete:
                message = f"the pipeline that a reload replaced did not finish in {report.elapsed:.3f} s"
                self._diagnostics.warn("incomplete reload", message)

        succession = self.succession = Succession(
            self.current, new, self._metrics, timeout, take_over, end, self._diagnostics.error
        )
        try:
            await self._begin(succession)
            await succession.finished.wait()
        except BaseException:
            succession.give_up()
            if not succession.has_begun:  # and if it yet does, it finds that it was given up
                self.succession = None
            raise
        if succession.error is not None:
            raise succession.error
        return succession.report

    async def _begin(self, succession: Succession) -> None:
        run = partial(succession.run, *self._surroundings)
        while not succession.has_begun:
            # Again, if asyncio's cancelled it before its first step, which it then never takes.
            self._backend.start_soon(run, "fapilog reload")
            await checkpoint()

    # -- the end of all

    def close(self) -> None:
        """Accept nothing more; a pipeline that has not taken over by now does not."""
        if self.succession is not None:
            self.succession.give_up()
        self.current.intake.close()

    async def drain(self) -> None:
        """Wait until what was accepted has an outcome; the container is closed."""
        succession = self.succession
        if succession is not None and succession.has_begun and not succession.has_taken_over:
            await succession.finished.wait()  # it has been given up
        await self.current.drain()
        if succession is not None and succession.has_taken_over:
            await succession.finished.wait()

    def interrupt(self) -> None:
        """Wait no longer for a delivery that a caller waits for, nor for a pipeline that was replaced."""
        self.current.intake.confirmations.interrupt()
        if self.succession is not None:
            self.succession.hurry()

    async def stop(self) -> None:
        """End what still runs."""
        if self.succession is not None:
            self.succession.hurry()
        await self.current.stop()

    def end_now(self) -> None:
        """Give every event that is left an outcome, in straight-line code."""
        if self.succession is not None:
            self.succession.abandon()
        self.current.end_now()
        self.current.discard()
