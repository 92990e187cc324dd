"""The file at a path: locked for each write, opened again when it was replaced, and rotated."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from ..errors import TransientSinkError
from ._append import LogFile
from ._file_config import FileConfig
from ._file_lock import SidecarLock, try_lock, unlock
from ._local_disk import is_local
from ._rotation import ArchiveNames, Schedule

_ATTEMPTS = 10
"""Half-milliseconds that a write waits for another process before it is given up or made without the lock."""
_REPLACED = 10
"""How often a file may be replaced by others while it is opened for one write."""
_MARGIN = 1024 * 1024
"""Bytes that the next write may have: so near to ``max_bytes`` it may rotate the file."""
_ROTATE_AGAIN = 10.0
"""Seconds after a failed rotation until the next attempt."""
_STALE_DESCRIPTOR = frozenset({errno.EIO, errno.EBADF, errno.ESTALE})


class CurrentFile:
    """The log file in use, shared with any number of other processes.

    Without rotation, writers lock the file itself, and write without the lock if they cannot get it soon.
    With rotation they lock a file beside it, and never write without; who has locked it looks whether
    its file is still the one at the path, so that nobody writes a file that was rotated.
    """

    def __init__(
        self,
        path: str,
        config: FileConfig,
        names: ArchiveNames,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        report: Callable[[str, OSError | None], None],
    ) -> None:
        """Name the file at the absolute *path*; it is opened when it is first entered.

        Parameters:
            names: those of its rotated files.
            monotonic: seconds, for limits.
            wall: seconds since the epoch, for boundaries.
            report: called with what was done and the error that it met; with None when it went well.
        """
        self._path = path
        self._config = config
        self._names = names
        self._monotonic = monotonic
        self._report = report
        self._json = config.format in ("json", "json_flat")
        self._lock = SidecarLock(path) if config.rotates else None
        self._schedule = Schedule(config.period, wall)
        self._rotate_after = -1.0
        self.file: LogFile | None = None
        """The file as it was last seen."""
        self.exclusive = False
        """Whether no other process writes the file now."""
        self.local = False
        """Whether it is an ordinary file on a disk of this machine."""
        self.retired: list[LogFile] = []
        """Files that were rotated or replaced and are still to be forced to the disk."""
        self.was_created = False
        """Whether there is a new file whose name is still to be forced to the disk."""
        self.was_rotated = False
        """Whether there are rotated files to be looked after; so it is at the start."""

    def enter(self, *, wait: bool) -> LogFile:
        """Lock and return the file at the path; follow with :meth:`leave` in any case.

        Parameters:
            wait: whether to wait as long as other processes need, else a few milliseconds.

        Raises:
            OSError: if it cannot be opened; what was open before stays so.
            TransientSinkError: if another process holds the lock and *wait* is false.
        """
        if self._lock is not None:
            if not self._lock.acquire(None if wait else _ATTEMPTS):
                raise TransientSinkError(f"{self._lock.path!r} is locked by another process; the next attempt waits")
            self.exclusive = True
        file = self.file or self._opened()
        if not file.regular:
            return file
        for _ in range(_REPLACED):
            if self._lock is None:
                # Whoever may read the file can lock it, so that a write must not depend on this lock.
                self.exclusive = try_lock(file.descriptor, _ATTEMPTS)
            status = file.is_at(self._path)
            if status is not None:
                file.settle(status.st_size, self.exclusive, self._json)
                return file
            file = self._opened()
        raise FileNotFoundError(errno.ENOENT, "it is replaced again and again", self._path)

    def leave(self) -> None:
        """Unlock the file."""
        self.exclusive = False
        if self._lock is not None:
            self._lock.release()
        elif self.file is not None and self.file.regular:
            unlock(self.file.descriptor)

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self._retire(self.file)
            self.file = None
        if self._lock is not None:
            self._lock.close()

    def may_rotate(self) -> bool:
        """Return whether the next write may have to rotate the file."""
        if self.file is None or self._lock is None or self._monotonic() < self._rotate_after:
            return False
        limit = self._config.max_bytes
        return (limit is not None and self.file.size + _MARGIN > limit) or self._schedule.is_near()

    def room(self, file: LogFile, length: int) -> tuple[LogFile, int]:
        """Rotate the entered *file* if *length* more bytes do not fit, or if it is time.

        Returns:
            The file in use now, and how many of the bytes it should get; a single larger record may go in whole.
        """
        if self._lock is None or not file.regular or self._monotonic() < self._rotate_after:
            return file, length
        limit = self._config.max_bytes
        due = self._schedule.is_due()
        if file.size == 0:
            if due:
                self._schedule.begin()
        elif due or (limit is not None and file.size + length > limit):
            fresh = self._rotated(file)
            if fresh is None:
                return file, length
            file = fresh
        return file, length if limit is None else min(length, limit)

    def renewed(self, file: LogFile, error: OSError, *, may_rotate: bool) -> LogFile | None:
        """Return a file to go on with after the entered *file* gave *error*; None if there is nothing better.

        Raises:
            OSError: if it cannot be opened; the old one stays open.
        """
        is_full = error.errno == errno.EFBIG
        if not file.regular or not (is_full or file.distrusted or error.errno in _STALE_DESCRIPTOR):
            return None
        if self._lock is not None and may_rotate and (is_full or file.distrusted):
            fresh = self._rotated(file)
            if fresh is not None:
                return fresh
        if is_full:
            return None
        self._opened()
        return self.enter(wait=may_rotate)

    def _opened(self) -> LogFile:
        file = LogFile(self._path, self._config.mode)
        before, self.file = self.file, file
        if before is None or before.device != file.device:
            self.local = file.regular and is_local(self._path, file.device)
        self._schedule.begin(file.modified)
        if file.modified is None and self._config.fsync != "never":
            self.was_created = True
        if before is not None:
            file.torn = before.torn and before.is_same(file)
            self._retire(before)
        return file

    def _rotated(self, file: LogFile) -> LogFile | None:
        """Move *file* aside and return a new one; None, with everything as before, where that fails."""
        try:
            archive = self._names.next()
            os.rename(self._path, archive)
            try:
                fresh = LogFile(self._path, self._config.mode)
            except OSError:
                if not os.path.lexists(self._path):
                    os.rename(archive, self._path)
                raise
        except OSError as error:
            self._rotate_after = self._monotonic() + _ROTATE_AGAIN
            self._report("rotation", error)
            return None
        self._report("rotation", None)
        fresh.settle(os.fstat(fresh.descriptor).st_size, self.exclusive, self._json)
        self.file = fresh
        self._retire(file)
        self._schedule.begin()
        self.was_rotated = True
        self.was_created = self._config.fsync != "never"
        return fresh

    def _retire(self, file: LogFile) -> None:
        if self._config.fsync == "never" or file.distrusted or not file.regular:
            file.close()
        else:
            self.retired.append(file)
