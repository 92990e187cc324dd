"""AsyncPipeline: the stages of one container, put together, started, flushed and drained."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from ..errors import PluginError
from ..event import Ambient, FieldsType, Origin
from ..metrics import FlushReport, MetricsCollector, PipelineCounts
from ..plugins import Formatter
from ..plugins.configuration import BuiltPlugin, BuiltPlugins, method_of
from ..plugins.metadata import PluginType
from ..plugins.policy import SinkPolicy
from ..settings import Settings
from .at_call import AtCall
from .attempts import described
from .backend import Backend
from .caller import PluginCaller
from .chain import build_chain
from .delivery import Delivery, FlushRequest
from .door import Door
from .fanout import FanOut, LossSummary
from .host import GRACE, PluginHost
from .intake import Intake
from .queued import Admission, Barrier
from .redaction import Redaction
from .routing import Numbering, Selection, by_route
from .stages import PluginStage, Workers
from .statics import Statics
from .tasks import StageTasks


class AsyncPipeline:
    """The stages between the log calls and the sinks; owned by one container.

    It is made without an event loop and does nothing until it is started. All its tasks are children of
    the container's task group, each shielded: cancelling the application must not cut short
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
        *,
        predecessor: AsyncPipeline | None = None,
    ) -> None:
        self._settings = settings
        self.plugins: BuiltPlugins = plugins
        self._formatters = formatters
        self._metrics = metrics
        self._origin = origin
        self._report = report
        self._predecessor = predecessor
        """The pipeline that this one takes over from, until that has ended."""
        self.statics: Statics = Statics(
            plugins.enrichers, Ambient() if predecessor is None else predecessor.statics.ambient
        )
        capacity = settings.queue_max_size
        reserved = max(1, int(capacity * settings.reserved_for_errors)) if settings.reserved_for_errors else 0
        self._admission = Admission(
            capacity,
            min(reserved, capacity - 1),
            settings.overflow_strategy,
            settings.block_timeout,
            slow_calls=settings.callsite or bool(self._readers()),
        )
        self.intake: Intake
        self.counts: PipelineCounts
        if predecessor is None:
            self.intake = Intake(self._admission, metrics)
            self.intake.door = Door(self.intake, metrics.thread_counts, report)
            self.intake.workers = settings.max_workers
            self.counts = metrics.pipelines[0]
            self._losses = LossSummary(metrics, origin, self.statics.ambient, on_loss, report)
            self._numbering = Numbering()
        else:
            self.intake = predecessor.intake
            self.counts = PipelineCounts()
            self._losses = predecessor._losses
            self._numbering = predecessor._numbering
        self.generation: int = 1 if predecessor is None else predecessor.generation + 1
        """How many pipelines the container has had, this one included."""
        self._has_intake = predecessor is None
        """Whether what is in the intake, or will be, is this pipeline's."""
        self._successor: AsyncPipeline | None = None
        self._dry: anyio.Event
        """Set when nothing more can come to the fan-out: then a successor begins to take events."""
        self.deliveries: tuple[Delivery, ...] = ()
        self._fan_out: FanOut
        self._stages: tuple[PluginStage, ...] = ()
        self._workers: Workers
        self._fields_type: FieldsType
        self._tasks = StageTasks(report)

    def at_call(self, ambient: contextvars.ContextVar[Ambient]) -> AtCall | None:
        """Return what log calls have to call for their enrichers, or None if they need not call anything."""
        readers = self._readers()
        return AtCall(readers, ambient, self.counts.stages, self._plugin_failed) if readers else None

    def _readers(self) -> list[tuple[str, Callable[[], Mapping[str, Any] | None]]]:
        enrichers = self.plugins.enrichers
        return [(one.name, one.plugin.at_call) for one in enrichers if getattr(one.plugin, "at_call", None) is not None]

    # -- starting

    async def start(
        self,
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
        await self.prepare(backend, backend.task_identity(), plugin_context, interrupted)
        self._run_all()
        self.intake.open(backend)
        await checkpoint()  # each takes its first step: asyncio never runs a task that is cancelled before that

    async def prepare(
        self,
        backend: Backend,
        owner: object,
        plugin_context: contextvars.Context,
        interrupted: Callable[[], object],
    ) -> None:
        """Build the stages and start the sinks, but for those that are kept from the predecessor.

        Parameters:
            owner: the task that entered the container.
            interrupted: called when a stage finds that the program is being interrupted for the second time.

        Raises:
            PluginError: if a required sink does not start.

        If this raises or is cancelled, ``give_up_start`` has to end what was started.
        """
        self._tasks.attach(backend, owner, interrupted)
        self._dry = anyio.Event()
        self.statics.gather(self.counts.stages, self._plugin_failed, plugin_context)
        if self._predecessor is None:
            self.statics.apply()
        self._build(backend, plugin_context)
        for delivery, sink in zip(self.deliveries, self.plugins.sinks, strict=True):
            if delivery.owns_sink:
                await self._start_sink(delivery, sink)

    def take_over(self) -> None:
        """Run this pipeline, and let what comes into the intake from now on be its own; ``prepare`` has returned.

        Not a checkpoint: there is no moment in which an event could be nobody's.
        """
        old = self._predecessor
        assert old is not None
        old._successor = self
        old._has_intake, self._has_intake = False, True
        kept = {delivery.caller for delivery in self.deliveries if not delivery.owns_sink}
        used = {id(sink.plugin) for sink in self.plugins.sinks}
        for sink, delivery in zip(old.plugins.sinks, old.deliveries, strict=True):
            delivery.owns_sink = delivery.caller not in kept
            if delivery.down and id(sink.plugin) in used:
                delivery.leave_open()  # it did not start then, and has started now
        for delivery in self.deliveries:
            delivery.owns_sink = True
        self.statics.apply()
        self._metrics.queue_capacity = self._admission.capacity
        self._metrics.begin(self.counts)
        self._run_all()
        self.intake.hand_over(old._workers, self._admission, self._fields_type)

    def _run_all(self) -> None:
        self.intake.confirmations.required = self._fan_out.required()
        old = self._predecessor
        for delivery in self.deliveries:
            # What the same sink, or its namesake, has yet to write comes before what this has.
            before = [] if old is None else old.ends_of(delivery)
            self._tasks.start(delivery, delivery.run, delivery.end, after=before)
        for stage in self._stages:
            for host in stage.hosts:
                host.start()
            for number in range(stage.workers):
                self._tasks.start(stage, partial(stage.run, number))
        dry = [] if old is None else [old._dry]
        for _ in range(self._settings.max_workers):
            self._tasks.start(self._workers, self._workers.run, after=dry)

    async def give_up_start(self) -> None:
        """Close the sinks that had started and end what runs, after ``start`` has failed."""
        started = [delivery for delivery in self.deliveries if delivery.owns_sink and delivery.caller.has_started]
        for delivery in started:
            with anyio.move_on_after(GRACE, shield=True):
                await delivery.close_sink(GRACE)
        await self.stop()

    def _build(self, backend: Backend, plugin_context: contextvars.Context) -> None:
        """Make the stages, from the last to the first."""
        self._fan_out = self._build_fan_out(self._build_deliveries(backend, plugin_context))
        chain = build_chain(
            self.plugins,
            self._settings,
            self._fan_out,
            self.counts,
            self._plugin_failed,
            self.intake.confirmations,
            backend,
            plugin_context,
        )
        self._stages = chain.stages
        self._fields_type = chain.fields_type
        if self._predecessor is None:
            self.intake.fields_type = chain.fields_type
        self._workers = Workers(self.intake, chain.segment, chain.following, self._settings.batch_linger)

    def _build_deliveries(self, backend: Backend, plugin_context: contextvars.Context) -> dict[str, Delivery]:
        """Return a delivery for each sink by its name, with the thread of a sink that is kept from the predecessor."""
        deliveries: dict[str, Delivery] = {}
        redactions: dict[tuple[str, ...], Redaction] = {}
        kept_from: dict[int, PluginCaller] = {}
        if self._predecessor is not None:
            old = self._predecessor
            kept_from = {
                id(sink.plugin): delivery.caller
                for sink, delivery in zip(old.plugins.sinks, old.deliveries, strict=True)
                if not delivery.down
            }
        for sink in self.plugins.sinks:
            kept = kept_from.get(id(sink.plugin))
            caller = kept or PluginCaller(sink.name, sink.plugin, backend, plugin_context, self._report)
            counts = self.counts.add_sink(sink.name)
            delivery = deliveries[sink.name] = Delivery(
                sink.name,
                sink.policy.resolved(self._settings, sink.plugin),
                caller,
                counts,
                self._sink_report(sink.name),
                self.counts.write_seconds[sink.name],
                self.counts.delivery_seconds[sink.name],
                backend.time,
                self.intake.confirmations,
                self._redaction(sink, redactions, plugin_context),
            )
            delivery.owns_sink = kept is None
        for sink in self.plugins.sinks:
            if sink.policy.fallback is not None:
                deliveries[sink.name].fallback = deliveries[sink.policy.fallback]
        self.deliveries = tuple(deliveries.values())
        return deliveries

    def _build_fan_out(self, deliveries: Mapping[str, Delivery]) -> FanOut:
        unrestricted, selected = by_route(self.plugins.sinks)
        old = None if self._predecessor is None else self._predecessor._fan_out
        selections = [
            Selection(
                route, [deliveries[name] for name in names], Numbering() if old is None else old.numbering_of(route)
            )
            for route, names in selected
        ]
        return FanOut(
            [deliveries[name] for name in unrestricted],
            selections,
            self._formatters,
            self.counts.stages,
            self._origin,
            self._losses,
            self._numbering,
            self.intake.confirmations,
        )

    def _redaction(
        self,
        sink: BuiltPlugin[SinkPolicy],
        known: dict[tuple[str, ...], Redaction],
        plugin_context: contextvars.Context,
    ) -> Redaction | None:
        """Return what the events of *sink* alone pass, the same for all sinks that name the same redactors."""
        names = tuple(redactor.name for redactor in sink.redactors)
        if names and names not in known:
            functions = [(plugin.name, method_of(plugin.plugin, PluginType.REDACTOR)) for plugin in sink.redactors]
            known[names] = Redaction(functions, self.counts.stages, self._plugin_failed, plugin_context)
        return known.get(names)

    def _sink_report(self, name: str) -> Callable[[str, str], None]:
        return lambda key, message: self._report(f"{name}.{key}", message)

    async def _start_sink(self, delivery: Delivery, sink: BuiltPlugin[SinkPolicy]) -> None:
        caller = delivery.caller
        try:
            await caller.start(sink.policy.write_timeout)
        except Exception as error:
            told = isinstance(error, PluginError)  # by the sink itself: its traceback has nothing to add
            said = error.problem if isinstance(error, PluginError) else described(error)
            message = f"the sink did not start: {said}"
            if sink.policy.required:
                raise PluginError(sink.name, message) from (None if told else error)
            delivery.down = True
            delivery.note_failure(said)
            self._report(f"{sink.name}.start", f"sink {sink.name!r} is left out: {message}")

    def _plugin_failed(self, plugin: str, problem: str) -> None:
        self._report(f"{plugin}.failed", f"plugin {plugin!r} failed: {problem}")

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
            if self._predecessor is not None:  # what was admitted before it handed over is an earlier event, too
                await self._predecessor.deliveries_ended()
            for group in self._in_order_of_fallback():
                requests.update((delivery, delivery.request_flush()) for delivery in group)
                for delivery in group:
                    await requests[delivery].done.wait()
        flushed = {delivery for delivery, request in requests.items() if request.succeeded}
        late = tuple(delivery.name for delivery in self.deliveries if delivery not in flushed)
        return FlushReport(complete=not late, elapsed=anyio.current_time() - began, pending=late)

    # -- draining

    async def drain(self) -> None:
        """Accept nothing more, and see through what was accepted.

        If this is cancelled, ``stop`` ends what is left.
        """
        self.intake.close()
        await self.run_out()

    async def run_out(self) -> None:
        """Close the stages in the order of the flow, each once the one before it has run dry.

        After a successor has taken over, or when the intake is closed. If this is cancelled, ``stop`` ends what is
        left.
        """
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
        await self._tasks.ended(self._workers).wait()
        await self._workers.tell_summaries(final=True)
        for stage in self._stages:
            stage.close()
            await self._tasks.ended(stage).wait()
            await stage.tell_summaries(final=True)
        if self._successor is None:
            await self._fan_out.finish()
        self._is_dry()

    def _is_dry(self) -> None:
        """Let the successor's workers take what is in the intake, and count it as theirs."""
        if self._successor is not None and not self._dry.is_set():
            self._metrics.stages = self._successor.counts.stages
            self.intake.workers = self._successor._settings.max_workers
            self._dry.set()

    async def _close_deliveries(self) -> None:
        for group in self._in_order_of_fallback():
            for delivery in group:
                delivery.close()
            for delivery in group:
                await self._tasks.ended(delivery).wait()

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
        if self._has_intake:
            self.intake.close()
        if self._tasks:
            # A sink that takes nothing any more must not keep from the others what waits behind it.
            for delivery in self.deliveries:
                delivery.wait_no_more()
            with anyio.move_on_after(GRACE, shield=True):
                await self._run_dry()
        self._tasks.stopping = True
        hosts = [host for stage in self._stages for host in stage.hosts]
        # What has not reached a sink's stream is given up first, so that the sinks can end in good order.
        for stage in self._tasks.stages() - set(self.deliveries):
            self._tasks.cancel(stage)
        for host in hosts:
            host.cancel()
        for delivery in self.deliveries:
            delivery.close()
        with anyio.move_on_after(GRACE, shield=True):
            await self._tasks.all_ended()
        for delivery in self.deliveries:
            self._tasks.cancel(delivery)
        with anyio.move_on_after(2 * GRACE, shield=True):
            await self._tasks.all_ended()
        for runner in self._runners():
            runner.cancel()
            runner.abandon()
        ended = False
        with anyio.move_on_after(GRACE, shield=True):
            await self._tasks.all_ended()
            await self._join(hosts)
            ended = True
        self.discard()
        return ended

    def end_now(self) -> None:
        """End everything in straight-line code, asking nobody: what ``stop`` was to do, if it was interrupted."""
        self._tasks.cancel_all()
        for runner in self._runners():
            runner.abandon()

    def ends_of(self, successor: Delivery) -> list[anyio.Event]:
        """Return what is set when the deliveries end that wrote to the sink of the *successor*, or to its namesake."""
        return [
            self._tasks.ended(delivery)
            for delivery in self.deliveries
            if delivery.name == successor.name or delivery.caller is successor.caller
        ]

    async def deliveries_ended(self) -> None:
        """Wait until every sink's task has ended; after a successor has taken over."""
        for delivery in self.deliveries:
            await self._tasks.ended(delivery).wait()

    def forget_predecessor(self) -> None:
        """Let go of the pipeline that this one took over from; it has ended."""
        self._predecessor = None

    async def _join(self, hosts: Sequence[PluginHost]) -> None:
        for caller in self._callers():
            if not await caller.join(GRACE):
                await anyio.sleep_forever()
        for host in hosts:
            await host.exited.wait()

    def discard(self) -> None:
        """Give every event that is left an outcome, and free the streams; after the tasks have ended."""
        while self._has_intake and (item := self.intake.take()) is not None:
            if isinstance(item, Barrier):
                item.passed.set()
        stages = self.counts.stages
        if stages.in_stages:
            stages.abandoned["deadline"] = stages.abandoned.get("deadline", 0) + stages.in_stages
            stages.in_stages = 0
        if self.intake.confirmations:
            self.intake.confirmations.abandon(self._workers, and_queued=self._has_intake)
        for delivery in self.deliveries:
            delivery.discard()
        for stage in self._stages:
            stage.discard()
        self._is_dry()

    def _runners(self) -> list[PluginCaller | PluginHost]:
        return [*self._callers(), *(host for stage in self._stages for host in stage.hosts)]

    def _callers(self) -> list[PluginCaller]:
        return [delivery.caller for delivery in self.deliveries if delivery.owns_sink]
