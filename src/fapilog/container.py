"""AsyncLoggingContainer: owns a pipeline for as long as its block lasts, and accounts for every event."""

from __future__ import annotations

import contextvars
import os
import warnings
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from os import PathLike
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import anyio
from anyio.lowlevel import checkpoint, current_token

from . import context as _context
from ._interrupts import Interrupt, interrupt_in
from .context import INSIDE_PLUGIN, ambient_variable
from .errors import ConfigurationError, ContainerStateError, DrainIncomplete, WrongTaskError
from .event import Level, Origin
from .levels import Levels
from .logger import AsyncLogger, Core
from .pipeline.backend import current_backend
from .pipeline.fork import forget_after_fork

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from anyio.lowlevel import EventLoopToken

    from .health import HealthReport
    from .metrics import DrainReport, FlushReport, MetricsCollector, ReloadReport
    from .pipeline.backend import Backend
    from .pipeline.pipeline import AsyncPipeline
    from .pipeline.succession import Succession
    from .plugins import PluginRegistry, SkippedPlugin
    from .plugins.configuration import BuiltPlugins, GivenPlugins
    from .settings import Settings

SettingsSource: TypeAlias = "Settings | Mapping[str, Any] | str | PathLike[str] | None"
OnLoss: TypeAlias = Callable[[Mapping[str, int]], object]

_LEAVING_MARGIN = 1.0
"""Seconds beyond the drain's own deadline after which leaving waits no more, whatever went wrong with the drain."""


