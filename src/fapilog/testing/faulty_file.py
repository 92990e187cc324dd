"""FaultyFile: the faults of a disk for one file, in whatever way Python code writes it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from random import Random
from threading import Lock
from types import TracebackType
from typing import Any, Self

import attrs

from ..shown import did_you_mean, show
from ._interception import BY_DESCRIPTOR, OPERATIONS, Layer, enter, leave

_WRITES = ("write", "writev", "pwrite")
_CHANGES = (*_WRITES, "ftruncate", "truncate", "unlink", "remove", "rename", "replace")
"""What a read-only file system refuses, opening for writing aside."""
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@attrs.define(eq=False)
class Call:
    """One call for the file, and what came of it."""

    operation: str
    """The name of the function of ``os``."""
    inode: int
    """The inode it was for; 0 if there was none yet."""
    descriptor: int = -1
    """The descriptor it was for, or that it opened; -1 if there is none."""
    asked: int = 0
    """Bytes that a write was to write."""
    written: int = 0
    """Bytes that it wrote."""
    error: int | None = None
    """The error number it failed with."""


@attrs.define(eq=False)
class _Rule:
    operations: tuple[str, ...]
    error: int | BaseException | None = None
    longest: int | None = None
    """How many bytes a write writes at most."""
    any_length: bool = False
    """Whether the number of bytes is left to the seed."""
    seconds: float = 0.0
    room: int | None = None
    """Bytes that still fit."""
    opening: bool = False
    """Whether opening for writing is refused as well."""
    times: int | None = None
    after: int = 0
    chance: float = 1.0

    def strikes(self, operation: str, arguments: tuple[Any, ...], random: Random) -> bool:
        """Return whether this call is struck, and count it."""
        if operation not in self.operations and not (
            self.opening and operation == "open" and _opens_to_write(arguments)
        ):
            return False
        if self.chance < 1 and random.random() >= self.chance:
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None:
            if not self.times:
                return False
            self.times -= 1
        return True


class FaultyFile:
    """Makes the calls for one file fail, be short, or be slow, inside a ``with`` block.

    It sees the calls that Python code makes through the module ``os`` (``os.write``, ``os.fsync`` ...) and through
    ``open`` for the path, and for descriptors that were open on the file before. Other files are left alone, and so
    are calls that were bound before, as by ``from os import write``, or that are made in C. Files may be nested,
    also several for one path: the one entered last is asked. On leaving, the real functions come back. It may be
    used by several threads at once.

    Parameters:
        path: the file's path; it need not exist yet.
        seed: decides what is left to chance.
        sleep: waits for a number of seconds, for slow calls; it may move a test's own clock instead.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, seed: int = 0, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self.path: str = os.path.abspath(os.fspath(path))
        self.calls: list[Call] = []
        """Every call for the file, in order."""
        self._random = Random(seed)
        self._sleep = sleep
        self._rules: list[_Rule] = []
        self._known: dict[int, tuple[int, int]] = {}
        """The descriptors open on the file, with what they are open on: a number is used again."""
        self._lock = Lock()
        self._layer: Layer | None = None

    # -- what is to go wrong

    def fail(
        self,
        operation: str,
        error: int | BaseException,
        *,
        times: int | None = None,
        after: int = 0,
        chance: float = 1.0,
    ) -> Self:
        """Let an operation fail, without doing anything.

        Parameters:
            operation: the name of a function of ``os``, such as ``"write"``, ``"fsync"``, ``"open"`` or ``"rename"``.
            error: an error number, such as ``errno.ENOSPC``, or what is to be raised.
            times: how often it fails; until ``clear()`` if None.
            after: how many calls go well first.
            chance: how likely each call is to fail, from 0 to 1.

        Raises:
            ValueError: if no such operation is intercepted.
        """
        return self._add(_Rule((_known(operation),), error=error, times=times, after=after, chance=chance))

    def short_writes(
        self, longest: int | None = None, *, times: int | None = None, after: int = 0, chance: float = 1.0
    ) -> Self:
        """Let a write take fewer bytes than it is given.

        Parameters:
            longest: how many bytes it takes at most; left to the seed if None.
            times, after, chance: as in :meth:`fail`.
        """
        rule = _Rule(_WRITES, longest=longest, any_length=longest is None, times=times, after=after, chance=chance)
        return self._add(rule)

    def full_after(self, size: int = 0) -> Self:
        """Let the disk be full once *size* more bytes were written: the write before is short, the next ones fail."""
        return self._add(_Rule(_WRITES, room=size))

    def read_only(self) -> Self:
        """Let the file system be read-only: what would change the file, or open it for writing, fails."""
        return self._add(_Rule(_CHANGES, error=errno.EROFS, opening=True))

    def slow(
        self, operation: str, seconds: float, *, times: int | None = None, after: int = 0, chance: float = 1.0
    ) -> Self:
        """Let an operation take *seconds* longer; the other parameters are those of :meth:`fail`.

        Raises:
            ValueError: if no such operation is intercepted.
        """
        return self._add(_Rule((_known(operation),), seconds=seconds, times=times, after=after, chance=chance))

    def clear(self) -> None:
        """Let everything go well again; ``calls`` stays."""
        self._rules = []

    def _add(self, rule: _Rule) -> Self:
        self._rules = [*self._rules, rule]
        return self

    # -- what happened

    def made(self, operation: str) -> list[Call]:
        """Return the calls of one operation, in order."""
        return [call for call in self.calls if call.operation == operation]

    # -- the interception's side

    def __enter__(self) -> Self:
        """Begin to intercept.

        Raises:
            RuntimeError: if this was entered and not left.
        """
        if self._layer is not None:
            raise RuntimeError("this FaultyFile is in use already; make another one")
        self._layer = enter(self)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Intercept no more."""
        if self._layer is not None:
            leave(self._layer, self)
            self._layer = None
            self._known.clear()

    def owns_descriptor(self, descriptor: int) -> bool:
        """Return whether *descriptor* is open on the file: opened for its path, or on what stands there now."""
        try:
            status = os.fstat(descriptor)
        except OSError:
            return False
        identity = (status.st_dev, status.st_ino)
        if self._known.get(descriptor) == identity:
            return True
        try:
            here = os.stat(self.path)
        except OSError:
            return False
        if (here.st_dev, here.st_ino) != identity:
            return False
        self._known[descriptor] = identity
        return True

    def owns_path(self, path: Any) -> bool:
        """Return whether *path* is the file's."""
        try:
            return os.path.abspath(os.fsdecode(path)) == self.path
        except (TypeError, ValueError):
            return False

    def call(
        self, operation: str, real: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """Do *operation* on the file, or fail at it."""
        made = Call(operation, self._inode(operation, arguments))
        if operation in BY_DESCRIPTOR:
            made.descriptor = arguments[0]
        with self._lock:
            self.calls.append(made)
            struck = self._striking(operation, arguments)
        if wait := sum(rule.seconds for rule in struck):
            self._sleep(wait)
        if operation == "close":
            # It closes whatever it says, as Linux does: the number is free for another file then.
            self._known.pop(arguments[0], None)
            real(*arguments, **options)
        for rule in struck:
            if rule.error is not None:
                self._raise(made, rule.error)
        if operation == "close":
            return None
        try:
            if operation in _WRITES:
                return self._write(made, real, arguments, struck)
            result = real(*arguments, **options)
        except OSError as error:
            made.error = error.errno
            raise
        if operation == "open":
            made.descriptor = result
            status = os.fstat(result)
            made.inode = status.st_ino
            self._known[result] = (status.st_dev, status.st_ino)
        return result

    def _striking(self, operation: str, arguments: tuple[Any, ...]) -> list[_Rule]:
        return [rule for rule in self._rules if rule.strikes(operation, arguments, self._random)]

    def _write(self, made: Call, real: Callable[..., Any], arguments: tuple[Any, ...], struck: list[_Rule]) -> int:
        given = arguments[1]
        data = memoryview(b"".join(given) if made.operation == "writev" else given).cast("B")
        made.asked = len(data)
        length = len(data)
        for rule in struck:
            if rule.longest is not None:
                length = min(length, rule.longest)
            elif rule.any_length and length > 1:
                length = self._random.randint(1, length - 1)
            if rule.room is not None:
                if not rule.room and length:
                    self._raise(made, errno.ENOSPC)
                length = min(length, rule.room)
        if length == 0 and len(data):
            return 0
        if length < len(data):
            given = [data[:length]] if made.operation == "writev" else data[:length]
        made.written = real(arguments[0], given, *arguments[2:])
        for rule in struck:
            if rule.room is not None:
                rule.room -= made.written
        return made.written

    def _raise(self, made: Call, error: int | BaseException) -> None:
        if isinstance(error, BaseException):
            made.error = getattr(error, "errno", None)
            raise error
        made.error = error
        raise OSError(error, os.strerror(error), *([] if made.operation in BY_DESCRIPTOR else [self.path]))

    def _inode(self, operation: str, arguments: tuple[Any, ...]) -> int:
        try:
            return os.fstat(arguments[0]).st_ino if operation in BY_DESCRIPTOR else os.stat(self.path).st_ino
        except OSError:
            return 0

    def __repr__(self) -> str:
        return f"<FaultyFile {self.path!r}, {len(self.calls)} calls>"


def _opens_to_write(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) > 1 and bool(arguments[1] & _WRITE_FLAGS)


def _known(operation: str) -> str:
    if operation not in OPERATIONS:
        hint = did_you_mean(operation, OPERATIONS) or f"there are {', '.join(OPERATIONS)}"
        raise ValueError(f"the operation {show(operation)} is not intercepted; {hint}")
    return operation
