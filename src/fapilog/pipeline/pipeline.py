"""AsyncPipeline: the stages of one container, put together, started, flushed and drained."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from .._interrupts import interrupt_in
from ..errors import PluginError
from ..event import Ambient, FieldsType, Origin
from ..metrics import FlushReport, MetricsCollector, PipelineCounts
from ..plugins import Formatter
from ..plugins.configuration import BuiltPlugin, BuiltPlugins, is_async, method_of
from ..plugins.metadata import PluginType
from ..plugins.policy import SinkPolicy, StagePolicy
from ..plugins.routes import Route
from ..settings import Settings
from ..values import FrozenDict
from .at_call import AtCall
from .attempts import described
from .backend import Backend
from .caller import PluginCaller
from .delivery import Delivery, FlushRequest
from .door import Door
from .fanout import FanOut, LossSummary
from .host import GRACE, PluginHost
from .intake import Intake
from .queued import Admission, Barrier
from .redaction import Redaction
from .routing import Numbering, Selection
from .stages import PluginStage, Receiver, Segment, Workers
from .statics import Statics
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
        self._stages: list[PluginStage] = []
        self._workers: Workers
        self._scopes: dict[object, list[anyio.CancelScope]] = {}
        self._stopping = False
        self._running: dict[object, int] = {}
        self._ended: dict[object, anyio.Event] = {}
        self._backend: Backend
        self._owner: object
        """The task that entered the container."""
        self._interrupted: Callable[[], object]

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

        Raises:
            PluginError: if a required sink does not start.

        If this raises or is cancelled, ``give_up_start`` has to end what was started.
        """
        self._backend = backend
        self._owner = owner
        self._interrupted = interrupted
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
            self._spawn(delivery, _after(before, delivery.run), delivery.end)
        for stage in self._stages:
            for host in stage.hosts:
                host.start()
            for number in range(stage.workers):
                self._spawn(stage, partial(stage.run, number))
        dry = [] if old is None else [old._dry]
        for _ in range(self._settings.max_workers):
            self._spawn(self._workers, _after(dry, self._workers.run))

    async def give_up_start(self) -> None:
        """Close the sinks that had started and end what runs, after ``start`` has failed."""
        started = [delivery for delivery in self.deliveries if delivery.owns_sink and delivery.caller.has_started]
        for delivery in started:
            with anyio.move_on_after(GRACE, shield=True):
                await delivery.close_sink(GRACE)
        await self.stop()

    def _build(self, backend: Backend, plugin_context: contextvars.Context) -> None:
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
        fallbacks: set[str] = set()
        for sink in self.plugins.sinks:
            if sink.policy.fallback is not None:
                deliveries[sink.name].fallback = deliveries[sink.policy.fallback]
                fallbacks.add(sink.policy.fallback)
        self.deliveries = tuple(deliveries.values())
        unrestricted: list[Delivery] = []
        selected: list[tuple[tuple[Route, ...], list[Delivery]]] = []
        for sink in self.plugins.sinks:
            route = sink.policy.route
            if route is None and sink.name in fallbacks:
                continue  # it gets what another one gives up, and nothing of its own
            if route is None or any(alternative.empty for alternative in route):
                unrestricted.append(deliveries[sink.name])
                continue
            for other, members in selected:
                if other == route:
                    members.append(deliveries[sink.name])
                    break
            else:
                selected.append((route, [deliveries[sink.name]]))
        old_fan_out = None if self._predecessor is None else self._predecessor._fan_out
        selections = [
            Selection(route, members, Numbering() if old_fan_out is None else old_fan_out.numbering_of(route))
            for route, members in selected
        ]
        self._fan_out = FanOut(
            unrestricted,
            selections,
            self._formatters,
            self.counts.stages,
            self._origin,
            self._losses,
            self._numbering,
            self.intake.confirmations,
        )
        self._build_chain(backend, plugin_context)

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

    def _build_chain(self, backend: Backend, plugin_context: contextvars.Context) -> None:
        """Put the plugins together from the last to the first: each stage knows the one behind it."""
        following: Receiver = self._fan_out
        behind: list[Step] = []
        for kind, method, step_class in reversed(_STEPS):
            plugins: Sequence[BuiltPlugin[StagePolicy]] = getattr(self.plugins, kind)
            for plugin in reversed(plugins):
                policy = plugin.policy.resolved(self._settings)
                function = getattr(plugin.plugin, method, None) or plugin.plugin
                if not callable(function):
                    continue  # an enricher that adds the same to every event, or does all it has to do in the call
                step = self._step(step_class, plugin, function, policy.timeout or 1.0, backend)
                if is_async(function) or policy.isolate:
                    following = PluginStage(
                        step,
                        is_async(function),
                        self._settings.max_workers,
                        Segment(behind, plugin_context, self.intake.confirmations),
                        following,
                        backend,
                        plugin_context,
                        self.intake.confirmations,
                    )
                    self._stages.insert(0, following)
                    behind = []
                else:
                    behind.insert(0, step)
        takes_records = not self._stages and all(step.takes_records for step in behind)
        # What reads no event can do without the mapping; a redactor's screen looks into it, though in the record.
        self._fields_type: FieldsType
        if not takes_records:
            self._fields_type = FrozenDict
        elif any(isinstance(step, RedactorStep) for step in behind):
            self._fields_type = dict
        else:
            self._fields_type = tuple
        if self._predecessor is None:
            self.intake.fields_type = self._fields_type
        segment = Segment(behind, plugin_context, self.intake.confirmations)
        self._workers = Workers(self.intake, segment, following, self._settings.batch_linger)

    def _step(
        self,
        step_class: type[Step],
        plugin: BuiltPlugin[StagePolicy],
        function: Callable[..., Any],
        timeout: float,
        backend: Backend,
    ) -> Step:
        step = step_class(plugin.name, function, self.counts.stages, self._plugin_failed, timeout, backend.pass_on)
        step.attach(plugin.plugin, backend.time)
        counts = getattr(plugin.plugin, "counts", None)
        if step_class is RedactorStep and type(counts) is dict:
            self.counts.redacted[plugin.name] = counts
        return step

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

    def _spawn(self, stage: object, main: Callable[[], Any], last: Callable[[], Any] | None = None) -> None:
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
                if self._stopping or self._backend.has_ended(self._owner):
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
                if self._stopping:
                    return
                struck = True
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
        await self._ended[self._workers].wait()
        await self._workers.tell_summaries(final=True)
        for stage in self._stages:
            stage.close()
            await self._ended[stage].wait()
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
        if self._has_intake:
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

    def ends_of(self, successor: Delivery) -> list[anyio.Event]:
        """Return what is set when the deliveries end that wrote to the sink of the *successor*, or to its namesake."""
        return [
            self._ended[delivery]
            for delivery in self.deliveries
            if delivery.name == successor.name or delivery.caller is successor.caller
        ]

    async def deliveries_ended(self) -> None:
        """Wait until every sink's task has ended; after a successor has taken over."""
        for delivery in self.deliveries:
            await self._ended[delivery].wait()

    def forget_predecessor(self) -> None:
        """Let go of the pipeline that this one took over from; it has ended."""
        self._predecessor = None

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

    def discard(self) -> None:
        """Free the streams after a complete drain."""
        self._sweep()

    def _runners(self) -> list[PluginCaller | PluginHost]:
        return [*self._callers(), *(host for stage in self._stages for host in stage.hosts)]

    def _callers(self) -> list[PluginCaller]:
        return [delivery.caller for delivery in self.deliveries if delivery.owns_sink]


def _after(events: Sequence[anyio.Event], main: Callable[[], Any]) -> Callable[[], Any]:
    """Return *main*, to begin when every one of *events* is set."""
    if not events:
        return main

    async def begin() -> None:
        for event in events:
            await event.wait()
        await main()

    return begin
