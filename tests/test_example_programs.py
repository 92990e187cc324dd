"""The example programs under a real client and a real signal: every request is in the log once, and nothing is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from example_programs import check_drained, events_of, example, running
from fapilog.cli import main


def test_crawler_trio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("httpx2", reason="httpx2, of the extra demo, is not installed")
    with running(example("crawler_trio.py"), "2", folder=tmp_path) as crawler:
        assert crawler.wait() == 0, crawler.told
    events = events_of(tmp_path / "crawl.log")
    check_drained(crawler.told, events)
    assert {event["correlation_id"] for event in events} == {"crawl-1"}

    assert main(["tree", str(tmp_path / "crawl.log")]) == 0
    # Without what differs each time.
    story = re.sub(r"  [\d.]+ (?:s|ms|µs)(?=  )|\d\d:\d\d:\d\d\.\d{3} |  trace \w+|  by .* exception.*\)(?=  )", "",
                   capsys.readouterr().out).splitlines()  # fmt: skip
    assert story[:14] == [
        "crawl  ok  1 error inside",
        "├─ page  ok  path=/",
        "│  └─ fetch  ok  path=/ attempt=1 status=200",
        "├─ page  ok  path=/good",
        "│  ├─ fetch  ok  path=/good attempt=1 status=200",
        "│  └─ fetch  ok  path=/logo.png attempt=1 status=200",
        "├─ page  ok  path=/flaky",
        "│  ├─ fetch  ok  path=/flaky attempt=1 status=503",
        "│  ├─ WARNING  trying again  after=0.02",
        "│  └─ fetch  ok  path=/flaky attempt=2 status=200",
        "├─ page  deadline  path=/slow",
        "│  └─ fetch  deadline  path=/slow attempt=1",
        "├─ WARNING  gave up  path=/slow seconds=2.0",
        "├─ page  error  path=/broken  ExceptionGroup: Exceptions from Trio nursery (1 sub-exception)",
    ]
    assert story[14:16] == [
        "│  ├─ fetch  ok  path=/broken attempt=1 status=200",
        "│  ├─ DEBUG  parsed  pictures=2 links=0",
    ]
    # The two pictures are fetched at the same time.
    assert {line[6:] for line in story[16:18]} == {
        "fetch  ok  path=/gone.png attempt=1 status=404",
        "fetch  cancelled  path=/slow.png attempt=1",
    }
    assert story[18:] == ['└─ WARNING  left out  path=/broken missing=["/gone.png"]']
