"""The mutations: what is taken out of the source, one thing at a time, and the quick tests one of which has to notice.

A mutation replaces a text that occurs in its file exactly once. Where the text occurs more often, more of its
surroundings stand in both.
"""

from __future__ import annotations

from typing import NamedTuple

LEDGER = "tests/mutations/quick_ledger.py"
LEAVING = "tests/test_leaving.py"
DELIVERY = "tests/test_delivery.py"
OVERFLOW = "tests/test_overflow.py"
STAGES = "tests/test_stages.py"
THREADS = "tests/test_threads.py"
ROUTING = "tests/test_routing.py"
SINK_REDACTORS = "tests/test_sink_redactors.py"
RELOAD = "tests/test_reload.py"
SCOPES = "tests/test_scopes.py"
FILTERS = "tests/test_filters.py"
PUMPS = "tests/test_pump_strings.py"
REDACTOR = "tests/test_redactor.py"
ASGI_ATTACKS = "tests/test_asgi_attacks.py"
ASGI_TOLD = "tests/test_asgi_told.py"
INTERRUPTS = "tests/test_interrupts.py"


class Mutation(NamedTuple):
    """One change that has to be noticed."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    excuse: str = ""
    """Why no test can notice it, if none can."""

    def apply(self, source: str) -> str:
        """Return the *source* of the file with the mutation.

        Raises:
            ValueError: if what it takes out is not there exactly once.
        """
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"{self.what!r}: what it takes out is {found} times in {self.file}, and has to be once")
        return source.replace(self.old, self.new)


def _without(what: str, file: str, old: str, *tests: str, new: str = "pass") -> Mutation:
    return Mutation(what, f"pipeline/{file}.py", old, new, tests or (LEDGER,))


def _outside(what: str, file: str, old: str, *tests: str, new: str = "pass", excuse: str = "") -> Mutation:
    return Mutation(what, f"{file}.py", old, new, tests, excuse)


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
        "                self._intake._counts.rejected_closed += 1\n",
        THREADS,
        new="",
    ),
    _without("counter of dispatched events", "fanout", "stages.dispatched += dispatched", LEDGER),
    _without("counter of unrouted events", "fanout", "stages.unrouted += unrouted", ROUTING, LEDGER),
    _without("a sink's count of its events", "routing", "self.numbering.last = sink_sequence", ROUTING),
    _without("counter of withheld events", "delivery", "self.counts.withheld += len(made.withheld)", SINK_REDACTORS),
    _without("counter of events that leave the stages", "fanout", "stages.in_stages -= dispatched + unrouted", LEDGER),
    _without("counter of summaries", "fanout", "stages.created += 1", "tests/test_loss.py"),
    _without("counter of summaries on their way", "fanout", "stages.in_stages += 1", "tests/test_loss.py"),
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
    _without(
        "what a reload leaves of the old account", "succession", "        self._metrics.end(counts)\n", RELOAD, new=""
    ),
    _outside(
        "counter of what an inner scope gives up",
        "scopes",
        "                self._count([self._held.popleft()])",
        SCOPES,
        new="                self._held.popleft()",
    ),
    _outside(
        "counter of what a scope holds to its end",
        "scopes",
        "        self._count([entry for entry in held if outer is None or not outer.hold(entry[0], enabled=entry[1])])",
        SCOPES,
        new="        [entry for entry in held if outer is None or not outer.hold(entry[0], enabled=entry[1])]",
    ),
    _outside("counter of events that were not sampled", "scopes", 'self._exit.discard("span_sample", sampled)', SCOPES),
    _outside("counter of events over a budget", "scopes", 'exit.discard("span_budget", 1)', SCOPES),
    _outside("count of a scope's events", "scopes", "span.events += 1", SCOPES),
    _outside("count of a scope's errors", "scopes", "span.errors += 1", SCOPES),
    _outside("count of events behind a budget's end", "scopes", "self.over += 1", SCOPES),
    _outside(
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
    _outside(
        "count of what one in so many stands for",
        "filters/first_then_every",
        "            period.suppressed += 1\n",
        FILTERS,
        new="",
    ),
    _outside(
        "count of what is carried into the next period",
        "filters/first_then_every",
        "                period.suppressed = before.suppressed",
        FILTERS,
        new="                pass",
    ),
    _outside(
        "telling of what was forgotten",
        "filters/_periods",
        "            self._forgotten(period)",
        FILTERS,
        new="            pass",
    ),
    _outside(
        "counter of what the redactor hides", "redactors/_pass", "counts[kind] = counts.get(kind, 0) + 1", REDACTOR
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
    _without(
        "shield of a reload's start",
        "succession",
        "self._start_scope = anyio.CancelScope(shield=True)",
        RELOAD,
        new="self._start_scope = anyio.CancelScope()",
    )._replace(excuse="who is cancelled gives the start up, and it ends as it does when it is cancelled itself"),
    _without(
        "shield of a reload's end",
        "succession",
        "self._end_scope = anyio.CancelScope(shield=True)",
        RELOAD,
        new="self._end_scope = anyio.CancelScope()",
    ),
    _without(
        "closing of sinks that were started for nothing",
        "succession",
        "                    await self.new.give_up_start()",
        RELOAD,
        new="                    pass",
    ),
    _without(
        "stop of a pipeline that did not run dry",
        "succession",
        "                        await self.old.stop()",
        RELOAD,
        new="                        pass",
    ),
    _outside("passing of an interrupt", "_interrupts", "        raise interrupt\n", INTERRUPTS, new="        pass\n"),
    _outside(
        "interrupts inside a group",
        "_interrupts",
        "                    if (inside := interrupt_in(member)) is not None:\n                        return inside",
        INTERRUPTS,
        new="                    pass",
    ),
    _outside(
        "interrupts in whose place another error is",
        "_interrupts",
        "        found = _context(found)",
        INTERRUPTS,
        new="        found = None",
    ),
    _outside(
        "telling an exit by a handler from one by a plugin",
        "_interrupts",
        "(issubclass(kind, SystemExit) and _by_handler(traceback))",
        INTERRUPTS,
        new="issubclass(kind, SystemExit)",
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
    _without(
        "deadline of a pipeline that was replaced",
        "succession",
        "anyio.move_on_after(self._timeout)",
        RELOAD,
        new="anyio.move_on_after(None)",
    ),
    _without(
        "end of a replaced pipeline when the container is left",
        "succession",
        'self._end_scope.cancel(reason="container closing")',
        RELOAD,
        LEAVING,
    ),
    _outside("bound of what a scope holds", "scopes", "if len(self._held) > self.size:", SCOPES, new="if False:"),
    _outside("budget of a scope in events", "scopes", "        self._events -= 1\n", SCOPES, new=""),
    _outside(
        "budget of a scope in bytes",
        "scopes",
        "            self._bytes -= len(",
        SCOPES,
        new="            len(",
    ),
    _outside(
        "budget of the scope around",
        "scopes",
        "        if self._outer is not None and not self._outer.allows(record):\n            return False\n",
        SCOPES,
        new="",
    ),
    _outside(
        "bound of what the rate limit remembers",
        "filters/rate_limit",
        "if self._full_at[key] <= now or len(self._full_at) >= self._max_keys:",
        FILTERS,
        new="if self._full_at[key] <= now:",
    ),
    _outside(
        "forgetting of full buckets",
        "filters/rate_limit",
        "if self._full_at[key] <= now or len(self._full_at) >= self._max_keys:",
        FILTERS,
        new="if len(self._full_at) >= self._max_keys:",
    ),
    _outside(
        "bound of the keys that are told",
        "filters/rate_limit",
        "if len(self._removed) >= _TOLD_REASONS or type(key) is not str:",
        FILTERS,
        new="if type(key) is not str:",
    ),
    _outside(
        "bound of the periods that are remembered",
        "filters/_periods",
        "if self._is_over(self._periods[key], now) or len(self._periods) >= self._most:",
        FILTERS,
        new="if self._is_over(self._periods[key], now):",
    ),
    _outside(
        "bound of a value in a key",
        "filters/_keys",
        'return ("repr", shown) if len(shown) <= _LONGEST else _digest(shown)',
        FILTERS,
        new='return ("repr", shown)',
    ),
    _outside(
        "bound of a body", "integrations/_bodies", "            chunk = chunk[:room]\n", ASGI_TOLD, ASGI_ATTACKS, new=""
    ),
    _outside(
        "refusal of a body that was cut",
        "integrations/_bodies",
        "if not self.is_whole:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    _outside(
        "depth of a body",
        "integrations/_bodies",
        "if isinstance(value, dict | list) and depth == 0:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    _outside(
        "bound of a query",
        "integrations/_request_policy",
        "if len(query) > _LONGEST_QUERY:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    _outside(
        "bound of a header",
        "integrations/_request_policy",
        "if len(raw_value) > _LONGEST_HEADER:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    _outside(
        "bound of the number of headers",
        "integrations/_request_policy",
        "if len(told) >= _MOST_HEADERS:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    _outside(
        "bound of a request's id",
        "integrations/_correlation",
        "if not 0 < len(value) <= _LONGEST_ID or not value.isascii():",
        ASGI_ATTACKS,
        "tests/test_injection.py",
        new="if not 0 < len(value) or not value.isascii():",
    ),
    _outside(
        "refusal of a request's id with a line break",
        "integrations/_correlation",
        'return found if found.isprintable() else ""',
        ASGI_ATTACKS,
        "tests/test_injection.py",
        new="return found",
    ),
    _outside(
        "bound of the loggers of another library",
        "integrations/_feed",
        "if len(self._loggers) < _MOST_LOGGERS:",
        "tests/test_key_flood.py::test_se18_the_loggers_that_a_bridge_keeps_are_bounded",
        new="if True:",
    ),
    _outside(
        "bound of the values of a label",
        "integrations/prometheus",
        "label = label[:200] if position < _MOST_VALUES - 1 else _OTHER",
        "tests/test_integration_prometheus.py",
        "tests/test_injection.py",
        new="label = label[:200]",
    ),
    _outside("bound of what is tried on a text", "redactors/_attempts", "        self._left[0] -= 1\n", PUMPS, new=""),
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
    _without(
        "copies for sinks with a route",
        "routing",
        "[event.copy() for event in cast",
        ROUTING,
        new="[event for event in cast",
    ),
    _without("sealing of copies for a sink's own redactors", "redaction", "copied._sealed = True", SINK_REDACTORS),
    _without("sealing of a route's events", "routing", "            event._sealed = True\n", ROUTING, new=""),
    _without("noting of a sink's own redactor's failure", "redaction", "self.failed_at.append(event)", SINK_REDACTORS),
    _outside(
        "hiding of what was not tried",
        "redactors/_texts",
        "            inside.append(rest)",
        PUMPS,
        new="            pass",
    ),
    _outside(
        "hiding of what a finder alone did not try",
        "redactors/_detectors",
        "            found.append(rest)",
        PUMPS,
        new="            pass",
    ),
    _outside(
        "hiding beyond the longest text",
        "redactors/_pass",
        "            rest = engine.replacements.mask\n",
        REDACTOR,
        new="",
    ),
    _outside(
        "hiding after the time limit",
        "redactors/_pass",
        "if perf_counter() > self._deadline:",
        REDACTOR,
        new="if False:",
    ),
    _outside(
        "hiding of what is too deep",
        "redactors/_pass",
        "if depth >= self._engine.limits.depth:",
        REDACTOR,
        new="if False:",
    ),
    _outside(
        "hiding of what is too much",
        "redactors/_pass",
        "        if self._values < 0:\n",
        REDACTOR,
        new="        if False:\n",
    ),
    _outside(
        "masking of a value whose redaction fails",
        "redactors/_pass",
        "                new_value = self._unseen(ERROR, (path, new_key))",
        REDACTOR,
        new="                new_value = value",
    ),
    _outside(
        "masking of a header",
        "integrations/_secret_names",
        "return MASK if self.is_secret(name) else self.text(value)",
        ASGI_TOLD,
        new="return self.text(value)",
    ),
    _outside(
        "masking of a parameter",
        "integrations/_secret_names",
        'return f"{name}={MASK}" if hides else parameter',
        ASGI_TOLD,
        new="return parameter",
    ),
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
        "mark behind a replaced pipeline's last event",
        "intake",
        "        self._roll()  # the fresh open chunk is behind the mark\n",
        RELOAD,
        new="",
    ),
    _without(
        "a reload that was given up",
        "succession",
        "may_take_over = may_take_over and not self._given_up",
        RELOAD,
        new="pass",
    ),
    _without(
        "numbers that go on after a reload",
        "fanout",
        "return next((one.numbering for one in self._selections if one.route == route), Numbering())",
        RELOAD,
        new="return Numbering()",
    ),
    _without(
        "errors that do not give way",
        "eviction",
        "        if any(record[1] >= Level.ERROR for record in first):\n            return 0\n",
        OVERFLOW,
        LEDGER,
        new="",
    ),
    _without(
        "order of those who wait",
        "waiting",
        "            self._admit(0)\n",
        OVERFLOW,
        new="            self._admit(len(waiters) - 1)\n",
    ),
    _without("congestion after a wait that timed out", "waiting", "        self.congested = True\n", OVERFLOW, new=""),
    _without(
        "the reserve for errors that wait",
        "waiting",
        "if waiters[position].record[1] >= Level.ERROR:",
        OVERFLOW,
        new="if True:",
    ),
    _outside(
        "release of what a scope holds at an error",
        "scopes",
        "                scope.ring.release()",
        SCOPES,
        new="                pass",
    ),
    _outside(
        "order of what a scope lets go",
        "scopes",
        "held = sorted(self._held, key=_time_of)",
        SCOPES,
        new="held = list(self._held)",
    ),
    _outside(
        "mark of an event after the scope's end",
        "scopes",
        "            record = _marked_late(record)",
        SCOPES,
        new="            pass",
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
    if record[5] is INSIDE_PLUGIN:""",
        """def _nowait_submit(logger: NowaitLogger, record: Record) -> bool:
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

KINDS: dict[str, tuple[Mutation, ...]] = {
    "Counters": COUNTERS,
    "Shields": SHIELDS,
    "Deadlines and bounds": DEADLINES,
    "Redaction": REDACTION,
    "Others": OTHERS,
    "Confirmed calls": CONFIRMING,
}
MUTATIONS: tuple[Mutation, ...] = tuple(mutation for mutations in KINDS.values() for mutation in mutations)
