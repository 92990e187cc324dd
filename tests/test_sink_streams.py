"""The stdout, stderr and console sinks, on real pipes, terminals and processes."""

from __future__ import annotations

import errno
import fcntl
import inspect
import io
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import anyio
import attrs
import pytest

import fapilog.sinks._descriptor as descriptor_module
from fapilog import container
from fapilog.errors import PartialWriteError, PermanentSinkError, TransientSinkError
from fapilog.event import LogEvent, Record
from fapilog.formats import make_formatters
from fapilog.pipeline import threads
from fapilog.pipeline.threads import WriterThread
from fapilog.plugins import Batch, PlainWrite, PluginRegistry, Sink
from fapilog.sinks.console import ConsoleConfig, ConsoleSink, default_sink_name, wants_colour
from fapilog.sinks.streams import StderrSink, StdoutSink, StreamConfig
from support import until

SOURCE = str(Path(descriptor_module.__file__).parents[2])


class Lines:
    """One JSON line for each event."""

    name = "json"

    def format(self, event: LogEvent) -> bytes:
        return json.dumps({"message": event.message, "sequence": event.sequence}).encode() + b"\n"

    def format_batch(self, items: Sequence[Record | LogEvent], first_sequence: int) -> bytes:
        return b"".join(self.format(item) for item in items if isinstance(item, LogEvent))


class Blocks(Lines):
    """Each event as a line and an indented line under it."""

    name = "console"

    def format(self, event: LogEvent) -> bytes:
        return f"{event.message}\n    sequence {event.sequence}\n".encode()


class Coloured(Lines):
    name = "console_colour"

    def format(self, event: LogEvent) -> bytes:
        return f"\x1b[32m{event.message}\x1b[0m\n".encode()


FORMATTERS = {formatter.name: formatter for formatter in (Lines(), Blocks(), Coloured())}


def batch_of(*messages: str, first: int = 0) -> Batch:
    events = [LogEvent(message, sequence=first + position) for position, message in enumerate(messages)]
    return Batch(events, first, FORMATTERS)


def numbered(count: int, size: int = 100, first: int = 0) -> Batch:
    return batch_of(*(f"{first + number:06}".ljust(size, "x") for number in range(count)), first=first)


def sequences(output: bytes) -> list[int]:
    """Parse every line strictly; an incomplete last one is an error too."""
    assert output.endswith(b"\n")
    return [json.loads(line)["sequence"] for line in output.splitlines()]


@attrs.define
class Pipe:
    """A pipe that stands for the standard output."""

    reader: int
    writer: int
    stream: TextIO
    replace: Callable[[object], None]

    def started(self, **settings: Any) -> StdoutSink:
        self.replace(self.stream)
        return started(**settings)

    def read_waiting(self) -> bytes:
        os.set_blocking(self.reader, False)
        pieces: list[bytes] = []
        try:
            while piece := os.read(self.reader, 65536):
                pieces.append(piece)
        except BlockingIOError:
            pass
        finally:
            os.set_blocking(self.reader, True)
        return b"".join(pieces)

    def close_reader(self) -> None:
        os.close(self.reader)
        self.reader = -1


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace a stream by an object, from within the test: pytest puts its own there just before."""

    def replace(stream: object, name: str = "stdout") -> None:
        monkeypatch.setattr(sys, name, stream)

    return replace


@pytest.fixture(params=["blocking", "non-blocking"])
def pipe(request: pytest.FixtureRequest, replaced: Callable[..., None]) -> Iterator[Pipe]:
    """Make a pipe of 4 KiB, once as a shell makes it and once with O_NONBLOCK set on it."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, request.param == "blocking")
    with open(writer, "w", closefd=False) as stream:
        pipe = Pipe(reader, writer, stream, replaced)
        yield pipe
    os.close(writer)
    if pipe.reader >= 0:
        os.close(pipe.reader)


def started(**settings: Any) -> StdoutSink:
    sink = StdoutSink(StreamConfig(**settings))
    sink.start()
    return sink


