"""One open log file: whole records are appended to it with ``os.write``, or taken back."""

from __future__ import annotations

import errno
import os
import stat
from bisect import bisect_right

from ..plugins.batch import Batch
from ._file_lock import unlock
from ._open_file import open_for_appending
from ._tail import mend_tail

_LARGEST_WRITE = 1024 * 1024
_NEWLINE = 10


class LogFile:
    """An open log file; who writes it holds its lock, if it has one."""

    __slots__ = ("_device", "_inode", "descriptor", "distrusted", "modified", "regular", "size", "torn")

    def __init__(self, path: str, mode: int) -> None:
        """Open the file at *path*, or create it with the permissions *mode*.

        Raises:
            OSError: if it cannot be opened.
        """
        self.descriptor, status = open_for_appending(path, mode)
        self._device = status.st_dev
        self._inode = status.st_ino
        self.regular = stat.S_ISREG(status.st_mode)
        """Whether it is an ordinary file, not a FIFO, terminal or device."""
        self.modified = status.st_mtime if status.st_size else None
        """When it was last written before it was opened; None if it was empty."""
        self.size = -1
        """Bytes in the file as far as this process knows; -1 when it must look."""
        self.torn = False
        """Whether the file ends in the middle of a line that cannot be removed."""
        self.distrusted = False
        """Whether synchronising failed, after which the descriptor is not used again."""

    @property
    def device(self) -> int:
        """The number of the device that it is on."""
        return self._device

    def is_at(self, path: str) -> os.stat_result | None:
        """Return the file's status if it is still the one at *path*; None if it must be opened again."""
        if self.distrusted:
            return None
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status if status.st_ino == self._inode and status.st_dev == self._device else None

    def is_same(self, other: LogFile) -> bool:
        """Return whether *other* is the same file, opened again."""
        return self._inode == other._inode and self._device == other._device

    def settle(self, size: int, exclusive: bool, json: bool) -> None:
        """Take note of the file's *size*; if others changed it, remove what a killed writer left half done."""
        if size != self.size and exclusive:
            try:
                size, self.torn = mend_tail(self.descriptor, size, json)
            except OSError:
                pass  # not readable, or a disk error that the write will meet as well
        self.size = size

    def append(self, data: memoryview) -> tuple[int, OSError | None]:
        """Write *data* at the end.

        Returns:
            How many of its bytes were written, and the error that stopped it.
        """
        # Should an interrupt leave this method half way, the next write looks at the file's tail.
        size, self.size = self.size, -1
        written = 0
        try:
            if self.torn:
                os.write(self.descriptor, b"\n")
                self.torn = False
                size += 1
            while written < len(data):
                count = os.write(self.descriptor, data[written : written + _LARGEST_WRITE])
                if not count:
                    raise OSError(errno.EIO, "the system wrote nothing and gave no reason")
                written += count
        except OSError as error:
            return written, error
        self.size = size + written
        return written, None

    def withdraw(self, data: memoryview, exclusive: bool) -> None:
        """Take *data*, which was appended last, back out of the file; where that cannot be done, end its line."""
        if not data:
            return
        if exclusive and self.regular:
            try:
                end = os.lseek(self.descriptor, 0, os.SEEK_CUR)
                if os.fstat(self.descriptor).st_size == end:
                    os.ftruncate(self.descriptor, end - len(data))
                    return
            except OSError:
                pass
        self.torn = data[-1] != _NEWLINE

    def sync(self) -> OSError | None:
        """Force what was written to the disk; return what went wrong.

        After an error the descriptor is distrusted: the system forgets what it could not write, and says so once.
        """
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            if self.regular or error.errno not in (errno.EINVAL, errno.ENOTSUP):
                self.distrusted = True
                return error
        return None

    def close(self) -> None:
        """Close it."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            unlock(descriptor)
            try:
                os.close(descriptor)
            except OSError:
                pass  # closed by somebody else; there is nothing left to give back


class RecordEnds:
    """Where each event's record ends in a batch's payload; looked up only when a batch has to be cut."""

    def __init__(self, batch: Batch, payload: bytes, format: str) -> None:
        self._batch = batch
        self._payload = payload
        self._format = format
        self._ends: list[int] | None = None

    def _all(self) -> list[int]:
        ends = self._ends
        if ends is None:
            payload = self._payload
            ends = list[int]()
            if payload.count(b"\n") == len(self._batch):
                while (newline := payload.find(b"\n", ends[-1] if ends else 0)) >= 0:
                    ends.append(newline + 1)
            else:
                for position in range(len(self._batch)):
                    record = self._batch.select((position,)).encoded(self._format)
                    ends.append((ends[-1] if ends else 0) + len(record))
                if ends[-1:] != [len(payload)]:
                    ends = []  # records that depend on their neighbours: the batch is one piece
            self._ends = ends
        return ends

    def last_until(self, offset: int) -> int:
        """Return the end of the last record that ends at or before *offset*; 0 if there is none."""
        ends = self._all()
        count = bisect_right(ends, offset)
        return ends[count - 1] if count else 0

    def first_after(self, offset: int) -> int:
        """Return the end of the first record that ends after *offset*."""
        ends = self._all()
        position = bisect_right(ends, offset)
        return ends[position] if position < len(ends) else len(self._payload)

    def count_until(self, offset: int) -> int:
        """Return how many records end at or before *offset*."""
        return bisect_right(self._all(), offset)
