"""Libraries log by the standard library's logging, warn, and fail in threads: all of it arrives in one place."""

from __future__ import annotations

import logging
import threading
import warnings

import anyio

import fapilog
from fapilog.integrations.stdlib import capture_errors, capture_logging


def convert(order: int) -> None:
    logging.getLogger("library.convert").info("converting order %d", order, extra={"order": order})
    if order == 2:
        raise ValueError(f"order {order} has no total")


async def main() -> None:
    container = fapilog.AsyncLoggingContainer({"sinks": ["stdout"]})
    async with container:
        with capture_logging(container, "library", level="INFO"), capture_errors(container, chain=False):
            for order in (1, 2):
                thread = threading.Thread(target=convert, args=(order,), name=f"converter {order}")
                thread.start()
                await anyio.to_thread.run_sync(thread.join)
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.warn("use convert_all", DeprecationWarning, stacklevel=1)
            await container.logger().info("done")
    print(container.report)


if __name__ == "__main__":
    anyio.run(main, backend="trio")
