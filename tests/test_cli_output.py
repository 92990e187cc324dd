"""The command line when its output cannot be written: one line on a full disk, nothing when nobody reads on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
COMMANDS = ["--help", "config schema", "config show", "plugins list", "redact test FILE --clean", "tree FILE"]
SPAN = (
    '{"timestamp":"2026-01-01T00:00:00.000000Z","level":"INFO","message":"work","sequence":%d,"container":"a",'
    '"context":{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"%016x","span":{"outcome":"ok",'
    '"start":"2026-01-01T00:00:00.000000Z","duration":1.0}}}\n'
)
"""Many of them are more than a pipe and Python's own buffer hold."""


def run(command: str, output: int, tmp_path: Path, unbuffered: str) -> subprocess.CompletedProcess[bytes]:
    path = tmp_path / "file"
    path.write_text("".join(SPAN % (number, number) for number in range(1, 2000)))
    arguments = [str(path) if word == "FILE" else word for word in command.split()]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command_line = [sys.executable, "-m", "fapilog", *arguments]
    return subprocess.run(command_line, stdout=output, stderr=subprocess.PIPE, env=environment, timeout=50, check=False)


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full, which only Linux has")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_told_in_one_line(command: str, unbuffered: str, tmp_path: Path) -> None:
    with FULL.open("wb") as output:
        done = run(command, output.fileno(), tmp_path, unbuffered)
    assert done.stderr == b"fapilog: the output cannot be written: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows tells of a reader that is gone in other ways")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_gone_is_no_mistake(command: str, unbuffered: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(command, writing, tmp_path, unbuffered)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_error_of_another_file_is_no_error_of_the_output(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fapilog", "redact", "test", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"fapilog redact test cannot read {tmp_path / 'none'}: No such file or directory"
    ]
