"""The pytest plugin, as a project that uses fapilog meets it: in a pytest of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

PRELUDE = """
import asyncio, os, socket, sys, threading
import anyio, pytest
import fapilog
from fapilog.testing import HostedContainer, RecordingSink

LOST = []

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param
"""


def run(place: Path, body: str, *, ini: str = "") -> tuple[dict[str, str], str]:
    """Run the tests in *body*; return the outcome of each by its name, and what pytest wrote."""
    (place / "test_it.py").write_text(PRELUDE + textwrap.dedent(body))
    (place / "pytest.ini").write_text(f"[pytest]\nanyio_mode = auto\n{ini}\n")
    command = [sys.executable, "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider"]
    out = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=50, check=False).stdout
    outcomes: dict[str, str] = {}
    for name, outcome in re.findall(r"^test_it\.py::(\S+) (PASSED|FAILED|ERROR)", out, re.MULTILINE):
        outcomes[name] = outcome.lower()
    # The outcome of a teardown comes on a line of its own, after that of the test.
    for name in re.findall(r"^ERROR test_it\.py::(\S+)", out, re.MULTILINE):
        outcomes[name] = "error"
    return outcomes, out


def message_of(name: str, out: str) -> str:
    """Return what pytest shows of a test's error."""
    found = re.search(rf"_ ERROR at teardown of {re.escape(name)} _+\n(.*?)\n(?:_____|=====)", out, re.DOTALL)
    assert found is not None, out
    return found[1]


# -- in this run: the fixtures work on each event loop, in virtual time too


@pytest.mark.fapilog_leak_check
async def test_a_container_is_there_and_its_logger_is_the_current_one(log_container, captured_logs):
    import fapilog

    await fapilog.current_logger().debug("hello", name="ann")
    await log_container.logger("shop").warning("slow", tags={"team": "pay"})
    await log_container.flush()
    captured_logs.assert_logged("hello", level="DEBUG", fields={"name": "ann"})
    captured_logs.assert_logged("slow", logger="shop", tags={"team": "pay"})
    captured_logs.assert_nothing_logged(level="ERROR")


@pytest.mark.fapilog(level="ERROR", source="shop")
async def test_a_marker_gives_it_settings(log_container, captured_logs):
    await log_container.logger().warning("unheard")
    await log_container.logger().error("heard")
    await log_container.flush()
    assert captured_logs.messages == ["heard"]
    assert captured_logs.events[0].source == "shop"


class TestOverridden:
    @pytest.fixture
    def log_settings(self):
        return {"level": "CRITICAL"}

    async def test_a_fixture_gives_it_settings(self, log_container):
        assert log_container.settings.level == "CRITICAL"


def test_what_was_logged_is_captured_without_a_container_too(captured_logs):
    assert captured_logs.events == []
    captured_logs.assert_nothing_logged()


# -- in a run of its own


def test_cx19_a_test_that_leaves_something_behind_fails_and_says_what(tmp_path: Path) -> None:
    outcomes, out = run(
        tmp_path,
        """
        pytestmark = pytest.mark.fapilog_leak_check

        async def test_task(anyio_backend):
            if anyio_backend == "trio":
                import trio
                trio.lowlevel.spawn_system_task(anyio.sleep_forever, name="lost task")
            else:
                LOST.append(asyncio.get_running_loop().create_task(anyio.sleep_forever(), name="lost task"))

        def test_thread():
            threading.Thread(target=threading.Event().wait, daemon=True, name="lost thread").start()

        def test_file():
            LOST.append(os.open("/dev/zero", os.O_RDONLY))

        async def test_socket():
            LOST.extend(socket.socketpair())

        async def test_container():
            hosted = HostedContainer(fapilog.AsyncLoggingContainer(sinks=[RecordingSink()]))
            await hosted.__aenter__()

        async def test_account():
            async with fapilog.container(sinks=[RecordingSink()]) as log:
                await log.info("a")
            log.container.metrics_collector.stages.taken += 1
            log.container._ending.report = log.container.stats()

        async def test_delivery():
            async with fapilog.container(sinks=[RecordingSink()]) as log:
                await log.info("a")
            log.container.metrics_collector.sinks["recording"].routed += 1
            log.container._ending.report = log.container.stats()

        async def test_collected():
            async with fapilog.container(sinks=[RecordingSink()]) as log:
                log.container.metrics_collector.stages.merged += 3

        async def test_own(log_container):
            LOST.append(os.open("/dev/zero", os.O_RDONLY))
        """,
    )
    tests = ["task", "socket", "account", "delivery", "collected", "own", "container"]
    names = [f"test_{test}[{backend}]" for test in tests for backend in ("asyncio", "trio")]
    assert outcomes == dict.fromkeys([*names, "test_thread", "test_file"], "error"), out
    assert message_of("test_thread", out) == "the test left something behind:\n  thread 'lost thread'"
    assert re.search(r"behind:\n  file descriptor \d+: /dev/zero$", message_of("test_file", out))
    for backend in ("asyncio", "trio"):
        assert "\n  task 'lost task'" in message_of(f"test_task[{backend}]", out)
        assert message_of(f"test_socket[{backend}]", out).count(": socket:[") == 2
        assert re.search(r"container \w{8} was not left: container", message_of(f"test_container[{backend}]", out))
        assert "the account does not balance: container" in message_of(f"test_account[{backend}]", out)
        assert "1 events were not delivered and are in flight" in message_of(f"test_delivery[{backend}]", out)
        assert "the account does not balance: container" in message_of(f"test_collected[{backend}]", out)