class SlowReader(threading.Thread):
    """Reads a pipe in small odd pieces until its end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.descriptor = descriptor
        self.pieces: list[bytes] = []

    def run(self) -> None:
        while piece := os.read(self.descriptor, 997):
            self.pieces.append(piece)

    def output(self) -> bytes:
        self.join(10)
        assert not self.is_alive()
        return b"".join(self.pieces)


# What is written


def test_the_sinks_are_sinks() -> None:
    sinks: list[Sink] = [StdoutSink(), StderrSink(), ConsoleSink()]
    for sink in sinks:
        assert isinstance(sink, Sink)
        assert sink.blocking and sink.ordered  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("sink", "name"), [(StdoutSink(), "stdout"), (StderrSink(), "stderr")], ids=["stdout", "stderr"]
)
def test_a_batch_is_written_to_the_descriptor_of_its_stream(
    sink: StdoutSink, name: str, tmp_path: Path, replaced: Callable[..., None]
) -> None:
    target = tmp_path / "output"
    with target.open("w") as stream:
        replaced(stream, name)
        sink.start()
        sink.write(numbered(3))
        assert sequences(target.read_bytes()) == [0, 1, 2]
        sink.aclose()
        assert not stream.closed
    assert StdoutSink.metadata.name == "stdout" and StderrSink.metadata.name == "stderr"


def test_what_was_printed_before_comes_first(pipe: Pipe) -> None:
    print("printed before", file=pipe.stream)
    sink = pipe.started()
    sink.write(batch_of("logged"))
    assert pipe.read_waiting() == b"printed before\n" + batch_of("logged").encoded("json")


@pytest.mark.parametrize("settings", [{"format": "xml"}, {"stall_timeout": 0.0}, {"stall_timeout": float("nan")}])
def test_a_wrong_setting_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        StreamConfig(**settings)


@pytest.mark.parametrize("settings", [{"stream": "stdin"}, {"colour": "pink"}, {"stall_timeout": -1.0}])
def test_a_wrong_console_setting_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ConsoleConfig(**settings)


# Slow readers


def test_sk16_a_small_pipe_with_a_slow_reader_gets_every_line_once_and_whole(pipe: Pipe) -> None:
    reader = SlowReader(pipe.reader)
    sink = pipe.started()
    reader.start()
    for first in range(0, 1000, 100):
        sink.write(numbered(100, first=first))
    sink.write(numbered(3, size=20_000, first=1000))  # longer than the pipe
    sink.aclose()
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), pipe.writer)  # the last writing end goes: the reader sees the end
    assert sequences(reader.output()) == list(range(1003))


def test_sk16_a_reader_that_stops_is_told_with_the_events_that_got_out(pipe: Pipe) -> None:
    sink = pipe.started(stall_timeout=0.01)
    batch = numbered(100)
    with pytest.raises(PartialWriteError) as caught:
        sink.write(batch)
    failed = caught.value.failed
    assert 0 < min(failed) < 100
    assert list(failed) == list(range(min(failed), 100))
    assert all(type(error) is TransientSinkError for error in failed.values())
    output = pipe.read_waiting()
    assert output.count(b"\n") == min(failed)
    with pytest.raises(PartialWriteError):
        sink.write(numbered(100, first=100))


def test_sk16_a_retry_goes_on_where_the_line_was_cut(pipe: Pipe) -> None:
    sink = pipe.started(stall_timeout=0.01)
    output = b""
    batch = numbered(100, size=333)
    tries = 0
    while len(batch):
        tries += 1
        try:
            sink.write(batch)
            batch = batch.select(())
        except PartialWriteError as error:
            batch = batch.select(list(error.failed))
        output += pipe.read_waiting()
    assert tries > 5
    assert sequences(output) == list(range(100))


def test_sk16_a_line_that_is_given_up_ends_before_the_next_event(pipe: Pipe) -> None:
    sink = pipe.started(stall_timeout=0.01)
    with pytest.raises(TransientSinkError):
        sink.write(batch_of("x" * 5000))
    output = pipe.read_waiting()
    assert output and b"\n" not in output
    sink.write(batch_of("next", first=1))
    assert pipe.read_waiting() == b"\n" + batch_of("next", first=1).encoded("json")
    sink.write(batch_of("after", first=2))
    assert pipe.read_waiting() == batch_of("after", first=2).encoded("json")


def test_a_line_that_is_given_up_ends_at_close(pipe: Pipe) -> None:
    sink = pipe.started(stall_timeout=0.01)
    with pytest.raises(TransientSinkError):
        sink.write(batch_of("x" * 5000))
    assert pipe.read_waiting()
    sink.aclose()
    assert pipe.read_waiting() == b"\n"


def test_a_full_pipe_with_nothing_out_is_a_transient_failure(pipe: Pipe) -> None:
    sink = pipe.started(stall_timeout=0.01)
    with pytest.raises(TransientSinkError):
        sink.write(batch_of("x" * 5000))
    with pytest.raises(TransientSinkError, match=r"the reader of stdout did not read on within 0\.01 s"):
        sink.write(batch_of("more"))


def test_events_of_several_lines_are_counted_by_their_whole_records(pipe: Pipe) -> None:
    sink = pipe.started(stall_timeout=0.01, format="console")
    batch = numbered(100, size=333)
    with pytest.raises(PartialWriteError) as caught:
        sink.write(batch)
    delivered = 100 - len(caught.value.failed)
    whole = batch.select(range(delivered)).encoded("console")
    more = batch.select(range(delivered + 1)).encoded("console")
    output = pipe.read_waiting()
    assert len(whole) <= len(output) < len(more)
    assert more.startswith(output)


def test_the_sink_leaves_the_stream_as_it_is(pipe: Pipe) -> None:
    was_blocking = os.get_blocking(pipe.writer)
    before = set(os.listdir("/proc/self/fd"))
    sink = pipe.started()
    assert os.get_blocking(pipe.writer) == was_blocking
    sink.write(batch_of("one"))
    sink.aclose()
    sink.aclose()
    assert set(os.listdir("/proc/self/fd")) == before
    assert os.get_blocking(pipe.writer) == was_blocking
    print("still open", file=pipe.stream, flush=True)
    assert pipe.read_waiting().endswith(b"still open\n")


def test_closing_during_a_write_in_another_thread_leaves_the_descriptor_to_it(pipe: Pipe) -> None:
    before = set(os.listdir("/proc/self/fd"))
    sink = pipe.started(stall_timeout=30.0)
    first_read = threading.Event()
    output: list[bytes] = []

    def read() -> None:
        output.append(os.read(pipe.reader, 4096))
        first_read.set()

    reader = threading.Thread(target=read)
    writer = threading.Thread(target=sink.write, args=(numbered(100),))
    writer.start()
    reader.start()
    first_read.wait(10)
    sink.aclose()  # the write goes on: 14 KiB do not fit into the pipe
    while b"".join(output).count(b"\n") < 100:
        output.append(os.read(pipe.reader, 4096))
    writer.join(10)
    reader.join(10)
    assert sequences(b"".join(output)) == list(range(100))
    assert set(os.listdir("/proc/self/fd")) == before
    with pytest.raises(PermanentSinkError, match="closed"):
        sink.write(batch_of("late"))


def test_a_short_write_and_an_error_in_the_middle_of_a_line(
    tmp_path: Path, replaced: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "output"
    room = 250

    def write(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = min(room, len(data), 70)
        room -= taken
        return real_write(descriptor, data[:taken])

    real_write = os.write
    with target.open("w") as stream:
        replaced(stream)
        sink = started()
        monkeypatch.setattr(os, "write", write)
        batch = numbered(4, size=60)
        with pytest.raises(PartialWriteError) as caught:
            sink.write(batch)
        assert "No space left on device" in str(caught.value.failed[3])
        room = 10_000
        sink.write(batch.select(list(caught.value.failed)))
    assert sequences(target.read_bytes()) == [0, 1, 2, 3]


# Readers that are gone


def test_sk15_a_reader_that_is_gone_fails_every_write_at_once(pipe: Pipe) -> None:
    sink = pipe.started()
    sink.write(batch_of("seen"))
    pipe.close_reader()
    for _ in range(3):
        with pytest.raises(PermanentSinkError, match="the reader of stdout is gone"):
            sink.write(batch_of("not seen"))
    sink.aclose()


def test_sk15_a_reader_that_goes_in_the_middle_of_a_batch(pipe: Pipe) -> None:
    sink = pipe.started()

    def read_a_little() -> None:
        os.read(pipe.reader, 1000)
        pipe.close_reader()

    reader = threading.Thread(target=read_a_little)
    reader.start()
    with pytest.raises(PartialWriteError) as caught:
        sink.write(numbered(200))
    reader.join()
    assert all(type(error) is PermanentSinkError for error in caught.value.failed.values())
    with pytest.raises(PermanentSinkError, match="the reader of stdout is gone"):
        sink.write(numbered(1))


PROGRAM = """
import json, sys
from fapilog.errors import SinkError
from fapilog.event import LogEvent
from fapilog.plugins import Batch
from fapilog.sinks.{module} import {sink}

