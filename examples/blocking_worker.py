r"""A synchronous worker: orders come in lines on the standard input, threads work on them, SIGTERM ends it in order.

    printf 'o-1 7\no-2 0\n' | python blocking_worker.py

It imports no event loop: the container has one in a thread of its own. Its log is the file worker.log.
"""

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import fapilog

SETTINGS = {"source": "worker", "sinks": ["file"], "plugin_config": {"file": {"path": "worker.log"}}}


class Stopped(Exception):
    """Raised by SIGTERM, which would end the process at once otherwise."""


def stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(signal.Signals(number).name)


def share(log: fapilog.BlockingLogger, order: str, guests: str) -> None:
    with log.context(correlation_id=order), log.span("order", guests=guests) as span:
        log.info("taken")
        try:
            span.set(slices=12 // int(guests))
        except (ValueError, ZeroDivisionError):
            log.exception("cannot share")


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    with fapilog.blocking_container(SETTINGS) as log:
        try:
            with ThreadPoolExecutor(max_workers=3) as pool:  # leaving it waits for the orders that were taken
                print("ready", flush=True)
                for line in sys.stdin:
                    order, guests = line.split()
                    pool.submit(share, log, order, guests)
                    print("took", order, flush=True)
        except Stopped as stopped:
            log.warning("stopped", signal=str(stopped))
        log.info("all orders done")
    print(log.container.report)


if __name__ == "__main__":
    main()
