"""Make tables and plots of the saved results, and put the tables into the documentation."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from . import results

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def section(part: str, saved: dict[str, Any]) -> str:
    """Return one part's tables."""
    shown: str = importlib.import_module(f"benchmarks.parts.{part}").tables(saved["cases"])
    return shown


def about(saved: dict[str, dict[str, Any]]) -> str:
    """Say where, when, with which versions and how the numbers were found."""
    newest = max(saved.values(), key=lambda one: one["date"])
    machine = newest["machine"]
    versions: dict[str, str] = {}
    for one in sorted(saved.values(), key=lambda one: one["date"]):
        # A part is measured with what it needs.
        versions |= {
            name: found for name, found in one["versions"].items() if found != results.ABSENT or name not in versions
        }
    found = [
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['system']}, {machine['python']}; {newest['date']}.",
        "Command: `nox -s bench -- PART` for each part, with these rounds on these days: "
        + ", ".join(f"{part} {one['rounds']} ({one['date']})" for part, one in saved.items())
        + ".",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
    ]
    return "\n".join(found)


def publish(sections: dict[str, str], page: Path = PAGE) -> None:
    """Put each section between its markers, ``<!-- results: NAME -->`` and ``<!-- end -->``, in the page."""
    text = page.read_text(encoding="utf-8")
    for name, shown in sections.items():
        marked = re.compile(rf"(<!-- results: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = marked.sub(lambda found, shown=shown: f"{found[1]}\n{shown}\n\n{found[2]}", text)
    page.write_text(text, encoding="utf-8")


def write(directory: Path, *, published: bool) -> None:
    """Write the summary and the plots beside the results, and the tables into the page if this is the repository's."""
    saved = results.load(directory)
    if not saved:
        return
    sections = {"about": about(saved), **{part: section(part, one) for part, one in saved.items()}}
    summary = [f"## {name}\n\n{shown}\n" for name, shown in sections.items()]
    (directory / "summary.md").write_text("# Results\n\n" + "\n".join(summary), encoding="utf-8")
    try:
        import matplotlib as mpl
    except ImportError:
        print("no plots: matplotlib is not installed")
    else:
        from . import plots

        print(f"plots by matplotlib {mpl.__version__}")
        plots.draw(saved, directory)
    if published:
        publish(sections)
