"""What every test runs on: the backends, the virtual clocks and the Hypothesis profiles.

An async test runs on each of `BACKENDS` (``asyncio``, ``asyncio+uvloop``, ``trio``). To narrow it, say so in view::

    @pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)

With ``@pytest.mark.virtual_time`` (or ``pytestmark = pytest.mark.virtual_time`` for a module) it runs on each of
`VIRTUAL_BACKENDS` instead, where an hour of sleeping takes no time: the clock jumps to the next deadline as soon as
every task waits. The clock is new for each test and is the event loop's: read it with `anyio.current_time`. A task
that waits for a thread or a socket does not hold it back, so a test with real threads belongs on the real clock.
One of the two alone is ``parametrize("anyio_backend", ["trio-virtual"], indirect=True, scope="function")``.

A property test that has failed keeps its input in ``.hypothesis``, on the machine where it failed. What it found is
kept for everybody as an ``@example(...)`` above the test; under ``ci`` the failure prints a line that reproduces it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from fapilog.testing.clock import Backend, virtual_time

BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {"debug": False, "use_uvloop": False}),
    "asyncio+uvloop": ("asyncio", {"debug": False, "use_uvloop": True}),
    "trio": ("trio", {}),
}

VIRTUAL_BACKENDS: dict[str, Backend] = {"asyncio-virtual": "asyncio", "trio-virtual": "trio"}

# No deadline, and no complaint about slow examples: how fast the machine is that runs the tests says nothing here.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), print_blob=True, derandomize=False)
# For the second and third Python, where only what differs between Pythons is of interest.
settings.register_profile("quick", parent=settings.get_profile("ci"), max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


LONGEST = (
    "test_process_faults",
    "test_ledger",
    "test_values",
    "test_every_checkpoint",
    "test_leaving",
    "test_testing_conformance",
    "test_odd_positions",
    "test_bounds",
    "test_fault_limits",
    "test_interrupts",
    "test_key_flood",
    "test_accelerator_pairs",
    "test_threads",
)
"""The modules that take longest. They begin first, so that none of them is left for one process in the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first, and leave the order within each as it is."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def pytest_configure() -> None:
    """Forget the settings of whoever runs the tests and what is done about interrupts: child processes inherit both."""
    for name in [name for name in os.environ if name.startswith("FAPILOG_")]:
        del os.environ[name]
    # A shell starts what is to run in the background with interrupts ignored, and so would be every program of a test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put the tests marked ``virtual_time`` on the virtual clocks."""
    test = metafunc.definition
    narrowed = any("anyio_backend" in mark.args[0] for mark in test.iter_markers("parametrize"))
    if "anyio_backend" in metafunc.fixturenames and test.get_closest_marker("virtual_time") and not narrowed:
        # For one function, because Trio's clock goes on from where the test before left it.
        virtual = pytest.mark.parametrize("anyio_backend", list(VIRTUAL_BACKENDS), indirect=True, scope="function")
        test.add_marker(virtual)


@pytest.fixture(scope="module", params=list(BACKENDS))
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Return the backend of an async test and its options; AnyIO's plugin runs the test on it."""
    name: str = request.param
    if name in VIRTUAL_BACKENDS:
        return virtual_time(VIRTUAL_BACKENDS[name])
    if name == "asyncio+uvloop" and find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed; it does not exist for every platform")
    return BACKENDS[name]


@pytest.fixture
def clean_environ() -> dict[str, str]:
    """Return an environment for a child process whose imports are checked: coverage does not start in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder on ``sys.path``; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    for module in folder.glob("*.py"):
        sys.modules.pop(module.stem, None)
