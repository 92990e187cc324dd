"""fapilog's own messages: limited, exact in number, masked, and never in the way."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog.diagnostics as diagnostics_module
from fapilog.diagnostics import MAX_KEYS, MAX_SHOWN, OTHER, Diagnostics, masked, readable

SOURCE = str(Path(diagnostics_module.__file__).parents[1])


@attrs.define
class Told:
    """Diagnostics whose clock and output the test holds."""

    lines: list[str] = attrs.field(factory=list[str])
    now: float = 100.0
    refuses: bool = False

    def make(self) -> Diagnostics:
        return Diagnostics("c1", interval=5.0, clock=lambda: self.now, write=self.write)

    def write(self, line: str) -> None:
        if self.refuses:
            raise BlockingIOError
        self.lines.append(line)

    def taken(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_message_is_one_line_with_the_container_and_the_severity(told: Told) -> None:
    diagnostics = told.make()
    diagnostics.warn("queue", "the queue is full")
    diagnostics.error("sink", "the sink is down")
    assert told.lines == ["fapilog[c1] warning: the queue is full", "fapilog[c1] error: the sink is down"]


def test_ov11_a_storm_is_one_line_an_interval_with_exact_counts(told: Told) -> None:
    diagnostics = told.make()
    for _ in range(1000):
        diagnostics.warn("queue", "full")
    assert told.taken() == ["fapilog[c1] warning: full"]
    told.now += 4.9
    diagnostics.warn("queue", "full")
    assert told.taken() == []
    told.now += 0.1
    diagnostics.warn("queue", "still full")
    assert told.taken() == ["fapilog[c1] warning: still full (1000 more like this not shown)"]
    told.now += 5.0
    diagnostics.warn("queue", "full again")
    assert told.taken() == ["fapilog[c1] warning: full again"]
    assert diagnostics.counts == {"queue": 1003}


def test_one_key_does_not_quiet_another(told: Told) -> None:
    diagnostics = told.make()
    diagnostics.warn("one", "first")
    diagnostics.warn("two", "second")
    assert len(told.lines) == 2


def test_flush_tells_what_was_not_shown_and_only_once(told: Told) -> None:
    diagnostics = told.make()
    for _ in range(4):
        diagnostics.error("sink", "down")
    diagnostics.warn("queue", "full")
    told.taken()
    diagnostics.flush()
    assert told.taken() == ["fapilog[c1] error: sink: 3 more not shown"]
    diagnostics.flush()
    assert told.taken() == []


def test_a_line_that_could_not_be_written_is_counted_and_told_later(told: Told) -> None:
    diagnostics = told.make()
    told.refuses = True
    diagnostics.warn("queue", "first")
    diagnostics.warn("queue", "second")
    told.refuses = False
    diagnostics.warn("queue", "third")
    assert told.taken() == []
    told.now += 5.0
    diagnostics.warn("queue", "fourth")
    assert told.taken() == ["fapilog[c1] warning: fourth (3 more like this not shown)"]


def test_the_number_of_keys_is_bounded_and_the_counts_stay_exact(told: Told) -> None:
    diagnostics = told.make()
    for number in range(1000):
        diagnostics.warn(f"key {number}", f"message {number}")
    assert len(told.lines) == MAX_KEYS + 1
    counts = diagnostics.counts
    assert len(counts) == MAX_KEYS + 1
    assert counts[OTHER] == 1000 - MAX_KEYS
    diagnostics.flush()
    assert told.lines[-1] == f"fapilog[c1] warning: other: {1000 - MAX_KEYS - 1} more not shown"


class Broken:
    def __len__(self) -> int:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError


def test_nothing_that_is_passed_makes_it_raise(told: Told) -> None:
    diagnostics = told.make()
    diagnostics.warn("broken", Broken())  # type: ignore[arg-type]
    diagnostics.warn([], "unhashable")  # type: ignore[arg-type]
    assert told.taken() == []
    diagnostics.warn("fine", "fine")
    assert told.taken() == ["fapilog[c1] warning: fine"]


def test_a_broken_clock_does_not_make_it_raise() -> None:
    def clock() -> float:
        raise RuntimeError

    lines: list[str] = []
    diagnostics = Diagnostics("c1", clock=clock, write=lines.append)
    diagnostics.warn("key", "message")
    assert diagnostics.counts == {"key": 1}
    diagnostics.flush()
    assert lines == ["fapilog[c1] warning: key: 1 more not shown"]


# Threads, signals and forks


def test_the_counts_are_exact_under_threads() -> None:
    lines: list[str] = []
    diagnostics = Diagnostics("c1", clock=lambda: 0.0, write=lines.append)
    start = threading.Barrier(4)

    def storm() -> None:
        start.wait()
        for _ in range(5000):
            diagnostics.warn("queue", "full")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=storm) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    diagnostics.flush()
    assert diagnostics.counts == {"queue": 20_000}
    assert lines == ["fapilog[c1] warning: full", "fapilog[c1] warning: queue: 19999 more not shown"]


def test_a_writer_that_hangs_holds_up_no_other_thread() -> None:
    entered, released = threading.Event(), threading.Event()
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        entered.set()
        released.wait(10)

    diagnostics = Diagnostics("c1", write=write)
    stuck = threading.Thread(target=diagnostics.warn, args=("one", "first"))
    stuck.start()
    entered.wait(10)
    diagnostics.warn("two", "second")  # would not return
    assert lines == ["fapilog[c1] warning: first"]
    released.set()
    stuck.join(10)
    assert lines == ["fapilog[c1] warning: first", "fapilog[c1] warning: second"]


def test_behind_a_writer_that_hangs_memory_is_bounded_and_the_counts_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics_module, "MAX_LINES", 3)
    told = Told()

    def write(line: str) -> None:
        if not told.lines:
            for number in range(10):  # as other threads would, meanwhile
                told.now += 5.0
                diagnostics.warn("key", f"number {number}")
        told.lines.append(line)

    diagnostics = Diagnostics("c1", clock=lambda: told.now, write=write)
    diagnostics.warn("key", "first")
    diagnostics.flush()
    assert told.lines == [
        "fapilog[c1] warning: first",
        "fapilog[c1] warning: number 0",
        "fapilog[c1] warning: number 1",
        "fapilog[c1] warning: number 2",
        "fapilog[c1] warning: key: 7 more not shown",
    ]
    assert diagnostics.counts == {"key": 11}


def test_an_interrupt_while_a_line_is_written_passes_and_nothing_is_lost(told: Told) -> None:
    def write(line: str) -> None:
        if told.refuses:
            raise KeyboardInterrupt
        told.write(line)

    diagnostics = Diagnostics("c1", write=write)
    told.refuses = True
    with pytest.raises(KeyboardInterrupt):
        diagnostics.warn("key", "message")
    told.refuses = False
    diagnostics.flush()
    assert told.lines == ["fapilog[c1] warning: key: 1 more not shown"]


def test_a_signal_handler_may_warn_while_a_warning_is_written() -> None:
    lines: list[str] = []

    def write(line: str) -> None:
        if not lines:
            signal.raise_signal(signal.SIGUSR1)
        lines.append(line)

    def handle(number: int, frame: object) -> None:
        diagnostics.warn("signal", "from the handler")

    diagnostics = Diagnostics("c1", write=write)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        diagnostics.warn("outer", "outer")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert lines == ["fapilog[c1] warning: outer", "fapilog[c1] warning: from the handler"]
    assert diagnostics.counts == {"outer": 1, "signal": 1}


def test_a_writer_that_warns_itself_ends(told: Told) -> None:
    def write(line: str) -> None:
        told.write(line)
        diagnostics.warn("writer", "again")

    diagnostics = Diagnostics("c1", write=write)
    diagnostics.warn("first", "first")
    assert told.lines == ["fapilog[c1] warning: first", "fapilog[c1] warning: again"]
    assert diagnostics.counts == {"first": 1, "writer": 2}


FORKED = """
import os, sys, threading
from fapilog.diagnostics import Diagnostics

