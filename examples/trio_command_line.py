"""A Trio program for the command line: progress on standard error, the log in a file, and Ctrl-C ends it in good order.

    python trio_command_line.py --jobs 2 "sleep 1" "ls /" "ls /nowhere"
    fapilog tree jobs.log

It runs commands at the same time and prints what they print. Exit codes: 0, 1 if a command failed, 2 for wrong
arguments, 130 after Ctrl-C.
"""

import argparse
import shlex
import subprocess
import sys

import trio

import fapilog


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def run(number: int, command: str, slots: trio.CapacityLimiter, failed: list[int]) -> None:
    log = fapilog.current_logger()
    async with slots:
        progress(f"[{number}] {command}")
        try:
            with log.context(correlation_id=f"job-{number}"), log.span("job", command=command, buffer="debug") as span:
                done = await trio.run_process(
                    shlex.split(command), capture_stdout=True, stderr=subprocess.STDOUT, check=False
                )
                text = done.stdout.decode(errors="replace")
                await log.debug("output", text=text)
                span.set(code=done.returncode)
                done.check_returncode()
            sys.stdout.write(text)
            progress(f"[{number}] done")
        except (subprocess.CalledProcessError, OSError) as error:  # the span has told it, with the output
            failed.append(number)
            progress(f"[{number}] {error}")


async def main(arguments: argparse.Namespace) -> int:
    failed: list[int] = []
    settings = {
        "source": "jobs",
        "level": arguments.level,
        "sinks": ["file"],
        "plugin_config": {"file": {"path": arguments.log}},
    }
    async with fapilog.container(settings) as log:
        try:
            slots = trio.CapacityLimiter(arguments.jobs)
            async with trio.open_nursery() as nursery:
                for number, command in enumerate(arguments.commands, start=1):
                    nursery.start_soon(run, number, command, slots, failed)
            await log.info("all done", failed=len(failed))
        except* KeyboardInterrupt:
            await log.warning("interrupted")
            raise
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run commands at the same time.")
    parser.add_argument("commands", nargs="+", metavar="COMMAND")
    parser.add_argument("--jobs", type=int, default=4, help="commands that run at the same time")
    parser.add_argument("--log", default="jobs.log", help="the log file")
    parser.add_argument("--level", default="info", help="the least level that is logged")
    try:
        code = trio.run(main, parser.parse_args())
    except* KeyboardInterrupt:
        code = 130
    except* fapilog.FapilogError as wrong:  # a level that there is not, or a log file that cannot be written
        progress("\n".join(map(str, wrong.exceptions)))
        code = 2
    sys.exit(code)
