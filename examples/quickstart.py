"""The first steps: open a container, log, leave it, read the account."""

import anyio

import fapilog


async def main() -> None:
    async with fapilog.container() as log:
        await log.info("service started", port=8080)  # the call accepts the event; awaiting it is the backpressure
        log.nowait.warning("from plain synchronous code")  # never waits, never raises, from any thread
        with log.context(request_id="r-1"):  # this task, and the tasks it starts from here on
            await log.info("cart loaded", items=3)
            with log.span("checkout", order=42):  # start, duration, outcome and parent: one event
                await log.warning("slow", tags={"team": "pay"}, metrics={"latency_ms": 12.5})
    print(log.container.report)  # every event in exactly one place


if __name__ == "__main__":
    anyio.run(main, backend="trio")
