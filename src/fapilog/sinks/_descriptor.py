"""Writing batches to a standard stream that may be slow, full, cut or gone: what its sinks share."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager
from io import TextIOWrapper
from threading import Lock
from time import monotonic
from typing import Any, Literal, NoReturn, TypeAlias

from ..errors import PartialWriteError, PermanentSinkError, SinkError, TransientSinkError
from ..plugins.batch import Batch
from ..plugins.protocols import PlainWrite

StreamName: TypeAlias = Literal["stdout", "stderr"]


class StandardStream:
    """``sys.stdout`` or ``sys.stderr`` as a target for whole records.

    Bytes go to the descriptor and never through Python's buffer, so that nothing of ours is left in it
    to fail at the interpreter's exit. An object that is not Python's own text file, such as a notebook's
    or a test's capture, is written to as text.
    """

    def __init__(self, name: StreamName, stall_timeout: float) -> None:
        """Name the stream; nothing is touched before :meth:`open`.

        Parameters:
            name: which of the two.
            stall_timeout: seconds that one write may wait for the reader in all.
        """
        self._name = name
        self._stall_timeout = stall_timeout
        self._text: Any = None
        self._descriptor = -1
        self._own_descriptor = False
        self._never_waits = False
        """Whether no write to the descriptor waits for its reader, nor for anything else."""
        self._is_terminal = False
        self._cut: tuple[bytes, int] | None = None
        """The record that an error cut, and how much of it is out."""
        self._refusal = f"no_stream: {name} was not opened; call start() before write()"
        self._in_use = Lock()
        self._is_closed = False

    def open(self) -> None:
        """Look the stream up and let what was printed before go out first; a missing stream fails the writes only."""
        stream = getattr(sys, self._name)
        self._refusal = ""
        self._is_closed = False
        self._cut = None
        self._is_terminal = is_terminal(stream)
        self._text = None
        descriptor = descriptor_of(stream)
        if descriptor is not None:
            _flush_if_ready(stream, descriptor)
            own = _reopened(descriptor, self._is_terminal)
            self._own_descriptor = own is not None
            self._never_waits = own is not None and not self._is_terminal
            self._descriptor = descriptor if own is None else own
        elif stream is not None and hasattr(stream, "write") and not getattr(stream, "closed", False):
            self._text = stream
        else:
            self._refuse_missing("sys has none" if stream is None else "it is closed")

    def close(self) -> None:
        """End a line that was cut and give back what :meth:`open` took; the standard stream itself stays open.

        While another thread is writing, this returns at once and that thread does it: a descriptor closed under
        a write could be another file's by the time the write goes on.
        """
        self._is_closed = True
        if self._in_use.acquire(blocking=False):
            try:
                if not self._refusal:
                    self._end_cut_line(0.0)
                    self._refusal = f"no_stream: the sink of {self._name} was closed"
                if self._own_descriptor:
                    self._own_descriptor = False
                    os.close(self._descriptor)
            finally:
                self._in_use.release()

    @contextmanager
    def _used(self) -> Generator[None, None, None]:
        """Have the stream for a write, and close it if that was asked for meanwhile."""
        try:
            with self._in_use:
                yield
        finally:
            if self._is_closed:
                self.close()

    @property
    def is_terminal(self) -> bool:
        """Whether the stream was a terminal when it was opened."""
        return self._is_terminal

    def write(self, batch: Batch, format: str) -> None:
        """Write *batch* in *format*; an event counts as written when its whole record is out.

        Raises:
            TransientSinkError: if no event got out, for instance because the reader has stopped reading.
            PermanentSinkError: if the reader is gone or there is no such stream; so does every later write.
            PartialWriteError: if either happened after the first events were out.
        """
        with self._used():
            if self._refusal:
                raise PermanentSinkError(self._refusal)
            payload = batch.encoded(format)
            if self._text is None:
                self._write_bytes(batch, format, payload)
            else:
                self._write_text(payload)

    def plain_write(self, batch: Batch, format: str) -> PlainWrite | None:
        """Return the bytes that :meth:`write` would write, and where; None if it has more to do or to see to."""
        if self._refusal or self._text is not None or self._cut is not None or self._is_closed:
            return None
        payload = batch.encoded(format)

        def failed(position: int, error: int) -> None:
            with self._used():
                self._stopped(batch, format, payload, position, OSError(error, os.strerror(error)))

        return PlainWrite(self._descriptor, payload, self._stall_timeout, failed, self._never_waits)

    def _write_bytes(self, batch: Batch, format: str, payload: bytes) -> None:
        position = 0
        if self._cut is not None:
            record, out = self._cut
            if payload.startswith(record):
                position = out  # the same event again: its line goes on where it was cut
            elif (error := self._end_cut_line(self._stall_timeout)) is not None:
                raise self._failure(error) from error
        position, error = write_from(self._descriptor, payload, position, self._stall_timeout)
        if error is None:
            self._cut = None
            return
        self._stopped(batch, format, payload, position, error)

    def _stopped(self, batch: Batch, format: str, payload: bytes, position: int, error: OSError) -> NoReturn:
        """Keep what is to be known of a write that got as far as *position*, and raise what it means."""
        delivered, start, end = _records_out(batch, format, payload, position)
        self._cut = (payload[start:end], position - start) if position > start else None
        failure = self._failure(error)
        if delivered:
            raise PartialWriteError(dict.fromkeys(range(delivered, len(batch)), failure)) from error
        raise failure from error

    def _end_cut_line(self, timeout: float) -> OSError | None:
        if self._cut is None:
            return None
        record, out = self._cut
        if record.endswith(b"\n", 0, out):
            return None
        return write_from(self._descriptor, b"\n", 0, timeout)[1]

    def _write_text(self, payload: bytes) -> None:
        stream = self._text
        text = payload.decode("utf-8", "replace")
        try:
            try:
                stream.write(text)
            except UnicodeEncodeError as error:
                stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
            flush = getattr(stream, "flush", None)
            if flush is not None:
                flush()
        except ValueError as error:
            if not getattr(stream, "closed", False):
                raise
            self._refuse_missing("it is closed")
            raise PermanentSinkError(self._refusal) from error
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> SinkError:
        name = self._name
        if isinstance(error, TimeoutError):
            return TransientSinkError(f"the reader of {name} did not read on within {self._stall_timeout:g} s")
        if error.errno == errno.EBADF:
            self._refuse_missing("its descriptor is closed")
        elif isinstance(error, (BrokenPipeError, ConnectionResetError)) or (
            error.errno == errno.EIO and self._is_terminal  # the terminal was hung up
        ):
            self._refusal = f"the reader of {name} is gone"
        else:
            return TransientSinkError(f"{name} could not be written: {error.strerror or type(error).__name__}")
        return PermanentSinkError(self._refusal)

    def _refuse_missing(self, reason: str) -> None:
        self._refusal = (
            f"no_stream: there is no {self._name} to write to, {reason}; start the program with one, or log to a file"
        )


def write_from(descriptor: int, payload: bytes, position: int, timeout: float) -> tuple[int, OSError | None]:
    """Write *payload* from *position* on, waiting at most *timeout* seconds in all for the reader.

    A descriptor that blocks may hold the calling thread longer: its waiting is the system's.

    Returns:
        How far it got, and the error that stopped it: a :class:`TimeoutError` if the time was over.
    """
    view = memoryview(payload)
    end = len(payload)
    deadline: float | None = None
    try:
        while position < end:
            try:
                position += os.write(descriptor, view[position:])
            except BlockingIOError:
                now = monotonic()
                deadline = now + timeout if deadline is None else deadline
                if not _is_ready(descriptor, max(0.0, deadline - now)):
                    raise TimeoutError from None
    except OSError as error:
        return position, error
    return position, None


def descriptor_of(stream: object) -> int | None:
    """Return the descriptor that *stream* writes to, or None if bytes written there would go past the stream.

    Only Python's own text file counts: replacements (notebooks, colour wrappers, tees) often pass on the
    ``fileno`` of the stream they stand before, which is not where their output goes.
    """
    if isinstance(stream, TextIOWrapper):
        try:
            return stream.fileno()
        except (OSError, ValueError):
            pass
    return None


def is_terminal(stream: Any) -> bool:
    """Return whether *stream* says that it is a terminal; False for a missing or closed one."""
    try:
        return bool(stream.isatty())
    except (AttributeError, OSError, ValueError):
        return False


def _is_ready(descriptor: int, timeout: float) -> bool:
    """Wait until a write can do something, which may be to fail."""
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    return bool(poller.poll(timeout * 1000))


def _flush_if_ready(stream: Any, descriptor: int) -> None:
    # A flush that blocks would hold the buffer's lock, on which the interpreter's exit would then fail.
    try:
        if _is_ready(descriptor, 0.0):
            stream.flush()
    except (OSError, ValueError):
        pass  # the first write of ours tells it


def _reopened(descriptor: int, is_terminal: bool) -> int | None:
    """Open the pipe or terminal again, non-blocking, or return None where that cannot be done.

    So that a reader that stops reading is noticed within the time that a write has. Setting ``O_NONBLOCK``
    on the stream itself would break ``print`` here and in every process that shares it.
    """
    try:
        if not is_terminal and not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return None
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None


def _records_out(batch: Batch, format: str, payload: bytes, out: int) -> tuple[int, int, int]:
    """Return how many whole records the first *out* bytes hold, and where the next record starts and ends."""
    if payload.count(b"\n") == len(batch):
        return payload.count(b"\n", 0, out), payload.rfind(b"\n", 0, out) + 1, payload.find(b"\n", out) + 1
    start = 0
    for position in range(len(batch) - 1):
        end = start + len(batch.select((position,)).encoded(format))
        if end > out:
            return position, start, end
        start = end
    return len(batch) - 1, start, len(payload)
