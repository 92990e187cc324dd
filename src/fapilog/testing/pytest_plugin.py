"""The pytest plugin: fixtures for a container, for what was logged, and for what was left behind.

pytest imports this in every run, so nothing of fapilog's engine is imported before a fixture is used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..container import AsyncLoggingContainer
    from .captured import CapturedLogs

_MARKER = "fapilog_leak_check"
_FIXTURE = "leak_check"
_SETTINGS_MARKER = "fapilog"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that checks every test for leaks."""
    parser.addini(
        "fapilog_leak_check", "Fail every test that leaves something behind (fapilog).", "bool", default=False
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(enabled=True): fail the test if a task, thread, descriptor or event is left behind."
    )
    config.addinivalue_line("markers", f"{_SETTINGS_MARKER}(**settings): settings for the fixture log_container.")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the tests that are to be checked the fixture that checks them."""
    everywhere: bool = config.getini("fapilog_leak_check")
    for item in items:
        marker = item.get_closest_marker(_MARKER)
        wanted = everywhere if marker is None else marker.kwargs.get("enabled", (*marker.args, True)[0])
        names: list[str] | None = getattr(item, "fixturenames", None)
        if wanted and names is not None and _FIXTURE not in names:
            names.insert(_first_of_the_test(item, names), _FIXTURE)


def _first_of_the_test(item: Any, names: list[str]) -> int:
    """Return the position before the first fixture that is the test's own: it is taken down last of these."""
    known: Any = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    for position, name in enumerate(names):
        definitions = known.get(name)
        if definitions and definitions[-1].scope == "function":
            return position
    return len(names)


@pytest.fixture
def captured_logs() -> CapturedLogs:
    """Give a sink with assertions; open a container with it by ``captured_logs.container(...)``."""
    from .captured import CapturedLogs

    return CapturedLogs()


@pytest.fixture
def log_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Give the settings of ``log_container``: every level, and what the marker ``fapilog`` says; override it."""
    settings: dict[str, Any] = {"level": "DEBUG", "on_incomplete": "raise"}
    for marker in reversed(list(request.node.iter_markers(_SETTINGS_MARKER))):
        settings.update(marker.kwargs)
    return settings


async def hosted_log_container(
    request: pytest.FixtureRequest, captured_logs: CapturedLogs, log_settings: dict[str, Any]
) -> AsyncGenerator[AsyncLoggingContainer, None]:
    """Give an open container whose events go to ``captured_logs``, and whose logger is the current one.

    It is in a task of its own, and left when the test is over: a drain that does not finish is an error of the test.
    This is the function behind the fixture ``log_container``, for plugins that run no fixtures but their own:
    ``log_container = pytest_asyncio.fixture(hosted_log_container)``.
    """
    _fail_between_two_loops(request)
    from ..container import AsyncLoggingContainer
    from .hosting import HostedContainer

    container = AsyncLoggingContainer(log_settings, sinks=[captured_logs])
    captured_logs.watch(container)
    async with HostedContainer(container):
        with container.entered():
            yield container


def _fail_between_two_loops(request: pytest.FixtureRequest) -> None:
    """Fail a test whose fixtures are run by AnyIO's plugin, and itself by pytest-asyncio's, in another event loop.

    In its automatic mode pytest-asyncio takes over every asynchronous test, one marked for AnyIO too, and then runs it
    on asyncio even if its parameter is ``trio``. No fixture can bring a container from the one loop into the other.
    """
    item = request.node
    taken_over = any(base.__module__.partition(".")[0] == "pytest_asyncio" for base in type(item).__mro__)
    if taken_over and "anyio_backend" in request.fixturenames:
        pytest.fail(
            f"{item.name} is run by pytest-asyncio, which is in its automatic mode, and its fixtures by AnyIO, in "
            "another event loop: set asyncio_mode = strict, or take the marker 'anyio' (or anyio_mode = auto) away",
            pytrace=False,
        )


log_container: Any = pytest.fixture(name="log_container")(hosted_log_container)


@pytest.fixture
def leak_check(request: pytest.FixtureRequest) -> Generator[None, None, None]:
    """Fail the test if a task, thread or descriptor is left behind, or a container's account does not balance.

    It has to be the first fixture of the test; the marker ``fapilog_leak_check`` and the setting of that name put it
    there.
    """
    if "anyio_backend" in request.fixturenames:
        request.getfixturevalue("_leak_check_on_the_loop")
        yield
        return
    from .leaks import Belongings, left_behind_now, opened_containers

    with opened_containers() as containers:
        before = Belongings.now()
        yield
        _fail_if_any(left_behind_now(before), containers)


@pytest.fixture
async def _leak_check_on_the_loop() -> AsyncGenerator[None, None]:
    # Inside the test's event loop: its tasks are seen there, and what the loop has open itself is no news.
    from .leaks import Belongings, left_behind, opened_containers

    with opened_containers() as containers:
        before = Belongings.now()
        yield
        _fail_if_any(await left_behind(before), containers)


def _fail_if_any(found: list[str], containers: list[AsyncLoggingContainer]) -> None:
    from .leaks import faults_of

    lines = [*found, *(fault for container in containers for fault in faults_of(container))]
    if lines:
        pytest.fail("the test left something behind:\n" + "\n".join(f"  {line}" for line in lines), pytrace=False)
