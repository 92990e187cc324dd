"""Bodies: what a request or a response carries, bounded, and told only with its secrets masked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import orjson

from ._asgi_types import Header
from ._secret_names import MASK, Masking

_DEEPEST = 32
_FORM = "application/x-www-form-urlencoded"


class Body:
    """Keeps one body, if it is not too long.

    Parameters:
        limit: how many bytes are kept at most.
    """

    __slots__ = ("_content", "_limit", "is_whole")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._content = bytearray()
        self.is_whole: bool = True
        """Whether nothing came beyond the limit."""

    def add(self, chunk: bytes) -> None:
        """Keep what of *chunk* there is room for."""
        room = self._limit - len(self._content)
        if len(chunk) > room:
            self.is_whole = False
            chunk = chunk[:room]
        self._content += chunk

    def told(self, headers: Iterable[Header], masking: Masking) -> Any:
        """Return what may be told: JSON as data, forms and texts as text; of anything else only what it is.

        What cannot be read as what the headers say that it is cannot be searched for secrets either, and is not told.
        What was cut at the limit is such a thing: JSON without its end, or a text that ends in half a secret.
        """
        if not self._content:
            return None
        content_type, encoding = _kind(headers)
        if encoding not in ("", "identity"):
            return f"<{encoding[:32]}>"
        if not self.is_whole:
            return f"<more than {self._limit} bytes>"
        if content_type == "application/json" or content_type.endswith("+json"):
            return _json(self._content, masking)
        if content_type == _FORM:
            return masking.query(self._content.decode("utf-8", "replace"))
        if content_type.startswith("text/"):
            return masking.text(self._content.decode("utf-8", "replace"))
        return f"<{content_type[:64] or 'no content type'}>"


def _json(content: bytearray, masking: Masking) -> Any:
    try:
        return _masked(orjson.loads(content), masking, _DEEPEST)
    except orjson.JSONDecodeError:
        return "<no JSON>"


def _kind(headers: Iterable[Header]) -> tuple[str, str]:
    """Return the media type and the content coding, in lower case."""
    content_type = encoding = b""
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"content-type":
            content_type = value
        elif lowered == b"content-encoding":
            encoding = value
    media_type = content_type.partition(b";")[0]
    return media_type.strip().lower().decode("latin-1"), encoding.strip().lower().decode("latin-1")


def _masked(value: Any, masking: Masking, depth: int) -> Any:
    if isinstance(value, str):
        return masking.text(value)
    if isinstance(value, dict | list) and depth == 0:
        return MASK
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return {name: MASK if masking.is_secret(name) else _masked(item, masking, depth - 1) for name, item in members}
    if isinstance(value, list):
        items = cast("Iterable[Any]", value)
        return [_masked(item, masking, depth - 1) for item in items]
    return value
