"""AsyncLoggingContainer: owns a pipeline for as long as its block lasts, and accounts for every event."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from os import PathLike
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from anyio.lowlevel import checkpoint, current_token

from .current import CURRENT_LOGGER, entered
from .errors import ConfigurationError, ContainerStateError, WrongTaskError
from .pipeline.fork import forget_after_fork

if TYPE_CHECKING:
    from contextvars import Token

    from anyio.abc import TaskGroup
    from anyio.lowlevel import EventLoopToken

    from .health import HealthReport
    from .logger import AsyncLogger
    from .metrics import DrainReport, FlushReport, MetricsCollector, ReloadReport
    from .pipeline.backend import Backend
    from .pipeline.pipeline import AsyncPipeline
    from .plugins import PluginRegistry
    from .settings import Settings

SettingsSource: TypeAlias = "Settings | Mapping[str, Any] | str | PathLike[str] | None"
OnLoss: TypeAlias = Callable[[Mapping[str, int]], object]


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
        from .assembly import Assembly
        from .context import ambient_variable
        from .core import Core
        from .diagnostics import Diagnostics
        from .ending import Ending
        from .event import Origin
        from .generations import Generations
        from .levels import Levels
        from .logger import AsyncLogger
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
        self.container_id: str = os.urandom(4).hex()
        self.metrics_collector: MetricsCollector = MetricsCollector(self.container_id, self.settings.queue_max_size)
        self._diagnostics = Diagnostics(self.container_id)
        origin = Origin(logger="", source=self.settings.source, container_id=self.container_id)
        self._assembly = Assembly(origin, self.metrics_collector, self._diagnostics, on_loss)
        pipeline = self._assembly.first(self.settings, self._given, self.plugin_registry)
        self._generations = Generations(pipeline, self.metrics_collector, self._diagnostics)
        self._ending = Ending(self._generations, self.metrics_collector, self._diagnostics)
        self._levels = Levels(self.settings.level, self.settings.levels)
        self._ambient = ambient_variable(self.container_id, pipeline.statics.ambient)
        at_call = pipeline.at_call(self._ambient)
        self._core = Core(self, pipeline.intake, self._ambient, self.settings.callsite, self._levels, at_call)
        self._root = AsyncLogger(self._core, origin)
        self._task_group: TaskGroup
        self._backend: Backend
        self._task: object = None
        self._token: EventLoopToken
        self._current_token: Token[AsyncLogger] | None = None
        self._entered = False
        self._inside = False
        """Whether it was entered and has not begun to be left."""

    @property
    def async_pipeline(self) -> AsyncPipeline:
        """The stages between the log calls and the sinks."""
        return self._generations.current

    @property
    def report(self) -> DrainReport | None:
        """The account, once the container has been left."""
        return self._ending.report

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
        self._levels.set(logger or "", level)

    def entered(self) -> AbstractContextManager[AsyncLogger]:
        """Make this container's root logger the current one inside the block.

        For code that runs outside the task that entered the container, such as a server's request tasks.
        """
        return entered(self._root)

    # -- accounts

    def stats(self) -> DrainReport:
        """Return the account so far; from any thread."""
        return self._ending.account()

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
        if self._ending.has_begun:
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
        if not self._entered or self._ending.has_begun or self._core.is_inside_plugin():
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
        from .settings import Settings, check_reloadable

        self._refuse_reload()
        while self._generations.succession is not None:
            await self._generations.succession.finished.wait()
            self._refuse_reload()
        given = self._given.instead(sinks, filters, enrichers, processors, redactors)
        source = self._settings_source if settings is None else settings
        new_settings = Settings.load(source)
        check_reloadable(self.settings, new_settings)
        registry = self.plugin_registry.copy()  # which has loaded nothing yet
        new = self._assembly.successor(
            self.async_pipeline, self.settings, new_settings, given, registry, self.plugin_registry.skipped
        )

        def took_over() -> None:
            self.settings, self._given, self._settings_source = new_settings, given, source
            self.plugin_registry = registry
            self._core.callsite = new_settings.callsite
            self._core.at_call = new.at_call(self._ambient)
            self._levels.replace(new_settings.level, new_settings.levels)

        timeout, tells_incomplete = self.settings.shutdown_timeout, self.settings.on_incomplete != "ignore"
        report = await self._generations.replace(new, timeout, took_over, tells_incomplete=tells_incomplete)
        if report is None:
            raise ContainerStateError(f"container {self.container_id} was left before the reload; nothing was changed")
        return report

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
        if self._core.is_inside_plugin():
            raise ContainerStateError("a plugin cannot reload the container that runs it; leave that to the program")
        if self.async_pipeline.intake.dead:
            raise ContainerStateError(f"container {self.container_id} is the parent's, of which this process is a fork")
        if not self._entered or self.async_pipeline.intake.state == "not_started":
            raise ContainerStateError(f"container {self.container_id} was not entered; there is nothing to reload")
        if self._ending.has_begun:
            raise ContainerStateError(f"container {self.container_id} is being left; it cannot be reloaded any more")

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
        from .pipeline.backend import current_backend

        self._backend = current_backend()
        self._entered = True
        self._task = self._backend.task_identity()
        self._token = current_token()
        await self._backend.protect(self._enter)()
        forget_after_fork(self)
        self._current_token = CURRENT_LOGGER.set(self._root)
        self._inside = True
        return self

    async def _enter(self) -> None:
        self._task_group = await self._backend.enter()
        self._ending.attach(self._task_group, self._backend)
        try:
            context = self._core.plugin_context()
            await self._generations.start(self._backend, self._task, context, self._ending.interrupt)
        except BaseException as error:
            interruption = await self._ending.give_up_start(self.settings.shutdown_timeout)
            interruption = await self._ending.leave_task_group() or interruption
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
        interruption = await self._ending.finish(self.settings.shutdown_timeout)
        self._ending.settle()
        if not right_task:
            raise WrongTaskError from exception
        interruption = await self._ending.leave_task_group() or interruption
        if interruption is not None and not isinstance(exception, type(interruption)):
            raise interruption
        self._ending.tell_incomplete(exception, self.settings.on_incomplete)

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
        timeout = self.settings.shutdown_timeout if timeout is None else timeout
        if self._core.is_inside_plugin():
            self._ending.start(timeout)
            await checkpoint()
            return
        interruption = await self._ending.finish(timeout)
        if interruption is not None:
            raise interruption

    def interrupt(self) -> None:
        """End a drain that is under way at once; what has no outcome is abandoned and counted. On the loop only.

        Nobody waits for a delivery any longer either.
        """
        self._ending.interrupt()

    def _reset_current_logger(self) -> None:
        if self._current_token is not None:
            try:
                CURRENT_LOGGER.reset(self._current_token)
            except ValueError:
                pass  # left in another context than entered
            self._current_token = None


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
