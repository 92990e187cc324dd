"""The span of a request: its event may wait for room in the queue once nobody waits for the response any more."""

from __future__ import annotations

from ..event import Record
from ..logger import NowaitLogger
from ..pipeline.awaitables import ACCEPTED, Acceptance
from ..settings import OverflowStrategy
from ..span_plans import Plan
from ..spans import Span
from ..submitting import async_submit


class RequestSpan(Span):
    """A span whose event may wait, under ``BLOCK``, until there is room for it: after the block, by its owner.

    Leaving the block never waits, as with every span. An event without room counts as dropped until it is waited for.
    """

    __slots__ = ("acceptance", "may_wait")

    def __init__(self, logger: NowaitLogger, name: str, traceparent: str | None, plan: Plan | None) -> None:
        super().__init__(logger, name, {}, traceparent=traceparent, plan=plan)
        self.may_wait: bool = False
        """Whether the owner awaits ``acceptance`` when it has left the block."""
        self.acceptance: Acceptance = ACCEPTED
        """What submitting the event has returned: awaited, it waits as a log call does."""

    def _submit(self, record: Record) -> bool:
        logger = self._logger
        if not self.may_wait or logger._intake.admission.strategy is not OverflowStrategy.BLOCK:
            return super()._submit(record)
        self.acceptance = async_submit(logger, record)
        return logger._intake.has_accepted(self.acceptance)
