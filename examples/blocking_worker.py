r"""A synchronous worker: orders come in lines on the standard input, threads work on them, SIGTERM ends it in order.

    printf 'o-1 7\no-2 0\n' | python blocking_worker.py

It imports no event loop: the container has one in a thread of its own. Its log is the file worker.log.
"""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from select import select

import fapilog

SETTINGS = {"source": "worker", "sinks": ["file"], "plugin_config": {"file": {"path": "worker.log"}}}

STANDARD_INPUT = 0


class Stopped(Exception):
    """SIGTERM came, which would end the process at once otherwise."""


def lines_until(signals: socket.socket) -> Iterator[str]:
    """Yield the standard input's lines; raises Stopped once a signal's number can be read from *signals*.

    A handler that raises would not do: a signal that comes just before a read begins to wait does not end the wait.
    """
    rest = b""
    while signals not in select([STANDARD_INPUT, signals], [], [])[0]:
        chunk = os.read(STANDARD_INPUT, 65536)
        *lines, rest = (rest + chunk).split(b"\n") if chunk else (rest, b"")
        yield from (line.decode() for line in lines if line)
        if not chunk:
            return
    raise Stopped(signal.Signals(signals.recv(1)[0]).name)


def share(log: fapilog.BlockingLogger, order: str, guests: str) -> None:
    with log.context(correlation_id=order), log.span("order", guests=guests) as span:
        log.info("taken")
        try:
            span.set(slices=12 // int(guests))
        except (ValueError, ZeroDivisionError):
            log.exception("cannot share")


def main() -> None:
    signals, written = socket.socketpair()
    written.setblocking(False)
    signal.set_wakeup_fd(written.fileno())
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with signals, written, fapilog.blocking_container(SETTINGS) as log:
        try:
            with ThreadPoolExecutor(max_workers=3) as pool:  # leaving it waits for the orders that were taken
                print("ready", flush=True)
                for line in lines_until(signals):
                    order, guests = line.split()
                    pool.submit(share, log, order, guests)
                    print("took", order, flush=True)
        except Stopped as stopped:
            log.warning("stopped", signal=str(stopped))
        log.info("all orders done")
    print(log.container.report)


if __name__ == "__main__":
    main()
