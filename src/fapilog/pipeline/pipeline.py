"""AsyncPipeline: the stages of one container, put together, started, flushed and drained."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..errors import PluginError
from ..event import Origin
from ..metrics import FlushReport, MetricsCollector
from ..plugins import Formatter
from ..plugins.configuration import BuiltPlugin, BuiltPlugins, is_async
from ..plugins.policy import SinkPolicy, StagePolicy
from ..settings import Settings
from ..values import FrozenDict
from .attempts import described
from .backend import Backend, interrupt_behind
from .caller import PluginCaller
from .delivery import Delivery, FlushRequest
from .door import Door
from .fanout import FanOut, LossSummary
from .host import GRACE, PluginHost
from .intake import Intake
from .queued import Admission, Barrier
from .stages import PluginStage, Receiver, Segment, Workers
from .steps import EnricherStep, FilterStep, ProcessorStep, RedactorStep, Step

_STEPS: tuple[tuple[str, str, type[Step]], ...] = (
    ("filters", "keep", FilterStep),
    ("enrichers", "enrich", EnricherStep),
    ("processors", "process", ProcessorStep),
    ("redactors", "redact", RedactorStep),
)
"""The kinds of plugin in the order of the stages, with their method; redaction is last."""


class AsyncPipeline:
    """The stages between the log calls and the sinks; owned by one container.

    It is made without an event loop and does nothing until it is started. All its tasks are children of
    the task group that ``start`` is given, each shielded: cancelling the application must not cut short
    what the application logged. They end when the intake is closed and empty, or by ``stop``.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: BuiltPlugins,
        formatters: Mapping[str, Formatter],
        metrics: MetricsCollector,
        origin: Origin,
        report: Callable[[str, str], None],
        on_loss: Callable[[Mapping[str, int]], object] | None = None,
    ) -> None:
        self._settings = settings
        self._plugins = plugins
        self._formatters = formatters
        self._metrics = metrics
        self._origin = origin
        self._report = report
        self._losses = LossSummary(metrics, origin, on_loss, report)
        capacity = settings.queue_max_size
        reserved = max(1, int(capacity * settings.reserved_for_errors)) if settings.reserved_for_errors else 0
        self.intake: Intake = Intake(
            Admission(
                capacity,
                min(reserved, capacity - 1),
                settings.overflow_strategy,
                settings.block_timeout,
                slow_calls=settings.callsite,
            ),
            metrics,
        )
        self.intake.door = Door(self.intake, metrics.thread_counts)
        self.intake.workers = settings.max_workers
        self.deliveries: tuple[Delivery, ...] = ()
        self._fan_out: FanOut
        self._stages: list[PluginStage] = []
        self._workers: Workers
        self._scopes: dict[object, list[anyio.CancelScope]] = {}
        self._stopping = False
        self._started: list[Delivery] = []
        """The sinks whose start has returned."""
        self._running: dict[object, int] = {}
        self._ended: dict[object, anyio.Event] = {}
        self._backend: Backend
        self._owner: object
        """The task that entered the container."""
        self._interrupted: Callable[[], object]

    # -- starting

    async def start(
        self,
        task_group: TaskGroup,
        backend: Backend,
        plugin_context: contextvars.Context,
        interrupted: Callable[[], object],
    ) -> None:
        """Start the sinks, then the stages, then accept events.

        Parameters:
            interrupted: called when a stage finds that the program is being interrupted for the second time.

        Raises:
            PluginError: if a required sink does not start.

        If this raises or is cancelled, ``give_up_start`` has to end what was started.
        """
        self._backend = backend
        self._owner = backend.task_identity()
        self._interrupted = interrupted
        self._build(backend, plugin_context)
        for delivery, sink in zip(self.deliveries, self._plugins.sinks, strict=True):
            await self._start_sink(delivery, sink)
            self._started.append(delivery)
        for delivery in self.deliveries:
            self._spawn(task_group, delivery, delivery.run, delivery.end)
        for stage in self._stages:
            for host in stage.hosts:
                host.start()
            for number in range(stage.workers):
                self._spawn(task_group, stage, partial(stage.run, number))
        for _ in range(self._settings.max_workers):
            self._spawn(task_group, self._workers, self._workers.run)
        self.intake.open(backend)
        await checkpoint()  # each takes its first step: asyncio never runs a task that is cancelled before that

    async def give_up_start(self) -> None:
        """Close the sinks that had started and end what runs, after ``start`` has failed."""
        for delivery in self._started:
            with anyio.move_on_after(GRACE, shield=True):
                await delivery.close_sink(GRACE)
        await self.stop()

    def _build(self, backend: Backend, plugin_context: contextvars.Context) -> None:
        deliveries: dict[str, Delivery] = {}
        for sink in self._plugins.sinks:
            caller = PluginCaller(sink.name, sink.plugin, backend, plugin_context, self._report)
            counts = self._metrics.add_sink(sink.name)
            deliveries[sink.name] = Delivery(
                sink.name,
                sink.policy.resolved(self._settings, sink.plugin),
                caller,
                counts,
                self._sink_report(sink.name),
                self._metrics.write_seconds[sink.name],
                self._metrics.delivery_seconds[sink.name],
                backend.time,
            )
        fallbacks: set[str] = set()
        for sink in self._plugins.sinks:
            if sink.policy.fallback is not None:
                deliveries[sink.name].fallback = deliveries[sink.policy.fallback]
                fallbacks.add(sink.policy.fallback)
        self.deliveries = tuple(deliveries.values())
        # A sink that is another's fallback gets what that one gives up, and nothing of its own.
        routed = [delivery for delivery in self.deliveries if delivery.name not in fallbacks]
        self._fan_out = FanOut(routed, self._formatters, self._metrics, self._origin, self._losses)
        self._build_chain(backend, plugin_context)

    def _build_chain(self, backend: Backend, plugin_context: contextvars.Context) -> None:
        """Put the plugins together from the last to the first: each stage knows the one behind it."""
        following: Receiver = self._fan_out
        behind: list[Step] = []
        for kind, method, step_class in reversed(_STEPS):
            plugins: Sequence[BuiltPlugin[StagePolicy]] = getattr(self._plugins, kind)
            for plugin in reversed(plugins):
                policy = plugin.policy.resolved(self._settings)
                function = getattr(plugin.plugin, method, None) or plugin.plugin
                step = self._step(step_class, plugin, function, policy.timeout or 1.0)
                if is_async(function) or policy.isolate:
                    following = PluginStage(
                        step,
                        is_async(function),
                        self._settings.max_workers,
                        Segment(behind, plugin_context),
                        following,
                        backend,
                        plugin_context,
                    )
                    self._stages.insert(0, following)
                    behind = []
                else:
                    behind.insert(0, step)
        if self._stages or not all(step.takes_records for step in behind):
            self.intake.fields_type = FrozenDict
        self._workers = Workers(self.intake, Segment(behind, plugin_context), following, self._settings.batch_linger)

    def _step(
        self, step_class: type[Step], plugin: BuiltPlugin[StagePolicy], function: Callable[..., Any], timeout: float
    ) -> Step:
        stages, report = self._metrics.stages, self._plugin_failed
        if step_class is not RedactorStep:
            return step_class(plugin.name, function, stages, report, timeout)
        counts = getattr(plugin.plugin, "counts", None)
        if type(counts) is dict:
            self._metrics.redacted[plugin.name] = counts
        screen = None if is_async(function) else getattr(plugin.plugin, "screen", None)
        return RedactorStep(plugin.name, function, stages, report, timeout, screen)

    def _sink_report(self, name: str) -> Callable[[str, str], None]:
        return lambda key, message: self._report(f"{name}.{key}", message)

    async def _start_sink(self, delivery: Delivery, sink: BuiltPlugin[SinkPolicy]) -> None:
        caller = delivery.caller
        try:
            caller.start_workers()
            if caller.has("start"):
                await caller.call("start", timeout=sink.policy.write_timeout)
        except Exception as error:
            said = error.problem if isinstance(error, PluginError) else described(error)
            message = f"the sink did not start: {said}"
            if sink.policy.required:
                raise PluginError(sink.name, message) from error
            delivery.down = True
            self._report(f"{sink.name}.start", f"sink {sink.name!r} is left out: {message}")

    def _plugin_failed(self, plugin: str, problem: str) -> None:
        self._report(f"{plugin}.failed", f"plugin {plugin!r} failed: {problem}")

    def _spawn(
        self, task_group: TaskGroup, stage: object, main: Callable[[], Any], last: Callable[[], Any] | None = None
    ) -> None:
        self._running[stage] = self._running.get(stage, 0) + 1
        ended = self._ended.setdefault(stage, anyio.Event())

        async def run() -> None:
            try:
                with anyio.CancelScope(shield=True) as scope:
                    self._scopes.setdefault(stage, []).append(scope)
                    if self._stopping:
                        scope.cancel()
                    try:
                        await self._supervised(main)
                    finally:
                        if last is not None:
                            await last()
            except self._backend.cancelled_class:
                # With a native cancellation behind it, asyncio's task is not asked to end by its scope alone, and
                # AnyIO lets the exception out. In the task group it would cancel the body, and all that is in it.
                if not self._stopping:
                    raise
            except BaseException:  # an interrupt, which struck in the stage or as its scope was left
                self._interrupted()
                raise
            finally:
                self._running[stage] -= 1
                if not self._running[stage]:
                    ended.set()

        task_group.start_soon(self._backend.protect(run), name=f"fapilog {type(stage).__name__.lower()}")

    async def _supervised(self, main: Callable[[], Any]) -> None:
        """Run a stage's task, and again after a mistake of ours: one batch is lost by it, not the stage."""
        while True:
            try:
                await main()
            except self._backend.cancelled_class:
                if self._stopping or self._backend.has_ended(self._owner):
                    raise
                # Not ours: somebody cancels every task of asyncio's loop. The stage has to see the drain through,
                # unless the task that would leave the container has ended without doing so. If that one had been
                # cancelled before, this is the loop's end after a second interrupt.
                if self._backend.is_asked_twice(self._owner):
                    self._interrupted()
            except Exception as error:
                if (interrupt := interrupt_behind(error)) is not None:
                    raise interrupt from None
                self._report("internal", f"internal error: {type(error).__name__}: {error}")
                if self._stopping:
                    return
                await checkpoint()
            else:
                return

    # -- flushing

    async def flush(self, timeout: float) -> FlushReport:
        """Wait until every event admitted so far has an outcome at every sink and the sinks have flushed.

        Parameters:
            timeout: seconds to wait at most.

        If this is cancelled, the flush goes on without being waited for.
        """
        began = anyio.current_time()
        requests: dict[Delivery, FlushRequest] = {}
        with anyio.move_on_after(timeout):
            await self.intake.put_barrier().passed.wait()
            for group in self._in_order_of_fallback():
                requests.update((delivery, delivery.request_flush()) for delivery in group)
                for delivery in group:
                    await requests[delivery].done.wait()
        flushed = {delivery for delivery, request in requests.items() if request.succeeded}
        late = tuple(delivery.name for delivery in self.deliveries if delivery not in flushed)
        return FlushReport(complete=not late, elapsed=anyio.current_time() - began, pending=late)

    # -- draining

    async def drain(self) -> None:
        """Close the stages in the order of the flow, each once the one before it has run dry.

        If this is cancelled, ``stop`` ends what is left.
        """
        self.intake.close()
        await self._run_dry()
        await self._close_deliveries()
        for caller in self._callers():
            caller.stop()
        for caller in self._callers():
            await caller.join(self._settings.shutdown_timeout)
        for stage in self._stages:
            for host in stage.hosts:
                host.stop()
                await host.exited.wait()

    async def _run_dry(self) -> None:
        """Wait until everything in front of the sinks' streams has gone into them."""
        await self._ended[self._workers].wait()
        for stage in self._stages:
            stage.close()
            await self._ended[stage].wait()
        await self._fan_out.finish()

    async def _close_deliveries(self) -> None:
        for group in self._in_order_of_fallback():
            for delivery in group:
                delivery.close()
            for delivery in group:
                await self._ended[delivery].wait()

    def _in_order_of_fallback(self) -> Iterator[list[Delivery]]:
        """Yield the deliveries in groups: a fallback comes after those that fall back on it."""
        left = set(self.deliveries)
        while left:
            needed = {delivery.fallback for delivery in left}
            ready = [delivery for delivery in self.deliveries if delivery in left and delivery not in needed]
            yield ready
            left.difference_update(ready)

    async def stop(self) -> bool:
        """End everything that still runs, asking first, and count what has no outcome as abandoned.

        Returns whether nothing had to be left behind. Takes at most ``5 * GRACE`` seconds, shielded.
        """
        self.intake.close()
        if self._ended:
            # A sink that takes nothing any more must not keep from the others what waits behind it.
            for delivery in self.deliveries:
                delivery.wait_no_more()
            with anyio.move_on_after(GRACE, shield=True):
                await self._run_dry()
        self._stopping = True
        hosts = [host for stage in self._stages for host in stage.hosts]
        # What has not reached a sink's stream is given up first, so that the sinks can end in good order.
        for stage in self._scopes.keys() - set(self.deliveries):
            self._cancel(stage)
        for host in hosts:
            host.cancel()
        for delivery in self.deliveries:
            delivery.close()
        with anyio.move_on_after(GRACE, shield=True):
            await self._stages_ended()
        for delivery in self.deliveries:
            self._cancel(delivery)
        with anyio.move_on_after(2 * GRACE, shield=True):
            await self._stages_ended()
        for runner in self._runners():
            runner.cancel()
            runner.abandon()
        ended = False
        with anyio.move_on_after(GRACE, shield=True):
            await self._stages_ended()
            await self._join(hosts)
            ended = True
        self._sweep()
        return ended

    def end_now(self) -> None:
        """End everything in straight-line code, asking nobody: what ``stop`` was to do, if it was interrupted."""
        self._stopping = True
        for stage in self._scopes:
            self._cancel(stage)
        for runner in self._runners():
            runner.abandon()

    def _cancel(self, stage: object) -> None:
        for scope in self._scopes.get(stage, ()):
            scope.cancel(reason="container closing")

    async def _stages_ended(self) -> None:
        for event in self._ended.values():
            await event.wait()

    async def _join(self, hosts: Sequence[PluginHost]) -> None:
        for caller in self._callers():
            if not await caller.join(GRACE):
                await anyio.sleep_forever()
        for host in hosts:
            await host.exited.wait()

    def _sweep(self) -> None:
        """Give every event that is left an outcome, and free the streams."""
        while (item := self.intake.take()) is not None:
            if type(item) is Barrier:
                item.passed.set()
        stages = self._metrics.stages
        if stages.in_stages:
            stages.abandoned["deadline"] = stages.abandoned.get("deadline", 0) + stages.in_stages
            stages.in_stages = 0
        for delivery in self.deliveries:
            delivery.discard()
        for stage in self._stages:
            stage.discard()

    def discard(self) -> None:
        """Free the streams after a complete drain."""
        self._sweep()

    def _runners(self) -> list[PluginCaller | PluginHost]:
        return [*self._callers(), *(host for stage in self._stages for host in stage.hosts)]

    def _callers(self) -> list[PluginCaller]:
        return [delivery.caller for delivery in self.deliveries]
