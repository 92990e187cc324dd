"""Code that logs by structlog and by Loguru feeds one container, with level, context and exception kept."""

from __future__ import annotations

import anyio
import loguru
import structlog

import fapilog
from fapilog.integrations.loguru import capture_loguru
from fapilog.integrations.structlog import FapilogProcessor


def charge(order: int) -> None:
    log = structlog.get_logger().bind(order=order)
    with structlog.contextvars.bound_contextvars(request=f"r-{order}"):
        log.info("charging")
        try:
            print_receipt(order)
        except OSError:
            log.exception("no receipt")


def print_receipt(order: int) -> None:
    loguru.logger.bind(order=order).success("receipt printed")
    raise OSError("out of paper")


async def main() -> None:
    loguru.logger.remove()
    container = fapilog.AsyncLoggingContainer({"sinks": ["stdout"]})
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, FapilogProcessor(container)],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    async with container:
        with capture_loguru(container):
            charge(7)
    print(container.report)


if __name__ == "__main__":
    anyio.run(main, backend="trio")
