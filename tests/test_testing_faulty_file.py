"""FaultyFile: what goes wrong with one file, whoever writes it, and nothing with any other."""

from __future__ import annotations

import builtins
import errno
import io
import logging
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fapilog.testing import FaultyFile

REAL = {name: getattr(os, name) for name in ("open", "write", "fsync", "close", "rename", "ftruncate")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


@pytest.fixture(autouse=True)
def nothing_stays() -> Any:
    yield
    assert all(getattr(os, name) is function for name, function in REAL.items())
    assert builtins.open is io.open
    assert not hasattr(os.write, "_fapilog_layer")


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def test_a_call_fails_as_often_as_it_is_told_to_and_not_before(path: Path) -> None:
    with FaultyFile(path) as disk:
        descriptor = opened(path)
        disk.fail("write", errno.EIO, times=2, after=1)
        assert os.write(descriptor, b"a") == 1
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error") as caught:
                os.write(descriptor, b"b")
            assert caught.value.errno == errno.EIO
        assert os.write(descriptor, b"c") == 1
        os.close(descriptor)
        assert [call.error for call in disk.made("write")] == [None, errno.EIO, errno.EIO, None]
        assert [call.written for call in disk.made("write")] == [1, 0, 0, 1]
    assert path.read_bytes() == b"ac"


def test_other_files_are_left_alone(path: Path, tmp_path: Path) -> None:
    with FaultyFile(path).fail("write", errno.EIO).fail("open", errno.EMFILE) as disk:
        other = opened(tmp_path / "other.log")
        assert os.write(other, b"a") == 1
        os.close(other)
        (tmp_path / "another.log").write_text("b")
        assert disk.calls == []


def test_a_descriptor_from_before_is_the_files_too(path: Path) -> None:
    descriptor = opened(path)
    with FaultyFile(path).fail("fsync", errno.EIO), pytest.raises(OSError, match="Input/output"):
        os.fsync(descriptor)
    os.fsync(descriptor)
    os.close(descriptor)


def test_a_descriptor_stays_the_files_when_it_is_renamed_and_its_number_does_not(path: Path, tmp_path: Path) -> None:
    with FaultyFile(path) as disk:
        descriptor = opened(path)
        path.rename(tmp_path / "app-1.log")
        disk.fail("write", errno.ENOSPC, times=1)
        with pytest.raises(OSError, match="No space"):
            os.write(descriptor, b"a")
        os.close(descriptor)
        disk.fail("write", errno.ENOSPC)
        again = opened(tmp_path / "other.log")
        assert again == descriptor, "the system gives the number to the next file"
        os.write(again, b"b")
        os.close(again)


def test_a_number_that_was_given_back_unseen_is_the_files_no_longer(path: Path, tmp_path: Path) -> None:
    with FaultyFile(path).fail("fsync", errno.EIO) as disk:
        with path.open("ab", buffering=0) as file:
            number = file.fileno()
            with pytest.raises(OSError, match="Input/output"):
                os.fsync(number)
        assert disk.made("close") == [], "a file object closes in C"
        again = opened(tmp_path / "other.log")
        assert again == number
        os.fsync(again)
        os.close(again)


@pytest.mark.parametrize("size", range(8))
def test_a_full_disk_takes_what_fits(path: Path, size: int) -> None:
    with FaultyFile(path) as disk:
        disk.full_after(size)
        descriptor = opened(path)
        if size:
            assert os.write(descriptor, b"abcde") == min(size, 5)
        if size <= 5:
            with pytest.raises(OSError, match="No space"):
                os.write(descriptor, b"fgh")
        os.close(descriptor)
    assert path.read_bytes() == b"abcde"[:size]


def test_short_writes_have_the_length_they_are_given(path: Path) -> None:
    with FaultyFile(path).short_writes(3):
        descriptor = opened(path)
        assert os.write(descriptor, b"abcdefgh") == 3
        assert os.writev(descriptor, [b"de", b"fgh"]) == 3
        assert os.pwrite(descriptor, b"12345", 0) == 3
        os.close(descriptor)
    assert path.read_bytes().startswith(b"abcdef")


def test_what_is_left_to_chance_is_the_same_for_the_same_seed(path: Path) -> None:
    def lengths(seed: int) -> list[int]:
        with FaultyFile(path, seed=seed).short_writes(chance=0.5).fail("write", errno.EIO, chance=0.2) as disk:
            descriptor = opened(path)
            for _ in range(40):
                try:
                    os.write(descriptor, b"x" * 50)
                except OSError:
                    pass
            os.close(descriptor)
        return [call.written for call in disk.made("write")]

    assert lengths(1) == lengths(1)
    assert lengths(1) != lengths(2)
    assert {0, 50} < set(lengths(1))


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENOENT, errno.EROFS])
def test_opening_fails_however_it_is_done(path: Path, error: int) -> None:
    with FaultyFile(path).fail("open", error):
        for way in (lambda: opened(path), lambda: path.open("a"), lambda: open(path, "ab")):  # noqa: SIM115
            with pytest.raises(OSError, match=os.strerror(error)) as caught:
                way()
            assert caught.value.filename == str(path)
    assert not path.exists()


