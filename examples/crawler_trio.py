"""A Trio crawler whose log reads as a story: a span for each page and try, retries, deadlines, a page that fails.

    python crawler_trio.py
    fapilog tree crawl.log

It crawls a small site of its own. Needs the extra: pip install "fapilog[demo]".
"""

import re
from functools import partial

import httpx2
import trio

import fapilog

SETTINGS = {"source": "crawler", "sinks": ["file"], "plugin_config": {"file": {"path": "crawl.log"}}}
PATIENCE = 2
"""Seconds for a page."""
SITE = {
    "/": '<a href="/good"> <a href="/flaky"> <a href="/slow"> <a href="/broken">',
    "/good": '<img src="/logo.png">',
    "/flaky": "only the second time",
    "/slow": "never",
    "/broken": '<img src="/gone.png"> <img src="/slow.png">',
    "/logo.png": "a picture",
}


async def serve(seen: set[str], stream: trio.SocketStream) -> None:
    """Answer one request: slow paths never, flaky ones the second time, unknown ones with 404."""
    path = (await stream.receive_some(65536)).split()[1].decode()
    if "slow" in path:
        await trio.sleep_forever()
    status = "503 Later" if path == "/flaky" and path not in seen else "200 OK" if path in SITE else "404 Gone"
    seen.add(path)
    body = SITE.get(path, "")
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    await stream.send_all((head + body).encode())
    await stream.aclose()


async def fetch(client: httpx2.AsyncClient, path: str) -> str:
    log = fapilog.current_logger()
    for attempt in (1, 2, 3):
        with log.span("fetch", path=path, attempt=attempt) as span:
            answer = await client.get(path)
            span.set(status=answer.status_code)
        if answer.status_code < 500:
            break
        pause = 0.01 * 2**attempt
        await log.warning("trying again", after=pause)
        await trio.sleep(pause)
    answer.raise_for_status()
    return answer.text


async def visit(client: httpx2.AsyncClient, path: str) -> list[str]:
    text = await fetch(client, path)
    pictures, links = re.findall(r'src="(.*?)"', text), re.findall(r'href="(.*?)"', text)
    await fapilog.current_logger().debug("parsed", pictures=len(pictures), links=len(links))
    async with trio.open_nursery() as nursery:
        for picture in pictures:
            nursery.start_soon(fetch, client, picture)
    return links


async def crawl(client: httpx2.AsyncClient) -> None:
    log = fapilog.current_logger()
    paths = ["/"]
    for path in paths:
        with trio.move_on_after(PATIENCE) as scope:
            try:
                # What is logged at DEBUG in a page is kept if the page fails or takes too long.
                with log.span("page", path=path, buffer="debug"):
                    paths += await visit(client, path)
            except* httpx2.HTTPStatusError:  # a nursery's exceptions come in a group; the span has told it
                await log.warning("left out", path=path)
        if scope.cancelled_caught:
            await log.warning("gave up", path=path, seconds=PATIENCE)


async def main() -> None:
    async with fapilog.container(SETTINGS) as log, trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, partial(serve, set()), 0, host="127.0.0.1"))
        host, port = listeners[0].socket.getsockname()
        async with httpx2.AsyncClient(base_url=f"http://{host}:{port}", timeout=None) as client:
            with log.context(correlation_id="crawl-1"), log.span("crawl"):
                await crawl(client)
        nursery.cancel_scope.cancel()
    print(log.container.report)


if __name__ == "__main__":
    trio.run(main)
