"""Mutations of what keeps order, and whatever else a test has to notice."""

from __future__ import annotations

from .mutation import (
    DELIVERY,
    INTERRUPTS,
    LEAVING,
    LEDGER,
    OVERFLOW,
    RELOAD,
    SCOPES,
    STAGES,
    TURNS,
    Mutation,
    outside,
    without,
)

OTHERS: tuple[Mutation, ...] = (
    without(
        "flush ticket: the barrier behind what was admitted",
        "pipeline",
        "await self.intake.put_barrier().passed.wait()",
        "tests/test_containers.py",
        DELIVERY,
    ),
    without(
        "flush ticket: the position in the sink's stream",
        "delivery",
        "request.position <= reached",
        DELIVERY,
        new="True",
    ),
    without(
        "order of batches before the fan-out",
        "stages",
        "            await self._turnstile.enter(ticket)\n            await self._following.accept(goes_on)",
        "tests/test_order.py",
        STAGES,
        new="            await self._following.accept(goes_on)",
    ),
    without(
        "order of batches behind a stage",
        "stages",
        "                await turnstile.enter(ticket)\n                await self._following.accept(items)\n",
        "tests/test_order.py",
        STAGES,
        new="                await self._following.accept(items)\n",
    ),
    without(
        "one probe at a time",
        "breaker",
        "if self._probing or self._clock() < self._probe_at:",
        DELIVERY,
        new="if self._clock() < self._probe_at:",
    ),
    without(
        "end of a probe whose write was cut off",
        "delivery",
        """            self._note_cut_off()
            self._breaker.failed()  # also ends a probe, which nothing else would
        while""",
        f"{LEAVING}::TestNativeCancellation",
        new="""            self._note_cut_off()
        while""",
    ),
    without(
        "rate limit of the summaries of losses",
        "fanout",
        "        self._next_time = now + LOSS_INTERVAL\n",
        "tests/test_loss.py",
        new="",
    ),
    without(
        "mark behind a replaced pipeline's last event",
        "intake",
        "        self._roll()  # the fresh open chunk is behind the mark\n",
        RELOAD,
        new="",
    ),
    without(
        "a reload that was given up",
        "succession",
        "may_take_over = may_take_over and not self._given_up",
        RELOAD,
        new="pass",
    ),
    without(
        "numbers that go on after a reload",
        "fanout",
        "return next((one.numbering for one in self._selections if one.route == route), Numbering())",
        RELOAD,
        new="return Numbering()",
    ),
    without(
        "errors that do not give way",
        "eviction",
        "            if record[1] >= Level.ERROR:\n                return 0\n",
        OVERFLOW,
        LEDGER,
        new="            pass\n",
    ),
    without(
        "order of those who wait",
        "waiting",
        "            self._admit(0)\n",
        OVERFLOW,
        new="            self._admit(len(waiters) - 1)\n",
    ),
    without("congestion after a wait that timed out", "waiting", "        self.congested = True\n", OVERFLOW, new=""),
    without(
        "the reserve for errors that wait",
        "waiting",
        "if waiters[position].record[1] >= Level.ERROR:",
        OVERFLOW,
        new="if True:",
    ),
    outside(
        "release of what a scope holds at an error",
        "scopes",
        "                scope.ring.release()",
        SCOPES,
        new="                pass",
    ),
    outside(
        "order of what a scope lets go",
        "scopes",
        "held = sorted(self._held, key=_time_of)",
        SCOPES,
        new="held = list(self._held)",
    ),
    outside(
        "mark of an event after the scope's end",
        "scopes",
        "            record = _marked_late(record)",
        SCOPES,
        new="            pass",
    ),
    without(
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
        "submitting.py",
        """    if record[5] is INSIDE_PLUGIN:
        logger._intake._counts.rejected_reentrant += 1
        return False
""",
        """    if False:
        logger._intake._counts.rejected_reentrant += 1
        return False
""",
        (STAGES, LEAVING),
    ),
    without(
        "end of a sink's task whose stream was freed",
        "channel",
        "(WouldBlock, EndOfStream, ClosedResourceError)",
        INTERRUPTS,
        new="(WouldBlock, EndOfStream)",
    ),
    without(
        "emptying of a stream that is freed",
        "channel",
        "while self.take_nowait() is not None:",
        INTERRUPTS,
        new="while False:",
    ),
    without(
        "second giving of turns when an interrupt strikes the first",
        "turns",
        "self._give_turns()  # or those who wait might do so for ever",
        TURNS,
    ),
)