def test_a_read_only_file_system_can_be_read(path: Path) -> None:
    path.write_text("old")
    with FaultyFile(path).read_only() as disk:
        assert path.read_text() == "old"
        for change in (lambda: path.open("a"), path.unlink, lambda: path.rename(path.with_name("b"))):
            with pytest.raises(OSError, match="Read-only"):
                change()
        disk.clear()
        path.unlink()


def test_slow_calls_wait_as_long_as_they_are_told(path: Path) -> None:
    slept: list[float] = []
    with FaultyFile(path, sleep=slept.append).slow("write", 2.5, times=1).slow("fsync", 1):
        descriptor = opened(path)
        os.write(descriptor, b"a")
        os.write(descriptor, b"b")
        os.fsync(descriptor)
        os.close(descriptor)
    assert slept == [2.5, 1]


def test_closing_fails_and_closes(path: Path) -> None:
    with FaultyFile(path).fail("close", errno.EIO):
        descriptor = opened(path)
        with pytest.raises(OSError, match="Input/output"):
            os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("mode", ["a", "w", "ab", "r+", "x"])
def test_a_file_object_meets_the_same_faults(path: Path, mode: str) -> None:
    if mode == "r+":
        path.write_text("")
    text = b"line\n" if "b" in mode else "line\n"
    with FaultyFile(path) as disk, path.open(mode) as file:
        assert file.writable()
        file.write(text)
        file.flush()
        disk.short_writes(2)
        file.write(text)
        file.flush()
        assert path.read_bytes() == b"line\nline\n", "the buffer completes what was short"
        disk.clear()
        disk.fail("write", errno.ENOSPC, times=1)
        file.write(text)
        with pytest.raises(OSError, match="No space"):
            file.flush()
    assert path.read_bytes() == b"line\nline\nline\n", "closing writes what could not be written before"


def test_the_standard_librarys_file_handler_meets_them(path: Path) -> None:
    errors: list[logging.LogRecord] = []
    with FaultyFile(path) as disk:
        handler = logging.FileHandler(path)
        handler.handleError = errors.append  # type: ignore[method-assign]
        disk.full_after(8)
        for message in ("first", "second"):
            handler.emit(logging.makeLogRecord({"msg": message}))
        disk.clear()
        handler.close()
    assert [record.msg for record in errors] == ["second"]


def test_nested_ones_keep_to_their_files_and_the_last_one_is_asked(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    outer, inner, same = FaultyFile(path), FaultyFile(other), FaultyFile(path)
    with outer.fail("write", errno.EIO), inner.fail("write", errno.ENOSPC):
        first, second = opened(path), opened(other)
        with same:
            assert os.write(first, b"a") == 1
        for descriptor, error in ((first, errno.EIO), (second, errno.ENOSPC)):
            with pytest.raises(OSError, match=os.strerror(error)):
                os.write(descriptor, b"b")
            os.close(descriptor)
    assert [len(file.made("write")) for file in (outer, inner, same)] == [1, 1, 1]


def test_the_order_of_leaving_does_not_matter(path: Path, tmp_path: Path) -> None:
    first, second = FaultyFile(path).fail("open", errno.EIO), FaultyFile(tmp_path / "b").fail("open", errno.EIO)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    os.close(opened(path))
    with pytest.raises(OSError, match="Input/output"):
        opened(tmp_path / "b")
    second.__exit__(None, None, None)


def test_what_another_put_on_top_stays_theirs(path: Path) -> None:
    disk = FaultyFile(path)
    with pytest.MonkeyPatch.context() as patch:
        disk.__enter__()
        below = os.fsync
        patch.setattr(os, "fsync", partial(below))
        theirs = os.fsync
        disk.__exit__(None, None, None)
        assert os.fsync is theirs
        with path.open("w") as file:
            os.fsync(file.fileno())
    os.fsync = REAL["fsync"]


def test_an_error_inside_takes_everything_back(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), FaultyFile(path):
        raise ZeroDivisionError


def test_it_is_entered_once_at_a_time(path: Path) -> None:
    disk = FaultyFile(path)
    with disk, pytest.raises(RuntimeError, match="in use already"):
        disk.__enter__()
    with disk:
        pass


def test_an_unknown_operation_is_refused_with_a_hint(path: Path) -> None:
    with pytest.raises(ValueError, match="'writ' is not intercepted; did you mean 'write'"):
        FaultyFile(path).fail("writ", errno.EIO)


def test_several_threads_may_write_at_once(path: Path) -> None:
    with FaultyFile(path).fail("write", errno.EIO, times=100) as disk:
        descriptor = opened(path)
        failures: list[int] = []

        def write() -> None:
            for _ in range(100):
                try:
                    os.write(descriptor, b"x")
                except OSError:
                    failures.append(1)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os.close(descriptor)
        assert len(failures) == 100
        assert len(disk.made("write")) == 400
    assert path.stat().st_size == 300
