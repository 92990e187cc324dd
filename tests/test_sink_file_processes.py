"""The file sink in several processes that write, rotate, compress and remove the same files, some of them killed."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fapilog.errors import TransientSinkError
from fapilog.sinks._archives import Archives
from fapilog.sinks._rotation import ArchiveNames
from fapilog.sinks.file import FileSink
from file_sink_tools import archives_of, batch_of, everything_in, messages_in, record_size, rig

WORKER = """
import os, sys
sys.path[:0] = sys.argv[4].split(os.pathsep)
from random import Random
from file_sink_tools import batch_of
from fapilog.sinks import _current_file
from fapilog.sinks.file import FileSink

_current_file._MARGIN = 3000  # so that small files are written directly too
name, path, settings = sys.argv[1], sys.argv[2], eval(sys.argv[3])
count = settings.pop("events")
paced = settings.pop("paced", False)
random = Random(name)
sink = FileSink(FileSink.Config(path=path, **settings))
sink.start()
os.write(1, b"ready\\n")
sys.stdin.readline()
number = 0
while number < count:
    if paced:
        sys.stdin.readline()
    size = min(random.randrange(1, 30), count - number)
    batch = [f"{name}-{number + part}-{'x' * random.randrange(100)}" for part in range(size)]
    if random.random() < 0.5:
        sink.blocking
    try:
        sink.write(batch_of(batch))
    except Exception as error:
        if "locked by another process" not in str(error):
            raise
        continue
    number += len(batch)
    os.write(1, b"%d\\n" % number)
sink.aclose()
"""


@contextmanager
def workers(path, count, **settings):
    """Start *count* processes with the *settings*; let them go when all of them have opened the file."""
    here = Path(__file__).parent
    search = os.pathsep.join([str(here), *sys.path])
    with ExitStack() as stack:
        started = []
        for number in range(count):
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, f"p{number}", path, repr(settings), search],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
            stack.enter_context(worker)
            stack.callback(worker.kill)
            started.append(worker)
        for worker in started:
            assert worker.stdout.readline() == b"ready\n"
        for worker in started:
            worker.stdin.write(b"go\n")
        yield started


def acknowledged(worker, read=b""):
    """Wait for the worker's end and return how many events it said were written; *read* is the last line known."""
    lines = (read + worker.stdout.read()).split(b"\n")
    worker.wait()
    return int(lines[-2])


def numbers_of(messages, name):
    return [int(message.split("-")[1]) for message in messages if message.startswith(f"{name}-")]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_bytes": 20_000},
        {"max_bytes": 20_000, "compress": "gzip"},
        {"max_bytes": 20_000, "compress": "gzip", "fsync": "rotate"},
        {"rotate_at": 1.0, "max_bytes": 60_000, "compress": "gzip"},
    ],
)
def test_dk13_four_processes_lose_tear_and_double_nothing(tmp_path, settings):
    path = tmp_path / "app.log"
    with workers(path, 4, events=3000, **settings) as started:
        assert [acknowledged(worker) for worker in started] == [3000] * 4
        assert [worker.returncode for worker in started] == [0] * 4
    if settings:
        rig(path, **settings).sink.aclose()  # compresses what the last ones left
    found = everything_in(path)
    assert len(found) == 12_000
    for number in range(4):
        assert numbers_of(found, f"p{number}") == list(range(3000))
    for archive in archives_of(path):
        assert archive.suffix == (".gz" if "compress" in settings else ".log")
        if archive.suffix == ".log":
            assert archive.stat().st_size <= settings["max_bytes"] + 8000  # a direct write leaves rotating to the next
    assert len(archives_of(path)) >= (10 if settings else 0)


def test_dk13_processes_remove_old_files_together(tmp_path):
    path = tmp_path / "app.log"
    with workers(path, 4, events=1500, max_bytes=5000, keep=3, compress="gzip") as started:
        assert [acknowledged(worker) for worker in started] == [1500] * 4
        assert [worker.returncode for worker in started] == [0] * 4
    rig(path, max_bytes=5000, keep=3, compress="gzip").sink.aclose()
    assert len(archives_of(path)) == 3
    found = everything_in(path)
    for number in range(4):
        numbers = numbers_of(found, f"p{number}")
        assert numbers == list(range(1500))[len(range(1500)) - len(numbers) :]


def test_dk13_a_file_being_compressed_by_another_process_counts_once(tmp_path):
    names = [f"app-20260101T000000Z.000{number}.log" for number in range(3)]
    for name in names:
        (tmp_path / name).write_bytes(b"x\n")
    config = FileSink.Config(path=str(tmp_path / "app.log"), max_bytes=5000, keep=3, compress="gzip")
    archives = Archives(str(tmp_path), ArchiveNames(str(tmp_path / "app.log"), time.time), config, time.time, print)
    steps = archives.upkeep()
    next(steps)  # has looked for what is twice there, and found nothing
    (tmp_path / f"{names[1]}.gz").write_bytes(b"")  # the other process is between the renaming and the removal
    while not (tmp_path / f"{names[0]}.gz").exists():
        next(steps)
    steps.close()
    assert (tmp_path / names[1]).exists() or (tmp_path / f"{names[1]}.gz").exists()
    assert (tmp_path / names[2]).exists()


