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


def session(
    folder: Path, body: str, settings: str, conftest: str = "", options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run pytest on one module, in a process of its own."""
    (folder / "test_it.py").write_text(body)
    (folder / "conftest.py").write_text(conftest)
    (folder / "pytest.ini").write_text(f"[pytest]\n{settings}\n")
    command = [sys.executable, "-m", "pytest", "-v", "-s", "--tb=short", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize("case", CASES)
def test_a_session(case: str, tmp_path: Path) -> None:
    settings, mark, conftest, options, loops = CASES[case]
    body = BODY.format(mark=mark)
    done = session(tmp_path, body, f"{settings}\nfilterwarnings = error", conftest, tuple(options))
    assert sorted(re.findall(r"^.*\bon (asyncio|trio)$", done.stdout, re.MULTILINE)) == loops, done.stdout
    number = len(loops)
    assert f"{number} failed, {3 * number + 1} passed" in done.stdout, done.stdout
    assert done.stdout.count('KeyError: "the test\'s own error"') >= number
    assert " error" not in done.stdout.splitlines()[-1]


TWO_LOOPS = """
import asyncio, pytest

@pytest.fixture
async def loop():
    return asyncio.get_running_loop()

{mark}
async def test_two_loops(loop):
    assert asyncio.get_running_loop() is not loop

{mark}
async def test_logged(log_container):
    pass

async def test_of_pytest_asyncio(log_container, captured_logs):
    await log_container.logger().info("hello")
    await log_container.flush()
    captured_logs.assert_logged("hello")
"""


def test_a_test_between_two_loops_is_told_so(tmp_path: Path) -> None:
    """Of pytest-asyncio's automatic mode with AnyIO's marker; the first test shows what the two make of each other."""
    mark = '@pytest.mark.anyio\n@pytest.mark.parametrize("anyio_backend", ["asyncio"])'
    done = session(tmp_path, TWO_LOOPS.format(mark=mark), f"asyncio_mode = auto\n{SCOPE}")
    assert "2 passed, 1 error" in done.stdout, done.stdout
    assert "test_logged[asyncio] is run by pytest-asyncio, which is in its automatic mode" in done.stdout
    assert "asyncio_mode = strict" in done.stdout


def test_both_in_their_automatic_modes_are_told_so_too(tmp_path: Path) -> None:
    body = TWO_LOOPS.format(mark="").replace("async def test_two", "async def not_a_test")
    done = session(tmp_path, body, f"anyio_mode = auto\nasyncio_mode = auto\n{SCOPE}")
    assert "4 errors" in done.stdout, done.stdout
    assert "test_logged[trio] is run by pytest-asyncio" in done.stdout
