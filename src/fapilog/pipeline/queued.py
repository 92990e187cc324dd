"""What is in the intake's queue, and what it may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import anyio

from ..settings import OverflowStrategy

if TYPE_CHECKING:
    from ..event import Record


class Chunk(list["Record"]):
    """Events in the order of their calls."""

    __slots__ = ("counted", "only_errors")

    counted: int
    """How many of its events the intake's count of queued events includes; set when it is closed."""
    only_errors: bool
    """Whether an eviction has found nothing but errors in it, after it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = 0
        self.only_errors = False


class Barrier:
    """A mark in the flow of events: ``passed`` is set when everything before it has reached the sinks' streams."""

    __slots__ = ("passed",)

    def __init__(self) -> None:
        self.passed: anyio.Event = anyio.Event()


class Handover(Barrier):
    """The mark behind which events are another pipeline's: the *workers* that meet it have taken their last."""

    __slots__ = ("workers",)

    def __init__(self, workers: object) -> None:
        super().__init__()
        self.workers: object = workers


class Admission(NamedTuple):
    """The settings of the intake."""

    capacity: int
    reserved: int
    """The part of the capacity that only ERROR and above may use."""
    strategy: OverflowStrategy
    block_timeout: float
    slow_calls: bool = False
    """Whether each call needs more than the quick path gathers, such as its call site."""
