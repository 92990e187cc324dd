"""The watch over an event loop: a thread that looks where the loop's thread is while a step takes long.

On Trio the beginning and the end of each step are known, so how long it took is exact, and the thread sleeps while the
loop waits. asyncio tells of neither: there the thread has a callback run on the loop whenever the loop is at work, and
the time until it runs is how long the loop was held at least.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections.abc import Callable
from contextvars import Context
from operator import itemgetter
from threading import Event, Thread, get_ident
from time import perf_counter
from types import FrameType
from typing import Any, Protocol

from ..values import FrozenDict

_TICKS = 4
"""How often the thread looks within one threshold."""
_MOST_FRAMES = 64
_MOST_SAMPLES = 64
"""Tasks that are told apart in one turn of an asyncio loop."""
_STOP_WAIT = 1.0
"""Seconds that leaving waits for the thread; it may be logging."""
_LOOP_FILES = ("/trio/_core/_run.py", "/asyncio/events.py", "/asyncio/base_events.py", "/asyncio/runners.py")
"""Where a thread's stack becomes the event loop's own."""
_IDLE_FILES = frozenset({selectors.__file__, asyncio.runners.__file__, asyncio.base_events.__file__})
"""Where the innermost Python frame of an asyncio loop's thread is while it waits; the second is uvloop's."""

Stack = tuple[FrozenDict, ...]
"""Frames as ``{file, line, function}``, the innermost last, as those of an exception."""
Report = Callable[[Any, float, Stack], object]
"""Is told of the task that held the loop (None if it was a callback), for how many seconds, and where."""


class Watched(Protocol):
    """What the thread looks at."""

    idle: bool
    """Whether the loop waits, and says so itself when it goes on."""

    def look(self) -> None:
        """See whether the loop is held; in the watching thread."""
        ...


class Steps:
    """The steps of Trio's tasks, as they begin and end."""

    def __init__(self, threshold: float, report: Report) -> None:
        self._threshold = threshold
        self._report = report
        self._thread = get_ident()
        self._running: Any = None
        self._serial = 0
        self._began = 0.0
        self._sample: tuple[int, Stack] | None = None
        self._told = 0
        """The step of which no further sample is needed."""
        self.idle: bool = False
        self.wake: Callable[[], object] | None = None
        """Wakes the thread if it sleeps."""

    def began(self, task: Any) -> None:
        """Take notice of a step's beginning; for each step."""
        self._serial += 1
        self._began = perf_counter()
        self._running = task

    def ended(self, task: Any) -> None:
        """Report a step that took too long, at its end; for each step."""
        held = perf_counter() - self._began
        began_here, self._running = self._running is task, None
        if held >= self._threshold and began_here:
            sample, self._sample = self._sample, None
            self._report(task, held, sample[1] if sample is not None and sample[0] == self._serial else ())

    def resume(self) -> None:
        """Have the thread look again, for the loop does not wait any more."""
        self.idle = False
        if self.wake is not None:
            self.wake()

    def look(self) -> None:
        serial = self._serial
        held = perf_counter() - self._began
        if self._running is None or held < self._threshold / 2 or self._told == serial:
            return
        stack = stack_of(self._thread)
        if serial == self._serial:
            self._sample = (serial, stack)
            if held >= self._threshold:
                self._told = serial


class Heartbeats:
    """The turns of an asyncio loop, as far as callbacks that are put into it see them."""

    def __init__(
        self, threshold: float, report: Report, loop: asyncio.AbstractEventLoop, current: Callable[[], Any]
    ) -> None:
        self._threshold = threshold
        self._report = report
        self._loop = loop
        self._current = current
        self._thread = get_ident()
        self._posted: float | None = None
        self._samples: dict[int, tuple[int, Any, Stack]] = {}
        """How often each task was seen at work while the callback waits, and where it was the last time."""
        self.idle: bool = False

    def look(self) -> None:
        samples = self._samples  # before the look at ``_posted``: they belong together
        posted = self._posted
        if posted is None:
            if self._is_at_work():
                self._posted = perf_counter()
                self._loop.call_soon_threadsafe(self._beat, context=Context())
        elif perf_counter() - posted >= self._threshold / 2:
            node = self._current()
            key = 0 if node is None else id(node.task)
            if key in samples or len(samples) < _MOST_SAMPLES:
                times = samples[key][0] if key in samples else 0
                samples[key] = (times + 1, node, stack_of(self._thread))

    def _is_at_work(self) -> bool:
        if asyncio.current_task(self._loop) is not None:
            return True
        frame = sys._current_frames().get(self._thread)
        return frame is not None and frame.f_code.co_filename not in _IDLE_FILES

    def _beat(self) -> None:
        posted, self._posted = self._posted, None
        samples, self._samples = self._samples, {}
        if posted is None:
            return
        held = perf_counter() - posted
        if held >= self._threshold:
            _, node, stack = max(samples.values(), key=itemgetter(0), default=(0, None, ()))
            self._report(node, held, stack)


class LoopWatch:
    """The thread that looks.

    Parameters:
        watched: what it looks at.
        threshold: seconds; it looks four times in each.
    """

    def __init__(self, watched: Watched, threshold: float) -> None:
        self._watched = watched
        self._interval = threshold / _TICKS
        self._stop = False
        self._wake = Event()
        self._parked = False
        self._thread = Thread(target=Context().run, args=(self._run,), name="fapilog task tree", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, which takes no longer than one look."""
        self._stop = True
        self._wake.set()
        self._thread.join(_STOP_WAIT)

    def wake(self) -> None:
        """Let the thread look again; on the loop's thread."""
        if self._parked:
            self._wake.set()

    def _run(self) -> None:
        while not self._stop:
            self._parked = True  # before the look at ``idle``: whoever changes that looks at this afterwards
            idle = self._watched.idle
            if not idle:
                self._parked = False
            self._wake.wait(None if idle else self._interval)
            self._parked = False
            if not self._stop:
                self._wake.clear()
                self._look()

    def _look(self) -> None:
        try:
            self._watched.look()
        except Exception:
            pass  # the tasks changed while they were looked at, or the loop was closed: one look is missed


def stack_of(thread: int) -> Stack:
    """Return where that thread is, without what belongs to the event loop that runs there."""
    return frames_from(sys._current_frames().get(thread))


def frames_from(frame: FrameType | None) -> Stack:
    """Return *frame* and those around it, up to the event loop's own."""
    found: list[FrozenDict] = []
    while frame is not None and len(found) < _MOST_FRAMES:
        code = frame.f_code
        if code.co_filename.replace("\\", "/").endswith(_LOOP_FILES):
            break
        found.append(FrozenDict(file=code.co_filename, line=frame.f_lineno or 0, function=code.co_qualname))
        frame = frame.f_back
    return tuple(reversed(found))
