"""``fapilog demo``: a real service under real load on both backends, and the account of every event."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import anyio

from ..metrics import DrainReport

if TYPE_CHECKING:
    from ._client import Seen

_EXTRAS = ("starlette", "hypercorn", "httpx2")
_FILE_BYTES = 512 * 1024
_FEWEST_FILES = 100


def run(requests: int = 2000, directory: str | None = None, *, quiet: bool = False) -> int:
    """Run the demo on Trio and then on asyncio, and print what came of it.

    Parameters:
        requests: how many to send on each backend.
        directory: where the log files go; a new temporary directory if None.
        quiet: whether to leave the console sink out.

    Returns:
        0 if both accounts are right: balanced, complete, and every request's event in the file exactly once; else 1.
    """
    try:
        from . import _client as _client
        from . import _service as _service
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRAS:
            raise
        sys.stderr.write(f'fapilog demo needs {error.name}, which is not installed: pip install "fapilog[demo]"\n')
        return 1
    folder = Path(directory or tempfile.mkdtemp(prefix="fapilog-demo-")).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.stderr.write(f"fapilog demo cannot write to the directory {folder}: {error.strerror}\n")
        return 1
    right = [_run_on(backend, folder / f"{backend}.jsonl", requests, quiet=quiet) for backend in ("trio", "asyncio")]
    return 0 if all(right) else 1


def _run_on(backend: str, path: Path, requests: int, *, quiet: bool) -> bool:
    """Run the demo on one backend, tell what came of it, and return whether the account is right."""
    from ._account import LogFiles, faults, latency, outcomes
    from ._client import CONCURRENCY
    from ._console import EVERY, FIRST, SampledConsole

    _say(f"== {backend}: Starlette under Hypercorn's {backend} worker; {requests} requests, {CONCURRENCY} at a time")
    if not quiet:
        _say(f"   (the console shows the first {FIRST} events and every {EVERY}th; the file has them all)")
    sinks = [] if quiet else [SampledConsole()]
    began = perf_counter()
    report, seen = anyio.run(_serve_and_send, backend, path, requests, sinks, backend=backend)
    seconds = perf_counter() - began
    files = LogFiles.of(path)
    _say(str(report))
    _say(f"requests: {outcomes(seen)}; {len(seen) / seconds:.0f} a second")
    _say(f"latency: {latency(seen)}")
    _say(f"file: {files}")
    found = faults(files, report, seen)
    for fault in found:
        _say(f"WRONG: {fault}")
    if not found:
        _say(f"every one of the {len(seen)} requests has its event in the file, exactly once, as the client saw it")
    _say("")
    return not found


async def _serve_and_send(
    backend: str, path: Path, requests: int, sinks: Sequence[object]
) -> tuple[DrainReport, list[Seen]]:
    """Serve, send the requests, stop, and return the container's report and what the client saw.

    Raises:
        KeyboardInterrupt: if the process was interrupted; the service has ended and its container is drained.
    """
    from ._client import send_requests
    from ._service import Service

    file = {
        "path": str(path),
        "max_bytes": _FILE_BYTES,
        "compress": "gzip",
        # Enough to remove nothing: the demo compares what is in the files with what was sent.
        "keep": _FEWEST_FILES + requests // 100,
    }
    service = Service({"source": "fapilog-demo", "sinks": ["file"], "plugin_config": {"file": file}}, sinks)
    # Listening already: a request that is sent before the service is up waits in the backlog.
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    stop = anyio.Event()
    seen: list[Seen] | None = None
    async with anyio.create_task_group() as server:
        server.start_soon(service.serve, backend, listener, stop.wait)
        async with anyio.create_task_group() as client:
            client.start_soon(_until_interrupted, client.cancel_scope)
            seen = await send_requests(address, requests, f"{backend}-{secrets.token_hex(4)}")
            client.cancel_scope.cancel()
        stop.set()
    if seen is None:
        raise KeyboardInterrupt
    report = service.container.report
    if report is None:
        raise RuntimeError("the service has ended, and its container was not left")
    return report, seen


async def _until_interrupted(client: anyio.CancelScope) -> None:
    """Cancel *client* at the first interrupt, so that the service ends in order; a second one ends the process."""
    # Raised as an exception, an interrupt could come up in a task of Hypercorn's, which takes it as its own.
    with anyio.open_signal_receiver(signal.SIGINT) as interrupts:
        async for _ in interrupts:
            client.cancel()
            return


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


__all__ = ("run",)
