"""The file sink: opening, appending, noticing what others do to the file, and when it may write directly."""

import os
import stat
import subprocess
import sys
import traceback

import pytest

import fapilog
from fapilog.errors import PermanentSinkError, PluginError, TransientSinkError
from fapilog.plugins.metadata import PluginType
from fapilog.sinks._local_disk import is_local
from fapilog.sinks.file import FileSink
from file_sink_tools import batch_of, messages_in, record_size, rig


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.log"


def open_files():
    """Return what this process's descriptors stand for."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass  # the descriptor of the listing itself
    return found


def test_batches_are_appended_in_order(path):
    made = rig(path)
    made.write("a", "b")
    made.write("c")
    made.sink.flush()
    assert messages_in(path) == ["a", "b", "c"]
    made.sink.aclose()


def test_an_empty_batch_writes_nothing(path):
    made = rig(path)
    made.write()
    assert path.read_bytes() == b""


def test_an_existing_file_is_continued_with_its_own_permissions(path):
    path.write_bytes(b'{"message":"old"}\n')
    path.chmod(0o640)
    made = rig(path)
    made.write("new")
    assert messages_in(path) == ["old", "new"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_payload_larger_than_one_system_call_takes(path):
    made = rig(path)
    made.write("x" * 3_000_000, "y")
    assert messages_in(path) == ["x" * 3_000_000, "y"]


def test_relative_path_is_that_of_the_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sink = FileSink(FileSink.Config(path="logs/app.log"))
    sink.start()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sink.write(batch_of(["a"]))
    (tmp_path / "logs" / "app.log").unlink()
    sink.write(batch_of(["b"]))
    assert messages_in(tmp_path / "logs" / "app.log") == ["b"]


def test_a_write_without_start_opens_the_file(path):
    made = rig(path, start=False, max_bytes=record_size("a"))
    made.write("a", "b")
    assert messages_in(path) == ["b"]


def test_closing_twice_is_allowed_and_later_writes_are_refused(path):
    made = rig(path)
    made.sink.aclose()
    made.sink.aclose()
    with pytest.raises(PermanentSinkError, match="closed"):
        made.write("late")


def test_a_sink_that_was_never_started_can_be_closed(path):
    rig(path, start=False).sink.aclose()
    assert not path.exists()


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_dk22_permissions_do_not_depend_on_the_umask(tmp_path, umask):
    path = tmp_path / "deep" / "er" / "app.log"
    before = os.umask(umask)
    try:
        made = rig(path, max_bytes=record_size("a"), compress="gzip")
        made.write("a")
        made.write("b")
        made.sink.aclose()
    finally:
        os.umask(before)
    files = [file for file in path.parent.iterdir() if file.is_file()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert len(files) == 3
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path.parent, path.parent.parent)] == [0o700, 0o700]


def test_dk22_configured_mode_is_exact(path):
    before = os.umask(0o077)
    try:
        rig(path, mode=0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_pr17_descriptors_are_closed_on_exec(path):
    made = rig(path, max_bytes=10)
    made.write("a")
    program = "import os; [print(os.readlink(e.path)) for e in os.scandir('/proc/self/fd') if os.path.lexists(e.path)]"
    listing = subprocess.run(
        [sys.executable, "-c", program], close_fds=False, capture_output=True, text=True, check=True
    ).stdout
    assert "app.log" not in listing
    assert {"app.log", ".app.log.lock"} <= {os.path.basename(target) for target in open_files()}


def test_dk11_rename_is_noticed_and_no_line_is_in_two_files(path):
    made = rig(path)
    made.write("a")
    path.rename(path.with_name("moved"))
    made.write("b")
    assert messages_in(path.with_name("moved")) == ["a"]
    assert messages_in(path) == ["b"]


def test_dk11_replaced_file_is_noticed(path):
    made = rig(path)
    made.write("a")
    path.rename(path.with_name("moved"))
    path.write_bytes(b'{"message":"theirs"}\n')
    made.write("b")
    assert messages_in(path) == ["theirs", "b"]


def test_dk11_deleted_file_is_created_again(path):
    made = rig(path)
    made.write("a")
    path.unlink()
    made.write("b")
    assert messages_in(path) == ["b"]


@pytest.mark.parametrize("max_bytes", [None, 1000])
def test_dk10_deleted_directory_is_created_again(tmp_path, max_bytes):
    path = tmp_path / "logs" / "deep" / "app.log"
    made = rig(path, max_bytes=max_bytes)
    made.write("a")
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    path.parent.parent.rmdir()
    made.write("b")
    made.write("c")
    assert messages_in(path) == ["b", "c"]
    assert (path.parent / ".app.log.lock").exists() == (max_bytes is not None)


def test_truncated_file_goes_on_at_its_start(path):
    made = rig(path)
    made.write("a")
    os.truncate(path, 0)
    made.write("b")
    assert path.read_bytes() == batch_of(["b"]).encoded("json")


def test_descriptors_are_given_back(path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        made = rig(path, max_bytes=record_size("a"), compress="gzip", fsync="rotate")
        for message in range(5):
            made.write(message)
        path.unlink()
        made.write("after")
        made.sink.aclose()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.symlink_to(path.with_name("target")), "is a symbolic link"),
        (os.mkfifo, "nobody reads"),
    ],
)
def test_se16_what_is_no_file_to_append_to_fails_the_start(path, make, words):
    make(path)
    with pytest.raises(PluginError, match=words) as caught:
        rig(path)
    assert repr(str(path)) in str(caught.value)
    assert not path.with_name("target").exists()


def test_se16_symlink_in_place_of_the_lock_file_is_not_followed(path):
    victim = path.with_name("victim")
    path.with_name(".app.log.lock").symlink_to(victim)
    with pytest.raises(PluginError, match="symbolic link"):
        rig(path, max_bytes=10)
    assert not victim.exists()


def test_se16_symlink_planted_later_is_not_followed(path):
    made = rig(path)
    victim = path.with_name("victim")
    victim.write_bytes(b"untouched")
    path.unlink()
    path.symlink_to(victim)
    with pytest.raises(TransientSinkError, match="symbolic link"):
        made.write("a")
    path.unlink()
    made.write("a")
    assert messages_in(path) == ["a"]
    assert victim.read_bytes() == b"untouched"


@pytest.mark.anyio
async def test_what_keeps_it_from_starting_is_one_traceback_that_ends_in_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "app.log"
    with pytest.raises(PluginError) as caught:
        async with fapilog.container({"sinks": ["file"], "plugin_config": {"file": {"path": str(path)}}}):
            raise AssertionError("entered")
    shown = traceback.format_exception(caught.value)
    assert "".join(shown).count("Traceback") == 1
    assert shown[-1].startswith(f"fapilog.errors.PluginError: plugin 'file': the sink did not start: '{path}': Not a")
    told = caught.value.__context__  # kept, though not shown
    assert isinstance(told, PluginError)
    assert isinstance(told.__cause__, NotADirectoryError)


def test_a_file_as_a_directory_fails_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginError, match="one of its directories is a file"):
        rig(tmp_path / "file" / "app.log")


def test_dk19_path_that_is_not_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9[a]*.log")
    made = rig(path, max_bytes=record_size("a"))
    made.write("a")
    made.write("b")
    made.sink.aclose()
    assert messages_in(path) == ["b"]
    assert len(os.listdir(os.fsencode(tmp_path))) == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": ""}, "path ''"),
        ({"path": None}, "path None"),
        ({"path": "a\0b"}, "NUL"),
        ({"path": "x" * 256}, "too long"),
        ({"path": "d/" * 2048 + "x"}, "too long"),
        ({"path": "x" * 230, "max_bytes": 1}, "too long to be rotated"),
        ({"path": "logs/"}, "a directory's; add a name"),
        ({"path": ".."}, "a directory's; add a name"),
        ({"path": "\ud800"}, "surrogates"),
        ({"format": "xml"}, "'json', 'json_flat', 'logfmt', 'console'"),
        ({"max_bytes": 0}, "max_bytes 0 .*from 1"),
        ({"max_bytes": True}, "max_bytes True"),
        ({"max_bytes": 1.5}, "max_bytes 1.5"),
        ({"rotate_at": "weekly"}, "'hourly', 'daily'"),
        ({"rotate_at": 0.5}, "from 1"),
        ({"rotate_at": float("nan")}, "from 1"),
        ({"keep": -1, "max_bytes": 1}, "keep -1"),
        ({"keep": 1}, "set max_bytes or rotate_at"),
        ({"compress": "gzip"}, "set max_bytes or rotate_at"),
        ({"compress": "zip", "max_bytes": 1}, "'gzip', None"),
        ({"keep_days": 1, "keep_seconds": 1, "max_bytes": 1}, "only one"),
        ({"mode": 0o400}, "0o600"),
        ({"mode": 0o4600}, "0o600"),
        ({"mode": "0600"}, "mode '0600'"),
        ({"fsync": "sometimes"}, "'never', 'rotate', 'always'"),
        ({"slow_write": -1}, "slow_write -1"),
        ({"slow_write_cool_down": None}, "slow_write_cool_down None"),
    ],
)
def test_dk19_wrong_settings_name_the_value_and_what_is_allowed(settings, words):
    with pytest.raises(ValueError, match=words):
        FileSink.Config(**{"path": "app.log", **settings})


def test_path_objects_are_taken(path):
    sink = FileSink(FileSink.Config(path=path))
    sink.start()
    sink.write(batch_of(["a"]))
    assert messages_in(path) == ["a"]


def test_metadata_and_order():
    assert FileSink.metadata.name == "file"
    assert FileSink.metadata.plugin_type is PluginType.SINK
    assert FileSink.ordered is True


def test_blocking_until_opened_then_direct(path, monkeypatch):
    monkeypatch.setattr("fapilog.sinks._current_file.is_local", lambda *_: True)
    made = rig(path, start=False)
    assert made.sink.blocking is True
    made.sink.start()
    assert made.sink.blocking is False


def test_dk21_slow_direct_write_is_followed_by_a_cool_down(path, monkeypatch):
    monkeypatch.setattr("fapilog.sinks._current_file.is_local", lambda *_: True)
    made = rig(path)
    real_write = os.write

    def slow(descriptor, data):
        made.monotonic.now += 0.1
        return real_write(descriptor, data)

    assert made.sink.blocking is False
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", slow)
        made.write("slow")
        assert made.sink.blocking is True
        made.write("slow in the thread, which starts no new cool-down")
    made.monotonic.now += 9.85
    assert made.sink.blocking is True
    made.monotonic.now += 0.1
    assert made.sink.blocking is False


def test_dk21_one_write_that_is_a_little_slow_may_be_the_schedulers_doing_and_two_are_not(path, monkeypatch):
    monkeypatch.setattr("fapilog.sinks._current_file.is_local", lambda *_: True)
    made = rig(path)
    real_write = os.write

    def slow(descriptor, data):
        made.monotonic.now += 0.01
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", slow)
    for pause in (10.1, 10.1, 9.9):
        assert made.sink.blocking is False
        made.write("slow")
        made.monotonic.now += pause
    assert made.sink.blocking is False
    made.write("slow again")
    assert made.sink.blocking is True


def test_blocking_near_the_size_limit_or_a_boundary(path, monkeypatch):
    monkeypatch.setattr("fapilog.sinks._current_file.is_local", lambda *_: True)
    made = rig(path, max_bytes=3_000_000, rotate_at="hourly")
    assert made.sink.blocking is False
    made.wall.now += 3598
    assert made.sink.blocking is False
    made.wall.now += 1.5
    assert made.sink.blocking is True
    made.wall.now -= 1000
    assert made.sink.blocking is False
    made.write("x" * 2_000_000)
    assert made.sink.blocking is True
    made.write("x" * 2_000_000)
    assert made.sink.blocking is True


def test_blocking_with_fsync_always(path, monkeypatch):
    monkeypatch.setattr("fapilog.sinks._current_file.is_local", lambda *_: True)
    assert rig(path, fsync="always").sink.blocking is True


def test_blocking_on_a_network_file_system(path, monkeypatch):
    monkeypatch.setattr("fapilog.sinks._current_file.is_local", lambda *_: False)
    assert rig(path).sink.blocking is True


def test_blocking_for_what_is_no_ordinary_file(path):
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        made = rig(path)
        assert made.sink.blocking is True
        made.write("a")
        assert os.read(reader, 1000) == batch_of(["a"]).encoded("json")
        made.sink.aclose()
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("kind", "local"),
    [("ext4", True), ("xfs", True), ("tmpfs", True), ("nfs4", False), ("cifs", False), ("fuse.sshfs", False),
     ("9p", False), ("unheard-of", False)],
)  # fmt: skip
def test_file_systems_that_count_as_local(tmp_path, kind, local):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"22 21 0:99 / /srv/my\\040logs rw shared:2 - {kind} somewhere rw\n"
    )
    assert is_local("/srv/my logs/app.log", os.makedev(0, 99), str(mounts)) is local
    assert is_local("/srv/my logs/app.log", os.makedev(0, 1234), str(mounts)) is local  # found by its place
    assert is_local("/srv/app.log", os.makedev(8, 1), str(mounts)) is True


def test_without_a_table_of_mounts_nothing_counts_as_local(tmp_path):
    assert is_local("/app.log", 1, str(tmp_path / "missing")) is False