class AsyncLoggingContainer:
    """An asynchronous context manager that owns one pipeline: its task group, streams, plugins and metrics.

    Inside the block it accepts events; leaving it drains them under one deadline, ``shutdown_timeout``,
    and leaves the exact account in ``report``. The body's result, exception or cancellation passes
    unchanged. A container is entered once, and left in the task that entered it. Two containers share
    nothing.

    Parameters:
        settings: a :class:`Settings`, a mapping, the path of a TOML file, or None for the defaults.
        sinks, filters, enrichers, processors, redactors: plugin objects or plain functions, beside those
            that the settings name.
        plugin_registry: the registry whose plugins the settings may name beside the built-in ones; the
            container gets a copy of its own. By default one that finds what is installed.
        on_loss: called on the event loop with what was lost since the last call, as counts by reason.

    Raises:
        ConfigurationError: if anything in the settings or the plugins' configuration is wrong.
        PluginError: if a plugin cannot be loaded or is of the wrong shape.
    """

    def __init__(
        self,
        settings: SettingsSource = None,
        *,
        sinks: Sequence[object] | None = None,
        filters: Sequence[object] | None = None,
        enrichers: Sequence[object] | None = None,
        processors: Sequence[object] | None = None,
        redactors: Sequence[object] | None = None,
        plugin_registry: PluginRegistry | None = None,
        on_loss: OnLoss | None = None,
    ) -> None:
        # The engine is imported with the first container: a program that logs nothing need not wait for it.
        from .diagnostics import Diagnostics
        from .metrics import MetricsCollector
        from .plugins import PluginRegistry
        from .plugins.configuration import GivenPlugins, add_plugin_problems
        from .settings import Settings

        self._given = GivenPlugins(sinks or (), filters or (), enrichers or (), processors or (), redactors or ())
        self.plugin_registry: PluginRegistry = PluginRegistry() if plugin_registry is None else plugin_registry.copy()
        try:
            self.settings: Settings = Settings.load(settings)
        except ConfigurationError as error:
            add_plugin_problems(error, self._given, self.plugin_registry.copy())
            raise
        self._settings_source = settings
        self._on_loss = on_loss
        self.container_id: str = os.urandom(4).hex()
        self.metrics_collector: MetricsCollector = MetricsCollector(self.container_id, self.settings.queue_max_size)
        self.report: DrainReport | None = None
        """The account, once the container has been left."""
        self._diagnostics = Diagnostics(self.container_id)
        self._origin = Origin(logger="", source=self.settings.source, container_id=self.container_id)
        self.async_pipeline: AsyncPipeline = self._make_pipeline(
            self.settings, self._build_plugins(self.settings, self._given, self.plugin_registry)
        )
        self._levels = Levels(_levels_of(self.settings))
        self._ambient = ambient_variable(self.container_id, self.async_pipeline.statics.ambient)
        self._core = Core(
            self,
            self.async_pipeline.intake,
            self._ambient,
            self.settings.callsite,
            self._levels,
            self.async_pipeline.at_call(self._ambient),
        )
        self._root = AsyncLogger(self._core, self._origin)
        self._task_group: TaskGroup
        self._backend: Backend
        self._task: object = None
        self._token: EventLoopToken
        self._current_token: contextvars.Token[AsyncLogger] | None = None
        self._entered = False
        self._inside = False
        """Whether it was entered and has not begun to be left."""
        self._finishing = False
        self._stuck = False
        """Whether the task that ends everything did not end."""
        self._exit: SystemExit | None = None
        """What a signal's handler raised while a task of the pipeline ran."""
        self._raises_exit = False
        """Whether leaving raises it, for the event loop could not."""
        self._ends_with: Callable[[], Coroutine[Any, Any, None]]
        """What the task that ends everything is to do."""
        self._ending = False
        """Whether the task that ends everything has begun."""
        self._began: float
        """When the drain began, on the event loop's clock."""
        self._leave_by: float
        """When leaving waits no more, on the event loop's clock."""
        self._plugin_context: contextvars.Context
        self._succession: Succession | None = None
        """The reload that is under way."""
        self._finished: anyio.Event
        self._drain_scope: anyio.CancelScope

    def _build_plugins(
        self, settings: Settings, given: GivenPlugins, registry: PluginRegistry, told: Sequence[SkippedPlugin] = ()
    ) -> BuiltPlugins:
        """Build what the settings name and what is given, and tell what was optional and is left out, unless it was
        *told* before.
        """
        plugins = given.build(settings, registry)
        self._diagnostics.redact = plugins.redact_text
        for skipped in registry.skipped:
            if skipped not in told:
                self._diagnostics.warn(
                    f"{skipped.name}.skipped", f"{skipped.plugin_type} {skipped.name!r} is left out: {skipped.reason}"
                )
        return plugins

    def _make_pipeline(
        self, settings: Settings, plugins: BuiltPlugins, predecessor: AsyncPipeline | None = None
    ) -> AsyncPipeline:
        from .formats import make_formatters
        from .pipeline.pipeline import AsyncPipeline

        return AsyncPipeline(
            settings,
            plugins,
            make_formatters(settings.max_event_bytes),
            self.metrics_collector,
            self._origin,
            self._diagnostics.warn,
            self._on_loss,
            predecessor=predecessor,
        )

    def __del__(self) -> None:
        if getattr(self, "_inside", False) and self.report is None and not self.async_pipeline.intake.dead:
            left = self.metrics_collector.report().in_flight
            warnings.warn(
                f"container {self.container_id} was entered and never left, with {left} events that have no outcome; "
                "leave it: use 'async with'",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )

    # -- loggers and levels

    def logger(self, name: str = "") -> AsyncLogger:
        """Return the logger of that dotted name; the root logger if it is empty."""
        return self._root.named(name) if name else self._root

    def set_level(self, level: str | int, logger: str | None = None) -> None:
        """Change the level of a logger name and the names below it, or of all that have none of their own.

        Parameters:
            level: the new level.
            logger: a dotted name; None for the root.

        Raises:
            ValueError: if *level* is no level.
        """
        self._levels.set(logger or "", Level.parse(level).value)

    def entered(self) -> AbstractContextManager[AsyncLogger]:
        """Make this container's root logger the current one inside the block.

        For code that runs outside the task that entered the container, such as a server's request tasks.
        """
        return _context.entered(self._root)

    # -- accounts

    def stats(self) -> DrainReport:
        """Return the account so far; from any thread."""
        done = self.report
        if done is None:
            return self.metrics_collector.report()
        return self.metrics_collector.report(elapsed=done.elapsed, complete=done.complete, drained=True)

    def health(self) -> HealthReport:
        """Return whether the container and its sinks can do their work, and why not; from any thread."""
        from .health import health_report

        return health_report(
            container_id=self.container_id,
            state=self._state(),
            queue_depth=self.metrics_collector.queue_depth(),
            queue_capacity=self.settings.queue_max_size,
            sinks=(delivery.health() for delivery in self.async_pipeline.deliveries),
        )

    def _state(self) -> str:
        intake = self.async_pipeline.intake
        if intake.dead:
            return "dead"
        if self.report is not None:
            return "closed"
        if self._finishing:
            return "closing"
        if intake.state == "open":
            return "open"
        return "starting" if self._entered else "not_started"

    async def flush(self, timeout: float | None = None) -> FlushReport:
        """Wait until every event admitted before this call has an outcome at every sink and the sinks have flushed.

        Parameters:
            timeout: seconds to wait at most; ``shutdown_timeout`` if None.

        Inside a plugin this returns at once, incomplete. If it is cancelled, nothing is lost. A checkpoint.
        """
        from .metrics import FlushReport

        if self.async_pipeline.intake.dead:
            return FlushReport(complete=False, elapsed=0.0)  # in a child after a fork, whose event loop is a copy
        if not self._entered or self._finishing or self._ambient.get() is INSIDE_PLUGIN:
            await checkpoint()
            return FlushReport(complete=self.report is not None, elapsed=0.0)
        return await self.async_pipeline.flush(self.settings.shutdown_timeout if timeout is None else timeout)

    def flush_from_thread(self, timeout: float | None = None) -> FlushReport:
        """Do what ``flush`` does, from a foreign thread.

        Raises:
            ContainerStateError: on the event loop's own thread, where this would wait for itself.
        """
        from .metrics import FlushReport

        if not self._entered or self.report is not None:
            return FlushReport(complete=self.report is not None, elapsed=0.0)
        if get_ident() == self.async_pipeline.intake.thread:
            raise ContainerStateError(
                "a blocking flush on the event loop's own thread would wait for itself; use 'await log.flush()'"
            )
        from anyio import from_thread

        return from_thread.run(self.flush, timeout, token=self._token)

    def forget(self) -> None:
        """Start from zero and accept nothing, in a child after a fork: the events are the parent's."""
        self.async_pipeline.intake.forget()
        self._core.ids.forget()
        self.metrics_collector.reset()

    # -- reloading

    async def reload(
        self,
        settings: SettingsSource = None,
        *,
        sinks: Sequence[object] | None = None,
        filters: Sequence[object] | None = None,
        enrichers: Sequence[object] | None = None,
        processors: Sequence[object] | None = None,
        redactors: Sequence[object] | None = None,
    ) -> ReloadReport:
        """Go on with other settings: start a new pipeline, switch to it, and drain the old one under its deadline.

        Nothing is lost by it: what was logged before the switch is the old pipeline's, what comes later is the new
        one's, and the container's account covers both. Loggers stay as they are. A plugin that is the same in both,
        by its name and its own settings or as an object, is kept: it is neither closed nor started again.

        Parameters:
            settings: what the container takes; None to read again what it was made from.
            sinks, filters, enrichers, processors, redactors: objects and functions instead of those given before; None
                for those given before.

        Returns:
            What became of the old pipeline.

        Raises:
            ConfigurationError: if the settings are wrong; everything is as it was.
            PluginError: if a plugin cannot be made or a required sink does not start; everything is as it was.
            ContainerStateError: if the container is not open, or this is called inside a plugin.

        Reloads come one after another. If this is cancelled before the switch, the old pipeline stays; after it, the
        new one runs, and the old one is drained without being waited for. A checkpoint.
        """
        self._refuse_reload()
        while self._succession is not None:
            await self._succession.finished.wait()
            self._refuse_reload()
        given = self._given.instead(sinks, filters, enrichers, processors, redactors)
        source = self._settings_source if settings is None else settings
        succession = self._succession = self._make_succession(source, given)
        run = partial(succession.run, self._backend, self._task, self._plugin_context, self.interrupt)
        try:
            while not succession.has_begun:
                # Again, if asyncio's cancelled it before its first step, which it then never takes.
                self._backend.start_soon(run, "fapilog reload")
                await checkpoint()
            await succession.finished.wait()
        except BaseException:
            succession.give_up()
            if not succession.has_begun:  # and if it yet does, it finds that it was given up
                self._succession = None
            raise
        if succession.error is not None:
            raise succession.error
        if succession.report is None:
            raise ContainerStateError(f"container {self.container_id} was left before the reload; nothing was changed")
        return succession.report

    def reload_from_thread(self, settings: SettingsSource = None, **given: Sequence[object] | None) -> ReloadReport:
        """Do what ``reload`` does, from a foreign thread or a synchronous program.

        Raises:
            ContainerStateError: on the event loop's own thread as well, where this would wait for itself.
        """
        self._refuse_reload()
        if get_ident() == self.async_pipeline.intake.thread:
            raise ContainerStateError(
                "a blocking reload on the event loop's own thread would wait for itself; use 'await container.reload()'"
            )
        from anyio import from_thread

        return from_thread.run(partial(self.reload, settings, **given), token=self._token)

    def _refuse_reload(self) -> None:
        if self._ambient.get() is INSIDE_PLUGIN:
            raise ContainerStateError("a plugin cannot reload the container that runs it; leave that to the program")
        if self.async_pipeline.intake.dead:
            raise ContainerStateError(f"container {self.container_id} is the parent's, of which this process is a fork")
        if not self._entered or self.async_pipeline.intake.state == "not_started":
            raise ContainerStateError(f"container {self.container_id} was not entered; there is nothing to reload")
        if self._finishing:
            raise ContainerStateError(f"container {self.container_id} is being left; it cannot be reloaded any more")

    def _make_succession(self, source: SettingsSource, given: GivenPlugins) -> Succession:
        """Build the new pipeline and what is to put it in the place of the old one; nothing is started."""
        from .pipeline.succession import Succession
        from .plugins.configuration import kept_plugins
        from .settings import Settings, check_reloadable

        settings = Settings.load(source)
        check_reloadable(self.settings, settings)
        old, on_incomplete = self.async_pipeline, self.settings.on_incomplete
        registry = self.plugin_registry.copy()  # which has loaded nothing yet
        built = self._build_plugins(settings, given, registry, self.plugin_registry.skipped)
        plugins = kept_plugins(old.plugins, self.settings, built, settings)
        new = self._make_pipeline(settings, plugins, old)

        def took_over() -> None:
            self.settings, self.async_pipeline, self._given = settings, new, given
            self._settings_source, self.plugin_registry = source, registry
            self._core.callsite = settings.callsite
            self._core.at_call = new.at_call(self._ambient)
            self._levels.replace(_levels_of(settings))

        def ended(succession: Succession) -> None:
            if self._succession is succession:
                self._succession = None
            report = succession.report
            if report is not None and not report.complete and on_incomplete != "ignore":
                message = f"the pipeline that a reload replaced did not finish in {report.elapsed:.3f} s"
                self._diagnostics.warn("incomplete reload", message)

        return Succession(
            old,
            new,
            self.metrics_collector,
            self.settings.shutdown_timeout,
            took_over,
            ended,
            self._diagnostics.error,
        )

    # -- entering and leaving

    async def __aenter__(self) -> Self:
        """Start the sinks and the stages; a checkpoint.

        Raises:
            ContainerStateError: if the container was entered before.
            PluginError: if a required sink does not start.
        """
        if self._entered:
            raise ContainerStateError(
                f"container {self.container_id} was entered before; a container is entered once, make a new one"
            )
        self._backend = current_backend()
        self._backend.pass_on = self._pass_on
        self._entered = True
        self._finished = anyio.Event()
        self._drain_scope = anyio.CancelScope(shield=True)
        self._task = self._backend.task_identity()
        self._token = current_token()
        await self._backend.protect(self._enter)()
        forget_after_fork(self)
        self._current_token = _context._current_logger.set(self._root)
        self._inside = True
        return self

    async def _enter(self) -> None:
        self._plugin_context = contextvars.copy_context()
        self._plugin_context.run(self._ambient.set, INSIDE_PLUGIN)
        self._task_group = await self._backend.enter()
        try:
            await self.async_pipeline.start(self._backend, self._plugin_context, self.interrupt)
        except BaseException as error:
            self._finishing = True
            self._began = anyio.current_time()
            self._leave_by = self._began + self.settings.shutdown_timeout + _LEAVING_MARGIN
            self._ends_with = self._give_up_start
            interruption = await self._run_to_the_end(self._ends_with)
            interruption = await self._leave_task_group() or interruption
            if self._raises_exit:
                interruption = self._exit
            if interruption is not None and not isinstance(error, type(interruption)):
                raise interruption from error
            raise

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain and leave, within ``shutdown_timeout`` and a second; the body's exception passes unchanged.

        Cancelling this does not cut the drain short; the cancellation is raised after it. A keyboard
        interrupt does.

        Raises:
            DrainIncomplete: if the body succeeded, the drain did not finish, and ``on_incomplete`` is ``raise``.
            WrongTaskError: if this is another task than the one that entered; the events are drained first.
        """
        try:
            self._inside = False
            self._reset_current_logger()
            if self.async_pipeline.intake.dead:  # a child after a fork: the tasks are the parent's
                return
            await self._backend.protect(partial(self._leave, exception))()
        except BaseException as error:
            if self.report is None:  # an interrupt, which struck before the drain had begun
                await self._backend.protect(partial(self._leave, error))()
            raise

    async def _leave(self, exception: BaseException | None) -> None:
        right_task = self._backend.task_identity() is self._task
        if right_task:
            self._task_group.cancel_scope.shield = True
        interruption = await self._finish(self.settings.shutdown_timeout)
        if self.report is None:  # it was an interrupt that ended the drain, in the middle of this
            self._conclude(complete=False)
        self.report = self.stats()  # with the calls that came after an earlier ``aclose``
        if not right_task:
            raise WrongTaskError from exception
        interruption = await self._leave_task_group() or interruption
        if self._raises_exit:
            interruption = self._exit
        if interruption is not None and not isinstance(exception, type(interruption)):
            raise interruption
        self._tell_incomplete(exception)

    async def aclose(self, timeout: float | None = None) -> None:
        """End early: accept nothing more and drain; idempotent, and every caller waits until it is done.

        Parameters:
            timeout: seconds for the drain; ``shutdown_timeout`` if None.

        Callers that wait for room are refused, and counted. If this is cancelled, the drain goes on and the
        cancellation is raised after it. Inside a plugin, for which the drain has to wait, this returns at once. A
        checkpoint.
        """
        if not self._entered:
            raise ContainerStateError(f"container {self.container_id} was not entered")
        if self.async_pipeline.intake.dead:
            return  # in a child after a fork: what there is to drain is the parent's
        if self._ambient.get() is INSIDE_PLUGIN:
            if not self._finishing:
                self._begin_to_finish(self.settings.shutdown_timeout if timeout is None else timeout)
                self.async_pipeline.intake.close()
                self._start_end(self._ends_with)
            await checkpoint()
            return
        interruption = await self._finish(self.settings.shutdown_timeout if timeout is None else timeout)
        if interruption is not None:
            raise interruption

    async def _finish(self, timeout: float) -> BaseException | None:
        """Drain once, and wait until that is done, whatever happens here; return what happened."""
        if self._finishing:
            return await self._run_to_the_end(self._ends_with)
        self._begin_to_finish(timeout)
        interruption: BaseException | None = None
        if self._succession is not None:
            self._succession.give_up()
        try:
            # First of all, and without an await before it: from here on no event comes in.
            self.async_pipeline.intake.close()
        except BaseException as error:  # a keyboard interrupt; the drain closes what this has not
            interruption = error
        return await self._run_to_the_end(self._ends_with) or interruption

    def _begin_to_finish(self, timeout: float) -> None:
        self._finishing = True
        self._began = anyio.current_time()
        self._leave_by = self._began + timeout + _LEAVING_MARGIN
        self._ends_with = partial(self._drain, timeout)

    async def _run_to_the_end(self, main: Callable[[], Coroutine[Any, Any, None]]) -> BaseException | None:
        """Run *main*, which sets ``_finished``, where no native cancellation of this task reaches it; wait for it."""
        interruption: BaseException | None = None
        while not self._finished.is_set():
            try:
                if not self._ending:
                    # Again, if asyncio's cancelled it before its first step, which it then never takes.
                    self._start_end(main)
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

    def _start_end(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def once() -> None:
            if not self._ending:
                self._ending = True
                await main()

        self._backend.start_soon(once, "fapilog drain")

    async def _give_up_start(self) -> None:
        try:
            await self.async_pipeline.give_up_start()
        finally:
            self._finished.set()

    def interrupt(self) -> None:
        """End a drain that is under way at once; what has no outcome is abandoned and counted. On the loop only.

        Nobody waits for a delivery any longer either.
        """
        self.async_pipeline.intake.confirmations.interrupt()
        self._drain_scope.cancel(reason="interrupted")
        if self._succession is not None:
            self._succession.hurry()

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

    async def _drain(self, timeout: float) -> None:
        complete = False
        try:
            with self._drain_scope, anyio.move_on_after(timeout):
                succession = self._succession
                if succession is not None and succession.has_begun and not succession.has_taken_over:
                    await succession.finished.wait()  # it has been given up
                await self.async_pipeline.drain()
                if succession is not None and succession.has_taken_over:
                    await succession.finished.wait()
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
                    if self._succession is not None:
                        self._succession.hurry()
                    await self.async_pipeline.stop()
            finally:
                self._conclude(complete=complete)

    def _conclude(self, *, complete: bool) -> None:
        """Give every event that is left an outcome, once, and let those go on who wait for the end."""
        if self.report is not None:  # by who waited for the drain, and then no longer
            return
        try:
            if self._succession is not None:
                self._succession.abandon()
            self.async_pipeline.end_now()
            self.async_pipeline.discard()
            self.report = self.metrics_collector.report(
                elapsed=anyio.current_time() - self._began, complete=complete, drained=True
            )
            self._diagnostics.flush()
        finally:
            self._finished.set()

    async def _leave_task_group(self) -> BaseException | None:
        """Leave the task group with no exception, for it would wrap it, and shielded; return what happened."""
        self._task_group.cancel_scope.shield = True
        if self._stuck:
            self._task_group.cancel_scope.cancel(reason="the drain did not end")
        try:
            await self._backend.leave(_LEAVING_MARGIN)
        except self._backend.cancelled_class as cancellation:
            return cancellation
        return None

    def _reset_current_logger(self) -> None:
        if self._current_token is not None:
            try:
                _context._current_logger.reset(self._current_token)
            except ValueError:
                pass  # left in another context than entered
            self._current_token = None

    def _tell_incomplete(self, exception: BaseException | None) -> None:
        """Say that the drain did not finish, as ``on_incomplete`` wants it."""
        report = self.report
        if report is None or report.complete:
            return
        if exception is not None:
            try:
                exception.add_note(f"fapilog: the drain did not finish: {report}")
            except TypeError:  # the exception has notes of its own making
                self._diagnostics.warn("incomplete", f"the drain did not finish: {report}".replace("\n", ";"))
        elif self.settings.on_incomplete == "raise":
            raise DrainIncomplete(report)
        elif self.settings.on_incomplete == "warn":
            self._diagnostics.warn("incomplete", f"the drain did not finish: {report}".replace("\n", ";"))
            self._diagnostics.flush()


def _levels_of(settings: Settings) -> dict[str, int]:
    """Return the levels by logger name; that of the root has an empty name."""
    levels: dict[str, int] = {"": Level.parse(settings.level)}
    levels.update({name: Level.parse(level) for name, level in settings.levels.items()})
    return levels


class _RootLoggerBlock:
    """What ``container(...)`` returns: the container, entered for its root logger."""

    def __init__(self, container: AsyncLoggingContainer) -> None:
        self._container = container

    async def __aenter__(self) -> AsyncLogger:
        await self._container.__aenter__()
        return self._container.logger()

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._container.__aexit__(exception_type, exception, traceback)


def container(
    settings: SettingsSource = None,
    *,
    sinks: Sequence[object] | None = None,
    filters: Sequence[object] | None = None,
    enrichers: Sequence[object] | None = None,
    processors: Sequence[object] | None = None,
    redactors: Sequence[object] | None = None,
    plugin_registry: PluginRegistry | None = None,
    on_loss: OnLoss | None = None,
) -> _RootLoggerBlock:
    """Return an asynchronous context manager that opens a container and yields its root logger.

    The parameters, and what entering and leaving mean, are those of :class:`AsyncLoggingContainer`.
    """
    return _RootLoggerBlock(
        AsyncLoggingContainer(
            settings,
            sinks=sinks,
            filters=filters,
            enrichers=enrichers,
            processors=processors,
            redactors=redactors,
            plugin_registry=plugin_registry,
            on_loss=on_loss,
        )
    )


__all__ = ("AsyncLoggingContainer", "OnLoss", "SettingsSource", "container")
