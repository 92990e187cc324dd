"""What a logger under test looks like: where it writes, and the text of its log calls.

As :mod:`timeit` does, the suite compiles the loops around a call from the call's text. So every logger is called in
the same loop, in its own words, and without a wrapper that some of them would pay for and others not.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from textwrap import indent
from time import perf_counter_ns
from typing import Any, TypeAlias

MESSAGE = "request done"
CONTEXT = {"request_id": "r-1234", "tenant": "acme"}
FIELDS = "user_id=number, path='/items', status=200, latency_ms=1.25"
"""The fields of every event, as the arguments of a call; ``number`` is the loop's variable."""
FIELDS_DICT = "{'user_id': number, 'path': '/items', 'status': 200, 'latency_ms': 1.25}"
"""The same, for loggers that take a dictionary."""


@dataclass(frozen=True)
class Target:
    """Where and how a logger writes."""

    path: str | None
    """The file; None for the standard output."""
    events: int
    """How many events will come, for loggers that drop what exceeds a queue of fixed size."""
    plugins: bool = False
    """Whether a user's own filter and enricher, which read every event, are to run."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only this logger understands."""


@dataclass(frozen=True)
class Calls:
    """A logger's calls as text, and the names that the text uses."""

    names: Mapping[str, object]
    enabled: str
    """A call that logs one event."""
    disabled: str
    """The same call at a level that is not enabled."""
    enter: str
    """The statement, ``with`` or an assignment, that puts ``request_id`` and ``tenant`` into the context."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Other ways to log the same event, by name."""

    def call(self, kind: str) -> str:
        """Return the text of one kind of call."""
        return {"enabled": self.enabled, "disabled": self.disabled, **self.others}[kind]


OpenLogger: TypeAlias = Callable[[Target], AbstractAsyncContextManager[Calls]]
"""A module of this package has one such function, ``opened``."""


def make_loop(
    calls: Calls, kind: str = "enabled", *, timed: bool = False, synchronous: bool = False
) -> Callable[..., Any]:
    """Compile ``loop(numbers)``, which logs one event for each number under two context fields.

    A timed loop is ``loop(numbers, spent)``, and puts the nanoseconds that each call took into ``spent``, at its
    number. That has room for all: memory that grew would now and then be the kernel's to get, in the midst of a call.
    """
    call = calls.call(kind)
    if timed:
        call = f"began = clock()\n{call}\nspent[number] = clock() - began"
    body = f"for number in numbers:\n{indent(call, '    ')}"
    body = f"{calls.enter}\n{indent(body, '    ') if calls.enter.endswith(':') else body}"
    arguments = ["numbers", *(["spent"] if timed else [])]
    # As arguments they are local, which is faster than global.
    arguments += [f"{name}={value!r}" for name, value in CONTEXT.items()]
    arguments += [f"{name}={name}" for name in (*calls.names, "clock")]
    code = f"{'' if synchronous else 'async '}def loop({', '.join(arguments)}):\n{indent(body, '    ')}"
    namespace: dict[str, Any] = {"__name__": __name__, **calls.names, "clock": perf_counter_ns}
    exec(compile(code, f"<{kind} loop>", "exec"), namespace)
    made: Callable[..., Any] = namespace["loop"]
    return made


def nothing_spent(calls: int) -> array[int]:
    """Return what so many calls have taken before the first."""
    return array("q", bytes(8 * calls))


def timer_cost(rounds: int = 20_000) -> int:
    """Return the nanoseconds that a timed loop adds to each call: the median of the loop around nothing."""
    spent = nothing_spent(rounds)
    make_loop(Calls({}, "pass", "pass", "pass"), timed=True, synchronous=True)(range(rounds), spent)
    return sorted(spent)[rounds // 2]
