"""Ending: how a container drains, once, whatever happens to those who wait for it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ._interrupts import Interrupt, interrupt_in
from .diagnostics import Diagnostics
from .errors import DrainIncomplete
from .generations import Generations
from .metrics import DrainReport, MetricsCollector
from .pipeline.backend import Backend

_LEAVING_MARGIN = 1.0
"""Seconds beyond the drain's own deadline after which leaving waits no more, whatever went wrong with the drain."""


class Ending:
    """The end of one container: it accepts nothing more, drains under one deadline, and has its account.

    The drain runs in a task of the container's own, so that those who wait for it may be cancelled or interrupted at
    any moment.
    """

    def __init__(self, generations: Generations, metrics: MetricsCollector, diagnostics: Diagnostics) -> None:
        self.report: DrainReport | None = None
        """The account, once every event has an outcome."""
        self.has_begun: bool = False
        self.runs: bool = False
        """Whether the task that ends everything has taken its first step."""
        self._generations = generations
        self._metrics = metrics
        self._diagnostics = diagnostics
        self._task_group: TaskGroup
        self._backend: Backend
        self._finished: anyio.Event
        self._drain_scope: anyio.CancelScope
        self._main: Callable[[], Coroutine[Any, Any, None]]
        """What the task that ends everything is to do; it sets ``_finished``."""
        self._began: float
        """When the drain began, on the event loop's clock."""
        self._leave_by: float
        """When leaving waits no more, on the event loop's clock."""
        self._stuck = False
        """Whether the task that ends everything did not end."""
        self._exit: SystemExit | None = None
        """What a signal's handler raised while a task of the pipeline ran."""
        self._raises_exit = False
        """Whether leaving raises it, for the event loop could not."""

    def attach(self, task_group: TaskGroup, backend: Backend) -> None:
        """Take note of the task group to leave in the end, in the event loop that runs it."""
        self._task_group = task_group
        self._backend = backend
        self._finished = anyio.Event()
        self._drain_scope = anyio.CancelScope(shield=True)
        backend.pass_on = self._pass_on

    def start(self, timeout: float) -> None:
        """Accept nothing more, and let the drain begin, unless it has; nobody waits for it here.

        Parameters:
            timeout: seconds for the drain.
        """
        if not self.has_begun:
            self._begin(timeout, partial(self._drain, timeout))
            self._generations.close()
            self._start_task()

    async def finish(self, timeout: float) -> BaseException | None:
        """Drain once, and wait until that is done, whatever happens here; return what happened."""
        interruption: BaseException | None = None
        if not self.has_begun:
            self._begin(timeout, partial(self._drain, timeout))
            try:
                # First of all, and without an await before it: from here on no event comes in.
                self._generations.close()
            except BaseException as error:  # a keyboard interrupt; the drain closes what this has not
                interruption = error
        return await self._wait() or interruption

    async def give_up_start(self, timeout: float) -> BaseException | None:
        """End what has started of a container that cannot start; wait for that as for a drain."""
        self._begin(timeout, self._close_sinks)
        return await self._wait()

    def interrupt(self) -> None:
        """End a drain that is under way at once; what has no outcome is abandoned and counted. On the loop only.

        Nobody waits for a delivery any longer either.
        """
        self._generations.interrupt()
        self._drain_scope.cancel(reason="interrupted")

    def account(self) -> DrainReport:
        """Return the account so far; from any thread."""
        done = self.report
        if done is None:
            return self._metrics.report()
        return self._metrics.report(elapsed=done.elapsed, complete=done.complete, drained=True)

    def settle(self) -> None:
        """Bring the account up to date when the container is left, which may be long after an ``aclose``."""
        if self.report is None:  # it was an interrupt that ended the drain, in the middle of its conclusion
            self._conclude(complete=False)
        self.report = self.account()

    async def leave_task_group(self) -> BaseException | None:
        """Leave the task group with no exception, for it would wrap it, and shielded; return what is to be raised."""
        self._task_group.cancel_scope.shield = True
        if self._stuck:
            self._task_group.cancel_scope.cancel(reason="the drain did not end")
        interruption: BaseException | None = None
        try:
            await self._backend.leave(_LEAVING_MARGIN)
        except self._backend.cancelled_class as cancellation:
            interruption = cancellation
        return self._exit if self._raises_exit else interruption

    def tell_incomplete(self, exception: BaseException | None, on_incomplete: str) -> None:
        """Say that the drain did not finish, if it did not.

        Parameters:
            exception: what the container is left with, which then has it as a note; None if the body succeeded.
            on_incomplete: what is to be done if there is no exception: ``raise``, ``warn`` or ``ignore``.

        Raises:
            DrainIncomplete: if that is to be done.
        """
        report = self.report
        if report is None or report.complete:
            return
        message = f"the drain did not finish: {report}"
        if exception is not None:
            try:
                exception.add_note(f"fapilog: {message}")
            except TypeError:  # the exception has notes of its own making
                self._diagnostics.warn("incomplete", message.replace("\n", ";"))
        elif on_incomplete == "raise":
            raise DrainIncomplete(report)
        elif on_incomplete == "warn":
            self._diagnostics.warn("incomplete", message.replace("\n", ";"))
            self._diagnostics.flush()

    def _begin(self, timeout: float, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.has_begun = True
        self._began = anyio.current_time()
        self._leave_by = self._began + timeout + _LEAVING_MARGIN
        self._main = main

    async def _wait(self) -> BaseException | None:
        """Wait until all has ended, in a task that no native cancellation of this one reaches; return what happened."""
        interruption: BaseException | None = None
        while not self._finished.is_set():
            try:
                if not self.runs:
                    # Again, if asyncio's cancelled it before its first step, which it then never takes.
                    self._start_task()
                with anyio.CancelScope(deadline=self._leave_by, shield=True) as scope:
                    await self._finished.wait()
                if scope.cancelled_caught:
                    self._conclude(complete=False)
                    # It is cancelled with the task group, but not before that is left: the body is in there too.
                    self._stuck = True
            except GeneratorExit:
                raise
            except BaseException as error:
                if isinstance(error, self._backend.cancelled_class):
                    # A native cancellation of asyncio's, which no shield holds off. It is raised after the drain.
                    interruption = interruption or error
                else:
                    interruption = interrupt_in(error) or error
                    self.interrupt()
                    if isinstance(interruption, Exception):
                        self._conclude(complete=False)
        return interruption

    def _start_task(self) -> None:
        async def once() -> None:
            if not self.runs:
                self.runs = True
                await self._main()

        self._backend.start_soon(once, "fapilog drain")

    async def _drain(self, timeout: float) -> None:
        complete = False
        try:
            with self._drain_scope, anyio.move_on_after(timeout):
                await self._generations.drain()
                complete = True
        except self._backend.cancelled_class:
            # Every task is being cancelled, as when a second interrupt ends asyncio's loop: stop at once.
            pass
        except (Exception, SystemExit) as error:
            if (interrupt := interrupt_in(error)) is not None:
                self._pass_on(interrupt)
            else:
                self._diagnostics.error("drain", f"internal error in the drain: {type(error).__name__}: {error}")
        finally:
            try:
                if not complete:
                    await self._generations.stop()
            finally:
                try:
                    self._conclude(complete=complete)
                finally:  # also if an interrupt strikes before its first step: who waits then concludes
                    self._finished.set()

    def _conclude(self, *, complete: bool) -> None:
        """Give every event that is left an outcome, once, and let those go on who wait for the end."""
        if self.report is not None:  # by who waited for the drain, and then no longer
            return
        try:
            self._generations.end_now()
            elapsed = anyio.current_time() - self._began
            self.report = self._metrics.report(elapsed=elapsed, complete=complete, drained=True)
            self._diagnostics.flush()
        finally:
            self._finished.set()

    async def _close_sinks(self) -> None:
        try:
            await self._generations.current.give_up_start()
        finally:
            self._finished.set()

    def _pass_on(self, interrupt: Interrupt) -> None:
        """Let an interrupt that struck a task of the pipeline's end the body and not that task.

        A second one ends the drain at once. A keyboard interrupt is raised: on asyncio it is the second always.
        """
        if not isinstance(interrupt, SystemExit):
            raise interrupt
        if self._exit is None:
            self._exit = interrupt
            if not self._backend.raise_soon(interrupt):
                self._raises_exit = True
                self._task_group.cancel_scope.cancel(reason="the application exits")
        elif self._exit is not interrupt:
            self.interrupt()
