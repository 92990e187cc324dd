"""Access logs: what uvicorn and Hypercorn log of requests, as fields instead of one line of text."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from ..container import AsyncLoggingContainer
from ._layers import Layer
from ._secret_names import Masking, secret_names
from .stdlib import FapilogHandler

_SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "hypercorn.error", "hypercorn.access")
"""Each by itself, for servers give some of them handlers, and let some of them not propagate."""
_ACCESS = frozenset({"uvicorn.access", "hypercorn.access"})
_WEBSOCKET = '%s - "WebSocket %s"'
"""How the messages begin in which uvicorn tells of a WebSocket's handshake, with the query in the second argument."""


class ServerLogHandler(FapilogHandler):
    """Logs the records of uvicorn and Hypercorn; those of their access logs with the request as fields.

    Such an event has the message ``request`` and the fields ``client``, ``method``, ``path``, ``query`` (its secrets
    masked), ``http_version`` and ``status``; Hypercorn's have ``response_size`` (bytes), ``duration`` (seconds),
    ``user_agent`` and ``referer`` too. uvicorn's records of a WebSocket's handshake become ``websocket`` with ``client``,
    ``path``, ``query``, and ``accepted`` or ``status``. A record that is not as these servers make them is logged as it
    is.

    Parameters:
        container: where the records go; None for the current one, as for :class:`FapilogHandler`.
        redact: names of query parameters that hold secrets, beside those that are known to.
    """

    def __init__(self, container: AsyncLoggingContainer | None = None, *, redact: Collection[str] = ()) -> None:
        super().__init__(container)
        self._masking = Masking(secret_names(redact))

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record* as an event."""
        try:
            message, fields = self._read(record)
            if message:
                # A copy: other handlers get the record as it was.
                record = logging.makeLogRecord({**record.__dict__, "msg": message, "args": (), **fields})
        except Exception:
            self.handleError(record)
        else:
            super().emit(record)

    def _read(self, record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
        """Return the message and the fields that a record stands for; an empty message if it stands for itself."""
        arguments: object = record.args
        if record.name == "uvicorn.access":
            if isinstance(arguments, tuple) and len(arguments) == 5:
                return "request", self._of_uvicorn(*cast("tuple[Any, ...]", arguments))
        elif record.name == "hypercorn.access":
            if isinstance(arguments, Mapping) and "m" in arguments:
                return "request", self._of_hypercorn(cast("Mapping[str, Any]", arguments))
        elif record.name == "uvicorn.error" and str(record.msg).startswith(_WEBSOCKET):
            if isinstance(arguments, tuple) and len(arguments) >= 2:
                return "websocket", self._of_handshake(str(record.msg), *cast("tuple[Any, ...]", arguments))
        return "", {}

    def _of_uvicorn(self, client: str, method: str, path: str, http_version: str, status: int) -> dict[str, Any]:
        return {
            **_client(client), "method": method, **self._target(path), "http_version": http_version, "status": status,
        }  # fmt: skip

    def _of_handshake(self, message: str, client: str, path: str, status: int | None = None) -> dict[str, Any]:
        fields = {**_client(client), **self._target(path), "accepted": message.endswith("[accepted]")}
        if not fields["accepted"]:
            fields["status"] = status or 403
        return fields

    def _of_hypercorn(self, atoms: Mapping[str, Any]) -> dict[str, Any]:
        """Read the atoms of Hypercorn's access log (https://hypercorn.readthedocs.io/en/latest/how_to_guides/logging.html)."""
        fields = {**_client(atoms["h"]), "method": atoms["m"], **self._target(atoms["Uq"]), "http_version": atoms["H"]}
        if str(atoms["s"]).isdigit():  # a dash for a request that got no response
            fields["status"] = int(atoms["s"])
        if str(atoms["b"]).isdigit():
            fields["response_size"] = int(atoms["b"])
        fields["duration"] = float(atoms["L"])
        for name, atom in (("user_agent", "a"), ("referer", "f")):
            if (value := str(atoms[atom])) not in ("", "-"):
                fields[name] = self._masking.text(value)
        return fields

    def _target(self, target: str) -> dict[str, str]:
        path, _, query = str(target).partition("?")
        return {"path": path, "query": self._masking.query(query)} if query else {"path": path}


def _client(address: str | None) -> dict[str, str]:
    """Return the host of ``host:port``; nothing for a client without an address, behind a Unix socket."""
    host = str(address or "").rpartition(":")[0]
    return {"client": host} if host else {}


@contextmanager
def capture_server_logs(
    container: AsyncLoggingContainer | None = None, *, access: bool = True, redact: Collection[str] = ()
) -> Generator[ServerLogHandler]:
    """Log what uvicorn and Hypercorn log to the container inside the block, instead of where else it goes.

    Enter it in the application's own lifespan: by then the servers have configured their loggers. What the server says
    after the lifespan goes where it went before. Servers write no access log unless they are told to, and uvicorn's
    ``--no-access-log`` takes the handlers away before; so leave them on.

    Parameters:
        container: the container; None for the one that is current where a record arrives.
        access: whether the access logs are taken too; if not, nobody gets them, for the middleware says the same.
        redact: names of query parameters that hold secrets, beside those that are known to.
    """
    handler = ServerLogHandler(container, redact=redact)
    layers: list[Layer] = []
    try:
        for name in _SERVERS:
            wanted = handler if access or name not in _ACCESS else None
            layer = Layer(logging.getLogger(name), wanted, None, True)
            layers.append(layer)
            layer.put_on()
        yield handler
    finally:
        for layer in reversed(layers):
            layer.take_off()
        handler.close()


__all__ = ("ServerLogHandler", "capture_server_logs")
