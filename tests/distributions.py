"""Distributions made up for tests: a folder with metadata and modules, as pip leaves them on ``sys.path``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

SINK = """
class Shipper:
    def write(self, batch): ...
"""


def add_distribution(
    folder: Path,
    name: str,
    entry_points: Mapping[str, str] | str,
    *,
    version: str = "1.2.3",
    requires: Iterable[str] = (),
    modules: Mapping[str, str] | None = None,
) -> Path:
    """Put a distribution into *folder* and return the folder of its metadata.

    Parameters:
        entry_points: entry points by group and name, such as ``{"fapilog.sinks:loki": "m:C"}``, or the whole text.
        modules: Python source by module name.
    """
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}", encoding="utf-8"
    )
    if not isinstance(entry_points, str):
        lines = []
        for key, value in entry_points.items():
            group, _, entry = key.partition(":")
            lines.append(f"[{group}]\n{entry} = {value}\n")
        entry_points = "".join(lines)
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    for module, source in (modules or {}).items():
        (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    return info
