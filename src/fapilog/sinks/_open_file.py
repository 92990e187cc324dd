"""Opening a file that is only ever appended to, safely in a directory that others may write to."""

from __future__ import annotations

import errno
import os
import stat

_FLAGS = os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def open_for_appending(path: str, mode: int) -> tuple[int, os.stat_result]:
    """Open *path*, creating it and its missing directories; return the descriptor and its status.

    A file that exists keeps its permissions. A regular file can be read through the descriptor too, if
    its permissions allow it. A symbolic link is never followed.

    Parameters:
        mode: the permissions of a file that is created, whatever the umask.

    Raises:
        OSError: if it cannot be opened, for instance because it is a directory or a symbolic link.
    """
    descriptor = _opened(path, mode)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        os.set_blocking(descriptor, True)  # only the opening of a FIFO without a reader was not to block
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def _opened(path: str, mode: int) -> int:
    for _ in range(10):  # more than one round only when others create or delete it at the same time
        try:
            return _existing(path)
        except FileNotFoundError:
            make_directories(os.path.dirname(path))
        try:
            return _created(path, mode)
        except (FileExistsError, FileNotFoundError):
            continue
    raise FileNotFoundError(errno.ENOENT, "it is created and deleted again and again", path)


def _existing(path: str) -> int:
    if stat.S_ISREG(os.lstat(path).st_mode):
        try:
            return os.open(path, os.O_RDWR | _FLAGS)
        except PermissionError:
            pass  # perhaps it may be written and not read
    return os.open(path, os.O_WRONLY | _FLAGS)


def _created(path: str, mode: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, mode & 0o600)
    try:
        os.fchmod(descriptor, mode)
    except OSError:
        pass  # a file system without permissions
    return descriptor


def make_directories(path: str) -> None:
    """Create the directory *path* and its missing parents, each with the permissions 0700 whatever the umask."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_directories(os.path.dirname(path))
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return
    if stat.S_IMODE(os.lstat(path).st_mode) & 0o777 != 0o700:
        os.chmod(path, 0o700)


_REASONS = {
    errno.ELOOP: "it is a symbolic link, which is not followed; give the path that it points to",
    errno.EISDIR: "it is a directory; add the name of a file",
    errno.ENOTDIR: "one of its directories is a file; choose another path",
    errno.ENXIO: "it is a FIFO that nobody reads; start its reader first",
    errno.EROFS: "its file system is read-only; choose another path or mount it writable",
    errno.ENOSPC: "the disk is full; free space or inodes",
    errno.EFBIG: "the file has reached the largest size allowed; rotate it with max_bytes",
    errno.EMFILE: "this process has too many open files; close some or raise its limit",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter one",
    errno.ENOLCK: "its file system has no locks, which rotation needs; rotate it from outside or choose another path",
}


def explain(error: OSError, path: str) -> str:
    """Return what is wrong with the log file at *path*, and what to do."""
    shown = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else path
    number = error.errno or 0
    if number in (errno.EACCES, errno.EPERM):
        reason = (
            f"user id {os.geteuid()} may not write it; change the permissions of the file and its directory, "
            "or choose another path"
        )
    else:
        reason = _REASONS.get(number, "")
    text = f"{shown!r}: {error.strerror or type(error).__name__}"
    return f"{text}: {reason}" if reason else text
