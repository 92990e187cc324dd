"""Log N events, so that a count of the instructions of N and of 2 N tells what one takes."""

from __future__ import annotations

import gc
import os
from typing import Any

from ..child import RESULT
from ..peers import fapilog_
from ..peers.interface import Target, make_loop


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Log the events; a call alone is counted without what happens to the events later."""
    events = options["events"]
    target = Target(None, events, options={"queue_max_size": 1_000_000, "sink": options["sink"]})
    alone = options["kind"] != "enabled"
    async with fapilog_.opened(target) as calls:
        loop = make_loop(calls, options["kind"], synchronous=alone)
        gc.disable()  # when it runs depends on everything, and what it costs on how much there is
        if alone:
            loop(range(events))
            print(f"{RESULT}{{}}", flush=True)
            os._exit(0)
        await loop(range(events))
    return {}
