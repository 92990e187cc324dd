"""Mutations of what counts events."""

from __future__ import annotations

from .mutation import (
    DELIVERY,
    FILTERS,
    LEAVING,
    LEDGER,
    OVERFLOW,
    REDACTOR,
    RELOAD,
    ROUTING,
    SCOPES,
    SINK_REDACTORS,
    STAGES,
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
        "                self._intake._counts.rejected_closed += 1\n",
        THREADS,
        new="",
    ),
    without("counter of dispatched events", "fanout", "stages.dispatched += dispatched", LEDGER),
    without("counter of unrouted events", "fanout", "stages.unrouted += unrouted", ROUTING, LEDGER),
    without("a sink's count of its events", "routing", "self.numbering.last = sink_sequence", ROUTING),
    without("counter of withheld events", "delivery", "self.counts.withheld += len(made.withheld)", SINK_REDACTORS),
    without("counter of events that leave the stages", "fanout", "stages.in_stages -= dispatched + unrouted", LEDGER),
    without("counter of summaries", "fanout", "stages.created += 1", "tests/test_loss.py"),
    without("counter of summaries on their way", "fanout", "stages.in_stages += 1", "tests/test_loss.py"),
    without("counter of filtered events", "steps", "count(filtered, self.name, unexplained)", LEDGER, STAGES),
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
    without("counter of timed-out writes", "delivery", "self.counts.outcome_unknown += len(write.batch)", DELIVERY),
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
        "logger",
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
)
