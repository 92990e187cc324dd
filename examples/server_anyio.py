r"""An AnyIO TCP server on either backend: every line is a request with its id, and SIGTERM ends it in good order.

    python server_anyio.py --port 7000 --backend trio
    printf 'r-1 order 7\nr-2 order none\n' | nc 127.0.0.1 7000

Its log is the file server.log.
"""

import argparse
import sys

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

import fapilog
from fapilog.integrations.signals import cancelled_by_signals

SETTINGS = {"source": "orders", "sinks": ["file"], "plugin_config": {"file": {"path": "server.log"}}}


async def step(name: str, order: int) -> None:
    await anyio.lowlevel.checkpoint()
    await fapilog.current_logger().info(name, order=order)  # in a task of its own, with the request's id


async def take(client: SocketStream, request_id: str, command: str, argument: str) -> str:
    if command == "order":
        async with anyio.create_task_group() as tasks:
            for name in ("reserved", "charged"):
                tasks.start_soon(step, name, int(argument))
    elif command == "wait":
        await client.send(f"{request_id} waiting\n".encode())
        await anyio.sleep_forever()
    else:
        raise ValueError(f"there is no command {command!r}")
    return "done"


async def converse(client: SocketStream) -> None:
    """Answer the requests of one connection, one after the other."""
    log = fapilog.current_logger().named("connection")
    lines = BufferedByteReceiveStream(client)
    async with client:
        while True:
            try:
                line = (await lines.receive_until(b"\n", 1000)).decode()
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return
            request_id, command, argument = (*line.split(maxsplit=2), "", "", "")[:3]
            with log.context(correlation_id=request_id):
                try:
                    with log.span("request", command=command):
                        answer = await take(client, request_id, command, argument)
                except ValueError as error:
                    answer = f"refused: {error}"  # the span has told it
                await client.send(f"{request_id} {answer}\n".encode())


async def main(port: int) -> None:
    async with fapilog.container(SETTINGS) as log:
        with cancelled_by_signals():
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
            print("listening on port", listener.extra(anyio.abc.SocketAttribute.local_port), file=sys.stderr)
            await listener.serve(converse)
        await log.info("stopped")
    print(log.container.report, file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=7000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="trio")
    arguments = parser.parse_args()
    anyio.run(main, arguments.port, backend=arguments.backend)
