"""The command line: ``fapilog``, also ``python -m fapilog``."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any, TextIO, cast

from .config import add_parser as add_config
from .plugins import add_commands as add_plugin_commands
from .tree import add_parser as add_tree

_INTERRUPTED = 130
_UNWRITTEN = 1
"""The exit code when the output could not be written; each command says its own others."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that *argv* names and return the process's exit code.

    Output that cannot be written, on a full disk, is told in one line, and the code is 1. That nobody reads on, as with
    ``| head``, is no mistake.

    Parameters:
        argv: the arguments without the program's name; the process's own if None.

    Raises:
        SystemExit: for ``--help``, and with 2 for wrong arguments.
    """
    output = _Output(sys.stdout)
    try:
        with redirect_stdout(cast("TextIO", output)):
            try:
                arguments = _parser().parse_args(argv)
                code: int = arguments.run(arguments)
            finally:
                output.flush()
    except KeyboardInterrupt as error:
        # Where it struck, if that is known, such as the plugin whose import did not return.
        sys.stderr.writelines(f"{note}\n" for note in getattr(error, "__notes__", ()))
        return _INTERRUPTED
    except (OSError, SystemExit):
        if output.error is None:  # it is about something else
            raise
        code = _UNWRITTEN
    if output.error is None:
        return code
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
    if isinstance(output.error, BrokenPipeError):
        return 0
    sys.stderr.write(f"fapilog: the output cannot be written: {output.error.strerror or output.error}\n")
    return _UNWRITTEN


class _Output:
    """The standard output, which keeps the error that it could not be written for.

    An error of the output looks like one of any file else, and argparse ignores it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self.error = error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="fapilog", description="Structured-concurrency logging for Trio and AnyIO programs.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="send real requests to a real service that logs, on Trio and on asyncio, and account for every event",
        description="Starts a Starlette service under Hypercorn on a loopback port, first on Trio, then on asyncio; "
        "sends it requests, of which some fail and some are cancelled; logs to the console and to a rotating JSON "
        "file; and says what became of every event. Needs the extra: pip install 'fapilog[demo]'.",
    )
    demo.add_argument(
        "--requests", type=_count, default=2000, metavar="N", help="requests on each backend, from 1 (default: 2000)"
    )
    demo.add_argument("--directory", metavar="DIR", help="where the log files go (default: a new temporary directory)")
    demo.add_argument("--quiet", action="store_true", help="log to the file only")
    demo.set_defaults(run=_demo)
    add_config(commands)
    add_tree(commands)
    add_plugin_commands(commands)
    redact = commands.add_parser("redact", help="try out what the redactor hides")
    redacts = redact.add_subparsers(title="commands", required=True, metavar="command")
    test = redacts.add_parser(
        "test",
        help="show what would be hidden in a file, and why",
        description="Reads JSON lines or plain text and shows for each thing that the redactor would hide where it "
        "stands, what found it, and what would be done to it; never the thing itself.",
    )
    test.add_argument("file", metavar="FILE", help="the file to read; - for the standard input")
    test.add_argument(
        "--preset", action="append", metavar="NAME", help="a preset, instead of the default ones; again for more"
    )
    test.add_argument("--settings", metavar="TOML", help="take plugin_config.redact from this settings file")
    test.add_argument("--clean", action="store_true", help="print the lines too, as they would be written")
    test.set_defaults(run=_redact_test)
    return parser


def _demo(arguments: Namespace) -> int:
    from .demo import run

    return run(arguments.requests, arguments.directory, quiet=arguments.quiet)


def _redact_test(arguments: Namespace) -> int:
    from .redact import run

    return run(arguments.file, arguments.preset, arguments.settings, clean=arguments.clean)


def _count(given: str) -> int:
    try:
        number = int(given)
    except ValueError:
        number = 0
    if not 1 <= number <= 1_000_000:
        raise ArgumentTypeError(f"{given!r} is no number of requests; give a whole number from 1 to 1000000")
    return number


__all__ = ("main",)
