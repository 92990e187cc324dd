"""Runs of a program under fault, one or hundreds, each with a directory of its own and judged by the oracle."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Final, Self

TESTS: Final = Path(__file__).parents[1]
AT_ONCE: Final = 2
ATTEMPTS: Final = 3
"""How often a run is made that is late: on a busy machine some are, but what is slow by itself is late every time."""
PATIENCE: Final = 30.0
"""Seconds to wait for what a program should tell, before it is taken to hang."""


class Late(AssertionError):
    """Raised when something took longer than it may."""


class Launcher:
    """A launcher process, and what it answers."""

    def __init__(self, module: str) -> None:
        paths = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
        # No coverage: faults are to strike the program alone.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        self._process = subprocess.Popen(
            # Warnings are shown and not raised: where they come up, in finalizers, raising would only show them too.
            [sys.executable, "-W", "always", "-m", "oracle.launcher", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "PYTHONPATH": paths},
            start_new_session=True,
        )
        self._buffer = b""

    def command(self, **given: Any) -> None:
        """Have a program started."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(given).encode() + b"\n")
        self._process.stdin.flush()

    def line(self, timeout: float) -> str | None:
        """Return the next line, or None if there is none in time."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return None
            if not (more := os.read(self._process.stdout.fileno(), 65536)):
                raise AssertionError("the launcher has ended")
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        """End the launcher."""
        self._process.kill()
        self._process.communicate()


class Run:
    """One run of a program."""

    def __init__(self, launcher: Launcher, directory: Path, number: int, attempt: int, loops: Sequence[str]) -> None:
        self.directory = directory / (f"{number}" if attempt == 0 else f"{number} again {attempt}")
        self.loop = loops[number % len(loops)]
        """The event loop that is this run's."""
        self.number = number
        self._turn = number // len(loops)
        self.random = Random(f"{directory.name} {number}")
        """For what varies between runs."""
        self.returncode: int | None = None
        self.pid = 0
        self._launcher = launcher

    def one_of(self, *choices: str) -> str:
        """Return one of the choices: each in its turn, and then on each of the event loops."""
        return choices[self._turn % len(choices)]

    def start(self, program: str, **arguments: Any) -> Self:
        """Start a function of the module with the programs."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "run").write_text(f"{self.random.getrandbits(32):08x}")
        self._launcher.command(program=program, directory=str(self.directory), arguments=arguments)
        self.pid = int(self._answer().removeprefix("pid "))
        return self

    def wait_for_one(self, beginning: str) -> str:
        """Wait until the program tells something with that *beginning*; return the rest of it."""
        while not (line := self._answer()).startswith(f"told {beginning}"):
            assert not line.startswith("ended"), f"the program {line} before it told {beginning!r}\n{self.errors}"
        return line.removeprefix(f"told {beginning}")

    def wait_for(self, words: str) -> float:
        """Wait until the program tells *words*; return when, on the monotonic clock."""
        while (line := self._answer()) != f"told {words}":
            assert not line.startswith("ended"), f"the program {line} before it told {words!r}\n{self.errors}"
        return time.monotonic()

    def send(self, *signals: signal.Signals) -> None:
        """Send signals to the program."""
        for number in signals:
            os.kill(self.pid, number)

    def wait(self, patience: float = PATIENCE) -> float:
        """Wait until the program has ended; return when, on the monotonic clock."""
        while not (line := self._answer(patience)).startswith("ended"):
            pass
        self.returncode = int(line.removeprefix("ended "))
        return time.monotonic()

    @property
    def errors(self) -> str:
        """What the program wrote on its standard error so far."""
        return (self.directory / "stderr").read_text(errors="backslashreplace")

    def _answer(self, patience: float = PATIENCE) -> str:
        line = self._launcher.line(patience)
        if line is None:
            os.kill(self.pid, signal.SIGUSR2)  # every thread's stack goes to the standard error
            os.kill(self.pid, signal.SIGCONT)
            self._launcher.line(1)
            self.end()
            raise AssertionError(f"the program hangs\n{self.errors}")
        return line

    def end(self) -> None:
        """Kill the program if it still runs, so that the launcher is free."""
        if self.pid and self.returncode is None:
            with suppress(ProcessLookupError):  # at the interpreter's end SIGUSR2 has no handler any more
                os.kill(self.pid, signal.SIGKILL)
            while (line := self._launcher.line(PATIENCE)) is not None and not line.startswith("ended"):
                pass
            self.returncode = -signal.SIGKILL


Trial = Callable[[Run], object]
"""Starts a program, lets a fault strike it, and checks what came of it."""


class Trials:
    """Runs trials, two at a time, since most of the time a program or its judge waits."""

    def __init__(self, module: str) -> None:
        self._launchers = [Launcher(module) for _ in range(AT_ONCE)]

    def run(self, directory: Path, trial: Trial, loops: Sequence[str], times: int) -> None:
        """Run *trial* so many *times*, each with other random numbers and on the next of the event loops.

        Raises:
            AssertionError: what the first failed trial raised, with a note that says which it was.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            shares = [range(first, times, AT_ONCE) for first in range(AT_ONCE)]
            for outcome in [
                pool.submit(self._share, launcher, directory, trial, loops, share)
                for launcher, share in zip(self._launchers, shares, strict=True)
            ]:
                outcome.result()

    def _share(self, launcher: Launcher, directory: Path, trial: Trial, loops: Sequence[str], numbers: range) -> None:
        for number in numbers:
            for attempt in range(ATTEMPTS):
                run = Run(launcher, directory, number, attempt, loops)
                try:
                    trial(run)
                    break
                except BaseException as error:
                    if not isinstance(error, Late) or attempt == ATTEMPTS - 1:
                        error.add_note(f"in run {number} on {run.loop}, which left {run.directory}")
                        raise
                finally:
                    run.end()

    def close(self) -> None:
        """End the launchers."""
        for launcher in self._launchers:
            launcher.close()


@contextmanager
def trials(module: str) -> Iterator[Trials]:
    """Run trials with the programs of a module."""
    made = Trials(module)
    try:
        yield made
    finally:
        made.close()


def bound(began: float, ended: float, seconds: float, what: str) -> None:
    """Check that something took no longer than it may.

    Raises:
        Late: if it did.
    """
    if ended - began > seconds:
        raise Late(f"{what} took {ended - began:.2f} s instead of at most {seconds:.2f} s")


__all__ = ("AT_ONCE", "Late", "Launcher", "Run", "Trial", "Trials", "bound", "trials")
