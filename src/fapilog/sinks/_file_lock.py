"""Mutual exclusion between the processes that write one file: ``flock``, on the file itself or on one beside it."""

from __future__ import annotations

import errno
import fcntl
import os
import time

from ._open_file import open_for_appending

_PAUSE = 0.0005


def try_lock(descriptor: int, attempts: int = 1) -> bool:
    """Lock *descriptor* exclusively, trying *attempts* times, half a millisecond apart.

    Returns:
        Whether it was locked; False too where the file system has no locks.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            attempts -= 1
            if error.errno != errno.EWOULDBLOCK or attempts <= 0:
                return False
        time.sleep(_PAUSE)


def unlock(descriptor: int) -> None:
    """Give up the lock; closing the descriptor would not, if a forked child still has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:
        pass  # it was not locked, or its file system went away and took the lock with it


class SidecarLock:
    """A lock file beside the log file, which is held for each write so that nobody writes a file being rotated.

    It is a file of its own, readable by its owner only, because whoever may read a file may lock it and so
    hold up its writers.
    """

    def __init__(self, path: str) -> None:
        """Name the log file at *path*; the lock file is opened when it is first locked."""
        directory, name = os.path.split(path)
        self._path = os.path.join(directory, f".{name}.lock")
        self._descriptor = -1

    @property
    def path(self) -> str:
        """Where the lock file is."""
        return self._path

    def acquire(self, attempts: int | None = None) -> bool:
        """Lock, waiting for the other processes: without end, or for *attempts* half-milliseconds.

        Returns:
            Whether the lock is held now.

        Raises:
            OSError: if the lock file cannot be opened or locked.
        """
        while True:
            if self._descriptor < 0:
                self._descriptor = open_for_appending(self._path, 0o600)[0]
            descriptor = self._descriptor
            if attempts is None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            elif not try_lock(descriptor, attempts):
                return False
            if os.fstat(descriptor).st_nlink:
                return True
            self.close()  # it was deleted: the other processes lock, or will lock, a new one

    def release(self) -> None:
        """Unlock."""
        if self._descriptor >= 0:
            unlock(self._descriptor)

    def close(self) -> None:
        """Unlock and close the lock file, which stays: a process may be about to lock it."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            unlock(descriptor)
            os.close(descriptor)
