"""What happens to rotated files: they are compressed, and removed when there are too many or they are too old."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Generator, Iterator

import attrs

from ._file_config import FileConfig
from ._file_lock import try_lock, unlock
from ._rotation import ArchiveNames

_BLOCK = 256 * 1024
_CLAIM = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@attrs.frozen
class Archive:
    """One rotated file."""

    order: tuple[int, str, int]
    path: str
    ending: str
    """Empty, ``.gz`` for a compressed one, ``.gz.tmp`` for one being compressed."""
    size: int
    modified: float


class Archives:
    """The rotated files of one log file, shared with the other processes that write it.

    A file is compressed to a temporary name, which is renamed when its content is on the disk; only then
    the original is removed. So a crash at any point leaves the original, or both, and never neither:
    the next upkeep removes the one that is too many. Who compresses a file holds its lock.
    """

    def __init__(
        self,
        directory: str,
        names: ArchiveNames,
        config: FileConfig,
        clock: Callable[[], float],
        report: Callable[[str, OSError | None], None],
    ) -> None:
        """Watch over the files in *directory*.

        Parameters:
            clock: seconds since the epoch.
            report: called with what was done and the error that it met; with None when it went well.
        """
        self._directory = directory
        self._names = names
        self._config = config
        self._clock = clock
        self._report = report

    def upkeep(self) -> Generator[None, None, None]:
        """Do what is to be done, in steps of a few milliseconds: heal, remove, compress, remove."""
        yield from self._guarded("retention", self._heal())
        # First by count and age: what is to be removed need not be compressed, and a full disk gets room.
        yield from self._guarded("retention", self._remove(by_size=False))
        if self._config.compress is not None:
            for archive in self._listed(""):
                yield from self._guarded("compression", self._compress(archive))
        yield from self._guarded("retention", self._remove(by_size=True))

    def _guarded(self, what: str, steps: Iterator[None]) -> Iterator[None]:
        try:
            yield from steps
        except FileNotFoundError:
            pass  # another process was faster
        except OSError as error:
            self._report(what, error)
        else:
            self._report(what, None)

    def _listed(self, *endings: str) -> list[Archive]:
        """Return the archives with these endings, oldest first; only regular files, links are never followed."""
        found: list[Archive] = []
        try:
            names = os.listdir(self._directory)
        except OSError:
            return []
        for name in names:
            parsed = self._names.parse(name)
            if parsed is None or parsed[1] not in endings:
                continue
            path = os.path.join(self._directory, name)
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                found.append(Archive(parsed[0], path, parsed[1], status.st_size, status.st_mtime))
        found.sort(key=lambda archive: archive.order)
        return found

    def _heal(self) -> Iterator[None]:
        archives = self._listed("", ".gz", ".gz.tmp")
        compressed = {archive.path for archive in archives if archive.ending == ".gz"}
        for archive in archives:
            if archive.ending == "" and f"{archive.path}.gz" in compressed:
                _unlink(archive.path)
            elif archive.ending == ".gz.tmp":
                self._discard_leftover(archive.path)
            yield

    def _discard_leftover(self, temporary: str) -> None:
        try:
            descriptor = os.open(temporary.removesuffix(".gz.tmp"), _CLAIM)
        except FileNotFoundError:
            _unlink(temporary)
            return
        try:
            if try_lock(descriptor):  # else the process that makes it is alive
                _unlink(temporary)
        finally:
            _give_up(descriptor)

    def _remove(self, *, by_size: bool) -> Iterator[None]:
        config = self._config
        # By its place in the order: for a moment a file has both its names, when another process compresses it.
        archives = list({archive.order: archive for archive in self._listed("", ".gz")}.values())
        excess = len(archives) - config.keep if config.keep is not None else 0
        total = sum(archive.size for archive in archives)
        oldest = self._clock() - config.keep_age if config.keep_age is not None else None
        for position, archive in enumerate(archives):
            too_large = by_size and config.keep_bytes is not None and total > config.keep_bytes
            if position < excess or too_large or (oldest is not None and archive.modified < oldest):
                original = archive.path.removesuffix(archive.ending)
                _unlink(original)  # first, so that who compresses it sees that it is gone
                _unlink(f"{original}.gz")
                total -= archive.size
                yield

    def _compress(self, archive: Archive) -> Iterator[None]:
        source = os.open(archive.path, _CLAIM)
        try:
            # Refused while another process compresses it, or writes it without taking part in rotation.
            if try_lock(source) and _is_at(source, archive.path):
                temporary = f"{archive.path}.gz.tmp"
                try:
                    yield from self._compressed(source, temporary)
                    if _is_at(source, archive.path):
                        os.rename(temporary, f"{archive.path}.gz")
                        sync_directory(self._directory)
                        _unlink(archive.path)
                    else:
                        _unlink(temporary)  # removed meanwhile by another process
                except BaseException:
                    _unlink(temporary)
                    raise
        finally:
            _give_up(source)

    def _compressed(self, source: int, temporary: str) -> Iterator[None]:
        status = os.fstat(source)
        target = os.open(temporary, _CREATE, 0o600)
        try:
            os.fchmod(target, stat.S_IMODE(status.st_mode))
            yield from _write_compressed(source, target)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))  # its age is that of its records
            os.fsync(target)
        finally:
            os.close(target)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_compressed(source: int, target: int) -> Iterator[None]:
    compressor = zlib.compressobj(wbits=31)
    while block := os.read(source, _BLOCK):
        _write_all(target, compressor.compress(block))
        yield
    _write_all(target, compressor.flush())


def sync_directory(path: str) -> None:
    """Force the names in a directory to the disk.

    Raises:
        OSError: if it cannot be opened or synchronised.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # another process was faster


def _give_up(descriptor: int) -> None:
    unlock(descriptor)
    os.close(descriptor)