def test_a_tidy_test_passes_whatever_it_used(tmp_path: Path) -> None:
    outcomes, out = run(
        tmp_path,
        """
        def test_synchronous(captured_logs):
            with fapilog.blocking_container({"sinks": ["null"]}) as log:
                log.info("a")

        @pytest.fixture(scope="module")
        async def server(anyio_backend):
            LOST.append(os.open("/dev/zero", os.O_RDONLY))
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever, name="the server")
                yield
                group.cancel_scope.cancel()

        @pytest.fixture(scope="module", params=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param

        async def test_with_a_server(server, log_container, captured_logs):
            await anyio.to_thread.run_sync(log_container.logger().nowait.info, "from a thread")
            await log_container.flush()
            captured_logs.assert_logged("from a thread")

        def test_short_thread():
            threading.Timer(0.2, int).start()

        @pytest.mark.fapilog_leak_check(False)
        def test_left_out():
            LOST.append(os.open("/dev/zero", os.O_RDONLY))

        @pytest.mark.skip
        def test_skipped(): ...
        """,
        ini="fapilog_leak_check = true",
    )
    assert set(outcomes.values()) == {"passed"}, out
    assert len(outcomes) == 5, out


def test_without_being_asked_for_nothing_is_checked(tmp_path: Path) -> None:
    outcomes, out = run(tmp_path, "def test_file(): LOST.append(os.open('/dev/zero', os.O_RDONLY))")
    assert outcomes == {"test_file": "passed"}, out


def test_a_drain_that_does_not_finish_is_an_error_of_the_test(tmp_path: Path) -> None:
    outcomes, out = run(
        tmp_path,
        """
        @pytest.mark.fapilog(shutdown_timeout=0.1)
        async def test_it(monkeypatch, log_container):
            monkeypatch.setattr(fapilog.AsyncPipeline, "drain", lambda self: anyio.sleep_forever())
            await log_container.logger().info("a")
        """,
    )
    assert set(outcomes.values()) == {"error"}, out
    assert "DrainIncomplete" in out


def test_loading_it_imports_nothing_of_the_engine(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(): pass")
    loaded = []
    for begin in ("import pytest; pytest.main(['-q'])", "import fapilog"):
        code = f"{begin}; import sys; print(*sorted(name for name in sys.modules if name.startswith('fapilog')))"
        command = [sys.executable, "-c", code]
        out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=clean_environ)
        loaded.append(set(out.stdout.splitlines()[-1].split()))
    assert loaded[0] - loaded[1] == {"fapilog.testing", "fapilog.testing.pytest_plugin"}


def test_the_testing_package_needs_no_pytest(clean_environ: dict[str, str]) -> None:
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "import fapilog.testing as t\n"
        "for name in t.__all__: getattr(t, name)\n"
        "t.check_plugin(t.RecordingSink)\n"
        "print(sorted(t.__all__) == list(t.__all__), set(t.__all__) <= set(dir(t)), hasattr(t, 'nonsense'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=clean_environ)
    assert done.stdout.split() == ["True", "True", "False"], done.stderr
