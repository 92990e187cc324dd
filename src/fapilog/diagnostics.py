"""fapilog's own messages: a few bounded, masked lines on stderr that never go through a pipeline."""

from __future__ import annotations

import os
import re
import select
import sys
from collections import deque
from collections.abc import Callable
from io import TextIOWrapper
from threading import Lock, RLock
from time import monotonic
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["warning", "error"]

OTHER = "other"
"""The key under which messages are counted once there are ``MAX_KEYS`` of them."""
MAX_KEYS = 64
MAX_READ = 8192
"""Characters of a message that are looked at."""
MAX_SHOWN = 800
"""Characters of a message that are shown; at four bytes each a line stays within what a pipe takes at once."""
MAX_LINES = 256
"""Lines that wait while another thread is writing; only a stderr that hangs can reach it."""


class _Key:
    def __init__(self, severity: Severity) -> None:
        self.severity: Severity = severity
        self.total: int = 0
        self.untold: int = 0
        """How many are in no line yet."""
        self.quiet_until: float = float("-inf")


class Diagnostics:
    """Tells of fapilog's own troubles on stderr, at most once per key and interval, with exact counts.

    May be used from any thread and from signal handlers and never raises. Nobody waits for a line to be written:
    who finds another thread writing leaves the line to it, and one that stderr would not take at once is counted.
    """

    def __init__(
        self,
        container_id: str,
        *,
        interval: float = 5.0,
        clock: Callable[[], float] = monotonic,
        write: Callable[[str], None] | None = None,
    ) -> None:
        """Set up the messages of one container.

        Parameters:
            container_id: stands in every line.
            interval: seconds between two lines of one key, at least.
            clock: the time in seconds; must not go back.
            write: takes a finished line, without its newline, instead of stderr.
        """
        self._prefix = f"fapilog[{escaped(container_id)[:64]}]"
        self._interval = interval
        self._clock = clock
        self._write = _write_to_stderr if write is None else write
        self.redact: Callable[[str], str] | None = None
        """Hides in a message what the container's redactors hide in events, beside what is hidden anyway."""
        self._reset()

    def warn(self, key: str, message: str) -> None:
        """Tell that something was lost, repaired or slow.

        Parameters:
            key: what kind of trouble it is; lines of one key are limited together.
            message: one sentence; secrets in it are masked and control characters escaped.
        """
        self._tell(key, "warning", message)

    def error(self, key: str, message: str) -> None:
        """Tell that something does not work; otherwise as :meth:`warn`."""
        self._tell(key, "error", message)

    def flush(self) -> None:
        """Tell how many messages of each key were not shown."""
        try:
            self._check_process()
            with self._counting:
                self._put_untold()
            self._write_out()
        except Exception:
            pass  # there is nobody left to tell

    @property
    def counts(self) -> dict[str, int]:
        """How many messages there were of each key, shown or not."""
        return {key: state.total for key, state in self._keys.copy().items()}

    def _reset(self) -> None:
        self._process = os.getpid()
        self._keys: dict[str, _Key] = {}
        self._lines: deque[tuple[_Key, int, str]] = deque()
        # Reentrant for a signal handler that interrupts its holder. It comes in only where something is called,
        # and in between each count is brought up to date in one step.
        self._counting = RLock()
        self._writing = Lock()

    def _check_process(self) -> None:
        if self._process != os.getpid():
            self._reset()  # a forked child: the locks' holders do not exist here, and it counts from zero

    def _tell(self, key: str, severity: Severity, message: str) -> None:
        try:
            self._check_process()
            with self._counting:
                self._count(key, severity, message)
            self._write_out()
        except Exception:
            pass  # there is nobody left to tell

    def _count(self, key: str, severity: Severity, message: str) -> None:
        keys = self._keys
        state = keys.get(key)
        if state is None:
            state = keys.setdefault(key if len(keys) < MAX_KEYS else OTHER, _Key(severity))
        state.severity = severity
        state.total += 1
        state.untold += 1
        now = self._clock()
        if now < state.quiet_until:
            return
        state.quiet_until = now + self._interval
        text = readable(message, self.redact)
        others = state.untold - 1
        self._put(state, f"{text} ({others} more like this not shown)" if others > 0 else text)

    def _put_untold(self) -> None:
        for key, state in tuple(self._keys.items()):
            if state.untold:
                self._put(state, f"{readable(key, self.redact)}: {state.untold} more not shown")

    def _put(self, state: _Key, text: str) -> None:
        if len(self._lines) < MAX_LINES:
            told, state.untold = state.untold, 0
            self._lines.append((state, told, f"{self._prefix} {state.severity}: {text}"))

    def _write_out(self) -> None:
        # Taking the lock never waits. Its holder looks again after giving it back, so that a line which
        # came in between, also from a signal handler in the same thread, does not stay behind.
        while self._lines and self._writing.acquire(blocking=False):
            try:
                self._write_lines()
            finally:
                self._writing.release()

    def _write_lines(self) -> None:
        while self._lines:
            state, told, line = self._lines.popleft()
            try:
                self._write(line)
            except BaseException as error:
                with self._counting:
                    state.untold += told  # the next line tells of them
                if not isinstance(error, Exception):
                    raise


