"""The results as JSON: one file for each part, with the machine, the versions, the command and every round."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from .measure import ORIGINAL_PYTHON, Found, environment
from .peers.catalogue import ENTRIES, entry

PARTS = (
    "throughput",
    "plugins",
    "redaction",
    "scopes",
    "call",
    "loop",
    "requests",
    "server",
    "scale",
    "instructions",
    "imports",
)
DIRECTORY = Path(__file__).parent / "results"
PACKAGES = ("anyio", "trio", "uvloop", "orjson", "attrs", "cattrs", "starlette", "uvicorn", "hypercorn", "matplotlib")

ABSENT = "not installed"
"""What stands in the place of a version."""


def version(package: str) -> str:
    """Return the version of an installed distribution, or that it is missing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ABSENT


def original_version() -> str:
    """Return the version of the original fapilog in its own environment."""
    python = os.environ.get(ORIGINAL_PYTHON)
    if not python:
        return ABSENT
    code = "from importlib.metadata import version; print(version('fapilog'))"
    ended = subprocess.run(
        [python, "-c", code], env=environment(entry("original")), capture_output=True, text=True, check=False
    )
    return ended.stdout.strip() or ABSENT


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    return {
        "processor": processor(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """Return the version of every package that is measured or used."""
    names = dict.fromkeys([*(one.package for one in ENTRIES if one.package), *PACKAGES])
    return {**{name: version(name) for name in names}, "fapilog (original)": original_version()}


def command(arguments: list[str]) -> str:
    """Return the command that repeats a run; where it saves what it finds is left out."""
    return re.sub(r" --results[ =]\S+", "", " ".join(["python -m benchmarks", *arguments]))


def about(rounds: int, seconds: float) -> dict[str, Any]:
    """Return what is said about a run."""
    return {
        "command": command(sys.argv[1:]),
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": rounds,
        "seconds": round(seconds),
        "machine": machine(),
        "versions": versions(),
    }


def as_json(found: Iterable[Found]) -> dict[str, Any]:
    """Return the rounds of every case."""
    return {
        one.case.name: {
            "label": one.case.entry.label if one.case.entry else one.case.name,
            "options": {name: value for name, value in one.case.options.items() if name not in ("task", "module")},
            "problem": one.problem,
            "runs": [] if one.problem else [rounded(run) for run in one.runs],
        }
        for one in found
    }


def rounded(value: Any) -> Any:
    """Keep five digits of every number: the rest is noise, and makes the files long."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def save(part: str, results: dict[str, Any], directory: Path = DIRECTORY) -> None:
    """Write the results of one part."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False)
    # One line for each run, so that a new run is a diff that can be read.
    (directory / f"{part}.json").write_text(compact(text) + "\n", encoding="utf-8")


def compact(text: str) -> str:
    """Put the objects at the depth of a run, and what is below, on one line each."""
    lines: list[str] = []
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip(" "))
        joined = depth > 4 or (depth == 4 and line.strip()[:1] in "]}")
        if joined and lines:
            lines[-1] += ("" if lines[-1].endswith(("{", "[")) or line.strip()[:1] in "]}" else " ") + line.strip()
        else:
            lines.append(line)
    return "\n".join(lines)


def load(directory: Path = DIRECTORY) -> dict[str, dict[str, Any]]:
    """Return the saved results of every part, by its name."""
    paths = [directory / f"{part}.json" for part in PARTS]
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()}
