"""The file sink: appends records to a file, alone or beside other processes, and rotates it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from typing import ClassVar

from ..errors import PartialWriteError, PermanentSinkError, PluginError, TransientSinkError
from ..plugins.batch import Batch
from ..plugins.metadata import PluginMetadata, PluginType
from ._append import RecordEnds
from ._archives import Archives, sync_directory
from ._current_file import CurrentFile
from ._file_config import FileConfig
from ._open_file import explain
from ._rotation import ArchiveNames

_UPKEEP_TIME = 0.01
"""Seconds of compressing and removing after one write, so that a large file does not hold up the records."""
_VERY_SLOW = 10
"""How many times ``slow_write`` a write may take that is the only slow one."""
_CLOSING_TIME = 2.0
"""Seconds of the same on closing; what is left is done by the next start."""


class FileSink:
    """Appends records to a file.

    Each batch goes to the end of the file in one piece, and any number of processes may write the same
    file. A record that a full disk cuts is taken back, and the events that got out are told from those
    that did not. A file that others moved, deleted or truncated is noticed at the next write.
    """

    metadata: ClassVar[PluginMetadata] = PluginMetadata(
        name="file", version="1.0.0", plugin_type=PluginType.SINK, entry_point="fapilog.sinks.file:FileSink"
    )
    Config = FileConfig
    ordered: ClassVar[bool] = True

    def __init__(
        self,
        config: FileConfig,
        *,
        _monotonic: Callable[[], float] = time.monotonic,
        _wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._monotonic = _monotonic
        self._wall = _wall
        self._path = config.path
        self.payload_format: str = config.format
        """What :meth:`write` writes; the pipeline has it ready."""
        self._current: CurrentFile | None = None
        self._archives: Archives | None = None
        self._upkeep: Generator[None, None, None] | None = None
        self._direct = False
        """Whether the next write is made on the event loop: then it must neither wait nor rotate."""
        self._slow_until = -1.0
        self._suspicious_until = -1.0
        """Until when one more slow write is one too many."""
        self._closed = False
        self._reported: set[str] = set()

    def start(self) -> None:
        """Open the file, and mend what a crash has left.

        Raises:
            PluginError: if the file cannot be opened or locked; it names the path and the reason.
        """
        current = self._prepared()
        try:
            current.enter(wait=True)
        except OSError as error:
            current.close()
            raise PluginError("file", explain(error, self._path)) from error
        finally:
            current.leave()
        self._look_after(current, _UPKEEP_TIME)

    @property
    def blocking(self) -> bool:
        """Whether the next write must be made in a thread, because it may take long; read before each write."""
        self._direct = self._may_write_directly()
        return not self._direct

    def write(self, batch: Batch) -> None:
        """Append *batch*.

        Raises:
            TransientSinkError: if nothing could be written, for instance because the disk is full.
            PartialWriteError: if that happened after the first events were written.
            PermanentSinkError: if the sink is closed.
        """
        if self._closed:
            raise PermanentSinkError(f"the file sink of {self._path!r} was closed")
        payload = batch.encoded(self._config.format)
        current = self._current or self._prepared()
        direct, self._direct = self._direct, False
        began = self._monotonic()
        try:
            self._deliver(current, batch, payload, direct)
        finally:
            if not direct:
                self._look_after(current, _UPKEEP_TIME)
            else:
                took = self._monotonic() - began
                if took > self._config.slow_write:
                    self._note_slow(took)

    def flush(self) -> None:
        """Do nothing: what :meth:`write` has taken is with the operating system."""

    def aclose(self) -> None:
        """Finish compressing and removing as far as two seconds reach, and close the file."""
        if self._closed:
            return
        self._closed = True
        if self._current is not None:
            self._current.close()
            self._look_after(self._current, _CLOSING_TIME)
        if self._upkeep is not None:
            self._upkeep.close()  # takes back a file half compressed; its original is still there
            self._upkeep = None

    def _prepared(self) -> CurrentFile:
        """Make the path absolute, so that a later change of the directory does not matter."""
        self._path = path = os.path.abspath(self._config.path)
        names = ArchiveNames(path, self._wall)
        current = CurrentFile(path, self._config, names, self._monotonic, self._wall, self._report)
        if self._config.rotates:
            self._archives = Archives(os.path.dirname(path), names, self._config, self._wall, self._report)
            current.was_rotated = True
        self._current = current
        return current

    def _may_write_directly(self) -> bool:
        current = self._current
        return (
            current is not None
            and current.file is not None
            and current.local
            and self._upkeep is None
            and not current.was_rotated
            and not current.was_created
            and not current.retired
            and self._config.fsync != "always"
            and self._monotonic() >= self._slow_until
            and not current.may_rotate()
        )

    def _deliver(self, current: CurrentFile, batch: Batch, payload: bytes, direct: bool) -> None:
        try:
            self._append(current, batch, payload, direct)
        finally:
            current.leave()

    def _append(self, current: CurrentFile, batch: Batch, payload: bytes, direct: bool) -> None:
        ends = RecordEnds(batch, payload, self._config.format)
        view = memoryview(payload)
        done = 0
        renewed = False
        try:
            file = current.enter(wait=not direct)
            while done < len(view):
                length = len(view) - done
                room = length
                if not direct:
                    file, room = current.room(file, length)
                reach = done + room if room == length else ends.last_until(done + room)
                if reach <= done:
                    reach = ends.first_after(done)
                written, error = file.append(view[done:reach])
                whole = reach if error is None else max(done, ends.last_until(done + written))
                if error is None and self._config.fsync == "always":
                    error = file.sync()
                    whole = reach if error is None else done
                if error is not None:
                    file.withdraw(view[whole : done + written], current.exclusive)
                done = whole
                if error is not None:
                    fresh = None if renewed else current.renewed(file, error, may_rotate=not direct)
                    if fresh is None:
                        raise error
                    file, renewed = fresh, True
        except TransientSinkError as error:
            self._cool_down()  # the next attempt waits for the lock, in the thread
            raise self._undelivered(batch, ends, done, error) from None
        except OSError as error:
            problem = TransientSinkError(explain(error, self._path))
            raise self._undelivered(batch, ends, done, problem) from error

    def _undelivered(
        self, batch: Batch, ends: RecordEnds, done: int, problem: TransientSinkError
    ) -> TransientSinkError:
        """Return the error for a batch whose payload was written up to *done*."""
        delivered = ends.count_until(done)
        return PartialWriteError(dict.fromkeys(range(delivered, len(batch)), problem)) if delivered else problem

    def _note_slow(self, took: float) -> None:
        """Let the thread write for a while if a direct write was very slow, or was a little slow again."""
        # Once, a little slow may be the scheduler's doing, which gave the processor to others for a moment.
        now = self._monotonic()
        if took > _VERY_SLOW * self._config.slow_write or now < self._suspicious_until:
            self._cool_down()
        self._suspicious_until = now + self._config.slow_write_cool_down

    def _cool_down(self) -> None:
        self._slow_until = self._monotonic() + self._config.slow_write_cool_down

    def _look_after(self, current: CurrentFile, seconds: float) -> None:
        """Force to the disk what is to be there, and compress and remove rotated files for about so many *seconds*."""
        while current.retired:
            file = current.retired.pop()
            self._report("fsync", file.sync())
            file.close()
        if current.was_created:
            current.was_created = False
            try:
                sync_directory(os.path.dirname(self._path))
            except OSError as error:
                self._report("fsync", error)
        deadline = self._monotonic() + seconds
        while self._archives is not None and (current.was_rotated or self._upkeep is not None):
            if self._upkeep is None:
                current.was_rotated = False
                self._upkeep = self._archives.upkeep()
            try:
                next(self._upkeep)
            except StopIteration:
                self._upkeep = None
            if self._monotonic() >= deadline:
                return

    def _report(self, what: str, error: OSError | None) -> None:
        """Tell on the standard error stream that *what* fails, once until it goes well again."""
        if error is None:
            self._reported.discard(what)
        elif what not in self._reported:
            self._reported.add(what)
            line = f"fapilog: file sink: {what}: {explain(error, self._path)}; logging goes on\n"
            try:
                if sys.stderr is not None:
                    sys.stderr.write(line)
            except (OSError, ValueError):
                pass  # nobody to tell
