"""Mutations of calls that wait for delivery."""

from __future__ import annotations

from .mutation import CONFIRMED, INTERRUPTED, Mutation, without

CONFIRMING: tuple[Mutation, ...] = (
    without(
        "confirmed call's shield",
        "confirming",
        "anyio.CancelScope(deadline=self._deadline, shield=True)",
        INTERRUPTED,
        new="anyio.CancelScope(deadline=self._deadline)",
    ),
    without(
        "confirmed call's native cancellation",
        "confirming",
        "interruption = interruption or cancellation",
        INTERRUPTED,
        new="pass",
    ),
    without(
        "confirmed call's place in the clean-up of a cancellation",
        "confirming",
        "if handling_cancellation(self._intake.backend.cancelled_class):",
        INTERRUPTED,
        new="if False:",
    ),
    without(
        "confirmed call's haste in the intake",
        "confirming",
        "        self._intake.urgent = True",
        CONFIRMED,
        new="        pass",
    ),
    without(
        "confirmed call's haste at the sink",
        "delivery",
        "return bool(self._confirmations) and self._confirmations.hurry(write.in_place_of or self)",
        CONFIRMED,
        new="return False",
    ),
    without(
        "confirmed call's own time to wait for room",
        "confirming",
        "if self._timeout >= intake.admission.block_timeout:",
        CONFIRMED,
        new="if True:",
    ),
    without("end of a confirmed call evicted", "confirmations", 'tracked.end("dropped", "evicted")', CONFIRMED),
    without("end of a confirmed call taken out", "confirmations", "tracked.end(state, plugin)", CONFIRMED),
    without("copies of a confirmed event", "confirmations", "tracked.copies += left - number", CONFIRMED),
    without("end of a confirmed call withheld", "steps", 'tracked.end("withheld", self.name)', CONFIRMED, new="pass"),
    without(
        "confirmed parts of a partial write",
        "confirmations",
        "if tracked is not None and position not in without:",
        CONFIRMED,
        new="if tracked is not None:",
    ),
    without(
        "end of a confirmed call abandoned at a sink",
        "delivery",
        'self._confirmations.lost_at(self, "abandoned", "deadline")',
        CONFIRMED,
    ),
    without(
        "end of a confirmed call abandoned in the stages",
        "pipeline",
        "self.intake.confirmations.abandon(self._workers, and_queued=self._has_intake)",
        CONFIRMED,
    ),
    without(
        "confirmed call's sinks that are required",
        "fanout",
        "for one in self.deliveries if one.required]",
        CONFIRMED,
        new="for one in self.deliveries]",
    ),
    without(
        "confirmed call's own answer for each sink that falls back",
        "sink_stream",
        "following.in_place_of is not first.in_place_of or ",
        CONFIRMED,
        new="",
    ),
    without(
        "confirmed call's withdrawal from the room it waits for",
        "confirming",
        "        intake._waiting.withdraw(waiter)",
        CONFIRMED,
        INTERRUPTED,
        new="        pass",
    ),
    without(
        "end of a confirmed call when the program is interrupted",
        "confirmations",
        'tracked.end("abandoned", "interrupted")',
        INTERRUPTED,
    ),
    without(
        "wake-up with frames enough left confirmed",
        "intake",
        "        need_frames(_FRAMES_TO_WAKE)\n",
        INTERRUPTED,
        new="",
    ),
    without(
        "telling of an event whose write on the loop was cut off",
        "delivery",
        "        self._current = write\n        self._in_hand = self._being_written = number",
        CONFIRMED,
        new="        self._in_hand = self._being_written = number",
    ),
)
