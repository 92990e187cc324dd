"""``fapilog tree``: every event of a file once, in its place, and nothing of its data on the terminal as a control."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fapilog
from fapilog.cli import main

TRACE = "0af7651916cd43dd8448eb211c80319c"


def event(message: str, second: int, span: int | None, **more: Any) -> dict[str, Any]:
    context: dict[str, Any] = {} if span is None else {"trace_id": TRACE, "span_id": f"{span:016x}"}
    timestamp = f"2026-11-28T12:00:{second:02d}.000000Z"
    return {"timestamp": timestamp, "level": "INFO", "message": message, "context": context, **more}


def end(message: str, second: int, span: int, parent: int | None = None, **told: Any) -> dict[str, Any]:
    ended = event(message, 59, span)
    ended["context"]["span"] = {
        "start": f"2026-11-28T12:00:{second:02d}.000000Z", "duration": 0.25, "outcome": "ok", **told
    }  # fmt: skip
    if parent is not None:
        ended["context"]["span"]["parent_id"] = f"{parent:016x}"
    return ended


def shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[Any], *arguments: str
) -> tuple[str, str, int]:
    """Return what the command prints for these events, on the standard output and error, and its exit code."""
    path = tmp_path / "log.json"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    code = main(["tree", str(path), *arguments])
    captured = capsys.readouterr()
    return captured.out, captured.err, code


FILE = [
    event("before", 0, None),
    event("connecting", 2, 2, fields={"host": "a b", "port": 80}),
    end("fetch", 1, 2, 1),
    event("late", 9, 2, context={"trace_id": TRACE, "span_id": f"{2:016x}", "late": True}),
    event("no luck", 4, 3, level="ERROR", exception={"type": "ValueError", "message": "bad\nworse"}),
    end("parse", 3, 3, 1, outcome="error"),
    event("between", 2, 1),
    end("crawl", 0, 1, errors=1),
]


def test_events_and_spans_stand_in_the_order_of_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err, code = shown(tmp_path, capsys, FILE)
    assert out.splitlines() == [
        f"crawl  250.0 ms  ok  1 error inside  trace {TRACE}",
        "├─ fetch  250.0 ms  ok",
        "│  ├─ 12:00:02.000 INFO  connecting  host='a b' port=80",
        "│  └─ 12:00:09.000 INFO  late  late",
        "├─ 12:00:02.000 INFO  between",
        "└─ parse  250.0 ms  error",
        "   └─ 12:00:04.000 ERROR  no luck  ValueError: bad",
    ]
    assert err.endswith("log.json: 1 events outside any span\n")
    assert code == 0


def test_spans_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _, _ = shown(tmp_path, capsys, FILE, "--spans")
    assert [line.split("  ")[0].lstrip("├─└ ") for line in out.splitlines()] == ["crawl", "fetch", "parse"]


def test_why_a_span_was_cancelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"source": "explicit", "reason": "the client went away"}
    lines = [
        end("one", 1, 1, outcome="cancelled", cancellation=given),
        end("two", 2, 2, outcome="cancelled", cancellation={"source": "nursery"}),
        end("three", 3, 3, outcome="deadline", cancellation={"source": "deadline"}, duration=2.5),
        end("four", 4, 4, duration=0.00025),
    ]
    out, _, _ = shown(tmp_path, capsys, lines)
    assert [line.partition("  trace")[0] for line in out.splitlines()] == [
        "one  250.0 ms  cancelled  by the client went away",
        "two  250.0 ms  cancelled  by nursery",
        "three  2.50 s  deadline",
        "four  250 µs  ok",
    ]


def test_an_exception_tells_what_is_in_it_and_what_it_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(name: str, **more: Any) -> dict[str, Any]:
        return {"type": name, "message": f"{name.lower()}\nin full", **more}

    inner = error("Inner", group=[error("A"), {"type": "B", "ref": 1}, {"omitted": 7}])
    exceptions = [
        error("Outer", cause=error("Middle", cause=error("Root"))),
        error("Group", group=[inner, *[error("C")] * 3], cause=error("Root")),
        error("One", cause=error("Two", cause=error("Three", cause=error("Four", cause=error("Five"))))),
        error("Odd", group={}, cause=[]),
        error("Long", group=[error("x" * 600)]),
    ]
    ends = [end("span", second, second, outcome="error") for second in range(1, 6)]
    lines = [ended | {"exception": exception} for ended, exception in zip(ends, exceptions, strict=True)]
    out, _, _ = shown(tmp_path, capsys, lines)
    told = [line.partition("error  ")[2].partition("  trace")[0] for line in out.splitlines()]
    assert told[:4] == [
        "Outer: outer (from Middle: middle (from Root: root))",
        "Group: group [Inner: inner [A: a; B; 7 more]; C: c; C: c; …] (from Root: root)",
        "One: one (from Two: two (from Three: three (from Four: four)))",
        "Odd: odd",
    ]
    assert len(told[4]) == 500


def test_a_span_whose_end_is_missing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _, _ = shown(tmp_path, capsys, [event("inside", 1, 7), end("child", 2, 8, 7)])
    assert out.splitlines() == [
        "span 0000000000000007: its end is not in this file",
        "├─ 12:00:01.000 INFO  inside",
        "└─ child  250.0 ms  ok",
    ]


def test_a_file_put_together_of_two_shows_the_content_of_a_span_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _, _ = shown(tmp_path, capsys, [*FILE, *FILE])
    assert out.count("crawl") == 2
    assert out.count("connecting") == 2
    assert out.count("fetch") == 2


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", ["crawl  250 us  ok", "|- fetch  250 us  ok  url=gr\\xfc\\xdfe", "`- 12:00:02.000 INFO  \\u20ac"]),
        ("latin-1", ["crawl  250 µs  ok", "|- fetch  250 us  ok  url=grüße", "`- 12:00:02.000 INFO  \\u20ac"]),
        ("cp1252", ["crawl  250 µs  ok", "|- fetch  250 us  ok  url=grüße", "`- 12:00:02.000 INFO  €"]),
        ("utf-8", ["crawl  250 µs  ok", "├─ fetch  250 µs  ok  url=grüße", "└─ 12:00:02.000 INFO  €"]),
    ],
)
def test_a_tree_is_drawn_with_what_the_output_can_encode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, expected: list[str]
) -> None:
    lines = [
        end("fetch", 1, 2, 1, duration=0.00025) | {"fields": {"url": "grüße"}},
        event("€", 2, 1),
        end("crawl", 0, 1, duration=0.00025),
    ]
    path = tmp_path / "log.json"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding=encoding, newline="\n"))
    assert main(["tree", str(path)]) == 0
    assert output.getvalue().decode(encoding).replace(f"  trace {TRACE}", "").splitlines() == expected


def test_nothing_of_the_data_reaches_the_terminal_as_a_control(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "\x1b[2J\r\n\u202e"
    ended = end(bad, 1, 1, outcome=bad, cancellation={"source": bad, "reason": bad}, duration=bad)
    inside = event(bad, 2, 1, level=bad, fields={bad: bad}, exception={"type": bad, "message": bad})
    ended["context"]["trace_id"] = bad
    out, _, _ = shown(tmp_path, capsys, [inside, ended])
    assert len(out.splitlines()) == 2
    assert all(line.isprintable() for line in out.splitlines())


def test_what_is_no_event_is_counted_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        "no JSON",
        "",
        "[1]",
        {"message": "no time"},
        event("bad id", 1, None) | {"context": {"span_id": "xyz"}},
        event("no span", 1, None) | {"context": {"span_id": "0" * 16}},
        end("bad start", 1, 5) | {"context": {"span_id": f"{5:016x}", "span": {"outcome": "ok", "start": 7}}},
        end("good", 1, 1),
    ]
    out, err, code = shown(tmp_path, capsys, lines)
    assert out.startswith("good")
    assert "6 lines that are no events" in err
    assert code == 0


def test_one_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = end("other", 5, 99)
    other["context"]["trace_id"] = "f" * 32
    out, _, code = shown(tmp_path, capsys, [*FILE, other], "--trace", "ffff")
    assert out.splitlines() == [f"other  250.0 ms  ok  trace {'f' * 32}"]
    assert code == 0
    out, err, code = shown(tmp_path, capsys, FILE, "--trace", "abc\x1b")
    assert (out, code) == ("", 1)
    assert "no event of the trace abc\\x1b" in err


def test_a_missing_file_and_an_empty_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", str(tmp_path / "none")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
    assert shown(tmp_path, capsys, [])[1:] == (f"fapilog tree: {tmp_path / 'log.json'}: no event\n", 1)


def test_the_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    content = "".join(json.dumps(line) + "\n" for line in FILE).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert main(["tree", "-"]) == 0
    assert "connecting" in capsys.readouterr().out


def test_spans_that_contain_each_other_do_not_make_it_run_for_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _, code = shown(tmp_path, capsys, [end("a", 1, 1, 2), end("b", 1, 2, 1), end("own", 1, 3, 3)])
    assert (out, code) == ("", 0)


def test_events_of_spans_that_are_inside_each_other_are_told_by_their_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    circle = [end("a", 1, 11, 12), end("b", 2, 12, 11), event("in a", 3, 11)]
    out, err, code = shown(tmp_path, capsys, [*FILE, *circle])
    assert out.splitlines()[0].startswith("crawl")
    assert "in a" not in out
    assert err.endswith("1 events outside any span, 3 events of spans that are inside each other, and of no tree\n")
    assert code == 0
    assert shown(tmp_path, capsys, [*FILE, *circle], "--spans")[1].endswith(
        ", 2 events of spans that are inside each other, and of no tree\n"
    )


def test_a_deep_tree_is_shown_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [end(f"span {number}", 1, number, number - 1 or None) for number in range(1, 3001)]
    out, _, _ = shown(tmp_path, capsys, lines)
    assert len(out.splitlines()) == 3000
    assert max(map(len, out.splitlines())) < 200


@given(data=st.data())
def test_every_event_of_any_tree_is_shown_once_below_its_span(tmp_path_factory: Any, data: st.DataObject) -> None:
    parents = data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=8))
    spans = [end(f"span-{n}", n, n + 1, min(parent, n) or None) for n, parent in enumerate(parents)]
    inside = [event(f"event-{n}", n, 1 + data.draw(st.integers(0, len(parents) - 1))) for n in range(10)]
    lines = data.draw(st.permutations([*spans, *inside]))
    from contextlib import redirect_stderr, redirect_stdout

    path = tmp_path_factory.mktemp("tree") / "log.json"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        assert main(["tree", str(path)]) == 0
    printed = [part for line in out.getvalue().splitlines() for part in line.split() if part[:5] in ("span-", "event")]
    assert sorted(printed) == sorted(line["message"] for line in lines)


async def test_a_real_log_reads_as_a_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "real.json"
    settings = {"sinks": ["file"], "plugin_config": {"file": {"path": str(path)}}}
    async with fapilog.container(settings) as log:
        with log.span("outer"), anyio.move_on_after(0), log.span("inner", page=1):
            await log.info("inside")
            await anyio.sleep_forever()
    assert main(["tree", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("outer  ")
    assert lines[1].startswith("└─ inner  ")
    assert "deadline  page=1" in lines[1]
    assert lines[2].endswith("INFO  inside")
