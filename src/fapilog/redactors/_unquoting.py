"""Texts without their URL-quoting."""

from __future__ import annotations

from urllib.parse import unquote_plus

from .._accelerated import accelerator


def unquoted(text: str) -> str:
    """Return *text* with the characters that ``%`` and two digits stand for, and with spaces for ``+``."""
    if accelerator is not None and text.isascii():
        plain: str = accelerator.unquoted(text)
        return plain
    return unquote_plus(text)
