"""The built-in redactors, and the mark for a value that must not be shown."""

from __future__ import annotations

from .sensitive import Sensitive as Sensitive

__all__ = ("Sensitive",)
