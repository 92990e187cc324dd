"""The file sink's rotation by size and time, its compression and retention, and what a crash leaves of them."""

import gzip
import os
import re
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fapilog.sinks._rotation import ArchiveNames, Schedule
from file_sink_tools import START, archives_of, everything_in, messages_in, record_size, rig

ONE = record_size(0)
"""Bytes of a record whose message has one character."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.log"


def names(path):
    return sorted(file.name for file in path.parent.iterdir() if not file.name.startswith("."))


def test_rotates_when_the_next_write_would_exceed_the_limit(path):
    made = rig(path, max_bytes=2 * ONE)
    for message in range(5):
        made.write(message)
    assert [messages_in(file) for file in archives_of(path)] == [["0", "1"], ["2", "3"]]
    assert messages_in(path) == ["4"]


def test_names_sort_by_time_and_tell_it_in_utc(path):
    made = rig(path, max_bytes=ONE)
    for message in range(3):
        made.write(message)
    made.wall.now += 60
    made.write(3)
    assert names(path) == [
        "app-20270115T080000Z.0000.log",
        "app-20270115T080000Z.0001.log",
        "app-20270115T080100Z.0000.log",
        "app.log",
    ]
    assert everything_in(path) == ["0", "1", "2", "3"]


def test_a_batch_larger_than_the_limit_is_spread_over_files(path):
    made = rig(path, max_bytes=2 * ONE)
    made.write(*range(9))
    assert all(file.stat().st_size <= 2 * ONE for file in [*archives_of(path), path])
    assert everything_in(path) == [str(number) for number in range(9)]


def test_a_record_larger_than_the_limit_has_a_file_of_its_own(path):
    made = rig(path, max_bytes=2 * ONE)
    made.write("a")
    made.write("b", "x" * 1000, "c")
    assert [messages_in(file) for file in [*archives_of(path), path]] == [["a"], ["b"], ["x" * 1000], ["c"]]


def test_events_of_several_lines_are_not_spread(path):
    made = rig(path, max_bytes=1, format="console")
    made.write("a", "b", "c")
    assert [file.read_bytes() for file in [*archives_of(path), path]] == [
        b"a\n  more\n",
        b"b\n  more\n",
        b"c\n  more\n",
    ]


@pytest.mark.parametrize(("rotate_at", "period"), [("hourly", 3600), ("daily", 86400), (90, 90), (2.5, 2.5)])
def test_rotates_on_utc_boundaries(path, rotate_at, period):
    made = rig(path, start=False, rotate_at=rotate_at)
    made.wall.now = boundary = START // period * period + period
    made.sink.start()
    made.write("a")
    made.wall.now = boundary + period - 0.01
    made.write("b")
    made.wall.now = boundary + period
    made.write("c")
    made.write("d")
    assert [messages_in(file) for file in archives_of(path)] == [["a", "b"]]
    assert messages_in(path) == ["c", "d"]


def test_an_empty_file_is_not_rotated(path):
    made = rig(path, rotate_at="hourly")
    made.wall.now += 7200
    made.write("a")
    made.write("b")
    assert names(path) == ["app.log"]


def test_a_file_of_an_earlier_period_is_rotated_after_a_restart(path):
    made = rig(path, rotate_at="daily")
    made.write("yesterday")
    os.utime(path, (START, START))
    made.wall.now += 86400
    again = made.restart()
    again.write("today")
    assert [messages_in(file) for file in archives_of(path)] == [["yesterday"]]
    assert messages_in(path) == ["today"]


def test_dk17_clock_one_hour_back_neither_loops_nor_overwrites(path):
    made = rig(path, rotate_at="hourly", max_bytes=3 * ONE)
    made.write(0)
    made.wall.now -= 3600
    for message in range(1, 7):
        made.write(message)
    assert everything_in(path) == [str(number) for number in range(7)]
    assert [len(messages_in(file)) for file in archives_of(path)] == [3, 3]


def test_dk17_clock_stepping_around_a_boundary_rotates_once(path):
    made = rig(path, start=False, rotate_at=60)
    made.wall.now = START // 60 * 60 + 59
    made.sink.start()
    made.write(0)
    for step in range(100):
        made.wall.now += -1 if step % 2 else 1
        made.write(0)
        made.write(0)
    assert len(archives_of(path)) == 1


def test_dk17_a_jump_into_the_future_and_back_does_not_stop_rotation(path):
    made = rig(path, rotate_at="hourly")
    made.write("a")
    made.wall.now += 30 * 365 * 86400
    made.write("b")
    made.wall.now = START + 60
    made.write("c")
    made.wall.now = START + 3600
    made.write("d")
    assert [messages_in(file) for file in archives_of(path)] == [["a"], ["b", "c"]]
    assert messages_in(path) == ["d"]


@pytest.mark.parametrize("when", [0.0, -86400.0, 2**31, 4_102_444_800.0, 253_402_300_800.0])
def test_dk17_years_far_away(path, when):
    made = rig(path, start=False, max_bytes=ONE)
    made.wall.now = when
    made.sink.start()
    for message in range(4):
        made.write(message)
    assert everything_in(path) == ["0", "1", "2", "3"]


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30))
def test_dk17_names_are_in_order_and_never_used_twice_whatever_the_clock_does(tmp_path_factory, steps):
    directory = tmp_path_factory.mktemp("names")
    now = [START]
    names = ArchiveNames(str(directory / "app.log"), lambda: now[0])
    made = []
    for position, step in enumerate(steps):
        now[0] += step
        if position % 3 == 0:
            names = ArchiveNames(str(directory / "app.log"), lambda: now[0])  # another process
        made.append(names.next())
        assert not os.path.exists(made[-1])
        with open(made[-1], "x"):
            pass
    assert made == sorted(made)


@given(st.lists(st.integers(-50, 70), max_size=200))
def test_dk17_no_more_rotations_than_boundaries_crossed_forwards(steps):
    now = [START]
    schedule = Schedule(60.0, lambda: now[0])
    schedule.begin()
    rotations = 0
    forwards = 0
    for step in steps:
        before = now[0] // 60
        now[0] += step
        forwards += max(0, int(now[0] // 60 - before))
        if schedule.is_due():
            rotations += 1
            schedule.begin()
            assert not schedule.is_due()
    assert rotations <= forwards


def test_compressed_file_holds_the_same_and_keeps_time_and_mode(path):
    made = rig(path, max_bytes=2 * ONE, compress="gzip", mode=0o640)
    made.write(0, 1)
    os.utime(path, (START - 500, START - 500))
    made.write(2)
    assert [re.sub(r"\d{8}T\d{6}", "T", name) for name in names(path)] == ["app-TZ.0000.log.gz", "app.log"]
    assert everything_in(path) == ["0", "1", "2"]
    assert archives_of(path)[0].stat().st_mtime == START - 500
    assert archives_of(path)[0].stat().st_mode & 0o777 == 0o640


def test_a_large_file_is_compressed_in_steps_between_writes(path):
    made = rig(path, max_bytes=4_000_000, compress="gzip")
    made.sink._monotonic = iter(range(10**6)).__next__  # every look at the clock is a second later
    made.write("x" * 3_900_000)
    made.write("y" * 200_000)
    assert [name.endswith(".gz") for name in names(path)] == [False, False]
    assert made.sink.blocking is True
    for message in range(30):
        made.write(message)
    assert [name.endswith(".log.gz") for name in names(path)] == [True, False]
    assert everything_in(path)[:2] == ["x" * 3_900_000, "y" * 200_000]


def test_closing_undoes_a_compression_that_takes_too_long_and_the_next_start_does_it(path):
    made = rig(path, max_bytes=4_000_000, compress="gzip")
    made.sink._monotonic = iter(range(10**6)).__next__
    made.write("x" * 3_900_000)
    made.write("y" * 200_000)
    made.sink.aclose()
    assert [name.endswith(".log") for name in names(path)] == [True, True]
    again = rig(path, max_bytes=4_000_000, compress="gzip")
    again.sink.aclose()
    assert [name.endswith(".log.gz") for name in names(path)] == [True, False]
    assert everything_in(path) == ["x" * 3_900_000, "y" * 200_000]


def test_keep_so_many_files(path):
    made = rig(path, max_bytes=ONE, keep=2)
    for message in range(6):
        made.write(message)
    assert everything_in(path) == ["3", "4", "5"]


def test_keep_no_file(path):
    made = rig(path, max_bytes=ONE, keep=0)
    for message in range(6):
        made.write(message)
    assert everything_in(path) == ["5"]


def test_keep_so_many_bytes(path):
    made = rig(path, max_bytes=ONE, keep_bytes=3 * ONE + 1)
    for message in range(8):
        made.write(message)
    assert everything_in(path) == ["4", "5", "6", "7"]


@pytest.mark.parametrize("settings", [{"keep_days": 2}, {"keep_seconds": 172800}])
def test_keep_so_long(path, settings):
    made = rig(path, rotate_at="daily", **settings)
    for day in range(5):
        made.wall.now = START + day * 86400
        made.write(day)
        os.utime(path, (made.wall.now, made.wall.now))
    assert everything_in(path) == ["2", "3", "4"]


def test_too_old_files_are_removed_at_the_start(path):
    made = rig(path, max_bytes=ONE)
    made.write(0)
    made.write(1)
    os.utime(archives_of(path)[0], (START - 100, START - 100))
    made.restart(keep_seconds=50)
    assert everything_in(path) == ["1"]


def test_dk16_retention_removes_only_its_own_files(tmp_path):
    path = tmp_path / "[a]*.log"
    stamp = "20000101T000000Z.0000"
    foreign = [
        f"a-{stamp}.log", "[a]*-20000101.log", f"[a]*-{stamp}.log.bak", f"x[a]*-{stamp}.log", f"[a]*-{stamp}.txt",
        f"[a]*-{stamp}.log.gz.old", "[a]*-old.log", f"[a]*-{stamp}0.0.log", f"[a]*-{stamp}.log\n",
        "[a]*-٢٠٠٠٠١٠١T٠٠٠٠٠٠Z.٠٠٠٠.log",
    ]  # fmt: skip
    for name in foreign:
        (tmp_path / name).write_text("foreign")
    victim = tmp_path / "victim"
    victim.write_text("foreign")
    (tmp_path / f"[a]*-{stamp}.log").symlink_to(victim)
    (tmp_path / f"[a]*-{stamp}.log.gz").mkdir()
    made = rig(path, max_bytes=ONE, keep=1, keep_seconds=0, keep_bytes=0, compress="gzip")
    made.wall.now = 4_000_000_000.0
    for message in range(4):
        made.write(message)
    made.sink.aclose()
    kept = sorted(file.name for file in tmp_path.iterdir())
    assert kept == sorted(
        [*foreign, "victim", "[a]*.log", ".[a]*.log.lock", f"[a]*-{stamp}.log", f"[a]*-{stamp}.log.gz"]
    )
    assert victim.read_text() == "foreign"
    assert messages_in(path) == ["3"]


@pytest.mark.parametrize("name", ["app", "app.tar.log", ".hidden", "ünï.log"])
def test_any_name_can_be_rotated(tmp_path, name):
    made = rig(tmp_path / name, max_bytes=ONE, keep=1)
    for message in range(3):
        made.write(message)
    found = [file for file in tmp_path.iterdir() if not file.name.endswith(".lock")]
    assert sorted(message for file in found for message in messages_in(file)) == ["1", "2"]


# What a process killed between any two steps leaves behind. The steps are the system calls that change names.
STEPS = ("rename", "open", "write", "fsync", "unlink", "utime", "fchmod")


def killed_at(number, work):
    """Run *work* in a child that is killed before its *number*-th such system call; return whether it was."""
    child = os.fork()
    if child == 0:
        calls = [0]

        def counted(real):
            def call(*arguments, **keywords):
                calls[0] += 1
                if calls[0] == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **keywords)

            return call

        try:
            for step in STEPS:
                setattr(os, step, counted(getattr(os, step)))
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_dk14_killed_before_every_system_call_of_a_rotation(tmp_path, compress):
    number = 0
    was_killed = True
    while was_killed:
        number += 1
        path = tmp_path / str(number) / "app.log"
        rig(path, max_bytes=3 * ONE, compress=compress).write(0, 1, 2)

        def work(path=path):
            made = rig(path, max_bytes=3 * ONE, compress=compress)
            made.write(3)
            made.sink.aclose()

        was_killed = killed_at(number, work)
        again = rig(path, max_bytes=3 * ONE, compress=compress)
        again.write(4)
        again.sink.aclose()
        found = everything_in(path)
        assert found in (["0", "1", "2", "4"], ["0", "1", "2", "3", "4"])
        assert not [name for name in names(path) if name.endswith(".tmp")]
        assert len({file.name.removesuffix(".gz") for file in archives_of(path)}) == len(archives_of(path))
    assert number > (15 if compress else 6)
    assert found == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_dk14_original_and_finished_copy_are_one_file(path, compress):
    made = rig(path, max_bytes=ONE)
    made.write(0)
    made.write(1)
    original = archives_of(path)[0]
    original.with_name(f"{original.name}.gz").write_bytes(gzip.compress(original.read_bytes()))
    made.restart(compress=compress).sink.aclose()
    assert everything_in(path) == ["0", "1"]


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_dk14_an_unfinished_copy_is_discarded(path, compress):
    made = rig(path, max_bytes=ONE)
    made.write(0)
    made.write(1)
    original = archives_of(path)[0]
    original.with_name(f"{original.name}.gz.tmp").write_bytes(b"half")
    original.with_name(f"{original.name.replace('.0000', '.0009')}.gz.tmp").write_bytes(b"its original is gone")
    made.restart(compress=compress).sink.aclose()
    assert not [name for name in names(path) if name.endswith(".tmp")]
    assert everything_in(path) == ["0", "1"]
