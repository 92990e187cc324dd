"""The accelerator, where the package was built with it: the plain case of the log call and of most lines, in C.

As PEP 399 has it for the standard library, everything in it stands in Python too and behaves the same.
"""

from __future__ import annotations

try:
    from . import _accelerator as accelerator
except ImportError:  # there was no C compiler, or this Python is not one that it is written for
    accelerator = None  # type: ignore[assignment]

__all__ = ("accelerator",)
