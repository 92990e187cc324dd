"""The pytest plugin beside caplog, pytest-trio, pytest-asyncio and AnyIO: sessions with the real packages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BODY = """
import logging, pytest, sniffio
import fapilog
from fapilog.integrations.stdlib import LoggingSink, capture_logging

{mark}
async def test_one(log_container, captured_logs, caplog):
    caplog.set_level("INFO")
    with capture_logging(log_container):
        logging.getLogger("library").info("from a library %d", 1, extra={{"order": 7}})
    await fapilog.current_logger().info("hello", loop=sniffio.current_async_library())
    await log_container.flush()
    print("on", captured_logs.assert_logged("hello").fields["loop"])
    captured_logs.assert_logged("from a library 1", fields={{"order": 7}})
    assert caplog.messages == ["from a library 1"]  # what pytest has captured before is captured still

{mark}
async def test_events_in_caplog(caplog):
    caplog.set_level("INFO")
    async with fapilog.AsyncLoggingContainer(sinks=[LoggingSink()]) as container:
        with capture_logging(container):  # and this is no loop
            await container.logger("shop").error("broken", order=7)
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage(), record.order) == ("shop", "ERROR", "broken", 7)
    assert container.report.rejected == {{}}

{mark}
@pytest.mark.fapilog(level="ERROR")
@pytest.mark.fapilog_leak_check
async def test_settings(log_container, captured_logs):
    await log_container.logger().info("unheard")
    await log_container.flush()
    assert captured_logs.messages == []

{mark}
async def test_that_is_cancelled_by_a_failure(log_container):
    await log_container.logger().info("on its way")
    raise KeyError("the test's own error")

def test_plain(caplog):
    logging.getLogger("library").warning("plain")
    assert caplog.messages == ["plain"]
"""

STRICT = """
import pytest_asyncio
from fapilog.testing.pytest_plugin import hosted_log_container

log_container = pytest_asyncio.fixture(hosted_log_container)
"""

SCOPE = "asyncio_default_fixture_loop_scope = function"

CASES = {
    "anyio, automatic": ("anyio_mode = auto", "", "", ["-p", "no:asyncio", "-p", "no:trio"], ["asyncio", "trio"]),
    "anyio, by its marker": ("", "@pytest.mark.anyio", "", ["-p", "no:asyncio", "-p", "no:trio"], ["asyncio", "trio"]),
    "anyio, with all others there": (SCOPE, "@pytest.mark.anyio", "", [], ["asyncio", "trio"]),
    "trio, automatic": ("trio_mode = true", "", "", ["-p", "no:asyncio"], ["trio"]),
    "trio, by its marker": (SCOPE, "@pytest.mark.trio", "", [], ["trio"]),
    "asyncio, automatic": (f"asyncio_mode = auto\n{SCOPE}", "", "", ["-p", "no:trio"], ["asyncio"]),
    "asyncio, strict": (f"asyncio_mode = strict\n{SCOPE}", "@pytest.mark.asyncio", STRICT, [], ["asyncio"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_session(case: str, tmp_path: Path) -> None:
    settings, mark, conftest, options, loops = CASES[case]
    (tmp_path / "test_it.py").write_text(BODY.format(mark=mark))
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{settings}\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-v", "-s", "--tb=short", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert sorted(re.findall(r"^.*\bon (asyncio|trio)$", done.stdout, re.MULTILINE)) == loops, done.stdout
    number = len(loops)
    assert f"{number} failed, {3 * number + 1} passed" in done.stdout, done.stdout
    assert done.stdout.count('KeyError: "the test\'s own error"') >= number
    assert " error" not in done.stdout.splitlines()[-1]
