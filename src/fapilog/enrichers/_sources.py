"""Where the enrichers that describe the process's surroundings read: small files and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

_LARGEST = 1 << 18
"""Bytes that are read of one file, at most."""


class Sources:
    """The environment variables and the files that a process can see.

    Parameters:
        environment: the variables; None for those of the process, as they are when they are asked for.
        root: the directory that stands for ``/``.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, root: str = "/") -> None:
        self._environment = environment
        self._root = root

    def variable(self, *names: str) -> str:
        """Return the first of the environment variables that is neither missing nor empty, else an empty text."""
        environment = os.environ if self._environment is None else self._environment
        return next((value for name in names if (value := environment.get(name, "").strip())), "")

    def path(self, path: str) -> str:
        """Return where the absolute *path* is."""
        return os.path.join(self._root, path.lstrip("/"))

    def exists(self, path: str) -> bool:
        """Return whether there is something at *path*."""
        return os.path.exists(self.path(path))

    def text(self, path: str) -> str:
        """Return what is in the file at *path*, without the white space around; empty if it cannot be read."""
        try:
            with open(self.path(path), "rb") as file:
                return file.read(_LARGEST).decode("utf-8", "replace").strip()
        except (OSError, ValueError):
            return ""


def known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that are not empty."""
    return {name: value for name, value in attributes.items() if value not in ("", None)}