entered, released = threading.Event(), threading.Event()
def write(line):
    os.write(1, f"{os.getpid() == parent} {line}\\n".encode())
    if os.getpid() == parent:
        entered.set()
        released.wait(10)

parent = os.getpid()
diagnostics = Diagnostics("c1", write=write)
thread = threading.Thread(target=diagnostics.warn, args=("key", "in the parent"))
thread.start()
entered.wait(10)
child = os.fork()
if child == 0:
    diagnostics.warn("key", "in the child")
    os._exit(diagnostics.counts["key"])
status = os.waitpid(child, 0)[1]
released.set()
thread.join()
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_child_starts_from_zero_and_does_not_wait_for_the_parents_threads() -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert finished.stdout.splitlines() == [
        b"True fapilog[c1] warning: in the parent",
        b"False fapilog[c1] warning: in the child",
    ]
    assert finished.returncode == 1


# What a line may hold


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\nb", r"a\r\nb"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\x9b31mb", r"a\x9b31mb"),
        ("a\x07\x7f\0b", r"a\x07\x7f\x00b"),
        ("a\x85b", r"a\x85b"),
        ("a\u2028b", r"a\u2028b"),
        ("a\u202eb", r"a\u202eb"),
        ("a\ud800b", r"a\ud800b"),
    ],
)
def test_se1_se2_nothing_in_a_message_ends_the_line_or_steers_the_terminal(text: str, shown: str, told: Told) -> None:
    Diagnostics(text, write=told.write).warn("key", text)
    assert told.lines == [f"fapilog[{shown}] warning: {shown}"]


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_one_bounded_line(text: str) -> None:
    line = readable(text)
    assert len(line.splitlines()) <= 1
    assert len(line) <= MAX_SHOWN + 3
    line.encode()


