"""``fapilog redact test``: what it shows of a file, and what it says when it cannot."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fapilog.cli import main

EVENTS = """\
{"message": "hi", "fields": {"user": {"password": "hunter2"}, "ids": [1, "ann@example.com"]}}
login of ann@example.com failed: token=abcd-1234
{"a": 1}
[not json
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text(EVENTS)
    return path


def test_it_shows_where_and_why_and_never_what(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redact", "test", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{file}:1: fields.user.password: the name 'password': mask",
        f"{file}:1: fields.ids[1]: found as email: mask",
        f"{file}:2: text: found as email: mask",
        f"{file}:2: text: found as key_value: mask",
        "2 of 4 lines hold something to hide: email 2, key_value 1, name:password 1",
    ]


def test_it_prints_the_lines_as_they_would_be_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redact", "test", str(file), "--clean", "--preset", "pci_dss"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert '{"message":"hi","fields":{"user":{"password":"hunter2"},"ids":[1,"***"]}}' in lines
    assert "login of *** failed: token=***" in lines
    assert "[not json" in lines


def test_it_takes_settings_from_a_file(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "fapilog.toml"
    settings.write_text(
        'redactors = ["redact"]\n[plugin_config.redact]\nfields = ["message"]\naction = "drop"\ntimeout = 2\n'
    )
    assert main(["redact", "test", str(file), "--settings", str(settings), "--preset", "credentials"]) == 0
    assert f"{file}:1: message: the name 'message': drop" in capsys.readouterr().out


def test_it_reads_the_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("password=x1y2z3\x1b[2J\n"))
    assert main(["redact", "test", "-", "--clean"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("-:1: text: found as key_value: mask\n")
    assert "\x1b" not in shown


def test_it_says_what_is_wrong(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redact", "test", str(tmp_path / "none.log")]) == 1
    assert "cannot read" in capsys.readouterr().err
    assert main(["redact", "test", str(file), "--preset", "gdpr"]) == 2
    assert "did you mean 'gdpr_pii'?" in capsys.readouterr().err
    assert main(["redact", "test", str(file), "--settings", str(tmp_path / "none.toml")]) == 2
