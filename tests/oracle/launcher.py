"""Starts programs in a moment: a process that has imported everything and forks for each program.

Two hundred runs of a program take two hundred starts of an interpreter, which is most of what they take. A child of
this process has no thread and no event loop either; it runs the program at the top of its stack, and when the program
returns or raises, the interpreter ends as it does after any program.

It reads one command a line, as JSON, and answers with lines: ``pid N``, what the program tells, ``ended CODE``.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from .client import Client


def main() -> None:
    """Run programs until there are no more commands."""
    control = os.dup(1)
    module = import_module(sys.argv[1])
    while command := sys.stdin.readline():
        given: dict[str, Any] = json.loads(command)
        child = os.fork()
        if child == 0:
            client = _become(given, control)
            getattr(module, given["program"])(client, **given["arguments"])
            return
        os.write(control, f"pid {child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(control, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())


def _become(given: dict[str, Any], control: int) -> Client:
    """Make the standard streams, the process group and the signals those of a program that was just started."""
    directory = Path(given["directory"])
    os.setsid()
    for number, name in enumerate((Path(os.devnull), directory / "stdout", directory / "stderr")):
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(descriptor, number)
        os.close(descriptor)
    # Whoever runs the tests in the background may have it ignored, which programs inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.register(signal.SIGUSR2, all_threads=True, chain=False)
    return Client(directory, control)


if __name__ == "__main__":
    main()
