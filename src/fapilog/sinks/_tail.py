"""The last line of a file whose writer was killed or cut short: kept if it is whole, else removed."""

from __future__ import annotations

import os

import orjson

_BLOCK = 65536
_FARTHEST = 8 * 1024 * 1024


def mend_tail(descriptor: int, size: int, json: bool) -> tuple[int, bool]:
    """Remove a torn last line; only while nobody else writes the file.

    A last line without its newline stays if it is a complete JSON object, or is none of ours. What a
    power failure left as zeros at the end is removed.

    Parameters:
        descriptor: readable and writable.
        size: the file's size in bytes.
        json: whether the file's records are JSON objects.

    Returns:
        The file's size now, and whether a newline is needed before the next record.

    Raises:
        OSError: if the file cannot be read or cut.
    """
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return size, False
    tail = _after_last_newline(descriptor, size)
    if tail is None:
        return size, True
    kept = tail.rstrip(b"\0")
    if json and kept.startswith(b"{") and not _is_json(kept):
        kept = b""
    if kept != tail:
        size -= len(tail) - len(kept)
        os.ftruncate(descriptor, size)
    return size, bool(kept)


def _after_last_newline(descriptor: int, size: int) -> bytes | None:
    """Return the last line, or None if it is longer than any record of ours."""
    tail = b""
    start = size
    while start > 0 and size - start < _FARTHEST:
        length = min(_BLOCK, start)
        start -= length
        block = os.pread(descriptor, length, start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            return block[newline + 1 :] + tail
        tail = block + tail
    return tail if start == 0 else None


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True
