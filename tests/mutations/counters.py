"""Mutations of what counts events."""

from __future__ import annotations

from .mutation import (
    ACCELERATOR_CALLS,
    AT_CALL,
    BLOCKING,
    CONFIRMED,
    CONTAINERS,
    DELIVERY,
    FAULT_LIMITS,
    FILTER_PIPELINE,
    FILTERS,
    INTERRUPTED,
    INTERRUPTS,
    LEAVING,
    LEDGER,
    METRICS,
    ORDER,
    OVERFLOW,
    REDACTOR,
    RELOAD,
    ROUTING,
    SCOPES,
    SINK_REDACTORS,
    SPANS,
    STAGES,
    STATIC_ENRICHMENT,
    THREADS,
    Mutation,
    outside,
    without,
)

COUNTERS: tuple[Mutation, ...] = (
    without(
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
    without(
        "counter of calls not awaited", "intake", "            self._counts.dropped_not_awaited += 1\n", LEDGER, new=""
    ),
    without(
        "taking back of calls not awaited", "intake", "        self._counts.dropped_not_awaited -= 1\n", LEDGER, new=""
    ),
    without("counter of waits cancelled", "waiting", "self._counts.dropped_cancelled += 1", OVERFLOW, LEDGER),
    without("counter of waits timed out", "waiting", "self._counts.dropped_block_timeout += 1", OVERFLOW, LEDGER),
    without("counter of blocking calls on the loop", "intake", "self._counts.dropped_would_deadlock += 1", LEDGER),
    without(
        "counter of evicted events",
        "eviction",
        "        self._counts.dropped_evicted += 1\n",
        LEDGER,
        new="",
    ),
    without(
        "counter of evicted chunks",
        "eviction",
        "        self._counts.dropped_evicted += number\n",
        OVERFLOW,
        LEDGER,
        new="",
    ),
    without(
        "counter of waiters refused at the close",
        "waiting",
        "            self._counts.rejected_closed += 1\n",
        OVERFLOW,
        LEDGER,
        new="",
    ),
    without(
        "counter of calls after the end",
        "intake",
        """        self._counts.rejected_closed += 1
        return "closed"

    def _overflow""",
        LEDGER,
        new="""        return "closed"

    def _overflow""",
    ),
    without("counter of events taken", "intake", "stages.taken += number", LEDGER),
    without("counter of events in the stages", "intake", "stages.in_stages += number", LEDGER),
    without(
        "count of queued events when a chunk closes", "intake", "            self.queued += number\n", LEDGER, new=""
    ),
    without(
        "count of queued events when a chunk is taken",
        "intake",
        "            self.queued -= chunk.counted\n",
        LEDGER,
        new="",
    ),
    without(
        "threads' counter of a full queue",
        "door",
        "                counts.dropped_queue_full += 1\n",
        THREADS,
        LEDGER,
        new="                pass\n",
    ),
    without("threads' counter under RAISE", "door", "counts.rejected_queue_full += 1", THREADS, LEDGER),
    without(
        "threads' counter of evicted events",
        "door",
        "                self._counts.dropped_evicted += 1\n",
        THREADS,
        LEDGER,
        new="                pass\n",
    ),
    without("threads' counter of waits timed out", "door", "self._counts.dropped_block_timeout += 1", THREADS),
    without(
        "counter of threads refused at the close",
        "door",
        "            self._intake._counts.rejected_closed += 1\n",
        THREADS,
        new="",
    ),
    without("counter of dispatched events", "fanout", "stages.dispatched += number - unrouted", LEDGER),
    without("counter of unrouted events", "fanout", "stages.unrouted += unrouted", ROUTING, LEDGER),
    without("a sink's count of its events", "routing", "self.numbering.last = sink_sequence", ROUTING),
    without("counter of withheld events", "delivery", "self.counts.withheld += len(made.withheld)", SINK_REDACTORS),
    without("counter of events that leave the stages", "fanout", "stages.in_stages -= number", LEDGER),
    without("counter of summaries", "fanout", "stages.created += 1", "tests/test_loss.py"),
    without("counter of summaries on their way", "fanout", "stages.in_stages += 1", "tests/test_loss.py"),
    without("counter of filtered events", "filtering", "count(filtered, self.name, unexplained)", LEDGER, STAGES),
    without("counter of events that processors make", "steps", "self._counts.created += created", LEDGER, STAGES),
    without("counter of events that processors take out", "steps", "self._counts.merged += merged", LEDGER, STAGES),
    without("counter of plugin errors", "steps", "count(self._counts.plugin_errors, self.name)", STAGES),
    without(
        "counter of routed events",
        "delivery",
        "self.counts.routed += number\n        self._offered",
        LEDGER,
        new="self._offered",
    ),
    without("counter of delivered events", "delivery", "self.counts.delivered += number", LEDGER),
    without("counter of failed events", "delivery", "count(self.counts.failed, reason, number)", LEDGER, DELIVERY),
    without(
        "counter of events handed to the fallback", "delivery", "self.counts.fallback_out += number", DELIVERY, LEDGER
    ),
    without("counter of events from another sink", "delivery", "fallback.fallback_in += number", DELIVERY, LEDGER),
    without(
        "counter of retries of an ordered sink",
        "delivery",
        """            await self._pause(pause)
            self.counts.retries += 1""",
        DELIVERY,
        new="            await self._pause(pause)",
    ),
    without("counter of duplicates", "delivery", "self.counts.duplicates += number", LEDGER, DELIVERY),
    without(
        "counter of timed-out writes",
        "delivery",
        "        if isinstance(error, PluginTimeout):\n            self.counts.outcome_unknown += len(write.batch)",
        DELIVERY,
        new="        if isinstance(error, PluginTimeout):",
    ),
    without(
        "counter of writes whose sink an interrupt struck",
        "delivery",
        "before the next attempt\n            self.counts.outcome_unknown += len(write.batch)",
        INTERRUPTS,
        new="before the next attempt",
    ),
    without(
        "counter of writes on the loop that an interrupt cut off",
        "delivery",
        """  # an interrupt ends the fan-out's task, and this goes on with what follows
                self._note_cut_off()""",
        INTERRUPTS,
        new="\n                pass",
    ),
    without(
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
    without(
        "counter of events evicted from a stream",
        "delivery",
        'self._drop(oldest, "evicted")',
        DELIVERY,
    ),
    without("counter of a stalled sink", "delivery", 'self._drop(write, "stalled")', DELIVERY),
    without(
        "counter of a sink's block timeout",
        "delivery",
        'self._drop(write, "block_timeout")',
        DELIVERY,
    ),
    without(
        "counter of internal errors",
        "delivery",
        'count(self.counts.failed, "internal_error", max(self._in_hand, 0))',
        DELIVERY,
    ),
    without(
        "counter of abandoned events", "delivery", 'count(self.counts.abandoned, "deadline", left)', LEAVING, LEDGER
    ),
    without(
        "counter of events abandoned in the stages",
        "pipeline",
        'stages.abandoned["deadline"] = stages.abandoned.get("deadline", 0) + stages.in_stages',
        LEAVING,
        LEDGER,
    ),
    without(
        "what a reload leaves of the old account", "succession", "        self._metrics.end(counts)\n", RELOAD, new=""
    ),
    outside(
        "counter of what an inner scope gives up",
        "scopes",
        "                self._count([self._held.popleft()])",
        SCOPES,
        new="                self._held.popleft()",
    ),
    outside(
        "counter of what a scope holds to its end",
        "scopes",
        "        self._count([entry for entry in held if outer is None or not outer.hold(entry[0], enabled=entry[1])])",
        SCOPES,
        new="        [entry for entry in held if outer is None or not outer.hold(entry[0], enabled=entry[1])]",
    ),
    outside("counter of events that were not sampled", "scopes", 'self._exit.discard("span_sample", sampled)', SCOPES),
    outside("counter of events over a budget", "scopes", 'exit.discard("span_budget", 1)', SCOPES),
    outside("count of a scope's events", "scopes", "span.events += 1", SCOPES),
    outside("count of a scope's errors", "scopes", "span.errors += 1", SCOPES),
    outside("count of events behind a budget's end", "scopes", "self.over += 1", SCOPES),
    outside(
        "counter of plugins' calls",
        "submitting",
        """    if record[5] is INSIDE_PLUGIN:
        logger._intake._counts.rejected_reentrant += 1
        return False
    intake = logger._intake
""",
        STAGES,
        LEAVING,
        new="""    if record[5] is INSIDE_PLUGIN:
        return False
    intake = logger._intake
""",
    ),
    outside(
        "count of what one in so many stands for",
        "filters/first_then_every",
        "            period.suppressed += 1\n",
        FILTERS,
        new="",
    ),
    outside(
        "count of what is carried into the next period",
        "filters/first_then_every",
        "                period.suppressed = before.suppressed",
        FILTERS,
        new="                pass",
    ),
    outside(
        "telling of what was forgotten",
        "filters/_periods",
        "            self._forgotten(period)",
        FILTERS,
        new="            pass",
    ),
    outside(
        "counter of what the redactor hides", "redactors/_pass", "counts[kind] = counts.get(kind, 0) + 1", REDACTOR
    ),
    without(
        "counter of confirmed calls not awaited",
        "confirming",
        "            intake._counts.dropped_not_awaited += 1\n",
        CONFIRMED,
        INTERRUPTED,
        LEDGER,
        new="            pass\n",
    ),
    without(
        "taking back of confirmed calls not awaited",
        "confirming",
        "        intake._counts.dropped_not_awaited -= 1\n",
        CONFIRMED,
        INTERRUPTED,
        LEDGER,
        new="        pass\n",
    ),
    without(
        "counter of confirmed calls whose wait for room timed out",
        "confirming",
        "            intake._counts.dropped_block_timeout += 1\n",
        CONFIRMED,
        INTERRUPTED,
        LEDGER,
        new="            pass\n",
    ),
    without(
        "counter of confirmed calls cancelled while they wait for room",
        "confirming",
        "            intake._counts.dropped_cancelled += 1\n",
        INTERRUPTED,
        CONFIRMED,
        LEDGER,
        new="            pass\n",
    ),
    without(
        "counter of how confirmed calls end",
        "confirmations",
        "        self._all.counts.count(state)\n",
        CONFIRMED,
        new="        pass\n",
    ),
    outside(
        "counter of confirmed calls for which no frame is left",
        "confirmed",
        """    except RecursionError:
        intake._counts.dropped_recursion += 1
""",
        INTERRUPTED,
        CONFIRMED,
        new="""    except RecursionError:
        pass
""",
    ),
    outside(
        "counter of confirmed calls that run out of frames",
        "confirmed",
        "            intake._counts.dropped_recursion += 1\n",
        INTERRUPTED,
        CONFIRMED,
        new="            pass\n",
    ),
    outside(
        "counter of plugins' confirmed calls",
        "confirmed",
        "        intake._counts.rejected_reentrant += 1\n",
        CONFIRMED,
        new="        pass\n",
    ),
    outside(
        "counter of blocking confirmed calls on the loop",
        "confirmed",
        "        intake._counts.dropped_would_deadlock += 1\n",
        INTERRUPTED,
        new="        pass\n",
    ),
    outside(
        "counter of plugins' spans",
        "spans",
        "            logger._intake._counts.rejected_reentrant += 1\n",
        SPANS,
        STAGES,
        new="            pass\n",
    ),
    outside(
        "counter of plugins' blocking calls",
        "submitting",
        """    if record[5] is INSIDE_PLUGIN:
        intake._counts.rejected_reentrant += 1
        return False
""",
        STAGES,
        LEAVING,
        new="""    if record[5] is INSIDE_PLUGIN:
        pass
        return False
""",
    ),
    outside(
        "counter of calls that run out of frames",
        "submitting",
        """            return intake.accepted
        intake._counts.dropped_recursion += 1
""",
        FAULT_LIMITS,
        new="""            return intake.accepted
        pass
""",
    ),
    outside(
        "counter of calls without a wait that run out of frames",
        "submitting",
        """        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return True
        intake._counts.dropped_recursion += 1
        return False


def blocking_submit(logger: RecordBuilder, record: Record) -> bool:
""",
        FAULT_LIMITS,
        new="""        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return True
        pass
        return False


def blocking_submit(logger: RecordBuilder, record: Record) -> bool:
""",
    ),
    outside(
        "counter of blocking calls that run out of frames",
        "submitting",
        """        return intake.admit_on_loop(record)
    except RecursionError:
        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return True
        intake._counts.dropped_recursion += 1
        return False
""",
        FAULT_LIMITS,
        new="""        return intake.admit_on_loop(record)
    except RecursionError:
        # Without a call, for which there is no frame left.
        chunk = intake.chunk
        if chunk and chunk[-1] is record:
            return True
        pass
        return False
""",
    ),
    outside(
        "counter of calls whose submission finds no frame",
        "calls",
        "            intake._counts.dropped_recursion += 1\n",
        FAULT_LIMITS,
        new="            pass\n",
    ),
    outside(
        "counter of calls at a given level that run out of frames",
        "calls",
        "            self._intake._counts.dropped_recursion += 1\n",
        FAULT_LIMITS,
        new="            pass\n",
    ),
    without(
        "counter of calls awaited while a cancellation is handled",
        "intake",
        """        if handling_cancellation(self.backend.cancelled_class):
            self._counts.dropped_queue_full += 1
""",
        OVERFLOW,
        LEAVING,
        LEDGER,
        new="""        if handling_cancellation(self.backend.cancelled_class):
            pass
""",
    ),
    without(
        "counter of calls in a clean-up that find no room",
        "intake",
        "                self._counts.dropped_queue_full += 1\n",
        OVERFLOW,
        LEAVING,
        LEDGER,
        new="                pass\n",
    ),
    without(
        "counter of calls awaited when others have waited in vain",
        "intake",
        """        if self._waiting.congested:
            self._counts.dropped_congested += 1
""",
        OVERFLOW,
        LEDGER,
        new="""        if self._waiting.congested:
            pass
""",
    ),
    without(
        "counter of quick refusals where others have waited in vain",
        "intake",
        """    def _refused_congested(self) -> Acceptance:
        self._counts.dropped_congested += 1
""",
        ACCELERATOR_CALLS,
        OVERFLOW,
        LEDGER,
        new="""    def _refused_congested(self) -> Acceptance:
        pass
""",
    ),
    without(
        "counter of refusals under RAISE",
        "intake",
        "            self._counts.rejected_queue_full += 1\n",
        OVERFLOW,
        LEDGER,
        new="            pass\n",
    ),
    without(
        "counter of refusals",
        "intake",
        """        else:
            self._counts.dropped_queue_full += 1
""",
        OVERFLOW,
        LEDGER,
        new="""        else:
            pass
""",
    ),
    without(
        "counter of calls after a fork",
        "intake",
        "            self._counts.rejected_dead += 1\n",
        CONTAINERS,
        new="            pass\n",
    ),
    without(
        "count of barriers at a hand-over",
        "intake",
        """        self.chunks.append(Handover(workers))
        self.barriers += 1
""",
        RELOAD,
        new="""        self.chunks.append(Handover(workers))
        pass
""",
    ),
    without(
        "count of barriers at a flush",
        "intake",
        """        self.chunks.append(barrier)
        self.barriers += 1
""",
        DELIVERY,
        CONTAINERS,
        new="""        self.chunks.append(barrier)
        pass
""",
    ),
    without(
        "count of barriers that were taken",
        "intake",
        "                self.barriers -= 1\n",
        RELOAD,
        DELIVERY,
        CONTAINERS,
        new="                pass\n",
    ),
    without(
        "threads' counter of calls when others have waited in vain",
        "door",
        "                self._counts.dropped_congested += 1\n",
        THREADS,
        new="                pass\n",
    ),
    without(
        "threads' counter of interrupted waits",
        "door",
        "                    self._counts.dropped_cancelled += 1\n",
        BLOCKING,
        new="                    pass\n",
    ),
    without(
        "threads' counter of events that may not drive out an error",
        "door",
        "                    self._counts.dropped_queue_full += 1\n",
        THREADS,
        OVERFLOW,
        new="                    pass\n",
    ),
    without(
        "counter of a thread's event that no other gives way to",
        "door",
        "                intake._counts.dropped_queue_full += 1\n",
        THREADS,
        OVERFLOW,
        LEDGER,
        new="                pass\n",
    ),
    without(
        "threads' counter of calls after a fork",
        "door",
        "            self._counts.rejected_dead += 1\n",
        CONTAINERS,
        new="            pass\n",
    ),
    without(
        "threads' counter of calls before the start",
        "door",
        "            self._counts.rejected_not_started += 1\n",
        LEAVING,
        CONTAINERS,
        new="            pass\n",
    ),
    without(
        "threads' counter of calls after the end",
        "door",
        "        self._counts.rejected_closed += 1\n",
        THREADS,
        CONTAINERS,
        new="        pass\n",
    ),
    without(
        "count of queued events when a chunk is evicted",
        "eviction",
        "        intake.queued -= number\n",
        OVERFLOW,
        LEDGER,
        new="        pass\n",
    ),
    without(
        "count of queued events when one is evicted",
        "eviction",
        "            intake.queued -= 1\n",
        OVERFLOW,
        LEDGER,
        new="            pass\n",
    ),
    without(
        "count of a chunk's events when one is evicted",
        "eviction",
        "            chunk.counted -= 1\n",
        OVERFLOW,
        LEDGER,
        new="            pass\n",
    ),
    without(
        "look whether the event to evict is still there",
        "eviction",
        "if chunk[position] is not record:",
        OVERFLOW,
        new="if False:",
    ),
    without(
        "eviction of what calls have put in on credit",
        "eviction",
        "            self.evict(Level.INFO)\n",
        OVERFLOW,
        ACCELERATOR_CALLS,
        LEDGER,
        new="            pass\n",
    ),
    without(
        "count of a container's events",
        "fanout",
        "        self._numbering.last += number\n",
        ORDER,
        DELIVERY,
        new="        pass\n",
    ),
    without(
        "counter of routed events after an interrupt",
        "fanout",
        """            for delivery, batch, _ in offers:
                delivery.make_sure_of(batch)
""",
        INTERRUPTS,
        ROUTING,
        LEAVING,
        LEDGER,
        new="""            for delivery, batch, _ in offers:
                pass
""",
    ),
    without(
        "counter of retries of a sink that is not ordered",
        "delivery",
        "                self.counts.retries += 1\n",
        DELIVERY,
        new="                pass\n",
    ),
    without(
        "counter of events for which a sink's stream has no room",
        "delivery",
        """        else:  # DROP_NEWEST; under RAISE there is no caller left to raise to
            self._drop(write, "queue_full")
""",
        DELIVERY,
        LEDGER,
        new="""        else:  # DROP_NEWEST; under RAISE there is no caller left to raise to
            pass
""",
    ),
    without(
        "counter of events for which a fallback's stream has no room",
        "delivery",
        """        elif not self._enter(write):
            self._drop(write, "queue_full")
""",
        DELIVERY,
        LEDGER,
        new="""        elif not self._enter(write):
            pass
""",
    ),
    without(
        "counter of the events of a write that was cut off",
        "delivery",
        "            self.counts.outcome_unknown += self._being_written\n",
        LEAVING,
        LEDGER,
        new="            pass\n",
    ),
    without(
        "count of filtered events in the stages",
        "filtering",
        "        self._counts.in_stages -= removed\n",
        LEDGER,
        STAGES,
        new="        pass\n",
    ),
    without(
        "counter of a filter's summaries",
        "filtering",
        "        self._counts.created += len(made)\n",
        FILTER_PIPELINE,
        new="        pass\n",
    ),
    without(
        "counter of a filter's summaries in the stages",
        "filtering",
        "        self._counts.in_stages += len(made)\n",
        FILTER_PIPELINE,
        new="        pass\n",
    ),
    without(
        "count of a processor's events in the stages",
        "steps",
        "        self._counts.in_stages += created - merged\n",
        LEDGER,
        STAGES,
        new="        pass\n",
    ),
    without(
        "counter of events whose content is withheld",
        "steps",
        "        count(self._counts.withheld, self.name)\n",
        REDACTOR,
        new="        pass\n",
    ),
    without(
        "counter of events filtered for a reason",
        "filtering",
        "                count(filtered, self._counted_as(reason), number)\n",
        FILTER_PIPELINE,
        FILTERS,
        new="                pass\n",
    ),
    without(
        "count of a filter's reasons",
        "steps",
        "    reasons[reason] = reasons.get(reason, 0) + 1\n",
        FILTER_PIPELINE,
        FILTERS,
        new="    pass\n",
    ),
    without(
        "counter of failures in a log call",
        "at_call",
        "                    count(self._counts.plugin_errors, name)\n",
        AT_CALL,
        new="                    pass\n",
    ),
    without(
        "counter of failures at the start",
        "statics",
        "                count(counts.plugin_errors, enricher.name)\n",
        STATIC_ENRICHMENT,
        new="                pass\n",
    ),
    without(
        "a redactor's own counts",
        "chain",
        "        counts.redacted[redactor.name] = its_own\n",
        REDACTOR,
        METRICS,
        RELOAD,
        new="        pass\n",
    ),
    outside(
        "what a redactor counted before a reload",
        "metrics",
        """            if not any(one is redacted for one in kept):  # else the redactor goes on in another pipeline
                past.count_redacted(name, redacted)
""",
        RELOAD,
        new="""            if not any(one is redacted for one in kept):  # else the redactor goes on in another pipeline
                pass
""",
    ),
    outside(
        "what a redactor counted before two reloads",
        "metrics",
        """            for name, redacted in self.pipelines[0].redacted.items():
                past.count_redacted(name, redacted)
""",
        RELOAD,
        new="""            for name, redacted in self.pipelines[0].redacted.items():
                pass
""",
    ),
    outside(
        "what pipelines before the last counted",
        "metrics",
        "            past.add(self.pipelines[0])\n",
        RELOAD,
        new="            pass\n",
    ),
    without(
        "counting once of what a replaced pipeline leaves",
        "succession",
        """        if self.report is not None:
            return
""",
        RELOAD,
        new="",
    ),
    outside(
        "count of the events in inner spans",
        "spans",
        "            parent._inner_events += self.events + self._inner_events + 1\n",
        SCOPES,
        new="            pass\n",
    ),
    outside(
        "count of the errors in inner spans",
        "spans",
        "            parent._inner_errors += self.errors + self._inner_errors + failed\n",
        SCOPES,
        new="            pass\n",
    ),
    outside(
        "account that is made once",
        "ending",
        """        if self.report is not None:  # by who waited for the drain, and then no longer
            return
""",
        INTERRUPTS,
        LEAVING,
        new="",
    ),
)