def test_a_long_message_is_cut_and_fits_into_one_write_of_a_pipe(told: Told) -> None:
    Diagnostics("\U0001f600" * 100, write=told.write).warn("key", "\U0001f600 " * 10_000)
    (line,) = told.lines
    assert line.endswith("...")
    assert len(line.encode()) < 4096


CANARY = "canary-7Q"


@pytest.mark.parametrize(
    "text",
    [
        f"connect to https://user:{CANARY}@host/path failed",
        f"connect to https://{CANARY}@host failed",
        f"redis://:{CANARY}@h:1,redis://:{CANARY}@h:2",
        f"postgres://u:p/{CANARY}@host/db",
        f"password={CANARY}",
        f"Password: {CANARY}",
        f"passwd={CANARY} pwd={CANARY}",
        f"db_password_1 = {CANARY}",
        f"{{'password': 'a {CANARY}'}}",
        f'{{"api_key": "a\\" {CANARY}", "b": 1}}',
        f'{{\\"token\\": \\"a {CANARY}\\"}}',
        f"('secret', 'a {CANARY}')",
        f"[(b'Authorization', b'Bearer {CANARY}')]",
        f"Authorization: Bearer {CANARY}",
        f"authorization=AWS4 Credential=a, Signature={CANARY}",
        f"Cookie: a=1; session={CANARY}",
        f"bearer {CANARY}",
        f"GET /?access_token={CANARY}&x=1",
        f"client-secret={CANARY}",
        f"API-KEY={CANARY} apikey={CANARY} private key: {CANARY}",
        "token=" + "x" * 20_000 + CANARY,
        f"token='{'x ' * 4070}' https://user:{CANARY}{'y' * 100}@host",
    ],
)
def test_se12_credentials_are_masked(text: str) -> None:
    assert CANARY not in masked(text)
    assert CANARY not in readable(text)


@pytest.mark.parametrize(
    "text",
    [
        "the sink 'file' failed 3 times: [Errno 28] No space left on device: '/var/log/app.jsonl'",
        "mail to someone@example.org was refused",
        "http://host:8080/path?x=1 answered 503",
    ],
)
def test_an_ordinary_message_stays_as_it_is(text: str) -> None:
    assert readable(text) == text


def test_a_message_that_cannot_be_redacted_is_withheld() -> None:
    def redact(message: str) -> str:
        raise ValueError(message)

    assert readable(f"a sink failed: {CANARY}", redact) == "[withheld: redaction failed]"


def test_the_rest_of_a_url_stays_readable() -> None:
    assert masked("redis://app:pw@cache:6379/0 is down") == "redis://***@cache:6379/0 is down"


# Standard error


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    def replace(stream: object) -> None:
        monkeypatch.setattr(sys, "stderr", stream)

    return replace


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_a_line_goes_to_the_descriptor_of_stderr(tmp_path: Path, stderr: Callable[[object], None]) -> None:
    with (tmp_path / "errors").open("w") as stream:
        stderr(stream)
        Diagnostics("c1").warn("key", "grün")
        assert (tmp_path / "errors").read_text("utf-8") == "fapilog[c1] warning: grün\n"


def test_a_stderr_that_would_block_is_not_waited_for(
    full_pipe: tuple[int, int], stderr: Callable[[object], None]
) -> None:
    reader, writer = full_pipe
    with open(writer, "w", closefd=False) as stream:
        stderr(stream)
        diagnostics = Diagnostics("c1")
        diagnostics.warn("key", "first")  # would not return
        os.read(reader, 4096)
        diagnostics.flush()
    assert os.read(reader, 4096) == b"fapilog[c1] warning: key: 1 more not shown\n"


def test_an_object_in_the_place_of_stderr_gets_text(stderr: Callable[[object], None]) -> None:
    stream = io.StringIO()
    stderr(stream)
    Diagnostics("c1").warn("key", "message")
    assert stream.getvalue() == "fapilog[c1] warning: message\n"


class Failing:
    def write(self, text: str) -> None:
        raise ValueError


@pytest.mark.parametrize("stream", [None, Failing(), object()], ids=["none", "failing", "no stream"])
def test_sk17_without_a_stderr_the_messages_are_only_counted(stream: object, stderr: Callable[[object], None]) -> None:
    stderr(stream)
    diagnostics = Diagnostics("c1")
    diagnostics.error("key", "message")
    diagnostics.flush()
    assert diagnostics.counts == {"key": 1}


def test_a_stderr_whose_reader_is_gone_is_only_counted(stderr: Callable[[object], None]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        stderr(stream)
        diagnostics = Diagnostics("c1")
        diagnostics.error("key", "message")
        assert diagnostics.counts == {"key": 1}
