"""The mutations: what is taken out of the source, one thing at a time, and the quick tests one of which has to notice.

A mutation replaces a text that occurs in its file exactly once. Where the text occurs more often, more of its
surroundings stand in both.
"""

from __future__ import annotations

from typing import NamedTuple

LEDGER = "tests/mutations/test_quick_ledger.py"
LEAVING = "tests/test_leaving.py"
DELIVERY = "tests/test_delivery.py"
OVERFLOW = "tests/test_overflow.py"
STAGES = "tests/test_stages.py"
THREADS = "tests/test_threads.py"
ROUTING = "tests/test_routing.py"
SINK_REDACTORS = "tests/test_sink_redactors.py"


class Mutation(NamedTuple):
    """One change that has to be noticed."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    excuse: str = ""
    """Why no test can notice it, if none can."""


def _without(what: str, file: str, old: str, *tests: str, new: str = "pass") -> Mutation:
    return Mutation(what, f"pipeline/{file}.py", old, new, tests or (LEDGER,))


COUNTERS = (
    _without(
        "counter of calls refused as congested",
        "intake",
        """            if self._waiting.congested:
                self._counts.dropped_congested += 1
                return self.refused
            if handling""",
        OVERFLOW,
        LEDGER,
        new="""            if self._waiting.congested:
                return self.refused
            if handling""",
    ),
    _without(
        "counter of calls not awaited", "intake", "            self._counts.dropped_not_awaited += 1\n", LEDGER, new=""
    ),
    _without(
        "taking back of calls not awaited", "intake", "        self._counts.dropped_not_awaited -= 1\n", LEDGER, new=""
    ),
    _without("counter of waits cancelled", "waiting", "self._counts.dropped_cancelled += 1", OVERFLOW, LEDGER),
    _without("counter of waits timed out", "waiting", "self._counts.dropped_block_timeout += 1", OVERFLOW, LEDGER),
    _without("counter of blocking calls on the loop", "intake", "self._counts.dropped_would_deadlock += 1", LEDGER),
    _without(
        "counter of evicted events",
        "eviction",
        "        self._counts.dropped_evicted += 1\n",
        LEDGER,
        new="",
    ),
    _without(
        "counter of evicted chunks",
        "eviction",
        "        self._counts.dropped_evicted += number\n",
        OVERFLOW,
        LEDGER,
        new="",
    ),
    _without(
        "counter of waiters refused at the close",
        "waiting",
        "            self._counts.rejected_closed += 1\n",
        OVERFLOW,
        LEDGER,
        new="",
    ),
    _without(
        "counter of calls after the end",
        "intake",
        """        self._counts.rejected_closed += 1
        return "closed"

    def _overflow""",
        LEDGER,
        new="""        return "closed"

    def _overflow""",
    ),
    _without("counter of events taken", "intake", "stages.taken += number", LEDGER),
    _without("counter of events in the stages", "intake", "stages.in_stages += number", LEDGER),
    _without(
        "count of queued events when a chunk closes", "intake", "            self.queued += number\n", LEDGER, new=""
    ),
    _without(
        "count of queued events when a chunk is taken",
        "intake",
        "            self.queued -= chunk.counted\n",
        LEDGER,
        new="",
    ),
    _without(
        "threads' counter of a full queue",
        "door",
        "                counts.dropped_queue_full += 1\n",
        THREADS,
        LEDGER,
        new="                pass\n",
    ),
    _without("threads' counter under RAISE", "door", "counts.rejected_queue_full += 1", THREADS, LEDGER),
    _without(
        "threads' counter of evicted events",
        "door",
        "                self._counts.dropped_evicted += 1\n",
        THREADS,
        LEDGER,
        new="                pass\n",
    ),
    _without("threads' counter of waits timed out", "door", "self._counts.dropped_block_timeout += 1", THREADS),
    _without(
        "counter of threads refused at the close",
        "door",
        "            self._intake._counts.rejected_closed += 1\n",
        THREADS,
        new="",
    ),
    _without("counter of dispatched events", "fanout", "stages.dispatched += dispatched", LEDGER),
    _without("counter of unrouted events", "fanout", "stages.unrouted += unrouted", ROUTING, LEDGER),
    _without("a sink's count of its events", "routing", "self._sink_sequence = sink_sequence", ROUTING),
    _without("counter of withheld events", "delivery", "self.counts.withheld += len(made.withheld)", SINK_REDACTORS),
    _without("counter of events that leave the stages", "fanout", "stages.in_stages -= dispatched + unrouted", LEDGER),
    _without("counter of summaries", "fanout", "self._metrics.stages.created += 1", "tests/test_loss.py"),
    _without(
        "counter of summaries on their way", "fanout", "self._metrics.stages.in_stages += 1", "tests/test_loss.py"
    ),
    _without("counter of filtered events", "steps", "count(filtered, self.name, unexplained)", LEDGER, STAGES),
    _without("counter of events that processors make", "steps", "self._counts.created += created", LEDGER, STAGES),
    _without("counter of events that processors take out", "steps", "self._counts.merged += merged", LEDGER, STAGES),
    _without("counter of plugin errors", "steps", "count(self._counts.plugin_errors, self.name)", STAGES),
    _without(
        "counter of routed events",
        "delivery",
        "self.counts.routed += number\n        self._offered",
        LEDGER,
        new="self._offered",
    ),
    _without("counter of delivered events", "delivery", "self.counts.delivered += number", LEDGER),
    _without("counter of failed events", "delivery", "count(self.counts.failed, reason, number)", LEDGER, DELIVERY),
    _without(
        "counter of events handed to the fallback", "delivery", "self.counts.fallback_out += number", DELIVERY, LEDGER
    ),
    _without("counter of events from another sink", "delivery", "fallback.fallback_in += number", DELIVERY, LEDGER),
    _without(
        "counter of retries of an ordered sink",
        "delivery",
        """            await self._pause(pause)
            self.counts.retries += 1""",
        DELIVERY,
        new="            await self._pause(pause)",
    ),
    _without("counter of duplicates", "delivery", "self.counts.duplicates += number", LEDGER, DELIVERY),
    _without("counter of timed-out writes", "delivery", "self.counts.outcome_unknown += len(write.batch)", DELIVERY),
    _without(
        "counter of writes cut off at the end",
        "delivery",
        """        self._note_cut_off()
        if self._confirmations:
            self._confirmations.lost_at(""",
        LEDGER,
        LEAVING,
        new="""        if self._confirmations:
            self._confirmations.lost_at(""",
    ),
    _without(
        "counter of events evicted from a stream",
        "delivery",
        'self._drop(oldest, "evicted")',
        DELIVERY,
    ),
    _without("counter of a stalled sink", "delivery", 'self._drop(write, "stalled")', DELIVERY),
    _without(
        "counter of a sink's block timeout",
        "delivery",
        'self._drop(write, "block_timeout")',
        DELIVERY,
    ),
    _without(
        "counter of internal errors",
        "delivery",
        'count(self.counts.failed, "internal_error", max(self._in_hand, 0))',
        DELIVERY,
    ),
    _without(
        "counter of abandoned events", "delivery", 'count(self.counts.abandoned, "deadline", left)', LEAVING, LEDGER
    ),
    _without(
        "counter of events abandoned in the stages",
        "pipeline",
        'stages.abandoned["deadline"] = stages.abandoned.get("deadline", 0) + stages.in_stages',
        LEAVING,
        LEDGER,
    ),
)

SHIELDS = (
    _without(
        "shield of the stages",
        "pipeline",
        "with anyio.CancelScope(shield=True) as scope:",
        LEDGER,
        LEAVING,
        new="with anyio.CancelScope() as scope:",
    ),
    _without(
        "shield while the stages run dry",
        "pipeline",
        """            with anyio.move_on_after(GRACE, shield=True):
                await self._run_dry()""",
        LEDGER,
        LEAVING,
        new="""            with anyio.move_on_after(GRACE):
                await self._run_dry()""",
    ),
    Mutation(
        "shield of the wait for the drain",
        "container.py",
        "anyio.CancelScope(deadline=self._leave_by, shield=True)",
        "anyio.CancelScope(deadline=self._leave_by)",
        (f"{LEAVING}::TestCancellation", LEDGER, LEAVING),
    ),
    Mutation(
        "shield of the drain",
        "container.py",
        "self._drain_scope = anyio.CancelScope(shield=True)",
        "self._drain_scope = anyio.CancelScope()",
        (LEDGER, LEAVING),
    ),
    Mutation(
        "shield of the task group when it is left",
        "container.py",
        """        self._task_group.cancel_scope.shield = True
        if self._stuck:""",
        "        if self._stuck:",
        (LEDGER, f"{LEAVING}::TestCancellation", f"{LEAVING}::TestNativeCancellation", LEAVING),
    )._replace(excuse="in a block it is set before, and a start that has failed has no task left to wait for"),
    Mutation(
        "shield of the task group while it drains",
        "container.py",
        "            self._task_group.cancel_scope.shield = True\n",
        "            pass\n",
        (LEDGER, LEAVING),
    )._replace(excuse="a second line of defence: the wait, the drain and each stage have shields of their own"),
    _without(
        "shield of a sink's close",
        "delivery",
        "anyio.move_on_after(2 * GRACE, shield=True)",
        DELIVERY,
        new="anyio.move_on_after(2 * GRACE)",
    ),
    _without(
        "shield of the wait for a plugin that was asked to stop",
        "backend",
        "anyio.move_on_after(timeout, shield=True)",
        DELIVERY,
        new="anyio.move_on_after(timeout)",
    ),
    _without(
        "shield of a checkpoint in a clean-up",
        "awaitables",
        "yield from cancel_shielded_checkpoint().__await__()",
        LEAVING,
        OVERFLOW,
        new="yield from self._turns.wait().__await__()",
    ),
    _without(
        "holding back of a stage's cancellation from the body",
        "pipeline",
        """                if not self._stopping:
                    raise
            except BaseException as error:""",
        LEAVING,
        new="""                raise
            except BaseException as error:""",
    ),
    _without(
        "restart of a stage that was cancelled natively",
        "pipeline",
        "if self._stopping or self._backend.has_ended(self._owner):",
        LEAVING,
        new="if True:",
    ),
)

DEADLINES = (
    _without(
        "deadline of a wait for room",
        "waiting",
        "with anyio.move_on_after(timeout):",
        OVERFLOW,
        new="with anyio.move_on_after(None):",
    ),
    _without(
        "deadline of a thread's wait for room",
        "door",
        "timeout=self._intake.admission.block_timeout",
        THREADS,
        new="timeout=-1",
    ),
    _without(
        "deadline of the wait for a sink",
        "delivery",
        "with anyio.move_on_after(self._block_timeout):",
        DELIVERY,
        new="with anyio.move_on_after(None):",
    ),
    _without(
        "deadline of a write",
        "delivery",
        'self.caller.call("write", batch, timeout=self._policy.write_timeout)',
        DELIVERY,
        new='self.caller.call("write", batch, timeout=3600)',
    ),
    _without(
        "deadline of an asynchronous plugin's event",
        "steps",
        "with anyio.move_on_after(self.timeout):",
        STAGES,
        new="with anyio.move_on_after(3600):",
    ),
    _without(
        "deadline of an asynchronous plugin that does not heed it", "stages", "step.timeout + 0.1", STAGES, new="3600"
    ),
    _without(
        "deadline of the drain",
        "container",
        "anyio.move_on_after(timeout)",
        LEDGER,
        LEAVING,
        new="anyio.move_on_after(None)",
    )._replace(file="container.py"),
    _without(
        "deadline of a flush",
        "pipeline",
        "        with anyio.move_on_after(timeout):\n",
        DELIVERY,
        LEDGER,
        new="        with anyio.move_on_after(None):\n",
    ),
    _without(
        "closing of a call that does not heed its deadline",
        "host",
        "                job.drive.abandon()\n                await settle",
        DELIVERY,
        f"{LEAVING}::TestHostileSinks",
        new="                await settle",
    ),
    _without(
        "longest wait that a sink may ask for",
        "delivery",
        "min(failure.retry_after, LONGEST_THROTTLE)",
        DELIVERY,
        new="failure.retry_after",
    ),
    _without(
        "end of a coroutine that swallows cancellation",
        "trampoline",
        """        if control.abandoned or control.cancellations > _MOST_CANCELLATIONS:
            _close(coroutine)
            if error is not None:
                raise_interrupt(error)
            raise Abandoned


def _wait_asyncio""",
        STAGES,
        f"{LEAVING}::TestHostileSinks",
        new="""        if control.cancellations > 10**9:
            _close(coroutine)
            if error is not None:
                raise_interrupt(error)
            raise Abandoned


def _wait_asyncio""",
    ),
)

REDACTION = (
    _without("withholding after a failed redactor", "steps", "        withhold(event)\n", STAGES, new="        pass\n"),
    _without("withholding of the message", "steps", "event.message = WITHHELD", STAGES),
    _without("withholding of fields and context", "steps", "event.fields = event.context = EMPTY", STAGES),
    _without("withholding of tags and metrics", "steps", "event.tags = event.metrics = EMPTY", STAGES),
    _without("withholding of the exception", "steps", "event.exception = None", STAGES),
    _without("withholding of the correlation id", "steps", 'event.correlation_id = ""', STAGES),
    _without(
        "refusal of another event from a redactor",
        "steps",
        "if result is not None and result is not event:",
        STAGES,
        new="if False:",
    ),
    _without(
        "redaction as the last stage",
        "pipeline",
        '    ("redactors", "redact", RedactorStep),\n)',
        STAGES,
        new=')\n_STEPS = (("redactors", "redact", RedactorStep), *_STEPS)',
    ),
    _without(
        "copies for a sink's own redactors",
        "redaction",
        "[event.copy() for event in events]",
        SINK_REDACTORS,
        new="list(events)",
    ),
    _without(
        "redaction of what a sink that did not start passes on",
        "delivery",
        "            if self._redaction is not None and not write.redacted:\n                # What was not",
        SINK_REDACTORS,
        new="            if False:\n                # What was not",
    ),
    _without(
        "redaction before a synchronous sink's write",
        "delivery",
        "        if self._redaction is not None:\n            return False\n",
        SINK_REDACTORS,
        new="",
    ),
    _without("sealing of events after redaction", "fanout", "event._sealed = True", STAGES),
    _without(
        "closing of the door to a redactor that is late", "steps", "        progress.closed = True\n", STAGES, new=""
    )._replace(excuse="a second line of defence: a plugin that was given up has been closed, and does not run again"),
)

OTHERS = (
    _without(
        "flush ticket: the barrier behind what was admitted",
        "pipeline",
        "await self.intake.put_barrier().passed.wait()",
        "tests/test_containers.py",
        DELIVERY,
    ),
    _without(
        "flush ticket: the position in the sink's stream",
        "delivery",
        "request.position <= reached",
        DELIVERY,
        new="True",
    ),
    _without(
        "order of batches before the fan-out",
        "stages",
        "            await self._turnstile.enter(ticket)\n            await self._following.accept(goes_on)",
        "tests/test_order.py",
        STAGES,
        new="            await self._following.accept(goes_on)",
    ),
    _without(
        "order of batches behind a stage",
        "stages",
        "                await turnstile.enter(ticket)\n",
        "tests/test_order.py",
        STAGES,
        new="",
    ),
    _without(
        "one probe at a time",
        "breaker",
        "if self._probing or self._clock() < self._probe_at:",
        DELIVERY,
        new="if self._clock() < self._probe_at:",
    ),
    _without(
        "end of a probe whose write was cut off",
        "delivery",
        """            self._note_cut_off()
            self._breaker.failed()  # also ends a probe, which nothing else would
        while""",
        f"{LEAVING}::TestNativeCancellation",
        new="""            self._note_cut_off()
        while""",
    ),
    _without(
        "rate limit of the summaries of losses",
        "fanout",
        "        self._next_time = now + LOSS_INTERVAL\n",
        "tests/test_loss.py",
        new="",
    ),
    _without(
        "end of the quick refusals once there is room",
        "intake",
        "self.refuse_await = self.refuse_nowait = None\n        if self.state",
        "tests/test_accelerator_calls.py",
        OVERFLOW,
        LEDGER,
        new="if self.state",
    ),
    Mutation(
        "rejection of what a plugin logs",
        "logger.py",
        """def _nowait_submit(logger: NowaitLogger, record: Record) -> bool:
    intake = logger._intake
    if record[5] is INSIDE_PLUGIN:""",
        """def _nowait_submit(logger: NowaitLogger, record: Record) -> bool:
    intake = logger._intake
    if False:""",
        (STAGES, LEAVING),
    ),
)

CONFIRMED = "tests/test_confirmed.py"
INTERRUPTED = "tests/test_confirmed_interrupted.py"
CONFIRMING = (
    _without(
        "confirmed call's shield",
        "confirming",
        "anyio.CancelScope(deadline=self._deadline, shield=True)",
        INTERRUPTED,
        new="anyio.CancelScope(deadline=self._deadline)",
    ),
    _without(
        "confirmed call's native cancellation",
        "confirming",
        "interruption = interruption or cancellation",
        INTERRUPTED,
        new="pass",
    ),
    _without(
        "confirmed call's place in the clean-up of a cancellation",
        "confirming",
        "if handling_cancellation(self._intake.backend.cancelled_class):",
        INTERRUPTED,
        new="if False:",
    ),
    _without(
        "confirmed call's haste in the intake",
        "confirming",
        "        self._intake.urgent = True",
        CONFIRMED,
        new="        pass",
    ),
    _without(
        "confirmed call's haste at the sink",
        "delivery",
        "return bool(self._confirmations) and self._confirmations.hurry(write.in_place_of or self)",
        CONFIRMED,
        new="return False",
    ),
    _without(
        "confirmed call's own time to wait for room",
        "confirming",
        "if self._timeout >= intake.admission.block_timeout:",
        CONFIRMED,
        new="if True:",
    ),
    _without("end of a confirmed call evicted", "confirmations", 'tracked.end("dropped", "evicted")', CONFIRMED),
    _without("end of a confirmed call taken out", "confirmations", "tracked.end(state, plugin)", CONFIRMED),
    _without("copies of a confirmed event", "confirmations", "tracked.copies += left - number", CONFIRMED),
    _without("end of a confirmed call withheld", "steps", 'tracked.end("withheld", self.name)', CONFIRMED, new="pass"),
    _without(
        "confirmed parts of a partial write",
        "confirmations",
        "if tracked is not None and position not in without:",
        CONFIRMED,
        new="if tracked is not None:",
    ),
    _without(
        "end of a confirmed call abandoned at a sink",
        "delivery",
        'self._confirmations.lost_at(self, "abandoned", "deadline")',
        CONFIRMED,
    ),
    _without(
        "end of a confirmed call abandoned in the stages",
        "pipeline",
        "self.intake.confirmations.abandon(self._workers, and_queued=self._has_intake)",
        CONFIRMED,
    ),
    _without(
        "confirmed call's sinks that are required",
        "fanout",
        "for one in self.deliveries if one.required])",
        CONFIRMED,
        new="for one in self.deliveries])",
    ),
    _without(
        "confirmed call's own answer for each sink that falls back",
        "delivery",
        "following.in_place_of is not first.in_place_of or ",
        CONFIRMED,
        new="",
    ),
    _without(
        "confirmed call's withdrawal from the room it waits for",
        "confirming",
        "        intake._waiting.withdraw(waiter)",
        CONFIRMED,
        INTERRUPTED,
        new="        pass",
    ),
    _without(
        "end of a confirmed call when the program is interrupted",
        "confirmations",
        'tracked.end("abandoned", "interrupted")',
        INTERRUPTED,
    ),
    _without(
        "wake-up with frames enough left confirmed", "intake", "        _probe(_FRAMES_TO_WAKE)\n", INTERRUPTED, new=""
    ),
)

MUTATIONS: tuple[Mutation, ...] = (*COUNTERS, *SHIELDS, *DEADLINES, *REDACTION, *OTHERS, *CONFIRMING)
