"""Files for loggers that write bytes to a file they are given."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO

BUFFER_SIZE = 65_536


@contextmanager
def opened_binary(path: str | None, buffering: int = -1) -> Iterator[BinaryIO]:
    """Open the file, or the standard output, and have everything written when the block ends."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with open(path, "ab", buffering) as file:
        yield file


class Unflushed:
    """A file that a logger cannot flush after every line: what it holds is written when its buffer is full."""

    def __init__(self, file: IO[Any]) -> None:
        self.write = file.write

    def flush(self) -> None:
        """Do nothing."""