def readable(message: str, redact: Callable[[str], str] | None = None) -> str:
    """Return *message* as one bounded line without control characters and with its credentials masked.

    Parameters:
        redact: hides more; if it fails, so does the message.
    """
    cut = len(message) > MAX_READ
    if cut:
        message = message[:MAX_READ].rpartition(" ")[0]  # what is cut in two could not be recognised as a secret
    message = masked(message)
    if redact is not None:
        try:
            message = redact(message)
        except Exception:
            message = WITHHELD
    message = escaped(message)
    return message[:MAX_SHOWN] + "..." if cut or len(message) > MAX_SHOWN else message


def masked(text: str) -> str:
    """Return *text* without the credentials in its URLs, headers and assignments.

    Rather too much is masked than too little. Takes time in proportion to the length of the text.
    """
    if "://" in text and "@" in text:
        text = re.sub(r"\S+", _without_userinfo, text)
    text = re.sub(_HEADER, rf"\1{MASK}", text, flags=re.IGNORECASE | re.DOTALL)
    return re.sub(_ASSIGNMENT, rf"\1{MASK}", text, flags=re.IGNORECASE | re.DOTALL)


def escaped(text: str) -> str:
    """Return *text* with every character escaped that could end its line or steer a terminal."""
    return text.translate(_ESCAPES).encode("utf-8", "backslashreplace").decode()


MASK = "***"
WITHHELD = "[withheld: redaction failed]"
# Texts, not compiled here: most programs have no trouble to tell of, and compiling them takes longer than most modules.
# Written so that text is read through in linear time: what is repeated without a bound cannot contain the
# name that it follows or precedes, so no stretch of text is tried from more than a few places.
_NAME_END = r"\w{0,32}(?:[\\\"']{0,4}\s*[=:]|[\\\"']{1,4}\s*,)\s*"
_QUOTED = r"b?\\{0,4}(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?)"
_HEADER = rf"((?:authorization|cookie){_NAME_END})(?:{_QUOTED}|.+)"
_NAMES = "passw(?:or)?d|passphrase|pwd|secret|token|(?:api|access|private)[_ -]?key|credential"
_ASSIGNMENT = rf"((?:{_NAMES}){_NAME_END}|bearer\s+)(?:{_QUOTED}|\S+)"
_STEERING = (*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
"""Controls (C0, DEL, C1), line and paragraph separators, and what changes the direction of writing."""
_ESCAPES = {code: repr(chr(code))[1:-1] for code in _STEERING}


def _without_userinfo(word: re.Match[str]) -> str:
    text = word[0]
    start, end = text.find("://") + 3, text.rfind("@")
    return f"{text[:start]}{MASK}{text[end:]}" if 3 <= start <= end else text


def _write_to_stderr(line: str) -> None:
    """Write *line* if that can be done at once.

    Raises:
        OSError: if there is no stderr, or it would not take the line.
    """
    stream = sys.stderr
    if isinstance(stream, TextIOWrapper):
        descriptor = stream.fileno()
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT)
        if not poller.poll(0):
            raise BlockingIOError
        os.write(descriptor, f"{line}\n".encode())
    elif stream is None:
        raise OSError
    else:
        stream.write(f"{line}\n")
        stream.flush()