class Lines:
    name = "json"
    def format(self, event):
        return json.dumps({{"message": event.message, "sequence": event.sequence}}).encode() + b"\\n"
    def format_batch(self, items, first_sequence):
        return b"".join(map(self.format, items))

sink = {sink}()
sink.start()
formats = {{"json": Lines(), "console": Lines(), "console_colour": Lines()}}
number = 0
outcome = "unknown"
try:
    while True:
        sink.write(Batch([LogEvent("x" * 100, sequence=number + k) for k in range(50)], 0, formats))
        number += 50
except SinkError as error:
    failed = getattr(error, "failed", None)
    outcome = repr(next(iter(failed.values())) if failed else error)
sink.aclose()
if sys.stderr is not None:
    sys.stderr.write(outcome)
sys.exit({code})
"""


@pytest.mark.parametrize(
    ("module", "sink"), [("streams", "StdoutSink"), ("console", "ConsoleSink")], ids=["stdout", "console"]
)
@pytest.mark.parametrize("code", [0, 3])
def test_sk15_head_ends_the_output_but_not_the_exit_code(module: str, sink: str, code: int) -> None:
    program = PROGRAM.format(module=module, sink=sink, code=code)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCE},
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert json.loads(process.stdout.readline())["sequence"] == 0
        process.stdout.close()
        told = process.stderr.read().decode()
        assert process.wait(20) == code
    assert told == "PermanentSinkError('the reader of stdout is gone')"


@pytest.mark.parametrize("redirection", ["1>&-", "1>&- 2>&-"], ids=["stdout", "both"])
def test_sk17_a_missing_stdout_fails_the_writes_only(redirection: str) -> None:
    program = PROGRAM.format(module="streams", sink="StdoutSink", code=4)
    finished = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, program],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stderr=subprocess.PIPE,
        timeout=20,
        check=False,
    )
    assert finished.returncode == 4
    assert finished.stderr.decode().startswith("" if "2>&-" in redirection else "PermanentSinkError('no_stream: ")
    assert b"Exception ignored" not in finished.stderr


def test_sk17_a_missing_stderr_fails_the_writes_only(replaced: Callable[..., None]) -> None:
    replaced(None, "stderr")
    sink = StderrSink()
    sink.start()
    for _ in range(2):
        with pytest.raises(PermanentSinkError, match="no_stream: there is no stderr"):
            sink.write(batch_of("one"))
    sink.aclose()


def test_sk17_a_closed_stream_fails_the_writes_only(tmp_path: Path, replaced: Callable[..., None]) -> None:
    stream = (tmp_path / "output").open("w")
    stream.close()
    replaced(stream)
    with pytest.raises(PermanentSinkError, match="no_stream"):
        started().write(batch_of("one"))


def test_sk17_a_descriptor_closed_later_fails_the_writes(tmp_path: Path, replaced: Callable[..., None]) -> None:
    descriptor = os.open(tmp_path / "output", os.O_WRONLY | os.O_CREAT)
    with open(descriptor, "w", closefd=False) as stream:
        replaced(stream)
        sink = started()
        os.close(descriptor)
        for _ in range(2):
            with pytest.raises(PermanentSinkError, match="no_stream"):
                sink.write(batch_of("one"))


def test_a_write_before_start_or_after_close_is_refused(pipe: Pipe) -> None:
    pipe.replace(pipe.stream)
    sink = StdoutSink()
    with pytest.raises(PermanentSinkError, match=r"start\(\)"):
        sink.write(batch_of("early"))
    sink.start()
    sink.aclose()
    with pytest.raises(PermanentSinkError, match="closed"):
        sink.write(batch_of("late"))
    assert pipe.read_waiting() == b""


# Objects in the place of the stream


def test_an_object_without_a_descriptor_gets_text(capsys: pytest.CaptureFixture[str]) -> None:
    print("before")
    started().write(batch_of("grün"))
    print("after")
    assert capsys.readouterr().out == "before\n" + batch_of("grün").encoded("json").decode() + "after\n"


def test_a_replacement_that_passes_on_a_descriptor_is_not_bypassed(replaced: Callable[..., None]) -> None:
    """A notebook's stream has the fileno() of the server's terminal."""

    class Notebook(io.StringIO):
        def fileno(self) -> int:
            raise AssertionError("the output belongs into the notebook")

    stream = Notebook()
    replaced(stream)
    started().write(numbered(2))
    assert sequences(stream.getvalue().encode()) == [0, 1]


def test_a_text_object_of_a_smaller_character_set_gets_escapes(replaced: Callable[..., None]) -> None:
    class Ascii:
        text = ""

        def write(self, text: str) -> None:
            text.encode("ascii")
            self.text += text

    stream = Ascii()
    replaced(stream)
    sink = started(format="console")
    sink.write(batch_of("grün"))
    assert stream.text == "gr\\xfcn\n    sequence 0\n"


def test_a_text_object_closed_later_fails_the_writes(replaced: Callable[..., None]) -> None:
    stream = io.StringIO()
    replaced(stream)
    sink = started()
    stream.close()
    for _ in range(2):
        with pytest.raises(PermanentSinkError, match="no_stream"):
            sink.write(batch_of("one"))


def test_a_text_object_whose_reader_is_gone(replaced: Callable[..., None]) -> None:
    class Gone:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    replaced(Gone())
    sink = started()
    with pytest.raises(PermanentSinkError, match="the reader of stdout is gone"):
        sink.write(batch_of("one"))


# The console


@attrs.define
class Terminal:
    screen: int
    stream: TextIO
    replace: Callable[[object], None]

    def started(self) -> ConsoleSink:
        self.replace(self.stream)
        sink = ConsoleSink()
        sink.start()
        return sink


@pytest.fixture
def terminal(replaced: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Make a terminal and an environment that says nothing about colour."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    screen, line = pty.openpty()
    with open(line, "w") as stream:
        terminal = Terminal(screen, stream, replaced)
        yield terminal
    if terminal.screen >= 0:
        os.close(terminal.screen)


def test_a_terminal_gets_colour(terminal: Terminal) -> None:
    sink = terminal.started()
    sink.write(batch_of("hello"))
    assert os.read(terminal.screen, 1000) == b"\x1b[32mhello\x1b[0m\r\n"
    sink.aclose()
    assert default_sink_name() == "console"


def test_no_color_keeps_the_terminal_plain(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    sink = terminal.started()
    sink.write(batch_of("hello"))
    assert os.read(terminal.screen, 1000) == b"hello\r\n    sequence 0\r\n"
    sink.aclose()


def test_a_terminal_that_is_hung_up_is_gone(terminal: Terminal) -> None:
    sink = terminal.started()
    os.close(terminal.screen)
    terminal.screen = -1
    for _ in range(2):
        with pytest.raises(PermanentSinkError, match="the reader of stdout is gone"):
            sink.write(batch_of("hello"))
    sink.aclose()


def test_a_terminal_that_is_stopped_is_told_with_the_events_that_got_out(terminal: Terminal) -> None:
    """As after Control-S."""
    terminal.replace(terminal.stream)
    sink = ConsoleSink(ConsoleConfig(colour="never", stall_timeout=0.01))
    sink.start()
    with pytest.raises(PartialWriteError) as caught:
        sink.write(numbered(1000))
    assert 0 < len(caught.value.failed) < 1000
    assert all(type(error) is TransientSinkError for error in caught.value.failed.values())
    sink.aclose()


def test_a_pipe_gets_no_colour_and_is_no_console(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    pipe.replace(pipe.stream)
    sink = ConsoleSink()
    sink.start()
    sink.write(batch_of("hello"))
    assert pipe.read_waiting() == b"hello\n    sequence 0\n"
    assert default_sink_name() == "stdout"


def test_the_console_can_be_stderr(tmp_path: Path, replaced: Callable[..., None]) -> None:
    with (tmp_path / "errors").open("w") as stream:
        replaced(stream, "stderr")
        sink = ConsoleSink(ConsoleConfig(stream="stderr", colour="always"))
        sink.start()
        sink.write(batch_of("hello"))
    assert (tmp_path / "errors").read_bytes() == b"\x1b[32mhello\x1b[0m\n"


@pytest.mark.parametrize(
    ("environment", "is_terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "0"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": ""}, False, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_the_environment_decides_on_colour(environment: dict[str, str], is_terminal: bool, expected: bool) -> None:
    assert wants_colour("auto", environment, is_terminal=is_terminal) is expected
    assert wants_colour("always", environment, is_terminal=is_terminal) is True
    assert wants_colour("never", environment, is_terminal=is_terminal) is False


@pytest.mark.parametrize("colour", ["always", "never"])
@pytest.mark.parametrize("format", ["json", "json_flat", "logfmt", "console"])
def test_the_console_writes_the_format_that_it_is_told(
    tmp_path: Path, replaced: Callable[..., None], format: Any, colour: Any
) -> None:
    formatters = make_formatters()
    batch = Batch([LogEvent("hello", sequence=7)], 7, formatters)
    with (tmp_path / "out").open("w") as stream:
        replaced(stream, "stdout")
        sink = ConsoleSink(ConsoleConfig(colour=colour, format=format))
        sink.start()
        sink.write(batch)
        sink.aclose()
    wanted = "console_colour" if (format, colour) == ("console", "always") else format
    assert sink.payload_format == wanted
    assert (tmp_path / "out").read_bytes() == batch.encoded(wanted)


def test_every_built_in_sink_that_writes_lines_can_be_told_a_format() -> None:
    registry = PluginRegistry()
    classes: list[Any] = [registry.get("sink", name) for name in registry.names("sink")]
    # A sink keeps events, or drops them, if it does not say what its lines will be.
    writers = [found for found in classes if "payload_format" in inspect.getsource(found)]
    assert len(writers) >= 4
    for found in writers:
        attribute = attrs.fields_dict(found.Config)["format"]
        assert attribute.default in make_formatters()


@pytest.mark.parametrize("stream", [None, object()], ids=["none", "object"])
def test_no_terminal_means_the_stdout_sink(stream: object, replaced: Callable[..., None]) -> None:
    replaced(stream)
    assert default_sink_name() == "stdout"


# In a container


@pytest.fixture(params=["plain writes", "in Python"])
def writes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the container's thread write with the interpreter or, where it can, without."""
    if request.param == "in Python":
        monkeypatch.setattr(threads, "_Writes", None)
    elif threads._Writes is None:
        pytest.skip("plain writes need the accelerator, on Linux")


