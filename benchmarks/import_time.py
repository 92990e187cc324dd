"""Measure what importing fapilog adds to importing anyio, attrs and orjson: medians over fresh interpreters.

Run it with the Python that fapilog is installed in: ``python benchmarks/import_time.py [ROUNDS]``.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys

BASE = "import anyio, attrs, orjson"


def milliseconds(code: str) -> float:
    """Return the time that the imports of *code* take in a fresh interpreter, as ``-X importtime`` counts it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, check=True, text=True, env=environment
    ).stderr
    return sum(int(own) for own in re.findall(r"import time:\s+(\d+) \|", told)) / 1000


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    # In turn, so that a change of the machine's speed strikes both alike; the first round fills the caches.
    pairs = [(milliseconds(BASE), milliseconds(f"{BASE}, fapilog")) for _ in range(rounds + 1)][1:]
    base = statistics.median(first for first, _ in pairs)
    both = statistics.median(second for _, second in pairs)
    print(f"{BASE}: {base:.1f} ms; with fapilog: {both:.1f} ms; added: {both - base:.1f} ms")


if __name__ == "__main__":
    main()