@pytest.mark.parametrize("settings", [{}, {"max_bytes": 10_000}, {"max_bytes": 10_000, "compress": "gzip"}])
def test_dk14_killed_processes_harm_neither_their_own_events_nor_others(tmp_path, settings):
    path = tmp_path / "app.log"
    totals = Counter()
    for turn in range(3):
        with workers(path, 3, events=100_000, **settings) as started:
            read = [b""] * 3
            for number, worker in enumerate(started):
                for _ in range(40 + 13 * turn + 7 * number):
                    read[number] = worker.stdout.readline()
            for worker in started:
                worker.kill()
            for number, worker in enumerate(started):
                totals[turn, number] = acknowledged(worker, read[number])
                assert worker.returncode == -signal.SIGKILL
        made = rig(path, **settings)
        made.write(f"turn-{turn}-end")
        made.sink.aclose()
        found = everything_in(path)
        assert not [file for file in tmp_path.iterdir() if file.name.endswith(".tmp")]
        since = found.index(f"turn-{turn - 1}-end") + 1 if turn else 0
        for number in range(3):
            numbers = numbers_of(found[since:], f"p{number}")
            assert numbers == list(range(len(numbers)))
            assert len(numbers) >= totals[turn, number]
    assert min(totals.values()) > 0


def test_dk11_renamed_by_another_program_while_processes_write(tmp_path):
    path = tmp_path / "app.log"
    with workers(path, 3, events=3000, paced=True) as started:
        for turn in range(20):
            for worker in started:
                worker.stdin.write(b"go\n" * 5)
            for worker in started:
                for _ in range(5 if turn else 3):
                    worker.stdout.readline()
            # Each has written since the last renaming, and two batches are still to be written meanwhile.
            path.replace(tmp_path / f"moved-{turn:02}")
        for worker in started:
            worker.stdin.close()
        assert [acknowledged(worker) for worker in started] == [3000] * 3
    found = [message for file in sorted(tmp_path.iterdir()) for message in messages_in(file)]
    for number in range(3):
        assert sorted(numbers_of(found, f"p{number}")) == list(range(3000))


def hold(path):
    """Lock *path* as another process would, until the descriptor returned is closed."""
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_a_direct_write_does_not_wait_for_a_lock_and_the_next_is_made_in_the_thread(tmp_path, monkeypatch):
    monkeypatch.setattr("fapilog.sinks._current_file.is_local", lambda *_: True)
    path = tmp_path / "app.log"
    made = rig(path, max_bytes=10**8)
    descriptor = hold(tmp_path / ".app.log.lock")
    assert made.sink.blocking is False
    with pytest.raises(TransientSinkError, match="locked by another process"):
        made.write(1)
    assert made.sink.blocking is True
    os.close(descriptor)
    made.write(1)
    assert messages_in(path) == ["1"]


def test_whoever_locks_the_log_file_does_not_stop_it(tmp_path):
    path = tmp_path / "app.log"
    made = rig(path)
    made.write(0)
    descriptor = hold(path)
    made.write(1)
    os.close(descriptor)
    made.write(2)
    assert messages_in(path) == ["0", "1", "2"]


def test_a_file_in_use_by_a_process_without_rotation_is_not_compressed(tmp_path):
    path = tmp_path / "app.log"
    one = record_size(0)
    made = rig(path, max_bytes=one, compress="gzip")
    made.write(0)
    descriptor = hold(path)
    made.write(1)
    assert [file.suffix for file in archives_of(path)] == [".log"]
    os.write(descriptor, b"")
    os.close(descriptor)
    made.write(2)
    assert [file.suffix for file in archives_of(path)] == [".gz", ".gz"]
    assert everything_in(path) == ["0", "1", "2"]


def test_a_deleted_lock_file_is_made_again_and_still_excludes(tmp_path, monkeypatch):
    monkeypatch.setattr("fapilog.sinks._current_file.is_local", lambda *_: True)
    path = tmp_path / "app.log"
    lock = tmp_path / ".app.log.lock"
    first, second = rig(path, max_bytes=10**8), rig(path, max_bytes=10**8)
    lock.unlink()
    first.write(1)
    descriptor = hold(lock)
    assert second.sink.blocking is False
    with pytest.raises(TransientSinkError):
        second.write(2)
    os.close(descriptor)
    second.write(2)
    assert messages_in(path) == ["1", "2"]


def test_two_sinks_of_one_process_share_a_file(tmp_path):
    path = tmp_path / "app.log"
    one = record_size(0)
    rigs = [rig(path, max_bytes=2 * one, compress="gzip") for _ in range(2)]
    for number in range(8):
        rigs[number % 2].write(number)
    for made in rigs:
        made.sink.aclose()
    assert everything_in(path) == [str(number) for number in range(8)]
    assert re.fullmatch(r"(app-\w+\.\d{4}\.log\.gz )*", "".join(f"{file.name} " for file in archives_of(path)))


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    path = tmp_path / "app.log"
    made = rig(path, max_bytes=10**6)
    made.write(0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    made.sink.aclose()
    other = rig(path, max_bytes=10**6)
    other.sink._direct = True  # so that it would not wait
    other.sink.write(batch_of([1]))
    os.close(writer)
    os.waitpid(child, 0)
    assert messages_in(path) == ["0", "1"]
