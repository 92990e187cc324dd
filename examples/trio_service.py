"""A Trio program: workers that share a queue, one deadline that passes, and one failure that is told and contained."""

import trio

import fapilog


class OutOfStock(Exception):
    pass


async def pack(order: int) -> None:
    if order == 3:
        raise OutOfStock(f"no goods for order {order}")
    if order == 7:
        await trio.sleep_forever()
    await trio.sleep(0.001)


async def work(worker: int, orders: trio.MemoryReceiveChannel[int]) -> None:
    log = fapilog.current_logger().named("packing").bind(worker=worker)
    async for order in orders:
        with log.context(order=order), trio.move_on_after(1) as scope:
            try:
                with log.span("pack"):  # tells of a failure and of a cancellation too
                    await pack(order)
            except OutOfStock as error:
                await log.warning("put aside", reason=str(error))
            finally:
                await log.info("worker free")  # no event is lost while a cancellation passes
        if scope.cancelled_caught:
            await log.error("took too long", order=order)


async def main() -> None:
    async with fapilog.container({"source": "packing"}) as log:
        async with trio.open_nursery() as nursery:
            send, receive = trio.open_memory_channel[int](0)
            async with send, receive:
                for worker in range(3):
                    nursery.start_soon(work, worker, receive.clone())
                for order in range(10):
                    await send.send(order)
        await log.info("all orders done")
    print(log.container.report)


if __name__ == "__main__":
    trio.run(main)
