"""An MCP server whose protocol has the standard output for itself: its log goes to a file, warnings to standard error.

    mcp dev mcp_server.py          or, in the settings of a client:  {"command": "python", "args": ["mcp_server.py"]}

Every message of the client is a span with the message's id, and what a tool logs, in any task, is inside of it.
`fapilog tree mcp.log` shows them. Needs: pip install mcp
"""

import sys
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer

import fapilog
from fapilog.integrations.stdlib import capture_logging

SETTINGS = {
    "source": "weather",
    "sinks": ["file", "stderr"],  # "stdout" would mix with the protocol
    "plugin_config": {"file": {"path": "mcp.log"}, "stderr": {"format": "console", "route": {"level": "WARNING"}}},
}


async def log_message(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Give each message a span and, if it has one, its id; notifications have none."""
    log = fapilog.current_logger().named("mcp")
    correlated = {"correlation_id": f"mcp-{ctx.request_id}"} if ctx.request_id is not None else {}
    tool = {"tool": ctx.params["name"]} if ctx.method == "tools/call" and ctx.params else {}
    with log.context(**correlated), log.span(ctx.method, **tool, buffer="debug"):
        return await call_next(ctx)


server = MCPServer("weather", middleware=[log_message])


async def ask_station(station: str, degrees: list[int]) -> None:
    await fapilog.current_logger().debug("asking", station=station)
    await anyio.sleep(0.01)
    degrees.append(len(station))


@server.tool()
async def temperature(city: str, context: Context) -> int:
    """Return the mean temperature of a city, in degrees Celsius."""
    log = fapilog.current_logger()
    if city == "Atlantis":
        await log.warning("no station", city=city)
        raise ValueError("there is no station in Atlantis")
    degrees: list[int] = []
    async with anyio.create_task_group() as tasks:
        for station in (f"{city} north", f"{city} harbour"):
            tasks.start_soon(ask_station, station, degrees)
    await context.report_progress(1, 1)
    await log.info("measured", city=city, stations=len(degrees))
    return sum(degrees) // len(degrees)


@server.tool()
def convert(celsius: float) -> float:
    """Return degrees Fahrenheit; a plain function, which runs in a thread."""
    fapilog.current_logger().blocking.info("converted", celsius=celsius)
    return celsius * 9 / 5 + 32


async def main() -> None:
    async with fapilog.container(SETTINGS) as log:
        await log.info("serving")
        with capture_logging(log.container, "mcp", replace=True):  # tells of a tool that fails, inside its span
            await server.run_stdio_async()
        await log.info("the client has left")
    print(log.container.report, file=sys.stderr)


if __name__ == "__main__":
    anyio.run(main, backend="trio")
