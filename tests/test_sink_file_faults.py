"""The file sink on disks that are full, broken, read-only or gone: nothing is torn, nothing is told that is not so."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from random import Random

import pytest

from fapilog.errors import PartialWriteError, PluginError, TransientSinkError
from fapilog.sinks._tail import mend_tail
from fapilog.testing import FaultyFile
from file_sink_tools import archives_of, batch_of, everything_in, messages_in, record_size, rig

ONE = record_size(0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.log"


@contextmanager
def mounted(place, options):
    place.mkdir(exist_ok=True)
    if os.geteuid():
        pytest.skip("mounting a small tmpfs needs root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mount of a tmpfs failed: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@contextmanager
def limit(which, value):
    soft, hard = resource.getrlimit(which)
    resource.setrlimit(which, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(which, (soft, hard))


def failing(real, error_number, times=1, after=0):
    """Return *real*, failing *times* times after *after* calls went well."""
    calls = [0]

    def call(*arguments, **keywords):
        calls[0] += 1
        if after < calls[0] <= after + times:
            raise OSError(error_number, os.strerror(error_number))
        return real(*arguments, **keywords)

    return call


def deliver(made, messages):
    """Write like a delivery does: at once again what failed; return what could not be written."""
    while messages:
        try:
            made.write(*messages)
        except PartialWriteError as error:
            messages = [messages[position] for position in sorted(error.failed)]
        except TransientSinkError:
            return messages
        else:
            return []
    return []


@pytest.mark.parametrize("max_bytes", [None, 10**9])
@pytest.mark.parametrize("cut", range(3 * ONE + 1))
def test_dk1_full_disk_at_every_byte(path, max_bytes, cut):
    made = rig(path, max_bytes=max_bytes)
    made.write(0)
    landed = cut // ONE
    with FaultyFile(path).full_after(cut):
        if landed == 3:
            made.write(1, 2, 3)
        elif landed:
            with pytest.raises(PartialWriteError) as caught:
                made.write(1, 2, 3)
            assert sorted(caught.value.failed) == list(range(landed, 3))
            assert all("the disk is full" in str(error) for error in caught.value.failed.values())
        else:
            with pytest.raises(TransientSinkError, match="the disk is full"):
                made.write(1, 2, 3)
    assert messages_in(path) == [str(number) for number in range(1 + landed)]
    made.write(9)
    assert messages_in(path) == [*map(str, range(1 + landed)), "9"]


@pytest.mark.parametrize("cut", range(1, 40))
def test_dk1_full_disk_at_every_byte_of_events_of_several_lines(path, cut):
    made = rig(path, format="console")
    record = len(batch_of(["0"]).encoded("console"))
    with FaultyFile(path).full_after(cut):
        left = deliver(made, [0, 1, 2])
    landed = min(cut // record, 3)
    assert left == list(range(landed, 3))
    assert path.read_bytes() == batch_of(range(landed)).encoded("console")


def test_dk1_full_disk_whose_partial_line_cannot_be_removed_ends_it(path, monkeypatch):
    made = rig(path)
    with FaultyFile(path).full_after(5).fail("ftruncate", errno.EIO), pytest.raises(TransientSinkError):
        made.write(1)
    with monkeypatch.context() as patch:
        patch.setattr("fapilog.sinks._append.mend_tail", failing(mend_tail, errno.EIO))
        made.write(2)
    whole = batch_of([1]).encoded("json")
    assert path.read_bytes() == whole[:5] + b"\n" + batch_of([2]).encoded("json")


@pytest.mark.parametrize("settings", [{}, {"max_bytes": 20_000}, {"max_bytes": 20_000, "compress": "gzip"}])
def test_dk1_full_tmpfs_resumes_when_space_is_freed(tmp_path, settings):
    with mounted(tmp_path / "small", "size=96k,mode=700") as place:
        path = place / "app.log"
        made = rig(path, **settings)
        ballast = place / "ballast"
        ballast.write_bytes(b"x" * 40_000)
        landed = []
        noise = Random(1)  # so that compressing does not make it vanish
        for number in range(200):
            messages = [f"{number}.{part}-{noise.randbytes(100).hex()}" for part in range(10)]
            left = deliver(made, messages)
            landed += messages[: len(messages) - len(left)]
            if left:
                break
        assert left
        assert everything_in(path) == landed
        ballast.unlink()
        assert deliver(made, left) == []
        made.write("after")
        made.sink.aclose()
        assert everything_in(path) == [*landed, *left, "after"]


def test_dk1_dev_full(tmp_path):
    made = rig("/dev/full")
    with pytest.raises(TransientSinkError, match="'/dev/full': No space left on device"):
        made.write("a")
    assert made.sink.blocking is True
    made.sink.aclose()


def test_dk2_no_inode_left_to_rotate_keeps_the_old_file_and_says_so_once(tmp_path, capsys):
    with mounted(tmp_path / "small", "size=1m,nr_inodes=3,mode=700") as place:
        path = place / "app.log"
        made = rig(path, max_bytes=2 * ONE)
        for message in range(7):
            made.write(message)
        assert messages_in(path) == [str(number) for number in range(7)]
        assert archives_of(path) == []
        assert capsys.readouterr().err.count("sink: rotation") == 1
        place.joinpath(".app.log.lock").unlink()
        made.write(7)
        assert messages_in(path) == [str(number) for number in range(8)]
        subprocess.run(["mount", "-o", "remount,nr_inodes=100", place], check=True)
        made.monotonic.now += 10
        made.write(8)
        assert everything_in(path) == [str(number) for number in range(9)]
        assert len(archives_of(path)) == 1


def test_dk3_largest_file_size_is_a_failure_without_rotation(path):
    made = rig(path)
    with limit(resource.RLIMIT_FSIZE, 2 * ONE + 5), pytest.raises(PartialWriteError) as caught:
        made.write(1, 2, 3, 4)
    assert sorted(caught.value.failed) == [2, 3]
    assert messages_in(path) == ["1", "2"]
    made.write(3)
    assert messages_in(path) == ["1", "2", "3"]


def test_dk3_largest_file_size_rotates(path):
    made = rig(path, max_bytes=10**6)
    with limit(resource.RLIMIT_FSIZE, 2 * ONE + 5):
        made.write(1, 2, 3)
    assert [messages_in(file) for file in [*archives_of(path), path]] == [["1", "2"], ["3"]]


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADF, errno.ESTALE])
def test_dk4_broken_descriptor_is_opened_again_once(path, number):
    made = rig(path)
    made.write(0)
    descriptor = made.sink._current.file.descriptor
    with FaultyFile(path).fail("write", number, times=1):
        made.write(1)
    assert made.sink._current.file.descriptor != descriptor
    broken = FaultyFile(path).fail("write", number, times=2)
    with broken, pytest.raises(TransientSinkError, match=os.strerror(number)):
        made.write(2)
    made.write(3)
    assert messages_in(path) == ["0", "1", "3"]


def test_dk5_what_was_not_synchronised_is_written_to_a_new_file(path):
    made = rig(path, fsync="always", max_bytes=10**6)
    made.write(0)
    first = path.stat().st_ino
    with FaultyFile(path).fail("fsync", errno.EIO, times=1) as disk:
        made.write(1)
        made.sink.aclose()
    assert [call.inode for call in disk.made("fsync")].count(first) == 1
    assert [messages_in(file) for file in [*archives_of(path), path]] == [["0"], ["1"]]


def test_dk5_without_rotation_another_descriptor_is_used(path):
    made = rig(path, fsync="always")
    made.write(0)
    trusted = made.sink._current.file.descriptor
    with FaultyFile(path).fail("fsync", errno.EIO, times=1) as disk:
        made.write(1)
    synchronised = [call.descriptor for call in disk.made("fsync")]
    assert synchronised[0] == trusted
    assert trusted not in synchronised[1:]
    assert messages_in(path) == ["0", "1"]


def test_dk5_lasting_failure_delivers_nothing_and_never_trusts_a_descriptor_twice(path, monkeypatch):
    made = rig(path, fsync="always")
    files = []

    def fsync(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            files.append(made.sink._current.file)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(3):
        with pytest.raises(TransientSinkError):
            made.write(1)
    assert len(set(map(id, files))) == len(files) == 6
    assert messages_in(path) == []


def test_fsync_on_rotation_and_on_closing(path):
    with FaultyFile(path) as disk:
        made = rig(path, fsync="rotate", max_bytes=ONE)
        first = path.stat().st_ino
        made.write(0)
        assert disk.made("fsync") == []
        made.write(1)
        assert [call.inode for call in disk.made("fsync")] == [first]
        made.sink.aclose()
        assert [call.inode for call in disk.made("fsync")] == [first, path.stat().st_ino]


def test_fsync_failure_on_rotation_is_said_once(path, monkeypatch, capsys):
    made = rig(path, fsync="rotate", max_bytes=ONE)
    monkeypatch.setattr(os, "fsync", failing(os.fsync, errno.EIO, times=100))
    for message in range(4):
        made.write(message)
    assert everything_in(path) == ["0", "1", "2", "3"]
    assert capsys.readouterr().err.count("sink: fsync") == 1


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 11, 64])
def test_sk16_short_writes_of_any_length_are_completed(path, length):
    made = rig(path)
    with FaultyFile(path).short_writes(length):
        made.write(*range(20))
    assert messages_in(path) == [str(number) for number in range(20)]


def test_a_write_of_nothing_ends(path):
    made = rig(path)
    with FaultyFile(path).short_writes(0), pytest.raises(TransientSinkError):
        made.write("a")


def test_dk7_interrupted_by_a_storm_of_signals(path):
    hits = [0]

    def hit(*_):
        hits[0] += 1

    before = signal.signal(signal.SIGALRM, hit)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        made = rig(path, max_bytes=200_000, compress="gzip")
        number = 0
        while hits[0] < 100 or number < 300:
            made.write(f"{number}-{'x' * 5000}")
            number += 1
        made.sink.aclose()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [int(message.split("-")[0]) for message in everything_in(path)] == list(range(number))


def test_interrupt_in_the_middle_of_a_record_leaves_no_torn_line(path, monkeypatch):
    made = rig(path)
    real = os.write

    def interrupted(descriptor, data):
        real(descriptor, data[:7])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.write(1)
    made.write(2)
    assert messages_in(path) == ["2"]


def test_dk8_read_only_file_system_at_the_start_and_while_running(tmp_path):
    with mounted(tmp_path / "small", "size=1m,mode=700") as place:
        path = place / "app.log"
        made = rig(path)
        made.write(0)
        path.unlink()
        made.sink._current.close()  # a file that is open for writing holds the remounting up
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        with pytest.raises(TransientSinkError, match="read-only"):
            made.write(1)
        with pytest.raises(PluginError, match=f"{path}.*read-only"):
            rig(path)
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
        made.write(2)
        assert messages_in(path) == ["2"]


def test_dk9_no_permission_names_the_path_and_the_user(path):
    path.parent.chmod(0o500)
    program = (
        "import os, sys; sys.path[:0] = sys.argv[2].split(os.pathsep); from fapilog.sinks.file import FileSink\n"
        "sink = FileSink(FileSink.Config(path=sys.argv[1]))\n"
        "if not os.geteuid(): os.setgroups([]); os.setuid(65534)\n"
        "try: sink.start()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, path, os.pathsep.join(sys.path)], capture_output=True, text=True, check=True
    ).stdout
    user = 65534 if os.geteuid() == 0 else os.geteuid()
    assert out.startswith("PluginError plugin 'file': ")
    assert "Permission denied" in out
    assert f"user id {user} may not write it" in out


@pytest.mark.parametrize("compress_error", [errno.ENOSPC, errno.EIO])
def test_dk15_failing_compression_keeps_the_original(path, monkeypatch, capsys, compress_error):
    made = rig(path, max_bytes=ONE, compress="gzip")
    monkeypatch.setattr(
        "fapilog.sinks._archives._write_all", failing(lambda *_: None, compress_error, times=1000)
    )  # fmt: skip
    for message in range(4):
        made.write(message)
    made.sink.aclose()
    assert everything_in(path) == ["0", "1", "2", "3"]
    assert [file.suffix for file in archives_of(path)] == [".log"] * 3
    assert capsys.readouterr().err.count("sink: compression") == 1


def test_dk15_compression_is_tried_again_with_the_next_rotation(path, monkeypatch):
    made = rig(path, max_bytes=ONE, compress="gzip")
    with monkeypatch.context() as patch:
        patch.setattr("fapilog.sinks._archives._write_all", failing(lambda *_: None, errno.ENOSPC))
        made.write(0)
        made.write(1)
    made.write(2)
    assert [file.suffix for file in archives_of(path)] == [".gz", ".gz"]
    assert everything_in(path) == ["0", "1", "2"]


@pytest.mark.parametrize("step", ["rename", "listdir"])
def test_failing_rotation_goes_on_with_the_old_file_and_is_tried_again_later(path, monkeypatch, step, capsys):
    made = rig(path, max_bytes=ONE)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing(getattr(os, step), errno.EACCES, times=100))
        for message in range(3):
            made.write(message)
    assert messages_in(path) == ["0", "1", "2"]
    made.write(3)
    assert messages_in(path) == ["0", "1", "2", "3"]
    made.monotonic.now += 10
    made.write(4)
    assert messages_in(path) == ["4"]
    assert everything_in(path) == ["0", "1", "2", "3", "4"]
    assert capsys.readouterr().err.count("logging goes on") == 1


def test_a_missing_standard_error_stream_does_not_matter(path, monkeypatch, capsys):
    made = rig(path, max_bytes=ONE)
    monkeypatch.setattr(sys, "stderr", None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing(os.rename, errno.EACCES, times=100))
        made.write(0)
        made.write(1)
    assert messages_in(path) == ["0", "1"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("settings", [{}, {"max_bytes": 10**6}])
def test_dk20_no_descriptor_left_keeps_the_old_one_and_resumes(path, settings):
    made = rig(path, **settings)
    made.write(0)
    path.rename(path.with_name("moved"))
    descriptor = made.sink._current.file.descriptor
    with limit(resource.RLIMIT_NOFILE, 0), pytest.raises(TransientSinkError, match="too many open files"):
        made.write(1)
    assert made.sink._current.file.descriptor == descriptor
    made.write(2)
    assert messages_in(path) == ["2"]
    assert messages_in(path.with_name("moved")) == ["0"]


def test_dk20_no_descriptor_left_to_rotate_writes_on(path):
    made = rig(path, max_bytes=ONE)
    made.write(0)
    with limit(resource.RLIMIT_NOFILE, 0):
        made.write(1)
    assert messages_in(path) == ["0", "1"]


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("cut", range(2 * ONE + 1))
def test_torn_tail_of_any_length_is_mended_at_the_start(path, format, cut):
    whole = batch_of([0, 1]).encoded("json")
    path.write_bytes(whole[:cut])
    made = rig(path, format=format)
    made.write("new")
    old = whole[:cut]
    if cut % ONE == ONE - 1:
        old += b"\n"  # only the newline was missing
    elif cut % ONE:
        old = old[: cut - cut % ONE] if format == "json" else old + b"\n"
    assert path.read_bytes() == old + batch_of(["new"]).encoded(format)


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        (b"\0" * 5000, b""),
        (b'{"message":"1"}' + b"\0" * 100, b'{"message":"1"}\n'),
        (b'{"messa' + b"\0" * 100, b""),
        (b"not ours", b"not ours\n"),
        (b'{"message":"' + b"x" * 300_000, b""),
        (b"[" + b"x" * 9_000_000, b"[" + b"x" * 9_000_000 + b"\n"),
    ],
)
def test_tail_after_a_power_failure_or_by_others(path, tail, kept):
    first = batch_of([0]).encoded("json")
    path.write_bytes(first + tail)
    made = rig(path)
    made.write(2)
    assert path.read_bytes() == first + kept + batch_of([2]).encoded("json")


def test_a_tail_torn_by_another_process_is_removed_before_the_next_record(path):
    made = rig(path)
    made.write(0)
    with path.open("ab") as file:
        file.write(b'{"mess')
    made.write(1)
    assert messages_in(path) == ["0", "1"]


def test_file_that_may_be_written_and_not_read(path):
    program = (
        "import os, sys; sys.path[:0] = sys.argv[2].split(os.pathsep)\n"
        "from file_sink_tools import rig; from pathlib import Path\n"
        "if not os.geteuid(): os.setgroups([]); os.setuid(65534)\n"
        "made = rig(Path(sys.argv[1])); made.write('a'); made.write('b')"
    )
    path.write_bytes(b"")
    path.chmod(0o222)
    for place in path.parents:
        if not place.stat().st_mode & 0o001:  # pytest makes its own for one user
            place.chmod(0o711)
    subprocess.run([sys.executable, "-c", program, path, os.pathsep.join(sys.path)], check=True)
    path.chmod(0o600)
    assert messages_in(path) == ["a", "b"]
