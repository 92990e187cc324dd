"""Log N and 2 N events in children of one process, so that a counter of instructions tells what one event takes.

They are forked after the imports, so that these are paid once: under valgrind they take most of the time.
"""

from __future__ import annotations

import gc
import json
import os

import anyio

from ..child import RESULT
from ..peers import fapilog_
from ..peers.interface import Target, make_loop

EVENTS = 3_000
KINDS = {
    "call": ("nowait", "hanging"),
    "disabled call": ("disabled nowait", "hanging"),
    "call and pipeline": ("enabled", "idle"),
    "call, pipeline and encoder": ("enabled", "encoding"),
}
"""The kind of call and the sink; a call whose events go nowhere is counted alone."""


async def log(kind: str, sink: str, events: int) -> None:
    """Log the events; what would happen to them later is left out where the call is counted alone."""
    target = Target(None, events, options={"queue_max_size": 1_000_000, "sink": sink})
    async with fapilog_.opened(target) as calls:
        loop = make_loop(calls, kind, synchronous=sink == "hanging")
        gc.collect()  # has seen the loop's code, as that of a program in service
        gc.disable()  # when it runs depends on everything, and what it costs on how much there is
        if sink == "hanging":
            loop(range(events))
            os._exit(0)
        await loop(range(events))


def in_a_child(kind: str, sink: str, events: int) -> int:
    """Log in a forked process and return its number."""
    child = os.fork()
    if not child:
        anyio.run(log, kind, sink, events)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"the process that logs for {kind} failed")
    return child


def main() -> None:
    anyio.run(log, "enabled", "encoding", 100)  # whatever is imported or made once is paid before the forks
    gc.enable()
    children = {
        name: [in_a_child(kind, sink, events) for events in (EVENTS, 2 * EVENTS)]
        for name, (kind, sink) in KINDS.items()
    }
    print(f"{RESULT}{json.dumps({'events': EVENTS, 'children': children})}", flush=True)


if __name__ == "__main__":
    main()
