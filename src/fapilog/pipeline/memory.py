"""Memory for the events to come, had from the kernel before a call needs it.

The kernel gives a process each page of memory at its first use, and takes ten times as long for that as a log call.
In a queue that grows, one call of fifteen would be the one that waits for it.
"""

from __future__ import annotations

from itertools import repeat

_BLOCK = 512 - 33
"""The content of a bytes object, the head of which takes 33, that fills 512 bytes: more than an event takes, with four
fields and the context. It is also the largest block that Python's allocator cuts from its pools
(``SMALL_REQUEST_THRESHOLD`` in its ``obmalloc.c``): what it keeps of such a block serves any size.
"""
_MOST_EVENTS = 256
"""Where a processor has made many events of each, more would hold up the event loop for no use."""


def touch_ahead(events: int) -> None:
    """Use the memory that so many *events* more will need, and give it back to Python.

    Nothing of this is a Python frame, so that no signal handler runs in the midst of it.
    """
    try:
        list(map(bytes, repeat(_BLOCK, min(events, _MOST_EVENTS))))
    except MemoryError:  # the events may still find some
        pass
