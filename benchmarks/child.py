"""Run one measurement in this fresh process and print its result: ``python -m benchmarks.child OPTIONS-AS-JSON``."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from typing import Any

RESULT = "benchmark result: "
"""What the line with the result begins with."""


def peak_memory() -> int:
    """Return the bytes that this process took at most.

    Linux's ``ru_maxrss`` begins with what the parent took at the fork, so it is asked last.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_on(loop: str, function: Any, *arguments: Any) -> Any:
    """Run an async function on the event loop of that name."""
    import anyio

    if loop == "trio":
        return anyio.run(function, *arguments, backend="trio")
    return anyio.run(function, *arguments, backend="asyncio", backend_options={"use_uvloop": loop == "uvloop"})


def main() -> None:
    options = json.loads(sys.argv[1])
    module = importlib.import_module(f"benchmarks.tasks.{options['task']}")
    found = run_on(options["loop"], module.measure, options) if "loop" in options else module.measure(options)
    print(f"{RESULT}{json.dumps({**found, 'peak_memory': peak_memory()})}", flush=True)
    # A logger that hangs, as some are made to, must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