@pytest.mark.usefixtures("writes")
async def test_a_container_writes_everything_in_order_to_a_slow_reader(pipe: Pipe) -> None:
    reader = SlowReader(pipe.reader)
    reader.start()
    pipe.replace(pipe.stream)
    async with container({"sinks": ["stdout"]}) as log:
        for number in range(1000):
            await log.info("x" * 100, number=number)
    report = log.container.report
    assert report is not None
    assert report.sinks["stdout"].delivered == 1000
    pipe.stream.close()
    os.close(pipe.writer)
    pipe.writer = os.open(os.devnull, os.O_WRONLY)  # for the fixture
    assert sequences(reader.output()) == list(range(1, 1001))


async def in_the_thread(self: WriterThread, write: PlainWrite, *, timeout: float) -> None:
    raise AssertionError("this write needs no thread")


@pytest.mark.skipif(threads._Writes is None, reason="plain writes need the accelerator, on Linux")
async def test_what_the_pipe_has_room_for_is_written_without_the_thread(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe.replace(pipe.stream)
    async with container({"sinks": ["stdout"]}) as log:
        monkeypatch.setattr(WriterThread, "write", in_the_thread)
        for number in range(3):
            await anyio.wait_all_tasks_blocked()  # until then the sink's task is not ready to be passed over
            await log.info("read", number=number)
            await log.flush()
            assert sequences(pipe.read_waiting()) == [number + 1]
    report = log.container.report
    assert report is not None
    assert report.sinks["stdout"].delivered == 3


@pytest.mark.skipif(threads._Writes is None, reason="plain writes need the accelerator, on Linux")
async def test_a_write_at_once_that_somebody_else_cut_short_goes_on_where_it_was_cut(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may take the room in the pipe between the look for it and the write."""

    def cut_short(self: WriterThread, write: PlainWrite) -> int:
        monkeypatch.undo()
        pipe.replace(pipe.stream)
        return os.write(write.descriptor, write.payload[: write.payload.index(b"\n") + 20])

    pipe.replace(pipe.stream)
    monkeypatch.setattr(WriterThread, "write_at_once", cut_short)
    async with container({"sinks": ["stdout"]}) as log:
        await anyio.wait_all_tasks_blocked()
        for number in range(3):
            log.nowait.info("cut", number=number)
        await log.flush()
        assert sequences(pipe.read_waiting()) == [1, 2, 3]
    report = log.container.report
    assert report is not None
    assert (report.sinks["stdout"].delivered, report.sinks["stdout"].retries) == (3, 1)


@pytest.mark.usefixtures("writes")
async def test_a_container_finds_that_the_reader_is_gone(pipe: Pipe) -> None:
    pipe.replace(pipe.stream)
    async with container({"sinks": ["stdout"]}) as log:
        await log.info("read")
        await log.flush()
        assert sequences(pipe.read_waiting()) == [1]
        pipe.close_reader()
        for _ in range(2):
            await log.info("not read")
            await log.flush()
    report = log.container.report
    assert report is not None
    assert (report.sinks["stdout"].delivered, report.sinks["stdout"].failed) == (1, {"permanent": 2})


@pytest.mark.usefixtures("writes")
async def test_a_container_goes_on_where_a_stalled_reader_cut_a_record(pipe: Pipe) -> None:
    """Some events of the batch got out, the next one in part; they are not written again, and the rest is."""
    pipe.replace(pipe.stream)
    settings = {"sinks": ["stdout"], "plugin_config": {"stdout": {"stall_timeout": 0.05}}}
    reader = SlowReader(pipe.reader)
    async with container(settings) as log:
        for number in range(30):
            await log.info("x" * 1000, number=number)
        flushed = anyio.Event()

        async def flush() -> None:
            await log.flush()
            flushed.set()

        async with anyio.create_task_group() as group:
            group.start_soon(flush)
            await until(lambda: log.container.stats().sinks["stdout"].delivered > 0)
            assert not flushed.is_set()
            reader.start()
    report = log.container.report
    assert report is not None
    assert report.sinks["stdout"].delivered == 30
    assert report.sinks["stdout"].retries >= 1
    pipe.stream.close()
    os.close(pipe.writer)
    pipe.writer = os.open(os.devnull, os.O_WRONLY)
    assert sequences(reader.output()) == list(range(1, 31))
