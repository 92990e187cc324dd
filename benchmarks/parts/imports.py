"""Imports: what importing fapilog adds to importing what it depends on, and what the first container brings in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..import_time import BASE, milliseconds
from ..measure import Case
from ..samples import summary
from ..selection import Selection
from ..tables import Cases, spread, table, values

ROUNDS = 15
STATEMENTS = {
    "base": BASE,
    "with fapilog": f"{BASE}, fapilog",
    "with a container": f"{BASE}, fapilog; fapilog.AsyncLoggingContainer()",
}


def cases(selection: Selection) -> Iterator[Case]:
    """Yield the imports without fapilog, with it, and with a first container."""
    for name in STATEMENTS:
        yield Case(name, {})


def run(case: Case) -> dict[str, Any]:
    """Import in a fresh interpreter."""
    return {"ms": milliseconds(STATEMENTS[case.name])}


def tables(found: Cases) -> str:
    """Show them, and the differences of the medians."""
    rows = [[f"`{STATEMENTS[name]}`", spread(found, name, "ms")] for name in found]
    without, with_it, with_container = (summary(values(found, name, "ms"))["median"] for name in STATEMENTS)
    rows.append(["added by fapilog", f"{with_it - without:.1f}"])
    rows.append(["added by the first container's imports", f"{with_container - with_it:.1f}"])
    return table(["import", "ms"], rows)
