"""Succession: one pipeline takes over from another, while events come in."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context

import anyio

from .._interrupts import interrupt_in
from ..metrics import MetricsCollector, ReloadReport
from .backend import Backend
from .pipeline import AsyncPipeline


class Succession:
    """The steps of one reload: the new pipeline starts, takes over, and the old one runs dry under its deadline.

    They run in a task of the container's own, so that whoever asked for the reload may be cancelled at any moment:
    before the new pipeline has taken over, the old one stays; after that the new one runs and the old one ends.
    """

    def __init__(
        self,
        old: AsyncPipeline,
        new: AsyncPipeline,
        metrics: MetricsCollector,
        timeout: float,
        took_over: Callable[[], object],
        ended: Callable[[Succession], object],
        report: Callable[[str, str], object],
    ) -> None:
        """Prepare the steps without beginning.

        Parameters:
            timeout: seconds that the old pipeline has to run dry.
            took_over: called in the moment in which the new pipeline takes over.
            ended: called when there is one pipeline again.
            report: where internal errors are told.
        """
        self.old: AsyncPipeline = old
        self.new: AsyncPipeline = new
        self.has_begun: bool = False
        self.has_taken_over: bool = False
        self.finished: anyio.Event = anyio.Event()
        self.error: Exception | None = None
        """Why the new pipeline did not take over, if it raised something."""
        self.report: ReloadReport | None = None
        """What became of the old pipeline, if the new one has taken over and the old one has ended."""
        self._metrics = metrics
        self._timeout = timeout
        self._took_over = took_over
        self._ended = ended
        self._report = report
        self._start_scope = anyio.CancelScope(shield=True)
        self._end_scope = anyio.CancelScope(shield=True)
        self._given_up = False
        self._began: float
        """When the old pipeline began to run dry, on the event loop's clock."""

    def give_up(self) -> None:
        """Let the old pipeline stay, unless the new one has taken over already."""
        self._given_up = True
        self._start_scope.cancel(reason="the reload was given up")

    def hurry(self) -> None:
        """End the old pipeline now; what has no outcome in it is abandoned."""
        self._end_scope.cancel(reason="container closing")

    async def run(self, backend: Backend, owner: object, context: Context, interrupted: Callable[[], object]) -> None:
        """Take every step; lets no exception out but an interrupt of the program."""
        if self.has_begun:
            return
        self.has_begun = True
        try:
            if not self._given_up and await self._prepare(backend, owner, context, interrupted):
                self.new.take_over()
                self.has_taken_over = True
                self._took_over()
                await self._end_old()
        except BaseException as error:
            if interrupt_in(error) is not None:
                interrupted()
                raise
            if isinstance(error, Exception):
                self.error = self.error or error
            elif not isinstance(error, backend.cancelled_class):
                raise
            # Else somebody cancels every task of asyncio's loop; who asked for the reload is cancelled as well.
        finally:
            self.new.forget_predecessor()
            self._ended(self)
            self.finished.set()

    async def _prepare(
        self, backend: Backend, owner: object, context: Context, interrupted: Callable[[], object]
    ) -> bool:
        """Start the new pipeline's sinks; return whether it may take over. If not, they are closed again."""
        may_take_over = False
        try:
            with self._start_scope:
                await self.new.prepare(backend, owner, context, interrupted)
                may_take_over = True
        except Exception as error:
            self.error = error
        finally:
            may_take_over = may_take_over and not self._given_up
            if not may_take_over:
                await self.new.give_up_start()  # which shields itself, as ``stop`` does
        return may_take_over

    async def _end_old(self) -> None:
        self._began = anyio.current_time()
        complete = False
        try:
            with self._end_scope, anyio.move_on_after(self._timeout):
                await self.old.run_out()
                complete = True
        except Exception as error:
            self._report("reload", f"internal error in the reload: {type(error).__name__}: {error}")
        finally:
            try:
                if not complete:
                    await self.old.stop()
            finally:
                self._conclude(complete=complete)

    def _conclude(self, *, complete: bool) -> None:
        """Give every event that is left in the old pipeline an outcome, once: a container may not have waited."""
        if self.report is not None:
            return
        self.old.end_now()
        self.old.discard()
        counts = self.old.counts
        self.report = ReloadReport(
            generation=self.new.generation,
            complete=complete,
            elapsed=anyio.current_time() - self._began,
            dispatched=counts.stages.dispatched,
            abandoned=dict(counts.stages.abandoned),
            sinks=counts.sink_reports(),
        )
        self._metrics.end(counts)

    def abandon(self) -> None:
        """Do in straight-line code what is left to do, for a container that waits no more."""
        if self.has_taken_over:
            self._conclude(complete=False)
